/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/op_schema.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/engine_case.h"

#include <string.h>

#include "engine/plan.h"
#include "engine/session_internal.h"

/* An engine over the case's graph and its plan for the declared shapes. */
typedef struct planned {
    oct_model *m;
    oct_engine *e;
    oct_plan *p;
} planned;

static planned make_plan(engine_case *c, const char *backend)
{
    planned x;
    const oct_engine_options opt = {.backend = backend, .threads = 1};
    x.m = ec_model(c);
    assert_int_equal(oct_engine_new(c->ctx, x.m, &opt, &x.e), OCT_OK);
    const oct_io *io;
    oct_tensor_desc in[EC_MAX_OUT];
    const size_t n = oct_engine_inputs(x.e, &io);
    for (size_t i = 0; i < n; i++)
        in[i] = oct_tensor_desc_make(io[i].dtype, io[i].shape, OCT_LAYOUT_ROW);
    assert_int_equal(oct_engine_plan(x.e, c->ctx, x.e->graph, in, (uint32_t)n, &x.p), OCT_OK);
    return x;
}

static void drop_plan(engine_case *c, planned *x)
{
    oct_engine_release_plan(x->e, x->p);
    oct_engine_free(x->e, c->ctx);
    oct_model_free(x->m);
}

static oct_value_id unary(engine_case *c, oct_op op, const char *name, oct_value_id x)
{
    return gb_node(c->g, c->ctx, op, name, NULL, NULL, GB_IN(x));
}

static oct_value_id int_list(engine_case *c, const char *name, const int64_t *x, int64_t n)
{
    const oct_shape s = {.dim = {n}, .n_dims = 1};
    oct_value_id v;
    assert_int_equal(oct_graph_add_constant(c->g, c->ctx, name, OCT_DT_S64, &s, x, true, &v),
                     OCT_OK);
    return v;
}

static oct_value_id conv(engine_case *c, const char *name, oct_value_id x, int64_t in, int64_t out)
{
    oct_attr_window a;
    char weight[32];
    oct_op_attr_defaults(OCT_OP_CONV, &a);
    memset(weight, 0, sizeof weight);
    weight[0] = 'w';
    strncat(weight, name, sizeof weight - 2);
    const oct_value_id w = gb_weight(c->g, c->ctx, weight, GB_DIMS(out, in, 1, 1));
    return gb_node(c->g, c->ctx, OCT_OP_CONV, name, &a, GB_DIMS(1, out, 9, 9), GB_IN(x, w));
}

/* No two tensors that are alive in one step share bytes, unless one took over the other's. */
static void assert_no_overlap(const oct_plan *p)
{
    for (uint32_t i = 0; i < p->n_tensors; i++)
        for (uint32_t k = i + 1; k < p->n_tensors; k++) {
            const oct_plan_tensor *a = &p->tensor[i], *b = &p->tensor[k];
            if (a->place != OCT_PLACE_ARENA || b->place != OCT_PLACE_ARENA ||
                a->first == OCT_NONE || b->first == OCT_NONE || a->in_place != OCT_NONE ||
                b->in_place != OCT_NONE || a->first > b->last || b->first > a->last)
                continue;
            assert_true(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
        }
}

static void a_chain_of_element_wise_ops_runs_in_one_buffer(void **state)
{
    engine_case *c = *state;
    oct_value_id v = gb_input(c->g, c->ctx, "x", GB_DIMS(64, 64));
    static const char *const name[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++)
        v = unary(c, i % 2 ? OCT_OP_TANH : OCT_OP_SIN, name[i], v);
    gb_output(c->g, c->ctx, v);
    planned x = make_plan(c, "ref");
    assert_int_equal(x.p->n_steps, 6);
    assert_true(x.p->arena_bytes[1] <= 2 * 64 * 64 * sizeof(float));
    drop_plan(c, &x);
    ec_assert_unchanged(c, "ref", 0.0);
    ec_assert_unchanged(c, "cpu", 1e-6);
}

static void reshapes_cost_nothing(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(4, 6));
    const oct_value_id to = int_list(c, "to", (const int64_t[]){2, -1, 3}, 3);
    const oct_value_id a = unary(c, OCT_OP_EXP, "a", x);
    const oct_value_id r =
        gb_node(c->g, c->ctx, OCT_OP_RESHAPE, "r", NULL, GB_DIMS(2, 4, 3), GB_IN(a, to));
    const oct_value_id b = unary(c, OCT_OP_NEG, "b", r);
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_FLATTEN, "f", NULL, GB_DIMS(2, 12), GB_IN(b)));
    planned p = make_plan(c, "ref");
    assert_int_equal(p.p->n_steps, 2);
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 0.0);
}

