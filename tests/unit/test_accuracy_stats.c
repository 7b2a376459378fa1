/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "accuracy/stats.h"

static void wilson_contains_the_estimate_and_stays_in_0_1(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 200; n += 7) {
        for (uint64_t k = 0; k <= n; k++) {
            const oct_interval i = oct_wilson(k, n);
            const double p = (double)k / (double)n;
            assert_true(i.lo >= 0 && i.hi <= 1 && i.lo <= p + 1e-15 && p <= i.hi + 1e-15);
        }
    }
}

static void mcnemar_is_symmetric_and_falls_with_imbalance(void **state)
{
    (void)state;
    for (uint64_t n = 2; n < 60; n++) {
        double last = 2;
        for (uint64_t b = n / 2; b <= n; b++) {
            const double p = oct_mcnemar(b, n - b);
            assert_true(p > 0 && p <= 1 && p <= last + 1e-12);
            assert_true(p == oct_mcnemar(n - b, b));
            last = p;
        }
    }
    assert_true(oct_mcnemar(0, 0) == 1.0);
}

static void samples_needed_is_zero_once_the_gate_is_decided(void **state)
{
    (void)state;
    const oct_paired_counts clear = {900, 50, 0, 50};
    assert_int_equal(oct_paired_samples_needed(&clear, -0.01), 0);
    const oct_paired_counts open = {95, 2, 1, 2};
    const uint64_t need = oct_paired_samples_needed(&open, -0.005);
    assert_true(need > 100 && need < UINT64_MAX);
    const oct_paired_counts on_gate = {98, 1, 0, 1};
    assert_true(oct_paired_samples_needed(&on_gate, -0.01) == UINT64_MAX);
}

static void the_paired_interval_flips_sign_when_the_sides_swap(void **state)
{
    (void)state;
    const oct_interval a = oct_paired_difference(&(oct_paired_counts){70, 12, 5, 13});
    const oct_interval b = oct_paired_difference(&(oct_paired_counts){70, 5, 12, 13});
    assert_true(fabs(a.lo + b.hi) < 1e-15 && fabs(a.hi + b.lo) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_contains_the_estimate_and_stays_in_0_1),
        cmocka_unit_test(mcnemar_is_symmetric_and_falls_with_imbalance),
        cmocka_unit_test(samples_needed_is_zero_once_the_gate_is_decided),
        cmocka_unit_test(the_paired_interval_flips_sign_when_the_sides_swap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
