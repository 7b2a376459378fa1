/* SPDX-License-Identifier: Apache-2.0
 *
 * ScatterElements, ScatterND, OneHot: writing elements by index. Updates are applied in
 * index order by one thread, so that repeated indices have one outcome.
 */
#include <string.h>

#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_binary.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_copy.h"
#include "kernels/ref/ref_index.h"

static void copy_data(const oct_op_desc *d, const oct_run_args *a)
{
    size_t bytes = 0;
    if (a->out[0] != a->in[0] && oct_tensor_desc_bytes(&d->out[0].desc, &bytes) && bytes > 0)
        memcpy(a->out[0], a->in[0], bytes);
}

static void apply(oct_scatter_reduction how, oct_dtype dt, char *dst, const char *src, int64_t n)
{
    static const oct_op ops[] = {[OCT_SCATTER_ADD] = OCT_OP_ADD,
                                 [OCT_SCATTER_MUL] = OCT_OP_MUL,
                                 [OCT_SCATTER_MAX] = OCT_OP_MAX,
                                 [OCT_SCATTER_MIN] = OCT_OP_MIN};
    if (how == OCT_SCATTER_NONE)
        memcpy(dst, src, (size_t)n * oct_dtype_bytes(dt));
    else
        oct_ref_binary_accumulate(ops[how], dt, dst, src, n);
}

static oct_status run_scatter_elements(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_scatter *attr = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *index = &d->in[1].desc;
    const int axis = (int)(attr->axis < 0 ? attr->axis + x->shape.n_dims : attr->axis);
    const size_t bytes = oct_dtype_bytes(x->dtype);
    size_t n = 0;
    int64_t at[OCT_MAX_DIMS] = {0};
    if (!oct_shape_elems(&index->shape, &n))
        return OCT_OK;
    OCT_TRY(oct_ref_check_indices(ctx, "ScatterElements", a->in[1], index->dtype, (int64_t)n,
                                  x->shape.dim[axis]));
    copy_data(d, a);
    for (size_t i = 0; i < n; i++) {
        int64_t k = oct_ref_get_s64(a->in[1], index->dtype, (int64_t)i), to = 0;
        k += k < 0 ? x->shape.dim[axis] : 0;
        for (int r = 0; r < x->shape.n_dims; r++)
            to += (r == axis ? k : at[r]) * x->stride[r];
        apply(attr->reduction, x->dtype, (char *)a->out[0] + (size_t)to * bytes,
              (const char *)a->in[2] + i * bytes, 1);
        oct_ref_index_next(&index->shape, at);
    }
    return OCT_OK;
}

static oct_status run_scatter_nd(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_scatter *attr = d->attr;
    const oct_shape *x = &d->in[0].desc.shape, *index = &d->in[1].desc.shape;
    const oct_dtype dt = d->in[0].desc.dtype, index_dt = d->in[1].desc.dtype;
    const oct_ref_nd nd = oct_ref_nd_make(x, 0, (int)index->dim[index->n_dims - 1]);
    const size_t bytes = oct_dtype_bytes(dt);
    int64_t n = 1, to = 0;
    for (int i = 0; i < index->n_dims - 1; i++)
        n *= index->dim[i];
    for (int64_t i = 0; i < n; i++) /* all or nothing: outputs stay untouched on failure */
        OCT_TRY(oct_ref_nd_offset(ctx, "ScatterND", &nd, a->in[1], index_dt, i, &to));
    copy_data(d, a);
    for (int64_t i = 0; i < n; i++) {
        OCT_TRY(oct_ref_nd_offset(ctx, "ScatterND", &nd, a->in[1], index_dt, i, &to));
        apply(attr->reduction, dt, (char *)a->out[0] + (size_t)to * bytes,
              (const char *)a->in[2] + (size_t)(i * nd.slice) * bytes, nd.slice);
    }
    return OCT_OK;
}

/* ONNX: an index outside [-depth, depth) gives a row of off values, not an error. */
static oct_status run_one_hot(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_shape *y = &d->out[0].desc.shape;
    const int64_t attr_axis = ((const oct_attr_axis *)d->attr)->axis;
    const int axis = (int)(attr_axis < 0 ? attr_axis + y->n_dims : attr_axis);
    const int64_t depth = y->dim[axis];
    const int64_t asked = oct_ref_get_s64(a->in[1], d->in[1].desc.dtype, 0);
    const size_t bytes = oct_dtype_bytes(d->out[0].desc.dtype);
    size_t n = 0, total = 0;
    int64_t inner = 1;
    if (asked != depth)
        return oct_fail(ctx, OCT_ERR_SHAPE, "OneHot: depth is %lld, planned %lld", (long long)asked,
                        (long long)depth);
    for (int i = axis + 1; i < y->n_dims; i++)
        inner *= y->dim[i];
    if (!oct_shape_elems(&d->in[0].desc.shape, &n) || !oct_shape_elems(y, &total) || total == 0)
        return OCT_OK;
    oct_ref_fill(a->out[0], total, a->in[2], bytes);
    const char *on = (const char *)a->in[2] + bytes;
    for (size_t i = 0; i < n; i++) {
        int64_t k = oct_ref_get_s64(a->in[0], d->in[0].desc.dtype, (int64_t)i);
        k += k < 0 ? depth : 0;
        const int64_t outer = (int64_t)i / inner, in = (int64_t)i % inner;
        if (k >= 0 && k < depth)
            memcpy((char *)a->out[0] + (size_t)((outer * depth + k) * inner + in) * bytes, on,
                   bytes);
    }
    return OCT_OK;
}

const oct_ref_entry oct_ref_scatter[] = {
    {OCT_OP_SCATTER_ELEMENTS, run_scatter_elements, NULL, NULL, false},
    {OCT_OP_SCATTER_ND, run_scatter_nd, NULL, NULL, false},
    {OCT_OP_ONE_HOT, run_one_hot, NULL, NULL, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
