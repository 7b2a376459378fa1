/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves Q and DQ so that data movers lie between them:
 *
 *     x -> Reshape -> Q          becomes     x -> Q -> Reshape        (Q up)
 *     x -> Split -> Q, Q (alike) becomes     x -> Q -> Split
 *     q -> DQ -> MaxPool         becomes     q -> MaxPool -> DQ       (DQ down)
 *     q -> DQ -> Q (same params) becomes     q                        (cancel)
 *
 *     x -> Relu -> Q (zero point at the low end)  becomes  x -> Q     (absorb)
 *
 * Exact for ops f with Q(f(x)) = f(Q(x)): pure movers, and MaxPool and Relu, because
 * quantization is monotonic (Relu only for zero point 0). Repeated until nothing changes; each
 * step moves one node past one node, so it ends.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/qdq.h"
#include "engine/qdq_passes.h"
#include "kernels/op_schema.h"

typedef struct mover_state {
    oct_graph *g;
    oct_ctx *ctx;
    bool changed;
} mover_state;

/* Inputs whose elements an op passes on unchanged, as a count from input 0: Concat all, others 1. */
static uint32_t n_moved_inputs(const oct_node *n)
{
    return n->op == OCT_OP_CONCAT ? n->n_in : 1;
}

/* Pad is a mover only with the padding value that quantizes to itself. Split, of several outputs, has
 * a rule of its own. */
static bool commutes(const oct_graph *g, const oct_node *n, const oct_quant *q)
{
    if (q->n != 1)
        return false;
    switch (n->op) {
    case OCT_OP_MAX_POOL:
        return n->n_out == 1 || n->out[1] == OCT_NONE;
    case OCT_OP_RELU:
        return q->q[0].zero_point == 0;
    case OCT_OP_PAD:
        return n->n_in > 2 && n->in[2] != OCT_NONE ? false : q->q[0].zero_point == 0;
    case OCT_OP_RESIZE:
        return ((const oct_attr_resize *)n->attr)->mode == OCT_RESIZE_NEAREST &&
               ((const oct_attr_resize *)n->attr)->coord != OCT_COORD_TF_CROP_AND_RESIZE;
    case OCT_OP_COMPRESS:
    case OCT_OP_TRILU: /* fills with 0 */
        return false;
    default:
        (void)g;
        return (oct_op_schema_get(n->op)->flags & OCT_OPF_MOVER) != 0;
    }
}

static bool is_single_output(const oct_node *n)
{
    for (uint32_t i = 1; i < n->n_out; i++)
        if (n->out[i] != OCT_NONE)
            return false;
    return true;
}

/* True if every use of `v` is a QuantizeLinear with these parameters (and `v` is no graph output). */
static oct_status only_quantized_alike(mover_state *s, oct_value_id v, const oct_quant *q,
                                       oct_dtype dt, bool *yes)
{
    const oct_use *use;
    uint32_t n = 0;
    *yes = false;
    const oct_value *val = oct_graph_value(s->g, v);
    if (val->is_output || val->observed)
        return OCT_OK;
    OCT_TRY(oct_graph_uses(s->g, s->ctx, v, &use, &n));
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *c = oct_graph_node(s->g, use[i].node);
        oct_quant other;
        oct_dtype other_dt;
        if (c->op != OCT_OP_QUANTIZE_LINEAR || use[i].in_index != 0 ||
            !oct_qdq_params(s->g, c, &other, &other_dt, NULL) || other_dt != dt ||
            !oct_quant_equal(q, &other))
            return OCT_OK;
    }
    *yes = n > 0;
    return OCT_OK;
}

