/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/density.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SIDE_ENTRIES ((size_t)OCT_HIST_BINS + 1)

oct_status oct_density_new(oct_ctx *ctx, oct_density *d)
{
    memset(d, 0, sizeof *d);
    d->storage = oct_alloc_array(ctx, 2 * SIDE_ENTRIES, sizeof *d->storage);
    if (d->storage == NULL)
        return OCT_ERR_NOMEM;
    d->pos.at = d->storage;
    d->neg.at = d->storage + SIDE_ENTRIES;
    return OCT_OK;
}

void oct_density_free(oct_ctx *ctx, oct_density *d)
{
    oct_free(ctx, d->storage);
    memset(d, 0, sizeof *d);
}

/* `minus` (NULL = nothing) is subtracted from `bin`, both of max_bins counts. */
static void load_side(oct_density_side *s, const uint64_t *bin, const uint64_t *minus,
                      size_t max_bins, double width, float amax)
{
    s->n_bins = 0;
    s->width = width;
    s->amax = amax;
    s->shape = NULL;
    if (!(amax > 0))
        return;
    const size_t top = (size_t)((double)amax / width);
    s->n_bins = top + 1 < max_bins ? top + 1 : max_bins;
    oct_moment sum = {0, 0, 0, 0};
    for (size_t i = 0; i < s->n_bins; i++) {
        const double c = (double)(bin[i] - (minus != NULL ? minus[i] : 0)), k = (double)i;
        s->at[i] = sum;
        s->at[i].count = c;
        sum.n += c;
        sum.x += c * (k + 0.5);
        sum.xx += c * (k * k + k + 1.0 / 3.0);
    }
    s->at[s->n_bins] = sum;
}

void oct_density_load(oct_density *d, const oct_hist *h)
{
    load_side(&d->pos, h->pos.bin, NULL, OCT_HIST_BINS, ldexp(1.0, h->pos.width_exp), h->pos.amax);
    load_side(&d->neg, h->neg.bin, NULL, OCT_HIST_BINS, ldexp(1.0, h->neg.width_exp), h->neg.amax);
    d->part = false;
    d->n_zero = (double)h->n_zero;
    d->n_total = (double)h->n_total;
    d->amax = oct_hist_amax(h);
    d->exact = NULL;
}

typedef struct fold_sum {
    uint64_t bin[2 * OCT_HIST_COARSE_BINS];
    uint64_t n_zero, n_total;
    float pos_amax, neg_amax;
} fold_sum;

static void sum_folds(const oct_hist *h, unsigned folds, fold_sum *sum)
{
    memset(sum, 0, sizeof *sum);
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        const oct_hist_fold *fold = &h->fold[f];
        if ((folds >> f & 1) == 0 || fold->bin == NULL)
            continue;
        for (size_t k = 0; k < 2 * OCT_HIST_COARSE_BINS; k++)
            sum->bin[k] += fold->bin[k];
        sum->n_zero += fold->n_zero;
        sum->n_total += fold->n_total;
        sum->pos_amax = fold->pos_amax > sum->pos_amax ? fold->pos_amax : sum->pos_amax;
        sum->neg_amax = fold->neg_amax > sum->neg_amax ? fold->neg_amax : sum->neg_amax;
    }
}

void oct_density_load_folds(oct_density *d, const oct_hist *h, unsigned folds,
                            const oct_density_shape *shape)
{
    fold_sum sum;
    sum_folds(h, folds, &sum);
    load_side(&d->pos, sum.bin, NULL, OCT_HIST_COARSE_BINS,
              ldexp(1.0, h->pos.width_exp + OCT_HIST_COARSE_SHIFT), sum.pos_amax);
    load_side(&d->neg, sum.bin + OCT_HIST_COARSE_BINS, NULL, OCT_HIST_COARSE_BINS,
              ldexp(1.0, h->neg.width_exp + OCT_HIST_COARSE_SHIFT), sum.neg_amax);
    d->pos.shape = shape;
    d->neg.shape = shape != NULL ? shape + 1 : NULL;
    d->part = true;
    d->n_zero = (double)sum.n_zero;
    d->n_total = (double)sum.n_total;
    d->amax = sum.pos_amax > sum.neg_amax ? sum.pos_amax : sum.neg_amax;
    d->exact = NULL;
}

