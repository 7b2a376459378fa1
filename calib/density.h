/* SPDX-License-Identifier: Apache-2.0
 *
 * What calibrators see of a tensor: the distribution of its values, uniform inside each
 * histogram bin, with cumulative moments, so that mass, mean and power of any interval cost
 * two look-ups. It is built from a histogram, or from some of its folds.
 *
 * The 2,048-bin view of |x| over [0, amax] that entropy calibration wants comes from the same
 * cumulative counts: a histogram bin that straddles an edge is split in proportion, the
 * maximum is in the last bin. (Giving whole bins to one side moves amax by up to 69 %,
 * measured.)
 *
 * All arithmetic is double in a fixed order: equal histograms give equal results.
 * Thread-safety: an oct_density belongs to one thread.
 */
#ifndef OCT_CALIB_DENSITY_H
#define OCT_CALIB_DENSITY_H

#include "calib/histogram.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_VIEW_BINS 2048

/* Bin k of one sign and everything below it, in units of the bin width: sums of 1, x and x^2
 * over the values below bin k, and the count inside it. */
typedef struct oct_moment {
    double n, x, xx;
    double count;
} oct_moment;

typedef struct oct_density_side {
    oct_moment *at; /* n_bins + 1 entries; the last has count 0 */
    size_t n_bins;  /* up to the bin of amax; 0 if there is no such value */
    double width;
    float amax;
    const struct oct_density_shape *shape; /* how values lie inside the bins; NULL = evenly */
} oct_density_side;

/* Counts below each bin of a whole histogram, for densities of its folds: the view divides the
 * values of a fold's bin as the whole's lie in it. */
typedef struct oct_density_shape {
    double *below; /* OCT_HIST_BINS + 1 entries; flat above the largest value */
} oct_density_shape;

typedef struct oct_density {
    oct_density_side pos, neg;
    double n_zero, n_total; /* finite values */
    bool part;              /* some folds: only how much the answer varies is wanted */
    float amax;             /* exact, of either sign; 0 = every value is zero */
    const uint64_t *exact;  /* OCT_VIEW_BINS counts of |x| over [0, amax], zeros left out,
                                from a second pass; NULL = derive the view (borrowed) */
    oct_moment *storage;    /* owned */
} oct_density;

/* Room for any histogram; contents undefined until one of the loads. */
OCT_MUST_CHECK oct_status oct_density_new(oct_ctx *ctx, oct_density *d);
void oct_density_free(oct_ctx *ctx, oct_density *d);

void oct_density_load(oct_density *d, const oct_hist *h);
/* Shapes of both signs, x > 0 first; contents undefined until oct_density_shape_load(). */
OCT_MUST_CHECK oct_status oct_density_shape_new(oct_ctx *ctx, oct_density_shape shape[2]);
void oct_density_shape_free(oct_ctx *ctx, oct_density_shape shape[2]);
void oct_density_shape_load(oct_density_shape shape[2], const oct_hist *h);

/* The values of the folds whose bits are set, at the folds' resolution. `shape` (may be NULL): of
 * `h`, borrowed. */
void oct_density_load_folds(oct_density *d, const oct_hist *h, unsigned folds,
                            const oct_density_shape *shape);

/* Sums of 1, x and x^2 over values of magnitude below `t` on one side (x as magnitude). */
void oct_density_below(const oct_density_side *s, double t, double *n, double *x, double *xx);
/* Count of nonzero values of magnitude below `t`, both sides. */
double oct_density_count_below(const oct_density *d, double t);
/* The magnitude t below which `n` nonzero values lie, n in (0, nonzero values]; at most amax. */
double oct_density_quantile(const oct_density *d, double n);
/* Mean of x^2 over all finite values. */
double oct_density_power(const oct_density *d);
/* Mean of (x - Q(x))^2 over all finite values for symmetric INT8 with this scale, q in [-128, 127].
 * Gives up and returns infinity once the result must exceed `limit`. */
double oct_density_error(const oct_density *d, double scale, double limit);

/* The view: `bin[OCT_VIEW_BINS]` over [0, amax]. Exact zeros are left out. amax > 0. */
void oct_density_view(const oct_density *d, double *bin);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_DENSITY_H */
