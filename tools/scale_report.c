/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/scale_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "calib/columns.h"
#include "reports/svg.h"

#define WIDTH 860
#define HEIGHT 190
#define COLUMNS 400
#define REPORT_COLUMNS 160

static const oct_scale_cell *cell_of(const oct_scale_results *r, size_t i, int m)
{
    return &r->cell[i * (size_t)r->n_methods + (size_t)m];
}

/* ---- --plot ------------------------------------------------------------------------------ */

static oct_status plot_one(oct_cli *cli, const oct_scale_results *r, size_t i, oct_hist *scratch,
                           oct_strbuf *b)
{
    const oct_hist *h;
    uint64_t column[COLUMNS] = {0};
    oct_svg_line line[OCT_SCALES_MAX_METHODS];
    OCT_TRY(oct_stats_hist(cli->ctx, r->stats, i, scratch, &h));
    oct_svg_histogram plot = {.counts = column,
                              .n_counts = COLUMNS,
                              .line = line,
                              .n_lines = (size_t)r->n_methods,
                              .x = 20,
                              .y = (double)i * HEIGHT + 4,
                              .width = WIDTH - 40,
                              .height = HEIGHT - 12,
                              .legend = true,
                              .title = oct_stats_at(r->stats, i)->name};
    oct_hist_columns_range(h, &plot.lo, &plot.hi);
    oct_hist_columns(h, plot.lo, plot.hi, column, COLUMNS);
    for (int m = 0; m < r->n_methods; m++)
        line[m] = (oct_svg_line){r->label[m], (double)cell_of(r, i, m)->result.amax, (size_t)m};
    oct_svg_add_histogram(b, &plot);
    return OCT_OK;
}

static oct_status plot_all(oct_cli *cli, const oct_scale_results *r, oct_strbuf *b)
{
    oct_hist scratch;
    oct_hist_init(&scratch);
    oct_status st = OCT_OK;
    oct_html_add(b,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"$d\" height=\"$d\" "
                 "viewBox=\"0 0 $d $d\" font-family=\"sans-serif\" font-size=\"11\">\n"
                 "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
                 (int64_t)WIDTH, (int64_t)(r->n_tensors * HEIGHT), (int64_t)WIDTH,
                 (int64_t)(r->n_tensors * HEIGHT));
    for (size_t i = 0; st == OCT_OK && i < r->n_tensors; i++)
        st = plot_one(cli, r, i, &scratch, b);
    oct_strbuf_add(b, "</svg>\n");
    oct_hist_deinit(cli->ctx, &scratch);
    return st;
}

oct_status oct_scale_results_plot(oct_cli *cli, const oct_scale_results *r, const char *path)
{
    const char *ext = oct_path_ext(path);
    const bool html = strcmp(ext, ".html") == 0 || strcmp(ext, ".htm") == 0;
    if (!html && strcmp(ext, ".svg") != 0)
        return oct_cli_usage(cli, "--plot %s: expected a name ending in .svg or .html", path);
    oct_strbuf b;
    oct_strbuf_init(&b, cli->ctx);
    if (html)
        oct_strbuf_add(&b, "<!doctype html>\n<meta charset=\"utf-8\">\n"
                           "<title>octet: histograms and thresholds</title>\n");
    oct_status st = plot_all(cli, r, &b);
    if (st == OCT_OK)
        st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_file_write(cli->ctx, path, b.text, b.len, cli->force);
    oct_strbuf_deinit(&b);
    return st;
}

/* ---- report ------------------------------------------------------------------------------ */

static const char *note_of(const oct_calib_result *c)
{
    return c->flags & OCT_CALIB_DEAD        ? "always zero"
           : c->flags & OCT_CALIB_FELL_BACK ? "no answer, maximum used"
           : c->flags & OCT_CALIB_POOR      ? "poor"
                                            : NULL;
}

