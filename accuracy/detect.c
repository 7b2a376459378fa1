/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/detect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define DEFAULT_SCORE 0.001f
#define DEFAULT_IOU 0.65f
#define DEFAULT_MAX 300
#define NMS_CAP 30000 /* best candidates that enter NMS */

/* A candidate in network pixels. */
typedef struct candidate {
    float x1, y1, x2, y2, score;
    uint32_t category, order;
} candidate;

typedef struct candidates {
    oct_ctx *ctx;
    candidate *c;
    size_t n, cap;
    float threshold;
} candidates;

static const char *const NAME[OCT_DETECTOR_COUNT] = {"auto", "yolov5", "yolov8", "fastestdet",
                                                     "nms"};

const char *oct_detector_str(oct_detector d)
{
    return NAME[d];
}

oct_status oct_detector_parse(oct_ctx *ctx, const char *text, oct_detector *out)
{
    for (int i = 0; i < OCT_DETECTOR_COUNT; i++)
        if (strcmp(text, NAME[i]) == 0) {
            *out = (oct_detector)i;
            return OCT_OK;
        }
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "detector '%s': one of auto, yolov5, yolov8, fastestdet, nms", text);
}

void oct_det_list_deinit(oct_ctx *ctx, oct_det_list *l)
{
    oct_free(ctx, l->box);
    *l = (oct_det_list){0};
}

/* ---- which head ---- */

/* Outputs of a model with NMS inside, found by shape. */
typedef struct nms_outputs {
    const oct_tensor *boxes, *scores, *classes, *count;
} nms_outputs;

static bool find_nms_outputs(const oct_tensor *out, size_t n, nms_outputs *o)
{
    *o = (nms_outputs){0};
    for (size_t i = 0; i < n; i++) {
        const oct_shape *s = &out[i].desc.shape;
        if (s->n_dims == 3 && s->dim[2] == 4)
            o->boxes = &out[i];
    }
    if (!o->boxes || n < 3)
        return false;
    const int64_t k = o->boxes->desc.shape.dim[1];
    for (size_t i = 0; i < n; i++) {
        const oct_shape *s = &out[i].desc.shape;
        const bool list = s->n_dims == 2 && s->dim[1] == k;
        if (&out[i] == o->boxes)
            continue;
        if (list && oct_dtype_is_float(out[i].desc.dtype) && !o->scores)
            o->scores = &out[i];
        else if (list)
            o->classes = &out[i];
        else if (s->n_dims == 1 || (s->n_dims == 2 && s->dim[1] == 1))
            o->count = &out[i];
    }
    return o->scores && o->classes;
}

oct_status oct_detector_guess(oct_ctx *ctx, const oct_tensor *out, size_t n_out, oct_detector *d)
{
    nms_outputs nms;
    char text[OCT_SHAPE_STR_BYTES];
    const oct_shape *s = &out[0].desc.shape;
    *d = OCT_DETECTOR_AUTO;
    if (find_nms_outputs(out, n_out, &nms))
        *d = OCT_DETECTOR_NMS;
    else if (s->n_dims == 4 && s->dim[1] > 5)
        *d = OCT_DETECTOR_FASTESTDET;
    else if (s->n_dims == 3 && s->dim[1] > s->dim[2] && s->dim[2] > 5)
        *d = OCT_DETECTOR_YOLOV5;
    else if (s->n_dims == 3 && s->dim[1] > 4)
        *d = OCT_DETECTOR_YOLOV8;
    if (*d != OCT_DETECTOR_AUTO)
        return OCT_OK;
    return oct_fail(
        ctx, OCT_ERR_UNSUPPORTED,
        "%zu output%s, the first of shape %s: not a head of yolov5, yolov8, fastestdet or nms",
        n_out, n_out == 1 ? "" : "s", oct_shape_str(s, text, sizeof text));
}

/* ---- decoding ---- */

static oct_status push(candidates *k, candidate c)
{
    if (!(c.score >= k->threshold)) /* NaN too */
        return OCT_OK;
    if (k->n == k->cap) {
        const size_t cap = k->cap ? 2 * k->cap : 256;
        candidate *grown = oct_realloc(k->ctx, k->c, cap * sizeof *grown);
        if (!grown)
            return OCT_ERR_NOMEM;
        k->c = grown;
        k->cap = cap;
    }
    c.order = (uint32_t)k->n;
    k->c[k->n++] = c;
    return OCT_OK;
}

