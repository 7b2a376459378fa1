/* SPDX-License-Identifier: Apache-2.0
 *
 * Rolling depthwise kernels for 8-bit elements. The bytes of four pixels are transposed to words of one
 * channel each, so that one dp4a makes four products:
 *
 *     3x3 / 1   two words a row serve four outputs: the odd ones take the weights one byte higher
 *     5x5       four taps by dp4a, the fifth by a multiply-add
 *
 * Sums are exact. They start at 1.5 * 2^23 as the bits of a float, less what the zero point adds, and stay
 * within 2^22 of it (oct_dw.sums_fit), so that reading them needs no conversion.
 */
#include "kernels/cuda/cuda_depthwise.cuh"

namespace
{

#define MAGIC_BITS 0x4B400000 /* of 1.5 * 2^23 */

/* Selectors are numbers when compiled; the top bit of a digit repeats the sign of its byte. */
template <uint32_t SELECTOR>
__device__ __forceinline__ uint32_t permute(uint32_t a, uint32_t b)
{
    uint32_t r;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "n"(SELECTOR));
    return r;
}

template <bool SIGNED>
__device__ __forceinline__ int32_t dot(uint32_t x, uint32_t w, int32_t acc)
{
    int32_t r;
    if constexpr (SIGNED)
        asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(w), "r"(acc));
    else
        asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(x), "r"(w), "r"(acc));
    return r;
}

template <bool SIGNED, int BYTE>
__device__ __forceinline__ int32_t byte_of(uint32_t w)
{
    constexpr uint32_t HIGH = SIGNED ? BYTE | 8 : 4;
    return (int32_t)permute<BYTE | HIGH << 4 | HIGH << 8 | HIGH << 12>(w, 0);
}

/* x / s, correctly rounded for |x / s| < 10^6; s is not extreme. */
__device__ __forceinline__ float divide(float x, float s, float inverse)
{
    const float q0 = x * inverse;
    const float q1 = fmaf(fmaf(-q0, s, x), inverse, q0);
    return fmaf(fmaf(-q1, s, x), inverse, q1);
}

/* Finishes four channels. */
template <oct_dw_curve CURVE>
struct factors {
    float m[4], b[4];

