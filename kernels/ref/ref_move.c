/* SPDX-License-Identifier: Apache-2.0
 *
 * Data movers: every one is a strided copy between views of its operands, for any element
 * type, layout and strides (Reshape and its kin: dense row-major, where they are plain copies).
 */
#include <string.h>

#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"
#include "kernels/ref/ref_copy.h"

static size_t elem_bytes(const oct_op_desc *d)
{
    return oct_dtype_bytes(d->out[0].desc.dtype);
}

static char *at(void *base, int64_t elems, size_t bytes)
{
    return (char *)base + elems * (int64_t)bytes;
}

static const char *at_const(const void *base, int64_t elems, size_t bytes)
{
    return (const char *)base + elems * (int64_t)bytes;
}

static bool has_input(const oct_op_desc *d, const oct_run_args *a, int i)
{
    return i < d->n_in && d->in[i].desc.dtype != OCT_DT_NONE && a->in[i];
}

static int64_t input_s64(const oct_op_desc *d, const oct_run_args *a, int i, int64_t k)
{
    return oct_ref_get_s64(a->in[i], d->in[i].desc.dtype, k);
}

static oct_status run_identity(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    oct_ref_copy_tensor(&d->out[0].desc, a->out[0], &d->in[0].desc, a->in[0], d->threads);
    return OCT_OK;
}

/* Inference: the identity, and a mask that keeps everything. */
static oct_status run_dropout(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    size_t n = 0;
    if (d->n_out > 1 && a->out[1] && oct_shape_elems(&d->out[1].desc.shape, &n))
        memset(a->out[1], 1, n);
    return run_identity(ctx, d, a);
}

static oct_status run_reshape(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    size_t n = 0;
    if (a->out[0] != a->in[0] && oct_shape_elems(&d->out[0].desc.shape, &n) && n > 0)
        memcpy(a->out[0], a->in[0], n * elem_bytes(d));
    return OCT_OK;
}

static oct_status run_transpose(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_transpose *attr = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    oct_ref_loop l = {.n_operands = 2};
    for (int i = 0; i < y->shape.n_dims; i++) {
        const int from = attr->n_perm ? (int)attr->perm[i] : y->shape.n_dims - 1 - i;
        oct_ref_loop_dim(&l, y->shape.dim[i], y->stride[i], x->stride[from]);
    }
    oct_ref_copy(&l, a->out[0], a->in[0], elem_bytes(d), d->threads);
    return OCT_OK;
}

static int resolve_axis(const oct_op_desc *d, const oct_shape *s)
{
    const int64_t axis = ((const oct_attr_axis *)d->attr)->axis;
    return (int)(axis < 0 ? axis + s->n_dims : axis);
}

static oct_status run_concat(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_tensor_desc *y = &d->out[0].desc;
    const int axis = resolve_axis(d, &y->shape);
    oct_tensor_desc slice = *y;
    int64_t start = 0;
    for (int k = 0; k < d->n_in; k++) {
        const oct_tensor_desc *x = &d->in[k].desc;
        slice.shape = x->shape;
        oct_ref_copy_tensor(&slice, at(a->out[0], start * y->stride[axis], elem_bytes(d)), x,
                            a->in[k], d->threads);
        start += x->shape.dim[axis];
    }
    return OCT_OK;
}

static oct_status run_split(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_tensor_desc *x = &d->in[0].desc;
    const int axis = resolve_axis(d, &x->shape);
    oct_tensor_desc slice = *x;
    int64_t start = 0;
    for (int k = 0; k < d->n_out; k++) {
        const oct_tensor_desc *y = &d->out[k].desc;
        slice.shape = y->shape;
        if (a->out[k])
            oct_ref_copy_tensor(y, a->out[k], &slice,
                                at_const(a->in[0], start * x->stride[axis], elem_bytes(d)),
                                d->threads);
        start += y->shape.dim[axis];
    }
    return OCT_OK;
}

typedef struct slice_axis {
    int axis;
    int64_t start, step;
} slice_axis;

