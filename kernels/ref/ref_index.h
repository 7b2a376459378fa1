/* SPDX-License-Identifier: Apache-2.0
 *
 * Indices that come from tensors: checked, with the value and its position in the message.
 * Negative ones count from the end, as ONNX has it.
 */
#ifndef OCT_KERNELS_REF_REF_INDEX_H
#define OCT_KERNELS_REF_REF_INDEX_H

#include "base/ctx.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All `n` indices lie in [-dim, dim). OCT_ERR_RANGE names the first that does not. */
OCT_MUST_CHECK oct_status oct_ref_check_indices(oct_ctx *ctx, const char *op, const void *index,
                                                oct_dtype dt, int64_t n, int64_t dim);

/* Steps `at` to the next position of `s` in row-major order. */
void oct_ref_index_next(const oct_shape *s, int64_t *at);

/* Index tuples of GatherND and ScatterND: `depth` indices into the axes from `first` on, each
 * tuple naming a slice of `slice` elements. */
typedef struct oct_ref_nd {
    int depth;
    int64_t dim[OCT_MAX_DIMS], stride[OCT_MAX_DIMS];
    int64_t slice;
} oct_ref_nd;

oct_ref_nd oct_ref_nd_make(const oct_shape *data, int first, int depth);

/* Element offset (within the batch) of tuple `i`. */
OCT_MUST_CHECK oct_status oct_ref_nd_offset(oct_ctx *ctx, const char *op, const oct_ref_nd *nd,
                                            const void *index, oct_dtype dt, int64_t i,
                                            int64_t *offset);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_INDEX_H */
