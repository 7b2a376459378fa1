/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_depthwise.h on the device. A thread makes OCT_DW_WIDTH neighbouring outputs of a vector of
 * channels; neighbouring threads take neighbouring vectors, so that every access is one run. An input
 * vector is read once per kernel row and used for every output that sees it. Weights of a row are in
 * registers. Memory-bound by design: in + out bytes once; rows above and below come from the caches.
 */
#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/cuda/cuda_finish.cuh"

namespace
{

constexpr int W = OCT_DW_WIDTH;
constexpr int THREADS = 128;

/* ---- elements: N of them as f32 less the zero point ---- */

template <class T>
struct elem {
    typedef float sum_t;
    template <int N>
    static __device__ __forceinline__ void load(float (&v)[N], const T *p, float)
    {
        oct_dev_load<N>(v, p);
    }
};

/* 8-bit: the byte goes into the low mantissa bits of 2^23, which is exact and costs no conversion. */
template <uint32_t FLIP>
struct elem_q8 {
    typedef int32_t sum_t;
    template <int N>
    static __device__ __forceinline__ void load(float (&v)[N], const uint8_t *p, float zero)
    {
        const float off = 8388608.0f + zero;
        if constexpr (N == 1) {
            v[0] = __uint_as_float(0x4B000000u | (*p ^ (FLIP & 0xFF))) - off;
        } else {
            uint32_t w[N / 4];
            if constexpr (N == 8) {
                const uint2 u = *reinterpret_cast<const uint2 *>(p);
                w[0] = u.x;
                w[1] = u.y;
            } else {
                w[0] = *reinterpret_cast<const uint32_t *>(p);
            }
#pragma unroll
            for (int i = 0; i < N; i++)
                v[i] = __uint_as_float(__byte_perm(w[i / 4] ^ FLIP, 0x4B000000u, 0x7440 + i % 4)) -
                       off;
        }
    }
};
template <>
struct elem<int8_t> : elem_q8<0x80808080u> {
};
template <>
struct elem<uint8_t> : elem_q8<0> {
};

template <class T>
struct storage {
    typedef T type;
};
template <>
struct storage<int8_t> {
    typedef uint8_t type;
};

template <int N>
__device__ __forceinline__ void zeros(float (&v)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = 0.0f;
}

template <int N>
__device__ __forceinline__ void add_product(float (&acc)[N], const float (&x)[N],
                                            const float (&w)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        acc[i] = fmaf(x[i], w[i], acc[i]);
}

/* ---- sums of a thread's outputs ---- */

/* A window known when compiled, without dilation. */
template <class T, int N, int K, int S>
__device__ __forceinline__ void sum_fixed(const oct_dw &p, const typename storage<T>::type *x,
                                          const float *w, int row0, int col0, float (&acc)[W][N])
{
#pragma unroll
    for (int kh = 0; kh < K; kh++) {
        const int row = row0 + kh;
        if ((uint32_t)row >= (uint32_t)p.in_h)
            continue;
        const typename storage<T>::type *line = x + row * p.x_row;
        float wv[K][N];
#pragma unroll
        for (int kw = 0; kw < K; kw++)
            oct_dev_load<N>(wv[kw], w + (kh * K + kw) * p.c_pad);
#pragma unroll
        for (int i = 0; i < (W - 1) * S + K; i++) {
            const int col = col0 + i;
            float v[N];
            zeros(v);
            if ((uint32_t)col < (uint32_t)p.in_w)
                elem<T>::template load<N>(v, line + (int64_t)col * p.x_col, p.x_zero);
#pragma unroll
            for (int j = 0; j < W; j++)
                if (i - j * S >= 0 && i - j * S < K)
                    add_product(acc[j], v, wv[i - j * S]);
        }
    }
}

template <class T, int N>
__device__ __forceinline__ void sum_any(const oct_dw &p, const typename storage<T>::type *x,
                                        const float *w, int row0, int col0, float (&acc)[W][N])
{
    for (int kh = 0; kh < p.kernel[0]; kh++) {
        const int row = row0 + kh * p.dilation[0];
        if ((uint32_t)row >= (uint32_t)p.in_h)
            continue;
        const typename storage<T>::type *line = x + row * p.x_row;
        for (int kw = 0; kw < p.kernel[1]; kw++) {
            float wv[N];
            oct_dev_load<N>(wv, w + (kh * p.kernel[1] + kw) * p.c_pad);
#pragma unroll
            for (int j = 0; j < W; j++) {
                const int col = col0 + j * p.step[1] + kw * p.dilation[1];
                float v[N];
                zeros(v);
                if ((uint32_t)col < (uint32_t)p.in_w)
                    elem<T>::template load<N>(v, line + (int64_t)col * p.x_col, p.x_zero);
                add_product(acc[j], v, wv);
            }
        }
    }
}

template <class SUM, int N>
__device__ __forceinline__ void to_sums(const float (&acc)[N], SUM (&s)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++)
        s[i] = (SUM)acc[i];
}

