/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/columns.h"

#include <math.h>

void oct_hist_columns_range(const oct_hist *h, double *lo, double *hi)
{
    const double amax = (double)oct_hist_amax(h);
    *hi = amax > 0 ? amax : 1;
    *lo = h->neg.amax > 0 ? -*hi : 0;
}

static size_t column_of(double x, double lo, double hi, size_t n)
{
    const double at = (x - lo) / (hi - lo) * (double)n;
    return at <= 0 ? 0 : at >= (double)n ? n - 1 : (size_t)at;
}

static void add_side(const oct_hist_half *half, double sign, double lo, double hi, uint64_t *column,
                     size_t n)
{
    for (size_t k = 0; half->bin != NULL && k < OCT_HIST_BINS; k++)
        if (half->bin[k] > 0)
            column[column_of(sign * ldexp((double)k + 0.5, half->width_exp), lo, hi, n)] +=
                half->bin[k];
}

void oct_hist_columns(const oct_hist *h, double lo, double hi, uint64_t *column, size_t n)
{
    add_side(&h->pos, 1, lo, hi, column, n);
    add_side(&h->neg, -1, lo, hi, column, n);
    column[column_of(0, lo, hi, n)] += h->n_zero;
}
