/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/confidence.h"

#include <math.h>
#include <string.h>

#define ALL_FOLDS ((1u << OCT_HIST_FOLDS) - 1)
/* What doubling the images may do to a variance: from the square of the usual 1/2 (a maximum that
 * has a bound) to nothing (a maximum without one). */
#define LEAST_RATE 0.25
#define MOST_RATE 1.0

int oct_fold_of(const oct_sha256 *id)
{
    return id->byte[0] % OCT_HIST_FOLDS;
}

const char *oct_spread_verdict_str(oct_spread_verdict v)
{
    static const char *const text[OCT_SPREAD_VERDICT_COUNT] = {"settled", "more images",
                                                               "cannot tell"};
    return text[v];
}

static float fold_amax(const oct_hist_fold *f)
{
    return f->pos_amax > f->neg_amax ? f->pos_amax : f->neg_amax;
}

static void judge(oct_spread *s, uint64_t n_images)
{
    const double twice = 2 * s->se;
    if (n_images < OCT_SPREAD_MIN_IMAGES || s->n_folds < OCT_HIST_FOLDS) {
        s->verdict = OCT_SPREAD_CANNOT_TELL;
    } else if (twice <= OCT_SPREAD_SETTLED) {
        s->verdict = OCT_SPREAD_SETTLED_OK;
    } else {
        const double ratio = twice / OCT_SPREAD_SETTLED;
        s->verdict = OCT_SPREAD_MORE_IMAGES;
        s->need_images = (uint64_t)ceil((double)n_images * ratio * ratio);
    }
}

/* Threshold from some of the folds; 0 if they have no values. */
static double amax_of(oct_calib_work *w, const oct_method *m, const oct_hist *h, unsigned folds,
                      oct_spread *s)
{
    oct_density *d = oct_calib_work_part(w);
    oct_density_load_folds(d, h, folds, m->calibrator->smooth ? NULL : oct_calib_work_shape(w));
    if (!(d->n_total > 0))
        return 0;
    double a = (double)oct_calib_amax(w, m, d);
    if (!(a > 0)) /* all zero here, but not everywhere: a dead tensor's scale, relative to amax */
        a = (double)oct_hist_amax(h) / 127;
    s->least = s->largest > 0 && s->least < a ? s->least : a;
    s->largest = a > s->largest ? a : s->largest;
    return a;
}

/* Delete-a-group jackknife. */
static double jackknife(oct_calib_work *w, const oct_method *m, const oct_hist *h, oct_spread *s)
{
    double t[OCT_HIST_FOLDS], mean = 0, sum = 0;
    int n = 0;
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        const double a = h->fold[f].bin != NULL ? amax_of(w, m, h, ALL_FOLDS & ~(1u << f), s) : 0;
        if (a > 0) {
            t[n] = log(a);
            mean += t[n++];
        }
    }
    if (n > 0)
        mean /= n;
    for (int i = 0; i < n; i++)
        sum += (t[i] - mean) * (t[i] - mean);
    return n > 1 ? sqrt((double)(n - 1) / n * sum) : 0;
}

/* Adds half the squared difference of two thresholds, an estimate of the variance of either. */
static void add_pair(double a, double b, double *sum, int *n)
{
    if (!(a > 0 && b > 0))
        return;
    const double d = log(a) - log(b);
    *sum += d * d / 2;
    *n += 1;
}

/* Balanced half-samples: of any two folds, four of the seven splits part them (the rows of a
 * Hadamard matrix of order 8). */
static double halves_variance(oct_calib_work *w, const oct_method *m, const oct_hist *h,
                              oct_spread *s)
{
    static const uint8_t half[OCT_HIST_FOLDS - 1] = {0x55, 0x33, 0x99, 0x0f, 0xa5, 0xc3, 0x69};
    double sum = 0;
    int n = 0;
    for (size_t i = 0; i < sizeof half; i++)
        add_pair(amax_of(w, m, h, half[i], s), amax_of(w, m, h, ALL_FOLDS & ~half[i], s), &sum, &n);
    return n > 0 ? sum / n : 0;
}

/* Quarters: two neighbouring folds each. */
static double quarters_variance(oct_calib_work *w, const oct_method *m, const oct_hist *h,
                                oct_spread *s)
{
    double a[OCT_HIST_FOLDS / 2], sum = 0;
    int n = 0;
    for (int q = 0; q < OCT_HIST_FOLDS / 2; q++) {
        a[q] = amax_of(w, m, h, 3u << 2 * q, s);
        for (int i = 0; i < q; i++)
            add_pair(a[i], a[q], &sum, &n);
    }
    return n > 0 ? sum / n : 0;
}

static double half_samples(oct_calib_work *w, const oct_method *m, const oct_hist *h, oct_spread *s)
{
    oct_density_shape_load(oct_calib_work_shape(w), h);
    const double half = halves_variance(w, m, h, s), quarter = quarters_variance(w, m, h, s);
    if (!(half > 0))
        return 0;
    return sqrt(half * fmax(LEAST_RATE, fmin(MOST_RATE, half / quarter)));
}

void oct_spread_of(oct_calib_work *w, const oct_method *m, const oct_hist *h, uint64_t n_images,
                   oct_spread *out)
{
    memset(out, 0, sizeof *out);
    const float amax = oct_hist_amax(h);
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        out->n_folds += h->fold[f].bin != NULL;
        out->n_near_max +=
            h->fold[f].bin != NULL && amax > 0 && fold_amax(&h->fold[f]) >= 0.95f * amax;
    }
    if (amax > 0)
        out->se = m->calibrator->smooth ? jackknife(w, m, h, out) : half_samples(w, m, h, out);
    judge(out, n_images);
}
