/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

#define FULL OCT_TEST_SOURCE_DIR "/tests/reports/full.json"
#define HOSTILE "<script>alert(1)</script>\"'&\xc3\xa9"

static oct_ctx *ctx;

static int setup(void **state)
{
    ctx = oct_test_ctx();
    return 0;
}

static int teardown(void **state)
{
    oct_ctx_free(ctx);
    return 0;
}

static oct_report *full(void)
{
    oct_report *r = NULL;
    assert_int_equal(oct_report_read(ctx, FULL, &r), OCT_OK);
    return r;
}

static void nothing_is_known_about_a_new_report(void **state)
{
    oct_report *r;
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_report_new(ctx, &r), OCT_OK);
    oct_report_side *s = oct_report_array(r, OCT_REPORT_SIDE, 2);
    assert_true(isnan(s[1].top1) && isnan(s[1].top1_interval.lo) && s[1].n_top1 == -1);
    assert_int_equal(r->images, -1);
    assert_int_equal(oct_report_write(r, &b), OCT_OK);
    assert_string_equal(b.text, "{\n  \"schema\": \"octet.report/1\",\n  \"suspect\": false\n}");
    oct_strbuf_deinit(&b);
    oct_report_free(r);
}

static void a_report_is_read_whole(void **state)
{
    oct_report *r = full();
    assert_int_equal(r->n_sides, 3);
    assert_string_equal(r->comparisons[0].flips[0].image, HOSTILE);
    assert_true(r->comparisons[0].top1_difference_interval.lo == -0.0334);
    assert_int_equal(r->sides[1].latency->runs, 200);
    assert_null(r->sides[2].latency);
    assert_int_equal(r->calibration->n_tensors, 6);
    assert_int_equal(r->calibration->tensors[5].histogram->n_counts, 64);
    assert_true(r->calibration->methods[0].chosen && !r->calibration->methods[1].chosen);
    assert_string_equal(r->artefacts[0].commands[0], "trtexec --onnx=model.qdq.onnx --int8");
    assert_true(isnan(r->comparisons[1].sqnr_db) && r->comparisons[1].outputs_equal);
    oct_report_free(r);
}

static void writing_what_was_read_loses_nothing(void **state)
{
    oct_report *r = full(), *again = NULL;
    oct_strbuf a, b;
    oct_strbuf_init(&a, ctx);
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_report_write(r, &a), OCT_OK);
    assert_int_equal(oct_report_parse(ctx, "a", a.text, a.len, &again), OCT_OK);
    assert_int_equal(oct_report_write(again, &b), OCT_OK);
    assert_string_equal(a.text, b.text);
    assert_int_equal(again->comparisons[0].n_values, r->comparisons[0].n_values);
    assert_int_equal(again->weights[3].channels, 64);
    oct_report_free(again);
    oct_report_free(r);
    oct_strbuf_deinit(&a);
    oct_strbuf_deinit(&b);
}

static void the_schema_file_is_the_one_of_the_code(void **state)
{
    uint8_t *file;
    size_t n;
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_report_schema(&b), OCT_OK);
    oct_strbuf_add(&b, "\n");
    assert_int_equal(
        oct_file_read(ctx, OCT_TEST_SOURCE_DIR "/reports/report.schema.json", 1 << 20, &file, &n),
        OCT_OK);
    assert_int_equal(n, b.len); /* else: octet report --schema > reports/report.schema.json */
    assert_memory_equal(file, b.text, n);
    oct_free(ctx, file);
    oct_strbuf_deinit(&b);
}

