/* SPDX-License-Identifier: Apache-2.0
 *
 * Walks the graph in order and makes the steps of a plan. For each operator the backend
 * is asked in turn for: the tensors as they lie; dense copies; row-major copies; then, for a
 * device, the CPU; and last the reference kernel. What nobody reads in the end is taken out again.
 */
#include "engine/plan.h"

#include <string.h>

#include "engine/layout.h"
#include "engine/planner.h"
#include "kernels/op_schema.h"

/* How an operator's tensors are offered to a backend. */
typedef enum who {
    BACKEND,
    HOST, /* the CPU beside a device */
    REF,
} who;

typedef struct attempt {
    bool dense, row;
    who who;
} attempt;

static oct_backend *backend_of(const oct_engine *e, who w)
{
    return w == BACKEND ? e->be : w == HOST ? e->host : e->ref;
}

/* ---- operands ---- */

static oct_status gather_inputs(oct_planner *b, const oct_node *n, uint32_t *in)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        in[i] = OCT_NONE;
        if (n->in[i] != OCT_NONE)
            OCT_TRY(oct_plan_value_tensor(b, n->in[i], &in[i]));
    }
    return OCT_OK;
}

/* Tensors for the outputs: the place in a Concat where there is one and `slices`, else fresh. */
static oct_status make_outputs(oct_planner *b, const oct_node *n, bool row, bool on_host,
                               bool slices, uint32_t *out)
{
    for (uint32_t i = 0; i < n->n_out; i++) {
        out[i] = OCT_NONE;
        if (n->out[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(b->g, n->out[i]);
        oct_tensor_desc d = b->v[n->out[i]].desc;
        d.layout = row || d.shape.n_dims < 3 ? OCT_LAYOUT_ROW : v->layout;
        if (slices && n->n_out == 1)
            OCT_TRY(oct_plan_slice(b, n->out[i], &out[i]));
        if (out[i] == OCT_NONE)
            OCT_TRY(oct_plan_new_tensor(b, &d, on_host, &out[i]));
        b->p->tensor[out[i]].quant = v->quant;
    }
    return OCT_OK;
}

/* Spatial inputs in the node's layout, others row-major; constants are passed as they
 * are: backends read them row-major. */
static oct_status adapt_inputs(oct_planner *b, const oct_node *n, const uint32_t *from,
                               const attempt *a, bool on_host, uint32_t *to)
{
    const oct_layout layout =
        a->row || b->engine->row_only ? OCT_LAYOUT_ROW : oct_layout_in(b->engine->be, b->g, n);
    for (uint32_t i = 0; i < n->n_in; i++) {
        to[i] = from[i];
        if (from[i] == OCT_NONE)
            continue;
        const oct_plan_tensor *t = &b->p->tensor[from[i]];
        const bool spatial = t->desc.shape.n_dims >= 3 && oct_layout_is_spatial(b->g, n, i);
        const oct_layout want = spatial ? layout : OCT_LAYOUT_ROW;
        if (t->on_host == on_host && t->desc.layout == want && !a->dense)
            continue;
        if (t->place == OCT_PLACE_CONST && t->on_host == on_host)
            continue;
        OCT_TRY(oct_plan_adapt(b, from[i], t->place == OCT_PLACE_CONST ? OCT_LAYOUT_ROW : want,
                               on_host, &to[i]));
    }
    return OCT_OK;
}

static bool has_empty_operand(const oct_planner *b, const oct_node *n)
{
    size_t elems;
    for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
        const oct_value_id v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        if (v != OCT_NONE && oct_shape_elems(&b->v[v].desc.shape, &elems) && elems == 0)
            return true;
    }
    return false;
}

/* ---- one operator ---- */

static oct_status try_attempt(oct_planner *b, oct_node_id id, const attempt *a, uint32_t *from,
                              uint32_t *in, uint32_t *out, bool *taken, char *reason)
{
    const oct_node *n = oct_graph_node(b->g, id);
    oct_backend *be = backend_of(b->engine, a->who);
    const bool on_host = be->vt->host_memory;
    OCT_TRY(gather_inputs(b, n, from));
    OCT_TRY(adapt_inputs(b, n, from, a, on_host, in));
    OCT_TRY(make_outputs(b, n, a->row, on_host, !a->dense && !a->row, out));
    const oct_tactic_request r = {
        .node = n, .in = in, .out = out, .n_in = n->n_in, .n_out = n->n_out};
    return oct_plan_tactic(b, be, id, &r, taken, reason);
}

static oct_status plan_operator(oct_planner *b, oct_node_id id, uint32_t *scratch)
{
    static const attempt order[] = {
        {false, false, BACKEND}, {true, false, BACKEND}, {true, true, BACKEND}, {true, false, HOST},
        {true, true, HOST},      {true, false, REF},     {true, true, REF},
    };
    const size_t n_order = sizeof order / sizeof order[0];
    const oct_node *n = oct_graph_node(b->g, id);
    uint32_t *from = scratch, *in = from + n->n_in, *out = in + n->n_in;
    const size_t first = has_empty_operand(b, n) ? n_order - 1 : 0;
    char why[OCT_REASON_BYTES] = "", reason[OCT_REASON_BYTES] = "";
    for (size_t i = first; i < n_order; i++) {
        bool taken = false;
        if (order[i].who == HOST && b->engine->host == b->engine->be)
            continue;
        OCT_TRY(try_attempt(b, id, &order[i], from, in, out, &taken, reason));
        if (i == first)
            memcpy(why, reason, sizeof why);
        if (!taken)
            continue;
        for (uint32_t k = 0; k < n->n_out; k++)
            if (n->out[k] != OCT_NONE)
                b->v[n->out[k]].tensor = out[k];
        if (backend_of(b->engine, order[i].who) != b->engine->be) {
            oct_op_info *info = &b->p->step[b->p->n_steps - 1].info;
            info->reason = oct_arena_printf(b->p->arena, "%s: %s", b->engine->be->vt->name, why);
            if (!info->reason)
                return OCT_ERR_NOMEM;
        }
        return OCT_OK;
    }
    return oct_fail(b->ctx, OCT_ERR_UNSUPPORTED, "node %s (%s): no kernel: %s", n->name,
                    oct_op_name(n->op), reason);
}

/* Ops whose shapes are known only while running, and control flow: on the host, row-major. */
static oct_status plan_deferred(oct_planner *b, oct_node_id id, oct_step_kind kind)
{
    const oct_node *n = oct_graph_node(b->g, id);
    uint32_t *from = oct_arena_array(b->p->arena, n->n_in + 1, sizeof *from);
    oct_plan_step *s;
    if (!from)
        return OCT_ERR_NOMEM;
    OCT_TRY(gather_inputs(b, n, from));
    const attempt row = {.dense = true, .row = true};
    OCT_TRY(adapt_inputs(b, n, from, &row, true, from));
    uint32_t *out = oct_arena_array(b->p->arena, n->n_out + 1, sizeof *out);
    if (!out)
        return OCT_ERR_NOMEM;
    OCT_TRY(make_outputs(b, n, true, true, false, out));
    OCT_TRY(oct_plan_add_step(b, kind, id, n->n_in, n->n_out, &s));
    memcpy(s->in, from, n->n_in * sizeof *from);
    memcpy(s->out, out, n->n_out * sizeof *out);
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != OCT_NONE)
            b->v[n->out[k]].tensor = out[k];
    s->info.node = s->info.fused = n->name;
    s->info.op = oct_op_name(n->op);
    s->info.tactic = kind == OCT_STEP_CONTROL ? "control" : "dynamic";
    s->info.out_shape.n_dims = -1;
    if (!b->engine->be->vt->host_memory)
        s->info.reason = kind == OCT_STEP_CONTROL ? "control flow is the host's"
                                                  : "its shapes are known only while running";
    b->p->has_dynamic = true;
    return OCT_OK;
}

