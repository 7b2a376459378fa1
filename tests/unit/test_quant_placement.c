/* SPDX-License-Identifier: Apache-2.0
 *
 * One small graph for each placement rule of quant/placement.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/qdq.h"
#include "quant/insert.h"
#include "tests/support/graph_build.h"

typedef struct fixture {
    oct_ctx *ctx;
    oct_graph *g;
    oct_placement *p;
} fixture;

static bool amax_one(void *user, const char *name, float *amax)
{
    const char *missing = user;
    *amax = strcmp(name, "wide") == 0 ? 12.7f : 1.27f;
    return !missing || strcmp(name, missing) != 0;
}

static int set_up(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    assert_int_equal(oct_graph_new(f->ctx, &f->g), OCT_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    oct_placement_free(f->ctx, f->p);
    oct_graph_free(f->g);
    oct_ctx_free(f->ctx);
    test_free(f);
    return 0;
}

static void place(fixture *f, const oct_scheme *s)
{
    const oct_amax_source amax = {NULL, amax_one};
    if (oct_placement_new(f->ctx, f->g, &amax, s, &f->p) != OCT_OK)
        fail_msg("%s", oct_error_text(f->ctx));
}

/* The activation point on value `name`, or NULL. */
static const oct_point *point_on(const fixture *f, const char *name)
{
    for (uint32_t i = 0; i < f->p->n_points; i++)
        if (strcmp(oct_graph_value(f->g, f->p->point[i].value)->name, name) == 0)
            return &f->p->point[i];
    return NULL;
}

static oct_value_id conv(fixture *f, const char *name, oct_value_id x)
{
    char w[32];
    snprintf(w, sizeof w, "%s_w", name);
    oct_attr_window a = {.n_pad = 4, .pad = {1, 1, 1, 1}, .group = 1};
    return gb_node(f->g, f->ctx, OCT_OP_CONV, name, &a, NULL,
                   GB_IN(x, gb_weight(f->g, f->ctx, w, GB_DIMS(8, 8, 3, 3))));
}

static oct_value_id unary(fixture *f, oct_op op, const char *name, oct_value_id x)
{
    return gb_node(f->g, f->ctx, op, name, NULL, NULL, GB_IN(x));
}

static oct_value_id binary(fixture *f, oct_op op, const char *name, oct_value_id x, oct_value_id y)
{
    return gb_node(f->g, f->ctx, op, name, NULL, NULL, GB_IN(x, y));
}

static oct_value_id input(fixture *f)
{
    return gb_input(f->g, f->ctx, "x", GB_DIMS(1, 8, 16, 16));
}

static void conv_inputs_and_weights_are_quantized_not_outputs(void **state)
{
    fixture *f = *state;
    gb_output(f->g, f->ctx, conv(f, "c2", unary(f, OCT_OP_RELU, "r1", conv(f, "c1", input(f)))));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_non_null(point_on(f, "x"));
    assert_non_null(point_on(f, "r1"));
    assert_null(point_on(f, "c1"));
    assert_null(point_on(f, "c2"));
    const oct_point *w = point_on(f, "c1_w");
    assert_non_null(w);
    assert_int_equal(w->kind, OCT_POINT_WEIGHT);
    assert_int_equal(w->quant.n, 8);
    assert_int_equal(w->quant.axis, 0);
    assert_true(fabsf(point_on(f, "x")->quant.q->scale - 0.01f) < 1e-8f);
    assert_int_equal(point_on(f, "x")->quant.q->zero_point, 0);
}

static void only_the_residual_branch_of_an_add_is_quantized(void **state)
{
    fixture *f = *state;
    const oct_value_id r = unary(f, OCT_OP_RELU, "skip", conv(f, "c1", input(f)));
    const oct_value_id sum = binary(f, OCT_OP_ADD, "sum", conv(f, "c2", r), r);
    gb_output(f->g, f->ctx, conv(f, "c3", sum));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_null(point_on(f, "c2"));
    const oct_point *skip = point_on(f, "skip");
    assert_non_null(skip);
    assert_int_equal(skip->n_uses, 2); /* one pair for the convolution and the Add */
    assert_non_null(point_on(f, "sum"));
}

