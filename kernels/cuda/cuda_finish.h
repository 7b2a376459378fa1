/* SPDX-License-Identifier: Apache-2.0
 *
 * From accumulators to stored results, for every kernel of ours that sums products: bias,
 * residual, activation, requantization and the second output of Conv, ConvTranspose, Gemm and
 * MatMul (kernels/requant.h, kernels/epilogue.h).
 *
 *     f32 sums   y = act((alpha acc + beta bias) + residual)
 *     s32 sums   acc + s32 bias, exactly; then as kernels/requant.h says for each output
 *
 * An oct_cuda_finish is plain data that goes to the kernel by value; the device side is
 * cuda_finish.cuh.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_FINISH_H
#define OCT_KERNELS_CUDA_CUDA_FINISH_H

#include "kernels/cuda/cuda_internal.h"
#include "kernels/requant.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_cuda_fin_out {
    void *data;
    oct_dtype dtype;
    oct_requant rq;     /* f32 sums: only out, lo, hi */
    const float *m, *b; /* s32 sums: factors per channel, padded to a multiple of 16 */
} oct_cuda_fin_out;

typedef struct oct_cuda_finish {
    oct_cuda_fin_out out[2];
    int n_out;
    const void *bias; /* element (row, channel) at row * bias_row + channel * bias_col */
    oct_dtype bias_dtype;
    int64_t bias_row, bias_col;
    const int32_t *correction; /* s32 sums: added per channel; NULL for none */
    const void *residual;
    oct_dtype residual_dtype;
    float r_scale, r_zero; /* f32 sums */
    float alpha, beta;     /* f32 sums */
    oct_act act;
    float a, b;
    /* The common case, which kernels take by a shorter way: one output; f32 sums: real; s32 sums:
     * 8 bits. Results are bounded to [lo, hi] (8 bits: before the zero point is added), after the
     * activation if it is SWISH or HARD_SWISH. */
    bool is_short;
    float lo, hi;
} oct_cuda_finish;

/* Can the operands of `d` be finished? `integer`: 8-bit operands, s32 sums. */
bool oct_cuda_finish_ok(const oct_op_desc *d, bool integer, char *reason);

/* Everything but the pointers of a run. Gemm's alpha and beta are taken from its attributes. The
 * factors of `n_channels` channels are uploaded to `*factors` (given to the caller; cudaFree()), which
 * stays NULL for f32 sums. */
OCT_MUST_CHECK oct_status oct_cuda_finish_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                               bool integer, int64_t n_channels, oct_cuda_finish *f,
                                               void **factors);

/* Activations of kernels that unroll much code (OCT_FIN_SHORT in cuda_finish.cuh). */
static inline bool oct_cuda_finish_act_is_short(oct_act act)
{
    return act == OCT_ACT_NONE || act == OCT_ACT_RELU || act == OCT_ACT_CLIP ||
           act == OCT_ACT_LEAKY_RELU || act == OCT_ACT_SIGMOID || act == OCT_ACT_SWISH ||
           act == OCT_ACT_HARD_SIGMOID || act == OCT_ACT_HARD_SWISH;
}

/* Pointers of a run. `bias` and `residual`: input numbers, -1 for none. */
void oct_cuda_finish_bind(oct_cuda_finish *f, const oct_run_args *a, int bias, int residual);

/* Input that is the bias, or -1. */
static inline int oct_cuda_bias_input(const oct_op_desc *d)
{
    return d->epilogue.residual != 2 && oct_cuda_present(d, 2) ? 2 : -1;
}

/* A sum of `k` products of the 8-bit operands 0 and 1 always fits s32. */
bool oct_cuda_sum_fits(const oct_op_desc *d, int64_t k);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_FINISH_H */
