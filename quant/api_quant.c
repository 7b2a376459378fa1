/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantizing and building in the public API.
 */
#include "base/api.h"
#include "base/build_info.h"
#include "base/file.h"
#include "calib/ranges.h"
#include "engine/engine_file.h"
#include "quant/quantize.h"

_Static_assert((int)OCTET_TARGET_OCTET == (int)OCT_TARGET_OCTET, "target codes differ");
_Static_assert((int)OCTET_TARGET_TRT == (int)OCT_TARGET_TRT, "target codes differ");
_Static_assert((int)OCTET_TARGET_ORT == (int)OCT_TARGET_ORT, "target codes differ");

static bool find_amax(void *user, const char *name, float *amax)
{
    const oct_range *r = oct_ranges_find(user, name);
    if (r)
        *amax = r->amax;
    return r != NULL;
}

static oct_amax_source amax_of(const octet_scales *scales)
{
    return (oct_amax_source){(oct_ranges *)(uintptr_t)oct_api_scales_ranges(scales), find_amax};
}

/* What the caller's statistics know besides thresholds. */
typedef struct stats_reader {
    oct_ctx *ctx;
    const octet_stats *stats;
    double *mean; /* owned */
    size_t cap;
    oct_status status; /* OCT_ERR_NOMEM: some were not handed out */
    oct_mean_source source;
    oct_sign_source signs;
} stats_reader;

static bool find_means(void *user, const char *name, bool last, const double **mean, size_t *n)
{
    stats_reader *r = user;
    *n = oct_api_stats_means(r->stats, name, last, NULL, 0);
    if (*n > r->cap) {
        oct_free(r->ctx, r->mean);
        r->mean = oct_alloc_array(r->ctx, *n, sizeof *r->mean);
        r->cap = r->mean != NULL ? *n : 0;
    }
    if (*n > r->cap) {
        r->status = OCT_ERR_NOMEM;
        return false;
    }
    *n = oct_api_stats_means(r->stats, name, last, r->mean, r->cap);
    *mean = r->mean;
    return *n > 0;
}

static bool never_negative(void *user, const char *name)
{
    return oct_api_stats_never_negative(((const stats_reader *)user)->stats, name);
}

static void reader_init(stats_reader *r, oct_ctx *ctx, const octet_stats *stats)
{
    *r = (stats_reader){
        .ctx = ctx, .stats = stats, .source = {r, find_means}, .signs = {r, never_negative}};
}

static oct_status reader_deinit(stats_reader *r, oct_status st)
{
    oct_free(r->ctx, r->mean);
    return st != OCT_OK ? st : r->status;
}

static oct_scheme scheme_of(const octet_quantize_options *opt, oct_quant_target target,
                            const stats_reader *r)
{
    return (oct_scheme){.target = target,
                        .weights = opt->mse_weights ? OCT_WEIGHT_MSE : OCT_WEIGHT_MAX_ABS,
                        .per_tensor_weights = opt->per_tensor_weights != 0,
                        .allow_missing = opt->allow_missing != 0,
                        .skip_first = opt->skip_first != 0,
                        .skip_last = opt->skip_last != 0,
                        .unsigned_activations =
                            opt->unsigned_activations != 0 && target != OCT_TARGET_TRT,
                        .signs = r->stats != NULL ? &r->signs : NULL,
                        .means = r->stats != NULL ? &r->source : NULL,
                        .include = opt->include,
                        .n_include = opt->n_include,
                        .exclude = opt->exclude,
                        .n_exclude = opt->n_exclude};
}

static oct_status read_options(oct_ctx *ctx, const octet_quantize_options *options,
                               const char *out_path, octet_quantize_options *opt)
{
    if (oct_api_copy_options(opt, sizeof *opt, options) != OCT_OK ||
        (unsigned)opt->target >= OCT_TARGET_COUNT)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "octet_quantize_options: unknown size, field or target");
    return oct_path_check_output(ctx, out_path, opt->force != 0);
}

octet_status octet_quantize(octet_ctx *ctx, const char *model_path, const octet_scales *scales,
                            const octet_quantize_options *options, const char *out_path)
{
    oct_ctx *c = oct_api_ctx(ctx);
    octet_quantize_options opt;
    oct_status st = read_options(c, options, out_path, &opt);
    if (st != OCT_OK)
        return (octet_status)st;
    const oct_amax_source amax = amax_of(scales);
    stats_reader known;
    reader_init(&known, c, opt.stats);
    const oct_scheme scheme = scheme_of(&opt, (oct_quant_target)opt.target, &known);
    const oct_quantize_file_options file = {.qdq = {.weights_int8 = opt.weights_int8 != 0},
                                            .force = opt.force != 0,
                                            .external_data = opt.external_data != 0};
    st = oct_quantize_file(c, model_path, out_path, &amax, &scheme, &file, NULL);
    return (octet_status)reader_deinit(&known, st);
}

static oct_status save(oct_ctx *ctx, const oct_model *m, bool force, const char *out_path)
{
    const oct_model_info *info = oct_model_get_info(m);
    const oct_engine_info engine = {.precision = OCT_PRECISION_F32 | OCT_PRECISION_S8,
                                    .model_hash = info->hash,
                                    .model_name = info->graph_name,
                                    .quantization_json = "{}",
                                    .preprocess_json = "",
                                    .built_with = "octet " OCT_VERSION};
    return oct_engine_file_save(ctx, oct_model_graph(m), &engine, out_path, force);
}

octet_status octet_build(octet_ctx *ctx, const char *model_path, const octet_scales *scales,
                         const octet_quantize_options *options, const char *out_path)
{
    oct_ctx *c = oct_api_ctx(ctx);
    octet_quantize_options opt;
    oct_model *model = NULL, *quantized = NULL;
    oct_status st = read_options(c, options, out_path, &opt);
    if (st == OCT_OK)
        st = oct_model_load(c, model_path, NULL, &model);
    if (st == OCT_OK && scales) {
        const oct_amax_source amax = amax_of(scales);
        stats_reader known;
        reader_init(&known, c, opt.stats);
        const oct_scheme scheme = scheme_of(&opt, OCT_TARGET_OCTET, &known);
        st = reader_deinit(&known, oct_quantize_model(c, model, &amax, &scheme, NULL, &quantized));
    }
    if (st == OCT_OK)
        st = save(c, scales ? quantized : model, opt.force != 0, out_path);
    oct_model_free(quantized);
    oct_model_free(model);
    return (octet_status)st;
}
