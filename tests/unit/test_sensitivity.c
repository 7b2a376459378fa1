/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/sensitivity.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

#define MAX_LAYERS 80

/* A network whose damage is the sum of its INT8 layers' own; the goal is a largest damage. */
typedef struct network {
    size_t n;
    double damage[MAX_LAYERS];
    double allowed;
    size_t n_rank, n_all, widest; /* sets measured */
} network;

static oct_status measure(void *user, oct_ctx *ctx, oct_sens_set *set, size_t n_sets, bool all)
{
    network *w = user;
    (void)ctx;
    w->widest = n_sets > w->widest ? n_sets : w->widest;
    *(all ? &w->n_all : &w->n_rank) += n_sets;
    for (size_t k = 0; k < n_sets; k++) {
        double sum = 0;
        for (size_t i = 0; i < w->n; i++)
            sum += set[k].keep[i] ? 0 : w->damage[i];
        set[k].score = (oct_sens_score){.sqnr_db = -10 * log10(sum), .margin = w->allowed - sum};
    }
    return OCT_OK;
}

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

static oct_sens_result search(network *w, size_t per_call)
{
    oct_sens_result r;
    const oct_sens_search s = {
        .n_layers = w->n, .per_call = per_call, .user = w, .measure = measure};
    assert_int_equal(oct_sens_run(ctx, &s, &r), OCT_OK);
    return r;
}

static void the_one_bad_layer_is_kept_and_nothing_else(void **state)
{
    network w = {.n = 40, .allowed = 1};
    for (size_t i = 0; i < w.n; i++)
        w.damage[i] = 0.01;
    w.damage[23] = 5;
    oct_sens_result r = search(&w, 7);
    assert_true(r.met && r.n_keep == 1 && r.keep[23]);
    assert_int_equal(r.order[0], 23);
    assert_int_equal(r.order[1], 0); /* ties go by the network's order */
    assert_true(r.none.margin < 0 && r.plan.margin >= 0);
    assert_int_equal(w.n_rank, 40);
    assert_true(w.n_all <= 7 && w.widest <= 7);
    oct_sens_result_deinit(ctx, &r);
}

static void nothing_is_kept_when_int8_is_good_enough(void **state)
{
    network w = {.n = 5, .damage = {1, 1, 1, 1, 1}, .allowed = 5};
    oct_sens_result r = search(&w, 3);
    assert_true(r.met && r.n_keep == 0 && r.plan.margin == 0);
    oct_sens_result_deinit(ctx, &r);
}

static void everything_is_kept_when_nothing_else_does(void **state)
{
    network w = {.n = 6, .damage = {1, 2, 3, 1, 2, 3}, .allowed = 0};
    oct_sens_result r = search(&w, 4);
    assert_true(r.met && r.n_keep == 6 && isinf(r.plan.sqnr_db));
    oct_sens_result_deinit(ctx, &r);
}

static void a_goal_that_cannot_be_met_is_said(void **state)
{
    network w = {.n = 3, .damage = {1, 1, 1}, .allowed = -1};
    oct_sens_result r = search(&w, 2);
    assert_false(r.met);
    oct_sens_result_deinit(ctx, &r);
    w.n = 1;
    r = search(&w, 1);
    assert_false(r.met);
    oct_sens_result_deinit(ctx, &r);
}

/* Additive damage: the greedy prefix is the fewest possible, whatever the shape of the calls. */
static void the_plan_is_the_shortest_prefix(void **state)
{
    oct_rng rng = {.state = 7};
    for (int round = 0; round < 300; round++) {
        network w = {.n = 1 + oct_rng_below(&rng, MAX_LAYERS)};
        double total = 0, left;
        for (size_t i = 0; i < w.n; i++)
            total += w.damage[i] = (double)(1 + oct_rng_below(&rng, 1000));
        w.allowed = total * (double)(oct_rng_below(&rng, 1000)) / 1000;
        oct_sens_result r = search(&w, 1 + (size_t)(round % 9));
        size_t fewest = 0;
        for (left = total; left > w.allowed; fewest++)
            left -= w.damage[r.order[fewest]];
        assert_int_equal(r.n_keep, fewest);
        size_t n = 0;
        for (size_t i = 0; i < w.n; i++)
            n += r.keep[i];
        assert_int_equal(n, r.n_keep);
        assert_true(r.plan.margin >= 0);
        oct_sens_result_deinit(ctx, &r);
    }
}

/* Layer 0 looks worst alone but does no harm among the others: pruning finds out. */
static oct_status misleading(void *user, oct_ctx *c, oct_sens_set *set, size_t n_sets, bool all)
{
    (void)user, (void)c;
    for (size_t k = 0; k < n_sets; k++) {
        const bool *keep = set[k].keep;
        const double alone = !keep[0] ? 1 : !keep[1] ? 5 : 20;
        const double together = keep[1] ? 0 : -1;
        set[k].score = (oct_sens_score){.sqnr_db = all ? 0 : alone, .margin = together};
    }
    return OCT_OK;
}

static void what_is_not_needed_goes_back_to_int8(void **state)
{
    oct_sens_result r;
    const oct_sens_search s = {.n_layers = 4, .per_call = 2, .measure = misleading};
    assert_int_equal(oct_sens_run(ctx, &s, &r), OCT_OK);
    assert_int_equal(r.order[0], 0);
    assert_true(r.met && r.n_keep == 1 && r.keep[1] && !r.keep[0]);
    oct_sens_result_deinit(ctx, &r);
}

static oct_status run_small(oct_ctx *c, void *user)
{
    network w = {.n = 9, .damage = {1, 2, 3, 4, 5, 6, 7, 8, 9}, .allowed = 12};
    oct_sens_result r;
    const oct_sens_search s = {.n_layers = w.n, .per_call = 3, .user = &w, .measure = measure};
    (void)user;
    const oct_status st = oct_sens_run(c, &s, &r);
    oct_sens_result_deinit(c, &r);
    return st;
}

static void no_allocation_is_taken_for_granted(void **state)
{
    oct_assert_survives_failing_alloc(run_small, NULL, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_bad_layer_is_kept_and_nothing_else),
        cmocka_unit_test(nothing_is_kept_when_int8_is_good_enough),
        cmocka_unit_test(everything_is_kept_when_nothing_else_does),
        cmocka_unit_test(a_goal_that_cannot_be_met_is_said),
        cmocka_unit_test(the_plan_is_the_shortest_prefix),
        cmocka_unit_test(what_is_not_needed_goes_back_to_int8),
        cmocka_unit_test(no_allocation_is_taken_for_granted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
