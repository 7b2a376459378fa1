/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of cuda_eltwise.cu on vectors of f32 values in registers. Each is a switch over the
 * operator, which is the same for a whole grid, around loops over the vector. Those with calls and many
 * registers ("heavy") are apart, so that kernels of the others keep more threads in flight.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_ELTWISE_CUH
#define OCT_KERNELS_CUDA_CUDA_ELTWISE_CUH

#include "kernels/cuda/cuda_kernel.cuh"

#define OCT_EW_MAX_IN 8

typedef struct ew_operand {
    oct_dtype dt;
    bool quantized;
    float scale, zero;
} ew_operand;

/* What a kernel gets by value. */
typedef struct ew_params {
    oct_op op;
    int n_in;
    ew_operand operand[OCT_EW_MAX_IN + 1]; /* 0 = the result */
    float alpha, beta;
    bool coarse;          /* the result is f16 */
    bool flag[2];         /* IsInf: negative, positive; Gelu: tanh form; Mod: fmod */
    oct_dtype bound_type; /* Clip */
    oct_cuda_loop loop;
} ew_params;

typedef struct ew_pointers {
    void *y;
    const void *x[OCT_EW_MAX_IN];
    const void *bound[2]; /* Clip: scalars on the device, or NULL */
} ew_pointers;

#define EACH(expr)                                \
    _Pragma("unroll") for (int i = 0; i < V; i++) \
    {                                             \
        const float x = a[i];                     \
        a[i] = (expr);                            \
    }                                             \
    break

OCT_DEV float sign_of(float x)
{
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x != x ? x : 0.0f;
}

OCT_DEV float shrink(float x, float lambda, float bias)
{
    return x < -lambda ? x + bias : x > lambda ? x - bias : x != x ? x : 0.0f;
}

OCT_DEV bool is_inf_as(const ew_params &p, float x)
{
    return (x == INFINITY && p.flag[1]) || (x == -INFINITY && p.flag[0]);
}

template <int V>
OCT_DEV void clip(const ew_params &p, const ew_pointers &q, float (&a)[V])
{
    const bool has_lo = q.bound[0] != NULL, has_hi = q.bound[1] != NULL;
    const float lo = has_lo ? oct_dev_get(q.bound[0], p.bound_type, 0) : 0.0f;
    const float hi = has_hi ? oct_dev_get(q.bound[1], p.bound_type, 0) : 0.0f;
#pragma unroll
    for (int i = 0; i < V; i++) {
        float v = a[i];
        v = has_lo && v < lo ? lo : v;
        a[i] = has_hi && v > hi ? hi : v;
    }
}

/* Few registers, no calls. */
template <int V>
OCT_DEV void cheap_unary(const ew_params &p, float (&a)[V])
{
    const float s = p.alpha, t = p.beta;
    switch (p.op) {
    case OCT_OP_RELU:
        EACH(x < 0.0f ? 0.0f : x);
    case OCT_OP_LEAKY_RELU:
        EACH(x < 0.0f ? s * x : x);
    case OCT_OP_HARD_SIGMOID:
        EACH(oct_dev_clip(s * x + t, 0.0f, 1.0f));
    case OCT_OP_HARD_SWISH:
        EACH(x * oct_dev_clip(x / 6.0f + 0.5f, 0.0f, 1.0f));
    case OCT_OP_SOFTSIGN:
        EACH(x / (1.0f + fabsf(x)));
    case OCT_OP_THRESHOLDED_RELU:
        EACH(x > s || x != x ? x : 0.0f);
    case OCT_OP_SHRINK:
        EACH(shrink(x, s, t));
    case OCT_OP_ABS:
        EACH(fabsf(x));
    case OCT_OP_NEG:
        EACH(-x);
    case OCT_OP_SIGN:
        EACH(sign_of(x));
    case OCT_OP_CEIL:
        EACH(ceilf(x));
    case OCT_OP_FLOOR:
        EACH(floorf(x));
    case OCT_OP_ROUND:
        EACH(rintf(x));
    case OCT_OP_SQRT:
        EACH(sqrtf(x));
    case OCT_OP_RECIPROCAL:
        EACH(1.0f / x);
    case OCT_OP_NOT:
        EACH(x == 0.0f ? 1.0f : 0.0f);
    case OCT_OP_IS_NAN:
        EACH(x != x ? 1.0f : 0.0f);
    case OCT_OP_IS_INF:
        EACH(is_inf_as(p, x) ? 1.0f : 0.0f);
    default:
        break; /* Cast between real types */
    }
}

