/* SPDX-License-Identifier: Apache-2.0
 *
 * Deep copy of a graph. Everything in the source's arena is copied, so that the clone may
 * outlive it; constants that were borrowed from elsewhere cannot be told from copied ones, so
 * constants are shared by pointer and the source graph (or the model) must stay alive.
 */
#include <string.h>

#include "engine/graph_internal.h"
#include "kernels/op_schema.h"

static bool copy_list(oct_ctx *ctx, oct_id_list *to, const oct_id_list *from)
{
    if (from->n == 0)
        return true;
    to->id = oct_alloc_array(ctx, from->n, sizeof *to->id);
    if (!to->id)
        return false;
    memcpy(to->id, from->id, from->n * sizeof *to->id);
    to->n = to->cap = from->n;
    return true;
}

static bool copy_strings(oct_arena *a, void *attr, const oct_attr_field *f)
{
    int n;
    const char *const *from;
    memcpy(&n, (char *)attr + f->count_offset, sizeof n);
    memcpy(&from, (char *)attr + f->offset, sizeof from);
    const char **to = oct_arena_array(a, (size_t)n + 1, sizeof *to);
    for (int i = 0; to && i < n; i++)
        if (!(to[i] = oct_arena_strdup(a, from[i])))
            return false;
    memcpy((char *)attr + f->offset, &to, sizeof to);
    return to != NULL;
}

/* Attributes that point elsewhere. */
static bool copy_pointers(oct_arena *a, void *attr, const oct_attr_field *f)
{
    const void *from, *to;
    int n;
    if (f->kind != OCT_ATTR_STRING && f->kind != OCT_ATTR_F32S && f->kind != OCT_ATTR_STRINGS)
        return true;
    memcpy(&from, (char *)attr + f->offset, sizeof from);
    if (!from)
        return true;
    if (f->kind == OCT_ATTR_STRINGS)
        return copy_strings(a, attr, f);
    if (f->kind == OCT_ATTR_STRING) {
        to = oct_arena_strdup(a, from);
    } else {
        memcpy(&n, (char *)attr + f->count_offset, sizeof n);
        to = oct_arena_copy(a, from, (size_t)n * sizeof(float));
    }
    memcpy((char *)attr + f->offset, &to, sizeof to);
    return to != NULL;
}

static bool copy_node(oct_arena *a, oct_node *n)
{
    const oct_op_schema *s = oct_op_schema_get(n->op);
    n->name = oct_arena_strdup(a, n->name);
    n->in = oct_arena_copy(a, n->in, n->n_in * sizeof *n->in);
    n->out = oct_arena_copy(a, n->out, n->n_out * sizeof *n->out);
    if (!n->name || !n->in || !n->out)
        return false;
    if (n->attr) {
        if (!(n->attr = oct_arena_copy(a, n->attr, s->attr_bytes)))
            return false;
        for (int i = 0; i < s->n_fields; i++)
            if (!copy_pointers(a, n->attr, &s->field[i]))
                return false;
    }
    return true;
}

static bool copy_value(oct_arena *a, oct_value *v)
{
    v->name = oct_arena_strdup(a, v->name);
    if (v->quant.n > 0)
        v->quant.q = oct_arena_copy(a, v->quant.q, (size_t)v->quant.n * sizeof *v->quant.q);
    return v->name && (v->quant.n <= 0 || v->quant.q);
}

static bool copy_arrays(oct_ctx *ctx, oct_graph *c, const oct_graph *g)
{
    c->node = oct_alloc_array(ctx, (size_t)g->n_nodes + 1, sizeof *c->node);
    c->value = oct_alloc_array(ctx, (size_t)g->n_values + 1, sizeof *c->value);
    c->slot = g->n_slots ? oct_alloc_array(ctx, g->n_slots, sizeof *c->slot) : NULL;
    if (!c->node || !c->value || (g->n_slots && !c->slot))
        return false;
    if (g->n_nodes)
        memcpy(c->node, g->node, g->n_nodes * sizeof *c->node);
    if (g->n_values)
        memcpy(c->value, g->value, g->n_values * sizeof *c->value);
    if (g->n_slots)
        memcpy(c->slot, g->slot, g->n_slots * sizeof *c->slot);
    c->n_nodes = g->n_nodes;
    c->cap_nodes = g->n_nodes + 1;
    c->n_values = g->n_values;
    c->cap_values = g->n_values + 1;
    c->n_slots = g->n_slots;
    c->fresh = g->fresh;
    c->order_has_dead = g->order_has_dead;
    for (uint32_t i = 0; i < c->n_nodes; i++)
        if (!copy_node(c->arena, &c->node[i]))
            return false;
    for (uint32_t i = 0; i < c->n_values; i++)
        if (!copy_value(c->arena, &c->value[i]))
            return false;
    return copy_list(ctx, &c->order, &g->order) && copy_list(ctx, &c->inputs, &g->inputs) &&
           copy_list(ctx, &c->outputs, &g->outputs);
}

oct_status oct_graph_clone(oct_ctx *ctx, const oct_graph *g, oct_graph **out)
{
    oct_graph *c;
    OCT_TRY(oct_graph_new(ctx, &c));
    oct_status st = copy_arrays(ctx, c, g) ? OCT_OK : OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < g->n_subs && st == OCT_OK; i++) {
        oct_graph *sub;
        uint32_t index;
        st = oct_graph_clone(ctx, g->sub[i], &sub);
        if (st != OCT_OK)
            break;
        st = oct_graph_add_subgraph(c, ctx, sub, &index);
        if (st != OCT_OK)
            oct_graph_free(sub);
    }
    if (st != OCT_OK) {
        oct_graph_free(c);
        return st;
    }
    *out = c;
    return OCT_OK;
}
