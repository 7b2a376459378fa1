/* SPDX-License-Identifier: Apache-2.0
 *
 * Types and tensors out of shapes and scalars: Cast, Dropout, ConstantOfShape, Shape, Size,
 * Range, EyeLike, NonZero, OneHot.
 */
#include <math.h>

#include "base/numeric.h"
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

static oct_status infer_identity(oct_ctx *ctx, const oct_infer_args *a)
{
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &a->in[0].desc.shape);
}

static oct_status infer_cast(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_dtype to =
        a->op == OCT_OP_CAST_LIKE ? a->in[1].desc.dtype : ((const oct_attr_cast *)a->attr)->to;
    if (to == OCT_DT_NONE || to >= OCT_DT_COUNT)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "to: strings, complex, 8-bit float and 4-bit types are not supported");
    return oct_infer_output(ctx, a, 0, to, &a->in[0].desc.shape);
}

/* Output 1 keeps everything: octet runs inference only. */
static oct_status infer_dropout(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor *training = oct_infer_data(a, 2);
    if (training && training->desc.dtype == OCT_DT_BOOL && *(const uint8_t *)training->data)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "training_mode (input 2): must be false");
    OCT_TRY(infer_identity(ctx, a));
    return oct_infer_output(ctx, a, 1, OCT_DT_BOOL, &a->in[0].desc.shape);
}

static oct_status infer_constant_of_shape(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_fill *attr = a->attr;
    oct_infer_values v;
    oct_shape s = {.n_dims = -1};
    OCT_TRY(oct_infer_values_read(ctx, a, 0, "input", OCT_MAX_DIMS, &v));
    if (v.known) {
        s.n_dims = v.n;
        for (int k = 0; k < v.n; k++)
            s.dim[k] = v.v[k];
    } else if (v.n >= 0) {
        OCT_TRY(oct_infer_symbols(ctx, a, v.n, &s));
    }
    return oct_infer_output(ctx, a, 0, attr->dtype, &s);
}

static int clamp_axis(int64_t axis, int rank)
{
    axis += axis < 0 ? rank : 0;
    return (int)(axis < 0 ? 0 : axis > rank ? rank : axis);
}

static oct_status infer_shape(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_shape *attr = a->attr;
    const int rank = a->in[0].desc.shape.n_dims;
    oct_shape s = {.n_dims = 1};
    if (rank < 0) {
        s.dim[0] = oct_infer_symbol(a);
    } else {
        const int start = clamp_axis(attr->start, rank), end = clamp_axis(attr->end, rank);
        s.dim[0] = end > start ? end - start : 0;
    }
    return oct_infer_output(ctx, a, 0, OCT_DT_S64, &s);
}

static oct_status infer_size(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape scalar = {.n_dims = 0};
    return oct_infer_output(ctx, a, 0, OCT_DT_S64, &scalar);
}

/* max(ceil((limit - start) / delta), 0), in the arithmetic of the type's family. */
static oct_status range_count(oct_ctx *ctx, const oct_tensor *const *v, oct_dtype dt, int64_t *n)
{
    const double start = oct_elem_f64(v[0]->data, dt, 0), limit = oct_elem_f64(v[1]->data, dt, 0);
    const double delta = oct_elem_f64(v[2]->data, dt, 0);
    if (delta == 0 || !isfinite(start) || !isfinite(limit) || !isfinite(delta))
        return oct_fail(ctx, OCT_ERR_RANGE,
                        "start, limit, delta: delta must not be 0, none may be "
                        "infinite");
    const double count = ceil((limit - start) / delta);
    if (count > 0x1p48)
        return oct_fail(ctx, OCT_ERR_LIMIT, "start, limit, delta: more than 2^48 elements");
    *n = count > 0 ? (int64_t)count : 0;
    return OCT_OK;
}

static oct_status infer_range(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_dtype dt = a->in[0].desc.dtype;
    const oct_tensor *v[3];
    oct_shape s = {.n_dims = 1};
    bool known = true;
    for (int i = 0; i < 3; i++) {
        OCT_TRY(oct_infer_check_dtype(ctx, a, i, "operand",
                                      OCT_DTS_FLOAT | OCT_DT_BIT(S16) | OCT_DT_BIT(S32) |
                                          OCT_DT_BIT(S64)));
        OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, i));
        OCT_TRY(oct_infer_check_rank(ctx, a, i, "operand", 0, 1));
        const oct_shape *t = &a->in[i].desc.shape;
        if (t->n_dims == 1 && t->dim[0] >= 0 && t->dim[0] != 1)
            return oct_fail(ctx, OCT_ERR_SHAPE, "operand (input %d): must be one number", i);
        v[i] = oct_infer_data(a, i);
        known =
            known && v[i] && !(dt == OCT_DT_S64 && oct_dim_is_symbol(*(const int64_t *)v[i]->data));
    }
    if (known)
        OCT_TRY(range_count(ctx, v, dt, &s.dim[0]));
    else
        s.dim[0] = oct_infer_symbol(a);
    return oct_infer_output(ctx, a, 0, dt, &s);
}

