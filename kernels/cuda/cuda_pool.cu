/* SPDX-License-Identifier: Apache-2.0
 *
 * AveragePool, MaxPool and LpPool over windows, in any layout: f32, f16 (computed in f32) and 8-bit.
 * Formulas: kernels/ref/ref_pool.c. With channels innermost a thread makes 16 bytes of neighbouring
 * channels, else one element; common maxima go to cuda_max_pool.cu. Global pools are reductions
 * (cuda_reduce.cu).
 */
#include "kernels/cuda/cuda_kernel.cuh"
#include "kernels/cuda/cuda_max_pool.h"
#include "kernels/window.h"

#define THREADS 256
#define MAX_COUNT 65536 /* elements of a window */

typedef struct pool_params {
    oct_cuda_div fast, out[3],
        slow; /* positions from the innermost: fast, out[2], out[1], out[0] */
    uint32_t total;
    bool channels_fast; /* fast = channels; else slow = channels */
    int32_t in[3], kernel[3], stride[3], dilation[3], pad_lo[3], pad_hi[3];
    int64_t xs[5], ys[5]; /* n, c, three spatial axes */
    bool include_pad, column_major;
    int32_t p, channels;
    int32_t zero_x, zero_y; /* 8-bit average */
    const float *factor;    /* m by number of elements */
    int64_t step;           /* from tap to tap along the last axis */
} pool_params;

/* Taps inside the input: [lo, hi); `counted` by an average. */
typedef struct pool_axis {
    int32_t at, lo, hi, counted;
} pool_axis;

OCT_DEV int32_t clamp_taps(int32_t v, int32_t n)
{
    return v < 0 ? 0 : v > n ? n : v;
}

OCT_DEV int32_t ceil_div(int32_t a, int32_t b)
{
    if (b == 1)
        return a;
    return a > 0 ? (a + b - 1) / b : a / b;
}

OCT_DEV pool_axis axis_of(const pool_params &p, int k, int32_t o)
{
    pool_axis t;
    t.at = o * p.stride[k] - p.pad_lo[k];
    t.lo = clamp_taps(ceil_div(-t.at, p.dilation[k]), p.kernel[k]);
    t.hi = clamp_taps(ceil_div(p.in[k] - t.at, p.dilation[k]), p.kernel[k]);
    const int32_t padded = ceil_div(p.in[k] + p.pad_hi[k] - t.at, p.dilation[k]);
    t.counted = p.include_pad ? clamp_taps(padded, p.kernel[k]) : t.hi - t.lo;
    return t;
}

/* One output position: its window, and offsets in input and output. */
typedef struct pool_at {
    pool_axis t[3];
    int64_t x, y;
    int32_t n, c;
} pool_at;

template <int V>
OCT_DEV pool_at locate(const pool_params &p, uint32_t item)
{
    pool_at r;
    uint32_t fast, o[3], slow;
    item = oct_dev_divmod(item, p.fast, fast);
    for (int k = 2; k >= 0; k--)
        item = oct_dev_divmod(item, p.out[k], o[k]);
    item = oct_dev_divmod(item, p.slow, slow);
    r.n = (int32_t)item;
    r.c = (int32_t)(p.channels_fast ? fast * V : slow);
    r.x = r.n * p.xs[0] + r.c * p.xs[1];
    r.y = r.n * p.ys[0] + r.c * p.ys[1];
    for (int k = 0; k < 3; k++) {
        r.t[k] = axis_of(p, k, (int32_t)o[k]);
        r.y += o[k] * p.ys[k + 2];
    }
    return r;
}

/* for each tap: `off` is its offset in the input */
#define FOR_EACH_TAP(p, r, off)                                          \
    for (int32_t i0 = (r).t[0].lo; i0 < (r).t[0].hi; i0++)               \
        for (int32_t i1 = (r).t[1].lo; i1 < (r).t[1].hi; i1++)           \
            if (int64_t off = tap_offset(p, r, i0, i1) - (p).step; true) \
    _Pragma("unroll 3") for (int32_t i2 = (r).t[2].lo; i2 < (r).t[2].hi; \
                             i2++) if (off += (p).step; true)

