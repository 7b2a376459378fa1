/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cache toolbox asks of a model: its tensor names, and how they correspond to those of
 * another export of the same network.
 */
#include "calib/cache_tools.h"
#include "calib/cache_tools_internal.h"

/* Marks values that depend on a graph input. */
static void mark_dependent(const oct_graph *g, bool *depends)
{
    uint32_t n;
    const oct_value_id *in = oct_graph_inputs(g, &n);
    for (uint32_t i = 0; i < n; i++)
        depends[in[i]] = true;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(g, order[i]);
        bool any = false;
        for (uint32_t k = 0; k < node->n_in; k++)
            any = any || (node->in[k] != OCT_NONE && depends[node->in[k]]);
        for (uint32_t k = 0; k < node->n_out; k++)
            if (node->out[k] != OCT_NONE && any)
                depends[node->out[k]] = true;
    }
}

static oct_status needed_names(oct_ctx *ctx, const oct_graph *g, const char ***names, size_t *n)
{
    const uint32_t n_values = oct_graph_n_values(g);
    bool *depends = oct_zalloc_array(ctx, n_values, sizeof *depends);
    const char **list = oct_alloc_array(ctx, n_values, sizeof *list);
    if (depends == NULL || list == NULL) {
        oct_free(ctx, depends);
        oct_free(ctx, list);
        return OCT_ERR_NOMEM;
    }
    mark_dependent(g, depends);
    *n = 0;
    for (uint32_t i = 0; i < n_values; i++) {
        const oct_value *v = oct_graph_value(g, i);
        if (depends[i] && v->from_model && v->dtype != OCT_DT_F64 && oct_dtype_is_float(v->dtype))
            list[(*n)++] = v->name;
    }
    oct_free(ctx, depends);
    *names = list;
    return OCT_OK;
}

static oct_status all_names(oct_ctx *ctx, const oct_graph *g, oct_ranges **out)
{
    oct_ranges *all;
    OCT_TRY(oct_ranges_new(ctx, &all));
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++) {
        const oct_status st = oct_ranges_add_scale(all, oct_graph_value(g, i)->name, 1);
        if (st != OCT_OK) {
            oct_ranges_free(all);
            return st;
        }
    }
    *out = all;
    return OCT_OK;
}

oct_status oct_model_names_of(oct_ctx *ctx, const oct_model *model, oct_model_names *out)
{
    const oct_graph *g = oct_model_graph(model);
    OCT_TRY(needed_names(ctx, g, &out->needed, &out->n_needed));
    const oct_status st = all_names(ctx, g, &out->all);
    if (st != OCT_OK)
        oct_free(ctx, out->needed);
    return st;
}

void oct_model_names_free(oct_ctx *ctx, oct_model_names *m)
{
    oct_free(ctx, m->needed);
    oct_ranges_free(m->all);
    *m = (oct_model_names){0};
}

static void match_values(const oct_graph *a, const oct_graph *b, const oct_value_id *from,
                         const oct_value_id *to, uint32_t n, oct_rename_map *out)
{
    for (uint32_t i = 0; i < n; i++)
        if (from[i] != OCT_NONE && to[i] != OCT_NONE)
            oct_rename_map_add(out, oct_graph_value(a, from[i])->name,
                               oct_graph_value(b, to[i])->name);
}

static oct_status match_graphs(oct_ctx *ctx, const oct_graph *a, const oct_graph *b,
                               oct_rename_map *out)
{
    uint32_t n_a, n_b;
    const oct_value_id *in_a = oct_graph_inputs(a, &n_a), *in_b = oct_graph_inputs(b, &n_b);
    if (n_a != n_b)
        return oct_fail(ctx, OCT_ERR_STALE, "the models have %u and %u inputs", n_a, n_b);
    match_values(a, b, in_a, in_b, n_a, out);
    const oct_node_id *order_a = oct_graph_order(a, &n_a), *order_b = oct_graph_order(b, &n_b);
    for (uint32_t i = 0; i < n_a && i < n_b; i++) {
        const oct_node *x = oct_graph_node(a, order_a[i]), *y = oct_graph_node(b, order_b[i]);
        if (x->op != y->op || x->n_out != y->n_out || x->n_in != y->n_in) {
            char p[120], q[120];
            return oct_fail(
                ctx, OCT_ERR_STALE, "node %u differs between the models: '%s' and '%s'; use --map",
                i, oct_printable(x->name, p, sizeof p), oct_printable(y->name, q, sizeof q));
        }
        match_values(a, b, x->out, y->out, x->n_out, out);
    }
    if (n_a != n_b)
        return oct_fail(ctx, OCT_ERR_STALE, "the models have %u and %u nodes; use --map", n_a, n_b);
    return OCT_OK;
}

oct_status oct_rename_map_of_models(oct_ctx *ctx, const oct_model *from, const oct_model *to,
                                    oct_rename_map *out)
{
    const oct_graph *a = oct_model_graph(from), *b = oct_model_graph(to);
    char *text;
    OCT_TRY(oct_rename_map_new(ctx, oct_graph_n_values(a), 0, out, &text));
    const oct_status st = match_graphs(ctx, a, b, out);
    if (st != OCT_OK)
        oct_rename_map_free(ctx, out);
    return st;
}
