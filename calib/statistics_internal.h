/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of oct_stats, shared by statistics.c and its file's reader and writer.
 */
#ifndef OCT_CALIB_STATISTICS_INTERNAL_H
#define OCT_CALIB_STATISTICS_INTERNAL_H

#include "base/arena.h"
#include "calib/ranges.h"
#include "calib/statistics.h"

struct oct_stats {
    oct_ctx *ctx;
    oct_arena *arena; /* names and texts */
    oct_stats_origin origin;
    const char **engine; /* sorted, distinct; in the arena */
    size_t n_engines;
    oct_stat_tensor *tensor;
    size_t n_tensors, cap_tensors;
    oct_ranges *names; /* name -> index, kept as the entry's line */
    oct_sha256 *image;
    size_t n_images, cap_images;
    bool images_sorted, complete;
};

/* Adds an engine text to the sorted set. */
OCT_MUST_CHECK oct_status oct_stats_add_engine(oct_stats *s, const char *text);
/* Forgets the placeholder engine of oct_stats_new() (readers add the file's). */
void oct_stats_clear_engines(oct_stats *s);

/* Datasets of the file. Slices say which part of a run of bins is stored: bins outside are 0. */
#define STATS_PROVENANCE "provenance"
#define STATS_IMAGES "images"
#define STATS_COMPLETE "complete"
#define STATS_NAME "tensor/name"
#define STATS_KIND "tensor/kind"
#define STATS_SOURCE "tensor/source"
#define STATS_COUNTS "tensor/counts"       /* total, zero, nan, +inf, -inf */
#define STATS_AMAX "tensor/amax"           /* pos, neg */
#define STATS_WIDTH "tensor/width_exp"     /* pos, neg */
#define STATS_MAX_IMAGE "tensor/max_image" /* pos, neg */
#define STATS_SLICE "tensor/slice"         /* pos first, pos count, neg first, neg count */
#define STATS_BINS "tensor/bins"
#define STATS_FOLD_COUNTS "fold/counts" /* total, zero, -inf */
#define STATS_FOLD_AMAX "fold/amax"     /* pos, neg */
#define STATS_FOLD_SLICE "fold/slice"
#define STATS_FOLD_BINS "fold/bins"
#define STATS_EXACT "exact/bins"
#define STATS_EXACT_TENSOR "exact/tensor"
#define STATS_CHANNEL_COUNT "channel/count"
#define STATS_CHANNEL_RANGE "channel/range" /* min, max */
#define STATS_CHANNEL_SUM "channel/sum"     /* n, lo, hi, n_big */
#define STATS_MEAN_TENSOR "mean/tensor"
#define STATS_MEAN_AXIS "mean/axis"
#define STATS_MEAN_CHANNELS "mean/channels"
#define STATS_MEAN_COUNT "mean/count"
#define STATS_MEAN_SUM "mean/sum" /* lo, hi, n_big */

/* The optional part with channel means (statistics_mean.c). */
struct oct_container;
struct oct_container_writer;
OCT_MUST_CHECK oct_status oct_stats_write_means(oct_ctx *ctx, const oct_stats *s,
                                                struct oct_container_writer *w);
OCT_MUST_CHECK oct_status oct_stats_read_means(oct_ctx *ctx, struct oct_container *c, oct_stats *s);

enum {
    STATS_N_COUNTS = 5,
    STATS_N_FOLD_COUNTS = 3,
    STATS_MAX_TENSORS = 1 << 20,
    STATS_MAX_TEXT = 1 << 20,
};

#endif /* OCT_CALIB_STATISTICS_INTERNAL_H */
