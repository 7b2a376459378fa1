/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/json_read.h"
#include "datasets/preprocess_names.h"
#include "datasets/presets.h"

static oct_status wrong(const oct_json_at *at, const char *key, const char *expected)
{
    return oct_fail(at->ctx, OCT_ERR_USAGE, "%s: key '%s%s': expected %s", at->file, at->where, key,
                    expected);
}

/* A word out of a table; `*value` stays when the key is absent. */
static oct_status get_word(const oct_json_at *at, const json_t *obj, const char *key,
                           const char *const *words, int n, int *value)
{
    const char *text = NULL;
    OCT_TRY(oct_json_opt_string(at, obj, key, &text));
    if (text == NULL)
        return OCT_OK;
    for (int i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) {
            *value = i;
            return OCT_OK;
        }
    char list[160];
    size_t len = 0;
    for (int i = 0; i < n; i++) {
        const size_t k = strlen(words[i]);
        if (len + k + 3 > sizeof list)
            break;
        memcpy(list + len, words[i], k);
        len += k;
        list[len++] = ' ';
    }
    list[len > 0 ? len - 1 : 0] = '\0';
    return oct_fail(at->ctx, OCT_ERR_USAGE, "%s: key '%s%s' is \"%.60s\", expected one of: %s",
                    at->file, at->where, key, text, list);
}

/* One number for all channels, or one each. */
static oct_status get_channels(const oct_json_at *at, const json_t *obj, const char *key, int n,
                               double *out)
{
    const json_t *v = json_object_get(obj, key);
    if (v == NULL || json_is_null(v))
        return OCT_OK;
    const bool list = json_is_array(v);
    if (!json_is_number(v) && !(list && json_array_size(v) == (size_t)n))
        return wrong(at, key, n == 3 ? "a number or 3 numbers" : "a number");
    for (int i = 0; i < n; i++) {
        const json_t *item = list ? json_array_get(v, (size_t)i) : v;
        if (!json_is_number(item))
            return wrong(at, key, "numbers");
        out[i] = json_number_value(item);
    }
    return OCT_OK;
}

static oct_status get_pad(const oct_json_at *at, const json_t *obj, oct_preprocess *p)
{
    double pad[3] = {p->pad[0], p->pad[1], p->pad[2]};
    OCT_TRY(get_channels(at, obj, "pad", oct_preprocess_channels(p), pad));
    for (int c = 0; c < 3; c++) {
        if (!(pad[c] >= 0 && pad[c] <= 255))
            return wrong(at, "pad", "0 to 255");
        p->pad[c] = (uint8_t)pad[c];
    }
    return OCT_OK;
}

static bool side_of(const json_t *v, int *out)
{
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 16384)
        return false;
    *out = (int)json_integer_value(v);
    return true;
}

/* "size": S or [height, width], against what the network says; rounded up to a multiple of
 * resize.stride where the network leaves the size free. */
static oct_status get_size(const oct_json_at *at, const json_t *root, oct_image_input *in)
{
    const json_t *v = json_object_get(root, "size");
    int h = 0, w = 0;
    int64_t stride = 1;
    json_t *resize = NULL;
    OCT_TRY(oct_json_opt_object(at, root, "resize", &resize));
    if (resize != NULL)
        OCT_TRY(oct_json_opt_s64(at, resize, "stride", &stride));
    if (stride < 1 || stride > 1024)
        return wrong(at, "resize.stride", "1 to 1024");
    if (v == NULL || json_is_null(v))
        return OCT_OK;
    const bool ok = json_is_array(v)
                        ? json_array_size(v) == 2 && side_of(json_array_get(v, 0), &h) &&
                              side_of(json_array_get(v, 1), &w)
                        : side_of(v, &h);
    if (!ok)
        return wrong(at, "size", "a number of pixels or [height, width], 1 to 16384");
    w = w == 0 ? h : w;
    h = (h + (int)stride - 1) / (int)stride * (int)stride;
    w = (w + (int)stride - 1) / (int)stride * (int)stride;
    if ((in->height != 0 && in->height != h) || (in->width != 0 && in->width != w))
        return oct_fail(at->ctx, OCT_ERR_USAGE, "%s: size %d x %d, but the network takes %d x %d",
                        at->file, h, w, in->height, in->width);
    in->height = h;
    in->width = w;
    return OCT_OK;
}

