/* SPDX-License-Identifier: Apache-2.0
 *
 * percentile:P: the least t with at least P % of all values in [-t, t].
 *
 *   formula   t = F^-1(P / 100 * N), N all finite values, F the cumulative count of |x|, linear
 *             inside a histogram bin; clamped to the exact maximum
 *   zeros     count: they are values like others (Q of "99.99 % of the values")
 *   ties      where F is flat the least t
 *   no answer P % or more of the values are zero: the tensor's maximum is used and reported
 *   P = 100   the exact maximum, equal to minmax bit for bit
 *   source    Wu et al. 2020 (arXiv 2004.09602), 3.3; over the whole data, not a mean of
 *             percentiles of batches, which depends on the batch size
 */
#include "calib/calibrator.h"

static void choose_percentile(oct_calib_work *w, const oct_density *d, double param,
                              oct_calib_result *r)
{
    if (param >= 100) {
        r->amax = d->amax;
        return;
    }
    const double n = param / 100.0 * d->n_total - d->n_zero;
    if (n > 0)
        r->amax = (float)oct_density_quantile(d, n);
}

const oct_calibrator oct_calibrator_percentile = {
    .name = "percentile",
    .summary = "magnitude that P % of all values stay within",
    .has_param = true,
    .param_default = 99.99,
    .param_min = 1,
    .param_max = 100,
    .choose = choose_percentile,
};
