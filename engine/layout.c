/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/layout.h"

#include "kernels/op_schema.h"

static int rank_of(const oct_graph *g, oct_value_id v)
{
    return v == OCT_NONE ? -1 : oct_graph_value(g, v)->shape.n_dims;
}

static bool is_constant(const oct_graph *g, oct_value_id v)
{
    const oct_value *x = oct_graph_value(g, v);
    return x->data && x->producer == OCT_NONE;
}

static bool all_inputs_spatial(const oct_node *n)
{
    return oct_op_schema_get(n->op)->flags & OCT_OPF_BINARY || n->op == OCT_OP_CONCAT;
}

bool oct_layout_is_spatial(const oct_graph *g, const oct_node *n, uint32_t i)
{
    if (n->in[i] == OCT_NONE)
        return false;
    if ((int)i == n->epilogue.residual)
        return true;
    if (!all_inputs_spatial(n))
        return i == 0;
    return !is_constant(g, n->in[i]) && rank_of(g, n->in[i]) == rank_of(g, n->out[0]);
}

/* ---- nodes that take any layout ---- */

/* A lower-rank operand broadcasts by row-major position; one element does not care. */
static bool blocks_channels_last(const oct_graph *g, const oct_node *n, uint32_t i)
{
    size_t elems = 0;
    if (n->in[i] == OCT_NONE || is_constant(g, n->in[i]) || oct_layout_is_spatial(g, n, i))
        return false;
    return !(oct_shape_elems(&oct_graph_value(g, n->in[i])->shape, &elems) && elems == 1);
}

static oct_layout layout_of_inputs(const oct_graph *g, const oct_node *n)
{
    bool any = false;
    const int rank = rank_of(g, n->out[0]);
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (all_inputs_spatial(n) && blocks_channels_last(g, n, i))
            return OCT_LAYOUT_ROW;
        if (oct_layout_is_spatial(g, n, i) &&
            oct_graph_value(g, n->in[i])->layout == OCT_LAYOUT_CHANNELS_LAST)
            any = true;
    }
    return any && rank >= 3 ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW;
}

/* ---- nodes that the planner turns into views ---- */

static bool keeps_channels(const oct_graph *g, const oct_node *n)
{
    const oct_shape *x = &oct_graph_value(g, n->in[0])->shape;
    const oct_shape *y = &oct_graph_value(g, n->out[0])->shape;
    return x->n_dims >= 3 && y->n_dims >= 3 && x->dim[0] == y->dim[0] && x->dim[1] == y->dim[1];
}

/* 0, 2, 3, .., 1: the logical order of channels-last memory. */
static bool is_to_channels_last(const oct_node *n, int rank)
{
    const oct_attr_transpose *a = n->attr;
    if (!a || a->n_perm != rank || rank < 3 || a->perm[0] != 0 || a->perm[rank - 1] != 1)
        return false;
    for (int i = 1; i < rank - 1; i++)
        if (a->perm[i] != i + 1)
            return false;
    return true;
}

/* 0, last, 1, 2, ..: row-major memory read as channels-last. */
static bool is_from_channels_last(const oct_node *n, int rank)
{
    const oct_attr_transpose *a = n->attr;
    if (!a || a->n_perm != rank || rank < 4 || a->perm[0] != 0 || a->perm[1] != rank - 1)
        return false;
    for (int i = 2; i < rank; i++)
        if (a->perm[i] != i - 1)
            return false;
    return true;
}

static bool is_view(oct_op op)
{
    return op == OCT_OP_SPLIT || op == OCT_OP_SLICE || op == OCT_OP_IDENTITY ||
           op == OCT_OP_DROPOUT;
}

/* Copies of elements by strides; a backend that wants them row-major is not worth two
 * reorders of everything around them. */
static bool is_strided_copy(oct_op op)
{
    return op == OCT_OP_CONCAT || op == OCT_OP_PAD;
}

oct_layout oct_layout_in(oct_backend *be, const oct_graph *g, const oct_node *n)
{
    const int rank = n->n_in > 0 ? rank_of(g, n->in[0]) : -1;
    if (rank < 3 || n->n_out == 0 || n->out[0] == OCT_NONE ||
        oct_op_schema_get(n->op)->flags & OCT_OPF_CONTROL)
        return OCT_LAYOUT_ROW;
    const oct_layout had = oct_graph_value(g, n->in[0])->layout;
    switch (n->op) {
    case OCT_OP_RESHAPE:
    case OCT_OP_FLATTEN:
    case OCT_OP_SQUEEZE:
    case OCT_OP_UNSQUEEZE:
        return keeps_channels(g, n) ? had : OCT_LAYOUT_ROW;
    case OCT_OP_TRANSPOSE:
        return is_to_channels_last(n, rank) ? had : OCT_LAYOUT_ROW;
    case OCT_OP_MAX_POOL:
        if (n->n_out > 1 && n->out[1] != OCT_NONE)
            return OCT_LAYOUT_ROW; /* its indices count row-major */
        break;
    default:
        break;
    }
    if (is_view(n->op))
        return had;
    if (is_strided_copy(n->op))
        return layout_of_inputs(g, n);
    switch (be->vt->layout_wish(be, n->op, n->attr, rank)) {
    case OCT_WISH_CHANNELS_LAST:
        return OCT_LAYOUT_CHANNELS_LAST;
    case OCT_WISH_ANY:
        return layout_of_inputs(g, n);
    default:
        return OCT_LAYOUT_ROW;
    }
}

oct_layout oct_layout_out(oct_backend *be, const oct_graph *g, const oct_node *n)
{
    if (n->op != OCT_OP_TRANSPOSE)
        return oct_layout_in(be, g, n);
    const int rank = rank_of(g, n->in[0]);
    return is_from_channels_last(n, rank) ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW;
}
