/* SPDX-License-Identifier: Apache-2.0
 *
 * Gather, GatherElements, GatherND, ScatterElements, ScatterND, OneHot on dense row-major data. Indices
 * that are known ahead are checked then, and an op with a wrong one is left to the host, which reports it.
 * Others are checked while running: a wrong one reads as 0, writes nothing, and is reported when the
 * stream is waited for (cuda_fault.h).
 */
#include "base/numeric.h"
#include "kernels/cuda/cuda_fault.h"
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256

typedef struct gather_op {
    oct_cuda_op base;
    oct_op op;
    size_t unit;    /* bytes of what is moved at a time */
    uint32_t total; /* of those */
    oct_cuda_div inner, n_index;
    int64_t dim; /* of the picked axis */
    oct_dtype index_type;
    oct_cuda_loop loop; /* GatherElements, ScatterElements: updates, data without the axis */
    int64_t axis_step;
    int depth; /* GatherND, ScatterND */
    int64_t nd_dim[OCT_MAX_DIMS], nd_step[OCT_MAX_DIMS];
    oct_cuda_div per_batch;
    int64_t batch_step;
    size_t data_bytes; /* scatter: copied first */
    oct_cuda_fault_at at;
} gather_op;

/* Index `i`, counted from the end if negative; -1 if it is wrong. */
OCT_DEV int64_t index_or_none(const void *index, oct_dtype dt, int64_t i, int64_t dim)
{
    int64_t k = oct_dev_index(index, dt, i);
    k += k < 0 ? dim : 0;
    return k >= 0 && k < dim ? k : -1;
}

