/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/graph_infer.h"

#include <string.h>

#include "engine/graph_infer_internal.h"
#include "engine/graph_internal.h"
#include "engine/infer.h"
#include "engine/infer_node.h"

/* ---- symbols ------------------------------------------------------------------------------- */

int64_t oct_infer_fresh(oct_infer_state *s)
{
    return OCT_DIM_SYMBOL(s->root->next++);
}

static int64_t new_symbol(void *user)
{
    return oct_infer_fresh(user);
}

/* Symbols that the graph uses already must not be handed out again. */
static int64_t first_free_symbol(const oct_graph *g)
{
    int64_t next = 0;
    for (uint32_t v = 0; v < g->n_values; v++) {
        const oct_shape *shape = &g->value[v].shape;
        for (int i = 0; i < shape->n_dims; i++)
            if (oct_dim_is_symbol(shape->dim[i]) && shape->dim[i] - INT64_MIN >= next)
                next = shape->dim[i] - INT64_MIN + 1;
    }
    for (uint32_t i = 0; i < g->n_subs; i++) {
        const int64_t sub = first_free_symbol(g->sub[i]);
        next = sub > next ? sub : next;
    }
    return next;
}

/* ---- state --------------------------------------------------------------------------------- */

oct_status oct_infer_begin(oct_ctx *ctx, oct_graph *g, oct_infer_state *outer,
                           oct_infer_state **out)
{
    oct_infer_state *s = oct_zalloc(ctx, sizeof *s);
    *out = s;
    if (!s)
        return OCT_ERR_NOMEM;
    s->ctx = ctx;
    s->g = g;
    s->depth = outer ? outer->depth + 1 : 0;
    s->root = outer ? outer->root : oct_zalloc(ctx, sizeof *s->root);
    s->owns_root = !outer;
    if (!s->root) {
        oct_free(ctx, s);
        *out = NULL;
        return OCT_ERR_NOMEM;
    }
    if (!outer)
        s->root->next = first_free_symbol(g);
    return OCT_OK;
}

void oct_infer_end(oct_infer_state *s)
{
    if (!s)
        return;
    if (s->owns_root)
        oct_free(s->ctx, s->root);
    oct_free(s->ctx, (void *)s->symbolic);
    oct_free(s->ctx, s->in);
    oct_free(s->ctx, s->out);
    oct_free(s->ctx, s);
}

const void *oct_infer_elements(const oct_infer_state *s, oct_value_id v, bool *symbols)
{
    const bool has = v < s->n_symbolic && s->symbolic[v];
    *symbols = has;
    return has ? s->symbolic[v] : oct_graph_value(s->g, v)->data;
}

oct_status oct_infer_set_symbolic(oct_infer_state *s, oct_value_id v, const int64_t *data)
{
    if (v >= s->n_symbolic) {
        const uint32_t n = s->g->cap_values > v ? s->g->cap_values : v + 1;
        const int64_t **p = oct_realloc(s->ctx, (void *)s->symbolic, n * sizeof *p);
        if (!p)
            return OCT_ERR_NOMEM;
        for (uint32_t i = s->n_symbolic; i < n; i++)
            p[i] = NULL;
        s->symbolic = p;
        s->n_symbolic = n;
    }
    s->symbolic[v] = data;
    return OCT_OK;
}

/* ---- one node ------------------------------------------------------------------------------ */

static oct_status reserve(oct_infer_state *s, const oct_node *n)
{
    void *p = s->in;
    while (s->cap_in < n->n_in || !s->in) {
        OCT_TRY(oct_graph_grow(s->ctx, &p, s->cap_in, &s->cap_in, sizeof *s->in));
        s->in = p;
    }
    p = s->out;
    while (s->cap_out < n->n_out || !s->out) {
        OCT_TRY(oct_graph_grow(s->ctx, &p, s->cap_out, &s->cap_out, sizeof *s->out));
        s->out = p;
    }
    return OCT_OK;
}

/* False if an input is of unknown type: it comes from something octet does not know. */
static bool gather_inputs(oct_infer_state *s, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        bool symbols;
        s->in[i] = (oct_tensor){0};
        if (n->in[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(s->g, n->in[i]);
        if (v->dtype == OCT_DT_NONE)
            return false;
        s->in[i].desc.dtype = v->dtype;
        s->in[i].desc.shape = v->shape;
        if (v->shape.n_dims >= 0)
            s->in[i].desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        s->in[i].data = (void *)oct_infer_elements(s, n->in[i], &symbols);
    }
    return true;
}

oct_status oct_infer_node(oct_infer_state *s, oct_node_id id)
{
    const oct_node *n = oct_graph_node(s->g, id);
    OCT_TRY(reserve(s, n));
    if (!gather_inputs(s, n))
        return OCT_OK;
    if (n->op == OCT_OP_IF || n->op == OCT_OP_LOOP)
        return oct_infer_control(s, id);
    if (!oct_infer_find(n->op))
        return OCT_OK;
    for (uint32_t i = 0; i < n->n_out; i++)
        s->out[i] = (oct_tensor_desc){.shape.n_dims = -1};
    const oct_infer_args args = {
        .op = n->op,
        .attr = n->attr,
        .in = s->in,
        .n_in = (int)n->n_in,
        .out = s->out,
        .n_out = (int)n->n_out,
        .new_symbol = new_symbol,
        .user = s,
    };
    OCT_TRY(oct_infer_lowered(s->ctx, s->g, n, &args));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        oct_value *v = oct_graph_value(s->g, n->out[i]);
        v->dtype = s->out[i].dtype;
        v->shape = s->out[i].shape;
    }
    return oct_infer_fold(s, id);
}

/* ---- the whole graph ----------------------------------------------------------------------- */

oct_status oct_infer_all(oct_infer_state *s)
{
    uint32_t n;
    const oct_node_id *order = oct_graph_order(s->g, &n);
    for (uint32_t k = 0; k < n; k++) {
        const oct_status st = oct_infer_node(s, order[k]);
        const oct_node *node = oct_graph_node(s->g, order[k]);
        if (st != OCT_OK)
            return oct_fail_in(s->ctx, st, "node '%s' (%s)", node->name, oct_op_name(node->op));
    }
    return OCT_OK;
}

/* What a former inference worked out may be wrong for other input shapes. */
static void forget(oct_graph *g)
{
    for (uint32_t i = 0; i < g->n_values; i++) {
        oct_value *v = &g->value[i];
        if (v->producer == OCT_NONE)
            continue;
        v->data = NULL;
        v->data_bytes = 0;
        v->const_key = 0;
        if (v->quant.n == 0) /* else the type is a decision, not a consequence */
            v->dtype = OCT_DT_NONE;
        v->shape = (oct_shape){.n_dims = -1};
    }
    for (uint32_t i = 0; i < g->n_subs; i++)
        forget(g->sub[i]);
}

oct_status oct_graph_infer(oct_ctx *ctx, oct_graph *g, const oct_shape *input_shape)
{
    oct_infer_state *s;
    for (uint32_t i = 0; input_shape && i < g->inputs.n; i++)
        g->value[g->inputs.id[i]].shape = input_shape[i];
    forget(g);
    OCT_TRY(oct_infer_begin(ctx, g, NULL, &s));
    const oct_status st = oct_infer_all(s);
    oct_infer_end(s);
    return st;
}
