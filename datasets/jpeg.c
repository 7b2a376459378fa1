/* SPDX-License-Identifier: Apache-2.0
 *
 * JPEG through libjpeg-turbo's classic interface, default settings (slow integer DCT, fancy
 * upsampling), as Pillow and OpenCV use it. The library's own blocks come from malloc; the
 * limits bound them.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "datasets/image_internal.h"

/* Coefficients of a 64-megapixel progressive 4:4:4 image take 384 MB; libjpeg refuses more. */
#define MAX_LIBRARY_BYTES 1000000000L

typedef struct decoder {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr err;
    struct jpeg_progress_mgr progress;
    struct jpeg_source_mgr src;
    jmp_buf trap;
    oct_ctx *ctx;
    const char *name;
    const oct_decode_options *opt;
    const uint8_t *bytes; /* start of the file, for offsets in messages */
    bool truncated;
    bool bomb; /* scan limit hit */
} decoder;

static decoder *self(j_common_ptr cinfo)
{
    return cinfo->client_data;
}

static void on_error(j_common_ptr cinfo)
{
    longjmp(self(cinfo)->trap, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    if (level < 0)
        cinfo->err->num_warnings++;
}

static void on_output(j_common_ptr cinfo)
{
    (void)cinfo; /* nothing is ever printed */
}

static void on_progress(j_common_ptr cinfo)
{
    decoder *d = self(cinfo);
    if (d->cinfo.input_scan_number > d->opt->limits.max_scans) {
        d->bomb = true;
        longjmp(d->trap, 1);
    }
}

static void source_nop(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

/* Past the end: feed end-of-image markers, so that what is there comes out. */
static boolean source_fill(j_decompress_ptr cinfo)
{
    static const JOCTET eoi[2] = {0xff, JPEG_EOI};
    self((j_common_ptr)cinfo)->truncated = true;
    cinfo->src->next_input_byte = eoi;
    cinfo->src->bytes_in_buffer = 2;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long n)
{
    struct jpeg_source_mgr *s = cinfo->src;
    if (n <= 0)
        return;
    if ((size_t)n > s->bytes_in_buffer) {
        source_fill(cinfo);
        return;
    }
    s->next_input_byte += n;
    s->bytes_in_buffer -= (size_t)n;
}

static void setup(decoder *d, size_t n_bytes)
{
    d->cinfo.err = jpeg_std_error(&d->err);
    d->err.error_exit = on_error;
    d->err.emit_message = on_message;
    d->err.output_message = on_output;
    d->cinfo.client_data = d;
    d->src = (struct jpeg_source_mgr){
        .next_input_byte = d->bytes,
        .bytes_in_buffer = n_bytes,
        .init_source = source_nop,
        .fill_input_buffer = source_fill,
        .skip_input_data = source_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = source_nop,
    };
    d->progress.progress_monitor = on_progress;
}

static int find_orientation(const struct jpeg_decompress_struct *cinfo)
{
    for (jpeg_saved_marker_ptr m = cinfo->marker_list; m != NULL; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && memcmp(m->data, "Exif\0\0", 6) == 0)
            return oct_exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Sets the output colour space; false if we have no conversion for the file's. */
static bool choose_output(decoder *d)
{
    struct jpeg_decompress_struct *c = &d->cinfo;
    switch (c->jpeg_color_space) {
    case JCS_GRAYSCALE:
        c->out_color_space = JCS_GRAYSCALE;
        return true;
    case JCS_YCbCr:
        /* OpenCV lets the library drop the chroma, Pillow converts RGB. */
        c->out_color_space =
            d->opt->gray && d->opt->rules == OCT_DECODER_OPENCV ? JCS_GRAYSCALE : JCS_RGB;
        return true;
    case JCS_RGB:
        c->out_color_space = JCS_RGB;
        return true;
    case JCS_CMYK:
    case JCS_YCCK:
        c->out_color_space = JCS_CMYK;
        return true;
    default:
        return false;
    }
}

/* Files hold Adobe's inverted CMYK: v = 255 - ink. One row of n pixels, in place. */
static void cmyk_to_rgb_pillow(uint8_t *row, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *p = row + 4 * i;
        const unsigned nk = p[3];
        unsigned rgb[3];
        for (int k = 0; k < 3; k++) {
            const unsigned t = (255u - p[k]) * nk + 128;
            rgb[k] = nk - (((t >> 8) + t) >> 8);
        }
        for (int k = 0; k < 3; k++)
            row[3 * i + k] = (uint8_t)rgb[k];
    }
}

static void cmyk_to_rgb_opencv(uint8_t *row, int n)
{
    for (int i = 0; i < n; i++) {
        const uint8_t *p = row + 4 * i;
        const int k = p[3];
        const int r = k - ((255 - p[0]) * k >> 8);
        const int g = k - ((255 - p[1]) * k >> 8);
        const int b = k - ((255 - p[2]) * k >> 8);
        row[3 * i] = (uint8_t)r;
        row[3 * i + 1] = (uint8_t)g;
        row[3 * i + 2] = (uint8_t)b;
    }
}

static oct_status read_header(decoder *d, oct_decode_info *info)
{
    struct jpeg_decompress_struct *c = &d->cinfo;
    c->mem->max_memory_to_use = MAX_LIBRARY_BYTES;
    c->src = &d->src;
    c->progress = &d->progress;
    if (d->opt->exif)
        jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(c, TRUE);
    OCT_TRY(
        oct_image_check_limits(d->ctx, d->name, &d->opt->limits, c->image_width, c->image_height));
    if (!choose_output(d))
        return oct_fail(d->ctx, OCT_ERR_UNSUPPORTED,
                        "%s: JPEG with %d components of an unknown colour space", d->name,
                        c->num_components);
    info->file_width = (int)c->image_width;
    info->file_height = (int)c->image_height;
    info->orientation = find_orientation(c);
    info->gray_file = c->jpeg_color_space == JCS_GRAYSCALE;
    return OCT_OK;
}

/* CMYK rows pass through a row of the library's pool on their way to three channels. */
static void read_rows(decoder *d, oct_image *out)
{
    struct jpeg_decompress_struct *c = &d->cinfo;
    const size_t stride = (size_t)out->width * (size_t)out->channels;
    const bool cmyk = c->out_color_components == 4;
    JSAMPROW temp = NULL;
    if (cmyk)
        temp = (*c->mem->alloc_large)((j_common_ptr)c, JPOOL_IMAGE, (size_t)out->width * 4);
    while (c->output_scanline < c->output_height) {
        JSAMPROW row[8];
        const size_t first = c->output_scanline;
        const size_t n = cmyk ? 1 : c->output_height - first < 8 ? c->output_height - first : 8;
        for (size_t i = 0; i < n; i++)
            row[i] = cmyk ? temp : out->data + (first + i) * stride;
        jpeg_read_scanlines(c, row, (JDIMENSION)n);
        if (cmyk) {
            if (d->opt->rules == OCT_DECODER_OPENCV)
                cmyk_to_rgb_opencv(temp, out->width);
            else
                cmyk_to_rgb_pillow(temp, out->width);
            memcpy(out->data + first * stride, temp, stride);
        }
    }
}

/* Buffer for what the library writes, with room for what it will become. */
static oct_status reserve(decoder *d, oct_image *out)
{
    const int w = (int)d->cinfo.image_width, h = (int)d->cinfo.image_height;
    const bool one = d->cinfo.out_color_space == JCS_GRAYSCALE;
    OCT_TRY(oct_image_reserve(d->ctx, out, w, h, one && d->opt->gray ? 1 : 3));
    out->channels = one ? 1 : 3;
    return OCT_OK;
}

static oct_status failed(decoder *d)
{
    char text[JMSG_LENGTH_MAX];
    const unsigned long at = (unsigned long)(d->src.next_input_byte - d->bytes);
    if (d->bomb)
        return oct_fail(d->ctx, OCT_ERR_LIMIT, "%s: JPEG with more than %d scans", d->name,
                        d->opt->limits.max_scans);
    if (d->truncated)
        return oct_fail(d->ctx, OCT_ERR_FORMAT, "%s: JPEG data ends early", d->name);
    (*d->err.format_message)((j_common_ptr)&d->cinfo, text);
    const int code = d->err.msg_code;
    if (code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE)
        return oct_fail(d->ctx, OCT_ERR_LIMIT, "%s: JPEG decoder out of memory: %s", d->name, text);
    const bool refused = code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED ||
                         code == JERR_CONVERSION_NOTIMPL || code == JERR_ARITH_NOTIMPL;
    return oct_fail(d->ctx, refused ? OCT_ERR_UNSUPPORTED : OCT_ERR_FORMAT,
                    "%s: JPEG: %s (near offset %lu)", d->name, text, at);
}

static oct_status decode_trapped(decoder *d, oct_image *out, oct_decode_info *info)
{
    if (setjmp(d->trap) != 0)
        return failed(d);
    jpeg_create_decompress(&d->cinfo);
    d->cinfo.client_data = d; /* create clears the struct but for err and client_data */
    OCT_TRY(read_header(d, info));
    OCT_TRY(reserve(d, out));
    jpeg_start_decompress(&d->cinfo);
    read_rows(d, out);
    jpeg_finish_decompress(&d->cinfo);
    if (d->truncated && !d->opt->allow_truncated)
        return failed(d);
    return OCT_OK;
}

oct_status oct_jpeg_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes, size_t n_bytes,
                           const oct_decode_options *opt, oct_image *out, oct_decode_info *info)
{
    decoder *d = oct_zalloc(ctx, sizeof *d);
    if (d == NULL)
        return OCT_ERR_NOMEM;
    d->ctx = ctx;
    d->name = name;
    d->opt = opt;
    d->bytes = bytes;
    setup(d, n_bytes);
    const oct_status st = decode_trapped(d, out, info);
    info->n_warnings = (int)d->err.num_warnings;
    info->truncated = d->truncated;
    jpeg_destroy_decompress(&d->cinfo);
    oct_free(ctx, d);
    if (st != OCT_OK)
        return st;
    if (opt->gray && out->channels == 3)
        oct_image_to_gray(out);
    else if (!opt->gray && out->channels == 1)
        oct_image_to_rgb(out);
    return OCT_OK;
}
