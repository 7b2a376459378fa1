/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/tile_vnni.h"

#include "kernels/cpu/act_quick_internal.h"

/* Sums are vectors of s32 by type too: gcc 12 copies __m512i accumulators on every use. */
typedef int32_t vsum __attribute__((vector_size(64)));

#define DOT(acc, x, w) ((vsum)_mm512_dpbusd_epi32((vi)(acc), x, w))

/* ---- from sums to bytes --------------------------------------------------------------------- */

typedef struct scaling {
    vf m[2], b[2], r, r_zero;
    vi zero; /* s16 */
    __m256i lo, hi, flip, r_flip;
    __mmask32 mask;
    bool whole;
} scaling;

SIMD_INLINE scaling scaling_of(const oct_vnni_tile *t, const int vectors)
{
    const oct_vnni_finish *f = t->finish;
    scaling s;
    for (int v = 0; v < vectors; v++) {
        s.m[v] = _mm512_loadu_ps(t->m + 16 * v);
        s.b[v] = _mm512_loadu_ps(t->b + 16 * v);
    }
    s.r = vf_set(f->r);
    s.r_zero = vf_set(f->r_zero);
    s.zero = vectors == 2 ? _mm512_set1_epi16((int16_t)f->zero) : _mm512_set1_epi32(f->zero);
    s.lo = _mm256_set1_epi8(f->lo);
    s.hi = _mm256_set1_epi8(f->hi);
    s.flip = _mm256_set1_epi8((char)f->flip);
    s.r_flip = _mm256_set1_epi8((char)f->r_flip);
    s.whole = t->columns == (size_t)(16 * vectors);
    s.mask = t->columns < 32 ? (1u << t->columns) - 1u : ~0u;
    return s;
}

/* The residual of 32 (16) channels as f32 in lane order, less its zero point. */
SIMD_INLINE void residual_of(const scaling *s, const char *p, vf out[2], const int vectors)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
    __m256i x = _mm256_xor_si256(_mm256_maskz_loadu_epi8(s->mask, p), s->r_flip);
    if (vectors == 2)
        x = _mm256_permutevar8x32_epi32(x, order);
    out[0] = vf_sub(vi_to_f32(_mm512_cvtepi8_epi32(_mm256_castsi256_si128(x))), s->r_zero);
    if (vectors == 2)
        out[1] = vf_sub(vi_to_f32(_mm512_cvtepi8_epi32(_mm256_extracti128_si256(x, 1))), s->r_zero);
}

SIMD_INLINE vf activate(const oct_vnni_finish *f, vf v)
{
    return quick_divide(quick_act(f->act, f->a, f->b, v), vf_set(f->scale), vf_set(f->factor));
}

/* `f`: with an activation, else NULL. */
SIMD_INLINE void store_row(const scaling *s, const oct_vnni_finish *f, char *y,
                           const char *residual, vi left, vi right, const int vectors)
{
    vf v[2] = {_mm512_fmadd_ps(vi_to_f32(left), s->m[0], s->b[0]), vf_zero()};
    if (vectors == 2)
        v[1] = _mm512_fmadd_ps(vi_to_f32(right), s->m[1], s->b[1]);
    if (residual) {
        vf res[2];
        residual_of(s, residual, res, vectors);
        v[0] = _mm512_fmadd_ps(res[0], s->r, v[0]);
        if (vectors == 2)
            v[1] = _mm512_fmadd_ps(res[1], s->r, v[1]);
    }
    if (f) {
        v[0] = activate(f, v[0]);
        if (vectors == 2)
            v[1] = activate(f, v[1]);
    }
    __m256i q;
    if (vectors == 2) {
        const vi w = _mm512_packs_epi32(vf_to_s32(v[0]), vf_to_s32(v[1]));
        const vi z = _mm512_adds_epi16(w, s->zero);
        q = _mm256_packs_epi16(_mm512_castsi512_si256(z), _mm512_extracti64x4_epi64(z, 1));
    } else {
        const vi z = _mm512_add_epi32(vf_to_s32(v[0]), s->zero);
        q = _mm256_castsi128_si256(_mm512_cvtsepi32_epi8(z));
    }
    q = _mm256_min_epi8(_mm256_max_epi8(q, s->lo), s->hi);
    q = _mm256_xor_si256(q, s->flip);
    if (!s->whole)
        _mm256_mask_storeu_epi8(y, s->mask, q);
    else if (vectors == 2)
        _mm256_storeu_si256((__m256i *)(void *)y, q);
    else
        _mm_storeu_si128((__m128i *)(void *)y, _mm256_castsi256_si128(q));
}

