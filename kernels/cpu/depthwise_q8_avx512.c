/* SPDX-License-Identifier: Apache-2.0
 *
 *     4 rows of 64 bytes -> (interleave bytes, then words) -> 4 vectors of 16 lanes
 */
#include "kernels/cpu/depthwise_q8.h"

#include "kernels/cpu/act_quick_internal.h"

#define MAX_GROUPS 3 /* whose weights stay in registers: 3x3 */

typedef __m512i vec;

SIMD_INLINE void interleave(const vec row[4], vec lanes[4])
{
    const vec lo01 = _mm512_unpacklo_epi8(row[0], row[1]);
    const vec hi01 = _mm512_unpackhi_epi8(row[0], row[1]);
    const vec lo23 = _mm512_unpacklo_epi8(row[2], row[3]);
    const vec hi23 = _mm512_unpackhi_epi8(row[2], row[3]);
    lanes[0] = _mm512_unpacklo_epi16(lo01, lo23);
    lanes[1] = _mm512_unpackhi_epi16(lo01, lo23);
    lanes[2] = _mm512_unpacklo_epi16(hi01, hi23);
    lanes[3] = _mm512_unpackhi_epi16(hi01, hi23);
}

typedef struct scaling {
    vec comp[4], zero, lo, hi, flip;
    __m512 m[4], b[4];
} scaling;

SIMD_INLINE scaling scaling_of(const oct_dw_row *t)
{
    scaling s;
    for (int v = 0; v < 4; v++) {
        s.comp[v] = _mm512_loadu_si512(t->comp + 16 * v);
        s.m[v] = _mm512_loadu_ps(t->m + 16 * v);
        s.b[v] = _mm512_loadu_ps(t->b + 16 * v);
    }
    s.zero = _mm512_set1_epi16((int16_t)t->zero);
    s.lo = _mm512_set1_epi8(t->lo);
    s.hi = _mm512_set1_epi8(t->hi);
    s.flip = _mm512_set1_epi8((char)t->flip);
    return s;
}

SIMD_INLINE void store(const oct_dw_row *t, const scaling *s, const oct_act act, const vec sum[4],
                       const bool tame, uint8_t *y, size_t left)
{
    vec q[4];
    for (int v = 0; v < 4; v++) {
        __m512 x = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[v]), s->m[v], s->b[v]);
        if (act != OCT_ACT_NONE)
            x = quick_divide(quick_act(act, t->a, t->b_act, x), _mm512_set1_ps(t->scale),
                             _mm512_set1_ps(t->factor));
        if (!tame) /* what converts to INT32_MIN from above is out of any bounds */
            x = _mm512_min_ps(x, _mm512_set1_ps(1e9f));
        q[v] = _mm512_cvtps_epi32(x);
    }
    const vec lo = _mm512_adds_epi16(_mm512_packs_epi32(q[0], q[1]), s->zero);
    const vec hi = _mm512_adds_epi16(_mm512_packs_epi32(q[2], q[3]), s->zero);
    vec bytes = _mm512_packs_epi16(lo, hi);
    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, s->lo), s->hi);
    bytes = _mm512_xor_si512(bytes, s->flip);
    if (left >= 64)
        _mm512_storeu_si512(y, bytes);
    else
        _mm512_mask_storeu_epi8(y, (1ull << left) - 1, bytes);
}

SIMD_INLINE void load_group(const oct_dw_row *t, size_t group, size_t at, vec lanes[4])
{
    vec row[4];
    for (size_t i = 0; i < 4; i++)
        row[i] = _mm512_loadu_si512(t->x[4 * group + i] + at);
    interleave(row, lanes);
}

/* Few groups: their weights stay in registers along the row. */
SIMD_INLINE void short_row(const oct_dw_row *t, const size_t groups, const bool pairs,
                           const oct_act act)
{
    const scaling s = scaling_of(t);
    const uint8_t *below = t->w + groups * 256;
    vec w[MAX_GROUPS][4];
    for (size_t g = 0; g < groups; g++)
        for (size_t v = 0; v < 4; v++)
            w[g][v] = _mm512_loadu_si512(t->w + 256 * g + 64 * v);
    for (size_t at = t->first; at < t->bytes; at += t->step) {
        vec sum[4] = {s.comp[0], s.comp[1], s.comp[2], s.comp[3]};
        vec next[4] = {s.comp[0], s.comp[1], s.comp[2], s.comp[3]};
        for (size_t g = 0; g < groups; g++) {
            vec lanes[4];
            load_group(t, g, at, lanes);
            for (size_t v = 0; v < 4; v++)
                sum[v] = _mm512_dpbusd_epi32(sum[v], lanes[v], w[g][v]);
            for (size_t v = 0; pairs && v < 4; v++)
                next[v] = _mm512_dpbusd_epi32(next[v], lanes[v],
                                              _mm512_loadu_si512(below + 256 * g + 64 * v));
        }
        store(t, &s, act, sum, true, t->y[0] + at, t->bytes - at);
        if (pairs)
            store(t, &s, act, next, true, t->y[1] + at, t->bytes - at);
    }
}

static void long_row(const oct_dw_row *t)
{
    const scaling s = scaling_of(t);
    const uint8_t *below = t->w + t->groups * 256;
    const bool second = t->y[1] != NULL;
    for (size_t at = t->first; at < t->bytes; at += t->step) {
        vec sum[4] = {s.comp[0], s.comp[1], s.comp[2], s.comp[3]};
        vec next[4] = {s.comp[0], s.comp[1], s.comp[2], s.comp[3]};
        for (size_t g = 0; g < t->groups; g++) {
            vec lanes[4];
            load_group(t, g, at, lanes);
            for (size_t v = 0; v < 4; v++)
                sum[v] = _mm512_dpbusd_epi32(sum[v], lanes[v],
                                             _mm512_loadu_si512(t->w + 256 * g + 64 * v));
            for (size_t v = 0; second && v < 4; v++)
                next[v] = _mm512_dpbusd_epi32(next[v], lanes[v],
                                              _mm512_loadu_si512(below + 256 * g + 64 * v));
        }
        store(t, &s, t->act, sum, t->tame, t->y[0] + at, t->bytes - at);
        if (second)
            store(t, &s, t->act, next, t->tame, t->y[1] + at, t->bytes - at);
    }
}

SIMD_INLINE void rows_of_three(const oct_dw_row *t, const oct_act act)
{
    if (t->y[1])
        short_row(t, 3, true, act);
    else
        short_row(t, 3, false, act);
}

void oct_dw_row_avx512(const oct_dw_row *t)
{
    if (t->groups != 3 || !t->tame)
        long_row(t);
    else if (t->act == OCT_ACT_NONE)
        rows_of_three(t, OCT_ACT_NONE);
    else if (t->act == OCT_ACT_SWISH)
        rows_of_three(t, OCT_ACT_SWISH);
    else if (t->act == OCT_ACT_HARD_SWISH)
        rows_of_three(t, OCT_ACT_HARD_SWISH);
    else
        long_row(t);
}

void oct_dw_copy_avx512(uint8_t *to, const uint8_t *from, size_t n, uint8_t flip)
{
    const vec f = _mm512_set1_epi8((char)flip);
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), f));
    if (i < n) {
        const __mmask64 mask = (1ull << (n - i)) - 1;
        const vec x = _mm512_maskz_loadu_epi8(mask, from + i);
        _mm512_mask_storeu_epi8(to + i, mask, _mm512_xor_si512(x, f));
    }
}
