/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantize / dequantize pairs in the graph: reading their parameters and making new ones.
 * The passes that move, merge and lower them (pass_qdq_*.c) and quant/, which
 * inserts them, share these few functions, so that the form of a Q/DQ node is decided here.
 */
#ifndef OCT_ENGINE_QDQ_H
#define OCT_ENGINE_QDQ_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Parameters of a QuantizeLinear or DequantizeLinear node: its constant scale and zero point
 * as an oct_quant in the graph's arena, and the quantized type. False when they are not
 * constant, not finite and positive, blocked, or of a type that octet does not compute in
 * (only s8, u8, and s32 for DequantizeLinear); `*why` (may be NULL) then says which. */
bool oct_qdq_params(oct_graph *g, const oct_node *n, oct_quant *quant, oct_dtype *dt,
                    const char **why);

/* Same scale, zero point and axis, bit for bit. */
bool oct_quant_equal(const oct_quant *a, const oct_quant *b);

/* The DequantizeLinear that makes value `v`, or NULL. */
const oct_node *oct_qdq_dequantize_of(const oct_graph *g, oct_value_id v);

/* Appends `QuantizeLinear(x)` with per-tensor or per-axis parameters. The result, s8/u8 with the quant
 * annotation, is `*out` if that is a value without a producer, or with OCT_NONE in `*out` a new
 * value called `name` (made unique). */
OCT_MUST_CHECK oct_status oct_qdq_add_quantize(oct_graph *g, oct_ctx *ctx, oct_value_id x,
                                               const oct_quant *quant, oct_dtype dt,
                                               const char *name, oct_value_id *out);
/* Appends `DequantizeLinear(q)`, f32; `*out` as above. */
OCT_MUST_CHECK oct_status oct_qdq_add_dequantize(oct_graph *g, oct_ctx *ctx, oct_value_id q,
                                                 const oct_quant *quant, const char *name,
                                                 oct_value_id *out);

/* Copies `quant` into the graph's arena. q is NULL on OCT_ERR_NOMEM. */
oct_quant oct_quant_copy(oct_graph *g, const oct_quant *quant);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_QDQ_H */
