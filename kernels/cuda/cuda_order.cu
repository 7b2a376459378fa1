/* SPDX-License-Identifier: Apache-2.0
 *
 * ArgMax, ArgMin, TopK, CumSum on dense row-major data seen as [outer, dim, inner]. As in
 * kernels/ref/ref_order.c elements are compared through keys whose unsigned order is that of the values:
 * NaN is the greatest, -0 equals 0. Sums run in double or 64-bit integers.
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256
#define TOPK_CAP 4096 /* entries sorted at a time; k is at most half of them */

typedef struct order_op {
    oct_cuda_op base;
    oct_dtype dt;
    uint32_t outer, dim, k;
    oct_cuda_div inner;
    bool least, last, exclusive, reverse;
    uint32_t sort; /* TopK: entries in shared memory, a power of two */
} order_op;

/* ---- keys ---- */

OCT_DEV uint64_t key_of_f32(float v)
{
    if (v != v)
        return 0xffffffffu;
    const uint32_t bits = __float_as_uint(v + 0.0f); /* -0 becomes 0 */
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

/* 32-bit keys of floats and small integers, 64-bit ones of s64. */
OCT_DEV uint64_t key_at(const void *x, oct_dtype dt, int64_t i, bool least)
{
    uint64_t key, flip = 0xffffffffu;
    bool nan = false;
    switch (dt) {
    case OCT_DT_S64:
        key = (uint64_t)((const int64_t *)x)[i] ^ 0x8000000000000000u;
        flip = ~(uint64_t)0;
        break;
    case OCT_DT_S32:
        key = (uint32_t)((const int32_t *)x)[i] ^ 0x80000000u;
        break;
    default: {
        const float v = oct_dev_get(x, dt, i); /* 8-bit integers are exact */
        key = key_of_f32(v);
        nan = v != v;
        break;
    }
    }
    return least && !nan ? key ^ flip : key;
}

/* ---- ArgMax, ArgMin ---- */

OCT_DEV bool arg_better(const order_op &p, uint64_t key, uint32_t i, uint64_t best, uint32_t at)
{
    return key > best || (key == best && (p.last ? i > at : i < at));
}

/* A warp a row. */
static __global__ void __launch_bounds__(THREADS) arg_rows(order_op p, int64_t *y, const void *x)
{
    const uint32_t row = oct_dev_item() / 32, lane = threadIdx.x % 32;
    if (row >= p.outer)
        return;
    uint64_t best = 0;
    uint32_t at = p.last ? 0 : 0xffffffffu;
    bool any = false;
    for (uint32_t i = lane; i < p.dim; i += 32) {
        const uint64_t key = key_at(x, p.dt, (int64_t)row * p.dim + i, p.least);
        if (!any || arg_better(p, key, i, best, at)) {
            best = key;
            at = i;
            any = true;
        }
    }
#pragma unroll
    for (int k = 16; k > 0; k >>= 1) {
        const uint64_t key = __shfl_xor_sync(0xffffffffu, best, k);
        const uint32_t i = __shfl_xor_sync(0xffffffffu, at, k);
        const bool other = __shfl_xor_sync(0xffffffffu, (int)any, k) != 0;
        if (other && (!any || arg_better(p, key, i, best, at))) {
            best = key;
            at = i;
            any = true;
        }
    }
    if (lane == 0)
        y[row] = at;
}

/* A thread a line; neighbours are neighbours in memory. */
static __global__ void __launch_bounds__(THREADS) arg_columns(order_op p, int64_t *y, const void *x)
{
    uint32_t in;
    const uint32_t line = oct_dev_item(), outer = oct_dev_divmod(line, p.inner, in);
    if (outer >= p.outer)
        return;
    const int64_t x0 = (int64_t)outer * p.dim * p.inner.d + in;
    uint64_t best = key_at(x, p.dt, x0, p.least);
    uint32_t at = 0;
    for (uint32_t i = 1; i < p.dim; i++) {
        const uint64_t key = key_at(x, p.dt, x0 + (int64_t)i * p.inner.d, p.least);
        if (key > best || (p.last && key == best)) {
            best = key;
            at = i;
        }
    }
    y[line] = at;
}

static oct_status arg_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const order_op *op = (const order_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const int64_t lines = (int64_t)op->outer * op->inner.d;
    if (lines == 0 || op->dim == 0)
        return OCT_OK;
    if (op->inner.d == 1)
        arg_rows<<<oct_cuda_blocks(lines * 32, THREADS), THREADS, 0, s>>>(*op, (int64_t *)a->out[0],
                                                                          a->in[0]);
    else
        arg_columns<<<oct_cuda_blocks(lines, THREADS), THREADS, 0, s>>>(*op, (int64_t *)a->out[0],
                                                                        a->in[0]);
    return oct_cuda_launched(ctx, "ArgMax");
}

/* ---- TopK ---- */

/* Sorts s[0, n), n a power of two, the greatest first. */
OCT_DEV void sort_descending(uint64_t *s, uint32_t n)
{
    for (uint32_t size = 2; size <= n; size *= 2) {
        for (uint32_t step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            for (uint32_t i = threadIdx.x; i < n / 2; i += THREADS) {
                const uint32_t lo = 2 * i - (i & (step - 1)), hi = lo + step;
                const uint64_t a = s[lo], b = s[hi];
                const bool descending = (lo & size) == 0;
                if ((a < b) == descending) {
                    s[lo] = b;
                    s[hi] = a;
                }
            }
        }
    }
    __syncthreads();
}

/* An entry is the key above the inverted index: the greater key first, then the lower index. The best
 * k so far stay in front while the rest of the line comes in behind them. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    top_k_kernel(order_op p, T *y, int64_t *index, const T *x)
{
    __shared__ uint64_t s[TOPK_CAP];
    uint32_t in;
    const uint32_t outer = oct_dev_divmod(blockIdx.x, p.inner, in);
    const int64_t x0 = (int64_t)outer * p.dim * p.inner.d + in;
    uint32_t kept = 0;
    for (uint32_t first = 0; first < p.dim;) {
        const uint32_t room = p.sort - kept, n = p.dim - first < room ? p.dim - first : room;
        __syncthreads();
        for (uint32_t i = threadIdx.x; i < room; i += THREADS) {
            const uint32_t at = first + i;
            s[kept + i] =
                i < n ? key_at(x, p.dt, x0 + (int64_t)at * p.inner.d, p.least) << 32 | ~at : 0;
        }
        sort_descending(s, p.sort);
        first += n;
        kept = p.k;
    }
    for (uint32_t i = threadIdx.x; i < p.k; i += THREADS) {
        const uint32_t at = ~(uint32_t)s[i];
        const int64_t to = ((int64_t)outer * p.k + i) * p.inner.d + in;
        if (y)
            y[to] = x[x0 + (int64_t)at * p.inner.d];
        if (index)
            index[to] = at;
    }
}

template <class T>
static void top_k_launch(const order_op *op, const oct_run_args *a, int64_t *index, cudaStream_t s)
{
    top_k_kernel<T><<<op->outer * op->inner.d, THREADS, 0, s>>>(*op, (T *)a->out[0], index,
                                                                (const T *)a->in[0]);
}

static oct_status top_k_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const order_op *op = (const order_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    int64_t *index = op->last ? (int64_t *)a->out[1] : NULL;
    if (op->outer * op->inner.d == 0 || op->k == 0)
        return OCT_OK;
    if (oct_dtype_bytes(op->dt) == 1)
        top_k_launch<uint8_t>(op, a, index, s);
    else if (oct_dtype_bytes(op->dt) == 2)
        top_k_launch<uint16_t>(op, a, index, s);
    else
        top_k_launch<uint32_t>(op, a, index, s);
    return oct_cuda_launched(ctx, "TopK");
}

/* ---- CumSum ---- */

template <class A>
OCT_DEV A sum_load(const void *x, oct_dtype dt, int64_t i);
template <>
__device__ __forceinline__ double sum_load<double>(const void *x, oct_dtype dt, int64_t i)
{
    return dt == OCT_DT_F64 ? ((const double *)x)[i] : (double)oct_dev_get(x, dt, i);
}
template <>
__device__ __forceinline__ int64_t sum_load<int64_t>(const void *x, oct_dtype dt, int64_t i)
{
    return oct_dev_index(x, dt, i);
}
OCT_DEV void sum_store(void *y, oct_dtype dt, int64_t i, double v)
{
    if (dt == OCT_DT_F64)
        ((double *)y)[i] = v;
    else
        oct_dev_put(y, dt, i, (float)v);
}
OCT_DEV void sum_store(void *y, oct_dtype dt, int64_t i, int64_t v)
{
    if (dt == OCT_DT_S64)
        ((int64_t *)y)[i] = v;
    else
        ((int32_t *)y)[i] = (int32_t)v;
}

/* A warp a line, 32 elements at a time. */
template <class A>
static __global__ void __launch_bounds__(THREADS) cum_sum_kernel(order_op p, void *y, const void *x)
{
    uint32_t in;
    const uint32_t line = oct_dev_item() / 32, lane = threadIdx.x % 32;
    const uint32_t outer = oct_dev_divmod(line, p.inner, in);
    if (outer >= p.outer)
        return;
    const int64_t x0 = (int64_t)outer * p.dim * p.inner.d + in;
    A before = A(0);
    for (uint32_t i = 0; i < p.dim; i += 32) {
        const uint32_t k = i + lane, pos = p.reverse ? p.dim - 1 - k : k;
        const int64_t at = x0 + (int64_t)pos * p.inner.d;
        const A own = k < p.dim ? sum_load<A>(x, p.dt, at) : A(0);
        A v = own;
#pragma unroll
        for (int step = 1; step < 32; step *= 2) {
            const A left = __shfl_up_sync(0xffffffffu, v, step);
            if (lane >= step)
                v += left;
        }
        A shown = __shfl_up_sync(0xffffffffu, v, 1);
        shown = p.exclusive ? (lane > 0 ? before + shown : before) : before + v;
        if (k < p.dim)
            sum_store(y, p.dt, at, shown);
        before += __shfl_sync(0xffffffffu, v, 31);
    }
}

static oct_status cum_sum_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const order_op *op = (const order_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const int64_t threads = 32 * (int64_t)op->outer * op->inner.d;
    if (threads == 0)
        return OCT_OK;
    if (oct_dtype_is_float(op->dt))
        cum_sum_kernel<double>
            <<<oct_cuda_blocks(threads, THREADS), THREADS, 0, s>>>(*op, a->out[0], a->in[0]);
    else
        cum_sum_kernel<int64_t>
            <<<oct_cuda_blocks(threads, THREADS), THREADS, 0, s>>>(*op, a->out[0], a->in[0]);
    return oct_cuda_launched(ctx, "CumSum");
}

/* ---- queries ---- */

static bool fits(const oct_op_desc *d, char *reason)
{
    const oct_operand *x = &d->in[0];
    for (int i = 0; i < d->n_in + d->n_out; i++)
        if (!oct_cuda_row_major(i < d->n_in ? &d->in[i] : &d->out[i - d->n_in]))
            return oct_cuda_no(reason, "an operand is not dense row-major");
    if (x->quant.n > 1 || x->desc.shape.n_dims == 0)
        return oct_cuda_no(reason, "a scalar, or scales per channel");
    return oct_cuda_elems(x) <= OCT_CUDA_MAX_ELEMS / 32 ||
           oct_cuda_no(reason, "more than 2^26 elements");
}

static bool has_small_key(oct_dtype dt)
{
    return oct_cuda_is_real(dt) || dt == OCT_DT_BF16 || oct_cuda_is_8bit(dt) || dt == OCT_DT_S32;
}

static order_op *order_new(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, int64_t axis,
                           oct_cuda_run_fn run)
{
    const oct_cuda_axis v = oct_cuda_axis_of(&d->in[0].desc.shape, axis);
    order_op *op = oct_cuda_make<order_op>(be, ctx, run);
    if (!op)
        return NULL;
    op->dt = d->in[0].desc.dtype;
    op->outer = v.inner > 0 ? (uint32_t)v.outer : 0;
    op->dim = (uint32_t)v.dim;
    op->inner = oct_cuda_div_make(v.inner > 0 ? v.inner : 1);
    return op;
}

bool oct_cuda_arg_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    (void)be;
    (void)ctx;
    if (!has_small_key(dt) && dt != OCT_DT_S64)
        return oct_cuda_no(reason, "type of ArgMax");
    return fits(d, reason) && oct_cuda_name(c, "arg");
}

