/* SPDX-License-Identifier: Apache-2.0
 *
 * From a detector's output tensors to boxes in the original image: decoding by head type,
 * non-maximum suppression, and undoing the preprocessing's resize.
 *
 *     yolov5      [N, anchors, 5 + C]   cx, cy, w, h in network pixels, objectness, classes; score = obj * class
 *     yolov8      [N, 4 + C, anchors]   cx, cy, w, h in network pixels, classes
 *     fastestdet  [N, 5 + C, H, W]      objectness, tx, ty, tw, th, classes by grid cell;
 *                                       score = obj^0.6 * class^0.4
 *     nms         NMS inside the model: boxes [N, K, 4] (x1, y1, x2, y2 in network pixels), scores [N, K],
 *                 classes [N, K], and perhaps a count [N] or [N, 1], in any order
 *
 * Sources: the published heads of those networks; COCO evaluation habits (score threshold
 * 0.001, per-class NMS).
 */
#ifndef OCT_ACCURACY_DETECT_H
#define OCT_ACCURACY_DETECT_H

#include "accuracy/coco_eval.h"
#include "base/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_detector {
    OCT_DETECTOR_AUTO, /* by the shapes of the outputs */
    OCT_DETECTOR_YOLOV5,
    OCT_DETECTOR_YOLOV8,
    OCT_DETECTOR_FASTESTDET,
    OCT_DETECTOR_NMS,
    OCT_DETECTOR_COUNT,
} oct_detector;

typedef struct oct_detect_options {
    oct_detector detector;
    float score_threshold; /* boxes below are dropped; 0 = 0.001 */
    float iou_threshold;   /* of NMS; 0 = 0.65 */
    int max_boxes;         /* kept per image; 0 = 300 */
    int64_t width, height; /* of the network's input, pixels */
} oct_detect_options;

/* Growing list of detections; zero-initialised = empty. */
typedef struct oct_det_list {
    oct_det_box *box;
    size_t n, cap;
} oct_det_list;

void oct_det_list_deinit(oct_ctx *ctx, oct_det_list *l);

const char *oct_detector_str(oct_detector d);
/* OCT_ERR_USAGE lists the names. */
OCT_MUST_CHECK oct_status oct_detector_parse(oct_ctx *ctx, const char *text, oct_detector *out);
/* The head that these outputs belong to. OCT_ERR_UNSUPPORTED shows the shapes and the heads. */
OCT_MUST_CHECK oct_status oct_detector_guess(oct_ctx *ctx, const oct_tensor *out, size_t n_out,
                                             oct_detector *d);

/* Decodes row `row` of the outputs (f32, dense row-major) and appends its boxes, best first, as image
 * number `image`, in pixels of the original picture that `sample` describes. */
OCT_MUST_CHECK oct_status oct_detect(oct_ctx *ctx, const oct_detect_options *opt,
                                     const oct_tensor *out, size_t n_out, int64_t row,
                                     const oct_sample *sample, uint32_t image, oct_det_list *list);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_DETECT_H */
