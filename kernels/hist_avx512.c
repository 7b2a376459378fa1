/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX-512 counting. Eight vectors of bin numbers go to a small buffer as 16-bit integers,
 * then their 128 counters are incremented; the processor overlaps the two. Vectors that hold
 * zeros (most of a rectified tensor) are compressed into a second buffer first, so that zeros
 * cost nothing and never pile up on one counter. Measured on one Zen 4 core with ResNet-50's
 * activations: 0.43 ns a value, against 0.5 for the increments alone when bins come in order.
 */
#include "kernels/hist.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/hist_sum_internal.h"

#define LANES 16
#define SPARSE 1024 /* bin numbers kept from vectors with zeros */
#define MIN_NORMAL_BITS 0x00800000
#define INF_BITS 0x7f800000

/* Constants of one table, and what was met so far. */
typedef struct tally_state {
    __m512 pos_mul, neg_mul;
    __m512i pos_end, neg_end; /* bits of the least values outside */
    __m512i pos, neg;         /* bits of the largest; negative values as unsigned integers */
    uint32_t *bin;
    size_t n_sparse;
    uint64_t n_normal;
    uint16_t dense[OCT_HIST_BLOCK], sparse[SPARSE + LANES];
} tally_state;

static __m512i end_bits(int exp, uint32_t sign)
{
    /* 2^(15 + exp), at most infinity; the exponent of a float is biased by 127 */
    return _mm512_set1_epi32((int)(((uint32_t)(15 + exp + 127) << 23) | sign));
}

static void begin(tally_state *s, const oct_hist_table *t)
{
    s->pos_mul = _mm512_set1_ps(ldexpf(1.0f, -t->pos_exp));
    s->neg_mul = _mm512_set1_ps(ldexpf(1.0f, -t->neg_exp));
    s->pos_end = end_bits(t->pos_exp, 0);
    s->neg_end = end_bits(t->neg_exp, 0x80000000u);
    s->pos = s->neg = _mm512_setzero_si512();
    s->bin = t->bin;
    s->n_sparse = 0;
    s->n_normal = 0;
}

/* Four bin numbers a load: 8 % faster than one (measured, Zen 4). Counters of 16 bits, which would
 * stay in the first-level cache, are slower: 16-bit sums and a look at the carry. */
static inline void increment(uint32_t *restrict bin, const uint16_t *restrict index, size_t n)
{
    const size_t whole = n & ~(size_t)3;
    for (size_t k = 0; k < whole; k += 4) {
        uint64_t four;
        memcpy(&four, index + k, sizeof four);
        bin[(uint16_t)four]++;
        bin[(uint16_t)(four >> 16)]++;
        bin[(uint16_t)(four >> 32)]++;
        bin[four >> 48]++;
    }
    for (size_t k = whole; k < n; k++)
        bin[index[k]]++;
}

static inline void drain_sparse(tally_state *s)
{
    increment(s->bin, s->sparse, s->n_sparse);
    s->n_sparse = 0;
}

static inline __m256i bins_of(const tally_state *s, __m512i bits, __m512i mag)
{
    const __mmask16 sign = _mm512_movepi32_mask(bits);
    const __m512 mul = _mm512_mask_blend_ps(sign, s->pos_mul, s->neg_mul);
    const __m512i bin = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(mag), mul));
    return _mm512_cvtepi32_epi16(
        _mm512_mask_add_epi32(bin, sign, bin, _mm512_set1_epi32(OCT_HIST_BINS)));
}

/* `mag` of a normal value. */
static inline __mmask16 normal_lanes(__m512i mag)
{
    const __m512i least = _mm512_set1_epi32(MIN_NORMAL_BITS);
    const __m512i span = _mm512_set1_epi32(INF_BITS - MIN_NORMAL_BITS);
    return _mm512_cmplt_epu32_mask(_mm512_sub_epi32(mag, least), span);
}

/* Compresses the bins of normal lanes into `sparse`. */
static inline void keep_some(tally_state *s, __m256i bin, __mmask16 normal)
{
    const __m512i wide = _mm512_maskz_compress_epi32(normal, _mm512_cvtepu16_epi32(bin));
    _mm256_storeu_si256((__m256i *)(s->sparse + s->n_sparse), _mm512_cvtepi32_epi16(wide));
    s->n_sparse += (unsigned)__builtin_popcount(normal);
    s->n_normal += (unsigned)__builtin_popcount(normal);
    if (s->n_sparse >= SPARSE)
        drain_sparse(s);
}

