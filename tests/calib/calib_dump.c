/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibrates given 2,048-bin histograms of |x|, for comparison with other calibrators.
 *
 *     calib_dump FILE: records of u64 counts[2048], f64 probe (little-endian); bin width 1
 *
 * prints a line a record: entropy's m, amax of percentile 99.9 and 99.99, amax and expected error
 * of mse, expected error of a scale with amax = probe.
 */
#include <stdio.h>
#include <string.h>

#include "calib/calibrator.h"

/* 16 fine bins of width 1/16 to each bin; the range ends just below 2048. */
static oct_status fill(oct_ctx *ctx, oct_hist *h, const uint64_t *count)
{
    OCT_TRY(oct_hist_reserve(ctx, h, 0x1.fffffep10f, 0));
    for (size_t j = 0; j < OCT_VIEW_BINS; j++) {
        for (size_t k = 0; k < 16; k++)
            h->pos.bin[16 * j + k] = count[j] / 16 + (k < count[j] % 16);
        h->n_total += count[j];
    }
    return OCT_OK;
}

static float amax_of(oct_calib_work *w, oct_ctx *ctx, const char *method, const oct_hist *h,
                     const uint64_t *exact, oct_calib_result *r)
{
    oct_method m;
    if (oct_method_parse(ctx, method, &m) != OCT_OK)
        return -1;
    oct_calibrate_hist(w, &m, h, exact, r);
    return r->amax;
}

static oct_status dump(oct_ctx *ctx, oct_calib_work *w, const uint64_t *count, double probe)
{
    oct_hist h;
    oct_calib_result entropy, p1, p2, mse;
    oct_hist_init(&h);
    OCT_TRY(fill(ctx, &h, count));
    amax_of(w, ctx, "entropy", &h, count, &entropy);
    amax_of(w, ctx, "percentile:99.9", &h, NULL, &p1);
    amax_of(w, ctx, "percentile:99.99", &h, NULL, &p2);
    amax_of(w, ctx, "mse", &h, NULL, &mse);
    const oct_density *d = oct_calib_work_density(w);
    printf("%d %.9g %.9g %.9g %.17g %.17g\n", entropy.candidate, (double)p1.amax, (double)p2.amax,
           (double)mse.amax, mse.error,
           oct_density_error(d, (double)oct_calib_scale((float)probe), 1e300));
    oct_hist_deinit(ctx, &h);
    return OCT_OK;
}

int main(int argc, char **argv)
{
    oct_ctx *ctx;
    oct_calib_work *w;
    uint64_t count[OCT_VIEW_BINS];
    double probe;
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (f == NULL || oct_ctx_new(NULL, &ctx) != OCT_OK || oct_calib_work_new(ctx, &w) != OCT_OK)
        return 2;
    while (fread(count, sizeof count, 1, f) == 1 && fread(&probe, sizeof probe, 1, f) == 1)
        if (dump(ctx, w, count, probe) != OCT_OK)
            return 1;
    fclose(f);
    oct_calib_work_free(ctx, w);
    oct_ctx_free(ctx);
    return 0;
}