    __device__ __forceinline__ void load(const oct_cuda_finish &f, int c)
    {
        oct_dev_load<4>(m, f.out[0].m + c);
        oct_dev_load<4>(b, f.out[0].b + c);
    }
    __device__ __forceinline__ uint32_t finish(const oct_dw &p, const int32_t (&acc)[4]) const
    {
        float v[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            v[i] = fmaf(__int_as_float(acc[i]) - OCT_DEV_MAGIC, m[i], b[i]);
        if constexpr (CURVE == OCT_DW_SWISH || CURVE == OCT_DW_HARD_SWISH)
            curve(p, v);
        if constexpr (CURVE == OCT_DW_NARROW)
            return round_narrow(p, v);
        const uint32_t zero = (uint32_t)(p.fin.out[0].rq.out.zero_point & 0xFF) * 0x01010101u;
        return zero ? __vadd4(round(p.fin, v), zero) : round(p.fin, v);
    }
    /* Bounds and rounding; results in a word. */
    static __device__ __forceinline__ uint32_t round(const oct_cuda_finish &f, const float (&v)[4])
    {
        uint32_t w[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[i] = __float_as_uint(fminf(fmaxf(v[i], f.lo), f.hi) + OCT_DEV_MAGIC);
        return permute<0x5410>(permute<0x0040>(w[0], w[1]), permute<0x0040>(w[2], w[3]));
    }
    /* Rounded first, then bounded two at a time. */
    static __device__ __forceinline__ uint32_t round_narrow(const oct_dw &p, const float (&v)[4])
    {
        uint32_t w[4];
#pragma unroll
        for (int i = 0; i < 4; i++)
            w[i] = __float_as_uint(v[i] + OCT_DEV_MAGIC);
        const uint32_t a = __vmins2(__vmaxs2(permute<0x5410>(w[0], w[1]), p.lo), p.hi);
        const uint32_t b = __vmins2(__vmaxs2(permute<0x5410>(w[2], w[3]), p.lo), p.hi);
        return permute<0x6420>(a, b);
    }
    /* x / scale is exact but for SiLU, which is within 1 of kernels/requant.h's. */
    static __device__ __forceinline__ void curve(const oct_dw &p, float (&v)[4])
    {
        const float scale = p.fin.out[0].rq.out.scale, inverse = p.inverse;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if constexpr (CURVE == OCT_DW_SWISH)
                v[i] = v[i] * inverse * oct_dw_inverse(1.0f + oct_dw_exp(v[i], -p.fin.a));
            else
                v[i] = divide(oct_dw_hard(v[i]), scale, inverse);
        }
    }
};

template <bool SIGNED, int WINDOW, int STRIDE, oct_dw_curve CURVE>
struct q8 {
    typedef uint32_t raw_t;
    typedef int32_t acc_t;
    static constexpr int N = 4, REGS = 4, K = WINDOW, S = STRIDE, ELEM = 1,
                         BLOCKS = OCT_DW_BLOCKS(1, K, S);
    static constexpr int COLS = (OCT_DW_COLS - 1) * S + K, PAIRS = (COLS + 1) / 2;
    static constexpr bool HALVES = K == 3 && S == 1; /* two outputs a word */
    uint32_t w[K][4], w_high[HALVES ? K : 1][4];     /* four taps; those one byte higher */
    uint32_t w_last[4], w_corner[4];                 /* the fifth of four rows, of the last */
    uint32_t x[HALVES ? OCT_DW_COLS / 2 : OCT_DW_COLS][4];
    int32_t x_last[OCT_DW_COLS][4];
    int32_t zero[4]; /* of a sum */
    factors<CURVE> fac;

