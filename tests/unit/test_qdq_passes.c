/* SPDX-License-Identifier: Apache-2.0
 *
 * What the Q/DQ passes leave of small quantized graphs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/graph_codec.h"
#include "engine/qdq.h"
#include "engine/qdq_passes.h"
#include "tests/support/graph_build.h"

typedef struct fixture {
    oct_ctx *ctx;
    oct_graph *g;
} fixture;

static const oct_qparams TENTH = {0.1f, 0}, FIFTH = {0.2f, 0}, LOW_END = {0.1f, -128};

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
    oct_graph_free(f->g);
    oct_ctx_free(f->ctx);
    test_free(f);
    return 0;
}

static oct_value_id input(fixture *f)
{
    return gb_input(f->g, f->ctx, "x", GB_DIMS(1, 8, 8, 8));
}

/* Q and DQ on `v`. */
static oct_value_id pair(fixture *f, oct_value_id v, const oct_qparams *p)
{
    const oct_quant q = {p, 1, 0};
    oct_value_id s8 = OCT_NONE, real = OCT_NONE;
    assert_int_equal(oct_qdq_add_quantize(f->g, f->ctx, v, &q, OCT_DT_S8, "q", &s8), OCT_OK);
    assert_int_equal(oct_qdq_add_dequantize(f->g, f->ctx, s8, &q, "dq", &real), OCT_OK);
    return real;
}

/* DQ of an s8 (or u8, zero point 128) weight with one scale a channel. */
static oct_value_id weight(fixture *f, const char *name, oct_dtype dt)
{
    static oct_qparams p[8];
    const oct_shape shape = {.n_dims = 4, .dim = {8, 8, 1, 1}};
    uint8_t q[64];
    oct_value_id w, real = OCT_NONE;
    for (int i = 0; i < 64; i++)
        q[i] = (uint8_t)(i * 37);
    for (int c = 0; c < 8; c++)
        p[c] = (oct_qparams){0.01f * (float)(c + 1), dt == OCT_DT_U8 ? 128 : 0};
    assert_int_equal(oct_graph_add_constant(f->g, f->ctx, name, dt, &shape, q, true, &w), OCT_OK);
    const oct_quant quant = {p, 8, 0};
    assert_int_equal(oct_qdq_add_dequantize(f->g, f->ctx, w, &quant, name, &real), OCT_OK);
    return real;
}

static oct_value_id conv(fixture *f, const char *name, oct_value_id x, oct_dtype dt)
{
    char w[32] = "w_";
    strncat(w, name, 20);
    const oct_attr_window a = {.group = 1, .n_kernel = 2, .kernel = {1, 1}};
    return gb_node(f->g, f->ctx, OCT_OP_CONV, name, &a, NULL, GB_IN(x, weight(f, w, dt)));
}

static void run_passes(fixture *f)
{
    if (oct_pass_qoperator(f->ctx, f->g) != OCT_OK ||
        oct_pass_qdq_weights(f->ctx, f->g) != OCT_OK || oct_pass_qdq_move(f->ctx, f->g) != OCT_OK ||
        oct_pass_qdq_lower(f->ctx, f->g) != OCT_OK || oct_graph_check(f->ctx, f->g) != OCT_OK)
        fail_msg("%s", oct_error_text(f->ctx));
}

static const oct_value *input_of(const fixture *f, const char *node, int i)
{
    return oct_graph_value(f->g, gb_find(f->g, node)->in[i]);
}

static const oct_value *output_of(const fixture *f, const char *node, int i)
{
    return oct_graph_value(f->g, gb_find(f->g, node)->out[i]);
}

static void convolutions_in_a_row_stay_in_integers(void **state)
{
    fixture *f = *state;
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    gb_output(f->g, f->ctx, conv(f, "c2", pair(f, c1, &FIFTH), OCT_DT_S8));
    run_passes(f);
    assert_int_equal(gb_count(f->g, OCT_OP_QUANTIZE_LINEAR), 1);
    assert_int_equal(gb_count(f->g, OCT_OP_DEQUANTIZE_LINEAR), 0);
    assert_int_equal(output_of(f, "c1", 0)->dtype, OCT_DT_S8);
    assert_true(output_of(f, "c1", 0)->quant.q->scale == FIFTH.scale);
    assert_int_equal(input_of(f, "c1", 1)->quant.n, 8);
    assert_int_equal(output_of(f, "c2", 0)->dtype, OCT_DT_F32);
}

static void a_real_reader_gets_a_second_output(void **state)
{
    fixture *f = *state;
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    gb_output(f->g, f->ctx, conv(f, "c2", pair(f, c1, &FIFTH), OCT_DT_S8));
    gb_output(f->g, f->ctx, c1);
    run_passes(f);
    assert_int_equal(gb_find(f->g, "c1")->n_out, 2);
    assert_int_equal(output_of(f, "c1", 0)->dtype, OCT_DT_S8);
    assert_int_equal(gb_find(f->g, "c1")->out[1], c1);
}

