/* SPDX-License-Identifier: Apache-2.0
 *
 * The calibration runner: streams a batch source through an FP32 engine and counts every
 * float value named in the ONNX graph that depends on its inputs (before fusion, as TensorRT's
 * entropy calibrator 2 does).
 *
 * On the CPU each worker runs one image at a time on one thread, whatever the batches of the
 * source: neighbours, threads and padding cannot change a value. All workers count into one
 * set of histograms, one lock a tensor; counting commutes, so the result does not depend on who
 * counted what, and memory does not grow with workers or images.
 *
 * On a device the histograms stay there. Images run in batches of one fold where the batch is
 * proven to be the outermost factor of every value, else one at a time, said aloud.
 *
 * An image is counted whole or not at all: cancellation is looked at between images, and
 * checkpoints are written when no image is under way. A failure in the middle of an image
 * spoils the statistics in memory; the last checkpoint stays valid.
 */
#ifndef OCT_CALIB_RUNNER_H
#define OCT_CALIB_RUNNER_H

#include "base/batch.h"
#include "calib/statistics.h"
#include "engine/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_calib_options {
    const char *backend;        /* "cpu" (NULL), "ref", "cuda", "cuda:N" */
    struct oct_backend *opened; /* used instead when not NULL; borrowed */
    int workers;                /* 0 = oct_cpu_count(); on a device at most two are used */
    bool per_channel;           /* also min, max and sum of every channel (axis 1) */
    bool exact_range;           /* second pass: 2,048 bins over the exact [0, amax] */
    bool allow_nonfinite;       /* count NaN and infinities apart instead of failing */
    uint32_t shard, n_shards;   /* images number shard, shard + n_shards, ... ; n_shards 0 = all */
    const char *checkpoint;     /* file for checkpoints, replaced if it exists; NULL = none */
    uint64_t checkpoint_every;  /* images; 0 = only when cancelled */
    oct_stats *resume;          /* statistics to go on from (given: owned by the call); NULL */
    void *user;
    void (*progress)(void *user, uint64_t n_done); /* images of this pass; from any thread */
    void (*pass)(void *user, int pass);            /* 1, then 2 with exact_range; may be NULL */
} oct_calib_options;

/* What happened, for the closing report. */
typedef struct oct_calib_report {
    uint64_t n_counted;      /* images counted by this call */
    uint64_t n_resumed;      /* images the resumed statistics already held */
    uint64_t n_other_shards; /* images left to other shards */
} oct_calib_report;

/* Runs to the end of the source. Errors: OCT_ERR_RANGE names tensor and image of a NaN or
 * infinity; OCT_ERR_STALE if `resume` is of another model, preprocessing or set of images;
 * OCT_ERR_CANCELLED after the checkpoint was written; OCT_ERR_NOT_FOUND without any image.
 * Of several failing images the first in the source's order is reported. */
OCT_MUST_CHECK oct_status oct_calibrate_run(oct_ctx *ctx, const oct_model *model,
                                            oct_batch_source *source, const oct_calib_options *opt,
                                            oct_stats **out, oct_calib_report *report);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_RUNNER_H */