static bool is_known(const oct_planner *b, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_in + n->n_out; i++) {
        const oct_value_id v = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
        if (v != OCT_NONE && !oct_shape_is_known(&b->v[v].desc.shape))
            return false;
    }
    return true;
}

static bool is_folded(const oct_planner *b, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != OCT_NONE && !b->v[n->out[i]].host)
            return false;
    return true;
}

static oct_status plan_node(oct_planner *b, oct_node_id id, uint32_t *scratch)
{
    const oct_node *n = oct_graph_node(b->g, id);
    bool done = false;
    if (is_folded(b, n))
        return OCT_OK;
    if (oct_op_schema_get(n->op)->flags & OCT_OPF_CONTROL)
        return plan_deferred(b, id, OCT_STEP_CONTROL);
    if (!is_known(b, n))
        return plan_deferred(b, id, OCT_STEP_DYNAMIC);
    OCT_TRY(oct_plan_try_view(b, id, &done));
    if (!done && n->op == OCT_OP_CONCAT)
        OCT_TRY(oct_plan_concat(b, id, &done));
    return done ? OCT_OK : plan_operator(b, id, scratch);
}

/* ---- observers ---- */

static oct_status plan_event(oct_planner *b, oct_value_id v, uint32_t index)
{
    oct_plan *p = b->p;
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, v, &t));
    const oct_plan_tensor *x = &p->tensor[t];
    const bool on_host = x->place == OCT_PLACE_DYNAMIC;
    OCT_TRY(oct_plan_adapt(b, t, x->desc.layout, on_host, &t));
    if (p->n_events == p->cap_events) {
        const uint32_t cap = p->cap_events ? 2 * p->cap_events : 64;
        oct_plan_event *more = oct_realloc(b->ctx, p->event, cap * sizeof *more);
        if (!more)
            return OCT_ERR_NOMEM;
        p->event = more;
        p->cap_events = cap;
    }
    p->event[p->n_events++] = (oct_plan_event){.step = p->n_steps, .value = index, .tensor = t};
    return OCT_OK;
}

