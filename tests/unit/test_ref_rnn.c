/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM, GRU and RNN on ref: one step by hand, and the relations between directions, layouts,
 * lengths and batches.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/op_case.h"

enum { SEQ = 5, BATCH = 3, IN = 4, HID = 6 };

static oct_ctx *ctx;
static float X[SEQ * BATCH * IN], W[2 * 4 * HID * IN], R[2 * 4 * HID * HID], BIAS[2 * 8 * HID];

static int setup(void **state)
{
    (void)state;
    oct_rng r = {21};
    for (size_t i = 0; i < sizeof X / sizeof *X; i++)
        X[i] = oct_rng_f32(&r) * 2 - 1;
    for (size_t i = 0; i < sizeof W / sizeof *W; i++)
        W[i] = oct_rng_f32(&r) - 0.5f;
    for (size_t i = 0; i < sizeof R / sizeof *R; i++)
        R[i] = oct_rng_f32(&r) - 0.5f;
    for (size_t i = 0; i < sizeof BIAS / sizeof *BIAS; i++)
        BIAS[i] = oct_rng_f32(&r) - 0.5f;
    return oct_ctx_new(NULL, &ctx) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_ctx_free(ctx);
    return 0;
}

typedef struct rnn_op {
    oct_op op;
    int64_t gates;
    int n_out;
} rnn_op;

static const rnn_op OPS[] = {{OCT_OP_LSTM, 4, 3}, {OCT_OP_GRU, 3, 2}, {OCT_OP_RNN, 1, 2}};

static op_result run(const rnn_op *o, const oct_attr_rnn *at, const float *x, int64_t dim0,
                     int64_t dim1, const int32_t *lens)
{
    const int64_t dirs = at->direction == 2 ? 2 : 1, g = o->gates;
    const int64_t batch = at->layout ? dim0 : dim1;
    const oct_tensor in[] = {
        OP_TENSOR(F32, x, dim0, dim1, IN), OP_TENSOR(F32, W, dirs, g * HID, IN),
        OP_TENSOR(F32, R, dirs, g * HID, HID), OP_TENSOR(F32, BIAS, dirs, 2 * g * HID),
        lens ? OP_TENSOR(S32, lens, batch) : OP_ABSENT};
    return op_run_ok(ctx, o->op, at, in, 5, o->n_out);
}

static float sigmoid(float v)
{
    return 1 / (1 + expf(-v));
}

static void one_lstm_step_by_hand(void **state)
{
    (void)state;
    const oct_attr_rnn at = {.hidden_size = HID};
    op_result r = run(&OPS[0], &at, X, 1, 1, NULL);
    for (int h = 0; h < HID; h++) {
        float gate[4];
        for (int g = 0; g < 4; g++) {
            gate[g] = BIAS[g * HID + h] + BIAS[(4 + g) * HID + h];
            for (int k = 0; k < IN; k++)
                gate[g] += W[(g * HID + h) * IN + k] * X[k];
        }
        const float c = sigmoid(gate[0]) * tanhf(gate[3]); /* i, o, f, c; c0 = 0 */
        assert_true(fabsf(((float *)r.out[2].data)[h] - c) < 1e-5f);
        assert_true(fabsf(((float *)r.out[1].data)[h] - sigmoid(gate[1]) * tanhf(c)) < 1e-5f);
    }
    op_result_free(ctx, &r);
}

static void reverse_is_forward_on_the_reversed_sequence(void **state)
{
    (void)state;
    float reversed[SEQ * BATCH * IN];
    for (int t = 0; t < SEQ; t++)
        memcpy(reversed + t * BATCH * IN, X + (SEQ - 1 - t) * BATCH * IN,
               sizeof(float) * BATCH * IN);
    for (size_t k = 0; k < 3; k++) {
        const oct_attr_rnn fwd = {0}, back = {.direction = 1};
        op_result a = run(&OPS[k], &back, X, SEQ, BATCH, NULL);
        op_result b = run(&OPS[k], &fwd, reversed, SEQ, BATCH, NULL);
        const size_t row = BATCH * HID;
        for (size_t t = 0; t < SEQ; t++)
            assert_memory_equal((float *)a.out[0].data + t * row,
                                (float *)b.out[0].data + (SEQ - 1 - t) * row, row * sizeof(float));
        assert_memory_equal(a.out[1].data, b.out[1].data, row * sizeof(float));
        op_result_free(ctx, &a);
        op_result_free(ctx, &b);
    }
}

static void both_directions_hold_the_forward_one(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        const oct_attr_rnn one = {0}, both = {.direction = 2};
        op_result a = run(&OPS[k], &one, X, SEQ, BATCH, NULL);
        op_result b = run(&OPS[k], &both, X, SEQ, BATCH, NULL);
        const size_t row = BATCH * HID;
        for (size_t t = 0; t < SEQ; t++)
            assert_memory_equal((float *)a.out[0].data + t * row,
                                (float *)b.out[0].data + 2 * t * row, row * sizeof(float));
        op_result_free(ctx, &a);
        op_result_free(ctx, &b);
    }
}

