/* SPDX-License-Identifier: Apache-2.0
 *
 * Shape and type inference of one operator. Works on known and on symbolic dimensions
 * (base/tensor.h) alike; the same functions serve model inspection, planning and, with real
 * data in `in[i].data`, data-dependent shapes while running (NonZero, NonMaxSuppression).
 *
 * Also the validator of operators: it rejects wrong ranks, types, axes and attribute
 * values, so that kernels need not. Source: the ONNX operator specification.
 */
#ifndef OCT_ENGINE_INFER_H
#define OCT_ENGINE_INFER_H

#include "base/ctx.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_infer_args {
    oct_op op;
    const void *attr;
    const oct_tensor
        *in; /* desc.dtype NONE = absent; data = row-major host elements if known, else NULL
                             (s64 data may hold symbols) */
    int n_in;
    oct_tensor_desc *out; /* n_out entries to fill: dtype and shape (layout row, dense strides) */
    int n_out;
    int64_t (*new_symbol)(void *user); /* a fresh unknown dimension */
    void *user;
} oct_infer_args;

/* Message names the operand and the expectation; the caller prefixes the node. An output whose
 * rank cannot be known gets n_dims = -1. OCT_ERR_SHAPE, OCT_ERR_UNSUPPORTED. */
typedef oct_status (*oct_infer_fn)(oct_ctx *ctx, const oct_infer_args *a);

/* Function of `op`; NULL for IF and LOOP, which the engine infers through their subgraphs. */
oct_infer_fn oct_infer_find(oct_op op);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_INFER_H */
