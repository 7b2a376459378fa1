/* SPDX-License-Identifier: Apache-2.0
 *
 * Loop nests as kernels take them, by value: a number of items, dims with their divisors (the
 * innermost first), and each operand's step along every dim. Made from an optimized oct_ref_loop, so
 * that all layouts, strides and broadcasts come down to a few dims. An item is one element, or
 * `vec` neighbouring ones along the innermost dim.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_LOOP_H
#define OCT_KERNELS_CUDA_CUDA_LOOP_H

#include "kernels/cuda/cuda_index.h"
#include "kernels/cuda/cuda_internal.h"
#include "kernels/ref/ref_loop.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_CUDA_LOOP_DIMS 8
#define OCT_CUDA_LOOP_OPERANDS 9
#define OCT_CUDA_MAX_ELEMS 0x7fffffff /* of one tensor: indices are 31 bits */

typedef struct oct_cuda_loop {
    uint32_t n_dims, total;
    oct_cuda_div dim[OCT_CUDA_LOOP_DIMS];
    int64_t stride[OCT_CUDA_LOOP_OPERANDS][OCT_CUDA_LOOP_DIMS];
} oct_cuda_loop;

/* Items of `vec` elements: every operand steps by 0 or 1 along the innermost dim (operand 0 by 1), and
 * whole vectors fit everywhere (with one dim only, the rest of the division stays out). */
bool oct_cuda_loop_takes(const oct_ref_loop *l, int vec);
/* False if there are too many dims or elements. `l` is optimized; `vec` is one it takes, or 1. */
bool oct_cuda_loop_make(const oct_ref_loop *l, int vec, oct_cuda_loop *out);

/* Values of a small integer operand that is known ahead: false if it is not, or has more than `cap`.
 * An absent operand has none. */
bool oct_cuda_ints(const oct_op_desc *d, int i, int64_t *values, int cap, int *n);

/* [outer, dim, inner] around an axis, which may be negative. */
typedef struct oct_cuda_axis {
    int64_t outer, dim, inner;
} oct_cuda_axis;
oct_cuda_axis oct_cuda_axis_of(const oct_shape *s, int64_t axis);

/* Dense row-major, or absent. */
bool oct_cuda_row_major(const oct_operand *o);
/* Inputs and outputs are dense row-major and not quantized; fills `reason`. */
bool oct_cuda_all_plain(const oct_op_desc *d, char *reason);
/* Same parameters, per tensor at most. */
bool oct_cuda_same_quant(const oct_quant *a, const oct_quant *b);

static inline bool oct_cuda_aligned(const void *p, size_t bytes)
{
    return ((uintptr_t)p & (bytes - 1)) == 0;
}

static inline cudaStream_t oct_cuda_stream_of(const oct_run_args *a)
{
    return a->stream ? a->stream->s : 0;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_LOOP_H */
