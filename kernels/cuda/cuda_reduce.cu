/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions over any axes, and global pools. Floats are summed in f32 by many partial sums (the error
 * grows with the logarithm of their number), integers exactly in 64 bits, 8-bit averages as the exact
 * sum of (q - z_x).
 *
 *     ROWS     a warp, or a block, per result: its lanes walk the reduced elements
 *     COLUMNS  neighbouring results lie closer together than reduced elements (channels innermost): a
 *              lane takes a vector of results, the warps of a block share the reduced elements
 *     SLABS    columns of pictures, where the results of an image are one run: a block takes some of an
 *              image's channels and positions; where blocks would be few, several share the positions
 */
#include "kernels/cuda/cuda_reduce.cuh"

/* ---- the op ---- */

typedef struct reduce_op {
    oct_cuda_op base;
    reduce_params p;
    oct_cuda_loop vectors; /* results in vectors; n_dims 0: not taken */
    slab_params slabs;     /* vecs 0: not taken */
    int vec;
    bool is_float;
} reduce_op;

template <class A, class T, int V>
static void launch_columns(const reduce_op *op, void *y, const void *x, cudaStream_t s)
{
    reduce_params p = op->p;
    p.results = op->vectors;
    const uint32_t blocks = oct_cuda_blocks(p.results.total, 32);
    if (p.fold == FOLD_SUM)
        reduce_columns<A, T, V, true><<<blocks, THREADS, 0, s>>>(p, y, (const T *)x);
    else
        reduce_columns<A, T, V, false><<<blocks, THREADS, 0, s>>>(p, y, (const T *)x);
}

template <class A, class T, int V, bool SUM>
static void launch_slabs_as(const slab_params &p, void *y, const void *x, cudaStream_t s)
{
    const uint32_t runs = p.r.results.total / p.vecs;
    reduce_slabs<A, T, V, SUM>
        <<<runs * p.chunks.d * p.splits.d, THREADS, 0, s>>>(p, y, (const T *)x);
    if (p.splits.d > 1)
        join_slabs<A, V, SUM>
            <<<oct_cuda_blocks((int64_t)p.r.results.total * V, THREADS), THREADS, 0, s>>>(p, y);
}

template <class A, class T, int V>
static void launch_slabs(const reduce_op *op, void *y, const void *x, void *partial, cudaStream_t s)
{
    slab_params p = op->slabs;
    p.r = op->p;
    p.r.results = op->vectors;
    p.partial = partial;
    if (p.r.fold == FOLD_SUM)
        launch_slabs_as<A, T, V, true>(p, y, x, s);
    else
        launch_slabs_as<A, T, V, false>(p, y, x, s);
}

static void run_slabs(const reduce_op *op, void *y, const void *x, void *partial, cudaStream_t s)
{
    if (op->p.from == OCT_DT_F32)
        launch_slabs<float, float, 4>(op, y, x, partial, s);
    else if (op->p.from == OCT_DT_F16)
        launch_slabs<float, __half, 8>(op, y, x, partial, s);
    else if (op->p.from == OCT_DT_S8)
        launch_slabs<int32_t, int8_t, 16>(op, y, x, partial, s);
    else
        launch_slabs<int32_t, uint8_t, 16>(op, y, x, partial, s);
}

static void run_columns(const reduce_op *op, void *y, const void *x, cudaStream_t s)
{
    if (op->p.from == OCT_DT_F32)
        launch_columns<float, float, 4>(op, y, x, s);
    else if (op->p.from == OCT_DT_F16)
        launch_columns<float, __half, 8>(op, y, x, s);
    else if (op->p.from == OCT_DT_S8)
        launch_columns<int32_t, int8_t, 16>(op, y, x, s);
    else
        launch_columns<int32_t, uint8_t, 16>(op, y, x, s);
}

