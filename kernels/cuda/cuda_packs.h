/* SPDX-License-Identifier: Apache-2.0
 *
 * The table behind oct_cuda_pack_get() and oct_cuda_unpack().
 */
#ifndef OCT_KERNELS_CUDA_CUDA_PACKS_H
#define OCT_KERNELS_CUDA_CUDA_PACKS_H

#include "kernels/cuda/cuda_internal.h"

/* `ctx` must outlive it. */
OCT_MUST_CHECK oct_status oct_cuda_packs_new(oct_ctx *ctx, oct_cuda_packs **out);
void oct_cuda_packs_free(oct_cuda_packs *p); /* NULL is allowed; frees all device memory */

#endif /* OCT_KERNELS_CUDA_CUDA_PACKS_H */
