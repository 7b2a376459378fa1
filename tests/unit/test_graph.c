/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph keeps its invariants through building, rewriting, sorting and cloning.
 */
#include <string.h>

#include "engine/graph.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/graph_build.h"
#include "tests/support/onnx_build.h"

static oct_ctx *ctx;
static oct_graph *g;

static int setup(void **state)
{
    (void)state;
    return oct_ctx_new(NULL, &ctx) != OCT_OK || oct_graph_new(ctx, &g) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_graph_free(g);
    oct_ctx_free(ctx);
    return 0;
}

static void assert_dump(const char *want)
{
    char *text = ob_dump(ctx, g);
    assert_string_equal(text, want);
    oct_free(ctx, text);
}

/* x -> a -> b -> y, b also reads x */
static void build_chain(void)
{
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(2, 3));
    const oct_value_id a = gb_node(g, ctx, OCT_OP_RELU, "a", NULL, NULL, GB_IN(x));
    const oct_value_id b = gb_node(g, ctx, OCT_OP_ADD, "b", NULL, NULL, GB_IN(a, x));
    gb_output(g, ctx, gb_node(g, ctx, OCT_OP_NEG, "y", NULL, NULL, GB_IN(b)));
}

static void test_names_are_unique_and_never_empty(void **state)
{
    oct_value_id id;
    (void)state;
    build_chain();
    assert_int_equal(oct_graph_add_value(g, ctx, "a", OCT_DT_F32, NULL, &id), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_graph_add_value(g, ctx, "", OCT_DT_F32, NULL, &id), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_string_equal(oct_graph_fresh_name(g, ctx, "new"), "new");
    assert_string_equal(oct_graph_fresh_name(g, ctx, "a"), "a_1");
    for (int i = 0; i < 1000; i++) /* the table of names grows */
        assert_int_equal(
            oct_graph_add_value(g, ctx, oct_graph_fresh_name(g, ctx, "v"), OCT_DT_F32, NULL, &id),
            OCT_OK);
    assert_int_not_equal(oct_graph_find_value(g, "y"), OCT_NONE);
    assert_int_equal(oct_graph_find_value(g, "nobody"), OCT_NONE);
}

static void test_a_value_has_one_producer(void **state)
{
    (void)state;
    build_chain();
    const oct_value_id x = oct_graph_find_value(g, "x"), a = oct_graph_find_value(g, "a");
    assert_int_equal(oct_graph_add_node(g, ctx, OCT_OP_ABS, "again", NULL, &x, 1, &a, 1, NULL),
                     OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_graph_add_node(g, ctx, OCT_OP_ABS, "again", NULL, &a, 1, &x, 1, NULL),
                     OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_graph_check(ctx, g), OCT_OK);
}

static void test_uses_are_in_node_order(void **state)
{
    const oct_use *use;
    uint32_t n;
    (void)state;
    build_chain();
    assert_int_equal(oct_graph_uses(g, ctx, oct_graph_find_value(g, "x"), &use, &n), OCT_OK);
    assert_int_equal(n, 2);
    assert_string_equal(oct_graph_node(g, use[0].node)->name, "a");
    assert_string_equal(oct_graph_node(g, use[1].node)->name, "b");
    assert_int_equal(use[1].in_index, 1);
    assert_int_equal(oct_graph_uses(g, ctx, oct_graph_find_value(g, "y"), &use, &n), OCT_OK);
    assert_int_equal(n, 0);
}

static void test_replacing_uses_moves_outputs_too_when_asked(void **state)
{
    const oct_use *use;
    uint32_t n;
    (void)state;
    build_chain();
    const oct_value_id x = oct_graph_find_value(g, "x"), a = oct_graph_find_value(g, "a");
    const oct_value_id b = oct_graph_find_value(g, "b"), y = oct_graph_find_value(g, "y");
    oct_graph_replace_uses(g, a, x, false); /* by search */
    assert_int_equal(oct_graph_uses(g, ctx, x, &use, &n), OCT_OK);
    assert_int_equal(n, 3);
    oct_graph_replace_uses(g, x, a, false); /* by the list of uses */
    assert_int_equal(oct_graph_node(g, oct_graph_value(g, b)->producer)->in[0], a);
    oct_graph_node(g, oct_graph_value(g, a)->producer)->in[0] = x; /* and back: no cycle */
    oct_graph_replace_uses(g, y, b, true);
    assert_int_equal(oct_graph_outputs(g, &n)[0], b);
    assert_true(oct_graph_value(g, b)->is_output && !oct_graph_value(g, y)->is_output);
    oct_graph_remove_unused(g);
    assert_true(oct_graph_node(g, oct_graph_n_nodes(g) - 1)->dead);
    assert_int_equal(oct_graph_value(g, y)->producer, OCT_NONE);
    assert_int_equal(oct_graph_check(ctx, g), OCT_OK);
}

static void test_sorting_is_stable_and_finds_cycles(void **state)
{
    (void)state;
    const oct_value_id x = gb_input(g, ctx, "x", GB_DIMS(2));
    oct_value_id late;
    const oct_shape two = {.dim = {2}, .n_dims = 1};
    assert_int_equal(oct_graph_add_value(g, ctx, "late", OCT_DT_F32, &two, &late), OCT_OK);
    gb_node(g, ctx, OCT_OP_NEG, "first", NULL, NULL, GB_IN(x));
    const oct_value_id y = gb_node(g, ctx, OCT_OP_ADD, "y", NULL, NULL, GB_IN(late, x));
    gb_node(g, ctx, OCT_OP_ABS, "third", NULL, NULL, GB_IN(x));
    assert_int_equal(oct_graph_add_node(g, ctx, OCT_OP_RELU, "late", NULL, &x, 1, &late, 1, NULL),
                     OCT_OK);
    gb_output(g, ctx, y);
    assert_int_equal(oct_graph_check(ctx, g), OCT_ERR_FORMAT); /* made after it is read */
    oct_error_clear(ctx);
    assert_int_equal(oct_graph_sort(g, ctx), OCT_OK);
    assert_int_equal(oct_graph_check(ctx, g), OCT_OK);
    assert_dump("inputs %x:f32[2]\n"
                "%first:f32[2] = Neg(%x)\n"
                "%third:f32[2] = Abs(%x)\n"
                "%late:f32[2] = Relu(%x)\n"
                "%y:f32[2] = Add(%late, %x)\n"
                "outputs %y:f32[2]\n");
    oct_graph_node(g, oct_graph_value(g, late)->producer)->in[0] = y;
    oct_graph_replace_uses(g, x, x, false); /* says that inputs changed */
    assert_int_equal(oct_graph_sort(g, ctx), OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(ctx), "cyclic graph"));
    oct_error_clear(ctx);
}

