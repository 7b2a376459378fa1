/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that keep the elements in their order: Reshape, Flatten, Squeeze, Unsqueeze; and
 * Transpose. Works with symbols: Reshape's -1 is solved by cancelling equal unknowns.
 */
#include <string.h>

#include "base/checked.h"
#include "engine/infer_internal.h"
#include "engine/infer_values.h"

/* A product of dims: the known part and the unknown factors. */
typedef struct dim_product {
    int64_t known;
    bool overflow;
    int n_symbols;
    int64_t symbol[OCT_MAX_DIMS];
} dim_product;

static dim_product product_of(const oct_shape *s, int skip)
{
    dim_product p = {.known = 1};
    for (int i = 0; i < s->n_dims; i++) {
        if (i == skip)
            continue;
        if (s->dim[i] < 0)
            p.symbol[p.n_symbols++] = s->dim[i];
        else if (!oct_mul_s64(p.known, s->dim[i], &p.known))
            p.overflow = true;
    }
    return p;
}

static void cancel_symbols(dim_product *x, dim_product *y)
{
    for (int i = 0; i < x->n_symbols; i++)
        for (int k = 0; k < y->n_symbols; k++)
            if (x->symbol[i] == y->symbol[k]) {
                x->symbol[i--] = x->symbol[--x->n_symbols];
                y->symbol[k] = y->symbol[--y->n_symbols];
                break;
            }
}

/* Dim `at` of `s` such that `s` has as many elements as `x`. */
static oct_status solve_dim(oct_ctx *ctx, const oct_infer_args *a, const oct_shape *x, int at,
                            oct_shape *s)
{
    dim_product from = product_of(x, -1), to = product_of(s, at);
    cancel_symbols(&from, &to);
    if (from.overflow || to.overflow)
        return oct_fail(ctx, OCT_ERR_LIMIT, "shape: the number of elements does not fit 64 bits");
    if (from.n_symbols == 0 && to.n_symbols == 0) {
        char text[OCT_SHAPE_STR_BYTES];
        if (to.known == 0 || from.known % to.known != 0)
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "shape (input 1): -1 among dimensions of product %lld does not fit "
                            "data of shape %s",
                            (long long)to.known, oct_shape_str(x, text, sizeof text));
        s->dim[at] = from.known / to.known;
    } else if (from.n_symbols == 1 && to.n_symbols == 0 && from.known == to.known) {
        s->dim[at] = from.symbol[0];
    } else {
        s->dim[at] = oct_infer_symbol(a);
    }
    return OCT_OK;
}

static oct_status check_same_elems(oct_ctx *ctx, const oct_shape *x, const oct_shape *y)
{
    char from[OCT_SHAPE_STR_BYTES], to[OCT_SHAPE_STR_BYTES];
    dim_product p = product_of(x, -1), q = product_of(y, -1);
    cancel_symbols(&p, &q);
    if (p.n_symbols || q.n_symbols || (!p.overflow && !q.overflow && p.known == q.known))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_SHAPE, "shape (input 1): %s, expected the elements of %s",
                    oct_shape_str(y, to, sizeof to), oct_shape_str(x, from, sizeof from));
}

/* Entry `k` of the shape input; *solve becomes k when it is -1. */
static oct_status reshape_dim(oct_ctx *ctx, const oct_infer_args *a, int64_t v, int k, oct_shape *s,
                              int *solve)
{
    const oct_shape *x = &a->in[0].desc.shape;
    const bool copies = v == 0 && !((const oct_attr_reshape *)a->attr)->allow_zero;
    s->dim[k] = v;
    if (copies && x->n_dims < 0) {
        s->dim[k] = oct_infer_symbol(a);
    } else if (copies) {
        if (k >= x->n_dims)
            return oct_fail(ctx, OCT_ERR_SHAPE,
                            "shape (input 1): entry %d is 0 but data has rank %d", k, x->n_dims);
        s->dim[k] = x->dim[k];
    } else if (v == -1) {
        if (*solve >= 0)
            return oct_fail(ctx, OCT_ERR_SHAPE, "shape (input 1): more than one -1");
        *solve = k;
    } else if (v < -1 && !oct_dim_is_symbol(v)) {
        return oct_fail(ctx, OCT_ERR_SHAPE, "shape (input 1): entry %d is %lld", k, (long long)v);
    }
    return OCT_OK;
}

static oct_status infer_reshape(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor_desc *x = &a->in[0].desc;
    oct_infer_values v;
    oct_shape s = {.n_dims = -1};
    int solve = -1;
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "shape", OCT_MAX_DIMS, &v));
    if (!v.known) {
        if (v.n >= 0)
            OCT_TRY(oct_infer_symbols(ctx, a, v.n, &s));
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    }
    s.n_dims = v.n;
    for (int k = 0; k < v.n; k++)
        OCT_TRY(reshape_dim(ctx, a, v.v[k], k, &s, &solve));
    if (solve >= 0 && x->shape.n_dims < 0)
        s.dim[solve] = oct_infer_symbol(a);
    else if (solve >= 0)
        OCT_TRY(solve_dim(ctx, a, &x->shape, solve, &s));
    else if (x->shape.n_dims >= 0)
        OCT_TRY(check_same_elems(ctx, &x->shape, &s));
    return oct_infer_output(ctx, a, 0, x->dtype, &s);
}

