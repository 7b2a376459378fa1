/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables and inner loops of the resamplers. Private to datasets/.
 */
#ifndef OCT_DATASETS_RESAMPLE_INTERNAL_H
#define OCT_DATASETS_RESAMPLE_INTERNAL_H

#include "datasets/resample.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_PILLOW_BITS 22 /* fraction bits of a weight */
#define OCT_PILLOW_LOW 11  /* weight = high << 11 | low, so that both halves fit 16 bits */
#define OCT_PILLOW_GROUP 4 /* taps are padded with zero weights to a multiple of this */

/* Weights of one axis: output i takes inputs [first[i], first[i] + count[i]), the weights in
 * high/low[i * n_taps ...]. */
typedef struct oct_pillow_axis {
    int n;
    int n_taps; /* multiple of OCT_PILLOW_GROUP */
    int *first, *count;
    int16_t *high, *low;
} oct_pillow_axis;

/* Two inputs per output: (src[at] * w0 + src[next] * w1), weights in 1/2048. */
typedef struct oct_linear_axis {
    int n;
    int *at, *next;
    int16_t *w0, *w1;
} oct_linear_axis;

/* One growing block per use, so that steady state allocates nothing. */
typedef struct oct_scratch_block {
    void *p;
    size_t cap;
} oct_scratch_block;

typedef struct oct_resample_ops {
    /* `n_rows` rows, each `axis->n` pixels of `channels`; rows are strides apart. */
    void (*pillow_rows)(const oct_pillow_axis *axis, const uint8_t *src, size_t src_stride,
                        int n_rows, int channels, uint8_t *dst, size_t dst_stride);
    /* One output row of `n` bytes from `count` rows `stride` apart. */
    void (*pillow_column)(const uint8_t *src, size_t stride, const int16_t *high,
                          const int16_t *low, int count, uint8_t *dst, size_t n);
    /* One row: dst[] = (src[at] * w0 + src[next] * w1) >> 4, 16 bits. */
    void (*linear_row)(const oct_linear_axis *axis, const uint8_t *src, int channels, int16_t *dst);
    /* dst[i] = (a[i] * w0 >> 16) + (b[i] * w1 >> 16) + 2 >> 2 */
    void (*linear_column)(const int16_t *a, const int16_t *b, int w0, int w1, uint8_t *dst,
                          size_t n);
} oct_resample_ops;

struct oct_resampler {
    oct_resample_ops ops;
    oct_scratch_block axis[2], rows, rows2;
};

/* At least `bytes`; contents undefined; NULL with the error recorded. */
void *oct_resampler_scratch(oct_resampler *r, oct_ctx *ctx, oct_scratch_block *b, size_t bytes);

oct_status oct_resample_pillow(oct_resampler *r, oct_ctx *ctx, bool cubic, const oct_image *src,
                               int width, int height, oct_window win, uint8_t *dst,
                               size_t dst_stride);
oct_status oct_resample_linear(oct_resampler *r, oct_ctx *ctx, bool area, const oct_image *src,
                               int width, int height, oct_window win, uint8_t *dst,
                               size_t dst_stride);
oct_status oct_resample_area(oct_resampler *r, oct_ctx *ctx, const oct_image *src, int width,
                             int height, oct_window win, uint8_t *dst, size_t dst_stride);

extern const oct_resample_ops oct_resample_ops_portable;
#if OCT_X86
extern const oct_resample_ops oct_resample_ops_avx2;
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_RESAMPLE_INTERNAL_H */
