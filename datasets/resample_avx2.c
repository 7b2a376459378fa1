/* SPDX-License-Identifier: Apache-2.0
 *
 * The resamplers' inner loops with AVX2; same bits as resample_portable.c. Pillow's 22-bit
 * weights do not fit the 16-bit multiply-add, so each is split in two halves whose sums are
 * joined at the end; all sums are exact.
 */
#include <immintrin.h>
#include <string.h>

#include "datasets/resample_internal.h"

/* (high << 11) + low + half >> 22 for 8 sums. */
static inline __m256i pillow_join(__m256i high, __m256i low)
{
    const __m256i half = _mm256_set1_epi32(1 << (OCT_PILLOW_BITS - 1));
    const __m256i sum = _mm256_add_epi32(_mm256_slli_epi32(high, OCT_PILLOW_LOW), low);
    return _mm256_srai_epi32(_mm256_add_epi32(sum, half), OCT_PILLOW_BITS);
}

/* 4 weights -> [k0 k1] in every 32-bit lane of the low half, [k2 k3] in the high half. */
static inline __m256i spread_weights(const int16_t *k)
{
    const __m256i index = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m128i four = _mm_loadl_epi64((const __m128i *)k);
    return _mm256_permutevar8x32_epi32(_mm256_castsi128_si256(four), index);
}

/* One RGB output pixel from groups of 4 taps (12 bytes; 16 are read). */
static inline uint32_t pillow_pixel(const uint8_t *s, const int16_t *high, const int16_t *low,
                                    int n_groups)
{
    const __m128i pair = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, 6, 9, 7, 10, 8, 11, -1, -1);
    __m256i h = _mm256_setzero_si256(), l = h;
    for (int g = 0; g < n_groups; g++, s += 12, high += 4, low += 4) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)s);
        const __m256i v = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(bytes, pair));
        h = _mm256_add_epi32(h, _mm256_madd_epi16(v, spread_weights(high)));
        l = _mm256_add_epi32(l, _mm256_madd_epi16(v, spread_weights(low)));
    }
    const __m256i hs = _mm256_add_epi32(h, _mm256_permute2x128_si256(h, h, 1));
    const __m256i ls = _mm256_add_epi32(l, _mm256_permute2x128_si256(l, l, 1));
    const __m128i v = _mm256_castsi256_si128(pillow_join(hs, ls));
    const __m128i words = _mm_packs_epi32(v, v);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(words, words));
}

/* `rows` (1..4) rows at once, so that weights are loaded once. */
static void pillow_rgb_rows(const oct_pillow_axis *axis, const uint8_t *src, size_t src_stride,
                            int rows, uint8_t *dst, size_t dst_stride)
{
    for (int x = 0; x < axis->n; x++) {
        const size_t at = (size_t)x * (size_t)axis->n_taps;
        const uint8_t *s = src + (size_t)axis->first[x] * 3;
        const int n_groups = (axis->count[x] + OCT_PILLOW_GROUP - 1) / OCT_PILLOW_GROUP;
        for (int y = 0; y < rows; y++) {
            const uint32_t p =
                pillow_pixel(s + (size_t)y * src_stride, axis->high + at, axis->low + at, n_groups);
            uint8_t *d = dst + (size_t)y * dst_stride + (size_t)x * 3;
            d[0] = (uint8_t)p;
            d[1] = (uint8_t)(p >> 8);
            d[2] = (uint8_t)(p >> 16);
        }
    }
}

static void pillow_rows(const oct_pillow_axis *axis, const uint8_t *src, size_t src_stride,
                        int n_rows, int channels, uint8_t *dst, size_t dst_stride)
{
    if (channels != 3) {
        oct_resample_ops_portable.pillow_rows(axis, src, src_stride, n_rows, channels, dst,
                                              dst_stride);
        return;
    }
    for (int y = 0; y < n_rows; y += 4)
        pillow_rgb_rows(axis, src + (size_t)y * src_stride, src_stride,
                        n_rows - y < 4 ? n_rows - y : 4, dst + (size_t)y * dst_stride, dst_stride);
}

/* Sums of 16 columns: two vectors for each half of the weights. */
typedef struct column_sums {
    __m256i h0, h1, l0, l1;
} column_sums;

