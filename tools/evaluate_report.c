/* SPDX-License-Identifier: Apache-2.0
 *
 * What an evaluation found, as a report.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "tools/evaluate_result.h"

static double known(double ap)
{
    return ap < 0 ? (double)NAN : ap;
}

static oct_report_interval interval(oct_interval i)
{
    return (oct_report_interval){i.lo, i.hi};
}

/* ---- sides ------------------------------------------------------------------------------- */

static void fill_boxes(const oct_coco_result *c, oct_report_side *s)
{
    s->ap = known(c->ap);
    s->ap50 = known(c->ap50);
    s->ap75 = known(c->ap75);
    s->ap_small = known(c->ap_small);
    s->ap_medium = known(c->ap_medium);
    s->ap_large = known(c->ap_large);
    s->ar1 = known(c->ar1);
    s->ar10 = known(c->ar10);
    s->ar100 = known(c->ar100);
    s->ar_small = known(c->ar_small);
    s->ar_medium = known(c->ar_medium);
    s->ar_large = known(c->ar_large);
}

static void fill_classes(const oct_eval_side *e, uint64_t n, oct_report_side *s)
{
    s->n_top1 = (int64_t)e->n_top1;
    s->n_top5 = (int64_t)e->n_top5;
    s->top1 = (double)e->n_top1 / (double)n;
    s->top5 = (double)e->n_top5 / (double)n;
    s->top1_interval = interval(oct_wilson(e->n_top1, n));
    s->top5_interval = interval(oct_wilson(e->n_top5, n));
}

/* The file itself; recorded outputs too. */
static oct_status fill_file(const oct_side_info *info, oct_report *r, oct_report_side *s)
{
    oct_sha256 hash;
    char hex[OCT_SHA256_HEX_BYTES];
    OCT_TRY(oct_sha256_of_file(r->ctx, info->path, &hash));
    s->file_bytes = oct_path_bytes(info->path);
    s->sha256 = oct_report_text(r, oct_sha256_hex(&hash, hex));
    return s->sha256 ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status fill_side(const oct_evaluation_view *v, size_t k, oct_report *r,
                            oct_report_side *s)
{
    const oct_evaluation *e = v->e;
    const oct_side_info *info = v->info ? &v->info[k] : NULL;
    s->name = oct_report_text(r, v->name[k]);
    s->role = k == 0 ? "reference" : "candidate";
    s->nonfinite_images = (int64_t)e->side[k].n_nonfinite;
    if (e->detection)
        fill_boxes(&e->side[k].coco, s);
    else if (e->n_labelled > 0)
        fill_classes(&e->side[k], e->n_labelled, s);
    if (info) {
        s->label = oct_report_text(r, info->label);
        s->runtime = oct_report_text(r, info->runtime);
        s->precision = oct_report_text(r, info->precision);
    }
    if (info && info->path)
        OCT_TRY(fill_file(info, r, s));
    return s->name ? OCT_OK : OCT_ERR_NOMEM;
}

/* ---- comparisons ------------------------------------------------------------------------- */

static const char *class_name(const oct_evaluation_view *v, int32_t c)
{
    return v->class_name && c >= 0 && (size_t)c < v->n_class_names ? v->class_name[c] : NULL;
}

static oct_status fill_flips(const oct_evaluation_view *v, const oct_eval_pair *p, oct_report *r,
                             oct_report_pair *c)
{
    c->flips = oct_report_array(r, OCT_REPORT_FLIP, p->n_flips);
    if (!c->flips)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < p->n_flips; i++) {
        const oct_eval_flip *f = &p->flip[i];
        oct_report_flip *to = &c->flips[i];
        to->image = oct_report_text(r, f->name);
        to->index = f->index;
        to->label = f->label == OCT_LABEL_NONE ? -1 : f->label;
        to->reference = f->ref;
        to->candidate = f->cand;
        to->label_name = to->label < 0 ? NULL : oct_report_text(r, class_name(v, f->label));
        to->reference_name = oct_report_text(r, class_name(v, f->ref));
        to->candidate_name = oct_report_text(r, class_name(v, f->cand));
        if (!to->image)
            return OCT_ERR_NOMEM;
    }
    c->n_flips = p->n_flips;
    c->n_flips_all = (int64_t)(v->e->n - p->n_agree);
    return OCT_OK;
}

