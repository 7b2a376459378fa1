/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference pools, for ops that are one in disguise (QLinearAveragePool). 8-bit operands carry
 * their quantization parameters.
 */
#ifndef OCT_KERNELS_REF_REF_POOL_H
#define OCT_KERNELS_REF_REF_POOL_H

#include "kernels/ref/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

/* AveragePool, GlobalAveragePool (by d->op). */
oct_status oct_ref_pool_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_POOL_H */
