/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the runner: runner.c drives, runner_count.c counts what the engine shows.
 */
#ifndef OCT_CALIB_RUNNER_INTERNAL_H
#define OCT_CALIB_RUNNER_INTERNAL_H

#include <pthread.h>

#include "calib/runner.h"

#define ERROR_TEXT_BYTES 1024

/* The failure of the first image that failed. */
typedef struct first_failure {
    oct_status status;
    int64_t index; /* of the sample */
    char text[ERROR_TEXT_BYTES];
} first_failure;

typedef struct runner {
    oct_ctx *ctx;
    const oct_calib_options *opt;
    oct_batch_source *source;
    oct_engine *engine;
    oct_stats *stats;
    oct_calib_report *report;
    pthread_mutex_t *tensor_lock; /* one a tensor */
    pthread_rwlock_t quiet;       /* read: an image is under way; write: none is */
    pthread_mutex_t lock;         /* guards what follows */
    first_failure failure;
    bool stop, cancelled;
    int pass;
    uint64_t n_done;    /* images of this pass */
    uint64_t n_unsaved; /* since the last checkpoint */
    oct_sha256 *held;   /* sorted ids of the resumed statistics */
    bool *met;          /* which of them the source has shown */
    size_t n_held;
    uint64_t n_seen; /* images the source has shown */
} runner;

/* One worker's view of the image it runs. */
typedef struct image_observer {
    oct_observer base; /* first member */
    runner *r;
    const oct_sample *sample;
    int fold;
    float *convert; /* room for CONVERT_ELEMS values of other float types */
    oct_hist_scratch *scratch;
    oct_channel_sums sums;
} image_observer;

#define CONVERT_ELEMS 4096

/* Observers of the two passes. */
oct_status oct_runner_count(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                            oct_stream *stream);
oct_status oct_runner_count_exact(oct_observer *self, oct_ctx *ctx, uint32_t value,
                                  const oct_tensor *t, oct_stream *stream);
/* Channel means (runner_mean.c): declares them in the empty statistics; books those of a value of the image that
 * runs. Not on devices. */
OCT_MUST_CHECK oct_status oct_runner_want_means(runner *r, const oct_model *model);
OCT_MUST_CHECK oct_status oct_runner_count_mean(image_observer *o, oct_ctx *ctx, uint32_t value,
                                                const oct_tensor *t);
/* Tables for the second pass. */
OCT_MUST_CHECK oct_status oct_runner_alloc_exact(oct_ctx *ctx, oct_stats *s);
/* Copies the tables of tensors that share elements, and drops those of dead tensors. */
OCT_MUST_CHECK oct_status oct_runner_share_exact(oct_ctx *ctx, oct_stats *s);

/* ---- what both ways of running share (runner.c) ---- */

/* Whether this pass has to run the image. */
bool oct_runner_wants(runner *r, const oct_sample *s);
/* Books a counted image; true if a checkpoint is due. */
bool oct_runner_book(runner *r, oct_ctx *ctx, const oct_sample *s, oct_status *st);
/* Writes the checkpoint; no image is under way. */
OCT_MUST_CHECK oct_status oct_runner_save(runner *r, oct_ctx *ctx);
/* Records that the image at this position failed, with the message of `from`. */
void oct_runner_fail(runner *r, oct_ctx *from, oct_status st, int64_t index);
bool oct_runner_failed(runner *r);
/* Cancelled or failed. */
bool oct_runner_should_stop(runner *r, oct_ctx *ctx);
/* OCT_ERR_RANGE naming tensor and image, unless all that was seen is finite or may not be. */
OCT_MUST_CHECK oct_status oct_runner_check_finite(const runner *r, oct_ctx *ctx, const char *tensor,
                                                  const oct_hist_range *seen, const char *image);
/* Bins per unit of the second pass for value `i`: its own table, its Relu's; 0 = none. */
void oct_runner_exact_scales(oct_stats *s, size_t i, double scale[2]);
void oct_runner_add_exact(oct_stats *s, size_t i, const uint64_t *own, const uint64_t *relu);

#endif /* OCT_CALIB_RUNNER_INTERNAL_H */
