/* SPDX-License-Identifier: Apache-2.0
 *
 * octet sensitivity: the fewest layers to keep in floating point so that a gate is passed.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "tools/evaluate_result.h"
#include "tools/scale_source.h"
#include "tools/sensitivity_memo.h"
#include "tools/sensitivity_show.h"

#define PER_CALL 7 /* candidates beside the reference in one pass over the images */
#define SLACK 1e-9 /* as the gates' own */

typedef struct sensing {
    oct_cli *cli;
    oct_model *model;
    oct_scale_source scales;
    oct_scheme_args scheme;
    oct_quant_report report;
    const struct oct_quant_line **layer; /* quantized when nothing is kept */
    size_t n_layers;
    oct_side *reference;
    oct_coco *coco;
    oct_eval_options eval;
    oct_input_spec input[OCT_MAX_MODEL_INPUTS];
    oct_dataset_args args;
    int64_t limit; /* of --limit; 0 = all */
    oct_sens_memo memo;
    oct_progress *progress;
    uint64_t n_images[2]; /* ranking, all */
    char *preprocess;
} sensing;

static const char *backend_of(const oct_cli *cli)
{
    return oct_cli_flag(cli, "reference")     ? "ref"
           : strcmp(cli->device, "auto") == 0 ? "cpu"
                                              : cli->device;
}

/* ---- one pass over the images ------------------------------------------------------------ */

/* Candidates of one pass. */
typedef struct pass {
    oct_model *model[PER_CALL];
    oct_side *side[PER_CALL + 1]; /* the reference first */
    size_t n;
} pass;

static oct_status add_candidate(sensing *s, const bool *keep, pass *p)
{
    oct_ctx *ctx = s->cli->ctx;
    oct_scheme scheme = s->scheme.scheme;
    const char **name = oct_alloc_array(ctx, scheme.n_keep + s->n_layers, sizeof *name);
    if (!name)
        return OCT_ERR_NOMEM;
    size_t n = 0;
    for (size_t i = 0; i < scheme.n_keep; i++)
        name[n++] = scheme.keep[i];
    for (size_t i = 0; i < s->n_layers; i++)
        if (keep[i])
            name[n++] = s->layer[i]->node;
    scheme.keep = name;
    scheme.n_keep = n;
    oct_status st =
        oct_quantize_model(ctx, s->model, &s->scales.amax, &scheme, NULL, &p->model[p->n]);
    const oct_engine_options opt = {.backend = backend_of(s->cli),
                                    .precision = OCT_PRECISION_F32 | OCT_PRECISION_S8};
    if (st == OCT_OK)
        st = oct_side_open_model(ctx, p->model[p->n], &opt, &p->side[p->n + 1]);
    p->n++;
    oct_free(ctx, (void *)name);
    return st;
}

static void close_pass(sensing *s, pass *p)
{
    for (size_t i = 0; i < p->n; i++) {
        oct_side_close(p->side[i + 1], s->cli->ctx);
        oct_model_free(p->model[i]);
    }
}

/* Distance to the bound that the gate compares with; >= 0 exactly when it is passed. */
static double margin_of(const oct_gate *g, bool confident)
{
    const double least = g->kind == OCT_GATE_MAX_DROP ? -g->limit : g->limit;
    const double v = confident && g->kind != OCT_GATE_MIN_SQNR ? g->interval.lo : g->value;
    return v - least + SLACK;
}

static oct_sens_score score_of(const oct_evaluation_view *view, size_t c, bool confident)
{
    const oct_evaluation *e = view->e;
    const oct_eval_pair *p = &e->pair[c];
    oct_sens_score s = {(double)NAN, (double)NAN, (double)NAN,
                        (double)NAN, (double)NAN, (double)INFINITY};
    if (p->has_distance)
        s.sqnr_db = p->sqnr_db;
    if (e->n_classes > 0)
        s.agreement = (double)p->n_agree / (double)e->n;
    if (e->detection) {
        s.difference = e->side[c + 1].coco.ap - e->side[0].coco.ap;
        s.lo = p->ap_difference.lo;
        s.hi = p->ap_difference.hi;
    } else if (e->n_labelled > 0) {
        const oct_interval i = oct_paired_difference(&p->paired);
        s.difference = oct_paired_delta(&p->paired);
        s.lo = i.lo;
        s.hi = i.hi;
    }
    for (size_t k = 0; k < view->n_gates; k++)
        if (view->gate[k].candidate == c)
            s.margin = fmin(s.margin, margin_of(&view->gate[k], confident));
    return s;
}

