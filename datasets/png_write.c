/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>

#include <png.h>

#include "base/file.h"
#include "datasets/image.h"

typedef struct writer {
    oct_atomic_file *f;
    oct_status st;
} writer;

static void on_error(png_structp png, png_const_charp text)
{
    (void)text;
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_write(png_structp png, png_bytep bytes, png_size_t n)
{
    writer *w = png_get_io_ptr(png);
    w->st = oct_atomic_write(w->f, bytes, n);
    if (w->st != OCT_OK)
        png_error(png, "write failed");
}

static void on_flush(png_structp png)
{
    (void)png;
}

static oct_status write_trapped(oct_ctx *ctx, png_structp png, png_infop info, const oct_image *im,
                                writer *w)
{
    if (setjmp(png_jmpbuf(png)) != 0)
        return w->st != OCT_OK ? w->st : oct_fail(ctx, OCT_ERR_IO, "libpng cannot write");
    png_set_write_fn(png, w, on_write, on_flush);
    png_set_IHDR(png, info, (png_uint_32)im->width, (png_uint_32)im->height, 8,
                 im->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    const size_t stride = (size_t)im->width * (size_t)im->channels;
    for (size_t y = 0; y < (size_t)im->height; y++)
        png_write_row(png, im->data + y * stride);
    png_write_end(png, NULL);
    return OCT_OK;
}

oct_status oct_image_write_png(oct_ctx *ctx, const char *path, const oct_image *im, bool force)
{
    writer w = {0};
    png_infop info = NULL;
    OCT_TRY(oct_atomic_open(ctx, path, force, &w.f));
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    if (png != NULL)
        info = png_create_info_struct(png);
    const oct_status st = info == NULL
                              ? oct_fail(ctx, OCT_ERR_NOMEM, "%s: libpng cannot start", path)
                              : write_trapped(ctx, png, info, im, &w);
    png_destroy_write_struct(&png, &info);
    if (st == OCT_OK)
        return oct_atomic_commit(w.f);
    oct_atomic_abort(w.f);
    return st;
}
