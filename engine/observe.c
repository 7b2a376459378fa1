/* SPDX-License-Identifier: Apache-2.0
 *
 * Observed values: which there are, and what can be proven about them on the model's own
 * graph, before any pass: whether the batch is the outermost factor of their elements, whether they
 * depend on the inputs at all, and which repeat another one's elements.
 */
#include <string.h>

#include "engine/session_internal.h"

/* A number that no importer or inference gives to a symbol. */
#define BATCH_SYMBOL OCT_DIM_SYMBOL(INT64_C(1) << 40)

/* ---- which ---- */

static bool is_named_activation(const oct_value *v)
{
    return v->from_model && oct_dtype_is_float(v->dtype) &&
           (v->is_input || v->producer != OCT_NONE);
}

oct_status oct_observe_mark(oct_engine *e, const oct_engine_options *opt)
{
    oct_graph *g = e->graph;
    for (uint32_t i = 0; opt->observe_all && i < oct_graph_n_values(g); i++)
        if (is_named_activation(oct_graph_value(g, i)))
            oct_graph_value(g, i)->observed = true;
    for (size_t i = 0; !opt->observe_all && i < opt->n_observe; i++) {
        const oct_value_id v = oct_graph_find_value(g, opt->observe[i]);
        if (v == OCT_NONE)
            return oct_fail(e->ctx, OCT_ERR_USAGE,
                            "value %s to observe: the model has none so named", opt->observe[i]);
        oct_value *x = oct_graph_value(g, v);
        if (!x->is_input && x->producer == OCT_NONE)
            return oct_fail(e->ctx, OCT_ERR_USAGE, "value %s to observe is a constant",
                            opt->observe[i]);
        x->observed = true;
    }
    return OCT_OK;
}

/* The float value of the model that `v` stands for: itself, or what was quantized to make it. */
static oct_value_id quantized_from(const oct_graph *model, oct_value_id v)
{
    for (;;) {
        const oct_node_id p = oct_graph_value(model, v)->producer;
        if (p == OCT_NONE)
            return v;
        const oct_node *n = oct_graph_node(model, p);
        if (n->op != OCT_OP_QUANTIZE_LINEAR && n->op != OCT_OP_DEQUANTIZE_LINEAR)
            return v;
        v = n->in[0];
    }
}

static bool is_one_scale(const oct_value *x)
{
    return (x->dtype == OCT_DT_S8 || x->dtype == OCT_DT_U8) && x->quant.n == 1;
}

void oct_observe_mark_made(oct_engine *e)
{
    const oct_graph *model = oct_model_graph(e->model);
    const uint32_t n_model = oct_graph_n_values(model);
    uint32_t n_order;
    const oct_node_id *order = oct_graph_order(e->graph, &n_order);
    for (uint32_t i = 0; i < n_order; i++) {
        const oct_node *n = oct_graph_node(e->graph, order[i]);
        for (uint32_t k = 0; k < n->n_out; k++) {
            if (n->out[k] == OCT_NONE || n->out[k] >= n_model)
                continue; /* made by a pass: no name of the model's */
            oct_value *x = oct_graph_value(e->graph, n->out[k]);
            if (!x->data && (x->dtype == OCT_DT_F32 || is_one_scale(x)) &&
                is_named_activation(oct_graph_value(model, quantized_from(model, n->out[k]))))
                x->observed = true;
        }
    }
}

/* ---- what is known ---- */

typedef struct observe_facts {
    oct_graph *g;    /* the model's graph with the batch as a symbol */
    bool *depends;   /* per value: on the elements of some input */
    bool *outermost; /* per value: the batch is the outermost factor */
    uint32_t *slot;  /* per value: index among the observed, or OCT_NONE */
    uint32_t n_values;
} observe_facts;

static void facts_deinit(oct_ctx *ctx, observe_facts *f)
{
    oct_graph_free(f->g);
    oct_free(ctx, f->depends);
    oct_free(ctx, f->outermost);
    oct_free(ctx, f->slot);
}

/* Infers again with one symbol for axis 0 of every input; where that contradicts the model
 * (a batch written into a Reshape), nothing is proven. */
