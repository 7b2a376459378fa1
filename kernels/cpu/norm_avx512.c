/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/norm_body_internal.h"
