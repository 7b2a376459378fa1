/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of If and Loop through their subgraphs. A value that differs between branches or
 * iterations keeps what they agree on: type, else rank, else single dimensions.
 */
#include <string.h>

#include "engine/graph_infer_internal.h"
#include "engine/graph_internal.h"

enum { MAX_DEPTH = 64 };

/* Type, shape and elements of outer value `from` for the subgraph's input `to`. */
static oct_status pass_in(const oct_infer_state *s, oct_infer_state *sub, oct_value_id from,
                          oct_value_id to)
{
    bool symbols;
    if (from == OCT_NONE)
        return OCT_OK;
    const oct_value *f = oct_graph_value(s->g, from);
    oct_value *t = oct_graph_value(sub->g, to);
    t->dtype = f->dtype;
    t->shape = f->shape;
    const void *data = oct_infer_elements(s, from, &symbols);
    return symbols ? oct_infer_set_symbolic(sub, to, data) : OCT_OK;
}

/* Keeps in `a` what `a` and `b` agree on. */
static void merge_shape(oct_infer_state *s, oct_shape *a, const oct_shape *b)
{
    if (a->n_dims != b->n_dims)
        a->n_dims = -1;
    for (int i = 0; i < a->n_dims; i++)
        if (a->dim[i] != b->dim[i])
            a->dim[i] = oct_infer_fresh(s);
}

static oct_status check_depth(const oct_infer_state *s)
{
    return s->depth < MAX_DEPTH ? OCT_OK
                                : oct_fail(s->ctx, OCT_ERR_LIMIT, "subgraphs nested too deep");
}

/* ---- If -------------------------------------------------------------------------------------- */

static oct_status infer_branch(oct_infer_state *s, const oct_node *n, oct_graph *g)
{
    oct_infer_state *sub;
    OCT_TRY(oct_infer_begin(s->ctx, g, s, &sub));
    oct_status st = OCT_OK;
    for (uint32_t i = 0; i < g->inputs.n && st == OCT_OK; i++)
        st = pass_in(s, sub, n->in[n->n_in - g->inputs.n + i], g->inputs.id[i]);
    if (st == OCT_OK)
        st = oct_infer_all(sub);
    oct_infer_end(sub);
    return st;
}

static void take_outputs(oct_infer_state *s, const oct_node *n, const oct_graph *g, bool merge)
{
    for (uint32_t i = 0; i < n->n_out && i < g->outputs.n; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        oct_value *v = oct_graph_value(s->g, n->out[i]);
        const oct_value *from = &g->value[g->outputs.id[i]];
        if (!merge || v->dtype == OCT_DT_NONE) {
            v->dtype = from->dtype;
            v->shape = from->shape;
        } else {
            merge_shape(s, &v->shape, &from->shape);
        }
    }
}

/* Only the branch that is taken counts, if that is known. One that cannot work for these shapes
 * is taken to be unreachable, as exporters write such branches; both failing is an error. */
static oct_status infer_if(oct_infer_state *s, const oct_node *n)
{
    const oct_attr_control *a = n->attr;
    const uint8_t *cond = oct_graph_value(s->g, n->in[0])->data;
    int n_good = 0;
    oct_status st = OCT_OK;
    for (int i = 0; i < 2; i++) {
        if (cond && (*cond != 0) != (i == 0))
            continue;
        oct_graph *g = oct_graph_sub(s->g, a->sub[i]);
        if (st != OCT_OK)
            oct_error_clear(s->ctx);
        st = infer_branch(s, n, g);
        if (st == OCT_ERR_NOMEM || st == OCT_ERR_LIMIT)
            return st;
        if (st == OCT_OK)
            take_outputs(s, n, g, n_good++ > 0);
    }
    if (n_good == 0)
        return st;
    if (st != OCT_OK)
        oct_error_clear(s->ctx);
    return OCT_OK;
}

/* ---- Loop ------------------------------------------------------------------------------------ */

static void set_scalar(oct_value *v, oct_dtype dt)
{
    v->dtype = dt;
    v->shape = (oct_shape){.n_dims = 0};
}