/* Entry `k` of starts, axes and steps; start clamped as ONNX says. */
static slice_axis read_slice(const oct_op_desc *d, const oct_run_args *a, int k)
{
    const oct_shape *s = &d->in[0].desc.shape;
    slice_axis r = {.axis = k, .start = input_s64(d, a, 1, k), .step = 1};
    if (has_input(d, a, 3)) {
        const int64_t axis = input_s64(d, a, 3, k);
        r.axis = (int)(axis < 0 ? axis + s->n_dims : axis);
    }
    if (has_input(d, a, 4))
        r.step = input_s64(d, a, 4, k);
    const int64_t dim = s->dim[r.axis], last = r.step < 0 ? dim - 1 : dim;
    r.start += r.start < 0 ? dim : 0;
    r.start = r.start < 0 ? 0 : r.start > last ? last : r.start;
    return r;
}

static oct_status run_slice(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int64_t n = d->in[1].desc.shape.dim[0];
    int64_t offset = 0;
    oct_tensor_desc view = *x;
    view.shape = y->shape;
    for (int64_t k = 0; k < n; k++) {
        const slice_axis s = read_slice(d, a, (int)k);
        const int64_t count = y->shape.dim[s.axis], dim = x->shape.dim[s.axis];
        const int64_t end = count > 0 ? s.start + (count - 1) * s.step : 0;
        if (count > 0 && (end < 0 || end >= dim))
            return oct_fail(ctx, OCT_ERR_RANGE,
                            "Slice: axis %d: %lld elements from %lld in steps of %lld leave %lld",
                            s.axis, (long long)count, (long long)s.start, (long long)s.step,
                            (long long)dim);
        offset += count > 0 ? s.start * x->stride[s.axis] : 0;
        view.stride[s.axis] = (count > 1 ? s.step : 1) * x->stride[s.axis];
    }
    oct_ref_copy_tensor(y, a->out[0], &view, at_const(a->in[0], offset, elem_bytes(d)), d->threads);
    return OCT_OK;
}

/* Each dimension twice: the repeats, which read the same elements, and the elements. */
static oct_status run_tile(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    oct_ref_loop l = {.n_operands = 2};
    for (int i = 0; i < y->shape.n_dims; i++) {
        const int64_t dim = x->shape.dim[i];
        oct_ref_loop_dim(&l, dim ? y->shape.dim[i] / dim : 0, dim * y->stride[i], 0);
        oct_ref_loop_dim(&l, dim, y->stride[i], x->stride[i]);
    }
    oct_ref_copy(&l, a->out[0], a->in[0], elem_bytes(d), d->threads);
    return OCT_OK;
}

/* Depth (b, c) and the block position (i, j) make the deep tensor's axis 1; (h, i) and (w, j) the
 * wide tensor's axes 2 and 3. `crd`: c is the slow part of the depth. */
static void depth_space(const oct_tensor_desc *deep, const oct_tensor_desc *wide, bool crd,
                        bool to_wide, int64_t block, oct_ref_loop *l)
{
    const int64_t channels = wide->shape.dim[1];
    const int64_t step_c = crd ? block * block : 1;
    const int64_t step_i = crd ? block : block * channels, step_j = crd ? 1 : channels;
    const int64_t *sd = deep->stride, *sw = wide->stride;
    const int64_t size[6] = {wide->shape.dim[0], channels, deep->shape.dim[2], block,
                             deep->shape.dim[3], block};
    const int64_t in_wide[6] = {sw[0], sw[1], sw[2] * block, sw[2], sw[3] * block, sw[3]};
    const int64_t in_deep[6] = {sd[0],          sd[1] * step_c, sd[2],
                                sd[1] * step_i, sd[3],          sd[1] * step_j};
    *l = (oct_ref_loop){.n_operands = 2};
    for (int i = 0; i < 6; i++)
        oct_ref_loop_dim(l, size[i], to_wide ? in_wide[i] : in_deep[i],
                         to_wide ? in_deep[i] : in_wide[i]);
}

static oct_status run_depth_to_space(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_depth_space *attr = d->attr;
    oct_ref_loop l;
    depth_space(&d->in[0].desc, &d->out[0].desc, attr->crd, true, attr->block_size, &l);
    oct_ref_copy(&l, a->out[0], a->in[0], elem_bytes(d), d->threads);
    return OCT_OK;
}

static oct_status run_space_to_depth(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_depth_space *attr = d->attr;
    oct_ref_loop l;
    depth_space(&d->out[0].desc, &d->in[0].desc, attr->crd, false, attr->block_size, &l);
    oct_ref_copy(&l, a->out[0], a->in[0], elem_bytes(d), d->threads);
    return OCT_OK;
}

