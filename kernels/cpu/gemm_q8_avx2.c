/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/gemm_q8_body_internal.h"