static oct_status judge(sensing *s, const oct_evaluation *e, const pass *p,
                        oct_sens_set *const *set, bool all)
{
    static const char *const names[PER_CALL + 1] = {"", "", "", "", "", "", "", ""};
    oct_evaluation_view view = {.e = e, .name = names, .preprocess = ""};
    const bool confident = strcmp(oct_cli_str(s->cli, "gate"), "confident") == 0;
    OCT_TRY(oct_evaluation_gates(s->cli, &view));
    for (size_t i = 0; i < p->n; i++) {
        const oct_sha256 id = oct_sens_memo_id(set[i]->keep, s->n_layers, all);
        set[i]->score = score_of(&view, i, confident);
        OCT_TRY(oct_sens_memo_add(&s->memo, &id, &set[i]->score));
    }
    return oct_sens_memo_save(&s->memo);
}

static oct_status open_images(sensing *s, bool all, oct_batch_source **source)
{
    const int64_t few = oct_cli_s64(s->cli, "rank-images");
    int64_t *limit = &s->args.options.subset.limit;
    *limit = all ? s->limit : s->limit > 0 && s->limit < few ? s->limit : few;
    return oct_dataset_args_open(&s->args, source);
}

static void on_progress(void *user, int64_t n_done)
{
    oct_progress_set(((sensing *)user)->progress, n_done);
}

static oct_status run_pass(sensing *s, const pass *p, oct_sens_set *const *set, bool all)
{
    oct_evaluation e;
    oct_batch_source *source = NULL;
    OCT_TRY(open_images(s, all, &source));
    s->progress = oct_progress_begin(s->cli, all ? "verify plans" : "rank layers", "images",
                                     source->vt->n_samples(source));
    oct_status st = oct_evaluate(s->cli->ctx, p->side, p->n + 1, source, &s->eval, &e);
    oct_progress_end(s->progress);
    if (st == OCT_OK)
        st = judge(s, &e, p, set, all);
    oct_evaluation_deinit(s->cli->ctx, &e);
    source->vt->close(source);
    return st;
}

/* Measures what the checkpoint does not know yet. */
static oct_status measure(void *user, oct_ctx *ctx, oct_sens_set *set, size_t n, bool all)
{
    sensing *s = user;
    oct_sens_set *missing[PER_CALL];
    pass p = {.side = {s->reference}};
    oct_status st = OCT_OK;
    (void)ctx;
    for (size_t i = 0; i < n && st == OCT_OK; i++) {
        const oct_sha256 id = oct_sens_memo_id(set[i].keep, s->n_layers, all);
        const oct_sens_score *known = oct_sens_memo_find(&s->memo, &id);
        if (known) {
            set[i].score = *known;
            continue;
        }
        missing[p.n] = &set[i];
        st = add_candidate(s, set[i].keep, &p);
    }
    if (st == OCT_OK && p.n > 0)
        st = run_pass(s, &p, missing, all);
    close_pass(s, &p);
    return st;
}

/* ---- before ------------------------------------------------------------------------------ */

/* The layers are what INT8 without a plan quantizes. */
static oct_status find_layers(sensing *s)
{
    oct_model *whole = NULL;
    OCT_TRY(oct_quantize_model(s->cli->ctx, s->model, &s->scales.amax, &s->scheme.scheme,
                               &s->report, &whole));
    oct_model_free(whole);
    s->layer = oct_alloc_array(s->cli->ctx, s->report.n_lines, sizeof *s->layer);
    if (!s->layer)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < s->report.n_lines; i++)
        if (s->report.line[i].reason[0] == '\0')
            s->layer[s->n_layers++] = &s->report.line[i];
    return s->n_layers > 0
               ? OCT_OK
               : oct_fail(s->cli->ctx, OCT_ERR_USAGE,
                          "%s: no layer would be quantized, so there is nothing to plan",
                          s->cli->pos[0]);
}

