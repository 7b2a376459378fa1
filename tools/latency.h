/* SPDX-License-Identifier: Apache-2.0
 *
 * Wall times of runs and their percentiles.
 */
#ifndef OCT_TOOLS_LATENCY_H
#define OCT_TOOLS_LATENCY_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_latency {
    size_t n_runs;
    double best_ms, p50_ms, p90_ms, p99_ms, mean_ms; /* 0 without runs */
} oct_latency;

/* Seconds since some moment, steady. */
double oct_now_s(void);
/* Of n runs; sorts `ms`. Percentiles are those of the nearest rank. */
oct_latency oct_latency_of(double *ms, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_LATENCY_H */
