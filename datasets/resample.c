/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/resample.h"

#include <assert.h>
#include <string.h>

#include "datasets/resample_internal.h"

oct_status oct_resampler_new(oct_ctx *ctx, bool portable, oct_resampler **out)
{
    oct_resampler *r = oct_zalloc(ctx, sizeof *r);
    if (r == NULL)
        return OCT_ERR_NOMEM;
    r->ops = oct_resample_ops_portable;
#if OCT_X86
    if (!portable && __builtin_cpu_supports("avx2"))
        r->ops = oct_resample_ops_avx2;
#endif
    *out = r;
    return OCT_OK;
}

void oct_resampler_free(oct_ctx *ctx, oct_resampler *r)
{
    if (r == NULL)
        return;
    oct_free(ctx, r->axis[0].p);
    oct_free(ctx, r->axis[1].p);
    oct_free(ctx, r->rows.p);
    oct_free(ctx, r->rows2.p);
    oct_free(ctx, r);
}

void *oct_resampler_scratch(oct_resampler *r, oct_ctx *ctx, oct_scratch_block *b, size_t bytes)
{
    if (b->p != NULL && b->cap >= bytes)
        return b->p;
    oct_free(ctx, b->p);
    b->p = oct_alloc(ctx, bytes);
    b->cap = b->p != NULL ? bytes : 0;
    return b->p;
}

static void copy_window(const oct_image *src, oct_window win, uint8_t *dst, size_t dst_stride)
{
    const size_t c = (size_t)src->channels, n = (size_t)win.width * c;
    for (int y = 0; y < win.height; y++)
        memcpy(dst + (size_t)y * dst_stride,
               src->data + ((size_t)(win.y + y) * (size_t)src->width + (size_t)win.x) * c, n);
}

/* Pillow walks the source in steps added up in double; multiplying instead would round some
 * coordinates differently. */
static void nearest_axis(int n_in, int n_out, int first, int n, int *at)
{
    const double step = (double)n_in / n_out;
    double pos = step * 0.5;
    for (int i = 0; i < first + n; i++, pos += step)
        if (i >= first)
            at[i - first] = pos < n_in ? (int)pos : n_in - 1;
}

static oct_status resample_nearest(oct_resampler *r, oct_ctx *ctx, const oct_image *src, int width,
                                   int height, oct_window win, uint8_t *dst, size_t dst_stride)
{
    const size_t c = (size_t)src->channels;
    int *x_at = oct_resampler_scratch(r, ctx, &r->axis[0], (size_t)win.width * sizeof *x_at);
    int *y_at = oct_resampler_scratch(r, ctx, &r->axis[1], (size_t)win.height * sizeof *y_at);
    if (x_at == NULL || y_at == NULL)
        return OCT_ERR_NOMEM;
    nearest_axis(src->width, width, win.x, win.width, x_at);
    nearest_axis(src->height, height, win.y, win.height, y_at);
    for (int y = 0; y < win.height; y++) {
        const uint8_t *row = src->data + (size_t)y_at[y] * (size_t)src->width * c;
        uint8_t *d = dst + (size_t)y * dst_stride;
        for (int x = 0; x < win.width; x++)
            for (size_t k = 0; k < c; k++)
                *d++ = row[(size_t)x_at[x] * c + k];
    }
    return OCT_OK;
}

oct_status oct_resample(oct_resampler *r, oct_ctx *ctx, oct_resample_kernel kernel,
                        const oct_image *src, int width, int height, oct_window win, uint8_t *dst,
                        size_t dst_stride)
{
    assert(win.x >= 0 && win.y >= 0 && win.width > 0 && win.height > 0);
    assert(win.x + win.width <= width && win.y + win.height <= height);
    if (width == src->width && height == src->height) {
        copy_window(src, win, dst, dst_stride);
        return OCT_OK;
    }
    const bool halves = src->width == 2 * width && src->height == 2 * height;
    const bool shrinks = width <= src->width && height <= src->height;
    switch (kernel) {
    case OCT_RESAMPLE_PILLOW_BILINEAR:
    case OCT_RESAMPLE_PILLOW_BICUBIC:
        return oct_resample_pillow(r, ctx, kernel == OCT_RESAMPLE_PILLOW_BICUBIC, src, width,
                                   height, win, dst, dst_stride);
    case OCT_RESAMPLE_OPENCV_LINEAR: /* OpenCV takes the area code for an exact half */
        if (halves)
            return oct_resample_area(r, ctx, src, width, height, win, dst, dst_stride);
        return oct_resample_linear(r, ctx, false, src, width, height, win, dst, dst_stride);
    case OCT_RESAMPLE_OPENCV_AREA: /* and the linear code where an axis grows */
        if (shrinks)
            return oct_resample_area(r, ctx, src, width, height, win, dst, dst_stride);
        return oct_resample_linear(r, ctx, true, src, width, height, win, dst, dst_stride);
    default:
        return resample_nearest(r, ctx, src, width, height, win, dst, dst_stride);
    }
}
