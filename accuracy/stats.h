/* SPDX-License-Identifier: Apache-2.0
 *
 * How sure a measured accuracy is: Wilson intervals for one proportion, McNemar's test and
 * a paired interval for the difference of two proportions measured on the same samples.
 * Pure functions on counts; nothing allocates.
 *
 * A paired comparison of a reference and a candidate is four counts over the same samples:
 *
 *                      candidate right   candidate wrong
 *     reference right       both            only_ref
 *     reference wrong       only_cand       neither
 */
#ifndef OCT_ACCURACY_STATS_H
#define OCT_ACCURACY_STATS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_interval {
    double lo, hi;
} oct_interval;

typedef struct oct_paired_counts {
    uint64_t both, only_ref, only_cand, neither;
} oct_paired_counts;

#define OCT_Z95 1.959963984540054 /* two-sided 95 % point of the standard normal */

/* Wilson score interval, 95 %, of k successes in n trials; [0, 1] when n = 0.
 * Source: Wilson 1927; Brown, Cai, DasGupta 2001. */
oct_interval oct_wilson(uint64_t k, uint64_t n);

/* Two-sided p value of McNemar's test on the discordant pairs. Exact binomial below 25 of them, else
 * chi-square with continuity correction (Edwards 1948). No discordant pair gives 1. */
double oct_mcnemar(uint64_t only_ref, uint64_t only_cand);

/* 95 % interval of (candidate accuracy - reference accuracy): adjusted Wald for paired data.
 * Source: Bonett and Price 2012, J. Educ. Behav. Stat. 37(4). */
oct_interval oct_paired_difference(const oct_paired_counts *c);

/* Point estimate of candidate accuracy - reference accuracy; 0 for no samples. */
double oct_paired_delta(const oct_paired_counts *c);

/* Samples needed until the 95 % interval of the difference no longer contains `gate` (a difference,
 * e.g. -0.01), if the rates stay as they are; 0 if it already excludes it, UINT64_MAX if the
 * estimate sits on the gate. */
uint64_t oct_paired_samples_needed(const oct_paired_counts *c, double gate);

/* Probability that a standard normal exceeds z; and of a chi-square with one degree of freedom. */
double oct_normal_sf(double z);
double oct_chi2_1_sf(double x);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_STATS_H */
