/* SPDX-License-Identifier: Apache-2.0
 *
 * cuda_depthwise.h on the device, for any window and any epilogue: a thread makes four outputs of a row, of four
 * channels or one. Neighbouring threads take neighbouring channels. What networks are made of goes to
 * the rolling kernels (cuda_depthwise.cuh).
 */
#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/cuda/cuda_finish.cuh"

namespace
{

constexpr int THREADS = 128;
constexpr int COLS = OCT_DW_COLS;

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

__device__ __forceinline__ int64_t first_place(const oct_simt_strides &s, uint32_t image, int row,
                                               int col, int channel)
{
    return s.base + image * s.batch + row * s.axis[1] + col * s.axis[2] + channel;
}

template <class T, int N>
__global__ void __launch_bounds__(THREADS) depthwise_kernel(const __grid_constant__ oct_dw p)
{
    typedef typename elem<T>::sum_t sum_t;
    typedef typename storage<T>::type x_t;
    const uint32_t id = blockIdx.x * THREADS + threadIdx.x;
    if (id >= p.threads)
        return;
    uint32_t vec, tile, line;
    uint32_t rest = oct_dev_divmod(id, p.vectors, vec);
    rest = oct_dev_divmod(rest, p.tiles, tile);
    const uint32_t image = oct_dev_divmod(rest, p.lines, line);
    const int c = (int)vec * N, ow = (int)tile * COLS, oh = (int)line;
    const int row0 = oh * p.step[0] + p.origin[0], col0 = ow * p.step[1] + p.origin[1];
    const x_t *x = (const x_t *)p.x + image * p.x_batch + c;

    float acc[COLS][N];
#pragma unroll
    for (int j = 0; j < COLS; j++)
        zeros(acc[j]);
    sum_any<T, N, COLS>(p, x, p.w + c, row0, col0, acc);

    oct_fin_channels<sum_t, N> channels;
    oct_fin_load<N>(p.fin, 0, c, channels);
    oct_fin_place at = {first_place(p.y[0], image, oh, ow, c),
                        first_place(p.y[1], image, oh, ow, c),
                        first_place(p.y[2], image, oh, ow, c)};
#pragma unroll
    for (int j = 0; j < COLS; j++) {
        if (ow + j >= p.out_w)
            break;
        put_long(p, channels, acc[j], at);
        at.y0 += p.y[0].axis[2];
        at.y1 += p.y[1].axis[2];
        at.r += p.y[2].axis[2];
    }
}

template <class T>
cudaError_t launch(const oct_dw *p, bool vector, cudaStream_t stream)
{
    const uint32_t blocks = (p->threads + THREADS - 1) / THREADS;
    if (vector)
        depthwise_kernel<T, OCT_DW_VECTOR><<<blocks, THREADS, 0, stream>>>(*p);
    else
        depthwise_kernel<T, 1><<<blocks, THREADS, 0, stream>>>(*p);
    return cudaGetLastError();
}

} // namespace

extern "C" oct_dw_form oct_dw_form_of(const oct_dw *p, oct_dtype dt, bool vector)
{
    const int k = p->kernel[0], s = p->step[0];
    const bool q8 = dt == OCT_DT_S8 || dt == OCT_DT_U8;
    const bool plain = p->fin.is_short && p->fin.residual_dtype == OCT_DT_NONE &&
                       p->kernel[1] == k && p->step[1] == s && p->dilation[0] == 1 &&
                       p->dilation[1] == 1;
    const bool typed =
        q8 ? p->words && p->sums_fit && p->inverse > 0.0f : p->fin.out[0].dtype == dt;
    if (!vector)
        return OCT_DW_ONE;
    return plain && typed && (k == 3 || k == 5) && (s == 1 || s == 2) ? OCT_DW_ROLLING
                                                                      : OCT_DW_VECTORS;
}

extern "C" cudaError_t oct_dw_launch(const oct_dw *p, oct_dtype dt, oct_dw_form form,
                                     cudaStream_t stream)
{
    const bool vector = form == OCT_DW_VECTORS, rolling = form == OCT_DW_ROLLING;
    switch (dt) {
    case OCT_DT_F32:
        return rolling ? oct_dw_launch_real(p, false, stream) : launch<float>(p, vector, stream);
    case OCT_DT_F16:
        return rolling ? oct_dw_launch_real(p, true, stream) : launch<__half>(p, vector, stream);
    case OCT_DT_S8:
        return rolling ? oct_dw_launch_q8(p, true, stream) : launch<int8_t>(p, vector, stream);
    default:
        return rolling ? oct_dw_launch_q8(p, false, stream) : launch<uint8_t>(p, vector, stream);
    }
}
