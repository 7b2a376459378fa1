/* SPDX-License-Identifier: Apache-2.0
 *
 * Rolling depthwise kernels for f32 and f16: products and sums in f32, weights in registers.
 */
#include "kernels/cuda/cuda_depthwise.cuh"

namespace
{

template <int N>
struct words {
    typedef uint32_t type;
};
template <>
struct words<2> {
    typedef uint2 type;
};

OCT_DEV uint32_t word_of(uint32_t v, int)
{
    return v;
}
OCT_DEV uint32_t word_of(uint2 v, int i)
{
    return i ? v.y : v.x;
}

/* Results as they are stored. */
template <class T>
OCT_DEV uint32_t word_from(const float *v);
template <>
__device__ __forceinline__ uint32_t word_from<float>(const float *v)
{
    return __float_as_uint(v[0]);
}
template <>
__device__ __forceinline__ uint32_t word_from<__half>(const float *v)
{
    const __half2 h = __floats2half2_rn(v[0], v[1]);
    return *reinterpret_cast<const uint32_t *>(&h);
}
template <class T, int N>
OCT_DEV typename words<N *(int)sizeof(T) / 4>::type words_of(const float (&v)[N])
{
    if constexpr (N * sizeof(T) == 4)
        return word_from<T>(v);
    else
        return make_uint2(word_from<T>(v), word_from<T>(v + N / 2));
}

/* Pairs of f16 between the bounds; NaN stays. */
OCT_DEV uint32_t bounded(const oct_dw &p, uint32_t v)
{
    asm("max.NaN.f16x2 %0, %0, %1;" : "+r"(v) : "r"(p.lo));
    asm("min.NaN.f16x2 %0, %0, %1;" : "+r"(v) : "r"(p.hi));
    return v;
}
OCT_DEV uint2 bounded(const oct_dw &p, uint2 v)
{
    return make_uint2(bounded(p, v.x), bounded(p, v.y));
}

OCT_DEV float max_nan(float a, float b)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

OCT_DEV float min_nan(float a, float b)
{
    float r;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

template <class T, int WINDOW, int STRIDE, oct_dw_curve CURVE>
struct real {
    static constexpr int K = WINDOW, S = STRIDE, ELEM = (int)sizeof(T);
    static constexpr int N = OCT_DW_CHANNELS(ELEM, K, S), REGS = N;
    static constexpr int COLS = (OCT_DW_COLS - 1) * S + K, BLOCKS = OCT_DW_BLOCKS(ELEM, K, S);
    typedef float acc_t;
    typedef typename words<N * ELEM / 4>::type raw_t;
    float w[K][K][N], x[COLS][N], bias[N];

    static __device__ __forceinline__ raw_t outside(const oct_dw &)
    {
        return raw_t();
    }
    __device__ __forceinline__ void begin(const oct_dw &p, int c)
    {
        oct_fin_channels<float, N> own;
        oct_fin_load<N>(p.fin, 0, c, own);
#pragma unroll
        for (int i = 0; i < N; i++)
            bias[i] = own.bias[i];
#pragma unroll
        for (int i = 0; i < K; i++)
#pragma unroll
            for (int j = 0; j < K; j++)
                oct_dev_load<N>(w[i][j], p.w + c + (i * K + j) * p.c_pad);
    }
    __device__ __forceinline__ void start(float (&acc)[OCT_DW_COLS][N]) const
    {
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < N; i++)
                acc[j][i] = bias[i];
    }
    __device__ __forceinline__ void unpack(const raw_t (&raw)[COLS])
    {
#pragma unroll
        for (int j = 0; j < COLS; j++)
#pragma unroll
            for (int i = 0; i < N; i++) {
                const uint32_t v = word_of(raw[j], i * ELEM / 4);
                if constexpr (ELEM == 4)
                    x[j][i] = __uint_as_float(v);
                else
                    x[j][i] = __half2float(__ushort_as_half((uint16_t)(v >> i % 2 * 16)));
            }
    }
    template <int KH>
    __device__ __forceinline__ void add(float (&acc)[OCT_DW_COLS][N]) const
    {
#pragma unroll
        for (int k = 0; k < K; k++)
#pragma unroll
            for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
                for (int i = 0; i < N; i++)
                    acc[j][i] = fmaf(x[j * S + k][i], w[KH][k][i], acc[j][i]);
    }
    static __device__ __forceinline__ raw_t finish(const oct_dw &p, const float (&acc)[N])
    {
        const oct_cuda_finish &f = p.fin;
        float v[N];
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = acc[i];
        if constexpr (CURVE == OCT_DW_NARROW)
            return bounded(p, words_of<T>(v));
        curve(f, v);
        if (f.lo != -INFINITY || f.hi != INFINITY) {
#pragma unroll
            for (int i = 0; i < N; i++)
                v[i] = min_nan(max_nan(v[i], f.lo), f.hi);
        }
        return words_of<T>(v);
    }
    static __device__ __forceinline__ void curve(const oct_cuda_finish &f, float (&v)[N])
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            if constexpr (CURVE == OCT_DW_HARD_SWISH)
                v[i] = oct_dw_hard(v[i]);
            else if constexpr (CURVE == OCT_DW_SWISH && ELEM == 2)
                v[i] = v[i] * oct_dw_inverse(1.0f + oct_dw_exp(v[i], -f.a));
            else if constexpr (CURVE == OCT_DW_SWISH)
                v[i] = __fdividef(v[i], 1.0f + expf(-f.a * v[i]));
        }
    }
};

template <class T, oct_dw_curve CURVE>
cudaError_t launch_curve(const oct_dw *p, cudaStream_t stream)
{
    if (p->kernel[0] == 3)
        return p->step[0] == 1 ? oct_dw_roll<real<T, 3, 1, CURVE>>(p, stream)
                               : oct_dw_roll<real<T, 3, 2, CURVE>>(p, stream);
    return p->step[0] == 1 ? oct_dw_roll<real<T, 5, 1, CURVE>>(p, stream)
                           : oct_dw_roll<real<T, 5, 2, CURVE>>(p, stream);
}

template <class T>
cudaError_t launch(const oct_dw *p, cudaStream_t stream)
{
    switch (oct_dw_curve_of(p)) {
    case OCT_DW_SWISH:
        return launch_curve<T, OCT_DW_SWISH>(p, stream);
    case OCT_DW_HARD_SWISH:
        return launch_curve<T, OCT_DW_HARD_SWISH>(p, stream);
    case OCT_DW_NARROW:
        return launch_curve<__half, OCT_DW_NARROW>(p, stream);
    default:
        return launch_curve<T, OCT_DW_STRAIGHT>(p, stream);
    }
}

} // namespace

extern "C" cudaError_t oct_dw_launch_real(const oct_dw *p, bool is_f16, cudaStream_t stream)
{
    return is_f16 ? launch<__half>(p, stream) : launch<float>(p, stream);
}
