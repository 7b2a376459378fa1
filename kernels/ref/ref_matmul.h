/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference matrix product, for ops that are one in disguise (QLinearMatMul, QGemm,
 * MatMulInteger). `d` describes a Gemm or MatMul with quantization parameters in its operands;
 * those of input 0 may be one per row.
 */
#ifndef OCT_KERNELS_REF_REF_MATMUL_H
#define OCT_KERNELS_REF_REF_MATMUL_H

#include "kernels/ref/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

size_t oct_ref_matmul_workspace(const oct_op_desc *d);
oct_status oct_ref_matmul_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_MATMUL_H */
