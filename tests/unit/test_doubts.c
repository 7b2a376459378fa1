/* SPDX-License-Identifier: Apache-2.0
 *
 * Doubts about labels, raised by what they describe and by nothing else.
 */
#include <string.h>

#include "accuracy/doubts.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"

enum { N = 400, CLASSES = 10 };

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

/* Nine of ten images are called answer(label). The output has `n_classes` classes. */
static void make(oct_evaluation *e, int n_classes, int32_t (*answer)(int32_t label))
{
    oct_rng rng = {.state = 4};
    *e = (oct_evaluation){.n_sides = 1, .n_classes = (size_t)n_classes, .n = N, .n_labelled = N};
    e->sample = oct_zalloc_array(ctx, N, sizeof(oct_eval_sample *));
    for (int i = 0; i < N; i++) {
        oct_eval_sample *s = oct_zalloc(ctx, sizeof *s + sizeof s->row[0]);
        s->index = i;
        s->label = i % CLASSES;
        memset(s->row[0].top, -1, sizeof s->row[0].top);
        const bool noise = oct_rng_below(&rng, 10) == 0;
        s->row[0].top[0] =
            noise ? (int32_t)oct_rng_below(&rng, (uint64_t)n_classes) : answer(s->label);
        s->row[0].top[1] = answer(s->label) == 0 ? 1 : answer(s->label);
        e->side[0].n_top1 += s->row[0].top[0] == s->label;
        e->sample[i] = s;
    }
}

static void doubts_of(oct_evaluation *e, oct_doubts *d)
{
    *d = (oct_doubts){.n = 0};
    assert_int_equal(oct_doubts_labels(ctx, e, d), OCT_OK);
    oct_evaluation_deinit(ctx, e);
}

static int32_t same(int32_t label)
{
    return label;
}
static int32_t next(int32_t label)
{
    return label + 1;
}
static int32_t previous(int32_t label)
{
    return label > 0 ? label - 1 : 3;
}
static int32_t shuffled(int32_t label)
{
    return (7 * label + 3) % CLASSES;
}
static int32_t constant(int32_t label)
{
    (void)label;
    return 4;
}

static void right_labels_raise_nothing(void **state)
{
    (void)state;
    oct_evaluation e;
    oct_doubts d;
    make(&e, CLASSES, same);
    doubts_of(&e, &d);
    assert_int_equal(d.n, 0);
}

static void an_offset_is_named_with_its_sign(void **state)
{
    (void)state;
    oct_evaluation e;
    oct_doubts d;
    make(&e, CLASSES + 1, next);
    doubts_of(&e, &d);
    assert_true(d.n >= 1);
    assert_non_null(strstr(d.item[0].remedy, "--"));
    bool larger = false;
    for (size_t i = 0; i < d.n; i++)
        larger = larger || strcmp(d.item[i].text, "labels larger by one") == 0;
    assert_true(larger);
    make(&e, CLASSES, previous);
    doubts_of(&e, &d);
    assert_int_equal(d.n, 1);
    assert_string_equal(d.item[0].text, "labels smaller by one");
}

static void a_background_class_is_proposed_only_if_there_is_one_to_spare(void **state)
{
    (void)state;
    oct_evaluation e;
    oct_doubts d;
    bool found = false;
    make(&e, CLASSES + 1, next);
    doubts_of(&e, &d);
    for (size_t i = 0; i < d.n; i++)
        found = found || strcmp(d.item[i].remedy, "--drop-class 0") == 0;
    assert_true(found);
    make(&e, CLASSES, next);
    e.n_classes = CLASSES; /* label 9 stands for the last class */
    doubts_of(&e, &d);
    for (size_t i = 0; i < d.n; i++)
        assert_string_not_equal(d.item[i].remedy, "--drop-class 0");
}

static void another_order_is_told_with_an_example(void **state)
{
    (void)state;
    oct_evaluation e;
    oct_doubts d;
    make(&e, CLASSES, shuffled);
    doubts_of(&e, &d);
    assert_int_equal(d.n, 1);
    assert_non_null(strstr(d.item[0].text, "another order"));
    assert_non_null(strstr(d.item[0].text, "those of 0 by 3"));
    assert_true(d.item[0].n_alt > 8 * d.item[0].n_ref);
}

static void a_useless_network_is_no_matter_of_order(void **state)
{
    (void)state;
    oct_evaluation e;
    oct_doubts d;
    make(&e, CLASSES, constant);
    doubts_of(&e, &d);
    for (size_t i = 0; i < d.n; i++)
        assert_null(strstr(d.item[i].text, "another order"));
}

static void chance_is_not_enough(void **state)
{
    (void)state;
    assert_false(
        oct_doubt_is_raised(&(oct_paired_counts){.both = 90, .only_cand = 3, .neither = 7}));
    assert_false(oct_doubt_is_raised(&(oct_paired_counts){.both = 4000, .only_cand = 12}));
    assert_false(oct_doubt_is_raised(&(oct_paired_counts){.both = 50, .only_ref = 40}));
    assert_true(
        oct_doubt_is_raised(&(oct_paired_counts){.both = 80, .only_cand = 15, .only_ref = 2}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_labels_raise_nothing),
        cmocka_unit_test(an_offset_is_named_with_its_sign),
        cmocka_unit_test(a_background_class_is_proposed_only_if_there_is_one_to_spare),
        cmocka_unit_test(another_order_is_told_with_an_example),
        cmocka_unit_test(a_useless_network_is_no_matter_of_order),
        cmocka_unit_test(chance_is_not_enough),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
