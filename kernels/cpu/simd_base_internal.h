/* SPDX-License-Identifier: Apache-2.0
 *
 * What the three forms of simd_internal.h share.
 */
#ifndef OCT_KERNELS_CPU_SIMD_BASE_INTERNAL_H
#define OCT_KERNELS_CPU_SIMD_BASE_INTERNAL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define SIMD_INLINE static inline __attribute__((always_inline, unused))

#endif /* OCT_KERNELS_CPU_SIMD_BASE_INTERNAL_H */
