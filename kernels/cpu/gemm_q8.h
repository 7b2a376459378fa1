/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix kernels on 8-bit data with exact s32 sums, per instruction set. Rows and panels are as
 * in gemm_f32.h; operands come in lanes of 4 bytes along k:
 *
 *     OCT_Q8_U8S8   4 x u8 of a row times 4 x s8 of a weight   (vpdpbusd)
 *     OCT_Q8_S8U8   4 x s8 of a row times 4 x u8: the weight plus 128; the caller takes
 *                   128 * (sum of the row) off again           (vpdpbusd)
 *     OCT_Q8_S16    2 x s16 of a row times 2 x s16             (vpmaddwd; no VNNI needed)
 *
 *     panel p:  [tap][lane][panel] of 4 bytes
 *
 * None of these saturates. What follows a sum is kernels/requant.h, bit for bit.
 */
#ifndef OCT_KERNELS_CPU_GEMM_Q8_H
#define OCT_KERNELS_CPU_GEMM_Q8_H

#include "kernels/cpu/cpu_isa.h"
#include "kernels/requant.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_q8_kind {
    OCT_Q8_U8S8,
    OCT_Q8_S8U8,
    OCT_Q8_S16,
    OCT_Q8_KIND_COUNT,
} oct_q8_kind;

#define OCT_Q8_MAX_ROWS 12
#define OCT_Q8_MAX_PANEL 32
#define OCT_Q8_DW_PIXELS 4

/* One output: where its rows are and how a sum becomes an element. */
typedef struct oct_q8_out {
    oct_dtype dtype; /* s8, u8, f32, s32 */
    oct_requant rq;
    const float *m, *b; /* per output channel; NULL for s32 */
} oct_q8_out;

/* What follows the sums, the same for all tiles of an op. */
typedef struct oct_q8_finish {
    oct_q8_out out[2];
    int n_out;
    oct_dtype residual;  /* s8, u8, f32; NONE for none */
    const int32_t *comp; /* per output channel: s32 bias minus zero-point products */
} oct_q8_finish;

/* Where one output pixel lies. */
typedef struct oct_q8_place {
    char *out[2];         /* channel 0 */
    const char *residual; /* channel 0, NULL without */
    int32_t fix;          /* added to every sum of this row (OCT_Q8_S8U8) */
    bool inside;          /* no tap of this row is padding */
} oct_q8_place;

typedef struct oct_q8_tile {
    const oct_q8_finish *finish;
    const void *const *a; /* bytes: [tap][rows of the kernel] */
    ptrdiff_t a_offset;   /* bytes added to every pointer */
    size_t taps, lanes;   /* 4-byte lanes per tap */
    const uint32_t *b;    /* one panel */
    const oct_q8_place *place;
    size_t channel; /* output channel of the panel's first column */
    size_t rows, columns;
} oct_q8_tile;

typedef struct oct_q8_dw_tile {
    const oct_q8_finish *finish;
    const void *const *x; /* bytes: [tap][OCT_Q8_DW_PIXELS] */
    bool x_signed;
    size_t taps, channels;
    const int32_t *w; /* [tap][channels], the weight in the low s16, 0 in the high one */
    const oct_q8_place *place;
    size_t pixels;
} oct_q8_dw_tile;

typedef struct oct_q8_kernels {
    size_t rows, panel;
    void (*tile[OCT_Q8_KIND_COUNT])(const oct_q8_tile *t); /* NULL where not there */
    void (*depthwise)(const oct_q8_dw_tile *t);
    /* Sum of n s8 values. */
    int32_t (*sum_s8)(const void *x, size_t n);
} oct_q8_kernels;

/* Without `vnni` the kinds OCT_Q8_U8S8 and OCT_Q8_S8U8 are absent. */
const oct_q8_kernels *oct_gemm_q8_get(const oct_cpu_isa *isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_GEMM_Q8_H */
