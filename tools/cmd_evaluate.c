/* SPDX-License-Identifier: Apache-2.0
 *
 * octet evaluate: candidates against a reference on the same images.
 */
#include <stdio.h>
#include <string.h>

#include "base/build_info.h"
#include "base/file.h"
#include "base/json_read.h"
#include "tools/any_model.h"
#include "tools/dataset_options.h"
#include "tools/evaluate_result.h"
#include "tools/scale_report.h"

#define OUTPUTS "outputs:"

typedef struct evaluation {
    oct_cli *cli;
    size_t n_sides;
    oct_any_model model[OCT_EVAL_MAX_SIDES];
    oct_side *side[OCT_EVAL_MAX_SIDES];
    oct_side_info info[OCT_EVAL_MAX_SIDES];
    char runtime[80];
    const oct_model *first; /* whose inputs the data set feeds */
    oct_input_spec input[OCT_MAX_MODEL_INPUTS];
    oct_dataset_args args;
    oct_doubts doubts;
    oct_coco *coco;
    oct_progress *progress;
} evaluation;

static bool is_outputs(const char *arg)
{
    return strncmp(arg, OUTPUTS, strlen(OUTPUTS)) == 0;
}

static const char *backend_of(oct_cli *cli)
{
    return oct_cli_backend(cli, oct_cli_flag(cli, "reference"));
}

static oct_status open_outputs(evaluation *v, size_t i, const char *path)
{
    v->info[i] = (oct_side_info){.runtime = "recorded outputs of another runtime", .path = path};
    return oct_side_open_outputs(v->cli->ctx, path, &v->side[i]);
}

static void describe_model(evaluation *v, size_t i, const char *path)
{
    const uint32_t bits = oct_any_model_precision(&v->model[i], "auto");
    const bool int8 = bits & OCT_PRECISION_S8, half = bits & OCT_PRECISION_F16;
    snprintf(v->runtime, sizeof v->runtime, "octet %s, %s", OCT_VERSION, backend_of(v->cli));
    v->info[i] = (oct_side_info){.label = int8   ? "INT8"
                                          : half ? "FP16"
                                                 : "FP32",
                                 .runtime = v->runtime,
                                 .precision = int8   ? "int8"
                                              : half ? "fp16"
                                                     : "fp32",
                                 .path = path};
    for (size_t k = 0; k < i; k++) /* two of a kind go by their names */
        if (v->info[k].precision && strcmp(v->info[k].precision, v->info[i].precision) == 0)
            v->info[k].label = v->info[i].label = NULL;
}

static oct_status open_side(evaluation *v, size_t i)
{
    oct_cli *cli = v->cli;
    const char *arg = cli->pos[i];
    if (is_outputs(arg))
        return open_outputs(v, i, arg + strlen(OUTPUTS));
    OCT_TRY(oct_any_model_open(cli->ctx, arg, &v->model[i]));
    OCT_TRY(oct_any_model_open_batch(cli->ctx, &v->model[i]));
    if (v->first == NULL)
        v->first = v->model[i].model;
    describe_model(v, i, arg);
    oct_engine_options opt = {.backend = backend_of(cli),
                              .precision = oct_any_model_precision(&v->model[i], "auto")};
    oct_any_model_tactics(&v->model[i], &opt);
    const oct_status st = oct_side_open_model(cli->ctx, v->model[i].model, &opt, &v->side[i]);
    return st == OCT_OK ? st : oct_fail_in(cli->ctx, st, "%s", arg);
}

static oct_status open_sides(evaluation *v)
{
    if (v->n_sides > OCT_EVAL_MAX_SIDES)
        return oct_cli_usage(v->cli, "%zu sides are too many, at most %d", v->n_sides,
                             OCT_EVAL_MAX_SIDES);
    for (size_t i = 0; i < v->n_sides; i++)
        OCT_TRY(open_side(v, i));
    if (v->first == NULL)
        return oct_cli_usage(v->cli, "at least one side must be a model");
    return OCT_OK;
}

static oct_status open_source(evaluation *v, oct_batch_source **source)
{
    oct_dataset_args *args = &v->args;
    int n = 0;
    oct_status st = oct_model_input_specs(v->cli->ctx, v->first, v->input, &n);
    const oct_status init =
        oct_dataset_args_init(args, v->cli, v->cli->pos[v->cli->n_pos - 1], v->input, n);
    st = st == OCT_OK ? init : st;
    for (size_t i = 0; i < v->n_sides && st == OCT_OK; i++)
        if (v->model[i].engine != NULL)
            st = oct_dataset_args_use(args, v->cli->pos[i],
                                      oct_engine_file_info(v->model[i].engine)->preprocess_json);
    args->options.batch = 1;
    args->options.n_threads = 0; /* workers decode their own image */
    return st == OCT_OK ? oct_dataset_args_open(args, source) : st;
}

