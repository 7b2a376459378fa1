/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage of octet auto: both engines answer the test pictures; report and README.txt.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/build_info.h"
#include "base/file.h"
#include "base/json_read.h"
#include "kernels/cpu/cpu.h"
#include "tools/any_model.h"
#include "tools/auto.h"
#include "tools/evaluate_result.h"
#include "tools/scale_report.h"

typedef struct judging {
    oct_auto *a;
    oct_any_model model[2];
    oct_side *side[2];
    oct_coco *coco;
    oct_eval_options opt;
    oct_progress *progress;
    oct_dataset_args args;
    oct_batch_source *source;
    oct_doubts doubts;
    oct_report *r;
} judging;

static const char *const file[2] = {OCT_AUTO_FP32, OCT_AUTO_INT8};

void oct_auto_judge_options(oct_auto *a, oct_strbuf *b)
{
    static const char *const given[] = {"max-drop",   "min-agreement", "min-sqnr",    "gate",
                                        "drop-class", "detector",      "label-offset"};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++)
        if (oct_cli_given(a->cli, given[i]))
            oct_strbuf_addf(b, "%s=%s\n", given[i], oct_cli_str(a->cli, given[i]));
    oct_strbuf_addf(b, "seed %llu\nboxes %s\nname %s\n", (unsigned long long)a->cli->seed,
                    a->coco.text, oct_path_name(a->model_path));
}

/* ---- answers ----------------------------------------------------------------------------- */

static oct_status open_side(judging *j, size_t k)
{
    oct_auto *a = j->a;
    char *path = oct_auto_path(a, file[k]);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_any_model_open(a->ctx, path, &j->model[k]);
    if (st == OCT_OK)
        st = oct_any_model_open_batch(a->ctx, &j->model[k]);
    if (st == OCT_OK) {
        oct_engine_options opt = {.backend = a->backend,
                                  .precision = oct_any_model_precision(&j->model[k], "auto")};
        oct_any_model_tactics(&j->model[k], &opt);
        st = oct_side_open_model(a->ctx, j->model[k].model, &opt, &j->side[k]);
    }
    oct_free(a->ctx, path);
    return st;
}

static void on_progress(void *user, int64_t n_done)
{
    oct_progress_set(((judging *)user)->progress, n_done);
}

static oct_status answer(judging *j, oct_evaluation *e)
{
    oct_auto *a = j->a;
    j->opt.progress = on_progress;
    j->opt.user = j;
    j->progress = oct_progress_begin(a->cli, "evaluate", "images", a->part[OCT_AUTO_TEST].n);
    const oct_status st = oct_evaluate(a->ctx, j->side, 2, j->source, &j->opt, e);
    oct_progress_end(j->progress);
    oct_dataset_report(a->cli, j->source);
    OCT_TRY(st);
    return oct_doubts_find(a->cli, j->side[0], &j->args, &j->opt, e, &j->doubts);
}

/* ---- the report -------------------------------------------------------------------------- */

