/* SPDX-License-Identifier: Apache-2.0
 *
 * minmax: amax = max |x|, exactly (the float itself, no bin involved).
 *
 *   zeros     count for nothing
 *   ties      none
 *   source    NVIDIA's MinMax calibrator: a published cache of a tensor with maximum 1.0 holds
 *             3c010204 = 1/127, so there is no half bin as there is for entropy
 *
 * Never clips; one outlier costs every other value its resolution.
 */
#include "calib/calibrator.h"

static void choose_minmax(oct_calib_work *w, const oct_density *d, double param,
                          oct_calib_result *r)
{
    r->amax = d->amax;
}

const oct_calibrator oct_calibrator_minmax = {
    .name = "minmax",
    .summary = "largest magnitude seen; never clips",
    .choose = choose_minmax,
};
