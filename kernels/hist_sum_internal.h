/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of runs and of columns, compiled once for each instruction set. A run has sixteen partial
 * sums, added up in pairs, and a column is added from top to bottom: whatever vectors the compiler
 * makes of them, the order is the same.
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

/* Columns side by side stay in registers while the rows go by. */
static inline void sum_block(const float *x, size_t rows, size_t cols, size_t n, double *sum)
{
    double lane[SUM_LANES] = {0};
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < n; k++)
            lane[k] += (double)x[r * cols + k];
    for (size_t k = 0; k < n; k++)
        sum[k] = lane[k];
}

static void sum_columns(const float *x, size_t rows, size_t cols, double *sum)
{
    size_t c = 0;
    for (; c + SUM_LANES <= cols; c += SUM_LANES)
        sum_block(x + c, rows, cols, SUM_LANES, sum + c);
    sum_block(x + c, rows, cols, cols - c, sum + c);
}

#endif /* OCT_KERNELS_HIST_SUM_INTERNAL_H */