/* Recorded outputs must be those of the whole data set. */
static oct_status check_rows(evaluation *v, const oct_batch_source *source)
{
    oct_dataset_info info;
    oct_dataset_get_info(source, &info);
    for (size_t i = 0; i < v->n_sides; i++) {
        const int64_t n = oct_side_n_rows(v->side[i]);
        if (n >= 0 && n != info.n_found)
            return oct_fail(v->cli->ctx, OCT_ERR_SHAPE,
                            "%s has %lld rows, the data set %lld samples", v->cli->pos[i],
                            (long long)n, (long long)info.n_found);
    }
    return OCT_OK;
}

static void on_progress(void *user, int64_t n_done)
{
    oct_progress_set(((evaluation *)user)->progress, n_done);
}

static oct_status write_html(oct_cli *cli, const oct_report *r, const char *path)
{
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_report_html(cli->ctx, &r, 1, &b);
    if (st == OCT_OK)
        st = oct_file_write(cli->ctx, path, b.text, b.len, cli->force);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status emit(oct_cli *cli, const oct_report *r)
{
    const char *html = oct_cli_str(cli, "report");
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_report_terminal(cli->ctx, r, &b);
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = oct_cli_print_buf(cli, &b);
    oct_strbuf_clear(&b);
    if (st == OCT_OK)
        st = oct_report_write(r, &b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st == OCT_OK && html ? write_html(cli, r, html) : st;
}

static oct_status conclude(oct_cli *cli, const oct_evaluation_view *view)
{
    const oct_evaluation *e = view->e;
    size_t n_failed = 0;
    for (size_t i = 0; i < view->n_gates; i++)
        n_failed += view->gate[i].verdict != OCT_GATE_PASSED;
    if (n_failed > 0)
        return oct_fail(cli->ctx, OCT_ERR_GATE, "%zu of %zu gates not passed", n_failed,
                        view->n_gates);
    oct_cli_summary(cli, "evaluated %zu images on %zu sides%s", e->n, e->n_sides,
                    view->n_gates > 0 ? ", gates passed" : "");
    return OCT_OK;
}

/* Images for the layer by layer comparison: as asked for, else some when a file is written. */
static int64_t n_layer_images(oct_cli *cli)
{
    const bool file = oct_cli_given(cli, "report") || oct_cli_given(cli, "json");
    return oct_cli_given(cli, "layers") || file ? oct_cli_s64(cli, "layers") : 0;
}

static oct_status compare_layers(evaluation *v, size_t candidate, oct_report *r)
{
    oct_subset *subset = &v->args.options.subset;
    const int64_t most = n_layer_images(v->cli);
    oct_batch_source *source = NULL;
    subset->limit = subset->limit == 0 || subset->limit > most ? most : subset->limit;
    OCT_TRY(oct_dataset_args_open(&v->args, &source));
    const oct_status st = oct_report_add_layers(v->cli, &v->model[0], &v->model[candidate + 1],
                                                backend_of(v->cli), source, candidate, r);
    source->vt->close(source);
    return st;
}

/* Method that the first engine with scales from statistics was built with; "" = not known. */
static oct_status used_method(evaluation *v, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t i = 0; i < v->n_sides && out[0] == '\0'; i++) {
        if (v->model[i].engine == NULL)
            continue;
        const char *text = oct_engine_file_info(v->model[i].engine)->quantization_json;
        const char *scales = NULL, *method = NULL;
        const oct_json_at at = {v->cli->ctx, v->cli->pos[i], ""};
        json_t *root = NULL;
        OCT_TRY(oct_json_read_text(v->cli->ctx, v->cli->pos[i], text, strlen(text), &root));
        oct_status st = oct_json_opt_string(&at, root, "scales", &scales);
        if (st == OCT_OK)
            st = oct_json_opt_string(&at, root, "method", &method);
        if (st == OCT_OK && scales && method && strcmp(scales, "statistics") == 0)
            snprintf(out, cap, "%s", method);
        oct_json_read_free(root);
        OCT_TRY(st);
    }
    return OCT_OK;
}

static oct_status add_statistics(evaluation *v, oct_report *r)
{
    char method[OCT_METHOD_TEXT_BYTES];
    if (!oct_cli_given(v->cli, "stats"))
        return OCT_OK;
    if (v->model[0].onnx == NULL)
        return oct_cli_usage(v->cli, "--stats needs the ONNX model as REF, to know whose they are");
    OCT_TRY(used_method(v, method, sizeof method));
    return oct_stats_report(v->cli, oct_cli_str(v->cli, "stats"),
                            &oct_model_get_info(v->model[0].model)->hash, method, r);
}

static oct_status add_extras(evaluation *v, oct_report *r)
{
    OCT_TRY(add_statistics(v, r));
    for (size_t i = 0; i + 1 < v->n_sides && n_layer_images(v->cli) > 0; i++)
        if (v->model[0].model != NULL && v->model[i + 1].model != NULL)
            OCT_TRY(compare_layers(v, i, r));
    return oct_cli_given(v->cli, "report") || oct_cli_given(v->cli, "json")
               ? oct_report_add_thumbnails(v->cli->pos[v->cli->n_pos - 1], r)
               : OCT_OK;
}

static oct_status finish(evaluation *v, oct_evaluation_view *view)
{
    oct_report *r;
    OCT_TRY(oct_evaluation_gates(v->cli, view));
    OCT_TRY(oct_report_new(v->cli->ctx, &r));
    r->command = "evaluate";
    r->title = oct_path_name(v->cli->pos[0]);
    oct_status st = oct_evaluation_report(view, r);
    if (st == OCT_OK)
        st = oct_doubts_report(&v->doubts, r);
    if (st == OCT_OK)
        st = add_extras(v, r);
    if (st == OCT_OK)
        st = emit(v->cli, r);
    oct_report_free(r);
    return st == OCT_OK ? conclude(v->cli, view) : st;
}

static oct_status evaluate(evaluation *v, const oct_dataset_args *args, oct_batch_source *source,
                           oct_eval_options *opt)
{
    oct_cli *cli = v->cli;
    oct_evaluation e;
    oct_dataset_info data;
    const oct_skip *skipped;
    oct_dataset_get_info(source, &data);
    v->progress = oct_progress_begin(cli, "evaluate", "images", source->vt->n_samples(source));
    oct_status st = oct_evaluate(cli->ctx, v->side, v->n_sides, source, opt, &e);
    oct_progress_end(v->progress);
    oct_dataset_report(cli, source);
    oct_evaluation_view view = {.e = &e,
                                .name = cli->pos,
                                .info = v->info,
                                .class_name = data.class_name,
                                .n_class_names = (size_t)data.n_classes,
                                .preprocess = source->vt->preprocess_json(source),
                                .n_skipped = source->vt->skipped(source, &skipped)};
    if (st == OCT_OK)
        st = oct_doubts_find(cli, v->side[0], args, opt, &e, &v->doubts);
    if (st == OCT_OK)
        st = finish(v, &view);
    oct_evaluation_deinit(cli->ctx, &e);
    return st;
}

static oct_status run_sides(evaluation *v)
{
    oct_eval_options opt;
    oct_batch_source *source = NULL;
    if (oct_cli_given(v->cli, "report"))
        OCT_TRY(oct_path_check_output(v->cli->ctx, oct_cli_str(v->cli, "report"), v->cli->force));
    OCT_TRY(oct_judge_read(v->cli, &opt, &v->coco));
    opt.progress = on_progress;
    opt.user = v;
    OCT_TRY(open_sides(v));
    oct_status st = open_source(v, &source);
    if (st == OCT_OK)
        st = check_rows(v, source);
    if (st == OCT_OK)
        st = evaluate(v, &v->args, source, &opt);
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&v->args);
    return st;
}

