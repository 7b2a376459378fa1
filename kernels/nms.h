/* SPDX-License-Identifier: Apache-2.0
 *
 * Greedy non-maximum suppression, shared by inference (which needs the count) and kernels.
 * Source: ONNX NonMaxSuppression.
 */
#ifndef OCT_KERNELS_NMS_H
#define OCT_KERNELS_NMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_nms {
    const float
        *boxes; /* [batch][n_boxes][4]: two corners (y, x), or centre and size (x, y, w, h) */
    const float *scores; /* [batch][classes][n_boxes] */
    int64_t batch, classes, n_boxes;
    int64_t max_per_class; /* 0 or less: nothing is selected */
    float iou_threshold;
    const float *score_threshold; /* NULL = none */
    bool center_point_box;
} oct_nms;

/* Scratch bytes for oct_nms_select(). */
size_t oct_nms_scratch_bytes(int64_t n_boxes);

/* Selected (batch, class, box) triples, by batch, class, descending score (equal scores: lower
 * box first). Boxes with a NaN score are never selected. `out` may be NULL; returns the count. */
int64_t oct_nms_select(const oct_nms *p, void *scratch, int64_t *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_NMS_H */
