/* SPDX-License-Identifier: Apache-2.0
 *
 * Pillow's convolution resampling (libImaging/Resample.c describes the method): weights in
 * double, normalised, rounded to 22-bit fixed point; rows first, then columns, each pass
 * rounded to 8 bits.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "datasets/resample_internal.h"

static double weight_bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double weight_bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static int to_fixed(double w)
{
    const double scaled = w * (1 << OCT_PILLOW_BITS);
    return (int)(w < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* Weights of one output; returns how many inputs it takes. */
static int make_weights(double center, double support, double stretch, bool cubic, int n_in,
                        int *first, int16_t *high, int16_t *low, double *temp)
{
    const int lo = (int)fmax(center - support + 0.5, 0.0);
    const int hi = (int)fmin(center + support + 0.5, n_in);
    double sum = 0.0;
    for (int i = 0; i < hi - lo; i++) {
        const double x = (i + lo - center + 0.5) * (1.0 / stretch);
        temp[i] = cubic ? weight_bicubic(x) : weight_bilinear(x);
        sum += temp[i];
    }
    for (int i = 0; i < hi - lo; i++) {
        const int k = to_fixed(sum != 0.0 ? temp[i] / sum : temp[i]);
        high[i] = (int16_t)(k >> OCT_PILLOW_LOW);
        low[i] = (int16_t)(k & ((1 << OCT_PILLOW_LOW) - 1));
    }
    *first = lo;
    return hi - lo;
}

static oct_status make_axis(oct_resampler *r, oct_ctx *ctx, oct_scratch_block *block, int n_in,
                            int n_out, int from, int n, bool cubic, oct_pillow_axis *axis)
{
    const double scale = (double)n_in / n_out, stretch = scale < 1.0 ? 1.0 : scale;
    const double support = (cubic ? 2.0 : 1.0) * stretch;
    const size_t taps = ((size_t)ceil(support) * 2 + 1 + OCT_PILLOW_GROUP - 1) / OCT_PILLOW_GROUP *
                        OCT_PILLOW_GROUP;
    size_t n_weights;
    if (!oct_mul_size(taps, (size_t)n, &n_weights) || n_weights > SIZE_MAX / 16)
        return oct_fail(ctx, OCT_ERR_LIMIT, "resize from %d to %d pixels overflows", n_in, n_out);
    const size_t ints = 2 * (size_t)n * sizeof(int), shorts = 2 * n_weights * sizeof(int16_t);
    uint8_t *p = oct_resampler_scratch(r, ctx, block, taps * sizeof(double) + ints + shorts);
    if (p == NULL)
        return OCT_ERR_NOMEM;
    double *temp = (double *)p;
    axis->n = n;
    axis->n_taps = (int)taps;
    axis->first = (int *)(temp + taps);
    axis->count = axis->first + n;
    axis->high = (int16_t *)(axis->count + n);
    axis->low = axis->high + n_weights;
    memset(axis->high, 0, shorts);
    for (int i = 0; i < n; i++)
        axis->count[i] =
            make_weights((from + i + 0.5) * scale, support, stretch, cubic, n_in, &axis->first[i],
                         axis->high + (size_t)i * taps, axis->low + (size_t)i * taps, temp);
    return OCT_OK;
}

/* Columns pass over rows that hold exactly the window's width. */
static void run_columns(const oct_resampler *r, const oct_pillow_axis *ys, const uint8_t *rows,
                        size_t stride, int first_row, size_t n, uint8_t *dst, size_t dst_stride)
{
    for (int y = 0; y < ys->n; y++) {
        const size_t at = (size_t)y * (size_t)ys->n_taps;
        r->ops.pillow_column(rows + (size_t)(ys->first[y] - first_row) * stride, stride,
                             ys->high + at, ys->low + at, ys->count[y],
                             dst + (size_t)y * dst_stride, n);
    }
}

oct_status oct_resample_pillow(oct_resampler *r, oct_ctx *ctx, bool cubic, const oct_image *src,
                               int width, int height, oct_window win, uint8_t *dst,
                               size_t dst_stride)
{
    const size_t c = (size_t)src->channels, stride = (size_t)src->width * c;
    const size_t n = (size_t)win.width * c;
    const bool rows_pass = width != src->width, columns_pass = height != src->height;
    oct_pillow_axis xs = {0}, ys = {0};
    int first = win.y, last = win.y + win.height; /* source rows that matter */
    if (columns_pass) {
        OCT_TRY(make_axis(r, ctx, &r->axis[1], src->height, height, win.y, win.height, cubic, &ys));
        first = ys.first[0];
        last = ys.first[win.height - 1] + ys.count[win.height - 1];
    }
    const uint8_t *source = src->data + (size_t)first * stride;
    if (!rows_pass) {
        run_columns(r, &ys, source + (size_t)win.x * c, stride, first, n, dst, dst_stride);
        return OCT_OK;
    }
    OCT_TRY(make_axis(r, ctx, &r->axis[0], src->width, width, win.x, win.width, cubic, &xs));
    if (!columns_pass) {
        r->ops.pillow_rows(&xs, source, stride, last - first, src->channels, dst, dst_stride);
        return OCT_OK;
    }
    uint8_t *rows =
        oct_resampler_scratch(r, ctx, &r->rows, (size_t)(last - first) * n + OCT_IMAGE_SLACK_BYTES);
    if (rows == NULL)
        return OCT_ERR_NOMEM;
    r->ops.pillow_rows(&xs, source, stride, last - first, src->channels, rows, n);
    run_columns(r, &ys, rows, n, first, n, dst, dst_stride);
    return OCT_OK;
}
