/* SPDX-License-Identifier: Apache-2.0
 *
 * The predicted spread of a scale, where the true one is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "calib/confidence.h"

static oct_ctx *ctx;
static oct_calib_work *work;

static int setup(void **state)
{
    return oct_ctx_new(NULL, &ctx) != OCT_OK || oct_calib_work_new(ctx, &work) != OCT_OK;
}

static int teardown(void **state)
{
    oct_calib_work_free(ctx, work);
    oct_ctx_free(ctx);
    return 0;
}

static void add(oct_hist *h, const float *x, size_t n, int fold)
{
    assert_int_equal(oct_hist_add(ctx, h, x, n, fold, NULL), OCT_OK);
}

static oct_spread spread(const char *method, const oct_hist *h, uint64_t n_images)
{
    oct_method m;
    oct_spread s;
    assert_int_equal(oct_method_parse(ctx, method, &m), OCT_OK);
    oct_spread_of(work, &m, h, n_images, &s);
    return s;
}

static const char *const methods[] = {"mse", "entropy", "percentile", "minmax"};
#define N_METHODS (sizeof methods / sizeof methods[0])

static void equal_folds_have_no_spread(void **state)
{
    oct_hist h;
    oct_hist_init(&h);
    float x[4096];
    for (size_t i = 0; i < 4096; i++)
        x[i] = sinf((float)i);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        add(&h, x, 4096, f);
    for (size_t m = 0; m < N_METHODS; m++) {
        const oct_spread s = spread(methods[m], &h, 640);
        assert_true(s.se < 1e-9);
        assert_int_equal(s.verdict, OCT_SPREAD_SETTLED_OK);
        assert_int_equal(s.n_folds, OCT_HIST_FOLDS);
        assert_int_equal(s.n_near_max, OCT_HIST_FOLDS);
        assert_true(s.least > 0 && s.largest >= s.least);
    }
    assert_int_equal(spread("mse", &h, OCT_SPREAD_MIN_IMAGES - 1).verdict, OCT_SPREAD_CANNOT_TELL);
    oct_hist_deinit(ctx, &h);
}

static void empty_and_dead_have_none_either(void **state)
{
    const float zeros[64] = {0}, some[4] = {0, 1, -2, 3};
    oct_hist h;
    oct_hist_init(&h);
    for (size_t m = 0; m < N_METHODS; m++)
        assert_true(spread(methods[m], &h, 100).se == 0);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        add(&h, zeros, 64, f);
    for (size_t m = 0; m < N_METHODS; m++)
        assert_true(spread(methods[m], &h, 100).se == 0);
    add(&h, some, 4, 5); /* one fold holds all there is */
    for (size_t m = 0; m < N_METHODS; m++) {
        const oct_spread s = spread(methods[m], &h, 100);
        assert_true(isfinite(s.se) && s.se > 0);
        assert_int_equal(s.verdict, OCT_SPREAD_MORE_IMAGES);
        assert_true(s.need_images > 100);
    }
    oct_hist_deinit(ctx, &h);
}

/* Images whose maxima are drawn so that the logarithm of the largest of n has a known deviation. */
enum { N_TRIALS = 200, N_IMAGES = 256 };

static double mean_prediction(float (*draw)(oct_rng *rng))
{
    double sum = 0;
    for (uint64_t t = 0; t < N_TRIALS; t++) {
        oct_rng rng = {t + 1};
        oct_hist h;
        oct_hist_init(&h);
        for (int i = 0; i < N_IMAGES; i++) {
            const float x = draw(&rng);
            add(&h, &x, 1, i % OCT_HIST_FOLDS);
        }
        sum += spread("minmax", &h, N_IMAGES).se;
        oct_hist_deinit(ctx, &h);
    }
    return sum / N_TRIALS;
}

/* exp of an exponential: the logarithm of the maximum is Gumbel, whatever n: pi / sqrt(6). */
static float heavy(oct_rng *rng)
{
    return powf(1.0f - oct_rng_f32(rng), -0.25f);
}

/* Bounded: 1 - max is about 1 / n with a deviation of 1 / n. */
static float bounded(oct_rng *rng)
{
    return oct_rng_f32(rng) + 1e-6f;
}

static void maxima_are_predicted(void **state)
{
    const double heavy_ratio = mean_prediction(heavy) / (0.25 * 1.2825);
    const double bounded_ratio = mean_prediction(bounded) * N_IMAGES;
    print_message("predicted/true spread of a maximum: unbounded %.2f, bounded %.2f\n", heavy_ratio,
                  bounded_ratio);
    assert_true(heavy_ratio > 0.65 && heavy_ratio < 1.5);
    assert_true(bounded_ratio > 0.65 && bounded_ratio < 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_folds_have_no_spread),
        cmocka_unit_test(empty_and_dead_have_none_either),
        cmocka_unit_test(maxima_are_predicted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
