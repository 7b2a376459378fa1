/* SPDX-License-Identifier: Apache-2.0
 *
 * Device twins of the scalar definitions: activations (kernels/epilogue.h), rounding and
 * quantization (base/numeric.h), requantization (kernels/requant.h); elements of every type as f32 or
 * s64 (kernels/ref/ref_cast.h says how values convert); vectors of elements moved by 16-byte
 * accesses; division by a constant. All CUDA code is compiled with --fmad=false and without
 * fast-math: expf, tanhf, erff are the accurate ones and `/` is the IEEE division.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MATH_CUH
#define OCT_KERNELS_CUDA_CUDA_MATH_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "base/tensor.h"
#include "kernels/cuda/cuda_index.h"
#include "kernels/op.h"
#include "kernels/requant.h"

#define OCT_DEV static __device__ __forceinline__

/* ---- rounding and 8-bit numbers ---- */

OCT_DEV float oct_dev_rne(float v)
{
    return rintf(v);
}

/* clamp(v, lo, hi) of a rounded value; NaN gives lo. */
OCT_DEV int32_t oct_dev_clamp_q(float v, int32_t lo, int32_t hi)
{
    if (!(v > (float)lo))
        return lo;
    return v < (float)hi ? (int32_t)v : hi;
}

/* clamp(rne(x / scale) + zero_point): a true division. */
OCT_DEV int32_t oct_dev_quantize(float x, float scale, int32_t zero_point, int32_t lo, int32_t hi)
{
    return oct_dev_clamp_q(rintf(__fdiv_rn(x, scale)) + (float)zero_point, lo, hi);
}

OCT_DEV float oct_dev_dequantize(int32_t v, float scale, int32_t zero_point)
{
    return scale * (float)(v - zero_point);
}

/* Conversions run at a fraction of the rate of additions: within +-2^22, adding and subtracting
 * 1.5 * 2^23 rounds half to even, and the sum's low bits are the integer. */
#define OCT_DEV_MAGIC 12582912.0f

/* Division by one number again and again: its reciprocal, or 0 where only a true division will do. */
OCT_DEV float oct_dev_inverse(float s)
{
    return s > 0x1p-100f && s < 0x1p100f ? __frcp_rn(s) : 0.0f;
}

/* x / s, correctly rounded wherever |x / s| < 10^6 (two Newton steps on the exact remainder; Markstein
 * 1990); beyond, any value of that size. */
OCT_DEV float oct_dev_divide(float x, float s, float inverse)
{
    if (inverse == 0.0f)
        return __fdiv_rn(x, s);
    const float q0 = x * inverse;
    const float q1 = fmaf(fmaf(-q0, s, x), inverse, q0);
    const float q2 = fmaf(fmaf(-q1, s, x), inverse, q1);
    return fabsf(q0) < 1e6f ? q2 : q0;
}

/* What oct_dev_quantize() gives, as f32. `zero`, `lo`, `hi` are whole numbers. */
OCT_DEV float oct_dev_quantize_f32(float x, float s, float inverse, float zero, float lo, float hi)
{
    const float v = fminf(fmaxf(oct_dev_divide(x, s, inverse), lo - zero), hi - zero);
    return ((v + OCT_DEV_MAGIC) - OCT_DEV_MAGIC) + zero;
}

OCT_DEV int32_t oct_dev_q_min(oct_dtype dt)
{
    return dt == OCT_DT_S8 ? -128 : 0;
}

OCT_DEV int32_t oct_dev_q_max(oct_dtype dt)
{
    return dt == OCT_DT_S8 ? 127 : 255;
}

/* ---- activations ---- */

OCT_DEV float oct_dev_clip(float x, float lo, float hi)
{
    const float v = x < lo ? lo : x;
    return v > hi ? hi : v;
}

OCT_DEV float oct_dev_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

