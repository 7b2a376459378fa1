/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "calib/cache_tools.h"
#include "calib/ranges.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    return oct_ctx_new(NULL, &ctx);
}

static int teardown(void **state)
{
    oct_ctx_free(ctx);
    return 0;
}

static oct_ranges *parse(const char *text, oct_cache_format f)
{
    oct_ranges *r = NULL;
    assert_int_equal(oct_ranges_parse(ctx, text, strlen(text), f, "test", &r), OCT_OK);
    return r;
}

static uint32_t bits_at(const oct_ranges *r, size_t i)
{
    return oct_f32_bits(oct_ranges_at(r, i)->scale);
}

/* Lines seen in caches on the web: unnamed layers, colons, CRLF, unpadded hex, zeros. */
static const char odd[] = "TRT-8601-EntropyCalibration2\r\n"
                          "data: 3c008912\r\n"
                          "(Unnamed Layer* 9) [Matrix Multiply]_output: 3e74c2e0\r\n"
                          "conv:0: 3C010A14\n"
                          "a: b: c: da24260\n"
                          "\n"
                          "dead: 0\n"
                          "inf: 7f800000\n"
                          "data: 3c008912\n"
                          "data: 3c010a14\n"
                          "no colon here\n"
                          "long: 123456789\n"
                          "bad: 12x4\n"
                          "minus: bc010204";

static void real_caches_are_read_line_by_line(void **state)
{
    oct_ranges *r = parse(odd, OCT_CACHE_AUTO);
    assert_int_equal(oct_ranges_format(r), OCT_CACHE_TRT);
    assert_string_equal(oct_ranges_header(r), "TRT-8601-EntropyCalibration2");
    assert_int_equal(oct_ranges_count(r), 12);
    assert_string_equal(oct_ranges_at(r, 0)->name, "data");
    assert_true(bits_at(r, 0) == 0x3c008912);
    assert_string_equal(oct_ranges_at(r, 1)->name, "(Unnamed Layer* 9) [Matrix Multiply]_output");
    assert_string_equal(oct_ranges_at(r, 2)->name, "conv:0");
    assert_true(bits_at(r, 2) == 0x3c010a14);
    assert_string_equal(oct_ranges_at(r, 3)->name, "a: b: c");
    assert_true(bits_at(r, 3) == 0x0da24260);
    static const unsigned want[12] = {0,
                                      0,
                                      0,
                                      0,
                                      OCT_RANGE_ZERO,
                                      OCT_RANGE_INFINITE,
                                      OCT_RANGE_REPEATED,
                                      OCT_RANGE_CONFLICT,
                                      OCT_RANGE_UNPARSED,
                                      OCT_RANGE_UNPARSED,
                                      OCT_RANGE_UNPARSED,
                                      OCT_RANGE_NEGATIVE};
    static const uint32_t line[12] = {2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14};
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(oct_ranges_at(r, i)->flags, want[i]);
        assert_int_equal(oct_ranges_at(r, i)->line, line[i]);
    }
    assert_ptr_equal(oct_ranges_find(r, "data"), oct_ranges_at(r, 0));
    assert_null(oct_ranges_find(r, "dat"));
    assert_int_equal(oct_ranges_check(ctx, r), OCT_ERR_RANGE);
    assert_non_null(strstr(oct_error_text(ctx), "line 7"));
    oct_error_clear(ctx);
    oct_ranges_free(r);
}

static oct_ranges *sample(uint64_t seed, size_t n)
{
    oct_ranges *r;
    oct_rng rng = {seed};
    assert_int_equal(oct_ranges_new(ctx, &r), OCT_OK);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        snprintf(name, sizeof name, "layer/%llu:%zu out", (unsigned long long)seed, i);
        const float amax = ldexpf(oct_rng_f32(&rng) + 0.5f, (int)oct_rng_below(&rng, 40) - 20);
        if (i % 2)
            assert_int_equal(oct_ranges_add_amax(r, name, amax), OCT_OK);
        else
            assert_int_equal(oct_ranges_add_scale(r, name, amax), OCT_OK);
    }
    return r;
}

