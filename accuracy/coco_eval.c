/* SPDX-License-Identifier: Apache-2.0
 *
 * One *cell* is (category, image): its ground truth, its detections by falling score, their
 * overlaps. Cells are matched once per area range; the outcome of each detection at each
 * IoU threshold is two bits (matched, ignored). Curves are then accumulated over a category.
 */
#include "accuracy/coco_eval.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define N_RECALL 101
#define N_AREA 4
#define MIN_IOU_SLACK 1e-10

static const double AREA_RANGE[N_AREA][2] = {
    {0, 1e10}, {0, 32.0 * 32.0}, {32.0 * 32.0, 96.0 * 96.0}, {96.0 * 96.0, 1e10}};

/* A detection after matching. Bit t of the masks belongs to IoU threshold t. */
typedef struct scored {
    double score;
    uint32_t image;
    uint32_t rank; /* within its image and category, 0 = best */
    uint16_t matched, ignored;
} scored;

/* Everything of one category and one area range. */
typedef struct curve_input {
    scored *det; /* by falling score, stable in image order */
    size_t n_det;
    const uint32_t *n_gt_by_image; /* ground truth that counts; NULL unless bootstrapping */
    uint64_t n_gt;                 /* ground truth that counts */
} curve_input;

typedef struct evaluator {
    oct_ctx *ctx;
    const oct_coco_input *in;
    const oct_gt_box **gt;   /* sorted by category, image; input order inside */
    const oct_det_box **det; /* sorted by category, image, falling score; input order inside */
    scored *out;             /* n_det, scratch of one category */
    scored *sort_tmp;
    double *iou;         /* [det][gt] of one cell */
    uint8_t *gt_ignored; /* of one cell */
    uint8_t *gt_taken;   /* of one cell and threshold */
    uint32_t *gt_order;  /* not ignored first */
    size_t cell_cap;     /* most ground truth boxes in a cell */
    double iou_threshold[OCT_COCO_N_IOU];
    double recall_point[N_RECALL];
} evaluator;

typedef struct span {
    size_t lo, hi;
} span;

/* ---- sorting (stable, so that equal scores keep pycocotools' order) ---- */

static int cmp_gt(const void *a, const void *b)
{
    const oct_gt_box *x = *(const oct_gt_box *const *)a, *y = *(const oct_gt_box *const *)b;
    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int cmp_det(const void *a, const void *b)
{
    const oct_det_box *x = *(const oct_det_box *const *)a, *y = *(const oct_det_box *const *)b;
    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Bottom-up merge sort by falling score. */
static void sort_scored(scored *a, size_t n, scored *tmp)
{
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            const size_t mid = lo + width < n ? lo + width : n;
            const size_t hi = lo + 2 * width < n ? lo + 2 * width : n;
            size_t i = lo, j = mid;
            for (size_t k = lo; k < hi; k++)
                tmp[k] = (i < mid && (j >= hi || a[i].score >= a[j].score)) ? a[i++] : a[j++];
        }
        memcpy(a, tmp, n * sizeof *a);
    }
}

/* ---- one cell ---- */

static double overlap(const double *d, const double *g, bool crowd)
{
    const double w = fmin(d[0] + d[2], g[0] + g[2]) - fmax(d[0], g[0]);
    const double h = fmin(d[1] + d[3], g[1] + g[3]) - fmax(d[1], g[1]);
    if (w <= 0 || h <= 0)
        return 0;
    const double inter = w * h, area_d = d[2] * d[3];
    return inter / (crowd ? area_d : area_d + g[2] * g[3] - inter);
}

static bool outside(double area, const double range[2])
{
    return area < range[0] || area > range[1];
}

/* Ground truth order of a cell: what counts first. Returns how many count. */
static uint32_t order_gt(evaluator *e, span gt, const double range[2])
{
    const size_t n = gt.hi - gt.lo;
    uint32_t n_count = 0, k = 0;
    for (size_t i = 0; i < n; i++) {
        const oct_gt_box *g = e->gt[gt.lo + i];
        e->gt_ignored[i] = g->crowd || outside(g->area, range);
        n_count += !e->gt_ignored[i];
    }
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++)
            if (e->gt_ignored[i] == pass)
                e->gt_order[k++] = (uint32_t)i;
    return n_count;
}

