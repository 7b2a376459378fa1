/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of gemm_q8_portable.c, gemm_q8_avx2.c and gemm_q8_avx512.c.
 */
#ifndef OCT_KERNELS_CPU_GEMM_Q8_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_GEMM_Q8_BODY_INTERNAL_H

#include "kernels/cpu/requant_simd_internal.h"

#if VW == 16
#define QR 12
#elif VW == 8
#define QR 6
#else
#define QR 4
#endif
#define QV 2 /* vectors a row */

/* Sums are vectors of s32 by type too: gcc 12 copies __m512i accumulators on every use. */
#if VW == 1
typedef vi vsum;
#else
typedef int32_t vsum __attribute__((vector_size(4 * VW)));
#endif

SIMD_INLINE vi broadcast_lane(const uint8_t *p)
{
    int32_t lane;
    memcpy(&lane, p, sizeof lane);
    return vi_set(lane);
}

#if defined(__AVX512VNNI__)
#define DOT_U8S8(acc, a, b) ((vsum)_mm512_dpbusd_epi32((vi)(acc), a, b))
#define DOT_S8U8(acc, a, b) ((vsum)_mm512_dpbusd_epi32((vi)(acc), b, a))
#endif
#if defined(__AVX512VNNI__)
#define MADD16(acc, a, b) _mm512_dpwssd_epi32(acc, a, b)
#else
#define MADD16(acc, a, b) vi_add(acc, vi_madd16(a, b))
#endif
#define DOT_S16(acc, a, b) ((vsum)vi_add((vi)(acc), vi_madd16(a, b)))

/* Apart, and through memory: sums that are live across this code would not stay in registers. */
static __attribute__((noinline)) void finish_tile(const oct_q8_tile *t, const int32_t *sums)
{
    for (size_t j = 0; j < QV && j * VW < t->columns; j++) {
        const size_t left = t->columns - j * VW, c = t->channel + j * VW;
        const int32_t *first = sums + j * VW;
        if (left >= VW)
            finish_column(t->finish, t->place, t->rows, c, VW, first, QV * VW);
        else
            finish_column(t->finish, t->place, t->rows, c, left, first, QV * VW);
    }
}

/* Sums have names, not indices: gcc 12 keeps an array of them in memory. */
#define ROWS_1(F) F(0)
#define ROWS_2(F) ROWS_1(F) F(1)
#define ROWS_3(F) ROWS_2(F) F(2)
#define ROWS_4(F) ROWS_3(F) F(3)
#define ROWS_6(F) ROWS_4(F) F(4) F(5)
#define ROWS_8(F) ROWS_6(F) F(6) F(7)
#define ROWS_12(F) ROWS_8(F) F(8) F(9) F(10) F(11)

#define BEGIN(r) vsum left##r = (vsum)vi_set(0), right##r = (vsum)vi_set(0);
#define POINT(r) const uint8_t *row##r = (const uint8_t *)t->a[tap * QR + r] + t->a_offset;
#define STEP(r)                                      \
    {                                                \
        const vi x = broadcast_lane(row##r + 4 * i); \
        left##r = DOT(left##r, x, b0);               \
        right##r = DOT(right##r, x, b1);             \
    }
#define END(r)                                       \
    vi_store_n(sums + r * QV * VW, VW, (vi)left##r); \
    vi_store_n(sums + r * QV * VW + VW, VW, (vi)right##r);

/* taps and lanes are at least 1: no path around the loops, so sums stay where they are. */
#define TILE_OF(name, n)                                              \
    static void name##_##n(const oct_q8_tile *t)                      \
    {                                                                 \
        int32_t sums[n * QV * VW];                                    \
        const uint32_t *b = t->b;                                     \
        size_t tap = 0;                                               \
        ROWS_##n(BEGIN) do                                            \
        {                                                             \
            ROWS_##n(POINT) size_t i = 0;                             \
            do {                                                      \
                const vi b0 = vi_load_n((const int32_t *)b, VW);      \
                const vi b1 = vi_load_n((const int32_t *)b + VW, VW); \
                b += QV * VW;                                         \
                ROWS_##n(STEP)                                        \
            } while (++i < t->lanes);                                 \
        }                                                             \
        while (++tap < t->taps)                                       \
            ;                                                         \
        ROWS_##n(END) finish_tile(t, sums);                           \
    }

#if VW == 16
#define SIZES(X, name) X(name, 1) X(name, 2) X(name, 3) X(name, 4) X(name, 6) X(name, 8) X(name, 12)
#elif VW == 8
#define SIZES(X, name) X(name, 1) X(name, 2) X(name, 3) X(name, 4) X(name, 6)
#else
#define SIZES(X, name) X(name, 1) X(name, 2) X(name, 3) X(name, 4)
#endif

#define TILE_CASE(name, n) \
    case n:                \
        name##_##n(t);     \
        break;

/* Row counts without a kernel of their own run as two tiles. */
#define TILE(name)                         \
    SIZES(TILE_OF, name)                   \
    static void name(const oct_q8_tile *t) \
    {                                      \
        switch (t->rows) {                 \
            SIZES(TILE_CASE, name)         \
        default:                           \
            tile_in_two(t, name);          \
        }                                  \
    }

static void tile_in_two(const oct_q8_tile *t, void (*tile)(const oct_q8_tile *t))
{
    static const size_t sizes[] = {8, 6, 4};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] >= t->rows || sizes[i] > QR)
            continue;
        oct_q8_tile first = *t, second = *t;
        first.rows = sizes[i];
        second.rows = t->rows - sizes[i];
        second.place += sizes[i];
        second.a += sizes[i];
        tile(&first);
        tile(&second);
        return;
    }
}

