/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing among sets of thresholds for a whole network: each is quantized in memory and
 * answers images that its thresholds have not seen; the one whose outputs are nearest to the
 * float network's wins. No label is looked at.
 *
 *     score = mean over the float outputs o of min(10 lg(sum ref_o^2 / sum (int8_o - ref_o)^2), 100) dB
 *
 * Each output counts alike, whatever its unit: boxes in pixels do not drown scores. Sums are kept by
 * image and added in the source's order, so the result does not depend on threads.
 *
 * A few hundred images tell thresholds apart only so far: on 130 photos the scores of two calibrators move
 * against each other by half a decibel and more with the photos. So the first candidate, the caller's default,
 * stands unless the best one leads by more than OCT_CHOOSE_CONFIDENCE standard errors of that lead, by the
 * jackknife over images (one-sided 95 %). With one image there is no error to tell: the best wins.
 */
#ifndef OCT_QUANT_CHOOSE_H
#define OCT_QUANT_CHOOSE_H

#include "base/batch.h"
#include "quant/quantize.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_CHOOSE_MAX 8
#define OCT_CHOOSE_MAX_DB 100.0
#define OCT_CHOOSE_CONFIDENCE 1.645

typedef struct oct_choose_candidate {
    const char *name; /* for messages */
    oct_amax_source amax;
} oct_choose_candidate;

typedef struct oct_choose_options {
    const char *backend; /* of both networks; NULL = "cpu" */
    int workers;
    void *user;
    void (*progress)(void *user, int64_t n_done); /* any thread; may be NULL */
} oct_choose_options;

typedef struct oct_choose_result {
    double score_db[OCT_CHOOSE_MAX]; /* -infinity: an output is not finite */
    double
        error_db[OCT_CHOOSE_MAX]; /* standard error of score_db[i] - score_db[0]; 0 for the first */
    int best;
    uint64_t n_images;
} oct_choose_result;

/* Runs `n` candidates (1 to OCT_CHOOSE_MAX) over `source`, from its current batch to its end; batches of one sample. The
 * model must outlive the call only. OCT_ERR_NOT_FOUND: no image; OCT_ERR_UNSUPPORTED: no float output. */
OCT_MUST_CHECK oct_status oct_choose(oct_ctx *ctx, const oct_model *m,
                                     const oct_choose_candidate *candidate, int n,
                                     const oct_scheme *scheme, oct_batch_source *source,
                                     const oct_choose_options *opt, oct_choose_result *out);

/* The rule alone: scores, and standard errors of their leads over the first, to the winner. */
int oct_choose_best(const double *score_db, const double *error_db, int n);
/* One output's share of the score. */
double oct_choose_output_db(double signal, double noise, bool finite);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_CHOOSE_H */