/* Best ground truth for one detection, or -1. */
static int match_one(const evaluator *e, span gt, const double *iou_row, double threshold)
{
    const size_t n = gt.hi - gt.lo;
    double best = fmin(threshold, 1 - MIN_IOU_SLACK);
    int m = -1;
    for (size_t k = 0; k < n; k++) {
        const uint32_t i = e->gt_order[k];
        if (e->gt_taken[i] && !e->gt[gt.lo + i]->crowd)
            continue;
        if (m >= 0 && !e->gt_ignored[m] && e->gt_ignored[i])
            break; /* a real match is never traded for an ignored one */
        if (iou_row[i] < best)
            continue;
        best = iou_row[i];
        m = (int)i;
    }
    return m;
}

static void match_cell(evaluator *e, span gt, span det, const double range[2], scored *out)
{
    const size_t n_gt = gt.hi - gt.lo, n_det = det.hi - det.lo;
    for (size_t d = 0; d < n_det; d++) {
        const oct_det_box *b = e->det[det.lo + d];
        out[d] = (scored){b->score, b->image, (uint32_t)d, 0, 0};
        for (size_t i = 0; i < n_gt; i++) {
            const oct_gt_box *g = e->gt[gt.lo + i];
            e->iou[d * n_gt + i] = overlap(b->box, g->box, g->crowd);
        }
    }
    for (int t = 0; t < OCT_COCO_N_IOU; t++) {
        memset(e->gt_taken, 0, n_gt);
        for (size_t d = 0; d < n_det; d++) {
            const int m = match_one(e, gt, e->iou + d * n_gt, e->iou_threshold[t]);
            const double *box = e->det[det.lo + d]->box;
            if (m >= 0) {
                out[d].matched |= (uint16_t)(1u << t);
                e->gt_taken[m] = 1;
            }
            if (m >= 0 ? e->gt_ignored[m] : outside(box[2] * box[3], range))
                out[d].ignored |= (uint16_t)(1u << t);
        }
    }
}

/* ---- one category ---- */

static span next_gt(const evaluator *e, size_t from, uint32_t category, uint32_t image)
{
    span s = {from, from};
    while (s.hi < e->in->n_gt && e->gt[s.hi]->category == category && e->gt[s.hi]->image == image)
        s.hi++;
    return s;
}

static span next_det(const evaluator *e, size_t from, uint32_t category, uint32_t image)
{
    span s = {from, from};
    while (s.hi < e->in->n_det && e->det[s.hi]->category == category &&
           e->det[s.hi]->image == image)
        s.hi++;
    return s;
}

/* Matches all cells of `category` starting at positions *gi, *di and moves those past it.
 * `n_gt_by_image` (may be NULL) gets the ground truth that counts per image. */
static curve_input match_category(evaluator *e, uint32_t category, int area, size_t *gi, size_t *di,
                                  uint32_t *n_gt_by_image)
{
    curve_input c = {.det = e->out, .n_gt_by_image = n_gt_by_image};
    const oct_coco_input *in = e->in;
    for (;;) {
        const bool has_gt = *gi < in->n_gt && e->gt[*gi]->category == category;
        const bool has_det = *di < in->n_det && e->det[*di]->category == category;
        if (!has_gt && !has_det)
            break;
        const uint32_t image_gt = has_gt ? e->gt[*gi]->image : UINT32_MAX;
        const uint32_t image_det = has_det ? e->det[*di]->image : UINT32_MAX;
        const uint32_t image = image_gt < image_det ? image_gt : image_det;
        const span gt = next_gt(e, *gi, category, image);
        span det = next_det(e, *di, category, image);
        *gi = gt.hi;
        *di = det.hi;
        if (det.hi - det.lo > OCT_COCO_MAX_DETS)
            det.hi = det.lo + OCT_COCO_MAX_DETS;
        const uint32_t n_count = order_gt(e, gt, AREA_RANGE[area]);
        if (n_gt_by_image)
            n_gt_by_image[image] = n_count;
        c.n_gt += n_count;
        match_cell(e, gt, det, AREA_RANGE[area], e->out + c.n_det);
        c.n_det += det.hi - det.lo;
    }
    sort_scored(e->out, c.n_det, e->sort_tmp);
    return c;
}

/* Precision at the recall points for one threshold, and the final recall. `weight` (per image,
 * NULL = 1) counts an image several times. `prec` and `rec` are scratch of n_det + 1 entries. */
typedef struct curve {
    double mean_precision, recall;
} curve;

