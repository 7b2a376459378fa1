/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/confidence.h"

#include <math.h>
#include <string.h>

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

void oct_spread_of(oct_calib_work *w, const oct_method *m, const oct_hist *h, uint64_t n_images,
                   oct_spread *out)
{
    memset(out, 0, sizeof *out);
    const float amax = oct_hist_amax(h);
    oct_density *d = oct_calib_work_density(w);
    double t[OCT_HIST_FOLDS], mean = 0, sum = 0;
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        if (h->fold[f].bin == NULL)
            continue;
        oct_calib_result r;
        oct_density_load_without(d, h, f);
        oct_calibrate_density(w, m, d, &r);
        /* a fold that holds all there is leaves a dead tensor behind */
        const double a =
            (r.flags & OCT_CALIB_DEAD) && amax > 0 ? (double)amax / 127 : (double)r.amax;
        t[out->n_folds++] = log(a);
        mean += log(a);
        out->least = out->n_folds == 1 || a < out->least ? a : out->least;
        out->largest = a > out->largest ? a : out->largest;
        out->n_near_max += amax > 0 && fold_amax(&h->fold[f]) >= 0.95f * amax;
    }
    if (out->n_folds > 0)
        mean /= out->n_folds;
    for (int i = 0; i < out->n_folds; i++)
        sum += (t[i] - mean) * (t[i] - mean);
    if (out->n_folds > 1)
        out->se = sqrt((double)(out->n_folds - 1) / out->n_folds * sum);
    judge(out, n_images);
}
