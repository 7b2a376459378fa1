/* SPDX-License-Identifier: Apache-2.0
 *
 * Depthwise convolution on 8-bit data with VNNI. Four taps of a channel make one lane of
 * vpdpbusd:
 *
 *     4 rows of 64 channels -> (interleave bytes, then words) -> 4 vectors of 16 lanes
 *
 * Interleaving works inside 128-bit blocks, so vector v holds channels 16 b + 4 v + i of block b,
 * i < 4; packing the results back undoes it. Weights and factors are stored in that order
 * (oct_dw_vnni_channel). s8 inputs are raised by 128, which `comp` takes off again.
 */
#include "kernels/cpu/depthwise_q8.h"

#include <string.h>

#include "kernels/cpu/requant_simd_internal.h"

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

/* One vector of sums -> values to round, clamped; returned as s32 with the zero point added. */
SIMD_INLINE vec round_lanes(const oct_dw_vnni *t, size_t at, vec sum)
{
    const oct_requant *rq = &t->out->rq;
    const float zero = (float)rq->out.zero_point;
    sum = _mm512_add_epi32(sum, _mm512_loadu_si512(t->comp + at));
    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(t->m + at),
                               _mm512_loadu_ps(t->b + at));
    v = _mm512_max_ps(v, _mm512_set1_ps((float)rq->lo - zero));
    v = _mm512_min_ps(v, _mm512_set1_ps((float)rq->hi - zero));
    return _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(rq->out.zero_point));
}

SIMD_INLINE void store_pixel(const oct_dw_vnni *t, const vec sum[4], size_t c, __mmask64 mask,
                             char *y)
{
    vec q[4];
    for (int v = 0; v < 4; v++)
        q[v] = round_lanes(t, c + 16 * (size_t)v, sum[v]);
    const vec lo = _mm512_packs_epi32(q[0], q[1]), hi = _mm512_packs_epi32(q[2], q[3]);
    const vec bytes =
        t->out->dtype == OCT_DT_S8 ? _mm512_packs_epi16(lo, hi) : _mm512_packus_epi16(lo, hi);
    _mm512_mask_storeu_epi8(y + c, mask, bytes);
}

SIMD_INLINE void block(const oct_dw_vnni *t, size_t p, size_t c, __mmask64 mask,
                       const bool x_signed)
{
    const void *const *x = t->x + p;
    const uint8_t *w = t->w + c * 4;
    vec sum[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                  _mm512_setzero_si512()};
    for (size_t tap = 0; tap < t->taps; tap += 4, w += t->padded_channels * 4) {
        vec row[4], lanes[4];
        for (size_t i = 0; i < 4; i++) {
            const size_t from = tap + i < t->taps ? tap + i : tap; /* its weights are 0 */
            const uint8_t *px = (const uint8_t *)x[from * OCT_Q8_DW_PIXELS] + c;
            row[i] = _mm512_maskz_loadu_epi8(mask, px);
            if (x_signed)
                row[i] = _mm512_xor_si512(row[i], _mm512_set1_epi8((char)0x80));
        }
        interleave(row, lanes);
        for (size_t v = 0; v < 4; v++)
            sum[v] = _mm512_dpbusd_epi32(sum[v], lanes[v], _mm512_loadu_si512(w + 64 * v));
    }
    store_pixel(t, sum, c, mask, t->place[p].out[0]);
}

void oct_dw_vnni_avx512(const oct_dw_vnni *t)
{
    for (size_t c = 0; c < t->channels; c += 64) {
        const size_t left = t->channels - c;
        const __mmask64 mask = left < 64 ? (1ull << left) - 1 : ~0ull;
        for (size_t p = 0; p < t->pixels; p++) {
            if (t->x_signed)
                block(t, p, c, mask, true);
            else
                block(t, p, c, mask, false);
        }
    }
}
