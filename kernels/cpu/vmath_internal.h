/* SPDX-License-Identifier: Apache-2.0
 *
 * exp, log, tanh, sigmoid, erf and what is made of them, on vectors, within about 2 ulp
 * (tests/kernels/test_vmath.c prints the measured errors). Polynomials: our own fits, close to
 * minimax; each names its function, interval and maximal error before rounding.
 */
#ifndef OCT_KERNELS_CPU_VMATH_INTERNAL_H
#define OCT_KERNELS_CPU_VMATH_INTERNAL_H

#include "kernels/cpu/simd_internal.h"

SIMD_INLINE vf vf_poly(vf x, const float *c, int n) /* c[0] x^(n-1) + ... + c[n-1] */
{
    vf y = vf_set(c[0]);
    for (int i = 1; i < n; i++)
        y = vf_fma(y, x, vf_set(c[i]));
    return y;
}

#define VMATH_LN2_HI 0.693359375f /* 10 bits: its product with an exponent is exact */
#define VMATH_LN2_LO (-2.12194440e-4f)

/* x = n ln2 + r; returns exp(r) - 1. */
SIMD_INLINE vf vf_exp_reduced(vf x, vf *n)
{
    /* (exp(r) - 1 - r) / r^2 on |r| <= ln2 / 2, 1.6e-9 */
    static const float c[6] = {1.99079907e-4f, 1.39332993e-3f, 8.33328627e-3f,
                               4.16664742e-2f, 0.166666672f,   0.5f};
    *n = vf_rne(vf_mul(x, vf_set(1.44269504f)));
    vf r = vf_fnma(*n, vf_set(VMATH_LN2_HI), x);
    r = vf_fnma(*n, vf_set(VMATH_LN2_LO), r);
    return vf_fma(vf_mul(r, r), vf_poly(r, c, 6), r);
}

SIMD_INLINE vf vf_pow2(vi n)
{
    return vi_float(vi_sll(vi_add(n, vi_set(127)), 23));
}

/* Two steps of scaling, so that subnormal results and the overflow to infinity are right. */
SIMD_INLINE vf vf_exp(vf x)
{
    vf n;
    x = vf_max2(vf_set(-105.0f), vf_min2(vf_set(90.0f), x));
    const vf y = vf_add(vf_exp_reduced(x, &n), vf_set(1.0f));
    const vi e = vf_to_s32(n), half = vi_sra(e, 1);
    return vf_mul(vf_mul(y, vf_pow2(half)), vf_pow2(vi_sub(e, half)));
}

SIMD_INLINE vf vf_expm1(vf x)
{
    vf n;
    const vf c = vf_max2(vf_set(-105.0f), vf_min2(vf_set(90.0f), x));
    const vf small = vf_exp_reduced(c, &n);
    return vf_sel(vf_eq(n, vf_zero()), small, vf_sub(vf_exp(x), vf_set(1.0f)));
}

SIMD_INLINE vf vf_log(vf x)
{
    /* (log(1+f) - f + f^2/2) / f^3 on [sqrt(1/2)-1, sqrt(2)-1], 2.2e-8 */
    static const float c[9] = {7.33243749e-2f, -0.116598874f, 0.116346769f,
                               -0.123967074f,  0.142511547f,  -0.166691512f,
                               0.200006887f,   -0.249999806f, 0.333333313f};
    const vm tiny = vf_lt(x, vf_set(1.17549435e-38f)); /* subnormal, zero or negative */
    const vf v = vf_sel(tiny, vf_mul(x, vf_set(8388608.0f)), x);
    /* exponent of v / sqrt(1/2), mantissa in [sqrt(1/2), sqrt(2)) */
    const vi bits = vi_sub(vf_bits(v), vi_set(0x3f3504f3));
    const vf e = vf_sub(vi_to_f32(vi_sra(bits, 23)), vf_sel(tiny, vf_set(23.0f), vf_zero()));
    const vf f =
        vf_sub(vi_float(vi_add(vi_and(bits, vi_set(0x7fffff)), vi_set(0x3f3504f3))), vf_set(1.0f));
    const vf z = vf_mul(f, f);
    vf y = vf_mul(vf_mul(f, z), vf_poly(f, c, 9));
    y = vf_fma(e, vf_set(VMATH_LN2_LO), y);
    y = vf_fnma(vf_set(0.5f), z, y);
    y = vf_fma(e, vf_set(VMATH_LN2_HI), vf_add(f, y));
    y = vf_sel(vf_eq(x, vf_set(INFINITY)), x, y);
    y = vf_sel(vf_eq(x, vf_zero()), vf_set(-INFINITY), y);
    y = vf_sel(vf_lt(x, vf_zero()), vf_set(NAN), y);
    return vf_sel(vf_nan(x), x, y);
}

/* log(1 + u), u >= 0: the rounding of 1 + u is put right by the quotient. */
SIMD_INLINE vf vf_log1p(vf u)
{
    const vf s = vf_add(vf_set(1.0f), u), back = vf_sub(s, vf_set(1.0f));
    const vf y = vf_mul(vf_log(s), vf_div(u, back));
    return vf_sel(vf_eq(back, vf_zero()), u, y);
}

