/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/scale_results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "tools/cache_cmds.h"
#include "tools/scale_source.h"

/* ---- computing --------------------------------------------------------------------------- */

oct_status oct_scale_results_methods(oct_cli *cli, const char *text, oct_scale_results *r)
{
    memset(r, 0, sizeof *r);
    for (const char *at = text; at != NULL;) {
        const char *comma = strchr(at, ',');
        const size_t len = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (r->n_methods == OCT_SCALES_MAX_METHODS)
            return oct_cli_usage(cli, "at most %d methods", OCT_SCALES_MAX_METHODS);
        char *one = oct_strndup(cli->ctx, at, len);
        if (one == NULL)
            return OCT_ERR_NOMEM;
        const oct_status st = oct_method_parse(cli->ctx, one, &r->method[r->n_methods]);
        oct_free(cli->ctx, one);
        OCT_TRY(st);
        oct_method_text(&r->method[r->n_methods], r->label[r->n_methods]);
        r->n_methods++;
        at = comma != NULL ? comma + 1 : NULL;
    }
    return OCT_OK;
}

typedef struct job {
    oct_scale_results *r;
    int n_workers; /* that compute */
    oct_beside_fn beside;
    void *user;
} job;

/* Worker w takes tensors w, w + n, ...: neighbours cost about the same. */
static oct_status compute_some(void *user, oct_ctx *ctx, int worker)
{
    const job *j = user;
    if (j->beside != NULL && worker-- == 0)
        return j->beside(j->user, ctx);
    oct_scale_results *r = j->r;
    oct_calib_work *w;
    OCT_TRY(oct_calib_work_new(ctx, &w));
    oct_status st = OCT_OK;
    for (size_t i = (size_t)worker; st == OCT_OK && i < r->n_tensors; i += (size_t)j->n_workers) {
        for (int m = 0; st == OCT_OK && m < r->n_methods; m++) {
            oct_scale_cell *c = &r->cell[i * (size_t)r->n_methods + (size_t)m];
            st = oct_stats_calibrate(ctx, r->stats, i, &r->method[m], w, &c->result,
                                     r->with_spread ? &c->spread : NULL);
        }
        if (st == OCT_OK)
            st = oct_check_cancel(ctx);
    }
    oct_calib_work_free(ctx, w);
    return st;
}

oct_status oct_scale_results_compute(oct_cli *cli, const oct_stats *s, bool with_spread,
                                     oct_scale_results *r)
{
    return oct_scale_results_compute_beside(cli, s, with_spread, NULL, NULL, r);
}

oct_status oct_scale_results_compute_beside(oct_cli *cli, const oct_stats *s, bool with_spread,
                                            oct_beside_fn beside, void *user, oct_scale_results *r)
{
    r->stats = s;
    r->with_spread = with_spread;
    r->n_tensors = oct_stats_n_tensors(s);
    r->cell = oct_zalloc_array(cli->ctx, r->n_tensors, (size_t)r->n_methods * sizeof *r->cell);
    if (r->cell == NULL)
        return OCT_ERR_NOMEM;
    job j = {r, cli->n_threads, beside, user};
    return oct_run_workers(cli->ctx, j.n_workers + (beside != NULL), 1, compute_some, &j);
}

void oct_scale_results_deinit(oct_cli *cli, oct_scale_results *r)
{
    oct_free(cli->ctx, r->cell);
    r->cell = NULL;
}

static const oct_scale_cell *cell_of(const oct_scale_results *r, size_t i, int m)
{
    return &r->cell[i * (size_t)r->n_methods + (size_t)m];
}

/* ---- table and JSON ---------------------------------------------------------------------- */

static const char *note_of(const oct_calib_result *r)
{
    if (r->flags & OCT_CALIB_DEAD)
        return "dead";
    if (r->flags & OCT_CALIB_FELL_BACK)
        return "no answer, maximum used";
    return r->flags & OCT_CALIB_POOR ? "poor" : "";
}

