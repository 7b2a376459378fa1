/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of Softmax, LogSoftmax and Hardmax.
 */
#include "engine/infer_internal.h"

static oct_status infer_softmax(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_axis *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    int axis;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    if (x->n_dims >= 0) {
        /* flatten_2d: axis = rank means one element a row; a scalar has no axis to reject */
        const bool whole = at->flatten_2d && at->axis == x->n_dims;
        if (!whole && x->n_dims > 0)
            OCT_TRY(oct_infer_axis(ctx, at->axis, x->n_dims, "axis", &axis));
    }
    return oct_infer_like_input(ctx, a);
}

const oct_infer_entry oct_infer_softmax[] = {
    {OCT_OP_SOFTMAX, infer_softmax},
    {OCT_OP_LOG_SOFTMAX, infer_softmax},
    {OCT_OP_HARDMAX, infer_softmax},
    {0},
};
