/* SPDX-License-Identifier: Apache-2.0
 *
 * Data movers that are strided copies (cuda_copy.h): Identity, Reorder, Expand, Transpose, Concat,
 * Split, Slice, Tile, DepthToSpace, SpaceToDepth and the Reshape family, in any layout. Movers by
 * index are in cuda_gather.cu and cuda_scatter.cu.
 */
#include "kernels/cuda/cuda_copy.h"
#include "kernels/cuda/cuda_kernel.cuh"

/* One of an op's copies. */
typedef struct move_part {
    int in, out;
    int64_t in_at, out_at; /* in bytes */
    oct_cuda_copy copy;
} move_part;

typedef struct move_op {
    oct_cuda_op base;
    size_t mask_bytes; /* Dropout's second output */
    int n;
    move_part *part;
} move_op;

static oct_status run_move(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const move_op *op = (const move_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    for (int i = 0; i < op->n; i++) {
        const move_part *p = &op->part[i];
        if (!a->out[p->out])
            continue;
        OCT_TRY(oct_cuda_copy_run(&p->copy, ctx, (char *)a->out[p->out] + p->out_at,
                                  (const char *)a->in[p->in] + p->in_at, s));
    }
    if (op->mask_bytes > 0 && a->out[1])
        return oct_cuda_check(ctx, cudaMemsetAsync(a->out[1], 1, op->mask_bytes, s), "Dropout");
    return OCT_OK;
}

static void release_move(oct_cuda *be, oct_cuda_op *base)
{
    oct_free(be->ctx, ((move_op *)base)->part);
}

/* Copies between views of one element size; offsets come in elements. */
typedef struct move_list {
    const oct_op_desc *d;
    move_part *part;
    int n;
    size_t bytes;
    char *reason;
} move_list;

static bool add_tensor(move_list *m, int out, const oct_tensor_desc *dst, int64_t dst_at, int in,
                       const oct_tensor_desc *src, int64_t src_at)
{
    move_part *p = &m->part[m->n++];
    p->in = in;
    p->out = out;
    p->in_at = src_at * (int64_t)m->bytes;
    p->out_at = dst_at * (int64_t)m->bytes;
    return oct_cuda_copy_tensor(dst, src, &p->copy, m->reason);
}

static bool add_loop(move_list *m, oct_ref_loop *l)
{
    move_part *p = &m->part[m->n++];
    return oct_cuda_copy_make(l, m->bytes, &p->copy, m->reason);
}

static bool identity(move_list *m)
{
    return add_tensor(m, 0, &m->d->out[0].desc, 0, 0, &m->d->in[0].desc, 0);
}

static bool reshape(move_list *m)
{
    if (!oct_cuda_row_major(&m->d->in[0]) || !oct_cuda_row_major(&m->d->out[0]))
        return oct_cuda_no(m->reason, "operands must be dense row-major");
    oct_tensor_desc x = m->d->in[0].desc;
    return add_tensor(m, 0, &x, 0, 0, &x, 0);
}

static bool transpose(move_list *m)
{
    const oct_attr_transpose *at = (const oct_attr_transpose *)m->d->attr;
    const oct_tensor_desc *x = &m->d->in[0].desc, *y = &m->d->out[0].desc;
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    l.n_operands = 2;
    for (int i = 0; i < y->shape.n_dims; i++) {
        const int from = at->n_perm ? (int)at->perm[i] : y->shape.n_dims - 1 - i;
        oct_ref_loop_dim(&l, y->shape.dim[i], y->stride[i], x->stride[from]);
    }
    return add_loop(m, &l);
}

static int axis_in(const oct_op_desc *d, const oct_shape *s)
{
    const int64_t axis = ((const oct_attr_axis *)d->attr)->axis;
    return (int)(axis < 0 ? axis + s->n_dims : axis);
}

static bool concat(move_list *m)
{
    const oct_tensor_desc *y = &m->d->out[0].desc;
    const int axis = axis_in(m->d, &y->shape);
    int64_t start = 0;
    oct_tensor_desc slice = *y;
    for (int k = 0; k < m->d->n_in; k++) {
        const oct_tensor_desc *x = &m->d->in[k].desc;
        slice.shape = x->shape;
        if (!add_tensor(m, 0, &slice, start * y->stride[axis], k, x, 0))
            return false;
        start += x->shape.dim[axis];
    }
    return true;
}

static bool split(move_list *m)
{
    const oct_tensor_desc *x = &m->d->in[0].desc;
    const int axis = axis_in(m->d, &x->shape);
    int64_t start = 0;
    oct_tensor_desc slice = *x;
    for (int k = 0; k < m->d->n_out; k++) {
        const oct_tensor_desc *y = &m->d->out[k].desc;
        if (y->dtype == OCT_DT_NONE)
            continue;
        slice.shape = y->shape;
        if (!add_tensor(m, k, y, 0, 0, &slice, start * x->stride[axis]))
            return false;
        start += y->shape.dim[axis];
    }
    return true;
}

/* Start clamped as ONNX says; the number of elements is the output's. */
static bool slice(move_list *m)
{
    const oct_tensor_desc *x = &m->d->in[0].desc, *y = &m->d->out[0].desc;
    int64_t start[OCT_MAX_DIMS], axis[OCT_MAX_DIMS], step[OCT_MAX_DIMS], at = 0;
    int n, n_axes, n_steps;
    if (!oct_cuda_ints(m->d, 1, start, OCT_MAX_DIMS, &n) ||
        !oct_cuda_ints(m->d, 3, axis, OCT_MAX_DIMS, &n_axes) ||
        !oct_cuda_ints(m->d, 4, step, OCT_MAX_DIMS, &n_steps))
        return oct_cuda_no(m->reason, "starts, axes or steps are not known ahead");
    oct_tensor_desc view = *x;
    view.shape = y->shape;
    for (int k = 0; k < n; k++) {
        const int r = (int)(!n_axes ? k : axis[k] < 0 ? axis[k] + x->shape.n_dims : axis[k]);
        const int64_t by = n_steps ? step[k] : 1, dim = x->shape.dim[r], count = y->shape.dim[r];
        const int64_t last = by < 0 ? dim - 1 : dim;
        int64_t from = start[k] + (start[k] < 0 ? dim : 0);
        from = from < 0 ? 0 : from > last ? last : from;
        const int64_t end = count > 0 ? from + (count - 1) * by : 0;
        if (count > 0 && (end < 0 || end >= dim))
            return oct_cuda_no(m->reason, "a slice that leaves its input");
        at += count > 0 ? from * x->stride[r] : 0;
        view.stride[r] = (count > 1 ? by : 1) * x->stride[r];
    }
    return add_tensor(m, 0, y, 0, 0, &view, at);
}

/* Each dimension twice: the repeats, which read the same elements, and the elements. */
static bool tile(move_list *m)
{
    const oct_tensor_desc *x = &m->d->in[0].desc, *y = &m->d->out[0].desc;
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    l.n_operands = 2;
    for (int i = 0; i < y->shape.n_dims; i++) {
        const int64_t dim = x->shape.dim[i];
        oct_ref_loop_dim(&l, dim ? y->shape.dim[i] / dim : 0, dim * y->stride[i], 0);
        oct_ref_loop_dim(&l, dim, y->stride[i], x->stride[i]);
    }
    return add_loop(m, &l);
}

/* Depth (b, c) and the block position (i, j) make the deep tensor's axis 1; (h, i) and (w, j) the
 * wide tensor's axes 2 and 3. With `crd`, c is the slow part of the depth. */
static bool depth_space(move_list *m, const oct_tensor_desc *deep, const oct_tensor_desc *wide,
                        bool to_wide)
{
    const oct_attr_depth_space *at = (const oct_attr_depth_space *)m->d->attr;
    const int64_t block = at->block_size, channels = wide->shape.dim[1];
    const int64_t step_c = at->crd ? block * block : 1;
    const int64_t step_i = at->crd ? block : block * channels, step_j = at->crd ? 1 : channels;
    const int64_t *sd = deep->stride, *sw = wide->stride;
    const int64_t size[6] = {wide->shape.dim[0], channels, deep->shape.dim[2], block,
                             deep->shape.dim[3], block};
    const int64_t in_wide[6] = {sw[0], sw[1], sw[2] * block, sw[2], sw[3] * block, sw[3]};
    const int64_t in_deep[6] = {sd[0],          sd[1] * step_c, sd[2],
                                sd[1] * step_i, sd[3],          sd[1] * step_j};
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    l.n_operands = 2;
    for (int i = 0; i < 6; i++)
        oct_ref_loop_dim(&l, size[i], to_wide ? in_wide[i] : in_deep[i],
                         to_wide ? in_deep[i] : in_wide[i]);
    return add_loop(m, &l);
}

static bool depth_to_space(move_list *m)
{
    return depth_space(m, &m->d->in[0].desc, &m->d->out[0].desc, true);
}

static bool space_to_depth(move_list *m)
{
    return depth_space(m, &m->d->out[0].desc, &m->d->in[0].desc, false);
}

static const struct {
    oct_op op;
    bool (*build)(move_list *m);
} builders[] = {
    {OCT_OP_IDENTITY, identity},
    {OCT_OP_DROPOUT, identity},
    {OCT_OP_REORDER, identity},
    {OCT_OP_EXPAND, identity},
    {OCT_OP_TRANSPOSE, transpose},
    {OCT_OP_CONCAT, concat},
    {OCT_OP_SPLIT, split},
    {OCT_OP_SLICE, slice},
    {OCT_OP_TILE, tile},
    {OCT_OP_DEPTH_TO_SPACE, depth_to_space},
    {OCT_OP_SPACE_TO_DEPTH, space_to_depth},
    {OCT_OP_RESHAPE, reshape},
    {OCT_OP_FLATTEN, reshape},
    {OCT_OP_SQUEEZE, reshape},
    {OCT_OP_UNSQUEEZE, reshape},
};

static bool build(const oct_op_desc *d, move_part *part, int *n, char *reason)
{
    move_list m = {d, part, 0, oct_dtype_bytes(d->out[0].desc.dtype), reason};
    for (int k = 0; k < (d->op == OCT_OP_CONCAT ? d->n_in : 1); k++) {
        if (d->in[k].desc.dtype != d->out[0].desc.dtype)
            return oct_cuda_no(reason, "types differ");
        for (int o = 0; o < d->n_out; o++)
            if (d->out[o].desc.dtype == d->out[0].desc.dtype &&
                !oct_cuda_same_quant(&d->in[k].quant, &d->out[o].quant))
                return oct_cuda_no(reason, "moves elements between different scales");
    }
    for (size_t i = 0; i < sizeof builders / sizeof builders[0]; i++)
        if (builders[i].op == d->op && !builders[i].build(&m))
            return false;
    *n = m.n;
    return true;
}

static move_part *parts_new(oct_ctx *ctx, const oct_op_desc *d)
{
    return (move_part *)oct_zalloc(ctx, (size_t)(d->n_in + d->n_out) * sizeof(move_part));
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    move_part *part = parts_new(ctx, d);
    int n = 0;
    (void)be;
    if (!part)
        return oct_cuda_no(reason, "out of memory");
    const bool ok = build(d, part, &n, reason);
    if (ok)
        snprintf(c->name, sizeof c->name, "cuda:%s",
                 n == 1 && part[0].copy.kind >= OCT_CUDA_COPY_THIN ? "transpose" : "copy");
    oct_free(ctx, part);
    return ok;
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    move_op *op = oct_cuda_make<move_op>(be, ctx, run_move);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.release = release_move;
    op->part = parts_new(be->ctx, d);
    if (!op->part || !build(d, op->part, &op->n, reason)) {
        const bool no_memory = !op->part;
        release_move(be, &op->base);
        oct_free(be->ctx, op);
        return no_memory ? OCT_ERR_NOMEM
                         : oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    if (d->op == OCT_OP_DROPOUT && d->n_out > 1)
        op->mask_bytes = oct_cuda_elems(&d->out[1]);
    *out = &op->base;
    return OCT_OK;
}

#define ROW(op)                     \
    {                               \
        OCT_OP_##op, query, prepare \
    }
#define OWN(op, name)                                                   \
    {                                                                   \
        OCT_OP_##op, oct_cuda_##name##_query, oct_cuda_##name##_prepare \
    }

static const oct_cuda_row rows[] = {
    ROW(IDENTITY),
    ROW(DROPOUT),
    ROW(REORDER),
    ROW(EXPAND),
    ROW(TRANSPOSE),
    ROW(CONCAT),
    ROW(SPLIT),
    ROW(SLICE),
    ROW(TILE),
    ROW(DEPTH_TO_SPACE),
    ROW(SPACE_TO_DEPTH),
    ROW(RESHAPE),
    ROW(FLATTEN),
    ROW(SQUEEZE),
    ROW(UNSQUEEZE),
    OWN(PAD, pad),
    OWN(GATHER, gather),
    OWN(GATHER_ELEMENTS, gather_elements),
    OWN(GATHER_ND, gather_nd),
    OWN(SCATTER_ELEMENTS, scatter),
    OWN(SCATTER_ND, scatter),
    OWN(ONE_HOT, one_hot),
    OWN(CONSTANT_OF_SHAPE, fill),
    OWN(RANGE, range),
    OWN(EYE_LIKE, eye),
    OWN(TRILU, trilu),
    OWN(REVERSE_SEQUENCE, reverse_sequence),
    OWN(GRID_SAMPLE, grid_sample),
    OWN(ROI_ALIGN, roi_align),
};
extern "C" const oct_cuda_rows oct_cuda_rows_move = {rows, sizeof rows / sizeof rows[0]};
