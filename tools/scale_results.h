/* SPDX-License-Identifier: Apache-2.0
 *
 * Scales of all tensors by one or several methods, and what commands do with them: table, JSON,
 * cache, plot, verdict. Shared by calibrate and scales.
 */
#ifndef OCT_TOOLS_SCALE_RESULTS_H
#define OCT_TOOLS_SCALE_RESULTS_H

#include "calib/cache_tools.h"
#include "calib/statistics.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_SCALES_MAX_METHODS 8

/* One tensor by one method. */
typedef struct oct_scale_cell {
    oct_calib_result result;
    oct_spread spread; /* zeroed without `with_spread` */
} oct_scale_cell;

typedef struct oct_scale_results {
    const oct_stats *stats;
    oct_method method[OCT_SCALES_MAX_METHODS];
    char label[OCT_SCALES_MAX_METHODS][OCT_METHOD_TEXT_BYTES];
    int n_methods;
    bool with_spread;
    size_t n_tensors;
    oct_scale_cell *cell; /* [tensor * n_methods + method] */
} oct_scale_results;

/* Methods from "mse,entropy,percentile:99.9". */
OCT_MUST_CHECK oct_status oct_scale_results_methods(oct_cli *cli, const char *text,
                                                    oct_scale_results *r);
/* Calibrates every tensor, -j at a time. Deinit whatever the outcome. */
OCT_MUST_CHECK oct_status oct_scale_results_compute(oct_cli *cli, const oct_stats *s,
                                                    bool with_spread, oct_scale_results *r);
/* The same with something else in a thread beside it, which only reads the statistics; its failure
 * comes first. */
typedef oct_status (*oct_beside_fn)(void *user, oct_ctx *ctx);
OCT_MUST_CHECK oct_status oct_scale_results_compute_beside(oct_cli *cli, const oct_stats *s,
                                                           bool with_spread, oct_beside_fn beside,
                                                           void *user, oct_scale_results *r);
void oct_scale_results_deinit(oct_cli *cli, oct_scale_results *r);

OCT_MUST_CHECK oct_status oct_scale_results_table(oct_cli *cli, const oct_scale_results *r);
/* Tensor list as a JSON object member "tensors" with summary members beside it. */
void oct_scale_results_json(const oct_scale_results *r, oct_json *j);
/* What method number `m` found, as ranges. */
OCT_MUST_CHECK oct_status oct_scale_results_ranges(oct_cli *cli, const oct_scale_results *r, int m,
                                                   oct_ranges **out);
/* Lines on stderr: dead tensors, fallbacks, poor results. */
void oct_scale_results_warn(oct_cli *cli, const oct_scale_results *r);
/* Prints whether the scales of method 0 are settled, and the least settled ones. Needs spread. */
OCT_MUST_CHECK oct_status oct_scale_results_verdict(oct_cli *cli, const oct_scale_results *r);

/* The whole as the result of --json; nothing without it. */
OCT_MUST_CHECK oct_status oct_scale_results_emit(oct_cli *cli, const oct_scale_results *r);
/* Writes the file that --cache names. OCT_ERR_USAGE with several methods: a cache holds one
 * scale a tensor. */
OCT_MUST_CHECK oct_status oct_scale_results_cache(oct_cli *cli, const oct_scale_results *r);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_SCALE_RESULTS_H */
