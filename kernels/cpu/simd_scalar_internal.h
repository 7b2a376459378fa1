/* SPDX-License-Identifier: Apache-2.0
 *
 * simd_internal.h in portable C: one lane.
 */
#ifndef OCT_KERNELS_CPU_SIMD_SCALAR_INTERNAL_H
#define OCT_KERNELS_CPU_SIMD_SCALAR_INTERNAL_H

#include "kernels/cpu/simd_base_internal.h"

#if !defined(__AVX2__)
#define SIMD_NAME(x) x##_portable
#define VW 1
typedef float vf;
typedef int32_t vi;
typedef int vm;

SIMD_INLINE vf vf_load(const float *p)
{
    return *p;
}
SIMD_INLINE void vf_store(float *p, vf a)
{
    *p = a;
}
SIMD_INLINE vf vf_load_n(const float *p, size_t n)
{
    return n ? *p : 0.0f;
}
SIMD_INLINE void vf_store_n(float *p, size_t n, vf a)
{
    if (n)
        *p = a;
}
SIMD_INLINE vf vf_set(float x)
{
    return x;
}
SIMD_INLINE vf vf_zero(void)
{
    return 0.0f;
}
SIMD_INLINE vf vf_add(vf a, vf b)
{
    return a + b;
}
SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return a - b;
}
SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return a * b;
}
SIMD_INLINE vf vf_div(vf a, vf b)
{
    return a / b;
}
SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
} /* fmaf() is slow in software */
SIMD_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return c - a * b;
}
SIMD_INLINE vf vf_sqrt(vf a)
{
    return sqrtf(a);
}
SIMD_INLINE vf vf_min2(vf a, vf b)
{
    return a < b ? a : b;
}
SIMD_INLINE vf vf_max2(vf a, vf b)
{
    return a > b ? a : b;
}
SIMD_INLINE vf vf_rne(vf a)
{
    return rintf(a);
}
SIMD_INLINE vf vf_floor(vf a)
{
    return floorf(a);
}
SIMD_INLINE vf vf_ceil(vf a)
{
    return ceilf(a);
}
SIMD_INLINE vm vf_lt(vf a, vf b)
{
    return a < b;
}
SIMD_INLINE vm vf_le(vf a, vf b)
{
    return a <= b;
}
SIMD_INLINE vm vf_eq(vf a, vf b)
{
    return a == b;
}
SIMD_INLINE vm vf_nan(vf a)
{
    return a != a;
}
SIMD_INLINE vf vf_sel(vm m, vf a, vf b)
{
    return m ? a : b;
}
SIMD_INLINE vi vf_bits(vf a)
{
    vi u;
    memcpy(&u, &a, sizeof u);
    return u;
}
SIMD_INLINE vf vi_float(vi a)
{
    vf v;
    memcpy(&v, &a, sizeof v);
    return v;
}
SIMD_INLINE vi vf_to_s32(vf a) /* as the instruction: out of range gives the smallest */
{
    return a >= -2147483648.0f && a < 2147483648.0f ? (vi)rintf(a) : INT32_MIN;
}
SIMD_INLINE vf vi_to_f32(vi a)
{
    return (float)a;
}
SIMD_INLINE vi vi_set(int32_t x)
{
    return x;
}
SIMD_INLINE vi vi_add(vi a, vi b)
{
    return (vi)((uint32_t)a + (uint32_t)b);
}
SIMD_INLINE vi vi_sub(vi a, vi b)
{
    return (vi)((uint32_t)a - (uint32_t)b);
}
SIMD_INLINE vi vi_and(vi a, vi b)
{
    return a & b;
}
SIMD_INLINE vi vi_or(vi a, vi b)
{
    return a | b;
}
SIMD_INLINE vi vi_max(vi a, vi b)
{
    return a > b ? a : b;
}
SIMD_INLINE vi vi_min(vi a, vi b)
{
    return a < b ? a : b;
}
#define vi_sll(a, n) ((vi)((uint32_t)(a) << (n)))
#define vi_srl(a, n) ((vi)((uint32_t)(a) >> (n)))
#define vi_sra(a, n) ((a) >> (n))
SIMD_INLINE vi vi_load_n(const int32_t *p, size_t n)
{
    return n ? *p : 0;
}
SIMD_INLINE void vi_store_n(int32_t *p, size_t n, vi a)
{
    if (n)
        *p = a;
}
SIMD_INLINE vi vi_load_s8(const void *p, size_t n)
{
    return n ? *(const int8_t *)p : 0;
}
SIMD_INLINE vi vi_load_u8(const void *p, size_t n)
{
    return n ? *(const uint8_t *)p : 0;
}
SIMD_INLINE void vi_store_8(void *p, size_t n, vi a)
{
    if (n)
        *(uint8_t *)p = (uint8_t)a;
}
/* Sum of products of the two s16 halves. */
SIMD_INLINE vi vi_madd16(vi a, vi b)
{
    return (int16_t)a * (int16_t)b + (int16_t)((uint32_t)a >> 16) * (int16_t)((uint32_t)b >> 16);
}
SIMD_INLINE vi vi_mul(vi a, vi b)
{
    return (vi)((uint32_t)a * (uint32_t)b);
}
SIMD_INLINE float vf_sum(vf a)
{
    return a;
}
SIMD_INLINE float vf_hmax(vf a)
{
    return a;
}
#endif

#endif /* OCT_KERNELS_CPU_SIMD_SCALAR_INTERNAL_H */
