/* SPDX-License-Identifier: Apache-2.0
 *
 * What a graph is inside; shared by graph*.c only. Ids index `node` and `value`; names are
 * found through an open-addressing table of value ids; uses are a compressed list built on
 * demand:
 *
 *     use[use_at[v] .. use_at[v + 1])  = uses of value v, in node order
 */
#ifndef OCT_ENGINE_GRAPH_INTERNAL_H
#define OCT_ENGINE_GRAPH_INTERNAL_H

#include "engine/graph.h"

typedef struct oct_id_list {
    uint32_t *id;
    uint32_t n, cap;
} oct_id_list;

struct oct_graph {
    oct_ctx *ctx; /* frees what it allocated; messages go to the caller's context */
    oct_arena *arena;
    oct_node *node;
    uint32_t n_nodes, cap_nodes;
    oct_value *value;
    uint32_t n_values, cap_values;
    oct_id_list order, inputs, outputs;
    oct_graph **sub;
    uint32_t n_subs, cap_subs;
    uint32_t *slot; /* value id + 1, or 0; n_slots is a power of two */
    uint32_t n_slots;
    oct_use *use;
    uint32_t *use_at;
    bool uses_valid;
    bool order_has_dead;
    uint32_t fresh; /* next number for made-up names */
};

oct_status oct_graph_grow(oct_ctx *ctx, void **array, uint32_t n, uint32_t *cap, size_t elem_bytes);
oct_status oct_graph_list_add(oct_ctx *ctx, oct_id_list *list, uint32_t id);

#endif /* OCT_ENGINE_GRAPH_INTERNAL_H */
