/* SPDX-License-Identifier: Apache-2.0
 *
 * entropy: least Kullback-Leibler divergence, compatible with TensorRT's entropy calibrators.
 *
 *   formula   h = 2,048 bins of |x| over [0, max |x|]; for m = 128 .. 2048 (inclusive)
 *               P = h[0..m-1], all counts beyond added to P[m-1]
 *               Q = h[0..m-1] without them: bin j belongs to level floor(128 j / m), and a
 *                   level's count is shared equally by its non-empty bins
 *               KL(m) = sum P ln(P / Q), both normalised
 *             amax = (m + 1/2) * max |x| / 2048 for the m with the least KL
 *   zeros     exact zeros are left out, and h[0] := h[1], as NVIDIA's published code does
 *   no eps    an m with P > 0 and Q = 0 anywhere has infinite divergence and is skipped; this
 *             can only be bin m-1. m = 2048 never is: the last bin holds the maximum
 *   ties      the largest m (clip least); a KL below 1e-12 is rounding and counts as 0
 *   source    Migacz, GTC 2017, S7310; half bin, inclusive end and the level rule from TensorRT
 *             caches published for known inputs (research notes; tests/oracle): MNIST at
 *             x/255 gives m = 2040 and 2048 as theirs do, other readings do not
 *
 * Speed. With C, N, E the prefix sums of h, of non-empty bins and of h ln h,
 *
 *     T KL = E[m-1] + p ln p - sum over levels L ln(L / n) - out ln(L_last / n_last)
 *            - T ln T + T ln C[m]          p = h[m-1] + out
 *
 * A level is a run of at most 17 bins, and the runs of the 1,921 candidates are few: each is
 * evaluated once and kept. A level can only add to the divergence (log-sum inequality), so
 * a candidate is left as soon as the outliers' part and the levels so far exceed the least
 * divergence found; only what comes close is evaluated in full, and those values decide.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "calib/calibrator_internal.h"

#define LEVELS OCT_ENTROPY_LEVELS
#define KL_ZERO 1e-12
#define PART_STEP 3      /* first among a part of the data, which is to show how much m varies */
#define BOUND_SLACK 1e-9 /* far above the rounding of either sum */

static double xlogx(double v)
{
    return v > 0 ? v * log(v) : 0;
}

/* A logarithm for bounds, at most 1e-11 wrong: the middle of one of 256 cells of the mantissa and
 * four terms of the series around it. v is positive and normal. */
static inline double quick_log(const oct_calib_work *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    const size_t cell = (size_t)(bits >> 44 & (OCT_LN_CELLS - 1));
    const double exponent = (double)((int64_t)(bits >> 52) - 1023);
    bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    double mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    const double r = mantissa * w->ln_inverse[cell] - 1;
    return exponent * 0.69314718055994530942 + w->ln_at[cell] +
           r * (1 - r * (0.5 - r * (1.0 / 3 - r * 0.25)));
}

void oct_entropy_begin(oct_calib_work *w)
{
    for (int i = 0; i < OCT_LN_CELLS; i++) {
        const double middle = 1 + (i + 0.5) / OCT_LN_CELLS;
        w->ln_at[i] = log(middle);
        w->ln_inverse[i] = 1 / middle;
    }
}

static void prepare(oct_calib_work *w, const oct_density *d)
{
    oct_density_view(d, w->bin);
    w->bin[0] = w->bin[1];
    w->mass[0] = 0;
    w->plogp[0] = 0;
    w->filled[0] = 0;
    for (int j = 0; j < OCT_VIEW_BINS; j++) {
        w->mass[j + 1] = w->mass[j] + w->bin[j];
        w->plogp[j + 1] = w->plogp[j] + xlogx(w->bin[j]);
        w->filled[j + 1] = w->filled[j] + (w->bin[j] > 0);
    }
    memset(w->level, 0xff, sizeof w->level); /* all NaN */
}

/* ln of what each non-empty bin of [lo, hi) gets in Q. Some bin must be non-empty. */
static double log_share(const oct_calib_work *w, int lo, int hi)
{
    return log((w->mass[hi] - w->mass[lo]) / (double)(w->filled[hi] - w->filled[lo]));
}

