/* SPDX-License-Identifier: Apache-2.0
 *
 * Division of indices by numbers known when an op is prepared, by one multiplication: for
 * n < 2^31 and d in [1, 2^31),  n / d == (high32(n * mul) + n) >> shift.
 * Source: T. Granlund, P. L. Montgomery, "Division by Invariant Integers using Multiplication", 1994.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_INDEX_H
#define OCT_KERNELS_CUDA_CUDA_INDEX_H

#include <stdint.h>

typedef struct oct_cuda_div {
    uint32_t d, mul, shift;
} oct_cuda_div;

static inline oct_cuda_div oct_cuda_div_make(int64_t d)
{
    oct_cuda_div v = {(uint32_t)d, 0, 0};
    while (((uint64_t)1 << v.shift) < (uint64_t)d)
        v.shift++;
    v.mul =
        (uint32_t)((((uint64_t)1 << 32) * (((uint64_t)1 << v.shift) - (uint64_t)d)) / (uint64_t)d +
                   1);
    return v;
}

#endif /* OCT_KERNELS_CUDA_CUDA_INDEX_H */
