/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/taps.h"

void oct_tap_seek(const oct_cpu_window *c, size_t pixel, oct_tap_cursor *cur)
{
    int64_t p = (int64_t)pixel;
    for (int a = 2; a >= 0; a--) {
        cur->at[a] = p % c->w.out[a];
        p /= c->w.out[a];
    }
    cur->batch = p;
}

void oct_tap_next(const oct_cpu_window *c, oct_tap_cursor *cur)
{
    for (int a = 2; a >= 0; a--) {
        if (++cur->at[a] < c->w.out[a])
            return;
        cur->at[a] = 0;
    }
    cur->batch++;
}

void oct_tap_deltas(const oct_cpu_window *c, size_t elem_bytes, ptrdiff_t *delta)
{
    const oct_window *w = &c->w;
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++)
            for (int64_t k = 0; k < w->kernel[2]; k++)
                *delta++ = (ptrdiff_t)((i * w->dilation[0] * c->x_axis[0] +
                                        j * w->dilation[1] * c->x_axis[1] +
                                        k * w->dilation[2] * c->x_axis[2]) *
                                       (int64_t)elem_bytes);
}

/* Input coordinate of tap `t` on one axis, or -1. */
static int64_t input_at(const oct_cpu_window *c, int a, int64_t at, int64_t t)
{
    const oct_window *w = &c->w;
    int64_t i = at * w->stride[a] - w->pad_lo[a] + t * w->dilation[a];
    if (c->transposed) {
        const int64_t far = at + w->pad_lo[a] - t * w->dilation[a];
        i = far < 0 || far % w->stride[a] != 0 ? -1 : far / w->stride[a];
    }
    return i < w->in[a] ? i : -1;
}

/* The general way, tap by tap: at borders and for transposed windows. */
static void list_each(const oct_cpu_window *c, const oct_tap_cursor *cur, const char *image,
                      size_t elem_bytes, const void *padding, const void **out, size_t step)
{
    const oct_window *w = &c->w;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t z = input_at(c, 0, cur->at[0], i);
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            const int64_t r = input_at(c, 1, cur->at[1], j);
            const int64_t row = z * c->x_axis[0] + r * c->x_axis[1];
            for (int64_t k = 0; k < w->kernel[2]; k++, out += step) {
                const int64_t q = input_at(c, 2, cur->at[2], k);
                *out = z < 0 || r < 0 || q < 0
                           ? padding
                           : image + (row + q * c->x_axis[2]) * (int64_t)elem_bytes;
            }
        }
    }
}

bool oct_tap_list(const oct_cpu_window *c, const oct_tap_cursor *cur, const void *x,
                  size_t elem_bytes, const void *padding, const ptrdiff_t *delta, const void **out,
                  size_t step, size_t every)
{
    const oct_window *w = &c->w;
    const char *image = (const char *)x + cur->batch * c->x_batch * (int64_t)elem_bytes;
    bool inside = !c->transposed;
    int64_t offset = 0;
    for (int a = 0; a < 3 && inside; a++) {
        const int64_t lo = cur->at[a] * w->stride[a] - w->pad_lo[a];
        inside = lo >= 0 && lo + (w->kernel[a] - 1) * w->dilation[a] < w->in[a];
        offset += lo * c->x_axis[a];
    }
    if (!inside) {
        list_each(c, cur, image, elem_bytes, padding, out, step);
        return false;
    }
    const char *first = image + offset * (int64_t)elem_bytes;
    const size_t taps = (size_t)oct_cpu_window_taps(c);
    for (size_t t = 0; t < taps; t += every)
        out[t * step] = first + delta[t];
    return true;
}
