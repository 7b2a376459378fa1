/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of normalizations.
 */
#include "engine/infer_internal.h"

/* Parameter `i` must be a vector of one value per channel (axis 1). */
static oct_status check_per_channel(oct_ctx *ctx, const oct_infer_args *a, int i, int64_t channels)
{
    const oct_tensor_desc *p = oct_infer_in(a, i);
    if (!p || p->shape.n_dims < 0)
        return OCT_OK;
    if (p->shape.n_dims != 1 || !oct_infer_merge_dim(p->shape.dim[0], channels, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: expected %lld values, one per channel", i,
                        (long long)channels);
    return OCT_OK;
}

static int64_t channels_of(const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape;
    return x->n_dims >= 2 ? x->dim[1] : -1;
}

static oct_status infer_batch_norm(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_norm *at = a->attr;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    if (at->training_mode || a->n_out > 1)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "training mode is not supported");
    if (at->spatial == 0)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "spatial: 0, only 1 is supported");
    const oct_shape *x = &a->in[0].desc.shape;
    const int64_t channels = x->n_dims == 1 ? 1 : channels_of(a);
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 1, OCT_MAX_DIMS));
    for (int i = 1; i < 5; i++)
        OCT_TRY(check_per_channel(ctx, a, i, channels));
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_instance_norm(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 3, OCT_MAX_DIMS));
    OCT_TRY(check_per_channel(ctx, a, 1, channels_of(a)));
    OCT_TRY(check_per_channel(ctx, a, 2, channels_of(a)));
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_group_norm(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_norm *at = a->attr;
    const int64_t channels = channels_of(a);
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, OCT_MAX_DIMS));
    if (at->num_groups < 1 || (channels >= 0 && channels % at->num_groups != 0))
        return oct_fail(ctx, OCT_ERR_SHAPE, "num_groups: %lld, expected a divisor of %lld channels",
                        (long long)at->num_groups, (long long)channels);
    OCT_TRY(check_per_channel(ctx, a, 1, at->per_group_scale ? at->num_groups : channels));
    OCT_TRY(check_per_channel(ctx, a, 2, at->per_group_scale ? at->num_groups : channels));
    return oct_infer_like_input(ctx, a);
}

/* LayerNormalization and RMSNormalization normalize over axes [axis, rank). */
static oct_status infer_layer_norm(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_norm *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    int axis;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_like_input(ctx, a));
    if (x->n_dims < 0) {
        oct_infer_set_unknown(a, 1, OCT_DT_F32);
        oct_infer_set_unknown(a, 2, OCT_DT_F32);
        return OCT_OK;
    }
    OCT_TRY(oct_infer_axis(ctx, at->axis, x->n_dims, "axis", &axis));
    for (int i = 1; i < 3; i++) {
        const oct_tensor_desc *p = oct_infer_in(a, i);
        oct_shape both;
        if (!p || p->shape.n_dims < 0)
            continue;
        OCT_TRY(oct_infer_broadcast(ctx, a, x, &p->shape, &both));
        if (both.n_dims != x->n_dims)
            return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: rank %d, at most %d", i, p->shape.n_dims,
                            x->n_dims);
        for (int k = 0; k < both.n_dims; k++) {
            if (!oct_infer_merge_dim(both.dim[k], x->dim[k], NULL))
                return oct_fail(ctx, OCT_ERR_SHAPE, "input %d: does not broadcast to the input", i);
        }
    }
    oct_shape stat = *x;
    for (int k = axis; k < stat.n_dims; k++)
        stat.dim[k] = 1;
    oct_infer_set(a, 1, OCT_DT_F32, &stat);
    oct_infer_set(a, 2, OCT_DT_F32, &stat);
    return OCT_OK;
}

static oct_status infer_lrn(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_norm *at = a->attr;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, OCT_MAX_DIMS));
    if (at->size < 1 || at->size > INT32_MAX)
        return oct_fail(ctx, OCT_ERR_SHAPE, "size: %lld, expected at least 1", (long long)at->size);
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_lp_norm(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_norm *at = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    int axis;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    if (at->p != 1 && at->p != 2)
        return oct_fail(ctx, OCT_ERR_SHAPE, "p: %lld, expected 1 or 2", (long long)at->p);
    if (x->n_dims >= 0)
        OCT_TRY(oct_infer_axis(ctx, at->axis, x->n_dims, "axis", &axis));
    return oct_infer_like_input(ctx, a);
}

static oct_status infer_mean_variance(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape;
    const oct_tensor *axes = oct_infer_data(a, 1);
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "input", OCT_DTS_FLOAT));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "axes", OCT_DT_BIT(S64)));
    if (oct_infer_in(a, 1) && !axes)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "axes (input 1): not constant");
    size_t n = 0;
    if (axes && x->n_dims >= 0 && oct_shape_elems(&axes->desc.shape, &n)) {
        for (size_t i = 0; i < n; i++) {
            int axis;
            OCT_TRY(
                oct_infer_axis(ctx, ((const int64_t *)axes->data)[i], x->n_dims, "axes", &axis));
        }
    } else if (!axes) {
        OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 4, OCT_MAX_DIMS)); /* axes 0, 2, 3 */
    }
    return oct_infer_like_input(ctx, a);
}

const oct_infer_entry oct_infer_norm[] = {
    {OCT_OP_BATCH_NORM, infer_batch_norm},
    {OCT_OP_INSTANCE_NORM, infer_instance_norm},
    {OCT_OP_GROUP_NORM, infer_group_norm},
    {OCT_OP_LAYER_NORM, infer_layer_norm},
    {OCT_OP_RMS_NORM, infer_layer_norm},
    {OCT_OP_LRN, infer_lrn},
    {OCT_OP_LP_NORM, infer_lp_norm},
    {OCT_OP_MEAN_VARIANCE_NORM, infer_mean_variance},
    {0},
};
