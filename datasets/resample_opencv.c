/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenCV's 8-bit INTER_LINEAR (fixed point, 11-bit weights) and INTER_AREA (float).
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "datasets/resample_internal.h"

#define LINEAR_ONE 2048

/* Input position and fraction of output `i`. With `area` (an axis of INTER_AREA that grows)
 * the fraction is the part of the output pixel that lies past the input pixel's edge. */
static void linear_position(int i, double inverse, bool area, int *at, float *fraction)
{
    const double scale = 1.0 / inverse; /* OpenCV's rounding: it moves exact multiples */
    if (area) {
        *at = (int)floor(i * scale);
        const float f = (float)((i + 1) - (*at + 1) * inverse);
        *fraction = f <= 0 ? 0.0f : f - floorf(f);
        return;
    }
    const float f = (float)((i + 0.5) * scale - 0.5);
    *at = (int)floorf(f);
    *fraction = f - (float)*at;
}

static oct_status make_axis(oct_resampler *r, oct_ctx *ctx, oct_scratch_block *block, int n_in,
                            int n_out, int from, int n, bool area, oct_linear_axis *axis)
{
    const double inverse = (double)n_out / n_in;
    const size_t bytes = (size_t)n * 2 * (sizeof(int) + sizeof(int16_t));
    axis->n = n;
    axis->at = oct_resampler_scratch(r, ctx, block, bytes);
    if (axis->at == NULL)
        return OCT_ERR_NOMEM;
    axis->next = axis->at + n;
    axis->w0 = (int16_t *)(axis->next + n);
    axis->w1 = axis->w0 + n;
    for (int i = 0; i < n; i++) {
        float f;
        int at;
        linear_position(from + i, inverse, area, &at, &f);
        if (at < 0 || at >= n_in - 1) {
            at = at < 0 ? 0 : n_in - 1;
            f = 0.0f;
        }
        axis->at[i] = at;
        axis->next[i] = at + 1 < n_in ? at + 1 : at;
        axis->w0[i] = (int16_t)rintf((1.0f - f) * LINEAR_ONE);
        axis->w1[i] = (int16_t)rintf(f * LINEAR_ONE);
    }
    return OCT_OK;
}

/* Two source rows are live at a time; `held` says which ones the two buffers hold. */
static const int16_t *get_row(oct_resampler *r, const oct_linear_axis *xs, const oct_image *src,
                              int y, int16_t *buffer, size_t n, int held[2])
{
    const int slot = y & 1;
    int16_t *row = buffer + (size_t)slot * n;
    if (held[slot] != y) {
        const size_t stride = (size_t)src->width * (size_t)src->channels;
        r->ops.linear_row(xs, src->data + (size_t)y * stride, src->channels, row);
        held[slot] = y;
    }
    return row;
}

oct_status oct_resample_linear(oct_resampler *r, oct_ctx *ctx, bool area, const oct_image *src,
                               int width, int height, oct_window win, uint8_t *dst,
                               size_t dst_stride)
{
    oct_linear_axis xs, ys;
    const size_t n = (size_t)win.width * (size_t)src->channels;
    const size_t padded = n + 16; /* vector stores may run over */
    int held[2] = {-1, -1};
    OCT_TRY(make_axis(r, ctx, &r->axis[0], src->width, width, win.x, win.width, area, &xs));
    OCT_TRY(make_axis(r, ctx, &r->axis[1], src->height, height, win.y, win.height, area, &ys));
    int16_t *rows = oct_resampler_scratch(r, ctx, &r->rows, 2 * padded * sizeof *rows);
    if (rows == NULL)
        return OCT_ERR_NOMEM;
    for (int y = 0; y < win.height; y++) {
        const int16_t *a = get_row(r, &xs, src, ys.at[y], rows, padded, held);
        const int16_t *b = get_row(r, &xs, src, ys.next[y], rows, padded, held);
        r->ops.linear_column(a, b, ys.w0[y], ys.w1[y], dst + (size_t)y * dst_stride, n);
    }
    return OCT_OK;
}

/* One input of one output, INTER_AREA. */
typedef struct area_tap {
    int in, out;
    float w;
} area_tap;

