/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_depthwise.h on the device. A thread makes a tile of R by W outputs of four channels; neighbouring
 * threads take neighbouring channels, so that every access is one run. An input value is read and
 * converted once for all outputs of the tile that see it; weights are in registers. Meant to run at the
 * speed of memory: in + out bytes once, rows above and below come from the caches.
 *
 *     window     tile    inputs read an output
 *     3x3 / 1    2 x 7    2.6
 *     3x3 / 2    1 x 7    6.4
 *     5x5 / 1    1 x 7    7.9
 *     5x5 / 2    1 x 7   12.1
 *     any        1 x 4    as many as the window has; also whatever has a long epilogue
 */
#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/cuda/cuda_finish.cuh"

namespace
{

constexpr int THREADS = 128;
constexpr int N_VEC = OCT_DW_VECTOR;

/* Rows and columns of a thread's tile; K == 0: any window. */
template <int K, int S>
struct shape {
    static constexpr int R = K == 3 && S == 1 ? 2 : 1;
    static constexpr int W = K == 0 ? 4 : 7;
};

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
            static_assert(N == 4, "one word");
            const uint32_t w = *reinterpret_cast<const uint32_t *>(p) ^ FLIP;
#pragma unroll
            for (int i = 0; i < N; i++)
                v[i] = __uint_as_float(__byte_perm(w, 0x4B000000u, 0x7440 + i)) - off;
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

template <int K, int N>
__device__ __forceinline__ void load_weights(float (&w)[K][N], const float *from, int step)
{
#pragma unroll
    for (int i = 0; i < K; i++)
        oct_dev_load<N>(w[i], from + i * step);
}

/* A window known when compiled, without dilation. The weights stay in registers, all of them or, where
 * the tile is one row high, a row at a time. */
template <class T, int N, int K, int S, int R, int W>
__device__ __forceinline__ void sum_fixed(const oct_dw &p, const typename storage<T>::type *x,
                                          const float *w, int row0, int col0, float (&acc)[R][W][N])
{
    constexpr int KEPT = R == 1 ? 1 : K;
    float wt[KEPT][K][N];
#pragma unroll
    for (int i = 0; R > 1 && i < K; i++)
        load_weights<K, N>(wt[i], w + i * K * p.c_pad, p.c_pad);
#pragma unroll
    for (int i = 0; i < (R - 1) * S + K; i++) {
        const int row = row0 + i;
        if ((uint32_t)row >= (uint32_t)p.in_h)
            continue;
        if (R == 1)
            load_weights<K, N>(wt[0], w + i * K * p.c_pad, p.c_pad);
        int32_t at = row * p.x_row + col0 * p.x_col;
#pragma unroll
        for (int j = 0; j < (W - 1) * S + K; j++, at += p.x_col) {
            float v[N];
            zeros(v);
            if ((uint32_t)(col0 + j) < (uint32_t)p.in_w)
                elem<T>::template load<N>(v, x + at, p.x_zero);
#pragma unroll
            for (int r = 0; r < R; r++) {
                const int kh = i - r * S;
                if (kh < 0 || kh >= K)
                    continue;
#pragma unroll
                for (int c = 0; c < W; c++)
                    if (j - c * S >= 0 && j - c * S < K)
                        add_product(acc[r][c], v, wt[R == 1 ? 0 : kh][j - c * S]);
            }
        }
    }
}

template <class T, int N, int W>
__device__ __forceinline__ void sum_any(const oct_dw &p, const typename storage<T>::type *x,
                                        const float *w, int row0, int col0, float (&acc)[W][N])
{
    for (int kh = 0; kh < p.kernel[0]; kh++) {
        const int row = row0 + kh * p.dilation[0];
        if ((uint32_t)row >= (uint32_t)p.in_h)
            continue;
        for (int kw = 0; kw < p.kernel[1]; kw++) {
            float wv[N];
            oct_dev_load<N>(wv, w + (kh * p.kernel[1] + kw) * p.c_pad);
#pragma unroll
            for (int j = 0; j < W; j++) {
                const int col = col0 + j * p.step[1] + kw * p.dilation[1];
                float v[N];
                zeros(v);
                if ((uint32_t)col < (uint32_t)p.in_w)
                    elem<T>::template load<N>(v, x + row * p.x_row + col * p.x_col, p.x_zero);
                add_product(acc[j], v, wv);
            }
        }
    }
}

/* ---- storing ---- */

/* f32 sums of 8-bit values are whole numbers. */
template <class SUM, int N>
__device__ __forceinline__ void put_long(const oct_dw &p, const oct_fin_channels<SUM, N> &c,
                                         const float (&acc)[N], const oct_fin_place &at)
{
    SUM s[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        s[i] = (SUM)acc[i];
    oct_fin_put<N, OCT_FIN_SHORT>(p.fin, c, s, at);
}

template <int N>
__device__ __forceinline__ void put_brief(const oct_dw &p, const oct_fin_channels<float, N> &c,
                                          const float (&acc)[N], const oct_fin_place &at)
{
    oct_fin_put_short<N>(p.fin, c, acc, at);
}

template <int N>
__device__ __forceinline__ void put_brief(const oct_dw &p, const oct_fin_channels<int32_t, N> &c,
                                          const float (&acc)[N], const oct_fin_place &at)
{
    if (!p.fin.bias) {
        oct_fin_put_short<N>(p.fin, c, acc, at);
        return;
    }
    int32_t s[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        s[i] = (int32_t)acc[i];
    oct_fin_put_short<N>(p.fin, c, s, at);
}

__device__ __forceinline__ int64_t first_place(const oct_simt_strides &s, uint32_t image, int row,
                                               int col, int channel)
{
    return s.base + image * s.batch + row * s.axis[1] + col * s.axis[2] + channel;
}

/* Fixed windows take the short epilogue only (oct_cuda_finish.is_short). */
template <class T, int N, int K, int S>
__global__ void __launch_bounds__(THREADS) depthwise_kernel(const __grid_constant__ oct_dw p)
{
    typedef typename elem<T>::sum_t sum_t;
    typedef typename storage<T>::type x_t;
    constexpr int R = shape<K, S>::R, W = shape<K, S>::W;
    const uint32_t id = blockIdx.x * THREADS + threadIdx.x;
    if (id >= p.threads)
        return;
    uint32_t vec, tile, line;
    uint32_t rest = oct_dev_divmod(id, p.vectors, vec);
    rest = oct_dev_divmod(rest, p.tiles, tile);
    const uint32_t image = oct_dev_divmod(rest, p.lines, line);
    const int c = (int)vec * N, ow = (int)tile * W, oh = (int)line * R;
    const int row0 = oh * p.step[0] + p.origin[0], col0 = ow * p.step[1] + p.origin[1];
    const x_t *x = (const x_t *)p.x + image * p.x_batch + c;

    float acc[R][W][N];
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int j = 0; j < W; j++)
            zeros(acc[r][j]);
    if constexpr (K > 0)
        sum_fixed<T, N, K, S, R, W>(p, x, p.w + c, row0, col0, acc);
    else
        sum_any<T, N, W>(p, x, p.w + c, row0, col0, acc[0]);

    oct_fin_channels<sum_t, N> channels;
    oct_fin_load<N>(p.fin, 0, c, channels);
#pragma unroll
    for (int r = 0; r < R; r++) {
        if (oh + r >= p.out_h)
            break;
        oct_fin_place at = {first_place(p.y[0], image, oh + r, ow, c),
                            first_place(p.y[1], image, oh + r, ow, c),
                            first_place(p.y[2], image, oh + r, ow, c)};
#pragma unroll
        for (int j = 0; j < W; j++) {
            if (ow + j >= p.out_w)
                break;
            if constexpr (K > 0)
                put_brief(p, channels, acc[r][j], at);
            else
                put_long(p, channels, acc[r][j], at);
            at.y0 += p.y[0].axis[2];
            at.y1 += p.y[1].axis[2];
            at.r += p.y[2].axis[2];
        }
    }
}

template <class T, int N, int K, int S>
cudaError_t launch(const oct_dw *p, cudaStream_t stream)
{
    depthwise_kernel<T, N, K, S><<<(p->threads + THREADS - 1) / THREADS, THREADS, 0, stream>>>(*p);
    return cudaGetLastError();
}

/* Size of a window known when compiled, else 0. */
int fixed_window(const oct_dw *p, bool vector)
{
    const int k = p->kernel[0], s = p->step[0];
    const bool plain = vector && p->fin.is_short && p->kernel[1] == k && p->step[1] == s &&
                       p->dilation[0] == 1 && p->dilation[1] == 1;
    return plain && (k == 3 || k == 5) && (s == 1 || s == 2) ? k : 0;
}

template <class T>
cudaError_t launch_type(const oct_dw *p, bool vector, cudaStream_t stream)
{
    const int k = fixed_window(p, vector), s = p->step[0];
    if (!vector)
        return launch<T, 1, 0, 0>(p, stream);
    if (k == 3)
        return s == 1 ? launch<T, N_VEC, 3, 1>(p, stream) : launch<T, N_VEC, 3, 2>(p, stream);
    if (k == 5)
        return s == 1 ? launch<T, N_VEC, 5, 1>(p, stream) : launch<T, N_VEC, 5, 2>(p, stream);
    return launch<T, N_VEC, 0, 0>(p, stream);
}

} // namespace

extern "C" void oct_dw_tile(const oct_dw *p, bool vector, int *n_rows, int *n_cols)
{
    const int k = fixed_window(p, vector);
    *n_rows = k == 3 && p->step[0] == 1 ? shape<3, 1>::R : 1;
    *n_cols = k == 0 ? shape<0, 0>::W : shape<3, 1>::W;
}

extern "C" cudaError_t oct_dw_launch(const oct_dw *p, oct_dtype dt, bool vector,
                                     cudaStream_t stream)
{
    switch (dt) {
    case OCT_DT_F32:
        return launch_type<float>(p, vector, stream);
    case OCT_DT_F16:
        return launch_type<__half>(p, vector, stream);
    case OCT_DT_S8:
        return launch_type<int8_t>(p, vector, stream);
    default:
        return launch_type<uint8_t>(p, vector, stream);
    }
}
