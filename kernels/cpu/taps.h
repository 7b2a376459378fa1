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

/* Walks over the output pixels of all images, in order. */
typedef struct oct_tap_cursor {
    int64_t batch, at[3];
} oct_tap_cursor;

void oct_tap_seek(const oct_cpu_window *c, size_t pixel, oct_tap_cursor *cur);
void oct_tap_next(const oct_cpu_window *c, oct_tap_cursor *cur);

/* delta[tap]: bytes from the first to the tap's pixel where nothing is padding; taps entries.
 * Only for forward windows. */
void oct_tap_deltas(const oct_cpu_window *c, size_t elem_bytes, ptrdiff_t *delta);

/* out[tap * step]: where each tap of the cursor's pixel reads channel 0, `padding` outside of the
 * image. `x` is input 0; `delta` as above (unused for transposed windows). Returns whether all
 * taps are inside; then only every `every`-th entry is written. */
bool oct_tap_list(const oct_cpu_window *c, const oct_tap_cursor *cur, const void *x,
                  size_t elem_bytes, const void *padding, const ptrdiff_t *delta, const void **out,
                  size_t step, size_t every);

/* Offset of the cursor's pixel in elements, given steps per image and axis. */
static inline int64_t oct_tap_place(const oct_tap_cursor *cur, int64_t batch, const int64_t axis[3])
{
    return cur->batch * batch + cur->at[0] * axis[0] + cur->at[1] * axis[1] + cur->at[2] * axis[2];
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_TAPS_H */
