/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/presets.h"

#include <stdio.h>
#include <string.h>

#define IMAGENET_MEAN       \
    {                       \
        0.485, 0.456, 0.406 \
    }
#define IMAGENET_STD        \
    {                       \
        0.229, 0.224, 0.225 \
    }
#define ONES    \
    {           \
        1, 1, 1 \
    }

/* clang-format off */
static const oct_preset table[] = {
    {.name = "imagenet",
     .program = "torchvision, Pillow backend: Resize(256), CenterCrop(224), ToTensor, Normalize",
     .summary = "torchvision's first ImageNet weights and most ImageNet classifiers",
     .spec = {.resize = OCT_FIT_SHORT, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR,
              .scale = 1.0 / 255, .mean = IMAGENET_MEAN, .std = IMAGENET_STD},
     .channels = 3, .default_side = 224, .min_side = 96, .max_side = 1024, .side_multiple = 1,
     .short_num = 256, .short_den = 224},
    {.name = "imagenet-v2",
     .program = "torchvision, Pillow backend: Resize(232), CenterCrop(224), ToTensor, Normalize",
     .summary = "torchvision's IMAGENET1K_V2 weights",
     .spec = {.resize = OCT_FIT_SHORT, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR,
              .scale = 1.0 / 255, .mean = IMAGENET_MEAN, .std = IMAGENET_STD},
     .channels = 3, .default_side = 224, .min_side = 96, .max_side = 1024, .side_multiple = 1,
     .short_num = 232, .short_den = 224},
    {.name = "tf-inception",
     .program = "timm's tf_* models, Pillow: Resize(size / 0.875), CenterCrop, x / 127.5 - 1",
     .summary = "TensorFlow-slim Inception and MobileNet weights",
     .spec = {.resize = OCT_FIT_SHORT, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR,
              .scale = 1.0 / 255, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}},
     .channels = 3, .default_side = 224, .min_side = 96, .max_side = 1024, .side_multiple = 1,
     .short_num = 8, .short_den = 7},
    {.name = "caffe-bgr",
     .program = "OpenCV: imread, short side to 256 with INTER_LINEAR, centre 224, minus BGR mean",
     .summary = "Caffe's ImageNet models (VGG, GoogLeNet, SqueezeNet)",
     .spec = {.decoder = OCT_DECODER_OPENCV, .resize = OCT_FIT_SHORT,
              .kernel = OCT_RESAMPLE_OPENCV_LINEAR, .crop_rounding = OCT_CROP_FLOOR,
              .color = OCT_COLOR_BGR, .scale = 1, .mean = {103.939, 116.779, 123.68},
              .std = ONES, .exif = true},
     .channels = 3, .default_side = 224, .min_side = 96, .max_side = 1024, .side_multiple = 1,
     .short_num = 256, .short_den = 224},
    {.name = "yolo",
     .program = "Ultralytics (OpenCV): imread with EXIF, LetterBox(114, centred, INTER_LINEAR), RGB / 255",
     .summary = "YOLOv5, YOLOv8 and successors",
     .spec = {.decoder = OCT_DECODER_OPENCV, .resize = OCT_FIT_LETTERBOX,
              .kernel = OCT_RESAMPLE_OPENCV_LINEAR, .letterbox_center = true,
              .pad = {114, 114, 114}, .scale = 1.0 / 255, .std = ONES, .exif = true},
     .channels = 3, .default_side = 640, .min_side = 160, .max_side = 4096, .side_multiple = 32},
    {.name = "deepstream",
     .program = "nvinfer's defaults: stretched to the network's size, net-scale-factor 1/255, RGB; "
                "the scaler itself (VIC or GPU bilinear) is stood in for by OpenCV's INTER_LINEAR",
     .summary = "models served by NVIDIA DeepStream; its configuration keys work in --config",
     .spec = {.decoder = OCT_DECODER_OPENCV, .resize = OCT_FIT_EXACT,
              .kernel = OCT_RESAMPLE_OPENCV_LINEAR, .scale = 0.0039215697906911373, .std = ONES},
     .channels = 3, .default_side = 0, .min_side = 96, .max_side = 4096, .side_multiple = 16},
    {.name = "cifar10",
     .program = "torchvision, Pillow backend: ToTensor, Normalize with CIFAR-10's statistics",
     .summary = "CIFAR-10 classifiers",
     .spec = {.resize = OCT_FIT_EXACT, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR,
              .scale = 1.0 / 255, .mean = {0.4914, 0.4822, 0.4465},
              .std = {0.2470, 0.2435, 0.2616}},
     .channels = 3, .default_side = 32, .min_side = 32, .max_side = 32, .side_multiple = 1},
    {.name = "mnist",
     .program = "torchvision, Pillow backend: Image.convert(\"L\"), ToTensor",
     .summary = "digit classifiers on grey pictures, x / 255",
     .spec = {.resize = OCT_FIT_EXACT, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR,
              .color = OCT_COLOR_GRAY, .scale = 1.0 / 255, .std = ONES},
     .channels = 1, .default_side = 28, .min_side = 20, .max_side = 64, .side_multiple = 1},
    {.name = "none",
     .program = "Pillow: Image.open(f).convert(\"RGB\" or \"L\"), values 0..255 as they are",
     .summary = "models that normalise by themselves; pictures must have the network's size",
     .spec = {.resize = OCT_FIT_NONE, .kernel = OCT_RESAMPLE_PILLOW_BILINEAR, .scale = 1,
              .std = ONES},
     .channels = 0, .default_side = 0, .min_side = 1, .max_side = 16384, .side_multiple = 1},
};
/* clang-format on */