oct_status oct_cuda_arg_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_axis *at = (const oct_attr_axis *)d->attr;
    order_op *op = order_new(be, ctx, d, at->axis, arg_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->least = d->op == OCT_OP_ARG_MIN;
    op->last = at->select_last_index;
    *out = &op->base;
    return OCT_OK;
}

bool oct_cuda_top_k_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                          char *reason)
{
    const oct_attr_axis *at = (const oct_attr_axis *)d->attr;
    int64_t k = 0;
    int n = 0;
    (void)be;
    (void)ctx;
    if (!fits(d, reason))
        return false;
    if (!has_small_key(d->in[0].desc.dtype))
        return oct_cuda_no(reason, "type of TopK");
    if (!oct_cuda_same_quant(&d->in[0].quant, &d->out[0].quant))
        return oct_cuda_no(reason, "moves elements between different scales");
    const int64_t dim = oct_cuda_axis_of(&d->in[0].desc.shape, at->axis).dim;
    if (!oct_cuda_ints(d, 1, &k, 1, &n) || n != 1 || k > dim || k > TOPK_CAP / 2 ||
        k != oct_cuda_axis_of(&d->out[0].desc.shape, at->axis).dim)
        return oct_cuda_no(reason, "k is above 2048 or not known ahead");
    return oct_cuda_name(c, "top_k");
}

