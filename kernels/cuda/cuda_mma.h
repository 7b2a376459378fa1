/* SPDX-License-Identifier: Apache-2.0
 *
 * Implicit-GEMM convolution on tensor cores: what host code tells the kernels.
 *
 *     rows      output pixels (m), images joined
 *     columns   output channels of one group (n)
 *     k         (tap, channel) in bytes; every tap is padded to whole 16-byte chunks
 *
 * A matrix product is the case of one tap and one row of pixels. All kernels take the same
 * arguments; a row of oct_mma_tiles is one compiled tile, for one element type. See
 * cuda_mma_kernel.cuh for how they work and NOTES.md for what each was measured to be good for.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MMA_H
#define OCT_KERNELS_CUDA_CUDA_MMA_H

#include "kernels/cuda/cuda_index.h"
#include "kernels/requant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Packed weights: rows of k bytes padded to this, so that one packing serves all tiles. */
#define OCT_MMA_K_ALIGN 128
/* Tables indexed by channel are this many entries longer than the channels. */
#define OCT_MMA_SLACK 256
/* Packed weights have this many rows more: tiles read them whole. */
#define OCT_MMA_ROW_SLACK 255

typedef enum oct_mma_type { OCT_MMA_S8, OCT_MMA_U8, OCT_MMA_F16, OCT_MMA_TF32 } oct_mma_type;

/* Widest access to x that a tile uses: 16-byte copies; 8 or 4 bytes (args.x_vec); single elements
 * through the gather table; whole image rows (cuda_stem.cuh). */
typedef enum oct_mma_load {
    OCT_MMA_LOAD_16,
    OCT_MMA_LOAD_4,
    OCT_MMA_LOAD_ANY,
    OCT_MMA_LOAD_STEM,
} oct_mma_load;

/* How sums become results. Each is a set of compiled kernels of its own (cuda_mma_store.cuh).
 *
 *     PLAIN        the type's own output (8 bits; f16; f32) with bounds; also, slowly, all that no
 *                  other serves: two outputs, s32, mixed types, rare activations
 *     SWISH, GELU  the own output after this activation
 *     CURVE        the own output after any other of oct_mma_act_is_curve()
 *     HALF         f16 from 8-bit operands, bounds only
 *     HALF_CURVE, FLOAT  f16 and f32 from 8-bit operands after any of them */
typedef enum oct_mma_finish {
    OCT_MMA_PLAIN,
    OCT_MMA_SWISH,
    OCT_MMA_GELU,
    OCT_MMA_CURVE,
    OCT_MMA_HALF,
    OCT_MMA_HALF_CURVE,
    OCT_MMA_FLOAT,
    OCT_MMA_FINISHES
} oct_mma_finish;

static inline bool oct_mma_act_is_curve(oct_act act)
{
    return act == OCT_ACT_LEAKY_RELU || act == OCT_ACT_SIGMOID || act == OCT_ACT_HARD_SIGMOID ||
           act == OCT_ACT_HARD_SWISH || act == OCT_ACT_SWISH || act == OCT_ACT_GELU ||
           act == OCT_ACT_GELU_TANH || act == OCT_ACT_MISH;
}

/* One place of the gather table: byte offset from the window's corner and the tap's position. */
typedef struct oct_mma_place {
    int32_t offset; /* INT32_MIN: beyond the end, 0 */
    int16_t dy, dx;
} oct_mma_place;

/* Sizes, offsets and strides of memory are in bytes. */
typedef struct oct_mma_args {
    const uint8_t *x, *w;
    uint8_t *y, *y2;
    const uint8_t *res;
    const float *mb, *mb2; /* m[c], b[c] in pairs, for each output */
    const int32_t *start;  /* integer types: where the sum of channel c starts */
    const oct_mma_place *places;

    int32_t m, n, groups, n_even; /* n_even: n rounded up to even, step of the channel tables */
    int32_t tiles_m, tiles_n, tiles;
    int32_t k_steps, k_row; /* steps of the tile's BK; bytes of a packed row of weights */
    int32_t w_group;
    int32_t tap_bytes, tap_padded, taps; /* taps count the repeats of split weights */
    int32_t kernel_h, kernel_w, dil_h, dil_w, stride_h, stride_w, pad_h, pad_w, in_h, in_w;
    int32_t x_image, x_row, x_pixel, x_group;
    int32_t y_pixel, y2_pixel, res_pixel;
    int32_t x_vec, y_vec, res_vec; /* bytes of one access */
    int32_t linear;    /* pixels lie evenly at x_pixel and are all that a row of k needs */
    uint32_t pad_word; /* what padding holds, the zero point of x in each byte */
    oct_cuda_div per_image, per_row, per_group, per_tile_row;

    int32_t stem_pitch, stem_quads; /* stem: copied bytes of an image row; quads of a kernel row */

    /* fast: output 0 alone, as the kernel's finish says; residuals have the type of output 0, or are 8-bit too */
    int32_t fast, int_as_float;
    int32_t res_ahead; /* residuals are fetched a tile ahead, to a second place */
    float lo, hi, res_r, res_z;
    int32_t zero;
    oct_act act;              /* not PLAIN: NONE for bounds only */
    float act_a, act_b, to_q; /* to_q: 8-bit results, what multiplies the activation's value */
    uint32_t res_flip;        /* s8 residuals: 0x80 in each byte */

    oct_dtype y_type, y2_type, res_type;
    oct_requant rq[2];
} oct_mma_args;

typedef struct oct_mma_tile {
    const char *name;
    oct_mma_type type;
    oct_mma_load load;
    int16_t bm, bn, bk, threads;
    int32_t stage_bytes;  /* of all pipeline stages */
    bool warpgroup;       /* wgmma: sm_90a alone */
    const void *function; /* void (oct_mma_args) */
} oct_mma_tile;

typedef struct oct_mma_tiles {
    const oct_mma_tile *tile;
    int n;
} oct_mma_tiles;

extern const oct_mma_tiles oct_mma_tiles_s8, oct_mma_tiles_u8, oct_mma_tiles_f16,
    oct_mma_tiles_tf32, oct_mma_tiles_s8_swish, oct_mma_tiles_s8_gelu, oct_mma_tiles_s8_curve,
    oct_mma_tiles_s8_half, oct_mma_tiles_s8_half_curve, oct_mma_tiles_s8_float,
    oct_mma_tiles_f16_swish, oct_mma_tiles_f16_gelu, oct_mma_tiles_f16_curve;

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_MMA_H */
