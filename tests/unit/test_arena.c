/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <string.h>

#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

/* Every block is filled with its number; any overlap or move shows at the end. */
static void blocks_are_aligned_and_do_not_overlap(void **state)
{
    enum { N = 2000 };
    oct_ctx *ctx = oct_test_ctx();
    oct_arena *a;
    oct_rng rng = {1};
    unsigned char *p[N];
    size_t size[N], sum = 0;
    assert_int_equal(oct_arena_new(ctx, &a), OCT_OK);
    for (int i = 0; i < N; i++) {
        const size_t align = (size_t)1 << oct_rng_below(&rng, 7);
        size[i] = (size_t)oct_rng_below(&rng, i % 50 == 0 ? 100000 : 200);
        p[i] = oct_arena_alloc_aligned(a, size[i], align);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % align, 0);
        memset(p[i], i & 0xff, size[i]);
        sum += size[i];
    }
    assert_true(oct_arena_bytes(a) >= sum);
    assert_true(oct_mem_now(ctx) < 3 * sum);
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < size[i]; k++)
            assert_int_equal(p[i][k], i & 0xff);
    }
    oct_arena_free(a);
    oct_arena_free(NULL);
    oct_ctx_free(ctx);
}

static void small_blocks_share_chunks(void **state)
{
    oct_failing_alloc *f = oct_failing_alloc_new(0, false);
    const oct_allocator hooks = oct_failing_alloc_hooks(f);
    const oct_ctx_options opt = {.allocator = &hooks};
    oct_ctx *ctx;
    oct_arena *a;
    assert_int_equal(oct_ctx_new(&opt, &ctx), OCT_OK);
    assert_int_equal(oct_arena_new(ctx, &a), OCT_OK);
    for (int i = 0; i < 100000; i++)
        assert_non_null(oct_arena_alloc(a, 32));
    assert_in_range(oct_failing_alloc_calls(f), 4, 30);
    oct_arena_free(a);
    oct_ctx_free(ctx);
    oct_failing_alloc_free(f);
}

static oct_status texts(oct_ctx *ctx, void *user)
{
    oct_arena *a;
    OCT_TRY(oct_arena_new(ctx, &a));
    const char *s = oct_arena_strdup(a, "hello"), *t = oct_arena_strndup(a, "hello", 2);
    const char *u = oct_arena_printf(a, "%s-%d", "node", 12);
    const int *v = oct_arena_array(a, 5000, sizeof *v), *w = oct_arena_copy(a, "\1\0\0\0", 4);
    const bool ok = s && t && u && v && w;
    if (ok) {
        assert_string_equal(s, "hello");
        assert_string_equal(t, "he");
        assert_string_equal(u, "node-12");
        for (int i = 0; i < 5000; i++)
            assert_int_equal(v[i], 0);
        assert_int_equal(memcmp(w, "\1\0\0\0", 4), 0);
    }
    oct_arena_free(a);
    return ok ? OCT_OK : OCT_ERR_NOMEM;
}

static void failing_allocations_leak_nothing(void **state)
{
    assert_int_equal(oct_assert_survives_failing_alloc(texts, NULL, 20), 5);
}

static void sizes_that_overflow_are_refused(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    oct_arena *a;
    assert_int_equal(oct_arena_new(ctx, &a), OCT_OK);
    assert_null(oct_arena_array(a, SIZE_MAX / 4, 8));
    assert_null(oct_arena_alloc(a, SIZE_MAX));
    assert_null(oct_arena_alloc(a, SIZE_MAX - 40));
    assert_int_equal(oct_error_status(ctx), OCT_ERR_NOMEM);
    assert_non_null(oct_arena_alloc(a, 0));
    oct_arena_free(a);
    oct_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned_and_do_not_overlap),
        cmocka_unit_test(small_blocks_share_chunks),
        cmocka_unit_test(failing_allocations_leak_nothing),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