/* An output that is an input's or constant's bytes is given memory of its own. */
static void outputs_never_alias_the_callers_memory(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(4, 6));
    gb_output(c->g, c->ctx, gb_node(c->g, c->ctx, OCT_OP_FLATTEN, "f", NULL, NULL, GB_IN(x)));
    planned p = make_plan(c, "ref");
    assert_int_equal(p.p->tensor[oct_plan_root(p.p, p.p->output[0])].place, OCT_PLACE_ARENA);
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 0.0);
}

static void concat_is_written_in_slices(void **state)
{
    engine_case *c = *state;
    oct_attr_axis axis;
    oct_op_attr_defaults(OCT_OP_CONCAT, &axis);
    axis.axis = 1;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(1, 4, 9, 9));
    const oct_value_id a = unary(c, OCT_OP_EXP, "a", x), b = unary(c, OCT_OP_SIN, "b", x);
    const oct_value_id y =
        gb_node(c->g, c->ctx, OCT_OP_CONCAT, "cat", &axis, GB_DIMS(1, 12, 9, 9), GB_IN(a, x, b));
    gb_output(c->g, c->ctx, unary(c, OCT_OP_NEG, "y", y));
    planned p = make_plan(c, "ref");
    for (uint32_t i = 0; i < p.p->n_steps; i++)
        assert_string_not_equal(p.p->step[i].info.op, "Concat");
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 0.0);
    ec_assert_unchanged(c, "cpu", 1e-6);
}

/* Values used after their Concat, values in two Concats, and a Concat of itself. */
static void concats_of_concats_stay_right(void **state)
{
    engine_case *c = *state;
    oct_attr_axis axis;
    oct_op_attr_defaults(OCT_OP_CONCAT, &axis);
    axis.axis = 1;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(1, 4, 9, 9));
    const oct_value_id a = conv(c, "c1", x, 4, 4), b = conv(c, "c2", a, 4, 4);
    const oct_value_id u =
        gb_node(c->g, c->ctx, OCT_OP_CONCAT, "u", &axis, GB_DIMS(1, 8, 9, 9), GB_IN(a, b));
    const oct_value_id d = conv(c, "c3", u, 8, 4);
    const oct_value_id v =
        gb_node(c->g, c->ctx, OCT_OP_CONCAT, "v", &axis, GB_DIMS(1, 16, 9, 9), GB_IN(u, d, a));
    const oct_value_id s = gb_node(c->g, c->ctx, OCT_OP_ADD, "s", NULL, NULL, GB_IN(a, b));
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_CONCAT, "w", &axis, GB_DIMS(1, 32, 9, 9), GB_IN(v, v)));
    gb_output(c->g, c->ctx, s);
    planned p = make_plan(c, "cpu");
    assert_no_overlap(p.p);
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

static void split_and_slice_are_windows(void **state)
{
    engine_case *c = *state;
    oct_attr_axis axis;
    oct_op_attr_defaults(OCT_OP_SPLIT, &axis);
    axis.axis = 1;
    axis.num_outputs = 2;
    const oct_shape half = {.dim = {1, 4, 9, 9}, .n_dims = 4};
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(1, 4, 9, 9));
    const oct_value_id e = conv(c, "c1", x, 4, 8);
    oct_value_id part[2];
    oct_node_id id;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            oct_graph_add_value(c->g, c->ctx, i ? "p1" : "p0", OCT_DT_F32, &half, &part[i]),
            OCT_OK);
    assert_int_equal(oct_graph_add_node(c->g, c->ctx, OCT_OP_SPLIT, "split", &axis,
                                        GB_IN(e, OCT_NONE), 2, part, 2, &id),
                     OCT_OK);
    const oct_value_id y =
        gb_node(c->g, c->ctx, OCT_OP_SUB, "y", NULL, GB_DIMS(1, 4, 9, 9), GB_IN(part[0], part[1]));
    const oct_value_id lo = int_list(c, "lo", (const int64_t[]){-7, 1}, 2);
    const oct_value_id hi = int_list(c, "hi", (const int64_t[]){100, 8}, 2);
    const oct_value_id ax = int_list(c, "ax", (const int64_t[]){3, 2}, 2);
    const oct_value_id st = int_list(c, "st", (const int64_t[]){2, 3}, 2);
    gb_output(c->g, c->ctx,
              gb_node(c->g, c->ctx, OCT_OP_SLICE, "cut", NULL, GB_DIMS(1, 4, 3, 4),
                      GB_IN(y, lo, hi, ax, st)));
    planned p = make_plan(c, "cpu");
    for (uint32_t i = 0; i < p.p->n_steps; i++)
        assert_string_not_equal(p.p->step[i].info.op, "Split");
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

