/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference convolution, for ops that are one in disguise (QLinearConv, ConvInteger).
 * `d` describes a Conv or ConvTranspose with quantization parameters in its operands.
 */
#ifndef OCT_KERNELS_REF_REF_CONV_H
#define OCT_KERNELS_REF_REF_CONV_H

#include "kernels/ref/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

size_t oct_ref_conv_workspace(const oct_op_desc *d);
oct_status oct_ref_conv_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a);
bool oct_ref_conv_accepts(const oct_op_desc *d, char *reason);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_CONV_H */
