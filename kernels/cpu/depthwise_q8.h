/* SPDX-License-Identifier: Apache-2.0
 *
 * The VNNI form of the 8-bit depthwise convolution (conv_q8_depthwise.c plans and runs it): one
 * 8-bit output, no residual.
 *
 * Four taps of a channel make one lane of vpdpbusd. In a padded copy of the input rows, where s8 is
 * already raised by 128, every tap of an output byte lies at one distance from it: pixels and
 * channels of a row are one run of bytes, taken 64 at a time whatever the number of channels.
 * Weights and factors of these 64 repeat after `period` vectors.
 */
#ifndef OCT_KERNELS_CPU_DEPTHWISE_Q8_H
#define OCT_KERNELS_CPU_DEPTHWISE_Q8_H

#include "kernels/cpu/gemm_q8.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A row of output bytes, or with vertical stride 1 two of them from the same interleaved inputs:
 * the taps of a lane lie below each other, and the second row's weights one further down. */
typedef struct oct_dw_row {
    const uint8_t *const *x; /* [groups][4]: tap of byte 0 */
    size_t groups;
    size_t first, step, bytes; /* vectors at first, first + step, ... below `bytes` */
    const uint8_t *w;          /* [row][groups][4 vectors][64] s8, for this place in the period */
    const int32_t *comp;       /* [4 vectors][16], as m and b */
    const float *m, *b;
    uint8_t *y[2];                 /* y[1] NULL: one row */
    bool pairs;                    /* w holds both rows' weights */
    oct_act act;                   /* what requant.h's form has left of it */
    float a, b_act, scale, factor; /* as in tile_vnni.h */
    bool tame;                     /* scaled sums stay far inside s32 */
    uint8_t flip; /* 0x80 for u8 outputs, made as s8; zero, lo and hi are less 128 then */
    int8_t lo, hi;
    int32_t zero;
} oct_dw_row;

/* Byte of a block of 64 that lane `lane` (of 4 vectors of 16) belongs to: interleaving works inside
 * 128-bit blocks, and packing the results back undoes it. */
static inline size_t oct_dw_byte(size_t lane)
{
    const size_t vector = lane / 16, within = lane % 16;
    return within / 4 * 16 + vector * 4 + within % 4;
}

#if defined(OCT_X86)
void oct_dw_row_avx512(const oct_dw_row *t);
/* to[i] = from[i] ^ flip */
void oct_dw_copy_avx512(uint8_t *to, const uint8_t *from, size_t n, uint8_t flip);
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_DEPTHWISE_Q8_H */
