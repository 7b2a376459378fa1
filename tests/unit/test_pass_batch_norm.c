/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

#include <string.h>

/* conv 3x3 (8 -> 6), or ConvTranspose, then BatchNormalization with varied parameters. */
static oct_value_id conv_bn(engine_case *c, oct_op op, oct_value_id *conv)
{
    oct_attr_window a;
    oct_op_attr_defaults(op, &a);
    a.group = 2;
    a.n_pad = 4;
    for (int i = 0; i < 4; i++)
        a.pad[i] = 1;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(2, 8, 7, 5));
    const oct_value_id w = op == OCT_OP_CONV ? gb_weight(c->g, c->ctx, "w", GB_DIMS(6, 4, 3, 3))
                                             : gb_weight(c->g, c->ctx, "w", GB_DIMS(8, 3, 3, 3));
    const oct_value_id b = gb_weight(c->g, c->ctx, "b", GB_DIMS(6));
    *conv = gb_node(c->g, c->ctx, op, "conv", &a, GB_DIMS(2, 6, 7, 5), GB_IN(x, w, b));
    oct_attr_norm norm;
    oct_op_attr_defaults(OCT_OP_BATCH_NORM, &norm);
    norm.epsilon = 1e-3F;
    const oct_value_id scale = gb_weight(c->g, c->ctx, "scale", GB_DIMS(6));
    const oct_value_id beta = gb_weight(c->g, c->ctx, "beta1", GB_DIMS(6));
    const oct_value_id mean = gb_weight(c->g, c->ctx, "mean_", GB_DIMS(6));
    const oct_value_id var = gb_fill(c->g, c->ctx, "var", GB_DIMS(6), 0.7F);
    return gb_node(c->g, c->ctx, OCT_OP_BATCH_NORM, "bn", &norm, GB_DIMS(2, 6, 7, 5),
                   GB_IN(*conv, scale, beta, mean, var));
}

static void folds_into_convolution(void **state)
{
    engine_case *c = *state;
    oct_value_id conv;
    gb_output(c->g, c->ctx, conv_bn(c, OCT_OP_CONV, &conv));
    assert_int_equal(ec_count(c, OCT_OP_BATCH_NORM), 0);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void folds_into_grouped_transposed_convolution(void **state)
{
    engine_case *c = *state;
    oct_value_id conv;
    gb_output(c->g, c->ctx, conv_bn(c, OCT_OP_CONV_TRANSPOSE, &conv));
    assert_int_equal(ec_count(c, OCT_OP_BATCH_NORM), 0);
    ec_assert_unchanged(c, "ref", 1e-5);
}

static void stays_when_the_convolution_has_another_consumer(void **state)
{
    engine_case *c = *state;
    oct_value_id conv;
    gb_output(c->g, c->ctx, conv_bn(c, OCT_OP_CONV, &conv));
    gb_output(c->g, c->ctx, conv);
    assert_int_equal(ec_count(c, OCT_OP_BATCH_NORM), 1);
    ec_assert_unchanged(c, "ref", 1e-5);
}

static void stays_when_the_convolution_is_observed(void **state)
{
    engine_case *c = *state;
    oct_value_id conv;
    gb_output(c->g, c->ctx, conv_bn(c, OCT_OP_CONV, &conv));
    oct_graph_value(c->g, conv)->observed = true;
    assert_int_equal(ec_count(c, OCT_OP_BATCH_NORM), 1);
}

static void folds_into_gemm(void **state)
{
    engine_case *c = *state;
    oct_attr_gemm a;
    oct_attr_norm norm;
    oct_op_attr_defaults(OCT_OP_GEMM, &a);
    oct_op_attr_defaults(OCT_OP_BATCH_NORM, &norm);
    a.trans_b = true;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(3, 5));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(4, 5));
    const oct_value_id y = gb_node(c->g, c->ctx, OCT_OP_GEMM, "fc", &a, GB_DIMS(3, 4), GB_IN(x, w));
    const oct_value_id k = gb_weight(c->g, c->ctx, "k", GB_DIMS(4));
    const oct_value_id m = gb_weight(c->g, c->ctx, "me", GB_DIMS(4));
    const oct_value_id v = gb_fill(c->g, c->ctx, "v", GB_DIMS(4), 2.0F);
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_BATCH_NORM, "bn", &norm, NULL, GB_IN(y, k, m, m, v)));
    assert_int_equal(ec_count(c, OCT_OP_BATCH_NORM), 0);
    ec_assert_unchanged(c, "ref", 1e-5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(folds_into_convolution),
        CASE(folds_into_grouped_transposed_convolution),
        CASE(stays_when_the_convolution_has_another_consumer),
        CASE(stays_when_the_convolution_is_observed),
        CASE(folds_into_gemm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