static oct_status prepare(sensing *s)
{
    oct_cli *cli = s->cli;
    int n = 0;
    OCT_TRY(oct_model_load(cli->ctx, cli->pos[0], NULL, &s->model));
    OCT_TRY(oct_model_open_batch(cli->ctx, s->model));
    OCT_TRY(oct_scale_source_init(&s->scales, cli, s->model));
    OCT_TRY(oct_scheme_args_init(&s->scheme, cli, OCT_TARGET_OCTET));
    oct_scale_source_inform(&s->scales, &s->scheme.scheme);
    OCT_TRY(find_layers(s));
    OCT_TRY(oct_judge_read(cli, &s->eval, &s->coco));
    s->eval.progress = on_progress;
    s->eval.user = s;
    const oct_engine_options opt = {.backend = backend_of(cli), .precision = OCT_PRECISION_F32};
    OCT_TRY(oct_side_open_model(cli->ctx, s->model, &opt, &s->reference));
    OCT_TRY(oct_model_input_specs(cli->ctx, s->model, s->input, &n));
    OCT_TRY(oct_dataset_args_init(&s->args, cli, cli->pos[1], s->input, n));
    OCT_TRY(oct_dataset_args_use(&s->args, "the statistics", s->scales.preprocess));
    s->args.options.batch = 1;
    s->args.options.n_threads = 0;
    s->limit = s->args.options.subset.limit;
    return OCT_OK;
}

/* Everything that scores depend on, as text. */
static oct_status make_key(sensing *s, oct_sha256 *key)
{
    static const char *const with_value[] = {
        "weights",    "max-drop", "min-agreement", "min-sqnr", "gate",   "detector",
        "drop-class", "labels",   "label-offset",  "limit",    "subset", "rank-images"};
    static const char *const flags[] = {"per-tensor", "skip-first", "skip-last", "allow-missing",
                                        "quantize-matmul"};
    oct_batch_source *source = NULL;
    oct_strbuf b;
    char hex[OCT_SHA256_HEX_BYTES];
    OCT_TRY(open_images(s, true, &source));
    oct_strbuf_init(&b, s->cli->ctx);
    s->preprocess = oct_strdup(s->cli->ctx, source->vt->preprocess_json(source));
    oct_strbuf_addf(&b, "%s\n%s\n%s\n%s %lld\n%s %llu\n",
                    oct_sha256_hex(&oct_model_get_info(s->model)->hash, hex),
                    s->scales.provenance.text, s->preprocess ? s->preprocess : "", s->cli->pos[1],
                    (long long)source->vt->n_samples(source), backend_of(s->cli),
                    (unsigned long long)s->cli->seed);
    source->vt->close(source);
    for (size_t i = 0; i < sizeof with_value / sizeof *with_value; i++)
        if (oct_cli_given(s->cli, with_value[i]))
            oct_strbuf_addf(&b, "%s %s\n", with_value[i], oct_cli_str(s->cli, with_value[i]));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        oct_strbuf_addf(&b, "%s %d\n", flags[i], oct_cli_flag(s->cli, flags[i]));
    for (size_t i = 0; i < s->n_layers; i++)
        oct_strbuf_addf(&b, "layer %s\n", s->layer[i]->node);
    for (size_t i = 0; i < s->scheme.scheme.n_keep; i++)
        oct_strbuf_addf(&b, "kept %s\n", s->scheme.scheme.keep[i]);
    const oct_status st = s->preprocess ? oct_strbuf_status(&b) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        oct_sha256_of(b.text, b.len, key);
    oct_strbuf_deinit(&b);
    return st;
}

/* ---- after ------------------------------------------------------------------------------- */

static oct_status save(sensing *s, const oct_sens_result *r, const char *out)
{
    oct_cli *cli = s->cli;
    const oct_sens_view view = {.result = r,
                                .layer = s->layer,
                                .n_layers = s->n_layers,
                                .always = s->scheme.scheme.keep,
                                .n_always = s->scheme.scheme.n_keep,
                                .model = oct_model_get_info(s->model)->hash,
                                .scales = s->scales.provenance.text,
                                .preprocess = s->preprocess,
                                .n_images = s->n_images[1],
                                .n_rank_images = s->n_images[0]};
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    oct_status st = oct_sens_plan(&view, &b);
    if (st == OCT_OK && oct_cli_wants_text(cli))
        st = oct_sens_show(cli, &view);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_add(&b, "\n");
    if (st == OCT_OK)
        st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_file_write(cli->ctx, out, b.text, b.len, cli->force);
    oct_strbuf_deinit(&b);
    if (st == OCT_OK)
        oct_cli_summary(cli, "wrote %s: %zu of %zu layers stay in floating point", out, r->n_keep,
                        s->n_layers);
    return st;
}

/* How many images the plan rests on: as listed, so that a resumed search says the same. */
static oct_status count_images(sensing *s, bool all)
{
    oct_batch_source *source = NULL;
    OCT_TRY(open_images(s, all, &source));
    s->n_images[all] = (uint64_t)source->vt->n_samples(source);
    source->vt->close(source);
    return OCT_OK;
}

