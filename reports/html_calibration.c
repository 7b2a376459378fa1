/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration: methods compared, histograms with every method's threshold.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/html_page_internal.h"
#include "reports/svg.h"

#define MAX_LINES 16
#define SHOWN 12

/* ---- methods ----------------------------------------------------------------------------- */

static void method_row(const oct_page *p, const oct_report_method *m, double best)
{
    oct_html_add(p->b, "<tr><td><b class=\"k$d\">$t</b>",
                 (int64_t)(oct_page_method_color(p->r, m->method) % OCT_SVG_COLORS), m->method);
    if (m->chosen)
        oct_strbuf_add(p->b, " <span class=\"badge small passed\">chosen</span>");
    oct_html_add(p->b, "</td><td class=\"n\">$2</td><td>", m->sqnr_db);
    oct_svg_bar(p->b, m->sqnr_db / best, m->chosen ? "b-good" : "b-soft");
    oct_html_add(p->b, "</td><td class=\"n\">$p</td><td class=\"name\">$t</td></tr>\n",
                 m->agreement, m->note);
}

static void settled(const oct_page *p, const oct_report_calibration *c)
{
    const char *look = !c->settled                          ? "none"
                       : strcmp(c->settled, "settled") == 0 ? "passed"
                                                            : "undecided";
    if (c->settled_text)
        oct_html_add(p->b, "<p><span class=\"badge small $r\">$t</span> $t</p>\n", look,
                     c->settled ? c->settled : "images", c->settled_text);
}

void oct_page_methods(const oct_page *p)
{
    const oct_report_calibration *c = p->r->calibration;
    if (!c || (c->n_methods == 0 && !c->settled_text))
        return;
    oct_page_open(p, "methods",
                  c->n_methods > 0 ? "Calibration methods" : "Enough calibration images?",
                  c->n_methods > 0 ? "Each method quantized the whole network; its outputs were "
                                     "compared with FP32 on calibration images that were held "
                                     "back. Test images and labels never choose."
                                   : NULL);
    settled(p, c);
    double best = 1;
    for (size_t i = 0; i < c->n_methods; i++)
        best = c->methods[i].sqnr_db > best ? c->methods[i].sqnr_db : best;
    if (c->n_methods > 0) {
        oct_page_table(p, "method|>output SQNR dB||>same answer %|");
        for (size_t i = 0; i < c->n_methods; i++)
            method_row(p, &c->methods[i], best);
        oct_page_table_end(p);
    }
    oct_page_close(p);
}

/* ---- histograms -------------------------------------------------------------------------- */

/* How far apart the methods are: largest threshold over smallest. */
static double disagreement(const oct_report_tensor *t)
{
    double lo = INFINITY, hi = 0;
    for (size_t i = 0; i < t->n_thresholds; i++) {
        const double a = t->thresholds[i].amax;
        if (!(a > 0))
            continue;
        lo = a < lo ? a : lo;
        hi = a > hi ? a : hi;
    }
    return hi > 0 ? hi / lo : 0;
}

static int by_disagreement(const void *pa, const void *pb)
{
    const oct_report_tensor *a = *(const oct_report_tensor *const *)pa,
                            *b = *(const oct_report_tensor *const *)pb;
    const double x = disagreement(a), y = disagreement(b);
    return x != y ? (x > y ? -1 : 1) : (a > b) - (a < b);
}

static void plot_tensor(const oct_page *p, const oct_report_tensor *t)
{
    oct_svg_line line[MAX_LINES];
    const size_t n = t->n_thresholds < MAX_LINES ? t->n_thresholds : MAX_LINES;
    for (size_t i = 0; i < n; i++)
        line[i] = (oct_svg_line){t->thresholds[i].method, t->thresholds[i].amax,
                                 oct_page_method_color(p->r, t->thresholds[i].method)};
    const oct_svg_histogram h = {.lo = t->histogram->lo,
                                 .hi = t->histogram->hi,
                                 .counts = t->histogram->counts,
                                 .n_counts = t->histogram->n_counts,
                                 .line = line,
                                 .n_lines = n,
                                 .width = 360,
                                 .height = 130};
    oct_strbuf_add(p->b, "<svg viewBox=\"-4 0 368 130\" role=\"img\">");
    oct_svg_add_histogram(p->b, &h);
    oct_strbuf_add(p->b, "</svg>");
}

