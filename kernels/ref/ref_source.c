/* SPDX-License-Identifier: Apache-2.0
 *
 * Operators that make tensors out of shapes and scalars: ConstantOfShape, Shape, Size,
 * Range, EyeLike, and NonZero.
 */
#include <string.h>

#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_copy.h"
#include "kernels/ref/ref_index.h"

static oct_status run_fill(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    size_t n = 0;
    const oct_attr_fill *attr = d->attr;
    if (oct_shape_elems(&d->out[0].desc.shape, &n))
        oct_ref_fill(a->out[0], n, attr->value, oct_dtype_bytes(d->out[0].desc.dtype));
    return OCT_OK;
}

static int clamp_axis(int64_t axis, int rank)
{
    axis += axis < 0 ? rank : 0;
    return (int)(axis < 0 ? 0 : axis > rank ? rank : axis);
}

static oct_status run_shape(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_shape *attr = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int start = clamp_axis(attr->start, s->n_dims), end = clamp_axis(attr->end, s->n_dims);
    for (int i = start; i < end; i++)
        ((int64_t *)a->out[0])[i - start] = s->dim[i];
    return OCT_OK;
}

static oct_status run_size(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    size_t n = 0;
    if (!oct_shape_elems(&d->in[0].desc.shape, &n))
        return oct_fail(ctx, OCT_ERR_SHAPE, "Size: the shape of its input is not known");
    *(int64_t *)a->out[0] = (int64_t)n;
    return OCT_OK;
}

/* start + i * delta, in double for floats (one rounding per element, no drift). */
static oct_status run_range(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_dtype dt = d->out[0].desc.dtype;
    const int64_t n = d->out[0].desc.shape.dim[0];
    const size_t bytes = oct_dtype_bytes(dt);
    if (oct_dtype_is_float(dt)) {
        double start, delta;
        oct_ref_read_f64(&start, a->in[0], dt, 1, 1);
        oct_ref_read_f64(&delta, a->in[2], dt, 1, 1);
        for (int64_t i = 0; i < n; i++) {
            const double v = start + (double)i * delta;
            oct_ref_write_f64((char *)a->out[0] + (size_t)i * bytes, dt, 1, &v, 1);
        }
        return OCT_OK;
    }
    const uint64_t start = (uint64_t)oct_ref_get_s64(a->in[0], dt, 0);
    const uint64_t delta = (uint64_t)oct_ref_get_s64(a->in[2], dt, 0);
    for (int64_t i = 0; i < n; i++) {
        const int64_t v = (int64_t)(start + (uint64_t)i * delta);
        oct_ref_write_s64((char *)a->out[0] + (size_t)i * bytes, dt, 1, &v, 1);
    }
    return OCT_OK;
}

static oct_status run_eye_like(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_shape *s = &d->out[0].desc.shape;
    const oct_dtype dt = d->out[0].desc.dtype;
    const int64_t k = ((const oct_attr_eye *)d->attr)->k, rows = s->dim[0], cols = s->dim[1];
    const int64_t one = 1;
    size_t bytes = 0;
    if (oct_tensor_desc_bytes(&d->out[0].desc, &bytes))
        memset(a->out[0], 0, bytes);
    for (int64_t r = 0; r < rows; r++) {
        if (k < -r || k >= cols - r) /* column r + k lies outside */
            continue;
        const int64_t at = r * cols + r + k;
        oct_ref_write_s64((char *)a->out[0] + (size_t)at * oct_dtype_bytes(dt), dt, 1, &one, 1);
    }
    return OCT_OK;
}

/* Column i of the output is the position of the i-th non-zero element. */
static oct_status run_non_zero(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_shape *s = &d->in[0].desc.shape;
    const oct_dtype dt = d->in[0].desc.dtype;
    const size_t bytes = oct_dtype_bytes(dt);
    const int64_t planned = d->out[0].desc.shape.dim[1];
    int64_t at[OCT_MAX_DIMS] = {0}, found = 0;
    size_t n = 0;
    if (!oct_shape_elems(s, &n))
        return OCT_OK;
    for (size_t i = 0; i < n; i++) {
        double v;
        oct_ref_read_f64(&v, (const char *)a->in[0] + i * bytes, dt, 1, 1);
        if (v != 0 && found < planned)
            for (int r = 0; r < s->n_dims; r++)
                ((int64_t *)a->out[0])[r * planned + found] = at[r];
        found += v != 0;
        oct_ref_index_next(s, at);
    }
    if (found != planned)
        return oct_fail(ctx, OCT_ERR_SHAPE, "NonZero: %lld elements are not zero, planned %lld",
                        (long long)found, (long long)planned);
    return OCT_OK;
}

/* Shape and Size never look at the elements, so any layout will do. */
const oct_ref_entry oct_ref_source[] = {
    {OCT_OP_CONSTANT_OF_SHAPE, run_fill, NULL, NULL, false},
    {OCT_OP_SHAPE, run_shape, NULL, oct_ref_accept_any, false},
    {OCT_OP_SIZE, run_size, NULL, oct_ref_accept_any, false},
    {OCT_OP_RANGE, run_range, NULL, NULL, false},
    {OCT_OP_EYE_LIKE, run_eye_like, NULL, NULL, false},
    {OCT_OP_NON_ZERO, run_non_zero, NULL, NULL, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
