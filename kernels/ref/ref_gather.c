/* SPDX-License-Identifier: Apache-2.0
 *
 * Gather, GatherElements, GatherND, Compress: picking elements by index, any element type.
 * All indices are checked, with position and value in the message, before anything is copied.
 */
#include <string.h>

#include "base/parallel.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_index.h"

/* Dense data seen as [outer, dim, inner] around an axis. */
typedef struct axis_view {
    int64_t outer, dim, inner;
} axis_view;

static axis_view view_of(const oct_shape *s, int axis)
{
    axis_view v = {1, s->dim[axis], 1};
    for (int i = 0; i < axis; i++)
        v.outer *= s->dim[i];
    for (int i = axis + 1; i < s->n_dims; i++)
        v.inner *= s->dim[i];
    return v;
}

static int resolve_axis(const oct_op_desc *d)
{
    const int64_t axis = ((const oct_attr_axis *)d->attr)->axis;
    return (int)(axis < 0 ? axis + d->in[0].desc.shape.n_dims : axis);
}

typedef struct gather_job {
    char *dst;
    const char *src;
    const void *index;
    oct_dtype index_dt;
    int64_t n_index;
    axis_view v;
    size_t bytes; /* of one copied piece */
} gather_job;

static void gather_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const gather_job *j = user;
    for (size_t i = lo; i < hi; i++) {
        const int64_t outer = (int64_t)i / j->n_index;
        int64_t k = oct_ref_get_s64(j->index, j->index_dt, (int64_t)i % j->n_index);
        k += k < 0 ? j->v.dim : 0;
        memcpy(j->dst + i * j->bytes, j->src + (size_t)(outer * j->v.dim + k) * j->bytes, j->bytes);
    }
}

static oct_status run_gather(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    gather_job j = {.dst = a->out[0], .src = a->in[0], .index = a->in[1]};
    size_t n = 0;
    j.v = view_of(&d->in[0].desc.shape, resolve_axis(d));
    j.index_dt = d->in[1].desc.dtype;
    j.bytes = (size_t)j.v.inner * oct_dtype_bytes(d->in[0].desc.dtype);
    if (!oct_shape_elems(&d->in[1].desc.shape, &n) || n == 0 || j.v.outer == 0)
        return OCT_OK;
    j.n_index = (int64_t)n;
    OCT_TRY(oct_ref_check_indices(ctx, "Gather", a->in[1], j.index_dt, j.n_index, j.v.dim));
    if (j.bytes > 0)
        oct_parallel_for(d->threads, (size_t)j.v.outer * n, 65536 / j.bytes + 1, gather_range, &j);
    return OCT_OK;
}

/* out[i][j][k] = data[i][index[i][j][k]][k], with each axis but the picked one possibly shorter
 * in the index tensor than in the data. */
static oct_status run_gather_elements(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_tensor_desc *x = &d->in[0].desc, *index = &d->in[1].desc;
    const int axis = resolve_axis(d);
    const size_t bytes = oct_dtype_bytes(x->dtype);
    size_t n = 0;
    int64_t at[OCT_MAX_DIMS] = {0};
    if (!oct_shape_elems(&index->shape, &n))
        return OCT_OK;
    OCT_TRY(oct_ref_check_indices(ctx, "GatherElements", a->in[1], index->dtype, (int64_t)n,
                                  x->shape.dim[axis]));
    for (size_t i = 0; i < n; i++) {
        int64_t k = oct_ref_get_s64(a->in[1], index->dtype, (int64_t)i), from = 0;
        k += k < 0 ? x->shape.dim[axis] : 0;
        for (int r = 0; r < x->shape.n_dims; r++)
            from += (r == axis ? k : at[r]) * x->stride[r];
        memcpy((char *)a->out[0] + i * bytes, (const char *)a->in[0] + (size_t)from * bytes, bytes);
        oct_ref_index_next(&index->shape, at);
    }
    return OCT_OK;
}

static oct_status run_gather_nd(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_shape *x = &d->in[0].desc.shape, *index = &d->in[1].desc.shape;
    const int batch = (int)((const oct_attr_gather_nd *)d->attr)->batch_dims;
    const int depth = (int)index->dim[index->n_dims - 1];
    int64_t n_batch = 1, per_batch = 1, batch_elems = 1;
    for (int i = 0; i < batch; i++)
        n_batch *= x->dim[i];
    for (int i = batch; i < index->n_dims - 1; i++)
        per_batch *= index->dim[i];
    for (int i = batch; i < x->n_dims; i++)
        batch_elems *= x->dim[i];
    const oct_ref_nd nd = oct_ref_nd_make(x, batch, depth);
    const size_t elem = oct_dtype_bytes(d->in[0].desc.dtype);
    for (int64_t i = 0; i < n_batch * per_batch; i++) {
        int64_t from;
        OCT_TRY(oct_ref_nd_offset(ctx, "GatherND", &nd, a->in[1], d->in[1].desc.dtype, i, &from));
        from += i / per_batch * batch_elems;
        memcpy((char *)a->out[0] + (size_t)(i * nd.slice) * elem,
               (const char *)a->in[0] + (size_t)from * elem, (size_t)nd.slice * elem);
    }
    return OCT_OK;
}

/* Slices whose condition holds; without an axis, elements of the flattened data. */
static oct_status run_compress(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_axis *attr = d->attr;
    const oct_shape *x = &d->in[0].desc.shape, *y = &d->out[0].desc.shape;
    const uint8_t *keep = a->in[1];
    const int64_t n_keep = d->in[1].desc.shape.dim[0];
    axis_view v = {1, 1, 1};
    int64_t kept = 0, expected = y->dim[0];
    if (attr->has_axis) {
        v = view_of(x, resolve_axis(d));
        expected = y->dim[resolve_axis(d)];
    } else {
        for (int i = 0; i < x->n_dims; i++)
            v.dim *= x->dim[i];
    }
    const int64_t n = n_keep < v.dim ? n_keep : v.dim;
    for (int64_t i = 0; i < n; i++)
        kept += keep[i] != 0;
    if (kept != expected)
        return oct_fail(ctx, OCT_ERR_SHAPE, "Compress: condition keeps %lld slices, planned %lld",
                        (long long)kept, (long long)expected);
    const size_t bytes = (size_t)v.inner * oct_dtype_bytes(d->in[0].desc.dtype);
    char *to = a->out[0];
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < n; i++) {
            if (!keep[i])
                continue;
            memcpy(to, (const char *)a->in[0] + (size_t)(o * v.dim + i) * bytes, bytes);
            to += bytes;
        }
    return OCT_OK;
}

const oct_ref_entry oct_ref_gather[] = {
    {OCT_OP_GATHER, run_gather, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_GATHER_ELEMENTS, run_gather_elements, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_GATHER_ND, run_gather_nd, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_COMPRESS, run_compress, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
