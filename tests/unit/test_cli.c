/* SPDX-License-Identifier: Apache-2.0
 *
 * The command-line framework, and rules that every real command table must keep.
 */
#include "tools/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tools/cli_internal.h"

/* ---- a made-up command -------------------------------------------------------------------- */

static const oct_pos positions[] = {
    {.name = "MODEL", .help = "a model"},
    {.name = "IMAGES", .help = "images", .optional = true, .repeat = true},
    {0},
};

static const oct_opt own[] = {
    {.name = "out", .letter = 'o', .arg = "FILE", .type = OCT_OPT_FILE, .help = "output"},
    {.name = "top",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "10",
     .min = 1,
     .max = 99,
     .help = "n"},
    {.name = "ratio", .arg = "R", .type = OCT_OPT_F64, .fallback = "0.5", .help = "ratio"},
    {.name = "set", .arg = "K=V", .type = OCT_OPT_TEXT, .repeat = true, .help = "set"},
    {.name = "mode", .arg = "M", .type = OCT_OPT_CHOICE, .choices = "fast|slow", .help = "mode"},
    {.name = "size", .arg = "SIZE", .type = OCT_OPT_BYTES, .fallback = "1K", .help = "size"},
    {0},
};

static const oct_opt shared_table[] = {{.name = "exif", .help = "exif", .group = "Images"}, {0}};
static const oct_opt *const shared[] = {shared_table, NULL};

static struct {
    int runs;
    oct_status result;
    char out[64], set[64], pos[64];
    int64_t top;
    double ratio;
    size_t size;
    bool exif, force, json;
    int threads;
} seen;

static oct_status run(oct_cli *cli)
{
    seen.runs++;
    snprintf(seen.out, sizeof seen.out, "%s",
             oct_cli_str(cli, "out") ? oct_cli_str(cli, "out") : "-");
    for (int i = 0; i < oct_cli_count(cli, "set"); i++)
        strcat(strcat(seen.set, oct_cli_str_at(cli, "set", i)), ";");
    for (int i = 0; i < cli->n_pos; i++)
        strcat(strcat(seen.pos, cli->pos[i]), ";");
    seen.top = oct_cli_s64(cli, "top");
    seen.ratio = oct_cli_f64(cli, "ratio");
    seen.size = oct_cli_bytes(cli, "size");
    seen.exif = oct_cli_flag(cli, "exif");
    seen.force = cli->force;
    seen.json = cli->json;
    seen.threads = cli->n_threads;
    if (seen.result != OCT_OK)
        return oct_fail(cli->ctx, seen.result, "made to fail");
    return OCT_OK;
}

static const oct_cmd cmd = {.name = "work",
                            .summary = "do it",
                            .examples = "  octet work x\n",
                            .pos = positions,
                            .opts = own,
                            .shared = shared,
                            .run = run};
static const oct_cmd sub_show = {
    .name = "show", .summary = "show", .run = run, .opts = own, .shared = shared};
static const oct_cmd *const subs[] = {&sub_show, NULL};
static const oct_cmd cmd_cache = {.name = "cache", .summary = "caches", .sub = subs};
static const oct_cmd *const table[] = {&cmd, &cmd_cache, NULL};

/* Runs the program with the words of `line`; stderr and stdout go to /dev/null. */
static int octet(const char *line)
{
    char copy[256], *argv[32];
    int argc = 0;
    const oct_status result = seen.result;
    memset(&seen, 0, sizeof seen);
    seen.result = result;
    snprintf(copy, sizeof copy, "octet %s", line);
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    fflush(stdout);
    fflush(stderr);
    const int null = open("/dev/null", O_WRONLY), out = dup(1), err = dup(2);
    dup2(null, 1);
    dup2(null, 2);
    const int code = oct_cli_main(argc, argv, table);
    fflush(stdout);
    fflush(stderr);
    dup2(out, 1);
    dup2(err, 2);
    close(null);
    close(out);
    close(err);
    return code;
}

static void options_may_stand_anywhere_in_any_spelling(void **state)
{
    assert_int_equal(octet("work m.onnx -o a.txt --top=7 b --set x=1 --set=y=2 c --exif -j2"), 0);
    assert_int_equal(seen.runs, 1);
    assert_string_equal(seen.out, "a.txt");
    assert_string_equal(seen.pos, "m.onnx;b;c;");
    assert_string_equal(seen.set, "x=1;y=2;");
    assert_int_equal(seen.top, 7);
    assert_true(seen.exif && !seen.force);
    assert_int_equal(seen.threads, 2);
    assert_int_equal(octet("work -qoa.txt -- --top"), 0);
    assert_string_equal(seen.pos, "--top;");
    assert_string_equal(seen.out, "a.txt");
}