/* x -> mover -> Q  =>  x -> Q' -> mover', for a mover whose only readers are this very Q. */
static oct_status move_q_up(mover_state *s, oct_node_id qid)
{
    oct_graph *g = s->g;
    oct_quant quant;
    oct_dtype dt;
    const oct_value_id x = oct_graph_node(g, qid)->in[0];
    const oct_node_id mid = oct_graph_value(g, x)->producer;
    if (mid == OCT_NONE || !oct_qdq_params(g, oct_graph_node(g, qid), &quant, &dt, NULL))
        return OCT_OK;
    bool alike = false;
    if (!commutes(g, oct_graph_node(g, mid), &quant) || !is_single_output(oct_graph_node(g, mid)))
        return OCT_OK;
    OCT_TRY(only_quantized_alike(s, x, &quant, dt, &alike));
    if (!alike)
        return OCT_OK;
    const oct_node old = *oct_graph_node(g, mid);
    const oct_value_id y = oct_graph_node(g, qid)->out[0];
    oct_value_id *in = oct_arena_array(oct_graph_arena(g), old.n_in, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    memcpy(in, old.in, old.n_in * sizeof *in);
    for (uint32_t i = 0; i < n_moved_inputs(&old); i++) {
        const char *name = oct_graph_value(g, old.in[i])->name;
        in[i] = OCT_NONE;
        OCT_TRY(oct_qdq_add_quantize(g, s->ctx, old.in[i], &quant, dt, name, &in[i]));
    }
    /* every Q behind the mover gives the same value: one result serves them all */
    const oct_use *use;
    uint32_t n = 0;
    OCT_TRY(oct_graph_uses(g, s->ctx, x, &use, &n));
    for (uint32_t i = 0; i < n; i++) {
        const oct_node_id other = use[i].node;
        if (other == qid)
            continue;
        oct_graph_replace_uses(g, oct_graph_node(g, other)->out[0], y, true);
        oct_graph_remove_node(g, other);
        OCT_TRY(oct_graph_uses(g, s->ctx, x, &use, &n));
        i = UINT32_MAX; /* the list changed: start over */
    }
    oct_graph_remove_node(g, qid);
    oct_graph_remove_node(g, mid);
    oct_node_id made;
    OCT_TRY(oct_graph_add_node(g, s->ctx, old.op, old.name, old.attr, in, old.n_in, &y, 1, &made));
    oct_graph_node(g, made)->model_index = old.model_index;
    oct_graph_value(g, y)->quant = quant;
    s->changed = true;
    return OCT_OK;
}

/* x -> Split -> one Q on each part, all alike  =>  x -> Q -> Split. (Concats give all that they join one
 * scale, so the blocks that split, work on one half and join again end up here.) */
static oct_status move_q_above_split(mover_state *s, oct_node_id split)
{
    oct_graph *g = s->g;
    const oct_node old = *oct_graph_node(g, split);
    oct_value_id *in = oct_arena_array(oct_graph_arena(g), old.n_in, sizeof *in);
    oct_value_id *out = oct_arena_array(oct_graph_arena(g), old.n_out, sizeof *out);
    oct_quant quant;
    oct_dtype dt = OCT_DT_NONE;
    if (!in || !out)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < old.n_out; i++) {
        const oct_use *use;
        uint32_t n = 0;
        bool alike = false;
        if (old.out[i] == OCT_NONE)
            return OCT_OK;
        OCT_TRY(oct_graph_uses(g, s->ctx, old.out[i], &use, &n));
        if (n != 1) /* equal ones have been merged */
            return OCT_OK;
        const oct_node *q = oct_graph_node(g, use[0].node);
        if (q->op != OCT_OP_QUANTIZE_LINEAR || oct_graph_value(g, q->out[0])->is_output ||
            (i == 0 && (!oct_qdq_params(g, q, &quant, &dt, NULL) || quant.n != 1)))
            return OCT_OK;
        OCT_TRY(only_quantized_alike(s, old.out[i], &quant, dt, &alike));
        if (!alike)
            return OCT_OK;
        out[i] = q->out[0];
    }
    memcpy(in, old.in, old.n_in * sizeof *in);
    in[0] = OCT_NONE;
    OCT_TRY(oct_qdq_add_quantize(g, s->ctx, old.in[0], &quant, dt,
                                 oct_graph_value(g, old.in[0])->name, &in[0]));
    for (uint32_t i = 0; i < old.n_out; i++)
        oct_graph_remove_node(g, oct_graph_value(g, out[i])->producer);
    oct_graph_remove_node(g, split);
    oct_node_id made;
    OCT_TRY(oct_graph_add_node(g, s->ctx, old.op, old.name, old.attr, in, old.n_in, out, old.n_out,
                               &made));
    oct_graph_node(g, made)->model_index = old.model_index;
    for (uint32_t i = 0; i < old.n_out; i++)
        oct_graph_value(g, out[i])->quant = quant;
    s->changed = true;
    return OCT_OK;
}

