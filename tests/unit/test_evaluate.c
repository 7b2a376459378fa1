/* SPDX-License-Identifier: Apache-2.0
 *
 * What an evaluation counts: best classes, paired counts, flips, confusion changes, distances.
 */
#include <math.h>
#include <string.h>

#include "accuracy/evaluate.h"
#include "base/rng.h"
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

/* ---- best classes ------------------------------------------------------------------------ */

static void best_gives_ties_to_the_lower_class_and_nan_last(void **state)
{
    (void)state;
    int32_t top[OCT_EVAL_TOP];
    const float ties[] = {1, 3, 3, 0, 1, 1, 1};
    assert_true(oct_eval_best(ties, 7, top));
    const int32_t want[] = {1, 2, 0, 4, 5};
    assert_memory_equal(top, want, sizeof want);

    const float odd[] = {NAN, -1, INFINITY, NAN, -INFINITY};
    assert_false(oct_eval_best(odd, 5, top));
    const int32_t order[] = {2, 1, 0, 3, 4};
    assert_memory_equal(top, order, sizeof order);

    const float few[] = {0, 1};
    assert_true(oct_eval_best(few, 2, top));
    const int32_t two[] = {1, 0, -1, -1, -1};
    assert_memory_equal(top, two, sizeof two);
}

static void best_equals_repeated_argmax(void **state)
{
    (void)state;
    oct_rng rng = {.state = 5};
    for (int round = 0; round < 300; round++) {
        float x[12];
        int32_t top[OCT_EVAL_TOP];
        bool used[12] = {false};
        for (int i = 0; i < 12; i++)
            x[i] = roundf(2 * oct_rng_normal(&rng)); /* many ties */
        oct_eval_best(x, 12, top);
        for (int k = 0; k < OCT_EVAL_TOP; k++) {
            int best = -1;
            for (int i = 0; i < 12; i++)
                if (!used[i] && (best < 0 || x[i] > x[best]))
                    best = i;
            used[best] = true;
            assert_int_equal(top[k], best);
        }
    }
}

/* ---- counting ---------------------------------------------------------------------------- */

typedef struct one {
    int32_t label, ref, cand;
} one;

static void add(oct_evaluation *e, int64_t index, one o)
{
    oct_eval_sample *s = oct_zalloc(ctx, sizeof *s + 2 * sizeof s->row[0]);
    s->index = index;
    s->label = o.label;
    for (int k = 0; k < 2; k++) {
        memset(s->row[k].top, -1, sizeof s->row[k].top);
        s->row[k].top[0] = k ? o.cand : o.ref;
        s->row[k].top[1] = 9; /* always second best */
        s->row[k].finite = s->row[k].comparable = true;
    }
    s->row[1].signal = 100;
    s->row[1].power = 81;
    s->row[1].dot = 90;
    s->row[1].noise = 1;
    s->row[1].max_error = (double)index;
    if (o.ref != o.cand)
        s->name = oct_strdup(ctx, "flipped");
    e->sample[e->n++] = s;
}

static const one table[] = {
    {1, 1, 1},              /* both right */
    {2, 2, 3},              /* only the reference */
    {2, 2, 3},              /* again */
    {4, 5, 4},              /* only the candidate */
    {6, 7, 8},              /* both wrong, differently */
    {9, 1, 1},              /* both wrong, right in the five best */
    {OCT_LABEL_NONE, 2, 2}, /* agreement only */
};
enum { N = sizeof table / sizeof *table };

static void count(oct_evaluation *e, const int *order)
{
    *e = (oct_evaluation){.n_sides = 2, .n_classes = 10};
    e->sample = oct_zalloc_array(ctx, N, sizeof(oct_eval_sample *));
    for (int i = 0; i < N; i++)
        add(e, order[i], table[order[i]]);
    assert_int_equal(oct_evaluation_count(ctx, &(oct_eval_options){0}, e), OCT_OK);
}

static void counts_do_not_depend_on_the_order_of_arrival(void **state)
{
    (void)state;
    const int orders[][N] = {{0, 1, 2, 3, 4, 5, 6}, {6, 4, 5, 0, 2, 3, 1}};
    for (int k = 0; k < 2; k++) {
        oct_evaluation e;
        count(&e, orders[k]);
        const oct_eval_pair *p = e.pair;
        assert_int_equal(e.n_labelled, 6);
        assert_int_equal(e.side[0].n_top1, 3);
        assert_int_equal(e.side[1].n_top1, 2);
        assert_int_equal(e.side[0].n_top5, 4);
        assert_int_equal(e.side[1].n_top5, 3);
        assert_int_equal(p->paired.both, 1);
        assert_int_equal(p->paired.only_ref, 2);
        assert_int_equal(p->paired.only_cand, 1);
        assert_int_equal(p->paired.neither, 2);
        assert_int_equal(p->n_agree, 3);
        assert_int_equal(p->n_flips, 4);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(p->flip[i].index, i + 1);
        assert_int_equal(p->n_confusion, 3);
        assert_int_equal(p->confusion[0].ref, 2);
        assert_int_equal(p->confusion[0].cand, 3);
        assert_int_equal(p->confusion[0].n, 2);
        assert_int_equal(p->confusion[1].ref, 5);
        assert_int_equal(p->confusion[2].ref, 7);
        assert_true(fabs(p->sqnr_db - 20) < 1e-12);
        assert_true(fabs(p->cosine - 1) < 1e-12);
        assert_true(p->max_error == 6);
        oct_evaluation_deinit(ctx, &e);
    }
}

static void outputs_of_other_shapes_have_no_distance(void **state)
{
    (void)state;
    oct_evaluation e = {.n_sides = 2, .n_classes = 10};
    e.sample = oct_zalloc_array(ctx, 1, sizeof(oct_eval_sample *));
    add(&e, 0, table[0]);
    e.sample[0]->row[1].comparable = e.sample[0]->row[1].finite = false;
    assert_int_equal(oct_evaluation_count(ctx, &(oct_eval_options){0}, &e), OCT_OK);
    assert_false(e.pair->has_distance);
    assert_true(isnan(e.pair->sqnr_db));
    assert_int_equal(e.side[1].n_nonfinite, 1);
    oct_evaluation_deinit(ctx, &e);
}

static void nothing_to_count_is_an_error(void **state)
{
    (void)state;
    oct_evaluation e = {.n_sides = 2};
    assert_int_equal(oct_evaluation_count(ctx, &(oct_eval_options){0}, &e), OCT_ERR_NOT_FOUND);
    oct_error_clear(ctx);
}

static void chance_is_suspect(void **state)
{
    (void)state;
    oct_evaluation e = {.n_labelled = 1000, .n_classes = 10};
    e.side[0].n_top1 = 199;
    assert_true(oct_evaluation_is_suspect(&e));
    e.side[0].n_top1 = 201;
    assert_false(oct_evaluation_is_suspect(&e));
    e.n_classes = 2;
    e.side[0].n_top1 = 860;
    assert_false(oct_evaluation_is_suspect(&e));
    e.n_labelled = 0;
    assert_false(oct_evaluation_is_suspect(&e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_gives_ties_to_the_lower_class_and_nan_last),
        cmocka_unit_test(best_equals_repeated_argmax),
        cmocka_unit_test(counts_do_not_depend_on_the_order_of_arrival),
        cmocka_unit_test(outputs_of_other_shapes_have_no_distance),
        cmocka_unit_test(nothing_to_count_is_an_error),
        cmocka_unit_test(chance_is_suspect),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
