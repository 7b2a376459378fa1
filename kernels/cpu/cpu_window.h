/* SPDX-License-Identifier: Apache-2.0
 *
 * Sliding windows as the cpu kernels see them: resolved (kernels/window.h), always three spatial
 * axes (missing leading ones have size 1), with the strides of the tensors at hand.
 */
#ifndef OCT_KERNELS_CPU_CPU_WINDOW_H
#define OCT_KERNELS_CPU_CPU_WINDOW_H

#include "kernels/backend.h"
#include "kernels/window.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_cpu_window {
    oct_window w;  /* three axes; out[] is the descriptor's */
    int n_spatial; /* axes the model has: the last of the three */
    int64_t batch, in_channels, out_channels, group;
    int64_t x_batch, x_channel, x_axis[3]; /* steps in elements of input 0 */
    int64_t y_batch, y_channel, y_axis[3]; /* and of output 0 */
    bool transposed;
} oct_cpu_window;

/* Conv, ConvTranspose (kernel from the weights' shape) and pools. False when the rank is not
 * 3..5 or the window is invalid. */
bool oct_cpu_window_init(oct_cpu_window *w, oct_ctx *ctx, const oct_op_desc *d);

static inline int64_t oct_cpu_window_taps(const oct_cpu_window *c)
{
    return c->w.kernel[0] * c->w.kernel[1] * c->w.kernel[2];
}

static inline int64_t oct_cpu_window_out_pixels(const oct_cpu_window *c)
{
    return c->w.out[0] * c->w.out[1] * c->w.out[2];
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_CPU_WINDOW_H */
