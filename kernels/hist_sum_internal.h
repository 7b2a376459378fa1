/* SPDX-License-Identifier: Apache-2.0
 *
 * The sum of a run of values, compiled once for each instruction set. Sixteen partial sums, added
 * up in pairs: whatever vectors the compiler makes of them, the order is the same.
 */
#ifndef OCT_KERNELS_HIST_SUM_INTERNAL_H
#define OCT_KERNELS_HIST_SUM_INTERNAL_H

#include <stddef.h>

#define SUM_LANES 16

static double sum_run(const float *x, size_t n)
{
    double lane[SUM_LANES] = {0};
    size_t i = 0;
    for (; i + SUM_LANES <= n; i += SUM_LANES)
        for (size_t k = 0; k < SUM_LANES; k++)
            lane[k] += (double)x[i + k];
    for (size_t k = 0; i < n; i++, k++)
        lane[k] += (double)x[i];
    for (size_t half = SUM_LANES / 2; half > 0; half /= 2)
        for (size_t k = 0; k < half; k++)
            lane[k] += lane[k + half];
    return lane[0];
}

#endif /* OCT_KERNELS_HIST_SUM_INTERNAL_H */
