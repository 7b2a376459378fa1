/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO detection metrics: AP@[.5:.95], AP50, AP75, by size, AR, with COCO's rules for crowd
 * boxes, ignored areas, detection limits and 101 recall points. Agrees with pycocotools to
 * the last few bits: same matching order, same tie-breaking (stable by score), doubles.
 *
 * Source: the COCO evaluation protocol (cocodataset.org, "Detection Evaluation").
 * Ownership: inputs are borrowed for the call. Thread-safety: pure.
 */
#ifndef OCT_ACCURACY_COCO_EVAL_H
#define OCT_ACCURACY_COCO_EVAL_H

#include "accuracy/stats.h"
#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_COCO_MAX_DETS 100 /* detections kept per image and category */
#define OCT_COCO_N_IOU 10     /* 0.50, 0.55 ... 0.95 */

typedef struct oct_gt_box {
    uint32_t image;    /* index, [0, n_images) */
    uint32_t category; /* index, [0, n_categories) */
    double box[4];     /* x, y, width, height in pixels of the original image */
    double area;       /* as annotated (segment area), decides small / medium / large */
    bool crowd;
} oct_gt_box;

typedef struct oct_det_box {
    uint32_t image, category;
    double box[4]; /* x, y, width, height in pixels of the original image */
    double score;
} oct_det_box;

/* Means over categories that have ground truth; -1 where there is none (as pycocotools). */
typedef struct oct_coco_result {
    double ap, ap50, ap75;                /* area all, 100 detections */
    double ap_small, ap_medium, ap_large; /* below 32^2, 96^2, above */
    double ar1, ar10, ar100;              /* average recall at 1, 10, 100 detections */
    double ar_small, ar_medium, ar_large;
} oct_coco_result;

typedef struct oct_coco_input {
    const oct_gt_box *gt;
    size_t n_gt;
    const oct_det_box *det;
    size_t n_det;
    uint32_t n_images, n_categories;
} oct_coco_input;

/* OCT_ERR_RANGE if an index is out of range or a coordinate or score is not finite; OCT_ERR_NOMEM. */
OCT_MUST_CHECK oct_status oct_coco_evaluate(oct_ctx *ctx, const oct_coco_input *in,
                                            oct_coco_result *out);

/* Paired bootstrap over images: 95 % percentile interval of AP(cand) - AP(ref), both on the same
 * ground truth, `n_resamples` resamples from `seed`. */
OCT_MUST_CHECK oct_status oct_coco_bootstrap(oct_ctx *ctx, const oct_coco_input *ref,
                                             const oct_coco_input *cand, int n_resamples,
                                             uint64_t seed, oct_interval *difference);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_COCO_EVAL_H */