SIMD_INLINE vf vf_tanh(vf x)
{
    /* (tanh(x)/x - 1) / x^2 in x^2 on |x| <= 0.6255, 4.1e-8 */
    static const float c[5] = {-6.10977272e-3f, 2.10077539e-2f, -5.38535863e-2f, 0.133327916f,
                               -0.333333284f};
    const vf a = vf_abs(x), z = vf_mul(x, x);
    const vf small = vf_fma(vf_mul(x, z), vf_poly(z, c, 5), x);
    const vf e = vf_exp(vf_add(a, a));
    const vf big = vf_sub(vf_set(1.0f), vf_div(vf_set(2.0f), vf_add(e, vf_set(1.0f))));
    return vf_sel(vf_lt(a, vf_set(0.625f)), small, vf_copysign(big, x));
}

SIMD_INLINE vf vf_sigmoid(vf x)
{
    return vf_div(vf_set(1.0f), vf_add(vf_set(1.0f), vf_exp(vf_neg(x))));
}

SIMD_INLINE vf vf_erf(vf x)
{
    /* erf(x)/x in x^2 on |x| <= 1, 1.3e-9 */
    static const float small_c[7] = {7.85385782e-5f,  -8.01019254e-4f, 5.18832775e-3f,
                                     -2.68538108e-2f, 0.112835854f,    -0.37612626f,
                                     1.12837911f};
    /* erfc(x) exp(x^2) in x - 2.5 on [1, 4], 2.5e-9 of erf */
    static const float big_c[9] = {1.06842883e-4f,  2.25061056e-4f,  5.43316652e-4f,
                                   -6.61122845e-4f, 2.3025039e-3f,   -8.13225005e-3f,
                                   2.49146260e-2f,  -7.43421838e-2f, 0.210807607f};
    const vf a = vf_min2(vf_set(4.0f), vf_abs(x)), z = vf_mul(x, x);
    const vf small = vf_mul(x, vf_poly(z, small_c, 7));
    const vf tail =
        vf_mul(vf_exp(vf_neg(vf_mul(a, a))), vf_poly(vf_sub(a, vf_set(2.5f)), big_c, 9));
    const vf big = vf_copysign(vf_sub(vf_set(1.0f), tail), x);
    return vf_sel(vf_lt(a, vf_set(1.0f)), small, vf_sel(vf_nan(x), x, big));
}

/* ---- activations (formulas: ONNX operator specification) ----------------------------------- */

SIMD_INLINE vf vf_clip(vf x, vf lo, vf hi)
{
    return vf_min2(hi, vf_max2(lo, x)); /* NaN stays */
}

SIMD_INLINE vf vf_relu(vf x)
{
    return vf_max2(vf_zero(), x);
}

SIMD_INLINE vf vf_hard_sigmoid(vf x, vf a, vf b)
{
    return vf_clip(vf_add(vf_mul(x, a), b), vf_zero(), vf_set(1.0f));
}

SIMD_INLINE vf vf_hard_swish(vf x)
{
    return vf_mul(x, vf_hard_sigmoid(x, vf_set(1.0f / 6.0f), vf_set(0.5f)));
}

SIMD_INLINE vf vf_softplus(vf x)
{
    return vf_add(vf_relu(x), vf_log1p(vf_exp(vf_neg(vf_abs(x)))));
}

/* x tanh(softplus(x)) = x (w^2 + 2w) / (w^2 + 2w + 2), w = exp(x); 1 in f32 beyond 20 */
SIMD_INLINE vf vf_mish(vf x)
{
    const vf w = vf_exp(vf_min2(vf_set(20.0f), x));
    const vf t = vf_mul(w, vf_add(w, vf_set(2.0f)));
    const vf y = vf_mul(x, vf_div(t, vf_add(t, vf_set(2.0f))));
    return vf_sel(vf_lt(vf_set(20.0f), x), x, y);
}

SIMD_INLINE vf vf_gelu(vf x)
{
    const vf t = vf_add(vf_set(1.0f), vf_erf(vf_mul(x, vf_set(0.707106781f))));
    return vf_mul(vf_mul(vf_set(0.5f), x), t);
}

SIMD_INLINE vf vf_gelu_tanh(vf x)
{
    const vf x3 = vf_mul(vf_mul(x, x), x);
    const vf in = vf_mul(vf_set(0.797884561f), vf_fma(vf_set(0.044715f), x3, x));
    return vf_mul(vf_mul(vf_set(0.5f), x), vf_add(vf_set(1.0f), vf_tanh(in)));
}

SIMD_INLINE vf vf_elu(vf x, vf alpha)
{
    return vf_sel(vf_lt(x, vf_zero()), vf_mul(alpha, vf_expm1(x)), x);
}

SIMD_INLINE vf vf_leaky_relu(vf x, vf slope)
{
    return vf_sel(vf_lt(x, vf_zero()), vf_mul(slope, x), x);
}

#endif /* OCT_KERNELS_CPU_VMATH_INTERNAL_H */
