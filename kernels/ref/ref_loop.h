/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop nest behind every element-wise kernel and data mover: a common iteration space and,
 * for each operand, a step in elements along every dimension (0 where it is broadcast,
 * negative where it runs backwards). Any layout and any strides fit.
 *
 *     init -> add operands (or dims by hand) -> optimize -> run
 *
 * optimize() drops dimensions of size 1, puts the innermost of operand 0 last and merges
 * what is contiguous for all operands, so that most nests become one or two loops.
 */
#ifndef OCT_KERNELS_REF_REF_LOOP_H
#define OCT_KERNELS_REF_REF_LOOP_H

#include "base/ctx.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_REF_LOOP_DIMS (2 * OCT_MAX_DIMS)
#define OCT_REF_LOOP_OPERANDS 10

typedef struct oct_ref_loop {
    int n_dims;     /* after optimize(): >= 1, the last one is the row */
    int n_operands; /* operand 0 is the one whose memory order decides, the output mostly */
    int64_t dim[OCT_REF_LOOP_DIMS];
    int64_t stride[OCT_REF_LOOP_OPERANDS][OCT_REF_LOOP_DIMS];
} oct_ref_loop;

/* One row: `n` elements of each operand k, from element offset[k] in steps of step[k]. */
typedef void (*oct_ref_row_fn)(void *user, const int64_t *offset, const int64_t *step, int64_t n);

/* Iteration space of `shape`, no operands yet. */
void oct_ref_loop_init(oct_ref_loop *l, const oct_shape *shape);
/* Adds an operand, broadcast to the iteration space by ONNX's multidirectional rule. */
void oct_ref_loop_add(oct_ref_loop *l, const oct_tensor_desc *d);
/* Adds a dimension by hand with the steps of operands 0 and 1 (start from n_dims = 0). */
void oct_ref_loop_dim(oct_ref_loop *l, int64_t size, int64_t stride0, int64_t stride1);
void oct_ref_loop_optimize(oct_ref_loop *l);

/* Calls `fn` for every row (long rows in pieces), spread over `threads`; rows are disjoint.
 * Does nothing when a dimension is 0. */
void oct_ref_loop_run(const oct_ref_loop *l, int threads, oct_ref_row_fn fn, void *user);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_LOOP_H */
