/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/pool_body_internal.h"
