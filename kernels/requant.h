/* SPDX-License-Identifier: Apache-2.0
 *
 * From s32 accumulators to stored results: the factors and bounds that every backend uses for
 * Conv, ConvTranspose, Gemm and MatMul on 8-bit operands (DESIGN 3). `acc` is the exact sum of
 * (x - zx) * (w - zw); an s32 bias is added to it (exactly), an f32 bias is part of b[c].
 *
 * Each output has its own form:
 *
 *   scaled  8-bit output, activation NONE, RELU, CLIP or LEAKY_RELU. In units of s_y:
 *           m = alpha s_x s_w[c] / s_y,  b = beta bias[c] / s_y,  r = s_r / s_y
 *           v = fmaf(acc, m, b);  v = fmaf(residual - z_r, r, v);  v < 0 ? slope * v : v
 *           q = clamp(rne(v) + z_y, lo, hi)         ReLU and Clip are in lo and hi
 *   real    any other. m = alpha s_x s_w[c],  b = beta bias[c],  r = s_r (1 for f32 residuals)
 *           v = fmaf(acc, m, b);  v = fmaf(residual - z_r, r, v);  y = act(v)
 *           stored as f32, or quantized: clamp(rne(y / s_y) + z_y)
 *
 * m, b and r are computed in double and rounded once. f32 residuals have z_r = 0 and, in the
 * scaled form, r = 1 / s_y.
 */
#ifndef OCT_KERNELS_REQUANT_H
#define OCT_KERNELS_REQUANT_H

#include "base/numeric.h"
#include "kernels/backend.h"
#include "kernels/epilogue.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_requant {
    bool scaled;
    oct_act act;     /* real form: the activation; scaled form: LEAKY_RELU or NONE */
    float a, b;      /* its parameters */
    float r;         /* factor of the residual */
    int32_t z_r;     /* its zero point */
    oct_qparams out; /* of the output; scale 1, zero point 0 for f32 */
    int32_t lo, hi;  /* 8-bit output: bounds of q */
} oct_requant;

/* Form of output `out` (0 or 1) of `d`. Needs quantization parameters of input 0 and 1. */
oct_requant oct_requant_make(const oct_op_desc *d, int out);

/* m[c] and b[c] for channels [0, n) of output `out`, of the form that oct_requant_make() gave.
 * `bias`: n f32 values, or NULL (none, or s32 that goes into the accumulator). */
void oct_requant_factors(const oct_op_desc *d, int out, const float *bias, int64_t n, float *m,
                         float *b);

/* The value before rounding; `residual` is the stored element (0 without one). */
static inline float oct_requant_value(const oct_requant *rq, int32_t acc, float m, float b,
                                      float residual)
{
    return fmaf(residual - (float)rq->z_r, rq->r, fmaf((float)acc, m, b));
}

/* 8-bit result of a value before rounding. */
static inline int32_t oct_requant_round(const oct_requant *rq, float v)
{
    if (!rq->scaled)
        return oct_quantize(oct_act_apply(rq->act, rq->a, rq->b, v), rq->out, rq->lo, rq->hi);
    const float w = rq->act == OCT_ACT_LEAKY_RELU ? oct_act_leaky_relu(v, rq->a) : v;
    const float q = oct_rne_f32(w) + (float)rq->out.zero_point;
    if (!(q > (float)rq->lo)) /* also NaN */
        return rq->lo;
    return q < (float)rq->hi ? (int32_t)q : rq->hi;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REQUANT_H */
