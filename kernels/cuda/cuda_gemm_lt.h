/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm and MatMul through cuBLASLt: f32 (true f32, or tf32 where the descriptor permits it) and f16 with
 * f32 sums. What its epilogue cannot say (most activations, 8-bit results, second outputs) is done
 * by a kernel of ours over its result.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_GEMM_LT_H
#define OCT_KERNELS_CUDA_CUDA_GEMM_LT_H

#include "kernels/cuda/cuda_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

bool oct_cuda_gemm_lt_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason);
oct_status oct_cuda_gemm_lt_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_GEMM_LT_H */
