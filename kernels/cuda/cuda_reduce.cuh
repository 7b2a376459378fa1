/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels of cuda_reduce.cu: how elements are folded, by rows and by columns, and what happens to
 * a result before it is stored.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_REDUCE_CUH
#define OCT_KERNELS_CUDA_CUDA_REDUCE_CUH

#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define RUN 128 /* elements added in a row */

enum fold_kind { FOLD_SUM, FOLD_ABS, FOLD_SQUARE, FOLD_PROD, FOLD_MAX, FOLD_MIN };
enum finish_kind { FINISH_NONE, FINISH_MEAN, FINISH_SQRT, FINISH_LOG, FINISH_REQUANT };

typedef struct reduce_params {
    oct_cuda_loop results, inner; /* results: dst, src; inner: src */
    fold_kind fold;
    finish_kind finish;
    bool log_sum_exp, is_u64;
    oct_dtype from, to;
    int64_t count;
    float m; /* REQUANT */
    int32_t zero_x, zero_y;
} reduce_params;

/* ---- folding ---- */

OCT_DEV float fold_start(fold_kind k)
{
    return k == FOLD_PROD ? 1.0f : k == FOLD_MAX ? -INFINITY : k == FOLD_MIN ? INFINITY : 0.0f;
}
OCT_DEV float fold_value(fold_kind k, float x)
{
    return k == FOLD_ABS ? fabsf(x) : k == FOLD_SQUARE ? x * x : x;
}
OCT_DEV float fold_join(const reduce_params &p, float a, float b)
{
    switch (p.fold) {
    case FOLD_PROD:
        return a * b;
    case FOLD_MAX:
        return b > a || b != b ? b : a;
    case FOLD_MIN:
        return b < a || b != b ? b : a;
    default:
        return a + b;
    }
}

OCT_DEV int64_t int_start(const reduce_params &p)
{
    if (p.fold == FOLD_MAX)
        return p.is_u64 ? 0 : INT64_MIN;
    if (p.fold == FOLD_MIN)
        return p.is_u64 ? -1 : INT64_MAX;
    return p.fold == FOLD_PROD;
}
OCT_DEV int64_t fold_value(fold_kind k, int64_t x)
{
    return k == FOLD_ABS && x < 0 ? (int64_t)(0 - (uint64_t)x)
           : k == FOLD_SQUARE     ? (int64_t)((uint64_t)x * (uint64_t)x)
                                  : x;
}
OCT_DEV int64_t fold_join(const reduce_params &p, int64_t a, int64_t b)
{
    const bool less = p.is_u64 ? (uint64_t)a < (uint64_t)b : a < b;
    switch (p.fold) {
    case FOLD_PROD:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case FOLD_MAX:
        return less ? b : a;
    case FOLD_MIN:
        return less ? a : b;
    default:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    }
}

template <class A>
OCT_DEV A start_of(const reduce_params &p);
template <>
__device__ __forceinline__ float start_of<float>(const reduce_params &p)
{
    return fold_start(p.fold);
}
template <>
__device__ __forceinline__ int64_t start_of<int64_t>(const reduce_params &p)
{
    return int_start(p);
}

OCT_DEV int64_t load_int(const void *p, oct_dtype dt, int64_t i)
{
    switch (dt) {
    case OCT_DT_S8:
        return ((const int8_t *)p)[i];
    case OCT_DT_U8:
    case OCT_DT_BOOL:
        return ((const uint8_t *)p)[i];
    case OCT_DT_S32:
        return ((const int32_t *)p)[i];
    case OCT_DT_U32:
        return ((const uint32_t *)p)[i];
    default:
        return ((const int64_t *)p)[i];
    }
}
OCT_DEV void load_one(float &v, const reduce_params &p, const void *x, int64_t i)
{
    v = oct_dev_get(x, p.from, i);
}
OCT_DEV void load_one(int64_t &v, const reduce_params &p, const void *x, int64_t i)
{
    v = load_int(x, p.from, i);
}

/* ---- finishing ---- */

OCT_DEV void put_result(const reduce_params &p, void *y, int64_t at, float v)
{
    if (p.finish == FINISH_MEAN)
        v /= (float)p.count;
    else if (p.finish == FINISH_SQRT)
        v = sqrtf(v);
    else if (p.finish == FINISH_LOG)
        v = logf(v);
    oct_dev_put(y, p.to, at, v);
}