/* Whether the largest magnitudes so far, with these two, are inside the table. Odd values are
 * not: their bits are beyond every end. */
static inline bool all_inside(tally_state *s, __m512i pos, __m512i neg)
{
    if ((_mm512_cmpge_epi32_mask(pos, s->pos_end) | _mm512_cmpge_epu32_mask(neg, s->neg_end)) != 0)
        return false;
    s->pos = pos;
    s->neg = neg;
    return true;
}

/* One whole block; false without having counted anything. */
static inline bool tally_block(tally_state *s, const float *x)
{
    const __m512i abs_bits = _mm512_set1_epi32(0x7fffffff);
    __m512i pos = s->pos, neg = s->neg;
    unsigned all = 0xffff;
    for (size_t i = 0; i < OCT_HIST_BLOCK; i += LANES) {
        const __m512i bits = _mm512_loadu_si512(x + i);
        const __m512i mag = _mm512_and_si512(bits, abs_bits);
        pos = _mm512_max_epi32(pos, bits);
        neg = _mm512_max_epu32(neg, bits);
        all &= normal_lanes(mag);
        _mm256_storeu_si256((__m256i *)(s->dense + i), bins_of(s, bits, mag));
    }
    if (!all_inside(s, pos, neg))
        return false;
    if (all == 0xffff) {
        increment(s->bin, s->dense, OCT_HIST_BLOCK);
        s->n_normal += OCT_HIST_BLOCK;
        return true;
    }
    for (size_t i = 0; i < OCT_HIST_BLOCK; i += LANES) {
        const __m512i mag = _mm512_and_si512(_mm512_loadu_si512(x + i), abs_bits);
        keep_some(s, _mm256_loadu_si256((const __m256i *)(s->dense + i)), normal_lanes(mag));
    }
    return true;
}

static float magnitude(uint32_t bits)
{
    float v;
    bits &= 0x7fffffffu;
    memcpy(&v, &bits, sizeof v);
    return bits >= MIN_NORMAL_BITS ? v : 0;
}

static void finish(tally_state *s, size_t n, oct_hist_range *r)
{
    drain_sparse(s);
    const float p = magnitude((uint32_t)_mm512_reduce_max_epi32(s->pos));
    const uint32_t neg = (uint32_t)_mm512_reduce_max_epu32(s->neg);
    const float m = neg >> 31 != 0 ? magnitude(neg) : 0; /* else there was none */
    r->pos_amax = p > r->pos_amax ? p : r->pos_amax;
    r->neg_amax = m > r->neg_amax ? m : r->neg_amax;
    r->n_zero += n - s->n_normal;
}

static size_t tally_avx512(const float *x, size_t n, const oct_hist_table *t, oct_hist_range *r)
{
    tally_state s;
    begin(&s, t);
    size_t i = 0;
    while (n - i >= OCT_HIST_BLOCK && tally_block(&s, x + i))
        i += OCT_HIST_BLOCK;
    finish(&s, i, r);
    return n - i < OCT_HIST_BLOCK ? i + oct_hist_ref.tally(x + i, n - i, t, r) : i;
}

static void pour_avx512(uint32_t *from, size_t n, uint64_t *bin, uint64_t *coarse)
{
    for (size_t i = 0; i < n; i += LANES) {
        const __m512i v = _mm512_load_si512(from + i);
        if (_mm512_test_epi32_mask(v, v) == 0)
            continue;
        const __m512i lo = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(v));
        const __m512i hi = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(v, 1));
        _mm512_store_si512(bin + i, _mm512_add_epi64(lo, _mm512_load_si512(bin + i)));
        _mm512_store_si512(bin + i + 8, _mm512_add_epi64(hi, _mm512_load_si512(bin + i + 8)));
        _mm512_store_si512(from + i, _mm512_setzero_si512());
        if (coarse != NULL)
            coarse[i / LANES] += (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(lo, hi));
    }
}

const oct_hist_kernel oct_hist_avx512 = {"avx512", tally_avx512, pour_avx512, sum_run, sum_columns};
