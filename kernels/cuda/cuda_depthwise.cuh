/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution, and what has its form (MaxPool), by rolling down the image: a thread makes a strip of rows, OCT_DW_COLS columns wide,
 * of N neighbouring channels. Each row of the input is read and unpacked once for all outputs that see
 * it, two rows ahead of its use; sums of the outputs begun are kept in registers. Neighbouring threads
 * take neighbouring channels, so that every access of a warp is one run or a few.
 *
 * A kind of element (E) gives what differs:
 *
 *     raw_t, acc_t, N, REGS, K, S       what a pixel is loaded as; a sum; channels; sums that hold them;
 *                                       window and stride
 *     begin(p, c)                       weights and factors of channels c..c + N - 1
 *     outside(p)                        a pixel of the padding
 *     start(acc)                        sums before any product
 *     unpack(raw)                       a row of pixels, which add<KH>(acc) multiplies by row KH of the window
 *     finish(p, acc)                    a finished output, as raw_t
 */
#ifndef OCT_KERNELS_CUDA_CUDA_DEPTHWISE_CUH
#define OCT_KERNELS_CUDA_CUDA_DEPTHWISE_CUH

#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/cuda/cuda_finish.cuh"

/* Activations besides bounds; an instance of a kernel has one. */
enum oct_dw_curve {
    OCT_DW_STRAIGHT,
    OCT_DW_NARROW, /* likewise, where oct_dw.narrow */
    OCT_DW_SWISH,
    OCT_DW_HARD_SWISH
};

/* e^-ax to about 2^-21, as results of 8 or 16 bits need; 1 / x likewise. */
OCT_DEV float oct_dw_exp(float x, float minus_a)
{
    float e;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(x * (1.44269504f * minus_a)));
    return e;
}
OCT_DEV float oct_dw_inverse(float x)
{
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
OCT_DEV float oct_dw_hard(float x)
{
    return x * fminf(fmaxf((1.0f / 6.0f) * x + 0.5f, 0.0f), 1.0f);
}

/* `to` stays what it was where not `wanted`. Without a branch. */
OCT_DEV void oct_dw_load_if(uint32_t &to, const void *from, uint32_t wanted)
{
    asm("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p ld.global.nc.u32 %0, [%1]; }"
        : "+r"(to)
        : "l"(from), "r"(wanted));
}
OCT_DEV void oct_dw_load_if(uint2 &to, const void *from, uint32_t wanted)
{
    asm("{ .reg .pred p; setp.ne.u32 p, %3, 0; @p ld.global.nc.v2.u32 {%0, %1}, [%2]; }"
        : "+r"(to.x), "+r"(to.y)
        : "l"(from), "r"(wanted));
}

OCT_DEV void oct_dw_store_if(void *to, uint32_t v, bool wanted)
{
    asm volatile("{ .reg .pred p; setp.ne.u32 p, %2, 0; @p st.global.u32 [%0], %1; }" ::"l"(to),
                 "r"(v), "r"((uint32_t)wanted)
                 : "memory");
}
OCT_DEV void oct_dw_store_if(void *to, uint2 v, bool wanted)
{
    asm volatile(
        "{ .reg .pred p; setp.ne.u32 p, %3, 0; @p st.global.v2.u32 [%0], {%1, %2}; }" ::"l"(to),
        "r"(v.x), "r"(v.y), "r"((uint32_t)wanted)
        : "memory");
}

/* What a thread makes, and where it begins in the input. */
struct oct_dw_at {
    uint32_t image;
    int c, oh, ow, rows, row0, col0;
};

/* False behind the last thread. */
template <int N, int W>
OCT_DEV bool oct_dw_locate(const oct_dw &p, oct_dw_at &at)
{
    const uint32_t id = blockIdx.x * OCT_DW_THREADS + threadIdx.x;
    uint32_t vec, tile, line;
    uint32_t rest = oct_dev_divmod(id, p.vectors, vec);
    rest = oct_dev_divmod(rest, p.tiles, tile);
    at.image = oct_dev_divmod(rest, p.lines, line);
    at.c = (int)vec * N;
    at.ow = (int)tile * W;
    at.oh = (int)line * p.strip;
    at.rows = min(p.strip, p.out_h - at.oh);
    at.row0 = at.oh * p.step[0] + p.origin[0];
    at.col0 = at.ow * p.step[1] + p.origin[1];
    return id < p.threads;
}

OCT_DEV int64_t oct_dw_offset(const oct_simt_strides &s, const oct_dw_at &at)
{
    return s.base + at.image * s.batch + at.oh * s.axis[1] + at.ow * s.axis[2] + at.c;
}

/* The rows of the input, one after the other. */
template <class E>
struct oct_dw_rows {
    typedef typename E::raw_t raw_t;
    static constexpr int COLS = (OCT_DW_COLS - 1) * E::S + E::K;
    const char *next;
    int row, left;   /* of `next`; rows that are still wanted */
    uint32_t inside; /* a bit a column */

    __device__ __forceinline__ void begin(const oct_dw &p, const oct_dw_at &at, int elem, int n)
    {
        next = (const char *)p.x + (at.image * p.x_batch + (int64_t)at.row0 * p.x_row +
                                    (int64_t)at.col0 * p.x_col + at.c) *
                                       elem;
        row = at.row0;
        left = n;
        inside = 0;
#pragma unroll
        for (int j = 0; j < COLS; j++)
            inside |= (uint32_t)((uint32_t)(at.col0 + j) < (uint32_t)p.in_w) << j;
    }
    __device__ __forceinline__ void load(const oct_dw &p, int elem, raw_t (&to)[COLS])
    {
        const uint32_t mask = left > 0 && (uint32_t)row < (uint32_t)p.in_h ? inside : 0;
        const int step = p.x_col * elem;
        const raw_t pad = E::outside(p);
#pragma unroll
        for (int j = 0; j < COLS; j++) {
            to[j] = pad;
            oct_dw_load_if(to[j], next + (int64_t)(j * step), mask & 1u << j);
        }
        next += (int64_t)p.x_row * elem;
        row++;
        left--;
    }
};

/* Sums of the outputs begun: of row t - l at step t. */
template <class E>
struct oct_dw_sums {
    typedef typename E::acc_t acc_t;
    static constexpr int LAG = (E::K - 1) / E::S;
    acc_t a[LAG + 1][OCT_DW_COLS][E::REGS];

    /* Products of an unpacked row with rows FIRST, FIRST + S, ... of the window. Outputs outside the strip get
     * theirs too: leaving those out costs moves between registers, which is more. */
    template <int FIRST, int L = (E::K - 1 - FIRST) / E::S>
    __device__ __forceinline__ void add(E &e)
    {
        e.template add<FIRST + L * E::S>(a[L]);
        if constexpr (L > 0)
            add<FIRST, L - 1>(e);
    }
    __device__ __forceinline__ void shift(const E &e)
    {
#pragma unroll
        for (int l = LAG; l > 0; l--)
#pragma unroll
            for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
                for (int i = 0; i < E::REGS; i++)
                    a[l][j][i] = a[l - 1][j][i];
        e.start(a[0]);
    }
};

/* Where the next row of outputs goes. */
struct oct_dw_out {
    char *next;
    int cols; /* that exist */

    template <class E>
    __device__ __forceinline__ void put(const oct_dw &p, const E &e,
                                        const typename E::acc_t (&acc)[OCT_DW_COLS][E::REGS])
    {
        const int64_t step = p.y[0].axis[2] * E::ELEM;
        typename E::raw_t v[OCT_DW_COLS];
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++) /* all, so that they overlap */
            v[j] = e.finish(p, acc[j]);
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
            oct_dw_store_if(next + j * step, v[j], j < cols);
        next += p.y[0].axis[1] * E::ELEM;
    }
};

