/* SPDX-License-Identifier: Apache-2.0
 *
 * Strided copies on the device, the work of most data movers: rows that stay rows by accesses of up to
 * 16 bytes, changes of the fast axis by tiles in shared memory.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_COPY_H
#define OCT_KERNELS_CUDA_CUDA_COPY_H

#include "kernels/cuda/cuda_loop.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_cuda_copy_kind {
    OCT_CUDA_COPY_NONE,  /* nothing to do */
    OCT_CUDA_COPY_BYTES, /* one run of bytes */
    OCT_CUDA_COPY_UNITS, /* units of 1 .. 16 bytes */
    OCT_CUDA_COPY_THIN,  /* the fast axis changes; one of the two has few elements */
    OCT_CUDA_COPY_TILES, /* the fast axis changes */
} oct_cuda_copy_kind;

#define OCT_CUDA_COPY_UNIT_SIZES 5 /* 16, 8, 4, 2, 1 bytes */

/* y[i * y_wide + j] = x[i + j * x_long], i < wide, j < len, for each index of the outer dims. */
typedef struct oct_cuda_tiles {
    uint32_t wide, len;
    int64_t y_wide, x_long;
    oct_cuda_div tiles_wide, tiles_len; /* THIN: the longer of wide and len is tiles_wide.d */
    oct_cuda_loop outer;
    bool packed;  /* 1- and 2-byte elements by words */
    bool triples; /* THIN: three planes to triples, by vectors */
} oct_cuda_tiles;

typedef struct oct_cuda_copy {
    oct_cuda_copy_kind kind;
    size_t elem_bytes, bytes;
    bool takes[OCT_CUDA_COPY_UNIT_SIZES];
    oct_cuda_loop unit[OCT_CUDA_COPY_UNIT_SIZES];
    oct_cuda_tiles tiles;
} oct_cuda_copy;

/* Operand 0 of `l` is the destination, 1 the source; optimizes `l`. False with a reason if there are
 * too many dims or elements. */
bool oct_cuda_copy_make(oct_ref_loop *l, size_t elem_bytes, oct_cuda_copy *c, char *reason);
/* From tensor to tensor, `src` broadcast to the shape of `dst`. */
bool oct_cuda_copy_tensor(const oct_tensor_desc *dst, const oct_tensor_desc *src, oct_cuda_copy *c,
                          char *reason);
oct_status oct_cuda_copy_run(const oct_cuda_copy *c, oct_ctx *ctx, void *dst, const void *src,
                             cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_COPY_H */