static void add_cells(oct_table *t, const oct_scale_results *r, size_t i, int m)
{
    const oct_scale_cell *c = cell_of(r, i, m);
    char text[OCT_NUM_TEXT_BYTES];
    oct_table_str(t, oct_stats_at(r->stats, i)->name);
    oct_table_str(t, r->label[m]);
    oct_table_str(t, oct_f32_text(c->result.amax, text));
    oct_table_str(t, oct_f32_text(c->result.scale, text));
    oct_table_fixed(t, isinf(c->result.sqnr_db) ? NAN : c->result.sqnr_db, 1);
    if (r->with_spread) {
        oct_table_fixed(t, 200 * c->spread.se, 1);
        oct_table_str(t, oct_spread_verdict_str(c->spread.verdict));
    }
    oct_table_str(t, note_of(&c->result));
}

oct_status oct_scale_results_table(oct_cli *cli, const oct_scale_results *r)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx,
                          r->with_spread
                              ? "tensor|method|>amax|>scale|>SQNR dB|>spread %|verdict|note"
                              : "tensor|method|>amax|>scale|>SQNR dB|note",
                          &t));
    for (size_t i = 0; i < r->n_tensors; i++)
        for (int m = 0; m < r->n_methods; m++)
            add_cells(t, r, i, m);
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static void json_spread(const oct_spread *s, oct_json *j)
{
    oct_json_kv_f64(j, "spread_percent", 200 * s->se);
    oct_json_kv_string(j, "verdict", oct_spread_verdict_str(s->verdict));
    oct_json_kv_u64(j, "images_needed", s->need_images);
    oct_json_kv_s64(j, "folds_near_max", s->n_near_max);
}

static void json_cell(const oct_scale_results *r, size_t i, int m, oct_json *j)
{
    const oct_scale_cell *c = cell_of(r, i, m);
    oct_json_key(j, r->label[m]);
    oct_json_begin_object(j);
    oct_json_kv_f32(j, "amax", c->result.amax);
    oct_json_kv_f32(j, "scale", c->result.scale);
    if (c->result.candidate > 0)
        oct_json_kv_s64(j, "candidate", c->result.candidate);
    oct_json_kv_f64(j, "error", c->result.error);
    oct_json_kv_f64(j, "minmax_error", c->result.minmax_error);
    oct_json_kv_f64(j, "sqnr_db", c->result.sqnr_db);
    oct_json_kv_string(j, "note", note_of(&c->result));
    if (r->with_spread)
        json_spread(&c->spread, j);
    oct_json_end_object(j);
}

static void json_tensor(const oct_scale_results *r, size_t i, oct_json *j)
{
    const oct_stat_tensor *t = oct_stats_at(r->stats, i);
    bool relu;
    const oct_stat_tensor *root = oct_stats_at(r->stats, oct_stats_root(r->stats, i, &relu));
    oct_sha256 id;
    char hex[OCT_SHA256_HEX_BYTES];
    oct_json_begin_object(j);
    oct_json_kv_string(j, "name", t->name);
    oct_json_kv_f32(j, "min", relu ? 0 : -root->hist.neg.amax);
    oct_json_kv_f32(j, "max", root->hist.pos.amax);
    oct_json_kv_u64(j, "values", root->hist.n_total);
    oct_json_kv_u64(j, "nonfinite", root->hist.n_nan + root->hist.n_pos_inf + root->hist.n_neg_inf);
    oct_json_kv_string(j, "max_image",
                       oct_stats_max_image(r->stats, i, &id) ? oct_sha256_hex(&id, hex) : NULL);
    oct_json_key(j, "methods");
    oct_json_begin_object(j);
    for (int m = 0; m < r->n_methods; m++)
        json_cell(r, i, m, j);
    oct_json_end_object(j);
    oct_json_end_object(j);
}