static oct_status infer_flatten(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_shape *x = &a->in[0].desc.shape;
    const int64_t attr_axis = ((const oct_attr_axis *)a->attr)->axis;
    oct_shape s = {.n_dims = 2, .dim = {1, 1}};
    if (x->n_dims < 0) {
        OCT_TRY(oct_infer_symbols(ctx, a, 2, &s));
        return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
    }
    int axis = x->n_dims; /* the rank itself is allowed */
    if (attr_axis != x->n_dims)
        OCT_TRY(oct_infer_axis(ctx, attr_axis, x->n_dims, "axis", &axis));
    for (int i = 0; i < x->n_dims; i++) {
        int64_t *dim = &s.dim[i < axis ? 0 : 1];
        if (*dim < 0 || x->dim[i] < 0)
            *dim = oct_infer_mul_dims(a, *dim, x->dim[i]);
        else if (!oct_mul_s64(*dim, x->dim[i], dim))
            return oct_fail(ctx, OCT_ERR_LIMIT, "input: the number of elements does not fit");
    }
    return oct_infer_output(ctx, a, 0, a->in[0].desc.dtype, &s);
}

static oct_status squeeze_axes(oct_ctx *ctx, const oct_shape *x, const oct_infer_values *axes,
                               oct_shape *s)
{
    bool drop[OCT_MAX_DIMS] = {false};
    for (int k = 0; k < axes->n; k++) {
        const int64_t axis = axes->v[k];
        if (x->dim[axis] >= 0 && x->dim[axis] != 1)
            return oct_fail(ctx, OCT_ERR_SHAPE, "axes: axis %lld has %lld elements, expected 1",
                            (long long)axis, (long long)x->dim[axis]);
        drop[axis] = true;
    }
    s->n_dims = 0;
    for (int i = 0; i < x->n_dims; i++)
        if (!drop[i])
            s->dim[s->n_dims++] = x->dim[i];
    return OCT_OK;
}

static oct_status infer_squeeze(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor_desc *x = &a->in[0].desc;
    oct_infer_values axes;
    oct_shape s = {.n_dims = -1};
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "axes", OCT_MAX_DIMS, &axes));
    if (x->shape.n_dims < 0 || (axes.present && axes.n < 0))
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    if (!axes.present) { /* every axis of size 1; an unknown one could be such */
        axes.n = 0;
        for (int i = 0; i < x->shape.n_dims; i++) {
            if (x->shape.dim[i] < 0)
                return oct_infer_output(ctx, a, 0, x->dtype, &s);
            if (x->shape.dim[i] == 1)
                axes.v[axes.n++] = i;
        }
    } else if (!axes.known) {
        if (axes.n <= x->shape.n_dims)
            OCT_TRY(oct_infer_symbols(ctx, a, x->shape.n_dims - axes.n, &s));
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    }
    OCT_TRY(oct_infer_values_axes(ctx, &axes, x->shape.n_dims, "axes"));
    OCT_TRY(squeeze_axes(ctx, &x->shape, &axes, &s));
    return oct_infer_output(ctx, a, 0, x->dtype, &s);
}

static oct_status infer_unsqueeze(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_tensor_desc *x = &a->in[0].desc;
    oct_infer_values axes;
    oct_shape s = {.n_dims = -1};
    bool added[2 * OCT_MAX_DIMS] = {false};
    OCT_TRY(oct_infer_values_read(ctx, a, 1, "axes", OCT_MAX_DIMS, &axes));
    if (x->shape.n_dims < 0 || axes.n < 0)
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    const int rank = x->shape.n_dims + axes.n;
    if (rank > OCT_MAX_DIMS || !axes.known) {
        OCT_TRY(oct_infer_symbols(ctx, a, rank, &s));
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    }
    OCT_TRY(oct_infer_values_axes(ctx, &axes, rank, "axes"));
    for (int k = 0; k < axes.n; k++)
        added[axes.v[k]] = true;
    s.n_dims = rank;
    for (int i = 0, from = 0; i < rank; i++)
        s.dim[i] = added[i] ? 1 : x->shape.dim[from++];
    return oct_infer_output(ctx, a, 0, x->dtype, &s);
}

static oct_status infer_transpose(oct_ctx *ctx, const oct_infer_args *a)
{
    const oct_attr_transpose *attr = a->attr;
    const oct_tensor_desc *x = &a->in[0].desc;
    oct_shape s = {.n_dims = x->shape.n_dims};
    uint32_t seen = 0;
    if (s.n_dims < 0 && attr->n_perm > 0)
        OCT_TRY(oct_infer_symbols(ctx, a, attr->n_perm, &s));
    if (x->shape.n_dims < 0)
        return oct_infer_output(ctx, a, 0, x->dtype, &s);
    if (attr->n_perm != 0 && attr->n_perm != s.n_dims)
        return oct_fail(ctx, OCT_ERR_SHAPE, "perm: %d entries for rank %d", attr->n_perm, s.n_dims);
    for (int i = 0; i < s.n_dims; i++) {
        const int64_t from = attr->n_perm ? attr->perm[i] : s.n_dims - 1 - i;
        if (from < 0 || from >= s.n_dims || (seen >> from & 1))
            return oct_fail(ctx, OCT_ERR_SHAPE, "perm: entry %d is %lld, no permutation of rank %d",
                            i, (long long)from, s.n_dims);
        seen |= 1u << from;
        s.dim[i] = x->shape.dim[from];
    }
    return oct_infer_output(ctx, a, 0, x->dtype, &s);
}

const oct_infer_entry oct_infer_reshape[] = {
    {OCT_OP_RESHAPE, infer_reshape},     {OCT_OP_FLATTEN, infer_flatten},
    {OCT_OP_SQUEEZE, infer_squeeze},     {OCT_OP_UNSQUEEZE, infer_unsqueeze},
    {OCT_OP_TRANSPOSE, infer_transpose}, {OCT_OP_COUNT, NULL},
};