static oct_status run_reduce(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const reduce_op *op = (const reduce_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const reduce_params *p = &op->p;
    void *y = a->out[0];
    const void *x = a->in[0];
    const bool block = p->inner.total > 2048 || (p->inner.total > 256 && p->results.total < 4096);
    const uint32_t grid =
        block ? p->results.total : oct_cuda_blocks((int64_t)p->results.total, WARPS);
    if (p->results.total == 0)
        return OCT_OK;
    reduce_params max = *p;
    max.fold = FOLD_MAX;
    if (p->log_sum_exp)
        log_sum_exp_rows<<<p->results.total, THREADS, 0, s>>>(max, *p, y, x);
    else if (op->slabs.vecs > 0 && oct_cuda_aligned(x, 16))
        run_slabs(op, y, x, a->workspace, s);
    else if (op->vectors.n_dims > 0 && oct_cuda_aligned(x, 16))
        run_columns(op, y, x, s);
    else if (op->is_float)
        reduce_rows<float><<<grid, THREADS, 0, s>>>(*p, y, x, block);
    else
        reduce_rows<int64_t><<<grid, THREADS, 0, s>>>(*p, y, x, block);
    return oct_cuda_launched(ctx, "reduction");
}

/* Blocks for every multiprocessor, and no more rows of threads than there are elements. */
static void make_slabs(const oct_cuda *be, reduce_op *op)
{
    slab_params *p = &op->slabs;
    const oct_cuda_loop *v = &op->vectors;
    const uint32_t elements = op->p.inner.total, enough = 4 * (uint32_t)be->n_sm;
    if (v->n_dims > 2 || v->total == 0 || op->p.inner.n_dims != 1 || elements == 0)
        return;
    p->vecs = v->dim[0].d;
    p->tx = p->vecs < THREADS ? p->vecs : THREADS;
    while (p->tx > 4 && (uint64_t)v->total < (uint64_t)enough * p->tx && THREADS / p->tx < elements)
        p->tx = (p->tx + 1) / 2;
    const uint32_t chunks = (p->vecs + p->tx - 1) / p->tx, blocks = v->total / p->vecs * chunks;
    p->tx = (p->vecs + chunks - 1) / chunks;
    p->ty = THREADS / p->tx < elements ? THREADS / p->tx : elements;
    uint32_t splits = 1;
    while (blocks * splits < enough && splits < 32 && elements / (2 * splits) >= 4 * p->ty)
        splits *= 2;
    p->chunks = oct_cuda_div_make(chunks);
    p->splits = oct_cuda_div_make(splits);
    p->per_split = (elements + splits - 1) / splits;
    p->step = op->p.inner.stride[0][0];
}

/* Of partial results, all of four bytes. */
static size_t workspace_of(const reduce_op *op)
{
    const uint32_t splits = op->slabs.vecs > 0 ? op->slabs.splits.d : 1;
    return splits > 1 ? (size_t)splits * op->vectors.total * (size_t)op->vec * 4 : 0;
}

static bool build(const oct_cuda *be, const oct_op_desc *d, const bool *reduced, reduce_op *op,
                  char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const bool keep = y->shape.n_dims == x->shape.n_dims;
    oct_ref_loop results, inner;
    int out = 0;
    memset(&results, 0, sizeof results);
    memset(&inner, 0, sizeof inner);
    results.n_operands = inner.n_operands = 2;
    op->p.count = 1;
    for (int i = 0; i < x->shape.n_dims; i++) {
        if (reduced[i]) {
            oct_ref_loop_dim(&inner, x->shape.dim[i], x->stride[i], 0);
            op->p.count *= x->shape.dim[i];
        } else {
            oct_ref_loop_dim(&results, x->shape.dim[i], y->stride[out], x->stride[i]);
        }
        out += keep || !reduced[i];
    }
    inner.n_operands = 1;
    oct_ref_loop_optimize(&inner);
    oct_ref_loop_optimize(&results);
    if (oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS ||
        !oct_cuda_loop_make(&results, 1, &op->p.results) ||
        !oct_cuda_loop_make(&inner, 1, &op->p.inner))
        return oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
    op->vec = (int)(16 / oct_dtype_bytes(x->dtype));
    const bool pool = d->op == OCT_OP_GLOBAL_AVERAGE_POOL || d->op == OCT_OP_GLOBAL_MAX_POOL;
    const bool typed = oct_cuda_is_real(x->dtype) || (pool && oct_cuda_is_8bit(x->dtype));
    const int r = results.n_dims - 1, n = inner.n_dims - 1;
    bool closer = typed && results.stride[1][r] == 1 && results.stride[0][r] == 1 &&
                  inner.stride[0][n] != 1 && results.dim[r] % op->vec == 0;
    for (int i = 0; i < inner.n_dims; i++)
        closer = closer && inner.stride[0][i] % op->vec == 0;
    if (!closer || !oct_cuda_loop_takes(&results, op->vec))
        return true;
    if (!oct_cuda_loop_make(&results, op->vec, &op->vectors))
        return oct_cuda_no(reason, "size");
    make_slabs(be, op);
    return true;
}

static void fold_of(oct_op o, reduce_op *op)
{
    reduce_params *p = &op->p;
    p->fold = o == OCT_OP_REDUCE_L1                                    ? FOLD_ABS
              : o == OCT_OP_REDUCE_L2 || o == OCT_OP_REDUCE_SUM_SQUARE ? FOLD_SQUARE
              : o == OCT_OP_REDUCE_PROD                                ? FOLD_PROD
              : o == OCT_OP_REDUCE_MAX || o == OCT_OP_GLOBAL_MAX_POOL  ? FOLD_MAX
              : o == OCT_OP_REDUCE_MIN                                 ? FOLD_MIN
                                                                       : FOLD_SUM;
    p->finish = o == OCT_OP_REDUCE_MEAN || o == OCT_OP_GLOBAL_AVERAGE_POOL ? FINISH_MEAN
                : o == OCT_OP_REDUCE_L2                                    ? FINISH_SQRT
                : o == OCT_OP_REDUCE_LOG_SUM                               ? FINISH_LOG
                                                                           : FINISH_NONE;
    p->log_sum_exp = o == OCT_OP_REDUCE_LOG_SUM_EXP;
}

static void set_types(const oct_op_desc *d, reduce_op *op)
{
    op->p.from = d->in[0].desc.dtype;
    op->p.to = d->out[0].desc.dtype;
    op->p.is_u64 = op->p.from == OCT_DT_U64;
    op->is_float = oct_dtype_is_float(op->p.from);
    fold_of(d->op, op);
}

/* Which axes are reduced; all by default, none with noop_with_empty_axes. */
static bool axes_of(const oct_op_desc *d, bool *reduced)
{
    const int rank = d->in[0].desc.shape.n_dims;
    int64_t axis[OCT_MAX_DIMS];
    int n = 0;
    if (!oct_cuda_ints(d, 1, axis, OCT_MAX_DIMS, &n))
        return false;
    for (int i = 0; i < rank; i++)
        reduced[i] = n == 0 && !((const oct_attr_reduce *)d->attr)->noop_with_empty_axes;
    for (int k = 0; k < n; k++)
        reduced[axis[k] < 0 ? axis[k] + rank : axis[k]] = true;
    return true;
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    const bool logs = d->op == OCT_OP_REDUCE_LOG_SUM || d->op == OCT_OP_REDUCE_LOG_SUM_EXP;
    bool reduced[OCT_MAX_DIMS];
    reduce_op op;
    (void)ctx;
    memset(&op, 0, sizeof op);
    if (d->in[0].quant.n > 0 || d->out[0].quant.n > 0)
        return oct_cuda_no(reason, "quantized operand");
    const bool integer = dt == OCT_DT_S8 || dt == OCT_DT_U8 || dt == OCT_DT_S32 ||
                         dt == OCT_DT_U32 || dt == OCT_DT_S64 || dt == OCT_DT_U64 ||
                         dt == OCT_DT_BOOL;
    if (!(oct_cuda_is_real(dt) || dt == OCT_DT_BF16 || (integer && !logs)))
        return oct_cuda_no(reason, "reductions take f32, f16 and integers");
    if (!axes_of(d, reduced))
        return oct_cuda_no(reason, "axes are not known ahead");
    if (!build(be, d, reduced, &op, reason))
        return false;
    /* an empty maximum of a narrow integer would not be its least value */
    if (op.p.count == 0 && integer)
        return oct_cuda_no(reason, "nothing to reduce");
    c->workspace_bytes = workspace_of(&op);
    return oct_cuda_name(c, op.slabs.vecs > 0       ? "reduce:slabs"
                            : op.vectors.n_dims > 0 ? "reduce:columns"
                                                    : "reduce:rows");
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    bool reduced[OCT_MAX_DIMS];
    reduce_op *op = oct_cuda_make<reduce_op>(be, ctx, run_reduce);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)axes_of(d, reduced);
    (void)build(be, d, reduced, op, reason);
    set_types(d, op);
    *out = &op->base;
    return OCT_OK;
}

