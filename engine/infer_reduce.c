/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions and operators along one axis: ReduceX, ArgMax, ArgMin, TopK, CumSum.
 */
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

#define INTS                                                                                 \
    (OCT_DT_BIT(S8) | OCT_DT_BIT(U8) | OCT_DT_BIT(S16) | OCT_DT_BIT(U16) | OCT_DT_BIT(S32) | \
     OCT_DT_BIT(U32) | OCT_DT_BIT(S64) | OCT_DT_BIT(U64))
#define NUMBERS (INTS | OCT_DTS_FLOAT)

static oct_status reduced_shape(oct_ctx *ctx, const oct_infer_args *a, oct_infer_values *axes,
                                oct_shape *out)
{
    const oct_attr_reduce *attr = a->attr;
    const oct_shape *x = &a->in[0].desc.shape;
    bool reduced[OCT_MAX_DIMS];
    const bool named = axes->present && axes->n != 0;
    if (named)
        OCT_TRY(oct_infer_values_axes(ctx, axes, x->n_dims, "axes"));
    for (int i = 0; i < x->n_dims; i++)
        reduced[i] = !named && !attr->noop_with_empty_axes;
    for (int k = 0; named && k < axes->n; k++)
        reduced[axes->v[k]] = true;
    out->n_dims = 0;
    for (int i = 0; i < x->n_dims; i++)
        if (!reduced[i] || attr->keepdims)
            out->dim[out->n_dims++] = reduced[i] ? 1 : x->dim[i];
    return OCT_OK;
}

static oct_status infer_reduce(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_reduce *attr = a->attr;
    const oct_tensor_desc *x = &a->in[0].desc;
    const bool order = a->op == OCT_OP_REDUCE_MAX || a->op == OCT_OP_REDUCE_MIN;
    oct_infer_values axes;
    oct_shape s = {.n_dims = -1};
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "data", NUMBERS | (order ? OCT_DT_BIT(BOOL) : 0)));
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "axes", OCT_MAX_DIMS, &axes));
    const bool known = !axes.present || axes.known || axes.n == 0;
    if (x->shape.n_dims >= 0 && known)
        OCT_TRY(reduced_shape(ctx, a, &axes, &s));
    else if (x->shape.n_dims >= 0 && attr->keepdims)
        OCT_TRY(oct_infer_symbols(ctx, a, x->shape.n_dims, &s));
    else if (x->shape.n_dims >= 0 && axes.n > 0 && axes.n <= x->shape.n_dims)
        OCT_TRY(oct_infer_symbols(ctx, a, x->shape.n_dims - axes.n, &s));
    return oct_infer_output(ctx, a, 0, x->dtype, &s);
}

static oct_status infer_arg(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_axis *attr = a->attr;
    oct_shape s = a->in[0].desc.shape;
    int axis = 0;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "data", NUMBERS));
    if (s.n_dims < 0)
        return oct_infer_output(ctx, a, 0, OCT_DT_S64, &s);
    if (s.n_dims > 0 || (attr->axis != 0 && attr->axis != -1))
        OCT_TRY(oct_infer_axis(ctx, attr->axis, s.n_dims, "axis", &axis));
    if (s.n_dims > 0 && s.dim[axis] == 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "data: axis %d is empty, nothing to choose from", axis);
    if (s.n_dims > 0 && attr->keepdims) {
        s.dim[axis] = 1;
    } else if (s.n_dims > 0) {
        for (int i = axis + 1; i < s.n_dims; i++)
            s.dim[i - 1] = s.dim[i];
        s.n_dims--;
    }
    return oct_infer_output(ctx, a, 0, OCT_DT_S64, &s);
}

static oct_status infer_top_k(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_axis *attr = a->attr;
    oct_shape s = a->in[0].desc.shape;
    oct_infer_values k;
    int axis = 0;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "x", NUMBERS));
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "k", 1, &k));
    if (!k.present || k.n == 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "k (input 1): must be one number");
    if (s.n_dims >= 0) {
        OCT_TRY(oct_infer_axis(ctx, attr->axis, s.n_dims, "axis", &axis));
        const int64_t dim = s.dim[axis];
        s.dim[axis] = k.known ? k.v[0] : oct_infer_symbol(a);
        if (k.known && (k.v[0] < 0 || (dim >= 0 && k.v[0] > dim)) && !oct_dim_is_symbol(k.v[0]))
            return oct_fail(ctx, OCT_ERR_SHAPE, "k: %lld of the %lld elements of axis %d",
                            (long long)k.v[0], (long long)dim, axis);
    }
    OCT_TRY(oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s));
    return oct_infer_output(ctx, a, 1, OCT_DT_S64, &s);
}

static oct_status infer_cum_sum(oct_ctx *ctx, const oct_infer_args *a)
{
    const int rank = a->in[0].desc.shape.n_dims;
    oct_infer_values axis;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 0, "x", NUMBERS));
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "axis", 1, &axis));
    if (!axis.present || axis.n == 0)
        return oct_fail(ctx, OCT_ERR_SHAPE, "axis (input 1): must be one number");
    if (rank >= 0 && axis.known)
        OCT_TRY(oct_infer_values_axes(ctx, &axis, rank, "axis"));
    return oct_infer_like_input(ctx, a);
}

const oct_infer_entry oct_infer_reduce[] = {
    {OCT_OP_REDUCE_SUM, infer_reduce},
    {OCT_OP_REDUCE_MEAN, infer_reduce},
    {OCT_OP_REDUCE_MAX, infer_reduce},
    {OCT_OP_REDUCE_MIN, infer_reduce},
    {OCT_OP_REDUCE_PROD, infer_reduce},
    {OCT_OP_REDUCE_L1, infer_reduce},
    {OCT_OP_REDUCE_L2, infer_reduce},
    {OCT_OP_REDUCE_SUM_SQUARE, infer_reduce},
    {OCT_OP_REDUCE_LOG_SUM, infer_reduce},
    {OCT_OP_REDUCE_LOG_SUM_EXP, infer_reduce},
    {OCT_OP_ARG_MAX, infer_arg},
    {OCT_OP_ARG_MIN, infer_arg},
    {OCT_OP_TOP_K, infer_top_k},
    {OCT_OP_CUM_SUM, infer_cum_sum},
    {OCT_OP_COUNT, NULL},
};