static curve accumulate(const evaluator *e, const curve_input *c, int t, uint32_t max_dets,
                        const uint32_t *weight, uint64_t n_gt, double *prec, double *rec)
{
    double tp = 0, fp = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n_det; i++) {
        const scored *d = &c->det[i];
        const double w = weight ? weight[d->image] : 1;
        if (d->rank >= max_dets || w == 0)
            continue;
        if (!(d->ignored >> t & 1)) {
            tp += (d->matched >> t & 1) ? w : 0;
            fp += (d->matched >> t & 1) ? 0 : w;
        }
        rec[n] = tp / (double)n_gt;
        prec[n++] = tp / (fp + tp + DBL_EPSILON);
    }
    for (size_t i = n; i-- > 1;)
        prec[i - 1] = fmax(prec[i - 1], prec[i]);
    double sum = 0;
    size_t at = 0;
    for (int r = 0; r < N_RECALL; r++) {
        while (at < n && rec[at] < e->recall_point[r])
            at++;
        sum += at < n ? prec[at] : 0;
    }
    return (curve){sum / N_RECALL, n ? rec[n - 1] : 0};
}

/* ---- set-up ---- */

static oct_status check_input(oct_ctx *ctx, const oct_coco_input *in)
{
    for (size_t i = 0; i < in->n_gt; i++) {
        const oct_gt_box *g = &in->gt[i];
        if (g->image >= in->n_images || g->category >= in->n_categories)
            return oct_fail(ctx, OCT_ERR_RANGE,
                            "ground truth box %zu: image %u of %u, category %u of %u", i, g->image,
                            in->n_images, g->category, in->n_categories);
        if (!isfinite(g->box[0] + g->box[1] + g->box[2] + g->box[3] + g->area))
            return oct_fail(ctx, OCT_ERR_RANGE, "ground truth box %zu: not finite", i);
    }
    for (size_t i = 0; i < in->n_det; i++) {
        const oct_det_box *d = &in->det[i];
        if (d->image >= in->n_images || d->category >= in->n_categories)
            return oct_fail(ctx, OCT_ERR_RANGE, "detection %zu: image %u of %u, category %u of %u",
                            i, d->image, in->n_images, d->category, in->n_categories);
        if (!isfinite(d->box[0] + d->box[1] + d->box[2] + d->box[3] + d->score))
            return oct_fail(ctx, OCT_ERR_RANGE, "detection %zu: not finite", i);
    }
    return OCT_OK;
}

static size_t largest_gt_cell(const evaluator *e)
{
    size_t most = 1, run = 0;
    for (size_t i = 0; i < e->in->n_gt; i++) {
        const bool same = i > 0 && e->gt[i]->category == e->gt[i - 1]->category &&
                          e->gt[i]->image == e->gt[i - 1]->image;
        run = same ? run + 1 : 1;
        most = run > most ? run : most;
    }
    return most;
}

static void evaluator_deinit(evaluator *e)
{
    oct_free(e->ctx, e->gt);
    oct_free(e->ctx, e->det);
    oct_free(e->ctx, e->out);
    oct_free(e->ctx, e->sort_tmp);
    oct_free(e->ctx, e->iou);
    oct_free(e->ctx, e->gt_ignored);
    oct_free(e->ctx, e->gt_taken);
    oct_free(e->ctx, e->gt_order);
}

static oct_status evaluator_init(evaluator *e, oct_ctx *ctx, const oct_coco_input *in)
{
    memset(e, 0, sizeof *e);
    e->ctx = ctx;
    e->in = in;
    OCT_TRY(check_input(ctx, in));
    e->gt = oct_alloc_array(ctx, in->n_gt, sizeof *e->gt);
    e->det = oct_alloc_array(ctx, in->n_det, sizeof *e->det);
    e->out = oct_alloc_array(ctx, in->n_det, sizeof *e->out);
    e->sort_tmp = oct_alloc_array(ctx, in->n_det, sizeof *e->sort_tmp);
    if (!e->gt || !e->det || !e->out || !e->sort_tmp)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < in->n_gt; i++)
        e->gt[i] = &in->gt[i];
    for (size_t i = 0; i < in->n_det; i++)
        e->det[i] = &in->det[i];
    qsort(e->gt, in->n_gt, sizeof *e->gt, cmp_gt);
    qsort(e->det, in->n_det, sizeof *e->det, cmp_det);
    e->cell_cap = largest_gt_cell(e);
    e->iou = oct_alloc_array(ctx, e->cell_cap, OCT_COCO_MAX_DETS * sizeof *e->iou);
    e->gt_ignored = oct_alloc(ctx, e->cell_cap);
    e->gt_taken = oct_alloc(ctx, e->cell_cap);
    e->gt_order = oct_alloc_array(ctx, e->cell_cap, sizeof *e->gt_order);
    if (!e->iou || !e->gt_ignored || !e->gt_taken || !e->gt_order)
        return OCT_ERR_NOMEM;
    /* numpy.linspace's values: start + i * step, the last one exact */
    for (int t = 0; t < OCT_COCO_N_IOU; t++)
        e->iou_threshold[t] = t + 1 < OCT_COCO_N_IOU ? 0.5 + t * ((0.95 - 0.5) / 9) : 0.95;
    for (int r = 0; r < N_RECALL; r++)
        e->recall_point[r] = r + 1 < N_RECALL ? r * (1.0 / 100) : 1.0;
    return OCT_OK;
}

