/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing thresholds for a whole network by its outputs.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "quant/choose.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/tiny_onnx.h"

static oct_ctx *ctx;
static oct_model *model;

static int setup(void **state)
{
    (void)state;
    float w[16];
    oct_rng rng = {.state = 3};
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    for (int i = 0; i < 16; i++)
        w[i] = oct_rng_normal(&rng);
    const oct_tiny_onnx onnx = oct_tiny_onnx_matmul(w);
    return oct_model_parse(ctx, onnx.data, onnx.n, NULL, NULL, &model) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_model_free(model);
    oct_ctx_free(ctx);
    return 0;
}

/* ---- images in memory: uniform in [-1, 1] ------------------------------------------------ */

enum { N_IMAGES = 24 };

typedef struct memory_batch {
    oct_batch b;
    oct_tensor in;
    oct_sample sample;
    float x[4];
} memory_batch;

typedef struct memory_source {
    oct_batch_source base;
    pthread_mutex_t lock;
    int next, n;
    memory_batch image[N_IMAGES];
} memory_source;

static int64_t count(const oct_batch_source *s)
{
    return ((const memory_source *)s)->n;
}

static oct_status next(oct_batch_source *s, oct_ctx *c, const oct_batch **out)
{
    memory_source *m = (memory_source *)s;
    (void)c;
    pthread_mutex_lock(&m->lock);
    *out = m->next < m->n ? &m->image[m->next++].b : NULL;
    pthread_mutex_unlock(&m->lock);
    return OCT_OK;
}

static void release(oct_batch_source *s, const oct_batch *b)
{
    (void)s;
    (void)b;
}

static const oct_batch_source_vtable vtable = {
    .n_samples = count, .next = next, .release = release};

static memory_source *source_of(int n)
{
    memory_source *m = test_calloc(1, sizeof *m);
    oct_rng rng = {.state = 9};
    m->base.vt = &vtable;
    m->n = n;
    pthread_mutex_init(&m->lock, NULL);
    for (int i = 0; i < n; i++) {
        memory_batch *b = &m->image[i];
        const oct_shape shape = {{1, 4}, 2};
        for (int k = 0; k < 4; k++)
            b->x[k] = 2 * oct_rng_f32(&rng) - 1;
        b->in.desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW);
        b->in.data = b->x;
        b->sample.index = i;
        b->b = (oct_batch){(uint64_t)i, 1, &b->in, 1, &b->sample};
    }
    return m;
}

static bool find_amax(void *user, const char *name, float *amax)
{
    (void)name;
    *amax = *(const float *)user;
    return true;
}

static oct_status choose(const float *amax, int n, int n_images, int workers,
                         oct_choose_result *out)
{
    oct_choose_candidate c[OCT_CHOOSE_MAX];
    const oct_scheme scheme = {.target = OCT_TARGET_OCTET};
    const oct_choose_options opt = {.workers = workers};
    memory_source *m = source_of(n_images);
    for (int i = 0; i < n; i++)
        c[i] = (oct_choose_candidate){"a threshold", {(void *)(uintptr_t)&amax[i], find_amax}};
    const oct_status st = oct_choose(ctx, model, c, n, &scheme, &m->base, &opt, out);
    test_free(m);
    return st;
}

static void the_fitting_threshold_wins_wherever_it_stands(void **state)
{
    (void)state;
    const float order[3][3] = {{1.0f, 0.2f, 30.0f}, {0.2f, 1.0f, 30.0f}, {30.0f, 0.2f, 1.0f}};
    for (int i = 0; i < 3; i++) {
        oct_choose_result r;
        if (choose(order[i], 3, N_IMAGES, 1, &r) != OCT_OK)
            fail_msg("%s", oct_error_text(ctx));
        assert_int_equal(r.best, i);
        assert_int_equal(r.n_images, N_IMAGES);
        assert_true(r.score_db[i] > 30); /* 8 bits over the range give about 50 dB less the sum's */
        for (int k = 0; k < 3; k++)
            assert_true(k == i || r.score_db[k] < r.score_db[i] - 5);
    }
}

static void ties_go_to_the_earlier_one(void **state)
{
    (void)state;
    const float same[] = {1.0f, 1.0f, 1.0f};
    oct_choose_result r;
    assert_int_equal(choose(same, 3, 8, 1, &r), OCT_OK);
    assert_int_equal(r.best, 0);
    assert_true(r.score_db[0] == r.score_db[2]);
    const double sure[4] = {0};
    assert_int_equal(oct_choose_best((const double[]){1, 2, 2, -INFINITY}, sure, 4), 1);
    assert_int_equal(oct_choose_best((const double[]){-INFINITY, -INFINITY}, sure, 2), 0);
}

static void a_lead_within_its_error_leaves_the_first(void **state)
{
    const double score[3] = {20, 20.5, 21}, error[3] = {0, 0.1, 0.7};
    assert_int_equal(oct_choose_best(score, error, 2), 1); /* 5 errors */
    assert_int_equal(oct_choose_best(score, error, 3), 0); /* the best by 1.4 */
    assert_int_equal(oct_choose_best((const double[]){-INFINITY, 3}, (const double[]){0, 0}, 2), 1);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const float amax[] = {0.9f, 1.1f};
    oct_choose_result one, four;
    assert_int_equal(choose(amax, 2, N_IMAGES, 1, &one), OCT_OK);
    assert_int_equal(choose(amax, 2, N_IMAGES, 4, &four), OCT_OK);
    assert_memory_equal(one.score_db, four.score_db, 2 * sizeof(double));
}

static void no_image_is_an_error(void **state)
{
    (void)state;
    const float amax[] = {1.0f};
    oct_choose_result r;
    assert_int_equal(choose(amax, 1, 0, 2, &r), OCT_ERR_NOT_FOUND);
    oct_error_clear(ctx);
}

static void decibels_of_one_output(void **state)
{
    (void)state;
    assert_true(fabs(oct_choose_output_db(100, 1, true) - 20) < 1e-12);
    assert_true(oct_choose_output_db(1, 0, true) == OCT_CHOOSE_MAX_DB);
    assert_true(oct_choose_output_db(0, 0, true) == OCT_CHOOSE_MAX_DB);
    assert_true(oct_choose_output_db(1e30, 1e-30, true) == OCT_CHOOSE_MAX_DB);
    assert_true(oct_choose_output_db(0, 1, true) == -OCT_CHOOSE_MAX_DB);
    assert_true(isinf(oct_choose_output_db(100, 1, false)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fitting_threshold_wins_wherever_it_stands),
        cmocka_unit_test(ties_go_to_the_earlier_one),
        cmocka_unit_test(a_lead_within_its_error_leaves_the_first),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(no_image_is_an_error),
        cmocka_unit_test(decibels_of_one_output),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