static oct_status add_fact(oct_report *r, const char *key, const char *value)
{
    oct_report_fact *f = &r->provenance[r->n_provenance++];
    f->key = key;
    f->value = oct_report_text(r, value);
    return f->value != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status add_count(oct_report *r, const char *key, int64_t n)
{
    char text[32];
    oct_strbuf b;
    oct_strbuf_init(&b, r->ctx);
    oct_strbuf_addf(&b, "%lld", (long long)n);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK) {
        snprintf(text, sizeof text, "%s", b.text);
        st = add_fact(r, key, text);
    }
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status fill_provenance(judging *j)
{
    oct_auto *a = j->a;
    oct_report *r = j->r;
    char hex[OCT_SHA256_HEX_BYTES], dnnl[80];
    r->provenance = oct_report_array(r, OCT_REPORT_FACT, 16);
    if (r->provenance == NULL)
        return OCT_ERR_NOMEM;
    OCT_TRY(add_fact(r, "model", oct_path_name(a->model_path)));
    OCT_TRY(add_fact(r, "model SHA-256", oct_sha256_hex(&oct_model_get_info(a->model)->hash, hex)));
    OCT_TRY(add_count(r, "images that calibrated",
                      a->part[OCT_AUTO_HELD_IN].n + a->part[OCT_AUTO_HELD_BACK].n));
    OCT_TRY(add_count(r, "of them held back for the choice", a->part[OCT_AUTO_HELD_BACK].n));
    OCT_TRY(add_count(r, "images that judged", a->part[OCT_AUTO_TEST].n));
    OCT_TRY(add_fact(r, "division",
                     a->divided ? "one data set: by the hash of each file, one in four calibrates"
                                : "two data sets"));
    OCT_TRY(
        add_fact(r, "images.txt SHA-256", oct_sha256_hex(oct_auto_hash(a, OCT_AUTO_IMAGES), hex)));
    OCT_TRY(add_fact(r, "octet", OCT_VERSION));
    OCT_TRY(add_fact(r, "backend", a->backend));
    OCT_TRY(add_fact(r, "instruction set", oct_cpu_isa_text()));
    return add_fact(r, "oneDNN", oct_cpu_dnnl_text(dnnl, sizeof dnnl));
}

static oct_status fill_notes(judging *j)
{
    const oct_auto *a = j->a;
    oct_report *r = j->r;
    r->notes = oct_report_texts(r, 2);
    if (r->notes == NULL)
        return OCT_ERR_NOMEM;
    if (a->n_shared > 0)
        r->notes[r->n_notes++] = oct_report_textf(
            r, "%zu images are in both data sets: they judged and did not calibrate.", a->n_shared);
    if (a->chooses_on_all)
        r->notes[r->n_notes++] = "too few images to hold some back: the method was chosen on the "
                                 "images that calibrated.";
    for (size_t i = 0; i < r->n_notes; i++)
        if (r->notes[i] == NULL)
            return OCT_ERR_NOMEM;
    return oct_doubts_report(&j->doubts, r);
}

static oct_status fill_method(const oct_json_at *at, const json_t *entry, oct_report *r,
                              oct_report_method *m)
{
    const char *name;
    OCT_TRY(oct_json_get_string(at, entry, "method", &name));
    const json_t *db = json_object_get(entry, "output_sqnr_db");
    m->method = oct_report_text(r, name);
    m->sqnr_db = json_is_number(db) ? json_number_value(db) : (double)NAN;
    m->chosen = strcmp(name, r->calibration->method) == 0;
    return m->method != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

/* What choice.json says about the methods. */
static oct_status fill_methods(judging *j)
{
    oct_report *r = j->r;
    json_t *root = NULL, *list;
    char *path = oct_auto_path(j->a, OCT_AUTO_CHOICE);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    const oct_json_at at = {j->a->ctx, path, ""};
    oct_status st = oct_json_read_file(j->a->ctx, path, (size_t)1 << 20, &root);
    if (st == OCT_OK)
        st = oct_json_get_array(&at, root, "methods", &list);
    const size_t n = st == OCT_OK ? json_array_size(list) : 0;
    r->calibration->methods = oct_report_array(r, OCT_REPORT_METHOD, n);
    if (r->calibration->methods == NULL)
        st = OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        st = fill_method(&at, json_array_get(list, i), r, &r->calibration->methods[i]);
        r->calibration->n_methods = i + 1;
    }
    oct_json_read_free(root);
    oct_free(j->a->ctx, path);
    return st;
}

static int chosen_index(const oct_scale_results *results, const oct_method *m)
{
    char text[OCT_METHOD_TEXT_BYTES];
    oct_method_text(m, text);
    for (int i = 0; i < results->n_methods; i++)
        if (strcmp(results->label[i], text) == 0)
            return i;
    return 0;
}

/* Histograms, thresholds, coverage: from statistics. */
static oct_status fill_calibration(judging *j)
{
    oct_auto *a = j->a;
    oct_scale_results results;
    oct_stats *s = NULL;
    char *path = oct_auto_path(a, OCT_AUTO_STATISTICS);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_scale_results_methods(a->cli, oct_cli_str(a->cli, "methods"), &results);
    if (st == OCT_OK)
        st = oct_stats_read(a->ctx, path, &s);
    if (st == OCT_OK)
        st = oct_scale_results_compute(a->cli, s, true, &results);
    if (st == OCT_OK)
        st = oct_scale_results_report(a->cli, &results, chosen_index(&results, &a->chosen), j->r);
    if (st == OCT_OK)
        st = fill_methods(j);
    oct_scale_results_deinit(a->cli, &results);
    oct_stats_free(s);
    oct_free(a->ctx, path);
    return st;
}

/* Both engines tensor by tensor, and what of the INT8 one computes with integers. */
static oct_status fill_layers(judging *j)
{
    oct_dataset_args args;
    oct_batch_source *source = NULL;
    oct_status st = oct_auto_open_part(j->a, OCT_AUTO_LAYERS, &args, &source);
    if (st == OCT_OK)
        st = oct_report_add_layers(j->a->cli, &j->model[0], &j->model[1], j->a->backend, source, 0,
                                   j->r);
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&args);
    return st;
}

