/* SPDX-License-Identifier: Apache-2.0
 *
 * octet verify: whether a file is whole, and whether it belongs to a model.
 */
#include <stdio.h>
#include <string.h>

#include "base/container.h"
#include "base/file.h"
#include "calib/ranges.h"
#include "calib/statistics.h"
#include "engine/engine_file.h"
#include "engine/model.h"
#include "engine/timing_cache.h"
#include "tools/cli.h"

#define MAX_BYTES ((size_t)16 << 30)

/* What was found out about the file. */
typedef struct finding {
    char kind[16];
    char detail[200];
    bool has_model; /* `model` is the hash of the model it belongs to */
    oct_sha256 model;
} finding;

static oct_status verify_stats(oct_cli *cli, const uint8_t *data, size_t n, finding *f)
{
    oct_stats *s;
    OCT_TRY(oct_stats_parse(cli->ctx, data, n, &s));
    f->has_model = true;
    f->model = oct_stats_get_origin(s)->model;
    snprintf(f->detail, sizeof f->detail, "%zu tensors, %llu images%s", oct_stats_n_tensors(s),
             (unsigned long long)oct_stats_n_images(s),
             oct_stats_is_complete(s) ? "" : ", a checkpoint");
    oct_stats_free(s);
    return OCT_OK;
}

static oct_status verify_engine(oct_cli *cli, const char *path, finding *f)
{
    oct_engine_file *e;
    OCT_TRY(oct_engine_file_load(cli->ctx, path, &e));
    snprintf(f->detail, sizeof f->detail, "every reference in it is in range");
    oct_engine_file_free(e);
    return OCT_OK;
}

static oct_status verify_container(oct_cli *cli, const char *path, const uint8_t *data, size_t n,
                                   finding *f)
{
    oct_container_head head;
    OCT_TRY(oct_container_probe(cli->ctx, data, n, &head));
    snprintf(f->kind, sizeof f->kind, "%s", head.kind);
    if (strcmp(head.kind, OCT_STATS_KIND) == 0)
        return verify_stats(cli, data, n, f);
    if (strcmp(head.kind, "engine") == 0)
        return verify_engine(cli, path, f);
    snprintf(f->detail, sizeof f->detail, "hash matches, version %u, %llu bytes", head.version,
             (unsigned long long)head.payload_bytes);
    return OCT_OK;
}

static oct_status verify_model(oct_cli *cli, const char *path, finding *f)
{
    oct_model *m;
    OCT_TRY(oct_model_load(cli->ctx, path, NULL, &m));
    const oct_model_info *info = oct_model_get_info(m);
    snprintf(f->kind, sizeof f->kind, "model");
    snprintf(f->detail, sizeof f->detail, "ONNX opset %lld, %u nodes, all supported",
             (long long)info->opset, info->n_model_nodes);
    oct_model_free(m);
    return OCT_OK;
}

static oct_status verify_timing(oct_cli *cli, const char *path, finding *f)
{
    oct_timing_cache *tc;
    OCT_TRY(oct_timing_cache_open(cli->ctx, path, &tc));
    snprintf(f->kind, sizeof f->kind, "timing cache");
    snprintf(f->detail, sizeof f->detail, "%zu times", oct_timing_cache_size(tc));
    oct_timing_cache_close(tc);
    return OCT_OK;
}

static oct_status verify_cache(oct_cli *cli, const char *path, const uint8_t *data, size_t n,
                               finding *f)
{
    oct_ranges *r;
    OCT_TRY(oct_ranges_parse(cli->ctx, data, n, OCT_CACHE_AUTO, path, &r));
    snprintf(f->kind, sizeof f->kind, "cache");
    snprintf(f->detail, sizeof f->detail, "%zu usable scales, format %s", oct_ranges_count(r),
             oct_cache_format_str(oct_ranges_format(r)));
    const oct_status st = oct_ranges_check(cli->ctx, r);
    oct_ranges_free(r);
    return st;
}

static oct_status verify_any(oct_cli *cli, const char *path, finding *f)
{
    uint8_t *data;
    size_t n;
    if (strcmp(oct_path_ext(path), ".onnx") == 0)
        return verify_model(cli, path, f);
    OCT_TRY(oct_file_read(cli->ctx, path, MAX_BYTES, &data, &n));
    const oct_status st = oct_container_is(data, n) ? verify_container(cli, path, data, n, f)
                          : oct_timing_cache_is((const char *)data, n)
                              ? verify_timing(cli, path, f)
                              : verify_cache(cli, path, data, n, f);
    oct_free(cli->ctx, data);
    return st;
}

static oct_status check_model(oct_cli *cli, const finding *f, const char *path)
{
    const oct_model_options opt = {.keep_unsupported = true};
    oct_model *m;
    if (!f->has_model)
        return oct_cli_usage(cli, "--model: a %s does not say which model it belongs to", f->kind);
    OCT_TRY(oct_model_load(cli->ctx, path, &opt, &m));
    const bool same = oct_sha256_cmp(&oct_model_get_info(m)->hash, &f->model) == 0;
    oct_model_free(m);
    char hex[OCT_SHA256_HEX_BYTES];
    return same ? OCT_OK
                : oct_fail(cli->ctx, OCT_ERR_STALE, "made for model %.12s, which %s is not",
                           oct_sha256_hex(&f->model, hex), path);
}

static oct_status report(oct_cli *cli, const char *path, const finding *f)
{
    oct_strbuf b;
    oct_json j;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "kind", f->kind);
    oct_json_kv_string(&j, "detail", f->detail);
    oct_json_kv_string(&j, "model", f->has_model ? oct_sha256_hex(&f->model, hex) : NULL);
    oct_json_kv_bool(&j, "ok", true);
    oct_json_end_object(&j);
    oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = oct_cli_printf(cli, "%s: %s, %s\n", path, f->kind, f->detail);
    oct_cli_summary(cli, "%s is whole", path);
    return st;
}

static oct_status run(oct_cli *cli)
{
    finding f = {0};
    const char *path = cli->pos[0], *model = oct_cli_str(cli, "model");
    oct_status st = verify_any(cli, path, &f);
    if (st == OCT_OK && model != NULL)
        st = check_model(cli, &f, model);
    if (st != OCT_OK)
        return st == OCT_ERR_USAGE ? st : oct_fail_in(cli->ctx, st, "%s", path);
    return report(cli, path, &f);
}

static const oct_pos positions[] = {
    {.name = "FILE", .help = "statistics, engine, pack, cache, timing cache or ONNX model"}, {0}};

static const oct_opt options[] = {{.name = "model",
                                   .arg = "MODEL",
                                   .type = OCT_OPT_FILE,
                                   .help = "check that statistics were made for this ONNX model"},
                                  {0}};

const oct_cmd oct_cmd_verify = {
    .name = "verify",
    .summary = "check that a file is whole and every number in it usable",
    .examples = "  octet verify statistics.h5 --model model.onnx\n"
                "  octet verify model.engine\n"
                "  octet verify calibration.cache\n",
    .pos = positions,
    .opts = options,
    .run = run,
    .rank = 62,
};
