/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded outputs as JSON: both forms, and what is refused.
 */
#include <math.h>
#include <string.h>

#include "accuracy/recorded.h"
#include "tests/support/cmocka_all.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return oct_ctx_new(NULL, &ctx) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_ctx_free(ctx);
    return 0;
}

static oct_status parse(const char *text, oct_array *a)
{
    return oct_recorded_parse_json(ctx, "test", text, strlen(text), a);
}

static void nested_lists_become_rows(void **state)
{
    (void)state;
    oct_array a;
    assert_int_equal(parse("[[[1, 2.5], [-3e2, null]], [[5, 6], [7, 8]]]", &a), OCT_OK);
    const double want[] = {1, 2.5, -300, NAN, 5, 6, 7, 8};
    assert_int_equal(a.shape.n_dims, 3);
    assert_int_equal(a.n_elems, 8);
    for (int i = 0; i < 8; i++) {
        const double got = ((const double *)a.data)[i];
        assert_true(got == want[i] || (isnan(got) && isnan(want[i])));
    }
    oct_array_deinit(ctx, &a);
}

static void what_trtexec_exports_is_read(void **state)
{
    (void)state;
    oct_array a;
    const char *text = "[\n  { \"name\" : \"y\"\n  , \"dimensions\" : \"2x3\"\n  , \"values\" : [ "
                       "1, 2, 3, 4, 5, 6.5 ]\n  }\n]";
    assert_int_equal(parse(text, &a), OCT_OK);
    assert_int_equal(a.shape.n_dims, 2);
    assert_int_equal(a.shape.dim[0], 2);
    assert_int_equal(a.shape.dim[1], 3);
    assert_true(((const double *)a.data)[5] == 6.5);
    oct_array_deinit(ctx, &a);
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "[[]]",
        "[[1, 2], [3]]",
        "[[1, 2], 3]",
        "[[1, \"2\"]]",
        "[[1, 2], [3, [4]]]",
        "[[[[[[[[[[1]]]]]]]]]]",
        "[{\"name\": \"y\"}]",
        "[{\"dimensions\": \"2x\", \"values\": [1, 2]}]",
        "[{\"dimensions\": \"-2\", \"values\": [1, 2]}]",
        "[{\"dimensions\": \"3\", \"values\": [1, 2]}]",
        "[{\"dimensions\": \"9223372036854775807x9223372036854775807\", \"values\": [1]}]",
        "[{\"dimensions\": \"1\", \"values\": [\"x\"]}]",
        "[1, 2",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        oct_array a;
        const oct_status st = parse(bad[i], &a);
        if (st != OCT_ERR_FORMAT && st != OCT_ERR_RANGE)
            fail_msg("%s gives %s", bad[i], oct_status_str(st));
        oct_error_clear(ctx);
    }
    oct_array a;
    assert_int_equal(parse("[{\"dimensions\": \"1\", \"values\": [1]}, {}]", &a),
                     OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_lists_become_rows),
        cmocka_unit_test(what_trtexec_exports_is_read),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