OCT_DEV void put_result(const reduce_params &p, void *y, int64_t at, int64_t v)
{
    if (p.finish == FINISH_REQUANT) {
        const float sum = (float)(int32_t)(v - p.zero_x * p.count);
        const int32_t q = oct_dev_clamp_q(rintf(fmaf(sum, p.m, 0.0f)) + (float)p.zero_y,
                                          oct_dev_q_min(p.to), oct_dev_q_max(p.to));
        ((int8_t *)y)[at] = (int8_t)q;
        return;
    }
    if (p.finish == FINISH_MEAN)
        v = p.count ? v / p.count : 0;
    else if (p.finish == FINISH_SQRT)
        v = (int64_t)sqrt((double)v);
    switch (p.to) {
    case OCT_DT_S8:
    case OCT_DT_U8:
    case OCT_DT_BOOL:
        ((uint8_t *)y)[at] = (uint8_t)v;
        break;
    case OCT_DT_S32:
    case OCT_DT_U32:
        ((uint32_t *)y)[at] = (uint32_t)v;
        break;
    default:
        ((int64_t *)y)[at] = v;
        break;
    }
}

/* ---- rows ---- */

template <class A>
OCT_DEV A shuffle(A v, int k)
{
    return __shfl_xor_sync(0xffffffffu, v, k);
}

template <class A>
OCT_DEV A join_warp(const reduce_params &p, A v)
{
#pragma unroll
    for (int k = 16; k > 0; k >>= 1)
        v = fold_join(p, v, shuffle(v, k));
    return v;
}

/* All threads of the group (warp or block) get the result. */
template <class A>
OCT_DEV A join_group(const reduce_params &p, A v, bool block, A *shared)
{
    v = join_warp(p, v);
    if (!block)
        return v;
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        shared[threadIdx.x / 32] = v;
    __syncthreads();
    return join_warp(p, threadIdx.x % 32 < WARPS ? shared[threadIdx.x % 32] : start_of<A>(p));
}

/* Elements `first`, first + step, ... of the result at `x0`; four at a time, so that loads overlap. */
template <class A>
OCT_DEV A fold_row(const reduce_params &p, const void *x, int64_t x0, uint32_t first, uint32_t step)
{
    A acc[4];
#pragma unroll
    for (int k = 0; k < 4; k++)
        acc[k] = start_of<A>(p);
    for (uint32_t i = first; i < p.inner.total; i += 4 * step) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const uint32_t at = i + k * step;
            int64_t off[1];
            A v;
            if (at >= p.inner.total)
                continue;
            oct_dev_offsets(p.inner, at, off);
            load_one(v, p, x, x0 + off[0]);
            acc[k] = fold_join(p, acc[k], fold_value(p.fold, v));
        }
    }
    return fold_join(p, fold_join(p, acc[0], acc[1]), fold_join(p, acc[2], acc[3]));
}

template <class A>
static __global__ void __launch_bounds__(THREADS)
    reduce_rows(reduce_params p, void *y, const void *x, bool block)
{
    __shared__ A shared[32];
    const uint32_t result = block ? blockIdx.x : oct_dev_item() / 32;
    const uint32_t lane = block ? threadIdx.x : threadIdx.x % 32;
    int64_t off[2];
    if (result >= p.results.total)
        return; /* whole warps; in block mode never */
    oct_dev_offsets(p.results, result, off);
    A v = fold_row<A>(p, x, off[1], lane, block ? THREADS : 32);
    v = join_group(p, v, block, shared);
    if (lane == 0)
        put_result(p, y, off[0], v);
}

/* max + log(sum(exp(x - max))) */
static __global__ void __launch_bounds__(THREADS)
    log_sum_exp_rows(reduce_params max, reduce_params sum, void *y, const void *x)
{
    __shared__ float shared[32];
    int64_t off[2], in[1];
    oct_dev_offsets(max.results, blockIdx.x, off);
    const float top =
        join_group(max, fold_row<float>(max, x, off[1], threadIdx.x, THREADS), true, shared);
    const float shift = isinf(top) ? 0.0f : top;
    float v = 0.0f;
    for (uint32_t i = threadIdx.x; i < sum.inner.total; i += THREADS) {
        oct_dev_offsets(sum.inner, i, in);
        v += expf(oct_dev_get(x, sum.from, off[1] + in[0]) - shift);
    }
    v = join_group(sum, v, true, shared);
    if (threadIdx.x == 0)
        oct_dev_put(y, sum.to, off[0], logf(v) + shift);
}