static oct_status run(oct_cli *cli)
{
    evaluation v = {.cli = cli, .n_sides = (size_t)cli->n_pos - 1};
    const oct_status st = run_sides(&v);
    for (size_t i = 0; i < OCT_EVAL_MAX_SIDES; i++) {
        oct_side_close(v.side[i], cli->ctx);
        oct_any_model_close(&v.model[i]);
    }
    oct_coco_close(v.coco);
    return st;
}

static const oct_pos positions[] = {
    {.name = "REF", .help = "the reference: an ONNX model, an engine file or outputs:FILE.npy"},
    {.name = "CAND", .repeat = true, .help = "what is judged against it, the same kinds"},
    {.name = "IMAGES", .help = "folder, list, pack or .npy"},
    {0}};

static const oct_opt options[] = {
    {.name = "report",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "write everything as one HTML page, complete in itself"},
    {.name = "layers",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "32",
     .min = 0,
     .max = 1000000,
     .help = "compare tensor by tensor on N of the images; 0 = not. Without --report, --json and "
             "this option it is not done"},
    {.name = "stats",
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .help = "add the histograms of these statistics of REF with every method's threshold"},
    {.name = "reference", .type = OCT_OPT_FLAG, .help = "slow portable kernels"},
    {0}};

static const oct_opt *const shared[] = {oct_judge_opts, oct_dataset_opts, NULL};

const oct_cmd oct_cmd_evaluate = {
    .name = "evaluate",
    .summary = "judge quantized models against a reference on images",
    .examples =
        "  octet evaluate model.onnx int8.engine photos/ --preset imagenet --max-drop 1\n"
        "  octet evaluate model.onnx int8.engine photos/ --preset imagenet --report report.html\n"
        "  octet evaluate model.onnx mse.engine entropy.engine photos/ --preset imagenet\n"
        "  octet evaluate model.onnx outputs:tensorrt.npy images.h5 --labels val.txt\n"
        "  octet evaluate det.onnx det.engine photos/ --preset yolo --labels coco:instances.json\n",
    .details =
        "All sides answer the same images. outputs:FILE.npy holds what another runtime "
        "answered: one row a sample of the whole data set, in its order. Intervals are of "
        "95 %: Wilson's for a share, adjusted Wald for the paired difference, bootstrap over "
        "images for AP. Without labels only agreement and output distances are known.",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 40,
};
