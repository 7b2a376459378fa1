/* SPDX-License-Identifier: Apache-2.0
 *
 * Accuracy, differences, gates, speed.
 */
#include <math.h>
#include <string.h>

#include "reports/html_page_internal.h"
#include "reports/svg.h"

static void side_cell(oct_strbuf *b, const oct_report_side *s)
{
    oct_html_add(b, "<td class=\"name\"><b>$t</b>", oct_page_label(s));
    if (s->label && strcmp(s->label, s->name) != 0)
        oct_html_add(b, "<small>$t</small>", s->name);
    if (s->runtime)
        oct_html_add(b, "<small>$t</small>", s->runtime);
    oct_strbuf_add(b, "</td>");
}

static void percent_cell(oct_strbuf *b, double v, oct_report_interval i)
{
    oct_html_add(b, "<td class=\"n\">$p", v);
    if (!isnan(i.lo))
        oct_html_add(b, " <small>[$p, $p]</small>", i.lo, i.hi);
    oct_strbuf_add(b, "</td>");
}

static void widen(oct_svg_axis *a, double v)
{
    if (isnan(v))
        return;
    a->lo = isnan(a->lo) || v < a->lo ? v : a->lo;
    a->hi = isnan(a->hi) || v > a->hi ? v : a->hi;
}

static void pad_axis(oct_svg_axis *a)
{
    const double room = a->hi > a->lo ? 0.08 * (a->hi - a->lo) : 1e-3;
    a->lo -= room;
    a->hi += room;
}

/* ---- classes ----------------------------------------------------------------------------- */

static void class_table(const oct_page *p)
{
    const oct_report *r = p->r;
    oct_svg_axis axis = {NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < r->n_sides; i++) {
        widen(&axis, r->sides[i].top1);
        widen(&axis, r->sides[i].top1_interval.lo);
        widen(&axis, r->sides[i].top1_interval.hi);
    }
    pad_axis(&axis);
    axis.zero = r->sides[0].top1;
    oct_page_table(p, "side|>top-1 % [95 %]||>top-5 % [95 %]|>NaN or infinite");
    for (size_t i = 0; i < r->n_sides; i++) {
        const oct_report_side *s = &r->sides[i];
        oct_strbuf_add(p->b, "<tr>");
        side_cell(p->b, s);
        percent_cell(p->b, s->top1, s->top1_interval);
        oct_strbuf_add(p->b, "<td>");
        oct_svg_interval(p->b, &axis, s->top1, s->top1_interval.lo, s->top1_interval.hi);
        oct_strbuf_add(p->b, "</td>");
        percent_cell(p->b, s->top5, s->top5_interval);
        oct_html_add(p->b, "<td class=\"n\">$i</td></tr>\n", s->nonfinite_images);
    }
    oct_page_table_end(p);
}

/* ---- boxes ------------------------------------------------------------------------------- */

static void box_table(const oct_page *p)
{
    const oct_report *r = p->r;
    oct_page_table(p, "side|>AP|>AP50|>AP75|>small|>medium|>large|>AR1|>AR10|>AR100");
    for (size_t i = 0; i < r->n_sides; i++) {
        const oct_report_side *s = &r->sides[i];
        const double v[] = {s->ap,       s->ap50, s->ap75, s->ap_small, s->ap_medium,
                            s->ap_large, s->ar1,  s->ar10, s->ar100};
        oct_strbuf_add(p->b, "<tr>");
        side_cell(p->b, s);
        for (size_t k = 0; k < sizeof v / sizeof *v; k++)
            oct_html_add(p->b, "<td class=\"n\">$2</td>", 100 * v[k]);
        oct_strbuf_add(p->b, "</tr>\n");
    }
    oct_page_table_end(p);
}

/* ---- differences ------------------------------------------------------------------------- */

static double difference_of(const oct_report_pair *c, oct_report_interval *i)
{
    const bool boxes = isnan(c->top1_difference);
    *i = boxes ? c->ap_difference_interval : c->top1_difference_interval;
    return boxes ? c->ap_difference : c->top1_difference;
}

/* The tightest allowed drop, as a line in the plot. */
static double drop_limit(const oct_report *r)
{
    double limit = NAN;
    for (size_t i = 0; i < r->n_gates; i++)
        if (strcmp(r->gates[i].gate, "max-drop") == 0 &&
            (isnan(limit) || r->gates[i].limit < limit))
            limit = r->gates[i].limit;
    return -limit / 100;
}