static oct_status fill_confusion(const oct_evaluation_view *v, const oct_eval_pair *p,
                                 oct_report *r, oct_report_pair *c)
{
    c->confusion_changes = oct_report_array(r, OCT_REPORT_CONFUSION, p->n_confusion);
    if (!c->confusion_changes)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < p->n_confusion; i++) {
        oct_report_confusion *to = &c->confusion_changes[i];
        to->reference = p->confusion[i].ref;
        to->candidate = p->confusion[i].cand;
        to->reference_name = oct_report_text(r, class_name(v, p->confusion[i].ref));
        to->candidate_name = oct_report_text(r, class_name(v, p->confusion[i].cand));
        to->images = (int64_t)p->confusion[i].n;
    }
    c->n_confusion_changes = p->n_confusion;
    return OCT_OK;
}

static void fill_paired(const oct_paired_counts *n, oct_report_pair *c)
{
    c->both_right = (int64_t)n->both;
    c->only_reference_right = (int64_t)n->only_ref;
    c->only_candidate_right = (int64_t)n->only_cand;
    c->both_wrong = (int64_t)n->neither;
    c->top1_difference = oct_paired_delta(n);
    c->top1_difference_interval = interval(oct_paired_difference(n));
    c->mcnemar_p = oct_mcnemar(n->only_ref, n->only_cand);
}

static oct_status fill_pair(const oct_evaluation_view *v, size_t i, oct_report *r,
                            oct_report_pair *c)
{
    const oct_evaluation *e = v->e;
    const oct_eval_pair *p = &e->pair[i];
    c->candidate = oct_report_text(r, v->name[i + 1]);
    if (!c->candidate)
        return OCT_ERR_NOMEM;
    if (p->has_distance) {
        c->sqnr_db = p->sqnr_db;
        c->outputs_equal = isinf(p->sqnr_db) && p->sqnr_db > 0;
        c->cosine = p->cosine;
        c->max_error = p->max_error;
    }
    if (e->detection) {
        c->ap_difference = e->side[i + 1].coco.ap - e->side[0].coco.ap;
        c->ap_difference_interval = interval(p->ap_difference);
    } else if (e->n_labelled > 0) {
        fill_paired(&p->paired, c);
    }
    if (e->n_classes == 0)
        return OCT_OK;
    c->n_agree = (int64_t)p->n_agree;
    c->agreement = (double)p->n_agree / (double)e->n;
    c->agreement_interval = interval(oct_wilson(p->n_agree, e->n));
    OCT_TRY(fill_flips(v, p, r, c));
    return fill_confusion(v, p, r, c);
}

/* ---- gates and verdict ------------------------------------------------------------------- */

static oct_status fill_gates(const oct_evaluation_view *v, oct_report *r)
{
    r->gates = oct_report_array(r, OCT_REPORT_GATE, v->n_gates);
    if (!r->gates)
        return OCT_ERR_NOMEM;
    r->n_gates = v->n_gates;
    for (size_t i = 0; i < v->n_gates; i++) {
        const oct_gate *g = &v->gate[i];
        oct_report_gate *to = &r->gates[i];
        to->gate = oct_gate_option(g->kind);
        to->candidate = r->sides[g->candidate + 1].name;
        to->limit = g->limit;
        to->value = g->value;
        to->interval = interval(g->interval);
        to->verdict = oct_gate_verdict_str(g->verdict);
        if (g->needed > 0)
            to->images_needed = (int64_t)g->needed;
    }
    return OCT_OK;
}

/* "top-1 changes by -0.35 points [-0.71, 0.01]", or what is known instead. */
static void say_change(const oct_report *r, const oct_report_pair *c, oct_strbuf *b)
{
    const bool boxes = !isnan(c->ap_difference);
    const double d = boxes ? c->ap_difference : c->top1_difference;
    const oct_report_interval i = boxes ? c->ap_difference_interval : c->top1_difference_interval;
    if (isnan(d)) {
        oct_strbuf_add(b, isnan(c->agreement) ? "outputs differ" : "the answer is the same on ");
        if (!isnan(c->agreement)) {
            oct_strbuf_add_fixed(b, 100 * c->agreement, 2);
            oct_strbuf_addf(b, " %% of %lld images", (long long)r->images);
        }
        return;
    }
    oct_strbuf_addf(b, "%s changes by %s", boxes ? "AP" : "top-1", d > 0 ? "+" : "");
    oct_strbuf_add_fixed(b, 100 * d, 2);
    oct_strbuf_add(b, " points [");
    oct_strbuf_add_fixed(b, 100 * i.lo, 2);
    oct_strbuf_add(b, ", ");
    oct_strbuf_add_fixed(b, 100 * i.hi, 2);
    oct_strbuf_add(b, "]");
}