    static __device__ __forceinline__ raw_t outside(const oct_dw &p)
    {
        return p.pad_word;
    }
    __device__ __forceinline__ void begin(const oct_dw &p, int c)
    {
        const uint4 *from = reinterpret_cast<const uint4 *>(p.words + c);
        const int step = p.c_pad / 4;
        int32_t sum[4] = {0, 0, 0, 0};
        auto take = [&](int n, auto &to) {
            const uint4 v = from[n * step];
            to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
        };
#pragma unroll
        for (int i = 0; i < K; i++) {
            take(i, w[i]);
#pragma unroll
            for (int k = 0; k < 4; k++) {
                sum[k] = __dp4a((int32_t)w[i][k], 0x01010101, sum[k]);
                if constexpr (HALVES)
                    w_high[i][k] = w[i][k] << 8;
            }
        }
        if constexpr (K == 5) {
            take(K, w_last);
            take(K + 1, w_corner);
#pragma unroll
            for (int k = 0; k < 4; k++)
                sum[k] = __dp4a((int32_t)w_last[k], 0x01010101, sum[k] + (int32_t)w_corner[k]);
        }
        const int32_t z = byte_of<SIGNED, 0>(p.pad_word);
        fac.load(p.fin, c);
#pragma unroll
        for (int k = 0; k < 4; k++)
            zero[k] =
                MAGIC_BITS - z * sum[k] + (p.fin.bias ? ((const int32_t *)p.fin.bias)[c + k] : 0);
    }
    __device__ __forceinline__ void start(int32_t (&acc)[OCT_DW_COLS][4]) const
    {
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[j][i] = zero[i];
    }
    __device__ __forceinline__ void unpack(const uint32_t (&raw)[COLS])
    {
        uint32_t lo[PAIRS], hi[PAIRS]; /* bytes of two pixels: channels 0 and 1, 2 and 3 */
#pragma unroll
        for (int i = 0; i < PAIRS; i++) {
            const uint32_t a = raw[2 * i], b = raw[2 * i + 1 < COLS ? 2 * i + 1 : 2 * i];
            lo[i] = permute<0x5140>(a, b);
            hi[i] = permute<0x7362>(a, b);
        }
        auto even = [&](int i, uint32_t(&to)[4]) { /* four pixels from pixel 2 i on */
                                                   to[0] = permute<0x5410>(lo[i], lo[i + 1]);
                                                   to[1] = permute<0x7632>(lo[i], lo[i + 1]);
                                                   to[2] = permute<0x5410>(hi[i], hi[i + 1]);
                                                   to[3] = permute<0x7632>(hi[i], hi[i + 1]);
        };
        if constexpr (K == 5 && S == 1) {
            uint32_t behind[4];
            even(0, x[0]);
            even(1, x[2]);
            even(2, behind);
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[1][i] = permute<0x6321>(x[0][i], x[2][i]);
                x[3][i] = permute<0x6321>(x[2][i], behind[i]);
            }
        } else {
#pragma unroll
            for (int j = 0; j < (HALVES ? OCT_DW_COLS / 2 : OCT_DW_COLS); j++)
                even(j, x[j]);
        }
        if constexpr (K == 5) {
#pragma unroll
            for (int j = 0; j < OCT_DW_COLS; j++) {
                const uint32_t v = raw[j * S + 4];
                x_last[j][0] = byte_of<SIGNED, 0>(v);
                x_last[j][1] = byte_of<SIGNED, 1>(v);
                x_last[j][2] = byte_of<SIGNED, 2>(v);
                x_last[j][3] = byte_of<SIGNED, 3>(v);
            }
        }
    }
    template <int KH>
    __device__ __forceinline__ void add(int32_t (&acc)[OCT_DW_COLS][4]) const
    {
#pragma unroll
        for (int j = 0; j < OCT_DW_COLS; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                if constexpr (HALVES)
                    acc[j][i] =
                        dot<SIGNED>(x[j / 2][i], j % 2 ? w_high[KH][i] : w[KH][i], acc[j][i]);
                else
                    acc[j][i] = dot<SIGNED>(x[j][i], w[KH][i], acc[j][i]);
            }
        if constexpr (K == 5) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int32_t last =
                    KH == 4 ? (int32_t)w_corner[i] : byte_of<true, KH % 4>(w_last[i]);
#pragma unroll
                for (int j = 0; j < OCT_DW_COLS; j++)
                    acc[j][i] += x_last[j][i] * last;
            }
        }
    }
    __device__ __forceinline__ uint32_t finish(const oct_dw &p, const int32_t (&acc)[4]) const
    {
        return fac.finish(p, acc);
    }
};

template <bool SIGNED, oct_dw_curve CURVE>
cudaError_t launch_curve(const oct_dw *p, cudaStream_t stream)
{
    if (p->kernel[0] == 3)
        return p->step[0] == 1 ? oct_dw_roll<q8<SIGNED, 3, 1, CURVE>>(p, stream)
                               : oct_dw_roll<q8<SIGNED, 3, 2, CURVE>>(p, stream);
    return p->step[0] == 1 ? oct_dw_roll<q8<SIGNED, 5, 1, CURVE>>(p, stream)
                           : oct_dw_roll<q8<SIGNED, 5, 2, CURVE>>(p, stream);
}

template <bool SIGNED>
cudaError_t launch(const oct_dw *p, cudaStream_t stream)
{
    switch (oct_dw_curve_of(p)) {
    case OCT_DW_SWISH:
        return launch_curve<SIGNED, OCT_DW_SWISH>(p, stream);
    case OCT_DW_HARD_SWISH:
        return launch_curve<SIGNED, OCT_DW_HARD_SWISH>(p, stream);
    case OCT_DW_NARROW:
        return launch_curve<SIGNED, OCT_DW_NARROW>(p, stream);
    default:
        return launch_curve<SIGNED, OCT_DW_STRAIGHT>(p, stream);
    }
}

} // namespace

extern "C" cudaError_t oct_dw_launch_q8(const oct_dw *p, bool is_signed, cudaStream_t stream)
{
    return is_signed ? launch<true>(p, stream) : launch<false>(p, stream);
}
