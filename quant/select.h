/* SPDX-License-Identifier: Apache-2.0
 *
 * Which nodes a scheme's include, exclude and keep lists allow to be quantized.
 */
#ifndef OCT_QUANT_SELECT_H
#define OCT_QUANT_SELECT_H

#include "quant/scheme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* allowed[id] for every node id of `g` (array of oct_graph_n_nodes()); `reason[id]` is constant text
 * where it is false. OCT_ERR_USAGE for a bad pattern or one that matches nothing. */
OCT_MUST_CHECK oct_status oct_select_nodes(oct_ctx *ctx, const oct_graph *g, const oct_scheme *s,
                                           bool *allowed, const char **reason);

/* Conv, ConvTranspose, Gemm and MatMul: the ops whose inputs are always quantized. */
bool oct_select_is_weighted(oct_op op);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_SELECT_H */
