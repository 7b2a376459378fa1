/* SPDX-License-Identifier: Apache-2.0
 *
 * Which nodes are quantized: the weighted ones first; backwards, the ops that a quantized op
 * follows; forwards, which values share a scale and which cannot be negative.
 */
#include "quant/placement.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/numeric.h"
#include "kernels/op_schema.h"
#include "quant/placement_internal.h"
#include "quant/select.h"

/* ---- small facts about the graph ---- */

const oct_value *oct_placer_value(const placer *p, oct_value_id v)
{
    return oct_graph_value(p->g, v);
}

const oct_node *oct_placer_producer(const placer *p, oct_value_id v)
{
    const oct_node_id id = oct_placer_value(p, v)->producer;
    return id == OCT_NONE ? NULL : oct_graph_node(p->g, id);
}

static bool is_real(const placer *p, oct_value_id v)
{
    const oct_dtype dt = oct_placer_value(p, v)->dtype;
    return dt == OCT_DT_F32 || dt == OCT_DT_F16;
}

/* Q passes through: what stands in DESIGN 7 as commuting. */
static bool is_mover(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_MAX_POOL:
    case OCT_OP_RELU:
        return true;
    case OCT_OP_RESIZE:
        return ((const oct_attr_resize *)n->attr)->mode == OCT_RESIZE_NEAREST;
    case OCT_OP_PAD:
        return n->n_in < 3 || n->in[2] == OCT_NONE;
    default:
        return n->op != OCT_OP_CONCAT && (oct_op_schema_get(n->op)->flags & OCT_OPF_MOVER) != 0;
    }
}

static bool is_gate(const oct_node *n)
{
    return n && (n->op == OCT_OP_SIGMOID || n->op == OCT_OP_HARD_SIGMOID || n->op == OCT_OP_TANH ||
                 n->op == OCT_OP_ERF || n->op == OCT_OP_SOFTPLUS);
}

/* x * gate(x), as exporters write SiLU, HardSwish, Mish: an activation, not a product. */
static bool is_self_gated(const placer *p, const oct_node *n)
{
    for (int i = 0; i < 2; i++) {
        const oct_node *gate = oct_placer_producer(p, n->in[i]);
        if (is_gate(gate) && gate->in[0] == n->in[1 - i])
            return true;
    }
    return false;
}

bool oct_placer_amax(placer *p, oct_value_id v)
{
    value_info *i = &p->value[v];
    if (!i->asked) {
        i->asked = true;
        if (!p->amax->find(p->amax->user, oct_placer_value(p, v)->name, &i->amax) ||
            !(i->amax > 0) || !isfinite(i->amax))
            i->amax = 0;
    }
    return i->amax > 0;
}

uint32_t oct_placer_share(placer *p, uint32_t v)
{
    while (p->value[v].share != v)
        v = p->value[v].share = p->value[p->value[v].share].share;
    return v;
}

/* ---- which nodes ---- */

static void not_quantized(placer *p, oct_node_id id, const char *why)
{
    p->quantized[id] = false;
    if (p->reason[id][0] == '\0')
        p->reason[id] = why;
}

/* Needs a threshold for `v`; without one the node is left alone and the name is remembered. */
static bool need(placer *p, oct_value_id v)
{
    if (oct_placer_amax(p, v))
        return true;
    if (p->out->n_missing < MISSING_LISTED)
        p->missing[p->out->n_missing] = v;
    p->out->n_missing++;
    return false;
}

static void decide_weighted(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (!p->allowed[id])
        return;
    const oct_value *x = oct_placer_value(p, n->in[0]), *w = oct_placer_value(p, n->in[1]);
    if (n->op == OCT_OP_MATMUL && !w->data) {
        if (!p->scheme->matmul_of_activations || x->data)
            not_quantized(p, id, "product of two activations");
        else if (need(p, n->in[0]) && need(p, n->in[1]))
            p->quantized[id] = true;
        else
            not_quantized(p, id, "an input has no threshold");
        return;
    }
    if (!is_real(p, n->in[0]) || x->data || !w->data || !is_real(p, n->in[1]))
        not_quantized(p, id, x->data ? "its first input is constant" : "its weight is computed");
    else if (!need(p, n->in[0]))
        not_quantized(p, id, "its input has no threshold");
    else
        p->quantized[id] = true;
}

bool oct_placer_is_follower(oct_op op)
{
    return op == OCT_OP_ADD || op == OCT_OP_MUL || op == OCT_OP_AVERAGE_POOL ||
           op == OCT_OP_GLOBAL_AVERAGE_POOL || op == OCT_OP_CONCAT;
}

