/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/image.h"

#include <string.h>

#include "base/checked.h"
#include "datasets/image_internal.h"

oct_status oct_image_reserve(oct_ctx *ctx, oct_image *im, int width, int height, int channels)
{
    size_t need;
    if (!oct_mul_size((size_t)width, (size_t)height, &need) ||
        !oct_mul_size(need, (size_t)channels, &need) || need > SIZE_MAX - OCT_IMAGE_SLACK_BYTES)
        return oct_fail(ctx, OCT_ERR_LIMIT, "image of %d x %d pixels overflows", width, height);
    if (need > im->cap_bytes || im->data == NULL) {
        oct_free(ctx, im->data);
        *im = (oct_image){0};
        im->data = oct_alloc(ctx, need + OCT_IMAGE_SLACK_BYTES);
        if (im->data == NULL)
            return OCT_ERR_NOMEM;
        im->cap_bytes = need;
    }
    memset(im->data + need, 0, OCT_IMAGE_SLACK_BYTES);
    im->width = width;
    im->height = height;
    im->channels = channels;
    return OCT_OK;
}

void oct_image_deinit(oct_ctx *ctx, oct_image *im)
{
    oct_free(ctx, im->data);
    *im = (oct_image){0};
}

oct_status oct_image_check_limits(oct_ctx *ctx, const char *name, const oct_decode_limits *limits,
                                  uint32_t width, uint32_t height)
{
    if (width == 0 || height == 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: image of %u x %u pixels", name, width, height);
    if (width > (uint32_t)limits->max_side || height > (uint32_t)limits->max_side)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: image of %u x %u pixels; the limit is %d a side",
                        name, width, height, limits->max_side);
    if ((int64_t)width * height > limits->max_pixels)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: image of %u x %u pixels; the limit is %lld pixels",
                        name, width, height, (long long)limits->max_pixels);
    return OCT_OK;
}

void oct_image_to_gray(oct_image *im)
{
    const size_t n = (size_t)im->width * (size_t)im->height;
    const uint8_t *p = im->data;
    for (size_t i = 0; i < n; i++, p += 3)
        im->data[i] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    im->channels = 1;
}

void oct_image_to_rgb(oct_image *im)
{
    /* Backwards, so that no grey value is overwritten before it is read. */
    for (size_t i = (size_t)im->width * (size_t)im->height; i-- > 0;) {
        const uint8_t v = im->data[i];
        im->data[3 * i] = v;
        im->data[3 * i + 1] = v;
        im->data[3 * i + 2] = v;
    }
    im->channels = 3;
}

bool oct_image_is_jpeg(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

bool oct_image_is_png(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static void swap_images(oct_image *a, oct_image *b)
{
    const oct_image t = *a;
    *a = *b;
    *b = t;
}

oct_status oct_image_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes, size_t n_bytes,
                            const oct_decode_options *opt, oct_image *out, oct_image *turned,
                            oct_decode_info *info)
{
    *info = (oct_decode_info){.orientation = 1};
    if (n_bytes == 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: empty file", name);
    if (oct_image_is_jpeg(bytes, n_bytes))
        OCT_TRY(oct_jpeg_decode(ctx, name, bytes, n_bytes, opt, out, info));
    else if (oct_image_is_png(bytes, n_bytes))
        OCT_TRY(oct_png_decode(ctx, name, bytes, n_bytes, opt, out, info));
    else
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "%s: neither JPEG nor PNG (first bytes %02x %02x)", name, bytes[0],
                        n_bytes > 1 ? bytes[1] : 0);
    if (!opt->exif || info->orientation == 1)
        return OCT_OK;
    OCT_TRY(oct_image_turn(ctx, out, info->orientation, turned));
    swap_images(out, turned);
    return OCT_OK;
}