static oct_status get_resize(const oct_json_at *root_at, const json_t *root, oct_preprocess *p)
{
    static const char *const known[] = {"mode", "size", "kernel", "align", "pad", "stride", NULL};
    static const char *const aligns[] = {"top-left", "center"};
    const oct_json_at at = {root_at->ctx, root_at->file, "resize."};
    json_t *obj = NULL;
    int mode = (int)p->resize, kernel = (int)p->kernel, align = p->letterbox_center;
    int64_t size = p->resize_short;
    OCT_TRY(oct_json_opt_object(root_at, root, "resize", &obj));
    if (obj == NULL)
        return OCT_OK;
    OCT_TRY(oct_json_check_keys(&at, obj, known));
    OCT_TRY(get_word(&at, obj, "mode", oct_fit_mode_names, OCT_FIT_COUNT, &mode));
    OCT_TRY(get_word(&at, obj, "kernel", oct_resample_names, OCT_RESAMPLE_COUNT, &kernel));
    OCT_TRY(get_word(&at, obj, "align", aligns, 2, &align));
    OCT_TRY(oct_json_opt_s64(&at, obj, "size", &size));
    OCT_TRY(get_pad(&at, obj, p));
    if (json_object_get(obj, "size") != NULL && mode != OCT_FIT_SHORT)
        return wrong(&at, "size", "only with mode \"short\" (the network's size is \"size\")");
    if (mode == OCT_FIT_SHORT && (size < 1 || size > 16384))
        return wrong(&at, "size", "the short side, 1 to 16384 pixels");
    p->resize = (oct_fit_mode)mode;
    p->kernel = (oct_resample_kernel)kernel;
    p->letterbox_center = align != 0;
    p->resize_short = mode == OCT_FIT_SHORT ? (int)size : 0;
    return OCT_OK;
}

/* nvinfer's [property] keys, so that a DeepStream configuration can be typed over as JSON. It
 * computes y = net-scale-factor * (x - offset). */
static oct_status get_nvinfer(const oct_json_at *at, const json_t *root, oct_preprocess *p)
{
    static const oct_color_order formats[] = {OCT_COLOR_RGB, OCT_COLOR_BGR, OCT_COLOR_GRAY};
    int64_t format = -1, keep = -1, symmetric = -1;
    double offsets[3] = {0, 0, 0};
    OCT_TRY(oct_json_opt_f64(at, root, "net-scale-factor", &p->scale));
    OCT_TRY(oct_json_opt_s64(at, root, "model-color-format", &format));
    OCT_TRY(oct_json_opt_s64(at, root, "maintain-aspect-ratio", &keep));
    OCT_TRY(oct_json_opt_s64(at, root, "symmetric-padding", &symmetric));
    if (format > 2)
        return wrong(at, "model-color-format", "0 (RGB), 1 (BGR) or 2 (GRAY)");
    if (format >= 0) {
        if ((formats[format] == OCT_COLOR_GRAY) != (p->color == OCT_COLOR_GRAY))
            return wrong(at, "model-color-format", "a format with the network's channel count");
        p->color = formats[format];
    }
    if (keep >= 0)
        p->resize = keep != 0 ? OCT_FIT_LETTERBOX : OCT_FIT_EXACT;
    if (symmetric >= 0)
        p->letterbox_center = symmetric != 0;
    if (json_object_get(root, "offsets") == NULL)
        return OCT_OK;
    OCT_TRY(get_channels(at, root, "offsets", oct_preprocess_channels(p), offsets));
    for (int c = 0; c < 3; c++) {
        p->mean[c] = offsets[c] * p->scale;
        p->std[c] = 1;
    }
    return OCT_OK;
}

static oct_status get_values(const oct_json_at *at, const json_t *root, oct_preprocess *p)
{
    static const char *const layouts[] = {"NCHW", "NHWC"};
    int decoder = (int)p->decoder, alpha = (int)p->alpha, gray = (int)p->gray_files;
    int color = (int)p->color, rounding = (int)p->crop_rounding, layout = p->channels_last;
    const bool was_gray = p->color == OCT_COLOR_GRAY;
    OCT_TRY(get_word(at, root, "decoder", oct_decoder_names, OCT_DECODER_COUNT, &decoder));
    OCT_TRY(get_word(at, root, "alpha", oct_alpha_names, OCT_ALPHA_COUNT, &alpha));
    OCT_TRY(get_word(at, root, "gray_files", oct_gray_names, OCT_GRAY_COUNT, &gray));
    OCT_TRY(get_word(at, root, "color", oct_color_names, OCT_COLOR_COUNT, &color));
    OCT_TRY(
        get_word(at, root, "crop_rounding", oct_crop_rounding_names, OCT_CROP_COUNT, &rounding));
    OCT_TRY(get_word(at, root, "layout", layouts, 2, &layout));
    OCT_TRY(oct_json_opt_bool(at, root, "exif", &p->exif));
    if ((color == OCT_COLOR_GRAY) != was_gray)
        return wrong(at, "color",
                     was_gray ? "GRAY, the network takes 1 channel"
                              : "RGB or BGR, the network takes 3 channels");
    if ((layout != 0) != p->channels_last)
        return wrong(at, "layout",
                     p->channels_last ? "NHWC, as the network" : "NCHW, as the network");
    p->decoder = (oct_decoder_rules)decoder;
    p->alpha = (oct_alpha_policy)alpha;
    p->gray_files = (oct_gray_policy)gray;
    p->color = (oct_color_order)color;
    p->crop_rounding = (oct_crop_rounding)rounding;
    OCT_TRY(get_pad(at, root, p));
    OCT_TRY(get_nvinfer(at, root, p));
    const int n = oct_preprocess_channels(p);
    OCT_TRY(oct_json_opt_f64(at, root, "scale", &p->scale));
    OCT_TRY(get_channels(at, root, "mean", n, p->mean));
    return get_channels(at, root, "std", n, p->std);
}