uint32_t oct_placer_n_real_inputs(const oct_node *n)
{
    return n->op == OCT_OP_CONCAT ? n->n_in : n->op == OCT_OP_ADD || n->op == OCT_OP_MUL ? 2 : 1;
}

/* Add, Mul, pools, Concat whose result a quantized op reads. */
static void decide_follower(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (!p->allowed[id])
        return;
    if (!p->value[n->out[0]].needed) {
        not_quantized(p, id, "no quantized op follows");
        return;
    }
    if (p->scheme->target == OCT_TARGET_ORT &&
        oct_placer_value(p, n->out[0])->dtype == OCT_DT_F16) {
        /* it fuses these whatever the scales' type, then refuses its own graph */
        not_quantized(p, id, "ONNX Runtime cannot run it with float16 scales");
        return;
    }
    if (n->op == OCT_OP_MUL && is_self_gated(p, n)) {
        not_quantized(p, id, "part of an activation function");
        return;
    }
    for (uint32_t i = 0; i < oct_placer_n_real_inputs(n); i++) {
        if (!is_real(p, n->in[i]) || oct_placer_value(p, n->in[i])->data) {
            not_quantized(p, id, "an input is constant");
            return;
        }
        if (!oct_placer_amax(p, n->in[i])) {
            not_quantized(p, id, "an input has no threshold");
            return;
        }
    }
    p->quantized[id] = true;
}

/* One node of the backward walk: marks inputs that a quantized op reads. */
static void walk_back(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (oct_placer_is_follower(n->op))
        decide_follower(p, id);
    if (p->quantized[id]) {
        const uint32_t n_in = oct_select_is_weighted(n->op)
                                  ? (oct_placer_value(p, n->in[1])->data ? 1 : 2)
                                  : oct_placer_n_real_inputs(n);
        for (uint32_t i = 0; i < n_in; i++)
            p->value[n->in[i]].needed = true;
    } else if (is_mover(n) && n->n_in > 0) {
        for (uint32_t o = 0; o < n->n_out; o++)
            if (n->out[o] != OCT_NONE && p->value[n->out[o]].needed)
                p->value[n->in[0]].needed = true;
    }
}

/* ---- facts that flow forwards ---- */

static bool produces_non_negative(const placer *p, const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_RELU:
    case OCT_OP_SIGMOID:
    case OCT_OP_HARD_SIGMOID:
    case OCT_OP_SOFTMAX:
    case OCT_OP_SOFTPLUS:
    case OCT_OP_ABS:
    case OCT_OP_EXP:
    case OCT_OP_SQRT:
        return true;
    case OCT_OP_CLIP:
        if (n->n_in > 1 && n->in[1] != OCT_NONE && oct_placer_value(p, n->in[1])->data)
            return oct_elem_f64(oct_placer_value(p, n->in[1])->data,
                                oct_placer_value(p, n->in[1])->dtype, 0) >= 0;
        return p->value[n->in[0]].non_negative;
    case OCT_OP_ADD:
    case OCT_OP_MUL:
        return p->value[n->in[0]].non_negative && p->value[n->in[1]].non_negative;
    case OCT_OP_CONCAT:
        for (uint32_t i = 0; i < n->n_in; i++)
            if (!p->value[n->in[i]].non_negative)
                return false;
        return true;
    case OCT_OP_AVERAGE_POOL:
    case OCT_OP_GLOBAL_AVERAGE_POOL:
    case OCT_OP_IDENTITY:
    case OCT_OP_DROPOUT:
        return p->value[n->in[0]].non_negative;
    default:
        return is_mover(n) && n->n_in > 0 && p->value[n->in[0]].non_negative;
    }
}

/* Inputs that calibration never saw negative: pixels that nobody centred. */
static void mark_inputs(placer *p)
{
    const oct_sign_source *signs = p->scheme->signs;
    uint32_t n = 0;
    const oct_value_id *in = oct_graph_inputs(p->g, &n);
    for (uint32_t i = 0; p->scheme->unsigned_activations && signs != NULL && i < n; i++)
        p->value[in[i]].non_negative =
            signs->never_negative(signs->user, oct_placer_value(p, in[i])->name);
}

static void walk_forward(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (n->n_out > 0 && n->out[0] != OCT_NONE && n->n_in > 0 && n->in[0] != OCT_NONE)
        p->value[n->out[0]].non_negative = produces_non_negative(p, n);
    if (n->op == OCT_OP_CONCAT && p->quantized[id])
        for (uint32_t i = 0; i < n->n_in; i++)
            p->value[oct_placer_share(p, n->in[i])].share = oct_placer_share(p, n->out[0]);
}