static void every_format_reads_back_what_it_wrote(void **state)
{
    oct_ranges *r = sample(1, 300);
    for (int f = OCT_CACHE_TRT; f < OCT_CACHE_FORMAT_COUNT; f++) {
        oct_strbuf text;
        oct_strbuf_init(&text, ctx);
        assert_int_equal(oct_ranges_render(ctx, r, (oct_cache_format)f, NULL, &text), OCT_OK);
        oct_ranges *back;
        const bool blanks = f == OCT_CACHE_NCNN; /* cannot hold names with blanks */
        if (!blanks) {
            assert_int_equal(
                oct_ranges_parse(ctx, text.text, text.len, (oct_cache_format)f, "x", &back),
                OCT_OK);
            assert_int_equal(oct_ranges_count(back), oct_ranges_count(r));
            for (size_t i = 0; i < oct_ranges_count(r); i++) {
                const oct_range *a = oct_ranges_at(r, i), *b = oct_ranges_find(back, a->name);
                assert_non_null(b);
                assert_int_equal(b->flags, 0);
                if (f == OCT_CACHE_TRT || f == OCT_CACHE_JSON)
                    assert_true(a->scale == b->scale);
                if (f != OCT_CACHE_TRT)
                    assert_true(a->amax == b->amax);
                assert_true(fabsf(a->scale / b->scale - 1) < 3e-7f);
            }
            /* writing what was read gives the same bytes */
            oct_strbuf again;
            oct_strbuf_init(&again, ctx);
            assert_int_equal(oct_ranges_render(ctx, back, (oct_cache_format)f, NULL, &again),
                             OCT_OK);
            assert_int_equal(text.len, again.len);
            assert_memory_equal(text.text, again.text, text.len);
            oct_strbuf_deinit(&again);
            oct_ranges_free(back);
        }
        oct_strbuf_deinit(&text);
    }
    oct_ranges_free(r);
}

