/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that inference reads from integer inputs (shapes, axes, pads, sizes): known, symbolic
 * or not known at all, and checked outputs made from them.
 */
#ifndef OCT_ENGINE_INFER_VALUES_H
#define OCT_ENGINE_INFER_VALUES_H

#include "engine/infer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_INFER_MAX_VALUES (2 * OCT_MAX_DIMS)

/* The elements of a 1-D (or scalar) s64 or s32 input. */
typedef struct oct_infer_values {
    bool present; /* the input exists */
    bool known;   /* v[] holds n elements; s64 ones may be symbols */
    int n;        /* -1: even the count is unknown */
    int64_t v[OCT_INFER_MAX_VALUES];
} oct_infer_values;

/* Fails on other types, ranks above 1 and more than `max` (<= OCT_INFER_MAX_VALUES) elements. */
OCT_MUST_CHECK oct_status oct_infer_values_read(oct_ctx *ctx, const oct_infer_args *a, int i,
                                                const char *what, int max, oct_infer_values *out);

/* Axes of a tensor of rank `rank`: turns each into [0, rank) in place and rejects duplicates. */
OCT_MUST_CHECK oct_status oct_infer_values_axes(oct_ctx *ctx, oct_infer_values *axes, int rank,
                                                const char *what);

/* Sets output `i` after checking rank, signs and that its bytes fit into memory's address range. */
OCT_MUST_CHECK oct_status oct_infer_output(oct_ctx *ctx, const oct_infer_args *a, int i,
                                           oct_dtype dt, const oct_shape *s);

/* Shape of rank `n` made of fresh symbols; OCT_ERR_UNSUPPORTED above OCT_MAX_DIMS. */
OCT_MUST_CHECK oct_status oct_infer_symbols(oct_ctx *ctx, const oct_infer_args *a, int n,
                                            oct_shape *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_INFER_VALUES_H */
