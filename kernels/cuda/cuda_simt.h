/* SPDX-License-Identifier: Apache-2.0
 *
 * One product of matrices on the ordinary arithmetic units, which serves as convolution, transposed
 * convolution and matrix product:
 *
 *     acc[row][n] = sum over k of  x[place(row) + offset(k)] * w[k][n]
 *
 *     row     an output position (image, d, h, w) or a row of A
 *     k       (tap, input channel); a table says where each lies and how it moves the position,
 *             so that padding is seen; outside the input, `pad` is read instead
 *     z       groups, batches: tables of offsets
 *
 * Elements of x are read as they are (f32, f16, 8-bit, or four s8 at once for dp4a); weights are packed
 * to f32 or s32 words [z][k_pad][n_pad]. Sums are f32 (fmaf, true f32) or exact s32.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_SIMT_H
#define OCT_KERNELS_CUDA_CUDA_SIMT_H

#include "kernels/cuda/cuda_finish.h"
#include "kernels/cuda/cuda_index.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_simt_kind {
    OCT_SIMT_F32,
    OCT_SIMT_F16,
    OCT_SIMT_S8,         /* one by one, s32 multiply-add */
    OCT_SIMT_U8,         /* likewise */
    OCT_SIMT_DP4A,       /* words of four 8-bit values, multiplied by s8 weights */
    OCT_SIMT_DP4A_BYTES, /* likewise, of words that are not aligned */
    OCT_SIMT_KIND_COUNT,
} oct_simt_kind;

typedef enum oct_simt_tile {
    OCT_SIMT_128x128,
    OCT_SIMT_128x64,
    OCT_SIMT_64x64,
    OCT_SIMT_128x32,
    OCT_SIMT_TILE_COUNT,
} oct_simt_tile;

#define OCT_SIMT_BK 16 /* k are taken in steps of this; k_pad is a multiple */

/* One of k, or four neighbouring ones of the same tap ("vector" access). */
typedef struct oct_simt_k {
    int32_t offset, move[3]; /* elements of x; positions along the three axes */
} oct_simt_k;

#define OCT_SIMT_NEVER (-(1 << 30)) /* move[2] of what lies beyond k: always outside */

typedef struct oct_simt_z {
    int64_t x, w, y0, y1, r; /* offsets, in elements (words of w) */
    int64_t channel;         /* of column 0 */
} oct_simt_z;

typedef struct oct_simt_strides {
    int64_t batch, axis[3], channel, base;
} oct_simt_strides;

typedef struct oct_simt {
    const void *x, *w, *pad; /* pad: 16 bytes of what lies outside the input */
    const oct_simt_k *k;
    const oct_simt_z *z;
    int32_t rows, cols, n_pad, k_tiles, n_z, splits;
    int32_t in[3], step[3], origin[3]; /* input position = output position * step + origin + move */
    int32_t x_batch, x_axis[3];
    oct_cuda_div out_w, out_h, out_d; /* rows -> positions */
    oct_simt_strides y[3];            /* out 0, out 1, residual */
    bool flat;                        /* rows lie at one distance in all three: axis[2] */
    bool vector_out;                  /* channels in fours, aligned, in all three */
    int32_t x_zero;                   /* OCT_SIMT_S8, U8 */
    uint32_t x_flip;                  /* DP4A: 0x80808080 makes u8 s8 */
    void *partial;                    /* splits > 1: sums [split][z][row][n_pad] */
    oct_cuda_finish fin;
} oct_simt;

/* Size of the sums that splits > 1 need. */
static inline size_t oct_simt_partial_elems(const oct_simt *s)
{
    return s->splits > 1 ? (size_t)s->splits * (size_t)s->n_z * (size_t)s->rows * (size_t)s->n_pad
                         : 0;
}

/* Columns that n_pad must be a multiple of. */
int oct_simt_tile_cols(oct_simt_tile t);
int oct_simt_tile_rows(oct_simt_tile t);

/* The tile and the number of splits that keep `n_sm` multiprocessors busiest. */
void oct_simt_choose(int n_sm, int64_t rows, int64_t cols, int64_t n_z, int64_t k_tiles,
                     oct_simt_tile *tile, int *splits);

/* `vector`: k in groups of four, 16-byte (f16: 8, 8-bit: 4) aligned places. */
cudaError_t oct_simt_launch(const oct_simt *s, oct_simt_kind kind, oct_simt_tile tile, bool vector,
                            cudaStream_t stream);

/* Finishes sums [z][row][ld] made elsewhere; uses rows, cols, n_z, z, y, fin of `s`. */
typedef enum oct_sums_type {
    OCT_SUMS_F32,
    OCT_SUMS_F16,
    OCT_SUMS_S32,
    OCT_SUMS_TYPE_COUNT,
} oct_sums_type;
cudaError_t oct_simt_finish(const oct_simt *s, const void *sums, oct_sums_type type, int64_t ld,
                            int splits, cudaStream_t stream);

/* Packs weights on the device, for operands computed while the model runs: word (z, k, n) from element
 * z_off[z] + k_off[k] + n * n_step of `w` (k_off < 0: zero). 8-bit values come less `zero`. */
typedef struct oct_simt_pack {
    const void *w;
    oct_dtype dtype;
    const int64_t *z_off, *k_off; /* device */
    int64_t n_step;
    int32_t zero;
    int32_t n_z, k_pad, n, n_pad;
    void *out;
} oct_simt_pack;
cudaError_t oct_simt_pack_run(const oct_simt_pack *p, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_SIMT_H */
