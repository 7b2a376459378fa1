/* SPDX-License-Identifier: Apache-2.0
 *
 * The device side of cuda_finish.h: N neighbouring channels of one row at a time. A kernel loads
 * what belongs to the channels once (oct_fin_load) and then puts row after row.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_FINISH_CUH
#define OCT_KERNELS_CUDA_CUDA_FINISH_CUH

#include "kernels/cuda/cuda_finish.h"
#include "kernels/cuda/cuda_math.cuh"

/* Where a row's first channel lies in both outputs and in the residual, in elements. */
struct oct_fin_place {
    int64_t y0, y1, r;
};

template <class ACC, int N>
struct oct_fin_channels;

template <int N>
struct oct_fin_channels<float, N> {
    float bias[N];
};

template <int N>
struct oct_fin_channels<int32_t, N> {
    int32_t add[N];
    float m0[N], b0[N], m1[N], b1[N];
};

template <int N>
OCT_DEV void oct_fin_bias(const oct_cuda_finish &f, int64_t row, int64_t channel, float (&v)[N])
{
    const int64_t at = row * f.bias_row + channel * f.bias_col;
    if (N > 1 && f.bias_col == 1 && f.bias_row == 0) {
        oct_dev_load_any<N>(v, f.bias, f.bias_dtype, at);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        const int64_t e = at + i * f.bias_col;
        v[i] = f.bias_dtype == OCT_DT_F32 ? ((const float *)f.bias)[e]
                                          : __half2float(((const __half *)f.bias)[e]);
    }
}

template <int N>
OCT_DEV void oct_fin_load_factors(const float *m, const float *b, int64_t channel, float (&mv)[N],
                                  float (&bv)[N])
{
    oct_dev_load<N>(mv, m + channel);
    oct_dev_load<N>(bv, b + channel);
}

/* `row` matters only where the bias has rows (Gemm's C). */
template <int N>
OCT_DEV void oct_fin_load(const oct_cuda_finish &f, int64_t row, int64_t channel,
                          oct_fin_channels<float, N> &c)
{
#pragma unroll
    for (int i = 0; i < N; i++)
        c.bias[i] = 0.0f;
    if (f.bias) {
        oct_fin_bias<N>(f, row, channel, c.bias);
#pragma unroll
        for (int i = 0; i < N; i++)
            c.bias[i] = f.beta * c.bias[i];
    }
}

template <int N>
OCT_DEV void oct_fin_load(const oct_cuda_finish &f, int64_t row, int64_t channel,
                          oct_fin_channels<int32_t, N> &c)
{
#pragma unroll
    for (int i = 0; i < N; i++) {
        c.add[i] = f.correction ? f.correction[channel + i] : 0;
        if (f.bias)
            c.add[i] += ((const int32_t *)f.bias)[row * f.bias_row + (channel + i) * f.bias_col];
    }
    oct_fin_load_factors<N>(f.out[0].m, f.out[0].b, channel, c.m0, c.b0);
    if (f.n_out > 1)
        oct_fin_load_factors<N>(f.out[1].m, f.out[1].b, channel, c.m1, c.b1);
}

template <int N>
OCT_DEV void oct_fin_residual(const oct_cuda_finish &f, int64_t at, float (&v)[N])
{
    if (f.residual) {
        oct_dev_load_any<N>(v, f.residual, f.residual_dtype, at);
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = 0.0f;
}

/* ---- activations: kernels that unroll much code take the short ones only ---- */

enum oct_fin_acts { OCT_FIN_ALL, OCT_FIN_SHORT /* oct_cuda_finish_act_is_short() */ };

OCT_DEV float oct_fin_short_act(oct_act act, float a, float b, float x)
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
    case OCT_ACT_SWISH:
        return x / (1.0f + expf(-a * x));
    case OCT_ACT_HARD_SIGMOID:
        return oct_dev_clip(a * x + b, 0.0f, 1.0f);
    default:
        return x * oct_dev_clip((1.0f / 6.0f) * x + 0.5f, 0.0f, 1.0f);
    }
}

