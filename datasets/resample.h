/* SPDX-License-Identifier: Apache-2.0
 *
 * Resizing 8-bit pictures exactly as the programs do that models were trained with:
 *
 *     pillow-bilinear, pillow-bicubic   Pillow's Image.resize: antialiased, rows then columns,
 *                                       22-bit fixed-point weights, 8 bits in between. Pillow 13
 *                                       does columns first where the height shrinks much more
 *                                       than the width; models of today were trained before
 *     opencv-linear                     cv2.resize INTER_LINEAR: 11-bit weights, no antialiasing
 *     opencv-area                       cv2.resize INTER_AREA: mean of the covered area
 *     nearest                           Pillow's NEAREST
 *
 * Only the window that is wanted is computed (a centre crop costs what it shows), with the same
 * values as resizing everything and cropping. Vector code and portable code agree bit for bit.
 * Thread-safety: one thread per oct_resampler, which keeps its tables and rows between calls.
 */
#ifndef OCT_DATASETS_RESAMPLE_H
#define OCT_DATASETS_RESAMPLE_H

#include "datasets/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* name, text */
#define OCT_RESAMPLE_MAP(X)               \
    X(PILLOW_BILINEAR, "pillow-bilinear") \
    X(PILLOW_BICUBIC, "pillow-bicubic")   \
    X(OPENCV_LINEAR, "opencv-linear")     \
    X(OPENCV_AREA, "opencv-area")         \
    X(NEAREST, "nearest")

typedef enum oct_resample_kernel {
#define X(name, text) OCT_RESAMPLE_##name,
    OCT_RESAMPLE_MAP(X)
#undef X
        OCT_RESAMPLE_COUNT,
} oct_resample_kernel;

/* A part of the resized picture, in its pixels. */
typedef struct oct_window {
    int x, y, width, height;
} oct_window;

typedef struct oct_resampler oct_resampler;

/* `portable`: no vector code (for tests). */
OCT_MUST_CHECK oct_status oct_resampler_new(oct_ctx *ctx, bool portable, oct_resampler **out);
void oct_resampler_free(oct_ctx *ctx, oct_resampler *r); /* NULL is allowed */

/* Writes the pixels of `win` of `src` resized to width x height: win.height rows of
 * win.width * src->channels bytes, `dst_stride` bytes apart. `src` has OCT_IMAGE_SLACK_BYTES
 * behind it. The window lies inside the resized picture. */
OCT_MUST_CHECK oct_status oct_resample(oct_resampler *r, oct_ctx *ctx, oct_resample_kernel kernel,
                                       const oct_image *src, int width, int height, oct_window win,
                                       uint8_t *dst, size_t dst_stride);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_RESAMPLE_H */