static oct_svg_axis difference_axis(const oct_report *r)
{
    oct_svg_axis axis = {0, 0, drop_limit(r), 0};
    widen(&axis, axis.mark);
    for (size_t i = 0; i < r->n_comparisons; i++) {
        oct_report_interval k;
        widen(&axis, difference_of(&r->comparisons[i], &k));
        widen(&axis, k.lo);
        widen(&axis, k.hi);
    }
    pad_axis(&axis);
    return axis;
}

static void p_cell(oct_strbuf *b, double v)
{
    if (v < 1e-4)
        oct_strbuf_add(b, "<td class=\"n\">&lt; 0.0001</td>");
    else
        oct_html_add(b, "<td class=\"n\">$4</td>", v);
}

static void candidate_cell(const oct_page *p, const oct_report_pair *c)
{
    const oct_report_side *s = oct_page_side(p->r, c->candidate);
    oct_html_add(p->b, "<tr><td class=\"name\"><b>$t</b></td>",
                 s ? oct_page_label(s) : c->candidate);
}

static void difference_row(const oct_page *p, const oct_report_pair *c, const oct_svg_axis *axis)
{
    oct_report_interval i;
    const double d = difference_of(c, &i);
    candidate_cell(p, c);
    oct_html_add(p->b, "<td class=\"n\">$r$p", d > 0 ? "+" : "", d);
    if (!isnan(i.lo))
        oct_html_add(p->b, " <small>[$p, $p]</small>", i.lo, i.hi);
    oct_strbuf_add(p->b, "</td><td>");
    oct_svg_interval(p->b, axis, d, i.lo, i.hi);
    oct_strbuf_add(p->b, "</td>");
    if (!isnan(p->r->comparisons[0].mcnemar_p)) {
        oct_html_add(p->b, "<td class=\"n\">$i</td><td class=\"n\">$i</td>",
                     c->only_reference_right, c->only_candidate_right);
        p_cell(p->b, c->mcnemar_p);
    }
    oct_strbuf_add(p->b, "</tr>\n");
}

static void difference_table(const oct_page *p)
{
    const oct_report *r = p->r;
    const oct_svg_axis axis = difference_axis(r);
    oct_strbuf_add(p->b, "<h3>Difference from the reference</h3>\n");
    oct_page_table(p, isnan(r->comparisons[0].mcnemar_p)
                          ? "candidate|>points [95 %]|"
                          : "candidate|>points [95 %]||>only reference right|"
                            ">only candidate right|>McNemar p");
    for (size_t i = 0; i < r->n_comparisons; i++)
        difference_row(p, &r->comparisons[i], &axis);
    oct_page_table_end(p);
    if (!isnan(axis.mark))
        oct_html_add(p->b,
                     "<p class=\"soft\">The dashed line is the allowed drop, $2 points.</p>\n",
                     -100 * axis.mark);
}

static void output_table(const oct_page *p)
{
    const bool classes = !isnan(p->r->comparisons[0].agreement);
    oct_strbuf_add(p->b, "<h3>Outputs beside the reference\xe2\x80\x99s</h3>\n");
    oct_page_table(p, classes ? "candidate|>same answer % [95 %]|>SQNR dB|>cosine|>max error"
                              : "candidate|>SQNR dB|>cosine|>max error");
    for (size_t i = 0; i < p->r->n_comparisons; i++) {
        const oct_report_pair *c = &p->r->comparisons[i];
        candidate_cell(p, c);
        if (classes)
            percent_cell(p->b, c->agreement, c->agreement_interval);
        if (c->outputs_equal)
            oct_strbuf_add(p->b, "<td class=\"n\">equal</td>");
        else
            oct_html_add(p->b, "<td class=\"n\">$2</td>", c->sqnr_db);
        oct_html_add(p->b, "<td class=\"n\">$6</td><td class=\"n\">$4</td></tr>\n", c->cosine,
                     c->max_error);
    }
    oct_page_table_end(p);
}

