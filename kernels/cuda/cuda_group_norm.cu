/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizations by channel or group, in any layout: BatchNormalization (element by element),
 * InstanceNormalization, GroupNormalization, MeanVarianceNormalization and LpNormalization (a block
 * per group, which reads it three times), LRN. Formulas: kernels/ref/ref_norm.c, ref_layer_norm.c.
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256
#define GROUP_THREADS 512

static bool types_are_real(const oct_op_desc *d, int n_in, char *reason)
{
    for (int i = 0; i < n_in + d->n_out; i++) {
        const oct_operand *o = i < n_in ? &d->in[i] : &d->out[i - n_in];
        if (o->desc.dtype != OCT_DT_NONE && !oct_cuda_is_real(o->desc.dtype))
            return oct_cuda_no(reason, "normalizations take f32 and f16");
        if (o->quant.n > 0)
            return oct_cuda_no(reason, "quantized operand");
    }
    if (d->in[0].desc.dtype != d->out[0].desc.dtype)
        return oct_cuda_no(reason, "types differ");
    return true;
}

/* ---- groups ---- */

typedef enum norm_kind { NORM_SCALED, NORM_PLAIN, NORM_L1, NORM_L2 } norm_kind;

/* Operands of both nests: result, input, number of the scale and bias. */
typedef struct group_params {
    oct_cuda_loop groups, inner;
    norm_kind kind;
    float epsilon;
    oct_dtype dt, param_type[2];
    const void *scale, *bias;
} group_params;

OCT_DEV float group_sum(const group_params &p, const void *x, int64_t x0, float mean, bool square,
                        float *shared)
{
    float sum = 0.0f;
    int64_t off[2];
    for (uint32_t i = threadIdx.x; i < p.inner.total; i += GROUP_THREADS) {
        oct_dev_offsets(p.inner, i, off);
        const float v = oct_dev_get(x, p.dt, x0 + off[1]) - mean;
        sum += square ? v * v : p.kind == NORM_L1 ? fabsf(v) : v;
    }
    return oct_dev_block_sum(sum, shared);
}

static __global__ void __launch_bounds__(GROUP_THREADS)
    group_kernel(group_params p, void *y, const void *x)
{
    __shared__ float shared[33];
    int64_t g[3], off[3];
    oct_dev_offsets(p.groups, blockIdx.x, g);
    const float count = (float)p.inner.total;
    const bool lp = p.kind == NORM_L1 || p.kind == NORM_L2;
    float mean = 0.0f, divisor;
    if (!lp)
        mean = group_sum(p, x, g[1], 0.0f, false, shared) / count;
    const float sum = group_sum(p, x, g[1], mean, p.kind != NORM_L1, shared);
    if (p.kind == NORM_SCALED)
        divisor = 1.0f / sqrtf(sum / count + p.epsilon); /* a factor here */
    else if (p.kind == NORM_PLAIN)
        divisor = sqrtf(sum / count) + 1e-9f;
    else
        divisor = p.kind == NORM_L1 ? sum : sqrtf(sum);
    for (uint32_t i = threadIdx.x; i < p.inner.total; i += GROUP_THREADS) {
        oct_dev_offsets(p.inner, i, off);
        float v = oct_dev_get(x, p.dt, g[1] + off[1]) - mean;
        if (p.kind == NORM_SCALED) {
            const int64_t c = g[2] + off[2];
            v = v * (divisor * oct_dev_get(p.scale, p.param_type[0], c)) +
                oct_dev_get(p.bias, p.param_type[1], c);
        } else {
            v = lp && divisor == 0.0f ? 0.0f : v / divisor;
        }
        oct_dev_put(y, p.dt, g[0] + off[0], v);
    }
}

typedef struct group_op {
    oct_cuda_op base;
    group_params p;
} group_op;

