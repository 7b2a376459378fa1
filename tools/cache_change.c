/* SPDX-License-Identifier: Apache-2.0
 *
 * octet cache convert, retarget, rename, merge: the words that write a cache.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tools/cache_cmds.h"

#define OUT_OPT                                                                              \
    {                                                                                        \
        .name = "out", .letter = 'o', .arg = "FILE", .type = OCT_OPT_FILE, .required = true, \
        .help = "the cache to write"                                                         \
    }
#define FROM_OPT(option)                                                                          \
    {                                                                                             \
        .name = option, .arg = "FORMAT", .type = OCT_OPT_CHOICE,                                  \
        .choices = "trt|ort|ort-txt|ncnn|json", .help = "format of the input; default by content" \
    }
#define FILTER_OPTS                                                             \
    {.name = "include",                                                         \
     .arg = "GLOB",                                                             \
     .type = OCT_OPT_TEXT,                                                      \
     .repeat = true,                                                            \
     .help = "only tensors whose name matches (*, ?, [a-z])"},                  \
    {                                                                           \
        .name = "exclude", .arg = "GLOB", .type = OCT_OPT_TEXT, .repeat = true, \
        .help = "no tensors whose name matches"                                 \
    }

static const oct_opt *const write_tables[] = {oct_cache_write_opts, NULL};

static oct_status read_cache(oct_cli *cli, const char *option, const char *path, oct_ranges **out)
{
    oct_cache_format f = OCT_CACHE_AUTO;
    if (oct_cli_given(cli, option))
        OCT_TRY(oct_cache_format_parse(cli->ctx, oct_cli_str(cli, option), &f));
    return oct_ranges_read(cli->ctx, path, f, out);
}

#define MAX_PATTERNS 64

static oct_status filter(oct_cli *cli, oct_ranges **r)
{
    const char *include[MAX_PATTERNS], *exclude[MAX_PATTERNS];
    const int n_include = oct_cli_count(cli, "include"), n_exclude = oct_cli_count(cli, "exclude");
    if (n_include > MAX_PATTERNS || n_exclude > MAX_PATTERNS)
        return oct_cli_usage(cli, "at most %d patterns", MAX_PATTERNS);
    if (n_include == 0 && n_exclude == 0)
        return OCT_OK;
    for (int i = 0; i < n_include; i++)
        include[i] = oct_cli_str_at(cli, "include", i);
    for (int i = 0; i < n_exclude; i++)
        exclude[i] = oct_cli_str_at(cli, "exclude", i);
    const oct_name_filter f = {include, (size_t)n_include, exclude, (size_t)n_exclude};
    oct_ranges *kept;
    OCT_TRY(oct_cache_filter(cli->ctx, *r, &f, &kept));
    oct_ranges_free(*r);
    *r = kept;
    return OCT_OK;
}

/* Entries that a writer leaves out, by line. */
static void say_left_out(oct_cli *cli, const oct_ranges *r)
{
    const unsigned dropped = OCT_RANGE_UNPARSED | OCT_RANGE_CONFLICT;
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        char why[OCT_RANGE_FLAGS_BYTES], shown[160];
        if (e->flags & (dropped | OCT_RANGE_WEIGHTS))
            oct_log(cli->ctx, OCT_LOG_WARN, "line %u left out: %s: '%s'", e->line,
                    oct_range_flags_str(e->flags, why),
                    oct_printable(e->text != NULL ? e->text : e->name, shown, sizeof shown));
        else if (e->flags & OCT_RANGE_UNUSABLE)
            oct_log(cli->ctx, OCT_LOG_WARN, "line %u kept as it is: %s: '%s'", e->line,
                    oct_range_flags_str(e->flags, why),
                    oct_printable(e->name, shown, sizeof shown));
    }
}

static oct_status finish(oct_cli *cli, oct_ranges **r, oct_cache_format fallback)
{
    const char *out = oct_cli_str(cli, "out");
    oct_cache_format format;
    oct_cache_write_options opt;
    OCT_TRY(filter(cli, r));
    OCT_TRY(oct_cache_write_choice(cli, out, fallback, &format, &opt));
    say_left_out(cli, *r);
    OCT_TRY(oct_cache_write_file(cli, *r, out, format, &opt));
    oct_cli_summary(cli, "wrote %s", out);
    return OCT_OK;
}

/* ---- convert ----------------------------------------------------------------------------- */

