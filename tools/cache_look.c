/* SPDX-License-Identifier: Apache-2.0
 *
 * octet cache show, diff, lint: the words that look and write nothing.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "tools/cache_cmds.h"

static const oct_opt from_opts[] = {{.name = "from",
                                     .arg = "FORMAT",
                                     .type = OCT_OPT_CHOICE,
                                     .choices = "trt|ort|ort-txt|ncnn|json",
                                     .help = "format of the input; default by content"},
                                    {0}};

static oct_status read_cache(oct_cli *cli, const char *path, oct_ranges **out)
{
    oct_cache_format f = OCT_CACHE_AUTO;
    if (oct_cli_given(cli, "from"))
        OCT_TRY(oct_cache_format_parse(cli->ctx, oct_cli_str(cli, "from"), &f));
    return oct_ranges_read(cli->ctx, path, f, out);
}

static void cell_f32(oct_table *t, float v)
{
    char text[OCT_NUM_TEXT_BYTES];
    oct_table_str(t, oct_f32_text(v, text));
}

/* ---- show -------------------------------------------------------------------------------- */

static void json_entry(oct_json *j, const oct_range *e)
{
    char why[OCT_RANGE_FLAGS_BYTES];
    oct_json_begin_object(j);
    oct_json_kv_u64(j, "line", e->line);
    oct_json_kv_string(j, "name", e->name);
    if (!(e->flags & OCT_RANGE_UNPARSED)) {
        oct_json_kv_f32(j, "scale", e->scale);
        oct_json_kv_f32(j, "amax", e->amax);
    }
    if (e->text != NULL)
        oct_json_kv_string(j, "text", e->text);
    oct_json_kv_string(j, "flags", oct_range_flags_str(e->flags, why));
    oct_json_kv_bool(j, "usable", (e->flags & OCT_RANGE_UNUSABLE) == 0);
    oct_json_end_object(j);
}

static oct_status show_json(oct_cli *cli, const oct_ranges *r)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "format", oct_cache_format_str(oct_ranges_format(r)));
    oct_json_kv_string(&j, "header", oct_ranges_header(r));
    oct_json_key(&j, "entries");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < oct_ranges_count(r); i++)
        json_entry(&j, oct_ranges_at(r, i));
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    const oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status show_table(oct_cli *cli, const oct_ranges *r)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, ">line|tensor|>amax|>scale|>bits|", &t));
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        char why[OCT_RANGE_FLAGS_BYTES];
        oct_table_s64(t, e->line);
        if (e->flags & OCT_RANGE_UNPARSED) {
            oct_table_str(t, e->text);
            oct_table_str(t, "-");
            oct_table_str(t, "-");
            oct_table_str(t, "-");
        } else {
            oct_table_str(t, e->name);
            cell_f32(t, e->amax);
            cell_f32(t, e->scale);
            oct_table_strf(t, "%08x", (unsigned)oct_f32_bits(e->scale));
        }
        oct_table_str(t, oct_range_flags_str(e->flags, why));
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status run_show(oct_cli *cli)
{
    oct_ranges *r;
    OCT_TRY(read_cache(cli, cli->pos[0], &r));
    oct_status st = cli->json ? show_json(cli, r) : OCT_OK;
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = show_table(cli, r);
    oct_cli_summary(cli, "%zu entries, %s %s", oct_ranges_count(r),
                    oct_cache_format_str(oct_ranges_format(r)), oct_ranges_header(r));
    oct_ranges_free(r);
    return st;
}

static const oct_pos one_cache[] = {{.name = "CACHE", .help = "a calibration cache"}, {0}};

const oct_cmd oct_cache_show = {
    .name = "show",
    .summary = "list a cache's entries, damaged lines included",
    .examples =
        "  octet cache show calibration.cache\n  octet cache show table.txt --from ort-txt\n",
    .pos = one_cache,
    .opts = from_opts,
    .run = run_show,
};

/* ---- diff -------------------------------------------------------------------------------- */

static const oct_opt diff_opts[] = {
    {.name = "from",
     .arg = "FORMAT",
     .type = OCT_OPT_CHOICE,
     .choices = "trt|ort|ort-txt|ncnn|json",
     .help = "format of both inputs; default by content"},
    {.name = "max-ratio",
     .arg = "R",
     .type = OCT_OPT_F64,
     .min = 1,
     .max = 1e9,
     .help = "quality gate: exit 1 if a scale differs by more than this factor or is missing"},
    {0}};

