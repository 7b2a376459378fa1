/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/winograd_body_internal.h"