/* Of the first tap of a row of the window. */
OCT_DEV int64_t tap_offset(const pool_params &p, const pool_at &r, int32_t i0, int32_t i1)
{
    return r.x + (r.t[0].at + i0 * p.dilation[0]) * p.xs[2] +
           (r.t[1].at + i1 * p.dilation[1]) * p.xs[3] +
           (r.t[2].at + r.t[2].lo * p.dilation[2]) * p.xs[4];
}

template <class T, int V>
OCT_DEV oct_dev_vec<T, V> load_vec(const T *x)
{
    return *reinterpret_cast<const oct_dev_vec<T, V> *>(x);
}

/* ---- maximum ---- */

OCT_DEV float greater_of(float best, float v)
{
    return v > best || v != v ? v : best; /* a NaN stays */
}
OCT_DEV int32_t greater_of(int32_t best, int32_t v)
{
    return v > best ? v : best;
}

template <class T>
struct max_of {
    typedef float acc;
    OCT_DEV acc least()
    {
        return -INFINITY;
    }
};
template <>
struct max_of<int8_t> {
    typedef int32_t acc;
    OCT_DEV acc least()
    {
        return -128;
    }
};
template <>
struct max_of<uint8_t> {
    typedef int32_t acc;
    OCT_DEV acc least()
    {
        return 0;
    }
};
OCT_DEV float as_acc(float v)
{
    return v;
}
OCT_DEV float as_acc(__half v)
{
    return __half2float(v);
}
OCT_DEV int32_t as_acc(int8_t v)
{
    return v;
}
OCT_DEV int32_t as_acc(uint8_t v)
{
    return v;
}

template <class T, int V>
static __global__ void __launch_bounds__(THREADS) max_pool(pool_params p, T *y, const T *x)
{
    typedef typename max_of<T>::acc acc;
    const uint32_t item = oct_dev_item();
    acc best[V];
    if (item >= p.total)
        return;
    const pool_at r = locate<V>(p, item);
#pragma unroll
    for (int i = 0; i < V; i++)
        best[i] = max_of<T>::least();
    FOR_EACH_TAP(p, r, off)
    {
        const oct_dev_vec<T, V> v = load_vec<T, V>(x + off);
#pragma unroll
        for (int i = 0; i < V; i++)
            best[i] = greater_of(best[i], as_acc(v.v[i]));
    }
    oct_dev_vec<T, V> out;
#pragma unroll
    for (int i = 0; i < V; i++)
        out.v[i] = (T)best[i];
    *reinterpret_cast<oct_dev_vec<T, V> *>(y + r.y) = out;
}

/* 8-bit values are widened to pairs of 16, of which one instruction takes the maxima. */
template <bool SIGNED>
OCT_DEV void widen(uint32_t w, uint32_t &lo, uint32_t &hi)
{
    if (SIGNED) { /* selectors with the top bit repeat the sign */
        asm("prmt.b32 %0, %1, 0, 0x9180;" : "=r"(lo) : "r"(w));
        asm("prmt.b32 %0, %1, 0, 0xb3a2;" : "=r"(hi) : "r"(w));
    } else {
        lo = __byte_perm(w, 0, 0x4140);
        hi = __byte_perm(w, 0, 0x4342);
    }
}

template <bool SIGNED>
static __global__ void __launch_bounds__(THREADS)
    max_pool_16(pool_params p, int8_t *y, const int8_t *x)
{
    const uint32_t item = oct_dev_item();
    if (item >= p.total)
        return;
    const pool_at r = locate<16>(p, item);
    uint32_t best[8];
#pragma unroll
    for (int i = 0; i < 8; i++)
        best[i] = SIGNED ? 0xff80ff80u : 0u;
    FOR_EACH_TAP(p, r, off)
    {
        const uint4 v = *reinterpret_cast<const uint4 *>(x + off);
        const uint32_t word[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t lo, hi;
            widen<SIGNED>(word[i], lo, hi);
            best[2 * i] = __vmaxs2(best[2 * i], lo);
            best[2 * i + 1] = __vmaxs2(best[2 * i + 1], hi);
        }
    }
    *reinterpret_cast<uint4 *>(y + r.y) =
        make_uint4(__byte_perm(best[0], best[1], 0x6420), __byte_perm(best[2], best[3], 0x6420),
                   __byte_perm(best[4], best[5], 0x6420), __byte_perm(best[6], best[7], 0x6420));
}

