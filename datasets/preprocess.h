/* SPDX-License-Identifier: Apache-2.0
 *
 * Declarative preprocessing: from a decoded picture to a network input. A specification is a
 * plain value; it comes from a preset (presets.h), a JSON file or both, is printed and stored
 * as canonical JSON, and two equal texts give equal tensors.
 *
 *     file -> decode -> [EXIF turn] -> resize -> crop / pad -> colour order -> (x*scale-mean)/std
 *             `-------------- u8 stage, RGB ------------'    `------- one table look-up -------'
 *
 * The u8 stage reproduces the program that the specification names; the look-up takes its
 * single-precision steps: ((float)(x * scale) - mean) / std.
 * Thread-safety: oct_preprocess and oct_preprocessor are immutable once made; one
 * oct_preprocess_scratch per thread.
 */
#ifndef OCT_DATASETS_PREPROCESS_H
#define OCT_DATASETS_PREPROCESS_H

#include "base/batch.h"
#include "datasets/image.h"
#include "datasets/resample.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_fit_mode {
    OCT_FIT_NONE,      /* the file must have the network's size */
    OCT_FIT_SHORT,     /* short side to resize_short, aspect kept; then a centre crop */
    OCT_FIT_EXACT,     /* to the network's size, aspect lost */
    OCT_FIT_LETTERBOX, /* to fit inside, aspect kept, padded */
    OCT_FIT_COVER,     /* to cover, aspect kept; then a centre crop */
    OCT_FIT_COUNT,
} oct_fit_mode;

typedef enum oct_color_order {
    OCT_COLOR_RGB,
    OCT_COLOR_BGR,
    OCT_COLOR_GRAY,
    OCT_COLOR_COUNT,
} oct_color_order;

typedef enum oct_crop_rounding {
    OCT_CROP_HALF_EVEN, /* torchvision: round((resized - crop) / 2), half to even */
    OCT_CROP_FLOOR,     /* Caffe: (resized - crop) / 2 rounded down */
    OCT_CROP_ROUND, /* many scripts: the long side rounded to the nearest instead of down, the crop
                         * as OCT_CROP_FLOOR */
    OCT_CROP_COUNT,
} oct_crop_rounding;

typedef enum oct_gray_policy {
    OCT_GRAY_REPLICATE, /* a grey file fills all three channels */
    OCT_GRAY_REFUSE,    /* a grey file is unreadable */
    OCT_GRAY_COUNT,
} oct_gray_policy;

#define OCT_PRESET_NAME_BYTES 32

typedef struct oct_preprocess {
    char preset[OCT_PRESET_NAME_BYTES]; /* where it started; "" = from scratch */
    oct_decoder_rules decoder;
    oct_fit_mode resize;
    oct_resample_kernel kernel;
    int resize_short;      /* pixels; OCT_FIT_SHORT only, else 0 */
    bool letterbox_center; /* else the picture sits top-left */
    uint8_t pad[3];        /* R, G, B (grey: the first) of letterbox and crop borders */
    oct_crop_rounding crop_rounding;
    int height, width; /* of the network input, pixels */
    oct_color_order color;
    double scale, mean[3], std[3]; /* y = (x * scale - mean) / std, x in 0..255; mean and std
                                    * in the order of `color` */
    bool exif;
    oct_alpha_policy alpha;
    oct_gray_policy gray_files;
    bool channels_last; /* the network takes [N, H, W, C] */
} oct_preprocess;

static inline int oct_preprocess_channels(const oct_preprocess *p)
{
    return p->color == OCT_COLOR_GRAY ? 1 : 3;
}

/* Fields against each other and their ranges; OCT_ERR_USAGE names the field. */
OCT_MUST_CHECK oct_status oct_preprocess_check(oct_ctx *ctx, const oct_preprocess *p);

/* Canonical JSON, one line; oct_alloc()ed. */
OCT_MUST_CHECK oct_status oct_preprocess_to_json(oct_ctx *ctx, const oct_preprocess *p,
                                                 char **text);

/* What a network input says about pictures. */
typedef struct oct_image_input {
    int channels;      /* 1 or 3; 0 = not an image input */
    int height, width; /* 0 = free */
    bool channels_last;
} oct_image_input;

/* Reads [N,C,H,W] or [N,H,W,C] (also without N); channels is 0 if it is neither. */
oct_image_input oct_image_input_of(const oct_shape *shape);

/* A configuration file: a JSON object with the fields of oct_preprocess_to_json(), all
 * optional, over the preset that "preset" names or over `base` (NULL: plain defaults). `in`
 * fixes height and width; a contradiction is OCT_ERR_USAGE, so is an unknown key. nvinfer's
 * keys (net-scale-factor, offsets, model-color-format, maintain-aspect-ratio,
 * symmetric-padding) are understood too. `name` is for messages. */
OCT_MUST_CHECK oct_status oct_preprocess_from_json(oct_ctx *ctx, const char *name, const char *text,
                                                   size_t n_bytes, const oct_image_input *in,
                                                   const oct_preprocess *base, oct_preprocess *out);

/* A specification made ready to run: table of normalised values for `dtype` (f32, f16, or u8
 * without normalisation). */
typedef struct oct_preprocessor oct_preprocessor;

typedef struct oct_preprocess_scratch oct_preprocess_scratch;

OCT_MUST_CHECK oct_status oct_preprocessor_new(oct_ctx *ctx, const oct_preprocess *p,
                                               oct_dtype dtype, const oct_decode_limits *limits,
                                               bool allow_truncated, oct_preprocessor **out);
void oct_preprocessor_free(oct_preprocessor *pp); /* NULL is allowed */
const oct_preprocess *oct_preprocessor_spec(const oct_preprocessor *pp);

OCT_MUST_CHECK oct_status oct_preprocess_scratch_new(oct_ctx *ctx, oct_preprocess_scratch **out);
void oct_preprocess_scratch_free(oct_ctx *ctx, oct_preprocess_scratch *s); /* NULL is allowed */

/* u8 stage: a file in memory to height x width x channels bytes (RGB or grey, interleaved) at
 * `dst`, which has OCT_IMAGE_SLACK_BYTES more. Fills width, height, ratio and offset of
 * `sample` and `info`. */
OCT_MUST_CHECK oct_status oct_preprocess_pixels(const oct_preprocessor *pp, oct_ctx *ctx,
                                                oct_preprocess_scratch *s, const char *name,
                                                const uint8_t *bytes, size_t n_bytes, uint8_t *dst,
                                                oct_sample *sample, oct_decode_info *info);
/* The same from a picture that is already decoded. */
OCT_MUST_CHECK oct_status oct_preprocess_picture(const oct_preprocessor *pp, oct_ctx *ctx,
                                                 oct_preprocess_scratch *s, const char *name,
                                                 const oct_image *im, uint8_t *dst,
                                                 oct_sample *sample);
/* Look-up stage: those bytes to one sample of the network input. */
void oct_preprocess_normalize(const oct_preprocessor *pp, const uint8_t *pixels, void *dst);
/* Both stages. */
OCT_MUST_CHECK oct_status oct_preprocess_file(const oct_preprocessor *pp, oct_ctx *ctx,
                                              oct_preprocess_scratch *s, const char *name,
                                              const uint8_t *bytes, size_t n_bytes, void *dst,
                                              oct_sample *sample, oct_decode_info *info);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_PREPROCESS_H */