static void defaults_come_from_the_table(void **state)
{
    assert_int_equal(octet("work m --json"), 0);
    assert_int_equal(seen.top, 10);
    assert_true(seen.ratio == 0.5);
    assert_int_equal(seen.size, 1024);
    assert_true(seen.json);
    assert_true(seen.threads >= 1);
    assert_string_equal(seen.out, "-");
}

static void wrong_usage_is_exit_code_2_and_runs_nothing(void **state)
{
    static const char *const lines[] = {
        "",
        "wrok",
        "work",
        "work m --tpo 3",
        "work m --top",
        "work m --top x",
        "work m --top 100",
        "work m --top 0",
        "work m --top 3 --top 4",
        "work m --ratio nan",
        "work m --ratio 1e999",
        "work m --mode medium",
        "work m --mode fas",
        "work m --size 3X",
        "work m --exif=yes",
        "work m -x",
        "work m --device gpu",
        "work m --device cuda:",
        "work m --out=",
        "work m --threads 0",
        "cache",
        "cache shwo",
        "--frobnicate",
        "cache show extra",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (octet(lines[i]) != 2 || seen.runs != 0)
            fail_msg("'octet %s' was accepted", lines[i]);
    }
}

static void the_exit_code_follows_from_the_status(void **state)
{
#define X(name, code, exit_code, text) \
    seen.result = OCT_##name;          \
    assert_int_equal(octet("work m"), exit_code);
    OCT_STATUS_MAP(X)
#undef X
    seen.result = OCT_OK;
}

static void help_and_version_never_run_the_command(void **state)
{
    static const char *const lines[] = {
        "--help",       "-h", "help work",      "work --help", "work m -h",  "cache --help",
        "--version",    "-V", "work --version", "--man",       "--man work", "--man cache show",
        "cache show -h"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(octet(lines[i]), 0);
        assert_int_equal(seen.runs, 0);
    }
}

static void two_word_commands_are_found(void **state)
{
    assert_int_equal(octet("cache show --top 5"), 0);
    assert_int_equal(seen.top, 5);
}

static void mistyped_words_get_a_suggestion(void **state)
{
    static const struct {
        const char *word, *candidate;
        bool near;
    } cases[] = {
        {"jsno", "json", true},          {"prest", "preset", true}, {"meth", "method", true},
        {"xyz", "json", false},          {"ab", "cd", false},       {"", "json", false},
        {"calbirate", "calibrate", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cli_nearest n = {.word = cases[i].word, .len = strlen(cases[i].word)};
        cli_nearest_try(&n, cases[i].candidate);
        assert_int_equal(n.best != NULL, cases[i].near);
    }
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    cli_nearest n = {.word = longest, .len = strlen(longest)};
    cli_nearest_try(&n, "json");
    assert_null(n.best);
}

static void sizes_have_binary_units(void **state)
{
    size_t v = 0;
    assert_true(cli_parse_bytes("0", &v) && v == 0);
    assert_true(cli_parse_bytes("512K", &v) && v == 512 << 10);
    assert_true(cli_parse_bytes("2GiB", &v) && v == (size_t)2 << 30);
    assert_true(cli_parse_bytes("3MB", &v) && v == 3 << 20);
    assert_false(cli_parse_bytes("", &v));
    assert_false(cli_parse_bytes("K", &v));
    assert_false(cli_parse_bytes("1.5G", &v));
    assert_false(cli_parse_bytes("-1", &v));
    assert_false(cli_parse_bytes("99999999999T", &v));
    assert_int_equal(v, 3 << 20);
}

static void tables_align_their_columns(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    oct_strbuf b;
    oct_table *t;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_table_new(ctx, "name|>n|note", &t), OCT_OK);
    oct_table_str(t, "b\xc3\xbc");
    oct_table_s64(t, 12345);
    oct_table_str(t, NULL);
    oct_table_str(t, "longer\x1b");
    oct_table_fixed(t, 0.0 / 0.0 + 1, 2);
    oct_table_strf(t, "%d%%", 5);
    assert_int_equal(oct_table_render(t, &b), OCT_OK);
    assert_string_equal(b.text, "name            n  note\n"
                                "b\xc3\xbc          12345  -\n"
                                "longer\\x1b      -  5%\n");
    oct_table_free(t);
    oct_strbuf_deinit(&b);
    oct_ctx_free(ctx);
}

