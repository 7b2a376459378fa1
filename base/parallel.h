/* SPDX-License-Identifier: Apache-2.0
 *
 * The one parallel-for. Chunk boundaries depend on `n` and `n_threads` only, never on
 * timing; workers write disjoint data, so results do not depend on scheduling.
 * OpenMP when built with it, pthreads otherwise (TSan builds). Nested calls run serially.
 */
#ifndef OCT_BASE_PARALLEL_H
#define OCT_BASE_PARALLEL_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Processes items [lo, hi) on worker `worker` (0 .. n_threads-1). */
typedef void (*oct_range_fn)(void *user, size_t lo, size_t hi, int worker);

/* Splits [0, n) into at most `n_threads` contiguous ranges of at least `grain` items and
 * runs them. n_threads <= 1 or one range: in the calling thread. */
void oct_parallel_for(int n_threads, size_t n, size_t grain, oct_range_fn fn, void *user);

/* Runs `n_workers` long-lived workers, each in its own thread with its own forked context,
 * OpenMP limited to `omp_threads` inside each; joins them in index order (lowest failing
 * index wins). A worker that fails should make the others stop through its own protocol. */
typedef oct_status (*oct_worker_fn)(void *user, oct_ctx *ctx, int worker);
OCT_MUST_CHECK oct_status oct_run_workers(oct_ctx *ctx, int n_workers, int omp_threads,
                                          oct_worker_fn fn, void *user);

/* Cores this process may use: affinity mask, then cgroup v2/v1 quota (rounded up); at least 1. */
int oct_cpu_count(void);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_PARALLEL_H */
