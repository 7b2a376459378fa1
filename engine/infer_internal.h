/* SPDX-License-Identifier: Apache-2.0
 *
 * The groups of inference functions: X(group) for each engine/infer_<group>.c, which exports
 * `const oct_infer_entry oct_infer_<group>[]`, ended by an entry without a function. Helpers
 * that the groups share.
 */
#ifndef OCT_ENGINE_INFER_INTERNAL_H
#define OCT_ENGINE_INFER_INTERNAL_H

#include "engine/infer.h"

typedef struct oct_infer_entry {
    oct_op op;
    oct_infer_fn infer;
} oct_infer_entry;

#define OCT_INFER_GROUPS(X) \
    X(softmax)              \
    X(elementwise)          \
    X(reshape)              \
    X(move)                 \
    X(index)                \
    X(source)               \
    X(reduce)               \
    X(window)               \
    X(matrix)               \
    X(norm)                 \
    X(quantize)             \
    X(spatial)              \
    X(rnn)

#define X(group) extern const oct_infer_entry oct_infer_##group[];
OCT_INFER_GROUPS(X)
#undef X

/* Set of element types for oct_infer_check_dtype(). */
#define OCT_DT_BIT(dt) (1u << OCT_DT_##dt)
#define OCT_DTS_FLOAT (OCT_DT_BIT(F32) | OCT_DT_BIT(F16) | OCT_DT_BIT(BF16) | OCT_DT_BIT(F64))
#define OCT_DTS_Q8 (OCT_DT_BIT(S8) | OCT_DT_BIT(U8))

/* Input `i`, NULL when it is absent. */
const oct_tensor_desc *oct_infer_in(const oct_infer_args *a, int i);
/* Input `i` with known elements, else NULL. */
const oct_tensor *oct_infer_data(const oct_infer_args *a, int i);

/* Fill output `i` (ignored when it was not asked for). */
void oct_infer_set(const oct_infer_args *a, int i, oct_dtype dt, const oct_shape *shape);
void oct_infer_set_dims(const oct_infer_args *a, int i, oct_dtype dt, int n_dims,
                        const int64_t *dim);
void oct_infer_set_unknown(const oct_infer_args *a, int i, oct_dtype dt); /* rank unknown */

int64_t oct_infer_symbol(const oct_infer_args *a);

/* Checks of input `i`, called `what` in messages. The rank is not checked while it is unknown. */
oct_status oct_infer_check_dtype(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                                 uint32_t allowed);
oct_status oct_infer_check_same_dtype(oct_ctx *ctx, const oct_infer_args *a, int i, int j);
oct_status oct_infer_check_rank(oct_ctx *ctx, const oct_infer_args *a, int i, const char *what,
                                int lo, int hi);

/* Axis in [-n, n) turned into [0, n). */
oct_status oct_infer_axis(oct_ctx *ctx, int64_t axis, int n_dims, const char *what, int *out);

/* Two dims that must be equal: false if both are known and differ. Keeps the known one of the
 * two in `*out` (may be NULL). */
bool oct_infer_merge_dim(int64_t a, int64_t b, int64_t *out);

/* Dim arithmetic on possibly unknown dims: an unknown operand gives a fresh symbol. */
int64_t oct_infer_mul_dims(const oct_infer_args *a, int64_t x, int64_t y);

/* numpy broadcasting of two shapes into `out`. */
oct_status oct_infer_broadcast(oct_ctx *ctx, const oct_infer_args *a, const oct_shape *x,
                               const oct_shape *y, oct_shape *out);

/* Function for ops whose output 0 has the type and shape of input 0. */
oct_status oct_infer_like_input(oct_ctx *ctx, const oct_infer_args *a);

#endif /* OCT_ENGINE_INFER_INTERNAL_H */
