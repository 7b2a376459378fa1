/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

oct_status fake_hist_create(oct_backend *be, oct_ctx *ctx, uint32_t n_values, int max_images,
                            oct_hist_device **out)
{
    oct_hist_device *h = calloc(1, sizeof *h);
    h->be = be;
    h->ctx = ctx;
    h->n_values = n_values;
    h->max_images = max_images;
    h->hist = calloc(n_values, sizeof *h->hist);
    h->image = calloc((size_t)n_values * (size_t)max_images, sizeof *h->image);
    h->exact = calloc(n_values, sizeof *h->exact);
    for (uint32_t i = 0; i < n_values; i++)
        oct_hist_init(&h->hist[i]);
    *out = h;
    return OCT_OK;
}

void fake_hist_destroy(oct_backend *be, oct_hist_device *h)
{
    (void)be;
    for (uint32_t i = 0; h && i < h->n_values; i++)
        oct_hist_deinit(h->ctx, &h->hist[i]);
    if (h) {
        free(h->hist);
        free(h->image);
        free(h->exact);
    }
    free(h);
}

oct_status fake_hist_begin(oct_hist_device *h, oct_ctx *ctx, oct_stream *s)
{
    (void)ctx;
    (void)s;
    memset(h->image, 0, (size_t)h->n_values * (size_t)h->max_images * sizeof *h->image);
    return OCT_OK;
}

static oct_status count_image(oct_ctx *ctx, oct_hist_device *h, uint32_t value,
                              const oct_hist_slice *x, int k)
{
    const float *from = (const float *)x->data + (size_t)k * x->n_each;
    oct_hist_range seen = {0};
    OCT_TRY(oct_hist_add(ctx, &h->hist[value], from, x->n_each, x->fold, &seen));
    h->image[value * (uint32_t)h->max_images + (uint32_t)k] =
        (oct_hist_image){seen.pos_amax, seen.neg_amax, (uint32_t)seen.n_nan,
                         (uint32_t)(seen.n_pos_inf + seen.n_neg_inf)};
    return OCT_OK;
}

oct_status fake_hist_count(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                           const oct_hist_slice *x)
{
    for (int k = 0; k < x->n_images; k++)
        OCT_TRY(count_image(ctx, h, value, x, k));
    return OCT_OK;
}

void fake_hist_count_exact(oct_hist_device *h, uint32_t value, const oct_hist_slice *slice,
                           const double scale[2])
{
    const float *x = slice->data;
    const size_t n = slice->n_each * (size_t)slice->n_images;
    for (size_t i = 0; i < n; i++)
        for (int t = 0; t < 2 && isnormal(x[i]); t++) {
            const double k = fabs((double)x[i]) * scale[t];
            const size_t last = OCT_HIST_EXACT_BINS - 1;
            if (scale[t] > 0 && (t == 0 || x[i] > 0))
                h->exact[value][t][k < (double)last ? (size_t)k : last]++;
        }
}

static void half_counts(const oct_hist_half *half, uint64_t *bin, float *amax, int32_t *exp)
{
    if (half->amax > 0)
        memcpy(bin, half->bin, OCT_HIST_BINS * sizeof *bin);
    *amax = half->amax;
    *exp = half->width_exp;
}

oct_status fake_hist_read(oct_hist_device *h, oct_ctx *ctx, uint32_t value, oct_hist_counts *out)
{
    oct_hist *x = &h->hist[value];
    memset(out, 0, sizeof *out);
    half_counts(&x->pos, out->bin, &out->pos_amax, &out->pos_exp);
    half_counts(&x->neg, out->bin + OCT_HIST_BINS, &out->neg_amax, &out->neg_exp);
    out->n_zero = x->n_zero;
    out->n_nan = x->n_nan;
    out->n_pos_inf = x->n_pos_inf;
    out->n_neg_inf = x->n_neg_inf;
    out->n_total = x->n_total;
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        const oct_hist_fold *from = &x->fold[f];
        out->fold[f] = (oct_hist_fold_counts){from->pos_amax, from->neg_amax, from->n_zero,
                                              from->n_neg_inf, from->n_total};
        if (from->bin)
            memcpy(out->coarse[f], from->bin, sizeof out->coarse[f]);
    }
    oct_hist_deinit(ctx, x);
    return OCT_OK;
}

oct_status fake_hist_read_exact(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                                uint64_t table[2][OCT_HIST_EXACT_BINS])
{
    (void)ctx;
    memcpy(table, h->exact[value], sizeof h->exact[value]);
    return OCT_OK;
}