static void test_a_clone_says_the_same_and_lives_on_its_own(void **state)
{
    oct_graph *copy;
    const float alpha = 0.25f;
    (void)state;
    build_chain();
    oct_attr_act leaky = {.alpha = alpha};
    gb_output(
        g, ctx,
        gb_node(g, ctx, OCT_OP_LEAKY_RELU, "l", &leaky, NULL, GB_IN(oct_graph_find_value(g, "a"))));
    char *before = ob_dump(ctx, g);
    assert_int_equal(oct_graph_clone(ctx, g, &copy), OCT_OK);
    oct_graph_free(g);
    g = copy;
    assert_dump(before);
    assert_int_equal(oct_graph_check(ctx, g), OCT_OK);
    oct_free(ctx, before);
}

static void test_the_checker_names_the_offender(void **state)
{
    (void)state;
    build_chain();
    oct_node *b = oct_graph_node(g, oct_graph_value(g, oct_graph_find_value(g, "b"))->producer);
    b->n_in = 1;
    assert_int_equal(oct_graph_check(ctx, g), OCT_ERR_FORMAT);
    assert_string_equal(oct_error_text(ctx), "node 'b' (Add): wrong number of inputs");
    oct_error_clear(ctx);
    b->n_in = 2;
    b->in[1] = OCT_NONE;
    assert_int_equal(oct_graph_check(ctx, g), OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(ctx), "required input is absent"));
    oct_error_clear(ctx);
}

static oct_status build_and_sort(oct_ctx *c, void *user)
{
    oct_graph *h, *copy = NULL;
    oct_value_id x, y, k;
    const oct_shape two = {.dim = {2}, .n_dims = 1};
    const float data[2] = {1, 2};
    (void)user;
    OCT_TRY(oct_graph_new(c, &h));
    oct_status st = oct_graph_add_value(h, c, "x", OCT_DT_F32, &two, &x);
    if (st == OCT_OK)
        st = oct_graph_add_input(h, c, x);
    if (st == OCT_OK)
        st = oct_graph_add_constant(h, c, "k", OCT_DT_F32, &two, data, true, &k);
    for (int i = 0; i < 40 && st == OCT_OK; i++) {
        const char *name = oct_graph_fresh_name(h, c, "y");
        st = name ? oct_graph_add_value(h, c, name, OCT_DT_F32, &two, &y) : OCT_ERR_NOMEM;
        const oct_value_id in[2] = {x, k};
        if (st == OCT_OK)
            st = oct_graph_add_node(h, c, OCT_OP_ADD, "", NULL, in, 2, &y, 1, NULL);
        x = y;
    }
    if (st == OCT_OK)
        st = oct_graph_add_output(h, c, x);
    if (st == OCT_OK)
        st = oct_graph_sort(h, c);
    if (st == OCT_OK)
        st = oct_graph_clone(c, h, &copy);
    if (st == OCT_OK)
        st = oct_graph_check(c, copy);
    oct_graph_free(copy);
    oct_graph_free(h);
    return st;
}

static void test_every_failing_allocation_is_survived(void **state)
{
    (void)state;
    assert_true(oct_assert_survives_failing_alloc(build_and_sort, NULL, 1000) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_are_unique_and_never_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_has_one_producer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uses_are_in_node_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replacing_uses_moves_outputs_too_when_asked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_sorting_is_stable_and_finds_cycles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_clone_says_the_same_and_lives_on_its_own, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_checker_names_the_offender, setup, teardown),
        cmocka_unit_test(test_every_failing_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
