/* SPDX-License-Identifier: Apache-2.0
 *
 * LayerNormalization and RMSNormalization: rows of neighbouring elements (cuda_row.cuh), mean and
 * variance in two passes over registers, sums in f32. Formulas: kernels/ref/ref_layer_norm.c.
 */
#include "kernels/cuda/cuda_row.cuh"

typedef struct norm_params {
    uint32_t rows, n;
    bool centred; /* LayerNormalization */
    float epsilon;
    oct_dtype scale_type, bias_type, mean_type, inv_type;
    bool scale_steps, bias_steps; /* one per element of the row, or one in all */
    const void *scale, *bias;     /* bias NULL: 0 */
    void *mean, *inv;             /* NULL: not wanted */
} norm_params;

OCT_DEV float param_at(const void *p, bool half, uint32_t i)
{
    return half ? __half2float(((const __half *)p)[i]) : ((const float *)p)[i];
}

OCT_DEV float scaled(const norm_params &p, float v, uint32_t i)
{
    const float b =
        p.bias ? param_at(p.bias, p.bias_type == OCT_DT_F16, p.bias_steps ? i : 0) : 0.0f;
    return v * param_at(p.scale, p.scale_type == OCT_DT_F16, p.scale_steps ? i : 0) + b;
}

/* The same for all elements of a row in registers: the types are looked at once. */
template <class S, class R>
OCT_DEV void scale_row(R &r, const void *scale, bool steps)
{
    r.each([&](float &v, uint32_t i) { v *= oct_dev_f32(((const S *)scale)[steps ? i : 0]); });
}
template <class S, class R>
OCT_DEV void shift_row(R &r, const void *bias, bool steps)
{
    r.each([&](float &v, uint32_t i) { v += oct_dev_f32(((const S *)bias)[steps ? i : 0]); });
}
template <class R>
OCT_DEV void finish_row(const norm_params &p, R &r)
{
    if (p.scale_type == OCT_DT_F16)
        scale_row<__half>(r, p.scale, p.scale_steps);
    else
        scale_row<float>(r, p.scale, p.scale_steps);
    if (p.bias && p.bias_type == OCT_DT_F16)
        shift_row<__half>(r, p.bias, p.bias_steps);
    else if (p.bias)
        shift_row<float>(r, p.bias, p.bias_steps);
}

OCT_DEV void put_statistics(const norm_params &p, uint32_t row, float mean, float inv)
{
    if (p.mean)
        oct_dev_put(p.mean, p.mean_type, row, mean);
    if (p.inv)
        oct_dev_put(p.inv, p.inv_type, row, inv);
}

template <class R>
static __global__ void __launch_bounds__(OCT_ROW_THREADS)
    norm_rows(norm_params p, typename R::type *y, const typename R::type *x)
{
    __shared__ float shared[33];
    R r;
    uint32_t row;
    if (!oct_row_locate<R::group>(p.rows, row, r.lane))
        return;
    r.n = p.n;
    r.load(x + (int64_t)row * p.n);
    float sum = 0.0f, square = 0.0f, mean = 0.0f;
    if (p.centred) {
        r.each([&](float &v, uint32_t) { sum += v; });
        mean = oct_row_sum<R::group>(sum, shared) / (float)p.n;
    }
    r.each([&](float &v, uint32_t) {
        v -= mean;
        square += v * v;
    });
    square = oct_row_sum<R::group>(square, shared);
    const float inv = 1.0f / sqrtf(square / (float)p.n + p.epsilon);
    r.each([&](float &v, uint32_t) { v *= inv; });
    finish_row(p, r);
    r.store(y + (int64_t)row * p.n);
    if (r.lane == 0)
        put_statistics(p, row, mean, inv);
}

template <class T>
static __global__ void __launch_bounds__(OCT_ROW_THREADS) norm_long(norm_params p, T *y, const T *x)
{
    __shared__ float shared[33];
    x += (int64_t)blockIdx.x * p.n;
    y += (int64_t)blockIdx.x * p.n;
    float sum = 0.0f, square = 0.0f, mean = 0.0f;
    for (uint32_t i = threadIdx.x; i < p.n && p.centred; i += OCT_ROW_THREADS)
        sum += oct_dev_f32(x[i]);
    if (p.centred)
        mean = oct_dev_block_sum(sum, shared) / (float)p.n;
    for (uint32_t i = threadIdx.x; i < p.n; i += OCT_ROW_THREADS) {
        const float v = oct_dev_f32(x[i]) - mean;
        square += v * v;
    }
    square = oct_dev_block_sum(square, shared);
    const float inv = 1.0f / sqrtf(square / (float)p.n + p.epsilon);
    for (uint32_t i = threadIdx.x; i < p.n; i += OCT_ROW_THREADS)
        y[i] = oct_dev_from_f32<T>(scaled(p, (oct_dev_f32(x[i]) - mean) * inv, i));
    if (threadIdx.x == 0)
        put_statistics(p, blockIdx.x, mean, inv);
}

