/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

static void additions_append(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    oct_strbuf b;
    char *text;
    oct_strbuf_init(&b, ctx);
    assert_null(b.text);
    oct_strbuf_add(&b, "a");
    oct_strbuf_addf(&b, "%d-%s", 12, "xyz");
    oct_strbuf_add_n(&b, "longer", 2);
    oct_strbuf_add_fixed(&b, 1.005, 1);
    assert_string_equal(b.text, "a12-xyzlo1.0");
    oct_strbuf_clear(&b);
    assert_string_equal(b.text, "");
    for (int i = 0; i < 1000; i++)
        oct_strbuf_addf(&b, "%03d", i);
    assert_int_equal(b.len, 3000);
    assert_int_equal(oct_strbuf_take(&b, &text), OCT_OK);
    assert_memory_equal(text + 2997, "999", 4);
    assert_null(b.text);
    oct_free(ctx, text);
    assert_int_equal(oct_strbuf_take(&b, &text), OCT_OK);
    assert_string_equal(text, "");
    oct_free(ctx, text);
    oct_ctx_free(ctx);
}

static oct_status build(oct_ctx *ctx, void *user)
{
    oct_strbuf b;
    char *text = NULL;
    oct_strbuf_init(&b, ctx);
    for (int i = 0; i < 100; i++)
        oct_strbuf_addf(&b, "%d,", i);
    const oct_status st = oct_strbuf_take(&b, &text);
    oct_free(ctx, text);
    oct_strbuf_deinit(&b);
    return st;
}

static void failing_allocations_are_remembered(void **state)
{
    assert_in_range(oct_assert_survives_failing_alloc(build, NULL, 30), 4, 20);
}

static void check_f32(float v)
{
    char buf[OCT_NUM_TEXT_BYTES];
    double back;
    oct_f32_text(v, buf);
    assert_true(strlen(buf) < OCT_NUM_TEXT_BYTES - 8);
    assert_true(oct_parse_f64(buf, strlen(buf), &back));
    if ((float)back != v || signbit((float)back) != signbit(v))
        fail_msg("%a -> %s -> %a", (double)v, buf, back);
}

static void every_float_survives_the_trip(void **state)
{
    oct_rng rng = {42};
    for (int i = 0; i < 200000; i++) {
        const float v = oct_f32_from_bits((uint32_t)oct_rng_u64(&rng));
        if (isfinite(v))
            check_f32(v);
    }
    const float edges[] = {
        0,    -0.0f,    FLT_MIN,  FLT_MAX, -FLT_MAX,  0x1p-149f, 0x1.fffffep-127f, 1,
        0.1f, 16777216, 16777215, 1e10f,   9.9999e9f, 1e-5f,     9.9999e-6f};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        check_f32(edges[i]);
}

static void every_double_survives_the_trip(void **state)
{
    char buf[OCT_NUM_TEXT_BYTES];
    oct_rng rng = {43};
    for (int i = 0; i < 200000; i++) {
        const uint64_t bits = i % 64 == 0 ? oct_rng_u64(&rng) >> 20 : oct_rng_u64(&rng);
        double v, back;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        oct_f64_text(v, buf);
        assert_true(oct_parse_f64(buf, strlen(buf), &back));
        if (back != v)
            fail_msg("%a -> %s -> %a", v, buf, back);
    }
}

