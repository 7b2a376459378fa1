/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG through libpng's row interface (never the "simplified" one). Gamma, colour profiles and
 * background chunks are ignored, as Pillow and OpenCV ignore them.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "base/strbuf.h"
#include "datasets/image_internal.h"

#define MAX_CHUNK_BYTES 8000000
#define MAX_CACHED_CHUNKS 128

typedef struct decoder {
    oct_ctx *ctx;
    const char *name;
    const oct_decode_options *opt;
    const uint8_t *bytes;
    size_t n_bytes, at;
    png_structp png;
    png_infop info;
    bool truncated;
    bool in_image; /* rows have started to arrive */
    bool clip16;   /* 16-bit grey that Pillow saturates at 255 */
    bool composite;
    bool luma; /* libpng itself makes grey of colour, as OpenCV lets it */
    int n_warnings;
    char message[160];
    uint8_t *row16;
} decoder;

static void on_error(png_structp png, png_const_charp text)
{
    decoder *d = png_get_error_ptr(png);
    oct_printable(text, d->message, sizeof d->message);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    decoder *d = png_get_error_ptr(png);
    (void)text;
    d->n_warnings++;
}

static void on_read(png_structp png, png_bytep dst, png_size_t n)
{
    decoder *d = png_get_io_ptr(png);
    if (n > d->n_bytes - d->at) {
        d->truncated = true;
        png_error(png, "data ends early");
    }
    memcpy(dst, d->bytes + d->at, n);
    d->at += n;
}

static int find_orientation(decoder *d)
{
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 n = 0;
    png_bytep block = NULL;
    if (d->opt->exif && png_get_eXIf_1(d->png, d->info, &n, &block) != 0)
        return oct_exif_orientation(block, n);
#endif
    (void)d;
    return 1;
}