template <oct_fin_acts ACTS, int N>
OCT_DEV void oct_fin_activate(oct_act act, float a, float b, float (&y)[N])
{
    if (act == OCT_ACT_NONE)
        return;
#pragma unroll
    for (int i = 0; i < N; i++) {
        if constexpr (ACTS == OCT_FIN_ALL)
            y[i] = oct_dev_act_apply(act, a, b, y[i]);
        else
            y[i] = oct_fin_short_act(act, a, b, y[i]);
    }
}

/* ---- f32 sums ---- */

template <int N>
OCT_DEV void oct_fin_put_real(const oct_cuda_fin_out &o, int64_t at, const float (&y)[N])
{
    if (o.dtype == OCT_DT_F32 || o.dtype == OCT_DT_F16) {
        oct_dev_store_any<N>(o.data, o.dtype, at, y);
        return;
    }
    float q[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        q[i] = (float)oct_dev_quantize(y[i], o.rq.out.scale, o.rq.out.zero_point, o.rq.lo, o.rq.hi);
    oct_dev_store_any<N>(o.data, o.dtype, at, q);
}

template <int N, oct_fin_acts ACTS = OCT_FIN_ALL>
OCT_DEV void oct_fin_put(const oct_cuda_finish &f, const oct_fin_channels<float, N> &c,
                         const float (&acc)[N], const oct_fin_place &p)
{
    float y[N], r[N];
    oct_fin_residual<N>(f, p.r, r);
#pragma unroll
    for (int i = 0; i < N; i++) {
        y[i] = f.alpha * acc[i] + c.bias[i];
        if (f.residual)
            y[i] += f.r_scale * (r[i] - f.r_zero);
    }
    oct_fin_activate<ACTS, N>(f.act, f.a, f.b, y);
    oct_fin_put_real<N>(f.out[0], p.y0, y);
    if (f.n_out > 1)
        oct_fin_put_real<N>(f.out[1], p.y1, y);
}

/* ---- s32 sums ---- */

template <int N, oct_fin_acts ACTS>
OCT_DEV void oct_fin_put_sums(const oct_cuda_fin_out &o, int64_t at, const int32_t (&acc)[N],
                              const float (&m)[N], const float (&b)[N], const float (&r)[N])
{
    if (o.dtype == OCT_DT_S32) {
#pragma unroll
        for (int i = 0; i < N; i++)
            ((int32_t *)o.data)[at + i] = acc[i];
        return;
    }
    float v[N];
    const bool real = o.dtype == OCT_DT_F32 || o.dtype == OCT_DT_F16;
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = oct_dev_requant_value(o.rq, acc[i], m[i], b[i], r[i]);
    if (real || !o.rq.scaled)
        oct_fin_activate<ACTS, N>(o.rq.act, o.rq.a, o.rq.b, v);
    if (!real) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (o.rq.scaled)
                v[i] = (float)oct_dev_requant_round(o.rq, v[i]);
            else
                v[i] = (float)oct_dev_quantize(v[i], o.rq.out.scale, o.rq.out.zero_point, o.rq.lo,
                                               o.rq.hi);
        }
    }
    oct_dev_store_any<N>(o.data, o.dtype, at, v);
}

template <int N, oct_fin_acts ACTS = OCT_FIN_ALL>
OCT_DEV void oct_fin_put(const oct_cuda_finish &f, const oct_fin_channels<int32_t, N> &c,
                         const int32_t (&acc)[N], const oct_fin_place &p)
{
    int32_t s[N];
    float r[N];
    oct_fin_residual<N>(f, p.r, r);
#pragma unroll
    for (int i = 0; i < N; i++)
        s[i] = (int32_t)((uint32_t)acc[i] + (uint32_t)c.add[i]);
    oct_fin_put_sums<N, ACTS>(f.out[0], p.y0, s, c.m0, c.b0, r);
    if (f.n_out > 1)
        oct_fin_put_sums<N, ACTS>(f.out[1], p.y1, s, c.m1, c.b1, r);
}

/* ---- the short way: oct_cuda_finish.is_short, and channels in vectors ---- */

template <int N>
OCT_DEV void oct_fin_curve(const oct_cuda_finish &f, float (&y)[N])
{
    if (f.act == OCT_ACT_SWISH) {
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] = y[i] / (1.0f + expf(-f.a * y[i]));
    } else if (f.act == OCT_ACT_HARD_SWISH) {
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] = y[i] * oct_dev_clip((1.0f / 6.0f) * y[i] + 0.5f, 0.0f, 1.0f);
    }
}