static void formats_are_told_apart_by_content(void **state)
{
    oct_ranges *r = sample(2, 5);
    static const oct_cache_format sure[] = {OCT_CACHE_TRT, OCT_CACHE_ORT, OCT_CACHE_JSON};
    for (size_t i = 0; i < 3; i++) {
        oct_strbuf text;
        oct_strbuf_init(&text, ctx);
        assert_int_equal(oct_ranges_render(ctx, r, sure[i], NULL, &text), OCT_OK);
        oct_ranges *back;
        assert_int_equal(oct_ranges_parse(ctx, text.text, text.len, OCT_CACHE_AUTO, "x", &back),
                         OCT_OK);
        assert_int_equal(oct_ranges_format(back), sure[i]);
        oct_ranges_free(back);
        oct_strbuf_deinit(&text);
    }
    oct_ranges_free(r);
    oct_ranges *table = parse("conv1_param_0 10 20 30\nconv1 63.5\n", OCT_CACHE_AUTO);
    assert_int_equal(oct_ranges_format(table), OCT_CACHE_NCNN);
    assert_int_equal(oct_ranges_count(table), 2);
    assert_true(oct_ranges_at(table, 0)->flags & OCT_RANGE_WEIGHTS);
    assert_true(oct_ranges_find(table, "conv1")->amax == 2.0f);
    oct_ranges_free(table);
    oct_ranges *none = NULL;
    assert_int_equal(oct_ranges_parse(ctx, "a 1\n", 4, OCT_CACHE_AUTO, "x", &none), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
}

static void ncnn_infinity_is_flagged(void **state)
{
    oct_ranges *r = parse("conv1 inf\nconv2 0\nconv3 4 5\n", OCT_CACHE_NCNN);
    assert_true(oct_ranges_at(r, 0)->flags & OCT_RANGE_UNUSABLE);
    assert_true(oct_ranges_at(r, 1)->flags & OCT_RANGE_UNUSABLE);
    assert_true(oct_ranges_at(r, 2)->flags & OCT_RANGE_UNPARSED);
    oct_ranges_free(r);
}

static void headers_follow_version_and_algorithm(void **state)
{
    static const struct {
        const char *text;
        unsigned want; /* 0 = refused */
    } table[] = {{"8.6.1", 8601},   {"10.16.1", 101601}, {"8601", 8601}, {"101601", 101601},
                 {"7.1.3.4", 7103}, {"10.3", 100300},    {"8", 0},       {"", 0},
                 {"8.x", 0},        {"8.100.1", 0},      {"-8.6.1", 0},  {"1000.1.1", 0}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        unsigned v = 0;
        const oct_status st = oct_trt_version_parse(ctx, table[i].text, &v);
        if (table[i].want == 0) {
            assert_int_equal(st, OCT_ERR_USAGE);
            oct_error_clear(ctx);
        } else {
            assert_int_equal(st, OCT_OK);
            assert_int_equal(v, table[i].want);
        }
    }
}

static void retarget_changes_the_header_and_nothing_else(void **state)
{
    const oct_cache_write_options both = {101601, "MinMaxCalibration"}, version = {8601, NULL};
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_cache_retarget(ctx, odd, strlen(odd), &both, &b), OCT_OK);
    assert_true(strncmp(b.text, "TRT-101601-MinMaxCalibration\r\n", 30) == 0);
    assert_string_equal(b.text + 30, strchr(odd, '\n') + 1 - 0);
    oct_strbuf_clear(&b);
    assert_int_equal(oct_cache_retarget(ctx, odd, strlen(odd), &version, &b), OCT_OK);
    assert_string_equal(b.text, odd);
    assert_int_equal(oct_cache_retarget(ctx, "x: 1\n", 5, &version, &b), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    oct_strbuf_deinit(&b);
}

static void diff_merge_rename_and_filter(void **state)
{
    oct_ranges *a = parse("TRT-1-A\nx: 3c010204\ny: 3c010204\nonly a: 3f800000\n", OCT_CACHE_TRT);
    oct_ranges *b = parse("TRT-1-A\ny: 3c810204\nx: 3c010204\nonly b: 3f800000\n", OCT_CACHE_TRT);
    oct_cache_diff d;
    assert_int_equal(oct_cache_diff_of(ctx, a, b, &d), OCT_OK);
    assert_true(d.n == 3 && d.n_equal == 1 && d.n_only_a == 1 && d.n_only_b == 1);
    assert_string_equal(d.row[2].name, "y");
    assert_true(d.row[2].ratio == 2.0 && d.largest_ratio == 2.0);
    oct_cache_diff_free(ctx, &d);

    const oct_ranges *list[2] = {a, b};
    oct_ranges *m;
    size_t n_conflicts;
    assert_int_equal(oct_cache_merge(ctx, list, 2, &m, &n_conflicts), OCT_OK);
    assert_true(oct_ranges_count(m) == 4 && n_conflicts == 1);
    assert_string_equal(oct_ranges_at(m, 1)->name, "y");
    assert_true(bits_at(m, 1) == 0x3c810204);
    oct_ranges_free(m);

    static const char *const from[] = {"x", "none"}, *const to[] = {"renamed: x", "z"};
    const oct_rename_map map = {from, to, 2};
    size_t n_renamed;
    assert_int_equal(oct_cache_rename(ctx, a, &map, &m, &n_renamed), OCT_OK);
    assert_true(n_renamed == 1 && oct_ranges_find(m, "renamed: x") != NULL &&
                oct_ranges_find(m, "x") == NULL);
    oct_ranges_free(m);

    static const char *const include[] = {"only*", "x"}, *const exclude[] = {"* b"};
    const oct_name_filter filter = {include, 2, exclude, 1};
    assert_int_equal(oct_cache_filter(ctx, b, &filter, &m), OCT_OK);
    assert_true(oct_ranges_count(m) == 1 && oct_ranges_find(m, "x") != NULL);
    oct_ranges_free(m);
    oct_ranges_free(a);
    oct_ranges_free(b);
}

static void lint_names_every_damaged_line(void **state)
{
    oct_ranges *r = parse(odd, OCT_CACHE_TRT);
    oct_lint *l;
    assert_int_equal(oct_cache_lint(ctx, r, NULL, &l), OCT_OK);
    assert_int_equal(oct_lint_count(l, OCT_LINT_ERROR), 7);
    const oct_lint_item *item;
    const size_t n = oct_lint_items(l, &item);
    bool line_8 = false;
    for (size_t i = 0; i < n; i++)
        line_8 = line_8 || (item[i].line == 8 && strcmp(item[i].text, "infinite") == 0);
    assert_true(line_8);
    oct_lint_free(l);
    oct_ranges_free(r);
}

static void names_with_line_breaks_are_refused(void **state)
{
    oct_ranges *r;
    assert_int_equal(oct_ranges_new(ctx, &r), OCT_OK);
    assert_int_equal(oct_ranges_add_scale(r, "a\nb", 1), OCT_OK);
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_ranges_render(ctx, r, OCT_CACHE_TRT, NULL, &b), OCT_ERR_RANGE);
    oct_error_clear(ctx);
    oct_strbuf_deinit(&b);
    oct_ranges_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_caches_are_read_line_by_line),
        cmocka_unit_test(every_format_reads_back_what_it_wrote),
        cmocka_unit_test(formats_are_told_apart_by_content),
        cmocka_unit_test(ncnn_infinity_is_flagged),
        cmocka_unit_test(headers_follow_version_and_algorithm),
        cmocka_unit_test(retarget_changes_the_header_and_nothing_else),
        cmocka_unit_test(diff_merge_rename_and_filter),
        cmocka_unit_test(lint_names_every_damaged_line),
        cmocka_unit_test(names_with_line_breaks_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