static void figure(const oct_page *p, const oct_report_tensor *t)
{
    oct_strbuf_add(p->b, "<figure>");
    plot_tensor(p, t);
    oct_html_add(p->b, "<figcaption><b>$t</b>", t->name);
    const char *used = p->r->calibration->method;
    for (size_t i = 0; i < t->n_thresholds; i++) {
        const oct_report_threshold *h = &t->thresholds[i];
        if (t->n_thresholds > 1 && (!used || strcmp(used, h->method) != 0))
            continue;
        oct_html_add(p->b, "<br/>$t: amax $4, expected SQNR $1 dB", h->method, h->amax, h->sqnr_db);
        if (h->note && h->note[0])
            oct_html_add(p->b, " ($t)", h->note);
    }
    if (t->settled && strcmp(t->settled, "settled") != 0)
        oct_html_add(p->b, "<br/><span class=\"bad\">$t</span>", t->settled);
    oct_strbuf_add(p->b, "</figcaption></figure>\n");
}

static void legend(const oct_page *p, const oct_report_tensor *t)
{
    oct_strbuf_add(p->b, "<div class=\"legend\">");
    for (size_t i = 0; i < t->n_thresholds; i++) {
        const char *m = t->thresholds[i].method;
        const int64_t c = (int64_t)(oct_page_method_color(p->r, m) % OCT_SVG_COLORS);
        oct_html_add(
            p->b,
            "<span><svg viewBox=\"0 0 26 8\"><rect class=\"k$d\" width=\"26\" height=\"4\" "
            "y=\"2\"/></svg>$t</span>",
            c, m);
    }
    oct_strbuf_add(p->b, "</div>\n");
}

static void figures(const oct_page *p, const oct_report_tensor *const *list, size_t n)
{
    oct_strbuf_add(p->b, "<div class=\"figs\">\n");
    for (size_t i = 0; i < n; i++)
        figure(p, list[i]);
    oct_strbuf_add(p->b, "</div>\n");
}

void oct_page_histograms(const oct_page *p)
{
    const oct_report_calibration *c = p->r->calibration;
    if (!c || c->n_tensors == 0)
        return;
    const oct_report_tensor **list = oct_alloc_array(p->b->ctx, c->n_tensors, sizeof *list);
    if (!list) {
        p->b->failed = true;
        return;
    }
    size_t n = 0;
    for (size_t i = 0; i < c->n_tensors; i++)
        if (c->tensors[i].histogram && c->tensors[i].histogram->n_counts > 0)
            list[n++] = &c->tensors[i];
    qsort(list, n, sizeof *list, by_disagreement);
    if (n > 0) {
        oct_page_open(p, "histograms", "Histograms and thresholds",
                      "Values of each tensor over the calibration images, counts on a logarithmic "
                      "scale. Vertical lines are the thresholds of the methods: what lies outside "
                      "is clipped. Tensors on which the methods disagree most come first.");
        legend(p, list[0]);
        figures(p, list, n < SHOWN ? n : SHOWN);
        if (n > SHOWN) {
            oct_html_add(p->b, "<details><summary>All other tensors ($i)</summary>\n",
                         (int64_t)(n - SHOWN));
            figures(p, list + SHOWN, n - SHOWN);
            oct_strbuf_add(p->b, "</details>\n");
        }
        oct_page_close(p);
    }
    oct_free(p->b->ctx, (void *)list);
}
