/* SPDX-License-Identifier: Apache-2.0
 *
 * octet build: an engine file from a model.
 */
#include <string.h>

#include "base/file.h"
#include "tools/scale_source.h"
#include "tools/tuning.h"

static const oct_pos positions[] = {
    {.name = "MODEL", .help = "an ONNX model, float or with Q/DQ pairs"}, {0}};

static const oct_opt options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "the engine file to write"},
    {.name = "precision",
     .arg = "P",
     .type = OCT_OPT_CHOICE,
     .choices = "auto|fp32|fp16|int8|int8,fp16",
     .fallback = "auto",
     .help =
         "int8 needs --stats, --cache or a Q/DQ model; auto is int8 where one of them is there; "
         "fp16 (for a GPU) takes --stats or --cache to keep what leaves its range in f32"},
    {.name = "tune",
     .type = OCT_OPT_FLAG,
     .help = "time the kernels that this machine offers for each operator and store the fastest"},
    {.name = "timing-cache",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help =
         "with --tune: take times from FILE, time only what it does not have, and add that; the "
         "same cache gives the same engine, byte for byte. It is valid for the device, the "
         "threads and the octet that it was made with, and may hold several"},
    {.name = "shape",
     .arg = "NAME=DIMS",
     .type = OCT_OPT_TEXT,
     .repeat = true,
     .help = "with --tune: shape of an input with open dimensions (default: 1 for each), as in "
             "data=8x3x224x224"},
    {0}};

#define HALF_MAX_AMAX 32000.0 /* f16 ends at 65,504: sums and outliers need room */

static const oct_opt *const shared[] = {oct_scale_opts, oct_scheme_opts, NULL};

static bool has_scales(const oct_cli *cli)
{
    return oct_cli_given(cli, "stats") || oct_cli_given(cli, "cache");
}

static bool wants_half(const oct_cli *cli)
{
    return (oct_precision_bits(oct_cli_str(cli, "precision")) & OCT_PRECISION_F16) != 0;
}

/* Whether to build INT8, or what is missing for it. */
static oct_status decide(oct_cli *cli, const oct_any_model *m, bool *int8)
{
    const char *p = oct_cli_str(cli, "precision");
    const bool scales = has_scales(cli);
    if (m->engine)
        return oct_cli_usage(cli, "%s is an engine already", cli->pos[0]);
    if (scales && m->quantized)
        return oct_cli_usage(
            cli,
            "%s carries its own scales (Q/DQ); leave out --stats and --cache, or strip it first",
            cli->pos[0]);
    if (strcmp(p, "fp32") == 0 && (scales || m->quantized))
        return oct_cli_usage(cli, "--precision fp32 takes a float model and no scales");
    if (strcmp(p, "fp16") == 0 && m->quantized)
        return oct_cli_usage(cli, "%s is quantized: --precision int8,fp16", cli->pos[0]);
    OCT_TRY(oct_tuning_check(cli));
    if (oct_cli_given(cli, "shape") && !oct_cli_flag(cli, "tune"))
        return oct_cli_usage(cli, "--shape is for --tune");
    *int8 = (scales || m->quantized) && strcmp(p, "fp16") != 0;
    if (strncmp(p, "int8", 4) == 0 && !*int8)
        return oct_cli_usage(cli,
                             "INT8 needs --stats FILE, --cache FILE or a model with Q/DQ pairs");
    return OCT_OK;
}

static oct_status save(oct_cli *cli, const oct_model *m, oct_engine_origin origin)
{
    oct_tuning t;
    oct_status st = oct_tuning_run(&t, cli, m, NULL, &origin);
    if (st == OCT_OK)
        st = oct_engine_write(cli->ctx, m, &origin, oct_cli_str(cli, "output"), cli->force);
    oct_tuning_deinit(&t, cli);
    return st;
}

/* Names of values whose calibrated range does not fit f16, said aloud. */
static oct_status keep_in_f32(oct_cli *cli, const oct_model *m, const oct_amax_source *amax,
                              const char ***names, size_t *n)
{
    const oct_graph *g = oct_model_graph(m);
    const uint32_t n_values = oct_graph_n_values(g);
    float a = 0;
    *n = 0;
    *names = oct_alloc_array(cli->ctx, n_values + 1, sizeof **names);
    if (!*names)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; wants_half(cli) && i < n_values; i++) {
        const char *name = oct_graph_value(g, i)->name;
        if (!amax->find(amax->user, name, &a) || !(a > HALF_MAX_AMAX))
            continue;
        (*names)[(*n)++] = name;
        oct_log(cli->ctx, OCT_LOG_WARN, "%s reaches %g, above %g: it stays in f32", name, (double)a,
                HALF_MAX_AMAX);
    }
    return OCT_OK;
}

