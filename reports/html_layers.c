/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor by tensor: SQNR along the network, the worst ones, coverage, weights.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reports/html_page_internal.h"
#include "reports/svg.h"

#define WORST 16
#define PLOT_W 1060.0
#define PLOT_H 170.0
#define PLOT_LEFT 34.0
#define PLOT_TOP 8.0

/* ---- SQNR along the network -------------------------------------------------------------- */

static double shown_db(const oct_report_value *v)
{
    return v->equal || v->sqnr_db > 60 ? 60 : v->sqnr_db < 0 ? 0 : v->sqnr_db;
}

static const char *look_of(double db)
{
    return db < 10 ? "b-bad" : db < 20 ? "b-mid" : "b-good";
}

static double plot_y(double db)
{
    return PLOT_TOP + (60 - db) / 60 * (PLOT_H - 24);
}

static void plot_grid(oct_strbuf *b)
{
    for (int db = 0; db <= 60; db += 20)
        oct_html_add(b,
                     "<path class=\"grid\" d=\"M$1 $1H$1\"/><text class=\"ax\" x=\"$1\" y=\"$1\" "
                     "text-anchor=\"end\">$d</text>\n",
                     PLOT_LEFT, plot_y(db), PLOT_W, PLOT_LEFT - 6, plot_y(db) + 3.5, (int64_t)db);
    oct_html_add(b,
                 "<text class=\"ax\" x=\"$1\" y=\"$1\">input</text><text class=\"ax\" x=\"$1\" "
                 "y=\"$1\" text-anchor=\"end\">output</text>\n",
                 PLOT_LEFT, PLOT_H - 3, PLOT_W, PLOT_H - 3);
}

static void plot_values(const oct_page *p, const oct_report_pair *c)
{
    oct_strbuf *b = p->b;
    const double step = c->n_values > 1 ? (PLOT_W - PLOT_LEFT - 12) / (double)(c->n_values - 1) : 0;
    oct_html_add(b, "<div class=\"plot\"><svg viewBox=\"0 0 1066 170\" role=\"img\"><title>SQNR in "
                    "dB of every tensor "
                    "in execution order</title>\n");
    plot_grid(b);
    const char *move = "M";
    oct_strbuf_add(b, "<path class=\"lineplot\" d=\"");
    for (size_t i = 0; i < c->n_values; i++)
        if (c->values[i].equal || !isnan(c->values[i].sqnr_db)) {
            oct_html_add(b, "$r$1 $1", move, PLOT_LEFT + 6 + step * (double)i,
                         plot_y(shown_db(&c->values[i])));
            move = "L";
        }
    oct_strbuf_add(b, "\"/>\n");
    for (size_t i = 0; i < c->n_values; i++) {
        const oct_report_value *v = &c->values[i];
        if (!v->equal && isnan(v->sqnr_db))
            continue;
        oct_html_add(b, "<circle class=\"$r\" cx=\"$1\" cy=\"$1\" r=\"3.4\"><title>$t: ",
                     look_of(shown_db(v)), PLOT_LEFT + 6 + step * (double)i, plot_y(shown_db(v)),
                     v->name);
        if (v->equal)
            oct_strbuf_add(b, "equal</title></circle>\n");
        else
            oct_html_add(b, "$1 dB</title></circle>\n", v->sqnr_db);
    }
    oct_strbuf_add(b, "</svg></div>\n");
}

/* ---- tables ------------------------------------------------------------------------------ */

static int by_sqnr(const void *pa, const void *pb)
{
    const oct_report_value *a = *(const oct_report_value *const *)pa,
                           *b = *(const oct_report_value *const *)pb;
    const double x = a->equal || isnan(a->sqnr_db) ? INFINITY : a->sqnr_db;
    const double y = b->equal || isnan(b->sqnr_db) ? INFINITY : b->sqnr_db;
    return x != y ? (x < y ? -1 : 1) : (a > b) - (a < b);
}

