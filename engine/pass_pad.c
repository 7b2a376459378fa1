/* SPDX-License-Identifier: Apache-2.0
 *
 * Pad with zeros over spatial axes, in front of a convolution or average pool only, becomes
 * that node's pads. An average pool then counts the padding, as it did before.
 */
#include <string.h>

#include "engine/pass_internal.h"

/* Begins and ends by axis; false unless constant zeros over known, spatial axes. */
static bool read_pads(const oct_graph *g, const oct_node *pad, int rank, int64_t *lo, int64_t *hi)
{
    const oct_attr_pad *a = pad->attr;
    float value = 0.0F;
    if (rank < 3 || (a && a->mode != OCT_PAD_MODE_CONSTANT) || pad->n_in < 2)
        return false;
    if (pad->n_in > 2 && pad->in[2] != OCT_NONE && !oct_pass_scalar(g, pad->in[2], &value))
        return false;
    const bool has_axes = pad->n_in > 3 && pad->in[3] != OCT_NONE;
    const int64_t len = oct_pass_list_len(g, pad->in[1]);
    const int64_t n = has_axes ? oct_pass_list_len(g, pad->in[3]) : rank;
    if (value != 0.0F || len < 0 || n < 0 || len != 2 * n)
        return false;
    for (int64_t i = 0; i < n; i++) {
        int64_t axis = has_axes ? oct_pass_list_at(g, pad->in[3], i) : i;
        axis += axis < 0 ? rank : 0;
        const int64_t b = oct_pass_list_at(g, pad->in[1], i);
        const int64_t e = oct_pass_list_at(g, pad->in[1], i + n);
        if (axis < 0 || axis >= rank || b < 0 || e < 0 || (axis < 2 && (b || e)))
            return false;
        lo[axis] = b;
        hi[axis] = e;
    }
    return true;
}

static bool takes_pads(const oct_graph *g, const oct_node *n)
{
    const oct_attr_window *a = n->attr;
    if (n->op != OCT_OP_CONV && n->op != OCT_OP_AVERAGE_POOL)
        return false;
    if (n->op == OCT_OP_CONV)
        return (a->auto_pad == OCT_PAD_NOTSET || a->auto_pad == OCT_PAD_VALID) &&
               oct_graph_value(g, n->in[0])->quant.n == 0;
    for (int i = 0; i < a->n_pad; i++)
        if (a->pad[i] != 0)
            return false;
    return !a->ceil_mode && (a->auto_pad == OCT_PAD_NOTSET || a->auto_pad == OCT_PAD_VALID);
}

static oct_status merge_pad(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    const oct_node *pad = oct_graph_node(g, id);
    int64_t lo[OCT_MAX_DIMS] = {0}, hi[OCT_MAX_DIMS] = {0};
    oct_use user;
    const int rank = oct_graph_value(g, pad->in[0])->shape.n_dims;
    if (rank > 2 + OCT_MAX_SPATIAL || !read_pads(g, pad, rank, lo, hi))
        return OCT_OK;
    OCT_TRY(oct_pass_sole_use(ctx, g, pad->out[0], &user));
    if (user.node == OCT_NONE || user.in_index != 0)
        return OCT_OK;
    oct_node *n = oct_graph_node(g, user.node);
    if (!takes_pads(g, n))
        return OCT_OK;
    oct_attr_window *a = oct_arena_copy(oct_graph_arena(g), n->attr, sizeof *a);
    if (!a)
        return OCT_ERR_NOMEM;
    const int spatial = rank - 2;
    if (a->auto_pad == OCT_PAD_VALID || a->n_pad == 0)
        memset(a->pad, 0, sizeof a->pad);
    a->auto_pad = OCT_PAD_NOTSET;
    a->n_pad = 2 * spatial;
    for (int i = 0; i < spatial; i++) {
        a->pad[i] += lo[2 + i];
        a->pad[spatial + i] += hi[2 + i];
    }
    a->count_include_pad |= n->op == OCT_OP_AVERAGE_POOL;
    n->attr = a;
    const oct_value_id x = pad->in[0];
    OCT_TRY(oct_pass_set_input(ctx, g, user.node, 0, x));
    oct_graph_remove_node(g, id);
    return OCT_OK;
}

oct_status oct_pass_pad(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    (void)env;
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++)
        if (!oct_graph_node(g, i)->dead && oct_graph_node(g, i)->op == OCT_OP_PAD)
            OCT_TRY(merge_pad(ctx, g, i));
    return OCT_OK;
}
