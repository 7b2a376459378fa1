/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/histogram.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Below, counting straight into the histogram is faster than emptying a scratch. */
#define SCRATCH_MIN_ELEMS 4096
/* A count of the scratch must hold them all. */
#define SCRATCH_MAX_ELEMS ((size_t)1 << 31)

void oct_hist_init(oct_hist *h)
{
    memset(h, 0, sizeof *h);
    h->neg.width_exp = OCT_HIST_EXP_MIN;
    h->pos.width_exp = OCT_HIST_EXP_MIN;
}

void oct_hist_deinit(oct_ctx *ctx, oct_hist *h)
{
    oct_free(ctx, h->block);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        oct_free(ctx, h->fold[f].bin);
    oct_hist_init(h);
}

int oct_hist_width_exp(float amax)
{
    int e;
    frexpf(amax, &e); /* amax < 2^e */
    const int exp = e - 15;
    return exp < OCT_HIST_EXP_MIN ? OCT_HIST_EXP_MIN : exp;
}

float oct_hist_amax(const oct_hist *h)
{
    return h->pos.amax > h->neg.amax ? h->pos.amax : h->neg.amax;
}

static uint64_t sum_bins(const uint64_t *bin, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; bin != NULL && i < n; i++)
        sum += bin[i];
    return sum;
}

uint64_t oct_hist_n_pos(const oct_hist *h)
{
    return sum_bins(h->pos.bin, OCT_HIST_BINS);
}

uint64_t oct_hist_n_neg(const oct_hist *h)
{
    return sum_bins(h->neg.bin, OCT_HIST_BINS);
}

/* Makes every 2^shift neighbours one, in place. */
static void merge_bins(uint64_t *bin, size_t n, int shift)
{
    if (shift > 16)
        shift = 16; /* by then everything is in bin 0 */
    for (size_t k = 0; k < n; k++) {
        const uint64_t c = bin[k];
        bin[k] = 0;
        bin[k >> shift] += c;
    }
}

static oct_status grow_block(oct_ctx *ctx, oct_hist *h, bool wide)
{
    uint64_t *block =
        oct_zalloc_array(ctx, wide ? 2 * OCT_HIST_BINS : OCT_HIST_BINS, sizeof *block);
    if (block == NULL)
        return OCT_ERR_NOMEM;
    if (h->block != NULL) /* so far only the positive half */
        memcpy(block, h->block, OCT_HIST_BINS * sizeof *block);
    oct_free(ctx, h->block);
    h->block = block;
    h->wide = wide;
    return OCT_OK;
}

static void widen(oct_hist *h, oct_hist_half *half, float amax, size_t fold_offset)
{
    if (!(amax > half->amax))
        return;
    const int exp = oct_hist_width_exp(amax);
    if (half->amax > 0 && exp > half->width_exp) {
        merge_bins(half->bin, OCT_HIST_BINS, exp - half->width_exp);
        for (int f = 0; f < OCT_HIST_FOLDS; f++)
            if (h->fold[f].bin != NULL)
                merge_bins(h->fold[f].bin + fold_offset, OCT_HIST_COARSE_BINS,
                           exp - half->width_exp);
    }
    half->width_exp = exp;
    half->amax = amax;
}

oct_status oct_hist_reserve(oct_ctx *ctx, oct_hist *h, float pos_amax, float neg_amax)
{
    const bool wide = h->wide || neg_amax > 0;
    if ((h->block == NULL && (pos_amax > 0 || neg_amax > 0)) || wide != h->wide)
        OCT_TRY(grow_block(ctx, h, wide));
    if (h->pos.amax > 0 || pos_amax > 0)
        h->pos.bin = h->block;
    if (h->neg.amax > 0 || neg_amax > 0)
        h->neg.bin = h->block + OCT_HIST_BINS;
    widen(h, &h->pos, pos_amax, 0);
    widen(h, &h->neg, neg_amax, OCT_HIST_COARSE_BINS);
    return OCT_OK;
}

