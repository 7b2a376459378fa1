/* SPDX-License-Identifier: Apache-2.0
 *
 * A report as tables and sentences for a terminal.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "reports/report.h"

#define WORST 5

static oct_status finish(oct_table *t, oct_strbuf *out)
{
    const oct_status st = oct_table_render(t, out);
    oct_table_free(t);
    return st;
}

static void line(oct_strbuf *out, const char *prefix, const char *text)
{
    char shown[1024];
    oct_strbuf_add(out, prefix);
    oct_strbuf_add(out, oct_printable(text, shown, sizeof shown));
    oct_strbuf_add(out, "\n");
}

static void cell_percent(oct_table *t, double share, const oct_report_interval *i)
{
    char a[OCT_NUM_TEXT_BYTES], lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    if (isnan(share))
        oct_table_str(t, "-");
    else if (i)
        oct_table_strf(t, "%s [%s, %s]", oct_fixed_text(100 * share, 3, a),
                       oct_fixed_text(100 * i->lo, 2, lo), oct_fixed_text(100 * i->hi, 2, hi));
    else
        oct_table_str(t, oct_fixed_text(100 * share, 3, a));
}

static void cell_difference(oct_table *t, double d, const oct_report_interval *i)
{
    char a[OCT_NUM_TEXT_BYTES], lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    if (isnan(d))
        oct_table_str(t, "-");
    else
        oct_table_strf(t, "%s%s [%s, %s]", d > 0 ? "+" : "", oct_fixed_text(100 * d, 3, a),
                       oct_fixed_text(100 * i->lo, 2, lo), oct_fixed_text(100 * i->hi, 2, hi));
}

static void cell_db(oct_table *t, double db, bool equal)
{
    if (equal)
        oct_table_str(t, "equal");
    else
        oct_table_fixed(t, db, 2);
}

/* The comparison that side k is the candidate of. */
static const oct_report_pair *pair_of(const oct_report *r, size_t k)
{
    return k > 0 && k - 1 < r->n_comparisons ? &r->comparisons[k - 1] : NULL;
}

static oct_status class_table(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    oct_table *t;
    OCT_TRY(oct_table_new(
        ctx, "side|>top-1 % [95 %]|>top-5 %|>difference, points [95 %]|>McNemar p", &t));
    for (size_t k = 0; k < r->n_sides; k++) {
        const oct_report_side *s = &r->sides[k];
        const oct_report_pair *c = pair_of(r, k);
        oct_table_str(t, s->name);
        cell_percent(t, s->top1, &s->top1_interval);
        cell_percent(t, s->top5, NULL);
        if (c)
            cell_difference(t, c->top1_difference, &c->top1_difference_interval);
        else
            oct_table_str(t, "reference");
        if (c)
            oct_table_fixed(t, c->mcnemar_p, 4);
        else
            oct_table_str(t, "");
    }
    return finish(t, out);
}

static oct_status box_table(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    oct_table *t;
    OCT_TRY(oct_table_new(
        ctx, "side|>AP|>AP50|>AP75|>small|>medium|>large|>AP difference, points [95 %]", &t));
    for (size_t k = 0; k < r->n_sides; k++) {
        const oct_report_side *s = &r->sides[k];
        const oct_report_pair *c = pair_of(r, k);
        const double ap[] = {s->ap, s->ap50, s->ap75, s->ap_small, s->ap_medium, s->ap_large};
        oct_table_str(t, s->name);
        for (size_t i = 0; i < sizeof ap / sizeof *ap; i++)
            oct_table_fixed(t, ap[i], 5);
        if (c)
            cell_difference(t, c->ap_difference, &c->ap_difference_interval);
        else
            oct_table_str(t, "reference");
    }
    return finish(t, out);
}

static oct_status output_table(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    oct_table *t;
    OCT_TRY(oct_table_new(
        ctx, "candidate|>same top-1 % [95 %]|>output SQNR dB|>cosine|>max error|>NaN/inf", &t));
    for (size_t i = 0; i < r->n_comparisons; i++) {
        const oct_report_pair *c = &r->comparisons[i];
        oct_table_str(t, c->candidate);
        cell_percent(t, c->agreement, &c->agreement_interval);
        cell_db(t, c->sqnr_db, c->outputs_equal);
        oct_table_fixed(t, c->cosine, 6);
        oct_table_fixed(t, c->max_error, 5);
        if (i + 1 < r->n_sides && r->sides[i + 1].nonfinite_images >= 0)
            oct_table_s64(t, r->sides[i + 1].nonfinite_images);
        else
            oct_table_str(t, "-");
    }
    return finish(t, out);
}

static oct_status speed_table(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    oct_table *t;
    OCT_TRY(oct_table_new(ctx, "side|>median ms|>p90|>p99|>images/s|>speed-up", &t));
    for (size_t k = 0; k < r->n_sides; k++) {
        const oct_report_latency *l = r->sides[k].latency, *ref = r->sides[0].latency;
        oct_table_str(t, r->sides[k].name);
        oct_table_fixed(t, l ? l->p50_ms : (double)NAN, 3);
        oct_table_fixed(t, l ? l->p90_ms : (double)NAN, 3);
        oct_table_fixed(t, l ? l->p99_ms : (double)NAN, 3);
        oct_table_fixed(t, l ? l->images_per_s : (double)NAN, 1);
        oct_table_fixed(t, l && ref ? ref->p50_ms / l->p50_ms : (double)NAN, 2);
    }
    return finish(t, out);
}

