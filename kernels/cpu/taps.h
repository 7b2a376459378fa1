/* SPDX-License-Identifier: Apache-2.0
 *
 * Which input pixel each kernel position of an output pixel reads: the one piece of index
 * arithmetic under all our convolutions, forward and transposed.
 */
#ifndef OCT_KERNELS_CPU_TAPS_H
#define OCT_KERNELS_CPU_TAPS_H

#include "kernels/cpu/cpu_window.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_TAP_PADDING INT64_MIN

/* Offset in elements from the image's first element, or OCT_TAP_PADDING. `pixel` counts output
 * pixels of one image, `tap` kernel positions, both in row-major order. */
static inline int64_t oct_tap_offset(const oct_cpu_window *c, const int64_t at[3],
                                     const int64_t tap[3])
{
    const oct_window *w = &c->w;
    int64_t offset = 0;
    for (int a = 0; a < 3; a++) {
        int64_t i;
        if (c->transposed) {
            const int64_t far = at[a] + w->pad_lo[a] - tap[a] * w->dilation[a];
            if (far < 0 || far % w->stride[a] != 0)
                return OCT_TAP_PADDING;
            i = far / w->stride[a];
        } else {
            i = at[a] * w->stride[a] - w->pad_lo[a] + tap[a] * w->dilation[a];
        }
        if (i < 0 || i >= w->in[a])
            return OCT_TAP_PADDING;
        offset += i * c->x_axis[a];
    }
    return offset;
}

/* Output pixel number -> coordinates, and its offset in elements. */
static inline int64_t oct_tap_pixel(const oct_cpu_window *c, int64_t pixel, int64_t at[3])
{
    at[2] = pixel % c->w.out[2];
    at[1] = pixel / c->w.out[2] % c->w.out[1];
    at[0] = pixel / c->w.out[2] / c->w.out[1];
    return at[0] * c->y_axis[0] + at[1] * c->y_axis[1] + at[2] * c->y_axis[2];
}

/* Kernel position number -> coordinates. */
static inline void oct_tap_position(const oct_cpu_window *c, int64_t number, int64_t tap[3])
{
    tap[2] = number % c->w.kernel[2];
    tap[1] = number / c->w.kernel[2] % c->w.kernel[1];
    tap[0] = number / c->w.kernel[2] / c->w.kernel[1];
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_TAPS_H */