static oct_status infer_eye_like(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_eye *attr = a->attr;
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "input", 2, 2));
    const oct_dtype dt = attr->dtype == OCT_DT_NONE ? a->in[0].desc.dtype : attr->dtype;
    oct_shape s = a->in[0].desc.shape;
    if (s.n_dims < 0)
        OCT_TRY(oct_infer_symbols(ctx, a, 2, &s));
    return oct_infer_output(ctx, a, 0, dt, &s);
}

static int64_t count_non_zero(const oct_tensor *x)
{
    size_t n = 0;
    int64_t found = 0;
    if (!oct_shape_elems(&x->desc.shape, &n))
        return 0;
    for (size_t i = 0; i < n; i++)
        found += oct_elem_f64(x->data, x->desc.dtype, i) != 0;
    return found;
}

static oct_status infer_non_zero(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor *x = oct_infer_data(a, 0);
    const int rank = a->in[0].desc.shape.n_dims;
    oct_shape s = {.n_dims = 2};
    s.dim[0] = rank < 0 ? oct_infer_symbol(a) : rank;
    s.dim[1] = x && oct_shape_is_known(&x->desc.shape) ? count_non_zero(x) : oct_infer_symbol(a);
    return oct_infer_output(ctx, a, 0, OCT_DT_S64, &s);
}

/* The depth: a scalar of any number type. */
static oct_status read_depth(oct_ctx *ctx, const oct_infer_args *a, int64_t *depth)
{
    const oct_tensor *t = oct_infer_data(a, 1);
    size_t n = 0;
    if (t && (!oct_shape_elems(&t->desc.shape, &n) || n != 1))
        return oct_fail(ctx, OCT_ERR_SHAPE, "depth (input 1): must be one number");
    *depth = t ? oct_elem_s64(t->data, t->desc.dtype, 0) : oct_infer_symbol(a);
    if (*depth < 0 && !oct_dim_is_symbol(*depth))
        return oct_fail(ctx, OCT_ERR_SHAPE, "depth: %lld, expected at least 0", (long long)*depth);
    return OCT_OK;
}

static oct_status infer_one_hot(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_axis *attr = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *values = &a->in[2].desc.shape;
    const oct_dtype dt = a->in[2].desc.dtype;
    oct_shape s = {.n_dims = -1};
    int64_t depth = 0;
    int axis = 0;
    OCT_TRY(read_depth(ctx, a, &depth));
    OCT_TRY(oct_infer_check_rank(ctx, a, 2, "values", 1, 1));
    if (values->n_dims == 1 && !oct_infer_merge_dim(values->dim[0], 2, NULL))
        return oct_fail(ctx, OCT_ERR_SHAPE, "values (input 2): %lld elements, expected off and on",
                        (long long)values->dim[0]);
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "indices", 0, OCT_MAX_DIMS - 1));
    if (x->n_dims >= 0) {
        OCT_TRY(oct_infer_axis(ctx, attr->axis, x->n_dims + 1, "axis", &axis));
        s.n_dims = x->n_dims + 1;
        for (int i = 0, from = 0; i < s.n_dims; i++)
            s.dim[i] = i == axis ? depth : x->dim[from++];
    }
    return oct_infer_output(ctx, a, 0, dt, &s);
}

const oct_infer_entry oct_infer_source[] = {
    {OCT_OP_CAST, infer_cast},
    {OCT_OP_CAST_LIKE, infer_cast},
    {OCT_OP_IDENTITY, infer_identity},
    {OCT_OP_REORDER, infer_identity},
    {OCT_OP_DROPOUT, infer_dropout},
    {OCT_OP_CONSTANT_OF_SHAPE, infer_constant_of_shape},
    {OCT_OP_SHAPE, infer_shape},
    {OCT_OP_SIZE, infer_size},
    {OCT_OP_RANGE, infer_range},
    {OCT_OP_EYE_LIKE, infer_eye_like},
    {OCT_OP_NON_ZERO, infer_non_zero},
    {OCT_OP_ONE_HOT, infer_one_hot},
    {OCT_OP_COUNT, NULL},
};
