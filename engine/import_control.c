/* SPDX-License-Identifier: Apache-2.0
 *
 * If and Loop: their subgraphs become graphs of their own, and what these read from outside
 * becomes explicit inputs, the same list for both branches of an If.
 */
#include <string.h>

#include "engine/graph_internal.h"
#include "engine/import_internal.h"

enum { MAX_NESTING = 30 };

typedef struct control {
    oct_scope *s;
    const Onnx__NodeProto *node;
    oct_op op;
    oct_scope sub[2];
    int n_subs;
    oct_value_id *in;
    uint32_t n_in; /* formal ones first, then captured ones */
    oct_attr_control attr;
} control;

static const Onnx__GraphProto *graph_attr(const control *c, const char *name)
{
    for (size_t i = 0; i < c->node->n_attribute; i++)
        if (strcmp(oct_onnx_str(c->node->attribute[i]->name), name) == 0) {
            const Onnx__AttributeProto *a = oct_scope_attr(c->s, c->node->attribute[i]);
            return a ? a->g : NULL;
        }
    return NULL;
}

static oct_status import_sub(control *c, int i, const char *name)
{
    oct_ctx *ctx = c->s->im->ctx;
    const Onnx__GraphProto *gp = graph_attr(c, name);
    oct_graph *g;
    if (!gp)
        return oct_fail(ctx, OCT_ERR_FORMAT, "has no graph attribute '%s'", name);
    if (c->s->depth >= MAX_NESTING)
        return oct_fail(ctx, OCT_ERR_LIMIT, "subgraphs and functions nested more than %d deep",
                        MAX_NESTING);
    OCT_TRY(oct_graph_new(ctx, &g));
    const oct_status st = oct_graph_add_subgraph(c->s->g, ctx, g, &c->attr.sub[i]);
    if (st != OCT_OK) {
        oct_graph_free(g);
        return st;
    }
    c->sub[i] = (oct_scope){
        .im = c->s->im,
        .g = g,
        .outer = c->s,
        .fn = c->s->fn,
        .call = c->s->call,
        .call_scope = c->s->call_scope,
        .prefix = "",
        .depth = c->s->depth + 1,
    };
    c->n_subs = i + 1;
    OCT_TRY(oct_infer_begin(ctx, g, c->s->infer, &c->sub[i].infer));
    return oct_import_graph(&c->sub[i], gp, c->in, c->n_in);
}

static oct_status find_formal(control *c)
{
    const Onnx__NodeProto *n = c->node;
    c->in = oct_arena_array(c->s->im->doc->arena, n->n_input + 1, sizeof *c->in);
    if (!c->in)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n->n_input; i++) {
        bool found = true;
        c->in[i] = OCT_NONE;
        if (*n->input[i])
            OCT_TRY(oct_scope_find(c->s, n->input[i], &c->in[i], &found));
        if (!found)
            return oct_fail(c->s->im->ctx, OCT_ERR_FORMAT, "input '%s' is made by nothing",
                            n->input[i]);
    }
    c->n_in = (uint32_t)n->n_input;
    return OCT_OK;
}

static oct_status check_counts(const control *c)
{
    oct_ctx *ctx = c->s->im->ctx;
    uint32_t n_in, n_out;
    for (int i = 0; i < c->n_subs; i++) {
        oct_graph_inputs(c->sub[i].g, &n_in);
        oct_graph_outputs(c->sub[i].g, &n_out);
        if (c->op == OCT_OP_IF && (n_in != 0 || n_out != c->node->n_output))
            return oct_fail(ctx, OCT_ERR_FORMAT,
                            "branch %d has %u inputs and %u outputs, expected 0 and %zu", i, n_in,
                            n_out, c->node->n_output);
        if (c->op == OCT_OP_LOOP &&
            (c->n_in < 2 || n_in != c->n_in || n_out != c->node->n_output + 1 ||
             c->node->n_output + 2 < c->n_in))
            return oct_fail(ctx, OCT_ERR_FORMAT,
                            "body has %u inputs and %u outputs, expected %u and %zu", n_in, n_out,
                            c->n_in, c->node->n_output + 1);
    }
    return OCT_OK;
}