template <class E>
__global__ void __launch_bounds__(OCT_DW_THREADS, E::BLOCKS)
    oct_dw_rolling(const __grid_constant__ oct_dw p)
{
    typedef oct_dw_rows<E> rows_t;
    typedef oct_dw_sums<E> sums_t;
    constexpr int ELEM = E::ELEM, LAG = sums_t::LAG;
    oct_dw_at at;
    if (!oct_dw_locate<E::N, OCT_DW_COLS>(p, at))
        return;
    rows_t rows;
    rows.begin(p, at, ELEM, (at.rows - 1) * E::S + E::K);
    typename E::raw_t even[rows_t::COLS], odd[rows_t::COLS];
    rows.load(p, ELEM, even);
    rows.load(p, ELEM, odd);
    E e;
    e.begin(p, at.c);
    oct_dw_out out = {(char *)p.fin.out[0].data + oct_dw_offset(p.y[0], at) * ELEM,
                      p.out_w - at.ow};
    sums_t sums;
#pragma unroll
    for (int l = 0; l <= LAG; l++)
        e.start(sums.a[l]);
    const int steps = at.rows + LAG;
    for (int t = 0; t < steps; t += 3 - E::S) {
        e.unpack(even);
        rows.load(p, ELEM, even);
        sums.template add<0>(e);
        if (t >= LAG)
            out.put(p, e, sums.a[LAG]);
        if constexpr (E::S == 1) {
            sums.shift(e);
            if (t + 1 >= steps)
                break;
        }
        e.unpack(odd);
        rows.load(p, ELEM, odd);
        sums.template add<E::S - 1>(e);
        if (E::S == 1 && t + 1 >= LAG)
            out.put(p, e, sums.a[LAG]);
        sums.shift(e);
    }
}

static inline oct_dw_curve oct_dw_curve_of(const oct_dw *p)
{
    return p->fin.act == OCT_ACT_SWISH        ? OCT_DW_SWISH
           : p->fin.act == OCT_ACT_HARD_SWISH ? OCT_DW_HARD_SWISH
           : p->narrow                        ? OCT_DW_NARROW
                                              : OCT_DW_STRAIGHT;
}

template <class E>
static cudaError_t oct_dw_roll(const oct_dw *p, cudaStream_t stream)
{
    oct_dw_rolling<E>
        <<<(p->threads + OCT_DW_THREADS - 1) / OCT_DW_THREADS, OCT_DW_THREADS, 0, stream>>>(*p);
    return cudaGetLastError();
}

#endif /* OCT_KERNELS_CUDA_CUDA_DEPTHWISE_CUH */