static void what_is_wrong_in_a_file_is_named(void **state)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"[]", "expected an object"},
        {"{}", "schema ''"},
        {"{\"schema\":\"octet.report/2\"}", "octet.report/2"},
        {"{\"schema\":\"octet.report/1\",\"images\":\"4\"}", "'images': expected an integer"},
        {"{\"schema\":\"octet.report/1\",\"sides\":[{\"name\":\"a\"},{}]}", "'sides[1].name'"},
        {"{\"schema\":\"octet.report/1\",\"task\":\"x\"}", "classification|detection"},
        {"{\"schema\":\"octet.report/1\",\"sides\":[3]}", "expected an object"},
        {"{\"schema\":\"octet.report/1\",\"notes\":[1]}", "'notes': expected a list of texts"},
        {"{\"schema\":\"octet.report/1\",\"comparisons\":[{\"candidate\":\"a\","
         "\"agreement_interval\":[1]}]}",
         "'comparisons[0].agreement_interval': expected two numbers"},
        {"{\"schema\":\"octet.report/1\",\"calibration\":{\"tensors\":[{\"name\":\"t\","
         "\"histogram\":{\"counts\":[1,-1]}}]}}",
         "'calibration.tensors[0].histogram.counts'"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        oct_report *r = NULL;
        assert_int_equal(oct_report_parse(ctx, "f.json", wrong[i].text, strlen(wrong[i].text), &r),
                         OCT_ERR_FORMAT);
        assert_non_null(strstr(oct_error_text(ctx), wrong[i].says));
        oct_error_clear(ctx);
    }
}

static void thumbnails_are_base64(void **state)
{
    static const char *const want[] = {"image/png;base64,", "image/png;base64,TQ==",
                                       "image/png;base64,TWE=", "image/png;base64,TWFu"};
    oct_report *r;
    assert_int_equal(oct_report_new(ctx, &r), OCT_OK);
    for (size_t n = 0; n <= 3; n++)
        assert_string_equal(oct_report_thumbnail(r, "image/png", "Man", n), want[n]);
    oct_report_free(r);
}

static void an_empty_report_can_be_shown(void **state)
{
    oct_report *r;
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_report_new(ctx, &r), OCT_OK);
    assert_int_equal(oct_report_terminal(ctx, r, &b), OCT_OK);
    assert_int_equal(b.len, 0);
    assert_int_equal(oct_report_html(ctx, (const oct_report *const *)&r, 1, &b), OCT_OK);
    assert_non_null(strstr(b.text, "no candidate to judge"));
    assert_null(strstr(b.text, "<section id="));
    oct_strbuf_deinit(&b);
    oct_report_free(r);
}

static void a_thumbnail_cannot_smuggle_anything_in(void **state)
{
    static const char *const bad[] = {"image/svg+xml;base64,AAAA",
                                      "image/png;base64,A\"onload=", "image/png;base64,",
                                      "javascript:alert(1)"};
    oct_report *r = full();
    for (size_t i = 0; i < 4; i++)
        r->comparisons[0].flips[i].thumbnail = bad[i];
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    assert_int_equal(oct_report_html(ctx, (const oct_report *const *)&r, 1, &b), OCT_OK);
    assert_null(strstr(b.text, "<img"));
    assert_null(strstr(b.text, "<script"));
    oct_strbuf_deinit(&b);
    oct_report_free(r);
}

static oct_status read_and_show(oct_ctx *c, void *user)
{
    oct_report *r;
    oct_strbuf b;
    OCT_TRY(oct_report_read(c, user, &r));
    oct_strbuf_init(&b, c);
    oct_status st = oct_report_html(c, (const oct_report *const *)&r, 1, &b);
    if (st == OCT_OK)
        st = oct_report_terminal(c, r, &b);
    oct_strbuf_deinit(&b);
    oct_report_free(r);
    return st;
}

static oct_status read_and_write(oct_ctx *c, void *user)
{
    oct_report *r;
    oct_strbuf b;
    OCT_TRY(oct_report_read(c, user, &r));
    oct_strbuf_init(&b, c);
    oct_status st = oct_report_write(r, &b);
    oct_strbuf_deinit(&b);
    oct_report_free(r);
    return st;
}

static void no_allocation_is_taken_for_granted(void **state)
{
    oct_assert_survives_failing_alloc(read_and_write, FULL, 3000);
    oct_assert_survives_failing_alloc(read_and_show, FULL, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_about_a_new_report),
        cmocka_unit_test(a_report_is_read_whole),
        cmocka_unit_test(writing_what_was_read_loses_nothing),
        cmocka_unit_test(the_schema_file_is_the_one_of_the_code),
        cmocka_unit_test(what_is_wrong_in_a_file_is_named),
        cmocka_unit_test(thumbnails_are_base64),
        cmocka_unit_test(an_empty_report_can_be_shown),
        cmocka_unit_test(a_thumbnail_cannot_smuggle_anything_in),
        cmocka_unit_test(no_allocation_is_taken_for_granted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