static void the_batch_first_layout_is_a_transpose(void **state)
{
    (void)state;
    float x[SEQ * BATCH * IN];
    for (int t = 0; t < SEQ; t++)
        for (int n = 0; n < BATCH; n++)
            memcpy(x + (n * SEQ + t) * IN, X + (t * BATCH + n) * IN, sizeof(float) * IN);
    for (size_t k = 0; k < 3; k++) {
        const oct_attr_rnn first = {.layout = 1}, plain = {0};
        op_result a = run(&OPS[k], &first, x, BATCH, SEQ, NULL);
        op_result b = run(&OPS[k], &plain, X, SEQ, BATCH, NULL);
        for (size_t t = 0; t < SEQ; t++)
            for (size_t n = 0; n < BATCH; n++)
                assert_memory_equal((float *)a.out[0].data + (n * SEQ + t) * HID,
                                    (float *)b.out[0].data + (t * BATCH + n) * HID,
                                    HID * sizeof(float));
        op_result_free(ctx, &a);
        op_result_free(ctx, &b);
    }
}

static void a_short_sequence_ends_early_and_leaves_zeros(void **state)
{
    (void)state;
    int32_t lens[] = {SEQ, 2, 0};
    for (size_t k = 0; k < 3; k++) {
        const oct_attr_rnn at = {0};
        op_result full = run(&OPS[k], &at, X, SEQ, BATCH, NULL);
        op_result cut = run(&OPS[k], &at, X, SEQ, BATCH, lens);
        const float *a = full.out[0].data, *b = cut.out[0].data;
        assert_memory_equal((float *)cut.out[1].data + HID, a + (BATCH + 1) * HID,
                            HID * sizeof(float)); /* the last state of image 1 */
        for (int t = 0; t < SEQ; t++)
            for (int n = 0; n < BATCH; n++)
                for (int h = 0; h < HID; h++) {
                    const int at_h = (t * BATCH + n) * HID + h;
                    assert_true(b[at_h] == (t < lens[n] ? a[at_h] : 0));
                }
        op_result_free(ctx, &full);
        op_result_free(ctx, &cut);
    }
    const oct_tensor in[] = {OP_TENSOR(F32, X, SEQ, BATCH, IN), OP_TENSOR(F32, W, 1, HID, IN),
                             OP_TENSOR(F32, R, 1, HID, HID), OP_ABSENT,
                             OP_TENSOR(S32, lens, BATCH)};
    op_result r;
    lens[0] = SEQ + 1;
    assert_int_equal(op_run(ctx, OCT_OP_RNN, NULL, in, 5, 1, NULL, &r), OCT_ERR_RANGE);
    oct_error_clear(ctx);
}

static void an_image_does_not_see_its_neighbours(void **state)
{
    (void)state;
    float x[SEQ * IN];
    for (int t = 0; t < SEQ; t++)
        memcpy(x + t * IN, X + (t * BATCH + 1) * IN, sizeof(float) * IN);
    for (size_t k = 0; k < 3; k++) {
        const oct_attr_rnn at = {0};
        op_result all = run(&OPS[k], &at, X, SEQ, BATCH, NULL);
        op_result one = run(&OPS[k], &at, x, SEQ, 1, NULL);
        assert_memory_equal((float *)all.out[1].data + HID, one.out[1].data, HID * sizeof(float));
        op_result_free(ctx, &all);
        op_result_free(ctx, &one);
    }
}

static void activations_go_by_name_and_clip_bounds_the_gates(void **state)
{
    (void)state;
    static const char *const names[] = {"Affine"};
    const float alpha = 3, beta = -1;
    const oct_attr_rnn at = {.n_activations = 1,
                             .activations = names,
                             .n_alpha = 1,
                             .alpha = &alpha,
                             .n_beta = 1,
                             .beta = &beta,
                             .clip = 0.1f};
    op_result r = run(&OPS[2], &at, X, 1, BATCH, NULL);
    for (int i = 0; i < BATCH * HID; i++) {
        const float y = ((float *)r.out[1].data)[i];
        assert_true(y >= -1.3001f && y <= -0.6999f);
    }
    op_result_free(ctx, &r);
    static const char *const odd[] = {"NoSuch"};
    const oct_attr_rnn unknown = {.n_activations = 1, .activations = odd};
    const oct_tensor in[] = {OP_TENSOR(F32, X, SEQ, BATCH, IN), OP_TENSOR(F32, W, 1, HID, IN),
                             OP_TENSOR(F32, R, 1, HID, HID)};
    oct_tensor_desc out;
    assert_int_equal(op_infer(ctx, OCT_OP_RNN, &unknown, in, 3, &out, 1), OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_lstm_step_by_hand),
        cmocka_unit_test(reverse_is_forward_on_the_reversed_sequence),
        cmocka_unit_test(both_directions_hold_the_forward_one),
        cmocka_unit_test(the_batch_first_layout_is_a_transpose),
        cmocka_unit_test(a_short_sequence_ends_early_and_leaves_zeros),
        cmocka_unit_test(an_image_does_not_see_its_neighbours),
        cmocka_unit_test(activations_go_by_name_and_clip_bounds_the_gates),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
