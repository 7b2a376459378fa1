/* SPDX-License-Identifier: Apache-2.0
 *
 * Concrete shapes of one plan. Integer shape arithmetic ends here: Shape of a known shape,
 * and everything computed from such values, becomes a host constant of the plan.
 */
#include <string.h>

#include "engine/host_op.h"
#include "engine/infer_node.h"
#include "engine/planner.h"
#include "kernels/op_schema.h"

/* Larger results are left to the backend: folding serves shapes, anchors and small tables. */
#define FOLD_MAX_ELEMS 65536

static int64_t plan_new_symbol(void *user)
{
    oct_planner *b = user;
    return OCT_DIM_SYMBOL(b->n_symbols++);
}

static void plan_infer_sources(oct_planner *b)
{
    const oct_graph *g = b->g;
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++) {
        const oct_value *v = oct_graph_value(g, i);
        oct_plan_value *pv = &b->v[i];
        pv->tensor = OCT_NONE;
        pv->concat = OCT_NONE;
        pv->desc = (oct_tensor_desc){.dtype = v->dtype, .shape = {.n_dims = -1}};
        if (v->producer == OCT_NONE && !v->is_input && v->data) {
            pv->desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
            pv->host = v->data;
        }
    }
    uint32_t n;
    const oct_value_id *in = oct_graph_inputs(g, &n);
    for (uint32_t i = 0; i < n; i++)
        b->v[in[i]].desc = b->in[i];
}

/* Shape and Size of a known shape need no kernel. */
static bool plan_fold_shape(oct_planner *b, const oct_node *n, oct_status *st)
{
    if ((n->op != OCT_OP_SHAPE && n->op != OCT_OP_SIZE) || n->in[0] == OCT_NONE)
        return false;
    const oct_shape *s = &b->v[n->in[0]].desc.shape;
    if (!oct_shape_is_known(s))
        return false;
    int64_t *data = oct_arena_alloc(b->p->arena, sizeof *data * OCT_MAX_DIMS);
    *st = data ? OCT_OK : OCT_ERR_NOMEM;
    if (!data)
        return true;
    if (n->op == OCT_OP_SIZE) {
        size_t elems = 0;
        if (!oct_shape_elems(s, &elems))
            return false;
        data[0] = (int64_t)elems;
    } else {
        const oct_attr_shape *a = n->attr;
        int64_t lo = a ? a->start : 0;
        lo = lo < 0 ? lo + s->n_dims : lo;
        lo = lo < 0 ? 0 : lo;
        const int64_t count = b->v[n->out[0]].desc.shape.dim[0];
        for (int64_t i = 0; i < count && lo + i < s->n_dims; i++)
            data[i] = s->dim[lo + i];
    }
    b->v[n->out[0]].host = data;
    return true;
}

static bool plan_can_fold(const oct_planner *b, const oct_node *n)
{
    if (oct_op_schema_get(n->op)->flags & OCT_OPF_CONTROL)
        return false;
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != OCT_NONE && !b->v[n->in[i]].host)
            return false;
    for (uint32_t i = 0; i < n->n_out; i++) {
        size_t elems = 0;
        if (n->out[i] == OCT_NONE)
            return false; /* kernels of several outputs want all of them */
        if (!oct_shape_elems(&b->v[n->out[i]].desc.shape, &elems) || elems > FOLD_MAX_ELEMS)
            return false;
    }
    return n->n_out > 0 && n->epilogue.act == OCT_ACT_NONE && n->epilogue.residual < 0;
}

static void plan_gather_inputs(const oct_planner *b, const oct_node *n, oct_tensor *in)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        memset(&in[i], 0, sizeof in[i]);
        if (n->in[i] == OCT_NONE)
            continue;
        in[i].desc = b->v[n->in[i]].desc;
        in[i].desc.layout = OCT_LAYOUT_ROW;
        in[i].data = (void *)(uintptr_t)b->v[n->in[i]].host;
    }
}

static oct_status plan_fold(oct_planner *b, const oct_node *n, const oct_tensor *in)
{
    oct_tensor *out = oct_arena_array(b->p->arena, n->n_out, sizeof *out);
    if (!out)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n->n_out; i++) {
        size_t bytes = 0;
        out[i].desc = b->v[n->out[i]].desc;
        if (!oct_tensor_desc_bytes(&out[i].desc, &bytes))
            return oct_fail(b->ctx, OCT_ERR_LIMIT, "%s: result too large", n->name);
        out[i].data = oct_arena_alloc_aligned(b->p->arena, bytes, 64);
        if (!out[i].data)
            return OCT_ERR_NOMEM;
    }
    const oct_status st = oct_host_op_run(b->ctx, b->engine->ref, n->op, n->attr, n->name, in,
                                          (int)n->n_in, out, (int)n->n_out);
    if (st == OCT_ERR_UNSUPPORTED) { /* leave it to the backend */
        oct_error_clear(b->ctx);
        return OCT_OK;
    }
    OCT_TRY(st);
    for (uint32_t i = 0; i < n->n_out; i++)
        b->v[n->out[i]].host = out[i].data;
    return OCT_OK;
}

/* Outputs whose rank is unknown because an input's is. */
static bool plan_unknown_rank(const oct_planner *b, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != OCT_NONE && b->v[n->in[i]].desc.shape.n_dims < 0)
            return true;
    return false;
}

static oct_status plan_infer_node(oct_planner *b, const oct_node *n, oct_tensor *in,
                                  oct_tensor_desc *out)
{
    if (oct_op_schema_get(n->op)->flags & OCT_OPF_CONTROL || plan_unknown_rank(b, n))
        return OCT_OK; /* known when reached */
    plan_gather_inputs(b, n, in);
    memset(out, 0, n->n_out * sizeof *out);
    const oct_infer_args a = {.op = n->op,
                              .attr = n->attr,
                              .in = in,
                              .n_in = (int)n->n_in,
                              .out = out,
                              .n_out = (int)n->n_out,
                              .new_symbol = plan_new_symbol,
                              .user = b};
    OCT_TRY(oct_infer_lowered(b->ctx, b->g, n, &a));
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        oct_plan_value *v = &b->v[n->out[i]];
        v->desc = oct_tensor_desc_make(out[i].dtype, out[i].shape, OCT_LAYOUT_ROW);
    }
    oct_status st = OCT_OK;
    if (plan_fold_shape(b, n, &st))
        return st;
    return plan_can_fold(b, n) ? plan_fold(b, n, in) : OCT_OK;
}

oct_status oct_plan_infer(oct_planner *b)
{
    plan_infer_sources(b);
    uint32_t n_order, max_args = 1;
    const oct_node_id *order = oct_graph_order(b->g, &n_order);
    for (uint32_t i = 0; i < n_order; i++) {
        const oct_node *n = oct_graph_node(b->g, order[i]);
        const uint32_t most = n->n_in > n->n_out ? n->n_in : n->n_out;
        max_args = most > max_args ? most : max_args;
    }
    oct_tensor *in = oct_alloc_array(b->ctx, max_args, sizeof *in);
    oct_tensor_desc *out = oct_alloc_array(b->ctx, max_args, sizeof *out);
    oct_status st = in && out ? OCT_OK : OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n_order && st == OCT_OK; i++) {
        const oct_node *n = oct_graph_node(b->g, order[i]);
        st = plan_infer_node(b, n, in, out);
        if (st != OCT_OK)
            oct_fail_in(b->ctx, st, "node %s (%s)", n->name, oct_op_name(n->op));
    }
    oct_free(b->ctx, in);
    oct_free(b->ctx, out);
    return st;
}
