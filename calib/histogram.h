/* SPDX-License-Identifier: Apache-2.0
 *
 * Histogram of one tensor's values, the input of every calibrator.
 *
 * Two mirrored halves, one a sign, each with its own bin width, always an exact power of two:
 * the smallest with which OCT_HIST_BINS bins hold that side. When a value falls outside its
 * half, the width doubles and neighbouring bins are added in pairs, so nothing is ever
 * resampled. Hence:
 *
 *   - one pass is enough: no range has to be known beforehand;
 *   - add and merge commute: the bytes do not depend on order, threads, shards;
 *   - the histogram of relu(x) follows exactly from that of x.
 *
 *        neg.bin[k]:  x in (-(k+1) * w-, -k * w-]      pos.bin[k]:  x in [k * w+, (k+1) * w+)
 *
 * Zeros of either sign and subnormals are counted in n_zero, not in a bin.
 *
 * Every image belongs to one of OCT_HIST_FOLDS folds. A fold's histogram is kept coarsened, 16
 * bins of the whole to one of its own, exactly; from them comes the spread of a scale.
 *
 * Thread-safety: none; one writer at a time.
 */
#ifndef OCT_CALIB_HISTOGRAM_H
#define OCT_CALIB_HISTOGRAM_H

#include <stdbool.h>

#include "base/ctx.h"
#include "kernels/hist_device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_HIST_FOLDS 8
#define OCT_HIST_NO_FOLD (-1)
#define OCT_HIST_EXP_MIN (-126) /* least width; keeps 2^-exp a normal float */
#define OCT_HIST_EXP_MAX 113    /* width that holds the largest float */

typedef struct oct_hist_half {
    uint64_t *bin; /* OCT_HIST_BINS counts inside `block`; NULL until this sign is seen */
    int width_exp; /* bin width = 2^width_exp, in units of the tensor; EXP_MIN if none seen */
    float amax;    /* exact largest magnitude of this sign; 0 if none */
} oct_hist_half;

/* One fold; its bins are as wide as 16 bins of the whole histogram. */
typedef struct oct_hist_fold {
    uint64_t *bin; /* OCT_HIST_COARSE_BINS for x > 0, then for x < 0; owned; NULL if unused */
    float pos_amax, neg_amax;
    uint64_t n_zero, n_neg_inf;
    uint64_t n_total;
} oct_hist_fold;

typedef struct oct_hist {
    oct_hist_half neg, pos;
    uint64_t *block; /* owned: positive half, then the negative one if `wide` */
    bool wide;
    uint64_t n_zero;
    uint64_t n_nan, n_pos_inf, n_neg_inf; /* in no bin and not in n_total */
    uint64_t n_total;                     /* finite values, zeros included */
    oct_hist_fold fold[OCT_HIST_FOLDS];
} oct_hist;

/* Makes `h` an empty histogram; allocates nothing yet. Release with oct_hist_deinit(). */
void oct_hist_init(oct_hist *h);

/* Frees the bins. Safe on a zeroed struct and safe to call twice. */
void oct_hist_deinit(oct_ctx *ctx, oct_hist *h);

/* Counts `n` values (x may be NULL if n is 0) in the whole and in `fold`, if that is not
 * OCT_HIST_NO_FOLD. What the values were is added to `seen`, if that is not NULL. On
 * OCT_ERR_NOMEM the histogram has counted a part of them and can only be released. */
OCT_MUST_CHECK oct_status oct_hist_add(oct_ctx *ctx, oct_hist *h, const float *x, size_t n,
                                       int fold, oct_hist_range *seen);

/* The fast way for whole tensors: values are tallied into a scratch of one thread, which needs
 * no lock, and then taken over by the histogram. Same bytes as oct_hist_add(). */
typedef struct oct_hist_scratch oct_hist_scratch;
OCT_MUST_CHECK oct_status oct_hist_scratch_new(oct_ctx *ctx, oct_hist_scratch **out);
void oct_hist_scratch_free(oct_ctx *ctx, oct_hist_scratch *s); /* NULL is allowed */
/* Whether it is for this many values in all: not for a few, and not for 2^31 and more. */
bool oct_hist_scratch_pays(size_t n);
/* Takes over the widths of `h`, so that bins need not be merged later. */
void oct_hist_scratch_begin(oct_hist_scratch *s, const oct_hist *h);
void oct_hist_scratch_add(oct_hist_scratch *s, const float *x, size_t n);
/* Adds everything to `h` and `fold`, and empties the scratch; what the values were goes to
 * `seen`, if that is not NULL. `h` may have been added to since oct_hist_scratch_begin().
 * OCT_ERR_NOMEM as above; the scratch can then only be freed. */
OCT_MUST_CHECK oct_status oct_hist_scratch_take(oct_ctx *ctx, oct_hist *h, oct_hist_scratch *s,
                                                int fold, oct_hist_range *seen);

/* Adds `src` to `dst`; `src` is unchanged. OCT_ERR_NOMEM as above. */
OCT_MUST_CHECK oct_status oct_hist_merge(oct_ctx *ctx, oct_hist *dst, const oct_hist *src);

/* Adds what a device counted; OCT_ERR_BUG if its widths are not those of its magnitudes. */
OCT_MUST_CHECK oct_status oct_hist_merge_counts(oct_ctx *ctx, oct_hist *dst,
                                                const oct_hist_counts *src);

/* Sets `dst`, empty on entry, to the histogram of max(x, 0) over the values that `src`
 * counted: byte-equal to having scanned them (max(NaN, 0) stays NaN, max(-inf, 0) is zero). */
OCT_MUST_CHECK oct_status oct_hist_relu(oct_ctx *ctx, oct_hist *dst, const oct_hist *src);

/* Allocates what counting values of the given magnitudes needs and widens the bins (0 = no
 * value of that sign). For readers of files; add and merge do it themselves. */
OCT_MUST_CHECK oct_status oct_hist_reserve(oct_ctx *ctx, oct_hist *h, float pos_amax,
                                           float neg_amax);
OCT_MUST_CHECK oct_status oct_hist_reserve_fold(oct_ctx *ctx, oct_hist *h, int fold);

/* Largest magnitude of either sign. */
float oct_hist_amax(const oct_hist *h);
/* Values of either sign in the bins. */
uint64_t oct_hist_n_pos(const oct_hist *h);
uint64_t oct_hist_n_neg(const oct_hist *h);
/* Least width exponent, at least OCT_HIST_EXP_MIN, with which a half holds `amax` > 0. */
int oct_hist_width_exp(float amax);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_HISTOGRAM_H */