void oct_page_accuracy(const oct_page *p)
{
    const oct_report *r = p->r;
    if (r->n_sides == 0)
        return;
    const bool classes = !isnan(r->sides[0].top1), boxes = !isnan(r->sides[0].ap);
    if (!classes && !boxes && r->n_comparisons == 0)
        return;
    oct_page_open(p, "accuracy", "Accuracy",
                  classes ? "All sides answered the same images. Intervals are Wilson\xe2\x80\x99s "
                            "for a share and adjusted Wald for the paired difference."
                  : boxes
                      ? "All sides answered the same images, judged by COCO\xe2\x80\x99s rules. "
                        "The interval of the difference is a paired bootstrap over images."
                      : "There are no labels, so only the answers can be compared, not "
                        "whether they are right.");
    if (classes)
        class_table(p);
    else if (boxes)
        box_table(p);
    if (r->n_comparisons > 0 && (classes || boxes))
        difference_table(p);
    if (r->n_comparisons > 0)
        output_table(p);
    oct_page_close(p);
}

/* ---- gates ------------------------------------------------------------------------------- */

void oct_page_gates(const oct_page *p)
{
    const oct_report *r = p->r;
    if (r->n_gates == 0)
        return;
    oct_page_open(p, "gates", "Gates", NULL);
    oct_page_table(p, "gate|candidate|>limit|>measured [95 %]|verdict|");
    for (size_t i = 0; i < r->n_gates; i++) {
        const oct_report_gate *g = &r->gates[i];
        const oct_report_side *s = g->candidate ? oct_page_side(r, g->candidate) : NULL;
        oct_html_add(p->b,
                     "<tr><td><code>--$t</code></td><td class=\"name\">$t</td>"
                     "<td class=\"n\">$2</td><td class=\"n\">$2",
                     g->gate, s ? oct_page_label(s) : g->candidate, g->limit, g->value);
        if (g->interval.lo < g->interval.hi)
            oct_html_add(p->b, " <small>[$2, $2]</small>", g->interval.lo, g->interval.hi);
        oct_html_add(p->b, "</td><td><span class=\"badge small $t\">$t</span></td><td>", g->verdict,
                     g->verdict);
        if (g->images_needed > 0)
            oct_html_add(p->b, "<small>about $i images would decide</small>", g->images_needed);
        oct_strbuf_add(p->b, "</td></tr>\n");
    }
    oct_page_table_end(p);
    oct_page_close(p);
}

/* ---- speed and size ---------------------------------------------------------------------- */

static void latency_cells(oct_strbuf *b, const oct_report_latency *l, double slowest)
{
    const double p50 = l ? l->p50_ms : NAN;
    oct_html_add(b, "<td class=\"n\">$3</td><td>", p50);
    oct_svg_bar(b, p50 / slowest, "b-acc");
    oct_html_add(b, "</td><td class=\"n\">$3</td><td class=\"n\">$3</td><td class=\"n\">$1</td>",
                 l ? l->p90_ms : (double)NAN, l ? l->p99_ms : (double)NAN,
                 l ? l->images_per_s : (double)NAN);
}

static void speed_row(oct_strbuf *b, const oct_report_side *s, bool timed, double slowest)
{
    oct_strbuf_add(b, "<tr>");
    side_cell(b, s);
    oct_html_add(b, "<td>$t</td>", s->precision);
    if (timed)
        latency_cells(b, s->latency, slowest);
    oct_html_add(b, "<td class=\"n\">$b</td></tr>\n", s->file_bytes);
}

void oct_page_speed(const oct_page *p)
{
    const oct_report *r = p->r;
    const oct_report_latency *any = NULL;
    double slowest = 0;
    bool sized = false;
    for (size_t i = 0; i < r->n_sides; i++) {
        const oct_report_latency *l = r->sides[i].latency;
        any = any ? any : l;
        slowest = l && l->p50_ms > slowest ? l->p50_ms : slowest;
        sized = sized || r->sides[i].file_bytes > 0;
    }
    if (!any && !sized)
        return;
    oct_page_open(p, "speed", any ? "Speed and size" : "Size", NULL);
    if (any)
        oct_html_add(p->b,
                     "<p class=\"lead\">Wall time of one run: batch $i, $i threads, $i runs a "
                     "side.</p>\n",
                     any->batch, any->threads, any->runs);
    oct_page_table(p, any ? "side|precision|>median ms||>p90 ms|>p99 ms|>images/s|>file"
                          : "side|precision|>file");
    for (size_t i = 0; i < r->n_sides; i++)
        speed_row(p->b, &r->sides[i], any != NULL, slowest);
    oct_page_table_end(p);
    oct_page_close(p);
}
