/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static oct_value_id scalar(engine_case *c, const char *name, float v)
{
    return gb_fill(c->g, c->ctx, name, (const int64_t[]){0}, v);
}

static oct_value_id node(engine_case *c, oct_op op, const char *name, oct_value_id a,
                         oct_value_id b)
{
    return gb_node(c->g, c->ctx, op, name, NULL, GB_DIMS(2, 3, 4), GB_IN(a, b));
}

static oct_value_id unary(engine_case *c, oct_op op, const char *name, oct_value_id a)
{
    return gb_node(c->g, c->ctx, op, name, NULL, GB_DIMS(2, 3, 4), GB_IN(a));
}

static oct_value_id input(engine_case *c)
{
    return gb_input(c->g, c->ctx, "x", GB_DIMS(2, 3, 4));
}

static void expect(engine_case *c, oct_value_id y, oct_op op)
{
    uint32_t n;
    gb_output(c->g, c->ctx, y);
    oct_graph *g = ec_rewritten(c);
    assert_int_equal(gb_count(g, op), 1);
    oct_graph_order(g, &n);
    assert_int_equal(n, 1);
    oct_graph_free(g);
    ec_assert_unchanged(c, "ref", 2e-6);
    ec_assert_unchanged(c, "cpu", 2e-6);
}

static void recognises_swish(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    expect(c, node(c, OCT_OP_MUL, "mul", unary(c, OCT_OP_SIGMOID, "s", x), x), OCT_OP_SWISH);
}

static void recognises_mish(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id t = unary(c, OCT_OP_TANH, "t", unary(c, OCT_OP_SOFTPLUS, "s", x));
    expect(c, node(c, OCT_OP_MUL, "mul", x, t), OCT_OP_MISH);
}

static oct_value_id relu6_plus_3(engine_case *c, oct_value_id x)
{
    const oct_value_id s = node(c, OCT_OP_ADD, "add3", x, scalar(c, "three", 3.0F));
    return gb_node(c->g, c->ctx, OCT_OP_CLIP, "clip", NULL, GB_DIMS(2, 3, 4),
                   GB_IN(s, scalar(c, "zero", 0.0F), scalar(c, "six", 6.0F)));
}

static void recognises_hard_swish_divided_last(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id m = node(c, OCT_OP_MUL, "mul", x, relu6_plus_3(c, x));
    expect(c, node(c, OCT_OP_DIV, "div", m, scalar(c, "by6", 6.0F)), OCT_OP_HARD_SWISH);
}

static void recognises_hard_swish_divided_first(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id d =
        node(c, OCT_OP_MUL, "div", relu6_plus_3(c, x), scalar(c, "sixth", 1.0F / 6.0F));
    expect(c, node(c, OCT_OP_MUL, "mul", x, d), OCT_OP_HARD_SWISH);
}

static oct_value_id erf_plus_1(engine_case *c, oct_value_id x)
{
    const oct_value_id d = node(c, OCT_OP_DIV, "d", x, scalar(c, "sqrt2", 1.41421354F));
    return node(c, OCT_OP_ADD, "a", unary(c, OCT_OP_ERF, "erf", d), scalar(c, "one", 1.0F));
}

static void recognises_gelu_of_torch(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id m = node(c, OCT_OP_MUL, "m", x, erf_plus_1(c, x));
    expect(c, node(c, OCT_OP_MUL, "h", m, scalar(c, "half", 0.5F)), OCT_OP_GELU);
}

static void recognises_gelu_with_half_x(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id h = node(c, OCT_OP_MUL, "h", x, scalar(c, "half", 0.5F));
    expect(c, node(c, OCT_OP_MUL, "m", h, erf_plus_1(c, x)), OCT_OP_GELU);
}

static void recognises_tanh_gelu(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id cube = node(c, OCT_OP_POW, "cube", x, scalar(c, "three", 3.0F));
    const oct_value_id k = node(c, OCT_OP_MUL, "k", cube, scalar(c, "c1", 0.044715F));
    const oct_value_id s = node(c, OCT_OP_ADD, "s", x, k);
    const oct_value_id in = node(c, OCT_OP_MUL, "in", s, scalar(c, "c2", 0.7978846F));
    const oct_value_id t =
        node(c, OCT_OP_ADD, "t1", unary(c, OCT_OP_TANH, "t", in), scalar(c, "one", 1.0F));
    const oct_value_id m = node(c, OCT_OP_MUL, "m", x, t);
    expect(c, node(c, OCT_OP_MUL, "h", m, scalar(c, "half", 0.5F)), OCT_OP_GELU);
}

static void keeps_a_sigmoid_with_another_consumer(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id s = unary(c, OCT_OP_SIGMOID, "s", x);
    gb_output(c->g, c->ctx, node(c, OCT_OP_MUL, "mul", s, x));
    gb_output(c->g, c->ctx, s);
    assert_int_equal(ec_count(c, OCT_OP_SIGMOID), 1);
}

static void keeps_other_constants(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = input(c);
    const oct_value_id m = node(c, OCT_OP_MUL, "m", x, erf_plus_1(c, x));
    gb_output(c->g, c->ctx, node(c, OCT_OP_MUL, "h", m, scalar(c, "third", 0.3F)));
    assert_int_equal(ec_count(c, OCT_OP_ERF), 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(recognises_swish),
        CASE(recognises_mish),
        CASE(recognises_hard_swish_divided_last),
        CASE(recognises_hard_swish_divided_first),
        CASE(recognises_gelu_of_torch),
        CASE(recognises_gelu_with_half_x),
        CASE(recognises_tanh_gelu),
        CASE(keeps_a_sigmoid_with_another_consumer),
        CASE(keeps_other_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
