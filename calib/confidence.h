/* SPDX-License-Identifier: Apache-2.0
 *
 * How sure is a scale? Every image belongs to one of eight folds by its id; the calibrator
 * is run with each fold left out in turn, and the spread of the eight answers estimates how
 * much the scale would move with other images (delete-a-group jackknife on log amax):
 *
 *     SE = sqrt((G - 1) / G * sum over folds (t_f - mean t)^2)        G = 8, t = ln amax
 *
 * A scale is settled when 2 SE <= 5 %. Otherwise the number of images that would settle it is
 * estimated from SE ~ 1 / sqrt(images). Below OCT_SPREAD_MIN_IMAGES images the folds are
 * too small to say anything.
 * Source: Efron and Tibshirani 1993, chapter 11; groups: Shao and Wu 1989.
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
    double least, largest; /* amax with a fold left out */
} oct_spread;

/* The fold of an image. */
int oct_fold_of(const oct_sha256 *id);

/* `n_images` counted in `h`. */
void oct_spread_of(oct_calib_work *w, const oct_method *m, const oct_hist *h, uint64_t n_images,
                   oct_spread *out);

/* "settled", "more images", "cannot tell". */
const char *oct_spread_verdict_str(oct_spread_verdict v);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_CONFIDENCE_H */
