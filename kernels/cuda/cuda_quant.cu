/* SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear and DequantizeLinear (one scale, or one per index of an axis), dynamic
 * quantization, and Table: a unary function of 8-bit elements by 256 entries. 8-bit arithmetic is
 * in cuda_binary_q8.cu; pools are with their real-valued forms (cuda_pool.cu, cuda_reduce.cu).
 */
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256

/* ---- QuantizeLinear, DequantizeLinear: operands result, input, parameter number ---- */

typedef struct linear_params {
    oct_dtype to, from, zero_type; /* zero_type NONE: 0 */
    bool quantizes;
} linear_params;

typedef struct linear_pointers {
    void *y;
    const void *x, *zero;
    const float *scale;
} linear_pointers;

typedef struct linear_op {
    oct_cuda_op base;
    linear_params p;
    oct_cuda_loop fast, slow; /* 8 elements each (n_dims 0: not taken), and one */
    size_t in_bytes, out_bytes;
} linear_op;

OCT_DEV int32_t zero_at(const linear_params &p, const void *zero, int64_t i)
{
    switch (p.zero_type) {
    case OCT_DT_NONE:
        return 0;
    case OCT_DT_S8:
        return ((const int8_t *)zero)[i];
    case OCT_DT_S32:
        return ((const int32_t *)zero)[i];
    default:
        return ((const uint8_t *)zero)[i];
    }
}

template <int V>
OCT_DEV void quantize_vec(const linear_params &p, const linear_pointers &q, const int64_t (&off)[3],
                          int64_t step)
{
    const float lo = (float)oct_dev_q_min(p.to), hi = (float)oct_dev_q_max(p.to);
    float a[V], s = q.scale[off[2]], inverse = oct_dev_inverse(s);
    int32_t z = zero_at(p, q.zero, off[2]);
    oct_dev_load_any<V>(a, q.x, p.from, off[1]);
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i > 0 && step != 0) {
            s = q.scale[off[2] + i];
            z = zero_at(p, q.zero, off[2] + i);
            inverse = oct_dev_inverse(s);
        }
        a[i] = oct_dev_quantize_f32(a[i], s, inverse, (float)z, lo, hi);
    }
    oct_dev_store_any<V>(q.y, p.to, off[0], a);
}

template <int V>
OCT_DEV void dequantize_vec(const linear_params &p, const linear_pointers &q,
                            const int64_t (&off)[3], int64_t step)
{
    float a[V], s = q.scale[off[2]];
    int32_t z = zero_at(p, q.zero, off[2]);
    const bool wide = p.from == OCT_DT_S32;
    if (!wide)
        oct_dev_load_any<V>(a, q.x, p.from, off[1]);
#pragma unroll
    for (int i = 0; i < V; i++) {
        if (i > 0 && step != 0) {
            s = q.scale[off[2] + i];
            z = zero_at(p, q.zero, off[2] + i);
        }
        a[i] =
            (wide ? (float)((int64_t)((const int32_t *)q.x)[off[1] + i] - z) : a[i] - (float)z) * s;
    }
    oct_dev_store_any<V>(q.y, p.to, off[0], a);
}

template <int V>
static __global__ void __launch_bounds__(THREADS)
    linear_kernel(oct_cuda_loop loop, linear_params p, linear_pointers q)
{
    const uint32_t item = oct_dev_item();
    int64_t off[3];
    if (item >= loop.total)
        return;
    oct_dev_offsets(loop, item, off);
    if (p.quantizes)
        quantize_vec<V>(p, q, off, loop.stride[2][0]);
    else
        dequantize_vec<V>(p, q, off, loop.stride[2][0]);
}

/* One scale, dense: 16 elements a thread. Values are bounded before the division, to what the bounds stand for, so
 * that one correction makes the quotient right and NaN goes to the low end. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    quantize_runs(linear_params p, linear_pointers q, uint32_t n)
{
    constexpr int PER = 16 / (int)sizeof(T); /* a load */
    const uint32_t item = oct_dev_item();
    if (item >= n)
        return;
    const float s = q.scale[0], inverse = oct_dev_inverse(s);
    const int32_t z = zero_at(p, q.zero, 0);
    const float lo = (float)(oct_dev_q_min(p.to) - z), hi = (float)(oct_dev_q_max(p.to) - z);
    oct_dev_vec<T, PER> in[16 / PER];
    uint32_t w[16];
