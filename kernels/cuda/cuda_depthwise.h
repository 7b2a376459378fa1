/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, channels-last: one input channel and one output channel a group, one or
 * two spatial axes, any window. 8-bit operands are summed exactly: in s32 by the rolling kernels, in
 * f32 by the others, where at most OCT_DW_MAX_TAPS products of 255 * 255 stay below 2^24.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H
#define OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H

#include "kernels/cuda/cuda_simt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_DW_MAX_TAPS 257
#define OCT_DW_VECTOR 4 /* channels that a thread of the vector forms takes, or half of them */
#define OCT_DW_COLS 4   /* columns of outputs a thread */

typedef struct oct_dw {
    const void *x;
    const float *w;        /* [tap][c_pad], less the zero point */
    const uint32_t *words; /* 8-bit 3x3 and 5x5: see oct_dw_word_rows(); NULL: not packed */
    int32_t channels, c_pad;
    int32_t in_h, in_w, out_h, out_w;
    int32_t kernel[2], step[2], dilation[2], origin[2];
    int64_t x_batch;
    int32_t x_row, x_col;
    oct_cuda_div vectors, tiles, lines; /* thread -> channels, tile of columns, of rows, image */
    uint32_t threads;
    int32_t strip;     /* rows of outputs a thread */
    uint32_t pad_word; /* 8-bit: four zero points */
    bool sums_fit;     /* 8-bit: within 2^22, with what the zero point and an s32 bias add */
    bool
        narrow; /* 8-bit: within 16 bits before they are bounded; no zero point. f16: bounds are f16 */
    uint32_t lo, hi; /* narrow: fin.lo and hi, each as two numbers of 16 bits */
    float inverse;   /* 8-bit: of the result's scale; 0 where only a true division will do */
    oct_simt_strides y[3];
    float x_zero; /* of u8, or of s8 raised by 128 */
    oct_cuda_finish fin;
} oct_dw;

/* Rows [row][c_pad] of p.words: for each row of the window a word a channel of its first four taps, the
 * first in the low byte; then, 5x5, one of the fifth taps of its first four rows, and that of the last as s32. */
static inline int oct_dw_word_rows(int kernel)
{
    return kernel == 5 ? 7 : 3;
}

typedef enum oct_dw_form {
    OCT_DW_ONE,     /* a channel a thread; any window, any epilogue */
    OCT_DW_VECTORS, /* OCT_DW_VECTOR channels */
    OCT_DW_ROLLING, /* cuda_depthwise.cuh: 3x3 and 5x5, stride 1 and 2, short epilogue */
} oct_dw_form;

/* `vector`: channels, strides and pointers are multiples of OCT_DW_VECTOR. */
oct_dw_form oct_dw_form_of(const oct_dw *p, oct_dtype dt, bool vector);

/* Of a rolling kernel: threads of a block, blocks of a multiprocessor, and channels a thread, so that their
 * weights and sums are registers. */
#define OCT_DW_THREADS 128
#define OCT_DW_BLOCKS(bytes, k, s) \
    ((k) == 5 || ((bytes) == 2 && (s) == 2) ? 3 : (bytes) == 2 ? 5 : 4)
#define OCT_DW_CHANNELS(bytes, k, s) \
    ((bytes) == 1 || ((bytes) == 2 && (k) == 3 && (s) == 2) ? 4 : 2)

/* Rows a thread of a rolling kernel. The more, the fewer rows are read twice; the fewer, the more threads. A
 * strip takes time for its rows and for what lies around it; `at_once` threads run together. */
static inline int32_t oct_dw_strip(int64_t threads_a_row, const oct_dw *p, int64_t at_once)
{
    double best = 1e30;
    int32_t rows = 1;
    for (int32_t strips = 1; strips <= p->out_h; strips++) {
        const int32_t r = (p->out_h + strips - 1) / strips;
        const double waves = (double)(threads_a_row * strips) / (double)at_once;
        const double whole = waves < 4.0 ? (double)(int64_t)(waves + 0.999) : waves + 0.5;
        const double time = whole * (double)((r - 1) * p->step[0] + p->kernel[0] + 2);
        if (time < best) {
            best = time;
            rows = r;
        }
    }
    return rows;
}

/* `vectors`, `tiles`, `lines`, `threads` and `strip` of `p` must fit the form. */
cudaError_t oct_dw_launch(const oct_dw *p, oct_dtype dt, oct_dw_form form, cudaStream_t stream);
cudaError_t oct_dw_launch_real(const oct_dw *p, bool is_f16, cudaStream_t stream);
cudaError_t oct_dw_launch_q8(const oct_dw *p, bool is_signed, cudaStream_t stream);

/* Whether the family takes `d`; used by those that would rather not. */
bool oct_cuda_depthwise_serves(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, char *reason);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H */
