/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges: tensor name -> scale, the common form of every calibration cache, and the only
 * header of calib/ that quant/ sees.
 *
 * Real caches hold zeros, infinities, duplicates and damaged lines. Reading keeps all of
 * them, flagged, with line number and text, so that they can be shown, linted, compared and
 * converted; whoever uses the scales calls oct_ranges_check() first, which refuses with
 * the line number.
 *
 *     name    file               holds                              exact member
 *     trt     TensorRT cache     float32 bits of scale = amax/127   scale
 *     ort     flatbuffers        decimal text of amax               amax
 *     ort-txt the same as text   decimal text of amax               amax
 *     ncnn    ncnn table         127/amax by layer                  neither
 *     json    ours               both                               both
 *
 * Ownership: an oct_ranges owns names and texts. Thread-safety: readers only.
 */
#ifndef OCT_CALIB_RANGES_H
#define OCT_CALIB_RANGES_H

#include "base/ctx.h"
#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_cache_format {
    OCT_CACHE_AUTO,
    OCT_CACHE_TRT,
    OCT_CACHE_ORT,
    OCT_CACHE_ORT_TEXT,
    OCT_CACHE_NCNN,
    OCT_CACHE_JSON,
    OCT_CACHE_FORMAT_COUNT,
} oct_cache_format;

/* "trt", "ort", "ort-txt", "ncnn", "json"; AUTO is "auto". */
const char *oct_cache_format_str(oct_cache_format f);
/* OCT_ERR_USAGE lists the names. */
OCT_MUST_CHECK oct_status oct_cache_format_parse(oct_ctx *ctx, const char *text,
                                                 oct_cache_format *out);
/* By file name: .cache .calib -> trt, .flatbuffers -> ort, .txt -> ort-txt, .table -> ncnn,
 * .json -> json; AUTO if it says nothing. */
oct_cache_format oct_cache_format_of_path(const char *path);

enum {
    OCT_RANGE_UNPARSED = 1, /* the line is not understood; it has a text but no value */
    OCT_RANGE_ZERO = 2,     /* scale 0 */
    OCT_RANGE_INFINITE = 4,
    OCT_RANGE_NAN = 8,
    OCT_RANGE_NEGATIVE = 16,
    OCT_RANGE_SUBNORMAL = 32, /* scale below FLT_MIN: kernels may flush it to 0 */
    OCT_RANGE_REPEATED = 64,  /* the name came before, with the same scale */
    OCT_RANGE_CONFLICT = 128, /* the name came before, with another scale */
    OCT_RANGE_WEIGHTS = 256,  /* scales of weights (ncnn); one entry, first value only */
};
/* Flags with which a scale cannot be used. */
#define OCT_RANGE_UNUSABLE                                                      \
    (OCT_RANGE_UNPARSED | OCT_RANGE_ZERO | OCT_RANGE_INFINITE | OCT_RANGE_NAN | \
     OCT_RANGE_NEGATIVE | OCT_RANGE_SUBNORMAL | OCT_RANGE_CONFLICT)

typedef struct oct_range {
    const char *name; /* "" for UNPARSED lines */
    float scale;      /* amax / 127 */
    float amax;
    unsigned flags;
    uint32_t line;    /* 1-based line, or entry number in binary files; 0 = not from a file */
    const char *text; /* the line as it was, or NULL */
} oct_range;

typedef struct oct_ranges oct_ranges;

OCT_MUST_CHECK oct_status oct_ranges_new(oct_ctx *ctx, oct_ranges **out);
void oct_ranges_free(oct_ranges *r); /* NULL is allowed */

/* Adds a tensor by scale or by amax; the other follows. Everything is copied. */
OCT_MUST_CHECK oct_status oct_ranges_add_scale(oct_ranges *r, const char *name, float scale);
OCT_MUST_CHECK oct_status oct_ranges_add_amax(oct_ranges *r, const char *name, float amax);
/* Full form, for readers of files. `name` has n_name bytes; flags of value and name are set here. */
OCT_MUST_CHECK oct_status oct_ranges_add(oct_ranges *r, const char *name, size_t n_name,
                                         const oct_range *proto);