OCT_DEV float oct_dev_softplus(float x)
{
    return x > 0.0f ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

OCT_DEV float oct_dev_gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
}

OCT_DEV float oct_dev_gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

OCT_DEV float oct_dev_act_apply(oct_act act, float a, float b, float x)
{
    switch (act) {
    case OCT_ACT_RELU:
        return x < 0.0f ? 0.0f : x;
    case OCT_ACT_CLIP:
        return oct_dev_clip(x, a, b);
    case OCT_ACT_LEAKY_RELU:
        return x < 0.0f ? a * x : x;
    case OCT_ACT_SIGMOID:
        return oct_dev_sigmoid(x);
    case OCT_ACT_TANH:
        return tanhf(x);
    case OCT_ACT_ELU:
        return x < 0.0f ? a * expm1f(x) : x;
    case OCT_ACT_HARD_SIGMOID:
        return oct_dev_clip(a * x + b, 0.0f, 1.0f);
    case OCT_ACT_HARD_SWISH:
        return x * oct_dev_clip((1.0f / 6.0f) * x + 0.5f, 0.0f, 1.0f);
    case OCT_ACT_SWISH:
        return x / (1.0f + expf(-a * x));
    case OCT_ACT_GELU:
        return oct_dev_gelu(x);
    case OCT_ACT_GELU_TANH:
        return oct_dev_gelu_tanh(x);
    case OCT_ACT_MISH:
        return x * tanhf(oct_dev_softplus(x));
    case OCT_ACT_SOFTPLUS:
        return oct_dev_softplus(x);
    default:
        return x;
    }
}

/* ---- requantization; `rq` lives in kernel parameters ---- */

/* The value before activation and rounding; `residual` is the stored element (0 without one). */
OCT_DEV float oct_dev_requant_value(const oct_requant &rq, int32_t acc, float m, float b,
                                    float residual)
{
    return fmaf(residual - (float)rq.z_r, rq.r, fmaf((float)acc, m, b));
}

/* 8-bit result of oct_dev_requant_value(). */
OCT_DEV int32_t oct_dev_requant_round(const oct_requant &rq, float v)
{
    if (!rq.scaled)
        return oct_dev_quantize(oct_dev_act_apply(rq.act, rq.a, rq.b, v), rq.out.scale,
                                rq.out.zero_point, rq.lo, rq.hi);
    if (rq.act == OCT_ACT_LEAKY_RELU)
        v = v < 0.0f ? rq.a * v : v;
    return oct_dev_clamp_q(rintf(v) + (float)rq.out.zero_point, rq.lo, rq.hi);
}

/* ---- elements as f32 ---- */

OCT_DEV float oct_dev_f32(float v)
{
    return v;
}
OCT_DEV float oct_dev_f32(__half v)
{
    return __half2float(v);
}
OCT_DEV float oct_dev_f32(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}
OCT_DEV float oct_dev_f32(uint8_t v) /* 2^23 + v, without a conversion */
{
    return __uint_as_float(0x4b000000u | v) - 8388608.0f;
}
OCT_DEV float oct_dev_f32(int8_t v)
{
    return __uint_as_float(0x4b000000u | (uint8_t)(v ^ 0x80)) - 8388736.0f;
}

/* f32 to a stored element, half to even; 8-bit values are rounded and in range already. */
template <class T>
OCT_DEV T oct_dev_from_f32(float v);
template <>
__device__ __forceinline__ float oct_dev_from_f32<float>(float v)
{
    return v;
}
template <>
__device__ __forceinline__ __half oct_dev_from_f32<__half>(float v)
{
    return __float2half_rn(v);
}
template <>
__device__ __forceinline__ __nv_bfloat16 oct_dev_from_f32<__nv_bfloat16>(float v)
{
    return __float2bfloat16_rn(v);
}
template <>
__device__ __forceinline__ int8_t oct_dev_from_f32<int8_t>(float v)
{
    return (int8_t)__float_as_int(v + OCT_DEV_MAGIC);
}
template <>
__device__ __forceinline__ uint8_t oct_dev_from_f32<uint8_t>(float v)
{
    return (uint8_t)__float_as_int(v + OCT_DEV_MAGIC);
}

