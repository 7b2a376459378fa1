/* SPDX-License-Identifier: Apache-2.0
 *
 * Invariants of engine/graph.h, checked in the order in which a reader would trip over them.
 */
#include <string.h>

#include "engine/graph_internal.h"
#include "kernels/op_schema.h"

static oct_status broken(oct_ctx *ctx, const oct_node *n, const char *what)
{
    return oct_fail(ctx, OCT_ERR_FORMAT, "node '%s' (%s): %s", n->name, oct_op_name(n->op), what);
}

static bool has_source(const oct_value *v)
{
    return v->is_input || v->data || v->producer != OCT_NONE;
}

static oct_status check_value(const oct_graph *g, oct_ctx *ctx, oct_value_id id)
{
    const oct_value *v = &g->value[id];
    size_t n;
    if (!v->name || !*v->name)
        return oct_fail(ctx, OCT_ERR_FORMAT, "value %u has no name", id);
    if (oct_graph_find_value(g, v->name) != id)
        return oct_fail(ctx, OCT_ERR_FORMAT, "value '%s' is defined twice", v->name);
    if (v->is_input && (v->data || v->producer != OCT_NONE))
        return oct_fail(ctx, OCT_ERR_FORMAT, "input '%s' has another source", v->name);
    if (v->producer != OCT_NONE) {
        const oct_node *p = v->producer < g->n_nodes ? &g->node[v->producer] : NULL;
        if (!p || p->dead || v->out_index >= p->n_out || p->out[v->out_index] != id)
            return oct_fail(ctx, OCT_ERR_FORMAT, "value '%s' is not made by its producer", v->name);
    }
    if (v->data) {
        const oct_tensor_desc d = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        if (!oct_tensor_desc_bytes(&d, &n) || n != v->data_bytes)
            return oct_fail(ctx, OCT_ERR_FORMAT, "constant '%s' has %zu bytes, its shape differs",
                            v->name, v->data_bytes);
    }
    return OCT_OK;
}

/* The four ops with an epilogue carry its operands after their own. */
static bool takes_epilogue(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_GEMM ||
           op == OCT_OP_MATMUL;
}

static oct_status check_arity(oct_ctx *ctx, const oct_node *n)
{
    const oct_op_schema *s = oct_op_schema_get(n->op);
    const uint32_t extra = takes_epilogue(n->op) ? 2 : 0;
    if (n->n_in < (uint32_t)s->min_in || n->n_in > (uint64_t)s->max_in + extra)
        return broken(ctx, n, "wrong number of inputs");
    if (n->n_out < (uint32_t)s->min_out || n->n_out > (uint64_t)s->max_out + (extra ? 1 : 0))
        return broken(ctx, n, "wrong number of outputs");
    for (uint32_t i = 0; i < n->n_in && i < (uint32_t)s->min_in; i++)
        if (n->in[i] == OCT_NONE &&
            n->op != OCT_OP_LOOP) /* trip count and condition are optional */
            return broken(ctx, n, "a required input is absent");
    if (n->epilogue.residual >= 0 && (uint32_t)n->epilogue.residual >= n->n_in)
        return broken(ctx, n, "residual is no input");
    return OCT_OK;
}

static oct_status check_node(const oct_graph *g, oct_ctx *ctx, oct_node_id id, const bool *made)
{
    const oct_node *n = &g->node[id];
    if (n->dead)
        return broken(ctx, n, "is dead, but in the order");
    OCT_TRY(check_arity(ctx, n));
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == OCT_NONE)
            continue;
        if (n->in[i] >= g->n_values)
            return broken(ctx, n, "an input is no value");
        const oct_value *v = &g->value[n->in[i]];
        if (!has_source(v))
            return oct_fail(ctx, OCT_ERR_FORMAT,
                            "node '%s' (%s): input '%s' is made by nothing in the graph", n->name,
                            oct_op_name(n->op), v->name);
        if (v->producer != OCT_NONE && !made[v->producer])
            return oct_fail(ctx, OCT_ERR_FORMAT, "node '%s' (%s): input '%s' is made after it",
                            n->name, oct_op_name(n->op), v->name);
    }
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != OCT_NONE &&
            (n->out[i] >= g->n_values || g->value[n->out[i]].producer != id))
            return broken(ctx, n, "an output has another producer");
    return OCT_OK;
}

/* If: every branch takes exactly the captured values. Loop: iteration, condition, carried values,
 * then captured ones. */
static oct_status check_control(const oct_graph *g, oct_ctx *ctx, const oct_node *n)
{
    const oct_attr_control *a = n->attr;
    const int n_subs = n->op == OCT_OP_IF ? 2 : 1;
    const int64_t n_own = n->op == OCT_OP_IF ? 1 : 2; /* condition; trip count and condition */
    if (a->n_captured < 0 || a->n_captured > (int64_t)n->n_in - n_own)
        return broken(ctx, n, "captures more values than it takes");
    for (int i = 0; i < n_subs; i++) {
        if (a->sub[i] >= g->n_subs)
            return broken(ctx, n, "has no such subgraph");
        const uint32_t n_in = g->sub[a->sub[i]]->inputs.n;
        const bool fits = n->op == OCT_OP_IF ? n_in == a->n_captured : n_in == n->n_in;
        if (!fits)
            return broken(ctx, n, "its subgraph takes another number of inputs");
    }
    return OCT_OK;
}

static oct_status check_order(const oct_graph *g, oct_ctx *ctx, bool *made)
{
    uint32_t n_order;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    for (uint32_t k = 0; k < n_order; k++) {
        OCT_TRY(check_node(g, ctx, order[k], made));
        if (g->node[order[k]].op == OCT_OP_IF || g->node[order[k]].op == OCT_OP_LOOP)
            OCT_TRY(check_control(g, ctx, &g->node[order[k]]));
        made[order[k]] = true;
    }
    for (uint32_t i = 0; i < g->n_nodes; i++)
        if (!g->node[i].dead && !made[i])
            return broken(ctx, &g->node[i], "is missing in the order");
    return OCT_OK;
}

oct_status oct_graph_check(oct_ctx *ctx, const oct_graph *g)
{
    for (uint32_t v = 0; v < g->n_values; v++)
        OCT_TRY(check_value(g, ctx, v));
    bool *made = oct_zalloc_array(ctx, (size_t)g->n_nodes + 1, sizeof *made);
    if (!made)
        return OCT_ERR_NOMEM;
    const oct_status st = check_order(g, ctx, made);
    oct_free(ctx, made);
    OCT_TRY(st);
    for (uint32_t i = 0; i < g->outputs.n; i++)
        if (!has_source(&g->value[g->outputs.id[i]]))
            return oct_fail(ctx, OCT_ERR_FORMAT, "output '%s' is made by nothing in the graph",
                            g->value[g->outputs.id[i]].name);
    for (uint32_t i = 0; i < g->n_subs; i++) {
        const oct_status sub = oct_graph_check(ctx, g->sub[i]);
        if (sub != OCT_OK)
            return oct_fail_in(ctx, sub, "subgraph %u", i);
    }
    return OCT_OK;
}
