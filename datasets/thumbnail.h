/* SPDX-License-Identifier: Apache-2.0
 *
 * Small JPEG copies of pictures, for reports.
 */
#ifndef OCT_DATASETS_THUMBNAIL_H
#define OCT_DATASETS_THUMBNAIL_H

#include "datasets/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The picture at `path`, turned as EXIF says and at most `side` pixels wide and high (never
 * enlarged), as a JPEG file in `*jpeg` (oct_free). Errors as oct_file_read() and oct_image_decode(). */
OCT_MUST_CHECK oct_status oct_thumbnail_make(oct_ctx *ctx, const char *path, int side,
                                             uint8_t **jpeg, size_t *n_bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_THUMBNAIL_H */
