/* SPDX-License-Identifier: Apache-2.0
 *
 * AVX2 counting: bin numbers of a block go to a small buffer, then their counters are
 * incremented; blocks with zeros keep the normal values by a branch-free compaction.
 */
#include "kernels/hist.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/hist_sum_internal.h"

#define LANES 8
#define GROUPS (OCT_HIST_BLOCK / LANES)
#define MIN_NORMAL_BITS 0x00800000
#define INF_BITS 0x7f800000

typedef struct tally_state {
    __m256 pos_mul, neg_mul;
    __m256i pos_last, neg_last; /* bits of the largest magnitudes inside */
    __m256i pos, neg;           /* bits of the largest magnitudes so far */
    uint64_t n_normal;
    uint32_t index[OCT_HIST_BLOCK + LANES];
    uint8_t normal[GROUPS];
} tally_state;

static __m256i last_bits(int exp)
{
    return _mm256_set1_epi32((int)(((uint32_t)(15 + exp + 127) << 23) - 1));
}

static void begin(tally_state *s, const oct_hist_table *t)
{
    s->pos_mul = _mm256_set1_ps(ldexpf(1.0f, -t->pos_exp));
    s->neg_mul = _mm256_set1_ps(ldexpf(1.0f, -t->neg_exp));
    s->pos_last = last_bits(t->pos_exp);
    s->neg_last = last_bits(t->neg_exp);
    s->pos = s->neg = _mm256_setzero_si256();
    s->n_normal = 0;
}

static unsigned mask_of(__m256i v)
{
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(v));
}

/* Puts all bin numbers of a block into `index`; false if some value is outside or odd. */
static inline bool find_bins(tally_state *s, const float *x, unsigned *all)
{
    const __m256i abs_bits = _mm256_set1_epi32(0x7fffffff);
    const __m256i below = _mm256_set1_epi32(MIN_NORMAL_BITS - 1);
    const __m256i half = _mm256_set1_epi32(OCT_HIST_BINS);
    __m256i pos = s->pos, neg = s->neg;
    *all = 0xff;
    for (size_t g = 0; g < GROUPS; g++) {
        const __m256i bits = _mm256_loadu_si256((const __m256i *)(x + g * LANES));
        const __m256i mag = _mm256_and_si256(bits, abs_bits);
        const __m256i sign = _mm256_srai_epi32(bits, 31);
        pos = _mm256_max_epi32(pos, _mm256_andnot_si256(sign, mag));
        neg = _mm256_max_epi32(neg, _mm256_and_si256(sign, mag));
        s->normal[g] = (uint8_t)mask_of(_mm256_cmpgt_epi32(mag, below));
        *all &= s->normal[g];
        const __m256 mul = _mm256_blendv_ps(s->pos_mul, s->neg_mul, _mm256_castsi256_ps(bits));
        const __m256i bin = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_castsi256_ps(mag), mul));
        _mm256_storeu_si256((__m256i *)(s->index + g * LANES),
                            _mm256_add_epi32(bin, _mm256_and_si256(sign, half)));
    }
    const __m256i out =
        _mm256_or_si256(_mm256_cmpgt_epi32(pos, s->pos_last), _mm256_cmpgt_epi32(neg, s->neg_last));
    if (mask_of(out) != 0)
        return false;
    s->pos = pos;
    s->neg = neg;
    return true;
}

/* Moves the bin numbers of normal values to the front; returns how many. */
static size_t compact(tally_state *s)
{
    size_t k = 0;
    for (size_t i = 0; i < OCT_HIST_BLOCK; i++) {
        s->index[k] = s->index[i];
        k += (unsigned)s->normal[i / LANES] >> i % LANES & 1;
    }
    return k;
}

static float max_lane(__m256i v)
{
    int lane[LANES], best = 0;
    float out;
    _mm256_storeu_si256((__m256i *)lane, v);
    for (int i = 0; i < LANES; i++)
        best = lane[i] > best ? lane[i] : best;
    memcpy(&out, &best, sizeof out);
    return best >= MIN_NORMAL_BITS ? out : 0;
}

static size_t tally_avx2(const float *x, size_t n, const oct_hist_table *t, oct_hist_range *r)
{
    tally_state s;
    begin(&s, t);
    size_t i = 0;
    unsigned all;
    for (; n - i >= OCT_HIST_BLOCK && find_bins(&s, x + i, &all); i += OCT_HIST_BLOCK) {
        const size_t n_index = all == 0xff ? OCT_HIST_BLOCK : compact(&s);
        for (size_t k = 0; k < n_index; k++)
            t->bin[s.index[k]]++;
        s.n_normal += n_index;
    }
    const float p = max_lane(s.pos), m = max_lane(s.neg);
    r->pos_amax = p > r->pos_amax ? p : r->pos_amax;
    r->neg_amax = m > r->neg_amax ? m : r->neg_amax;
    r->n_zero += i - s.n_normal;
    return n - i < OCT_HIST_BLOCK ? i + oct_hist_ref.tally(x + i, n - i, t, r) : i;
}

static inline __m256i add_four(uint64_t *bin, __m128i v)
{
    const __m256i wide = _mm256_cvtepu32_epi64(v);
    __m256i *at = (__m256i *)(void *)bin;
    _mm256_store_si256(at, _mm256_add_epi64(wide, _mm256_load_si256(at)));
    return wide;
}

static void pour_avx2(uint32_t *from, size_t n, uint64_t *bin, uint64_t *coarse)
{
    for (size_t i = 0; i < n; i += 16) {
        __m256i *line = (__m256i *)(void *)(from + i);
        const __m256i a = _mm256_load_si256(line), b = _mm256_load_si256(line + 1);
        const __m256i any = _mm256_or_si256(a, b);
        if (_mm256_testz_si256(any, any))
            continue;
        __m256i sum = add_four(bin + i, _mm256_castsi256_si128(a));
        sum = _mm256_add_epi64(sum, add_four(bin + i + 4, _mm256_extracti128_si256(a, 1)));
        sum = _mm256_add_epi64(sum, add_four(bin + i + 8, _mm256_castsi256_si128(b)));
        sum = _mm256_add_epi64(sum, add_four(bin + i + 12, _mm256_extracti128_si256(b, 1)));
        _mm256_store_si256(line, _mm256_setzero_si256());
        _mm256_store_si256(line + 1, _mm256_setzero_si256());
        if (coarse == NULL)
            continue;
        uint64_t part[4];
        _mm256_storeu_si256((__m256i *)part, sum);
        coarse[i / 16] += part[0] + part[1] + part[2] + part[3];
    }
}

const oct_hist_kernel oct_hist_avx2 = {"avx2", tally_avx2, pour_avx2, sum_run, sum_columns};