#pragma unroll
    for (int k = 0; k < 16 / PER; k++)
        in[k] = reinterpret_cast<const oct_dev_vec<T, PER> *>(q.x)[(int64_t)item * (16 / PER) + k];
    if (inverse != 0.0f) {
        const float least = lo * s, most = hi * s;
#pragma unroll
        for (int i = 0; i < 16; i++) {
            const float x = fminf(fmaxf(oct_dev_f32(in[i / PER].v[i % PER]), least), most);
            const float q0 = x * inverse;
            w[i] = __float_as_uint(fmaf(fmaf(-q0, s, x), inverse, q0) + OCT_DEV_MAGIC);
        }
    } else {
#pragma unroll 1
        for (int i = 0; i < 16; i++) {
            const float x = oct_dev_f32(((const T *)q.x)[(int64_t)item * 16 + i]);
            ((uint8_t *)q.y)[(int64_t)item * 16 + i] =
                (uint8_t)oct_dev_quantize(x, s, z, oct_dev_q_min(p.to), oct_dev_q_max(p.to));
        }
        return;
    }
    uint32_t out[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const uint32_t a = __byte_perm(w[4 * k], w[4 * k + 1], 0x0040);
        const uint32_t b = __byte_perm(w[4 * k + 2], w[4 * k + 3], 0x0040);
        out[k] = __byte_perm(a, b, 0x5410);
        if (z != 0)
            out[k] = __vadd4(out[k], (uint32_t)(z & 0xFF) * 0x01010101u);
    }
    ((uint4 *)q.y)[item] = make_uint4(out[0], out[1], out[2], out[3]);
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    dequantize_runs(linear_params p, linear_pointers q, uint32_t n)
{
    constexpr int PER = 16 / (int)sizeof(T); /* a store */
    const uint32_t item = oct_dev_item();
    if (item >= n)
        return;
    const float s = q.scale[0];
    const uint32_t flip = p.from == OCT_DT_S8 ? 0x80808080u : 0u;
    const float off = 8388608.0f + (flip ? 128.0f : 0.0f) + (float)zero_at(p, q.zero, 0);
    const uint4 in = ((const uint4 *)q.x)[item];
    const uint32_t w[4] = {in.x ^ flip, in.y ^ flip, in.z ^ flip, in.w ^ flip};
#pragma unroll
    for (int k = 0; k < 16 / PER; k++) {
        float v[PER];
#pragma unroll
        for (int i = 0; i < PER; i++) {
            const int at = k * PER + i;
            v[i] =
                (__uint_as_float(__byte_perm(w[at / 4], 0x4B000000u, 0x7440 + at % 4)) - off) * s;
        }
        oct_dev_store<PER>((T *)q.y + (int64_t)item * 16 + k * PER, v);
    }
}

template <class T>
static void launch_runs(const linear_op *op, const linear_pointers &q, uint32_t n, cudaStream_t s)
{
    const uint32_t blocks = oct_cuda_blocks(n, THREADS);
    if (op->p.quantizes)
        quantize_runs<T><<<blocks, THREADS, 0, s>>>(op->p, q, n);
    else
        dequantize_runs<T><<<blocks, THREADS, 0, s>>>(op->p, q, n);
}

