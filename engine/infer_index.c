/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that pick or place elements by index: Gather, GatherElements, GatherND,
 * ScatterElements, ScatterND, Compress. The indices' values are checked when they run.
 */
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

#define INDEX_TYPES (OCT_DT_BIT(S32) | OCT_DT_BIT(S64))

static oct_status unknown_output(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape s = {.n_dims = -1};
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
}

static oct_status infer_gather(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape, *index = &a->in[1].desc.shape;
    int axis = 0;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "indices", INDEX_TYPES));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "data", 1, OCT_MAX_DIMS));
    if (x->n_dims < 0 || index->n_dims < 0)
        return unknown_output(ctx, a);
    OCT_TRY(oct_infer_axis(ctx, ((const oct_attr_axis *)a->attr)->axis, x->n_dims, "axis", &axis));
    oct_shape s = {.n_dims = x->n_dims - 1 + index->n_dims};
    if (s.n_dims > OCT_MAX_DIMS)
        return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s); /* names the limit */
    int to = 0;
    for (int i = 0; i < x->n_dims; i++) {
        if (i != axis)
            s.dim[to++] = x->dim[i];
        for (int k = 0; i == axis && k < index->n_dims; k++)
            s.dim[to++] = index->dim[k];
    }
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
}

/* The indices have the data's rank and, but for `axis`, at most its dims. */
static oct_status check_elements(oct_ctx *ctx, const oct_infer_args *a, int64_t attr_axis)
{
    const oct_shape *x = &a->in[0].desc.shape, *index = &a->in[1].desc.shape;
    int axis = 0;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "indices", INDEX_TYPES));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "data", 1, OCT_MAX_DIMS));
    if (x->n_dims < 0)
        return OCT_OK;
    OCT_TRY(oct_infer_axis(ctx, attr_axis, x->n_dims, "axis", &axis));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "indices", x->n_dims, x->n_dims));
    for (int k = 0; k < index->n_dims; k++)
        if (k != axis && index->dim[k] >= 0 && x->dim[k] >= 0 && index->dim[k] > x->dim[k])
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "indices (input 1): dimension %d is %lld, data has "
                            "%lld",
                            k, (long long)index->dim[k], (long long)x->dim[k]);
    return OCT_OK;
}

static oct_status infer_gather_elements(oct_ctx *ctx, const oct_infer_args *a)
{
    OCT_TRY(check_elements(ctx, a, ((const oct_attr_axis *)a->attr)->axis));
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &a->in[1].desc.shape);
}

/* Length of the index tuples: the last dim of `indices`, which must be known. */
static oct_status tuple_depth(oct_ctx *ctx, const oct_infer_args *a, int left, int *depth)
{
    const oct_shape *index = &a->in[1].desc.shape;
    const int64_t n = index->dim[index->n_dims - 1];
    if (n >= 0 && (n < 1 || n > left))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "indices (input 1): last dimension %lld, expected 1 to "
                        "%d",
                        (long long)n, left);
    *depth = n >= 0 ? (int)n : -1;
    return OCT_OK;
}

static oct_status infer_gather_nd(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape, *index = &a->in[1].desc.shape;
    const int64_t batch = ((const oct_attr_gather_nd *)a->attr)->batch_dims;
    oct_shape s = {.n_dims = 0};
    int depth = 0;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "indices", INDEX_TYPES));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "data", 1, OCT_MAX_DIMS));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "indices", 1, OCT_MAX_DIMS));
    if (x->n_dims < 0 || index->n_dims < 0)
        return unknown_output(ctx, a);
    if (batch < 0 || batch >= x->n_dims || batch >= index->n_dims)
        return oct_fail(ctx, OCT_ERR_SHAPE, "batch_dims: %lld with ranks %d and %d",
                        (long long)batch, x->n_dims, index->n_dims);
    OCT_TRY(tuple_depth(ctx, a, x->n_dims - (int)batch, &depth));
    if (depth < 0)
        return unknown_output(ctx, a);
    for (int k = 0; k < batch; k++)
        if (!oct_infer_merge_dim(x->dim[k], index->dim[k], NULL))
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "indices (input 1): batch dimension %d is %lld, "
                            "data has %lld",
                            k, (long long)index->dim[k], (long long)x->dim[k]);
    s.n_dims = index->n_dims - 1 + x->n_dims - (int)batch - depth;
    if (s.n_dims <= OCT_MAX_DIMS) {
        int to = 0;
        for (int k = 0; k < index->n_dims - 1; k++)
            s.dim[to++] = index->dim[k];
        for (int k = (int)batch + depth; k < x->n_dims; k++)
            s.dim[to++] = x->dim[k];
    }
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
}