/* K == 0: any window. */
template <class T, int N, int K, int S>
__global__ void __launch_bounds__(THREADS) depthwise_kernel(const __grid_constant__ oct_dw p)
{
    typedef typename elem<T>::sum_t sum_t;
    const uint32_t id = blockIdx.x * THREADS + threadIdx.x;
    if (id >= p.threads)
        return;
    uint32_t vec, tile, oh;
    const uint32_t rest = oct_dev_divmod(id, p.vectors, vec);
    const uint32_t line = oct_dev_divmod(rest, p.tiles, tile);
    const uint32_t image = oct_dev_divmod(line, p.out_h, oh);
    const int c = (int)vec * N, ow = (int)tile * W;
    const int row0 = (int)oh * p.step[0] + p.origin[0], col0 = ow * p.step[1] + p.origin[1];
    const typename storage<T>::type *x =
        (const typename storage<T>::type *)p.x + image * p.x_batch + c;

    float acc[W][N];
#pragma unroll
    for (int j = 0; j < W; j++)
        zeros(acc[j]);
    if constexpr (K > 0)
        sum_fixed<T, N, K, S>(p, x, p.w + c, row0, col0, acc);
    else
        sum_any<T, N>(p, x, p.w + c, row0, col0, acc);

    oct_fin_channels<sum_t, N> channels;
    oct_fin_load<N>(p.fin, 0, c, channels);
    oct_fin_place at;
    at.y0 = p.y[0].base + image * p.y[0].batch + oh * p.y[0].axis[1] + ow * p.y[0].axis[2] + c;
    at.y1 = p.y[1].base + image * p.y[1].batch + oh * p.y[1].axis[1] + ow * p.y[1].axis[2] + c;
    at.r = p.y[2].base + image * p.y[2].batch + oh * p.y[2].axis[1] + ow * p.y[2].axis[2] + c;
#pragma unroll
    for (int j = 0; j < W; j++) {
        if (ow + j >= p.out_w)
            break;
        sum_t s[N];
        to_sums(acc[j], s);
        oct_fin_put<N, OCT_FIN_SHORT>(p.fin, channels, s, at);
        at.y0 += p.y[0].axis[2];
        at.y1 += p.y[1].axis[2];
        at.r += p.y[2].axis[2];
    }
}

template <class T, int N, int K, int S>
cudaError_t launch(const oct_dw *p, cudaStream_t stream)
{
    depthwise_kernel<T, N, K, S><<<(p->threads + THREADS - 1) / THREADS, THREADS, 0, stream>>>(*p);
    return cudaGetLastError();
}

template <class T, int N>
cudaError_t launch_type(const oct_dw *p, bool vector, cudaStream_t stream)
{
    const int k = p->kernel[0], s = p->step[0];
    const bool square =
        p->kernel[1] == k && p->step[1] == s && p->dilation[0] == 1 && p->dilation[1] == 1;
    if (!vector)
        return launch<T, 1, 0, 0>(p, stream);
    if (square && k == 3 && s == 1)
        return launch<T, N, 3, 1>(p, stream);
    if (square && k == 3 && s == 2)
        return launch<T, N, 3, 2>(p, stream);
    if (square && k == 5 && s == 1)
        return launch<T, N, 5, 1>(p, stream);
    if (square && k == 5 && s == 2)
        return launch<T, N, 5, 2>(p, stream);
    return launch<T, N, 0, 0>(p, stream);
}

} // namespace

extern "C" cudaError_t oct_dw_launch(const oct_dw *p, oct_dtype dt, bool vector,
                                     cudaStream_t stream)
{
    switch (dt) {
    case OCT_DT_F32:
        return launch_type<float, 4>(p, vector, stream);
    case OCT_DT_F16:
        return launch_type<__half, 8>(p, vector, stream);
    case OCT_DT_S8:
        return launch_type<int8_t, 8>(p, vector, stream);
    default:
        return launch_type<uint8_t, 8>(p, vector, stream);
    }
}