static oct_status fill(judging *j, const oct_evaluation_view *view)
{
    oct_auto *a = j->a;
    oct_report *r = j->r;
    oct_report_latency *latency[2] = {NULL, NULL};
    r->command = "auto";
    r->title = oct_report_text(r, oct_path_name(a->model_path));
    OCT_TRY(oct_evaluation_report(view, r));
    OCT_TRY(fill_layers(j));
    OCT_TRY(oct_report_add_thumbnails(a->test_path, r));
    OCT_TRY(oct_auto_read_bench(a, r, latency));
    for (int k = 0; k < 2; k++)
        r->sides[k].latency = latency[k];
    OCT_TRY(fill_calibration(j));
    OCT_TRY(fill_provenance(j));
    OCT_TRY(fill_notes(j));
    return oct_auto_guide(a, r);
}

typedef oct_status (*render_fn)(const oct_auto *a, const oct_report *r, oct_strbuf *b);

static oct_status render_json(const oct_auto *a, const oct_report *r, oct_strbuf *b)
{
    const oct_status st = oct_report_write(r, b);
    oct_strbuf_add(b, "\n");
    return st;
}

static oct_status render_html(const oct_auto *a, const oct_report *r, oct_strbuf *b)
{
    return oct_report_html(a->ctx, &r, 1, b);
}

static oct_status write_as(judging *j, const char *name, render_fn render)
{
    oct_strbuf b;
    oct_strbuf_init(&b, j->a->ctx);
    oct_status st = render(j->a, j->r, &b);
    if (st == OCT_OK)
        st = oct_auto_write(j->a, name, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status report(judging *j, const oct_evaluation *e)
{
    oct_auto *a = j->a;
    const oct_skip *skipped;
    oct_dataset_info data;
    char method[OCT_METHOD_TEXT_BYTES], label[96], *path[2];
    snprintf(label, sizeof label, "INT8 %s", oct_method_text(&a->chosen, method));
    path[0] = oct_auto_path(a, file[0]);
    path[1] = oct_auto_path(a, file[1]);
    const char *const runtime = "octet " OCT_VERSION;
    const oct_side_info info[2] = {{"FP32", runtime, "fp32", path[0]},
                                   {label, runtime, "int8", path[1]}};
    oct_dataset_get_info(j->source, &data);
    oct_evaluation_view view = {.e = e,
                                .name = file,
                                .info = info,
                                .class_name = data.class_name,
                                .n_class_names = (size_t)data.n_classes,
                                .preprocess = a->preprocess,
                                .n_skipped = j->source->vt->skipped(j->source, &skipped)};
    oct_status st = path[0] != NULL && path[1] != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_evaluation_gates(a->cli, &view);
    if (st == OCT_OK)
        st = oct_report_new(a->ctx, &j->r);
    if (st == OCT_OK)
        st = fill(j, &view);
    if (st == OCT_OK)
        st = write_as(j, OCT_AUTO_REPORT_JSON, render_json);
    if (st == OCT_OK)
        st = write_as(j, OCT_AUTO_REPORT_HTML, render_html);
    if (st == OCT_OK)
        st = write_as(j, OCT_AUTO_README, oct_auto_readme);
    oct_report_free(j->r);
    oct_free(a->ctx, path[0]);
    oct_free(a->ctx, path[1]);
    return st;
}

oct_status oct_auto_judge(oct_auto *a)
{
    judging j = {.a = a};
    oct_evaluation e = {0};
    oct_status st = oct_auto_read_choice(a);
    if (st == OCT_OK)
        st = oct_judge_read(a->cli, &j.opt, &j.coco);
    for (size_t k = 0; k < 2 && st == OCT_OK; k++)
        st = open_side(&j, k);
    if (st == OCT_OK) {
        st = oct_auto_open_part(a, OCT_AUTO_TEST, &j.args, &j.source);
        if (st == OCT_OK)
            st = answer(&j, &e);
        if (st == OCT_OK)
            st = report(&j, &e);
        oct_evaluation_deinit(a->ctx, &e);
        if (j.source != NULL)
            j.source->vt->close(j.source);
        oct_dataset_args_deinit(&j.args);
    }
    for (size_t k = 0; k < 2; k++) {
        oct_side_close(j.side[k], a->ctx);
        oct_any_model_close(&j.model[k]);
    }
    oct_coco_close(j.coco);
    return st;
}

oct_status oct_auto_gates(oct_auto *a, size_t *n, size_t *n_failed)
{
    oct_report *r = NULL;
    char *path = oct_auto_path(a, OCT_AUTO_REPORT_JSON);
    const oct_status st = path != NULL ? oct_report_read(a->ctx, path, &r) : OCT_ERR_NOMEM;
    *n = *n_failed = 0;
    for (size_t i = 0; st == OCT_OK && i < r->n_gates; i++) {
        *n += 1;
        *n_failed += r->gates[i].verdict == NULL || strcmp(r->gates[i].verdict, "passed") != 0;
    }
    oct_report_free(r);
    oct_free(a->ctx, path);
    return st;
}