static void of_two_convolutions_the_later_one_is_fused(void **state)
{
    fixture *f = *state;
    const oct_value_id x = input(f);
    const oct_value_id main = conv(f, "main", conv(f, "first", x)), side = conv(f, "side", x);
    (void)main;
    gb_output(f->g, f->ctx, conv(f, "last", binary(f, OCT_OP_ADD, "sum", main, side)));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_non_null(point_on(f, "main"));
    assert_null(point_on(f, "side"));
}

static void data_movers_are_left_alone(void **state)
{
    fixture *f = *state;
    const oct_attr_window pool = {.n_kernel = 2, .kernel = {1, 1}, .group = 1};
    const oct_value_id p =
        gb_node(f->g, f->ctx, OCT_OP_MAX_POOL, "pool", &pool, NULL, GB_IN(conv(f, "c1", input(f))));
    gb_output(f->g, f->ctx, conv(f, "c2", unary(f, OCT_OP_IDENTITY, "same", p)));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_null(point_on(f, "c1"));
    assert_null(point_on(f, "pool"));
    assert_non_null(point_on(f, "same"));
}

static void heads_that_nobody_quantizes_stay_float(void **state)
{
    fixture *f = *state;
    const oct_value_id a = conv(f, "boxes", input(f)),
                       b = conv(f, "scores", oct_graph_find_value(f->g, "x"));
    const oct_attr_axis axis = {.axis = 1};
    const oct_value_id cat =
        gb_node(f->g, f->ctx, OCT_OP_CONCAT, "head", &axis, GB_DIMS(1, 16, 16, 16),
                GB_IN(binary(f, OCT_OP_ADD, "decoded", a, b), unary(f, OCT_OP_SIGMOID, "s", b)));
    gb_output(f->g, f->ctx, cat);
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_non_null(point_on(f, "x"));
    assert_null(point_on(f, "boxes"));
    assert_null(point_on(f, "scores"));
    assert_null(point_on(f, "decoded"));
    assert_null(point_on(f, "s"));
}

static void silu_is_not_quantized_inside(void **state)
{
    fixture *f = *state;
    const oct_value_id c = conv(f, "c1", input(f));
    const oct_value_id y = binary(f, OCT_OP_MUL, "silu", c, unary(f, OCT_OP_SIGMOID, "gate", c));
    gb_output(f->g, f->ctx, conv(f, "c2", y));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_null(point_on(f, "c1"));
    assert_null(point_on(f, "gate"));
    assert_non_null(point_on(f, "silu"));
}

static void pooling_is_quantized_where_a_quantized_op_follows(void **state)
{
    fixture *f = *state;
    const oct_value_id p = gb_node(f->g, f->ctx, OCT_OP_GLOBAL_AVERAGE_POOL, "gap", NULL,
                                   GB_DIMS(1, 8, 1, 1), GB_IN(conv(f, "c1", input(f))));
    const oct_attr_axis axis = {.axis = 1};
    const oct_attr_gemm gemm = {.alpha = 1, .beta = 1, .trans_b = true};
    const oct_value_id flat =
        gb_node(f->g, f->ctx, OCT_OP_FLATTEN, "flat", &axis, GB_DIMS(1, 8), GB_IN(p));
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_GEMM, "fc", &gemm, GB_DIMS(1, 4),
                      GB_IN(flat, gb_weight(f->g, f->ctx, "fc_w", GB_DIMS(4, 8)))));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_non_null(point_on(f, "c1"));
    assert_non_null(point_on(f, "flat"));
    assert_int_equal(point_on(f, "fc_w")->quant.axis, 0);
    assert_int_equal(point_on(f, "fc_w")->quant.n, 4);
}