/* Taps of outputs [from, from + n), in order; `tap` has room for 2 + ceil(scale) each. */
static int make_area_taps(int n_in, int n_out, int from, int n, area_tap *tap)
{
    const double scale = 1.0 / ((double)n_out / n_in);
    int k = 0;
    for (int i = 0; i < n; i++) {
        const double lo = (from + i) * scale, hi = lo + scale;
        const double cell = fmin(scale, n_in - lo);
        int first = (int)ceil(lo), last = (int)floor(hi);
        last = last < n_in - 1 ? last : n_in - 1;
        first = first < last ? first : last;
        if (first - lo > 1e-3)
            tap[k++] = (area_tap){first - 1, i, (float)((first - lo) / cell)};
        for (int s = first; s < last; s++)
            tap[k++] = (area_tap){s, i, (float)(1.0 / cell)};
        if (hi - last > 1e-3)
            tap[k++] = (area_tap){last, i, (float)(fmin(fmin(hi - last, 1.0), cell) / cell)};
    }
    return k;
}

static uint8_t round_to_u8(float v)
{
    const float q = rintf(v);
    return q <= 0.0f ? 0 : q >= 255.0f ? 255 : (uint8_t)q;
}

static void area_row(const area_tap *tap, int n_taps, const uint8_t *src, int c, float *row,
                     size_t n)
{
    memset(row, 0, n * sizeof *row);
    for (int k = 0; k < n_taps; k++)
        for (int i = 0; i < c; i++)
            row[tap[k].out * c + i] += src[tap[k].in * c + i] * tap[k].w;
}

/* Whole-number factors: integer sums, as OpenCV's fast path. */
static void area_blocks(const oct_image *src, int fx, int fy, oct_window win, uint8_t *dst,
                        size_t dst_stride)
{
    const int c = src->channels;
    const size_t stride = (size_t)src->width * (size_t)c;
    const bool quad = fx == 2 && fy == 2;
    const float scale = 1.0f / (float)(fx * fy);
    for (int y = 0; y < win.height; y++)
        for (int x = 0; x < win.width * c; x++) {
            const size_t column =
                (size_t)(win.x + x / c) * (size_t)fx * (size_t)c + (size_t)(x % c);
            const uint8_t *s = src->data + (size_t)(win.y + y) * (size_t)fy * stride + column;
            int sum = 0;
            for (int j = 0; j < fy; j++)
                for (int i = 0; i < fx; i++)
                    sum += s[(size_t)j * stride + (size_t)(i * c)];
            dst[(size_t)y * dst_stride + (size_t)x] =
                quad ? (uint8_t)((sum + 2) >> 2) : round_to_u8((float)sum * scale);
        }
}

static void area_columns(const oct_image *src, const area_tap *xt, int n_xt, const area_tap *yt,
                         int n_yt, float *row, size_t n, uint8_t *dst, size_t dst_stride)
{
    const size_t stride = (size_t)src->width * (size_t)src->channels;
    float *sum = row + n;
    memset(sum, 0, n * sizeof *sum);
    for (int k = 0; k < n_yt; k++) {
        area_row(xt, n_xt, src->data + (size_t)yt[k].in * stride, src->channels, row, n);
        for (size_t i = 0; i < n; i++)
            sum[i] += yt[k].w * row[i];
        if (k + 1 < n_yt && yt[k + 1].out == yt[k].out)
            continue;
        for (size_t i = 0; i < n; i++)
            dst[(size_t)yt[k].out * dst_stride + i] = round_to_u8(sum[i]);
        memset(sum, 0, n * sizeof *sum);
    }
}

oct_status oct_resample_area(oct_resampler *r, oct_ctx *ctx, const oct_image *src, int width,
                             int height, oct_window win, uint8_t *dst, size_t dst_stride)
{
    if (src->width % width == 0 && src->height % height == 0) {
        area_blocks(src, src->width / width, src->height / height, win, dst, dst_stride);
        return OCT_OK;
    }
    const size_t n = (size_t)win.width * (size_t)src->channels;
    const size_t x_taps = (size_t)win.width * ((size_t)(src->width / width) + 3);
    const size_t y_taps = (size_t)win.height * ((size_t)(src->height / height) + 3);
    area_tap *xt = oct_resampler_scratch(r, ctx, &r->axis[0], x_taps * sizeof *xt);
    area_tap *yt = oct_resampler_scratch(r, ctx, &r->axis[1], y_taps * sizeof *yt);
    float *row = oct_resampler_scratch(r, ctx, &r->rows, 2 * n * sizeof *row);
    if (xt == NULL || yt == NULL || row == NULL)
        return OCT_ERR_NOMEM;
    const int n_xt = make_area_taps(src->width, width, win.x, win.width, xt);
    const int n_yt = make_area_taps(src->height, height, win.y, win.height, yt);
    area_columns(src, xt, n_xt, yt, n_yt, row, n, dst, dst_stride);
    return OCT_OK;
}