oct_status oct_hist_reserve_fold(oct_ctx *ctx, oct_hist *h, int fold)
{
    assert(fold >= 0 && fold < OCT_HIST_FOLDS);
    oct_hist_fold *f = &h->fold[fold];
    if (f->bin == NULL)
        f->bin = oct_zalloc_array(ctx, 2 * OCT_HIST_COARSE_BINS, sizeof *f->bin);
    return f->bin != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

static void add_range(oct_hist_range *dst, const oct_hist_range *src)
{
    dst->pos_amax = src->pos_amax > dst->pos_amax ? src->pos_amax : dst->pos_amax;
    dst->neg_amax = src->neg_amax > dst->neg_amax ? src->neg_amax : dst->neg_amax;
    dst->n_zero += src->n_zero;
    dst->n_nan += src->n_nan;
    dst->n_pos_inf += src->n_pos_inf;
    dst->n_neg_inf += src->n_neg_inf;
}

static void book_totals(oct_hist *h, oct_hist_fold *f, const oct_hist_range *r, size_t n)
{
    const uint64_t n_finite = n - r->n_nan - r->n_pos_inf - r->n_neg_inf;
    h->n_zero += r->n_zero;
    h->n_nan += r->n_nan;
    h->n_pos_inf += r->n_pos_inf;
    h->n_neg_inf += r->n_neg_inf;
    h->n_total += n_finite;
    if (f == NULL)
        return;
    f->n_zero += r->n_zero;
    f->n_neg_inf += r->n_neg_inf;
    f->n_total += n_finite;
    f->pos_amax = r->pos_amax > f->pos_amax ? r->pos_amax : f->pos_amax;
    f->neg_amax = r->neg_amax > f->neg_amax ? r->neg_amax : f->neg_amax;
}

oct_status oct_hist_add(oct_ctx *ctx, oct_hist *h, const float *x, size_t n, int fold,
                        oct_hist_range *seen)
{
    oct_hist_range r = {0};
    oct_hist_scan(x, n, &r);
    oct_hist_fold *f = NULL;
    if (fold != OCT_HIST_NO_FOLD && n > 0) {
        OCT_TRY(oct_hist_reserve_fold(ctx, h, fold));
        f = &h->fold[fold];
    }
    OCT_TRY(oct_hist_reserve(ctx, h, r.pos_amax, r.neg_amax));
    book_totals(h, f, &r, n);
    if (seen != NULL)
        add_range(seen, &r);
    const float pos_mul = ldexpf(1.0f, -h->pos.width_exp);
    const float neg_mul = ldexpf(1.0f, -h->neg.width_exp);
    for (size_t i = 0; i < n; i++) {
        const int32_t k = oct_hist_bin_of(x[i], pos_mul, neg_mul);
        if (k < 0)
            continue;
        h->block[k]++;
        if (f != NULL)
            f->bin[k >> OCT_HIST_COARSE_SHIFT]++;
    }
    return OCT_OK;
}

/* ---- by way of a scratch ------------------------------------------------------------------ */

struct oct_hist_scratch {
    const oct_hist_kernel *kernel;
    oct_hist_table table; /* all counts zero between images */
    oct_hist_range seen;
    size_t n;
};

oct_status oct_hist_scratch_new(oct_ctx *ctx, oct_hist_scratch **out)
{
    oct_hist_scratch *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    s->kernel = oct_hist_kernel_best();
    s->table.bin = oct_zalloc_array(ctx, 2 * OCT_HIST_BINS, sizeof *s->table.bin);
    if (s->table.bin == NULL) {
        oct_free(ctx, s);
        return OCT_ERR_NOMEM;
    }
    *out = s;
    return OCT_OK;
}

void oct_hist_scratch_free(oct_ctx *ctx, oct_hist_scratch *s)
{
    if (s == NULL)
        return;
    oct_free(ctx, s->table.bin);
    oct_free(ctx, s);
}

bool oct_hist_scratch_pays(size_t n)
{
    return n >= SCRATCH_MIN_ELEMS && n < SCRATCH_MAX_ELEMS;
}

void oct_hist_scratch_begin(oct_hist_scratch *s, const oct_hist *h)
{
    assert(s->n == 0);
    s->table.pos_exp = h->pos.width_exp;
    s->table.neg_exp = h->neg.width_exp;
}

static void merge_counts(uint32_t *bin, int shift)
{
    if (shift > 16)
        shift = 16;
    for (size_t k = 0; shift > 0 && k < OCT_HIST_BINS; k++) {
        const uint32_t c = bin[k];
        bin[k] = 0;
        bin[k >> shift] += c;
    }
}

/* Makes the bins of one sign 2^exp wide, if they are not that wide yet. */
static void coarsen(uint32_t *bin, int *width_exp, int exp)
{
    if (exp <= *width_exp)
        return;
    merge_counts(bin, exp - *width_exp);
    *width_exp = exp;
}

/* A block that a tally stopped at: wider bins, odd values apart. */
static void take_block(oct_hist_scratch *s, const float *x, size_t n)
{
    oct_hist_table *t = &s->table;
    oct_hist_scan(x, n, &s->seen);
    if (s->seen.pos_amax > 0)
        coarsen(t->bin, &t->pos_exp, oct_hist_width_exp(s->seen.pos_amax));
    if (s->seen.neg_amax > 0)
        coarsen(t->bin + OCT_HIST_BINS, &t->neg_exp, oct_hist_width_exp(s->seen.neg_amax));
    const float pos_mul = ldexpf(1.0f, -t->pos_exp), neg_mul = ldexpf(1.0f, -t->neg_exp);
    for (size_t i = 0; i < n; i++) {
        const int32_t k = oct_hist_bin_of(x[i], pos_mul, neg_mul);
        if (k >= 0)
            t->bin[k]++;
    }
}

void oct_hist_scratch_add(oct_hist_scratch *s, const float *x, size_t n)
{
    assert(n < SCRATCH_MAX_ELEMS && s->n < SCRATCH_MAX_ELEMS);
    s->n += n;
    while (n > 0) {
        size_t done = s->kernel->tally(x, n, &s->table, &s->seen);
        if (done < n) {
            const size_t block = n - done < OCT_HIST_BLOCK ? n - done : OCT_HIST_BLOCK;
            take_block(s, x + done, block);
            done += block;
        }
        x += done;
        n -= done;
    }
}

/* Bins, rounded up to whole coarse ones, that a magnitude of this side can have filled. */
static size_t used_bins(float amax, int exp)
{
    const size_t line = (size_t)1 << OCT_HIST_COARSE_SHIFT;
    return amax > 0 ? ((size_t)ldexpf(amax, -exp) / line + 1) * line : 0;
}

oct_status oct_hist_scratch_take(oct_ctx *ctx, oct_hist *h, oct_hist_scratch *s, int fold,
                                 oct_hist_range *seen)
{
    oct_hist_table *t = &s->table;
    oct_hist_fold *f = NULL;
    if (fold != OCT_HIST_NO_FOLD && s->n > 0) {
        OCT_TRY(oct_hist_reserve_fold(ctx, h, fold));
        f = &h->fold[fold];
    }
    OCT_TRY(oct_hist_reserve(ctx, h, s->seen.pos_amax, s->seen.neg_amax));
    book_totals(h, f, &s->seen, s->n);
    coarsen(t->bin, &t->pos_exp, h->pos.width_exp);
    coarsen(t->bin + OCT_HIST_BINS, &t->neg_exp, h->neg.width_exp);
    s->kernel->pour(t->bin, used_bins(s->seen.pos_amax, t->pos_exp), h->block,
                    f != NULL ? f->bin : NULL);
    if (s->seen.neg_amax > 0)
        s->kernel->pour(t->bin + OCT_HIST_BINS, used_bins(s->seen.neg_amax, t->neg_exp),
                        h->block + OCT_HIST_BINS, f != NULL ? f->bin + OCT_HIST_COARSE_BINS : NULL);
    if (seen != NULL)
        *seen = s->seen;
    memset(&s->seen, 0, sizeof s->seen);
    s->n = 0;
    return OCT_OK;
}

/* ---- merging and deriving ----------------------------------------------------------------- */

static void add_bins(uint64_t *dst, const uint64_t *src, size_t n, int shift)
{
    if (shift > 16)
        shift = 16;
    for (size_t k = 0; k < n; k++)
        dst[k >> shift] += src[k];
}

static oct_status merge_fold(oct_ctx *ctx, oct_hist *dst, const oct_hist *src, int fold)
{
    const oct_hist_fold *s = &src->fold[fold];
    if (s->bin == NULL)
        return OCT_OK;
    OCT_TRY(oct_hist_reserve_fold(ctx, dst, fold));
    oct_hist_fold *d = &dst->fold[fold];
    d->pos_amax = s->pos_amax > d->pos_amax ? s->pos_amax : d->pos_amax;
    d->neg_amax = s->neg_amax > d->neg_amax ? s->neg_amax : d->neg_amax;
    d->n_zero += s->n_zero;
    d->n_neg_inf += s->n_neg_inf;
    d->n_total += s->n_total;
    if (src->pos.amax > 0)
        add_bins(d->bin, s->bin, OCT_HIST_COARSE_BINS, dst->pos.width_exp - src->pos.width_exp);
    if (src->neg.amax > 0)
        add_bins(d->bin + OCT_HIST_COARSE_BINS, s->bin + OCT_HIST_COARSE_BINS, OCT_HIST_COARSE_BINS,
                 dst->neg.width_exp - src->neg.width_exp);
    return OCT_OK;
}

oct_status oct_hist_merge(oct_ctx *ctx, oct_hist *dst, const oct_hist *src)
{
    OCT_TRY(oct_hist_reserve(ctx, dst, src->pos.amax, src->neg.amax));
    dst->n_zero += src->n_zero;
    dst->n_nan += src->n_nan;
    dst->n_pos_inf += src->n_pos_inf;
    dst->n_neg_inf += src->n_neg_inf;
    dst->n_total += src->n_total;
    if (src->pos.amax > 0)
        add_bins(dst->pos.bin, src->pos.bin, OCT_HIST_BINS,
                 dst->pos.width_exp - src->pos.width_exp);
    if (src->neg.amax > 0)
        add_bins(dst->neg.bin, src->neg.bin, OCT_HIST_BINS,
                 dst->neg.width_exp - src->neg.width_exp);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        OCT_TRY(merge_fold(ctx, dst, src, f));
    return OCT_OK;
}

/* Both halves of device counts, coarse or fine, into `dst` of the same kind. */
static void add_counts(uint64_t *dst, const oct_hist *h, const uint64_t *src,
                       const oct_hist_counts *c, size_t bins)
{
    if (c->pos_amax > 0)
        add_bins(dst, src, bins, h->pos.width_exp - c->pos_exp);
    if (c->neg_amax > 0)
        add_bins(dst + bins, src + bins, bins, h->neg.width_exp - c->neg_exp);
}

static oct_status add_fold_counts(oct_ctx *ctx, oct_hist *h, const oct_hist_counts *c, int fold)
{
    const oct_hist_fold_counts *s = &c->fold[fold];
    if (s->n_total + s->n_neg_inf == 0)
        return OCT_OK; /* a fold without images stays without bins */
    OCT_TRY(oct_hist_reserve_fold(ctx, h, fold));
    oct_hist_fold *f = &h->fold[fold];
    f->pos_amax = s->pos_amax > f->pos_amax ? s->pos_amax : f->pos_amax;
    f->neg_amax = s->neg_amax > f->neg_amax ? s->neg_amax : f->neg_amax;
    f->n_zero += s->n_zero;
    f->n_neg_inf += s->n_neg_inf;
    f->n_total += s->n_total;
    add_counts(f->bin, h, c->coarse[fold], c, OCT_HIST_COARSE_BINS);
    return OCT_OK;
}

oct_status oct_hist_merge_counts(oct_ctx *ctx, oct_hist *dst, const oct_hist_counts *src)
{
    if ((src->pos_amax > 0 && oct_hist_width_exp(src->pos_amax) != src->pos_exp) ||
        (src->neg_amax > 0 && oct_hist_width_exp(src->neg_amax) != src->neg_exp))
        return oct_fail(ctx, OCT_ERR_BUG,
                        "device histogram: bins 2^%d and 2^%d wide do not hold it", src->pos_exp,
                        src->neg_exp);
    OCT_TRY(oct_hist_reserve(ctx, dst, src->pos_amax, src->neg_amax));
    dst->n_zero += src->n_zero;
    dst->n_nan += src->n_nan;
    dst->n_pos_inf += src->n_pos_inf;
    dst->n_neg_inf += src->n_neg_inf;
    dst->n_total += src->n_total;
    add_counts(dst->block, dst, src->bin, src, OCT_HIST_BINS);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        OCT_TRY(add_fold_counts(ctx, dst, src, f));
    return OCT_OK;
}

static oct_status relu_fold(oct_ctx *ctx, oct_hist *dst, const oct_hist *src, int fold)
{
    const oct_hist_fold *s = &src->fold[fold];
    if (s->bin == NULL)
        return OCT_OK;
    OCT_TRY(oct_hist_reserve_fold(ctx, dst, fold));
    oct_hist_fold *d = &dst->fold[fold];
    d->pos_amax = s->pos_amax;
    d->n_zero =
        s->n_zero + s->n_neg_inf + sum_bins(s->bin + OCT_HIST_COARSE_BINS, OCT_HIST_COARSE_BINS);
    d->n_total = s->n_total + s->n_neg_inf;
    memcpy(d->bin, s->bin, OCT_HIST_COARSE_BINS * sizeof *d->bin);
    return OCT_OK;
}

oct_status oct_hist_relu(oct_ctx *ctx, oct_hist *dst, const oct_hist *src)
{
    assert(dst->n_total == 0 && dst->block == NULL);
    OCT_TRY(oct_hist_reserve(ctx, dst, src->pos.amax, 0));
    if (src->pos.amax > 0)
        memcpy(dst->pos.bin, src->pos.bin, OCT_HIST_BINS * sizeof *dst->pos.bin);
    dst->n_nan = src->n_nan;
    dst->n_pos_inf = src->n_pos_inf;
    dst->n_zero = src->n_zero + oct_hist_n_neg(src) + src->n_neg_inf;
    dst->n_total = src->n_total + src->n_neg_inf;
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        OCT_TRY(relu_fold(ctx, dst, src, f));
    return OCT_OK;
}