/* Layers of an ncnn .param file: which layer reads which blob. */
static oct_status map_to_layers(oct_cli *cli, const oct_ranges *r, const char *path,
                                oct_ranges **out)
{
    uint8_t *data;
    size_t n;
    OCT_TRY(oct_file_read(cli->ctx, path, (size_t)64 << 20, &data, &n));
    const oct_status st = oct_cache_to_ncnn_layers(cli->ctx, r, (const char *)data, n, out);
    oct_free(cli->ctx, data);
    return st == OCT_OK ? OCT_OK : oct_fail_in(cli->ctx, st, "%s", path);
}

static oct_status run_convert(oct_cli *cli)
{
    oct_ranges *r, *mapped;
    OCT_TRY(read_cache(cli, "from", cli->pos[0], &r));
    oct_status st = OCT_OK;
    if (oct_cli_given(cli, "ncnn-param") &&
        (st = map_to_layers(cli, r, oct_cli_str(cli, "ncnn-param"), &mapped)) == OCT_OK) {
        oct_ranges_free(r);
        r = mapped;
    }
    if (st == OCT_OK)
        st = finish(cli, &r, OCT_CACHE_AUTO);
    oct_ranges_free(r);
    return st;
}

static const oct_pos one_cache[] = {{.name = "CACHE", .help = "a cache of any format"}, {0}};

static const oct_opt convert_opts[] = {
    OUT_OPT,
    FROM_OPT("from"),
    {.name = "ncnn-param",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "ncnn .param file: tensor names become the names of the layers that read them"},
    FILTER_OPTS,
    {0}};

const oct_cmd oct_cache_convert = {
    .name = "convert",
    .summary = "write a cache in another format",
    .examples = "  octet cache convert calibration.cache -o calibration.flatbuffers\n"
                "  octet cache convert calibration.cache --ncnn-param net.param -o net.table\n",
    .pos = one_cache,
    .opts = convert_opts,
    .shared = write_tables,
    .run = run_convert,
};

/* ---- retarget ---------------------------------------------------------------------------- */

static oct_status retarget(oct_cli *cli, const char *data, size_t n)
{
    oct_cache_write_options opt = {.trt_algorithm = oct_cli_str(cli, "algorithm")};
    if (oct_cli_given(cli, "trt-version"))
        OCT_TRY(oct_trt_version_parse(cli->ctx, oct_cli_str(cli, "trt-version"), &opt.trt_version));
    if (opt.trt_version == 0 && opt.trt_algorithm == NULL)
        return oct_cli_usage(cli, "say --trt-version or --algorithm");
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_cache_retarget(cli->ctx, data, n, &opt, &b);
    if (st == OCT_OK)
        st = oct_file_write(cli->ctx, oct_cli_str(cli, "out"), b.text, b.len, cli->force);
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s (%.*s)", oct_cli_str(cli, "out"),
                        (int)strcspn(b.text, "\r\n"), b.text);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status run_retarget(oct_cli *cli)
{
    uint8_t *data;
    size_t n;
    OCT_TRY(oct_file_read(cli->ctx, cli->pos[0], (size_t)256 << 20, &data, &n));
    const oct_status st = retarget(cli, (const char *)data, n);
    oct_free(cli->ctx, data);
    return st == OCT_OK || st == OCT_ERR_USAGE ? st : oct_fail_in(cli->ctx, st, "%s", cli->pos[0]);
}

static const oct_opt retarget_opts[] = {
    OUT_OPT,
    {.name = "trt-version",
     .arg = "V",
     .type = OCT_OPT_TEXT,
     .help = "TensorRT version of the new header: 8.6.1, 10.16.1 or its digits"},
    {.name = "algorithm",
     .arg = "NAME",
     .type = OCT_OPT_CHOICE,
     .choices = "EntropyCalibration2|EntropyCalibration|MinMaxCalibration|LegacyCalibration",
     .help = "calibrator of the new header"},
    {0}};

const oct_cmd oct_cache_retarget_cmd = {
    .name = "retarget",
    .summary = "change the header of a TensorRT cache and nothing else",
    .examples = "  octet cache retarget old.cache --trt-version 10.16.1 -o new.cache\n",
    .pos = one_cache,
    .opts = retarget_opts,
    .run = run_retarget,
};

/* ---- rename ------------------------------------------------------------------------------ */

static oct_status map_of_models(oct_cli *cli, const char *from, const char *to, oct_model **a,
                                oct_model **b, oct_rename_map *map)
{
    const oct_model_options opt = {.keep_unsupported = true};
    OCT_TRY(oct_model_load(cli->ctx, from, &opt, a));
    OCT_TRY(oct_model_load(cli->ctx, to, &opt, b));
    return oct_rename_map_of_models(cli->ctx, *a, *b, map);
}