/* The same, and a wrong one is reported. */
OCT_DEV int64_t index_at(const gather_op &p, const void *index, int64_t i, int64_t dim)
{
    const int64_t k = index_or_none(index, p.index_type, i, dim);
    if (k < 0)
        oct_dev_fault(p.at, i, oct_dev_index(index, p.index_type, i), -dim, dim - 1);
    return k;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    gather_kernel(gather_op p, T *y, const T *x, const void *index)
{
    const uint32_t item = oct_dev_item();
    uint32_t in, k;
    if (item >= p.total)
        return;
    const uint32_t outer = oct_dev_divmod(oct_dev_divmod(item, p.inner, in), p.n_index, k);
    const int64_t at = index_at(p, index, k, p.dim);
    T v = T();
    if (at >= 0)
        v = x[(outer * p.dim + at) * p.inner.d + in];
    y[item] = v;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    gather_elements_kernel(gather_op p, T *y, const T *x, const void *index)
{
    const uint32_t item = oct_dev_item();
    int64_t off[2];
    if (item >= p.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const int64_t at = index_at(p, index, off[0], p.dim);
    y[off[0]] = at >= 0 ? x[off[1] + at * p.axis_step] : T(0);
}

/* Offset of the slice that index tuple `i` names, or -1. */
OCT_DEV int64_t nd_offset(const gather_op &p, const void *index, uint32_t i)
{
    int64_t sum = 0;
    for (int k = 0; k < p.depth; k++) {
        const int64_t at = index_at(p, index, (int64_t)i * p.depth + k, p.nd_dim[k]);
        if (at < 0)
            return -1;
        sum += at * p.nd_step[k];
    }
    return sum;
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    gather_nd_kernel(gather_op p, T *y, const T *x, const void *index)
{
    const uint32_t item = oct_dev_item();
    uint32_t in, unused;
    if (item >= p.total)
        return;
    const uint32_t tuple = oct_dev_divmod(item, p.inner, in);
    const int64_t at = nd_offset(p, index, tuple);
    const uint32_t batch = oct_dev_divmod(tuple, p.per_batch, unused);
    y[item] = at >= 0 ? x[batch * p.batch_step + at + in] : T(0);
}

/* ---- scatter: the data is copied first ---- */

template <class T>
static __global__ void __launch_bounds__(THREADS)
    scatter_elements_kernel(gather_op p, T *y, const T *update, const void *index)
{
    const uint32_t item = oct_dev_item();
    int64_t off[2];
    if (item >= p.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const int64_t at = index_at(p, index, off[0], p.dim);
    if (at >= 0)
        y[off[1] + at * p.axis_step] = update[off[0]];
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    scatter_nd_kernel(gather_op p, T *y, const T *update, const void *index)
{
    const uint32_t item = oct_dev_item();
    uint32_t in;
    if (item >= p.total)
        return;
    const uint32_t tuple = oct_dev_divmod(item, p.inner, in);
    const int64_t at = nd_offset(p, index, tuple);
    if (at >= 0)
        y[at + in] = update[item];
}

/* values: off, on. An index outside [-depth, depth) gives a row of off values. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    one_hot_kernel(gather_op p, T *y, const T *values, const void *index)
{
    const uint32_t item = oct_dev_item();
    uint32_t in, k;
    if (item >= p.total)
        return;
    const uint32_t outer = oct_dev_divmod(oct_dev_divmod(item, p.inner, in), p.n_index, k);
    const int64_t at = index_or_none(index, p.index_type, (int64_t)outer * p.inner.d + in, p.dim);
    y[item] = at == k ? values[1] : values[0];
}

/* ---- running ---- */

template <class T>
static void launch(const gather_op *op, void *y, const void *x, const void *index, cudaStream_t s)
{
    const uint32_t blocks = oct_cuda_blocks(op->total, THREADS);
    T *to = (T *)y;
    const T *from = (const T *)x;
    switch (op->op) {
    case OCT_OP_GATHER:
        gather_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    case OCT_OP_GATHER_ELEMENTS:
        gather_elements_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    case OCT_OP_GATHER_ND:
        gather_nd_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    case OCT_OP_SCATTER_ELEMENTS:
        scatter_elements_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    case OCT_OP_SCATTER_ND:
        scatter_nd_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    default:
        one_hot_kernel<T><<<blocks, THREADS, 0, s>>>(*op, to, from, index);
        break;
    }
}

static void launch_by_size(const gather_op *op, void *y, const void *x, const void *index,
                           cudaStream_t s)
{
    if (op->total == 0)
        return;
    switch (op->unit) {
    case 1:
        launch<uint8_t>(op, y, x, index, s);
        break;
    case 2:
        launch<uint16_t>(op, y, x, index, s);
        break;
    case 4:
        launch<uint32_t>(op, y, x, index, s);
        break;
    default:
        launch<uint64_t>(op, y, x, index, s);
        break;
    }
}

/* Rows of 16 bytes, when all is aligned. */
static bool gather_wide(const gather_op *op, const oct_run_args *a, cudaStream_t s)
{
    const size_t per = 16 / op->unit;
    if (op->op != OCT_OP_GATHER || op->inner.d % per != 0 || !oct_cuda_aligned(a->in[0], 16) ||
        !oct_cuda_aligned(a->out[0], 16) || op->total == 0)
        return false;
    gather_op w = *op;
    w.inner = oct_cuda_div_make((int64_t)(op->inner.d / per));
    w.total /= (uint32_t)per;
    gather_kernel<uint4><<<oct_cuda_blocks(w.total, THREADS), THREADS, 0, s>>>(
        w, (uint4 *)a->out[0], (const uint4 *)a->in[0], a->in[1]);
    return true;
}

static oct_status run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    gather_op with_fault = *(const gather_op *)base;
    const gather_op *op = &with_fault;
    const cudaStream_t s = oct_cuda_stream_of(a);
    with_fault.at.fault = oct_cuda_fault_of(a);
    if (op->data_bytes > 0 && a->out[0] != a->in[0])
        OCT_TRY(oct_cuda_check(
            ctx, cudaMemcpyAsync(a->out[0], a->in[0], op->data_bytes, cudaMemcpyDeviceToDevice, s),
            "copying"));
    if (op->op == OCT_OP_ONE_HOT)
        launch_by_size(op, a->out[0], a->in[2], a->in[0], s);
    else if (op->op == OCT_OP_SCATTER_ELEMENTS || op->op == OCT_OP_SCATTER_ND)
        launch_by_size(op, a->out[0], a->in[2], a->in[1], s);
    else if (!gather_wide(op, a, s))
        launch_by_size(op, a->out[0], a->in[0], a->in[1], s);
    return oct_cuda_launched(ctx, oct_op_name(op->op));
}

/* ---- planning ---- */

/* Indices known ahead lie in [-dim, dim): all of them, or (ND) those of each place in a tuple. */
static bool indices_are_right(const oct_operand *o, const int64_t *dim, int depth)
{
    for (size_t i = 0; o->data && i < oct_cuda_elems(o); i++) {
        const int64_t k = oct_elem_s64(o->data, o->desc.dtype, i), n = dim[i % (size_t)depth];
        if (k < -n || k >= n)
            return false;
    }
    return true;
}

static bool plain_movers(const oct_op_desc *d, const oct_operand *index, char *reason)
{
    for (int i = 0; i < d->n_in; i++)
        if (!oct_cuda_row_major(&d->in[i]))
            return oct_cuda_no(reason, "an operand is not dense row-major");
    if (!oct_cuda_row_major(&d->out[0]))
        return oct_cuda_no(reason, "the result is not dense row-major");
    if (!oct_cuda_is_index(index->desc.dtype))
        return oct_cuda_no(reason, "indices must be s32 or s64");
    if (oct_cuda_elems(&d->out[0]) > OCT_CUDA_MAX_ELEMS ||
        oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "more than 2^31 elements");
    return true;
}

static bool same_scale(const oct_op_desc *d, char *reason)
{
    return oct_cuda_same_quant(&d->in[0].quant, &d->out[0].quant) ||
           oct_cuda_no(reason, "moves elements between different scales");
}

static gather_op *op_new(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_operand *index)
{
    gather_op *op = oct_cuda_make<gather_op>(be, ctx, run);
    if (!op)
        return NULL;
    op->op = d->op;
    op->unit = oct_dtype_bytes(d->out[0].desc.dtype);
    op->total = (uint32_t)oct_cuda_elems(&d->out[0]);
    op->index_type = index->desc.dtype;
    oct_cuda_fault_at_init(&op->at, d);
    return op;
}

static oct_cuda_div div_of(int64_t n)
{
    return oct_cuda_div_make(n > 0 ? n : 1);
}

bool oct_cuda_gather_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                           char *reason)
{
    const oct_cuda_axis v =
        oct_cuda_axis_of(&d->in[0].desc.shape, ((const oct_attr_axis *)d->attr)->axis);
    (void)be;
    (void)ctx;
    if (!plain_movers(d, &d->in[1], reason) || !same_scale(d, reason))
        return false;
    if (!indices_are_right(&d->in[1], &v.dim, 1))
        return oct_cuda_no(reason, "an index out of range");
    return oct_cuda_name(c, "gather");
}

oct_status oct_cuda_gather_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                   const oct_candidate *c, oct_cuda_op **out)
{
    const oct_cuda_axis v =
        oct_cuda_axis_of(&d->in[0].desc.shape, ((const oct_attr_axis *)d->attr)->axis);
    gather_op *op = op_new(be, ctx, d, &d->in[1]);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->dim = v.dim;
    op->inner = div_of(v.inner);
    op->n_index = div_of((int64_t)oct_cuda_elems(&d->in[1]));
    *out = &op->base;
    return OCT_OK;
}

/* GatherElements and ScatterElements: a nest over the index tensor with steps in it and in the data,
 * where the axis is left out. */
static bool elements_loop(const oct_op_desc *d, oct_cuda_loop *loop, int64_t *step, int64_t *dim)
{
    const oct_tensor_desc *x = &d->in[0].desc, *index = &d->in[1].desc;
    const int64_t at = d->op == OCT_OP_GATHER_ELEMENTS ? ((const oct_attr_axis *)d->attr)->axis
                                                       : ((const oct_attr_scatter *)d->attr)->axis;
    const int axis = (int)(at < 0 ? at + x->shape.n_dims : at);
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    for (int k = 0; k < x->shape.n_dims; k++)
        oct_ref_loop_dim(&l, index->shape.dim[k], index->stride[k], k == axis ? 0 : x->stride[k]);
    oct_ref_loop_optimize(&l);
    *step = x->stride[axis];
    *dim = x->shape.dim[axis];
    return oct_cuda_loop_make(&l, 1, loop);
}

static oct_status elements_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                   oct_cuda_op **out)
{
    gather_op *op = op_new(be, ctx, d, &d->in[1]);
    if (!op)
        return OCT_ERR_NOMEM;
    (void)elements_loop(d, &op->loop, &op->axis_step, &op->dim);
    op->total = op->loop.total;
    *out = &op->base;
    return OCT_OK;
}

bool oct_cuda_gather_elements_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    oct_candidate *c, char *reason)
{
    oct_cuda_loop loop;
    int64_t step, dim;
    (void)be;
    (void)ctx;
    if (!plain_movers(d, &d->in[1], reason) || !same_scale(d, reason))
        return false;
    if (!elements_loop(d, &loop, &step, &dim) || !indices_are_right(&d->in[1], &dim, 1))
        return oct_cuda_no(reason, "more than 8 dims, or an index out of range");
    return oct_cuda_name(c, "gather_elements");
}

oct_status oct_cuda_gather_elements_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                            const oct_candidate *c, oct_cuda_op **out)
{
    (void)c;
    return elements_prepare(be, ctx, d, out);
}

