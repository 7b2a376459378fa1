/* SPDX-License-Identifier: Apache-2.0
 *
 * Order of import. ONNX asks for topological order and nearly every file has it; the others are
 * sorted here, by an iterative depth-first walk that also finds cycles. A node with
 * subgraphs depends on every name that they mention.
 */
#include <string.h>

#include "engine/graph_internal.h"
#include "engine/import_internal.h"

typedef struct sorter {
    oct_ctx *ctx;
    const oct_name_map *taken; /* inputs and initializers */
    Onnx__NodeProto *const *node;
    uint32_t n;
    oct_name_map made_by; /* value name -> node */
    uint32_t *dep;        /* dep[dep_at[k] .. dep_at[k + 1]) = nodes that node k reads from */
    uint32_t *dep_at;
    uint32_t n_deps, cap_deps;
    bool sorted; /* so far each came after what it reads */
} sorter;

static const char *label(const Onnx__NodeProto *n)
{
    const char *name = oct_onnx_str(n->name);
    return !*name && n->n_output ? n->output[0] : name;
}

static oct_status note_outputs(sorter *s)
{
    for (uint32_t k = 0; k < s->n; k++) {
        const Onnx__NodeProto *n = s->node[k];
        for (size_t i = 0; i < n->n_output; i++) {
            uint32_t other;
            if (!*n->output[i])
                continue;
            if (oct_name_map_get(s->taken, n->output[i], &other))
                return oct_fail(s->ctx, OCT_ERR_FORMAT,
                                "value '%s' is defined twice, as input or initializer and by node "
                                "%u '%s'",
                                n->output[i], k, label(n));
            if (oct_name_map_get(&s->made_by, n->output[i], &other))
                return oct_fail(s->ctx, OCT_ERR_FORMAT,
                                "value '%s' is defined twice, by nodes %u '%s' and %u '%s'",
                                n->output[i], other, label(s->node[other]), k, label(n));
            OCT_TRY(oct_name_map_put(s->ctx, &s->made_by, n->output[i], k));
        }
    }
    return OCT_OK;
}

static oct_status note_read(sorter *s, uint32_t k, const char *name)
{
    uint32_t from;
    if (!*name || !oct_name_map_get(&s->made_by, name, &from))
        return OCT_OK;
    s->sorted = s->sorted && from < k;
    void *p = s->dep;
    OCT_TRY(oct_graph_grow(s->ctx, &p, s->n_deps, &s->cap_deps, sizeof *s->dep));
    s->dep = p;
    s->dep[s->n_deps++] = from;
    return OCT_OK;
}

/* Names that a subgraph defines itself: they hide those of the graphs around it. */
typedef struct hidden {
    const struct hidden *outer;
    oct_name_map names;
} hidden;

static bool is_hidden(const hidden *h, const char *name)
{
    uint32_t k;
    for (; h; h = h->outer)
        if (oct_name_map_get(&h->names, name, &k))
            return true;
    return false;
}

static oct_status define(sorter *s, hidden *h, const char *name)
{
    return name && *name ? oct_name_map_put(s->ctx, &h->names, name, 0) : OCT_OK;
}

static oct_status define_all(sorter *s, hidden *h, const Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_input; i++)
        OCT_TRY(define(s, h, g->input[i]->name));
    for (size_t i = 0; i < g->n_initializer; i++)
        OCT_TRY(define(s, h, g->initializer[i]->name));
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t o = 0; o < g->node[i]->n_output; o++)
            OCT_TRY(define(s, h, g->node[i]->output[o]));
    return OCT_OK;
}

static oct_status note_node(sorter *s, uint32_t k, const Onnx__NodeProto *n, const hidden *h);

static oct_status note_graph(sorter *s, uint32_t k, const Onnx__GraphProto *g, const hidden *outer)
{
    hidden h = {.outer = outer};
    oct_status st = define_all(s, &h, g);
    for (size_t i = 0; i < g->n_node && st == OCT_OK; i++)
        st = note_node(s, k, g->node[i], &h);
    for (size_t i = 0; i < g->n_output && st == OCT_OK; i++)
        if (!is_hidden(&h, oct_onnx_str(g->output[i]->name)))
            st = note_read(s, k, oct_onnx_str(g->output[i]->name));
    oct_name_map_deinit(s->ctx, &h.names);
    return st;
}

