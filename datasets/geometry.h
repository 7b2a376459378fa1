/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a picture lands in the network input: how large it is resized, which window of that is
 * taken, and where the window goes. Pure arithmetic, one rounding rule per program.
 */
#ifndef OCT_DATASETS_GEOMETRY_H
#define OCT_DATASETS_GEOMETRY_H

#include "datasets/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_geometry {
    int resized_width, resized_height;
    oct_window window; /* of the resized picture */
    int dst_x, dst_y;  /* of the window's first pixel in the network input */
    float ratio_x, ratio_y, offset_x, offset_y; /* network = original * ratio + offset */
} oct_geometry;

/* OCT_ERR_SHAPE when OCT_FIT_NONE meets another size; OCT_ERR_LIMIT when an extreme aspect
 * would make the resized picture larger than `max_pixels`. */
OCT_MUST_CHECK oct_status oct_geometry_plan(oct_ctx *ctx, const char *name, const oct_preprocess *p,
                                            int width, int height, int64_t max_pixels,
                                            oct_geometry *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_GEOMETRY_H */