/* ---- the metrics ---- */

typedef struct mean {
    double sum;
    uint64_t n;
} mean;

static void mean_add(mean *m, double v)
{
    m->sum += v;
    m->n++;
}

static double mean_get(mean m)
{
    return m.n ? m.sum / (double)m.n : -1.0;
}

typedef struct totals {
    mean ap[N_AREA], ap50, ap75, ar[N_AREA], ar1, ar10;
} totals;

static void add_category(const evaluator *e, const curve_input *c, int area, totals *sum,
                         double *prec, double *rec)
{
    for (int t = 0; t < OCT_COCO_N_IOU; t++) {
        const curve all = accumulate(e, c, t, OCT_COCO_MAX_DETS, NULL, c->n_gt, prec, rec);
        mean_add(&sum->ap[area], all.mean_precision);
        mean_add(&sum->ar[area], all.recall);
        if (area != 0)
            continue;
        if (t == 0)
            mean_add(&sum->ap50, all.mean_precision);
        if (t == 5)
            mean_add(&sum->ap75, all.mean_precision);
        mean_add(&sum->ar1, accumulate(e, c, t, 1, NULL, c->n_gt, prec, rec).recall);
        mean_add(&sum->ar10, accumulate(e, c, t, 10, NULL, c->n_gt, prec, rec).recall);
    }
}

static oct_coco_result totals_result(const totals *s)
{
    return (oct_coco_result){
        .ap = mean_get(s->ap[0]),
        .ap50 = mean_get(s->ap50),
        .ap75 = mean_get(s->ap75),
        .ap_small = mean_get(s->ap[1]),
        .ap_medium = mean_get(s->ap[2]),
        .ap_large = mean_get(s->ap[3]),
        .ar1 = mean_get(s->ar1),
        .ar10 = mean_get(s->ar10),
        .ar100 = mean_get(s->ar[0]),
        .ar_small = mean_get(s->ar[1]),
        .ar_medium = mean_get(s->ar[2]),
        .ar_large = mean_get(s->ar[3]),
    };
}

oct_status oct_coco_evaluate(oct_ctx *ctx, const oct_coco_input *in, oct_coco_result *out)
{
    evaluator e;
    totals sum = {0};
    double *prec = NULL, *rec = NULL;
    oct_status st = evaluator_init(&e, ctx, in);
    if (st != OCT_OK)
        goto done;
    prec = oct_alloc_array(ctx, in->n_det + 1, sizeof *prec);
    rec = oct_alloc_array(ctx, in->n_det + 1, sizeof *rec);
    if (!prec || !rec) {
        st = OCT_ERR_NOMEM;
        goto done;
    }
    for (int area = 0; area < N_AREA; area++) {
        size_t gi = 0, di = 0;
        for (uint32_t k = 0; k < in->n_categories; k++) {
            const curve_input c = match_category(&e, k, area, &gi, &di, NULL);
            if (c.n_gt > 0)
                add_category(&e, &c, area, &sum, prec, rec);
        }
    }
    *out = totals_result(&sum);
done:
    oct_free(ctx, prec);
    oct_free(ctx, rec);
    evaluator_deinit(&e);
    return st;
}

/* ---- bootstrap ---- */

/* All categories of one side, matched once (area all), ready to be re-weighted. */
typedef struct side {
    evaluator e;
    curve_input *category; /* n_categories */
    scored *det;           /* all categories' detections, one after the other */
    uint32_t *n_gt;        /* [category][image] */
    double *prec, *rec;
} side;

