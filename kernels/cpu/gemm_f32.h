/* SPDX-License-Identifier: Apache-2.0
 *
 * The f32 matrix kernels under our own convolutions and products, per instruction set.
 *
 * A row of the result is a sum over taps (1 for a matrix product, kernel positions for a
 * convolution); each tap contributes `k` consecutive values found through a pointer, so that
 * a convolution needs no im2col copy: padding points at a row of zeros. Weights are packed into
 * panels of `panel` columns:
 *
 *     panel p:  [tap][k][panel]     zero-padded in the last panel
 *
 * The sum runs over taps, then k, whatever the blocking: a value depends on its row and column
 * alone. Depthwise convolutions have kernels of their own.
 */
#ifndef OCT_KERNELS_CPU_GEMM_F32_H
#define OCT_KERNELS_CPU_GEMM_F32_H

#include <stddef.h>

#include "kernels/cpu/cpu_isa.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_GEMM_MAX_ROWS 12
#define OCT_GEMM_MAX_PANEL 32

typedef struct oct_gemm_tile {
    const void *const *a; /* f32 rows: [tap][rows of the kernel] */
    ptrdiff_t a_offset;   /* added to every pointer (group) */
    size_t taps, k;
    const float *b;               /* one panel */
    const float *bias;            /* of the panel's columns, or NULL */
    float *const *c;              /* row pointers */
    const float *const *residual; /* row pointers or NULL */
    size_t column;                /* offset of the panel's first column in c, residual */
    size_t rows, columns;
    float lo, hi; /* clamp; -inf, inf for none */
} oct_gemm_tile;

typedef struct oct_dw_tile {
    const void *const *x; /* f32 pixels: [tap][OCT_DW_PIXELS] */
    size_t taps, channels;
    const float *w; /* [tap][channels] */
    const float *bias;
    float *const *y;
    const float *const *residual;
    size_t pixels; /* 1 .. OCT_DW_PIXELS; unused pointers repeat a used one */
    float lo, hi;
} oct_dw_tile;

#define OCT_DW_PIXELS 4

typedef struct oct_gemm_kernels {
    size_t rows, panel; /* of a full tile */
    void (*tile)(const oct_gemm_tile *t);
    void (*depthwise)(const oct_dw_tile *t);
} oct_gemm_kernels;

const oct_gemm_kernels *oct_gemm_f32_get(oct_isa isa);

/* How a matrix b(tap, i, j), i < k, j < n, lies in memory before packing. */
typedef struct oct_gemm_source {
    const float *b;
    size_t taps, k, n;
    ptrdiff_t tap_step, k_step, n_step; /* elements */
    float scale;                        /* multiplied in */
} oct_gemm_source;

size_t oct_gemm_panels(const oct_gemm_kernels *g, size_t n);
/* Elements of the packed form of a [taps, k, n] matrix. */
size_t oct_gemm_packed_elems(const oct_gemm_kernels *g, size_t taps, size_t k, size_t n);
/* Packs panels [lo, hi); `dst` is where panel 0 goes. */
void oct_gemm_pack(const oct_gemm_kernels *g, const oct_gemm_source *s, size_t lo, size_t hi,
                   float *dst);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_GEMM_F32_H */
