/* SPDX-License-Identifier: Apache-2.0
 *
 * octet auto: everything in one go, see tools/auto.h.
 */
#include <string.h>

#include "base/file.h"
#include "tools/auto.h"
#include "tools/cache_cmds.h"
#include "tools/evaluate_result.h"
#include "tools/scale_results.h"
#include "tools/scale_source.h"
#include "tools/tuning.h"

static const oct_auto_stage stages[] = {
    {"images",
     "which pictures do what",
     {OCT_AUTO_IMAGES},
     {0},
     oct_auto_images_options,
     oct_auto_images},
    {"calibrate",
     "calibrate and choose a method",
     {OCT_AUTO_CHOICE, OCT_AUTO_STATISTICS},
     {0},
     oct_auto_calibrate_options,
     oct_auto_calibrate},
    {"scales",
     "scales and TensorRT cache",
     {OCT_AUTO_SCALES, OCT_AUTO_CACHE},
     {OCT_AUTO_STATISTICS, OCT_AUTO_CHOICE},
     oct_auto_scales_options,
     oct_auto_scales},
    {"build",
     "Q/DQ models and engines",
     {OCT_AUTO_TRT, OCT_AUTO_ORT, OCT_AUTO_FP32, OCT_AUTO_INT8},
     {OCT_AUTO_STATISTICS, OCT_AUTO_CHOICE},
     oct_auto_build_options,
     oct_auto_build},
    {"bench",
     "latency",
     {OCT_AUTO_BENCH},
     {OCT_AUTO_FP32, OCT_AUTO_INT8},
     oct_auto_bench_options,
     oct_auto_bench},
    {"judge",
     "evaluate and report",
     {OCT_AUTO_REPORT_JSON, OCT_AUTO_REPORT_HTML, OCT_AUTO_README},
     {OCT_AUTO_IMAGES, OCT_AUTO_SCALES, OCT_AUTO_BENCH, OCT_AUTO_INT8},
     oct_auto_judge_options,
     oct_auto_judge},
};
#define N_STAGES (sizeof stages / sizeof stages[0])

/* ---- what to work on --------------------------------------------------------------------- */

static oct_status hash_boxes(oct_auto *a)
{
    const char *labels = oct_cli_str(a->cli, "labels");
    oct_sha256 h;
    char hex[OCT_SHA256_HEX_BYTES];
    if (labels == NULL || strncmp(labels, "coco:", 5) != 0)
        return OCT_OK;
    OCT_TRY(oct_sha256_of_file(a->ctx, labels + 5, &h));
    oct_strbuf_add(&a->coco, oct_sha256_hex(&h, hex));
    return oct_strbuf_status(&a->coco);
}

/* Options that later stages would stumble over. */
static oct_status check_options(oct_auto *a)
{
    oct_scale_results methods;
    oct_scheme_args scheme;
    oct_eval_options judge;
    oct_coco *coco;
    OCT_TRY(oct_tuning_check(a->cli));
    OCT_TRY(oct_scale_results_methods(a->cli, oct_cli_str(a->cli, "methods"), &methods));
    oct_status st = oct_scheme_args_init(&scheme, a->cli, OCT_TARGET_OCTET);
    oct_scheme_args_deinit(&scheme);
    OCT_TRY(st);
    st = oct_judge_read(a->cli, &judge, &coco);
    oct_coco_close(coco);
    return st;
}

static oct_status prepare(oct_auto *a)
{
    oct_cli *cli = a->cli;
    oct_dataset_args args;
    a->backend = oct_cli_backend(cli, oct_cli_flag(cli, "reference"));
    OCT_TRY(oct_cache_trt_version(cli, &a->trt_version, NULL));
    OCT_TRY(check_options(a));
    OCT_TRY(oct_model_load(a->ctx, a->model_path, NULL, &a->model));
    OCT_TRY(oct_model_open_batch(a->ctx, a->model));
    OCT_TRY(oct_model_input_specs(a->ctx, a->model, a->input, &a->n_inputs));
    const oct_status st = oct_dataset_args_init(&args, cli, a->calib_path, a->input, a->n_inputs);
    oct_dataset_args_deinit(&args);
    OCT_TRY(st);
    OCT_TRY(hash_boxes(a));
    OCT_TRY(oct_auto_divide(a));
    if (oct_cli_given(cli, "max-drop") && !a->has_labels && a->coco.len == 0)
        return oct_cli_usage(cli, "--max-drop needs labels of the images that judge; "
                                  "--min-agreement and --min-sqnr do not");
    oct_log(a->ctx, OCT_LOG_INFO,
            "%lld pictures calibrate (%lld of them are held back to choose by), %lld judge%s",
            (long long)(a->part[OCT_AUTO_HELD_IN].n + a->part[OCT_AUTO_HELD_BACK].n),
            (long long)a->part[OCT_AUTO_HELD_BACK].n, (long long)a->part[OCT_AUTO_TEST].n,
            a->divided ? ": divided by their ids, no --test was given" : "");
    return OCT_OK;
}

/* ---- the result -------------------------------------------------------------------------- */

static oct_status show(oct_auto *a)
{
    uint8_t *text = NULL;
    size_t n;
    char *path = oct_auto_path(a, OCT_AUTO_README);
    oct_status st = path != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_file_read(a->ctx, path, 0, &text, &n);
    if (st == OCT_OK)
        st = oct_cli_print(a->cli, (const char *)text);
    oct_free(a->ctx, text);
    oct_free(a->ctx, path);
    return st;
}

