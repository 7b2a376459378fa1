/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of gemm_f32_portable.c, gemm_f32_avx2.c and gemm_f32_avx512.c. A tile keeps rows x 2
 * vectors of sums in registers: 12 x 2 of 32 registers (AVX-512), 6 x 2 of 16 (AVX2).
 */
#ifndef OCT_KERNELS_CPU_GEMM_F32_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_GEMM_F32_BODY_INTERNAL_H

#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/simd_internal.h"

#if VW == 16
#define MR 12
#elif VW == 8
#define MR 6
#else
#define MR 4
#endif
#if VW == 1
#define NV 4 /* vectors a row */
#else
#define NV 2
#endif

/* Stores one row segment of `nv` vectors: + residual, clamp. */
SIMD_INLINE void finish_row(const oct_gemm_tile *t, size_t r, const vf *acc, const size_t nv)
{
    float *c = t->c[r] + t->column;
    const float *residual = t->residual ? t->residual[r] + t->column : NULL;
    const size_t n = t->columns;
    for (size_t j = 0; j < nv && j * VW < n; j++) {
        const size_t k = n - j * VW < VW ? n - j * VW : VW;
        vf y = acc[j];
        if (residual)
            y = vf_add(y, vf_load_n(residual + j * VW, k));
        y = vf_min2(vf_set(t->hi), vf_max2(vf_set(t->lo), y));
        vf_store_n(c + j * VW, k, y);
    }
}

/* `rows` and `nv` are constants where this is inlined: the loops over them vanish. */
SIMD_INLINE void tile_sized(const oct_gemm_tile *t, const size_t rows, const size_t nv)
{
    vf acc[MR][NV];
    for (size_t j = 0; j < nv; j++) {
        const size_t left = t->columns > j * VW ? t->columns - j * VW : 0;
        const vf b = t->bias ? vf_load_n(t->bias + j * VW, left < VW ? left : VW) : vf_zero();
        for (size_t r = 0; r < rows; r++)
            acc[r][j] = b;
    }
    const float *b = t->b;
    for (size_t tap = 0; tap < t->taps; tap++) {
        const float *a[MR];
        for (size_t r = 0; r < rows; r++)
            a[r] = (const float *)t->a[tap * MR + r] + t->a_offset;
        for (size_t i = 0; i < t->k; i++, b += NV * VW) {
            vf bv[NV];
            for (size_t j = 0; j < nv; j++)
                bv[j] = vf_load(b + j * VW);
            for (size_t r = 0; r < rows; r++) {
                const vf x = vf_set(a[r][i]);
                for (size_t j = 0; j < nv; j++)
                    acc[r][j] = vf_fma(x, bv[j], acc[r][j]);
            }
        }
    }
    for (size_t r = 0; r < rows; r++)
        finish_row(t, r, acc[r], nv);
}

#define TILE_CASE(n)              \
    case n:                       \
        if (t->columns <= VW)     \
            tile_sized(t, n, 1);  \
        else                      \
            tile_sized(t, n, NV); \
        break;

static void gemm_tile(const oct_gemm_tile *t)
{
    switch (t->rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
#if MR >= 6
        TILE_CASE(5)
        TILE_CASE(6)
#endif
#if MR >= 12
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
    default:
        break;
    }
}

SIMD_INLINE void finish_pixel(const oct_dw_tile *t, size_t p, size_t c, size_t k, vf y)
{
    if (t->residual)
        y = vf_add(y, vf_load_n(t->residual[p] + c, k));
    y = vf_min2(vf_set(t->hi), vf_max2(vf_set(t->lo), y));
    vf_store_n(t->y[p] + c, k, y);
}

SIMD_INLINE void depthwise_block(const oct_dw_tile *t, size_t c, size_t k, const int full)
{
    vf acc[OCT_DW_PIXELS];
    const vf b = !t->bias ? vf_zero() : full ? vf_load(t->bias + c) : vf_load_n(t->bias + c, k);
    for (size_t p = 0; p < OCT_DW_PIXELS; p++)
        acc[p] = b;
    for (size_t tap = 0; tap < t->taps; tap++) {
        const float *w = t->w + tap * t->channels + c;
        const void *const *x = t->x + tap * OCT_DW_PIXELS;
        const vf wv = full ? vf_load(w) : vf_load_n(w, k);
        for (size_t p = 0; p < OCT_DW_PIXELS; p++) {
            const float *pixel = (const float *)x[p] + c;
            acc[p] = vf_fma(full ? vf_load(pixel) : vf_load_n(pixel, k), wv, acc[p]);
        }
    }
    for (size_t p = 0; p < t->pixels; p++)
        finish_pixel(t, p, c, k, acc[p]);
}

static void gemm_depthwise(const oct_dw_tile *t)
{
    size_t c = 0;
    for (; c + VW <= t->channels; c += VW)
        depthwise_block(t, c, VW, 1);
    if (c < t->channels)
        depthwise_block(t, c, t->channels - c, 0);
}

extern const oct_gemm_kernels SIMD_NAME(oct_gemm);
const oct_gemm_kernels SIMD_NAME(oct_gemm) = {MR, NV *VW, gemm_tile, gemm_depthwise};

#endif /* OCT_KERNELS_CPU_GEMM_F32_BODY_INTERNAL_H */
