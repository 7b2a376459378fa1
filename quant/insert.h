/* SPDX-License-Identifier: Apache-2.0
 *
 * Applies a placement to the graph it was computed on: weights become s8 constants behind
 * DequantizeLinear, activations get QuantizeLinear -> DequantizeLinear. engine/qdq_passes.h lowers
 * the result to integers.
 */
#ifndef OCT_QUANT_INSERT_H
#define OCT_QUANT_INSERT_H

#include "quant/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

OCT_MUST_CHECK oct_status oct_quant_insert(oct_ctx *ctx, oct_graph *g, const oct_placement *p);

/* Integers of a weight or bias point: `*bytes` in the placement's arena, s8 or s32, shape of the
 * value. Shared with the exporter. */
OCT_MUST_CHECK oct_status oct_quant_constant(oct_ctx *ctx, const oct_graph *g,
                                             const oct_placement *p, const oct_point *pt,
                                             const void **bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_INSERT_H */
