/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ctx.h"

#include <string.h>

#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

static void every_status_has_text_and_exit_code(void **state)
{
#define X(name, code, exit_code, text)                     \
    assert_string_equal(oct_status_str(OCT_##name), text); \
    assert_int_equal(oct_status_exit_code(OCT_##name), exit_code);
    OCT_STATUS_MAP(X)
#undef X
    assert_non_null(oct_status_str((oct_status)-99));
    assert_int_equal(oct_status_exit_code((oct_status)-99), 9);
}

static void the_first_message_wins_until_cleared(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    assert_string_equal(oct_error_text(ctx), "");
    assert_int_equal(oct_fail(ctx, OCT_ERR_FORMAT, "offset %d", 7), OCT_ERR_FORMAT);
    assert_int_equal(oct_fail(ctx, OCT_ERR_IO, "later"), OCT_ERR_IO);
    assert_string_equal(oct_error_text(ctx), "offset 7");
    assert_int_equal(oct_error_status(ctx), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_error_status(ctx), OCT_OK);
    oct_fail(ctx, OCT_ERR_IO, "later");
    assert_string_equal(oct_error_text(ctx), "later");
    oct_ctx_free(ctx);
}

static void a_prefix_goes_before_the_message(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    assert_int_equal(oct_fail_in(ctx, OCT_ERR_IO, "nothing"), OCT_ERR_IO);
    assert_string_equal(oct_error_text(ctx), "");
    oct_fail(ctx, OCT_ERR_RANGE, "scale is 0");
    assert_int_equal(oct_fail_in(ctx, OCT_ERR_RANGE, "%s", "a.cache"), OCT_ERR_RANGE);
    assert_string_equal(oct_error_text(ctx), "a.cache: scale is 0");
    oct_ctx_free(ctx);
}

static void long_messages_are_cut_not_overflowed(void **state)
{
    char big[5000];
    oct_ctx *ctx = oct_test_ctx();
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    oct_fail(ctx, OCT_ERR_RANGE, "%s", big);
    for (int i = 0; i < 3; i++)
        oct_fail_in(ctx, OCT_ERR_RANGE, "%s", big);
    assert_in_range(strlen(oct_error_text(ctx)), 500, 4096);
    oct_ctx_free(ctx);
}

static void blocks_are_aligned_and_accounted(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    void *p[8];
    size_t sum = 0;
    for (size_t i = 0; i < 8; i++) {
        p[i] = oct_alloc(ctx, i * 37);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % OCT_ALIGN, 0);
        memset(p[i], 0xff, i * 37);
        sum += i * 37;
    }
    assert_true(oct_mem_now(ctx) >= sum);
    for (int i = 0; i < 8; i++)
        oct_free(ctx, p[i]);
    oct_free(ctx, NULL);
    assert_int_equal(oct_mem_now(ctx), 0);
    assert_true(oct_mem_peak(ctx) >= sum);
    oct_ctx_free(ctx);
}

static void zalloc_clears_and_realloc_keeps(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    unsigned char *p = oct_zalloc_array(ctx, 100, 3);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(p[i], 0);
        p[i] = (unsigned char)i;
    }
    p = oct_realloc(ctx, p, 5000);
    for (int i = 0; i < 300; i++)
        assert_int_equal(p[i], (unsigned char)i);
    p = oct_realloc(ctx, p, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(p[i], i);
    oct_free(ctx, p);
    oct_free(ctx, oct_realloc(ctx, NULL, 0));
    oct_ctx_free(ctx);
}

static void products_that_overflow_are_refused(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    assert_null(oct_alloc_array(ctx, SIZE_MAX / 2, 3));
    assert_int_equal(oct_error_status(ctx), OCT_ERR_NOMEM);
    assert_null(oct_zalloc_array(ctx, SIZE_MAX, SIZE_MAX));
    assert_null(oct_alloc(ctx, SIZE_MAX));
    assert_int_equal(oct_mem_now(ctx), 0);
    oct_ctx_free(ctx);
}

static void the_limit_stops_the_whole_family(void **state)
{
    const oct_ctx_options opt = {.memory_limit_bytes = 10000};
    oct_ctx *ctx, *child;
    assert_int_equal(oct_ctx_new(&opt, &ctx), OCT_OK);
    assert_int_equal(oct_ctx_fork(ctx, &child), OCT_OK);
    void *p = oct_alloc(ctx, 9000);
    assert_non_null(p);
    assert_null(oct_alloc(child, 1000));
    assert_int_equal(oct_error_status(child), OCT_ERR_LIMIT);
    assert_non_null(strstr(oct_error_text(child), "10000"));
    oct_free(ctx, p);
    oct_error_clear(child);
    p = oct_alloc(child, 9000);
    assert_non_null(p);
    oct_free(ctx, p);
    oct_ctx_join(ctx, child);
    oct_ctx_free(ctx);
}

static void the_lowest_joined_worker_error_wins(void **state)
{
    oct_ctx *ctx = oct_test_ctx(), *w[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(oct_ctx_fork(ctx, &w[i]), OCT_OK);
    oct_fail(w[2], OCT_ERR_IO, "worker 2");
    oct_fail(w[1], OCT_ERR_SHAPE, "worker 1");
    for (int i = 0; i < 3; i++)
        oct_ctx_join(ctx, w[i]);
    assert_string_equal(oct_error_text(ctx), "worker 1");
    assert_int_equal(oct_error_status(ctx), OCT_ERR_SHAPE);
    oct_ctx_free(ctx);
}

static void collect(void *user, oct_log_level level, const char *text)
{
    char *all = user;
    strcat(all, level == OCT_LOG_WARN ? "W:" : "?:");
    strcat(all, text);
}

static void the_log_drops_what_is_above_its_level(void **state)
{
    char all[256] = "";
    const oct_log_sink sink = {all, collect, OCT_LOG_WARN};
    const oct_ctx_options opt = {.log = &sink};
    oct_ctx *ctx;
    assert_int_equal(oct_ctx_new(&opt, &ctx), OCT_OK);
    oct_log(ctx, OCT_LOG_INFO, "hidden");
    oct_log(ctx, OCT_LOG_WARN, "n=%d", 3);
    assert_string_equal(all, "W:n=3");
    oct_ctx_free(ctx);
}

static bool always(void *user)
{
    return *(bool *)user;
}

static void cancel_is_polled(void **state)
{
    bool stop = false;
    const oct_cancel cancel = {&stop, always};
    const oct_ctx_options opt = {.cancel = &cancel};
    oct_ctx *ctx;
    assert_int_equal(oct_ctx_new(&opt, &ctx), OCT_OK);
    assert_int_equal(oct_check_cancel(ctx), OCT_OK);
    stop = true;
    assert_int_equal(oct_check_cancel(ctx), OCT_ERR_CANCELLED);
    oct_ctx_free(ctx);
}

static oct_status strings(oct_ctx *ctx, void *user)
{
    char *a = oct_strdup(ctx, user), *b = oct_strndup(ctx, user, 3);
    const bool ok = a && b;
    if (ok) {
        assert_string_equal(a, "abcdef");
        assert_string_equal(b, "abc");
    }
    oct_free(ctx, a);
    oct_free(ctx, b);
    return ok ? OCT_OK : OCT_ERR_NOMEM;
}

static void failing_allocations_are_reported_and_leak_nothing(void **state)
{
    /* context (2 blocks) and two strings */
    assert_int_equal(oct_assert_survives_failing_alloc(strings, "abcdef", 10), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_text_and_exit_code),
        cmocka_unit_test(the_first_message_wins_until_cleared),
        cmocka_unit_test(a_prefix_goes_before_the_message),
        cmocka_unit_test(long_messages_are_cut_not_overflowed),
        cmocka_unit_test(blocks_are_aligned_and_accounted),
        cmocka_unit_test(zalloc_clears_and_realloc_keeps),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(the_limit_stops_the_whole_family),
        cmocka_unit_test(the_lowest_joined_worker_error_wins),
        cmocka_unit_test(the_log_drops_what_is_above_its_level),
        cmocka_unit_test(cancel_is_polled),
        cmocka_unit_test(failing_allocations_are_reported_and_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
