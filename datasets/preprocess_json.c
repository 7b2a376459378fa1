/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "datasets/preprocess.h"
#include "datasets/preprocess_names.h"

const char *const oct_fit_mode_names[] = {"none", "short", "exact", "letterbox", "cover"};
const char *const oct_resample_names[] = {
#define X(name, text) text,
    OCT_RESAMPLE_MAP(X)
#undef X
};
const char *const oct_color_names[] = {"RGB", "BGR", "GRAY"};
const char *const oct_crop_rounding_names[] = {"half-even", "floor", "round-floor"};
const char *const oct_gray_names[] = {"replicate", "refuse"};
const char *const oct_alpha_names[] = {"drop", "black", "white"};
const char *const oct_decoder_names[] = {"pillow", "opencv"};

static void put_numbers(oct_json *j, const char *key, const double *v, int n)
{
    oct_json_key(j, key);
    oct_json_begin_array(j);
    for (int i = 0; i < n; i++)
        oct_json_f64(j, v[i]);
    oct_json_end_array(j);
}

static void put_resize(oct_json *j, const oct_preprocess *p)
{
    oct_json_key(j, "resize");
    oct_json_begin_object(j);
    oct_json_kv_string(j, "mode", oct_fit_mode_names[p->resize]);
    if (p->resize == OCT_FIT_SHORT)
        oct_json_kv_s64(j, "size", p->resize_short);
    if (p->resize != OCT_FIT_NONE)
        oct_json_kv_string(j, "kernel", oct_resample_names[p->kernel]);
    if (p->resize == OCT_FIT_LETTERBOX)
        oct_json_kv_string(j, "align", p->letterbox_center ? "center" : "top-left");
    oct_json_end_object(j);
}

static bool may_pad(const oct_preprocess *p)
{
    return p->resize == OCT_FIT_LETTERBOX || p->resize == OCT_FIT_SHORT;
}

oct_status oct_preprocess_to_json(oct_ctx *ctx, const oct_preprocess *p, char **text)
{
    oct_strbuf b;
    oct_json j;
    const int n = oct_preprocess_channels(p);
    oct_strbuf_init(&b, ctx);
    oct_json_init(&j, &b, false);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "preset", p->preset[0] != '\0' ? p->preset : NULL);
    oct_json_kv_string(&j, "decoder", oct_decoder_names[p->decoder]);
    oct_json_kv_bool(&j, "exif", p->exif);
    oct_json_kv_string(&j, "alpha", oct_alpha_names[p->alpha]);
    oct_json_kv_string(&j, "gray_files", oct_gray_names[p->gray_files]);
    oct_json_kv_shape(&j, "size", (const int64_t[]){p->height, p->width}, 2);
    put_resize(&j, p);
    if (may_pad(p))
        oct_json_kv_shape(&j, "pad", (const int64_t[]){p->pad[0], p->pad[1], p->pad[2]}, n);
    if (p->resize == OCT_FIT_SHORT || p->resize == OCT_FIT_COVER)
        oct_json_kv_string(&j, "crop_rounding", oct_crop_rounding_names[p->crop_rounding]);
    oct_json_kv_string(&j, "color", oct_color_names[p->color]);
    oct_json_kv_f64(&j, "scale", p->scale);
    put_numbers(&j, "mean", p->mean, n);
    put_numbers(&j, "std", p->std, n);
    oct_json_kv_string(&j, "layout", p->channels_last ? "NHWC" : "NCHW");
    oct_json_end_object(&j);
    const oct_status st = oct_strbuf_take(&b, text);
    oct_strbuf_deinit(&b);
    return st;
}
