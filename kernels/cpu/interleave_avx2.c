/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/interleave.h"

#include <stdint.h>

#include "kernels/cpu/simd_base_internal.h"

/* Byte i of output vector v comes from byte mask[v][j][i] of plane j, or (high bit) not. */
static void masks_of(size_t elem_bytes, uint8_t mask[3][3][16])
{
    for (size_t at = 0; at < 48; at++) {
        const size_t elem = at / elem_bytes;
        for (size_t j = 0; j < 3; j++)
            mask[at / 16][j][at % 16] =
                elem % 3 == j ? (uint8_t)(elem / 3 * elem_bytes + at % elem_bytes) : 0x80;
    }
}

void oct_interleave3_avx2(const void *x, size_t plane, size_t n, size_t elem_bytes, void *y)
{
    const size_t step = 16 / elem_bytes;
    const uint8_t *from = x;
    uint8_t *to = y, bytes[3][3][16];
    __m128i mask[3][3];
    masks_of(elem_bytes, bytes);
    memcpy(mask, bytes, sizeof mask);
    size_t i = 0;
    for (; i + step <= n; i += step, to += 48) {
        __m128i p[3];
        for (size_t j = 0; j < 3; j++)
            p[j] = _mm_loadu_si128(
                (const __m128i *)(const void *)(from + (j * plane + i) * elem_bytes));
        for (size_t v = 0; v < 3; v++) {
            __m128i out = _mm_shuffle_epi8(p[0], mask[v][0]);
            out = _mm_or_si128(out, _mm_shuffle_epi8(p[1], mask[v][1]));
            out = _mm_or_si128(out, _mm_shuffle_epi8(p[2], mask[v][2]));
            _mm_storeu_si128((__m128i *)(void *)(to + 16 * v), out);
        }
    }
    for (; i < n; i++)
        for (size_t j = 0; j < 3; j++, to += elem_bytes)
            memcpy(to, from + (j * plane + i) * elem_bytes, elem_bytes);
}