/* From whatever the file has to 8-bit grey, RGB or (to composite) RGBA. */
static void choose_transforms(decoder *d)
{
    const int type = png_get_color_type(d->png, d->info);
    const int depth = png_get_bit_depth(d->png, d->info);
    const bool transparent = png_get_valid(d->png, d->info, PNG_INFO_tRNS) != 0;
    const bool has_alpha = (type & PNG_COLOR_MASK_ALPHA) != 0 || transparent;
    d->composite = has_alpha && d->opt->alpha != OCT_ALPHA_DROP;
    d->clip16 = type == PNG_COLOR_TYPE_GRAY && depth == 16 && !d->composite &&
                d->opt->rules == OCT_DECODER_PILLOW;
    if (type == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(d->png);
    else if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(d->png);
    if (d->composite && transparent)
        png_set_tRNS_to_alpha(d->png);
    if (d->composite && (type & PNG_COLOR_MASK_COLOR) == 0)
        png_set_gray_to_rgb(d->png);
    if (!d->composite)
        png_set_strip_alpha(d->png);
    if (depth == 16 && !d->clip16)
        png_set_strip_16(d->png);
    d->luma = d->opt->gray && d->opt->rules == OCT_DECODER_OPENCV && !d->composite &&
              (type & PNG_COLOR_MASK_COLOR) != 0;
    if (d->luma)
        png_set_rgb_to_gray_fixed(d->png, PNG_ERROR_ACTION_NONE, 29900, 58700);
}

/* 16-bit rows pass through one row; interlaced ones need the whole image at 16 bits. */
static oct_status read_clip16(decoder *d, oct_image *out, int n_passes)
{
    const size_t w = (size_t)out->width, h = (size_t)out->height;
    const size_t stride = 2 * w;
    d->row16 = oct_zalloc_array(d->ctx, n_passes > 1 ? h : 1, stride);
    if (d->row16 == NULL)
        return OCT_ERR_NOMEM;
    for (int pass = 0; pass < n_passes; pass++)
        for (size_t y = 0; y < h; y++) {
            uint8_t *row = d->row16 + (n_passes > 1 ? y * stride : 0);
            png_read_row(d->png, row, NULL);
            if (pass + 1 < n_passes)
                continue;
            for (size_t x = 0; x < w; x++) /* big-endian samples */
                out->data[y * w + x] = row[2 * x] != 0 ? 255 : row[2 * x + 1];
        }
    return OCT_OK;
}

static oct_status read_rows(decoder *d, oct_image *out)
{
    const int n_passes = png_set_interlace_handling(d->png);
    png_start_read_image(d->png);
    d->in_image = true;
    if (d->clip16)
        return read_clip16(d, out, n_passes);
    const size_t stride = (size_t)out->width * (size_t)out->channels;
    for (int pass = 0; pass < n_passes; pass++)
        for (size_t y = 0; y < (size_t)out->height; y++)
            png_read_row(d->png, out->data + y * stride, NULL);
    return OCT_OK;
}

/* RGBA to RGB in place, over black or white. */
static void composite(oct_image *im, unsigned background)
{
    const size_t n = (size_t)im->width * (size_t)im->height;
    const uint8_t *s = im->data;
    uint8_t *t = im->data;
    for (size_t i = 0; i < n; i++, s += 4, t += 3) {
        const unsigned a = s[3], rest = (255 - a) * background;
        for (int k = 0; k < 3; k++)
            t[k] = (uint8_t)((s[k] * a + rest + 127) / 255);
    }
    im->channels = 3;
}

static oct_status read_header(decoder *d, oct_decode_info *info, oct_image *out)
{
    png_set_user_limits(d->png, (png_uint_32)d->opt->limits.max_side,
                        (png_uint_32)d->opt->limits.max_side);
    png_set_chunk_malloc_max(d->png, MAX_CHUNK_BYTES);
    png_set_chunk_cache_max(d->png, MAX_CACHED_CHUNKS);
    png_set_read_fn(d->png, d, on_read);
    png_read_info(d->png, d->info);
    const png_uint_32 w = png_get_image_width(d->png, d->info);
    const png_uint_32 h = png_get_image_height(d->png, d->info);
    OCT_TRY(oct_image_check_limits(d->ctx, d->name, &d->opt->limits, w, h));
    info->file_width = (int)w;
    info->file_height = (int)h;
    choose_transforms(d);
    const int type = png_get_color_type(d->png, d->info);
    info->gray_file = (type & PNG_COLOR_MASK_COLOR) == 0;
    const bool one = (info->gray_file || d->luma) && !d->composite;
    OCT_TRY(oct_image_reserve(d->ctx, out, (int)w, (int)h,
                              d->composite          ? 4
                              : one && d->opt->gray ? 1
                                                    : 3));
    if (one)
        out->channels = 1;
    memset(out->data, 0, (size_t)w * h * (size_t)out->channels); /* what a truncated file lacks */
    return OCT_OK;
}

/* IHDR is at a fixed place: limits are checked before libpng sees anything. */
static oct_status check_declared_size(const decoder *d)
{
    if (d->n_bytes < 29)
        return oct_fail(d->ctx, OCT_ERR_FORMAT, "%s: PNG data ends early", d->name);
    const uint8_t *p = d->bytes + 16;
    const uint32_t w = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    const uint32_t h = (uint32_t)p[4] << 24 | (uint32_t)p[5] << 16 | (uint32_t)p[6] << 8 | p[7];
    return oct_image_check_limits(d->ctx, d->name, &d->opt->limits, w, h);
}

static oct_status decode_trapped(decoder *d, oct_image *out, oct_decode_info *info)
{
    if (setjmp(png_jmpbuf(d->png)) != 0) {
        if (d->truncated && d->in_image && d->opt->allow_truncated)
            return OCT_OK;
        return oct_fail(d->ctx, OCT_ERR_FORMAT, "%s: PNG: %s (near offset %zu)", d->name,
                        d->message, d->at);
    }
    OCT_TRY(read_header(d, info, out));
    OCT_TRY(read_rows(d, out));
    png_read_end(d->png, d->info);
    info->orientation = find_orientation(d); /* the chunk may follow the picture */
    return OCT_OK;
}

static void finish_channels(decoder *d, oct_image *out)
{
    if (d->composite)
        composite(out, d->opt->alpha == OCT_ALPHA_WHITE ? 255 : 0);
    if (d->opt->gray && out->channels == 3)
        oct_image_to_gray(out);
    else if (!d->opt->gray && out->channels == 1)
        oct_image_to_rgb(out);
}

oct_status oct_png_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes, size_t n_bytes,
                          const oct_decode_options *opt, oct_image *out, oct_decode_info *info)
{
    decoder d = {.ctx = ctx, .name = name, .opt = opt, .bytes = bytes, .n_bytes = n_bytes};
    OCT_TRY(check_declared_size(&d));
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    if (d.png != NULL)
        d.info = png_create_info_struct(d.png);
    oct_status st = d.info == NULL ? oct_fail(ctx, OCT_ERR_NOMEM, "%s: libpng cannot start", name)
                                   : decode_trapped(&d, out, info);
    info->n_warnings = d.n_warnings;
    info->truncated = d.truncated;
    png_destroy_read_struct(&d.png, &d.info, NULL);
    oct_free(ctx, d.row16);
    if (st == OCT_OK)
        finish_channels(&d, out);
    return st;
}
