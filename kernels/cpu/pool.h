/* SPDX-License-Identifier: Apache-2.0
 *
 * Pooling kernels per instruction set: channels are the innermost axis, a window is a list of
 * pointers to pixels.
 */
#ifndef OCT_KERNELS_CPU_POOL_H
#define OCT_KERNELS_CPU_POOL_H

#include <stddef.h>

#include "kernels/cpu/cpu_isa.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_pool_kernels {
    /* out[c] = max over taps of tap[t][c]; NaN wins. Taps point at f32. */
    void (*max)(const void *const *tap, size_t n_taps, size_t channels, float *out);
    /* out[c] = (sum in tap order) / divisor */
    void (*avg)(const void *const *tap, size_t n_taps, size_t channels, float divisor, float *out);
    /* the same over `rows` pixels `step` elements apart; sums of 64 rows, then their sum */
    void (*max_rows)(const float *x, ptrdiff_t step, size_t rows, size_t channels, float *out);
    void (*avg_rows)(const float *x, ptrdiff_t step, size_t rows, size_t channels, float divisor,
                     float *out);
} oct_pool_kernels;

const oct_pool_kernels *oct_pool_get(oct_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_POOL_H */
