/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes: rewrites of an engine's own copy of the graph before it is planned. One file each,
 * listed with their order in passes.c; debug builds check the graph around every one.
 *
 * Rules that every pass keeps:
 *   - an observed value keeps its name, its producer's meaning and its elements;
 *   - graph inputs and outputs keep their order, types and ids;
 *   - a value that a pass swallows has no other use.
 */
#ifndef OCT_ENGINE_PASSES_H
#define OCT_ENGINE_PASSES_H

#include "engine/graph.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_pass_env {
    oct_backend *backend;        /* that will run the graph; asked for layout wishes */
    oct_backend *ref;            /* folds constants */
    uint32_t precision;          /* OCT_PRECISION_* bits */
    bool no_fusion;              /* only what is needed to run at all */
    const char *const *keep_f32; /* values that f16 cannot hold */
    size_t n_keep_f32;
} oct_pass_env;

typedef oct_status (*oct_pass_fn)(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);

/* All passes, on the graph and its subgraphs. Shapes must have been inferred. */
OCT_MUST_CHECK oct_status oct_passes_run(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);

/* f16 and bf16 tensors become f32; Casts at the graph's borders. */
OCT_MUST_CHECK oct_status oct_pass_precision(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Nodes with constant inputs become constants. */
OCT_MUST_CHECK oct_status oct_pass_fold(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* The same with DequantizeLinear of weights that no integer op took. */
OCT_MUST_CHECK oct_status oct_pass_fold_rest(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Identity, Dropout, Cast to the same type, and other no-ops; unused nodes. */
OCT_MUST_CHECK oct_status oct_pass_identity(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* x * sigmoid(x), the erf and tanh forms of GELU, HardSwish, Mish become one node. */
OCT_MUST_CHECK oct_status oct_pass_activation(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* ReduceMean, Sub, Pow, ... of older ViT exports become LayerNormalization. */
OCT_MUST_CHECK oct_status oct_pass_layer_norm(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Pad in front of a convolution or pool becomes its pads. */
OCT_MUST_CHECK oct_status oct_pass_pad(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Einsums that are a matrix product become one. */
OCT_MUST_CHECK oct_status oct_pass_einsum(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* MatMul + Add and Gemm in their plainest forms. */
OCT_MUST_CHECK oct_status oct_pass_linear(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* BatchNormalization into the weights before it. */
OCT_MUST_CHECK oct_status oct_pass_batch_norm(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Residual Add and activation into the op before them. */
OCT_MUST_CHECK oct_status oct_pass_epilogue(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* f32 becomes f16 where precision allows it and the backend has kernels. */
OCT_MUST_CHECK oct_status oct_pass_half(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);
/* Channels-last where the backend wishes it. */
OCT_MUST_CHECK oct_status oct_pass_layout(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_PASSES_H */
