/* SPDX-License-Identifier: Apache-2.0
 *
 * Scratch memory of the calibrators.
 */
#ifndef OCT_CALIB_CALIBRATOR_INTERNAL_H
#define OCT_CALIB_CALIBRATOR_INTERNAL_H

#include "calib/calibrator.h"

#define OCT_LN_CELLS 256
#define OCT_ENTROPY_LEVELS 128
#define OCT_ENTROPY_MAX_RUN (OCT_VIEW_BINS / OCT_ENTROPY_LEVELS + 1) /* bins of one level */

struct oct_calib_work {
    oct_density density, part;
    oct_density_shape shape[2];
    /* entropy.c: the view and its prefix sums, and the cost of every level that may occur */
    double bin[OCT_VIEW_BINS];
    double mass[OCT_VIEW_BINS + 1];                       /* sum of bins below */
    double plogp[OCT_VIEW_BINS + 1];                      /* sum of h ln h below */
    int filled[OCT_VIEW_BINS + 1];                        /* non-empty bins below */
    double ln_at[OCT_LN_CELLS], ln_inverse[OCT_LN_CELLS]; /* quick logarithms */
    double level[OCT_ENTROPY_MAX_RUN + 1][OCT_VIEW_BINS]; /* [bins][first bin]; NaN = not yet */
};

void oct_entropy_begin(oct_calib_work *w); /* fills ln_at, ln_inverse */

#endif /* OCT_CALIB_CALIBRATOR_INTERNAL_H */
