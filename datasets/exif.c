/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "datasets/image_internal.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3

typedef struct tiff {
    const uint8_t *p;
    size_t n;
    bool big_endian;
} tiff;

static uint32_t get(const tiff *t, size_t at, int n_bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < n_bytes; i++) {
        const uint32_t b = t->p[at + (size_t)i];
        v |= b << 8 * (t->big_endian ? n_bytes - 1 - i : i);
    }
    return v;
}

int oct_exif_orientation(const uint8_t *bytes, size_t n_bytes)
{
    if (n_bytes < 8 || bytes[0] != bytes[1] || (bytes[0] != 'I' && bytes[0] != 'M'))
        return 1;
    const tiff t = {bytes, n_bytes, bytes[0] == 'M'};
    const size_t ifd = get(&t, 4, 4);
    if (get(&t, 2, 2) != 42 || ifd > n_bytes || n_bytes - ifd < 2)
        return 1;
    const size_t n_entries = oct_min_size(get(&t, ifd, 2), (n_bytes - ifd - 2) / 12);
    for (size_t i = 0; i < n_entries; i++) {
        const size_t at = ifd + 2 + 12 * i;
        if (get(&t, at, 2) != TAG_ORIENTATION || get(&t, at + 2, 2) != TYPE_SHORT)
            continue;
        const uint32_t v = get(&t, at + 8, 2);
        return v >= 1 && v <= 8 ? (int)v : 1;
    }
    return 1;
}

/* Where the pixel at (x, y) of the turned picture comes from: start + x * dx + y * dy, in
 * pixels of the stored one. */
typedef struct walk {
    ptrdiff_t start, dx, dy;
} walk;

static walk walk_for(int orientation, ptrdiff_t w, ptrdiff_t h)
{
    const ptrdiff_t last = w * h - 1, last_row = w * (h - 1);
    switch (orientation) {
    case 2: /* mirrored left-right */
        return (walk){w - 1, -1, w};
    case 3: /* half turn */
        return (walk){last, -1, -w};
    case 4: /* mirrored top-bottom */
        return (walk){last_row, 1, -w};
    case 5: /* transposed */
        return (walk){0, w, 1};
    case 6: /* to be turned right */
        return (walk){last_row, -w, 1};
    case 7: /* transposed over the other diagonal */
        return (walk){last, -w, -1};
    default: /* 8: to be turned left */
        return (walk){w - 1, w, -1};
    }
}

oct_status oct_image_turn(oct_ctx *ctx, const oct_image *src, int orientation, oct_image *dst)
{
    const bool sideways = orientation >= 5;
    const int width = sideways ? src->height : src->width;
    const int height = sideways ? src->width : src->height;
    const walk k = walk_for(orientation, src->width, src->height);
    const int c = src->channels;
    OCT_TRY(oct_image_reserve(ctx, dst, width, height, c));
    uint8_t *d = dst->data;
    for (int y = 0; y < height; y++) {
        const uint8_t *s = src->data + (k.start + y * k.dy) * c;
        for (int x = 0; x < width; x++, s += k.dx * c)
            for (int i = 0; i < c; i++)
                *d++ = s[i];
    }
    return OCT_OK;
}