/* ---- vectors of N elements, moved by the widest accesses (aligned to their size, at most 16) ---- */

template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) oct_dev_vec {
    T v[N];
};

/* N elements from `p`, which is aligned as oct_dev_vec<T, N> is. */
template <int N, class T>
OCT_DEV void oct_dev_load(float (&out)[N], const T *p)
{
    const oct_dev_vec<T, N> w = *reinterpret_cast<const oct_dev_vec<T, N> *>(p);
#pragma unroll
    for (int i = 0; i < N; i++)
        out[i] = oct_dev_f32(w.v[i]);
}

template <int N, class T>
OCT_DEV void oct_dev_store(T *p, const float (&x)[N])
{
    oct_dev_vec<T, N> w;
#pragma unroll
    for (int i = 0; i < N; i++)
        w.v[i] = oct_dev_from_f32<T>(x[i]);
    *reinterpret_cast<oct_dev_vec<T, N> *>(p) = w;
}

/* The same with the type known only at run time (uniform over the grid). 8-bit elements come as
 * their plain integer value. */
template <int N>
OCT_DEV void oct_dev_load_any(float (&out)[N], const void *p, oct_dtype dt, int64_t at)
{
    switch (dt) {
    case OCT_DT_F32:
        oct_dev_load<N>(out, (const float *)p + at);
        break;
    case OCT_DT_F16:
        oct_dev_load<N>(out, (const __half *)p + at);
        break;
    case OCT_DT_BF16:
        oct_dev_load<N>(out, (const __nv_bfloat16 *)p + at);
        break;
    case OCT_DT_S8:
        oct_dev_load<N>(out, (const int8_t *)p + at);
        break;
    default:
        oct_dev_load<N>(out, (const uint8_t *)p + at);
        break;
    }
}

template <int N>
OCT_DEV void oct_dev_store_any(void *p, oct_dtype dt, int64_t at, const float (&x)[N])
{
    switch (dt) {
    case OCT_DT_F32:
        oct_dev_store<N>((float *)p + at, x);
        break;
    case OCT_DT_F16:
        oct_dev_store<N>((__half *)p + at, x);
        break;
    case OCT_DT_BF16:
        oct_dev_store<N>((__nv_bfloat16 *)p + at, x);
        break;
    case OCT_DT_S8:
        oct_dev_store<N>((int8_t *)p + at, x);
        break;
    default:
        oct_dev_store<N>((uint8_t *)p + at, x);
        break;
    }
}

/* ---- sums and maxima over a warp: every lane gets the result ---- */

OCT_DEV float oct_dev_warp_sum(float v)
{
#pragma unroll
    for (int k = 16; k > 0; k >>= 1)
        v += __shfl_xor_sync(0xffffffffu, v, k);
    return v;
}

OCT_DEV float oct_dev_warp_max(float v)
{
#pragma unroll
    for (int k = 16; k > 0; k >>= 1) {
        const float o = __shfl_xor_sync(0xffffffffu, v, k);
        v = o > v || o != o ? o : v; /* NaN wins */
    }
    return v;
}

/* ---- index arithmetic ---- */

OCT_DEV uint32_t oct_dev_div(uint32_t n, const oct_cuda_div &d)
{
    return (__umulhi(n, d.mul) + n) >> d.shift;
}

/* n / d; the remainder goes to `r`. */
OCT_DEV uint32_t oct_dev_divmod(uint32_t n, const oct_cuda_div &d, uint32_t &r)
{
    const uint32_t q = oct_dev_div(n, d);
    r = n - q * d.d;
    return q;
}

#endif /* OCT_KERNELS_CUDA_CUDA_MATH_CUH */
