/* SPDX-License-Identifier: Apache-2.0
 *
 * Sensitivity: which layers quantization hurts, and the fewest to keep in floating point so that a
 * goal is met. Pure search; the caller measures.
 *
 *     1. rank    each layer alone in INT8, all others float: the worse the outputs, the earlier
 *     2. grow    keep the first 0, 1, 2, 4, 8 ... layers of the ranking in float, then halve the gap
 *                between the largest number that fails and the smallest that meets the goal
 *     3. prune   put back to INT8 what is not needed after all: each kept layer alone, then
 *                as many of those together as the goal allows
 *
 * About n measurements on few images and 2 log n + k on all. The goal need not be monotonic in the number of
 * layers: the result was always measured itself and meets the goal.
 */
#ifndef OCT_QUANT_SENSITIVITY_H
#define OCT_QUANT_SENSITIVITY_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What was measured for one choice of layers. Differences are candidate - reference, shares. */
typedef struct oct_sens_score {
    double sqnr_db;            /* of the outputs; infinity when equal */
    double agreement;          /* NaN = not known */
    double difference, lo, hi; /* accuracy with its 95 % interval; NaN = not known */
    double margin;             /* how far inside the goal, >= 0 = met */
} oct_sens_score;

typedef struct oct_sens_set {
    const bool *keep; /* per layer: stays in floating point */
    oct_sens_score score;
} oct_sens_set;

typedef struct oct_sens_search {
    size_t n_layers;
    size_t per_call; /* sets that one measurement takes, >= 1 */
    void *user;
    /* Fills the scores: on the few images that rank, or on all. */
    oct_status (*measure)(void *user, oct_ctx *ctx, oct_sens_set *set, size_t n_sets, bool all);
} oct_sens_search;

/* Lists are oct_alloc()ed; release with oct_sens_result_deinit(). */
typedef struct oct_sens_result {
    uint32_t *order;       /* layers, most sensitive first */
    oct_sens_score *alone; /* per layer: it alone in INT8, on the few images */
    bool *keep;            /* per layer: the plan */
    size_t n_keep;
    oct_sens_score none; /* nothing kept, on all images */
    oct_sens_score plan; /* on all images */
    bool met;            /* false: not even all layers in floating point meet the goal */
} oct_sens_result;

OCT_MUST_CHECK oct_status oct_sens_run(oct_ctx *ctx, const oct_sens_search *s,
                                       oct_sens_result *out);
void oct_sens_result_deinit(oct_ctx *ctx, oct_sens_result *r); /* zeroed structs are fine */

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_SENSITIVITY_H */