static oct_status facts_batch(oct_ctx *ctx, observe_facts *f, bool *proven)
{
    uint32_t n;
    const oct_value_id *in = oct_graph_inputs(f->g, &n);
    oct_shape *shape = oct_zalloc_array(ctx, n + 1, sizeof *shape);
    if (!shape)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        shape[i] = oct_graph_value(f->g, in[i])->shape;
        if (shape[i].n_dims > 0)
            shape[i].dim[0] = BATCH_SYMBOL;
    }
    const oct_status st = oct_graph_infer(ctx, f->g, shape);
    oct_free(ctx, shape);
    *proven = st == OCT_OK;
    if (st == OCT_OK || st == OCT_ERR_NOMEM)
        return st;
    oct_error_clear(ctx);
    return OCT_OK;
}

static bool keeps_flat_order(oct_op op)
{
    return op == OCT_OP_RESHAPE || op == OCT_OP_FLATTEN || op == OCT_OP_SQUEEZE ||
           op == OCT_OP_UNSQUEEZE || op == OCT_OP_IDENTITY || op == OCT_OP_DROPOUT;
}

/* Axis 0 of every input that carries the batch is axis 0 of the result, with the same length. */
static bool keeps_axis_0(const observe_facts *f, const oct_node *n, const oct_shape *out)
{
    bool any = false;
    for (uint32_t i = 0; i < n->n_in; i++) {
        const oct_value_id v = n->in[i];
        if (v == OCT_NONE || !f->depends[v])
            continue;
        const oct_shape *s = &oct_graph_value(f->g, v)->shape;
        if (!f->outermost[v] || s->n_dims < 1 || out->n_dims < 1 || s->dim[0] != out->dim[0])
            return false;
        if (i > 0 && s->n_dims != out->n_dims && s->n_dims > 1 && out->n_dims > s->n_dims)
            return false; /* broadcast: its axis 0 meets another axis of the result */
        any = true;
    }
    return any;
}

static void facts_node(observe_facts *f, const oct_node *n, bool proven)
{
    bool depends = false;
    for (uint32_t i = 0; i < n->n_in; i++)
        depends |= n->in[i] != OCT_NONE && f->depends[n->in[i]];
    if (n->op == OCT_OP_SHAPE || n->op == OCT_OP_SIZE)
        depends = false;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            continue;
        const oct_shape *s = &oct_graph_value(f->g, n->out[i])->shape;
        f->depends[n->out[i]] = depends;
        f->outermost[n->out[i]] =
            proven && depends && s->n_dims > 0 &&
            (keeps_flat_order(n->op) ? f->outermost[n->in[0]]
                                     : oct_dim_is_symbol(s->dim[0]) && keeps_axis_0(f, n, s));
    }
}

static oct_status facts_init(oct_ctx *ctx, const oct_graph *model, observe_facts *f)
{
    OCT_TRY(oct_graph_clone(ctx, model, &f->g));
    f->n_values = oct_graph_n_values(f->g);
    f->depends = oct_zalloc_array(ctx, f->n_values + 1, sizeof *f->depends);
    f->outermost = oct_zalloc_array(ctx, f->n_values + 1, sizeof *f->outermost);
    f->slot = oct_alloc_array(ctx, f->n_values + 1, sizeof *f->slot);
    if (!f->depends || !f->outermost || !f->slot)
        return OCT_ERR_NOMEM;
    memset(f->slot, 0xff, (f->n_values + 1) * sizeof *f->slot);
    bool proven = false;
    OCT_TRY(facts_batch(ctx, f, &proven));
    uint32_t n;
    const oct_value_id *in = oct_graph_inputs(f->g, &n);
    for (uint32_t i = 0; i < n; i++) {
        f->depends[in[i]] = true;
        f->outermost[in[i]] = proven && oct_graph_value(f->g, in[i])->shape.n_dims > 0;
    }
    const oct_node_id *order = oct_graph_order(f->g, &n);
    for (uint32_t i = 0; i < n; i++)
        facts_node(f, oct_graph_node(f->g, order[i]), proven);
    return OCT_OK;
}

/* ---- the list ---- */

/* The model's value behind an observed value of the rewritten graph: itself, or the half-precision
 * border value whose f32 twin it is (pass_precision.c). */
