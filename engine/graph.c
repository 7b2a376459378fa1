/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/graph.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "engine/graph_internal.h"
#include "kernels/op_schema.h"

enum { FIRST_CAP = 16, FIRST_SLOTS = 64 };

/* ---- growing arrays ---------------------------------------------------------------------- */

oct_status oct_graph_grow(oct_ctx *ctx, void **array, uint32_t n, uint32_t *cap, size_t elem_bytes)
{
    if (n < *cap)
        return OCT_OK;
    if (n >= UINT32_MAX / 2)
        return oct_fail(ctx, OCT_ERR_LIMIT, "graph has more than %u entries", n);
    const uint32_t new_cap = *cap ? *cap * 2 : FIRST_CAP;
    void *p = oct_realloc(ctx, *array, new_cap * elem_bytes);
    if (!p)
        return OCT_ERR_NOMEM;
    *array = p;
    *cap = new_cap;
    return OCT_OK;
}

oct_status oct_graph_list_add(oct_ctx *ctx, oct_id_list *list, uint32_t id)
{
    void *p = list->id;
    OCT_TRY(oct_graph_grow(ctx, &p, list->n, &list->cap, sizeof *list->id));
    list->id = p;
    list->id[list->n++] = id;
    return OCT_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

static uint32_t *find_slot(const oct_graph *g, const char *name)
{
    const uint32_t mask = g->n_slots - 1;
    uint32_t i = (uint32_t)oct_xxh64_of(name, strlen(name)) & mask;
    while (g->slot[i] && strcmp(g->value[g->slot[i] - 1].name, name) != 0)
        i = (i + 1) & mask;
    return &g->slot[i];
}

static oct_status reserve_slots(oct_graph *g, oct_ctx *ctx)
{
    if (g->n_slots && g->n_values < g->n_slots / 2)
        return OCT_OK;
    const uint32_t n = g->n_slots ? g->n_slots * 2 : FIRST_SLOTS;
    uint32_t *slot = oct_zalloc_array(ctx, n, sizeof *slot);
    if (!slot)
        return OCT_ERR_NOMEM;
    oct_free(ctx, g->slot);
    g->slot = slot;
    g->n_slots = n;
    for (uint32_t v = 0; v < g->n_values; v++)
        *find_slot(g, g->value[v].name) = v + 1;
    return OCT_OK;
}

oct_value_id oct_graph_find_value(const oct_graph *g, const char *name)
{
    return g->n_slots ? *find_slot(g, name) - 1 : OCT_NONE; /* 0 - 1 is OCT_NONE */
}

const char *oct_graph_fresh_name(oct_graph *g, oct_ctx *ctx, const char *stem)
{
    if (*stem && oct_graph_find_value(g, stem) == OCT_NONE)
        return oct_arena_strdup(g->arena, stem);
    for (;;) {
        const char *name = oct_arena_printf(g->arena, "%s_%u", *stem ? stem : "value", ++g->fresh);
        if (!name || oct_graph_find_value(g, name) == OCT_NONE)
            return name;
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

oct_status oct_graph_new(oct_ctx *ctx, oct_graph **out)
{
    oct_graph *g = oct_zalloc(ctx, sizeof *g);
    if (!g)
        return OCT_ERR_NOMEM;
    g->ctx = ctx;
    const oct_status st = oct_arena_new(ctx, &g->arena);
    if (st != OCT_OK) {
        oct_free(ctx, g);
        return st;
    }
    *out = g;
    return OCT_OK;
}

void oct_graph_free(oct_graph *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; i < g->n_subs; i++)
        oct_graph_free(g->sub[i]);
    oct_ctx *ctx = g->ctx;
    oct_free(ctx, g->sub);
    oct_free(ctx, g->node);
    oct_free(ctx, g->value);
    oct_free(ctx, g->order.id);
    oct_free(ctx, g->inputs.id);
    oct_free(ctx, g->outputs.id);
    oct_free(ctx, g->slot);
    oct_free(ctx, g->use);
    oct_free(ctx, g->use_at);
    oct_arena_free(g->arena);
    oct_free(ctx, g);
}

oct_arena *oct_graph_arena(oct_graph *g)
{
    return g->arena;
}

/* ---- building ------------------------------------------------------------------------------ */

oct_status oct_graph_add_value(oct_graph *g, oct_ctx *ctx, const char *name, oct_dtype dt,
                               const oct_shape *shape, oct_value_id *id)
{
    if (!name || !*name)
        return oct_fail(ctx, OCT_ERR_FORMAT, "a value has an empty name");
    if (oct_graph_find_value(g, name) != OCT_NONE)
        return oct_fail(ctx, OCT_ERR_FORMAT, "value '%s' is defined twice", name);
    void *p = g->value;
    OCT_TRY(oct_graph_grow(ctx, &p, g->n_values, &g->cap_values, sizeof *g->value));
    g->value = p;
    OCT_TRY(reserve_slots(g, ctx));
    char *copy = oct_arena_strdup(g->arena, name);
    if (!copy)
        return OCT_ERR_NOMEM;
    oct_value *v = &g->value[g->n_values];
    *v = (oct_value){.name = copy, .dtype = dt, .producer = OCT_NONE, .shape.n_dims = -1};
    if (shape)
        v->shape = *shape;
    *id = g->n_values++;
    *find_slot(g, copy) = *id + 1;
    g->uses_valid = false;
    return OCT_OK;
}

oct_status oct_graph_add_constant(oct_graph *g, oct_ctx *ctx, const char *name, oct_dtype dt,
                                  const oct_shape *shape, const void *data, bool copy,
                                  oct_value_id *id)
{
    size_t n;
    const oct_tensor_desc d = oct_tensor_desc_make(dt, *shape, OCT_LAYOUT_ROW);
    if (!oct_tensor_desc_bytes(&d, &n))
        return oct_fail(ctx, OCT_ERR_FORMAT, "constant '%s': its shape is unknown or too large",
                        name ? name : "");
    if (copy || !data) {
        void *own = oct_arena_alloc_aligned(g->arena, n, OCT_ALIGN);
        if (!own)
            return OCT_ERR_NOMEM;
        if (data && n)
            memcpy(own, data, n);
        else
            memset(own, 0, n);
        data = own;
    }
    OCT_TRY(oct_graph_add_value(g, ctx, name, dt, shape, id));
    oct_value *v = &g->value[*id];
    v->data = data;
    v->data_bytes = n;
    v->const_key = oct_const_key_new();
    return OCT_OK;
}

oct_status oct_graph_add_input(oct_graph *g, oct_ctx *ctx, oct_value_id v)
{
    oct_value *x = oct_graph_value(g, v);
    if (x->is_input || x->data || x->producer != OCT_NONE)
        return oct_fail(ctx, OCT_ERR_FORMAT, "input '%s' has another source already", x->name);
    OCT_TRY(oct_graph_list_add(ctx, &g->inputs, v));
    x->is_input = true;
    return OCT_OK;
}

oct_status oct_graph_add_output(oct_graph *g, oct_ctx *ctx, oct_value_id v)
{
    OCT_TRY(oct_graph_list_add(ctx, &g->outputs, v));
    oct_graph_value(g, v)->is_output = true;
    return OCT_OK;
}

static oct_status check_outputs(const oct_graph *g, oct_ctx *ctx, const oct_value_id *out,
                                uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (out[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(g, out[i]);
        if (v->producer != OCT_NONE || v->is_input || v->data)
            return oct_fail(ctx, OCT_ERR_FORMAT, "value '%s' is defined twice", v->name);
    }
    return OCT_OK;
}

static const char *name_of_first(const oct_graph *g, const oct_value_id *out, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (out[i] != OCT_NONE)
            return g->value[out[i]].name;
    return "";
}

/* Copies of what the caller passed, in the arena. */
static oct_status fill_node(oct_graph *g, oct_node *n, const void *attr, const oct_value_id *in,
                            const oct_value_id *out)
{
    const size_t attr_bytes = oct_op_schema_get(n->op)->attr_bytes;
    if (attr_bytes) {
        if (!(n->attr = oct_arena_alloc(g->arena, attr_bytes)))
            return OCT_ERR_NOMEM;
        if (attr)
            memcpy(n->attr, attr, attr_bytes);
        else
            oct_op_attr_defaults(n->op, n->attr);
    }
    n->in = oct_arena_copy(g->arena, in ? (const void *)in : "", n->n_in * sizeof *in);
    n->out = oct_arena_copy(g->arena, out ? (const void *)out : "", n->n_out * sizeof *out);
    n->name = oct_arena_strdup(g->arena, n->name);
    return n->in && n->out && n->name ? OCT_OK : OCT_ERR_NOMEM;
}

oct_status oct_graph_add_node(oct_graph *g, oct_ctx *ctx, oct_op op, const char *name,
                              const void *attr, const oct_value_id *in, uint32_t n_in,
                              const oct_value_id *out, uint32_t n_out, oct_node_id *id)
{
    OCT_TRY(check_outputs(g, ctx, out, n_out));
    void *p = g->node;
    OCT_TRY(oct_graph_grow(ctx, &p, g->n_nodes, &g->cap_nodes, sizeof *g->node));
    g->node = p;
    oct_node *n = &g->node[g->n_nodes];
    *n = (oct_node){
        .op = op,
        .name = name && *name ? name : name_of_first(g, out, n_out),
        .n_in = n_in,
        .n_out = n_out,
        .epilogue = {.residual = -1},
        .model_index = OCT_NONE,
    };
    OCT_TRY(fill_node(g, n, attr, in, out));
    OCT_TRY(oct_graph_list_add(ctx, &g->order, g->n_nodes));
    for (uint32_t i = 0; i < n_out; i++) {
        if (out[i] == OCT_NONE)
            continue;
        g->value[out[i]].producer = g->n_nodes;
        g->value[out[i]].out_index = i;
    }
    if (id)
        *id = g->n_nodes;
    g->n_nodes++;
    g->uses_valid = false;
    return OCT_OK;
}

oct_status oct_graph_add_subgraph(oct_graph *g, oct_ctx *ctx, oct_graph *sub, uint32_t *index)
{
    void *p = g->sub;
    OCT_TRY(oct_graph_grow(ctx, &p, g->n_subs, &g->cap_subs, sizeof *g->sub));
    g->sub = p;
    g->sub[g->n_subs] = sub;
    *index = g->n_subs++;
    return OCT_OK;
}

/* ---- rewriting ----------------------------------------------------------------------------- */

void oct_graph_remove_node(oct_graph *g, oct_node_id id)
{
    oct_node *n = oct_graph_node(g, id);
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != OCT_NONE && g->value[n->out[i]].producer == id)
            g->value[n->out[i]].producer = OCT_NONE;
    n->dead = true;
    g->order_has_dead = true;
    g->uses_valid = false;
}

static void replace_in_nodes(oct_graph *g, oct_value_id from, oct_value_id to)
{
    for (uint32_t k = 0; k < g->n_nodes; k++) {
        oct_node *n = &g->node[k];
        for (uint32_t i = 0; i < n->n_in && !n->dead; i++)
            if (n->in[i] == from)
                n->in[i] = to;
    }
}

void oct_graph_replace_uses(oct_graph *g, oct_value_id from, oct_value_id to, bool outputs)
{
    if (g->uses_valid) { /* the list says where to look; O(uses) instead of O(nodes) */
        for (uint32_t i = g->use_at[from]; i < g->use_at[from + 1]; i++)
            g->node[g->use[i].node].in[g->use[i].in_index] = to;
    } else {
        replace_in_nodes(g, from, to);
    }
    g->uses_valid = false;
    if (!outputs || !g->value[from].is_output)
        return;
    for (uint32_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.id[i] == from)
            g->outputs.id[i] = to;
    g->value[from].is_output = false;
    g->value[to].is_output = true;
}

oct_status oct_graph_set_inputs(oct_graph *g, oct_ctx *ctx, oct_node_id id, const oct_value_id *in,
                                uint32_t n_in)
{
    oct_node *n = oct_graph_node(g, id);
    if (n_in > n->n_in) {
        oct_value_id *copy = oct_arena_array(g->arena, n_in, sizeof *copy);
        if (!copy)
            return OCT_ERR_NOMEM;
        memcpy(copy, in, n_in * sizeof *in);
        n->in = copy;
    } else {
        memmove(n->in, in, n_in * sizeof *in);
    }
    n->n_in = n_in;
    g->uses_valid = false;
    (void)ctx;
    return OCT_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

uint32_t oct_graph_n_nodes(const oct_graph *g)
{
    return g->n_nodes;
}

uint32_t oct_graph_n_values(const oct_graph *g)
{
    return g->n_values;
}

oct_node *oct_graph_node(const oct_graph *g, oct_node_id id)
{
    assert(id < g->n_nodes);
    return &g->node[id];
}

oct_value *oct_graph_value(const oct_graph *g, oct_value_id id)
{
    assert(id < g->n_values);
    return &g->value[id];
}

const oct_value_id *oct_graph_inputs(const oct_graph *g, uint32_t *n)
{
    *n = g->inputs.n;
    return g->inputs.id;
}

const oct_value_id *oct_graph_outputs(const oct_graph *g, uint32_t *n)
{
    *n = g->outputs.n;
    return g->outputs.id;
}

oct_graph *oct_graph_sub(const oct_graph *g, uint32_t index)
{
    assert(index < g->n_subs);
    return g->sub[index];
}

uint32_t oct_graph_n_subs(const oct_graph *g)
{
    return g->n_subs;
}
