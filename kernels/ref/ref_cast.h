/* SPDX-License-Identifier: Apache-2.0
 *
 * Element conversion between any two types: the Cast operator, and the way kernels
 * bring f16, bf16 and quantized operands to f32 and back, a block at a time.
 *
 * Rules (ONNX Cast; what it leaves undefined is fixed here):
 *   float -> float    round half to even, overflow to infinity, NaN stays NaN
 *   float -> integer  truncates; NaN gives 0; beyond 64 bits saturates, then the low bits are kept
 *   integer -> integer keeps the low bits;  anything -> bool is (x != 0), NaN is true
 */
#ifndef OCT_KERNELS_REF_REF_CAST_H
#define OCT_KERNELS_REF_REF_CAST_H

#include "base/tensor.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_REF_BLOCK 256 /* elements that kernels convert at a time, on the stack */

/* dst[i] = (to)src[i]; dense, not overlapping unless the types are equal and dst == src. */
void oct_ref_cast_elems(void *dst, oct_dtype to, const void *src, oct_dtype from, int64_t n);

/* Strided element access through one wide type. `src` points at the first element; at
 * most OCT_REF_BLOCK elements. load_s64 keeps the bits of u64. */
void oct_ref_read_f32(float *dst, const void *src, oct_dtype dt, int64_t n, int64_t step);
void oct_ref_read_f64(double *dst, const void *src, oct_dtype dt, int64_t n, int64_t step);
void oct_ref_read_s64(int64_t *dst, const void *src, oct_dtype dt, int64_t n, int64_t step);
void oct_ref_write_f32(void *dst, oct_dtype dt, int64_t step, const float *src, int64_t n);
void oct_ref_write_f64(void *dst, oct_dtype dt, int64_t step, const double *src, int64_t n);
void oct_ref_write_s64(void *dst, oct_dtype dt, int64_t step, const int64_t *src, int64_t n);

/* Element `i` as s64, for indices, axes and counts. */
int64_t oct_ref_get_s64(const void *data, oct_dtype dt, int64_t i);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_CAST_H */
