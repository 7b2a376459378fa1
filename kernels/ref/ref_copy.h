/* SPDX-License-Identifier: Apache-2.0
 *
 * Strided copies of elements of any type: what every data mover is made of. A nest whose
 * innermost source and destination dimensions differ is copied in square tiles, so that both
 * sides use whole cache lines.
 */
#ifndef OCT_KERNELS_REF_REF_COPY_H
#define OCT_KERNELS_REF_REF_COPY_H

#include "kernels/ref/ref_loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dst[...] = src[...] over the nest `l` (operand 0 = dst, 1 = src; optimized here). `dst` and
 * `src` point at the elements of offset 0 and do not overlap, or are the very same. */
void oct_ref_copy(oct_ref_loop *l, void *dst, const void *src, size_t elem_bytes, int threads);

/* Copies `src` into `dst`, which has the same shape and any strides. */
void oct_ref_copy_tensor(const oct_tensor_desc *dst_desc, void *dst,
                         const oct_tensor_desc *src_desc, const void *src, int threads);

/* Every element of a dense buffer of `n` elements becomes the one at `value`. */
void oct_ref_fill(void *dst, size_t n, const void *value, size_t elem_bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_COPY_H */
