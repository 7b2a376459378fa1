/* SPDX-License-Identifier: Apache-2.0
 *
 * Pad in all its modes, with negative pads (cropping) and any layout. Per axis a table says
 * where each output position comes from (a source offset, or OUTSIDE); the copy is a walk over
 * these tables.
 */
#include <string.h>

#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_copy.h"

#define OUTSIDE INT64_MIN

typedef struct pad_plan {
    int64_t begin[OCT_MAX_DIMS]; /* may be negative */
    const int64_t *source[OCT_MAX_DIMS];
    char value[8];
} pad_plan;

static size_t workspace_pad(const oct_op_desc *d)
{
    size_t n = 0;
    for (int i = 0; i < d->out[0].desc.shape.n_dims; i++)
        n += (size_t)d->out[0].desc.shape.dim[i];
    return n * sizeof(int64_t);
}

static bool has_input(const oct_op_desc *d, const oct_run_args *a, int i)
{
    return i < d->n_in && d->in[i].desc.dtype != OCT_DT_NONE && a->in[i];
}

static void read_pads(const oct_op_desc *d, const oct_run_args *a, pad_plan *p)
{
    const int rank = d->in[0].desc.shape.n_dims;
    const int64_t n = d->in[1].desc.shape.dim[0] / 2;
    memset(p, 0, sizeof *p);
    for (int64_t k = 0; k < n; k++) {
        int64_t axis = k;
        if (has_input(d, a, 3))
            axis = oct_ref_get_s64(a->in[3], d->in[3].desc.dtype, k);
        axis += axis < 0 ? rank : 0;
        p->begin[axis] = oct_ref_get_s64(a->in[1], d->in[1].desc.dtype, k);
    }
    const size_t bytes = oct_dtype_bytes(d->in[0].desc.dtype);
    if (has_input(d, a, 2))
        memcpy(p->value, a->in[2], bytes);
    else if (d->in[0].quant.n == 1) { /* real 0 */
        const int8_t zero = (int8_t)d->in[0].quant.q[0].zero_point;
        memcpy(p->value, &zero, 1);
    }
}

/* Source index of position `i` (relative to the source's first element) on an axis of size n. */
static int64_t source_index(oct_pad_mode mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case OCT_PAD_MODE_EDGE:
        return i < 0 ? 0 : n - 1;
    case OCT_PAD_MODE_REFLECT: { /* period 2n - 2, the edge is not repeated */
        if (n == 1)
            return 0;
        int64_t k = i % (2 * n - 2);
        k += k < 0 ? 2 * n - 2 : 0;
        return k < n ? k : 2 * n - 2 - k;
    }
    case OCT_PAD_MODE_WRAP:
        return i % n + (i % n < 0 ? n : 0);
    default:
        return OUTSIDE;
    }
}

static oct_status fill_tables(oct_ctx *ctx, const oct_op_desc *d, int64_t *table, pad_plan *p)
{
    const oct_pad_mode mode = ((const oct_attr_pad *)d->attr)->mode;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    for (int k = 0; k < y->shape.n_dims; k++) {
        const int64_t n = x->shape.dim[k];
        if (n == 0 && y->shape.dim[k] > 0 && mode != OCT_PAD_MODE_CONSTANT)
            return oct_fail(ctx, OCT_ERR_SHAPE, "Pad: axis %d is empty: nothing to repeat", k);
        p->source[k] = table;
        for (int64_t i = 0; i < y->shape.dim[k]; i++) {
            const int64_t from = source_index(mode, i - p->begin[k], n);
            *table++ = from == OUTSIDE ? OUTSIDE : from * x->stride[k];
        }
    }
    return OCT_OK;
}

/* The axes from the slowest to the fastest in the output's memory. */
static void memory_order(const oct_tensor_desc *y, int *order)
{
    for (int i = 0; i < y->shape.n_dims; i++) {
        int k = i;
        for (; k > 0 && y->stride[order[k - 1]] < y->stride[i]; k--)
            order[k] = order[k - 1];
        order[k] = i;
    }
}

static void pad_elems(const pad_plan *p, char *y, int64_t step, const char *x,
                      const int64_t *source, int64_t n, size_t bytes, bool outside)
{
    for (int64_t i = 0; i < n; i++) {
        const bool none = outside || source[i] == OUTSIDE;
        const char *from = none ? p->value : x + source[i] * (int64_t)bytes;
        memcpy(y + i * step * (int64_t)bytes, from, bytes);
    }
}

/* Positions [lo, hi) of the row axis that are the source itself, one after the other in memory on
 * both sides; empty when they are not. */