typedef struct norm_op {
    oct_cuda_op base;
    norm_params p;
    oct_dtype dt;
} norm_op;

struct norm_launch {
    norm_params p;
    void *y;
    const void *x;
    cudaStream_t s;

    template <class R>
    void run() const
    {
        typedef typename R::type T;
        norm_rows<R>
            <<<oct_row_blocks(p.rows, R::group), OCT_ROW_THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    }
    template <class T>
    void run_long() const
    {
        norm_long<T><<<p.rows, OCT_ROW_THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    }
};

static oct_status run_norm(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const norm_op *op = (const norm_op *)base;
    norm_launch l = {op->p, a->out[0], a->in[0], oct_cuda_stream_of(a)};
    if (op->p.rows == 0 || op->p.n == 0)
        return OCT_OK;
    l.p.scale = a->in[1];
    l.p.bias = op->p.bias_type != OCT_DT_NONE ? a->in[2] : NULL;
    l.p.mean = op->p.mean_type != OCT_DT_NONE ? a->out[1] : NULL;
    l.p.inv = op->p.inv_type != OCT_DT_NONE ? a->out[2] : NULL;
    const size_t bytes = oct_dtype_bytes(op->dt);
    const bool wide =
        op->p.n * bytes % 16 == 0 && oct_cuda_aligned(l.x, 16) && oct_cuda_aligned(l.y, 16);
    if (op->dt == OCT_DT_F32)
        oct_row_dispatch<float>(l, op->p.n, wide);
    else
        oct_row_dispatch<__half>(l, op->p.n, wide);
    return oct_cuda_launched(ctx, "LayerNormalization");
}

/* One parameter per element of a row, or one in all. */
static bool param_fits(const oct_op_desc *d, int i, int axis)
{
    const oct_shape *s = &d->in[0].desc.shape, *p = &d->in[i].desc.shape;
    const size_t n = oct_cuda_elems(&d->in[i]);
    int64_t inner = 1;
    for (int k = axis; k < s->n_dims; k++)
        inner *= s->dim[k];
    if (n == 1)
        return true;
    if ((int64_t)n != inner)
        return false;
    for (int k = 1; k <= p->n_dims && k <= s->n_dims - axis; k++)
        if (p->dim[p->n_dims - k] != s->dim[s->n_dims - k])
            return false;
    return true;
}

bool oct_cuda_row_norm_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                             char *reason)
{
    const oct_attr_norm *at = (const oct_attr_norm *)d->attr;
    const int rank = d->in[0].desc.shape.n_dims;
    const int axis = (int)(at->axis < 0 ? at->axis + rank : at->axis);
    (void)be;
    (void)ctx;
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_dtype dt = (i < d->n_in ? &d->in[i] : &d->out[i - d->n_in])->desc.dtype;
        if (dt != OCT_DT_NONE && !oct_cuda_is_real(dt))
            return oct_cuda_no(reason, "normalizations take f32 and f16");
    }
    if (d->in[0].desc.dtype != d->out[0].desc.dtype)
        return oct_cuda_no(reason, "types differ");
    if (!oct_cuda_all_plain(d, reason))
        return false;
    if (!param_fits(d, 1, axis) || (oct_cuda_present(d, 2) && !param_fits(d, 2, axis)))
        return oct_cuda_no(reason, "scale or bias is not one per element of the normalized axes");
    if (oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "more than 2^31 elements");
    c->may_alias[0] = true;
    return oct_cuda_name(c, d->op == OCT_OP_LAYER_NORM ? "layer_norm" : "rms_norm");
}

oct_status oct_cuda_row_norm_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                     const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_norm *at = (const oct_attr_norm *)d->attr;
    const oct_cuda_axis v = oct_cuda_axis_of(&d->in[0].desc.shape, at->axis);
    norm_op *op = oct_cuda_make<norm_op>(be, ctx, run_norm);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->dt = d->in[0].desc.dtype;
    op->p.rows = (uint32_t)v.outer;
    op->p.n = (uint32_t)(v.dim * v.inner);
    op->p.centred = d->op == OCT_OP_LAYER_NORM;
    op->p.epsilon = at->epsilon;
    op->p.scale_type = d->in[1].desc.dtype;
    op->p.scale_steps = oct_cuda_elems(&d->in[1]) > 1;
    if (oct_cuda_present(d, 2)) {
        op->p.bias_type = d->in[2].desc.dtype;
        op->p.bias_steps = oct_cuda_elems(&d->in[2]) > 1;
    }
    op->p.mean_type = d->n_out > 1 ? d->out[1].desc.dtype : OCT_DT_NONE;
    op->p.inv_type = d->n_out > 2 ? d->out[2].desc.dtype : OCT_DT_NONE;
    *out = &op->base;
    return OCT_OK;
}
