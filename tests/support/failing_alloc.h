/* SPDX-License-Identifier: Apache-2.0
 *
 * Proves that a piece of work survives any failing allocation: it is run with the first,
 * then the second, ... n-th allocation failing until it succeeds. Each failing run must
 * return OCT_ERR_NOMEM (or what the caller says is fine), record a message, and leave no
 * block behind.
 *
 *     static oct_status load(oct_ctx *ctx, void *user)
 *     {
 *         oct_graph *g;
 *         OCT_TRY(oct_graph_read(ctx, user, &g));
 *         oct_graph_free(g);
 *         return OCT_OK;
 *     }
 *     oct_assert_survives_failing_alloc(load, "model.onnx", 2000);
 *
 * The allocator also puts guard bytes around blocks and fills new ones with 0xa5, so reading
 * uninitialised memory shows as nonsense. Thread-safe.
 */
#ifndef OCT_TESTS_FAILING_ALLOC_H
#define OCT_TESTS_FAILING_ALLOC_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_failing_alloc oct_failing_alloc;

/* Fails allocation number `fail_at` (from 1; 0 = never) and, if `keep_failing`, all after it. */
oct_failing_alloc *oct_failing_alloc_new(long fail_at, bool keep_failing);
oct_allocator oct_failing_alloc_hooks(oct_failing_alloc *a);
long oct_failing_alloc_calls(const oct_failing_alloc *a); /* allocations asked for so far */
long oct_failing_alloc_live(const oct_failing_alloc *a);  /* blocks not yet freed */
bool oct_failing_alloc_hit(const oct_failing_alloc *a);   /* an allocation was refused */
void oct_failing_alloc_free(oct_failing_alloc *a);        /* fails the test on damaged guards */

typedef oct_status (*oct_work_fn)(oct_ctx *ctx, void *user);

/* Runs `fn` with allocation 1, 2, ... failing, once alone and once with all later ones, until
 * a run meets no failure (that run must return OCT_OK). At most `max_n` allocations; with more
 * the test fails, so that it stays honest about its coverage. Returns how many there were. */
long oct_assert_survives_failing_alloc(oct_work_fn fn, const void *user, long max_n);

/* The same with only every `step`-th position, for work with many allocations. */
long oct_assert_survives_failing_alloc_step(oct_work_fn fn, const void *user, long max_n,
                                            long step);

/* A context over malloc, silent; fails the test when it cannot be had. End: oct_ctx_free(). */
oct_ctx *oct_test_ctx(void);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TESTS_FAILING_ALLOC_H */