static void value_row(oct_strbuf *b, const oct_report_value *v)
{
    oct_html_add(b, "<tr><td class=\"name\">$t</td><td>$t</td><td class=\"n\">", v->name, v->op);
    if (v->equal)
        oct_strbuf_add(b, "equal");
    else
        oct_html_add(b, "$1", v->sqnr_db);
    oct_strbuf_add(b, "</td><td>");
    oct_svg_bar(b, shown_db(v) / 60, look_of(shown_db(v)));
    oct_html_add(b,
                 "</td><td class=\"n\">$5</td><td class=\"n\">$4</td><td class=\"n\">$3</td>"
                 "<td class=\"n\">$6</td></tr>\n",
                 v->cosine, v->max_error, 100 * v->saturation, v->scale);
}

static void value_table(const oct_page *p, const oct_report_value *const *list, size_t n)
{
    oct_page_table(p, "tensor|made by|>SQNR dB||>cosine|>max error|>saturated %|>scale");
    for (size_t i = 0; i < n; i++)
        value_row(p->b, list[i]);
    oct_page_table_end(p);
}

static void value_tables(const oct_page *p, const oct_report_pair *c)
{
    const oct_report_value **list = oct_alloc_array(p->b->ctx, c->n_values, sizeof *list);
    if (!list) {
        p->b->failed = true;
        return;
    }
    for (size_t i = 0; i < c->n_values; i++)
        list[i] = &c->values[i];
    qsort(list, c->n_values, sizeof *list, by_sqnr);
    const size_t n = c->n_values < WORST ? c->n_values : WORST;
    oct_html_add(p->b, "<h3>$r</h3>\n", n < c->n_values ? "Worst tensors" : "Worst first");
    value_table(p, list, n);
    if (n < c->n_values) {
        oct_html_add(p->b, "<details><summary>All other tensors ($i)</summary>\n",
                     (int64_t)(c->n_values - n));
        value_table(p, list + n, c->n_values - n);
        oct_strbuf_add(p->b, "</details>\n");
    }
    oct_free(p->b->ctx, (void *)list);
}

static void removed(const oct_page *p, const oct_report_pair *c)
{
    if (c->n_values_removed == 0)
        return;
    oct_html_add(p->b, "<details><summary>Tensors that only one side has ($i)</summary>\n",
                 (int64_t)c->n_values_removed);
    oct_page_table(p, "tensor|because");
    for (size_t i = 0; i < c->n_values_removed; i++)
        oct_html_add(p->b, "<tr><td class=\"name\">$t</td><td>$t</td></tr>\n",
                     c->values_removed[i].name, c->values_removed[i].reason);
    oct_page_table_end(p);
    oct_strbuf_add(p->b, "</details>\n");
}

void oct_page_layers(const oct_page *p)
{
    bool open = false;
    for (size_t i = 0; i < p->r->n_comparisons; i++) {
        const oct_report_pair *c = &p->r->comparisons[i];
        const oct_report_side *s = oct_page_side(p->r, c->candidate);
        if (c->n_values == 0)
            continue;
        if (!open)
            oct_page_open(p, "layers", "Layer by layer",
                          "Signal to quantization noise of every tensor that both sides have, on "
                          "the same images. Below 20 dB an error is more than a tenth of the "
                          "signal; 60 dB and more is drawn as 60.");
        open = true;
        oct_html_add(p->b, "<h3>$t", s ? oct_page_label(s) : c->candidate);
        if (c->values_images > 0)
            oct_html_add(p->b, " <span class=\"soft\">over $i images</span>", c->values_images);
        oct_strbuf_add(p->b, "</h3>\n");
        plot_values(p, c);
        value_tables(p, c);
        removed(p, c);
    }
    if (open)
        oct_page_close(p);
}

/* ---- coverage ---------------------------------------------------------------------------- */

static void node_table(const oct_page *p, const oct_report_side *s, bool quantized)
{
    oct_page_table(p, quantized ? "node|op" : "node|op|because");
    for (size_t i = 0; i < s->n_nodes; i++) {
        const oct_report_node *n = &s->nodes[i];
        if (n->quantized != quantized)
            continue;
        oct_html_add(p->b, "<tr><td class=\"name\">$t</td><td>$t</td>", n->node, n->op);
        if (!quantized)
            oct_html_add(p->b, "<td>$t</td>", n->reason);
        oct_strbuf_add(p->b, "</tr>\n");
    }
    oct_page_table_end(p);
}

