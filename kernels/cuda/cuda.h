/* SPDX-License-Identifier: Apache-2.0
 *
 * The `cuda` backend: one NVIDIA GPU through the CUDA runtime. Buffers are device memory;
 * run() only queues work on the stream it is given, so that every run can be captured into
 * a CUDA graph.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_H
#define OCT_KERNELS_CUDA_CUDA_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `arg`: the device's number, "" = the first. OCT_ERR_DEVICE with CUDA's message when there is
 * none or it is not usable. */
OCT_MUST_CHECK oct_status oct_cuda_open(oct_ctx *ctx, const char *arg, oct_backend **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_H */