/* ---- the whole ---- */

static oct_status each_quantized(placer *p, oct_status (*fn)(placer *p, oct_node_id id))
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(p->g, &n);
    for (uint32_t i = 0; i < n; i++)
        if (p->quantized[order[i]])
            OCT_TRY(fn(p, order[i]));
    return OCT_OK;
}

static oct_status report_missing(placer *p)
{
    char list[1024];
    size_t at = 0;
    const uint32_t n = p->out->n_missing;
    for (uint32_t i = 0; i < n && i < MISSING_LISTED && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s'%s'", i ? ", " : "",
                               oct_placer_value(p, p->missing[i])->name);
    return oct_fail(p->ctx, OCT_ERR_STALE,
                    "%u tensor%s needed for INT8 %s no threshold: %s%s; calibrate this very model, "
                    "or leave them in "
                    "floating point with --allow-missing",
                    n, n == 1 ? "" : "s", n == 1 ? "has" : "have", list,
                    n > MISSING_LISTED ? ", ..." : "");
}

static oct_status list_nodes(placer *p)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(p->g, &n);
    oct_placement *o = p->out;
    o->node = oct_arena_array(o->arena, n, sizeof *o->node);
    if (!o->node)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        const oct_op op = oct_graph_node(p->g, order[i])->op;
        if (oct_select_is_weighted(op) || oct_placer_is_follower(op))
            o->node[o->n_nodes++] =
                (oct_placed_node){order[i], p->quantized[order[i]],
                                  p->quantized[order[i]] ? "" : p->reason[order[i]]};
    }
    return OCT_OK;
}

static oct_status place(placer *p)
{
    uint32_t n = 0;
    OCT_TRY(oct_select_nodes(p->ctx, p->g, p->scheme, p->allowed, p->reason));
    const oct_node_id *order = oct_graph_order(p->g, &n);
    for (uint32_t i = 0; i < n; i++)
        if (oct_select_is_weighted(oct_graph_node(p->g, order[i])->op))
            decide_weighted(p, order[i]);
    if (p->out->n_missing > 0 && !p->scheme->allow_missing)
        return report_missing(p);
    for (uint32_t i = n; i-- > 0;)
        walk_back(p, order[i]);
    mark_inputs(p);
    for (uint32_t i = 0; i < n; i++)
        walk_forward(p, order[i]);
    OCT_TRY(each_quantized(p, oct_placer_inputs));
    if (p->scheme->target == OCT_TARGET_ORT)
        OCT_TRY(each_quantized(p, oct_placer_result));
    oct_placer_scales(p);
    OCT_TRY(each_quantized(p, oct_placer_weights));
    return list_nodes(p);
}

oct_status oct_placement_new(oct_ctx *ctx, oct_graph *g, const oct_amax_source *amax,
                             const oct_scheme *scheme, oct_placement **out)
{
    const uint32_t n_nodes = oct_graph_n_nodes(g), n_values = oct_graph_n_values(g);
    placer p = {.ctx = ctx, .g = g, .amax = amax, .scheme = scheme};
    oct_status st = OCT_ERR_NOMEM;
    oct_placement *o = oct_zalloc(ctx, sizeof *o);
    if (!o)
        return OCT_ERR_NOMEM;
    p.out = o;
    p.value = oct_zalloc_array(ctx, n_values, sizeof *p.value);
    p.allowed = oct_zalloc_array(ctx, n_nodes, sizeof *p.allowed);
    p.quantized = oct_zalloc_array(ctx, n_nodes, sizeof *p.quantized);
    p.reason = oct_zalloc_array(ctx, n_nodes, sizeof *p.reason);
    if (p.value && p.allowed && p.quantized && p.reason &&
        oct_arena_new(ctx, &o->arena) == OCT_OK) {
        for (uint32_t v = 0; v < n_values; v++)
            p.value[v].share = v;
        st = place(&p);
    }
    oct_free(ctx, p.value);
    oct_free(ctx, p.allowed);
    oct_free(ctx, p.quantized);
    oct_free(ctx, p.reason);
    if (st != OCT_OK) {
        oct_placement_free(ctx, o);
        return st;
    }
    *out = o;
    return OCT_OK;
}

void oct_placement_free(oct_ctx *ctx, oct_placement *p)
{
    if (!p)
        return;
    oct_arena_free(p->arena);
    oct_free(ctx, p);
}