/* 1 / (1 + e^-ax) to about 2^-21: an f16 result shows no more. */
OCT_DEV float coarse_sigmoid(float x, float a)
{
    float e, r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(x * (-1.44269504f * a)));
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(1.0f + e));
    return r;
}

template <int V>
OCT_DEV void heavy_unary(const ew_params &p, float (&a)[V])
{
    const float s = p.alpha, t = p.beta;
    switch (p.op) {
    case OCT_OP_ELU:
        EACH(x < 0.0f ? s * expm1f(x) : x);
    case OCT_OP_SELU:
        EACH(t * (x > 0.0f ? x : s * expm1f(x)));
    case OCT_OP_CELU:
        EACH(x > 0.0f ? x : s * expm1f(x / s));
    case OCT_OP_SIGMOID:
        if (p.coarse) {
            EACH(coarse_sigmoid(x, 1.0f));
        }
        EACH(oct_dev_sigmoid(x));
    case OCT_OP_SWISH:
        if (p.coarse) {
            EACH(x * coarse_sigmoid(x, s));
        }
        EACH(x / (1.0f + expf(-s * x)));
    case OCT_OP_MISH:
        EACH(x * tanhf(oct_dev_softplus(x)));
    case OCT_OP_GELU:
    case OCT_OP_MS_GELU:
        if (p.flag[0]) {
            EACH(oct_dev_gelu_tanh(x));
        }
        EACH(oct_dev_gelu(x));
    case OCT_OP_ERF:
        EACH(erff(x));
    case OCT_OP_TANH:
        EACH(tanhf(x));
    case OCT_OP_SOFTPLUS:
        EACH(oct_dev_softplus(x));
    case OCT_OP_EXP:
        EACH(expf(x));
    case OCT_OP_LOG:
        EACH(logf(x));
    case OCT_OP_SIN:
        EACH(sinf(x));
    case OCT_OP_COS:
        EACH(cosf(x));
    case OCT_OP_TAN:
        EACH(tanf(x));
    default:
        EACH(atanf(x));
    }
}
#undef EACH

OCT_DEV float floor_mod(float u, float v)
{
    const float r = fmodf(u, v);
    return r == 0.0f ? copysignf(r, v) : (r < 0.0f) != (v < 0.0f) ? r + v : r;
}

#define EACH(expr)                                \
    _Pragma("unroll") for (int i = 0; i < V; i++) \
    {                                             \
        const float u = a[i], v = b[i];           \
        a[i] = (expr);                            \
    }                                             \
    break

template <int V>
OCT_DEV void cheap_binary(const ew_params &p, float (&a)[V], const float (&b)[V])
{
    switch (p.op) {
    case OCT_OP_SUB:
        EACH(u - v);
    case OCT_OP_MUL:
        EACH(u * v);
    case OCT_OP_DIV:
        EACH(u / v);
    case OCT_OP_MIN:
        EACH(u < v || u != u ? u : v);
    case OCT_OP_MAX:
        EACH(u > v || u != u ? u : v);
    case OCT_OP_PRELU:
        EACH(u < 0.0f ? u * v : u);
    case OCT_OP_EQUAL:
        EACH(u == v ? 1.0f : 0.0f);
    case OCT_OP_GREATER:
        EACH(u > v ? 1.0f : 0.0f);
    case OCT_OP_GREATER_OR_EQUAL:
        EACH(u >= v ? 1.0f : 0.0f);
    case OCT_OP_LESS:
        EACH(u < v ? 1.0f : 0.0f);
    case OCT_OP_LESS_OR_EQUAL:
        EACH(u <= v ? 1.0f : 0.0f);
    case OCT_OP_AND:
        EACH(u != 0.0f && v != 0.0f ? 1.0f : 0.0f);
    case OCT_OP_OR:
        EACH(u != 0.0f || v != 0.0f ? 1.0f : 0.0f);
    case OCT_OP_XOR:
        EACH((u != 0.0f) != (v != 0.0f) ? 1.0f : 0.0f);
    default: /* Add, Sum, Mean */
        EACH(u + v);
    }
}

template <int V>
OCT_DEV void heavy_binary(const ew_params &p, float (&a)[V], const float (&b)[V])
{
    switch (p.op) {
    case OCT_OP_POW:
        EACH(v == 2.0f ? u * u : powf(u, v));
    default:
        if (p.flag[0]) {
            EACH(fmodf(u, v));
        }
        EACH(floor_mod(u, v));
    }
}
#undef EACH

#endif /* OCT_KERNELS_CUDA_CUDA_ELTWISE_CUH */
