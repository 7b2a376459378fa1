/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cuda/cuda_internal.h"

const oct_cuda_rows oct_cuda_rows_pool = {NULL, 0};
