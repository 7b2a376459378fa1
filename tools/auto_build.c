/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage of octet auto: Q/DQ models for other runtimes and engine files for ours.
 */
#include "base/file.h"
#include "tools/auto.h"
#include "tools/engine_io.h"
#include "tools/scale_source.h"
#include "tools/tuning.h"

void oct_auto_build_options(oct_auto *a, oct_strbuf *b)
{
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf_addf(b, "model %s\n", oct_sha256_hex(&oct_model_get_info(a->model)->hash, hex));
    oct_auto_scheme_options(a, b);
    if (oct_cli_flag(a->cli, "tune"))
        oct_strbuf_addf(b, "tune %s\n", a->backend);
}

/* The model with Q/DQ pairs for `target`. */
static oct_status export_to(oct_auto *a, const oct_scale_source *scales, oct_quant_target target,
                            const char *file)
{
    oct_scheme_args scheme;
    oct_quant_report report = {0};
    const oct_quantize_file_options opt = {.qdq = {.provenance = scales->provenance.text},
                                           .force = true};
    char *path = oct_auto_path(a, file);
    oct_status st = oct_scheme_args_init(&scheme, a->cli, target);
    oct_scale_source_inform(scales, &scheme.scheme);
    if (path == NULL)
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_quantize_file(a->ctx, a->model_path, path, &scales->amax, &scheme.scheme, &opt,
                               &report);
    oct_quant_report_deinit(&report);
    oct_scheme_args_deinit(&scheme);
    oct_free(a->ctx, path);
    return st;
}

/* Shapes of the inputs of one picture. */
static oct_status picture_shapes(oct_auto *a, oct_shape *shape)
{
    oct_dataset_args args;
    oct_batch_source *source = NULL;
    const oct_batch *b = NULL;
    oct_status st = oct_auto_open_part(a, OCT_AUTO_TEST, &args, &source);
    if (st == OCT_OK)
        st = source->vt->next(source, a->ctx, &b);
    if (st == OCT_OK && b == NULL)
        st = oct_fail(a->ctx, OCT_ERR_NOT_FOUND, "no test picture to tune for");
    for (int i = 0; st == OCT_OK && i < b->n_inputs; i++)
        shape[i] = b->input[i].desc.shape;
    if (b != NULL)
        source->vt->release(source, b);
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&args);
    return st;
}

static oct_status write_engine(oct_auto *a, const oct_model *m, oct_engine_origin origin,
                               const char *path)
{
    oct_shape shape[OCT_MAX_MODEL_INPUTS];
    oct_tuning t = {.n = 0};
    oct_status st = oct_cli_flag(a->cli, "tune") ? picture_shapes(a, shape) : OCT_OK;
    if (st == OCT_OK)
        st = oct_tuning_run(&t, a->cli, m, shape, &origin);
    if (st == OCT_OK)
        st = oct_engine_write(a->ctx, m, &origin, path, true);
    oct_tuning_deinit(&t, a->cli);
    return st;
}

static oct_status build_fp32(oct_auto *a)
{
    const oct_engine_origin origin = {.quantization = "{}", .preprocess = a->preprocess};
    char *path = oct_auto_path(a, OCT_AUTO_FP32);
    const oct_status st = path != NULL ? write_engine(a, a->model, origin, path) : OCT_ERR_NOMEM;
    oct_free(a->ctx, path);
    return st;
}

static oct_status build_int8(oct_auto *a, const oct_scale_source *scales)
{
    const oct_engine_origin origin = {
        .int8 = true, .quantization = scales->provenance.text, .preprocess = scales->preprocess};
    oct_model *quantized = NULL;
    oct_scheme_args scheme;
    char *path = oct_auto_path(a, OCT_AUTO_INT8);
    oct_status st = oct_scheme_args_init(&scheme, a->cli, OCT_TARGET_OCTET);
    oct_scale_source_inform(scales, &scheme.scheme);
    if (path == NULL)
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_quantize_model(a->ctx, a->model, &scales->amax, &scheme.scheme, NULL, &quantized);
    if (st == OCT_OK)
        st = write_engine(a, quantized, origin, path);
    oct_model_free(quantized);
    oct_scheme_args_deinit(&scheme);
    oct_free(a->ctx, path);
    return st;
}

oct_status oct_auto_build(oct_auto *a)
{
    oct_scale_source scales = {0};
    oct_stats *stats = NULL;
    char *path = oct_auto_path(a, OCT_AUTO_STATISTICS);
    oct_status st = path != NULL ? oct_auto_read_choice(a) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_stats_read(a->ctx, path, &stats);
    if (st == OCT_OK) {
        st = oct_scale_source_from_stats(&scales, a->cli, stats, &a->chosen,
                                         oct_auto_hash(a, OCT_AUTO_STATISTICS));
        if (st == OCT_OK)
            st = export_to(a, &scales, OCT_TARGET_TRT, OCT_AUTO_TRT);
        if (st == OCT_OK)
            st = export_to(a, &scales, OCT_TARGET_ORT, OCT_AUTO_ORT);
        if (st == OCT_OK)
            st = build_fp32(a);
        if (st == OCT_OK)
            st = build_int8(a, &scales);
        oct_scale_source_deinit(&scales);
    }
    oct_stats_free(stats);
    oct_free(a->ctx, path);
    return st;
}
