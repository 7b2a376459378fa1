/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram made coarse enough to draw: counts in equal columns over the signed range.
 */
#ifndef OCT_CALIB_COLUMNS_H
#define OCT_CALIB_COLUMNS_H

#include "calib/histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Range that columns cover: [0, amax] without negative values, else [-amax, amax]; [0, 1] for a
 * histogram of zeros only. */
void oct_hist_columns_range(const oct_hist *h, double *lo, double *hi);

/* Adds the values of `h`, zeros included, to column[n] over [lo, hi]; a bin counts where its middle
 * is, what lies outside in the outermost column. */
void oct_hist_columns(const oct_hist *h, double lo, double hi, uint64_t *column, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_COLUMNS_H */
