/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/latency.h"

#include <stdlib.h>
#include <time.h>

double oct_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_f64(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *ms, size_t n, double p)
{
    return ms[(size_t)(p * (double)(n - 1) + 0.5)];
}

oct_latency oct_latency_of(double *ms, size_t n)
{
    oct_latency l = {.n_runs = n};
    if (n == 0)
        return l;
    qsort(ms, n, sizeof *ms, compare_f64);
    for (size_t i = 0; i < n; i++)
        l.mean_ms += ms[i] / (double)n;
    l.best_ms = ms[0];
    l.p50_ms = percentile(ms, n, 0.5);
    l.p90_ms = percentile(ms, n, 0.9);
    l.p99_ms = percentile(ms, n, 0.99);
    return l;
}
