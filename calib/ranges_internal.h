/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats behind oct_ranges: one file each.
 */
#ifndef OCT_CALIB_RANGES_INTERNAL_H
#define OCT_CALIB_RANGES_INTERNAL_H

#include "calib/ranges.h"

typedef struct oct_cache_codec {
    oct_cache_format format;
    const char *name;
    /* Entries into `r`; fails only if this cannot be the format. `data` is NUL-terminated. */
    oct_status (*parse)(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n);
    oct_status (*render)(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                         oct_strbuf *out);
    /* Whether the content is this format beyond doubt. */
    bool (*matches)(const char *data, size_t n);
} oct_cache_codec;

extern const oct_cache_codec oct_codec_trt, oct_codec_ort, oct_codec_ort_text, oct_codec_ncnn,
    oct_codec_json;

/* Walks the lines of a text; CR before LF is not part of a line. */
typedef struct oct_lines {
    const char *at, *end;
    uint32_t number; /* of the line given last, from 1 */
} oct_lines;
bool oct_lines_next(oct_lines *l, const char **line, size_t *n);

/* Adds a line that is not understood. */
OCT_MUST_CHECK oct_status oct_ranges_add_unparsed(oct_ranges *r, uint32_t line, const char *text,
                                                  size_t n);
/* Whether a writer puts this entry into a file. */
bool oct_range_is_written(const oct_range *e);
/* OCT_ERR_RANGE if the name has a line break. */
OCT_MUST_CHECK oct_status oct_range_check_name(oct_ctx *ctx, const oct_range *e);
/* A copy of `n` bytes of a line for oct_range.text; NULL on OCT_ERR_NOMEM. */
const char *oct_ranges_text(oct_ranges *r, const char *text, size_t n);

#endif /* OCT_CALIB_RANGES_INTERNAL_H */
