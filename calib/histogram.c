/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/histogram.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Values scanned and then counted together: one visit to memory, two to L1. */
#define BLOCK_ELEMS 4096

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
    const oct_hist_kernel *kernel = oct_hist_kernel_best();
    oct_hist_fold *f = NULL;
    if (fold != OCT_HIST_NO_FOLD && n > 0) {
        OCT_TRY(oct_hist_reserve_fold(ctx, h, fold));
        f = &h->fold[fold];
    }
    for (size_t i = 0; i < n; i += BLOCK_ELEMS) {
        const size_t len = n - i < BLOCK_ELEMS ? n - i : BLOCK_ELEMS;
        oct_hist_range r = {0};
        kernel->scan(x + i, len, &r);
        OCT_TRY(oct_hist_reserve(ctx, h, r.pos_amax, r.neg_amax));
        book_totals(h, f, &r, len);
        if (seen != NULL)
            add_range(seen, &r);
        if (r.pos_amax == 0 && r.neg_amax == 0)
            continue;
        const oct_hist_table table = {
            .bin = h->block,
            .coarse = f != NULL ? f->bin : NULL,
            .pos_mul = ldexpf(1.0f, -h->pos.width_exp),
            .neg_mul = ldexpf(1.0f, -h->neg.width_exp),
        };
        kernel->count(x + i, len, &table);
    }
    return OCT_OK;
}

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