/* Transposes around channels-last work are views: nothing but the convolutions runs. */
static void transposes_meet_the_layout(void **state)
{
    engine_case *c = *state;
    oct_attr_transpose to_last = {.n_perm = 4, .perm = {0, 2, 3, 1}};
    oct_attr_transpose to_first = {.n_perm = 4, .perm = {0, 3, 1, 2}};
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(1, 8, 9, 9));
    const oct_value_id a = conv(c, "c1", x, 8, 8);
    const oct_value_id t =
        gb_node(c->g, c->ctx, OCT_OP_TRANSPOSE, "t", &to_last, GB_DIMS(1, 9, 9, 8), GB_IN(a));
    const oct_value_id w = gb_weight(c->g, c->ctx, "w", GB_DIMS(8, 8));
    const oct_value_id m = gb_node(c->g, c->ctx, OCT_OP_MATMUL, "m", NULL, NULL, GB_IN(t, w));
    const oct_value_id b =
        gb_node(c->g, c->ctx, OCT_OP_TRANSPOSE, "b", &to_first, GB_DIMS(1, 8, 9, 9), GB_IN(m));
    gb_output(c->g, c->ctx, conv(c, "c2", b, 8, 8));
    planned p = make_plan(c, "cpu");
    for (uint32_t i = 0; i < p.p->n_steps; i++)
        assert_string_not_equal(p.p->step[i].info.op, "Transpose");
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 1e-5);
    ec_assert_unchanged(c, "cpu", 1e-5);
}

/* Shape, Gather, Concat, Reshape as exporters write a flatten: no step of it is left. */
static void shape_arithmetic_is_folded(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(2, 3, 4));
    const oct_shape three = {.dim = {3}, .n_dims = 1}, one = {.dim = {1}, .n_dims = 1};
    oct_value_id shape, first, to;
    oct_node_id id;
    oct_attr_axis axis;
    oct_op_attr_defaults(OCT_OP_CONCAT, &axis);
    assert_int_equal(oct_graph_add_value(c->g, c->ctx, "shape", OCT_DT_S64, &three, &shape),
                     OCT_OK);
    assert_int_equal(oct_graph_add_value(c->g, c->ctx, "first", OCT_DT_S64, &one, &first), OCT_OK);
    assert_int_equal(oct_graph_add_value(c->g, c->ctx, "to", OCT_DT_S64, NULL, &to), OCT_OK);
    assert_int_equal(
        oct_graph_add_node(c->g, c->ctx, OCT_OP_SHAPE, "shape", NULL, &x, 1, &shape, 1, &id),
        OCT_OK);
    const oct_value_id zero = int_list(c, "zero", (const int64_t[]){0}, 1);
    assert_int_equal(oct_graph_add_node(c->g, c->ctx, OCT_OP_GATHER, "first", NULL,
                                        GB_IN(shape, zero), 2, &first, 1, &id),
                     OCT_OK);
    const oct_value_id rest = int_list(c, "rest", (const int64_t[]){-1}, 1);
    assert_int_equal(oct_graph_add_node(c->g, c->ctx, OCT_OP_CONCAT, "to", &axis,
                                        GB_IN(first, rest), 2, &to, 1, &id),
                     OCT_OK);
    const oct_value_id r =
        gb_node(c->g, c->ctx, OCT_OP_RESHAPE, "r", NULL, GB_DIMS(2, 12), GB_IN(x, to));
    gb_output(c->g, c->ctx, unary(c, OCT_OP_NEG, "y", r));
    planned p = make_plan(c, "ref");
    assert_int_equal(p.p->n_steps, 1);
    drop_plan(c, &p);
    ec_assert_unchanged(c, "ref", 0.0);
}

static void an_arena_above_its_limit_is_refused(void **state)
{
    engine_case *c = *state;
    const oct_value_id x = gb_input(c->g, c->ctx, "x", GB_DIMS(64, 64));
    gb_output(c->g, c->ctx, unary(c, OCT_OP_EXP, "y", x));
    oct_model *m = ec_model(c);
    oct_engine *e;
    oct_worker *w;
    const oct_engine_options opt = {.backend = "ref", .threads = 1, .arena_limit_bytes = 1000};
    const oct_shape s = {.dim = {64, 64}, .n_dims = 2};
    assert_int_equal(oct_engine_new(c->ctx, m, &opt, &e), OCT_OK);
    assert_int_equal(oct_worker_new(e, c->ctx, &w), OCT_OK);
    assert_int_equal(oct_worker_prepare(w, c->ctx, &s, 1), OCT_ERR_LIMIT);
    oct_worker_free(w, c->ctx);
    oct_engine_free(e, c->ctx);
    oct_model_free(m);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, engine_case_setup, engine_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_chain_of_element_wise_ops_runs_in_one_buffer),
        CASE(reshapes_cost_nothing),
        CASE(outputs_never_alias_the_callers_memory),
        CASE(concat_is_written_in_slices),
        CASE(concats_of_concats_stay_right),
        CASE(split_and_slice_are_windows),
        CASE(transposes_meet_the_layout),
        CASE(shape_arithmetic_is_folded),
        CASE(an_arena_above_its_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
