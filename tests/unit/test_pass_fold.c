/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static void constants_fold_through_a_chain(void **state)
{
    engine_case *c = *state;
    const oct_value_id a = gb_weight(c->g, c->ctx, "a", GB_DIMS(3, 4));
    const oct_value_id b = gb_weight(c->g, c->ctx, "bb", GB_DIMS(4));
    const oct_value_id s = gb_node(c->g, c->ctx, OCT_OP_ADD, "s", NULL, NULL, GB_IN(a, b));
    const oct_value_id t = gb_node(c->g, c->ctx, OCT_OP_EXP, "t", NULL, NULL, GB_IN(s));
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(3, 4));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_MUL, "y", NULL, NULL, GB_IN(x, t)));
    oct_graph *g = ec_rewritten(c);
    uint32_t n;
    oct_graph_order(g, &n);
    assert_int_equal(n, 1);
    oct_graph_free(g);
    ec_assert_unchanged(c, "ref", 0.0);
}

static void an_observed_constant_expression_stays(void **state)
{
    engine_case *c = *state;
    const oct_value_id a = gb_weight(c->g, c->ctx, "a", GB_DIMS(3, 4));
    const oct_value_id t = gb_node(c->g, c->ctx, OCT_OP_EXP, "t", NULL, NULL, GB_IN(a));
    oct_graph_value(c->g, t)->observed = true;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(3, 4));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_MUL, "y", NULL, NULL, GB_IN(x, t)));
    assert_int_equal(ec_count(c, OCT_OP_EXP), 1);
}

static void no_ops_vanish_but_outputs_keep_their_name(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(3, 4));
    const oct_value_id i = gb_node(c->g, c->ctx, OCT_OP_IDENTITY, "i", NULL, NULL, GB_IN(x));
    const oct_value_id d = gb_node(c->g, c->ctx, OCT_OP_DROPOUT, "d", NULL, NULL, GB_IN(i));
    const oct_value_id y = gb_node(c->g, c->ctx, OCT_OP_NEG, "y", NULL, NULL, GB_IN(d));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_IDENTITY, "z", NULL, NULL, GB_IN(y)));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_IDENTITY, "copy", NULL, NULL, GB_IN(x)));
    assert_int_equal(ec_count(c, OCT_OP_DROPOUT), 0);
    assert_int_equal(ec_count(c, OCT_OP_IDENTITY), 2);
    ec_assert_unchanged(c, "ref", 0.0);
    ec_assert_unchanged(c, "cpu", 0.0);
}

static void unused_nodes_go(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(3, 4));
    gb_node(c->g, c->ctx, OCT_OP_EXP, "unused", NULL, NULL, GB_IN(x));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_NEG, "y", NULL, NULL, GB_IN(x)));
    assert_int_equal(ec_count(c, OCT_OP_EXP), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(constants_fold_through_a_chain),
        CASE(an_observed_constant_expression_stays),
        CASE(no_ops_vanish_but_outputs_keep_their_name),
        CASE(unused_nodes_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