int oct_preset_count(void)
{
    return (int)(sizeof table / sizeof table[0]);
}

const oct_preset *oct_preset_at(int i)
{
    return &table[i];
}

const oct_preset *oct_preset_find(const char *name)
{
    for (int i = 0; i < oct_preset_count(); i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

bool oct_preset_serves(const oct_preset *p, const oct_image_input *in)
{
    return in->channels != 0 && (p->channels == 0 || p->channels == in->channels) &&
           ((in->height != 0 && in->width != 0) || p->default_side != 0);
}

static bool side_fits(const oct_preset *p, int side)
{
    return side == 0 ? p->default_side != 0
                     : side >= p->min_side && side <= p->max_side && side % p->side_multiple == 0;
}

bool oct_preset_fits(const oct_preset *p, const oct_image_input *in)
{
    return oct_preset_serves(p, in) && side_fits(p, in->height) && side_fits(p, in->width);
}

const char *oct_presets_fitting(const oct_image_input *in, char *buf, size_t cap)
{
    size_t n = 0;
    buf[0] = '\0';
    for (int i = 0; i < oct_preset_count() && n < cap; i++)
        if (oct_preset_fits(&table[i], in))
            n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? ", " : "", table[i].name);
    return buf;
}

static oct_status refuse(oct_ctx *ctx, const char *name, const char *why, const oct_image_input *in)
{
    char fitting[256];
    return oct_fail(ctx, OCT_ERR_USAGE, "preset %s %s; presets that fit: %s", name, why,
                    oct_presets_fitting(in, fitting, sizeof fitting));
}

oct_status oct_preset_apply(oct_ctx *ctx, const char *name, const oct_image_input *in,
                            oct_preprocess *out)
{
    const oct_preset *p = oct_preset_find(name);
    if (p == NULL)
        return refuse(ctx, name, "is unknown", in);
    if (in->channels == 0)
        return oct_fail(ctx, OCT_ERR_USAGE, "preset %s: the input takes no pictures", name);
    if (p->channels != 0 && p->channels != in->channels)
        return refuse(ctx, name, in->channels == 1 ? "is for 3 channels" : "is for 1 channel", in);
    if ((in->height == 0 || in->width == 0) && p->default_side == 0)
        return refuse(ctx, name, "needs a size (--size HxW or \"size\" in --config)", in);
    oct_preprocess spec = p->spec;
    snprintf(spec.preset, sizeof spec.preset, "%s", name);
    spec.height = in->height != 0 ? in->height : p->default_side;
    spec.width = in->width != 0 ? in->width : p->default_side;
    spec.channels_last = in->channels_last;
    if (in->channels == 1)
        spec.color = OCT_COLOR_GRAY;
    if (spec.resize == OCT_FIT_SHORT) {
        const int64_t side = spec.height > spec.width ? spec.height : spec.width;
        spec.resize_short = (int)(side * p->short_num / p->short_den);
    }
    *out = spec;
    return OCT_OK;
}