static void side_cell(oct_table *t, const oct_range *e)
{
    if (e != NULL)
        cell_f32(t, e->amax);
    else
        oct_table_str(t, "missing");
}

static oct_status diff_table(oct_cli *cli, const oct_cache_diff *d)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, "tensor|>amax A|>amax B|>B/A", &t));
    for (size_t i = 0; i < d->n; i++) {
        oct_table_str(t, d->row[i].name);
        side_cell(t, d->row[i].a);
        side_cell(t, d->row[i].b);
        oct_table_fixed(t, d->row[i].ratio, 4);
    }
    oct_status st = d->n > 0 ? oct_cli_print_table(cli, t) : OCT_OK;
    oct_table_free(t);
    if (st == OCT_OK)
        st = oct_cli_printf(cli, "%zu equal, %zu differ, %zu only in A, %zu only in B\n",
                            d->n_equal, d->n - d->n_only_a - d->n_only_b, d->n_only_a, d->n_only_b);
    return st;
}

static void json_side(oct_json *j, const char *key, const oct_range *e)
{
    oct_json_key(j, key);
    if (e == NULL)
        oct_json_null(j);
    else
        oct_json_f32(j, e->amax);
}

static oct_status diff_json(oct_cli *cli, const oct_cache_diff *d)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_u64(&j, "equal", d->n_equal);
    oct_json_kv_u64(&j, "only_a", d->n_only_a);
    oct_json_kv_u64(&j, "only_b", d->n_only_b);
    oct_json_kv_f64(&j, "largest_ratio", d->largest_ratio);
    oct_json_key(&j, "tensors");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < d->n; i++) {
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "name", d->row[i].name);
        json_side(&j, "a", d->row[i].a);
        json_side(&j, "b", d->row[i].b);
        oct_json_kv_f64(&j, "ratio", d->row[i].ratio);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    const oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status report_diff(oct_cli *cli, const oct_cache_diff *d)
{
    if (cli->json)
        OCT_TRY(diff_json(cli, d));
    if (oct_cli_wants_text(cli))
        OCT_TRY(diff_table(cli, d));
    char ratio[OCT_NUM_TEXT_BYTES];
    oct_fixed_text(d->largest_ratio, 4, ratio);
    const double gate = oct_cli_f64(cli, "max-ratio");
    if (oct_cli_given(cli, "max-ratio") &&
        (d->largest_ratio > gate || d->n_only_a > 0 || d->n_only_b > 0))
        return oct_fail(cli->ctx, OCT_ERR_GATE, "largest ratio %s, %zu tensors in one cache only",
                        ratio, d->n_only_a + d->n_only_b);
    oct_cli_summary(cli, "%zu of %zu tensors differ, largest ratio %s", d->n, d->n + d->n_equal,
                    ratio);
    return OCT_OK;
}

static oct_status run_diff(oct_cli *cli)
{
    oct_ranges *a = NULL, *b = NULL;
    oct_cache_diff d = {0};
    oct_status st = read_cache(cli, cli->pos[0], &a);
    if (st == OCT_OK)
        st = read_cache(cli, cli->pos[1], &b);
    if (st == OCT_OK)
        st = oct_cache_diff_of(cli->ctx, a, b, &d);
    if (st == OCT_OK)
        st = report_diff(cli, &d);
    oct_cache_diff_free(cli->ctx, &d);
    oct_ranges_free(a);
    oct_ranges_free(b);
    return st;
}

static const oct_pos two_caches[] = {{.name = "A", .help = "a cache of any format"},
                                     {.name = "B", .help = "another, of any format"},
                                     {0}};

const oct_cmd oct_cache_diff_cmd = {
    .name = "diff",
    .summary = "compare the scales of two caches",
    .examples = "  octet cache diff old.cache new.cache\n"
                "  octet cache diff trt.cache ort.flatbuffers --max-ratio 1.05\n",
    .pos = two_caches,
    .opts = diff_opts,
    .run = run_diff,
};

