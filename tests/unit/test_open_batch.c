/* SPDX-License-Identifier: Apache-2.0
 *
 * Models exported for four images at a time: one image computes what four do, and a model that
 * depends on the number is refused with the node.
 */
#include <string.h>

#include "engine/model.h"
#include "engine/open_batch.h"
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

enum { BATCH = 4 };

/* Convolution, then a Reshape to {first, 48} as exporters write view(n, -1), then Gemm. */
static void net(engine_case *c, int64_t first, int64_t second)
{
    oct_graph *g = c->g;
    oct_ctx *ctx = c->ctx;
    oct_attr_window a;
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    const int64_t to[2] = {first, second};
    const oct_shape two = {.dim = {2}, .n_dims = 1};
    oct_value_id shape;
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(BATCH, 2, 4, 4));
    const oct_value_id w = gb_weight(g, ctx, "w", GB_DIMS(3, 2, 3, 3));
    const oct_value_id m = gb_weight(g, ctx, "m", GB_DIMS(48, 5));
    assert_int_equal(oct_graph_add_constant(g, ctx, "to", OCT_DT_S64, &two, to, true, &shape),
                     OCT_OK);
    const oct_value_id y =
        gb_node(g, ctx, OCT_OP_CONV, "conv", &a, GB_DIMS(BATCH, 3, 4, 4), GB_IN(x, w));
    const oct_value_id r =
        gb_node(g, ctx, OCT_OP_RESHAPE, "flat", NULL, GB_DIMS(BATCH, 48), GB_IN(y, shape));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_GEMM, "y", NULL, GB_DIMS(BATCH, 5), GB_IN(r, m)));
}

/* Runs the model on the first `n` of four images; 5 numbers each. */
static void run(engine_case *c, const oct_model *m, int64_t n, float *y)
{
    static float x[BATCH * 32];
    for (int i = 0; i < BATCH * 32; i++)
        x[i] = (float)((i * 37) % 64) / 32 - 1;
    const oct_engine_options opt = {.backend = "ref", .threads = 1};
    const oct_shape shape = {.dim = {n, 2, 4, 4}, .n_dims = 4};
    const oct_tensor in = {oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW), x};
    oct_tensor out;
    oct_engine *e = NULL;
    oct_worker *w = NULL;
    assert_int_equal(oct_engine_new(c->ctx, m, &opt, &e), OCT_OK);
    assert_int_equal(oct_worker_new(e, c->ctx, &w), OCT_OK);
    assert_int_equal(oct_worker_run(w, c->ctx, &in, 1, &out, 1, NULL), OCT_OK);
    assert_int_equal(out.desc.shape.dim[0], n);
    memcpy(y, out.data, (size_t)n * 5 * sizeof *y);
    oct_worker_free(w, c->ctx);
    oct_engine_free(e, c->ctx);
}

static void check_rows(engine_case *c)
{
    float want[BATCH * 5], got[BATCH * 5];
    oct_model *fixed = ec_model(c), *opened = ec_model(c);
    assert_int_equal(oct_model_open_batch(c->ctx, opened), OCT_OK);
    run(c, fixed, BATCH, want);
    run(c, opened, BATCH, got);
    assert_memory_equal(got, want, sizeof want);
    for (int64_t n = 1; n < BATCH; n++) {
        run(c, opened, n, got);
        assert_memory_equal(got, want, (size_t)n * 5 * sizeof *want);
    }
    oct_model_free(opened);
    oct_model_free(fixed);
}

static void a_reshape_that_repeats_the_batch_follows(void **state)
{
    net(*state, BATCH, -1);
    check_rows(*state);
}

static void a_reshape_that_derives_the_batch_is_left(void **state)
{
    net(*state, -1, 48);
    check_rows(*state);
}

static void an_open_batch_stays_as_it_is(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(OCT_DIM_SYMBOL(3), 6));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_RELU, "y", NULL, NULL, GB_IN(x)));
    assert_int_equal(oct_graph_open_batch(c->ctx, c->g), OCT_OK);
    assert_true(oct_graph_value(c->g, x)->shape.dim[0] == OCT_DIM_SYMBOL(3));
}

/* A constant with a row for each image. */
static void a_model_that_depends_on_its_batch_is_refused(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(BATCH, 6));
    const oct_value_id k = gb_weight(c->g, c->ctx, "k", GB_DIMS(BATCH, 6));
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_ADD, "sum", NULL, GB_DIMS(BATCH, 6), GB_IN(x, k)));
    assert_int_equal(oct_graph_open_batch(c->ctx, c->g), OCT_ERR_UNSUPPORTED);
    assert_non_null(strstr(oct_error_text(c->ctx), "4 images at a time"));
    assert_non_null(strstr(oct_error_text(c->ctx), "'sum'"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reshape_that_repeats_the_batch_follows),
        TEST(a_reshape_that_derives_the_batch_is_left),
        TEST(an_open_batch_stays_as_it_is),
        TEST(a_model_that_depends_on_its_batch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
