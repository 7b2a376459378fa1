/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing among sets of thresholds for a whole network: each is quantized in memory and
 * answers images that its thresholds have not seen; the one whose outputs are nearest to the
 * float network's wins. No label is looked at.
 *
 *     score = mean over the float outputs o of min(10 lg(sum ref_o^2 / sum (int8_o - ref_o)^2), 100) dB
 *
 * Each output counts alike, whatever its unit: boxes in pixels do not drown scores. Ties go to the
 * earlier candidate. Sums are kept by image and added in the source's order, so the result does
 * not depend on threads.
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
    int best;
    uint64_t n_images;
} oct_choose_result;

/* Runs `n` candidates (1 to OCT_CHOOSE_MAX) over `source`, from its current batch to its end; batches of one sample. The
 * model must outlive the call only. OCT_ERR_NOT_FOUND: no image; OCT_ERR_UNSUPPORTED: no float output. */
OCT_MUST_CHECK oct_status oct_choose(oct_ctx *ctx, const oct_model *m,
                                     const oct_choose_candidate *candidate, int n,
                                     const oct_scheme *scheme, oct_batch_source *source,
                                     const oct_choose_options *opt, oct_choose_result *out);

/* The rule alone: scores to the winner. */
int oct_choose_best(const double *score_db, int n);
/* One output's share of the score. */
double oct_choose_output_db(double signal, double noise, bool finite);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_CHOOSE_H */