/* ---- lint -------------------------------------------------------------------------------- */

static const char *const level_text[OCT_LINT_COUNT] = {"error", "warning", "note"};

static oct_status lint_text(oct_cli *cli, const oct_lint_item *item, size_t n)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, ">line||tensor|finding", &t));
    for (size_t i = 0; i < n; i++) {
        if (item[i].line > 0)
            oct_table_s64(t, item[i].line);
        else
            oct_table_str(t, "-");
        oct_table_str(t, level_text[item[i].level]);
        oct_table_str(t, item[i].name);
        oct_table_str(t, item[i].text);
    }
    const oct_status st = n > 0 ? oct_cli_print_table(cli, t) : OCT_OK;
    oct_table_free(t);
    return st;
}

static oct_status lint_json(oct_cli *cli, const oct_lint_item *item, size_t n)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_array(&j);
    for (size_t i = 0; i < n; i++) {
        oct_json_begin_object(&j);
        oct_json_kv_u64(&j, "line", item[i].line);
        oct_json_kv_string(&j, "level", level_text[item[i].level]);
        oct_json_kv_string(&j, "name", item[i].name);
        oct_json_kv_string(&j, "text", item[i].text);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    const oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status report_lint(oct_cli *cli, const oct_lint *l)
{
    const oct_lint_item *item;
    const size_t n = oct_lint_items(l, &item);
    const size_t errors = oct_lint_count(l, OCT_LINT_ERROR);
    const size_t warnings = oct_lint_count(l, OCT_LINT_WARNING);
    if (cli->json)
        OCT_TRY(lint_json(cli, item, n));
    if (oct_cli_wants_text(cli))
        OCT_TRY(lint_text(cli, item, n));
    if (errors > 0 || (warnings > 0 && oct_cli_flag(cli, "strict")))
        return oct_fail(cli->ctx, OCT_ERR_GATE, "%s: %zu errors, %zu warnings", cli->pos[0], errors,
                        warnings);
    oct_cli_summary(cli, "%s: %zu warnings, no errors", cli->pos[0], warnings);
    return OCT_OK;
}

static oct_status lint_against(oct_cli *cli, const oct_ranges *r, const char *path)
{
    const oct_model_options opt = {.keep_unsupported = true};
    oct_model *model = NULL;
    oct_model_names names = {0};
    oct_lint *l = NULL;
    oct_status st = OCT_OK;
    if (path != NULL)
        st = oct_model_load(cli->ctx, path, &opt, &model);
    if (st == OCT_OK && model != NULL)
        st = oct_model_names_of(cli->ctx, model, &names);
    if (st == OCT_OK)
        st = oct_cache_lint(cli->ctx, r, model != NULL ? &names : NULL, &l);
    if (st == OCT_OK)
        st = report_lint(cli, l);
    oct_lint_free(l);
    oct_model_names_free(cli->ctx, &names);
    oct_model_free(model);
    return st;
}

static oct_status run_lint(oct_cli *cli)
{
    oct_ranges *r;
    OCT_TRY(read_cache(cli, cli->pos[0], &r));
    const oct_status st = lint_against(cli, r, cli->n_pos > 1 ? cli->pos[1] : NULL);
    oct_ranges_free(r);
    return st;
}

static const oct_pos lint_pos[] = {
    {.name = "CACHE", .help = "a calibration cache"},
    {.name = "MODEL", .help = "the ONNX model it is meant for", .optional = true},
    {0}};

static const oct_opt lint_opts[] = {
    {.name = "from",
     .arg = "FORMAT",
     .type = OCT_OPT_CHOICE,
     .choices = "trt|ort|ort-txt|ncnn|json",
     .help = "format of the cache; default by content"},
    {.name = "strict", .type = OCT_OPT_FLAG, .help = "warnings fail too"},
    {0}};

const oct_cmd oct_cache_lint_cmd = {
    .name = "lint",
    .summary = "check a cache line by line, and against a model",
    .examples = "  octet cache lint calibration.cache\n"
                "  octet cache lint calibration.cache model.onnx --strict\n",
    .details = "Exit code 1 if the cache has errors (with --strict also for warnings).",
    .pos = lint_pos,
    .opts = lint_opts,
    .run = run_lint,
};