static candidate from_centre(float cx, float cy, float w, float h, float score, uint32_t category)
{
    return (candidate){cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, category, 0};
}

/* Every class above the threshold is a box of its own, as COCO evaluation does it. */
static oct_status decode_yolov5(const oct_tensor *out, int64_t row, candidates *k)
{
    const int64_t n = out->desc.shape.dim[1], width = out->desc.shape.dim[2];
    const float *p = (const float *)out->data + row * n * width;
    for (int64_t i = 0; i < n; i++, p += width) {
        if (!(p[4] >= k->threshold))
            continue;
        for (int64_t c = 5; c < width; c++)
            OCT_TRY(push(k, from_centre(p[0], p[1], p[2], p[3], p[4] * p[c], (uint32_t)(c - 5))));
    }
    return OCT_OK;
}

static oct_status decode_yolov8(const oct_tensor *out, int64_t row, candidates *k)
{
    const int64_t n_rows = out->desc.shape.dim[1], n = out->desc.shape.dim[2];
    const float *p = (const float *)out->data + row * n_rows * n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 4; c < n_rows; c++)
            OCT_TRY(push(k, from_centre(p[i], p[n + i], p[2 * n + i], p[3 * n + i], p[c * n + i],
                                        (uint32_t)(c - 4))));
    return OCT_OK;
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static oct_status decode_fastestdet(const oct_tensor *out, int64_t row, int64_t net_w,
                                    int64_t net_h, candidates *k)
{
    const oct_shape *s = &out->desc.shape;
    const int64_t n_rows = s->dim[1], h = s->dim[2], w = s->dim[3], n = h * w;
    const float *p = (const float *)out->data + row * n_rows * n;
    for (int64_t i = 0; i < n; i++) {
        int64_t best = 5;
        for (int64_t c = 6; c < n_rows; c++)
            if (p[c * n + i] > p[best * n + i])
                best = c;
        const float score = powf(p[i], 0.6f) * powf(p[best * n + i], 0.4f);
        const float cx = (tanhf(p[n + i]) + (float)(i % w)) / (float)w * (float)net_w;
        const float cy = (tanhf(p[2 * n + i]) + (float)(i / w)) / (float)h * (float)net_h;
        const float bw = sigmoid(p[3 * n + i]) * (float)net_w,
                    bh = sigmoid(p[4 * n + i]) * (float)net_h;
        OCT_TRY(push(k, from_centre(cx, cy, bw, bh, score, (uint32_t)(best - 5))));
    }
    return OCT_OK;
}

static double number_at(const oct_tensor *t, int64_t i)
{
    switch (t->desc.dtype) {
    case OCT_DT_F32:
        return ((const float *)t->data)[i];
    case OCT_DT_S32:
        return ((const int32_t *)t->data)[i];
    case OCT_DT_S64:
        return (double)((const int64_t *)t->data)[i];
    default:
        return -1;
    }
}

static oct_status decode_nms(oct_ctx *ctx, const oct_tensor *out, size_t n_out, int64_t row,
                             candidates *k)
{
    nms_outputs o;
    if (!find_nms_outputs(out, n_out, &o))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "outputs are not boxes, scores and classes");
    const int64_t n_boxes = o.boxes->desc.shape.dim[1];
    double n = o.count ? number_at(o.count, row) : (double)n_boxes;
    n = n < 0 ? 0 : n > (double)n_boxes ? (double)n_boxes : n;
    for (int64_t i = row * n_boxes; i < row * n_boxes + (int64_t)n; i++) {
        const float *b = (const float *)o.boxes->data + 4 * i;
        const double category = number_at(o.classes, i);
        if (category >= 0)
            OCT_TRY(push(k, (candidate){b[0], b[1], b[2], b[3], (float)number_at(o.scores, i),
                                        (uint32_t)category, 0}));
    }
    return OCT_OK;
}

/* ---- suppression ---- */

