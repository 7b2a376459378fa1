/* SPDX-License-Identifier: Apache-2.0
 *
 * The resamplers' inner loops in plain C: the definition of correct for the vector ones.
 */
#include "datasets/resample_internal.h"

static uint8_t pillow_round(int high, int low)
{
    const int v =
        (high * (1 << OCT_PILLOW_LOW) + low + (1 << (OCT_PILLOW_BITS - 1))) >> OCT_PILLOW_BITS;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

static void pillow_rows(const oct_pillow_axis *axis, const uint8_t *src, size_t src_stride,
                        int n_rows, int channels, uint8_t *dst, size_t dst_stride)
{
    for (int y = 0; y < n_rows; y++, src += src_stride, dst += dst_stride)
        for (int x = 0; x < axis->n; x++)
            for (int c = 0; c < channels; c++) {
                const uint8_t *s = src + (size_t)axis->first[x] * (size_t)channels + c;
                const size_t at = (size_t)x * (size_t)axis->n_taps;
                int high = 0, low = 0;
                for (int k = 0; k < axis->count[x]; k++, s += channels) {
                    high += *s * axis->high[at + (size_t)k];
                    low += *s * axis->low[at + (size_t)k];
                }
                dst[x * channels + c] = pillow_round(high, low);
            }
}

static void pillow_column(const uint8_t *src, size_t stride, const int16_t *high,
                          const int16_t *low, int count, uint8_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int h = 0, l = 0;
        for (int k = 0; k < count; k++) {
            h += src[(size_t)k * stride + i] * high[k];
            l += src[(size_t)k * stride + i] * low[k];
        }
        dst[i] = pillow_round(h, l);
    }
}

static void linear_row(const oct_linear_axis *axis, const uint8_t *src, int channels, int16_t *dst)
{
    for (int x = 0; x < axis->n; x++)
        for (int c = 0; c < channels; c++) {
            const int a = src[axis->at[x] * channels + c], b = src[axis->next[x] * channels + c];
            dst[x * channels + c] = (int16_t)((a * axis->w0[x] + b * axis->w1[x]) >> 4);
        }
}

static void linear_column(const int16_t *a, const int16_t *b, int w0, int w1, uint8_t *dst,
                          size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const int v = ((a[i] * w0 >> 16) + (b[i] * w1 >> 16) + 2) >> 2;
        dst[i] = v > 255 ? 255 : (uint8_t)v;
    }
}

const oct_resample_ops oct_resample_ops_portable = {
    .pillow_rows = pillow_rows,
    .pillow_column = pillow_column,
    .linear_row = linear_row,
    .linear_column = linear_column,
};