/* q -> DQ -> mover  =>  q -> mover -> DQ. The DQ stays for its other readers. */
static oct_status move_dq_down(mover_state *s, oct_node_id mid)
{
    oct_graph *g = s->g;
    const oct_node old = *oct_graph_node(g, mid);
    const oct_node *dq = old.n_in > 0 ? oct_qdq_dequantize_of(g, old.in[0]) : NULL;
    oct_quant quant, other;
    oct_dtype dt, other_dt;
    if (!dq || !is_single_output(&old) || !oct_qdq_params(g, dq, &quant, &dt, NULL) ||
        dt == OCT_DT_S32 || !commutes(g, &old, &quant) ||
        oct_graph_value(g, old.out[0])->observed || oct_graph_value(g, dq->in[0])->data)
        return OCT_OK;
    oct_value_id *in = oct_arena_array(oct_graph_arena(g), old.n_in, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    memcpy(in, old.in, old.n_in * sizeof *in);
    for (uint32_t i = 0; i < n_moved_inputs(&old); i++) {
        const oct_node *d = oct_qdq_dequantize_of(g, old.in[i]);
        if (!d || !oct_qdq_params(g, d, &other, &other_dt, NULL) || other_dt != dt ||
            !oct_quant_equal(&quant, &other))
            return OCT_OK;
        in[i] = d->in[0];
    }
    const oct_value *y = oct_graph_value(g, old.out[0]);
    const oct_shape shape = y->shape;
    const char *name = oct_graph_fresh_name(g, s->ctx, y->name);
    oct_value_id moved;
    oct_node_id made;
    if (!name)
        return OCT_ERR_NOMEM;
    oct_graph_remove_node(g, mid);
    OCT_TRY(oct_graph_add_value(g, s->ctx, name, dt, &shape, &moved));
    OCT_TRY(
        oct_graph_add_node(g, s->ctx, old.op, old.name, old.attr, in, old.n_in, &moved, 1, &made));
    oct_graph_node(g, made)->model_index = old.model_index;
    oct_graph_value(g, moved)->quant = quant;
    oct_value_id real = old.out[0]; /* the named value stays the result */
    OCT_TRY(oct_qdq_add_dequantize(g, s->ctx, moved, &quant, name, &real));
    s->changed = true;
    return OCT_OK;
}

/* q -> DQ -> Q with equal parameters is q. */
static void cancel(mover_state *s, oct_node_id qid)
{
    oct_graph *g = s->g;
    const oct_node *q = oct_graph_node(g, qid);
    const oct_node *dq = oct_qdq_dequantize_of(g, q->in[0]);
    oct_quant a, b;
    oct_dtype da, db;
    if (!dq || !oct_qdq_params(g, q, &a, &da, NULL) || !oct_qdq_params(g, dq, &b, &db, NULL) ||
        da != db || !oct_quant_equal(&a, &b) || oct_graph_value(g, q->out[0])->is_output)
        return;
    oct_graph_replace_uses(g, q->out[0], dq->in[0], false);
    oct_graph_remove_node(g, qid);
    s->changed = true;
}

/* Real numbers that a per-tensor quantized type can hold. */
static void real_range(const oct_quant *q, oct_dtype dt, double *lo, double *hi)
{
    const int q_lo = dt == OCT_DT_S8 ? -128 : 0, q_hi = dt == OCT_DT_S8 ? 127 : 255;
    *lo = (double)(q_lo - q->q[0].zero_point) * q->q[0].scale;
    *hi = (double)(q_hi - q->q[0].zero_point) * q->q[0].scale;
}

/* Bounds of a Relu or of a Clip with constant bounds. */
static bool clamp_range(const oct_graph *g, const oct_node *n, double *lo, double *hi)
{
    *lo = n->op == OCT_OP_RELU ? 0 : -INFINITY;
    *hi = INFINITY;
    for (uint32_t i = 1; n->op == OCT_OP_CLIP && i < n->n_in && i < 3; i++) {
        if (n->in[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(g, n->in[i]);
        if (!v->data)
            return false;
        *(i == 1 ? lo : hi) = oct_elem_f64(v->data, v->dtype, 0);
    }
    return n->op == OCT_OP_RELU || n->op == OCT_OP_CLIP;
}

/* x -> Relu or Clip -> Q is x -> Q where Q's own clamp is at least as tight. */
static oct_status absorb_clamp(mover_state *s, oct_node_id qid)
{
    oct_graph *g = s->g;
    oct_node *q = oct_graph_node(g, qid);
    const oct_node_id p = oct_graph_value(g, q->in[0])->producer;
    oct_quant quant;
    oct_dtype dt;
    double lo, hi, q_lo, q_hi;
    if (p == OCT_NONE || !clamp_range(g, oct_graph_node(g, p), &lo, &hi) ||
        !oct_qdq_params(g, q, &quant, &dt, NULL) || quant.n != 1)
        return OCT_OK;
    real_range(&quant, dt, &q_lo, &q_hi);
    if (lo > q_lo || hi < q_hi || oct_graph_value(g, q->in[0])->observed)
        return OCT_OK;
    const oct_node *clamp = oct_graph_node(g, p);
    oct_value_id in[3] = {clamp->in[0], q->in[1], q->n_in > 2 ? q->in[2] : OCT_NONE};
    OCT_TRY(oct_graph_set_inputs(g, s->ctx, qid, in, q->n_in));
    s->changed = true;
    return OCT_OK;
}

/* Two Q of one value with equal parameters, or two DQ of one, become one. */
static oct_status merge_twins(mover_state *s, oct_node_id id)
{
    oct_graph *g = s->g;
    const oct_use *use;
    uint32_t n = 0;
    oct_quant mine, theirs;
    oct_dtype my_dt, their_dt;
    const oct_node *me = oct_graph_node(g, id);
    if (!oct_qdq_params(g, me, &mine, &my_dt, NULL))
        return OCT_OK;
    OCT_TRY(oct_graph_uses(g, s->ctx, me->in[0], &use, &n));
    for (uint32_t i = 0; i < n; i++) {
        const oct_node_id other = use[i].node;
        const oct_node *o = oct_graph_node(g, other);
        if (other <= id || use[i].in_index != 0 || o->op != me->op ||
            !oct_qdq_params(g, o, &theirs, &their_dt, NULL) || my_dt != their_dt ||
            !oct_quant_equal(&mine, &theirs) || oct_graph_value(g, o->out[0])->is_output)
            continue;
        oct_graph_replace_uses(g, o->out[0], me->out[0], false);
        oct_graph_remove_node(g, other);
        s->changed = true;
        return OCT_OK;
    }
    return OCT_OK;
}

static oct_status visit(mover_state *s, oct_node_id id)
{
    const oct_node *n = oct_graph_node(s->g, id);
    if (n->dead)
        return OCT_OK;
    if (n->op == OCT_OP_QUANTIZE_LINEAR || n->op == OCT_OP_DEQUANTIZE_LINEAR)
        OCT_TRY(merge_twins(s, id));
    if (n->op == OCT_OP_QUANTIZE_LINEAR) {
        cancel(s, id);
        if (!oct_graph_node(s->g, id)->dead)
            OCT_TRY(absorb_clamp(s, id));
    }
    if (!oct_graph_node(s->g, id)->dead && n->op == OCT_OP_QUANTIZE_LINEAR)
        return move_q_up(s, id);
    if (n->op == OCT_OP_SPLIT)
        return move_q_above_split(s, id);
    if (n->op != OCT_OP_QUANTIZE_LINEAR && n->op != OCT_OP_DEQUANTIZE_LINEAR)
        return move_dq_down(s, id);
    return OCT_OK;
}

oct_status oct_pass_qdq_move(oct_ctx *ctx, oct_graph *g)
{
    mover_state s = {g, ctx, true};
    while (s.changed) {
        s.changed = false;
        OCT_TRY(oct_graph_sort(g, ctx));
        const uint32_t n = oct_graph_n_nodes(g);
        for (oct_node_id id = 0; id < n; id++)
            OCT_TRY(visit(&s, id));
        oct_graph_remove_unused(g);
    }
    return oct_graph_sort(g, ctx);
}