/* Copies time steps [lo, lo + n) of one batch entry; reversed ones come from lo + n - 1 down. */
static void copy_steps(const oct_op_desc *d, const oct_run_args *a, int64_t batch, int64_t lo,
                       int64_t n, bool reverse)
{
    const oct_attr_reverse_sequence *attr = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int t = (int)attr->time_axis, b = (int)attr->batch_axis;
    oct_tensor_desc from = *x, to = *y;
    to.shape.dim[t] = from.shape.dim[t] = n;
    to.shape.dim[b] = from.shape.dim[b] = 1;
    const int64_t first = reverse ? lo + n - 1 : lo;
    if (reverse)
        from.stride[t] = -from.stride[t];
    oct_ref_copy_tensor(
        &to, at(a->out[0], batch * y->stride[b] + lo * y->stride[t], elem_bytes(d)), &from,
        at_const(a->in[0], batch * x->stride[b] + first * x->stride[t], elem_bytes(d)), d->threads);
}

static oct_status run_reverse_sequence(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_reverse_sequence *attr = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int64_t n_batch = s->dim[attr->batch_axis], n_time = s->dim[attr->time_axis];
    for (int64_t b = 0; b < n_batch; b++) {
        const int64_t len = input_s64(d, a, 1, b);
        if (len < 0 || len > n_time)
            return oct_fail(ctx, OCT_ERR_RANGE,
                            "ReverseSequence: sequence_lens[%lld] is %lld, expected 0 to %lld",
                            (long long)b, (long long)len, (long long)n_time);
        if (len > 0)
            copy_steps(d, a, b, 0, len, true);
        if (len < n_time)
            copy_steps(d, a, b, len, n_time - len, false);
    }
    return OCT_OK;
}

/* Rows of the last two axes: what is right of (upper) or left of the k-th diagonal stays. */
static oct_status run_trilu(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_trilu *attr = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int64_t rows = s->dim[s->n_dims - 2], cols = s->dim[s->n_dims - 1];
    int64_t k = has_input(d, a, 1) ? input_s64(d, a, 1, 0) : 0;
    k = k > cols ? cols : k < -rows ? -rows : k;
    const size_t bytes = elem_bytes(d);
    size_t n = 0;
    if (!oct_shape_elems(s, &n) || n == 0)
        return OCT_OK;
    for (int64_t r = 0; r < (int64_t)n / cols; r++) {
        int64_t cut = r % rows + k + (attr->upper ? 0 : 1); /* first column of the right part */
        cut = cut < 0 ? 0 : cut > cols ? cols : cut;
        char *y = at(a->out[0], r * cols, bytes);
        const char *x = at_const(a->in[0], r * cols, bytes);
        const size_t left = (size_t)cut * bytes, right = (size_t)(cols - cut) * bytes;
        memmove(y, x, left + right);
        memset(attr->upper ? y : y + left, 0, attr->upper ? left : right);
    }
    return OCT_OK;
}

#define STRIDED(op, fn)                                    \
    {                                                      \
        OCT_OP_##op, fn, NULL, oct_ref_accept_mover, false \
    }
#define DENSE(op, fn)                                            \
    {                                                            \
        OCT_OP_##op, fn, NULL, oct_ref_accept_dense_mover, false \
    }

const oct_ref_entry oct_ref_move[] = {
    STRIDED(IDENTITY, run_identity),
    STRIDED(DROPOUT, run_dropout),
    STRIDED(REORDER, run_identity),
    STRIDED(EXPAND, run_identity),
    STRIDED(TRANSPOSE, run_transpose),
    STRIDED(CONCAT, run_concat),
    STRIDED(SPLIT, run_split),
    STRIDED(SLICE, run_slice),
    STRIDED(TILE, run_tile),
    STRIDED(DEPTH_TO_SPACE, run_depth_to_space),
    STRIDED(SPACE_TO_DEPTH, run_space_to_depth),
    STRIDED(REVERSE_SEQUENCE, run_reverse_sequence),
    DENSE(RESHAPE, run_reshape),
    DENSE(FLATTEN, run_reshape),
    DENSE(SQUEEZE, run_reshape),
    DENSE(UNSQUEEZE, run_reshape),
    DENSE(TRILU, run_trilu),
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
