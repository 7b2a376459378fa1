/* SPDX-License-Identifier: Apache-2.0
 *
 * How sure is a scale? Every image belongs to one of eight folds by its id; the calibrator is
 * run on parts made of folds, and the spread of its answers t = ln amax estimates how much the
 * scale would move with other images.
 *
 * Smooth calibrators (mse): delete-a-group jackknife, each fold left out in turn, G = 8.
 *
 *     SE^2 = (G - 1) / G * sum over folds (t_f - mean t)^2
 *
 * The others hang on the largest values (minmax; entropy, whose bins are parts of the range; a
 * percentile near 100), where the jackknife is inconsistent: leaving a fold out changes nothing
 * unless it holds the maximum. There the data is halved in seven balanced ways. Both halves are
 * samples of n/2 images, so half the mean squared difference is the variance at n/2:
 *
 *     V(n/2) = mean over splits (t_a - t_b)^2 / 2         V(n/4): the same over disjoint quarters
 *     SE^2   = V(n/2) * rate                              rate = V(n/2) / V(n/4)
 *
 * The rate is 1/2 for a mean, 1 for the logarithm of a maximum whose values have no bound (its
 * variance does not shrink with n), and less than 1/2 for one that has; so it is estimated, within
 * [1/4, 1]. A half's bins inside a fold's coarse ones are those of the whole, in proportion.
 *
 * A scale is settled when 2 SE <= 5 %. Otherwise the number of images that would settle it is
 * estimated from SE ~ 1 / sqrt(images). Below OCT_SPREAD_MIN_IMAGES images the folds are
 * too small to say anything.
 * Sources: jackknife: Efron and Tibshirani 1993, chapter 11; groups, and why it fails where a
 * statistic is not smooth: Shao and Wu 1989; balanced half-samples: McCarthy 1969; parts of the
 * data with an estimated rate: Politis, Romano and Wolf 1999, chapter 8.
 */
#ifndef OCT_CALIB_CONFIDENCE_H
#define OCT_CALIB_CONFIDENCE_H

#include "base/hash.h"
#include "calib/calibrator.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_SPREAD_MIN_IMAGES 64
#define OCT_SPREAD_SETTLED 0.05 /* 2 SE of log amax */

typedef enum oct_spread_verdict {
    OCT_SPREAD_SETTLED_OK,
    OCT_SPREAD_MORE_IMAGES,
    OCT_SPREAD_CANNOT_TELL, /* too few images, or folds without any */
    OCT_SPREAD_VERDICT_COUNT,
} oct_spread_verdict;

typedef struct oct_spread {
    oct_spread_verdict verdict;
    double se;             /* of ln amax; 0 for a dead tensor */
    uint64_t need_images;  /* OCT_SPREAD_MORE_IMAGES: estimate of how many in all */
    int n_folds;           /* folds with images */
    int n_near_max;        /* folds whose largest magnitude comes within 5 % of the largest */
    double least, largest; /* amax over the parts tried */
} oct_spread;

/* The fold of an image. */
int oct_fold_of(const oct_sha256 *id);

/* `n_images` counted in `h`. Overwrites a density of `w`. */
void oct_spread_of(oct_calib_work *w, const oct_method *m, const oct_hist *h, uint64_t n_images,
                   oct_spread *out);

/* "settled", "more images", "cannot tell". */
const char *oct_spread_verdict_str(oct_spread_verdict v);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_CONFIDENCE_H */