static void side_deinit(side *s, oct_ctx *ctx)
{
    oct_free(ctx, s->category);
    oct_free(ctx, s->det);
    oct_free(ctx, s->n_gt);
    oct_free(ctx, s->prec);
    oct_free(ctx, s->rec);
    evaluator_deinit(&s->e);
}

static oct_status side_init(side *s, oct_ctx *ctx, const oct_coco_input *in)
{
    memset(s, 0, sizeof *s);
    OCT_TRY(evaluator_init(&s->e, ctx, in));
    s->category = oct_zalloc_array(ctx, in->n_categories, sizeof *s->category);
    s->det = oct_alloc_array(ctx, in->n_det, sizeof *s->det);
    s->n_gt = oct_zalloc_array(ctx, in->n_images, in->n_categories * sizeof *s->n_gt);
    s->prec = oct_alloc_array(ctx, in->n_det + 1, sizeof *s->prec);
    s->rec = oct_alloc_array(ctx, in->n_det + 1, sizeof *s->rec);
    if (!s->category || !s->det || !s->n_gt || !s->prec || !s->rec)
        return OCT_ERR_NOMEM;
    size_t gi = 0, di = 0, used = 0;
    for (uint32_t k = 0; k < in->n_categories; k++) {
        uint32_t *n_gt = s->n_gt + (size_t)k * in->n_images;
        curve_input c = match_category(&s->e, k, 0, &gi, &di, n_gt);
        memcpy(s->det + used, c.det, c.n_det * sizeof *c.det);
        c.det = s->det + used;
        used += c.n_det;
        s->category[k] = c;
    }
    return OCT_OK;
}

static double side_ap(side *s, const uint32_t *weight)
{
    const oct_coco_input *in = s->e.in;
    mean m = {0, 0};
    for (uint32_t k = 0; k < in->n_categories; k++) {
        const curve_input *c = &s->category[k];
        uint64_t n_gt = 0;
        for (uint32_t i = 0; c->n_gt > 0 && i < in->n_images; i++)
            n_gt += (uint64_t)weight[i] * c->n_gt_by_image[i];
        for (int t = 0; n_gt > 0 && t < OCT_COCO_N_IOU; t++)
            mean_add(&m, accumulate(&s->e, c, t, OCT_COCO_MAX_DETS, weight, n_gt, s->prec, s->rec)
                             .mean_precision);
    }
    return m.n ? mean_get(m) : 0;
}

static int cmp_double(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Linear-interpolated quantile of sorted values (numpy.percentile's default). */
static double quantile(const double *v, int n, double p)
{
    const double at = p * (n - 1);
    const int i = (int)at;
    return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[n - 1];
}

oct_status oct_coco_bootstrap(oct_ctx *ctx, const oct_coco_input *ref, const oct_coco_input *cand,
                              int n_resamples, uint64_t seed, oct_interval *difference)
{
    assert(n_resamples > 0 && ref->n_images == cand->n_images && ref->n_images > 0);
    side a, b = {0};
    uint32_t *weight = NULL;
    double *delta = NULL;
    oct_rng rng = {seed};
    oct_status st = side_init(&a, ctx, ref);
    if (st == OCT_OK)
        st = side_init(&b, ctx, cand);
    weight = oct_alloc_array(ctx, ref->n_images, sizeof *weight);
    delta = oct_alloc_array(ctx, (size_t)n_resamples, sizeof *delta);
    if (st == OCT_OK && (!weight || !delta))
        st = OCT_ERR_NOMEM;
    for (int r = 0; st == OCT_OK && r < n_resamples; r++) {
        memset(weight, 0, ref->n_images * sizeof *weight);
        for (uint32_t i = 0; i < ref->n_images; i++)
            weight[oct_rng_below(&rng, ref->n_images)]++;
        delta[r] = side_ap(&b, weight) - side_ap(&a, weight);
        st = oct_check_cancel(ctx);
    }
    if (st == OCT_OK) {
        qsort(delta, (size_t)n_resamples, sizeof *delta, cmp_double);
        *difference = (oct_interval){quantile(delta, n_resamples, 0.025),
                                     quantile(delta, n_resamples, 0.975)};
    }
    oct_free(ctx, weight);
    oct_free(ctx, delta);
    side_deinit(&a, ctx);
    if (b.e.ctx)
        side_deinit(&b, ctx);
    return st;
}