/* Elements done; 0 if the op is not of that form: a zero point of 8 bits, one scale, dense. */
static uint32_t linear_dense(const linear_op *op, const linear_pointers &q, cudaStream_t s)
{
    const oct_cuda_loop *l = &op->slow;
    const uint32_t n = l->total / 16;
    const oct_dtype real = op->p.quantizes ? op->p.from : op->p.to;
    const oct_dtype stored = op->p.quantizes ? op->p.to : op->p.from;
    if (!oct_cuda_is_real(real) || !oct_cuda_is_8bit(stored) || op->p.zero_type == OCT_DT_S32 ||
        l->n_dims != 1 || n == 0 || l->stride[0][0] != 1 || l->stride[1][0] != 1 ||
        l->stride[2][0] != 0 || !oct_cuda_aligned(q.x, 16) || !oct_cuda_aligned(q.y, 16))
        return 0;
    if (real == OCT_DT_F32)
        launch_runs<float>(op, q, n, s);
    else
        launch_runs<__half>(op, q, n, s);
    return 16 * n;
}

/* The last few elements of one run behind whole vectors go to the slow loop. */
static void linear_launch(const linear_op *op, linear_pointers q, cudaStream_t s)
{
    oct_cuda_loop slow = op->slow;
    const size_t widest = op->in_bytes > op->out_bytes ? op->in_bytes : op->out_bytes;
    const uint32_t dense = linear_dense(op, q, s);
    if (dense > 0) {
        slow.total -= dense;
        q.x = (const char *)q.x + dense * op->in_bytes;
        q.y = (char *)q.y + dense * op->out_bytes;
        if (slow.total == 0)
            return;
    } else if (op->fast.n_dims > 0 &&
               oct_cuda_aligned(q.x, 8 * op->in_bytes < 16 ? 8 * op->in_bytes : 16) &&
               oct_cuda_aligned(q.y, 8 * op->out_bytes < 16 ? 8 * op->out_bytes : 16) &&
               widest <= 8) {
        const uint32_t done = 8 * op->fast.total;
        linear_kernel<8>
            <<<oct_cuda_blocks(op->fast.total, THREADS), THREADS, 0, s>>>(op->fast, op->p, q);
        if (op->fast.n_dims > 1 || done == slow.total)
            return;
        slow.total -= done;
        q.x = (const char *)q.x + done * op->in_bytes;
        q.y = (char *)q.y + done * op->out_bytes;
        q.scale += done * op->slow.stride[2][0];
        if (q.zero)
            q.zero = (const char *)q.zero +
                     done * op->slow.stride[2][0] * (int64_t)oct_dtype_bytes(op->p.zero_type);
    }
    linear_kernel<1><<<oct_cuda_blocks(slow.total, THREADS), THREADS, 0, s>>>(slow, op->p, q);
}

static oct_status linear_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const linear_op *op = (const linear_op *)base;
    linear_pointers q = {a->out[0], a->in[0], NULL, (const float *)a->in[1]};
    if (op->p.zero_type != OCT_DT_NONE)
        q.zero = a->in[2];
    if (op->slow.total > 0)
        linear_launch(op, q, oct_cuda_stream_of(a));
    return oct_cuda_launched(ctx, "QuantizeLinear");
}

