/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of the tensor-core kernels, several values at a time, by the fast units: within about
 * 3e-6 of kernels/epilogue.h, relative, which moves fewer than 1 in 1,000 8-bit results by one
 * and no f16 one by more than its rounding. NaN stays NaN.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_ACT_CUH
#define OCT_KERNELS_CUDA_CUDA_MMA_ACT_CUH

#include "kernels/cuda/cuda_math.cuh"
#include "kernels/cuda/cuda_mma.h"
#include "kernels/cuda/cuda_mma_ops.cuh"

#define OCT_MMA_LOG2E 1.44269504f

OCT_MMA_DEV float oct_mma_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

OCT_MMA_DEV float oct_mma_inverse(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

OCT_MMA_DEV float oct_mma_bound(float v, float lo, float hi)
{
    asm("max.NaN.f32 %0, %0, %1;\n\tmin.NaN.f32 %0, %0, %2;" : "+f"(v) : "f"(lo), "f"(hi));
    return v;
}

/* 1 / (1 + 2^t) */
OCT_MMA_DEV float oct_mma_gate(float t)
{
    return oct_mma_inverse(1.0f + oct_mma_exp2(t));
}

/* tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2) */
OCT_MMA_DEV float oct_mma_mish_gate(float x)
{
    const float e = oct_mma_exp2(fminf(x, 20.0f) * OCT_MMA_LOG2E), n = e * (e + 2.0f);
    return n * oct_mma_inverse(n + 2.0f);
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q(a) = exp(-a^2 / 2) P(t) and t = 1 / (1 + 0.297 a). P
 * was fitted to the upper tail of the normal distribution on [0, 6] by least squares reweighted towards
 * the least relative error, which is 1.1e-6. */
OCT_MMA_DEV float oct_mma_gelu(float x)
{
    const float a = fminf(fabsf(x), 1e18f); /* no infinity times 0 below */
    const float t = oct_mma_inverse(fmaf(a, 0.296984848f, 1.0f));
    float q = -0.08565517f;
    q = fmaf(q, t, 0.25195004f);
    q = fmaf(q, t, -0.05807037f);
    q = fmaf(q, t, 0.16561761f);
    q = fmaf(q, t, 0.10669693f);
    q = fmaf(q, t, 0.11946043f) * t;
    const float tail = q * oct_mma_exp2(a * a * (-0.5f * OCT_MMA_LOG2E));
    float positive = 0.0f;
    asm("max.NaN.f32 %0, %0, %1;" : "+f"(positive) : "f"(x));
    return fmaf(-a, tail, positive);
}

/* Known only at run time: one branch for N values. */
template <int N>
OCT_MMA_DEV void oct_mma_activate_any(const oct_mma_args &p, float (&v)[N])
{
    float gate[N];
    switch (p.act) {
    case OCT_ACT_SIGMOID:
    case OCT_ACT_SWISH:
#pragma unroll
        for (int i = 0; i < N; i++)
            gate[i] = oct_mma_gate(v[i] * p.act_a); /* -log2(e), times the parameter of Swish */
        break;
    case OCT_ACT_GELU:
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = oct_mma_gelu(v[i]);
        return;
    case OCT_ACT_GELU_TANH:
#pragma unroll
        for (int i = 0; i < N; i++) /* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
            gate[i] = oct_mma_gate(v[i] * fmaf(v[i] * v[i],
                                               -2.0f * OCT_MMA_LOG2E * 0.79788456f * 0.044715f,
                                               -2.0f * OCT_MMA_LOG2E * 0.79788456f));
        break;
    case OCT_ACT_HARD_SIGMOID:
    case OCT_ACT_HARD_SWISH: /* a 1/6, b 1/2 */
#pragma unroll
        for (int i = 0; i < N; i++)
            gate[i] = oct_mma_bound(p.act_a * v[i] + p.act_b, 0.0f, 1.0f);
        break;
    case OCT_ACT_MISH:
#pragma unroll
        for (int i = 0; i < N; i++)
            gate[i] = oct_mma_mish_gate(v[i]);
        break;
    case OCT_ACT_LEAKY_RELU:
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = v[i] < 0.0f ? p.act_a * v[i] : v[i];
        return;
    default:
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = oct_mma_bound(v[i], p.lo, p.hi);
        return;
    }
    const bool gates = p.act != OCT_ACT_SIGMOID && p.act != OCT_ACT_HARD_SIGMOID;
#pragma unroll
    for (int i = 0; i < N; i++)
        v[i] = gates ? v[i] * gate[i] : gate[i];
}

template <oct_mma_finish F, int N>
OCT_MMA_DEV void oct_mma_activate(const oct_mma_args &p, float (&v)[N])
{
    if constexpr (F == OCT_MMA_SWISH || F == OCT_MMA_GELU || F == OCT_MMA_HALF) {
#pragma unroll
        for (int i = 0; i < N; i++)
            v[i] = F == OCT_MMA_SWISH  ? v[i] * oct_mma_gate(v[i] * p.act_a)
                   : F == OCT_MMA_GELU ? oct_mma_gelu(v[i])
                                       : oct_mma_bound(v[i], p.lo, p.hi);
    } else {
        oct_mma_activate_any(p, v);
    }
}

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_ACT_CUH */