void oct_scale_results_json(const oct_scale_results *r, oct_json *j)
{
    const oct_stats_origin *o = oct_stats_get_origin(r->stats);
    char hex[OCT_SHA256_HEX_BYTES];
    oct_json_kv_string(j, "format", "octet-scales");
    oct_json_kv_u64(j, "version", 1);
    oct_json_kv_string(j, "model", oct_sha256_hex(&o->model, hex));
    oct_json_kv_string(j, "preprocess", o->preprocess);
    oct_json_kv_u64(j, "images", oct_stats_n_images(r->stats));
    oct_json_kv_bool(j, "complete", oct_stats_is_complete(r->stats));
    oct_json_key(j, "tensors");
    oct_json_begin_array(j);
    for (size_t i = 0; i < r->n_tensors; i++)
        json_tensor(r, i, j);
    oct_json_end_array(j);
}

/* ---- ranges -------------------------------------------------------------------- */

oct_status oct_scale_results_ranges(oct_cli *cli, const oct_scale_results *r, int m,
                                    oct_ranges **out)
{
    oct_ranges *made;
    OCT_TRY(oct_ranges_new(cli->ctx, &made));
    for (size_t i = 0; i < r->n_tensors; i++) {
        const char *name = oct_stats_at(r->stats, i)->name;
        const oct_range e = {.scale = cell_of(r, i, m)->result.scale,
                             .amax = cell_of(r, i, m)->result.amax};
        const oct_status st = oct_ranges_add(made, name, strlen(name), &e);
        if (st != OCT_OK) {
            oct_ranges_free(made);
            return st;
        }
    }
    *out = made;
    return OCT_OK;
}

/* ---- warnings and verdict ---------------------------------------------------------------- */

static void warn_cell(oct_cli *cli, const oct_scale_results *r, size_t i, int m)
{
    const oct_calib_result *c = &cell_of(r, i, m)->result;
    char shown[160], ratio[OCT_NUM_TEXT_BYTES];
    const char *name = oct_printable(oct_stats_at(r->stats, i)->name, shown, sizeof shown);
    if (c->flags & OCT_CALIB_DEAD) {
        if (m == 0)
            oct_log(cli->ctx, OCT_LOG_WARN, "tensor '%s': always zero; its scale is 1/127", name);
    } else if (c->flags & OCT_CALIB_FELL_BACK) {
        oct_log(cli->ctx, OCT_LOG_WARN, "tensor '%s': %s is 0; the maximum is used", name,
                r->label[m]);
    } else if (c->flags & OCT_CALIB_POOR) {
        oct_log(cli->ctx, OCT_LOG_INFO,
                "tensor '%s': the expected error of %s is %s times that of minmax", name,
                r->label[m], oct_fixed_text(c->error / c->minmax_error, 1, ratio));
    }
}

void oct_scale_results_warn(oct_cli *cli, const oct_scale_results *r)
{
    for (size_t i = 0; i < r->n_tensors; i++) {
        const oct_stat_tensor *t = oct_stats_at(r->stats, i);
        char shown[160];
        for (int m = 0; m < r->n_methods; m++)
            warn_cell(cli, r, i, m);
        if (t->hist.n_nan + t->hist.n_pos_inf + t->hist.n_neg_inf > 0)
            oct_log(cli->ctx, OCT_LOG_WARN,
                    "tensor '%s': %llu NaN and infinite values were left out",
                    oct_printable(t->name, shown, sizeof shown),
                    (unsigned long long)(t->hist.n_nan + t->hist.n_pos_inf + t->hist.n_neg_inf));
    }
    for (int m = 0; m < r->n_methods; m++) {
        oct_poor_scales poor = {0};
        for (size_t i = 0; i < r->n_tensors; i++)
            oct_poor_scales_note(&poor, oct_stats_at(r->stats, i)->name, &cell_of(r, i, m)->result);
        oct_poor_scales_warn(cli->ctx, &poor, r->label[m]);
    }
}