static oct_status rename_and_write(oct_cli *cli, const oct_ranges *r, const oct_rename_map *map)
{
    oct_ranges *renamed;
    size_t n;
    OCT_TRY(oct_cache_rename(cli->ctx, r, map, &renamed, &n));
    oct_log(cli->ctx, OCT_LOG_INFO, "renamed %zu of %zu entries", n, oct_ranges_count(r));
    const oct_status st = finish(cli, &renamed, oct_ranges_format(r));
    oct_ranges_free(renamed);
    return st;
}

static oct_status run_rename(oct_cli *cli)
{
    const char *file = oct_cli_str(cli, "map"), *reference = oct_cli_str(cli, "from");
    const char *model = cli->n_pos > 1 ? cli->pos[1] : NULL;
    if ((file != NULL) == (reference != NULL) || (reference != NULL) != (model != NULL))
        return oct_cli_usage(cli, "say either --map FILE, or MODEL and --from OLD_MODEL");
    oct_ranges *r = NULL;
    oct_model *a = NULL, *b = NULL;
    oct_rename_map map = {NULL, NULL, 0};
    oct_status st = oct_ranges_read(cli->ctx, cli->pos[0], OCT_CACHE_AUTO, &r);
    if (st == OCT_OK)
        st = file != NULL ? oct_rename_map_read(cli->ctx, file, &map)
                          : map_of_models(cli, reference, model, &a, &b, &map);
    if (st == OCT_OK)
        st = rename_and_write(cli, r, &map);
    oct_rename_map_free(cli->ctx, &map);
    oct_model_free(a);
    oct_model_free(b);
    oct_ranges_free(r);
    return st;
}

static const oct_pos rename_pos[] = {
    {.name = "CACHE", .help = "a cache of any format"},
    {.name = "MODEL", .help = "the model whose names are wanted", .optional = true},
    {0}};

static const oct_opt rename_opts[] = {
    OUT_OPT,
    {.name = "map", .arg = "FILE", .type = OCT_OPT_FILE, .help = "lines old<TAB>new"},
    {.name = "from",
     .arg = "OLD_MODEL",
     .type = OCT_OPT_FILE,
     .help = "the model that the cache was made for; its tensors are matched with those of "
             "MODEL by their place in the graph"},
    FILTER_OPTS,
    {0}};

const oct_cmd oct_cache_rename_cmd = {
    .name = "rename",
    .summary = "rename tensors, by a list or after a re-export of the model",
    .examples = "  octet cache rename old.cache new.onnx --from old.onnx -o new.cache\n"
                "  octet cache rename old.cache --map names.tsv -o new.cache\n",
    .pos = rename_pos,
    .opts = rename_opts,
    .shared = write_tables,
    .run = run_rename,
};

/* ---- merge ------------------------------------------------------------------------------- */

static oct_status merge_all(oct_cli *cli, oct_ranges **list)
{
    for (int i = 0; i < cli->n_pos; i++)
        OCT_TRY(read_cache(cli, "from", cli->pos[i], &list[i]));
    oct_ranges *all;
    size_t n_conflicts;
    OCT_TRY(oct_cache_merge(cli->ctx, (const oct_ranges *const *)list, (size_t)cli->n_pos, &all,
                            &n_conflicts));
    oct_status st = finish(cli, &all, oct_ranges_format(list[0]));
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s: %zu tensors, %zu had differing scales",
                        oct_cli_str(cli, "out"), oct_ranges_count(all), n_conflicts);
    oct_ranges_free(all);
    return st;
}

static oct_status run_merge(oct_cli *cli)
{
    oct_ranges **list = oct_zalloc_array(cli->ctx, (size_t)cli->n_pos, sizeof *list);
    if (list == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st = merge_all(cli, list);
    for (int i = 0; i < cli->n_pos; i++)
        oct_ranges_free(list[i]);
    oct_free(cli->ctx, list);
    return st;
}

static const oct_pos many_caches[] = {
    {.name = "CACHE", .help = "caches of any format", .repeat = true}, {0}};

static const oct_opt merge_opts[] = {OUT_OPT, FROM_OPT("from"), FILTER_OPTS, {0}};

const oct_cmd oct_cache_merge_cmd = {
    .name = "merge",
    .summary = "join caches; where scales differ the larger one is kept, aloud",
    .examples = "  octet cache merge backbone.cache head.cache -o model.cache\n",
    .details = "To join calibration runs use 'octet merge' on their statistics instead: that is "
               "exact.",
    .pos = many_caches,
    .opts = merge_opts,
    .shared = write_tables,
    .run = run_merge,
};