static oct_status plain_defaults(const oct_json_at *at, const oct_image_input *in,
                                 oct_preprocess *p)
{
    if (in->height == 0 || in->width == 0)
        return wrong(at, "size", "the network's size, which the model leaves free");
    OCT_TRY(oct_preset_apply(at->ctx, "none", in, p));
    p->preset[0] = '\0';
    return OCT_OK;
}

static oct_status read_root(const oct_json_at *at, const json_t *root, const oct_image_input *input,
                            const oct_preprocess *base, oct_preprocess *out)
{
    static const char *const known[] = {"preset",
                                        "decoder",
                                        "exif",
                                        "alpha",
                                        "gray_files",
                                        "size",
                                        "resize",
                                        "pad",
                                        "crop_rounding",
                                        "color",
                                        "scale",
                                        "mean",
                                        "std",
                                        "layout",
                                        "net-scale-factor",
                                        "offsets",
                                        "model-color-format",
                                        "maintain-aspect-ratio",
                                        "symmetric-padding",
                                        NULL};
    oct_image_input in = *input;
    const char *preset = NULL;
    oct_preprocess p;
    OCT_TRY(oct_json_check_keys(at, root, known));
    if (in.channels == 0)
        return oct_fail(at->ctx, OCT_ERR_USAGE, "%s: the network's input takes no pictures",
                        at->file);
    OCT_TRY(get_size(at, root, &in));
    OCT_TRY(oct_json_opt_string(at, root, "preset", &preset));
    if (preset == NULL && base != NULL && base->preset[0] != '\0')
        preset = base->preset; /* again, because "size" may change what follows from it */
    if (preset != NULL)
        OCT_TRY(oct_preset_apply(at->ctx, preset, &in, &p));
    else
        OCT_TRY(plain_defaults(at, &in, &p));
    OCT_TRY(get_resize(at, root, &p));
    OCT_TRY(get_values(at, root, &p));
    OCT_TRY(oct_preprocess_check(at->ctx, &p));
    *out = p;
    return OCT_OK;
}

oct_status oct_preprocess_from_json(oct_ctx *ctx, const char *name, const char *text,
                                    size_t n_bytes, const oct_image_input *in,
                                    const oct_preprocess *base, oct_preprocess *out)
{
    json_t *root;
    const oct_json_at at = {ctx, name, ""};
    OCT_TRY(oct_json_read_text(ctx, name, text, n_bytes, &root));
    const oct_status st = json_is_object(root)
                              ? read_root(&at, root, in, base, out)
                              : oct_fail(ctx, OCT_ERR_FORMAT, "%s: expected a JSON object", name);
    oct_json_read_free(root);
    return st;
}

static int known_dim(int64_t d)
{
    return d >= 1 && d <= 16384 ? (int)d : 0;
}

oct_image_input oct_image_input_of(const oct_shape *shape)
{
    oct_image_input in = {0};
    if (shape->n_dims != 3 && shape->n_dims != 4)
        return in;
    const int64_t *d = shape->dim + shape->n_dims - 3; /* C,H,W or H,W,C */
    const bool first = d[0] == 1 || d[0] == 3, last = d[2] == 1 || d[2] == 3;
    if (!first && !last)
        return in;
    in.channels_last = !first;
    in.channels = (int)(first ? d[0] : d[2]);
    in.height = known_dim(first ? d[1] : d[0]);
    in.width = known_dim(first ? d[2] : d[1]);
    return in;
}