/* ---- global pools: all spatial axes ---- */

static bool pool_build(const oct_cuda *be, const oct_op_desc *d, reduce_op *op, char *reason)
{
    bool reduced[OCT_MAX_DIMS];
    for (int i = 0; i < d->in[0].desc.shape.n_dims; i++)
        reduced[i] = i >= 2;
    return build(be, d, reduced, op, reason);
}

bool oct_cuda_global_pool_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                                char *reason)
{
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const bool q8 = oct_cuda_is_8bit(x->desc.dtype);
    const bool alike = x->desc.dtype == y->desc.dtype && oct_cuda_same_quant(&x->quant, &y->quant);
    reduce_op op;
    (void)ctx;
    memset(&op, 0, sizeof op);
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_cuda_no(reason, "pools take no epilogue");
    if (!pool_build(be, d, &op, reason))
        return false;
    bool ok = oct_cuda_is_real(x->desc.dtype) && alike && x->quant.n == 0;
    if (d->op == OCT_OP_GLOBAL_LP_POOL) {
        const int64_t p = ((const oct_attr_norm *)d->attr)->p;
        ok = ok && (p == 1 || p == 2);
    }
    if (q8 && d->op == OCT_OP_GLOBAL_MAX_POOL)
        ok = alike && op.p.count > 0;
    if (q8 && d->op == OCT_OP_GLOBAL_AVERAGE_POOL)
        ok = oct_cuda_is_8bit(y->desc.dtype) && x->quant.n == 1 && y->quant.n == 1 &&
             op.p.count <= INT32_MAX / 255;
    if (!ok)
        return oct_cuda_no(reason, "types, scales or p of a global pool");
    c->workspace_bytes = workspace_of(&op);
    return oct_cuda_name(c, op.slabs.vecs > 0       ? "global_pool:slabs"
                            : op.vectors.n_dims > 0 ? "global_pool:columns"
                                                    : "global_pool:rows");
}