typedef struct worst {
    size_t index;
    double se;
} worst;

static int by_spread(const void *pa, const void *pb)
{
    const worst *a = pa, *b = pb;
    return a->se != b->se ? (a->se < b->se ? 1 : -1)
                          : (a->index > b->index) - (a->index < b->index);
}

#define SHOWN_WORST 8

static oct_status print_worst(oct_cli *cli, const oct_scale_results *r, worst *list)
{
    oct_table *t;
    OCT_TRY(oct_table_new(cli->ctx, "least settled tensors|>amax|>spread %|>images needed", &t));
    for (size_t k = 0; k < r->n_tensors && k < SHOWN_WORST; k++) {
        const oct_scale_cell *c = cell_of(r, list[k].index, 0);
        char text[OCT_NUM_TEXT_BYTES];
        oct_table_str(t, oct_stats_at(r->stats, list[k].index)->name);
        oct_table_str(t, oct_f32_text(c->result.amax, text));
        oct_table_fixed(t, 200 * c->spread.se, 1);
        if (c->spread.need_images > 0)
            oct_table_s64(t, (int64_t)c->spread.need_images);
        else
            oct_table_str(t, oct_spread_verdict_str(c->spread.verdict));
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status say_verdict(oct_cli *cli, const oct_scale_results *r)
{
    size_t settled = 0, unclear = 0;
    uint64_t need = 0;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const oct_spread *s = &cell_of(r, i, 0)->spread;
        settled += s->verdict == OCT_SPREAD_SETTLED_OK;
        unclear += s->verdict == OCT_SPREAD_CANNOT_TELL;
        need = s->need_images > need ? s->need_images : need;
    }
    const unsigned long long n_images = oct_stats_n_images(r->stats);
    if (unclear > 0)
        return oct_cli_printf(
            cli,
            "cannot tell whether the scales are settled: %llu images, at least %d "
            "are needed to judge\n",
            n_images, OCT_SPREAD_MIN_IMAGES);
    if (settled == r->n_tensors)
        return oct_cli_printf(cli,
                              "settled: %llu images are enough, every %s scale is within 5 %%\n",
                              n_images, r->label[0]);
    return oct_cli_printf(
        cli,
        "more images: %zu of %zu %s scales may move by more than 5 %%; about %llu "
        "images would settle all of them\n",
        r->n_tensors - settled, r->n_tensors, r->label[0], (unsigned long long)need);
}

oct_status oct_scale_results_verdict(oct_cli *cli, const oct_scale_results *r)
{
    worst *list = oct_alloc_array(cli->ctx, r->n_tensors, sizeof *list);
    if (list == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < r->n_tensors; i++)
        list[i] = (worst){i, cell_of(r, i, 0)->spread.se};
    qsort(list, r->n_tensors, sizeof *list, by_spread);
    oct_status st = print_worst(cli, r, list);
    if (st == OCT_OK)
        st = say_verdict(cli, r);
    oct_free(cli->ctx, list);
    return st;
}

oct_status oct_scale_results_emit(oct_cli *cli, const oct_scale_results *r)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_scale_results_json(r, &j);
    oct_json_end_object(&j);
    const oct_status st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}

oct_status oct_scale_results_cache(oct_cli *cli, const oct_scale_results *r)
{
    const char *path = oct_cli_str(cli, "cache");
    oct_cache_format format;
    oct_cache_write_options opt;
    oct_ranges *ranges;
    if (r->n_methods > 1)
        return oct_cli_usage(cli, "--cache holds one scale a tensor: say one --method");
    OCT_TRY(oct_cache_write_choice(cli, path, OCT_CACHE_TRT, &format, &opt));
    OCT_TRY(oct_scale_results_ranges(cli, r, 0, &ranges));
    const oct_status st = oct_cache_write_file(cli, ranges, path, format, &opt);
    oct_ranges_free(ranges);
    return st;
}
