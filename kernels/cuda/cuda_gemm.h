/* SPDX-License-Identifier: Apache-2.0
 *
 * Gemm and MatMul in numbers: one product [m, k] x [k, n] for each index of the batch dimensions,
 * which broadcast. A batch of A against one B is one product with more rows.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_GEMM_H
#define OCT_KERNELS_CUDA_CUDA_GEMM_H

#include "kernels/cuda/cuda_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_cuda_product {
    int64_t m, n, k;
    int64_t a_row, a_k, b_k, b_col; /* strides in elements */
    int n_batch_dims;
    int64_t batch_dim[OCT_MAX_DIMS], a_step[OCT_MAX_DIMS], b_step[OCT_MAX_DIMS];
    int64_t batches;
    int64_t b_matrices, b_elems; /* matrices in B itself; elements of one */
    int64_t bias_row, bias_col;  /* strides of input 2 as a bias */
} oct_cuda_product;

/* False with a reason: operands not dense row-major, or empty. */
bool oct_cuda_product_init(oct_cuda_product *p, const oct_op_desc *d, char *reason);

/* Offsets of batch `i` in A and B. */
void oct_cuda_product_batch(const oct_cuda_product *p, int64_t i, int64_t *a, int64_t *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_GEMM_H */
