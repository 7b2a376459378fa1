/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of a node as passes leave it, around the operator's own (engine/infer.h): epilogue inputs,
 * a second output, and operands that carry quantization. The one place that knows the
 * shapes of fused and lowered nodes; graph inference, planner and executor call it.
 */
#ifndef OCT_ENGINE_INFER_NODE_H
#define OCT_ENGINE_INFER_NODE_H

#include "engine/graph.h"
#include "engine/infer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Like oct_infer_find(n->op)(ctx, a), with `a` describing the node's own inputs and outputs, but
 *   - a real operator on s8/u8 operands (oct_value.quant) sees them as f32;
 *   - an output whose value carries quantization keeps its integer type;
 *   - the residual must have the output's shape, a MatMul's bias that of its last axis;
 *   - output 1 of an op with an epilogue repeats output 0's shape as f32.
 * OCT_ERR_UNSUPPORTED if the operator has no inference. */
OCT_MUST_CHECK oct_status oct_infer_lowered(oct_ctx *ctx, const oct_graph *g, const oct_node *n,
                                            const oct_infer_args *a);

/* Conv, ConvTranspose, Gemm, MatMul: the operators with an epilogue. */
bool oct_op_has_epilogue(oct_op op);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_INFER_NODE_H */
