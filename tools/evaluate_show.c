/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "tools/evaluate_result.h"

/* ---- tables ------------------------------------------------------------------------------ */

static void cell_percent(oct_table *t, uint64_t k, uint64_t n, bool interval)
{
    char a[OCT_NUM_TEXT_BYTES], lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    const oct_interval w = oct_wilson(k, n);
    oct_fixed_text(100 * (double)k / (double)n, 3, a);
    if (interval)
        oct_table_strf(t, "%s [%s, %s]", a, oct_fixed_text(100 * w.lo, 2, lo),
                       oct_fixed_text(100 * w.hi, 2, hi));
    else
        oct_table_str(t, a);
}

static void cell_difference(oct_table *t, double value, oct_interval i)
{
    char a[OCT_NUM_TEXT_BYTES], lo[OCT_NUM_TEXT_BYTES], hi[OCT_NUM_TEXT_BYTES];
    oct_table_strf(t, "%s%s [%s, %s]", value > 0 ? "+" : "", oct_fixed_text(100 * value, 3, a),
                   oct_fixed_text(100 * i.lo, 2, lo), oct_fixed_text(100 * i.hi, 2, hi));
}

static oct_status class_table(oct_cli *cli, const oct_evaluation_view *v)
{
    const oct_evaluation *e = v->e;
    oct_table *t;
    OCT_TRY(oct_table_new(
        cli->ctx, "side|>top-1 % [95 %]|>top-5 %|>difference, points [95 %]|>McNemar p", &t));
    for (size_t k = 0; k < e->n_sides; k++) {
        oct_table_str(t, v->name[k]);
        cell_percent(t, e->side[k].n_top1, e->n_labelled, true);
        cell_percent(t, e->side[k].n_top5, e->n_labelled, false);
        if (k == 0) {
            oct_table_str(t, "reference");
            oct_table_str(t, "");
            continue;
        }
        const oct_paired_counts *c = &e->pair[k - 1].paired;
        cell_difference(t, oct_paired_delta(c), oct_paired_difference(c));
        oct_table_fixed(t, oct_mcnemar(c->only_ref, c->only_cand), 4);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status box_table(oct_cli *cli, const oct_evaluation_view *v)
{
    const oct_evaluation *e = v->e;
    oct_table *t;
    OCT_TRY(oct_table_new(
        cli->ctx, "side|>AP|>AP50|>AP75|>small|>medium|>large|>AP difference, points [95 %]", &t));
    for (size_t k = 0; k < e->n_sides; k++) {
        const oct_coco_result *r = &e->side[k].coco;
        const double ap[] = {r->ap, r->ap50, r->ap75, r->ap_small, r->ap_medium, r->ap_large};
        oct_table_str(t, v->name[k]);
        for (size_t i = 0; i < sizeof ap / sizeof *ap; i++)
            oct_table_fixed(t, ap[i] < 0 ? NAN : ap[i], 5);
        if (k == 0)
            oct_table_str(t, "reference");
        else
            cell_difference(t, r->ap - e->side[0].coco.ap, e->pair[k - 1].ap_difference);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status output_table(oct_cli *cli, const oct_evaluation_view *v)
{
    const oct_evaluation *e = v->e;
    oct_table *t;
    OCT_TRY(oct_table_new(
        cli->ctx, "candidate|>same top-1 % [95 %]|>output SQNR dB|>cosine|>max error|>NaN/inf",
        &t));
    for (size_t k = 1; k < e->n_sides; k++) {
        const oct_eval_pair *p = &e->pair[k - 1];
        oct_table_str(t, v->name[k]);
        if (e->n_classes > 0)
            cell_percent(t, p->n_agree, e->n, true);
        else
            oct_table_str(t, "-");
        if (isinf(p->sqnr_db))
            oct_table_str(t, p->sqnr_db > 0 ? "equal" : "-inf");
        else
            oct_table_fixed(t, p->sqnr_db, 2);
        oct_table_fixed(t, p->cosine, 6);
        oct_table_fixed(t, p->max_error, 5);
        oct_table_s64(t, (int64_t)e->side[k].n_nonfinite);
    }
    const oct_status st = oct_cli_print_table(cli, t);
    oct_table_free(t);
    return st;
}

static oct_status print_gate(oct_cli *cli, const oct_evaluation_view *v, const oct_gate *g)
{
    char lim[OCT_NUM_TEXT_BYTES], val[OCT_NUM_TEXT_BYTES], more[64] = "", name[512];
    if (g->verdict == OCT_GATE_UNDECIDED && g->needed > 0)
        snprintf(more, sizeof more, ", about %llu needed", (unsigned long long)g->needed);
    oct_printable(v->name[g->candidate + 1], name, sizeof name);
    oct_fixed_text(g->limit, 3, lim);
    oct_fixed_text(g->value, 3, val);
    if (g->verdict == OCT_GATE_UNDECIDED)
        return oct_cli_printf(cli, "gate --%s %s: %s has %s: not decided by %zu images%s\n",
                              oct_gate_option(g->kind), lim, name, val, v->e->n, more);
    return oct_cli_printf(cli, "gate --%s %s: %s has %s: %s\n", oct_gate_option(g->kind), lim, name,
                          val, oct_gate_verdict_str(g->verdict));
}

oct_status oct_evaluation_show(oct_cli *cli, const oct_evaluation_view *v)
{
    const oct_evaluation *e = v->e;
    if (e->detection)
        OCT_TRY(box_table(cli, v));
    else if (e->n_labelled > 0)
        OCT_TRY(class_table(cli, v));
    OCT_TRY(output_table(cli, v));
    if (!e->detection && e->n_labelled == 0)
        OCT_TRY(oct_cli_printf(cli, "no labels: %s only, accuracy is not known\n",
                               e->n_classes > 0 ? "agreement and output distances"
                                                : "output distances"));
    else if (!e->detection && e->n_labelled < e->n)
        OCT_TRY(oct_cli_printf(cli, "%llu of %zu images have labels\n",
                               (unsigned long long)e->n_labelled, e->n));
    for (size_t i = 0; i < v->n_gates; i++)
        OCT_TRY(print_gate(cli, v, &v->gate[i]));
    return OCT_OK;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void json_interval(oct_json *j, const char *key, oct_interval i)
{
    oct_json_key(j, key);
    oct_json_begin_array(j);
    oct_json_f64(j, i.lo);
    oct_json_f64(j, i.hi);
    oct_json_end_array(j);
}

static void json_coco(oct_json *j, const oct_coco_result *r)
{
    const struct {
        const char *key;
        double v;
    } item[] = {{"ap", r->ap},
                {"ap50", r->ap50},
                {"ap75", r->ap75},
                {"ap_small", r->ap_small},
                {"ap_medium", r->ap_medium},
                {"ap_large", r->ap_large},
                {"ar1", r->ar1},
                {"ar10", r->ar10},
                {"ar100", r->ar100},
                {"ar_small", r->ar_small},
                {"ar_medium", r->ar_medium},
                {"ar_large", r->ar_large}};
    for (size_t i = 0; i < sizeof item / sizeof *item; i++)
        oct_json_kv_f64(j, item[i].key, item[i].v < 0 ? NAN : item[i].v);
}

static void json_side(oct_json *j, const oct_evaluation_view *v, size_t k)
{
    const oct_evaluation *e = v->e;
    const oct_eval_side *s = &e->side[k];
    oct_json_begin_object(j);
    oct_json_kv_string(j, "name", v->name[k]);
    oct_json_kv_string(j, "role", k == 0 ? "reference" : "candidate");
    oct_json_kv_u64(j, "nonfinite_images", s->n_nonfinite);
    if (e->detection) {
        json_coco(j, &s->coco);
    } else if (e->n_labelled > 0) {
        oct_json_kv_u64(j, "n_top1", s->n_top1);
        oct_json_kv_u64(j, "n_top5", s->n_top5);
        oct_json_kv_f64(j, "top1", (double)s->n_top1 / (double)e->n_labelled);
        oct_json_kv_f64(j, "top5", (double)s->n_top5 / (double)e->n_labelled);
        json_interval(j, "top1_interval", oct_wilson(s->n_top1, e->n_labelled));
        json_interval(j, "top5_interval", oct_wilson(s->n_top5, e->n_labelled));
    }
    oct_json_end_object(j);
}

static void json_changes(oct_json *j, const oct_eval_pair *p)
{
    oct_json_key(j, "flips");
    oct_json_begin_array(j);
    for (size_t i = 0; i < p->n_flips; i++) {
        oct_json_begin_object(j);
        oct_json_kv_string(j, "image", p->flip[i].name);
        oct_json_kv_s64(j, "index", p->flip[i].index);
        oct_json_key(j, "label");
        if (p->flip[i].label == OCT_LABEL_NONE)
            oct_json_null(j);
        else
            oct_json_s64(j, p->flip[i].label);
        oct_json_kv_s64(j, "reference", p->flip[i].ref);
        oct_json_kv_s64(j, "candidate", p->flip[i].cand);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
    oct_json_key(j, "confusion_changes");
    oct_json_begin_array(j);
    for (size_t i = 0; i < p->n_confusion; i++) {
        oct_json_begin_object(j);
        oct_json_kv_s64(j, "reference", p->confusion[i].ref);
        oct_json_kv_s64(j, "candidate", p->confusion[i].cand);
        oct_json_kv_u64(j, "images", p->confusion[i].n);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static void json_pair(oct_json *j, const oct_evaluation_view *v, size_t c)
{
    const oct_evaluation *e = v->e;
    const oct_eval_pair *p = &e->pair[c];
    oct_json_begin_object(j);
    oct_json_kv_string(j, "candidate", v->name[c + 1]);
    oct_json_kv_f64(j, "sqnr_db", p->sqnr_db);
    oct_json_kv_bool(j, "outputs_equal", p->has_distance && isinf(p->sqnr_db) && p->sqnr_db > 0);
    oct_json_kv_f64(j, "cosine", p->cosine);
    oct_json_kv_f64(j, "max_error", p->max_error);
    if (e->detection) {
        oct_json_kv_f64(j, "ap_difference", e->side[c + 1].coco.ap - e->side[0].coco.ap);
        json_interval(j, "ap_difference_interval", p->ap_difference);
    } else if (e->n_labelled > 0) {
        oct_json_kv_u64(j, "both_right", p->paired.both);
        oct_json_kv_u64(j, "only_reference_right", p->paired.only_ref);
        oct_json_kv_u64(j, "only_candidate_right", p->paired.only_cand);
        oct_json_kv_u64(j, "both_wrong", p->paired.neither);
        oct_json_kv_f64(j, "top1_difference", oct_paired_delta(&p->paired));
        json_interval(j, "top1_difference_interval", oct_paired_difference(&p->paired));
        oct_json_kv_f64(j, "mcnemar_p", oct_mcnemar(p->paired.only_ref, p->paired.only_cand));
    }
    if (e->n_classes > 0) {
        oct_json_kv_u64(j, "n_agree", p->n_agree);
        oct_json_kv_f64(j, "agreement", (double)p->n_agree / (double)e->n);
        json_interval(j, "agreement_interval", oct_wilson(p->n_agree, e->n));
        json_changes(j, p);
    }
    oct_json_end_object(j);
}

static void json_gate(oct_json *j, const oct_evaluation_view *v, const oct_gate *g)
{
    oct_json_begin_object(j);
    oct_json_kv_string(j, "gate", oct_gate_option(g->kind));
    oct_json_kv_string(j, "candidate", v->name[g->candidate + 1]);
    oct_json_kv_f64(j, "limit", g->limit);
    oct_json_kv_f64(j, "value", g->value);
    json_interval(j, "interval", g->interval);
    oct_json_kv_string(j, "verdict", oct_gate_verdict_str(g->verdict));
    if (g->needed > 0)
        oct_json_kv_u64(j, "images_needed", g->needed);
    oct_json_end_object(j);
}

oct_status oct_evaluation_json(oct_cli *cli, const oct_evaluation_view *v)
{
    const oct_evaluation *e = v->e;
    oct_strbuf b;
    oct_json w, *j = &w;
    oct_strbuf_init(&b, cli->ctx);
    oct_json_init(j, &b, true);
    oct_json_begin_object(j);
    oct_json_kv_string(j, "schema", "octet.evaluate/1");
    oct_json_kv_string(j, "task",
                       e->detection       ? "detection"
                       : e->n_classes > 0 ? "classification"
                                          : "outputs");
    oct_json_kv_u64(j, "images", e->n);
    oct_json_kv_u64(j, "skipped", v->n_skipped);
    oct_json_kv_u64(j, "labelled", e->n_labelled);
    oct_json_kv_u64(j, "classes", e->n_classes);
    oct_json_kv_string(j, "preprocess", v->preprocess);
    oct_json_kv_bool(j, "suspect", oct_evaluation_is_suspect(e));
    oct_json_key(j, "sides");
    oct_json_begin_array(j);
    for (size_t k = 0; k < e->n_sides; k++)
        json_side(j, v, k);
    oct_json_end_array(j);
    oct_json_key(j, "comparisons");
    oct_json_begin_array(j);
    for (size_t c = 0; c + 1 < e->n_sides; c++)
        json_pair(j, v, c);
    oct_json_end_array(j);
    oct_json_key(j, "gates");
    oct_json_begin_array(j);
    for (size_t i = 0; i < v->n_gates; i++)
        json_gate(j, v, &v->gate[i]);
    oct_json_end_array(j);
    oct_json_end_object(j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_cli_emit_json(cli, &b);
    oct_strbuf_deinit(&b);
    return st;
}
