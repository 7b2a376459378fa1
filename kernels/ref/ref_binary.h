/* SPDX-License-Identifier: Apache-2.0
 *
 * Typed inner loops of the binary operators, for kernels that combine elements (Scatter
 * with a reduction).
 */
#ifndef OCT_KERNELS_REF_REF_BINARY_H
#define OCT_KERNELS_REF_REF_BINARY_H

#include "kernels/ref/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = y[i] op x[i], dense, any numeric type; op is ADD, MUL, MIN or MAX. f16 and bf16 are computed
 * in f32 and rounded once. */
void oct_ref_binary_accumulate(oct_op op, oct_dtype dt, void *y, const void *x, int64_t n);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_BINARY_H */