/* Captured values of all subgraphs, each once, in order of first use. */
static oct_status join_captures(control *c, oct_value_id **list, uint32_t *n)
{
    uint32_t total = c->n_in;
    for (int i = 0; i < c->n_subs; i++)
        total += c->sub[i].n_captures;
    *list = oct_arena_array(c->s->im->doc->arena, total + 1, sizeof **list);
    if (!*list)
        return OCT_ERR_NOMEM;
    *n = 0;
    oct_name_map seen = {0};
    oct_status st = OCT_OK;
    for (int i = 0; i < c->n_subs; i++) {
        for (uint32_t k = 0; k < c->sub[i].n_captures && st == OCT_OK; k++) {
            uint32_t old;
            const oct_value_id v = c->sub[i].capture[k].outer;
            const char *name = oct_graph_value(c->s->g, v)->name;
            if (oct_name_map_get(&seen, name, &old))
                continue;
            st = oct_name_map_put(c->s->im->ctx, &seen, name, v);
            (*list)[(*n)++] = v;
        }
    }
    oct_name_map_deinit(c->s->im->ctx, &seen);
    return st;
}

/* The inner value for captured `outer`, made (and unused) where this subgraph does not read it. */
static oct_status inner_of(oct_scope *sub, oct_value_id outer, oct_value_id *id)
{
    for (uint32_t k = 0; k < sub->n_captures; k++) {
        if (sub->capture[k].outer == outer) {
            *id = sub->capture[k].inner;
            return OCT_OK;
        }
    }
    const oct_value *v = oct_graph_value(sub->outer->g, outer);
    const char *name = oct_scope_fresh(sub, v->name);
    if (!name)
        return OCT_ERR_NOMEM;
    return oct_graph_add_value(sub->g, sub->im->ctx, name, v->dtype, &v->shape, id);
}

static oct_status add_captures(control *c)
{
    oct_value_id *list, inner;
    uint32_t n;
    OCT_TRY(join_captures(c, &list, &n));
    for (int i = 0; i < c->n_subs; i++) {
        for (uint32_t k = 0; k < n; k++) {
            OCT_TRY(inner_of(&c->sub[i], list[k], &inner));
            OCT_TRY(oct_graph_add_input(c->sub[i].g, c->s->im->ctx, inner));
        }
    }
    oct_value_id *in = oct_arena_array(c->s->im->doc->arena, (size_t)c->n_in + n + 1, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    memcpy(in, c->in, c->n_in * sizeof *in);
    memcpy(in + c->n_in, list, n * sizeof *in);
    c->in = in;
    c->n_in += n;
    c->attr.n_captured = n;
    return OCT_OK;
}

static oct_status add_control_node(control *c, uint32_t index)
{
    oct_ctx *ctx = c->s->im->ctx;
    oct_node_id id;
    const uint32_t n_out = (uint32_t)c->node->n_output;
    oct_value_id *out = oct_arena_array(c->s->im->doc->arena, (size_t)n_out + 1, sizeof *out);
    if (!out)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_import_outputs(c->s, c->node, out, n_out));
    OCT_TRY(oct_graph_add_node(c->s->g, ctx, c->op, oct_onnx_str(c->node->name), &c->attr, c->in,
                               c->n_in, out, n_out, &id));
    oct_graph_node(c->s->g, id)->model_index = index;
    return oct_infer_node(c->s->infer, id);
}

static oct_status import_all(control *c, uint32_t index)
{
    OCT_TRY(find_formal(c));
    if (c->op == OCT_OP_LOOP) {
        OCT_TRY(import_sub(c, 0, "body"));
    } else {
        if (c->n_in != 1 || c->in[0] == OCT_NONE)
            return oct_fail(c->s->im->ctx, OCT_ERR_FORMAT, "If needs one input, its condition");
        const uint32_t n_in = c->n_in;
        c->n_in = 0; /* branches have no formal inputs */
        OCT_TRY(import_sub(c, 0, "then_branch"));
        OCT_TRY(import_sub(c, 1, "else_branch"));
        c->n_in = n_in;
    }
    OCT_TRY(check_counts(c));
    OCT_TRY(add_captures(c));
    return add_control_node(c, index);
}

oct_status oct_import_control(oct_scope *s, const Onnx__NodeProto *n, oct_op op, uint32_t index)
{
    control c = {.s = s, .node = n, .op = op};
    const oct_status st = import_all(&c, index);
    for (int i = 0; i < c.n_subs; i++) {
        oct_infer_end(c.sub[i].infer);
        oct_scope_deinit(&c.sub[i]);
    }
    return st;
}