static void a_quantized_concat_shares_the_largest_threshold(void **state)
{
    fixture *f = *state;
    const oct_value_id x = input(f);
    const oct_value_id wide = unary(f, OCT_OP_TANH, "wide", conv(f, "c0", x));
    const oct_value_id y = unary(f, OCT_OP_TANH, "narrow", conv(f, "c1", wide));
    const oct_attr_axis axis = {.axis = 1};
    const oct_value_id cat =
        gb_node(f->g, f->ctx, OCT_OP_CONCAT, "cat", &axis, GB_DIMS(1, 16, 16, 16), GB_IN(wide, y));
    const oct_attr_window a = {.n_pad = 4, .pad = {1, 1, 1, 1}, .group = 1};
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_CONV, "c2", &a, GB_DIMS(1, 8, 16, 16),
                      GB_IN(cat, gb_weight(f->g, f->ctx, "c2_w", GB_DIMS(8, 16, 3, 3)))));
    place(f, &(oct_scheme){.target = OCT_TARGET_ORT});
    assert_true(fabsf(point_on(f, "narrow")->quant.q->scale - 0.1f) < 1e-6f);
    assert_true(point_on(f, "cat")->quant.q->scale == point_on(f, "narrow")->quant.q->scale);
    assert_true(point_on(f, "wide")->quant.q->scale == point_on(f, "narrow")->quant.q->scale);
}

static void transposed_convolutions_scale_along_axis_1(void **state)
{
    fixture *f = *state;
    const oct_attr_window a = {.group = 1};
    gb_output(f->g, f->ctx,
              gb_node(f->g, f->ctx, OCT_OP_CONV_TRANSPOSE, "up", &a, GB_DIMS(1, 4, 17, 17),
                      GB_IN(input(f), gb_weight(f->g, f->ctx, "w", GB_DIMS(8, 4, 2, 2)))));
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT});
    assert_int_equal(point_on(f, "w")->quant.axis, 1);
    assert_int_equal(point_on(f, "w")->quant.n, 4);
}

static void ort_gets_result_pairs_shifted_zero_points_and_s32_bias(void **state)
{
    fixture *f = *state;
    const oct_attr_window a = {.n_pad = 4, .pad = {1, 1, 1, 1}, .group = 1};
    const oct_value_id c1 =
        gb_node(f->g, f->ctx, OCT_OP_CONV, "c1", &a, NULL,
                GB_IN(input(f), gb_weight(f->g, f->ctx, "w", GB_DIMS(8, 8, 3, 3)),
                      gb_weight(f->g, f->ctx, "b", GB_DIMS(8))));
    gb_output(f->g, f->ctx, conv(f, "c2", unary(f, OCT_OP_RELU, "r1", c1)));
    place(f, &(oct_scheme){.target = OCT_TARGET_ORT});
    assert_null(point_on(f, "c1"));
    assert_int_equal(point_on(f, "r1")->quant.q->zero_point, 0);
    assert_int_equal(point_on(f, "r1")->dtype, OCT_DT_U8);
    assert_true(fabsf(point_on(f, "r1")->quant.q->scale - 1.27f / 255) < 1e-8f);
    assert_true(point_on(f, "r1")->result);
    assert_int_equal(point_on(f, "c2")->quant.q->zero_point, 128);
    const oct_point *b = point_on(f, "b");
    assert_int_equal(b->kind, OCT_POINT_BIAS);
    assert_int_equal(b->dtype, OCT_DT_S32);
    for (int c = 0; c < 8; c++)
        assert_true(b->quant.q[c].scale ==
                    point_on(f, "x")->quant.q->scale * point_on(f, "w")->quant.q[c].scale);
}

static void excluded_nodes_and_bad_patterns_are_respected(void **state)
{
    fixture *f = *state;
    gb_output(f->g, f->ctx, conv(f, "c2", conv(f, "c1", input(f))));
    const char *exclude[] = {"re:c[1]"};
    place(f, &(oct_scheme){.target = OCT_TARGET_TRT, .exclude = exclude, .n_exclude = 1});
    assert_null(point_on(f, "x"));
    assert_non_null(point_on(f, "c1"));
    oct_placement *none = NULL;
    const oct_amax_source amax = {NULL, amax_one};
    const char *nothing[] = {"c9"};
    assert_int_equal(oct_placement_new(f->ctx, f->g, &amax,
                                       &(oct_scheme){.exclude = nothing, .n_exclude = 1}, &none),
                     OCT_ERR_USAGE);
}