size_t oct_ranges_count(const oct_ranges *r);
const oct_range *oct_ranges_at(const oct_ranges *r, size_t i);
/* First entry of that name that was parsed and is no weight; NULL if none. */
const oct_range *oct_ranges_find(const oct_ranges *r, const char *name);

/* What the file was; header is its first line ("TRT-8601-EntropyCalibration2") or "". */
oct_cache_format oct_ranges_format(const oct_ranges *r);
const char *oct_ranges_header(const oct_ranges *r);
const char *oct_ranges_source(const oct_ranges *r); /* path for messages, "" if none */
OCT_MUST_CHECK oct_status oct_ranges_set_origin(oct_ranges *r, oct_cache_format f,
                                                const char *header, const char *source);

/* Reads a cache of format `f` (AUTO: by content, then by name). Only what cannot be that format
 * at all fails; damaged lines become flagged entries. */
OCT_MUST_CHECK oct_status oct_ranges_read(oct_ctx *ctx, const char *path, oct_cache_format f,
                                          oct_ranges **out);
OCT_MUST_CHECK oct_status oct_ranges_parse(oct_ctx *ctx, const void *data, size_t n_bytes,
                                           oct_cache_format f, const char *source,
                                           oct_ranges **out);

/* OCT_ERR_RANGE naming file, line and text of the first entry that cannot be used. */
OCT_MUST_CHECK oct_status oct_ranges_check(oct_ctx *ctx, const oct_ranges *r);

/* What is wrong with an entry: "zero, repeated" in `buf`; "" if nothing. */
#define OCT_RANGE_FLAGS_BYTES 128
const char *oct_range_flags_str(unsigned flags, char buf[OCT_RANGE_FLAGS_BYTES]);

typedef struct oct_cache_write_options {
    unsigned trt_version;      /* 8601, 101601; 0 = OCT_TRT_VERSION_DEFAULT */
    const char *trt_algorithm; /* NULL = "EntropyCalibration2", which all readers load */
} oct_cache_write_options;

#define OCT_TRT_VERSION_DEFAULT 101601u
#define OCT_TRT_ALGORITHM_DEFAULT "EntropyCalibration2"

/* Appends the file's bytes to `out`. Entries that are unparsed, weights or repeated are left
 * out. A name that the format cannot hold (a line break) is OCT_ERR_RANGE; names that a
 * known reader of the format gets wrong are logged as warnings. `opt` may be NULL. */
OCT_MUST_CHECK oct_status oct_ranges_render(oct_ctx *ctx, const oct_ranges *r, oct_cache_format f,
                                            const oct_cache_write_options *opt, oct_strbuf *out);
OCT_MUST_CHECK oct_status oct_ranges_write(oct_ctx *ctx, const oct_ranges *r, oct_cache_format f,
                                           const oct_cache_write_options *opt, const char *path,
                                           bool force);

/* "8.6.1" -> 8601, "10.16.1" -> 101601 (major * 1000, from 10 on * 10000); "8601" as it is. */
OCT_MUST_CHECK oct_status oct_trt_version_parse(oct_ctx *ctx, const char *text, unsigned *out);

/* What a handle of the public API holds; borrowed. */
struct octet_scales;
const oct_ranges *oct_api_scales_ranges(const struct octet_scales *scales);
/* Means of the channels of tensor `name` along its last axis or axis 1: fills up to `cap` and returns how
 * many there are, 0 if none. */
struct octet_stats;
size_t oct_api_stats_means(const struct octet_stats *stats, const char *name, bool last,
                           double *mean, size_t cap);
/* Whether values of tensor `name` were counted and none was negative. */
bool oct_api_stats_never_negative(const struct octet_stats *stats, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_RANGES_H */
