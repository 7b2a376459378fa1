/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

static oct_value_id half_value(engine_case *c, const char *name, bool output)
{
    const oct_shape s = {.dim = {2, 5}, .n_dims = 2};
    oct_value_id v;
    assert_int_equal(oct_graph_add_value(c->g, c->ctx, name, OCT_DT_F16, &s, &v), OCT_OK);
    oct_graph_value(c->g, v)->from_model = true;
    if (!output)
        assert_int_equal(oct_graph_add_input(c->g, c->ctx, v), OCT_OK);
    return v;
}

static void half_models_compute_in_f32_between_casts(void **state)
{
    engine_case *c = *state;
    static const uint16_t one_to_five[5] = {0x3c00, 0x4000, 0x4200, 0x4400, 0x4500};
    const oct_shape row = {.dim = {5}, .n_dims = 1};
    oct_value_id w;
    oct_node_id n;
    const oct_value_id x = half_value(c, "x", false), y = half_value(c, "y", true);
    assert_int_equal(
        oct_graph_add_constant(c->g, c->ctx, "w", OCT_DT_F16, &row, one_to_five, true, &w), OCT_OK);
    assert_int_equal(
        oct_graph_add_node(c->g, c->ctx, OCT_OP_MUL, "mul", NULL, GB_IN(x, w), 2, &y, 1, &n),
        OCT_OK);
    gb_output(c->g, c->ctx, y);
    oct_graph *g = ec_rewritten(c);
    assert_int_equal(gb_count(g, OCT_OP_CAST), 2);
    const oct_node *mul = gb_find(g, "mul");
    assert_int_equal(oct_graph_value(g, mul->in[0])->dtype, OCT_DT_F32);
    assert_int_equal(oct_graph_value(g, mul->in[1])->dtype, OCT_DT_F32);
    const float *f = oct_graph_value(g, mul->in[1])->data;
    for (int i = 0; i < 5; i++)
        assert_true(f[i] == (float)(i + 1));
    oct_graph_free(g);
    ec_assert_unchanged(c, "ref", 0.0);
    ec_assert_unchanged(c, "cpu", 0.0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(half_models_compute_in_f32_between_casts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
