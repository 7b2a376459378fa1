/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax, LogSoftmax and Hardmax along one axis, or (opset < 13) over all axes from `axis` on, on dense
 * row-major data seen as [outer][n][inner]. The maximum is subtracted first; sums are f32.
 */
#include "kernels/cuda/cuda_row.cuh"

#define THREADS 256

enum { SOFTMAX, LOG_SOFTMAX, HARDMAX };

/* Hardmax takes the first of the greatest; NaN is not greater (unless it comes first). */
OCT_DEV bool first_greater(float v, uint32_t i, float best, uint32_t at)
{
    return v > best || (v == best && i < at);
}

OCT_DEV float max_nan(float a, float b) /* NaN wins */
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

/* e^x, and v / sum: to about 2^-22, less than an f16 shows, by few instructions; f32 accurately. */
template <class T>
struct fine {
    OCT_DEV float exp(float x)
    {
        return expf(x);
    }
    OCT_DEV float factor(float)
    {
        return 1.0f;
    }
    OCT_DEV float share(float v, float sum, float)
    {
        return v / sum;
    }
};
template <>
struct fine<__half> {
    OCT_DEV float exp(float x)
    {
        float e;
        asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(x * 1.44269504f));
        return e;
    }
    OCT_DEV float factor(float sum)
    {
        return 1.0f / sum;
    }
    OCT_DEV float share(float v, float, float factor)
    {
        return v * factor;
    }
};

template <class R>
static __global__ void __launch_bounds__(OCT_ROW_THREADS)
    softmax_rows(typename R::type *y, const typename R::type *x, uint32_t rows, uint32_t n,
                 int kind)
{
    typedef fine<typename R::type> math;
    __shared__ float shared[33];
    R r;
    uint32_t row;
    if (!oct_row_locate<R::group>(rows, row, r.lane))
        return;
    r.n = n;
    r.load(x + (int64_t)row * n);
    float m = -INFINITY, sum = 0.0f;
    r.each([&](float &v, uint32_t) { m = max_nan(v, m); });
    m = oct_row_max<R::group>(m, shared);
    if (kind == LOG_SOFTMAX)
        r.each([&](float &v, uint32_t) {
            v -= m;
            sum += math::exp(v);
        });
    else
        r.each([&](float &v, uint32_t) {
            v = math::exp(v - m);
            sum += v;
        });
    sum = oct_row_sum<R::group>(sum, shared);
    const float factor = math::factor(sum);
    const float log_sum = kind == LOG_SOFTMAX ? logf(sum) : 0.0f;
    if (kind == LOG_SOFTMAX)
        r.each([&](float &v, uint32_t) { v -= log_sum; });
    else
        r.each([&](float &v, uint32_t) { v = math::share(v, sum, factor); });
    r.store(y + (int64_t)row * n);
}

/* Rows too long for registers, read three times. */
template <class T>
static __global__ void __launch_bounds__(OCT_ROW_THREADS)
    softmax_long(T *y, const T *x, uint32_t n, int kind)
{
    __shared__ float shared[33];
    x += (int64_t)blockIdx.x * n;
    y += (int64_t)blockIdx.x * n;
    float m = -INFINITY, sum = 0.0f;
    for (uint32_t i = threadIdx.x; i < n; i += OCT_ROW_THREADS) {
        const float v = oct_dev_f32(x[i]);
        m = v > m || v != v ? v : m;
    }
    m = oct_dev_block_max(m, shared);
    for (uint32_t i = threadIdx.x; i < n; i += OCT_ROW_THREADS)
        sum += expf(oct_dev_f32(x[i]) - m);
    sum = oct_dev_block_sum(sum, shared);
    const float log_sum = logf(sum);
    for (uint32_t i = threadIdx.x; i < n; i += OCT_ROW_THREADS) {
        const float v = oct_dev_f32(x[i]) - m;
        y[i] = oct_dev_from_f32<T>(kind == LOG_SOFTMAX ? v - log_sum : expf(v) / sum);
    }
}