/* Sizes and steps of the `depth` axes from `first` on that a tuple names. */
static int64_t nd_axes(const oct_shape *s, int first, int depth, int64_t *dim, int64_t *step)
{
    int64_t slice = 1;
    for (int i = first + depth; i < s->n_dims; i++)
        slice *= s->dim[i];
    int64_t at = slice;
    for (int i = depth - 1; i >= 0; i--) {
        dim[i] = s->dim[first + i];
        step[i] = at;
        at *= dim[i];
    }
    return slice;
}

static int tuple_depth(const oct_op_desc *d)
{
    const oct_shape *s = &d->in[1].desc.shape;
    return (int)s->dim[s->n_dims - 1];
}

bool oct_cuda_gather_nd_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                              char *reason)
{
    const int batch = (int)((const oct_attr_gather_nd *)d->attr)->batch_dims;
    int64_t dim[OCT_MAX_DIMS], step[OCT_MAX_DIMS];
    (void)be;
    (void)ctx;
    if (!plain_movers(d, &d->in[1], reason) || !same_scale(d, reason))
        return false;
    if (tuple_depth(d) < 1)
        return oct_cuda_no(reason, "empty index tuples");
    nd_axes(&d->in[0].desc.shape, batch, tuple_depth(d), dim, step);
    if (!indices_are_right(&d->in[1], dim, tuple_depth(d)))
        return oct_cuda_no(reason, "an index out of range");
    return oct_cuda_name(c, "gather_nd");
}

