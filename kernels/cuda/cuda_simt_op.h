/* SPDX-License-Identifier: Apache-2.0
 *
 * From a problem in numbers to a prepared op on the kernels of cuda_simt.h: which kind of
 * element, which tile, tables and packed weights. A convolution is one problem, a transposed one is a
 * problem per phase of its stride, Gemm and MatMul are one.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_SIMT_OP_H
#define OCT_KERNELS_CUDA_CUDA_SIMT_OP_H

#include "kernels/cuda/cuda_simt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One k of the sum: where its x lies from the row's place and its w in the weights. */
typedef struct oct_simt_term {
    int64_t offset, w;
    int32_t move[3];
} oct_simt_term;

/* All offsets and strides in elements. Arrays belong to the problem (oct_simt_problem_free). */
typedef struct oct_simt_problem {
    int64_t rows, cols;
    int64_t out[3]; /* output positions of an image; rows = images * out[0] * out[1] * out[2] */
    int64_t in[3], step[3], origin[3];
    int64_t x_batch, x_axis[3];
    oct_simt_term *term;
    int64_t n_terms;
    oct_simt_z *z; /* z[].w: number of the weight matrix */
    int64_t n_z;
    int64_t *w_off; /* of each weight matrix */
    int64_t n_w, w_step;
    int64_t n_channels;    /* of the epilogue's factors */
    int64_t zero_channels; /* weights' zero points repeat after this many channels */
    bool own_channels;     /* no two z share channels */
    oct_simt_strides y[3]; /* out 0, out 1, residual */
    bool flat;             /* rows at one distance: y[].axis[2] */
    int64_t bias_row, bias_col;
} oct_simt_problem;

OCT_MUST_CHECK oct_status oct_simt_problem_init(oct_simt_problem *p, oct_ctx *ctx, int64_t n_terms,
                                                int64_t n_z, int64_t n_w);
void oct_simt_problem_free(oct_simt_problem *p, oct_ctx *ctx);

/* Can they run? Fills the candidate's workspace and its name, "cuda:simt:f32:128x64". */
bool oct_simt_op_query(oct_cuda *be, const oct_op_desc *d, const oct_simt_problem *p, int n,
                       oct_candidate *c, char *reason);

OCT_MUST_CHECK oct_status oct_simt_op_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                           const oct_simt_problem *p, int n, oct_cuda_op **out);

/* Strides of a tensor [N, C, spatial...] (rank 3..5) with three spatial axes. */
oct_simt_strides oct_simt_strides_of(const oct_tensor_desc *t);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_SIMT_OP_H */