/* One inference of the body with the carried shapes as they stand in its inputs. */
static oct_status infer_body(oct_infer_state *s, const oct_node *n, oct_graph *g,
                             uint32_t n_carried)
{
    oct_infer_state *sub;
    OCT_TRY(oct_infer_begin(s->ctx, g, s, &sub));
    oct_status st = OCT_OK;
    for (uint32_t i = 2 + n_carried; i < n->n_in && st == OCT_OK; i++)
        st = pass_in(s, sub, n->in[i], g->inputs.id[i]);
    if (st == OCT_OK)
        st = oct_infer_all(sub);
    oct_infer_end(sub);
    return st;
}

/* Carried values whose shape an iteration changes become less known; true if any did. */
static bool widen_carried(oct_infer_state *s, oct_graph *g, uint32_t n_carried)
{
    bool changed = false;
    for (uint32_t i = 0; i < n_carried; i++) {
        oct_value *in = &g->value[g->inputs.id[2 + i]];
        const oct_value *out = &g->value[g->outputs.id[1 + i]];
        const oct_shape before = in->shape;
        oct_shape after = in->shape;
        if (out->dtype == OCT_DT_NONE)
            continue;
        for (int k = 0; k < after.n_dims && after.n_dims == out->shape.n_dims; k++)
            if (after.dim[k] != out->shape.dim[k] && !oct_dim_is_symbol(after.dim[k]))
                after.dim[k] = oct_infer_fresh(s);
        if (after.n_dims != out->shape.n_dims)
            after.n_dims = -1;
        in->shape = after;
        changed |= !oct_shape_equal(&before, &after);
    }
    return changed;
}

static void take_loop_outputs(oct_infer_state *s, const oct_node *n, const oct_graph *g,
                              uint32_t n_carried)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        oct_value *v = oct_graph_value(s->g, n->out[i]);
        const oct_value *from = &g->value[g->outputs.id[1 + i]];
        v->dtype = from->dtype;
        v->shape = from->shape;
        if (i < n_carried) { /* zero iterations hand the initial value through */
            const oct_value *first = oct_graph_value(s->g, n->in[2 + i]);
            merge_shape(s, &v->shape, &first->shape);
        } else if (v->shape.n_dims >= 0 && v->shape.n_dims < OCT_MAX_DIMS) {
            memmove(v->shape.dim + 1, v->shape.dim, sizeof v->shape.dim - sizeof v->shape.dim[0]);
            v->shape.dim[0] = oct_infer_fresh(s);
            v->shape.n_dims++;
        } else {
            v->shape.n_dims = -1;
        }
    }
}

static oct_status infer_loop(oct_infer_state *s, const oct_node *n)
{
    const oct_attr_control *a = n->attr;
    oct_graph *g = oct_graph_sub(s->g, a->sub[0]);
    const uint32_t n_carried = n->n_in - 2 - (uint32_t)a->n_captured;
    set_scalar(&g->value[g->inputs.id[0]], OCT_DT_S64);
    set_scalar(&g->value[g->inputs.id[1]], OCT_DT_BOOL);
    for (uint32_t i = 0; i < n_carried; i++) {
        if (n->in[2 + i] == OCT_NONE)
            return oct_fail(s->ctx, OCT_ERR_FORMAT, "loop-carried input %u is absent", i);
        const oct_value *first = oct_graph_value(s->g, n->in[2 + i]);
        g->value[g->inputs.id[2 + i]].dtype = first->dtype;
        g->value[g->inputs.id[2 + i]].shape = first->shape;
    }
    /* Each round widens at least one dimension or rank, so this ends. */
    do {
        OCT_TRY(infer_body(s, n, g, n_carried));
    } while (widen_carried(s, g, n_carried));
    take_loop_outputs(s, n, g, n_carried);
    return OCT_OK;
}

oct_status oct_infer_control(oct_infer_state *s, oct_node_id node)
{
    const oct_node *n = oct_graph_node(s->g, node);
    OCT_TRY(check_depth(s));
    return n->op == OCT_OP_IF ? infer_if(s, n) : infer_loop(s, n);
}
