/* SPDX-License-Identifier: Apache-2.0
 *
 * What statistics know besides thresholds, as quantization asks for it: channel means for bias
 * correction (quant/bias_correct.h), and which values are never negative.
 */
#ifndef OCT_TOOLS_STATS_MEANS_H
#define OCT_TOOLS_STATS_MEANS_H

#include "calib/statistics.h"
#include "quant/scheme.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_stats_means {
    oct_ctx *ctx;
    const oct_stats *stats; /* borrowed */
    double *mean;           /* of the tensor asked for last; owned */
    oct_mean_source source; /* these borrow from here: do not copy the struct */
    oct_sign_source signs;
} oct_stats_means;

OCT_MUST_CHECK oct_status oct_stats_means_init(oct_stats_means *m, oct_ctx *ctx,
                                               const oct_stats *stats);
void oct_stats_means_deinit(oct_stats_means *m); /* a zeroed struct is fine */

/* What --bias-correction says, given these statistics (NULL = a cache, which has no means). Says why
 * biases stay as they are when nobody asked for that. OCT_ERR_USAGE: `on` without means. */
OCT_MUST_CHECK oct_status oct_stats_means_wanted(oct_cli *cli, const oct_stats *stats, bool *on);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_STATS_MEANS_H */