template <int N>
OCT_DEV void oct_fin_put_short(const oct_cuda_finish &f, const oct_fin_channels<float, N> &c,
                               const float (&acc)[N], const oct_fin_place &p)
{
    float y[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        y[i] = f.alpha * acc[i] + c.bias[i];
    if (f.residual) {
        float r[N];
        if (f.residual_dtype == OCT_DT_F32)
            oct_dev_load<N>(r, (const float *)f.residual + p.r);
        else
            oct_dev_load<N>(r, (const __half *)f.residual + p.r);
#pragma unroll
        for (int i = 0; i < N; i++)
            y[i] += r[i];
    }
    oct_fin_curve<N>(f, y);
#pragma unroll
    for (int i = 0; i < N; i++)
        y[i] = oct_dev_clip(y[i], f.lo, f.hi); /* NaN stays */
    if (f.out[0].dtype == OCT_DT_F32)
        oct_dev_store<N>((float *)f.out[0].data + p.y0, y);
    else
        oct_dev_store<N>((__half *)f.out[0].data + p.y0, y);
}

/* Bytes of an 8-bit residual as f32: put into the mantissa of 2^23 (s8 raised by 128), which costs
 * no conversion. */
template <int N>
OCT_DEV void oct_fin_bytes(float (&v)[N], const uint8_t *p, uint32_t flip)
{
    const oct_dev_vec<uint8_t, N> b = *reinterpret_cast<const oct_dev_vec<uint8_t, N> *>(p);
    const float off = 8388608.0f + (flip ? 128.0f : 0.0f);
    const uint32_t *w = reinterpret_cast<const uint32_t *>(b.v);
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = __uint_as_float(__byte_perm(w[i / 4] ^ flip, 0x4B000000u, 0x7440 + i % 4)) - off;
}

/* Sums as f32 (exact): depthwise kernels make them so. N is a multiple of 4. Rounding half to even
 * is what adding 1.5 * 2^23 does, |v| being small after the clamp; the result is in the low byte. */
template <int N>
OCT_DEV void oct_fin_put_short(const oct_cuda_finish &f, const oct_fin_channels<int32_t, N> &c,
                               const float (&acc)[N], const oct_fin_place &p)
{
    const oct_requant &rq = f.out[0].rq;
    uint32_t word[N];
    float r[N], v[N];
    if (f.residual)
        oct_fin_bytes<N>(r, (const uint8_t *)f.residual + p.r,
                         f.residual_dtype == OCT_DT_S8 ? 0x80808080u : 0u);
#pragma unroll
    for (int i = 0; i < N; i++) {
        v[i] = fmaf(acc[i], c.m0[i], c.b0[i]);
        if (f.residual)
            v[i] = fmaf(r[i] - (float)rq.z_r, rq.r, v[i]);
    }
    if (!rq.scaled) {
        oct_fin_curve<N>(f, v);
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = __fdiv_rn(v[i], rq.out.scale);
    }
#pragma unroll
    for (int i = 0; i < N; i++)
        word[i] = __float_as_uint(fminf(fmaxf(v[i], f.lo), f.hi) + 12582912.0f) +
                  (uint32_t)rq.out.zero_point;
    oct_dev_vec<uint32_t, N / 4> out;
#pragma unroll
    for (int i = 0; i < N; i += 4)
        out.v[i / 4] = __byte_perm(__byte_perm(word[i], word[i + 1], 0x0040),
                                   __byte_perm(word[i + 2], word[i + 3], 0x0040), 0x5410);
    *reinterpret_cast<oct_dev_vec<uint32_t, N / 4> *>((uint8_t *)f.out[0].data + p.y0) = out;
}

template <int N>
OCT_DEV void oct_fin_put_short(const oct_cuda_finish &f, const oct_fin_channels<int32_t, N> &c,
                               const int32_t (&acc)[N], const oct_fin_place &p)
{
    float v[N];
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = (float)(int32_t)((uint32_t)acc[i] + (uint32_t)c.add[i]);
    oct_fin_put_short<N>(f, c, v, p);
}

#endif /* OCT_KERNELS_CUDA_CUDA_FINISH_CUH */
