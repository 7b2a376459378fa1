/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/nms.h"

#include <math.h>

typedef struct rect {
    float y0, x0, y1, x1;
} rect;

static rect rect_of(const float *b, bool center)
{
    if (center)
        return (rect){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
    return (rect){fminf(b[0], b[2]), fminf(b[1], b[3]), fmaxf(b[0], b[2]), fmaxf(b[1], b[3])};
}

/* Boxes kept so far, one array a side, so that a loop over them is vectors. */
typedef struct kept_boxes {
    float *y0, *x0, *y1, *x1, *area;
    int64_t n;
} kept_boxes;

#define CHUNK 64

/* Whether `a` overlaps one of `n` boxes from `k` on. A box without an area (or with NaN) overlaps
 * nothing. */
static bool overlaps_chunk(const kept_boxes *b, int64_t k, int64_t n, rect a, float area,
                           float threshold)
{
    int any = 0;
    for (int64_t i = k; i < k + n; i++) {
        const float h = (a.y1 < b->y1[i] ? a.y1 : b->y1[i]) - (a.y0 > b->y0[i] ? a.y0 : b->y0[i]);
        const float w = (a.x1 < b->x1[i] ? a.x1 : b->x1[i]) - (a.x0 > b->x0[i] ? a.x0 : b->x0[i]);
        const float both = area + b->area[i] - h * w;
        any |= (h > 0) & (w > 0) & (b->area[i] > 0) & (both > 0) & (h * w / both > threshold);
    }
    return any;
}

static bool overlaps(const kept_boxes *b, rect a, float area, float threshold)
{
    bool any = false;
    for (int64_t k = 0; k < b->n && !any && area > 0; k += CHUNK)
        any = overlaps_chunk(b, k, b->n - k < CHUNK ? b->n - k : CHUNK, a, area, threshold);
    return any;
}

static void keep(kept_boxes *b, rect r, float area)
{
    b->y0[b->n] = r.y0;
    b->x0[b->n] = r.x0;
    b->y1[b->n] = r.y1;
    b->x1[b->n] = r.x1;
    b->area[b->n++] = area;
}

/* True when box `a` comes after box `b`. */
static bool is_after(const float *scores, int32_t a, int32_t b)
{
    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

/* Heap sort by descending score; the order is total, so any sort gives the same result. */
static void sift(const float *scores, int32_t *v, int64_t root, int64_t n)
{
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && is_after(scores, v[child + 1], v[child]))
            child++;
        if (!is_after(scores, v[child], v[root]))
            return;
        const int32_t t = v[root];
        v[root] = v[child];
        v[child] = t;
    }
}

static void sort_by_score(const float *scores, int32_t *v, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sift(scores, v, i, n);
    for (int64_t end = n; end-- > 1;) {
        const int32_t t = v[0];
        v[0] = v[end];
        v[end] = t;
        sift(scores, v, 0, end);
    }
}

/* One class of one image: leaves the selected boxes in front of `order`; returns how many. */
static int64_t select_class(const oct_nms *p, const float *boxes, const float *scores,
                            void *scratch)
{
    int32_t *order = scratch;
    float *sides = (float *)(order + p->n_boxes);
    kept_boxes kept = {.y0 = sides,
                       .x0 = sides + p->n_boxes,
                       .y1 = sides + 2 * p->n_boxes,
                       .x1 = sides + 3 * p->n_boxes,
                       .area = sides + 4 * p->n_boxes};
    int64_t n = 0;
    for (int64_t i = 0; i < p->n_boxes; i++) {
        if (!isnan(scores[i]) && (!p->score_threshold || scores[i] > *p->score_threshold))
            order[n++] = (int32_t)i;
    }
    sort_by_score(scores, order, n);
    for (int64_t i = 0; i < n && kept.n < p->max_per_class; i++) {
        const rect r = rect_of(boxes + 4 * (int64_t)order[i], p->center_point_box);
        const float area = (r.y1 - r.y0) * (r.x1 - r.x0);
        if (overlaps(&kept, r, area, p->iou_threshold))
            continue;
        order[kept.n] = order[i];
        keep(&kept, r, area);
    }
    return kept.n;
}

size_t oct_nms_scratch_bytes(int64_t n_boxes)
{
    return (size_t)n_boxes * (sizeof(int32_t) + 5 * sizeof(float));
}

int64_t oct_nms_select(const oct_nms *p, void *scratch, int64_t *out)
{
    int64_t total = 0;
    for (int64_t i = 0; i < p->batch * p->classes; i++) {
        const int64_t n = i / p->classes, c = i % p->classes;
        const int64_t kept =
            select_class(p, p->boxes + n * p->n_boxes * 4, p->scores + i * p->n_boxes, scratch);
        for (int64_t k = 0; out && k < kept; k++) {
            int64_t *to = out + 3 * (total + k);
            to[0] = n;
            to[1] = c;
            to[2] = ((const int32_t *)scratch)[k];
        }
        total += kept;
    }
    return total;
}
