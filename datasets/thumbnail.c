/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/thumbnail.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include "base/file.h"
#include "datasets/resample.h"

#define QUALITY 82
#define MAX_FILE_BYTES 64000000

/* ---- encoding ---------------------------------------------------------------------------- */

typedef struct encoder {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr err;
    struct jpeg_destination_mgr dest;
    jmp_buf trap;
} encoder;

static void on_error(j_common_ptr cinfo)
{
    longjmp(((encoder *)cinfo)->trap, 1);
}

static void on_message(j_common_ptr cinfo)
{
    (void)cinfo;
}

static void on_begin_or_end(j_compress_ptr cinfo)
{
    (void)cinfo;
}

/* The buffer holds twice the pixels: more would be no thumbnail. */
static boolean on_full(j_compress_ptr cinfo)
{
    on_error((j_common_ptr)cinfo);
    return FALSE;
}

static void compress(encoder *e, const oct_image *im)
{
    struct jpeg_compress_struct *c = &e->cinfo;
    c->image_width = (JDIMENSION)im->width;
    c->image_height = (JDIMENSION)im->height;
    c->input_components = im->channels;
    c->in_color_space = im->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, QUALITY, TRUE);
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        JSAMPROW row = im->data + (size_t)c->next_scanline * (size_t)(im->width * im->channels);
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

static bool encode(encoder *e, const oct_image *im, uint8_t *out, size_t cap, size_t *n)
{
    e->cinfo.err = jpeg_std_error(&e->err);
    e->err.error_exit = on_error;
    e->err.output_message = on_message;
    if (setjmp(e->trap) != 0)
        return false;
    jpeg_create_compress(&e->cinfo);
    e->dest = (struct jpeg_destination_mgr){.next_output_byte = out,
                                            .free_in_buffer = cap,
                                            .init_destination = on_begin_or_end,
                                            .empty_output_buffer = on_full,
                                            .term_destination = on_begin_or_end};
    e->cinfo.dest = &e->dest;
    compress(e, im);
    *n = cap - e->dest.free_in_buffer;
    return true;
}

static oct_status to_jpeg(oct_ctx *ctx, const oct_image *im, uint8_t **jpeg, size_t *n)
{
    const size_t cap = (size_t)im->width * (size_t)im->height * 6 + 4096;
    encoder *e = oct_zalloc(ctx, sizeof *e);
    uint8_t *out = oct_alloc(ctx, cap);
    oct_status st = e && out ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK && !encode(e, im, out, cap, n))
        st = oct_fail(ctx, OCT_ERR_NOMEM, "a %dx%d thumbnail could not be encoded", im->width,
                      im->height);
    if (e)
        jpeg_destroy_compress(&e->cinfo);
    oct_free(ctx, e);
    if (st == OCT_OK)
        *jpeg = out;
    else
        oct_free(ctx, out);
    return st;
}

/* ---- making it small --------------------------------------------------------------------- */

static oct_status shrink(oct_ctx *ctx, const oct_image *im, int side, oct_image *out)
{
    const int longer = im->width > im->height ? im->width : im->height;
    const double ratio = longer > side ? (double)side / longer : 1;
    int w = (int)(im->width * ratio + 0.5), h = (int)(im->height * ratio + 0.5);
    w = w < 1 ? 1 : w;
    h = h < 1 ? 1 : h;
    oct_resampler *r;
    OCT_TRY(oct_image_reserve(ctx, out, w, h, im->channels));
    OCT_TRY(oct_resampler_new(ctx, false, &r));
    const oct_status st =
        oct_resample(r, ctx, OCT_RESAMPLE_PILLOW_BILINEAR, im, w, h, (oct_window){0, 0, w, h},
                     out->data, (size_t)(w * im->channels));
    oct_resampler_free(ctx, r);
    return st;
}

oct_status oct_thumbnail_make(oct_ctx *ctx, const char *path, int side, uint8_t **jpeg,
                              size_t *n_bytes)
{
    const oct_decode_options opt = {
        .exif = true, .allow_truncated = true, .limits = OCT_DECODE_LIMITS_DEFAULT};
    oct_image im = {0}, turned = {0}, small = {0};
    oct_decode_info info;
    uint8_t *file;
    size_t n;
    OCT_TRY(oct_file_read(ctx, path, MAX_FILE_BYTES, &file, &n));
    oct_status st = oct_image_decode(ctx, path, file, n, &opt, &im, &turned, &info);
    oct_free(ctx, file);
    if (st == OCT_OK)
        st = shrink(ctx, &im, side, &small);
    if (st == OCT_OK)
        st = to_jpeg(ctx, &small, jpeg, n_bytes);
    oct_image_deinit(ctx, &im);
    oct_image_deinit(ctx, &turned);
    oct_image_deinit(ctx, &small);
    return st;
}
