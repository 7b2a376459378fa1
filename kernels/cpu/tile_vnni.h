/* SPDX-License-Identifier: Apache-2.0
 *
 * The VNNI tile under 8-bit convolutions and products: up to 14 output pixels by 32 (or 16) output
 * channels, sums in registers from the first tap to the rounded bytes.
 *
 *     weights   [tap][lane][16 * vectors] of 4 s8, lane = 4 bytes along the input
 *     input     row r, tap t reads 4 * lanes bytes at x[r] + delta[t]; s8 bytes are raised by 128
 *               on the way (`flip`), which `comp` takes off again
 *
 * Of 32 channels, vector v holds in lane 4 b + i channel {0, 16, 8, 24}[b] + 4 v + i: packing s32 to
 * s16 to bytes works inside 128-bit blocks, and this order comes out straight. Vectors of a
 * 16-channel panel hold them in order.
 */
#ifndef OCT_KERNELS_CPU_TILE_VNNI_H
#define OCT_KERNELS_CPU_TILE_VNNI_H

#include "kernels/cpu/gemm_q8.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_VNNI_ROWS 14
#define OCT_VNNI_PANEL 32

/* What is the same for all tiles of an op. */
typedef struct oct_vnni_finish {
    oct_act act;         /* what requant.h's form has left of it */
    float a, b;          /* its parameters */
    float scale, factor; /* the activated value is divided by `scale`, factor = 1 / scale; both 1
                            in the scaled form */
    bool bytes;          /* one 8-bit output, and no scaled sum leaves s32; else `other` serves */
    uint8_t flip;        /* 0x80 for u8 outputs: bytes are made as s8, then raised */
    int32_t zero;        /* zero point of the output, less 128 for u8 */
    int8_t lo, hi;       /* bounds, less 128 for u8 */
    uint8_t r_flip;      /* 0x80 for u8 residuals, read as s8 after it */
    float r, r_zero;     /* factor and zero point of the residual, less 128 for u8 */
    const oct_q8_finish *other;
} oct_vnni_finish;

typedef struct oct_vnni_tile {
    const oct_vnni_finish *finish;
    const uint8_t *const *x; /* [rows] */
    const ptrdiff_t *delta;  /* [taps] */
    size_t taps, lanes;      /* at least 1 */
    uint32_t flip;           /* 0x80 in every byte for s8 inputs, 0 for u8 */
    const uint32_t *w;       /* one panel */
    const int32_t *comp;     /* in lane order, 16 * vectors, as m and b; the rest is padding */
    const float *m, *b;
    char *y; /* channel 0 of the panel, first pixel; pixels are y_step bytes apart */
    ptrdiff_t y_step;
    const char *residual; /* NULL for none */
    ptrdiff_t residual_step;
    const oct_q8_place *place; /* [rows], for `other`: channel 0 of the pixel */
    size_t channel;            /* of the panel, for `other` */
    size_t rows, columns;      /* columns <= 16: a panel of one vector */
} oct_vnni_tile;

/* Channel within the panel that lane `lane` of a 32-channel panel belongs to. */
static inline size_t oct_vnni_channel(size_t lane)
{
    static const uint8_t block[4] = {0, 16, 8, 24};
    return block[lane % 16 / 4] + lane / 16 * 4 + lane % 4;
}

#if defined(OCT_X86)
void oct_vnni_tile_avx512(const oct_vnni_tile *t);
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_TILE_VNNI_H */
