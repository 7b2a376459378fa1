/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/preprocess.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/numeric.h"
#include "datasets/geometry.h"

struct oct_preprocessor {
    oct_ctx *ctx;
    oct_preprocess spec;
    oct_decode_options decode;
    oct_dtype dtype;
    /* table[c][v]: output channel c of pixel value v, as `dtype` */
    union {
        float f32[3][256];
        uint16_t f16[3][256];
        uint8_t u8[3][256];
    } table;
    int source[3]; /* pixel channel of output channel c */
};

struct oct_preprocess_scratch {
    oct_image decoded, turned, pixels;
    oct_resampler *resampler;
};

static oct_status bad(oct_ctx *ctx, const char *field, const char *expected)
{
    return oct_fail(ctx, OCT_ERR_USAGE, "preprocessing: %s must be %s", field, expected);
}

oct_status oct_preprocess_check(oct_ctx *ctx, const oct_preprocess *p)
{
    if (p->width < 1 || p->height < 1 || p->width > 16384 || p->height > 16384)
        return bad(ctx, "size", "1 to 16384 pixels a side");
    if (p->resize == OCT_FIT_SHORT && (p->resize_short < 1 || p->resize_short > 16384))
        return bad(ctx, "resize.size", "1 to 16384 pixels");
    if (!isfinite(p->scale) || p->scale == 0)
        return bad(ctx, "scale", "finite and not zero");
    for (int c = 0; c < oct_preprocess_channels(p); c++) {
        if (!isfinite(p->mean[c]))
            return bad(ctx, "mean", "finite");
        if (!isfinite(p->std[c]) || p->std[c] <= 0)
            return bad(ctx, "std", "finite and above zero");
    }
    return OCT_OK;
}

/* Single-precision steps, each rounded, as torchvision's ToTensor and Normalize and NumPy code
 * on float32 arrays take them. */
static float normalise(const oct_preprocess *p, int c, int v)
{
    const float x = (float)(v * p->scale);
    return (x - (float)p->mean[c]) / (float)p->std[c];
}

static oct_status fill_table(oct_ctx *ctx, oct_preprocessor *pp)
{
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            const float y = normalise(&pp->spec, c, v);
            if (pp->dtype == OCT_DT_F32)
                pp->table.f32[c][v] = y;
            else if (pp->dtype == OCT_DT_F16)
                pp->table.f16[c][v] = oct_f16_from_f32(y);
            else if (y == (float)v)
                pp->table.u8[c][v] = (uint8_t)v;
            else
                return oct_fail(ctx, OCT_ERR_USAGE,
                                "the network takes u8 pictures: preprocessing must have scale 1, "
                                "mean 0, std 1 (preset none)");
        }
    return OCT_OK;
}

oct_status oct_preprocessor_new(oct_ctx *ctx, const oct_preprocess *p, oct_dtype dtype,
                                const oct_decode_limits *limits, bool allow_truncated,
                                oct_preprocessor **out)
{
    OCT_TRY(oct_preprocess_check(ctx, p));
    if (dtype != OCT_DT_F32 && dtype != OCT_DT_F16 && dtype != OCT_DT_U8)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "image input of type %s; f32, f16 and u8 are supported",
                        oct_dtype_str(dtype));
    oct_preprocessor *pp = oct_zalloc(ctx, sizeof *pp);
    if (pp == NULL)
        return OCT_ERR_NOMEM;
    pp->ctx = ctx;
    pp->spec = *p;
    pp->dtype = dtype;
    pp->decode = (oct_decode_options){.rules = p->decoder,
                                      .alpha = p->alpha,
                                      .gray = p->color == OCT_COLOR_GRAY,
                                      .exif = p->exif,
                                      .allow_truncated = allow_truncated,
                                      .limits = *limits};
    for (int c = 0; c < 3; c++)
        pp->source[c] = p->color == OCT_COLOR_BGR ? 2 - c : c;
    const oct_status st = fill_table(ctx, pp);
    if (st != OCT_OK) {
        oct_preprocessor_free(pp);
        return st;
    }
    *out = pp;
    return OCT_OK;
}

void oct_preprocessor_free(oct_preprocessor *pp)
{
    if (pp != NULL)
        oct_free(pp->ctx, pp);
}

const oct_preprocess *oct_preprocessor_spec(const oct_preprocessor *pp)
{
    return &pp->spec;
}

oct_status oct_preprocess_scratch_new(oct_ctx *ctx, oct_preprocess_scratch **out)
{
    oct_preprocess_scratch *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st = oct_resampler_new(ctx, false, &s->resampler);
    if (st != OCT_OK) {
        oct_free(ctx, s);
        return st;
    }
    *out = s;
    return OCT_OK;
}