static oct_status fill_thresholds(const oct_scale_results *r, size_t i, oct_report *report,
                                  oct_report_tensor *t)
{
    t->thresholds = oct_report_array(report, OCT_REPORT_THRESHOLD, (size_t)r->n_methods);
    if (!t->thresholds)
        return OCT_ERR_NOMEM;
    t->n_thresholds = (size_t)r->n_methods;
    for (int m = 0; m < r->n_methods; m++) {
        const oct_calib_result *c = &cell_of(r, i, m)->result;
        t->thresholds[m] =
            (oct_report_threshold){.method = oct_report_text(report, r->label[m]),
                                   .amax = (double)c->amax,
                                   .scale = (double)c->scale,
                                   .sqnr_db = isfinite(c->sqnr_db) ? c->sqnr_db : (double)NAN,
                                   .note = oct_report_text(report, note_of(c))};
        if (!t->thresholds[m].method)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

static oct_status fill_histogram(const oct_hist *h, oct_report *report, oct_report_tensor *t)
{
    t->histogram = oct_report_array(report, OCT_REPORT_HISTOGRAM, 1);
    uint64_t *counts = oct_report_numbers(report, REPORT_COLUMNS);
    if (!t->histogram || !counts)
        return OCT_ERR_NOMEM;
    oct_hist_columns_range(h, &t->histogram->lo, &t->histogram->hi);
    oct_hist_columns(h, t->histogram->lo, t->histogram->hi, counts, REPORT_COLUMNS);
    t->histogram->counts = counts;
    t->histogram->n_counts = REPORT_COLUMNS;
    t->min = (double)-h->neg.amax;
    t->max = (double)h->pos.amax;
    t->values = (int64_t)h->n_total;
    t->nonfinite = (int64_t)(h->n_nan + h->n_pos_inf + h->n_neg_inf);
    return OCT_OK;
}

static void fill_spread(const oct_scale_results *r, const oct_spread *s, oct_report_tensor *t)
{
    if (!r->with_spread)
        return;
    t->settled = oct_spread_verdict_str(s->verdict);
    t->spread_percent = 200 * s->se;
    t->images_needed = (int64_t)s->need_images;
}

static oct_status fill_tensor(oct_cli *cli, const oct_scale_results *r, size_t i, int chosen,
                              oct_report *report)
{
    oct_report_tensor *t = &report->calibration->tensors[i];
    const oct_hist *h;
    oct_hist scratch;
    oct_hist_init(&scratch);
    oct_status st = oct_stats_hist(cli->ctx, r->stats, i, &scratch, &h);
    if (st == OCT_OK)
        st = fill_histogram(h, report, t);
    oct_hist_deinit(cli->ctx, &scratch);
    OCT_TRY(st);
    fill_spread(r, &cell_of(r, i, chosen)->spread, t);
    t->name = oct_report_text(report, oct_stats_at(r->stats, i)->name);
    return t->name ? fill_thresholds(r, i, report, t) : OCT_ERR_NOMEM;
}

/* Whether the images were enough, over all tensors. */
static oct_status fill_verdict(const oct_scale_results *r, int chosen, oct_report *report)
{
    oct_report_calibration *c = report->calibration;
    size_t settled = 0, unclear = 0;
    uint64_t need = 0;
    for (size_t i = 0; i < r->n_tensors; i++) {
        const oct_spread *s = &cell_of(r, i, chosen)->spread;
        settled += s->verdict == OCT_SPREAD_SETTLED_OK;
        unclear += s->verdict == OCT_SPREAD_CANNOT_TELL;
        need = s->need_images > need ? s->need_images : need;
    }
    const unsigned long long n = oct_stats_n_images(r->stats);
    if (unclear > 0) {
        c->settled = "cannot tell";
        c->settled_text = oct_report_textf(
            report, "%llu images are too few to judge whether the scales are settled.", n);
    } else if (settled == r->n_tensors) {
        c->settled = "settled";
        c->settled_text =
            oct_report_textf(report, "%llu images are enough: every scale is within 5 %%.", n);
    } else {
        c->settled = "more images";
        c->images_needed = (int64_t)need;
        c->settled_text = oct_report_textf(
            report,
            "%zu of %zu scales may move by more than 5 %%; about %llu images would settle "
            "all of them.",
            r->n_tensors - settled, r->n_tensors, (unsigned long long)need);
    }
    return c->settled_text ? OCT_OK : OCT_ERR_NOMEM;
}

oct_status oct_scale_results_report(oct_cli *cli, const oct_scale_results *r, int chosen,
                                    oct_report *report)
{
    oct_report_calibration *c = oct_report_array(report, OCT_REPORT_CALIBRATION, 1);
    report->calibration = c;
    if (!c)
        return OCT_ERR_NOMEM;
    c->method = oct_report_text(report, r->label[chosen]);
    c->images = (int64_t)oct_stats_n_images(r->stats);
    c->tensors = oct_report_array(report, OCT_REPORT_TENSOR, r->n_tensors);
    if (!c->method || !c->tensors)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < r->n_tensors; i++)
        OCT_TRY(fill_tensor(cli, r, i, chosen, report));
    c->n_tensors = r->n_tensors;
    return r->with_spread ? fill_verdict(r, chosen, report) : OCT_OK;
}

#define METHODS "mse,entropy,percentile,minmax"

static int find_method(const oct_scale_results *r, const char *label)
{
    for (int m = 0; m < r->n_methods; m++)
        if (strcmp(r->label[m], label) == 0)
            return m;
    return -1;
}

/* All methods, and `used` if it is none of them. */
static oct_status methods_with(oct_cli *cli, const char *used, oct_scale_results *r, int *chosen)
{
    char text[sizeof METHODS + OCT_METHOD_TEXT_BYTES + 1];
    OCT_TRY(oct_scale_results_methods(cli, METHODS, r));
    *chosen = find_method(r, used);
    if (*chosen >= 0 || used[0] == '\0')
        return OCT_OK;
    snprintf(text, sizeof text, "%s,%.*s", METHODS, OCT_METHOD_TEXT_BYTES - 1, used);
    OCT_TRY(oct_scale_results_methods(cli, text, r));
    *chosen = r->n_methods - 1;
    return OCT_OK;
}

oct_status oct_stats_report(oct_cli *cli, const char *path, const oct_sha256 *model,
                            const char *used, oct_report *report)
{
    oct_scale_results r = {0};
    oct_stats *stats = NULL;
    int chosen = -1;
    OCT_TRY(oct_stats_read(cli->ctx, path, &stats));
    oct_status st = OCT_OK;
    if (oct_sha256_cmp(&oct_stats_get_origin(stats)->model, model) != 0)
        st = oct_fail(cli->ctx, OCT_ERR_STALE, "%s was collected on another model than %s", path,
                      cli->pos[0]);
    if (st == OCT_OK)
        st = methods_with(cli, used, &r, &chosen);
    if (st == OCT_OK)
        st = oct_scale_results_compute(cli, stats, true, &r);
    if (st == OCT_OK)
        st = oct_scale_results_report(cli, &r, chosen < 0 ? 0 : chosen, report);
    if (st == OCT_OK && chosen < 0)
        report->calibration->method = NULL;
    oct_scale_results_deinit(cli, &r);
    oct_stats_free(stats);
    return st;
}
