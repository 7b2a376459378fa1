/* SPDX-License-Identifier: Apache-2.0
 *
 * What subcommands call while they run: option values, stdout, the summary line.
 */
#include "tools/cli.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tools/cli_internal.h"

static const oct_opt *declared(const oct_cli *cli, const char *name)
{
    const oct_opt *opt = cli_find_opt(cli->cmd, name, strlen(name));
    assert(opt && "the command's tables have no such option");
    return opt;
}

bool oct_cli_given(const oct_cli *cli, const char *name)
{
    (void)declared(cli, name);
    return cli_find_value(cli->state->parsed, name, 0) != NULL;
}

bool oct_cli_flag(const oct_cli *cli, const char *name)
{
    return oct_cli_given(cli, name);
}

const char *oct_cli_str_at(const oct_cli *cli, const char *name, int i)
{
    const oct_opt *opt = declared(cli, name);
    const cli_value *v = cli_find_value(cli->state->parsed, name, i);
    if (v)
        return v->text;
    return i == 0 && opt ? opt->fallback : NULL;
}

const char *oct_cli_str(const oct_cli *cli, const char *name)
{
    return oct_cli_str_at(cli, name, 0);
}

int oct_cli_count(const oct_cli *cli, const char *name)
{
    int n = 0;
    (void)declared(cli, name);
    while (cli_find_value(cli->state->parsed, name, n))
        n++;
    return n;
}

/* The parser checked given values and a unit test checks fallbacks, so parsing cannot fail. */
int64_t oct_cli_s64(const oct_cli *cli, const char *name)
{
    const char *text = oct_cli_str(cli, name);
    int64_t v = 0;
    if (text && !oct_parse_s64(text, strlen(text), &v))
        assert(!"not an integer option");
    return v;
}

double oct_cli_f64(const oct_cli *cli, const char *name)
{
    const char *text = oct_cli_str(cli, name);
    double v = 0;
    if (text && !oct_parse_f64(text, strlen(text), &v))
        assert(!"not a number option");
    return v;
}

size_t oct_cli_bytes(const oct_cli *cli, const char *name)
{
    const char *text = oct_cli_str(cli, name);
    size_t v = 0;
    if (text && !cli_parse_bytes(text, &v))
        assert(!"not a size option");
    return v;
}

oct_status oct_cli_usage(oct_cli *cli, const char *fmt, ...)
{
    char text[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return oct_fail(cli->ctx, OCT_ERR_USAGE, "%s (try '%s --help')", text, cli->program);
}

void oct_cli_summary(oct_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(cli->state->summary, sizeof cli->state->summary, fmt, args);
    va_end(args);
}

/* ---- stdout ---------------------------------------------------------------------------- */

bool oct_cli_wants_text(const oct_cli *cli)
{
    return !cli->json || cli->json_path;
}

static oct_status write_stdout(oct_cli *cli, const char *text, size_t n)
{
    if (cli->state->stdout_closed || n == 0)
        return OCT_OK;
    errno = 0;
    if (fwrite(text, 1, n, stdout) == n && fflush(stdout) == 0)
        return OCT_OK;
    if (errno == EPIPE) {
        cli->state->stdout_closed = true;
        return OCT_OK;
    }
    return oct_fail(cli->ctx, OCT_ERR_IO, "stdout: cannot write: %s", strerror(errno));
}

oct_status oct_cli_print(oct_cli *cli, const char *text)
{
    return write_stdout(cli, text, strlen(text));
}

oct_status oct_cli_print_buf(oct_cli *cli, const oct_strbuf *b)
{
    OCT_TRY(oct_strbuf_status(b));
    return write_stdout(cli, b->text ? b->text : "", b->len);
}

oct_status oct_cli_print_table(oct_cli *cli, const oct_table *t)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_table_render(t, &b);
    if (st == OCT_OK)
        st = oct_cli_print_buf(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

oct_status oct_cli_printf(oct_cli *cli, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof text)
        return write_stdout(cli, text, (size_t)n);
    char *big = oct_alloc(cli->ctx, (size_t)n + 1);
    if (!big)
        return OCT_ERR_NOMEM;
    va_start(args, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, args);
    va_end(args);
    const oct_status st = write_stdout(cli, big, (size_t)n);
    oct_free(cli->ctx, big);
    return st;
}

oct_status oct_cli_emit_json(oct_cli *cli, const oct_strbuf *b)
{
    oct_atomic_file *f;
    OCT_TRY(oct_strbuf_status(b));
    if (!cli->json)
        return OCT_OK;
    if (!cli->json_path) {
        OCT_TRY(write_stdout(cli, b->text, b->len));
        return write_stdout(cli, "\n", 1);
    }
    OCT_TRY(oct_atomic_open(cli->ctx, cli->json_path, cli->force, &f));
    oct_status st = oct_atomic_write(f, b->text, b->len);
    if (st == OCT_OK)
        st = oct_atomic_write(f, "\n", 1);
    if (st == OCT_OK)
        return oct_atomic_commit(f);
    oct_atomic_abort(f);
    return st;
}
