/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/failing_alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cmocka_all.h"

#define GUARD_BYTES ((size_t)OCT_ALIGN)
#define GUARD 0x5c
#define FRESH 0xa5

struct oct_failing_alloc {
    long fail_at;
    bool keep_failing;
    atomic_long calls, live;
    atomic_bool hit, damaged;
};

static void *hook_alloc(void *user, size_t bytes)
{
    oct_failing_alloc *a = user;
    const long n = atomic_fetch_add(&a->calls, 1) + 1;
    if (a->fail_at > 0 && (n == a->fail_at || (a->keep_failing && n > a->fail_at))) {
        atomic_store(&a->hit, true);
        return NULL;
    }
    const size_t total = (bytes + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN + 2 * GUARD_BYTES;
    unsigned char *p = aligned_alloc(OCT_ALIGN, total);
    if (!p)
        return NULL;
    memset(p, GUARD, total);
    memset(p + GUARD_BYTES, FRESH, bytes);
    atomic_fetch_add(&a->live, 1);
    return p + GUARD_BYTES;
}

static void hook_free(void *user, void *block, size_t bytes)
{
    oct_failing_alloc *a = user;
    unsigned char *p = (unsigned char *)block - GUARD_BYTES;
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        if (p[i] != GUARD || p[GUARD_BYTES + bytes + i] != GUARD)
            atomic_store(&a->damaged, true);
    }
    atomic_fetch_sub(&a->live, 1);
    free(p);
}

oct_failing_alloc *oct_failing_alloc_new(long fail_at, bool keep_failing)
{
    oct_failing_alloc *a = calloc(1, sizeof *a);
    assert_non_null(a);
    a->fail_at = fail_at;
    a->keep_failing = keep_failing;
    return a;
}

oct_allocator oct_failing_alloc_hooks(oct_failing_alloc *a)
{
    return (oct_allocator){a, hook_alloc, hook_free};
}

long oct_failing_alloc_calls(const oct_failing_alloc *a)
{
    return atomic_load(&a->calls);
}

long oct_failing_alloc_live(const oct_failing_alloc *a)
{
    return atomic_load(&a->live);
}

bool oct_failing_alloc_hit(const oct_failing_alloc *a)
{
    return atomic_load(&a->hit);
}

void oct_failing_alloc_free(oct_failing_alloc *a)
{
    if (!a)
        return;
    if (atomic_load(&a->damaged))
        fail_msg("a block was written outside its bounds");
    free(a);
}

/* One run with allocation `n` failing; true when no allocation was refused. */
static bool run_once(oct_work_fn fn, const void *user, long n, bool keep_failing)
{
    oct_failing_alloc *a = oct_failing_alloc_new(n, keep_failing);
    const oct_allocator hooks = oct_failing_alloc_hooks(a);
    const oct_ctx_options opt = {.allocator = &hooks};
    oct_ctx *ctx = NULL;
    oct_status st = oct_ctx_new(&opt, &ctx);
    if (st == OCT_OK) {
        st = fn(ctx, (void *)user);
        const size_t left = oct_mem_now(ctx);
        if (left != 0)
            fail_msg("allocation %ld failing: %zu bytes leak", n, left);
        if (st != OCT_OK && oct_error_text(ctx)[0] == '\0')
            fail_msg("allocation %ld failing: status %d without a message", n, (int)st);
        if (st != OCT_OK && !oct_failing_alloc_hit(a))
            fail_msg("fails without any refused allocation: %s", oct_error_text(ctx));
        oct_ctx_free(ctx);
    }
    if (st != OCT_OK && st != OCT_ERR_NOMEM)
        fail_msg("allocation %ld failing gives %s, expected out of memory", n, oct_status_str(st));
    if (oct_failing_alloc_live(a) != 0)
        fail_msg("allocation %ld failing: %ld blocks leak", n, oct_failing_alloc_live(a));
    const bool untouched = !oct_failing_alloc_hit(a);
    oct_failing_alloc_free(a);
    return untouched;
}

long oct_assert_survives_failing_alloc_step(oct_work_fn fn, const void *user, long max_n, long step)
{
    for (long n = 1; n <= max_n; n += step) {
        const bool done = run_once(fn, user, n, false);
        if (run_once(fn, user, n, true) && done)
            return n - 1;
    }
    fail_msg("more than %ld allocations", max_n);
    return max_n;
}

long oct_assert_survives_failing_alloc(oct_work_fn fn, const void *user, long max_n)
{
    return oct_assert_survives_failing_alloc_step(fn, user, max_n, 1);
}

oct_ctx *oct_test_ctx(void)
{
    oct_ctx *ctx = NULL;
    assert_int_equal(oct_ctx_new(NULL, &ctx), OCT_OK);
    return ctx;
}
