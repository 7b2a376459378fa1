/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quant_vec_body_internal.h"
