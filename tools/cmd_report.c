/* SPDX-License-Identifier: Apache-2.0
 *
 * octet report: saved results as one HTML file.
 */
#include "base/file.h"
#include "reports/report.h"
#include "tools/cli.h"

static oct_status print_schema(oct_cli *cli)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_report_schema(&b);
    oct_strbuf_add(&b, "\n");
    if (st == OCT_OK)
        st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_print_buf(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status print_all(oct_cli *cli, oct_report *const *r, size_t n)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = OCT_OK;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        if (i > 0)
            oct_strbuf_add(&b, "\n");
        st = oct_report_terminal(cli->ctx, r[i], &b);
    }
    if (st == OCT_OK)
        st = oct_cli_print_buf(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status write_html(oct_cli *cli, oct_report *const *r, size_t n, const char *path)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_report_html(cli->ctx, (const oct_report *const *)r, n, &b);
    if (st == OCT_OK)
        st = oct_file_write(cli->ctx, path, b.text, b.len, cli->force);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status run(oct_cli *cli)
{
    const size_t n = (size_t)cli->n_pos;
    const char *out = oct_cli_str(cli, "output");
    if (oct_cli_flag(cli, "schema"))
        return n == 0 ? print_schema(cli) : oct_cli_usage(cli, "--schema takes no results");
    if (n == 0)
        return oct_cli_usage(cli, "RESULT is missing: a file of 'octet evaluate --json=FILE'");
    if (out)
        OCT_TRY(oct_path_check_output(cli->ctx, out, cli->force));
    oct_report **r = oct_zalloc_array(cli->ctx, n, sizeof *r);
    oct_status st = r ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n; i++)
        st = oct_report_read(cli->ctx, cli->pos[i], &r[i]);
    if (st == OCT_OK && !cli->quiet)
        st = print_all(cli, r, n);
    if (st == OCT_OK && out)
        st = write_html(cli, r, n, out);
    for (size_t i = 0; r && i < n; i++)
        oct_report_free(r[i]);
    oct_free(cli->ctx, r);
    if (st == OCT_OK && out)
        oct_cli_summary(cli, "wrote %s from %zu result%s", out, n, n == 1 ? "" : "s");
    return st;
}

static const oct_pos positions[] = {
    {.name = "RESULT",
     .optional = true,
     .repeat = true,
     .help = "what 'octet evaluate --json=FILE' or 'octet auto' saved"},
    {0}};

static const oct_opt options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "the HTML file to write: one page, complete in itself"},
    {.name = "schema", .type = OCT_OPT_FLAG, .help = "print the JSON Schema of results instead"},
    {0}};

const oct_cmd oct_cmd_report = {
    .name = "report",
    .summary = "show saved results again, several side by side",
    .examples = "  octet report result.json -o report.html\n"
                "  octet report mse.json entropy.json -o both.html\n"
                "  octet report result.json                the tables only\n"
                "  octet report --schema > report.schema.json\n",
    .pos = positions,
    .opts = options,
    .run = run,
    .rank = 45,
};
