/* SPDX-License-Identifier: Apache-2.0
 *
 * Concat without copying: an operator that is the only one to make an input of a Concat
 * writes it straight into its slice of the result,
 *
 *     conv1 ──► [ 0 .. 63 |        ]  channels-last: every pixel's channels of conv1,
 *     conv2 ──► [         | 64..127]  then those of conv2: strided outputs
 *
 * when its backend accepts the strides. Other inputs are copied when the Concat is reached.
 */
#include <string.h>

#include "engine/planner.h"
#include "kernels/op_schema.h"

/* Can the producer of `v` be asked to write elsewhere? */
static bool slice_possible(const oct_planner *b, oct_value_id v, oct_layout layout)
{
    const oct_value *value = oct_graph_value(b->g, v);
    const oct_plan_value *pv = &b->v[v];
    if (value->producer == OCT_NONE || pv->host || pv->concat != OCT_NONE || value->observed ||
        value->is_output || !oct_shape_is_known(&pv->desc.shape) || value->quant.n > 0)
        return false;
    const oct_node *n = oct_graph_node(b->g, value->producer);
    const uint32_t flags = oct_op_schema_get(n->op)->flags;
    if (flags & OCT_OPF_CONTROL || n->n_out != 1)
        return false;
    if (flags & OCT_OPF_MOVER && n->op != OCT_OP_PAD)
        return false; /* views, or copies that are no better */
    return value->layout == layout || pv->desc.shape.n_dims < 3;
}

oct_status oct_plan_mark_slices(oct_planner *b)
{
    uint32_t n_order;
    const oct_node_id *order = oct_graph_order(b->g, &n_order);
    for (uint32_t i = 0; i < n_order; i++) {
        const oct_node *n = oct_graph_node(b->g, order[i]);
        if (n->op != OCT_OP_CONCAT || b->v[n->out[0]].host ||
            !oct_shape_is_known(&b->v[n->out[0]].desc.shape))
            continue;
        const oct_layout layout = oct_graph_value(b->g, n->out[0])->layout;
        for (uint32_t k = 0; k < n->n_in; k++) {
            if (!slice_possible(b, n->in[k], layout))
                continue;
            b->v[n->in[k]].concat = order[i];
            b->v[n->in[k]].slice_in = k;
        }
    }
    return OCT_OK;
}

static oct_status concat_result(oct_planner *b, const oct_node *n, uint32_t *id)
{
    oct_plan_value *y = &b->v[n->out[0]];
    if (y->tensor == OCT_NONE) {
        oct_tensor_desc d = y->desc;
        d.layout = oct_graph_value(b->g, n->out[0])->layout;
        OCT_TRY(oct_plan_new_tensor(b, &d, false, &y->tensor));
        b->p->tensor[y->tensor].quant = oct_graph_value(b->g, n->out[0])->quant;
    }
    *id = y->tensor;
    return OCT_OK;
}

/* View of the result where input `k` goes. */
static oct_status concat_slice(oct_planner *b, const oct_node *n, uint32_t k, uint32_t *id)
{
    uint32_t whole;
    OCT_TRY(concat_result(b, n, &whole));
    oct_tensor_desc d = b->p->tensor[whole].desc;
    const oct_attr_axis *a = n->attr;
    const int64_t axis = a->axis < 0 ? a->axis + d.shape.n_dims : a->axis;
    int64_t before = 0;
    for (uint32_t i = 0; i < k; i++)
        before += b->v[n->in[i]].desc.shape.dim[axis];
    const size_t offset = (size_t)(before * d.stride[axis]) * oct_dtype_bytes(d.dtype);
    d.shape = b->v[n->in[k]].desc.shape;
    return oct_plan_new_view(b, whole, offset, &d, id);
}

oct_status oct_plan_slice(oct_planner *b, oct_value_id v, uint32_t *id)
{
    *id = OCT_NONE;
    if (b->v[v].concat == OCT_NONE)
        return OCT_OK;
    return concat_slice(b, oct_graph_node(b->g, b->v[v].concat), b->v[v].slice_in, id);
}

static bool in_place(const oct_planner *b, const oct_node *n, uint32_t k)
{
    const uint32_t whole = b->v[n->out[0]].tensor;
    const oct_plan_value *x = &b->v[n->in[k]];
    return whole != OCT_NONE && x->tensor != OCT_NONE && x->slice_in == k &&
           oct_plan_root(b->p, x->tensor) == whole;
}

oct_status oct_plan_concat(oct_planner *b, oct_node_id id, bool *done)
{
    const oct_node *n = oct_graph_node(b->g, id);
    uint32_t n_placed = 0;
    for (uint32_t k = 0; k < n->n_in; k++)
        n_placed += in_place(b, n, k);
    *done = n_placed > 0;
    if (!*done) { /* a result made for a producer that then declined is not used */
        b->v[n->out[0]].tensor = OCT_NONE;
        return OCT_OK;
    }
    for (uint32_t k = 0; k < n->n_in; k++) {
        uint32_t from, to;
        size_t elems = 0;
        if (in_place(b, n, k) ||
            (oct_shape_elems(&b->v[n->in[k]].desc.shape, &elems) && elems == 0))
            continue;
        OCT_TRY(oct_plan_value_tensor(b, n->in[k], &from));
        OCT_TRY(oct_plan_adapt(b, from, b->p->tensor[from].desc.layout, false, &from));
        OCT_TRY(concat_slice(b, n, k, &to));
        OCT_TRY(oct_plan_copy(b, from, to));
    }
    return OCT_OK;
}