static inline void add_row_pair(column_sums *s, __m128i a, __m128i b, int high, int low)
{
    const __m256i v0 = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    const __m256i v1 = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
    const __m256i wh = _mm256_set1_epi32(high), wl = _mm256_set1_epi32(low);
    s->h0 = _mm256_add_epi32(s->h0, _mm256_madd_epi16(v0, wh));
    s->h1 = _mm256_add_epi32(s->h1, _mm256_madd_epi16(v1, wh));
    s->l0 = _mm256_add_epi32(s->l0, _mm256_madd_epi16(v0, wl));
    s->l1 = _mm256_add_epi32(s->l1, _mm256_madd_epi16(v1, wl));
}

static inline int pair_of(const int16_t *k)
{
    int v;
    memcpy(&v, k, sizeof v);
    return v;
}

static inline __m128i column16(const uint8_t *src, size_t stride, const int16_t *high,
                               const int16_t *low, int count)
{
    const __m256i zero = _mm256_setzero_si256();
    column_sums s = {zero, zero, zero, zero};
    for (int k = 0; k < count; k += 2) {
        const uint8_t *p = src + (size_t)k * stride;
        const __m128i a = _mm_loadu_si128((const __m128i *)p);
        /* the last of an odd number has a zero weight beside it: read the same row again */
        const __m128i b = k + 1 < count ? _mm_loadu_si128((const __m128i *)(p + stride)) : a;
        add_row_pair(&s, a, b, pair_of(high + k), pair_of(low + k));
    }
    const __m256i words = _mm256_packs_epi32(pillow_join(s.h0, s.l0), pillow_join(s.h1, s.l1));
    const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
}

static void pillow_column(const uint8_t *src, size_t stride, const int16_t *high,
                          const int16_t *low, int count, uint8_t *dst, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm_storeu_si128((__m128i *)(dst + i), column16(src + i, stride, high, low, count));
    if (i < n)
        oct_resample_ops_portable.pillow_column(src + i, stride, high, low, count, dst + i, n - i);
}

/* An RGB pixel and its right neighbour: 8 bytes are read, 4 words stored. */
static void linear_row(const oct_linear_axis *axis, const uint8_t *src, int channels, int16_t *dst)
{
    const __m128i pair = _mm_setr_epi8(0, 3, 1, 4, 2, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    if (channels != 3) {
        oct_resample_ops_portable.linear_row(axis, src, channels, dst);
        return;
    }
    for (int x = 0; x < axis->n; x++) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(src + (size_t)axis->at[x] * 3));
        const __m128i v = _mm_cvtepu8_epi16(_mm_shuffle_epi8(bytes, pair));
        const uint32_t weights = (uint16_t)axis->w0[x] | (uint32_t)(uint16_t)axis->w1[x] << 16;
        const __m128i sum = _mm_madd_epi16(v, _mm_set1_epi32((int)weights));
        const __m128i words = _mm_packs_epi32(_mm_srai_epi32(sum, 4), _mm_setzero_si128());
        _mm_storel_epi64((__m128i *)(dst + (size_t)x * 3), words);
    }
}

static void linear_column(const int16_t *a, const int16_t *b, int w0, int w1, uint8_t *dst,
                          size_t n)
{
    const __m256i k0 = _mm256_set1_epi16((int16_t)w0), k1 = _mm256_set1_epi16((int16_t)w1);
    const __m256i two = _mm256_set1_epi16(2);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i p = _mm256_mulhi_epi16(_mm256_loadu_si256((const __m256i *)(a + i)), k0);
        const __m256i q = _mm256_mulhi_epi16(_mm256_loadu_si256((const __m256i *)(b + i)), k1);
        const __m256i v = _mm256_srai_epi16(_mm256_add_epi16(_mm256_add_epi16(p, q), two), 2);
        const __m128i bytes =
            _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storeu_si128((__m128i *)(dst + i), bytes);
    }
    if (i < n)
        oct_resample_ops_portable.linear_column(a + i, b + i, w0, w1, dst + i, n - i);
}

const oct_resample_ops oct_resample_ops_avx2 = {
    .pillow_rows = pillow_rows,
    .pillow_column = pillow_column,
    .linear_row = linear_row,
    .linear_column = linear_column,
};