/* Observed values come in the engine's order, which is that of the graph. */
static oct_status plan_events_of(oct_planner *b, const oct_value_id *v, uint32_t n)
{
    const oct_engine *e = b->engine;
    if (b->g != e->graph)
        return OCT_OK;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t next = b->p->n_events;
        if (v[i] != OCT_NONE && next < e->n_observed && e->observed_value[next] == v[i])
            OCT_TRY(plan_event(b, v[i], next));
    }
    return OCT_OK;
}

/* ---- the whole ---- */

static oct_status plan_inputs(oct_planner *b)
{
    oct_plan *p = b->p;
    uint32_t n;
    const oct_value_id *in = oct_graph_inputs(b->g, &n);
    p->n_inputs = n;
    p->input = oct_arena_array(p->arena, n, sizeof *p->input);
    if (!p->input)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        const oct_plan_tensor t = {.desc = b->in[i],
                                   .quant = oct_graph_value(b->g, in[i])->quant,
                                   .place = OCT_PLACE_INPUT,
                                   .on_host = true,
                                   .input = i};
        OCT_TRY(oct_plan_add_tensor(b, &t, &p->input[i]));
        b->v[in[i]].tensor = p->input[i];
    }
    return plan_events_of(b, in, n);
}

/* Outputs lie row-major in host memory of their own. */
static oct_status plan_outputs(oct_planner *b)
{
    oct_plan *p = b->p;
    uint32_t n, t;
    const oct_value_id *out = oct_graph_outputs(b->g, &n);
    p->n_outputs = n;
    p->output = oct_arena_array(p->arena, n, sizeof *p->output);
    if (!p->output)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        OCT_TRY(oct_plan_value_tensor(b, out[i], &t));
        OCT_TRY(oct_plan_adapt(b, t, OCT_LAYOUT_ROW, true, &t));
        const oct_place place = p->tensor[oct_plan_root(p, t)].place;
        if (place == OCT_PLACE_INPUT || place == OCT_PLACE_CONST) {
            const oct_tensor_desc d = p->tensor[t].desc;
            const uint32_t from = t;
            OCT_TRY(oct_plan_new_tensor(b, &d, true, &t));
            OCT_TRY(oct_plan_copy(b, from, t));
        }
        p->output[i] = t;
    }
    return OCT_OK;
}

