/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators without work: their result already lies in memory, under another description.
 *
 *     Reshape, Flatten, Squeeze, Unsqueeze   dense row-major bytes read with other dims;
 *                                            channels-last too when axes 0 and 1 stay
 *     Transpose                              when the permuted strides are a dense layout
 *     Split, Slice                           a strided window
 *     Identity, Dropout, Reorder             the same tensor, or its copy in another layout
 */
#include <string.h>

#include "engine/planner.h"

static oct_status view_as(oct_planner *b, const oct_node *n, uint32_t of, size_t offset,
                          const oct_tensor_desc *d, uint32_t i_out)
{
    return oct_plan_new_view(b, of, offset, d, &b->v[n->out[i_out]].tensor);
}

/* Flat order is kept, so dense bytes stay as they are. */
static oct_status view_reshape(oct_planner *b, const oct_node *n, bool *done)
{
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, n->in[0], &t));
    const oct_shape *to = &b->v[n->out[0]].desc.shape;
    const oct_plan_tensor *x = &b->p->tensor[t];
    const oct_shape *from = &x->desc.shape;
    const bool keep = x->desc.layout == OCT_LAYOUT_CHANNELS_LAST && to->n_dims >= 3 &&
                      from->dim[0] == to->dim[0] && from->dim[1] == to->dim[1] &&
                      oct_graph_value(b->g, n->out[0])->layout == OCT_LAYOUT_CHANNELS_LAST;
    const oct_layout layout = keep ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW;
    OCT_TRY(oct_plan_adapt(b, t, layout, x->on_host, &t));
    const oct_tensor_desc d = oct_tensor_desc_make(b->v[n->out[0]].desc.dtype, *to, layout);
    *done = true;
    return view_as(b, n, t, 0, &d, 0);
}

static oct_status view_same(oct_planner *b, const oct_node *n, bool *done)
{
    if (n->n_out > 1 && n->out[1] != OCT_NONE && b->v[n->out[1]].n_uses > 0)
        return OCT_OK; /* Dropout's mask is wanted */
    *done = true;
    return oct_plan_value_tensor(b, n->in[0], &b->v[n->out[0]].tensor);
}

static oct_status view_reorder(oct_planner *b, const oct_node *n, bool *done)
{
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, n->in[0], &t));
    *done = true;
    return oct_plan_adapt(b, t, oct_graph_value(b->g, n->out[0])->layout, b->p->tensor[t].on_host,
                          &b->v[n->out[0]].tensor);
}

static oct_status view_transpose(oct_planner *b, const oct_node *n, bool *done)
{
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, n->in[0], &t));
    const oct_attr_transpose *a = n->attr;
    const oct_tensor_desc *x = &b->p->tensor[t].desc;
    oct_tensor_desc d = b->v[n->out[0]].desc;
    for (int i = 0; i < d.shape.n_dims; i++) {
        const int64_t axis = a && a->n_perm ? a->perm[i] : d.shape.n_dims - 1 - i;
        d.stride[i] = x->stride[axis];
    }
    for (int layout = 0; layout < OCT_LAYOUT_COUNT; layout++) {
        if (!oct_plan_is_layout(&d, (oct_layout)layout))
            continue;
        d = oct_tensor_desc_make(d.dtype, d.shape, (oct_layout)layout);
        *done = true;
        return view_as(b, n, t, 0, &d, 0);
    }
    return OCT_OK;
}

static oct_status view_split(oct_planner *b, const oct_node *n, bool *done)
{
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, n->in[0], &t));
    const oct_tensor_desc x = b->p->tensor[t].desc;
    const oct_attr_axis *a = n->attr;
    const int64_t axis = a->axis < 0 ? a->axis + x.shape.n_dims : a->axis;
    size_t offset = 0;
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == OCT_NONE)
            return OCT_OK;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        oct_tensor_desc d = x;
        d.shape = b->v[n->out[i]].desc.shape;
        OCT_TRY(view_as(b, n, t, offset, &d, i));
        offset += (size_t)(d.shape.dim[axis] * x.stride[axis]) * oct_dtype_bytes(d.dtype);
    }
    *done = true;
    return OCT_OK;
}

/* Element i of an optional host-known s32/s64 list; `fallback` when the list is absent. */
static int64_t list_at(const oct_planner *b, const oct_node *n, uint32_t in, int64_t i,
                       int64_t fallback)
{
    if (in >= n->n_in || n->in[in] == OCT_NONE)
        return fallback;
    const oct_plan_value *v = &b->v[n->in[in]];
    return v->desc.dtype == OCT_DT_S32 ? ((const int32_t *)v->host)[i]
                                       : ((const int64_t *)v->host)[i];
}

/* Inputs data, starts, ends, [axes], [steps]; positive steps only. */
static oct_status view_slice(oct_planner *b, const oct_node *n, bool *done)
{
    for (uint32_t i = 1; i < n->n_in; i++)
        if (n->in[i] != OCT_NONE && !b->v[n->in[i]].host)
            return OCT_OK;
    uint32_t t;
    OCT_TRY(oct_plan_value_tensor(b, n->in[0], &t));
    oct_tensor_desc d = b->p->tensor[t].desc;
    const oct_shape x = d.shape;
    int64_t offset = 0;
    const int64_t count = b->v[n->in[1]].desc.shape.dim[0];
    for (int64_t i = 0; i < count; i++) {
        int64_t axis = list_at(b, n, 3, i, i), start = list_at(b, n, 1, i, 0);
        const int64_t step = list_at(b, n, 4, i, 1);
        if (step < 1 || axis < -x.n_dims || axis >= x.n_dims)
            return OCT_OK;
        axis += axis < 0 ? x.n_dims : 0;
        start += start < 0 ? x.dim[axis] : 0;
        start = start < 0 ? 0 : start > x.dim[axis] ? x.dim[axis] : start;
        offset += start * d.stride[axis];
        d.stride[axis] *= step;
    }
    d.shape = b->v[n->out[0]].desc.shape;
    size_t elems = 0;
    if (!oct_shape_elems(&d.shape, &elems) || elems == 0)
        return OCT_OK;
    *done = true;
    return view_as(b, n, t, (size_t)offset * oct_dtype_bytes(d.dtype), &d, 0);
}

oct_status oct_plan_try_view(oct_planner *b, oct_node_id id, bool *done)
{
    static const struct {
        oct_op op;
        oct_status (*fn)(oct_planner *b, const oct_node *n, bool *done);
    } table[] = {
        {OCT_OP_RESHAPE, view_reshape}, {OCT_OP_FLATTEN, view_reshape},
        {OCT_OP_SQUEEZE, view_reshape}, {OCT_OP_UNSQUEEZE, view_reshape},
        {OCT_OP_IDENTITY, view_same},   {OCT_OP_DROPOUT, view_same},
        {OCT_OP_REORDER, view_reorder}, {OCT_OP_TRANSPOSE, view_transpose},
        {OCT_OP_SPLIT, view_split},     {OCT_OP_SLICE, view_slice},
    };
    const oct_node *n = oct_graph_node(b->g, id);
    *done = false;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].op == n->op)
            return table[i].fn(b, n, done);
    return OCT_OK;
}