static oct_status search(sensing *s, const char *out)
{
    oct_cli *cli = s->cli;
    oct_sha256 key;
    oct_sens_result r = {0};
    const oct_sens_search how = {
        .n_layers = s->n_layers, .per_call = PER_CALL, .user = s, .measure = measure};
    OCT_TRY(make_key(s, &key));
    OCT_TRY(
        oct_sens_memo_open(cli->ctx, out, &key, oct_cli_flag(cli, "resume"), cli->force, &s->memo));
    oct_status st = oct_sens_run(cli->ctx, &how, &r);
    if (st == OCT_OK && !r.met)
        st =
            oct_fail(cli->ctx, OCT_ERR_GATE,
                     "no plan passes: not even with all %zu layers in floating point", s->n_layers);
    for (int all = 0; st == OCT_OK && all < 2; all++)
        st = count_images(s, all);
    if (st == OCT_OK)
        st = save(s, &r, out);
    if (st == OCT_OK)
        oct_sens_memo_remove(&s->memo);
    oct_sens_result_deinit(cli->ctx, &r);
    return st;
}

static oct_status check_options(oct_cli *cli)
{
    if (!oct_cli_given(cli, "max-drop") && !oct_cli_given(cli, "min-agreement") &&
        !oct_cli_given(cli, "min-sqnr"))
        return oct_cli_usage(cli, "say what the plan must keep: --max-drop P (with labels), "
                                  "--min-agreement P or --min-sqnr DB");
    return oct_path_check_output(cli->ctx, oct_cli_str(cli, "output"), cli->force);
}

static oct_status run(oct_cli *cli)
{
    sensing s = {.cli = cli};
    OCT_TRY(check_options(cli));
    oct_strbuf_init(&s.scales.provenance, cli->ctx);
    s.scales.ctx = s.scheme.ctx = cli->ctx;
    s.args.cli = cli;
    oct_status st = prepare(&s);
    if (st == OCT_OK)
        st = search(&s, oct_cli_str(cli, "output"));
    oct_sens_memo_deinit(&s.memo);
    oct_free(cli->ctx, s.preprocess);
    oct_dataset_args_deinit(&s.args);
    oct_side_close(s.reference, cli->ctx);
    oct_coco_close(s.coco);
    oct_free(cli->ctx, (void *)s.layer);
    oct_quant_report_deinit(&s.report);
    oct_scheme_args_deinit(&s.scheme);
    oct_scale_source_deinit(&s.scales);
    oct_model_free(s.model);
    return st;
}

static const oct_pos positions[] = {
    {.name = "MODEL", .help = "a float ONNX model"},
    {.name = "IMAGES", .help = "to rank and to judge on: not those of the final test"},
    {0}};

static const oct_opt options[] = {
    {.name = "output",
     .letter = 'o',
     .arg = "FILE",
     .type = OCT_OPT_FILE,
     .required = true,
     .help = "the plan to write; measurements go to FILE.checkpoint until it is finished"},
    {.name = "rank-images",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "64",
     .min = 1,
     .max = 1000000,
     .help = "rank layers on N of the images; plans are judged on all"},
    {.name = "resume",
     .type = OCT_OPT_FLAG,
     .help = "go on from FILE.checkpoint; the plan is that of an uninterrupted run"},
    {.name = "reference", .type = OCT_OPT_FLAG, .help = "slow portable kernels"},
    {0}};

static const oct_opt *const shared[] = {oct_judge_opts, oct_scale_opts, oct_scheme_opts,
                                        oct_dataset_opts, NULL};

const oct_cmd oct_cmd_sensitivity = {
    .name = "sensitivity",
    .summary = "find the fewest layers to keep in floating point",
    .examples =
        "  octet sensitivity model.onnx photos/ --stats statistics.h5 --max-drop 0.5 -o plan.json\n"
        "  octet sensitivity model.onnx photos/ --stats statistics.h5 --min-sqnr 25 -o plan.json\n"
        "  octet build model.onnx --stats statistics.h5 --plan plan.json -o model.engine\n"
        "  octet quantize model.onnx --stats statistics.h5 --plan plan.json -o model.qdq.onnx\n",
    .details =
        "Each layer is quantized alone and ranked by what that does to the outputs; then the "
        "fewest layers of that ranking are sought that pass the gates when kept in floating point, "
        "and those that turn out not to be needed go back to INT8. The plan was measured itself "
        "on all IMAGES. Since it was chosen on them, judge it on others with 'octet evaluate'. "
        "Give quantize and build the same scales and scheme options.",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 47,
};