/* With the position of the first maximum in the flattened input. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    max_pool_indices(pool_params p, T *y, int64_t *index, const T *x)
{
    const uint32_t item = oct_dev_item();
    if (item >= p.total)
        return;
    const pool_at r = locate<1>(p, item);
    typename max_of<T>::acc best = max_of<T>::least();
    int32_t at[3] = {0, 0, 0};
    bool first = true;
    FOR_EACH_TAP(p, r, off)
    {
        const auto v = as_acc(x[off]);
        if (!first && !(v > best) && !(v != v && best == best))
            continue;
        first = false;
        best = v;
        at[0] = r.t[0].at + i0 * p.dilation[0];
        at[1] = r.t[1].at + i1 * p.dilation[1];
        at[2] = r.t[2].at + i2 * p.dilation[2];
    }
    const int64_t plane = (int64_t)p.in[0] * p.in[1] * p.in[2];
    const int64_t inside = p.column_major ? at[0] + (at[1] + (int64_t)at[2] * p.in[1]) * p.in[0]
                                          : ((int64_t)at[0] * p.in[1] + at[1]) * p.in[2] + at[2];
    y[r.y] = (T)best;
    index[r.y] = ((int64_t)r.n * p.channels + r.c) * plane + inside;
}

/* ---- average and Lp ---- */

template <class T, int V>
static __global__ void __launch_bounds__(THREADS) average_real(pool_params p, T *y, const T *x)
{
    const uint32_t item = oct_dev_item();
    float sum[V];
    if (item >= p.total)
        return;
    const pool_at r = locate<V>(p, item);
#pragma unroll
    for (int i = 0; i < V; i++)
        sum[i] = 0.0f;
    FOR_EACH_TAP(p, r, off)
    {
        const oct_dev_vec<T, V> v = load_vec<T, V>(x + off);
#pragma unroll
        for (int i = 0; i < V; i++)
            sum[i] += oct_dev_f32(v.v[i]);
    }
    const float count = (float)(r.t[0].counted * r.t[1].counted * r.t[2].counted);
#pragma unroll
    for (int i = 0; i < V; i++)
        sum[i] /= count;
    oct_dev_store<V>(y + r.y, sum);
}

template <class T, class U, int V>
static __global__ void __launch_bounds__(THREADS) average_q8(pool_params p, U *y, const T *x)
{
    const uint32_t item = oct_dev_item();
    const int32_t lo = U(-1) < U(0) ? -128 : 0, hi = U(-1) < U(0) ? 127 : 255;
    int32_t sum[V];
    if (item >= p.total)
        return;
    const pool_at r = locate<V>(p, item);
#pragma unroll
    for (int i = 0; i < V; i++)
        sum[i] = 0;
    FOR_EACH_TAP(p, r, off)
    {
        const oct_dev_vec<T, V> v = load_vec<T, V>(x + off);
#pragma unroll
        for (int i = 0; i < V; i++)
            sum[i] += (int32_t)v.v[i] - p.zero_x;
    }
    const float m = p.factor[r.t[0].counted * r.t[1].counted * r.t[2].counted];
    oct_dev_vec<U, V> out;
#pragma unroll
    for (int i = 0; i < V; i++)
        out.v[i] =
            (U)oct_dev_clamp_q(rintf(fmaf((float)sum[i], m, 0.0f)) + (float)p.zero_y, lo, hi);
    *reinterpret_cast<oct_dev_vec<U, V> *>(y + r.y) = out;
}