static int cmp_candidate(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static float iou(const candidate *a, const candidate *b)
{
    const float w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1);
    const float h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1);
    if (w <= 0 || h <= 0)
        return 0;
    const float inter = w * h;
    const float area = (a->x2 - a->x1) * (a->y2 - a->y1) + (b->x2 - b->x1) * (b->y2 - b->y1);
    return inter / (area - inter);
}

/* Greedy, within a class; kept candidates move to the front. Returns how many. */
static size_t suppress(candidates *k, float threshold, size_t max_kept)
{
    size_t kept = 0;
    const size_t n = k->n < NMS_CAP ? k->n : NMS_CAP;
    for (size_t i = 0; i < n && kept < max_kept; i++) {
        bool keep = true;
        for (size_t j = 0; j < kept && keep; j++)
            keep = k->c[j].category != k->c[i].category || !(iou(&k->c[j], &k->c[i]) > threshold);
        if (keep)
            k->c[kept++] = k->c[i];
    }
    return kept;
}

/* ---- back to the original picture ---- */

static double unmap(float v, float ratio, float offset, double limit)
{
    const double x = ratio > 0 ? ((double)v - offset) / ratio : v;
    return limit > 0 ? fmin(fmax(x, 0), limit) : x;
}

static oct_status append(oct_ctx *ctx, oct_det_list *l, const candidate *c, const oct_sample *s,
                         uint32_t image)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 1024;
        oct_det_box *grown = oct_realloc(ctx, l->box, cap * sizeof *grown);
        if (!grown)
            return OCT_ERR_NOMEM;
        l->box = grown;
        l->cap = cap;
    }
    const double x1 = unmap(c->x1, s->ratio_x, s->offset_x, s->width);
    const double y1 = unmap(c->y1, s->ratio_y, s->offset_y, s->height);
    const double x2 = unmap(c->x2, s->ratio_x, s->offset_x, s->width);
    const double y2 = unmap(c->y2, s->ratio_y, s->offset_y, s->height);
    l->box[l->n++] = (oct_det_box){image, c->category, {x1, y1, x2 - x1, y2 - y1}, c->score};
    return OCT_OK;
}

static oct_status decode(oct_ctx *ctx, const oct_detect_options *opt, const oct_tensor *out,
                         size_t n_out, int64_t row, candidates *k)
{
    oct_detector d = opt->detector;
    if (d == OCT_DETECTOR_AUTO)
        OCT_TRY(oct_detector_guess(ctx, out, n_out, &d));
    const int want_dims = d == OCT_DETECTOR_FASTESTDET ? 4 : 3;
    if (d != OCT_DETECTOR_NMS &&
        (out->desc.dtype != OCT_DT_F32 || out->desc.shape.n_dims != want_dims))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "output 0 is not a %s head", NAME[d]);
    switch (d) {
    case OCT_DETECTOR_YOLOV5:
        return decode_yolov5(out, row, k);
    case OCT_DETECTOR_YOLOV8:
        return decode_yolov8(out, row, k);
    case OCT_DETECTOR_FASTESTDET:
        return decode_fastestdet(out, row, opt->width, opt->height, k);
    default:
        return decode_nms(ctx, out, n_out, row, k);
    }
}

oct_status oct_detect(oct_ctx *ctx, const oct_detect_options *opt, const oct_tensor *out,
                      size_t n_out, int64_t row, const oct_sample *sample, uint32_t image,
                      oct_det_list *list)
{
    candidates k = {.ctx = ctx,
                    .threshold = opt->score_threshold > 0 ? opt->score_threshold : DEFAULT_SCORE};
    oct_status st = decode(ctx, opt, out, n_out, row, &k);
    if (st == OCT_OK && k.n > 0) {
        const size_t most = opt->max_boxes > 0 ? (size_t)opt->max_boxes : DEFAULT_MAX;
        qsort(k.c, k.n, sizeof *k.c, cmp_candidate);
        const size_t n =
            suppress(&k, opt->iou_threshold > 0 ? opt->iou_threshold : DEFAULT_IOU, most);
        for (size_t i = 0; st == OCT_OK && i < n; i++)
            st = append(ctx, list, &k.c[i], sample, image);
    }
    oct_free(ctx, k.c);
    return st;
}