oct_status oct_density_shape_new(oct_ctx *ctx, oct_density_shape shape[2])
{
    shape[1].below = NULL;
    shape[0].below = oct_alloc_array(ctx, 2 * SIDE_ENTRIES, sizeof(double));
    if (shape[0].below == NULL)
        return OCT_ERR_NOMEM;
    shape[1].below = shape[0].below + SIDE_ENTRIES;
    return OCT_OK;
}

void oct_density_shape_free(oct_ctx *ctx, oct_density_shape shape[2])
{
    oct_free(ctx, shape[0].below);
    shape[0].below = shape[1].below = NULL;
}

static void load_shape(double *below, const oct_hist_half *half)
{
    double sum = 0;
    for (size_t k = 0; half->amax > 0 && k < OCT_HIST_BINS; k++) {
        below[k] = sum;
        sum += (double)half->bin[k];
    }
    below[OCT_HIST_BINS] = sum;
}

void oct_density_shape_load(oct_density_shape shape[2], const oct_hist *h)
{
    load_shape(shape[0].below, &h->pos);
    load_shape(shape[1].below, &h->neg);
}

/* Moments below `p`, a position in bins of the side, still in units of the width. */
static inline oct_moment moments_below(const oct_density_side *s, double p)
{
    if (!(p < (double)s->n_bins))
        return s->at[s->n_bins];
    const size_t i = (size_t)p;
    const oct_moment *m = &s->at[i];
    const double k = (double)i, u = p - k, c = m->count;
    return (oct_moment){
        .n = m->n + c * u,
        .x = m->x + c * u * (k + 0.5 * u),
        .xx = m->xx + c * u * (k * k + k * u + u * u * (1.0 / 3.0)),
        .count = 0,
    };
}

void oct_density_below(const oct_density_side *s, double t, double *n, double *x, double *xx)
{
    oct_moment m = {0, 0, 0, 0};
    if (s->n_bins > 0)
        m = moments_below(s, t / s->width);
    *n = m.n;
    *x = m.x * s->width;
    *xx = m.xx * s->width * s->width;
}

static double side_count_below(const oct_density_side *s, double t)
{
    return s->n_bins > 0 ? moments_below(s, t / s->width).n : 0;
}

double oct_density_count_below(const oct_density *d, double t)
{
    return side_count_below(&d->pos, t) + side_count_below(&d->neg, t);
}

/* Largest edge i * width in [lo, hi) with fewer than `n` values below it; `lo` has. */
static double last_edge_below(const oct_density *d, double width, double lo, double hi, double n)
{
    double a = floor(lo / width), b = ceil(hi / width);
    while (b - a > 1) {
        const double mid = floor((a + b) / 2);
        if (oct_density_count_below(d, mid * width) < n)
            a = mid;
        else
            b = mid;
    }
    return a * width > lo ? a * width : lo;
}

/* The counts are linear between neighbouring edges of either side. Widths are powers of two,
 * so the edges of the coarser side are edges of the finer one as well: first find the coarse
 * step, then the fine one in it. */
double oct_density_quantile(const oct_density *d, double n)
{
    const bool has_pos = d->pos.n_bins > 0, has_neg = d->neg.n_bins > 0;
    assert(has_pos || has_neg);
    const double w_pos = has_pos ? d->pos.width : d->neg.width;
    const double w_neg = has_neg ? d->neg.width : d->pos.width;
    const double coarse = w_pos > w_neg ? w_pos : w_neg, fine = w_pos > w_neg ? w_neg : w_pos;
    const double end = (floor((double)d->amax / coarse) + 1) * coarse;
    double lo = last_edge_below(d, coarse, 0, end, n);
    lo = last_edge_below(d, fine, lo, lo + coarse, n);
    const double n_lo = oct_density_count_below(d, lo);
    const double n_hi = oct_density_count_below(d, lo + fine);
    const double t = n_hi > n_lo ? lo + (n - n_lo) / (n_hi - n_lo) * fine : lo + fine;
    return t < (double)d->amax ? t : (double)d->amax;
}

