/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations on their way to 8 bits, AVX-512 only: the logistic function by an estimated and once
 * refined reciprocal, 3e-7 of the value, where vmath_internal.h divides. The rest is shared.
 */
#ifndef OCT_KERNELS_CPU_ACT_QUICK_INTERNAL_H
#define OCT_KERNELS_CPU_ACT_QUICK_INTERNAL_H

#include "kernels/cpu/requant_simd_internal.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)

SIMD_INLINE vf quick_sigmoid(vf x)
{
    /* 2^f on |f| <= 1/2: ln2^k / k!, what is left out is below 1.2e-7 */
    static const float c[7] = {1.54035304e-4f,
                               1.33335581e-3f,
                               9.61812911e-3f,
                               5.55041087e-2f,
                               0.240226507f,
                               0.693147181f,
                               1.0f};
    const vf t = vf_max2(vf_min2(vf_mul(x, vf_set(-1.44269504f)), vf_set(120.0f)), vf_set(-120.0f));
    const vf n = vf_rne(t);
    const vf e = _mm512_scalef_ps(vf_poly(vf_sub(t, n), c, 7), n);
    const vf d = vf_add(e, vf_set(1.0f)), r = _mm512_rcp14_ps(d);
    return vf_fma(r, vf_fnma(d, r, vf_set(1.0f)), r);
}

SIMD_INLINE vf quick_act(oct_act act, float a, float b, vf x)
{
    if (act == OCT_ACT_SWISH)
        return vf_mul(x, quick_sigmoid(vf_mul(x, vf_set(a))));
    if (act == OCT_ACT_SIGMOID)
        return quick_sigmoid(x);
    if (act == OCT_ACT_HARD_SWISH)
        return vf_hard_swish(x);
    return act_vector(act, a, b, x);
}

/* x / scale, given factor = 1 / scale: a product and its residue (Markstein, IBM J. Res. Dev. 34),
 * rounded as a division rounds. */
SIMD_INLINE vf quick_divide(vf x, vf scale, vf factor)
{
    const vf q = vf_mul(x, factor);
    return vf_fma(vf_fnma(q, scale, x), factor, q);
}

#endif

#endif /* OCT_KERNELS_CPU_ACT_QUICK_INTERNAL_H */
