/* SPDX-License-Identifier: Apache-2.0
 *
 * What the decoders share. Private to datasets/.
 */
#ifndef OCT_DATASETS_IMAGE_INTERNAL_H
#define OCT_DATASETS_IMAGE_INTERNAL_H

#include "datasets/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The decoders proper: fill `out` with 1 or 3 channels as `opt` asks, and all of `info`.
 * They do not turn the picture. */
OCT_MUST_CHECK oct_status oct_jpeg_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                          size_t n_bytes, const oct_decode_options *opt,
                                          oct_image *out, oct_decode_info *info);
OCT_MUST_CHECK oct_status oct_png_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                         size_t n_bytes, const oct_decode_options *opt,
                                         oct_image *out, oct_decode_info *info);

/* Declared dimensions against the limits. */
OCT_MUST_CHECK oct_status oct_image_check_limits(oct_ctx *ctx, const char *name,
                                                 const oct_decode_limits *limits, uint32_t width,
                                                 uint32_t height);

/* EXIF orientation (1..8) from a TIFF block; 1 when absent or malformed.
 * Source: EXIF 2.3, tag 0x0112 of IFD 0. */
int oct_exif_orientation(const uint8_t *tiff, size_t n_bytes);

/* `src` turned by an orientation 2..8 into `dst`. */
OCT_MUST_CHECK oct_status oct_image_turn(oct_ctx *ctx, const oct_image *src, int orientation,
                                         oct_image *dst);

/* In place: 3 channels to 1, 1 to 3, with Pillow's luma (ITU-R 601-2, 16-bit fixed point). */
void oct_image_to_gray(oct_image *im);
void oct_image_to_rgb(oct_image *im); /* capacity for 3 channels must be there */

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_IMAGE_INTERNAL_H */
