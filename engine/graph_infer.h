/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference over a graph, node by node in topological order: the state that oct_graph_infer()
 * and the importer share. It knows the elements of small integer values too (constants,
 * shapes, what is computed from them), so that Reshape targets, Slice bounds and the like
 * become shapes; such elements may be symbols (unknown dimensions).
 */
#ifndef OCT_ENGINE_GRAPH_INFER_H
#define OCT_ENGINE_GRAPH_INFER_H

#include "engine/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_infer_state oct_infer_state;

/* `outer`: state of the graph around `g`, NULL for a main graph; symbols are shared with it. */
OCT_MUST_CHECK oct_status oct_infer_begin(oct_ctx *ctx, oct_graph *g, oct_infer_state *outer,
                                          oct_infer_state **out);
/* Fills type, shape and elements of the node's outputs; its inputs must be done. Messages do not name
 * the node. A node that reads a value of unknown type is left alone. */
OCT_MUST_CHECK oct_status oct_infer_node(oct_infer_state *s, oct_node_id node);
int64_t oct_infer_fresh(oct_infer_state *s); /* a new symbol */
void oct_infer_end(oct_infer_state *s);      /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_GRAPH_INFER_H */