static void data_movers_run_on_integers(void **state)
{
    fixture *f = *state;
    const oct_attr_window pool = {.n_kernel = 2, .kernel = {1, 1}, .group = 1};
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    const oct_value_id p = gb_node(f->g, f->ctx, OCT_OP_MAX_POOL, "pool", &pool, NULL, GB_IN(c1));
    gb_output(f->g, f->ctx, conv(f, "c2", pair(f, p, &FIFTH), OCT_DT_S8));
    run_passes(f);
    assert_int_equal(gb_count(f->g, OCT_OP_QUANTIZE_LINEAR), 1);
    assert_int_equal(input_of(f, "pool", 0)->dtype, OCT_DT_S8);
    assert_int_equal(output_of(f, "pool", 0)->dtype, OCT_DT_S8);
}

/* Conv -> Split -> a Conv on each half; the halves have `half` and TENTH as scales. */
static void split_block(fixture *f, const oct_qparams *half)
{
    static const int64_t sizes[] = {4, 4};
    const oct_attr_axis at = {.axis = 1, .num_outputs = 2};
    const oct_shape two = {.n_dims = 1, .dim = {2}};
    oct_value_id parts[2], count;
    oct_node_id made;
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    assert_int_equal(
        oct_graph_add_constant(f->g, f->ctx, "sizes", OCT_DT_S64, &two, sizes, true, &count),
        OCT_OK);
    for (int i = 0; i < 2; i++) {
        const oct_shape part = {.n_dims = 4, .dim = {1, 4, 8, 8}};
        assert_int_equal(
            oct_graph_add_value(f->g, f->ctx, i ? "right" : "left", OCT_DT_F32, &part, &parts[i]),
            OCT_OK);
    }
    const oct_value_id in[] = {c1, count};
    assert_int_equal(
        oct_graph_add_node(f->g, f->ctx, OCT_OP_SPLIT, "split", &at, in, 2, parts, 2, &made),
        OCT_OK);
    const oct_attr_axis join = {.axis = 1};
    const oct_value_id l = pair(f, parts[0], half), r = pair(f, parts[1], &TENTH);
    const oct_value_id joined =
        gb_node(f->g, f->ctx, OCT_OP_CONCAT, "join", &join, NULL, GB_IN(r, l));
    gb_output(f->g, f->ctx, conv(f, "c2", pair(f, joined, &TENTH), OCT_DT_S8));
    run_passes(f);
}

static void a_split_into_parts_of_one_scale_is_one_of_integers(void **state)
{
    fixture *f = *state;
    split_block(f, &TENTH);
    assert_int_equal(gb_count(f->g, OCT_OP_QUANTIZE_LINEAR), 1);
    assert_int_equal(gb_count(f->g, OCT_OP_DEQUANTIZE_LINEAR), 0);
    assert_int_equal(output_of(f, "c1", 0)->dtype, OCT_DT_S8);
    assert_int_equal(output_of(f, "split", 0)->dtype, OCT_DT_S8);
    assert_true(output_of(f, "split", 1)->quant.q->scale == TENTH.scale);
}

static void a_split_into_parts_of_two_scales_stays_real(void **state)
{
    fixture *f = *state;
    split_block(f, &FIFTH);
    assert_int_equal(output_of(f, "split", 0)->dtype, OCT_DT_F32);
    assert_int_equal(output_of(f, "c1", 0)->dtype, OCT_DT_F32);
}

static void an_add_between_pairs_becomes_integer_and_absorbs_relu(void **state)
{
    fixture *f = *state;
    const oct_value_id x = input(f), a = pair(f, x, &TENTH), b = pair(f, x, &FIFTH);
    const oct_value_id sum = gb_node(f->g, f->ctx, OCT_OP_ADD, "sum", NULL, NULL, GB_IN(a, b));
    const oct_value_id r = gb_node(f->g, f->ctx, OCT_OP_RELU, "relu", NULL, NULL, GB_IN(sum));
    gb_output(f->g, f->ctx, pair(f, r, &LOW_END));
    run_passes(f);
    assert_int_equal(gb_count(f->g, OCT_OP_RELU), 0);
    assert_int_equal(output_of(f, "sum", 0)->dtype, OCT_DT_S8);
    assert_int_equal(output_of(f, "sum", 0)->quant.q->zero_point, -128);
}

static void unary_functions_become_tables(void **state)
{
    fixture *f = *state;
    const oct_value_id s =
        gb_node(f->g, f->ctx, OCT_OP_SIGMOID, "s", NULL, NULL, GB_IN(pair(f, input(f), &TENTH)));
    const oct_qparams out = {1.0f / 256, -128};
    gb_output(f->g, f->ctx, pair(f, s, &out));
    run_passes(f);
    assert_int_equal(gb_count(f->g, OCT_OP_TABLE), 1);
    const int8_t *t = input_of(f, "s", 1)->data;
    assert_int_equal(t[0],
                     0 - 128 + 128); /* sigmoid(0) = 0.5 = 127.5 / 255 -> 128 (half even) - 128 */
    assert_int_equal(t[127], 127);
    assert_int_equal(t[128], -128);
}

