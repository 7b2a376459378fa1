/* SPDX-License-Identifier: Apache-2.0 */
#include "base/numeric.h"

#include "base/rng.h"
#include "tests/support/cmocka_all.h"

static void every_half_survives_the_trip(void **state)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float v = oct_f32_from_f16((uint16_t)h);
        const uint16_t back = oct_f16_from_f32(v);
        if (isnan(v))
            assert_true(isnan(oct_f32_from_f16(back)) && (back & 0x8000) == (h & 0x8000));
        else
            assert_int_equal(back, h);
        const float w = oct_f32_from_bf16((uint16_t)h);
        if (isnan(w))
            assert_true(isnan(oct_f32_from_bf16(oct_bf16_from_f32(w))));
        else
            assert_int_equal(oct_bf16_from_f32(w), h);
    }
}

/* Halfway points between neighbours go to the even one, anything else to the nearer. */
static void conversion_to_half_rounds_to_nearest_even(void **state)
{
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const float lo = oct_f32_from_f16((uint16_t)h), hi = oct_f32_from_f16((uint16_t)(h + 1));
        const float mid = (lo + hi) / 2; /* exact in f32 */
        assert_int_equal(oct_f16_from_f32(mid), h & 1 ? h + 1 : h);
        assert_int_equal(oct_f16_from_f32(nextafterf(mid, 0)), h);
        assert_int_equal(oct_f16_from_f32(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(oct_f16_from_f32(-mid), 0x8000 | (h & 1 ? h + 1 : h));
    }
    assert_int_equal(oct_f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(oct_f16_from_f32(65520), 0x7c00);
    assert_int_equal(oct_f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(oct_f16_from_f32(0x1p-149f), 0);
}

static void conversion_to_bfloat_rounds_to_nearest_even(void **state)
{
    assert_int_equal(oct_bf16_from_f32(oct_f32_from_bits(0x3f808000)), 0x3f80);
    assert_int_equal(oct_bf16_from_f32(oct_f32_from_bits(0x3f818000)), 0x3f82);
    assert_int_equal(oct_bf16_from_f32(oct_f32_from_bits(0x3f808001)), 0x3f81);
    assert_int_equal(oct_bf16_from_f32(oct_f32_from_bits(0x7f7fffff)), 0x7f80);
    assert_true(isnan(oct_f32_from_bf16(oct_bf16_from_f32(oct_f32_from_bits(0x7f800001)))));
}

static void quantize_rounds_half_to_even_and_saturates(void **state)
{
    const oct_qparams q = {0.5f, 0};
    assert_int_equal(oct_quantize(0.25f, q, -128, 127), 0);
    assert_int_equal(oct_quantize(0.75f, q, -128, 127), 2);
    assert_int_equal(oct_quantize(-0.75f, q, -128, 127), -2);
    assert_int_equal(oct_quantize(1e30f, q, -128, 127), 127);
    assert_int_equal(oct_quantize(-1e30f, q, -128, 127), -128);
    assert_int_equal(oct_quantize(INFINITY, q, -128, 127), 127);
    assert_int_equal(oct_quantize(-INFINITY, q, -128, 127), -128);
    assert_int_equal(oct_quantize(NAN, q, -128, 127), -128);
    assert_int_equal(oct_quantize(1, (oct_qparams){0.5f, 128}, 0, 255), 130);
    assert_int_equal(oct_quantize(NAN, (oct_qparams){0.5f, 128}, 0, 255), 0);
}

/* Dequantizing and quantizing again is the identity, whatever the scale. */
static void every_level_survives_the_trip(void **state)
{
    oct_rng rng = {5};
    for (int i = 0; i < 2000; i++) {
        const oct_qparams q = {ldexpf(1 + oct_rng_f32(&rng), (int)oct_rng_below(&rng, 60) - 40),
                               (int32_t)oct_rng_below(&rng, 256) - 128};
        for (int32_t v = -128; v <= 127; v++)
            assert_int_equal(oct_quantize(oct_dequantize(v, q), q, -128, 127), v);
    }
}

static void requantize_uses_one_rounding(void **state)
{
    assert_int_equal(oct_requantize(3, 0.5f, 0, 0, -128, 127), 2); /* 1.5 */
    assert_int_equal(oct_requantize(5, 0.5f, 0, 0, -128, 127), 2); /* 2.5 */
    assert_int_equal(oct_requantize(-5, 0.5f, 0, 10, -128, 127), 8);
    assert_int_equal(oct_requantize(INT32_MAX, 1, 0, 0, -128, 127), 127);
    assert_int_equal(oct_requantize(INT32_MIN, 1, 0, 0, 0, 127), 0);
    assert_int_equal(oct_requantize(1, INFINITY, -INFINITY, 0, -128, 127), -128); /* NaN */
}

static void elements_of_every_type_are_read(void **state)
{
    const float f[] = {1.5f, -2.5f, NAN, INFINITY};
    const double d[] = {-1e300, 3.99};
    const uint64_t u64[] = {UINT64_MAX};
    const int8_t s8[] = {-5};
    const uint8_t b[] = {0, 9};
    const uint16_t h[] = {0x3c00};
    assert_true(oct_elem_f64(f, OCT_DT_F32, 1) == -2.5);
    assert_int_equal(oct_elem_s64(f, OCT_DT_F32, 1), -2);
    assert_int_equal(oct_elem_s64(f, OCT_DT_F32, 2), 0);
    assert_true(oct_elem_s64(f, OCT_DT_F32, 3) == INT64_MAX);
    assert_true(oct_elem_s64(d, OCT_DT_F64, 0) == INT64_MIN);
    assert_int_equal(oct_elem_s64(d, OCT_DT_F64, 1), 3);
    assert_true(oct_elem_f64(u64, OCT_DT_U64, 0) == 0x1p64);
    assert_true(oct_elem_f64(s8, OCT_DT_S8, 0) == -5);
    assert_int_equal(oct_elem_s64(b, OCT_DT_BOOL, 1), 1);
    assert_true(oct_elem_f64(h, OCT_DT_F16, 0) == 1);
    assert_true(oct_elem_f64(h, OCT_DT_BF16, 0) == (double)oct_f32_from_bf16(0x3c00));
}

/* First outputs for seed 1234567, as the paper's reference program prints them. */
static void splitmix_matches_its_reference(void **state)
{
    oct_rng r = {1234567};
    assert_true(oct_rng_u64(&r) == UINT64_C(6457827717110365317));
    assert_true(oct_rng_u64(&r) == UINT64_C(3203168211198807973));
    assert_true(oct_rng_u64(&r) == UINT64_C(9817491932198370423));
}

static void normal_numbers_have_the_right_moments(void **state)
{
    enum { N = 200000 };
    oct_rng r = {99};
    double m1 = 0, m2 = 0, m4 = 0;
    int beyond3 = 0;
    for (int i = 0; i < N; i++) {
        const double x = oct_rng_normal(&r);
        m1 += x;
        m2 += x * x;
        m4 += x * x * x * x;
        beyond3 += fabs(x) > 3;
    }
    /* four standard errors */
    assert_true(fabs(m1 / N) < 4 * 1 / sqrt(N));
    assert_true(fabs(m2 / N - 1) < 4 * sqrt(2.0 / N));
    assert_true(fabs(m4 / N - 3) < 4 * sqrt(96.0 / N));
    assert_in_range(beyond3, 540 - 93, 540 + 93); /* 0.27 % */
}

static void uniform_numbers_stay_inside(void **state)
{
    float x[1000];
    oct_rng r = {3};
    double sum = 0;
    oct_rng_fill_uniform(&r, x, 1000, -2, 6);
    for (int i = 0; i < 1000; i++) {
        assert_true(x[i] >= -2 && x[i] < 6);
        sum += x[i];
    }
    assert_true(fabs(sum / 1000 - 2) < 0.3);
    oct_rng_fill_normal(&r, x, 1000);
    assert_true(isfinite(x[999]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_survives_the_trip),
        cmocka_unit_test(conversion_to_half_rounds_to_nearest_even),
        cmocka_unit_test(conversion_to_bfloat_rounds_to_nearest_even),
        cmocka_unit_test(quantize_rounds_half_to_even_and_saturates),
        cmocka_unit_test(every_level_survives_the_trip),
        cmocka_unit_test(requantize_uses_one_rounding),
        cmocka_unit_test(elements_of_every_type_are_read),
        cmocka_unit_test(splitmix_matches_its_reference),
        cmocka_unit_test(normal_numbers_have_the_right_moments),
        cmocka_unit_test(uniform_numbers_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