double oct_density_power(const oct_density *d)
{
    if (!(d->n_total > 0))
        return 0;
    const oct_density_side *p = &d->pos, *n = &d->neg;
    const double a = p->n_bins > 0 ? p->at[p->n_bins].xx * p->width * p->width : 0;
    const double b = n->n_bins > 0 ? n->at[n->n_bins].xx * n->width * n->width : 0;
    return (a + b) / d->n_total;
}

/* Sum of (x - q s)^2 over one side, from the clipped values down to zero: the partial sums
 * only grow, so that a candidate that has already lost is left early. In bins: s / width. */
static double side_error(const oct_density_side *s, double scale, int q_max, double limit)
{
    if (s->n_bins == 0)
        return 0;
    const double step = scale / s->width, ww = s->width * s->width;
    const double stop = limit / ww;
    int q = (int)((double)s->n_bins / step + 0.5) + 1; /* levels above hold no value */
    if (q > q_max)
        q = q_max;
    oct_moment above = s->at[s->n_bins];
    double sum = 0;
    for (; q > 0; q--) {
        const oct_moment m = moments_below(s, ((double)q - 0.5) * step);
        const double y = (double)q * step;
        const double part = (above.xx - m.xx) - 2 * y * (above.x - m.x) + y * y * (above.n - m.n);
        sum += part > 0 ? part : 0; /* rounding of a cell of no width */
        if (sum > stop)
            return INFINITY;
        above = m;
    }
    return (sum + above.xx) * ww;
}

double oct_density_error(const oct_density *d, double scale, double limit)
{
    if (!(d->n_total > 0))
        return 0;
    const double stop = limit * d->n_total;
    const double pos = side_error(&d->pos, scale, 127, stop);
    if (pos > stop)
        return INFINITY;
    return (pos + side_error(&d->neg, scale, 128, stop - pos)) / d->n_total;
}

#define SHAPE_BINS (1 << OCT_HIST_COARSE_SHIFT) /* bins of the shape in one bin */

/* Part of bin `i`'s values that lie below fraction `u` of it, divided as the shape's. `last`: the bin
 * of the shape that holds the largest value here. */
static inline double shaped_part(const oct_density_side *s, size_t i, double u, size_t last)
{
    const double *below = s->shape->below + SHAPE_BINS * i;
    const size_t n = last < SHAPE_BINS * (i + 1) ? last + 1 - SHAPE_BINS * i : SHAPE_BINS;
    const double at = u * SHAPE_BINS, all = below[n] - below[0];
    const size_t k = (size_t)at;
    if (k >= n || !(all > 0))
        return s->at[i].count;
    const double part = below[k] - below[0] + (below[k + 1] - below[k]) * (at - (double)k);
    return s->at[i].count * part / all;
}

/* Adds to below[j] the values of one side below edge j + 1 of the view. */
static void add_view(const oct_density_side *s, double amax, double *below)
{
    if (s->n_bins == 0)
        return;
    const size_t last = (size_t)((double)s->amax / (s->width / SHAPE_BINS));
    for (size_t j = 0; j + 1 < OCT_VIEW_BINS; j++) {
        const double p = amax * (double)(j + 1) / OCT_VIEW_BINS / s->width;
        const size_t i = (size_t)p;
        if (i >= s->n_bins)
            below[j] += s->at[s->n_bins].n;
        else if (s->shape != NULL)
            below[j] += s->at[i].n + shaped_part(s, i, p - (double)i, last);
        else
            below[j] += s->at[i].n + s->at[i].count * (p - (double)i);
    }
}

void oct_density_view(const oct_density *d, double *bin)
{
    assert(d->amax > 0);
    if (d->exact != NULL) {
        for (size_t j = 0; j < OCT_VIEW_BINS; j++)
            bin[j] = (double)d->exact[j];
        return;
    }
    memset(bin, 0, OCT_VIEW_BINS * sizeof *bin);
    add_view(&d->pos, (double)d->amax, bin);
    add_view(&d->neg, (double)d->amax, bin);
    bin[OCT_VIEW_BINS - 1] = oct_density_count_below(d, INFINITY);
    for (size_t j = OCT_VIEW_BINS - 1; j > 0; j--)
        bin[j] -= bin[j - 1];
}
