/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static oct_value_id conv(engine_case *c, const char *name, oct_value_id x)
{
    oct_attr_window a;
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    char weight[16] = "w_";
    weight[2] = name[0];
    weight[3] = name[1];
    weight[4] = '\0';
    const oct_value_id w = gb_weight(c->g, c->ctx, weight, GB_DIMS(8, 8, 1, 1));
    return gb_node(c->g, c->ctx, OCT_OP_CONV, name, &a, GB_DIMS(1, 8, 6, 6), GB_IN(x, w));
}

static oct_value_id input(engine_case *c)
{
    return gb_input(c->g, c->ctx, "x", GB_DIMS(1, 8, 6, 6));
}

/* Every activation with an epilogue form ends in its convolution. */
static void takes_every_activation(void **state)
{
    static const oct_op op[] = {OCT_OP_RELU,       OCT_OP_SIGMOID, OCT_OP_TANH,
                                OCT_OP_LEAKY_RELU, OCT_OP_ELU,     OCT_OP_HARD_SIGMOID,
                                OCT_OP_HARD_SWISH, OCT_OP_SWISH,   OCT_OP_MISH,
                                OCT_OP_GELU,       OCT_OP_SOFTPLUS};
    for (size_t i = 0; i < sizeof op / sizeof op[0]; i++) {
        void *one;
        engine_case_setup(&one);
        engine_case *c = one;
        const oct_value_id y = conv(c, "c0", input(c));
        gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, op[i], "act", NULL, NULL, GB_IN(y)));
        assert_int_equal(ec_count(c, op[i]), 0);
        ec_assert_unchanged(c, "ref", 1e-5);
        ec_assert_unchanged(c, "cpu", 1e-5);
        engine_case_teardown(&one);
    }
    (void)state;
}

static void takes_a_clip_with_one_bound(void **state)
{
    engine_case *c = *state;
    const oct_value_id lo = gb_fill(c->g, c->ctx, "lo", (const int64_t[]){0}, -0.25F);
    const oct_value_id y = conv(c, "c0", input(c));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_CLIP, "clip", NULL, NULL, GB_IN(y, lo)));
    assert_int_equal(ec_count(c, OCT_OP_CLIP), 0);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void takes_residual_and_activation(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id y = conv(c, "c1", conv(c, "c0", x));
    const oct_value_id sum = gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(x, y));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_RELU, "relu", NULL, NULL, GB_IN(sum)));
    assert_int_equal(ec_count(c, OCT_OP_ADD), 0);
    assert_int_equal(ec_count(c, OCT_OP_RELU), 0);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

/* The later of two convolutions has the other's result to add. */
static void takes_the_other_convolution_as_residual(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id a = conv(c, "c0", x), b = conv(c, "c1", x);
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(a, b)));
    oct_graph *g = ec_rewritten(c);
    assert_int_equal(gb_find(g, "c0")->epilogue.residual, -1);
    assert_true(gb_find(g, "c1")->epilogue.residual >= 0);
    oct_graph_free(g);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void adds_a_value_to_itself_as_it_is(void **state)
{
    engine_case *c = *state;
    const oct_value_id y = conv(c, "c0", input(c));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(y, y)));
    assert_int_equal(ec_count(c, OCT_OP_ADD), 1);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void leaves_observed_values_alone(void **state)
{
    engine_case *c = *state;
    const oct_value_id y = conv(c, "c0", input(c));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_RELU, "relu", NULL, NULL, GB_IN(y)));
    oct_graph_value(c->g, y)->observed = true;
    assert_int_equal(ec_count(c, OCT_OP_RELU), 1);
}

static void leaves_a_broadcast_add_alone(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id r = gb_input(c->g, c->ctx, "r", GB_DIMS(1, 8, 1, 1));
    const oct_value_id y = conv(c, "c0", x);
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(y, r)));
    assert_int_equal(ec_count(c, OCT_OP_ADD), 1);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(takes_every_activation),          CASE(takes_a_clip_with_one_bound),
        CASE(takes_residual_and_activation),   CASE(takes_the_other_convolution_as_residual),
        CASE(adds_a_value_to_itself_as_it_is), CASE(leaves_observed_values_alone),
        CASE(leaves_a_broadcast_add_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
