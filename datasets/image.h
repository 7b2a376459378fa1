/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding JPEG and PNG files to 8-bit pixels. The file is hostile: declared sizes are held
 * against limits before anything is allocated, decoder errors come back as a status,
 * warnings are counted. The pixels are those of the program named by the rules: Pillow's
 * `Image.open(f).convert("RGB"|"L")` or OpenCV's `imread(f, IMREAD_COLOR|IMREAD_GRAYSCALE)`,
 * which differ for CMYK, 16-bit grey and grey conversion.
 * Ownership: an oct_image owns its buffer and reuses it from call to call.
 * Thread-safety: one thread per oct_image and context.
 */
#ifndef OCT_DATASETS_IMAGE_H
#define OCT_DATASETS_IMAGE_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Readable bytes after the last pixel, so that vector loads may overrun. */
#define OCT_IMAGE_SLACK_BYTES 64

typedef struct oct_image {
    int width, height;
    int channels;     /* 1 grey, 3 RGB, interleaved; rows are dense */
    uint8_t *data;    /* oct_alloc()ed */
    size_t cap_bytes; /* without the slack */
} oct_image;

/* Makes room for width x height x channels pixels, contents undefined. Reuses the buffer. */
OCT_MUST_CHECK oct_status oct_image_reserve(oct_ctx *ctx, oct_image *im, int width, int height,
                                            int channels);
void oct_image_deinit(oct_ctx *ctx, oct_image *im); /* zeroed structs are fine */

typedef enum oct_decoder_rules {
    OCT_DECODER_PILLOW,
    OCT_DECODER_OPENCV,
    OCT_DECODER_COUNT,
} oct_decoder_rules;

typedef enum oct_alpha_policy {
    OCT_ALPHA_DROP,  /* as both programs do */
    OCT_ALPHA_BLACK, /* composite over black / white */
    OCT_ALPHA_WHITE,
    OCT_ALPHA_COUNT,
} oct_alpha_policy;

typedef struct oct_decode_limits {
    int max_side;          /* pixels */
    int64_t max_pixels;    /* width * height */
    int max_scans;         /* of a progressive JPEG */
    size_t max_file_bytes; /* read at most this much of a file */
} oct_decode_limits;

#define OCT_DECODE_LIMITS_DEFAULT       \
    {                                   \
        16384, 64000000, 500, 256000000 \
    }

typedef struct oct_decode_options {
    oct_decoder_rules rules;
    oct_alpha_policy alpha;
    bool gray;            /* one channel instead of three */
    bool exif;            /* turn the picture as its EXIF orientation says */
    bool allow_truncated; /* missing data is grey or black instead of an error */
    oct_decode_limits limits;
} oct_decode_options;

typedef struct oct_decode_info {
    int file_width, file_height; /* before EXIF turning */
    int orientation;             /* EXIF 1..8; 1 if absent */
    int n_warnings;              /* of the decoder: damaged but decodable */
    bool gray_file;              /* the file itself has no colour */
    bool truncated;
} oct_decode_info;

/* True for the first bytes of a file that oct_image_decode() knows. */
bool oct_image_is_jpeg(const uint8_t *bytes, size_t n_bytes);
bool oct_image_is_png(const uint8_t *bytes, size_t n_bytes);

/* Decodes a file in memory. `name` is for messages. `turned` is scratch for EXIF turning.
 * OCT_ERR_FORMAT: damaged or truncated; OCT_ERR_UNSUPPORTED: another format, 12-bit JPEG,
 * odd colour spaces; OCT_ERR_LIMIT: above a limit, nothing was allocated. */
OCT_MUST_CHECK oct_status oct_image_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                           size_t n_bytes, const oct_decode_options *opt,
                                           oct_image *out, oct_image *turned,
                                           oct_decode_info *info);

/* Writes 8-bit grey or RGB rows as a PNG file (no clock inside), atomically. */
OCT_MUST_CHECK oct_status oct_image_write_png(oct_ctx *ctx, const char *path, const oct_image *im,
                                              bool force);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_IMAGE_H */