static bool linear_build(const oct_op_desc *d, linear_op *op, char *reason)
{
    const oct_attr_quantize *at = (const oct_attr_quantize *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const size_t n = oct_cuda_elems(&d->in[1]);
    oct_tensor_desc param = *x;
    oct_ref_loop l;
    for (int i = 0; i < x->shape.n_dims; i++)
        param.stride[i] = 0;
    if (n > 1) {
        const int axis = (int)(at->axis < 0 ? at->axis + x->shape.n_dims : at->axis);
        if ((int64_t)n != x->shape.dim[axis])
            return oct_cuda_no(reason, "blocked scales");
        param.stride[axis] = 1;
    }
    oct_ref_loop_init(&l, &y->shape);
    oct_ref_loop_add(&l, y);
    oct_ref_loop_add(&l, x);
    oct_ref_loop_add(&l, &param);
    oct_ref_loop_optimize(&l);
    if (!oct_cuda_loop_make(&l, 1, &op->slow) ||
        (oct_cuda_loop_takes(&l, 8) && l.stride[1][l.n_dims - 1] == 1 &&
         !oct_cuda_loop_make(&l, 8, &op->fast)))
        return oct_cuda_no(reason, "more than 8 dims or 2^31 elements");
    return true;
}

static bool is_wide(oct_dtype dt)
{
    return dt == OCT_DT_F32 || dt == OCT_DT_F16 || dt == OCT_DT_BF16;
}

static bool linear_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                         char *reason)
{
    const bool quantizes = d->op == OCT_OP_QUANTIZE_LINEAR;
    const oct_dtype real = (quantizes ? d->in : d->out)[0].desc.dtype;
    const oct_dtype stored = (quantizes ? d->out : d->in)[0].desc.dtype;
    const oct_dtype zero = oct_cuda_present(d, 2) ? d->in[2].desc.dtype : OCT_DT_NONE;
    linear_op *op = (linear_op *)oct_zalloc(ctx, sizeof *op);
    (void)be;
    if (!op)
        return oct_cuda_no(reason, "out of memory");
    bool ok = linear_build(d, op, reason);
    oct_free(ctx, op);
    if (!ok)
        return false;
    ok = is_wide(real) && d->in[1].desc.dtype == OCT_DT_F32 &&
         (oct_cuda_is_8bit(stored) || (stored == OCT_DT_S32 && !quantizes)) &&
         (zero == OCT_DT_NONE || zero == OCT_DT_S32 || oct_cuda_is_8bit(zero));
    if (!ok)
        return oct_cuda_no(reason, "types of data, scale or zero point");
    return oct_cuda_name(c, quantizes ? "quantize" : "dequantize");
}

static oct_status linear_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                 const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    linear_op *op = oct_cuda_make<linear_op>(be, ctx, linear_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    (void)linear_build(d, op, reason);
    op->p.quantizes = d->op == OCT_OP_QUANTIZE_LINEAR;
    op->p.to = d->out[0].desc.dtype;
    op->p.from = d->in[0].desc.dtype;
    op->p.zero_type = oct_cuda_present(d, 2) ? d->in[2].desc.dtype : OCT_DT_NONE;
    op->in_bytes = oct_dtype_bytes(op->p.from);
    op->out_bytes = oct_dtype_bytes(op->p.to);
    *out = &op->base;
    return OCT_OK;
}

/* ---- Table ---- */

typedef struct table_op {
    oct_cuda_op base;
    size_t n;
} table_op;

/* 16 bytes a thread; the last block takes what is left one by one. */
static __global__ void __launch_bounds__(THREADS)
    table_kernel(uint8_t *y, const uint8_t *x, const uint8_t *table, size_t n, bool aligned)
{
    __shared__ uint8_t t[256];
    const size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) * 16;
    t[threadIdx.x] = table[threadIdx.x];
    __syncthreads();
    if (aligned && at + 16 <= n) {
        oct_dev_vec<uint8_t, 16> v = *reinterpret_cast<const oct_dev_vec<uint8_t, 16> *>(x + at);
#pragma unroll
        for (int i = 0; i < 16; i++)
            v.v[i] = t[v.v[i]];
        *reinterpret_cast<oct_dev_vec<uint8_t, 16> *>(y + at) = v;
        return;
    }
    for (size_t i = at; i < n && i < at + 16; i++)
        y[i] = t[x[i]];
}

static oct_status table_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const table_op *op = (const table_op *)base;
    const bool aligned = oct_cuda_aligned(a->in[0], 16) && oct_cuda_aligned(a->out[0], 16);
    if (op->n > 0)
        table_kernel<<<oct_cuda_blocks((int64_t)op->n, 16 * THREADS), THREADS, 0,
                       oct_cuda_stream_of(a)>>>((uint8_t *)a->out[0], (const uint8_t *)a->in[0],
                                                (const uint8_t *)a->in[1], op->n, aligned);
    return oct_cuda_launched(ctx, "Table");
}

static bool table_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    (void)be;
    (void)ctx;
    if (x->layout != y->layout || !oct_cuda_dense(&d->in[0]) || !oct_cuda_dense(&d->out[0]) ||
        oct_dtype_bytes(x->dtype) != 1 || oct_dtype_bytes(y->dtype) != 1)
        return oct_cuda_no(reason, "types or layouts differ");
    c->may_alias[0] = true;
    return oct_cuda_name(c, "table");
}

