/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static oct_value_id list(engine_case *c, const char *name, const int64_t *x, int64_t n)
{
    const oct_shape s = {.dim = {n}, .n_dims = 1};
    oct_value_id v;
    assert_int_equal(oct_graph_add_constant(c->g, c->ctx, name, OCT_DT_S64, &s, x, true, &v),
                     OCT_OK);
    return v;
}

/* Pad x by `pads`, then a 3x3 op of stride 2. */
static void padded(engine_case *c, oct_op op, const int64_t pads[8], const int64_t *mid,
                   const int64_t *out)
{
    oct_attr_window a;
    oct_op_attr_defaults(op, &a);
    a.n_kernel = a.n_stride = 2;
    a.kernel[0] = a.kernel[1] = 3;
    a.stride[0] = a.stride[1] = 2;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(1, 4, 8, 8));
    const oct_value_id p =
        gb_node(c->g, c->ctx, OCT_OP_PAD, "pad", NULL, mid, GB_IN(x, list(c, "pads", pads, 8)));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(5, mid[1], 3, 3));
    gb_output(c->g, c->ctx,
              op == OCT_OP_CONV ? gb_node(c->g, c->ctx, op, "op", &a, out, GB_IN(p, w))
                                : gb_node(c->g, c->ctx, op, "op", &a, out, GB_IN(p)));
}

static void goes_into_a_convolution(void **state)
{
    engine_case *c = *state;
    static const int64_t pads[8] = {0, 0, 0, 1, 0, 0, 1, 2};
    padded(c, OCT_OP_CONV, pads, GB_DIMS(1, 4, 9, 11), GB_DIMS(1, 5, 4, 5));
    assert_int_equal(ec_count(c, OCT_OP_PAD), 0);
    ec_assert_unchanged(c, "ref", 1e-6);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

/* The zeros are counted, as they were when they were elements. */
static void goes_into_an_average_pool(void **state)
{
    engine_case *c = *state;
    static const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    padded(c, OCT_OP_AVERAGE_POOL, pads, GB_DIMS(1, 4, 10, 10), GB_DIMS(1, 4, 4, 4));
    assert_int_equal(ec_count(c, OCT_OP_PAD), 0);
    ec_assert_unchanged(c, "ref", 1e-6);
    ec_assert_unchanged(c, "cpu", 1e-6);
}

static void stays_before_a_max_pool(void **state)
{
    engine_case *c = *state;
    static const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    padded(c, OCT_OP_MAX_POOL, pads, GB_DIMS(1, 4, 10, 10), GB_DIMS(1, 4, 4, 4));
    assert_int_equal(ec_count(c, OCT_OP_PAD), 1);
    ec_assert_unchanged(c, "cpu", 1e-6);
}

static void stays_when_it_pads_channels(void **state)
{
    engine_case *c = *state;
    static const int64_t pads[8] = {0, 1, 0, 0, 0, 1, 0, 0};
    padded(c, OCT_OP_CONV, pads, GB_DIMS(1, 6, 8, 8), GB_DIMS(1, 5, 3, 3));
    assert_int_equal(ec_count(c, OCT_OP_PAD), 1);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(goes_into_a_convolution),
        CASE(goes_into_an_average_pool),
        CASE(stays_before_a_max_pool),
        CASE(stays_when_it_pads_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