SIMD_INLINE void store_rows(const oct_vnni_tile *t, const int32_t *sums, const oct_vnni_finish *f,
                            const bool residual, const int vectors)
{
    const scaling s = scaling_of(t, vectors);
    char *y = t->y;
    const char *res = t->residual;
    for (size_t r = 0; r < t->rows; r++, y += t->y_step) {
        const vi *row = (const vi *)(const void *)(sums + r * 16 * (size_t)vectors);
        store_row(&s, f, y, residual ? res : NULL, row[0], row[vectors - 1], vectors);
        if (residual)
            res += t->residual_step;
    }
}

static void store_activated(const oct_vnni_tile *t, const int32_t *sums, size_t vectors)
{
    if (vectors == 2)
        store_rows(t, sums, t->finish, t->residual != NULL, 2);
    else
        store_rows(t, sums, t->finish, t->residual != NULL, 1);
}

/* Sums of a row back in the order of the channels. */
static void unpermute(const int32_t *lanes, int32_t *out)
{
    for (size_t i = 0; i < 32; i++)
        out[oct_vnni_channel(i)] = lanes[i];
}

static void store_other(const oct_vnni_tile *t, const int32_t *sums, size_t vectors)
{
    int32_t ordered[OCT_VNNI_ROWS * 32];
    for (size_t r = 0; r < t->rows; r++) {
        if (vectors == 2)
            unpermute(sums + 32 * r, ordered + 32 * r);
        else
            memcpy(ordered + 32 * r, sums + 16 * r, 16 * sizeof *sums);
    }
    for (size_t c = 0; c < t->columns; c += VW) {
        const size_t n = t->columns - c < VW ? t->columns - c : VW;
        finish_column(t->finish->other, t->place, t->rows, t->channel + c, n, ordered + c, 32);
    }
}

SIMD_INLINE void finish(const oct_vnni_tile *t, const int32_t *sums, const int vectors)
{
    if (!t->finish->bytes)
        store_other(t, sums, (size_t)vectors);
    else if (t->finish->act != OCT_ACT_NONE)
        store_activated(t, sums, (size_t)vectors);
    else if (t->residual)
        store_rows(t, sums, NULL, true, vectors);
    else
        store_rows(t, sums, NULL, false, vectors);
}

/* Apart, and through memory: sums that are live across this code would not stay in registers. */
static __attribute__((noinline)) void finish_2(const oct_vnni_tile *t, const int32_t *sums)
{
    finish(t, sums, 2);
}

static __attribute__((noinline)) void finish_1(const oct_vnni_tile *t, const int32_t *sums)
{
    finish(t, sums, 1);
}

/* ---- sums ----------------------------------------------------------------------------------- */

SIMD_INLINE vi lane_of(const uint8_t *p, vi flip)
{
    int32_t lane;
    memcpy(&lane, p, sizeof lane);
    return _mm512_xor_si512(vi_set(lane), flip);
}

/* Sums have names, not indices: gcc 12 keeps an array of them in memory. */
#define ROWS_1(F) F(0)
#define ROWS_2(F) ROWS_1(F) F(1)
#define ROWS_3(F) ROWS_2(F) F(2)
#define ROWS_4(F) ROWS_3(F) F(3)
#define ROWS_5(F) ROWS_4(F) F(4)
#define ROWS_6(F) ROWS_5(F) F(5)
#define ROWS_7(F) ROWS_6(F) F(6)
#define ROWS_8(F) ROWS_7(F) F(7)
#define ROWS_9(F) ROWS_8(F) F(8)
#define ROWS_10(F) ROWS_9(F) F(9)
#define ROWS_11(F) ROWS_10(F) F(10)
#define ROWS_12(F) ROWS_11(F) F(11)
#define ROWS_13(F) ROWS_12(F) F(12)
#define ROWS_14(F) ROWS_13(F) F(13)

