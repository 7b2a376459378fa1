/* SPDX-License-Identifier: Apache-2.0
 *
 * COCO instance annotations: boxes by picture. Category ids become class indices: the 91 -> 80
 * map of COCO where the file's categories are COCO's, else the rank of the id among the
 * file's categories.
 * Format: https://cocodataset.org/#format-data ("object detection").
 * Thread-safety: immutable once open.
 */
#ifndef OCT_DATASETS_COCO_H
#define OCT_DATASETS_COCO_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_coco_box {
    double x, y, width, height; /* pixels of the original picture, top-left corner */
    double area;                /* of the annotation (of the mask where there is one) */
    int64_t id;                 /* of the annotation */
    int32_t class_index;
    bool iscrowd;
} oct_coco_box;

typedef struct oct_coco oct_coco;

/* `text`: JSON of at most a few hundred MB. OCT_ERR_FORMAT with the place. */
OCT_MUST_CHECK oct_status oct_coco_open(oct_ctx *ctx, const char *path, oct_coco **out);
OCT_MUST_CHECK oct_status oct_coco_parse(oct_ctx *ctx, const char *name, const char *text,
                                         size_t n_bytes, oct_coco **out);
void oct_coco_close(oct_coco *c); /* NULL is allowed */

/* Index of the picture whose file_name is `path`, or has the same last part; -1 if none. */
int64_t oct_coco_find(const oct_coco *c, const char *path);
int64_t oct_coco_n_images(const oct_coco *c);
int64_t oct_coco_image_id(const oct_coco *c, int64_t image);
const char *oct_coco_image_name(const oct_coco *c, int64_t image);
/* Its boxes in the file's order; `*n` may be 0. */
const oct_coco_box *oct_coco_boxes(const oct_coco *c, int64_t image, size_t *n);

int oct_coco_n_classes(const oct_coco *c);
const char *oct_coco_class_name(const oct_coco *c, int class_index);
int64_t oct_coco_category_id(const oct_coco *c, int class_index);

/* COCO's own map: class index (0..79) of category id 1..90, -1 for the ids never used. */
int oct_coco_index_of_category(int64_t category_id);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_COCO_H */