static void texts_are_the_shortest(void **state)
{
    char buf[OCT_NUM_TEXT_BYTES];
    const struct {
        float v;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0f, "-0"},
        {1, "1"},
        {-1.5f, "-1.5"},
        {0.1f, "0.1"},
        {100, "100"},
        {16777216, "16777216"},
        {1e10f, "1e+10"},
        {1e-5f, "0.00001"},
        {1e-6f, "1e-06"},
        {3.4028235e38f, "3.4028235e+38"},
        {0x1p-149f, "1e-45"},
        {0.007874016f, "0.007874016"},
        {123456.79f, "123456.79"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(oct_f32_text(cases[i].v, buf), cases[i].text);
    assert_string_equal(oct_f64_text(0.1, buf), "0.1");
    assert_string_equal(oct_f64_text(0.1 + 0.2, buf), "0.30000000000000004");
    assert_string_equal(oct_f64_text(5e-324, buf), "5e-324");
    assert_string_equal(oct_f64_text(-DBL_MAX, buf), "-1.7976931348623157e+308");
    assert_string_equal(oct_f64_text(9007199254740993.0, buf), "9007199254740992");
    assert_string_equal(oct_f64_text(1e16, buf), "1e+16");
}

static void fixed_text_rounds_and_keeps_zeros(void **state)
{
    char buf[OCT_NUM_TEXT_BYTES];
    assert_string_equal(oct_fixed_text(12.345, 2, buf), "12.35");
    assert_string_equal(oct_fixed_text(2.5, 0, buf), "2");
    assert_string_equal(oct_fixed_text(-0.004, 2, buf), "-0.00");
    assert_string_equal(oct_fixed_text(7, 3, buf), "7.000");
    assert_string_equal(oct_fixed_text(1e300, 3, buf), "1e+300");
    assert_string_equal(oct_fixed_text(NAN, 3, buf), "nan");
    assert_true(strlen(oct_fixed_text(-999999999999999.0, 15, buf)) < OCT_NUM_TEXT_BYTES);
}

static void the_locale_changes_nothing(void **state)
{
    const char *names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    char buf[OCT_NUM_TEXT_BYTES];
    double v;
    bool found = false;
    for (int i = 0; i < 3 && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found) {
        print_message("no locale with a decimal comma here: only the C locale is tested\n");
        skip();
    }
    snprintf(buf, sizeof buf, "%.1f", 0.5);
    assert_string_equal(buf, "0,5"); /* the locale does what we fear */
    assert_string_equal(oct_f32_text(-1234.5f, buf), "-1234.5");
    assert_string_equal(oct_f64_text(1.5e-20, buf), "1.5e-20");
    assert_string_equal(oct_fixed_text(1234.5678, 2, buf), "1234.57");
    assert_true(oct_parse_f64("2.25", 4, &v));
    assert_true(v == 2.25);
    assert_false(oct_parse_f64("2,25", 4, &v));
    setlocale(LC_ALL, "C");
}

static void numbers_parse_whole_or_not_at_all(void **state)
{
    double d = 7;
    int64_t s = 7;
    uint64_t u = 7;
    const char *bad[] = {"", " 1", "1 ", "1x", "--1", "1e999", "0x", "+-1", "."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(oct_parse_f64(bad[i], strlen(bad[i]), &d));
        assert_false(oct_parse_s64(bad[i], strlen(bad[i]), &s));
        assert_false(oct_parse_u64(bad[i], strlen(bad[i]), &u));
    }
    assert_true(d == 7 && s == 7 && u == 7);
    assert_false(oct_parse_f64("1\0002", 3, &d));
    assert_true(oct_parse_f64("0x1.8p1", 7, &d) && d == 3);
    assert_true(oct_parse_f64("1e-999", 6, &d) && d == 0);
    assert_true(oct_parse_f64("12junk", 2, &d) && d == 12);
    assert_true(oct_parse_s64("-9223372036854775808", 20, &s) && s == INT64_MIN);
    assert_false(oct_parse_s64("9223372036854775808", 19, &s));
    assert_false(oct_parse_s64("-9223372036854775809", 20, &s));
    assert_true(oct_parse_s64("+0x7f", 5, &s) && s == 127);
    assert_true(oct_parse_u64("18446744073709551615", 20, &u) && u == UINT64_MAX);
    assert_false(oct_parse_u64("18446744073709551616", 20, &u));
    assert_false(oct_parse_u64("-1", 2, &u));
    assert_false(oct_parse_s64("-+1", 3, &s));
    assert_false(oct_parse_s64("1.0", 3, &s));
}

static void hostile_text_cannot_drive_a_terminal(void **state)
{
    char buf[64], tiny[6];
    assert_string_equal(oct_printable("conv_\xc3\xbc", buf, sizeof buf), "conv_\xc3\xbc");
    assert_string_equal(oct_printable("a\x1b[31m\n", buf, sizeof buf), "a\\x1b[31m\\x0a");
    assert_string_equal(oct_printable("\xff\xc3", buf, sizeof buf), "\\xff\\xc3");
    assert_string_equal(oct_printable("\xc0\xaf", buf, sizeof buf), "\\xc0\\xaf"); /* overlong */
    assert_string_equal(oct_printable("\xe2\x80\xae", buf, sizeof buf), "\\xe2\\x80\\xae");
    assert_string_equal(oct_printable("\xc2\x9b", buf, sizeof buf), "\\xc2\\x9b"); /* C1 CSI */
    assert_string_equal(oct_printable("abcdefgh", tiny, sizeof tiny), "abcde");
    assert_string_equal(oct_printable("abc\xc3\xbc\xc3\xbc", tiny, sizeof tiny), "abc\xc3\xbc");
    assert_string_equal(oct_printable("abc\n", tiny, sizeof tiny), "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_append),
        cmocka_unit_test(failing_allocations_are_remembered),
        cmocka_unit_test(every_float_survives_the_trip),
        cmocka_unit_test(every_double_survives_the_trip),
        cmocka_unit_test(texts_are_the_shortest),
        cmocka_unit_test(fixed_text_rounds_and_keeps_zeros),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(numbers_parse_whole_or_not_at_all),
        cmocka_unit_test(hostile_text_cannot_drive_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
