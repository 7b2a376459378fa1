/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/eltwise_body_internal.h"
