/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static void matmul_takes_a_bias(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(2, 7, 12));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(12, 10));
    const oct_value_id b = gb_weight(c->g, c->ctx, "b", GB_DIMS(10));
    const oct_value_id y =
        gb_node(c->g, c->ctx, OCT_OP_MATMUL, "mm", NULL, GB_DIMS(2, 7, 10), GB_IN(x, w));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(b, y)));
    assert_int_equal(ec_count(c, OCT_OP_ADD), 0);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void matmul_leaves_a_column_alone(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(7, 12));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(12, 10));
    const oct_value_id b = gb_weight(c->g, c->ctx, "b", GB_DIMS(7, 1));
    const oct_value_id y =
        gb_node(c->g, c->ctx, OCT_OP_MATMUL, "mm", NULL, GB_DIMS(7, 10), GB_IN(x, w));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(y, b)));
    assert_int_equal(ec_count(c, OCT_OP_ADD), 1);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void gemm_loses_alpha_and_beta(void **state)
{
    engine_case *c = *state;
    oct_attr_gemm a;
    oct_op_attr_defaults(OCT_OP_GEMM, &a);
    a.alpha = 0.5F;
    a.beta = 2.0F;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(7, 12));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(12, 10));
    const oct_value_id b = gb_weight(c->g, c->ctx, "b", GB_DIMS(10));
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_GEMM, "fc", &a, GB_DIMS(7, 10), GB_IN(x, w, b)));
    oct_graph *g = ec_rewritten(c);
    const oct_attr_gemm *left = gb_find(g, "fc")->attr;
    assert_true(left->alpha == 1.0F && left->beta == 1.0F);
    oct_graph_free(g);
    ec_assert_unchanged(c, "ref", 1e-6);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(matmul_takes_a_bias),
        CASE(matmul_leaves_a_column_alone),
        CASE(gemm_loses_alpha_and_beta),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
