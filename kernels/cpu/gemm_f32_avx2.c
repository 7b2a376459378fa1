/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/gemm_f32_body_internal.h"