static void coverage_side(const oct_page *p, const oct_report_side *s)
{
    size_t done = 0;
    for (size_t i = 0; i < s->n_nodes; i++)
        done += s->nodes[i].quantized;
    const double share = (double)done / (double)s->n_nodes;
    oct_html_add(p->b, "<h3>$t: $i of $i nodes are INT8 ($0 %)</h3>\n", oct_page_label(s),
                 (int64_t)done, (int64_t)s->n_nodes, 100 * share);
    oct_svg_bar(p->b, share, "b-good");
    if (done < s->n_nodes)
        node_table(p, s, false);
    if (done == 0)
        return;
    oct_html_add(p->b, "<details><summary>INT8 nodes ($i)</summary>\n", (int64_t)done);
    node_table(p, s, true);
    oct_strbuf_add(p->b, "</details>\n");
}

void oct_page_coverage(const oct_page *p)
{
    bool open = false;
    for (size_t i = 0; i < p->r->n_sides; i++) {
        if (p->r->sides[i].n_nodes == 0)
            continue;
        if (!open)
            oct_page_open(p, "coverage", "INT8 coverage",
                          "What computes with integers, and why the rest does not.");
        open = true;
        coverage_side(p, &p->r->sides[i]);
    }
    if (open)
        oct_page_close(p);
}

/* ---- weights ----------------------------------------------------------------------------- */

static double decade(double v)
{
    return v > 0 ? log10(v) : NAN;
}

static oct_svg_axis weight_axis(const oct_report *r)
{
    oct_svg_axis a = {NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < r->n_weights; i++) {
        const double lo = decade(r->weights[i].amax_min), hi = decade(r->weights[i].amax_max);
        a.lo = isnan(a.lo) || lo < a.lo ? lo : a.lo;
        a.hi = isnan(a.hi) || hi > a.hi ? hi : a.hi;
    }
    a.lo = isnan(a.lo) ? 0 : a.lo - 0.1;
    a.hi = isnan(a.hi) ? 1 : a.hi + 0.1;
    return a;
}

static void weight_rows(const oct_page *p, size_t from, size_t to, const oct_svg_axis *axis)
{
    oct_page_table(p, "weight|node|>channels|>smallest|>median|>largest|log scale|>ratio|>SQNR dB");
    for (size_t i = from; i < to; i++) {
        const oct_report_weight *w = &p->r->weights[i];
        oct_html_add(p->b,
                     "<tr><td class=\"name\">$t</td><td class=\"name\">$t</td><td class=\"n\">$i"
                     "</td><td class=\"n\">$6</td><td class=\"n\">$4</td><td class=\"n\">$4</td>"
                     "<td>",
                     w->name, w->node, w->channels, w->amax_min, w->amax_median, w->amax_max);
        oct_svg_interval(p->b, axis, decade(w->amax_median), decade(w->amax_min),
                         decade(w->amax_max));
        oct_html_add(p->b, "</td><td class=\"n\">$0</td><td class=\"n\">$1</td></tr>\n",
                     w->amax_min > 0 ? w->amax_max / w->amax_min : (double)NAN, w->sqnr_db);
    }
    oct_page_table_end(p);
}

void oct_page_weights(const oct_page *p)
{
    const oct_report *r = p->r;
    if (r->n_weights == 0)
        return;
    oct_page_open(p, "weights", "Weight ranges",
                  "Largest magnitude of each output channel. A wide spread is why weights get one "
                  "scale a channel: with one scale for all, the smallest channels would vanish.");
    const oct_svg_axis axis = weight_axis(r);
    const size_t n = r->n_weights < WORST ? r->n_weights : WORST;
    weight_rows(p, 0, n, &axis);
    if (n < r->n_weights) {
        oct_html_add(p->b, "<details><summary>All other weights ($i)</summary>\n",
                     (int64_t)(r->n_weights - n));
        weight_rows(p, n, r->n_weights, &axis);
        oct_strbuf_add(p->b, "</details>\n");
    }
    oct_page_close(p);
}