static oct_status group_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const group_op *op = (const group_op *)base;
    group_params p = op->p;
    if (p.kind == NORM_SCALED) {
        p.scale = a->in[1];
        p.bias = a->in[2];
    }
    if (p.groups.total > 0 && p.inner.total > 0)
        group_kernel<<<p.groups.total, GROUP_THREADS, 0, oct_cuda_stream_of(a)>>>(p, a->out[0],
                                                                                  a->in[0]);
    return oct_cuda_launched(ctx, "normalization");
}

/* Adds a dim to a nest of three operands. */
static void add_dim(oct_ref_loop *l, int64_t size, int64_t y, int64_t x, int64_t param)
{
    oct_ref_loop_dim(l, size, y, x);
    l->stride[2][l->n_dims - 1] = param;
    l->n_operands = 3;
}

/* Groups of channels of each image; `instance`: one channel each. */
static void channel_groups(const oct_op_desc *d, oct_ref_loop *groups, oct_ref_loop *inner)
{
    const oct_attr_norm *at = (const oct_attr_norm *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int64_t channels = x->shape.n_dims > 1 ? x->shape.dim[1] : 1;
    const int64_t n = d->op == OCT_OP_INSTANCE_NORM ? channels : at->num_groups;
    const int64_t each = n > 0 ? channels / n : 0;
    const bool by_group = d->op == OCT_OP_GROUP_NORM && at->per_group_scale;
    add_dim(groups, x->shape.dim[0], y->stride[0], x->stride[0], 0);
    add_dim(groups, n, each * y->stride[1], each * x->stride[1], by_group ? 1 : each);
    add_dim(inner, each, y->stride[1], x->stride[1], by_group ? 0 : 1);
    for (int k = 2; k < x->shape.n_dims; k++)
        add_dim(inner, x->shape.dim[k], y->stride[k], x->stride[k], 0);
}

/* Axes of MeanVarianceNormalization or LpNormalization; false if not known ahead. */
static bool axis_groups(const oct_op_desc *d, oct_ref_loop *groups, oct_ref_loop *inner)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int rank = x->shape.n_dims;
    int64_t axis[OCT_MAX_DIMS] = {0, 2, 3};
    bool in_group[OCT_MAX_DIMS] = {false};
    int n = 3;
    if (d->op == OCT_OP_LP_NORM) {
        axis[0] = ((const oct_attr_norm *)d->attr)->axis;
        n = 1;
    } else if (oct_cuda_present(d, 1) && !oct_cuda_ints(d, 1, axis, OCT_MAX_DIMS, &n)) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        const int64_t k = axis[i] < 0 ? axis[i] + rank : axis[i];
        if (k < rank)
            in_group[k] = true;
    }
    for (int k = 0; k < rank; k++)
        add_dim(in_group[k] ? inner : groups, x->shape.dim[k], y->stride[k], x->stride[k], 0);
    return true;
}

static bool group_build(const oct_op_desc *d, group_op *op, char *reason)
{
    oct_ref_loop groups, inner;
    memset(&groups, 0, sizeof groups);
    memset(&inner, 0, sizeof inner);
    groups.n_operands = inner.n_operands = 3;
    if (d->op == OCT_OP_INSTANCE_NORM || d->op == OCT_OP_GROUP_NORM)
        channel_groups(d, &groups, &inner);
    else if (!axis_groups(d, &groups, &inner))
        return oct_cuda_no(reason, "axes are not known ahead");
    oct_ref_loop_optimize(&groups);
    oct_ref_loop_optimize(&inner);
    if (oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS ||
        !oct_cuda_loop_make(&groups, 1, &op->p.groups) ||
        !oct_cuda_loop_make(&inner, 1, &op->p.inner))
        return oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
    return true;
}