static void a_missing_threshold_is_an_error_that_names_the_tensor(void **state)
{
    fixture *f = *state;
    gb_output(f->g, f->ctx, conv(f, "c2", conv(f, "c1", input(f))));
    char missing[] = "c1";
    const oct_amax_source amax = {missing, amax_one};
    assert_int_equal(oct_placement_new(f->ctx, f->g, &amax, &(oct_scheme){0}, &f->p),
                     OCT_ERR_STALE);
    assert_non_null(strstr(oct_error_text(f->ctx), "'c1'"));
    oct_error_clear(f->ctx);
    assert_int_equal(
        oct_placement_new(f->ctx, f->g, &amax, &(oct_scheme){.allow_missing = true}, &f->p),
        OCT_OK);
    assert_non_null(point_on(f, "x"));
    assert_null(point_on(f, "c1"));
}

static void insertion_makes_a_valid_graph_with_s8_weights(void **state)
{
    fixture *f = *state;
    const oct_value_id r = unary(f, OCT_OP_RELU, "skip", conv(f, "c1", input(f)));
    gb_output(f->g, f->ctx, conv(f, "c3", binary(f, OCT_OP_ADD, "sum", conv(f, "c2", r), r)));
    place(f, &(oct_scheme){.target = OCT_TARGET_OCTET});
    assert_int_equal(oct_quant_insert(f->ctx, f->g, f->p), OCT_OK);
    assert_int_equal(oct_graph_check(f->ctx, f->g), OCT_OK);
    assert_int_equal(gb_count(f->g, OCT_OP_QUANTIZE_LINEAR), 3);       /* x, skip, sum */
    assert_int_equal(gb_count(f->g, OCT_OP_DEQUANTIZE_LINEAR), 3 + 3); /* and the weights */
    const oct_node *c3 = gb_find(f->g, "c3");
    const oct_node *dq = oct_qdq_dequantize_of(f->g, c3->in[1]);
    assert_non_null(dq);
    assert_int_equal(oct_graph_value(f->g, dq->in[0])->dtype, OCT_DT_S8);
}

static bool always(void *user, const char *name)
{
    return *(const bool *)user;
}

/* s8 unless asked; then Relu's output is u8 over its whole range, and an input that never was negative. */
static void unsigned_activations_get_the_eighth_bit(void **state)
{
    fixture *f = *state;
    const oct_value_id x = gb_input(f->g, f->ctx, "x", GB_DIMS(1, 8, 6, 6));
    const oct_value_id r = unary(f, OCT_OP_RELU, "r", conv(f, "c1", x));
    gb_output(f->g, f->ctx, conv(f, "c3", conv(f, "c2", r)));
    assert_int_equal(oct_graph_sort(f->g, f->ctx), OCT_OK);
    for (int asked = 0; asked < 3; asked++) {
        bool never = asked == 2;
        const oct_sign_source signs = {&never, always};
        place(f, &(oct_scheme){.unsigned_activations = asked > 0, .signs = &signs});
        const oct_point *in = point_on(f, "x"), *relu = point_on(f, "r"), *c2 = point_on(f, "c2");
        assert_int_equal(in->dtype, asked == 2 ? OCT_DT_U8 : OCT_DT_S8);
        assert_int_equal(relu->dtype, asked > 0 ? OCT_DT_U8 : OCT_DT_S8);
        assert_true(relu->quant.q[0].scale == 1.27f / (asked > 0 ? 255.0f : 127.0f));
        assert_int_equal(relu->quant.q[0].zero_point, 0);
        assert_int_equal(c2->dtype, OCT_DT_S8);
        oct_placement_free(f->ctx, f->p);
        f->p = NULL;
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(conv_inputs_and_weights_are_quantized_not_outputs),
        TEST(only_the_residual_branch_of_an_add_is_quantized),
        TEST(of_two_convolutions_the_later_one_is_fused),
        TEST(data_movers_are_left_alone),
        TEST(heads_that_nobody_quantizes_stay_float),
        TEST(silu_is_not_quantized_inside),
        TEST(pooling_is_quantized_where_a_quantized_op_follows),
        TEST(a_quantized_concat_shares_the_largest_threshold),
        TEST(transposed_convolutions_scale_along_axis_1),
        TEST(ort_gets_result_pairs_shifted_zero_points_and_s32_bias),
        TEST(excluded_nodes_and_bad_patterns_are_respected),
        TEST(a_missing_threshold_is_an_error_that_names_the_tensor),
        TEST(insertion_makes_a_valid_graph_with_s8_weights),
        TEST(unsigned_activations_get_the_eighth_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
