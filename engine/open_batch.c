/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/open_batch.h"

#include <string.h>

#include "engine/graph_internal.h"
#include "engine/model.h"

static int64_t rows_of(const oct_value *v)
{
    return v->shape.n_dims >= 1 ? v->shape.dim[0] : 0;
}

/* The number of images that the model was exported for, or 0 if it is open or 1. */
static int64_t fixed_batch(const oct_graph *g)
{
    for (uint32_t i = 0; i < g->inputs.n; i++) {
        const oct_value *v = oct_graph_value(g, g->inputs.id[i]);
        if (v->shape.n_dims >= 2)
            return rows_of(v) > 1 ? rows_of(v) : 0;
    }
    return 0;
}

/* A Reshape of `n` images to a shape that starts with n: the first axis is copied instead. */
static oct_status open_reshape(oct_ctx *ctx, oct_graph *g, oct_node_id id, int64_t n)
{
    const oct_node *node = oct_graph_node(g, id);
    const oct_attr_reshape *a = node->attr;
    const oct_value *to = oct_graph_value(g, node->in[1]);
    int64_t shape[OCT_MAX_DIMS];
    oct_value_id in[2] = {node->in[0], OCT_NONE};
    if (to->producer != OCT_NONE || !to->data || to->dtype != OCT_DT_S64 || to->shape.n_dims != 1 ||
        to->shape.dim[0] < 1 || to->shape.dim[0] > OCT_MAX_DIMS || (a && a->allow_zero) ||
        rows_of(oct_graph_value(g, node->in[0])) != n)
        return OCT_OK;
    memcpy(shape, to->data, (size_t)to->shape.dim[0] * sizeof *shape);
    if (shape[0] != n)
        return OCT_OK;
    shape[0] = 0;
    const char *name = oct_graph_fresh_name(g, ctx, to->name);
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, OCT_DT_S64, &to->shape, shape, true, &in[1]));
    return oct_graph_set_inputs(g, ctx, id, in, 2);
}

static oct_status open_reshapes(oct_ctx *ctx, oct_graph *g, int64_t n)
{
    const uint32_t n_nodes = oct_graph_n_nodes(g);
    for (oct_node_id id = 0; id < n_nodes; id++) {
        const oct_node *node = oct_graph_node(g, id);
        if (!node->dead && node->op == OCT_OP_RESHAPE && node->n_in == 2)
            OCT_TRY(open_reshape(ctx, g, id, n));
    }
    return OCT_OK;
}

/* A symbol that no input uses (inference forgets all others). */
static int64_t free_symbol(const oct_graph *g)
{
    int64_t k = 0;
    for (uint32_t i = 0; i < g->inputs.n; i++) {
        const oct_shape *s = &oct_graph_value(g, g->inputs.id[i])->shape;
        for (int d = 0; d < s->n_dims; d++)
            if (oct_dim_is_symbol(s->dim[d]) && s->dim[d] - INT64_MIN >= k)
                k = s->dim[d] - INT64_MIN + 1;
    }
    return OCT_DIM_SYMBOL(k);
}

/* Inference with `rows` instead of `n` on the first axis of the inputs. */
static oct_status infer_with(oct_ctx *ctx, oct_graph *g, const oct_shape *was, int64_t n,
                             int64_t rows, oct_shape *shape)
{
    for (uint32_t i = 0; i < g->inputs.n; i++) {
        shape[i] = was[i];
        if (was[i].n_dims >= 1 && was[i].dim[0] == n)
            shape[i].dim[0] = rows;
    }
    return oct_graph_infer(ctx, g, shape);
}

/* With one image instead of n, outputs that had n rows must have one. */
static oct_status check_outputs(oct_ctx *ctx, const oct_graph *g, const int64_t *rows, int64_t n)
{
    for (uint32_t i = 0; i < g->outputs.n; i++) {
        const oct_value *v = oct_graph_value(g, g->outputs.id[i]);
        if (rows[i] == n && rows_of(v) != 1)
            return oct_fail(ctx, OCT_ERR_SHAPE, "output '%s' does not follow the batch", v->name);
    }
    return OCT_OK;
}

static oct_status open_from(oct_ctx *ctx, oct_graph *g, int64_t n, oct_shape *was, oct_shape *shape,
                            int64_t *rows)
{
    for (uint32_t i = 0; i < g->inputs.n; i++)
        was[i] = oct_graph_value(g, g->inputs.id[i])->shape;
    for (uint32_t i = 0; i < g->outputs.n; i++)
        rows[i] = rows_of(oct_graph_value(g, g->outputs.id[i]));
    const int64_t symbol = free_symbol(g);
    oct_status st = open_reshapes(ctx, g, n);
    if (st == OCT_OK)
        st = infer_with(ctx, g, was, n, 1, shape);
    if (st == OCT_OK)
        st = check_outputs(ctx, g, rows, n);
    return st == OCT_OK ? infer_with(ctx, g, was, n, symbol, shape) : st;
}

oct_status oct_graph_open_batch(oct_ctx *ctx, oct_graph *g)
{
    const int64_t n = fixed_batch(g);
    if (n == 0)
        return OCT_OK;
    oct_shape *shape = oct_alloc_array(ctx, 2 * (size_t)g->inputs.n, sizeof *shape);
    int64_t *rows = oct_alloc_array(ctx, (size_t)g->outputs.n + 1, sizeof *rows);
    oct_status st = OCT_ERR_NOMEM;
    if (shape && rows)
        st = open_from(ctx, g, n, shape, shape + g->inputs.n, rows);
    oct_free(ctx, rows);
    oct_free(ctx, shape);
    if (st == OCT_OK || st == OCT_ERR_NOMEM)
        return st;
    return oct_fail_in(
        ctx, OCT_ERR_UNSUPPORTED,
        "the model takes %lld images at a time and does not work with one; export it "
        "with an open batch (torch.onnx.export: dynamic_axes)",
        (long long)n);
}
