/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 counting. Bin numbers of the normal values are compressed into a small buffer, so
 * that zeros (most of a rectified tensor) cost nothing and never pile up on one counter;
 * a scalar loop then increments. That loop bounds the speed: one load, two
 * read-modify-writes an element.
 */
#include "kernels/hist.h"

#include <immintrin.h>

#define LANES 16
#define BLOCK 512 /* indices between the two steps; stays in L1 */
#define MIN_NORMAL_BITS 0x00800000
#define INF_BITS 0x7f800000

static inline __mmask16 tail_mask(size_t n)
{
    return n >= LANES ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
}

static void count_odd(__m512i bits, __m512i mag, __mmask16 lanes, oct_hist_range *r)
{
    const __m512i inf = _mm512_set1_epi32(INF_BITS);
    const __mmask16 neg = _mm512_movepi32_mask(bits);
    const __mmask16 is_inf = _mm512_mask_cmpeq_epi32_mask(lanes, mag, inf);
    r->n_nan += (unsigned)__builtin_popcount(_mm512_mask_cmpgt_epi32_mask(lanes, mag, inf));
    r->n_pos_inf += (unsigned)__builtin_popcount(is_inf & (unsigned)~neg);
    r->n_neg_inf += (unsigned)__builtin_popcount(is_inf & neg);
}

static void scan_avx512(const float *x, size_t n, oct_hist_range *r)
{
    const __m512i abs_bits = _mm512_set1_epi32(0x7fffffff);
    const __m512i least = _mm512_set1_epi32(MIN_NORMAL_BITS);
    const __m512i inf = _mm512_set1_epi32(INF_BITS);
    __m512i pos = _mm512_setzero_si512(), neg = pos; /* magnitudes order like integers */
    uint64_t n_zero = 0;
    for (size_t i = 0; i < n; i += LANES) {
        const __mmask16 lanes = tail_mask(n - i);
        const __m512i bits = _mm512_maskz_loadu_epi32(lanes, x + i);
        const __m512i mag = _mm512_and_si512(bits, abs_bits);
        const __mmask16 small = _mm512_mask_cmplt_epi32_mask(lanes, mag, least);
        const __mmask16 odd = _mm512_mask_cmpge_epi32_mask(lanes, mag, inf);
        const __mmask16 normal = lanes & (__mmask16) ~(small | odd);
        const __mmask16 sign = _mm512_movepi32_mask(bits);
        n_zero += (unsigned)__builtin_popcount(small);
        pos = _mm512_mask_max_epi32(pos, normal & (__mmask16)~sign, pos, mag);
        neg = _mm512_mask_max_epi32(neg, normal & sign, neg, mag);
        if (__builtin_expect(odd != 0, 0))
            count_odd(bits, mag, lanes, r);
    }
    r->n_zero += n_zero;
    const float p =
        _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(pos))));
    const float m =
        _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(neg))));
    r->pos_amax = p > r->pos_amax ? p : r->pos_amax;
    r->neg_amax = m > r->neg_amax ? m : r->neg_amax;
}

/* Writes the bin numbers of up to BLOCK values to `out`; returns how many. */
static inline size_t make_indices(const float *x, size_t n, const oct_hist_table *t, uint32_t *out)
{
    const __m512i abs_bits = _mm512_set1_epi32(0x7fffffff);
    const __m512i least = _mm512_set1_epi32(MIN_NORMAL_BITS);
    const __m512i span = _mm512_set1_epi32(INF_BITS - MIN_NORMAL_BITS);
    const __m512 pos_mul = _mm512_set1_ps(t->pos_mul), neg_mul = _mm512_set1_ps(t->neg_mul);
    const __m512i half = _mm512_set1_epi32(OCT_HIST_BINS);
    size_t k = 0;
    for (size_t i = 0; i < n; i += LANES) {
        const __mmask16 lanes = tail_mask(n - i);
        const __m512i bits = _mm512_maskz_loadu_epi32(lanes, x + i);
        const __m512i mag = _mm512_and_si512(bits, abs_bits);
        const __mmask16 normal =
            _mm512_mask_cmplt_epu32_mask(lanes, _mm512_sub_epi32(mag, least), span);
        const __mmask16 sign = _mm512_movepi32_mask(bits);
        const __m512 mul = _mm512_mask_blend_ps(sign, pos_mul, neg_mul);
        __m512i bin = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(mag), mul));
        bin = _mm512_mask_add_epi32(bin, sign, bin, half);
        _mm512_storeu_si512(out + k, _mm512_maskz_compress_epi32(normal, bin));
        k += (unsigned)__builtin_popcount(normal);
    }
    return k;
}

static void count_avx512(const float *x, size_t n, const oct_hist_table *t)
{
    uint32_t index[BLOCK + LANES];
    uint64_t *const bin = t->bin, *const coarse = t->coarse;
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t len = n - i < BLOCK ? n - i : BLOCK;
        const size_t n_index = make_indices(x + i, len, t, index);
        if (coarse == NULL) {
            for (size_t k = 0; k < n_index; k++)
                bin[index[k]]++;
            continue;
        }
        for (size_t k = 0; k < n_index; k++) {
            bin[index[k]]++;
            coarse[index[k] >> OCT_HIST_COARSE_SHIFT]++;
        }
    }
}

const oct_hist_kernel oct_hist_avx512 = {"avx512", scan_avx512, count_avx512};
