/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement: where Q/DQ pairs go in a model, with which parameters. Computed once on the graph; applied to
 * the graph for our own engine (quant/insert.h) and to the ONNX document for others
 * (quant/export.h), so that both are the same quantized model.
 *
 * Rules (TensorRT's, research/algorithms.md 1.5), and what they rest on here:
 *
 *   1. Inputs of Conv, ConvTranspose, Gemm and MatMul with a constant operand are quantized.
 *   2. Other ops only where a quantized op follows, directly or through data movers: Add, Mul,
 *      AveragePool, GlobalAveragePool. A head whose results nobody quantizes stays float.
 *   3. In Add(conv(x), y) only y gets a pair: the convolution hands its sum over unrounded.
 *   4. Data movers, MaxPool and Relu get none: Q moves past them.
 *   5. One tensor, one pair: all quantized readers share it. A Concat that is quantized
 *      makes its inputs and its output share the largest threshold.
 *   6. x * sigmoid(x) and its kind are activations: nothing is quantized inside.
 */
#ifndef OCT_QUANT_PLACEMENT_H
#define OCT_QUANT_PLACEMENT_H

#include "quant/scheme.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_point_kind {
    OCT_POINT_ACTIVATION, /* Q and DQ on a computed value */
    OCT_POINT_WEIGHT,     /* constant, s8 */
    OCT_POINT_BIAS,       /* constant, s32; scale = x * w; ORT only */
} oct_point_kind;

typedef struct oct_point {
    oct_point_kind kind;
    oct_value_id value;
    oct_quant quant; /* in the placement's arena */
    oct_dtype dtype; /* s8 (ORT: u8); s32 for a bias */
    oct_use *use;    /* node inputs that read the DQ instead of `value` */
    uint32_t n_uses;
    bool result; /* every reader and the graph output read the DQ (ORT: result of a quantized op) */
} oct_point;

/* What happened to one weighted or quantizable node. */
typedef struct oct_placed_node {
    oct_node_id node;
    bool quantized;
    const char *reason; /* why not; "" if quantized */
} oct_placed_node;

/* An input of a node that reads a corrected constant (quant/bias_correct.h). */
typedef struct oct_bias_change {
    oct_node_id layer;   /* whose weights moved the mean of its outputs */
    oct_node_id node;    /* the layer, or the Add behind a MatMul */
    uint32_t in_index;   /* of `node` */
    oct_value_id before; /* OCT_NONE: there was no bias */
    oct_value_id after;  /* constant */
} oct_bias_change;

typedef struct oct_placement {
    oct_arena *arena;
    oct_point *point;
    uint32_t n_points;
    oct_placed_node *node; /* in graph order */
    uint32_t n_nodes;
    oct_bias_change *bias; /* none unless oct_bias_correct() ran */
    uint32_t n_biases;
    uint32_t n_missing; /* values without a threshold that were needed */
} oct_placement;

/* OCT_ERR_STALE lists every tensor that needs a threshold and has none (unless allow_missing);
 * OCT_ERR_USAGE for a bad pattern or one that matches no node. */
OCT_MUST_CHECK oct_status oct_placement_new(oct_ctx *ctx, oct_graph *g, const oct_amax_source *amax,
                                            const oct_scheme *scheme, oct_placement **out);
void oct_placement_free(oct_ctx *ctx, oct_placement *p); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_PLACEMENT_H */
