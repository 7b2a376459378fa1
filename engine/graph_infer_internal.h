/* SPDX-License-Identifier: Apache-2.0
 *
 * State of inference over one graph; private to graph_infer*.c.
 */
#ifndef OCT_ENGINE_GRAPH_INFER_INTERNAL_H
#define OCT_ENGINE_GRAPH_INFER_INTERNAL_H

#include "engine/graph_infer.h"

enum { OCT_INFER_MEMO = 1024 };

/* Result of arithmetic on unknown dimensions: the same operation on the same operands gives the
 * same symbol, so that two ways to compute one size agree. A cache: entries may be lost. */
typedef struct oct_infer_memo {
    oct_op op;
    int64_t a, b, symbol;
} oct_infer_memo;

typedef struct oct_infer_root {
    int64_t next; /* number of the next fresh symbol */
    oct_infer_memo memo[OCT_INFER_MEMO];
} oct_infer_root;

struct oct_infer_state {
    oct_ctx *ctx;
    oct_graph *g;
    oct_infer_root *root; /* shared with the states of subgraphs */
    bool owns_root;
    int depth;
    const int64_t **symbolic; /* by value: s64 elements, some of them symbols; NULL = none */
    uint32_t n_symbolic;
    oct_tensor *in; /* scratch for one node */
    oct_tensor_desc *out;
    uint32_t cap_in, cap_out;
};

/* Elements of value `v` as far as known: constant, folded, or symbolic (*symbols set). */
const void *oct_infer_elements(const oct_infer_state *s, oct_value_id v, bool *symbols);
oct_status oct_infer_set_symbolic(oct_infer_state *s, oct_value_id v, const int64_t *data);

/* Works out the elements of the node's outputs where all it needs is known (graph_fold.c). */
oct_status oct_infer_fold(oct_infer_state *s, oct_node_id node);
/* If and Loop (graph_infer_control.c). */
oct_status oct_infer_control(oct_infer_state *s, oct_node_id node);
/* All nodes of the state's graph. */
oct_status oct_infer_all(oct_infer_state *s);

#endif /* OCT_ENGINE_GRAPH_INFER_INTERNAL_H */