oct_status oct_cuda_top_k_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                  const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_axis *at = (const oct_attr_axis *)d->attr;
    order_op *op = order_new(be, ctx, d, at->axis, top_k_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->k = (uint32_t)oct_cuda_axis_of(&d->out[0].desc.shape, at->axis).dim;
    op->least = !at->largest;
    op->last = d->n_out > 1 && d->out[1].desc.dtype != OCT_DT_NONE; /* indices are wanted */
    op->sort = 2;
    while (op->sort < op->dim && op->sort < TOPK_CAP)
        op->sort *= 2;
    *out = &op->base;
    return OCT_OK;
}

bool oct_cuda_cum_sum_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                            char *reason)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    int64_t axis = 0;
    int n = 0;
    (void)be;
    (void)ctx;
    if (!oct_cuda_is_real(dt) && dt != OCT_DT_F64 && !oct_cuda_is_index(dt))
        return oct_cuda_no(reason, "type of CumSum");
    if (!fits(d, reason) || !oct_cuda_all_plain(d, reason))
        return false;
    const int rank = d->in[0].desc.shape.n_dims;
    if (!oct_cuda_ints(d, 1, &axis, 1, &n) || n != 1 || axis < -rank || axis >= rank)
        return oct_cuda_no(reason, "the axis is not known ahead");
    return oct_cuda_name(c, "cum_sum");
}

oct_status oct_cuda_cum_sum_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                    const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_cum_sum *at = (const oct_attr_cum_sum *)d->attr;
    int64_t axis = 0;
    int n = 0;
    (void)c;
    (void)oct_cuda_ints(d, 1, &axis, 1, &n);
    order_op *op = order_new(be, ctx, d, axis, cum_sum_run);
    if (!op)
        return OCT_ERR_NOMEM;
    op->exclusive = at->exclusive;
    op->reverse = at->reverse;
    *out = &op->base;
    return OCT_OK;
}
