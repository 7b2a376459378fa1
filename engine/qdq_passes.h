/* SPDX-License-Identifier: Apache-2.0
 *
 * The passes that turn a quantized model into one that computes in integers. In this order:
 *
 *     qoperator   QLinearConv, QGemm, ... become DQ -> float op -> Q, so that one form remains
 *     (constant folding of Q on weights; activation and residual fusion: engine/passes.h)
 *     qdq_weights DQ of constant weights: s8 with zero point 0; BatchNorm folded into its scales
 *     qdq_move    Q and DQ past data movers, pairs cancelled
 *     qdq_lower   DQ -> op -> Q becomes the integer op; what stays in floating point says why
 *
 * Values are only changed where the exported model and DESIGN 3's integer formula agree up
 * to rounding; nothing is quantized that the model does not quantize.
 */
#ifndef OCT_ENGINE_QDQ_PASSES_H
#define OCT_ENGINE_QDQ_PASSES_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

OCT_MUST_CHECK oct_status oct_pass_qoperator(oct_ctx *ctx, oct_graph *g);
OCT_MUST_CHECK oct_status oct_pass_qdq_weights(oct_ctx *ctx, oct_graph *g);
OCT_MUST_CHECK oct_status oct_pass_qdq_move(oct_ctx *ctx, oct_graph *g);
OCT_MUST_CHECK oct_status oct_pass_qdq_lower(oct_ctx *ctx, oct_graph *g);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_QDQ_PASSES_H */