static oct_status render(oct_ctx *ctx, void *user)
{
    oct_table *t;
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    OCT_TRY(oct_table_new(ctx, "a|b", &t));
    for (int i = 0; i < 100; i++)
        oct_table_s64(t, i);
    const oct_status st = oct_table_render(t, &b);
    oct_table_free(t);
    oct_strbuf_deinit(&b);
    return st;
}

static void tables_survive_failing_allocations(void **state)
{
    oct_assert_survives_failing_alloc(render, NULL, 50);
}

/* ---- the real commands -------------------------------------------------------------------- */

static void check_option(const oct_cmd *c, int i)
{
    const oct_opt *opt = cli_opt_at(c, i), *other;
    char why[256] = "";
    if (!opt->help || !opt->help[0])
        fail_msg("%s --%s has no help", c->name, opt->name);
    if ((opt->type == OCT_OPT_FLAG) != (opt->arg == NULL))
        fail_msg("%s --%s: a flag has no argument name, another option has one", c->name,
                 opt->name);
    if ((opt->type == OCT_OPT_CHOICE) != (opt->choices != NULL))
        fail_msg("%s --%s: choices belong to OCT_OPT_CHOICE", c->name, opt->name);
    if (opt->fallback && !cli_check_value(opt, opt->fallback, why, sizeof why))
        fail_msg("%s: default of %s", c->name, why);
    for (int k = 0; (other = cli_opt_at(c, k)); k++) {
        if (k != i &&
            (strcmp(opt->name, other->name) == 0 || (opt->letter && opt->letter == other->letter)))
            fail_msg("%s: --%s (-%c) is there twice", c->name, opt->name,
                     opt->letter ? opt->letter : ' ');
    }
}

static void check_command(const oct_cmd *c)
{
    oct_ctx *ctx = oct_test_ctx();
    oct_strbuf b;
    bool optional = false;
    if (!c->name || !c->summary || (!c->run) == (!c->sub))
        fail_msg("%s: needs name, summary and either run or sub", c->name ? c->name : "?");
    if (c->run && !c->examples)
        fail_msg("%s: help starts with examples, there are none", c->name);
    for (int i = 0; cli_opt_at(c, i); i++)
        check_option(c, i);
    for (const oct_pos *p = c->pos; p && p->name; p++) {
        assert_true(p->help && (!optional || p->optional));
        optional = p->optional;
    }
    oct_strbuf_init(&b, ctx);
    cli_help_cmd(c, c->name, &b);
    assert_non_null(strstr(b.text, c->summary));
    oct_strbuf_clear(&b);
    cli_man_cmd(c, c->name, &b);
    assert_non_null(strstr(b.text, ".SH OPTIONS"));
    oct_strbuf_deinit(&b);
    oct_ctx_free(ctx);
    for (const oct_cmd *const *s = c->sub; s && *s; s++)
        check_command(*s);
}

static void every_command_is_described_completely(void **state)
{
    int n = 0;
    for (const oct_cmd *const *c = oct_cmd_table; *c; c++, n++)
        check_command(*c);
    assert_true(n >= 2 && n <= CLI_MAX_CMDS);
}

static void every_shell_completes_every_command(void **state)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    oct_ctx *ctx = oct_test_ctx();
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    for (int i = 0; i < 3; i++) {
        oct_strbuf_clear(&b);
        assert_true(cli_completion(oct_cmd_table, shells[i], &b));
        for (const oct_cmd *const *c = oct_cmd_table; *c; c++)
            assert_non_null(strstr(b.text, (*c)->name));
    }
    assert_false(cli_completion(oct_cmd_table, "tcsh", &b));
    oct_strbuf_deinit(&b);
    oct_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_may_stand_anywhere_in_any_spelling),
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(wrong_usage_is_exit_code_2_and_runs_nothing),
        cmocka_unit_test(the_exit_code_follows_from_the_status),
        cmocka_unit_test(help_and_version_never_run_the_command),
        cmocka_unit_test(two_word_commands_are_found),
        cmocka_unit_test(mistyped_words_get_a_suggestion),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(tables_align_their_columns),
        cmocka_unit_test(tables_survive_failing_allocations),
        cmocka_unit_test(every_command_is_described_completely),
        cmocka_unit_test(every_shell_completes_every_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
