/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "accuracy/evaluate.h"

/* ---- classes ----------------------------------------------------------------------------- */

static bool in_top(const oct_eval_row *r, int32_t label, int n)
{
    for (int i = 0; i < n; i++)
        if (r->top[i] == label)
            return true;
    return false;
}

static void count_sides(oct_evaluation *e)
{
    for (size_t i = 0; i < e->n; i++) {
        const oct_eval_sample *s = e->sample[i];
        const bool labelled = s->label != OCT_LABEL_NONE;
        e->n_labelled += labelled;
        for (size_t k = 0; k < e->n_sides; k++) {
            e->side[k].n_nonfinite += !s->row[k].finite;
            e->side[k].n_top1 += labelled && in_top(&s->row[k], s->label, 1);
            e->side[k].n_top5 += labelled && in_top(&s->row[k], s->label, OCT_EVAL_TOP);
        }
    }
}

static void add_paired(oct_paired_counts *c, bool ref, bool cand)
{
    c->both += ref && cand;
    c->only_ref += ref && !cand;
    c->only_cand += !ref && cand;
    c->neither += !ref && !cand;
}

static void count_pair(const oct_evaluation *e, size_t k, oct_eval_pair *p)
{
    for (size_t i = 0; i < e->n && e->n_classes > 0; i++) {
        const oct_eval_sample *s = e->sample[i];
        const int32_t ref = s->row[0].top[0], cand = s->row[k].top[0];
        p->n_agree += ref == cand;
        if (s->label != OCT_LABEL_NONE)
            add_paired(&p->paired, ref == s->label, cand == s->label);
        if (ref != cand && p->n_flips < OCT_EVAL_MAX_FLIPS)
            p->flip[p->n_flips++] = (oct_eval_flip){s->name, s->index, s->label, ref, cand};
    }
}

/* ---- output distances -------------------------------------------------------------------- */

static void measure_pair(const oct_evaluation *e, size_t k, oct_eval_pair *p)
{
    double signal = 0, power = 0, dot = 0, noise = 0;
    p->has_distance = e->n > 0;
    p->max_error = 0;
    for (size_t i = 0; i < e->n; i++) {
        const oct_eval_row *r = &e->sample[i]->row[k];
        p->has_distance = p->has_distance && r->comparable;
        signal += r->signal;
        power += r->power;
        dot += r->dot;
        noise += r->noise;
        p->max_error = r->max_error > p->max_error ? r->max_error : p->max_error;
    }
    p->sqnr_db = noise == 0 ? INFINITY : 10 * log10(signal / noise);
    p->cosine = signal > 0 && power > 0 ? dot / (sqrt(signal) * sqrt(power)) : NAN;
    if (!p->has_distance)
        p->sqnr_db = p->cosine = p->max_error = NAN;
}

/* ---- confusion changes ------------------------------------------------------------------- */

static int by_classes(const void *a, const void *b)
{
    const oct_eval_confusion *x = a, *y = b;
    if (x->ref != y->ref)
        return x->ref < y->ref ? -1 : 1;
    return (x->cand > y->cand) - (x->cand < y->cand);
}

static int by_frequency(const void *a, const void *b)
{
    const oct_eval_confusion *x = a, *y = b;
    return x->n != y->n ? (x->n > y->n ? -1 : 1) : by_classes(a, b);
}

static oct_status count_confusion(oct_ctx *ctx, const oct_evaluation *e, size_t k, oct_eval_pair *p)
{
    if (e->n_classes == 0 || p->n_agree == e->n)
        return OCT_OK;
    oct_eval_confusion *c = oct_zalloc_array(ctx, e->n - p->n_agree, sizeof *c);
    if (c == NULL)
        return OCT_ERR_NOMEM;
    size_t n = 0, kinds = 0;
    for (size_t i = 0; i < e->n; i++) {
        const oct_eval_row *r = e->sample[i]->row;
        if (r[0].top[0] != r[k].top[0])
            c[n++] = (oct_eval_confusion){r[0].top[0], r[k].top[0], 1};
    }
    qsort(c, n, sizeof *c, by_classes);
    for (size_t i = 1; i < n; i++) {
        if (by_classes(&c[kinds], &c[i]) == 0)
            c[kinds].n++;
        else
            c[++kinds] = c[i];
    }
    qsort(c, ++kinds, sizeof *c, by_frequency);
    p->n_confusion = kinds < OCT_EVAL_MAX_CONFUSION ? kinds : OCT_EVAL_MAX_CONFUSION;
    for (size_t i = 0; i < p->n_confusion; i++)
        p->confusion[i] = c[i];
    oct_free(ctx, c);
    return OCT_OK;
}

/* ---- boxes ------------------------------------------------------------------------------- */

