/* SPDX-License-Identifier: Apache-2.0
 *
 * The transforms of Winograd's minimal filtering F(2x2, 3x3): a 2x2 tile of a 3x3 convolution
 * with stride 1 from 16 products a channel instead of 36.
 *
 *     y = A' [ (G w G') * (B' d B) ] A            d: 4x4 pixels, w: 3x3 weights, y: 2x2
 *
 *     B' = 1  0 -1  0      G = 1    0    0       A' = 1  1  1  0
 *          0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
 *          0 -1  1  0          1/2 -1/2  1/2
 *          0  1  0 -1          0    0    1
 *
 * B' and A' only add, so no more is lost to rounding than in the direct sum; larger tiles would
 * lose a decimal digit. Weights are transformed in double and rounded once.
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2015.
 */
#ifndef OCT_KERNELS_CPU_WINOGRAD_H
#define OCT_KERNELS_CPU_WINOGRAD_H

#include <stddef.h>

#include "kernels/cpu/cpu_isa.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_WINO_POINTS 16

/* Element [i][c] of a transformed tile lies at i * step + c. */
typedef struct oct_wino_input {
    const float *const *x; /* 4x4 pixels, channels one after another */
    size_t channels;
    float *v;
    size_t step;
} oct_wino_input;

typedef struct oct_wino_output {
    const float *m;
    size_t step, channels;
    const float *bias;            /* or NULL */
    float *const *y;              /* 2x2 pixels; NULL: outside of the image */
    const float *const *residual; /* beside `y`, or NULL */
    float lo, hi;                 /* clamp; -inf, inf for none */
} oct_wino_output;

typedef struct oct_wino_kernels {
    void (*input)(const oct_wino_input *t);
    void (*output)(const oct_wino_output *t);
} oct_wino_kernels;

const oct_wino_kernels *oct_wino_get(oct_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_WINOGRAD_H */