static double level_cost(oct_calib_work *w, int lo, int hi)
{
    double *kept = &w->level[hi - lo][lo];
    if (isnan(*kept))
        *kept =
            w->filled[hi] > w->filled[lo] ? (w->mass[hi] - w->mass[lo]) * log_share(w, lo, hi) : 0;
    return *kept;
}

static double outside_of(const oct_calib_work *w, int m)
{
    return m < OCT_VIEW_BINS ? w->mass[OCT_VIEW_BINS] - w->mass[m] : 0;
}

/* First bin of a level's successor. */
static int level_end(int level, int m)
{
    return (level * m + LEVELS - 1) / LEVELS;
}

/* KL of candidate m. */
static double divergence(oct_calib_work *w, int m)
{
    const double total = w->mass[OCT_VIEW_BINS], inside = w->mass[m], out = outside_of(w, m);
    double cross = 0;
    int lo = 0;
    for (int level = 1; level <= LEVELS; level++) {
        const int hi = level_end(level, m);
        cross += level_cost(w, lo, hi);
        if (level == LEVELS && out > 0)
            cross += out * log_share(w, lo, hi);
        lo = hi;
    }
    const double own = w->plogp[m - 1] + xlogx(w->bin[m - 1] + out);
    const double kl = (own - cross) / total - log(total) + log(inside);
    return kl > KL_ZERO ? kl : 0;
}

/* What the last level costs with everything outside added to its last bin; it has values. */
static double last_cost(const oct_calib_work *w, int last, int m, double out)
{
    const double mass = w->mass[m] - w->mass[last], end = w->bin[m - 1] + out;
    const double own = end > 0 ? end * quick_log(w, end) : 0;
    return w->plogp[m - 1] - w->plogp[last] + own -
           (mass + out) * quick_log(w, mass / (double)(w->filled[m] - w->filled[last]));
}

/* Whether KL(m) certainly exceeds `limit`. */
static bool exceeds(oct_calib_work *w, int m, double limit)
{
    const double total = w->mass[OCT_VIEW_BINS], inside = w->mass[m], out = outside_of(w, m);
    const double stop = (limit + BOUND_SLACK + quick_log(w, total / inside)) * total;
    const int last = level_end(LEVELS - 1, m);
    double sum = w->filled[m] > w->filled[last] ? last_cost(w, last, m, out) : 0;
    int lo = 0;
    for (int level = 1; level < LEVELS && sum <= stop; level++) {
        const int hi = level_end(level, m);
        sum += w->plogp[hi] - w->plogp[lo] - level_cost(w, lo, hi);
        lo = hi;
    }
    return sum > stop;
}

typedef struct search {
    double least;
    int m;
} search;

static void try_candidate(search *s, oct_calib_work *w, int m)
{
    if (!(w->mass[m] > 0) || (outside_of(w, m) > 0 && !(w->bin[m - 1] > 0)))
        return; /* infinite */
    if (exceeds(w, m, s->least))
        return;
    const double kl = divergence(w, m);
    if (kl < s->least || (kl == s->least && m > s->m))
        *s = (search){kl, m};
}

static void choose_entropy(oct_calib_work *w, const oct_density *d, double param,
                           oct_calib_result *r)
{
    search s = {INFINITY, 0};
    prepare(w, d);
    for (int m = OCT_VIEW_BINS; m >= LEVELS; m -= LEVELS) /* a good limit soon */
        try_candidate(&s, w, m);
    const int step = d->part ? PART_STEP : 1;
    for (int m = OCT_VIEW_BINS; m >= LEVELS; m -= step)
        try_candidate(&s, w, m);
    const int end = s.m + step < OCT_VIEW_BINS ? s.m + step : OCT_VIEW_BINS + 1;
    for (int m = s.m - step + 1 > LEVELS ? s.m - step + 1 : LEVELS; m < end; m++)
        try_candidate(&s, w, m);
    r->candidate = s.m;
    r->amax = (float)(((double)s.m + 0.5) * (double)d->amax / OCT_VIEW_BINS);
}

const oct_calibrator oct_calibrator_entropy = {
    .name = "entropy",
    .summary = "least KL divergence, as TensorRT's entropy calibrators",
    .choose = choose_entropy,
};