oct_status oct_cuda_gather_nd_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                      const oct_candidate *c, oct_cuda_op **out)
{
    const int batch = (int)((const oct_attr_gather_nd *)d->attr)->batch_dims;
    const oct_shape *x = &d->in[0].desc.shape, *index = &d->in[1].desc.shape;
    gather_op *op = op_new(be, ctx, d, &d->in[1]);
    int64_t per_batch = 1;
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->depth = tuple_depth(d);
    op->inner = div_of(nd_axes(x, batch, op->depth, op->nd_dim, op->nd_step));
    for (int i = batch; i < index->n_dims - 1; i++)
        per_batch *= index->dim[i];
    op->per_batch = div_of(per_batch);
    op->batch_step = 1;
    for (int i = batch; i < x->n_dims; i++)
        op->batch_step *= x->dim[i];
    *out = &op->base;
    return OCT_OK;
}

/* Without a reduction; with indices known to differ, or the last one to win nowhere guaranteed, only
 * what is known ahead to have no repeated index is taken. */
static bool indices_differ(oct_ctx *ctx, const oct_op_desc *d, const int64_t *dim,
                           const int64_t *step, int depth, size_t n_data)
{
    const oct_operand *o = &d->in[1];
    const size_t n = oct_cuda_elems(o) / (size_t)depth;
    uint8_t *seen = o->data ? (uint8_t *)oct_zalloc(ctx, n_data + 1) : NULL;
    bool differ = seen != NULL;
    for (size_t i = 0; differ && i < n; i++) {
        int64_t at = 0;
        for (int k = 0; k < depth; k++) {
            const int64_t v = oct_elem_s64(o->data, o->desc.dtype, i * (size_t)depth + (size_t)k);
            at += (v < 0 ? v + dim[k] : v) * step[k];
        }
        differ = seen[at]++ == 0;
    }
    oct_free(ctx, seen);
    return differ;
}

