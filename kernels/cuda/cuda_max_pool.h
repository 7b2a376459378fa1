/* SPDX-License-Identifier: Apache-2.0
 *
 * MaxPool by the rolling kernel of depthwise convolutions (cuda_max_pool.cu), for cuda_pool.cu.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_MAX_POOL_H
#define OCT_KERNELS_CUDA_CUDA_MAX_POOL_H

#include "kernels/cuda/cuda_depthwise.h"
#include "kernels/window.h"

/* False if `d`, whose window is `w`, is not of that form. */
bool oct_cuda_max_roll_make(const oct_op_desc *d, const oct_window *w, int n_sm, oct_dw *p);

/* Pointers are aligned to four bytes. */
cudaError_t oct_cuda_max_roll(const oct_dw *made, oct_dtype dt, void *y, const void *x,
                              cudaStream_t stream);

#endif /* OCT_KERNELS_CUDA_CUDA_MAX_POOL_H */