template <class T>
static __global__ void __launch_bounds__(THREADS) lp_pool(pool_params p, T *y, const T *x)
{
    const uint32_t item = oct_dev_item();
    if (item >= p.total)
        return;
    const pool_at r = locate<1>(p, item);
    double sum = 0;
    FOR_EACH_TAP(p, r, off)
    {
        const double v = fabs((double)oct_dev_f32(x[off]));
        sum += p.p == 1 ? v : p.p == 2 ? v * v : pow(v, (double)p.p);
    }
    sum = p.p == 1 ? sum : p.p == 2 ? sqrt(sum) : pow(sum, 1.0 / p.p);
    y[r.y] = oct_dev_from_f32<T>((float)sum);
}

/* ---- the op ---- */

typedef struct pool_op {
    oct_cuda_op base;
    pool_params p;
    oct_op op;
    oct_dtype from, to;
    int vec; /* elements a thread makes when pointers are aligned, else 1 */
    bool has_indices;
    bool rolls; /* MaxPool by oct_cuda_max_roll() where pointers allow */
    oct_dw roll;
    void *factor;
} pool_op;

template <class T, int V>
static void launch_real(const pool_op *op, const pool_params &p, void *y, const void *x,
                        cudaStream_t s)
{
    const uint32_t blocks = oct_cuda_blocks(p.total, THREADS);
    if (op->op == OCT_OP_MAX_POOL)
        max_pool<T, V><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    else if (op->op == OCT_OP_AVERAGE_POOL)
        average_real<T, V><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    else
        lp_pool<T><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
}

template <class T, int V>
static void launch_q8(const pool_op *op, const pool_params &p, void *y, const void *x,
                      cudaStream_t s)
{
    const uint32_t blocks = oct_cuda_blocks(p.total, THREADS);
    if (op->op == OCT_OP_MAX_POOL && V == 16)
        max_pool_16<(T(-1) < T(0))><<<blocks, THREADS, 0, s>>>(p, (int8_t *)y, (const int8_t *)x);
    else if (op->op == OCT_OP_MAX_POOL)
        max_pool<T, 1><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    else if (op->to == OCT_DT_S8)
        average_q8<T, int8_t, V><<<blocks, THREADS, 0, s>>>(p, (int8_t *)y, (const T *)x);
    else
        average_q8<T, uint8_t, V><<<blocks, THREADS, 0, s>>>(p, (uint8_t *)y, (const T *)x);
}

template <class T>
static void launch_indices(const pool_params &p, const oct_run_args *a, cudaStream_t s)
{
    max_pool_indices<T><<<oct_cuda_blocks(p.total, THREADS), THREADS, 0, s>>>(
        p, (T *)a->out[0], (int64_t *)a->out[1], (const T *)a->in[0]);
}

static void run_indices(const pool_op *op, const pool_params &p, const oct_run_args *a,
                        cudaStream_t s)
{
    if (op->from == OCT_DT_F32)
        launch_indices<float>(p, a, s);
    else if (op->from == OCT_DT_F16)
        launch_indices<__half>(p, a, s);
    else if (op->from == OCT_DT_S8)
        launch_indices<int8_t>(p, a, s);
    else
        launch_indices<uint8_t>(p, a, s);
}

