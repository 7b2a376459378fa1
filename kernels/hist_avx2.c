/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX2 counting: bin numbers of eight values at a time, normal ones kept by a branch-free
 * scalar compaction.
 */
#include "kernels/hist.h"

#include <immintrin.h>

#define LANES 8
#define BLOCK 512
#define MIN_NORMAL_BITS 0x00800000
#define INF_BITS 0x7f800000

static float max_lane(__m256i v)
{
    int lane[LANES];
    _mm256_storeu_si256((__m256i *)lane, v);
    int best = 0;
    for (int i = 0; i < LANES; i++)
        best = lane[i] > best ? lane[i] : best;
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(best)));
}

static unsigned mask_of(__m256i v)
{
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(v));
}

static void scan_avx2(const float *x, size_t n, oct_hist_range *r)
{
    const __m256i abs_bits = _mm256_set1_epi32(0x7fffffff);
    const __m256i least = _mm256_set1_epi32(MIN_NORMAL_BITS);
    const __m256i top = _mm256_set1_epi32(INF_BITS - 1);
    __m256i pos = _mm256_setzero_si256(), neg = pos;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const __m256i bits = _mm256_loadu_si256((const __m256i *)(x + i));
        const __m256i mag = _mm256_and_si256(bits, abs_bits);
        const __m256i small = _mm256_cmpgt_epi32(least, mag);
        if (__builtin_expect(mask_of(_mm256_cmpgt_epi32(mag, top)) != 0, 0)) {
            oct_hist_ref.scan(x + i, LANES, r);
            continue;
        }
        r->n_zero += (unsigned)__builtin_popcount(mask_of(small));
        const __m256i normal = _mm256_andnot_si256(small, mag);
        const __m256i sign = _mm256_srai_epi32(bits, 31);
        pos = _mm256_max_epi32(pos, _mm256_andnot_si256(sign, normal));
        neg = _mm256_max_epi32(neg, _mm256_and_si256(sign, normal));
    }
    oct_hist_ref.scan(x + i, n - i, r);
    const float p = max_lane(pos), m = max_lane(neg);
    r->pos_amax = p > r->pos_amax ? p : r->pos_amax;
    r->neg_amax = m > r->neg_amax ? m : r->neg_amax;
}

static inline size_t make_indices(const float *x, size_t n, const oct_hist_table *t, uint32_t *out)
{
    const __m256i abs_bits = _mm256_set1_epi32(0x7fffffff);
    const __m256i below = _mm256_set1_epi32(MIN_NORMAL_BITS - 1);
    const __m256i inf = _mm256_set1_epi32(INF_BITS);
    const __m256 pos_mul = _mm256_set1_ps(t->pos_mul), neg_mul = _mm256_set1_ps(t->neg_mul);
    const __m256i half = _mm256_set1_epi32(OCT_HIST_BINS);
    size_t k = 0;
    for (size_t i = 0; i < n; i += LANES) {
        const __m256i bits = _mm256_loadu_si256((const __m256i *)(x + i));
        const __m256i mag = _mm256_and_si256(bits, abs_bits);
        const __m256i sign = _mm256_srai_epi32(bits, 31);
        const unsigned normal =
            mask_of(_mm256_and_si256(_mm256_cmpgt_epi32(mag, below), _mm256_cmpgt_epi32(inf, mag)));
        const __m256 mul = _mm256_blendv_ps(pos_mul, neg_mul, _mm256_castsi256_ps(bits));
        __m256i bin = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(mag), mul));
        bin = _mm256_add_epi32(bin, _mm256_and_si256(sign, half));
        uint32_t lane[LANES];
        _mm256_storeu_si256((__m256i *)lane, bin);
        for (int j = 0; j < LANES; j++) {
            out[k] = lane[j];
            k += normal >> j & 1;
        }
    }
    return k;
}

static void count_avx2(const float *x, size_t n, const oct_hist_table *t)
{
    uint32_t index[BLOCK + LANES];
    const size_t n_whole = n - n % LANES;
    for (size_t i = 0; i < n_whole; i += BLOCK) {
        const size_t len = n_whole - i < BLOCK ? n_whole - i : BLOCK;
        const size_t n_index = make_indices(x + i, len, t, index);
        for (size_t k = 0; k < n_index; k++)
            t->bin[index[k]]++;
        for (size_t k = 0; t->coarse != NULL && k < n_index; k++)
            t->coarse[index[k] >> OCT_HIST_COARSE_SHIFT]++;
    }
    oct_hist_ref.count(x + n_whole, n - n_whole, t);
}

const oct_hist_kernel oct_hist_avx2 = {"avx2", scan_avx2, count_avx2};