static oct_status group_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    group_op *op = oct_cuda_make<group_op>(be, ctx, group_run);
    if (!op)
        return OCT_ERR_NOMEM;
    (void)group_build(d, op, reason);
    op->p.dt = d->in[0].desc.dtype;
    op->p.kind = NORM_SCALED;
    if (d->op == OCT_OP_MEAN_VARIANCE_NORM)
        op->p.kind = NORM_PLAIN;
    else if (d->op == OCT_OP_LP_NORM)
        op->p.kind = ((const oct_attr_norm *)d->attr)->p == 1 ? NORM_L1 : NORM_L2;
    else
        op->p.epsilon = ((const oct_attr_norm *)d->attr)->epsilon;
    for (int i = 0; i < 2 && op->p.kind == NORM_SCALED; i++)
        op->p.param_type[i] = d->in[i + 1].desc.dtype;
    *out = &op->base;
    return OCT_OK;
}

/* ---- BatchNormalization: result, input, channel ---- */

typedef struct batch_params {
    oct_dtype dt, type[4];
    const void *param[4]; /* scale, bias, mean, variance */
    float epsilon;
} batch_params;

template <int V>
static __global__ void __launch_bounds__(THREADS)
    batch_kernel(oct_cuda_loop loop, batch_params p, void *y, const void *x)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    float a[V];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    oct_dev_load_any<V>(a, x, p.dt, off[1]);
    float m = 0.0f, b = 0.0f, mean = 0.0f;
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i == 0 || loop.stride[2][0] != 0) {
            const int64_t c = off[2] + i;
            m = oct_dev_get(p.param[0], p.type[0], c) /
                sqrtf(oct_dev_get(p.param[3], p.type[3], c) + p.epsilon);
            b = oct_dev_get(p.param[1], p.type[1], c);
            mean = oct_dev_get(p.param[2], p.type[2], c);
        }
        a[i] = (a[i] - mean) * m + b;
    }
    oct_dev_store_any<V>(y, p.dt, off[0], a);
}

typedef struct batch_op {
    oct_cuda_op base;
    oct_cuda_loop fast, slow; /* fast: 4 elements, n_dims 0 = not taken */
    batch_params p;
} batch_op;

static oct_status batch_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const batch_op *op = (const batch_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const bool fast =
        op->fast.n_dims > 0 && oct_cuda_aligned(a->in[0], 16) && oct_cuda_aligned(a->out[0], 16);
    const oct_cuda_loop &l = fast ? op->fast : op->slow;
    batch_params p = op->p;
    for (int i = 0; i < 4; i++)
        p.param[i] = a->in[i + 1];
    if (l.total == 0)
        return OCT_OK;
    if (fast)
        batch_kernel<4>
            <<<oct_cuda_blocks(l.total, THREADS), THREADS, 0, s>>>(l, p, a->out[0], a->in[0]);
    else
        batch_kernel<1>
            <<<oct_cuda_blocks(l.total, THREADS), THREADS, 0, s>>>(l, p, a->out[0], a->in[0]);
    return oct_cuda_launched(ctx, "BatchNormalization");
}

static bool batch_build(const oct_op_desc *d, batch_op *op, char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    for (int k = 0; k < x->shape.n_dims; k++)
        add_dim(&l, x->shape.dim[k], y->stride[k], x->stride[k], k == 1);
    oct_ref_loop_optimize(&l);
    if (!oct_cuda_loop_make(&l, 1, &op->slow))
        return oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
    const int inner = l.n_dims - 1;
    if (oct_cuda_loop_takes(&l, 4) && l.stride[1][inner] == 1 && l.dim[inner] % 4 == 0)
        (void)oct_cuda_loop_make(&l, 4, &op->fast);
    return true;
}

static oct_status batch_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    batch_op *op = oct_cuda_make<batch_op>(be, ctx, batch_run);
    if (!op)
        return OCT_ERR_NOMEM;
    (void)batch_build(d, op, reason);
    op->p.dt = d->in[0].desc.dtype;
    op->p.epsilon = ((const oct_attr_norm *)d->attr)->epsilon;
    for (int i = 0; i < 4; i++)
        op->p.type[i] = d->in[i + 1].desc.dtype;
    *out = &op->base;
    return OCT_OK;
}

