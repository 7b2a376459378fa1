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
} image_observer;

#define CONVERT_ELEMS 4096

/* Observers of the two passes. */
oct_status oct_runner_count(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                            oct_stream *stream);
oct_status oct_runner_count_exact(oct_observer *self, oct_ctx *ctx, uint32_t value,
                                  const oct_tensor *t, oct_stream *stream);
/* Tables for the second pass. */
OCT_MUST_CHECK oct_status oct_runner_alloc_exact(oct_ctx *ctx, oct_stats *s);
/* Copies the tables of tensors that share elements, and drops those of dead tensors. */
OCT_MUST_CHECK oct_status oct_runner_share_exact(oct_ctx *ctx, oct_stats *s);

#endif /* OCT_CALIB_RUNNER_INTERNAL_H */