void oct_preprocess_scratch_free(oct_ctx *ctx, oct_preprocess_scratch *s)
{
    if (s == NULL)
        return;
    oct_image_deinit(ctx, &s->decoded);
    oct_image_deinit(ctx, &s->turned);
    oct_image_deinit(ctx, &s->pixels);
    oct_resampler_free(ctx, s->resampler);
    oct_free(ctx, s);
}

static void fill_pad(const oct_preprocess *p, uint8_t *dst)
{
    const size_t n = (size_t)p->width * (size_t)p->height;
    if (p->color == OCT_COLOR_GRAY) {
        memset(dst, p->pad[0], n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        memcpy(dst + 3 * i, p->pad, 3);
}

oct_status oct_preprocess_picture(const oct_preprocessor *pp, oct_ctx *ctx,
                                  oct_preprocess_scratch *s, const char *name, const oct_image *im,
                                  uint8_t *dst, oct_sample *sample)
{
    const oct_preprocess *p = &pp->spec;
    const size_t c = (size_t)oct_preprocess_channels(p), stride = (size_t)p->width * c;
    oct_geometry g;
    OCT_TRY(
        oct_geometry_plan(ctx, name, p, im->width, im->height, pp->decode.limits.max_pixels, &g));
    if (g.window.width != p->width || g.window.height != p->height)
        fill_pad(p, dst);
    uint8_t *at = dst + (size_t)g.dst_y * stride + (size_t)g.dst_x * c;
    OCT_TRY(oct_resample(s->resampler, ctx, p->kernel, im, g.resized_width, g.resized_height,
                         g.window, at, stride));
    sample->width = im->width;
    sample->height = im->height;
    sample->ratio_x = g.ratio_x;
    sample->ratio_y = g.ratio_y;
    sample->offset_x = g.offset_x;
    sample->offset_y = g.offset_y;
    return OCT_OK;
}

oct_status oct_preprocess_pixels(const oct_preprocessor *pp, oct_ctx *ctx,
                                 oct_preprocess_scratch *s, const char *name, const uint8_t *bytes,
                                 size_t n_bytes, uint8_t *dst, oct_sample *sample,
                                 oct_decode_info *info)
{
    OCT_TRY(
        oct_image_decode(ctx, name, bytes, n_bytes, &pp->decode, &s->decoded, &s->turned, info));
    if (info->gray_file && pp->spec.gray_files == OCT_GRAY_REFUSE)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: grey picture, refused by the preprocessing",
                        name);
    return oct_preprocess_picture(pp, ctx, s, name, &s->decoded, dst, sample);
}

/* One output channel: n table look-ups, `step` elements apart in the output. */
#define LOOK_UP(type, field)                                          \
    do {                                                              \
        const type *table = pp->table.field[c];                       \
        type *d = (type *)dst + (planar ? (size_t)c * n : (size_t)c); \
        for (size_t i = 0; i < n; i++)                                \
            d[i * step] = table[s[i * n_channels]];                   \
    } while (0)

void oct_preprocess_normalize(const oct_preprocessor *pp, const uint8_t *pixels, void *dst)
{
    const oct_preprocess *p = &pp->spec;
    const size_t n = (size_t)p->width * (size_t)p->height;
    const size_t n_channels = (size_t)oct_preprocess_channels(p);
    const bool planar = !p->channels_last;
    const size_t step = planar ? 1 : n_channels;
    for (int c = 0; c < (int)n_channels; c++) {
        const uint8_t *s = pixels + (n_channels == 1 ? 0 : pp->source[c]);
        if (pp->dtype == OCT_DT_F32)
            LOOK_UP(float, f32);
        else if (pp->dtype == OCT_DT_F16)
            LOOK_UP(uint16_t, f16);
        else
            LOOK_UP(uint8_t, u8);
    }
}

oct_status oct_preprocess_file(const oct_preprocessor *pp, oct_ctx *ctx, oct_preprocess_scratch *s,
                               const char *name, const uint8_t *bytes, size_t n_bytes, void *dst,
                               oct_sample *sample, oct_decode_info *info)
{
    const oct_preprocess *p = &pp->spec;
    OCT_TRY(oct_image_reserve(ctx, &s->pixels, p->width, p->height, oct_preprocess_channels(p)));
    OCT_TRY(oct_preprocess_pixels(pp, ctx, s, name, bytes, n_bytes, s->pixels.data, sample, info));
    oct_preprocess_normalize(pp, s->pixels.data, dst);
    return OCT_OK;
}
