/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

static const struct {
    size_t bytes;
    const char *text;
} dtypes[OCT_DT_COUNT] = {
#define X(name, code, bytes, text) [code] = {bytes, text},
    OCT_DTYPE_MAP(X)
#undef X
};

size_t oct_dtype_bytes(oct_dtype dt)
{
    return (unsigned)dt < OCT_DT_COUNT ? dtypes[dt].bytes : 0;
}

const char *oct_dtype_str(oct_dtype dt)
{
    return (unsigned)dt < OCT_DT_COUNT ? dtypes[dt].text : "invalid";
}

oct_dtype oct_dtype_parse(const char *s)
{
    for (int i = 1; i < OCT_DT_COUNT; i++) {
        if (strcmp(s, dtypes[i].text) == 0)
            return (oct_dtype)i;
    }
    return OCT_DT_NONE;
}

bool oct_dtype_is_float(oct_dtype dt)
{
    return dt >= OCT_DT_F32 && dt <= OCT_DT_F64;
}

bool oct_dtype_is_int(oct_dtype dt)
{
    return dt >= OCT_DT_S8 && dt <= OCT_DT_U64;
}

bool oct_shape_is_known(const oct_shape *s)
{
    for (int i = 0; i < s->n_dims; i++) {
        if (s->dim[i] < 0)
            return false;
    }
    return s->n_dims >= 0;
}

bool oct_shape_equal(const oct_shape *a, const oct_shape *b)
{
    if (a->n_dims != b->n_dims)
        return false;
    for (int i = 0; i < a->n_dims; i++) {
        if (a->dim[i] != b->dim[i])
            return false;
    }
    return true;
}

bool oct_shape_elems(const oct_shape *s, size_t *n)
{
    size_t product = 1;
    bool empty = false;
    if (!oct_shape_is_known(s))
        return false;
    for (int i = 0; i < s->n_dims; i++) {
        if ((uint64_t)s->dim[i] > SIZE_MAX)
            return false;
        empty |= s->dim[i] == 0;
    }
    for (int i = 0; i < s->n_dims && !empty; i++) {
        if (!oct_mul_size(product, (size_t)s->dim[i], &product))
            return false;
    }
    *n = empty ? 0 : product;
    return true;
}

const char *oct_shape_str(const oct_shape *s, char *buf, size_t cap)
{
    size_t at = 0;
    assert(cap > 0);
    if (s->n_dims <= 0)
        snprintf(buf, cap, "%s", s->n_dims == 0 ? "scalar" : "unknown rank");
    for (int i = 0; i < s->n_dims && at < cap; i++) {
        const char *x = i ? "x" : "";
        const int n = s->dim[i] < 0 ? snprintf(buf + at, cap - at, "%s?", x)
                                    : snprintf(buf + at, cap - at, "%s%" PRId64, x, s->dim[i]);
        at += (size_t)n;
    }
    return buf;
}

/* Logical axis that lies `k`-th from the innermost in memory. */
static int axis_from_inner(int n_dims, oct_layout layout, int k)
{
    if (layout == OCT_LAYOUT_CHANNELS_LAST && n_dims >= 3) {
        if (k == 0)
            return 1;
        return k < n_dims - 1 ? n_dims - k : 0;
    }
    return n_dims - 1 - k;
}

oct_tensor_desc oct_tensor_desc_make(oct_dtype dt, oct_shape shape, oct_layout layout)
{
    oct_tensor_desc d = {.dtype = dt, .layout = layout, .shape = shape};
    int64_t step = 1;
    assert(shape.n_dims <= OCT_MAX_DIMS);
    if (!oct_shape_is_known(&shape))
        return d;
    for (int k = 0; k < shape.n_dims; k++) {
        const int axis = axis_from_inner(shape.n_dims, layout, k);
        d.stride[axis] = step;
        if (shape.dim[axis] > 1 && !oct_mul_s64(step, shape.dim[axis], &step))
            step = 0; /* too large to exist: oct_tensor_desc_bytes() refuses it */
    }
    return d;
}

bool oct_tensor_desc_is_dense(const oct_tensor_desc *d)
{
    int64_t step = 1;
    if (!oct_shape_is_known(&d->shape))
        return false;
    for (int k = 0; k < d->shape.n_dims; k++) {
        const int axis = axis_from_inner(d->shape.n_dims, d->layout, k);
        const int64_t dim = d->shape.dim[axis];
        if (dim == 0)
            return true;
        if (dim > 1 && (d->stride[axis] != step || !oct_mul_s64(step, dim, &step)))
            return false;
    }
    return true;
}

bool oct_tensor_desc_bytes(const oct_tensor_desc *d, size_t *bytes)
{
    size_t n;
    return oct_shape_elems(&d->shape, &n) && oct_mul_size(n, oct_dtype_bytes(d->dtype), bytes);
}