static oct_status emit_json(oct_auto *a)
{
    uint8_t *text = NULL;
    size_t n;
    oct_strbuf b;
    oct_strbuf_init(&b, a->ctx);
    char *path = oct_auto_path(a, OCT_AUTO_REPORT_JSON);
    oct_status st = path != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_file_read(a->ctx, path, 0, &text, &n);
    if (st == OCT_OK) {
        while (n > 0 && text[n - 1] == '\n')
            n--;
        oct_strbuf_add_n(&b, (const char *)text, n);
        st = oct_cli_emit_json(a->cli, &b);
    }
    oct_strbuf_deinit(&b);
    oct_free(a->ctx, text);
    oct_free(a->ctx, path);
    return st;
}

static oct_status finish(oct_auto *a)
{
    size_t n_failed = 0, n_gates = 0;
    oct_auto_clean(a);
    if (oct_cli_wants_text(a->cli))
        OCT_TRY(show(a));
    if (a->cli->json)
        OCT_TRY(emit_json(a));
    OCT_TRY(oct_auto_gates(a, &n_gates, &n_failed));
    if (n_failed > 0)
        return oct_fail(a->ctx, OCT_ERR_GATE, "%zu of %zu gates not passed; the report is %s/%s",
                        n_failed, n_gates, a->dir, OCT_AUTO_REPORT_HTML);
    oct_cli_summary(a->cli, "the report is %s/%s%s", a->dir, OCT_AUTO_REPORT_HTML,
                    n_gates > 0 ? ", gates passed" : "");
    return OCT_OK;
}

static oct_status run(oct_cli *cli)
{
    oct_auto a = {.cli = cli,
                  .ctx = cli->ctx,
                  .dir = oct_cli_str(cli, "out"),
                  .model_path = cli->pos[0],
                  .calib_path = cli->pos[1],
                  .test_path = oct_cli_str(cli, "test"),
                  .lock = -1};
    a.divided = a.test_path == NULL;
    if (a.divided)
        a.test_path = a.calib_path;
    oct_strbuf_init(&a.images, cli->ctx);
    oct_strbuf_init(&a.coco, cli->ctx);
    oct_strbuf_add(&a.coco, "");
    oct_status st = prepare(&a);
    if (st == OCT_OK)
        st = oct_auto_open_dir(&a, stages, N_STAGES);
    if (st == OCT_OK)
        st = oct_auto_run_stages(&a);
    if (st == OCT_OK)
        st = finish(&a);
    if (st == OCT_ERR_CANCELLED) {
        oct_error_clear(a.ctx);
        oct_fail(a.ctx, st, "cancelled; the same command goes on in %s", a.dir);
    }
    oct_auto_close_dir(&a);
    oct_auto_parts_deinit(&a);
    oct_strbuf_deinit(&a.images);
    oct_strbuf_deinit(&a.coco);
    oct_free(a.ctx, a.preprocess);
    oct_model_free(a.model);
    return st;
}

/* ---- options ----------------------------------------------------------------------------- */

static const oct_pos positions[] = {
    {.name = "MODEL", .help = "an ONNX model"},
    {.name = "IMAGES", .help = "folder, list, pack or .npy of representative images"},
    {0}};

static const oct_opt options[] = {
    {.name = "out",
     .letter = 'o',
     .arg = "DIR",
     .type = OCT_OPT_DIR,
     .required = true,
     .help = "folder for the results; a run that was interrupted goes on in it"},
    {.name = "test",
     .arg = "IMAGES",
     .type = OCT_OPT_FILE,
     .help = "images that judge; without it IMAGES is divided: one in four calibrates, by the "
             "hash of the file"},
    {.name = "test-limit",
     .arg = "N",
     .type = OCT_OPT_S64,
     .min = 1,
     .max = 1e12,
     .help = "judge by at most N images"},
    {.name = "methods",
     .arg = "M,...",
     .type = OCT_OPT_TEXT,
     .fallback = OCT_METHOD_DEFAULT ",entropy,percentile,minmax",
     .help = "calibrators to choose among; a single one is taken as it is"},
    {.name = "trt-version",
     .arg = "V",
     .type = OCT_OPT_TEXT,
     .help = "TensorRT that will load the cache (8.6.1, 10.16.1); default the installed one, else "
             "10.16.1"},
    {.name = "tune",
     .type = OCT_OPT_FLAG,
     .help = "time the kernels that this machine offers for each operator; the engines keep the "
             "fastest"},
    {.name = "timing-cache",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help =
         "with --tune: take times from FILE, time only what it does not have, and add that; the "
         "same cache gives the same engines"},
    {.name = "no-bench",
     .type = OCT_OPT_FLAG,
     .help = "measure no latency; then every file has the same bytes in every run (with --tune: in "
             "every run with the same timing cache)"},
    {.name = "reference", .type = OCT_OPT_FLAG, .help = "slow portable kernels"},
    {0}};

static const oct_opt *const shared[] = {oct_judge_opts, oct_dataset_opts, oct_scheme_opts, NULL};

const oct_cmd oct_cmd_auto = {
    .name = "auto",
    .summary = "calibrate, quantize, build, evaluate and report in one go",
    .examples =
        "  octet auto model.onnx photos/ --preset imagenet -o out/\n"
        "  octet auto model.onnx photos/ --preset imagenet --test val/ --labels val.txt -o out/\n"
        "  octet auto det.onnx photos/ --preset yolo --test val/ --labels coco:val.json -o out/\n"
        "  octet auto model.onnx photos/ --preset imagenet -o out/ --max-drop 1   (exit 1 if "
        "not)\n",
    .details =
        "The method is chosen for the whole network by the SQNR of its outputs on held-back "
        "calibration images; labels and test images never choose. --limit (default 1024) bounds "
        "the images that calibrate. --labels belong to the images that judge; without labels "
        "only agreement and output distances are known. DIR/README.txt says what each file is "
        "for.",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 10,
};
