/* SPDX-License-Identifier: Apache-2.0
 *
 * Epilogues: what follows a convolution or matrix product is done on its result before
 * it is stored, in the order of kernels/backend.h:
 *
 *     y = act(acc + bias + residual)
 *
 * From the last node to the first, so that of two convolutions that meet in an Add the
 * later one takes the other's result as residual.
 */
#include <math.h>

#include "engine/pass_internal.h"

static bool takes_epilogue(const oct_node *n)
{
    return !n->dead && n->n_out == 1 &&
           (n->op == OCT_OP_CONV || n->op == OCT_OP_CONV_TRANSPOSE || n->op == OCT_OP_GEMM ||
            n->op == OCT_OP_MATMUL);
}

/* ---- activations ---- */

static bool clip_bound(const oct_graph *g, const oct_node *n, uint32_t i, float fallback, float *x)
{
    *x = fallback;
    return i >= n->n_in || n->in[i] == OCT_NONE || oct_pass_scalar(g, n->in[i], x);
}

static bool act_of_clip(const oct_graph *g, const oct_node *n, oct_epilogue *e)
{
    if (!clip_bound(g, n, 1, -INFINITY, &e->a) || !clip_bound(g, n, 2, INFINITY, &e->b))
        return false;
    e->act = OCT_ACT_CLIP;
    return true;
}

/* The epilogue that does what `n` does; false when there is none. */
static bool act_of(const oct_graph *g, const oct_node *n, oct_epilogue *e)
{
    static const struct {
        oct_op op;
        oct_act act;
    } plain[] = {
        {OCT_OP_RELU, OCT_ACT_RELU},
        {OCT_OP_SIGMOID, OCT_ACT_SIGMOID},
        {OCT_OP_TANH, OCT_ACT_TANH},
        {OCT_OP_HARD_SWISH, OCT_ACT_HARD_SWISH},
        {OCT_OP_MISH, OCT_ACT_MISH},
        {OCT_OP_MS_GELU, OCT_ACT_GELU},
        {OCT_OP_LEAKY_RELU, OCT_ACT_LEAKY_RELU},
        {OCT_OP_ELU, OCT_ACT_ELU},
        {OCT_OP_HARD_SIGMOID, OCT_ACT_HARD_SIGMOID},
        {OCT_OP_SWISH, OCT_ACT_SWISH},
        {OCT_OP_GELU, OCT_ACT_GELU},
        {OCT_OP_SOFTPLUS, OCT_ACT_SOFTPLUS},
    };
    if (n->op == OCT_OP_CLIP)
        return act_of_clip(g, n, e);
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (plain[i].op != n->op)
            continue;
        e->act = plain[i].act;
        if (n->op == OCT_OP_LEAKY_RELU || n->op == OCT_OP_ELU || n->op == OCT_OP_HARD_SIGMOID ||
            n->op == OCT_OP_SWISH) {
            const oct_attr_act *a = n->attr;
            e->a = a->alpha;
            e->b = a->beta;
        }
        if (n->op == OCT_OP_GELU && ((const oct_attr_act *)n->attr)->approximate_tanh)
            e->act = OCT_ACT_GELU_TANH;
        return true;
    }
    return false;
}

static oct_status fuse_activation(oct_ctx *ctx, oct_graph *g, oct_node_id id, bool *done)
{
    oct_use user;
    *done = false;
    OCT_TRY(oct_pass_sole_use(ctx, g, oct_graph_node(g, id)->out[0], &user));
    if (user.node == OCT_NONE || user.in_index != 0)
        return OCT_OK;
    const oct_node *act = oct_graph_node(g, user.node);
    oct_node *n = oct_graph_node(g, id);
    oct_epilogue e = n->epilogue;
    if (!oct_dtype_is_float(oct_graph_value(g, n->out[0])->dtype) || !act_of(g, act, &e))
        return OCT_OK;
    n->epilogue = e;
    oct_pass_take_output(g, id, 0, act->out[0]);
    *done = true;
    return OCT_OK;
}

/* ---- residuals ---- */

static bool is_before(const oct_graph *g, oct_value_id v, const uint32_t *position, oct_node_id id)
{
    const oct_node_id p = oct_graph_value(g, v)->producer;
    return p == OCT_NONE || position[p] < position[id];
}

static oct_status fuse_residual(oct_ctx *ctx, oct_graph *g, oct_node_id id,
                                const uint32_t *position)
{
    oct_use user;
    const oct_value_id y = oct_graph_node(g, id)->out[0];
    OCT_TRY(oct_pass_sole_use(ctx, g, y, &user));
    if (user.node == OCT_NONE)
        return OCT_OK;
    const oct_node *add = oct_graph_node(g, user.node);
    if ((add->op != OCT_OP_ADD && add->op != OCT_OP_SUM) || add->n_in != 2)
        return OCT_OK;
    const oct_value_id other = add->in[1 - user.in_index];
    const oct_value *a = oct_graph_value(g, y), *b = oct_graph_value(g, other);
    /* The residual must exist when the convolution runs, or the order would have to change. */
    if (other == y || !oct_dtype_is_float(a->dtype) || a->dtype != b->dtype ||
        a->shape.n_dims < 1 || oct_pass_is_const(g, other) ||
        !oct_shape_equal(&a->shape, &b->shape) || !is_before(g, other, position, id))
        return OCT_OK;
    const uint32_t at = oct_graph_node(g, id)->n_in < 3 ? 3 : oct_graph_node(g, id)->n_in;
    const oct_value_id sum = add->out[0];
    OCT_TRY(oct_pass_set_input(ctx, g, id, at, other));
    oct_graph_node(g, id)->epilogue.residual = (int)at;
    oct_pass_take_output(g, id, 0, sum);
    return OCT_OK;
}

static oct_status fuse_node(oct_ctx *ctx, oct_graph *g, oct_node_id id, const uint32_t *position)
{
    bool done = false;
    const oct_node *n = oct_graph_node(g, id);
    if (!takes_epilogue(n) || n->epilogue.act != OCT_ACT_NONE)
        return OCT_OK;
    if (n->epilogue.residual < 0 && n->op != OCT_OP_CONV_TRANSPOSE) {
        OCT_TRY(fuse_activation(ctx, g, id, &done));
        if (!done)
            OCT_TRY(fuse_residual(ctx, g, id, position));
    }
    if (!done)
        OCT_TRY(fuse_activation(ctx, g, id, &done));
    return OCT_OK;
}

oct_status oct_pass_epilogue(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    uint32_t n;
    (void)env;
    const oct_node_id *order = oct_graph_order(g, &n);
    oct_node_id *list = oct_alloc_array(ctx, n + 1, sizeof *list);
    uint32_t *position = oct_zalloc_array(ctx, oct_graph_n_nodes(g) + 1, sizeof *position);
    oct_status st = list && position ? OCT_OK : OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < n && st == OCT_OK; i++) {
        list[i] = order[i];
        position[order[i]] = i;
    }
    for (uint32_t i = n; i-- > 0 && st == OCT_OK;)
        st = fuse_node(ctx, g, list[i], position);
    oct_free(ctx, list);
    oct_free(ctx, position);
    return st;
}
