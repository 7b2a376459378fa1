/* SPDX-License-Identifier: Apache-2.0
 *
 * Who the samples are, and the rules that divide them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "datasets/listing.h"
#include "datasets/presets.h"
#include "tests/support/cmocka_all.h"

#define SAMPLE "datasets/sample/mnist/calibration"
#ifndef OCT_TEST_SOURCE_DIR
#define OCT_TEST_SOURCE_DIR "."
#endif

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

static oct_listing_item item_of(int n, int64_t index)
{
    oct_listing_item it = {.index = index, .readable = true};
    oct_sha256_of(&n, sizeof n, &it.id);
    return it;
}

/* ---- rules ------------------------------------------------------------------------------- */

static void one_in_four_calibrates(void **state)
{
    (void)state;
    int n = 0;
    for (int i = 0; i < 4000; i++) {
        const oct_listing_item it = item_of(i, i);
        n += oct_listing_calibrates(&it.id);
    }
    assert_in_range(n, 900, 1100);
}

static void what_is_held_back_does_not_depend_on_order(void **state)
{
    (void)state;
    enum { N = 100 };
    oct_listing_item a[N], b[N];
    bool in_a[N], in_b[N];
    size_t n_a, n_b;
    for (int i = 0; i < N; i++) {
        a[i] = item_of(i, i);
        b[N - 1 - i] = a[i];
    }
    const oct_listing la = {ctx, a, N}, lb = {ctx, b, N};
    assert_int_equal(oct_listing_hold_back(&la, 13, in_a, &n_a), OCT_OK);
    assert_int_equal(oct_listing_hold_back(&lb, 13, in_b, &n_b), OCT_OK);
    assert_int_equal(n_a, 13);
    assert_int_equal(n_b, 13);
    for (int i = 0; i < N; i++)
        assert_int_equal(in_a[i], in_b[N - 1 - i]);
}

static void equal_pictures_stay_together_and_one_stays_behind(void **state)
{
    (void)state;
    oct_listing_item it[6];
    bool held[6];
    size_t n;
    for (int i = 0; i < 6; i++)
        it[i] = item_of(i / 3, i); /* two pictures, three times each */
    const oct_listing l = {ctx, it, 6};
    for (size_t want = 1; want <= 6; want++) {
        assert_int_equal(oct_listing_hold_back(&l, want, held, &n), OCT_OK);
        assert_int_equal(n, 3);
        assert_int_equal(held[0], held[2]);
        assert_int_equal(held[3], held[5]);
    }
    const oct_listing one = {ctx, it, 3};
    assert_int_equal(oct_listing_hold_back(&one, 1, held, &n), OCT_OK);
    assert_int_equal(n, 0);
    it[0].readable = it[1].readable = it[2].readable = false;
    assert_int_equal(oct_listing_hold_back(&l, 1, held, &n), OCT_OK);
    assert_int_equal(n, 0);
}

static void finds_ids_after_sorting(void **state)
{
    (void)state;
    oct_listing_item it[50];
    for (int i = 0; i < 50; i++)
        it[i] = item_of(2 * i, i);
    it[7].readable = false;
    oct_listing l = {ctx, it, 50};
    oct_listing_sort(&l);
    for (int i = 0; i < 100; i++) {
        const oct_listing_item x = item_of(i, 0);
        assert_int_equal(oct_listing_has(&l, &x.id), i % 2 == 0 && i != 14);
    }
}

/* ---- real data sets ---------------------------------------------------------------------- */

static oct_batch_source *open_sample(const char *path, const int64_t *order, int64_t n)
{
    const oct_input_spec in = {"x", OCT_DT_F32, {{-1, 1, 28, 28}, 4}};
    const oct_image_input image = oct_image_input_of(&in.shape);
    oct_preprocess spec;
    oct_batch_source *s = NULL;
    assert_int_equal(oct_preset_apply(ctx, "mnist", &image, &spec), OCT_OK);
    const oct_dataset_options opt = {.path = path,
                                     .preprocess = &spec,
                                     .input = &in,
                                     .n_inputs = 1,
                                     .order = order,
                                     .n_order = n};
    if (oct_dataset_open(ctx, &opt, &s) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    return s;
}

static void ids_are_those_that_loading_gives(void **state)
{
    (void)state;
    oct_batch_source *s = open_sample(OCT_TEST_SOURCE_DIR "/" SAMPLE, NULL, 0);
    oct_listing one, three;
    assert_int_equal(oct_listing_make(ctx, s, 1, &one), OCT_OK);
    assert_int_equal(oct_listing_make(ctx, s, 3, &three), OCT_OK);
    assert_int_equal(one.n, 200);
    for (size_t i = 0; i < one.n; i++) {
        const oct_batch *b;
        assert_int_equal(s->vt->next(s, ctx, &b), OCT_OK);
        assert_memory_equal(&b->sample[0].id, &one.item[i].id, sizeof one.item[i].id);
        assert_memory_equal(&three.item[i].id, &one.item[i].id, sizeof one.item[i].id);
        assert_int_equal(b->sample[0].label, one.item[i].label);
        s->vt->release(s, b);
    }
    oct_listing_deinit(&one);
    oct_listing_deinit(&three);
    s->vt->close(s);
}

static void an_order_chooses_exactly_its_samples(void **state)
{
    (void)state;
    const int64_t order[] = {3, 77, 199};
    oct_batch_source *s = open_sample(OCT_TEST_SOURCE_DIR "/" SAMPLE, order, 3);
    assert_int_equal(s->vt->n_samples(s), 3);
    for (int i = 0; i < 3; i++) {
        const oct_batch *b;
        assert_int_equal(s->vt->next(s, ctx, &b), OCT_OK);
        assert_int_equal(b->sample[0].index, order[i]);
        s->vt->release(s, b);
    }
    s->vt->close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_in_four_calibrates),
        cmocka_unit_test(what_is_held_back_does_not_depend_on_order),
        cmocka_unit_test(equal_pictures_stay_together_and_one_stays_behind),
        cmocka_unit_test(finds_ids_after_sorting),
        cmocka_unit_test(ids_are_those_that_loading_gives),
        cmocka_unit_test(an_order_chooses_exactly_its_samples),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