static oct_status check_reduction(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_scatter *attr = a->attr;
    OCT_TRY(oct_infer_check_same_dtype(ctx, a, 0, 2));
    if ((unsigned)attr->reduction > OCT_SCATTER_MIN)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "reduction: %d", (int)attr->reduction);
    return OCT_OK;
}

static oct_status infer_scatter_elements(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *index = &a->in[1].desc.shape, *updates = &a->in[2].desc.shape;
    OCT_TRY(check_reduction(ctx, a));
    OCT_TRY(check_elements(ctx, a, ((const oct_attr_scatter *)a->attr)->axis));
    if (index->n_dims >= 0)
        OCT_TRY(oct_infer_check_rank(ctx, a, 2, "updates", index->n_dims, index->n_dims));
    for (int k = 0; k < index->n_dims && k < updates->n_dims; k++)
        if (!oct_infer_merge_dim(index->dim[k], updates->dim[k], NULL))
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "updates (input 2): dimension %d is %lld, indices "
                            "have %lld",
                            k, (long long)updates->dim[k], (long long)index->dim[k]);
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &a->in[0].desc.shape);
}

static oct_status infer_scatter_nd(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape, *index = &a->in[1].desc.shape;
    const oct_shape *updates = &a->in[2].desc.shape;
    int depth = -1;
    OCT_TRY(check_reduction(ctx, a));
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "indices", INDEX_TYPES));
    OCT_TRY(oct_infer_check_rank(ctx, a, 0, "data", 1, OCT_MAX_DIMS));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "indices", 1, OCT_MAX_DIMS));
    if (x->n_dims >= 0 && index->n_dims >= 0)
        OCT_TRY(tuple_depth(ctx, a, x->n_dims, &depth));
    if (depth >= 0) {
        const int rank = index->n_dims - 1 + x->n_dims - depth;
        OCT_TRY(oct_infer_check_rank(ctx, a, 2, "updates", rank, rank));
        for (int k = 0; k < updates->n_dims; k++) {
            const int64_t want =
                k < index->n_dims - 1 ? index->dim[k] : x->dim[depth + k - (index->n_dims - 1)];
            if (!oct_infer_merge_dim(want, updates->dim[k], NULL))
                return oct_fail(ctx, OCT_ERR_SHAPE,
                                "updates (input 2): dimension %d is %lld, expected %lld", k,
                                (long long)updates->dim[k], (long long)want);
        }
    }
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, x);
}

static oct_status infer_compress(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_axis *attr = a->attr;
    const oct_shape *x = &a->in[0].desc.shape, *c = &a->in[1].desc.shape;
    const oct_tensor *keep = oct_infer_data(a, 1);
    oct_shape s = {.n_dims = 1};
    int axis = 0;
    size_t limit = SIZE_MAX;
    OCT_TRY(oct_infer_check_dtype(ctx, a, 1, "condition", OCT_DT_BIT(BOOL)));
    OCT_TRY(oct_infer_check_rank(ctx, a, 1, "condition", 1, 1));
    if (attr->has_axis && x->n_dims < 0)
        return unknown_output(ctx, a);
    if (attr->has_axis) {
        OCT_TRY(oct_infer_axis(ctx, attr->axis, x->n_dims, "axis", &axis));
        s = *x;
        limit = x->dim[axis] >= 0 ? (size_t)x->dim[axis] : SIZE_MAX;
    } else if (x->n_dims >= 0 && oct_shape_is_known(x) && !oct_shape_elems(x, &limit)) {
        return oct_fail(ctx, OCT_ERR_LIMIT, "input: too many elements");
    }
    if (keep && c->dim[0] >= 0 && x->n_dims >= 0 && oct_shape_is_known(x)) {
        int64_t n = 0;
        for (size_t i = 0; i < (size_t)c->dim[0] && i < limit; i++)
            n += ((const uint8_t *)keep->data)[i] != 0;
        s.dim[axis] = n;
    } else {
        s.dim[axis] = oct_infer_symbol(a);
    }
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
}

const oct_infer_entry oct_infer_index[] = {
    {OCT_OP_GATHER, infer_gather},
    {OCT_OP_GATHER_ELEMENTS, infer_gather_elements},
    {OCT_OP_GATHER_ND, infer_gather_nd},
    {OCT_OP_SCATTER_ELEMENTS, infer_scatter_elements},
    {OCT_OP_SCATTER_ND, infer_scatter_nd},
    {OCT_OP_COMPRESS, infer_compress},
    {OCT_OP_COUNT, NULL},
};
