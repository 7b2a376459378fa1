/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/stats.h"

#include <math.h>

#define EXACT_BELOW 25 /* discordant pairs */

double oct_normal_sf(double z)
{
    return 0.5 * erfc(z * 0.70710678118654752440);
}

double oct_chi2_1_sf(double x)
{
    return x <= 0 ? 1.0 : erfc(sqrt(x * 0.5));
}

oct_interval oct_wilson(uint64_t k, uint64_t n)
{
    if (n == 0)
        return (oct_interval){0.0, 1.0};
    const double z2 = OCT_Z95 * OCT_Z95;
    const double nn = (double)n, p = (double)k / nn;
    const double centre = (p + z2 / (2 * nn)) / (1 + z2 / nn);
    const double half = OCT_Z95 / (1 + z2 / nn) * sqrt(p * (1 - p) / nn + z2 / (4 * nn * nn));
    return (oct_interval){fmax(0.0, centre - half), fmin(1.0, centre + half)};
}

/* Lower tail of Binomial(n, 1/2) up to and including k, n < EXACT_BELOW: exact in doubles. */
static double binomial_half_cdf(unsigned k, unsigned n)
{
    double coefficient = 1.0, sum = 0.0;
    for (unsigned i = 0; i <= k; i++) {
        sum += coefficient;
        coefficient = coefficient * (double)(n - i) / (double)(i + 1);
    }
    return ldexp(sum, -(int)n);
}

double oct_mcnemar(uint64_t only_ref, uint64_t only_cand)
{
    const uint64_t n = only_ref + only_cand;
    if (n == 0)
        return 1.0;
    const uint64_t small = only_ref < only_cand ? only_ref : only_cand;
    if (n < EXACT_BELOW)
        return fmin(1.0, 2.0 * binomial_half_cdf((unsigned)small, (unsigned)n));
    const double gap = fabs((double)only_ref - (double)only_cand) - 1.0;
    return gap <= 0 ? 1.0 : oct_chi2_1_sf(gap * gap / (double)n);
}

static uint64_t n_pairs(const oct_paired_counts *c)
{
    return c->both + c->only_ref + c->only_cand + c->neither;
}

double oct_paired_delta(const oct_paired_counts *c)
{
    const uint64_t n = n_pairs(c);
    return n ? ((double)c->only_cand - (double)c->only_ref) / (double)n : 0.0;
}

oct_interval oct_paired_difference(const oct_paired_counts *c)
{
    const double n = (double)n_pairs(c) + 2.0;
    const double up = ((double)c->only_cand + 1.0) / n, down = ((double)c->only_ref + 1.0) / n;
    const double d = up - down;
    const double half = OCT_Z95 * sqrt((up + down - d * d) / n);
    return (oct_interval){fmax(-1.0, d - half), fmin(1.0, d + half)};
}

uint64_t oct_paired_samples_needed(const oct_paired_counts *c, double gate)
{
    const oct_interval now = oct_paired_difference(c);
    if (gate < now.lo || gate > now.hi)
        return 0;
    const double n = (double)n_pairs(c);
    const double d = oct_paired_delta(c), gap = fabs(d - gate);
    if (gap == 0 || n == 0)
        return UINT64_MAX;
    const double rate = ((double)c->only_ref + (double)c->only_cand + 2.0) / (n + 2.0);
    const double need = ceil(OCT_Z95 * OCT_Z95 * (rate - d * d) / (gap * gap));
    return need < 1e15 ? (uint64_t)fmax(need, n + 1) : UINT64_MAX;
}