/* ScatterElements: whether the targets of known indices all differ. */
static bool targets_differ(oct_ctx *ctx, const oct_op_desc *d, int axis)
{
    const oct_tensor_desc *x = &d->in[0].desc;
    const oct_operand *o = &d->in[1];
    uint8_t *seen = o->data ? (uint8_t *)oct_zalloc(ctx, oct_cuda_elems(&d->in[0]) + 1) : NULL;
    bool differ = seen != NULL;
    for (size_t i = 0; differ && i < oct_cuda_elems(o); i++) {
        int64_t rest = (int64_t)i, at = 0;
        for (int k = x->shape.n_dims - 1; k >= 0; k--) {
            int64_t pos = rest % o->desc.shape.dim[k];
            rest /= o->desc.shape.dim[k];
            if (k == axis) {
                pos = oct_elem_s64(o->data, o->desc.dtype, i);
                pos += pos < 0 ? x->shape.dim[k] : 0;
            }
            at += pos * x->stride[k];
        }
        differ = seen[at]++ == 0;
    }
    oct_free(ctx, seen);
    return differ;
}

bool oct_cuda_scatter_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    const oct_attr_scatter *at = (const oct_attr_scatter *)d->attr;
    const oct_shape *x = &d->in[0].desc.shape;
    int64_t dim[OCT_MAX_DIMS], step[OCT_MAX_DIMS];
    bool right, differ;
    (void)be;
    if (!plain_movers(d, &d->in[1], reason) || !same_scale(d, reason))
        return false;
    if (at->reduction != OCT_SCATTER_NONE)
        return oct_cuda_no(reason, "a reduction in index order");
    if (d->op == OCT_OP_SCATTER_ND) {
        const int depth = tuple_depth(d);
        if (depth < 1)
            return oct_cuda_no(reason, "empty index tuples");
        nd_axes(x, 0, depth, dim, step);
        right = indices_are_right(&d->in[1], dim, depth);
        differ = right && indices_differ(ctx, d, dim, step, depth, oct_cuda_elems(&d->in[0]));
    } else {
        oct_cuda_loop loop;
        const int axis = (int)(at->axis < 0 ? at->axis + x->n_dims : at->axis);
        right = elements_loop(d, &loop, step, dim) && indices_are_right(&d->in[1], dim, 1);
        differ = right && targets_differ(ctx, d, axis);
    }
    if (!right || !differ)
        return oct_cuda_no(reason, "indices that are not known ahead to be right and to differ");
    return oct_cuda_name(c, "scatter");
}

oct_status oct_cuda_scatter_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    (void)c;
    if (d->op == OCT_OP_SCATTER_ELEMENTS) {
        OCT_TRY(elements_prepare(be, ctx, d, out));
    } else {
        gather_op *op = op_new(be, ctx, d, &d->in[1]);
        if (!op)
            return OCT_ERR_NOMEM;
        op->depth = tuple_depth(d);
        op->inner = div_of(nd_axes(&d->in[0].desc.shape, 0, op->depth, op->nd_dim, op->nd_step));
        op->total = (uint32_t)oct_cuda_elems(&d->in[2]);
        *out = &op->base;
    }
    gather_op *op = (gather_op *)*out;
    op->data_bytes = oct_cuda_elems(&d->in[0]) * op->unit;
    return OCT_OK;
}

bool oct_cuda_one_hot_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    int64_t depth = 0;
    int n = 0;
    (void)be;
    (void)ctx;
    if (!plain_movers(d, &d->in[0], reason))
        return false;
    const oct_cuda_axis v =
        oct_cuda_axis_of(&d->out[0].desc.shape, ((const oct_attr_axis *)d->attr)->axis);
    if (!oct_cuda_ints(d, 1, &depth, 1, &n) || n != 1 || depth != v.dim)
        return oct_cuda_no(reason, "the depth is not known ahead");
    return oct_cuda_name(c, "one_hot");
}

oct_status oct_cuda_one_hot_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    const oct_cuda_axis v =
        oct_cuda_axis_of(&d->out[0].desc.shape, ((const oct_attr_axis *)d->attr)->axis);
    gather_op *op = op_new(be, ctx, d, &d->in[0]);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->dim = v.dim;
    op->inner = div_of(v.inner);
    op->n_index = div_of(v.dim);
    *out = &op->base;
    return OCT_OK;
}
