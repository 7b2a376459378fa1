/* SPDX-License-Identifier: Apache-2.0
 *
 * Order and uses of a graph: topological sort, dead code, who reads what.
 */
#include <string.h>

#include "engine/graph_internal.h"

/* Removed nodes leave the order here, all at once. The first reader after a change pays, so a
 * graph that is handed to several readers is sorted (or read) once before. */
static void drop_dead(oct_graph *g)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->order.n; i++)
        if (!g->node[g->order.id[i]].dead)
            g->order.id[n++] = g->order.id[i];
    g->order.n = n;
    g->order_has_dead = false;
}

const oct_node_id *oct_graph_order(const oct_graph *g, uint32_t *n)
{
    if (g->order_has_dead)
        drop_dead((oct_graph *)g);
    *n = g->order.n;
    return g->order.id;
}

/* ---- uses ---------------------------------------------------------------------------------- */

static oct_status build_uses(oct_graph *g, oct_ctx *ctx)
{
    uint32_t n_order, total = 0;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    uint32_t *at = oct_zalloc_array(ctx, (size_t)g->n_values + 2, sizeof *at);
    if (!at)
        return OCT_ERR_NOMEM;
    for (uint32_t k = 0; k < n_order; k++) {
        const oct_node *n = &g->node[order[k]];
        for (uint32_t i = 0; i < n->n_in; i++)
            if (n->in[i] != OCT_NONE) {
                at[n->in[i] + 2]++;
                total++;
            }
    }
    oct_use *use = oct_alloc_array(ctx, (size_t)total + 1, sizeof *use);
    if (!use) {
        oct_free(ctx, at);
        return OCT_ERR_NOMEM;
    }
    for (uint32_t v = 2; v <= g->n_values + 1; v++)
        at[v] += at[v - 1];
    for (uint32_t k = 0; k < n_order; k++) { /* at[v + 1] is where v's next use goes */
        const oct_node *n = &g->node[order[k]];
        for (uint32_t i = 0; i < n->n_in; i++)
            if (n->in[i] != OCT_NONE)
                use[at[n->in[i] + 1]++] = (oct_use){order[k], i};
    }
    oct_free(ctx, g->use);
    oct_free(ctx, g->use_at);
    g->use = use;
    g->use_at = at;
    g->uses_valid = true;
    return OCT_OK;
}

oct_status oct_graph_uses(oct_graph *g, oct_ctx *ctx, oct_value_id v, const oct_use **uses,
                          uint32_t *n)
{
    if (!g->uses_valid)
        OCT_TRY(build_uses(g, ctx));
    *uses = g->use + g->use_at[v];
    *n = g->use_at[v + 1] - g->use_at[v];
    return OCT_OK;
}

/* ---- sorting ------------------------------------------------------------------------------- */

typedef struct sorter {
    uint32_t *rank;    /* node -> position in the old order */
    uint32_t *waiting; /* node -> inputs not made yet */
    uint32_t *heap;    /* ready nodes, smallest old position first */
    uint32_t n_heap;
} sorter;

static void heap_push(sorter *s, uint32_t node)
{
    uint32_t i = s->n_heap++;
    while (i > 0 && s->rank[s->heap[(i - 1) / 2]] > s->rank[node]) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = node;
}

static uint32_t heap_pop(sorter *s)
{
    const uint32_t top = s->heap[0], last = s->heap[--s->n_heap];
    uint32_t i = 0;
    for (;;) {
        uint32_t c = 2 * i + 1;
        if (c >= s->n_heap)
            break;
        if (c + 1 < s->n_heap && s->rank[s->heap[c + 1]] < s->rank[s->heap[c]])
            c++;
        if (s->rank[s->heap[c]] >= s->rank[last])
            break;
        s->heap[i] = s->heap[c];
        i = c;
    }
    s->heap[i] = last;
    return top;
}

static void count_waiting(const oct_graph *g, sorter *s, uint32_t node)
{
    const oct_node *n = &g->node[node];
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != OCT_NONE && g->value[n->in[i]].producer != OCT_NONE)
            s->waiting[node]++;
    if (s->waiting[node] == 0)
        heap_push(s, node);
}

