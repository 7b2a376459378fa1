/* SPDX-License-Identifier: Apache-2.0
 *
 * One vocabulary for vectors of f32 and s32: 16 lanes (AVX-512), 8 (AVX2) or 1 (portable C),
 * chosen by the flags a file is compiled with. Kernels are written once against it in
 * *_body_internal.h and compiled three times.
 *
 * Partial loads and stores take a count, so that tails run the same instructions as the
 * bulk and a value never depends on its place in a buffer. Lanes not loaded are zero.
 */
#ifndef OCT_KERNELS_CPU_SIMD_INTERNAL_H
#define OCT_KERNELS_CPU_SIMD_INTERNAL_H

#include "kernels/cpu/simd_avx2_internal.h"
#include "kernels/cpu/simd_avx512_internal.h"
#include "kernels/cpu/simd_scalar_internal.h"

SIMD_INLINE vf vf_abs(vf a)
{
    return vi_float(vi_and(vf_bits(a), vi_set(0x7fffffff)));
}
SIMD_INLINE vf vf_neg(vf a)
{
    return vf_sub(vf_set(-0.0f), a);
}
SIMD_INLINE vf vf_copysign(vf mag, vf sign)
{
    return vi_float(
        vi_or(vi_and(vf_bits(mag), vi_set(0x7fffffff)), vi_and(vf_bits(sign), vi_set(INT32_MIN))));
}
/* NaN in either operand gives NaN, as ONNX's Min and Max. */
SIMD_INLINE vf vf_min(vf a, vf b)
{
    return vf_sel(vf_nan(a), a, vf_min2(a, b));
}
SIMD_INLINE vf vf_max(vf a, vf b)
{
    return vf_sel(vf_nan(a), a, vf_max2(a, b));
}

/* for (i = 0; i < n; i += VW) with `k` = lanes that are real */
#define SIMD_FOR(i, k, n) \
    for (size_t i = 0, k = (n) < VW ? (n) : VW; i < (n); i += VW, k = (n)-i < VW ? (n)-i : VW)

#endif /* OCT_KERNELS_CPU_SIMD_INTERNAL_H */
