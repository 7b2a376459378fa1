/* SPDX-License-Identifier: Apache-2.0
 *
 * simd_internal.h for AVX-512: 16 lanes.
 */
#ifndef OCT_KERNELS_CPU_SIMD_AVX512_INTERNAL_H
#define OCT_KERNELS_CPU_SIMD_AVX512_INTERNAL_H

#include "kernels/cpu/simd_base_internal.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define SIMD_NAME(x) x##_avx512
#define VW 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

SIMD_INLINE vm vm_first(size_t n)
{
    return (vm)((1u << n) - 1u);
}
SIMD_INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
SIMD_INLINE void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
SIMD_INLINE vf vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vm_first(n), p);
}
SIMD_INLINE void vf_store_n(float *p, size_t n, vf a)
{
    _mm512_mask_storeu_ps(p, vm_first(n), a);
}
SIMD_INLINE vf vf_set(float x)
{
    return _mm512_set1_ps(x);
}
SIMD_INLINE vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
SIMD_INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
SIMD_INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
SIMD_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
SIMD_INLINE vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
SIMD_INLINE vf vf_min2(vf a, vf b)
{
    return _mm512_min_ps(a, b);
} /* b when unordered */
SIMD_INLINE vf vf_max2(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
SIMD_INLINE vf vf_rne(vf a)
{
    return _mm512_roundscale_ps(a, 8);
}
SIMD_INLINE vf vf_floor(vf a)
{
    return _mm512_roundscale_ps(a, 9);
}
SIMD_INLINE vf vf_ceil(vf a)
{
    return _mm512_roundscale_ps(a, 10);
}
SIMD_INLINE vm vf_lt(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
SIMD_INLINE vm vf_le(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
}
SIMD_INLINE vm vf_eq(vf a, vf b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
SIMD_INLINE vm vf_nan(vf a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
SIMD_INLINE vf vf_sel(vm m, vf a, vf b)
{
    return _mm512_mask_blend_ps(m, b, a);
}
SIMD_INLINE vi vf_bits(vf a)
{
    return _mm512_castps_si512(a);
}
SIMD_INLINE vf vi_float(vi a)
{
    return _mm512_castsi512_ps(a);
}
SIMD_INLINE vi vf_to_s32(vf a)
{
    return _mm512_cvtps_epi32(a);
}
SIMD_INLINE vf vi_to_f32(vi a)
{
    return _mm512_cvtepi32_ps(a);
}
SIMD_INLINE vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}
SIMD_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}
SIMD_INLINE vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
SIMD_INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}
SIMD_INLINE vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}
SIMD_INLINE vi vi_max(vi a, vi b)
{
    return _mm512_max_epi32(a, b);
}
SIMD_INLINE vi vi_min(vi a, vi b)
{
    return _mm512_min_epi32(a, b);
}
#define vi_sll(a, n) _mm512_slli_epi32(a, n)
#define vi_srl(a, n) _mm512_srli_epi32(a, n)
#define vi_sra(a, n) _mm512_srai_epi32(a, n)
SIMD_INLINE vi vi_load_n(const int32_t *p, size_t n)
{
    return _mm512_maskz_loadu_epi32(vm_first(n), p);
}
SIMD_INLINE void vi_store_n(int32_t *p, size_t n, vi a)
{
    _mm512_mask_storeu_epi32(p, vm_first(n), a);
}
SIMD_INLINE vi vi_load_s8(const void *p, size_t n)
{
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(vm_first(n), p));
}
SIMD_INLINE vi vi_load_u8(const void *p, size_t n)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(vm_first(n), p));
}
SIMD_INLINE void vi_store_8(void *p, size_t n, vi a) /* the low bytes */
{
    /* not vpmovdb to memory under a mask: microcode on Zen 4 */
    _mm_mask_storeu_epi8(p, vm_first(n), _mm512_cvtepi32_epi8(a));
}
/* Sums of products of the two s16 halves of each lane. */
SIMD_INLINE vi vi_madd16(vi a, vi b)
{
    return _mm512_madd_epi16(a, b);
}
SIMD_INLINE vi vi_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}
SIMD_INLINE float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
SIMD_INLINE float vf_hmax(vf a)
{
    return _mm512_reduce_max_ps(a);
}
#endif

#endif /* OCT_KERNELS_CPU_SIMD_AVX512_INTERNAL_H */
