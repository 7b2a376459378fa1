/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that change nothing: Identity, Dropout, Cast to the type it already has, and Add 0,
 * Mul 1, Transpose by the identity, Pad by nothing. Their consumers read the input.
 */
#include "engine/pass_internal.h"

static bool same_type_and_shape(const oct_graph *g, oct_value_id a, oct_value_id b)
{
    const oct_value *x = oct_graph_value(g, a), *y = oct_graph_value(g, b);
    return x->dtype == y->dtype && x->shape.n_dims >= 0 && oct_shape_equal(&x->shape, &y->shape);
}

static bool is_zero_pad(const oct_graph *g, const oct_node *n)
{
    const int64_t len = n->n_in > 1 ? oct_pass_list_len(g, n->in[1]) : -1;
    for (int64_t i = 0; i < len; i++)
        if (oct_pass_list_at(g, n->in[1], i) != 0)
            return false;
    return len >= 0;
}

static bool is_same_order(const oct_graph *g, const oct_node *n)
{
    const oct_attr_transpose *a = n->attr;
    const int rank = oct_graph_value(g, n->in[0])->shape.n_dims;
    if (!a || a->n_perm == 0)
        return rank == 0 || rank == 1;
    for (int i = 0; i < a->n_perm; i++)
        if (a->perm[i] != i)
            return false;
    return true;
}

static bool is_no_op(oct_ctx *ctx, oct_graph *g, const oct_node *n, oct_status *st)
{
    const oct_use *uses;
    uint32_t n_uses = 0;
    if (n->n_in == 0 || n->in[0] == OCT_NONE || n->n_out == 0 || n->out[0] == OCT_NONE)
        return false;
    switch (n->op) {
    case OCT_OP_IDENTITY:
        return true;
    case OCT_OP_DROPOUT:
        if (n->n_out > 1 && n->out[1] != OCT_NONE)
            *st = oct_graph_uses(g, ctx, n->out[1], &uses, &n_uses);
        return n_uses == 0 &&
               !(n->n_out > 1 && n->out[1] != OCT_NONE && oct_graph_value(g, n->out[1])->is_output);
    case OCT_OP_CAST:
    case OCT_OP_CAST_LIKE:
    case OCT_OP_RESHAPE:
    case OCT_OP_EXPAND:
        return same_type_and_shape(g, n->in[0], n->out[0]);
    case OCT_OP_TRANSPOSE:
        return is_same_order(g, n);
    case OCT_OP_PAD:
        return is_zero_pad(g, n);
    default:
        return false;
    }
}

oct_status oct_pass_identity(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    (void)env;
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++) {
        const oct_node *n = oct_graph_node(g, i);
        oct_status st = OCT_OK;
        if (n->dead || !is_no_op(ctx, g, n, &st))
            continue;
        OCT_TRY(st);
        const oct_value *y = oct_graph_value(g, n->out[0]);
        const oct_value *x = oct_graph_value(g, n->in[0]);
        /* A name that must exist keeps its node; the planner makes it a view. */
        if (y->is_output || y->observed || x->quant.n != y->quant.n)
            continue;
        oct_graph_replace_uses(g, n->out[0], n->in[0], false);
        oct_graph_remove_node(g, i);
    }
    return OCT_OK;
}
