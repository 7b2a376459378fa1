/* SPDX-License-Identifier: Apache-2.0
 *
 * octet quantize: Q/DQ pairs into an ONNX file, and out of it.
 */
#include <string.h>

#include "base/file.h"
#include "engine/onnx_write.h"
#include "tools/scale_source.h"

static const oct_pos positions[] = {{.name = "MODEL", .help = "an ONNX model"}, {0}};

static const oct_opt options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "the ONNX file to write"},
    {.name = "target",
     .arg = "T",
     .type = OCT_OPT_CHOICE,
     .choices = "trt|ort|octet",
     .fallback = "trt",
     .help = "who reads it: TensorRT 10 and 11, ONNX Runtime and OpenVINO, or octet"},
    {.name = "weights-int8",
     .type = OCT_OPT_FLAG,
     .help = "store INT8 weights (a quarter of the size)"},
    {.name = "external-data", .type = OCT_OPT_FLAG, .help = "put large tensors into FILE.data"},
    {.name = "strip",
     .type = OCT_OPT_FLAG,
     .help = "the way back: take Q/DQ pairs out of MODEL and write their scales to the file given "
             "as --cache"},
    {.name = "trt-version",
     .arg = "V",
     .type = OCT_OPT_TEXT,
     .help = "with --strip: version in the cache's header, as 8.6.1"},
    {0}};

static const oct_opt *const shared[] = {oct_scale_opts, oct_scheme_opts, NULL};

static oct_quant_target target_of(oct_cli *cli)
{
    const char *t = oct_cli_str(cli, "target");
    return strcmp(t, "ort") == 0     ? OCT_TARGET_ORT
           : strcmp(t, "octet") == 0 ? OCT_TARGET_OCTET
                                     : OCT_TARGET_TRT;
}

static oct_status quantize(oct_cli *cli, const char *in, const char *out)
{
    oct_model *m = NULL;
    oct_scale_source scales;
    oct_scheme_args scheme = {.ctx = cli->ctx};
    oct_quant_report report = {0};
    if (target_of(cli) == OCT_TARGET_TRT && strcmp(oct_cli_str(cli, "activations"), "mixed") == 0)
        return oct_cli_usage(cli, "--activations mixed: TensorRT reads s8 activations only");
    OCT_TRY(oct_path_check_output(cli->ctx, out, cli->force));
    OCT_TRY(oct_model_load(cli->ctx, in, NULL, &m));
    oct_status st = oct_scale_source_init(&scales, cli, m);
    oct_model_free(m);
    if (st == OCT_OK)
        st = oct_scheme_args_init(&scheme, cli, target_of(cli));
    oct_scale_source_inform(&scales, &scheme.scheme);
    const oct_quantize_file_options opt = {
        .qdq = {.weights_int8 = oct_cli_flag(cli, "weights-int8"),
                .provenance = scales.provenance.text},
        .force = cli->force,
        .external_data = oct_cli_flag(cli, "external-data")};
    if (st == OCT_OK)
        st = oct_quantize_file(cli->ctx, in, out, &scales.amax, &scheme.scheme, &opt, &report);
    if (st == OCT_OK)
        st = oct_quant_report_print(cli, &report, out);
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s, %u of %u nodes INT8 for %s, %u biases corrected", out,
                        report.n_quantized, report.n_lines, oct_cli_str(cli, "target"),
                        report.n_corrected);
    oct_quant_report_deinit(&report);
    oct_scheme_args_deinit(&scheme);
    oct_scale_source_deinit(&scales);
    return st;
}

/* ---- the way back ---- */

static oct_status collect(void *user, const char *tensor, float scale)
{
    oct_ranges *r = user;
    return oct_ranges_find(r, tensor) ? OCT_OK : oct_ranges_add_scale(r, tensor, scale);
}

static oct_status strip_into(oct_cli *cli, const char *in, oct_ranges *ranges, oct_onnx_doc *doc,
                             uint32_t *n)
{
    oct_model *m = NULL;
    oct_graph *g = NULL;
    OCT_TRY(oct_model_load(cli->ctx, in, NULL, &m));
    oct_status st = oct_graph_clone(cli->ctx, oct_model_graph(m), &g);
    if (st == OCT_OK)
        st = oct_strip_qdq(cli->ctx, doc, g, collect, ranges, n);
    if (st == OCT_OK && *n == 0)
        st = oct_fail(cli->ctx, OCT_ERR_USAGE, "%s has no Q/DQ pairs to strip", in);
    oct_graph_free(g);
    oct_model_free(m);
    return st;
}

static oct_status strip(oct_cli *cli, const char *in, const char *out, const char *cache)
{
    oct_onnx_doc *doc = NULL;
    oct_ranges *ranges = NULL;
    uint32_t n = 0;
    oct_cache_write_options how = {0};
    if (oct_cli_given(cli, "trt-version"))
        OCT_TRY(oct_trt_version_parse(cli->ctx, oct_cli_str(cli, "trt-version"), &how.trt_version));
    OCT_TRY(oct_path_check_output(cli->ctx, out, cli->force));
    if (cache)
        OCT_TRY(oct_path_check_output(cli->ctx, cache, cli->force));
    OCT_TRY(oct_ranges_new(cli->ctx, &ranges));
    oct_status st = oct_onnx_doc_open(cli->ctx, in, 0, &doc);
    if (st == OCT_OK)
        st = strip_into(cli, in, ranges, doc, &n);
    const oct_onnx_write_options write = {.force = cli->force,
                                          .external = oct_cli_flag(cli, "external-data")};
    if (st == OCT_OK)
        st = oct_onnx_write(cli->ctx, doc, out, &write);
    if (st == OCT_OK && cache) {
        const oct_cache_format f = oct_cache_format_of_path(cache);
        st = oct_ranges_write(cli->ctx, ranges, f == OCT_CACHE_AUTO ? OCT_CACHE_TRT : f, &how,
                              cache, cli->force);
    }
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s without %u Q/DQ pairs%s%s", out, n,
                        cache ? ", scales in " : "", cache ? cache : "");
    oct_ranges_free(ranges);
    oct_onnx_doc_free(doc);
    return st;
}

static oct_status run(oct_cli *cli)
{
    const char *out = oct_cli_str(cli, "output");
    if (oct_cli_flag(cli, "strip"))
        return strip(cli, cli->pos[0], out, oct_cli_str(cli, "cache"));
    return quantize(cli, cli->pos[0], out);
}

const oct_cmd oct_cmd_quantize = {
    .name = "quantize",
    .summary = "write a Q/DQ model for TensorRT, ONNX Runtime or OpenVINO",
    .examples = "  octet quantize model.onnx --stats statistics.h5 -o model.qdq.onnx\n"
                "  octet quantize model.onnx --cache calib.cache --target ort -o model.qdq.onnx\n"
                "  octet quantize model.qdq.onnx --strip --cache calib.cache -o model.onnx\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 50,
};
