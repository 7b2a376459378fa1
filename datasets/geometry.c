/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/geometry.h"

#include <math.h>

#define MAX_RESIZED_SIDE (1 << 24)

static int at_least_one(double v)
{
    return v < 1 ? 1 : v > MAX_RESIZED_SIDE ? MAX_RESIZED_SIDE : (int)v;
}

/* torchvision.transforms.functional._compute_resized_output_size: the long side is
 * int(size * long / short), truncated. */
static void resize_short(const oct_preprocess *p, int w, int h, oct_geometry *g)
{
    const double size = p->resize_short;
    double side = w <= h ? size * h / w : size * w / h;
    if (p->crop_rounding == OCT_CROP_ROUND)
        side = rint(side);
    g->resized_width = w <= h ? p->resize_short : at_least_one(side);
    g->resized_height = w <= h ? at_least_one(side) : p->resize_short;
}

/* Ultralytics' LetterBox: round(w * r) half to even; the border before the picture is
 * round(d / 2 - 0.1). */
static void resize_letterbox(const oct_preprocess *p, int w, int h, oct_geometry *g)
{
    const double r = fmin((double)p->height / h, (double)p->width / w);
    g->resized_width = at_least_one(rint(w * r));
    g->resized_height = at_least_one(rint(h * r));
    if (p->letterbox_center) {
        g->dst_x = (int)rint((p->width - g->resized_width) / 2.0 - 0.1);
        g->dst_y = (int)rint((p->height - g->resized_height) / 2.0 - 0.1);
    }
    g->window = (oct_window){0, 0, g->resized_width, g->resized_height};
    g->ratio_x = g->ratio_y = (float)r;
}

static void resize_cover(const oct_preprocess *p, int w, int h, oct_geometry *g)
{
    const double r = fmax((double)p->height / h, (double)p->width / w);
    g->resized_width = at_least_one(rint(w * r));
    g->resized_height = at_least_one(rint(h * r));
}

/* Centre crop of one axis, torchvision's CenterCrop: borders are added before the crop where
 * the picture is the smaller one. */
static void crop_axis(oct_crop_rounding rounding, int have, int want, int *from, int *count,
                      int *dst)
{
    if (have <= want) {
        *dst = (want - have) / 2;
        *from = 0;
        *count = have;
        return;
    }
    const int spare = have - want;
    *from = rounding == OCT_CROP_HALF_EVEN ? (int)rint(spare / 2.0) : spare / 2;
    *count = want;
    *dst = 0;
}

static void crop_center(const oct_preprocess *p, oct_geometry *g)
{
    crop_axis(p->crop_rounding, g->resized_width, p->width, &g->window.x, &g->window.width,
              &g->dst_x);
    crop_axis(p->crop_rounding, g->resized_height, p->height, &g->window.y, &g->window.height,
              &g->dst_y);
}

oct_status oct_geometry_plan(oct_ctx *ctx, const char *name, const oct_preprocess *p, int width,
                             int height, int64_t max_pixels, oct_geometry *out)
{
    oct_geometry g = {.resized_width = p->width, .resized_height = p->height};
    if (p->resize == OCT_FIT_NONE && (width != p->width || height != p->height))
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "%s: picture is %d x %d, the network takes %d x %d and the preprocessing "
                        "does not resize",
                        name, width, height, p->width, p->height);
    if (p->resize == OCT_FIT_SHORT)
        resize_short(p, width, height, &g);
    else if (p->resize == OCT_FIT_LETTERBOX)
        resize_letterbox(p, width, height, &g);
    else if (p->resize == OCT_FIT_COVER)
        resize_cover(p, width, height, &g);
    if (p->resize != OCT_FIT_LETTERBOX)
        crop_center(p, &g);
    if ((int64_t)g.resized_width * g.resized_height > max_pixels)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: %d x %d resized to %d x %d exceeds %lld pixels",
                        name, width, height, g.resized_width, g.resized_height,
                        (long long)max_pixels);
    if (g.ratio_x == 0) {
        g.ratio_x = (float)((double)g.resized_width / width);
        g.ratio_y = (float)((double)g.resized_height / height);
    }
    g.offset_x = (float)(g.dst_x - g.window.x);
    g.offset_y = (float)(g.dst_y - g.window.y);
    *out = g;
    return OCT_OK;
}
