/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalization of one contiguous row of f32, per instruction set. Sums run lane by lane in
 * index order, so they depend on the row alone.
 */
#ifndef OCT_KERNELS_CPU_NORM_H
#define OCT_KERNELS_CPU_NORM_H

#include <stddef.h>

#include "kernels/cpu/cpu_isa.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_norm_kernels {
    /* y = exp(x - max) / sum; x == y is allowed */
    void (*softmax)(const float *x, float *y, size_t n);
    /* y = x - max - log(sum) */
    void (*log_softmax)(const float *x, float *y, size_t n);
    /* y = (x - mean) / sqrt(variance + epsilon) * scale + bias; bias may be NULL */
    void (*layer)(const float *x, float *y, size_t n, const float *scale, const float *bias,
                  float epsilon);
} oct_norm_kernels;

const oct_norm_kernels *oct_norm_get(oct_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_NORM_H */