static oct_status method_table(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    oct_table *t;
    OCT_TRY(oct_table_new(ctx, "method|>output SQNR dB|>same answer %|choice", &t));
    for (size_t i = 0; i < r->calibration->n_methods; i++) {
        const oct_report_method *m = &r->calibration->methods[i];
        oct_table_str(t, m->method);
        oct_table_fixed(t, m->sqnr_db, 2);
        oct_table_fixed(t, 100 * m->agreement, 2);
        oct_table_str(t, m->chosen ? "chosen" : m->note ? m->note : "");
    }
    return finish(t, out);
}

static int by_sqnr(const void *pa, const void *pb)
{
    const oct_report_value *a = *(const oct_report_value *const *)pa,
                           *b = *(const oct_report_value *const *)pb;
    const double x = isnan(a->sqnr_db) ? INFINITY : a->sqnr_db;
    const double y = isnan(b->sqnr_db) ? INFINITY : b->sqnr_db;
    return x != y ? (x < y ? -1 : 1) : (a > b) - (a < b);
}

static oct_status worst_table(oct_ctx *ctx, const oct_report_pair *c, oct_strbuf *out)
{
    oct_table *t;
    const oct_report_value **list = oct_alloc_array(ctx, c->n_values, sizeof *list);
    if (!list)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < c->n_values; i++)
        list[i] = &c->values[i];
    qsort(list, c->n_values, sizeof *list, by_sqnr);
    oct_status st =
        oct_table_new(ctx, "worst tensors|op|>SQNR dB|>cosine|>max error|>saturated %", &t);
    for (size_t i = 0; st == OCT_OK && i < c->n_values && i < WORST; i++) {
        oct_table_str(t, list[i]->name);
        oct_table_str(t, list[i]->op);
        cell_db(t, list[i]->sqnr_db, list[i]->equal);
        oct_table_fixed(t, list[i]->cosine, 6);
        oct_table_fixed(t, list[i]->max_error, 4);
        oct_table_fixed(t, 100 * list[i]->saturation, 3);
    }
    oct_free(ctx, (void *)list);
    return st == OCT_OK ? finish(t, out) : st;
}

static void coverage(const oct_report *r, oct_strbuf *out)
{
    for (size_t i = 0; i < r->n_sides; i++) {
        const oct_report_side *s = &r->sides[i];
        size_t done = 0;
        for (size_t k = 0; k < s->n_nodes; k++)
            done += s->nodes[k].quantized;
        if (s->n_nodes == 0)
            continue;
        oct_strbuf_addf(out, "%zu of %zu nodes compute in INT8", done, s->n_nodes);
        line(out, ": ", s->name);
    }
}

static void labels(const oct_report *r, oct_strbuf *out)
{
    if (!r->task || strcmp(r->task, "detection") == 0 || r->labelled < 0)
        return;
    if (r->labelled == 0)
        oct_strbuf_addf(out, "no labels: %s only, accuracy is not known\n",
                        r->classes > 0 ? "agreement and output distances" : "output distances");
    else if (r->labelled < r->images)
        oct_strbuf_addf(out, "%lld of %lld images have labels\n", (long long)r->labelled,
                        (long long)r->images);
}

static void gate(const oct_report *r, const oct_report_gate *g, oct_strbuf *out)
{
    char name[512], option[80], limit[OCT_NUM_TEXT_BYTES], value[OCT_NUM_TEXT_BYTES];
    oct_strbuf_addf(out, "gate --%s %s: %s has %s: ", oct_printable(g->gate, option, sizeof option),
                    oct_fixed_text(g->limit, 3, limit),
                    oct_printable(g->candidate ? g->candidate : "", name, sizeof name),
                    oct_fixed_text(g->value, 3, value));
    if (!g->verdict || strcmp(g->verdict, "undecided") != 0)
        oct_strbuf_addf(out, "%s\n", g->verdict ? g->verdict : "-");
    else if (g->images_needed > 0)
        oct_strbuf_addf(out, "not decided by %lld images, about %lld needed\n",
                        (long long)r->images, (long long)g->images_needed);
    else
        oct_strbuf_addf(out, "not decided by %lld images\n", (long long)r->images);
}

static bool has_latency(const oct_report *r)
{
    for (size_t i = 0; i < r->n_sides; i++)
        if (r->sides[i].latency)
            return true;
    return false;
}

oct_status oct_report_terminal(oct_ctx *ctx, const oct_report *r, oct_strbuf *out)
{
    const bool sides = r->n_sides > 0;
    if (sides && !isnan(r->sides[0].ap))
        OCT_TRY(box_table(ctx, r, out));
    else if (sides && !isnan(r->sides[0].top1))
        OCT_TRY(class_table(ctx, r, out));
    if (r->n_comparisons > 0)
        OCT_TRY(output_table(ctx, r, out));
    if (has_latency(r))
        OCT_TRY(speed_table(ctx, r, out));
    if (r->calibration && r->calibration->n_methods > 0)
        OCT_TRY(method_table(ctx, r, out));
    for (size_t i = 0; i < r->n_comparisons; i++)
        if (r->comparisons[i].n_values > 0)
            OCT_TRY(worst_table(ctx, &r->comparisons[i], out));
    coverage(r, out);
    if (r->calibration && r->calibration->settled_text)
        line(out, "scales: ", r->calibration->settled_text);
    labels(r, out);
    for (size_t i = 0; i < r->n_notes; i++)
        line(out, "note: ", r->notes[i]);
    for (size_t i = 0; i < r->n_gates; i++)
        gate(r, &r->gates[i], out);
    if (r->verdict_text)
        line(out, "verdict: ", r->verdict_text);
    return oct_strbuf_status(out);
}