/* Recursion is as deep as graphs nest, which the pre-scan bounds. */
static oct_status note_node(sorter *s, uint32_t k, const Onnx__NodeProto *n, const hidden *h)
{
    for (size_t i = 0; i < n->n_input; i++)
        if (!is_hidden(h, n->input[i]))
            OCT_TRY(note_read(s, k, n->input[i]));
    for (size_t i = 0; i < n->n_attribute; i++)
        if (n->attribute[i]->g)
            OCT_TRY(note_graph(s, k, n->attribute[i]->g, h));
    return OCT_OK;
}

enum { NEW, OPEN, DONE };

/* Depth-first from `root`; `at[k]` is the next dependency of node k to look at. */
static oct_status visit(sorter *s, uint32_t root, uint8_t *state, uint32_t *at, uint32_t *stack,
                        uint32_t *order, uint32_t *n_done)
{
    uint32_t depth = 0;
    if (state[root] != NEW)
        return OCT_OK;
    stack[depth++] = root;
    state[root] = OPEN;
    while (depth) {
        const uint32_t k = stack[depth - 1];
        if (at[k] == s->dep_at[k + 1]) {
            state[k] = DONE;
            order[(*n_done)++] = k;
            depth--;
            continue;
        }
        const uint32_t from = s->dep[at[k]++];
        if (state[from] == OPEN)
            return oct_fail(s->ctx, OCT_ERR_FORMAT,
                            "cyclic graph: node %u '%s' (%s) depends on its own output", from,
                            label(s->node[from]), oct_onnx_str(s->node[from]->op_type));
        if (state[from] == NEW) {
            state[from] = OPEN;
            stack[depth++] = from;
        }
    }
    return OCT_OK;
}

static oct_status sort(sorter *s, uint32_t *order)
{
    uint32_t n_done = 0;
    oct_status st = OCT_OK;
    uint8_t *state = oct_zalloc_array(s->ctx, (size_t)s->n + 1, sizeof *state);
    uint32_t *at = oct_alloc_array(s->ctx, (size_t)s->n + 1, 2 * sizeof *at);
    if (!state || !at)
        st = OCT_ERR_NOMEM;
    else
        memcpy(at, s->dep_at, s->n * sizeof *at);
    for (uint32_t k = 0; k < s->n && st == OCT_OK; k++)
        st = visit(s, k, state, at, at + s->n, order, &n_done);
    oct_free(s->ctx, state);
    oct_free(s->ctx, at);
    return st;
}

static oct_status order_nodes(sorter *s, uint32_t *order)
{
    OCT_TRY(note_outputs(s));
    s->sorted = true;
    for (uint32_t k = 0; k < s->n; k++) {
        s->dep_at[k] = s->n_deps;
        OCT_TRY(note_node(s, k, s->node[k], NULL));
        order[k] = k;
    }
    s->dep_at[s->n] = s->n_deps;
    return s->sorted ? OCT_OK : sort(s, order);
}

oct_status oct_import_order(oct_scope *scope, Onnx__NodeProto *const *node, size_t n,
                            const uint32_t **order)
{
    oct_ctx *ctx = scope->im->ctx;
    sorter s = {.ctx = ctx, .taken = &scope->values, .node = node, .n = (uint32_t)n};
    uint32_t *list = oct_arena_array(scope->im->doc->arena, n + 1, sizeof *list);
    s.dep_at = oct_alloc_array(ctx, n + 1, sizeof *s.dep_at);
    const oct_status st = list && s.dep_at ? order_nodes(&s, list) : OCT_ERR_NOMEM;
    oct_name_map_deinit(ctx, &s.made_by);
    oct_free(ctx, s.dep);
    oct_free(ctx, s.dep_at);
    *order = list;
    return st;
}