#define POINT(r) const uint8_t *x##r = t->x[r];
#define BEGIN_2(r) vsum left##r = first0, right##r = first1;
#define STEP_2(r)                             \
    {                                         \
        const vi x = lane_of(x##r + i, flip); \
        left##r = DOT(left##r, x, w0);        \
        right##r = DOT(right##r, x, w1);      \
    }
#define END_2(r)                                                \
    _mm512_store_si512((void *)(sums + 32 * (r)), (vi)left##r); \
    _mm512_store_si512((void *)(sums + 32 * (r) + 16), (vi)right##r);
#define BEGIN_1(r) vsum left##r = first0;
#define STEP_1(r) left##r = DOT(left##r, lane_of(x##r + i, flip), w0);
#define END_1(r) _mm512_store_si512((void *)(sums + 16 * (r)), (vi)left##r);

/* taps and lanes are at least 1: no path around the loops, so sums stay where they are. */
#define TILE_2(n)                                                   \
    static void tile_2_##n(const oct_vnni_tile *t)                  \
    {                                                               \
        _Alignas(64) int32_t sums[n * 32];                          \
        const vi flip = vi_set((int32_t)t->flip);                   \
        const vsum first0 = (vsum)_mm512_loadu_si512(t->comp);      \
        const vsum first1 = (vsum)_mm512_loadu_si512(t->comp + 16); \
        const uint32_t *w = t->w;                                   \
        const ptrdiff_t *delta = t->delta, *end = delta + t->taps;  \
        ROWS_##n(POINT) ROWS_##n(BEGIN_2) do                        \
        {                                                           \
            ptrdiff_t i = *delta;                                   \
            const uint32_t *stop = w + 32 * t->lanes;               \
            do {                                                    \
                const vi w0 = _mm512_loadu_si512(w);                \
                const vi w1 = _mm512_loadu_si512(w + 16);           \
                ROWS_##n(STEP_2) w += 32;                           \
                i += 4;                                             \
            } while (w != stop);                                    \
        }                                                           \
        while (++delta != end)                                      \
            ;                                                       \
        ROWS_##n(END_2) finish_2(t, sums);                          \
    }
#define TILE_1(n)                                                  \
    static void tile_1_##n(const oct_vnni_tile *t)                 \
    {                                                              \
        _Alignas(64) int32_t sums[n * 16];                         \
        const vi flip = vi_set((int32_t)t->flip);                  \
        const vsum first0 = (vsum)_mm512_loadu_si512(t->comp);     \
        const uint32_t *w = t->w;                                  \
        const ptrdiff_t *delta = t->delta, *end = delta + t->taps; \
        ROWS_##n(POINT) ROWS_##n(BEGIN_1) do                       \
        {                                                          \
            ptrdiff_t i = *delta;                                  \
            const uint32_t *stop = w + 16 * t->lanes;              \
            do {                                                   \
                const vi w0 = _mm512_loadu_si512(w);               \
                ROWS_##n(STEP_1) w += 16;                          \
                i += 4;                                            \
            } while (w != stop);                                   \
        }                                                          \
        while (++delta != end)                                     \
            ;                                                      \
        ROWS_##n(END_1) finish_1(t, sums);                         \
    }

#define SIZES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
SIZES(TILE_1)
SIZES(TILE_2)

void oct_vnni_tile_avx512(const oct_vnni_tile *t)
{
#define ENTRY_1(n) [n] = tile_1_##n,
#define ENTRY_2(n) [n] = tile_2_##n,
    static void (*const one[])(const oct_vnni_tile *) = {SIZES(ENTRY_1)};
    static void (*const two[])(const oct_vnni_tile *) = {SIZES(ENTRY_2)};
    (t->columns <= 16 ? one : two)[t->rows](t);
}