bool oct_cuda_channel_norm_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                                 char *reason)
{
    const bool batch = d->op == OCT_OP_BATCH_NORM;
    union {
        group_op group;
        batch_op batch;
    } op;
    (void)be;
    (void)ctx;
    memset(&op, 0, sizeof op);
    if (!types_are_real(d, d->op == OCT_OP_MEAN_VARIANCE_NORM ? 1 : d->n_in, reason))
        return false;
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_cuda_no(reason, "normalizations take no epilogue");
    if (batch && d->n_out > 1 && d->out[1].desc.dtype != OCT_DT_NONE)
        return oct_cuda_no(reason, "training outputs");
    if (batch ? !batch_build(d, &op.batch, reason) : !group_build(d, &op.group, reason))
        return false;
    return oct_cuda_name(c, batch ? "batch_norm" : "group_norm");
}

oct_status oct_cuda_channel_norm_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                         const oct_candidate *c, oct_cuda_op **out)
{
    (void)c;
    return d->op == OCT_OP_BATCH_NORM ? batch_prepare(be, ctx, d, out)
                                      : group_prepare(be, ctx, d, out);
}

/* ---- LRN: y = x / (bias + alpha / size * sum of squares of the neighbouring channels)^beta ---- */

typedef struct lrn_op {
    oct_cuda_op base;
    oct_cuda_loop loop; /* result, input, channel */
    oct_dtype dt;
    int32_t channels, before, after;
    int64_t step; /* of a channel in the input */
    float factor, beta, bias;
} lrn_op;

static __global__ void __launch_bounds__(THREADS) lrn_kernel(lrn_op p, void *y, const void *x)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    if (item >= p.loop.total)
        return;
    oct_dev_offsets(p.loop, item, off);
    const int32_t c = (int32_t)off[2];
    float sum = 0.0f;
    for (int32_t k = max(c - p.before, 0); k <= min(c + p.after, p.channels - 1); k++) {
        const float v = oct_dev_get(x, p.dt, off[1] + (k - c) * p.step);
        sum += v * v;
    }
    oct_dev_put(y, p.dt, off[0],
                oct_dev_get(x, p.dt, off[1]) / powf(p.bias + p.factor * sum, p.beta));
}

static oct_status lrn_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const lrn_op *op = (const lrn_op *)base;
    if (op->loop.total > 0)
        lrn_kernel<<<oct_cuda_blocks(op->loop.total, THREADS), THREADS, 0, oct_cuda_stream_of(a)>>>(
            *op, a->out[0], a->in[0]);
    return oct_cuda_launched(ctx, "LRN");
}

static bool lrn_build(const oct_op_desc *d, lrn_op *op, char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    oct_ref_loop l;
    memset(&l, 0, sizeof l);
    for (int k = 0; k < x->shape.n_dims; k++)
        add_dim(&l, x->shape.dim[k], y->stride[k], x->stride[k], k == 1);
    oct_ref_loop_optimize(&l);
    return oct_cuda_loop_make(&l, 1, &op->loop) ||
           oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
}

bool oct_cuda_lrn_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    lrn_op op;
    (void)be;
    (void)ctx;
    return types_are_real(d, d->n_in, reason) && lrn_build(d, &op, reason) &&
           oct_cuda_name(c, "lrn");
}

oct_status oct_cuda_lrn_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_norm *at = (const oct_attr_norm *)d->attr;
    char reason[OCT_REASON_BYTES];
    lrn_op *op = oct_cuda_make<lrn_op>(be, ctx, lrn_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)lrn_build(d, op, reason);
    op->dt = d->in[0].desc.dtype;
    op->channels = (int32_t)d->in[0].desc.shape.dim[1];
    op->before = (int32_t)((at->size - 1) / 2);
    op->after = (int32_t)(at->size - 1 - op->before);
    op->step = d->in[0].desc.stride[1];
    op->factor = at->alpha / (float)at->size;
    op->beta = at->beta;
    op->bias = at->bias;
    *out = &op->base;
    return OCT_OK;
}
