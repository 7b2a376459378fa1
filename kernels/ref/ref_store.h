/* SPDX-License-Identifier: Apache-2.0
 *
 * From accumulators to outputs: bias, residual, activation, requantization and the second
 * output of Conv, ConvTranspose, Gemm and MatMul. f32 accumulators give
 *
 *     y = act((alpha acc + beta bias) + residual)
 *
 * s32 ones follow kernels/requant.h. Results are a matrix per batch index: rows are the
 * channels of a convolution (columns its positions) or the rows of a product.
 */
#ifndef OCT_KERNELS_REF_REF_STORE_H
#define OCT_KERNELS_REF_REF_STORE_H

#include "kernels/ref/ref_gemm.h"
#include "kernels/requant.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a matrix per batch index lies in a buffer, in elements. */
typedef struct oct_ref_view {
    void *data; /* NULL = absent; inputs are only read */
    oct_dtype dtype;
    int64_t batch, row, col;
} oct_ref_view;

typedef struct oct_ref_store {
    const oct_op_desc *d;
    oct_ref_view out[2], bias, residual;
    float alpha, beta;
    bool channel_is_row;
    oct_requant rq[2];
    const float *m[2], *b[2]; /* per channel */
    bool integer;
} oct_ref_store;

/* Bytes of `factors` below. */
size_t oct_ref_store_bytes(const oct_op_desc *d, int64_t n_channels);

/* Completes `s`, whose d, views, alpha, beta and channel_is_row are set. For 8-bit operands
 * (integer) factors are computed into `factors`; an f32 bias is then one value per channel. */
void oct_ref_store_init(oct_ref_store *s, bool integer, int64_t n_channels, float *factors);

/* Stores a block of accumulators (f32, or s32 when integer). */
void oct_ref_store_block(const oct_ref_store *s, int64_t batch, const oct_ref_block *b,
                         const void *acc);

/* What the ops with an epilogue share of `accepts`: types of operands, activations, residual. */
bool oct_ref_store_accepts(const oct_op_desc *d, char *reason);
/* Whether a sum of `k` products of the 8-bit operands 0 and 1 always fits s32; true for f32. */
bool oct_ref_store_sum_fits(const oct_op_desc *d, int64_t k, char *reason);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_STORE_H */