static void u8_weights_are_recentred(void **state)
{
    fixture *f = *state;
    const oct_value_id w = weight(f, "w", OCT_DT_U8);
    const uint8_t first =
        *(const uint8_t *)oct_graph_value(f->g, oct_graph_find_value(f->g, "w"))->data;
    const oct_attr_window a = {.group = 1};
    gb_output(
        f->g, f->ctx,
        gb_node(f->g, f->ctx, OCT_OP_CONV, "c1", &a, NULL, GB_IN(pair(f, input(f), &TENTH), w)));
    run_passes(f);
    assert_int_equal(input_of(f, "c1", 1)->dtype, OCT_DT_S8);
    assert_int_equal(*(const int8_t *)input_of(f, "c1", 1)->data, first - 128);
}

static void batch_norm_moves_into_the_scales(void **state)
{
    fixture *f = *state;
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    const int64_t *c = GB_DIMS(8);
    oct_attr_norm norm = {.epsilon = 0};
    const oct_value_id bn = gb_node(
        f->g, f->ctx, OCT_OP_BATCH_NORM, "bn", &norm, NULL,
        GB_IN(c1, gb_fill(f->g, f->ctx, "gamma", c, -3), gb_fill(f->g, f->ctx, "beta", c, 5),
              gb_fill(f->g, f->ctx, "mean", c, 2), gb_fill(f->g, f->ctx, "var", c, 4)));
    gb_output(f->g, f->ctx, bn);
    const int8_t before = 37;
    run_passes(f);
    assert_int_equal(gb_count(f->g, OCT_OP_BATCH_NORM), 0);
    assert_int_equal(((const int8_t *)input_of(f, "c1", 1)->data)[1], -before);
    assert_true(input_of(f, "c1", 1)->quant.q[0].scale == 0.015f);
    assert_true(((const float *)input_of(f, "c1", 2)->data)[0] == 8.0f); /* (0 - 2) * -1.5 + 5 */
}

static void what_stays_real_says_why(void **state)
{
    fixture *f = *state;
    const oct_value_id x = pair(f, input(f), &TENTH);
    gb_output(f->g, f->ctx, gb_node(f->g, f->ctx, OCT_OP_SIGMOID, "s", NULL, NULL, GB_IN(x)));
    run_passes(f);
    assert_non_null(gb_find(f->g, "s")->note);
}

static void graphs_survive_encoding_and_every_cut_is_refused(void **state)
{
    fixture *f = *state;
    const oct_value_id c1 = conv(f, "c1", pair(f, input(f), &TENTH), OCT_DT_S8);
    gb_output(f->g, f->ctx, conv(f, "c2", pair(f, c1, &FIFTH), OCT_DT_S8));
    run_passes(f);
    oct_graph_code code, again;
    oct_graph *g = NULL;
    assert_int_equal(oct_graph_encode(f->ctx, f->g, &code), OCT_OK);
    assert_int_equal(oct_graph_decode(f->ctx, &code, &g), OCT_OK);
    assert_int_equal(oct_graph_encode(f->ctx, g, &again), OCT_OK);
    assert_int_equal(code.code_bytes, again.code_bytes);
    assert_memory_equal(code.code, again.code, code.code_bytes);
    assert_memory_equal(code.constants, again.constants, code.constant_bytes);
    const oct_attr_window *a = gb_find(g, "c1")->attr;
    assert_int_equal(a->n_kernel, 2); /* its count is the struct's first field */
    assert_int_equal(a->kernel[1], 1);
    oct_graph_free(g);
    const size_t whole = code.code_bytes;
    for (code.code_bytes = 0; code.code_bytes < whole; code.code_bytes++) {
        assert_int_equal(oct_graph_decode(f->ctx, &code, &g), OCT_ERR_FORMAT);
        oct_error_clear(f->ctx);
    }
    oct_graph_code_deinit(f->ctx, &code);
    oct_graph_code_deinit(f->ctx, &again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(convolutions_in_a_row_stay_in_integers),
        TEST(a_real_reader_gets_a_second_output),
        TEST(data_movers_run_on_integers),
        TEST(a_split_into_parts_of_one_scale_is_one_of_integers),
        TEST(a_split_into_parts_of_two_scales_stays_real),
        TEST(an_add_between_pairs_becomes_integer_and_absorbs_relu),
        TEST(unary_functions_become_tables),
        TEST(u8_weights_are_recentred),
        TEST(batch_norm_moves_into_the_scales),
        TEST(what_stays_real_says_why),
        TEST(graphs_survive_encoding_and_every_cut_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
