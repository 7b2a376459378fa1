/* SPDX-License-Identifier: Apache-2.0
 *
 * simd_internal.h for AVX2 and FMA: 8 lanes.
 */
#ifndef OCT_KERNELS_CPU_SIMD_AVX2_INTERNAL_H
#define OCT_KERNELS_CPU_SIMD_AVX2_INTERNAL_H

#include "kernels/cpu/simd_base_internal.h"

#if defined(__AVX2__) && defined(__FMA__) && !defined(__AVX512F__)
#define SIMD_NAME(x) x##_avx2
#define VW 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256 vm;

SIMD_INLINE vi vi_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}
SIMD_INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
SIMD_INLINE void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
SIMD_INLINE vf vf_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vi_first(n));
}
SIMD_INLINE void vf_store_n(float *p, size_t n, vf a)
{
    _mm256_maskstore_ps(p, vi_first(n), a);
}
SIMD_INLINE vf vf_set(float x)
{
    return _mm256_set1_ps(x);
}
SIMD_INLINE vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
SIMD_INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
SIMD_INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
SIMD_INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
SIMD_INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
SIMD_INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
SIMD_INLINE vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
SIMD_INLINE vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
SIMD_INLINE vf vf_min2(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
SIMD_INLINE vf vf_max2(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
SIMD_INLINE vf vf_rne(vf a)
{
    return _mm256_round_ps(a, 8);
}
SIMD_INLINE vf vf_floor(vf a)
{
    return _mm256_round_ps(a, 9);
}
SIMD_INLINE vf vf_ceil(vf a)
{
    return _mm256_round_ps(a, 10);
}
SIMD_INLINE vm vf_lt(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
SIMD_INLINE vm vf_le(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_LE_OQ);
}
SIMD_INLINE vm vf_eq(vf a, vf b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
SIMD_INLINE vm vf_nan(vf a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
SIMD_INLINE vf vf_sel(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, m);
}
SIMD_INLINE vi vf_bits(vf a)
{
    return _mm256_castps_si256(a);
}
SIMD_INLINE vf vi_float(vi a)
{
    return _mm256_castsi256_ps(a);
}
SIMD_INLINE vi vf_to_s32(vf a)
{
    return _mm256_cvtps_epi32(a);
}
SIMD_INLINE vf vi_to_f32(vi a)
{
    return _mm256_cvtepi32_ps(a);
}
SIMD_INLINE vi vi_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}
SIMD_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}
SIMD_INLINE vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
SIMD_INLINE vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}
SIMD_INLINE vi vi_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}
SIMD_INLINE vi vi_max(vi a, vi b)
{
    return _mm256_max_epi32(a, b);
}
SIMD_INLINE vi vi_min(vi a, vi b)
{
    return _mm256_min_epi32(a, b);
}
#define vi_sll(a, n) _mm256_slli_epi32(a, n)
#define vi_srl(a, n) _mm256_srli_epi32(a, n)
#define vi_sra(a, n) _mm256_srai_epi32(a, n)
SIMD_INLINE vi vi_load_n(const int32_t *p, size_t n)
{
    return _mm256_maskload_epi32((const int *)p, vi_first(n));
}
SIMD_INLINE void vi_store_n(int32_t *p, size_t n, vi a)
{
    _mm256_maskstore_epi32((int *)p, vi_first(n), a);
}
SIMD_INLINE __m128i load_bytes(const void *p, size_t n)
{
    uint64_t bytes = 0;
    memcpy(&bytes, p, n);
    return _mm_cvtsi64_si128((long long)bytes);
}
SIMD_INLINE vi vi_load_s8(const void *p, size_t n)
{
    return _mm256_cvtepi8_epi32(load_bytes(p, n));
}
SIMD_INLINE vi vi_load_u8(const void *p, size_t n)
{
    return _mm256_cvtepu8_epi32(load_bytes(p, n));
}
SIMD_INLINE void vi_store_8(void *p, size_t n, vi a)
{
    const __m256i low = _mm256_shuffle_epi8(
        a, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                            12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    const uint64_t bytes = (uint32_t)_mm256_extract_epi32(low, 0) |
                           (uint64_t)(uint32_t)_mm256_extract_epi32(low, 4) << 32;
    memcpy(p, &bytes, n);
}
/* Sums of products of the two s16 halves of each lane. */
SIMD_INLINE vi vi_madd16(vi a, vi b)
{
    return _mm256_madd_epi16(a, b);
}
SIMD_INLINE vi vi_mul(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}
SIMD_INLINE float vf_sum(vf a)
{
    const __m128 h = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 q = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
SIMD_INLINE float vf_hmax(vf a)
{
    const __m128 h = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 q = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
#endif

#endif /* OCT_KERNELS_CPU_SIMD_AVX2_INTERNAL_H */