static void release_users(const oct_graph *g, sorter *s, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        for (uint32_t k = g->use_at[n->out[i]]; k < g->use_at[n->out[i] + 1]; k++)
            if (--s->waiting[g->use[k].node] == 0)
                heap_push(s, g->use[k].node);
    }
}

/* Follows unmade inputs from any stuck node until one repeats: that one lies on a cycle. */
static oct_status fail_cycle(const oct_graph *g, oct_ctx *ctx, const sorter *s)
{
    uint32_t node = 0;
    while (g->node[node].dead || s->waiting[node] == 0)
        node++;
    for (uint32_t step = 0; step < g->n_nodes; step++) {
        const oct_node *n = &g->node[node];
        for (uint32_t i = 0; i < n->n_in; i++) {
            const uint32_t p = n->in[i] == OCT_NONE ? OCT_NONE : g->value[n->in[i]].producer;
            if (p != OCT_NONE && s->waiting[p]) {
                node = p;
                break;
            }
        }
    }
    return oct_fail(ctx, OCT_ERR_FORMAT, "cyclic graph: node '%s' (%s) depends on its own output",
                    g->node[node].name, oct_op_name(g->node[node].op));
}

static oct_status sort_with(oct_graph *g, oct_ctx *ctx, sorter *s)
{
    uint32_t n_order, done = 0;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    for (uint32_t k = 0; k < n_order; k++)
        s->rank[order[k]] = k;
    for (uint32_t k = 0; k < n_order; k++)
        count_waiting(g, s, order[k]);
    while (s->n_heap) {
        const uint32_t node = heap_pop(s);
        g->order.id[done++] = node; /* ranks are kept aside, so this may overwrite */
        release_users(g, s, &g->node[node]);
    }
    if (done == n_order)
        return OCT_OK;
    const oct_status st = fail_cycle(g, ctx, s);
    done = 0; /* leave the order as it was: sorted by rank */
    for (uint32_t node = 0; node < g->n_nodes; node++)
        if (!g->node[node].dead)
            g->order.id[s->rank[node]] = node;
    return st;
}

oct_status oct_graph_sort(oct_graph *g, oct_ctx *ctx)
{
    sorter s = {0};
    if (!g->uses_valid)
        OCT_TRY(build_uses(g, ctx));
    s.rank = oct_zalloc_array(ctx, (size_t)g->n_nodes + 1, 3 * sizeof *s.rank);
    if (!s.rank)
        return OCT_ERR_NOMEM;
    s.waiting = s.rank + g->n_nodes;
    s.heap = s.waiting + g->n_nodes;
    const oct_status st = sort_with(g, ctx, &s);
    oct_free(ctx, s.rank);
    g->uses_valid = false; /* uses are in node order, which has changed */
    return st;
}

/* ---- dead code ----------------------------------------------------------------------------- */

static bool is_wanted(const oct_graph *g, const oct_node *n, const uint32_t *n_uses)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        const oct_value *v = &g->value[n->out[i]];
        if (v->is_output || v->observed || n_uses[n->out[i]])
            return true;
    }
    return false;
}

void oct_graph_remove_unused(oct_graph *g)
{
    uint32_t n_order;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    uint32_t *n_uses = oct_zalloc_array(g->ctx, (size_t)g->n_values + 1, sizeof *n_uses);
    if (!n_uses) { /* an optimisation that does not happen, no error of the graph */
        oct_error_clear(g->ctx);
        return;
    }
    for (uint32_t k = 0; k < n_order; k++) {
        const oct_node *n = &g->node[order[k]];
        for (uint32_t i = 0; i < n->n_in; i++)
            if (n->in[i] != OCT_NONE)
                n_uses[n->in[i]]++;
    }
    for (uint32_t k = n_order; k-- > 0;) { /* consumers before producers */
        const oct_node *n = &g->node[order[k]];
        if (is_wanted(g, n, n_uses))
            continue;
        for (uint32_t i = 0; i < n->n_in; i++)
            if (n->in[i] != OCT_NONE)
                n_uses[n->in[i]]--;
        oct_graph_remove_node(g, order[k]);
    }
    oct_free(g->ctx, n_uses);
}