/* A float model in FP16, with the ranges of a calibration. */
static oct_status build_half(oct_cli *cli, const oct_model *m)
{
    oct_scale_source scales;
    const char **keep = NULL;
    oct_engine_origin origin = {.half = true, .quantization = "{}"};
    oct_status st = oct_scale_source_init(&scales, cli, m);
    if (st == OCT_OK)
        st = keep_in_f32(cli, m, &scales.amax, &keep, &origin.n_keep_f32);
    origin.keep_f32 = keep;
    origin.preprocess = scales.preprocess;
    if (st == OCT_OK)
        st = save(cli, m, origin);
    oct_free(cli->ctx, keep);
    oct_scale_source_deinit(&scales);
    return st;
}

static oct_status build_from_scales(oct_cli *cli, const oct_model *m)
{
    oct_scale_source scales;
    oct_scheme_args scheme = {.ctx = cli->ctx};
    oct_quant_report report = {0};
    oct_model *quantized = NULL;
    const char **keep = NULL;
    oct_engine_origin origin = {.int8 = true, .half = wants_half(cli)};
    oct_status st = oct_scale_source_init(&scales, cli, m);
    if (st == OCT_OK)
        st = oct_scheme_args_init(&scheme, cli, OCT_TARGET_OCTET);
    oct_scale_source_inform(&scales, &scheme.scheme);
    if (st == OCT_OK)
        st = oct_quantize_model(cli->ctx, m, &scales.amax, &scheme.scheme, &report, &quantized);
    if (st == OCT_OK)
        st = keep_in_f32(cli, m, &scales.amax, &keep, &origin.n_keep_f32);
    origin.keep_f32 = keep;
    origin.quantization = scales.provenance.text;
    origin.preprocess = scales.preprocess;
    if (st == OCT_OK)
        st = save(cli, quantized, origin);
    if (st == OCT_OK)
        st = oct_quant_report_print(cli, &report, oct_cli_str(cli, "output"));
    oct_free(cli->ctx, keep);
    oct_model_free(quantized);
    oct_quant_report_deinit(&report);
    oct_scheme_args_deinit(&scheme);
    oct_scale_source_deinit(&scales);
    return st;
}

static oct_status run(oct_cli *cli)
{
    const char *out = oct_cli_str(cli, "output");
    oct_any_model m;
    bool int8 = false;
    OCT_TRY(oct_path_check_output(cli->ctx, out, cli->force));
    oct_status st = oct_any_model_open(cli->ctx, cli->pos[0], &m);
    if (st == OCT_OK)
        st = decide(cli, &m, &int8);
    const oct_engine_origin plain = {
        .int8 = int8, .half = wants_half(cli), .quantization = "{}", .preprocess = ""};
    if (st == OCT_OK)
        st = has_scales(cli) && !int8 ? build_half(cli, m.model)
             : has_scales(cli)        ? build_from_scales(cli, m.model)
                                      : save(cli, m.model, plain);
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s (%s)", out,
                        int8 && plain.half ? "int8,fp16"
                        : int8             ? "int8"
                        : plain.half       ? "fp16"
                                           : "fp32");
    oct_any_model_close(&m);
    return st;
}

const oct_cmd oct_cmd_build = {
    .name = "build",
    .summary = "build an engine file to run, bench and evaluate",
    .examples = "  octet build model.onnx --stats statistics.h5 -o model.engine\n"
                "  octet build model.onnx --cache calib.cache --precision int8 -o model.engine\n"
                "  octet build model.qdq.onnx -o model.engine      a model quantized by any tool\n"
                "  octet build model.onnx --precision fp32 -o model.fp32.engine\n"
                "  octet build model.onnx --stats statistics.h5 --tune -o model.engine\n"
                "  octet build model.onnx --stats statistics.h5 --tune --timing-cache times.txt "
                "-o model.engine\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 55,
};