oct_status oct_cuda_global_pool_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                        const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    reduce_op *op = oct_cuda_make<reduce_op>(be, ctx, run_reduce);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)pool_build(be, d, op, reason);
    set_types(d, op);
    if (d->op == OCT_OP_GLOBAL_LP_POOL) {
        const bool abs = ((const oct_attr_norm *)d->attr)->p == 1;
        op->p.fold = abs ? FOLD_ABS : FOLD_SQUARE;
        op->p.finish = abs ? FINISH_NONE : FINISH_SQRT;
    }
    if (d->op == OCT_OP_GLOBAL_AVERAGE_POOL && oct_cuda_is_8bit(op->p.from)) {
        const oct_qparams qx = d->in[0].quant.q[0], qy = d->out[0].quant.q[0];
        op->p.finish = FINISH_REQUANT;
        op->p.m = (float)((double)qx.scale / ((double)qy.scale * (double)op->p.count));
        op->p.zero_x = qx.zero_point;
        op->p.zero_y = qy.zero_point;
    }
    *out = &op->base;
    return OCT_OK;
}

/* ---- the family ---- */

/* clang-format off */
#define ROW(op) {OCT_OP_##op, query, prepare}
#define OWN(op, name) {OCT_OP_##op, oct_cuda_##name##_query, oct_cuda_##name##_prepare}
static const oct_cuda_row rows[] = {
    ROW(REDUCE_SUM), ROW(REDUCE_MEAN), ROW(REDUCE_MAX), ROW(REDUCE_MIN), ROW(REDUCE_PROD),
    ROW(REDUCE_L1), ROW(REDUCE_L2), ROW(REDUCE_SUM_SQUARE), ROW(REDUCE_LOG_SUM),
    ROW(REDUCE_LOG_SUM_EXP),
    OWN(SOFTMAX, softmax), OWN(LOG_SOFTMAX, softmax), OWN(HARDMAX, softmax),
    OWN(LAYER_NORM, row_norm), OWN(RMS_NORM, row_norm),
    OWN(BATCH_NORM, channel_norm), OWN(INSTANCE_NORM, channel_norm), OWN(GROUP_NORM, channel_norm),
    OWN(MEAN_VARIANCE_NORM, channel_norm), OWN(LP_NORM, channel_norm), OWN(LRN, lrn),
    OWN(ARG_MAX, arg), OWN(ARG_MIN, arg), OWN(TOP_K, top_k), OWN(CUM_SUM, cum_sum),
};
/* clang-format on */
extern "C" const oct_cuda_rows oct_cuda_rows_reduce = {rows, sizeof rows / sizeof rows[0]};