static oct_status table_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cuda_op **out)
{
    table_op *op = oct_cuda_make<table_op>(be, ctx, table_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->n = oct_cuda_elems(&d->in[0]);
    *out = &op->base;
    return OCT_OK;
}

/* ---- DynamicQuantizeLinear ---- */

#define MAX_BLOCKS 1024

/* Workspace: bits of the maximum and of minus the minimum, both with 0 among the values, so that
 * their order is that of integers. NaN is neither. */
static __global__ void __launch_bounds__(THREADS)
    dynamic_range(int32_t *range, const float *x, size_t n)
{
    float hi = 0.0f, lo = 0.0f;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS) {
        const float v = x[i];
        hi = v > hi ? v : hi;
        lo = v < lo ? v : lo;
    }
    hi = oct_dev_warp_max(hi);
    lo = oct_dev_warp_max(-lo);
    if (threadIdx.x % 32 == 0) {
        atomicMax(&range[0], __float_as_int(hi));
        atomicMax(&range[1], __float_as_int(lo));
    }
}

static __global__ void __launch_bounds__(THREADS)
    dynamic_quantize(uint8_t *y, float *scale, uint8_t *zero, const int32_t *range, const float *x,
                     size_t n)
{
    const float hi = __int_as_float(range[0]), minus_lo = __int_as_float(range[1]);
    float s = (hi + minus_lo) / 255.0f;
    s = s == 0.0f ? 1.0f : s;
    const int32_t z = oct_dev_quantize(minus_lo, s, 0, 0, 255);
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (size_t)gridDim.x * THREADS)
        y[i] = (uint8_t)oct_dev_quantize(x[i], s, z, 0, 255);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        *scale = s;
        *zero = (uint8_t)z;
    }
}

static oct_status dynamic_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const table_op *op = (const table_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    const uint32_t want = oct_cuda_blocks((int64_t)op->n, THREADS);
    const uint32_t blocks = want < 1 ? 1 : want > MAX_BLOCKS ? MAX_BLOCKS : want;
    int32_t *range = (int32_t *)a->workspace;
    OCT_TRY(oct_cuda_check(ctx, cudaMemsetAsync(range, 0, 8, s), "DynamicQuantizeLinear"));
    dynamic_range<<<blocks, THREADS, 0, s>>>(range, (const float *)a->in[0], op->n);
    dynamic_quantize<<<blocks, THREADS, 0, s>>>((uint8_t *)a->out[0], (float *)a->out[1],
                                                (uint8_t *)a->out[2], range,
                                                (const float *)a->in[0], op->n);
    return oct_cuda_launched(ctx, "DynamicQuantizeLinear");
}

static bool dynamic_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                          char *reason)
{
    (void)be;
    (void)ctx;
    if (d->in[0].desc.dtype != OCT_DT_F32 || !oct_cuda_all_plain(d, reason))
        return oct_cuda_no(reason, "input must be plain f32");
    c->workspace_bytes = 64;
    return oct_cuda_name(c, "dynamic_quantize");
}

static oct_status dynamic_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                  const oct_candidate *c, oct_cuda_op **out)
{
    table_op *op = oct_cuda_make<table_op>(be, ctx, dynamic_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->n = oct_cuda_elems(&d->in[0]);
    *out = &op->base;
    return OCT_OK;
}

static const oct_cuda_row rows[] = {
    {OCT_OP_QUANTIZE_LINEAR, linear_query, linear_prepare},
    {OCT_OP_DEQUANTIZE_LINEAR, linear_query, linear_prepare},
    {OCT_OP_DYNAMIC_QUANTIZE_LINEAR, dynamic_query, dynamic_prepare},
    {OCT_OP_TABLE, table_query, table_prepare},
};
extern "C" const oct_cuda_rows oct_cuda_rows_quant = {rows, sizeof rows / sizeof rows[0]};