/* ---- columns ---- */

template <class A, class T>
OCT_DEV A as_acc(T v);
template <>
__device__ __forceinline__ float as_acc<float, float>(float v)
{
    return v;
}
template <>
__device__ __forceinline__ float as_acc<float, __half>(__half v)
{
    return __half2float(v);
}
template <>
__device__ __forceinline__ int32_t as_acc<int32_t, int8_t>(int8_t v)
{
    return v;
}
template <>
__device__ __forceinline__ int32_t as_acc<int32_t, uint8_t>(uint8_t v)
{
    return v;
}

/* Sums, the common case, are known when compiled; 8-bit elements come from global pools only. */
OCT_DEV int32_t fold_value(fold_kind, int32_t v)
{
    return v;
}
OCT_DEV int32_t fold_join(const reduce_params &, int32_t a, int32_t b)
{
    return max(a, b);
}
template <>
__device__ __forceinline__ int32_t start_of<int32_t>(const reduce_params &p)
{
    return p.fold == FOLD_MAX ? -128 : 0;
}
OCT_DEV void put_result(const reduce_params &p, void *y, int64_t at, int32_t v)
{
    if (p.finish != FINISH_REQUANT) {
        put_result(p, y, at, (int64_t)v);
        return;
    }
    const float sum = (float)(v - p.zero_x * (int32_t)p.count); /* fits: see the pool's query */
    const int32_t q = oct_dev_clamp_q(rintf(fmaf(sum, p.m, 0.0f)) + (float)p.zero_y,
                                      oct_dev_q_min(p.to), oct_dev_q_max(p.to));
    ((int8_t *)y)[at] = (int8_t)q;
}

template <bool SUM, class A>
OCT_DEV A join(const reduce_params &p, A a, A b)
{
    return SUM ? a + b : fold_join(p, a, b);
}
template <bool SUM, class A>
OCT_DEV A value(const reduce_params &p, A v)
{
    return SUM ? v : fold_value(p.fold, v);
}
/* Block (32, WARPS): lanes hold vectors of V results. Results' innermost dim is contiguous in both. */
template <class A, class T, int V, bool SUM>
static __global__ void __launch_bounds__(THREADS)
    reduce_columns(reduce_params p, void *y, const T *x)
{
    __shared__ A part[WARPS][32 * V + 1];
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint32_t result = blockIdx.x * 32 + lane; /* vectors */
    int64_t off[2] = {0, 0}, in[1];
    A acc[V];
#pragma unroll
    for (int i = 0; i < V; i++)
        acc[i] = start_of<A>(p);
    if (result < p.results.total)
        oct_dev_offsets(p.results, result, off);
    for (uint32_t r0 = warp; r0 < p.inner.total && result < p.results.total; r0 += RUN * WARPS) {
        A run[V]; /* sums of sums: the error of f32 stays small */
#pragma unroll
        for (int i = 0; i < V; i++)
            run[i] = start_of<A>(p);
        const uint32_t end = min(p.inner.total, r0 + RUN * WARPS);
#pragma unroll 4
        for (uint32_t r = r0; r < end; r += WARPS) {
            oct_dev_offsets(p.inner, r, in);
            const oct_dev_vec<T, V> v =
                *reinterpret_cast<const oct_dev_vec<T, V> *>(x + off[1] + in[0]);
#pragma unroll
            for (int i = 0; i < V; i++)
                run[i] = join<SUM>(p, run[i], value<SUM>(p, as_acc<A, T>(v.v[i])));
        }
#pragma unroll
        for (int i = 0; i < V; i++)
            acc[i] = join<SUM>(p, acc[i], run[i]);
    }
#pragma unroll
    for (int i = 0; i < V; i++)
        part[warp][i * 32 + lane] = acc[i];
    __syncthreads();
    for (uint32_t k = threadIdx.x; k < 32 * V; k += THREADS) {
        const uint32_t owner = k / V, element = k % V;
        A v = part[0][element * 32 + owner];
        if (blockIdx.x * 32 + owner >= p.results.total)
            continue;
        for (int w = 1; w < WARPS; w++)
            v = join<SUM>(p, v, part[w][element * 32 + owner]);
        int64_t at[2];
        oct_dev_offsets(p.results, blockIdx.x * 32 + owner, at);
        put_result(p, y, at[0] + element, v);
    }
}

