/* SPDX-License-Identifier: Apache-2.0
 *
 * mse: least expected squared error (x - Q(x))^2 of symmetric INT8, the default method.
 *
 *   formula   the density of x is uniform inside each histogram bin (65,536 of them); Q has the
 *             levels the tensor uses: q in [-128, 127], so up to 127 on the positive side and
 *             128 on the negative one. The error of a scale is a closed form in the cumulative
 *             moments of the bins: sum over levels of  M2 - 2 q s M1 + q^2 s^2 M0.
 *   search    512 candidates evenly over [amax/64, amax]; then twice 32 around the best,
 *             one step of the previous grid to either side
 *   zeros     are represented exactly and cost nothing
 *   ties      the largest amax (clip least)
 *   source    Choukroun et al. 2019 (arXiv 1902.06822), 3.1, on histograms; best or near best
 *             in Sparsebit's published comparison over five networks
 */
#include <math.h>

#include "calib/calibrator.h"

#define CANDIDATES 512
#define REFINEMENTS 2
#define REFINED 32
#define LEAST_PART 64.0

typedef struct search {
    const oct_density *d;
    double best_error, best_amax;
} search;

static void try_amax(search *s, double amax)
{
    const double error = oct_density_error(s->d, amax / 127.0, s->best_error);
    if (error < s->best_error || (error == s->best_error && amax > s->best_amax)) {
        s->best_error = error;
        s->best_amax = amax;
    }
}

/* n + 1 candidates over [lo, hi], the largest first. */
static void try_range(search *s, double lo, double hi, int n)
{
    for (int i = n; i >= 0; i--)
        try_amax(s, lo + (hi - lo) * (double)i / (double)n);
}

static void choose_mse(oct_calib_work *w, const oct_density *d, double param, oct_calib_result *r)
{
    const double amax = (double)d->amax, least = amax / LEAST_PART;
    search s = {d, INFINITY, amax};
    double step = (amax - least) / (CANDIDATES - 1);
    try_range(&s, least, amax, CANDIDATES - 1);
    for (int i = 0; i < REFINEMENTS; i++) {
        const double lo = s.best_amax - step, hi = s.best_amax + step;
        try_range(&s, lo > least ? lo : least, hi < amax ? hi : amax, REFINED);
        step = 2 * step / REFINED;
    }
    r->amax = (float)s.best_amax;
}

const oct_calibrator oct_calibrator_mse = {
    .name = "mse",
    .smooth = true,
    .summary = "least expected squared error (default)",
    .choose = choose_mse,
};
