/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics: what calibration learned about every tensor of a model, in memory and as the
 * file statistics.h5 (calib/FORMAT.md).
 *
 * Everything in it adds up: counting images one after another, in any order, in several
 * processes, or merging files of parts gives the same bytes. A file holds no clock, host,
 * path or thread count.
 *
 * A tensor is scanned, or derived from an earlier one: the Relu of it (its histogram follows
 * from the source's), or the same elements moved (it shares the source's). Only scanned ones
 * hold a histogram; oct_stats_hist() gives any tensor's.
 *
 * Thread-safety: any number of readers, or one writer.
 */
#ifndef OCT_CALIB_STATISTICS_H
#define OCT_CALIB_STATISTICS_H

#include "base/hash.h"
#include "calib/calibrator.h"
#include "calib/channel_mean.h"
#include "calib/confidence.h"
#include "calib/histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_STATS_KIND "stats"
#define OCT_STATS_VERSION 1

typedef enum oct_stat_kind {
    OCT_STAT_SCANNED = 0,
    OCT_STAT_RELU = 1, /* max(source, 0) */
    OCT_STAT_SAME = 2, /* the elements of source */
    OCT_STAT_KIND_COUNT,
} oct_stat_kind;

/* One channel (axis 1) of a tensor. */
typedef struct oct_stat_channel {
    float min, max; /* +inf, -inf if nothing was counted */
    uint64_t n;
    oct_exact_sum sum;
} oct_stat_channel;

typedef struct oct_stat_tensor {
    const char *name; /* as in the ONNX graph; owned by the statistics */
    oct_stat_kind kind;
    uint32_t source;                      /* derived: index of an earlier tensor */
    oct_hist hist;                        /* scanned only */
    oct_sha256 pos_image, neg_image;      /* scanned: image with the largest value of that sign (the
                                        least id of several); zeros if none */
    float pos_image_amax, neg_image_amax; /* the magnitudes those images reached */
    uint64_t *exact;                      /* OCT_VIEW_BINS counts over [0, amax] or NULL; owned */
    oct_stat_channel *channel;            /* n_channels or NULL; owned */
    size_t n_channels;
    oct_channel_mean *mean; /* of values that a layer with weights reads, derived or not; NULL = not
                             collected; owned */
} oct_stat_tensor;

/* Where statistics come from; texts are copied. */
typedef struct oct_stats_origin {
    oct_sha256 model;       /* oct_model_info.hash */
    const char *preprocess; /* canonical JSON, "" for callers' own data */
    const char *engine;     /* "cpu avx512_vnni, octet 0.1.0, oneDNN 2.6" */
} oct_stats_origin;

typedef struct oct_stats oct_stats;

OCT_MUST_CHECK oct_status oct_stats_new(oct_ctx *ctx, const oct_stats_origin *origin,
                                        oct_stats **out);
void oct_stats_free(oct_stats *s); /* NULL is allowed */

/* Appends a tensor; `source` is used for derived kinds and must be an earlier index. */
OCT_MUST_CHECK oct_status oct_stats_add_tensor(oct_stats *s, const char *name, oct_stat_kind kind,
                                               uint32_t source, uint32_t *index);
/* Books an image as counted. Ids may repeat: equal files are counted as often as they occur. */
OCT_MUST_CHECK oct_status oct_stats_add_image(oct_stats *s, const oct_sha256 *id);
/* Notes that the image `id` reached these magnitudes in tensor `t`, whose histogram has already
 * counted them. */
void oct_stat_tensor_note(oct_stat_tensor *t, const oct_hist_range *seen, const oct_sha256 *id);
/* The same, when another image reached each side's magnitude. */
void oct_stat_tensor_note_sides(oct_stat_tensor *t, float pos_amax, const oct_sha256 *pos_id,
                                float neg_amax, const oct_sha256 *neg_id);

size_t oct_stats_n_tensors(const oct_stats *s);
oct_stat_tensor *oct_stats_tensor(oct_stats *s, size_t i);
const oct_stat_tensor *oct_stats_at(const oct_stats *s, size_t i);
bool oct_stats_find(const oct_stats *s, const char *name, size_t *index);
uint64_t oct_stats_n_images(const oct_stats *s);
/* Sorted ids. */
const oct_sha256 *oct_stats_images(oct_stats *s);
const oct_stats_origin *oct_stats_get_origin(const oct_stats *s); /* engine: one of several */
size_t oct_stats_n_engines(const oct_stats *s); /* kinds of engine the parts were made with */
const char *oct_stats_engine(const oct_stats *s, size_t i);

/* Whether all images of the data set were counted; a checkpoint is not complete. */
bool oct_stats_is_complete(const oct_stats *s);
void oct_stats_set_complete(oct_stats *s, bool complete);

/* The scanned tensor behind tensor `i`; `*relu` tells whether a Relu lies in between. */
size_t oct_stats_root(const oct_stats *s, size_t i, bool *relu);
/* Histogram of tensor `i`: the scanned one, or the derived one made in `scratch` (initialised;
 * released and filled anew here). Valid until either changes. */
OCT_MUST_CHECK oct_status oct_stats_hist(oct_ctx *ctx, const oct_stats *s, size_t i,
                                         oct_hist *scratch, const oct_hist **out);
/* Scale of tensor `i`. `spread` may be NULL. */
OCT_MUST_CHECK oct_status oct_stats_calibrate(oct_ctx *ctx, const oct_stats *s, size_t i,
                                              const oct_method *m, oct_calib_work *w,
                                              oct_calib_result *result, oct_spread *spread);
/* Starts channel means of tensor `i`; before the first image. */
OCT_MUST_CHECK oct_status oct_stats_want_mean(oct_stats *s, size_t i, oct_mean_axis axis);
/* Means of the channels of the tensor of that name, or NULL: none, along another axis, not usable. */
const oct_channel_mean *oct_stats_means_of(const oct_stats *s, const char *name,
                                           oct_mean_axis axis);
/* Whether values of the tensor of that name were counted and none was negative. */
bool oct_stats_never_negative(const oct_stats *s, const char *name);
/* Whether any tensor has channel means that can be used. */
bool oct_stats_has_means(const oct_stats *s);
/* The image that set the largest magnitude of tensor `i`; false if there is none. */
bool oct_stats_max_image(const oct_stats *s, size_t i, oct_sha256 *id);

/* Adds `src` to `dst`. OCT_ERR_STALE: another model, preprocessing or list of tensors; the same
 * image in both (unless allow_overlap); --exact-range tables. `dst` is then unchanged. On
 * OCT_ERR_NOMEM `dst` can only be freed. */
OCT_MUST_CHECK oct_status oct_stats_merge(oct_ctx *ctx, oct_stats *dst, oct_stats *src,
                                          bool allow_overlap);

/* The file. Reading treats every number as hostile and ends with statistics that hold all
 * invariants of histogram.h. */
OCT_MUST_CHECK oct_status oct_stats_write(oct_ctx *ctx, oct_stats *s, const char *path, bool force);
OCT_MUST_CHECK oct_status oct_stats_read(oct_ctx *ctx, const char *path, oct_stats **out);
/* The same in memory; release the image with oct_free(). */
OCT_MUST_CHECK oct_status oct_stats_image(oct_ctx *ctx, oct_stats *s, uint8_t **image,
                                          size_t *n_bytes);
OCT_MUST_CHECK oct_status oct_stats_parse(oct_ctx *ctx, const void *data, size_t n_bytes,
                                          oct_stats **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_STATISTICS_H */