/* ---- slabs: columns of one run of results an image, elements at one distance ---- */

#define SLAB_BATCH 8 /* elements that a thread has in flight */

typedef struct slab_params {
    reduce_params r;       /* its results are vectors, runs of `vecs` of them */
    oct_cuda_div chunks;   /* of a run */
    oct_cuda_div splits;   /* of the elements */
    uint32_t vecs, tx, ty; /* threads along a run and along the elements */
    uint32_t per_split;
    int64_t step;  /* from element to element */
    void *partial; /* splits > 1: [split][result] */
} slab_params;

/* The lanes of a block take neighbouring vectors, its rows share the elements. */
template <class A, class T, int V, bool SUM>
static __global__ void __launch_bounds__(THREADS)
    reduce_slabs(const __grid_constant__ slab_params p, void *y, const T *x)
{
    __shared__ A part[V][THREADS];
    uint32_t split, chunk;
    const uint32_t run =
        oct_dev_divmod(oct_dev_divmod(blockIdx.x, p.splits, split), p.chunks, chunk);
    const uint32_t tx = threadIdx.x % p.tx, ty = threadIdx.x / p.tx;
    const uint32_t vec = chunk * p.tx + tx, first = run * p.vecs;
    const uint32_t begin = split * p.per_split, end = min(p.r.inner.total, begin + p.per_split);
    int64_t off[2];
    A acc[V];
#pragma unroll
    for (int i = 0; i < V; i++)
        acc[i] = start_of<A>(p.r);
    oct_dev_offsets(p.r.results, first + min(vec, p.vecs - 1), off);
    for (uint32_t e = begin + ty; e < end && ty < p.ty && vec < p.vecs; e += SLAB_BATCH * p.ty) {
        oct_dev_vec<T, V> v[SLAB_BATCH];
#pragma unroll
        for (int k = 0; k < SLAB_BATCH; k++)
            v[k] = *reinterpret_cast<const oct_dev_vec<T, V> *>(
                x + off[1] + min(e + k * p.ty, end - 1) * p.step);
        A sum[V]; /* sums of sums: the error of f32 stays small */
#pragma unroll
        for (int i = 0; i < V; i++)
            sum[i] = value<SUM>(p.r, as_acc<A, T>(v[0].v[i]));
#pragma unroll
        for (int k = 1; k < SLAB_BATCH; k++)
            if (e + k * p.ty < end)
#pragma unroll
                for (int i = 0; i < V; i++)
                    sum[i] = join<SUM>(p.r, sum[i], value<SUM>(p.r, as_acc<A, T>(v[k].v[i])));
#pragma unroll
        for (int i = 0; i < V; i++)
            acc[i] = join<SUM>(p.r, acc[i], sum[i]);
    }
#pragma unroll
    for (int i = 0; i < V; i++)
        part[i][threadIdx.x] = acc[i];
    __syncthreads();
    for (uint32_t k = threadIdx.x; k < p.tx * V; k += THREADS) {
        const uint32_t owner = k / V, element = k % V, result = chunk * p.tx + owner;
        if (result >= p.vecs)
            continue;
        A v = part[element][owner];
        for (uint32_t w = 1; w < p.ty; w++)
            v = join<SUM>(p.r, v, part[element][w * p.tx + owner]);
        if (p.splits.d > 1) {
            ((A *)p.partial)[((int64_t)split * p.r.results.total + first + result) * V + element] =
                v;
            continue;
        }
        oct_dev_offsets(p.r.results, first + result, off);
        put_result(p.r, y, off[0] + element, v);
    }
}

template <class A, int V, bool SUM>
static __global__ void __launch_bounds__(THREADS)
    join_slabs(const __grid_constant__ slab_params p, void *y)
{
    const uint32_t i = oct_dev_item(), n = p.r.results.total * V;
    const A *from = (const A *)p.partial + i;
    int64_t off[2];
    if (i >= n)
        return;
    A v = from[0];
    for (uint32_t k = 1; k < p.splits.d; k++)
        v = join<SUM>(p.r, v, from[(int64_t)k * n]);
    oct_dev_offsets(p.r.results, i / V, off);
    put_result(p.r, y, off[0] + i % V, v);
}

#endif /* OCT_KERNELS_CUDA_CUDA_REDUCE_CUH */