/* One thread a line of elements `inner` apart; neighbours in a warp are neighbours in memory. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    softmax_columns(T *y, const T *x, uint32_t lines, uint32_t n, oct_cuda_div inner, int kind)
{
    uint32_t in;
    const uint32_t line = oct_dev_item(), outer = oct_dev_divmod(line, inner, in);
    if (line >= lines)
        return;
    const int64_t at = (int64_t)outer * n * inner.d + in;
    x += at;
    y += at;
    float m = oct_dev_f32(x[0]), sum = 0.0f;
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++) {
        const float v = oct_dev_f32(x[(int64_t)i * inner.d]);
        if (v > m || (v != v && kind != HARDMAX)) {
            m = v;
            best = i;
        }
    }
    for (uint32_t i = 0; i < n && kind != HARDMAX; i++)
        sum += expf(oct_dev_f32(x[(int64_t)i * inner.d]) - m);
    const float log_sum = logf(sum);
    for (uint32_t i = 0; i < n; i++) {
        const float v = oct_dev_f32(x[(int64_t)i * inner.d]) - m;
        const float r = kind == HARDMAX       ? (i == best ? 1.0f : 0.0f)
                        : kind == LOG_SOFTMAX ? v - log_sum
                                              : expf(v) / sum;
        y[(int64_t)i * inner.d] = oct_dev_from_f32<T>(r);
    }
}

/* A block a row. */
template <class T>
static __global__ void __launch_bounds__(THREADS) hardmax_rows(T *y, const T *x, uint32_t n)
{
    __shared__ float best_v[THREADS];
    __shared__ uint32_t best_i[THREADS];
    x += (int64_t)blockIdx.x * n;
    y += (int64_t)blockIdx.x * n;
    float m = oct_dev_f32(x[0]);
    uint32_t best = 0;
    const bool nan_first = m != m;
    for (uint32_t i = threadIdx.x; i < n; i += THREADS) {
        const float v = oct_dev_f32(x[i]);
        if (first_greater(v, i, m, best)) {
            m = v;
            best = i;
        }
    }
    best_v[threadIdx.x] = m;
    best_i[threadIdx.x] = best;
    __syncthreads();
    for (uint32_t k = THREADS / 2; k > 0; k /= 2) {
        if (threadIdx.x < k && first_greater(best_v[threadIdx.x + k], best_i[threadIdx.x + k],
                                             best_v[threadIdx.x], best_i[threadIdx.x])) {
            best_v[threadIdx.x] = best_v[threadIdx.x + k];
            best_i[threadIdx.x] = best_i[threadIdx.x + k];
        }
        __syncthreads();
    }
    best = nan_first ? 0 : best_i[0];
    for (uint32_t i = threadIdx.x; i < n; i += THREADS)
        y[i] = oct_dev_from_f32<T>(i == best ? 1.0f : 0.0f);
}

/* ---- the op ---- */

typedef struct softmax_op {
    oct_cuda_op base;
    oct_dtype dt;
    uint32_t outer, n, inner;
    int kind;
} softmax_op;

struct softmax_launch {
    const softmax_op *op;
    void *y;
    const void *x;
    cudaStream_t s;

    template <class R>
    void run() const
    {
        typedef typename R::type T;
        softmax_rows<R><<<oct_row_blocks(op->outer, R::group), OCT_ROW_THREADS, 0, s>>>(
            (T *)y, (const T *)x, op->outer, op->n, op->kind);
    }
    template <class T>
    void run_long() const
    {
        softmax_long<T>
            <<<op->outer, OCT_ROW_THREADS, 0, s>>>((T *)y, (const T *)x, op->n, op->kind);
    }
};

template <class T>
static void launch(const softmax_op *op, void *y, const void *x, cudaStream_t s)
{
    const uint32_t lines = op->outer * op->inner;
    const softmax_launch l = {op, y, x, s};
    if (op->inner > 1)
        softmax_columns<T><<<oct_cuda_blocks(lines, THREADS), THREADS, 0, s>>>(
            (T *)y, (const T *)x, lines, op->n, oct_cuda_div_make(op->inner), op->kind);
    else if (op->kind == HARDMAX)
        hardmax_rows<T><<<op->outer, THREADS, 0, s>>>((T *)y, (const T *)x, op->n);
    else
        oct_row_dispatch<T>(l, op->n,
                            op->n * sizeof(T) % 16 == 0 && oct_cuda_aligned(x, 16) &&
                                oct_cuda_aligned(y, 16));
}

static oct_status run_softmax(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const softmax_op *op = (const softmax_op *)base;
    if (op->outer == 0 || op->n == 0 || op->inner == 0)
        return OCT_OK;
    if (op->dt == OCT_DT_F32)
        launch<float>(op, a->out[0], a->in[0], oct_cuda_stream_of(a));
    else
        launch<__half>(op, a->out[0], a->in[0], oct_cuda_stream_of(a));
    return oct_cuda_launched(ctx, "Softmax");
}

bool oct_cuda_softmax_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    (void)be;
    (void)ctx;
    if (!oct_cuda_is_real(d->in[0].desc.dtype) || d->in[0].desc.dtype != d->out[0].desc.dtype)
        return oct_cuda_no(reason, "Softmax takes f32 and f16");
    if (!oct_cuda_all_plain(d, reason))
        return false;
    if (oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "more than 2^31 elements");
    c->may_alias[0] = true;
    return oct_cuda_name(c, "softmax");
}

oct_status oct_cuda_softmax_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_axis *at = (const oct_attr_axis *)d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const oct_cuda_axis v = oct_cuda_axis_of(s, at->axis);
    const bool flat = at->flatten_2d || s->n_dims == 0;
    softmax_op *op = oct_cuda_make<softmax_op>(be, ctx, run_softmax);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->dt = d->in[0].desc.dtype;
    op->outer = (uint32_t)v.outer;
    op->n = (uint32_t)(flat ? v.dim * v.inner : v.dim);
    op->inner = (uint32_t)(flat ? 1 : v.inner);
    op->kind = d->op == OCT_OP_SOFTMAX       ? SOFTMAX
               : d->op == OCT_OP_LOG_SOFTMAX ? LOG_SOFTMAX
                                             : HARDMAX;
    *out = &op->base;
    return OCT_OK;
}