static oct_status run_pool(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const pool_op *op = (const pool_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const bool indices = op->has_indices && a->out[1];
    const bool wide = op->vec > 1 && !indices && oct_cuda_aligned(a->in[0], 16) &&
                      oct_cuda_aligned(a->out[0], 16);
    pool_params p = op->p;
    if (p.total == 0)
        return OCT_OK;
    if (op->rolls && !indices && oct_cuda_aligned(a->in[0], 4) && oct_cuda_aligned(a->out[0], 4))
        return oct_cuda_check(ctx, oct_cuda_max_roll(&op->roll, op->from, a->out[0], a->in[0], s),
                              "pool");
    if (wide) {
        p.total /= (uint32_t)op->vec;
        p.fast = oct_cuda_div_make(p.fast.d / (uint32_t)op->vec);
    }
    void *y = a->out[0];
    const void *x = a->in[0];
    if (indices)
        run_indices(op, p, a, s);
    else if (op->from == OCT_DT_F32)
        wide ? launch_real<float, 4>(op, p, y, x, s) : launch_real<float, 1>(op, p, y, x, s);
    else if (op->from == OCT_DT_F16)
        wide ? launch_real<__half, 8>(op, p, y, x, s) : launch_real<__half, 1>(op, p, y, x, s);
    else if (op->from == OCT_DT_S8)
        wide ? launch_q8<int8_t, 16>(op, p, y, x, s) : launch_q8<int8_t, 1>(op, p, y, x, s);
    else
        wide ? launch_q8<uint8_t, 16>(op, p, y, x, s) : launch_q8<uint8_t, 1>(op, p, y, x, s);
    return oct_cuda_launched(ctx, "pool");
}

static void strides_of(const oct_tensor_desc *t, int lead, int64_t *s)
{
    s[0] = t->stride[0];
    s[1] = t->stride[1];
    for (int k = 0; k < 3; k++)
        s[k + 2] = k < lead || k - lead + 2 >= t->shape.n_dims ? 0 : t->stride[k - lead + 2];
}

/* All strides but the channels' are multiples of a vector. */
static bool takes_vectors(const pool_op *op, int vec)
{
    const pool_params *p = &op->p;
    if (!p->channels_fast || p->xs[1] != 1 || p->ys[1] != 1 || p->channels % vec != 0 ||
        op->op == OCT_OP_LP_POOL)
        return false;
    for (int k = 0; k < 5; k++)
        if (k != 1 && (p->xs[k] % vec != 0 || p->ys[k] % vec != 0))
            return false;
    return true;
}

static bool build(const oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, pool_op *op, char *reason)
{
    const oct_attr_window *at = (const oct_attr_window *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    pool_params *p = &op->p;
    oct_window w;
    if (oct_window_resolve(ctx, d->op, at, &x->shape, NULL, &w) != OCT_OK)
        return oct_cuda_no(reason, "window");
    const int lead = 3 - w.n;
    op->rolls = oct_cuda_max_roll_make(d, &w, be->n_sm, &op->roll);
    w = oct_window_to_3d(&w);
    int64_t count = 1;
    for (int k = 0; k < 3; k++) {
        p->in[k] = (int32_t)w.in[k];
        p->kernel[k] = (int32_t)w.kernel[k];
        p->stride[k] = (int32_t)w.stride[k];
        p->dilation[k] = (int32_t)w.dilation[k];
        p->pad_lo[k] = (int32_t)w.pad_lo[k];
        p->pad_hi[k] = (int32_t)w.pad_hi[k];
        p->out[k] = oct_cuda_div_make(w.out[k] > 0 ? w.out[k] : 1);
        if (w.kernel[k] > MAX_COUNT || w.stride[k] > MAX_COUNT || w.dilation[k] > MAX_COUNT ||
            (count *= w.kernel[k]) > MAX_COUNT)
            return oct_cuda_no(reason, "a window of more than 65536 elements");
    }
    const size_t total = oct_cuda_elems(&d->out[0]);
    if (total > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "more than 2^31 elements");
    p->total = (uint32_t)total;
    strides_of(x, lead, p->xs);
    strides_of(y, lead, p->ys);
    p->step = p->dilation[2] * p->xs[4];
    p->channels = (int32_t)x->shape.dim[1];
    p->channels_fast = p->ys[1] == 1 && p->channels > 1;
    const oct_cuda_div channels = oct_cuda_div_make(p->channels > 0 ? p->channels : 1);
    p->fast = p->channels_fast ? channels : oct_cuda_div_make(1);
    p->slow = p->channels_fast ? oct_cuda_div_make(1) : channels;
    p->include_pad = at->count_include_pad;
    p->column_major = at->storage_order == 1;
    p->p = (int32_t)at->p;
    op->op = d->op;
    op->from = x->dtype;
    op->to = y->dtype;
    const int vec = 16 / (int)oct_dtype_bytes(x->dtype);
    op->vec = takes_vectors(op, vec) ? vec : 1;
    op->has_indices = d->n_out > 1 && d->out[1].desc.dtype != OCT_DT_NONE;
    return true;
}

static bool types_are_taken(const oct_op_desc *d, char *reason)
{
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const bool q8 = oct_cuda_is_8bit(x->desc.dtype);
    const bool alike = x->desc.dtype == y->desc.dtype && oct_cuda_same_quant(&x->quant, &y->quant);
    if (oct_cuda_is_real(x->desc.dtype) && alike && x->quant.n == 0)
        return true;
    if (q8 && d->op == OCT_OP_MAX_POOL && alike)
        return true;
    if (q8 && d->op == OCT_OP_AVERAGE_POOL && oct_cuda_is_8bit(y->desc.dtype) && x->quant.n == 1 &&
        y->quant.n == 1)
        return true;
    return oct_cuda_no(reason, "pools take f32, f16 and 8-bit with one scale");
}

static bool query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    pool_op op;
    memset(&op, 0, sizeof op);
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_cuda_no(reason, "pools take no epilogue");
    if (!types_are_taken(d, reason) || !build(be, ctx, d, &op, reason))
        return false;
    if (op.has_indices && !oct_cuda_row_major(&d->out[0]))
        return oct_cuda_no(reason, "indices need a dense row-major output");
    return oct_cuda_name(c, op.rolls ? "pool:rolling" : op.vec > 1 ? "pool:vec" : "pool");
}

static void release(oct_cuda *be, oct_cuda_op *base)
{
    (void)be;
    cudaFree(((pool_op *)base)->factor);
}

/* m = s_x / (s_y count), computed in double and rounded once, for every count. */
static oct_status upload_factors(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, pool_op *op)
{
    const int32_t *k = op->p.kernel;
    const size_t n = (size_t)k[0] * (size_t)k[1] * (size_t)k[2] + 1;
    const double sx = d->in[0].quant.q[0].scale, sy = d->out[0].quant.q[0].scale;
    float *m = (float *)oct_zalloc(ctx, n * sizeof *m);
    if (!m)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        m[i] = (float)(sx / (sy * (double)i));
    const oct_status st = oct_cuda_upload(be, ctx, m, n * sizeof *m, &op->factor);
    oct_free(ctx, m);
    op->p.factor = (const float *)op->factor;
    op->p.zero_x = d->in[0].quant.q[0].zero_point;
    op->p.zero_y = d->out[0].quant.q[0].zero_point;
    return st;
}

static oct_status prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    pool_op *op = oct_cuda_make<pool_op>(be, ctx, run_pool);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.release = release;
    oct_status st = OCT_OK;
    if (!build(be, ctx, d, op, reason))
        st = oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    else if (d->op == OCT_OP_AVERAGE_POOL && oct_cuda_is_8bit(op->from))
        st = upload_factors(be, ctx, d, op);
    if (st != OCT_OK) {
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cuda_row rows[] = {
    {OCT_OP_MAX_POOL, query, prepare},
    {OCT_OP_AVERAGE_POOL, query, prepare},
    {OCT_OP_LP_POOL, query, prepare},
    {OCT_OP_GLOBAL_AVERAGE_POOL, oct_cuda_global_pool_query, oct_cuda_global_pool_prepare},
    {OCT_OP_GLOBAL_MAX_POOL, oct_cuda_global_pool_query, oct_cuda_global_pool_prepare},
    {OCT_OP_GLOBAL_LP_POOL, oct_cuda_global_pool_query, oct_cuda_global_pool_prepare},
    {OCT_OP_RESIZE, oct_cuda_resize_query, oct_cuda_resize_prepare},
};
extern "C" const oct_cuda_rows oct_cuda_rows_pool = {rows, sizeof rows / sizeof rows[0]};
