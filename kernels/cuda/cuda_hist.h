/* SPDX-License-Identifier: Apache-2.0
 *
 * The GPU's histograms, for the backend's table (kernels/hist_device.h).
 */
#ifndef OCT_KERNELS_CUDA_CUDA_HIST_H
#define OCT_KERNELS_CUDA_CUDA_HIST_H

#include "kernels/hist_device.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const oct_hist_device_vtable oct_cuda_hist;

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CUDA_CUDA_HIST_H */