static oct_value_id model_value(const oct_engine *e, oct_value_id v)
{
    const uint32_t n = oct_graph_n_values(oct_model_graph(e->model));
    if (v < n)
        return v;
    const oct_node_id p = oct_graph_value(e->graph, v)->producer;
    if (p != OCT_NONE) {
        const oct_node *node = oct_graph_node(e->graph, p);
        if (node->op == OCT_OP_CAST && node->in[0] < n)
            return node->in[0];
    }
    for (uint32_t i = 0; i < oct_graph_n_nodes(e->graph); i++) {
        const oct_node *node = oct_graph_node(e->graph, i);
        if (!node->dead && node->op == OCT_OP_CAST && node->in[0] == v && node->out[0] < n)
            return node->out[0];
    }
    return OCT_NONE;
}

static void add_observed(oct_engine *e, observe_facts *f, oct_value_id v)
{
    const oct_value *x = oct_graph_value(e->graph, v);
    const oct_value_id m = x->observed ? model_value(e, v) : OCT_NONE;
    if (m == OCT_NONE)
        return;
    const oct_graph *model = oct_model_graph(e->model);
    const oct_value *mv = oct_graph_value(model, e->observe_made ? quantized_from(model, m) : m);
    oct_observed *o = &e->observed[e->n_observed];
    *o = (oct_observed){.name = mv->name,
                        .dtype = x->dtype,
                        .shape = mv->shape,
                        .batch_outermost = f->outermost[m],
                        .batch_free = !f->depends[m],
                        .source = OCT_NONE,
                        .quantized = is_one_scale(x)};
    if (o->quantized)
        o->q = x->quant.q[0];
    e->observed_value[e->n_observed] = v;
    f->slot[m] = e->n_observed++;
}

static oct_derived derived_by(oct_op op)
{
    switch (op) {
    case OCT_OP_RELU:
        return OCT_DERIVED_RELU;
    case OCT_OP_RESHAPE:
    case OCT_OP_FLATTEN:
    case OCT_OP_SQUEEZE:
    case OCT_OP_UNSQUEEZE:
    case OCT_OP_TRANSPOSE:
    case OCT_OP_IDENTITY:
    case OCT_OP_DROPOUT:
    case OCT_OP_DEPTH_TO_SPACE:
    case OCT_OP_SPACE_TO_DEPTH:
        return OCT_DERIVED_SAME;
    default:
        return OCT_DERIVED_NONE;
    }
}

static void find_derived(oct_engine *e, const observe_facts *f)
{
    for (oct_value_id m = 0; m < f->n_values; m++) {
        const oct_node_id p = oct_graph_value(f->g, m)->producer;
        if (f->slot[m] == OCT_NONE || p == OCT_NONE)
            continue;
        const oct_node *n = oct_graph_node(f->g, p);
        const oct_derived d = derived_by(n->op);
        if (d == OCT_DERIVED_NONE || n->out[0] != m || f->slot[n->in[0]] == OCT_NONE)
            continue;
        e->observed[f->slot[m]].derived = d;
        e->observed[f->slot[m]].source = f->slot[n->in[0]];
    }
}

static oct_status observed_list(oct_engine *e, observe_facts *f)
{
    uint32_t n_in, n_order;
    const oct_value_id *in = oct_graph_inputs(e->graph, &n_in);
    const oct_node_id *order = oct_graph_order(e->graph, &n_order);
    const uint32_t most = oct_graph_n_values(e->graph) + 1;
    e->observed = oct_arena_array(e->arena, most, sizeof *e->observed);
    e->observed_value = oct_arena_array(e->arena, most, sizeof *e->observed_value);
    if (!e->observed || !e->observed_value)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n_in; i++)
        add_observed(e, f, in[i]);
    for (uint32_t i = 0; i < n_order; i++) {
        const oct_node *n = oct_graph_node(e->graph, order[i]);
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] != OCT_NONE)
                add_observed(e, f, n->out[k]);
    }
    find_derived(e, f);
    return OCT_OK;
}

static bool any_observed(const oct_graph *g)
{
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++)
        if (oct_graph_value(g, i)->observed)
            return true;
    return false;
}

oct_status oct_observe_collect(oct_engine *e)
{
    if (!any_observed(e->graph))
        return OCT_OK;
    observe_facts f = {0};
    oct_status st = facts_init(e->ctx, oct_model_graph(e->model), &f);
    if (st == OCT_OK)
        st = observed_list(e, &f);
    facts_deinit(e->ctx, &f);
    return st;
}