static oct_status gather_truth(oct_ctx *ctx, const oct_coco *coco, const oct_evaluation *e,
                               oct_gt_box **out, size_t *n_out)
{
    size_t total = 0, n;
    for (size_t i = 0; i < e->n; i++) {
        (void)oct_coco_boxes(coco, e->sample[i]->coco_image, &n);
        total += n;
    }
    oct_gt_box *gt = oct_zalloc_array(ctx, total, sizeof *gt);
    if (gt == NULL)
        return OCT_ERR_NOMEM;
    total = 0;
    for (size_t i = 0; i < e->n; i++) {
        const oct_coco_box *b = oct_coco_boxes(coco, e->sample[i]->coco_image, &n);
        for (size_t k = 0; k < n; k++)
            gt[total++] = (oct_gt_box){.image = (uint32_t)i,
                                       .category = (uint32_t)b[k].class_index,
                                       .box = {b[k].x, b[k].y, b[k].width, b[k].height},
                                       .area = b[k].area,
                                       .crowd = b[k].iscrowd};
    }
    *out = gt;
    *n_out = total;
    return OCT_OK;
}

static oct_status gather_boxes(oct_ctx *ctx, const oct_evaluation *e, size_t side, int n_classes,
                               oct_det_box **out, size_t *n_out)
{
    size_t total = 0;
    for (size_t i = 0; i < e->n; i++)
        total += e->sample[i]->row[side].det.n;
    oct_det_box *det = oct_zalloc_array(ctx, total, sizeof *det);
    if (det == NULL)
        return OCT_ERR_NOMEM;
    total = 0;
    oct_status st = OCT_OK;
    for (size_t i = 0; i < e->n; i++) {
        const oct_det_list *l = &e->sample[i]->row[side].det;
        for (size_t k = 0; k < l->n; k++) {
            det[total] = l->box[k];
            det[total++].image = (uint32_t)i;
            if (l->box[k].category >= (uint32_t)n_classes)
                st = oct_fail(ctx, OCT_ERR_RANGE,
                              "a box of class %u, but the annotations have %d classes",
                              l->box[k].category, n_classes);
        }
    }
    *out = det;
    *n_out = total;
    return st;
}

static oct_status count_boxes(oct_ctx *ctx, const oct_eval_options *opt, oct_evaluation *e)
{
    const int n_classes = oct_coco_n_classes(opt->coco);
    oct_coco_input in[OCT_EVAL_MAX_SIDES] = {{0}};
    oct_det_box *det[OCT_EVAL_MAX_SIDES] = {0};
    oct_gt_box *gt = NULL;
    size_t n_gt = 0;
    oct_status st = gather_truth(ctx, opt->coco, e, &gt, &n_gt);
    for (size_t k = 0; k < e->n_sides && st == OCT_OK; k++) {
        in[k] = (oct_coco_input){.gt = gt,
                                 .n_gt = n_gt,
                                 .n_images = (uint32_t)e->n,
                                 .n_categories = (uint32_t)n_classes};
        st = gather_boxes(ctx, e, k, n_classes, &det[k], &in[k].n_det);
        in[k].det = det[k];
        if (st == OCT_OK)
            st = oct_coco_evaluate(ctx, &in[k], &e->side[k].coco);
        if (st == OCT_OK && k > 0)
            st = oct_coco_bootstrap(ctx, &in[0], &in[k],
                                    opt->n_resamples > 0 ? opt->n_resamples : 1000, opt->seed,
                                    &e->pair[k - 1].ap_difference);
    }
    for (size_t k = 0; k < e->n_sides; k++)
        oct_free(ctx, det[k]);
    oct_free(ctx, gt);
    return st;
}

/* ---- all --------------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    const oct_eval_sample *x = *(oct_eval_sample *const *)a, *y = *(oct_eval_sample *const *)b;
    return (x->index > y->index) - (x->index < y->index);
}

oct_status oct_evaluation_count(oct_ctx *ctx, const oct_eval_options *opt, oct_evaluation *e)
{
    if (e->n == 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "no sample could be evaluated");
    qsort(e->sample, e->n, sizeof *e->sample, by_index);
    e->pair = oct_zalloc_array(ctx, e->n_sides, sizeof *e->pair);
    if (e->pair == NULL)
        return OCT_ERR_NOMEM;
    count_sides(e);
    for (size_t k = 1; k < e->n_sides; k++) {
        count_pair(e, k, &e->pair[k - 1]);
        measure_pair(e, k, &e->pair[k - 1]);
        OCT_TRY(count_confusion(ctx, e, k, &e->pair[k - 1]));
    }
    return e->detection ? count_boxes(ctx, opt, e) : OCT_OK;
}

bool oct_evaluation_is_suspect(const oct_evaluation *e)
{
    if (e->n_labelled == 0 || e->n_classes < 2)
        return false;
    const double chance = (e->n_classes < 4 ? 1.2 : 2.0) / (double)e->n_classes;
    return (double)e->side[0].n_top1 < chance * (double)e->n_labelled;
}
