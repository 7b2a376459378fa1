/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, channels-last: one input channel and one output channel a group, one or
 * two spatial axes, any window. 8-bit operands are summed in f32, exactly: at most
 * OCT_DW_MAX_TAPS products of 255 * 255 stay below 2^24.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H
#define OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H

#include "kernels/cuda/cuda_simt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_DW_MAX_TAPS 257
#define OCT_DW_VECTOR 4 /* channels that a thread of the vector form takes */

typedef struct oct_dw {
    const void *x;
    const float *w; /* [tap][c_pad], less the zero point */
    int32_t channels, c_pad;
    int32_t in_h, in_w, out_h, out_w;
    int32_t kernel[2], step[2], dilation[2], origin[2];
    int64_t x_batch;
    int32_t x_row, x_col;
    oct_cuda_div vectors, tiles, lines; /* thread -> channels, tile of columns, of rows, image */
    uint32_t threads;
    oct_simt_strides y[3];
    float x_zero; /* of u8, or of s8 raised by 128 */
    oct_cuda_finish fin;
} oct_dw;

/* Rows and columns of outputs that a thread makes. */
void oct_dw_tile(const oct_dw *p, bool vector, int *n_rows, int *n_cols);

/* `vector`: channels, strides and pointers are multiples of OCT_DW_VECTOR; else one channel a
 * thread. `vectors`, `tiles`, `lines` and `threads` of `p` must fit. */
cudaError_t oct_dw_launch(const oct_dw *p, oct_dtype dt, bool vector, cudaStream_t stream);

/* Whether the family takes `d`; used by those that would rather not. */
bool oct_cuda_depthwise_serves(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, char *reason);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_DEPTHWISE_H */
