/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static oct_value_id axes(engine_case *c)
{
    const oct_shape s = {.dim = {1}, .n_dims = 1};
    const int64_t last = -1;
    oct_value_id v;
    assert_int_equal(oct_graph_add_constant(c->g, c->ctx, "axes", OCT_DT_S64, &s, &last, true, &v),
                     OCT_OK);
    return v;
}

typedef struct pieces {
    oct_value_id x, d, y;
} pieces;

static pieces layer_norm(engine_case *c, bool with_row)
{
    oct_attr_reduce keep = {.keepdims = true};
    oct_graph *g = c->g;
    pieces p = {.x = gb_input(g, c->ctx, "x", GB_DIMS(2, 5, 16))};
    const oct_value_id ax = axes(c);
    const int64_t *one = GB_DIMS(2, 5, 1);
    const oct_value_id mean =
        gb_node(g, c->ctx, OCT_OP_REDUCE_MEAN, "mean", &keep, one, GB_IN(p.x, ax));
    p.d = gb_node(g, c->ctx, OCT_OP_SUB, "d", NULL, NULL, GB_IN(p.x, mean));
    const oct_value_id two = gb_fill(g, c->ctx, "two", (const int64_t[]){0}, 2.0F);
    const oct_value_id sq = gb_node(g, c->ctx, OCT_OP_POW, "sq", NULL, NULL, GB_IN(p.d, two));
    const oct_value_id var =
        gb_node(g, c->ctx, OCT_OP_REDUCE_MEAN, "var", &keep, one, GB_IN(sq, ax));
    const oct_value_id eps = gb_fill(g, c->ctx, "eps", (const int64_t[]){0}, 1e-5F);
    const oct_value_id add = gb_node(g, c->ctx, OCT_OP_ADD, "add", NULL, NULL, GB_IN(var, eps));
    const oct_value_id root = gb_node(g, c->ctx, OCT_OP_SQRT, "root", NULL, NULL, GB_IN(add));
    p.y = gb_node(g, c->ctx, OCT_OP_DIV, "div", NULL, NULL, GB_IN(p.d, root));
    if (with_row) {
        const oct_value_id w = gb_weight(g, c->ctx, "gamma", GB_DIMS(16));
        const oct_value_id b = gb_weight(g, c->ctx, "beta12", GB_DIMS(16));
        p.y = gb_node(g, c->ctx, OCT_OP_MUL, "scaled", NULL, NULL, GB_IN(p.y, w));
        p.y = gb_node(g, c->ctx, OCT_OP_ADD, "moved", NULL, NULL, GB_IN(p.y, b));
    }
    return p;
}

static void recognises_it_with_scale_and_bias(void **state)
{
    engine_case *c = *state;
    gb_output(c->g, c->ctx, layer_norm(c, true).y);
    oct_graph *g = ec_rewritten(c);
    uint32_t n;
    oct_graph_order(g, &n);
    assert_int_equal(n, 1);
    assert_int_equal(gb_count(g, OCT_OP_LAYER_NORM), 1);
    oct_graph_free(g);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void recognises_it_without_scale(void **state)
{
    engine_case *c = *state;
    gb_output(c->g, c->ctx, layer_norm(c, false).y);
    assert_int_equal(ec_count(c, OCT_OP_LAYER_NORM), 1);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void stays_when_an_inner_value_is_observed(void **state)
{
    engine_case *c = *state;
    const pieces p = layer_norm(c, true);
    gb_output(c->g, c->ctx, p.y);
    oct_graph_value(c->g, p.d)->observed = true;
    assert_int_equal(ec_count(c, OCT_OP_LAYER_NORM), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(recognises_it_with_scale_and_bias),
        CASE(recognises_it_without_scale),
        CASE(stays_when_an_inner_value_is_observed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
