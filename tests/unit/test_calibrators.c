/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "calib/calibrator.h"
#include "calib/calibrator_internal.h"

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

#define N 40000
static float values[N];

enum { NORMAL, HALF_NORMAL, LAPLACE, RELU, SPARSE, NEGATIVE, UNIFORM, OUTLIER, N_SHAPES };

static void fill(int shape, uint64_t seed)
{
    oct_rng rng = {seed};
    const float scale = ldexpf(1.0f, (int)oct_rng_below(&rng, 20) - 10);
    for (size_t i = 0; i < N; i++) {
        const float g = oct_rng_normal(&rng), u = oct_rng_f32(&rng);
        float v = g;
        if (shape == HALF_NORMAL)
            v = fabsf(g);
        else if (shape == LAPLACE)
            v = (u < 0.5f ? 1.0f : -1.0f) * logf(oct_rng_f32(&rng) + 1e-7f);
        else if (shape == RELU)
            v = g > 0 ? g : 0.0f;
        else if (shape == SPARSE)
            v = u < 0.98f ? 0.0f : g * 3.0f;
        else if (shape == NEGATIVE)
            v = -fabsf(g);
        else if (shape == UNIFORM)
            v = u * 2 - 1;
        else if (shape == OUTLIER)
            v = i == 7 ? 60.0f : g;
        values[i] = v * scale;
    }
}

static void hist_of(oct_hist *h, const float *x, size_t n)
{
    oct_hist_init(h);
    for (size_t i = 0; i < n; i += 100)
        assert_int_equal(
            oct_hist_add(ctx, h, x + i, n - i < 100 ? n - i : 100, (int)(i / 100 % 8), NULL),
            OCT_OK);
}

static oct_calib_result result_of(const char *method, const float *x, size_t n)
{
    oct_hist h;
    hist_of(&h, x, n);
    oct_method m;
    assert_int_equal(oct_method_parse(ctx, method, &m), OCT_OK);
    oct_calib_result r;
    oct_calibrate_hist(work, &m, &h, NULL, &r);
    oct_hist_deinit(ctx, &h);
    assert_true(r.scale >= FLT_MIN && r.scale <= FLT_MAX && r.amax > 0 && r.amax <= FLT_MAX);
    return r;
}

/* The definition in entropy.c's head, with no prefix sums. */
static double naive_divergence(const double *h, int m)
{
    double p[OCT_VIEW_BINS], q[OCT_VIEW_BINS] = {0}, sum_p = 0, sum_q = 0;
    for (int j = 0; j < m; j++)
        p[j] = h[j];
    for (int j = m; j < OCT_VIEW_BINS; j++)
        p[m - 1] += h[j];
    for (int level = 0; level < 128; level++) {
        double mass = 0;
        int filled = 0;
        for (int j = 0; j < m; j++) {
            if (128 * j / m == level) {
                mass += h[j];
                filled += h[j] > 0;
            }
        }
        for (int j = 0; j < m; j++)
            if (128 * j / m == level && h[j] > 0)
                q[j] = mass / filled;
    }
    for (int j = 0; j < m; j++) {
        sum_p += p[j];
        sum_q += q[j];
    }
    double kl = 0;
    for (int j = 0; j < m; j++) {
        if (p[j] > 0 && !(q[j] > 0))
            return INFINITY;
        if (p[j] > 0)
            kl += p[j] / sum_p * log((p[j] / sum_p) / (q[j] / sum_q));
    }
    return kl;
}

static void entropy_matches_its_definition(void **state)
{
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 100 + (uint64_t)shape);
        const oct_calib_result r = result_of("entropy", values, N);
        static double h[OCT_VIEW_BINS];
        memcpy(h, work->bin, sizeof h); /* the view, bin 0 := bin 1 */
        double least = INFINITY, chosen = NAN;
        for (int m = 128; m <= OCT_VIEW_BINS; m += 17) {
            const double kl = naive_divergence(h, m);
            least = kl < least ? kl : least;
        }
        chosen = naive_divergence(h, r.candidate);
        assert_true(chosen <= least + 1e-10);
    }
}

static void minmax_is_the_exact_maximum(void **state)
{
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 7);
        float amax = 0;
        for (size_t i = 0; i < N; i++)
            amax = fmaxf(amax, fabsf(values[i]));
        assert_true(result_of("minmax", values, N).amax == amax);
        assert_true(result_of("percentile:100", values, N).amax == amax);
    }
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void percentile_is_within_a_bin_of_the_sorted_values(void **state)
{
    static float sorted[N];
    static const char *const method[] = {"percentile:50", "percentile:99", "percentile",
                                         "percentile:99.9"};
    static const double part[] = {0.5, 0.99, 0.9999, 0.999};
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 21);
        for (size_t i = 0; i < N; i++)
            sorted[i] = fabsf(values[i]);
        qsort(sorted, N, sizeof *sorted, by_value);
        for (int p = 0; p < 4; p++) {
            const oct_calib_result r = result_of(method[p], values, N);
            const size_t rank = (size_t)(part[p] * N + 0.5); /* a whole number for these P */
            const float want = sorted[rank - 1], next = sorted[rank < N ? rank : N - 1];
            if (want == 0) {
                assert_true(r.flags & OCT_CALIB_FELL_BACK);
                assert_true(r.amax == sorted[N - 1]);
                continue;
            }
            const float bin = sorted[N - 1] / 16384.0f;
            assert_true(r.amax >= want - 1.01f * bin && r.amax <= next + 1.01f * bin);
        }
    }
}

static double true_error(double scale)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double q = rint((double)values[i] / scale);
        q = q > 127 ? 127 : q < -128 ? -128 : q;
        sum += ((double)values[i] - q * scale) * ((double)values[i] - q * scale);
    }
    return sum / N;
}