static void say_gate(const oct_evaluation_view *v, const oct_gate *g, oct_strbuf *b)
{
    static const char *const outcome[] = {"is kept", "is not kept", "is not decided by"};
    oct_strbuf_addf(b, "; --%s ", oct_gate_option(g->kind));
    oct_strbuf_add_f64(b, g->limit);
    oct_strbuf_addf(b, " %s", outcome[g->verdict]);
    if (g->verdict == OCT_GATE_UNDECIDED) {
        oct_strbuf_addf(b, " %zu images", v->e->n);
        if (g->needed > 0)
            oct_strbuf_addf(b, ", about %llu needed", (unsigned long long)g->needed);
    }
}

/* The gate that decides: the first failed one, else the first undecided one, else the first. */
static const oct_gate *deciding_gate(const oct_evaluation_view *v)
{
    const oct_gate *best = v->n_gates > 0 ? &v->gate[0] : NULL;
    for (size_t i = 1; i < v->n_gates; i++)
        if (v->gate[i].verdict == OCT_GATE_FAILED && best->verdict != OCT_GATE_FAILED)
            best = &v->gate[i];
        else if (v->gate[i].verdict == OCT_GATE_UNDECIDED && best->verdict == OCT_GATE_PASSED)
            best = &v->gate[i];
    return best;
}

static oct_status fill_verdict(const oct_evaluation_view *v, oct_report *r)
{
    const oct_gate *g = deciding_gate(v);
    if (r->n_comparisons == 0)
        return OCT_OK;
    const oct_report_pair *c = &r->comparisons[g ? g->candidate : 0];
    const oct_report_side *s = &r->sides[g ? g->candidate + 1 : 1];
    oct_strbuf b;
    oct_strbuf_init(&b, r->ctx);
    oct_strbuf_addf(&b, "%s: ", s->label ? s->label : s->name);
    say_change(r, c, &b);
    if (g) {
        r->verdict = oct_gate_verdict_str(g->verdict);
        say_gate(v, g, &b);
    } else if (!isnan(c->mcnemar_p)) {
        oct_strbuf_add(&b, c->mcnemar_p < 0.05 ? "; more than chance explains"
                                               : "; chance alone could explain it");
    }
    oct_strbuf_add(&b, ".");
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK && !(r->verdict_text = oct_report_text(r, b.text)))
        st = OCT_ERR_NOMEM;
    oct_strbuf_deinit(&b);
    return st;
}

/* ---- all --------------------------------------------------------------------------------- */

oct_status oct_evaluation_report(const oct_evaluation_view *v, oct_report *r)
{
    const oct_evaluation *e = v->e;
    r->task = e->detection ? "detection" : e->n_classes > 0 ? "classification" : "outputs";
    r->images = (int64_t)e->n;
    r->skipped = (int64_t)v->n_skipped;
    r->labelled = (int64_t)e->n_labelled;
    r->classes = (int64_t)e->n_classes;
    r->preprocess = oct_report_text(r, v->preprocess);
    r->suspect = oct_evaluation_is_suspect(e);
    r->sides = oct_report_array(r, OCT_REPORT_SIDE, e->n_sides);
    r->comparisons = oct_report_array(r, OCT_REPORT_PAIR, e->n_sides - 1);
    if (!r->sides || !r->comparisons)
        return OCT_ERR_NOMEM;
    for (size_t k = 0; k < e->n_sides; k++)
        OCT_TRY(fill_side(v, k, r, &r->sides[k]));
    r->n_sides = e->n_sides;
    for (size_t i = 0; i + 1 < e->n_sides; i++)
        OCT_TRY(fill_pair(v, i, r, &r->comparisons[i]));
    r->n_comparisons = e->n_sides - 1;
    OCT_TRY(fill_gates(v, r));
    return fill_verdict(v, r);
}