#if defined(__AVX512VNNI__)
#define DOT DOT_U8S8
TILE(tile_u8s8)
#undef DOT
#define DOT DOT_S8U8
TILE(tile_s8u8)
#undef DOT
#endif
#define DOT DOT_S16
TILE(tile_s16)
#undef DOT

SIMD_INLINE void depthwise_block(const oct_q8_dw_tile *t, size_t c, size_t n, const int is_signed)
{
    vi acc[OCT_Q8_DW_PIXELS];
    for (size_t p = 0; p < OCT_Q8_DW_PIXELS; p++)
        acc[p] = vi_set(0);
    for (size_t tap = 0; tap < t->taps; tap++) {
        const void *const *x = t->x + tap * OCT_Q8_DW_PIXELS;
        const vi w = vi_load_n(t->w + tap * t->channels + c, n);
        for (size_t p = 0; p < OCT_Q8_DW_PIXELS; p++) {
            const uint8_t *pixel = (const uint8_t *)x[p] + c;
            const vi v = is_signed ? vi_load_s8(pixel, n) : vi_load_u8(pixel, n);
            acc[p] = MADD16(acc[p], v, w);
        }
    }
    int32_t sums[OCT_Q8_DW_PIXELS * VW];
    for (size_t p = 0; p < OCT_Q8_DW_PIXELS; p++)
        vi_store_n(sums + p * VW, VW, acc[p]);
    finish_column(t->finish, t->place, t->pixels, c, n, sums, VW);
}

static void depthwise(const oct_q8_dw_tile *t)
{
    for (size_t c = 0; c < t->channels; c += VW) {
        const size_t left = t->channels - c, n = left < VW ? left : VW;
        if (n == VW && t->x_signed)
            depthwise_block(t, c, VW, 1);
        else if (n == VW)
            depthwise_block(t, c, VW, 0);
        else
            depthwise_block(t, c, n, t->x_signed);
    }
}

#if defined(__AVX512VNNI__)
static int32_t sum_s8(const void *x, size_t n)
{
    const int8_t *p = x;
    const vi ones = _mm512_set1_epi8(1);
    vi s = vi_set(0);
    for (; n >= 64; n -= 64, p += 64)
        s = _mm512_dpbusd_epi32(s, ones, _mm512_loadu_si512(p));
    if (n > 0)
        s = _mm512_dpbusd_epi32(s, ones, _mm512_maskz_loadu_epi8((1ull << n) - 1, p));
    return _mm512_reduce_add_epi32(s);
}
#else
static int32_t sum_s8(const void *x, size_t n)
{
    const int8_t *p = x;
    int32_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += p[i];
    return total;
}
#endif

extern const oct_q8_kernels SIMD_NAME(oct_q8);
const oct_q8_kernels SIMD_NAME(oct_q8) = {QR, QV *VW, {[OCT_Q8_S16] = tile_s16}, depthwise, sum_s8};
#if defined(__AVX512VNNI__)
extern const oct_q8_kernels oct_q8_avx512_vnni;
const oct_q8_kernels oct_q8_avx512_vnni = {
    QR,
    QV *VW,
    {[OCT_Q8_U8S8] = tile_u8s8, [OCT_Q8_S8U8] = tile_s8u8, [OCT_Q8_S16] = tile_s16},
    depthwise,
    sum_s8};
#endif

#endif /* OCT_KERNELS_CPU_GEMM_Q8_BODY_INTERNAL_H */