static void count_uses(oct_planner *b)
{
    uint32_t n;
    const oct_node_id *order = oct_graph_order(b->g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(b->g, order[i]);
        for (uint32_t k = 0; k < node->n_in; k++)
            if (node->in[k] != OCT_NONE)
                b->v[node->in[k]].n_uses++;
    }
    const oct_value_id *out = oct_graph_outputs(b->g, &n);
    for (uint32_t i = 0; i < n; i++)
        b->v[out[i]].n_uses++;
}

static oct_status plan_nodes(oct_planner *b)
{
    uint32_t n, most = 1;
    const oct_node_id *order = oct_graph_order(b->g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(b->g, order[i]);
        const uint32_t args = 2 * node->n_in + node->n_out;
        most = args > most ? args : most;
    }
    uint32_t *scratch = oct_alloc_array(b->ctx, most, sizeof *scratch);
    if (!scratch)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    for (uint32_t i = 0; i < n && st == OCT_OK; i++) {
        const oct_node *node = oct_graph_node(b->g, order[i]);
        st = plan_node(b, order[i], scratch);
        if (st == OCT_OK)
            st = plan_events_of(b, node->out, node->n_out);
    }
    oct_free(b->ctx, scratch);
    return st;
}

static oct_status plan_all(oct_planner *b)
{
    OCT_TRY(oct_plan_infer(b));
    count_uses(b);
    OCT_TRY(oct_plan_mark_slices(b));
    OCT_TRY(plan_inputs(b));
    OCT_TRY(plan_nodes(b));
    OCT_TRY(plan_outputs(b));
    OCT_TRY(oct_plan_place(b));
    OCT_TRY(oct_plan_prepare_rest(b));
    oct_plan_report(b);
    return OCT_OK;
}

static oct_status plan_start(oct_planner *b, uint32_t n_in)
{
    b->v = oct_zalloc_array(b->ctx, oct_graph_n_values(b->g) + 1, sizeof *b->v);
    b->p = oct_zalloc(b->ctx, sizeof *b->p);
    if (!b->v || !b->p)
        return OCT_ERR_NOMEM;
    b->p->graph = b->g;
    b->p->n_key = n_in;
    OCT_TRY(oct_arena_new(b->ctx, &b->p->arena));
    b->p->key = oct_arena_array(b->p->arena, n_in + 1, sizeof *b->p->key);
    if (!b->p->key)
        return OCT_ERR_NOMEM;
    memcpy(b->p->key, b->in, n_in * sizeof *b->in);
    return OCT_OK;
}

oct_status oct_plan_build(oct_engine *e, const oct_graph *g, const oct_tensor_desc *in,
                          uint32_t n_in, oct_plan **out)
{
    oct_planner b = {.ctx = e->ctx, .engine = e, .g = g, .in = in};
    oct_status st = plan_start(&b, n_in);
    if (st == OCT_OK)
        st = plan_all(&b);
    if (e->timings) { /* what was timed is kept whatever happened later */
        const oct_status kept = oct_timing_cache_end(e->timings, e->ctx);
        st = st != OCT_OK ? st : kept;
    }
    oct_free(e->ctx, b.v);
    if (st != OCT_OK) {
        oct_plan_free(e, b.p);
        return st;
    }
    *out = b.p;
    return OCT_OK;
}

void oct_plan_free(oct_engine *e, oct_plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_steps; i++)
        if (p->step[i].op)
            p->step[i].op->backend->vt->release(p->step[i].op->backend, p->step[i].op);
    oct_free(e->ctx, p->tensor);
    oct_free(e->ctx, p->step);
    oct_free(e->ctx, p->event);
    oct_arena_free(p->arena);
    oct_free(e->ctx, p);
}