static void plain_part(const oct_op_desc *d, const pad_plan *p, int row, int64_t *lo, int64_t *hi)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int64_t n = y->shape.dim[row], end = p->begin[row] + x->shape.dim[row];
    *lo = p->begin[row] > 0 ? p->begin[row] : 0;
    *hi = end < n ? end : n;
    if (y->stride[row] != 1 || x->stride[row] != 1 || *hi < *lo)
        *lo = *hi = 0;
}

/* One row, with the borders element by element. */
static void pad_row(const oct_op_desc *d, const pad_plan *p, int row, char *y, const char *x,
                    bool outside)
{
    const size_t bytes = oct_dtype_bytes(d->out[0].desc.dtype);
    const int64_t n = d->out[0].desc.shape.dim[row], step = d->out[0].desc.stride[row];
    const int64_t *source = p->source[row];
    int64_t lo = 0, hi = 0;
    if (!outside)
        plain_part(d, p, row, &lo, &hi);
    pad_elems(p, y, step, x, source, lo, bytes, outside);
    if (hi > lo)
        memcpy(y + (size_t)lo * bytes, x + source[lo] * (int64_t)bytes, (size_t)(hi - lo) * bytes);
    pad_elems(p, y + hi * step * (int64_t)bytes, step, x, source + hi, n - hi, bytes, outside);
}

static void pad_rows(const oct_op_desc *d, const oct_run_args *a, const pad_plan *p)
{
    const oct_tensor_desc *y = &d->out[0].desc;
    const int rank = y->shape.n_dims, last = rank - 1;
    const size_t bytes = oct_dtype_bytes(y->dtype);
    int order[OCT_MAX_DIMS] = {0};
    int64_t pos[OCT_MAX_DIMS] = {0};
    memory_order(y, order);
    const int row = order[last];
    for (;;) {
        int64_t to = 0, from = 0;
        bool outside = false;
        for (int k = 0; k < last; k++) {
            const int64_t s = p->source[order[k]][pos[k]];
            outside |= s == OUTSIDE;
            from += s == OUTSIDE ? 0 : s;
            to += pos[k] * y->stride[order[k]];
        }
        pad_row(d, p, row, (char *)a->out[0] + to * (int64_t)bytes,
                (const char *)a->in[0] + from * (int64_t)bytes, outside);
        int k = last - 1;
        for (; k >= 0 && ++pos[k] == y->shape.dim[order[k]]; k--)
            pos[k] = 0;
        if (k < 0)
            return;
    }
}

/* Constant padding is mostly a fill and one strided copy of what is left of the source. */
static void pad_constant(const oct_op_desc *d, const oct_run_args *a, const pad_plan *p, size_t n)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const size_t bytes = oct_dtype_bytes(y->dtype);
    oct_tensor_desc from = *x, to = *y;
    int64_t from_at = 0, to_at = 0;
    oct_ref_fill(a->out[0], n, p->value, bytes);
    for (int k = 0; k < y->shape.n_dims; k++) {
        const int64_t lo = p->begin[k] > 0 ? p->begin[k] : 0; /* in the output */
        int64_t hi = p->begin[k] + x->shape.dim[k];
        hi = hi < y->shape.dim[k] ? hi : y->shape.dim[k];
        if (hi <= lo)
            return;
        from.shape.dim[k] = to.shape.dim[k] = hi - lo;
        from_at += (lo - p->begin[k]) * x->stride[k];
        to_at += lo * y->stride[k];
    }
    oct_ref_copy_tensor(&to, (char *)a->out[0] + to_at * (int64_t)bytes, &from,
                        (const char *)a->in[0] + from_at * (int64_t)bytes, d->threads);
}

static oct_status run_pad(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_tensor_desc *y = &d->out[0].desc;
    size_t n = 0;
    if (!oct_shape_elems(&y->shape, &n) || n == 0)
        return OCT_OK;
    pad_plan p;
    read_pads(d, a, &p);
    if (((const oct_attr_pad *)d->attr)->mode == OCT_PAD_MODE_CONSTANT &&
        oct_tensor_desc_is_dense(y)) {
        pad_constant(d, a, &p, n);
        return OCT_OK;
    }
    OCT_TRY(fill_tables(ctx, d, a->workspace, &p));
    if (y->shape.n_dims == 0)
        memcpy(a->out[0], a->in[0], oct_dtype_bytes(y->dtype));
    else
        pad_rows(d, a, &p);
    return OCT_OK;
}

const oct_ref_entry oct_ref_pad[] = {
    {OCT_OP_PAD, run_pad, workspace_pad, oct_ref_accept_mover, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