static void expected_error_is_the_real_one(void **state)
{
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 33);
        for (int m = 0; oct_calibrator_at(m) != NULL; m++) {
            const oct_calib_result r = result_of(oct_calibrator_at(m)->name, values, N);
            const double real = true_error((double)r.scale);
            assert_true(fabs(real - r.error) <= 0.05 * real);
        }
    }
}

static void no_scale_beats_mse(void **state)
{
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 44);
        const oct_calib_result best = result_of("mse", values, N);
        const oct_density *d = oct_calib_work_density(work);
        double least = INFINITY;
        for (int i = 64; i <= 8192; i += 8) {
            const double e = oct_density_error(d, (double)d->amax * i / 8192.0 / 127.0, INFINITY);
            least = e < least ? e : least;
        }
        assert_true(best.error <= least * 1.002);
        assert_true(best.error <= best.minmax_error);
    }
}

static void results_scale_with_powers_of_two(void **state)
{
    for (int m = 0; oct_calibrator_at(m) != NULL; m++) {
        fill(LAPLACE, 55);
        const oct_calib_result a = result_of(oct_calibrator_at(m)->name, values, N);
        for (size_t i = 0; i < N; i++)
            values[i] *= 0x1p-9f;
        const oct_calib_result b = result_of(oct_calibrator_at(m)->name, values, N);
        assert_true(b.amax == a.amax * 0x1p-9f);
    }
}

static void percentile_grows_with_p(void **state)
{
    fill(LAPLACE, 66);
    float last = 0;
    for (int p = 10; p <= 100; p += 5) {
        char text[32];
        snprintf(text, sizeof text, "percentile:%d", p);
        const float amax = result_of(text, values, N).amax;
        assert_true(amax >= last);
        last = amax;
    }
}

static void dead_constant_and_tiny_tensors_have_scales(void **state)
{
    static float zero[3] = {0.0f, -0.0f, 1e-41f};
    static float constant[4] = {0.7f, 0.7f, 0.7f, 0.7f};
    static float negative[2] = {-3.5f, -1e-3f};
    static float tiny[2] = {FLT_MIN, -FLT_MIN};
    static float huge[3] = {FLT_MAX, -FLT_MAX, 1.0f};
    for (int m = 0; oct_calibrator_at(m) != NULL; m++) {
        const char *name = oct_calibrator_at(m)->name;
        const oct_calib_result dead = result_of(name, zero, 3);
        assert_true(dead.flags == OCT_CALIB_DEAD && dead.scale == 1.0f / 127.0f);
        assert_true(result_of(name, NULL, 0).flags == OCT_CALIB_DEAD);
        const oct_calib_result same = result_of(name, constant, 4);
        assert_true(fabsf(same.amax - 0.7f) <= 0.7f / 2000);
        assert_true(result_of(name, negative, 2).amax <= 3.501f);
        (void)result_of(name, tiny, 2); /* asserts a usable scale */
        (void)result_of(name, huge, 3);
    }
    /* one value: entropy's last candidate, half a bin above the maximum */
    const oct_calib_result one = result_of("entropy", constant, 1);
    assert_int_equal(one.candidate, 2048);
}

static void methods_parse_and_print(void **state)
{
    static const char *const good[] = {"mse", "entropy", "minmax", "percentile:99.99",
                                       "percentile:100"};
    char text[OCT_METHOD_TEXT_BYTES];
    oct_method m;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(oct_method_parse(ctx, good[i], &m), OCT_OK);
        assert_string_equal(oct_method_text(&m, text), good[i]);
    }
    static const char *const bad[] = {"",     "kl",           "mse:1",          "percentile:",
                                      "Mse",  "percentile:0", "percentile:101", "percentile:nan",
                                      "mse ", "percentile:9x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(oct_method_parse(ctx, bad[i], &m), OCT_ERR_USAGE);
        oct_error_clear(ctx);
    }
}

/* The coarse folds give about what the fine histogram gives. */
static void folds_together_calibrate_like_the_whole(void **state)
{
    static const char *const method[] = {"mse", "percentile:99.9", "minmax", "entropy"};
    for (int shape = 0; shape < N_SHAPES; shape++) {
        fill(shape, 77);
        oct_hist h;
        hist_of(&h, values, N);
        for (int i = 0; i < 4; i++) {
            oct_method m;
            oct_calib_result fine, coarse;
            assert_int_equal(oct_method_parse(ctx, method[i], &m), OCT_OK);
            oct_calibrate_hist(work, &m, &h, NULL, &fine);
            oct_density *d = oct_calib_work_density(work);
            oct_density_load_folds(d, &h, 0xff, NULL);
            oct_calibrate_density(work, &m, d, &coarse);
            if (i < 3) /* entropy's landscape is rougher than a coarse bin */
                assert_true(fabs((double)(fine.amax / coarse.amax) - 1) < 0.02);
            assert_true(coarse.error < 1.5 * fine.error + 1e-30);
        }
        oct_hist_deinit(ctx, &h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entropy_matches_its_definition),
        cmocka_unit_test(minmax_is_the_exact_maximum),
        cmocka_unit_test(percentile_is_within_a_bin_of_the_sorted_values),
        cmocka_unit_test(expected_error_is_the_real_one),
        cmocka_unit_test(no_scale_beats_mse),
        cmocka_unit_test(results_scale_with_powers_of_two),
        cmocka_unit_test(percentile_grows_with_p),
        cmocka_unit_test(dead_constant_and_tiny_tensors_have_scales),
        cmocka_unit_test(methods_parse_and_print),
        cmocka_unit_test(folds_together_calibrate_like_the_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
