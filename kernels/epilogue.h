/* SPDX-License-Identifier: Apache-2.0
 *
 * The scalar definition of every activation (oct_act), shared by all backends: as an
 * epilogue of Conv and matrix products and as an op of its own. f32 in, f32 out. NaN stays
 * NaN. Source: the ONNX operator specification.
 */
#ifndef OCT_KERNELS_EPILOGUE_H
#define OCT_KERNELS_EPILOGUE_H

#include <math.h>

#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline float oct_act_relu(float x)
{
    return x < 0.0f ? 0.0f : x;
}

/* min(max(x, lo), hi): `hi` wins when lo > hi. */
static inline float oct_act_clip(float x, float lo, float hi)
{
    const float v = x < lo ? lo : x;
    return v > hi ? hi : v;
}

static inline float oct_act_leaky_relu(float x, float slope)
{
    return x < 0.0f ? slope * x : x;
}

static inline float oct_act_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static inline float oct_act_elu(float x, float alpha)
{
    return x < 0.0f ? alpha * expm1f(x) : x;
}

static inline float oct_act_hard_sigmoid(float x, float alpha, float beta)
{
    return oct_act_clip(alpha * x + beta, 0.0f, 1.0f);
}

static inline float oct_act_hard_swish(float x)
{
    return x * oct_act_hard_sigmoid(x, 1.0f / 6.0f, 0.5f);
}

static inline float oct_act_swish(float x, float alpha)
{
    return x / (1.0f + expf(-alpha * x));
}

static inline float oct_act_gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * 0.70710678f)); /* 1/sqrt(2) */
}

static inline float oct_act_gelu_tanh(float x)
{
    const float u = 0.79788456f * (x + 0.044715f * x * x * x); /* sqrt(2/pi) */
    return 0.5f * x * (1.0f + tanhf(u));
}

/* log(1 + exp(x)) without overflow. */
static inline float oct_act_softplus(float x)
{
    return x > 0.0f ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

static inline float oct_act_mish(float x)
{
    return x * tanhf(oct_act_softplus(x));
}

static inline float oct_act_apply(oct_act act, float a, float b, float x)
{
    switch (act) {
    case OCT_ACT_RELU:
        return oct_act_relu(x);
    case OCT_ACT_CLIP:
        return oct_act_clip(x, a, b);
    case OCT_ACT_LEAKY_RELU:
        return oct_act_leaky_relu(x, a);
    case OCT_ACT_SIGMOID:
        return oct_act_sigmoid(x);
    case OCT_ACT_TANH:
        return tanhf(x);
    case OCT_ACT_ELU:
        return oct_act_elu(x, a);
    case OCT_ACT_HARD_SIGMOID:
        return oct_act_hard_sigmoid(x, a, b);
    case OCT_ACT_HARD_SWISH:
        return oct_act_hard_swish(x);
    case OCT_ACT_SWISH:
        return oct_act_swish(x, a);
    case OCT_ACT_GELU:
        return oct_act_gelu(x);
    case OCT_ACT_GELU_TANH:
        return oct_act_gelu_tanh(x);
    case OCT_ACT_MISH:
        return oct_act_mish(x);
    case OCT_ACT_SOFTPLUS:
        return oct_act_softplus(x);
    default:
        return x;
    }
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_EPILOGUE_H */
