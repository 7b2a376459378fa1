/* SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear and its relatives on ref.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/op_case.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return oct_ctx_new(NULL, &ctx) != OCT_OK;
}

static int teardown(void **state)
{
    (void)state;
    oct_ctx_free(ctx);
    return 0;
}

static void quantizing_rounds_to_even_and_saturates(void **state)
{
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1e9f, -1e9f, NAN, INFINITY, -INFINITY};
    const int8_t want[] = {0, 2, 2, 0, -2, 127, -128, -128, 127, -128}, zero = 0;
    const float scale = 1;
    const oct_tensor in[] = {OP_TENSOR(F32, x, 10), OP_SCALAR(F32, &scale), OP_SCALAR(S8, &zero)};
    op_result r = op_run_ok(ctx, OCT_OP_QUANTIZE_LINEAR, NULL, in, 3, 1);
    assert_memory_equal(r.out[0].data, want, 10);
    op_result_free(ctx, &r);
}

static void dequantizing_then_quantizing_gives_the_same_bytes(void **state)
{
    (void)state;
    uint8_t q[4 * 64];
    const float scale[] = {0.5f, 1e-3f, 7, 0.3f};
    const uint8_t zero[] = {0, 128, 255, 3};
    for (int i = 0; i < 256; i++)
        q[i] = (uint8_t)i;
    const oct_attr_quantize at = {.axis = -2};
    const oct_tensor in[] = {OP_TENSOR(U8, q, 4, 64), OP_TENSOR(F32, scale, 4),
                             OP_TENSOR(U8, zero, 4)};
    op_result real = op_run_ok(ctx, OCT_OP_DEQUANTIZE_LINEAR, &at, in, 3, 1);
    const oct_tensor back[] = {real.out[0], in[1], in[2]};
    op_result r = op_run_ok(ctx, OCT_OP_QUANTIZE_LINEAR, &at, back, 3, 1);
    assert_int_equal(r.out[0].desc.dtype, OCT_DT_U8);
    assert_memory_equal(r.out[0].data, q, 256);
    op_result_free(ctx, &real);
    op_result_free(ctx, &r);
}

static void channels_last_data_finds_the_same_channel(void **state)
{
    (void)state;
    const float x[] = {1, 10, 2, 20, 3, 30, 4, 40}; /* n=1, c=2, h=w=2, channels innermost */
    const float scale[] = {1, 10};
    const int8_t zero[] = {0, 0};
    const oct_shape s = {{1, 2, 2, 2}, 4};
    const oct_tensor_desc last = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_CHANNELS_LAST);
    const oct_tensor in[] = {
        {last, (void *)(uintptr_t)x}, OP_TENSOR(F32, scale, 2), OP_TENSOR(S8, zero, 2)};
    op_result r;
    assert_int_equal(
        op_run(ctx, OCT_OP_QUANTIZE_LINEAR, NULL, in, 3, 1, &(op_options){.out_at = &last}, &r),
        OCT_OK);
    assert_memory_equal(r.out[0].data, ((int8_t[]){1, 1, 2, 2, 3, 3, 4, 4}), 8);
    op_result_free(ctx, &r);
}

static void what_cannot_be_computed_is_refused(void **state)
{
    (void)state;
    const float x[4] = {0}, scale[4] = {1, 1, 1, 1};
    const int16_t zero = 0;
    oct_tensor_desc out;
    const oct_tensor sixteen[] = {OP_TENSOR(F32, x, 4), OP_SCALAR(F32, scale),
                                  OP_SCALAR(S16, &zero)};
    assert_int_equal(op_infer(ctx, OCT_OP_QUANTIZE_LINEAR, NULL, sixteen, 3, &out, 1),
                     OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
    const oct_attr_quantize blocked = {.block_size = 2};
    const oct_tensor blocks[] = {OP_TENSOR(F32, x, 4), OP_TENSOR(F32, scale, 2)};
    assert_int_equal(op_infer(ctx, OCT_OP_QUANTIZE_LINEAR, &blocked, blocks, 2, &out, 1),
                     OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
    const oct_tensor wrong[] = {OP_TENSOR(F32, x, 2, 2), OP_TENSOR(F32, scale, 4)};
    assert_int_equal(op_infer(ctx, OCT_OP_QUANTIZE_LINEAR, NULL, wrong, 2, &out, 1), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
}

static void dynamic_quantization_covers_zero(void **state)
{
    (void)state;
    const float x[] = {2, 4, 255 * 0.02f};
    const oct_tensor in = OP_TENSOR(F32, x, 3);
    op_result r = op_run_ok(ctx, OCT_OP_DYNAMIC_QUANTIZE_LINEAR, NULL, &in, 1, 3);
    assert_true(fabsf(*(float *)r.out[1].data - 0.02f) < 1e-7f);
    assert_int_equal(*(uint8_t *)r.out[2].data, 0);
    assert_memory_equal(r.out[0].data, ((uint8_t[]){100, 200, 255}), 3);
    op_result_free(ctx, &r);
    const float zeros[3] = {0};
    const oct_tensor none = OP_TENSOR(F32, zeros, 3);
    r = op_run_ok(ctx, OCT_OP_DYNAMIC_QUANTIZE_LINEAR, NULL, &none, 1, 3);
    assert_true(*(float *)r.out[1].data > 0);
    op_result_free(ctx, &r);
}

static void a_table_is_indexed_by_the_byte_whatever_its_sign(void **state)
{
    (void)state;
    uint8_t table[256];
    const int8_t x[] = {0, 1, -1, -128, 127};
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)(255 - i);
    const oct_tensor in[] = {OP_TENSOR(S8, x, 5), OP_TENSOR(U8, table, 256)};
    op_result r = op_run_ok(ctx, OCT_OP_TABLE, NULL, in, 2, 1);
    assert_memory_equal(r.out[0].data, ((uint8_t[]){255, 254, 0, 127, 128}), 5);
    op_result_free(ctx, &r);
}

/* DQ -> op -> Q in f32 and the QLinear op agree within one step. */
static void qlinear_ops_agree_with_their_real_form(void **state)
{
    (void)state;
    enum { N = 48 };
    uint8_t a[N], b[N];
    oct_rng rng = {12};
    for (int i = 0; i < N; i++) {
        a[i] = (uint8_t)oct_rng_below(&rng, 256);
        b[i] = (uint8_t)oct_rng_below(&rng, 256);
    }
    const float sa = 0.02f, sb = 0.05f, sy = 0.07f;
    const uint8_t za = 120, zb = 10, zy = 100;
    const oct_tensor in[] = {OP_TENSOR(U8, a, 4, 12), OP_SCALAR(F32, &sa), OP_SCALAR(U8, &za),
                             OP_TENSOR(U8, b, 4, 12), OP_SCALAR(F32, &sb), OP_SCALAR(U8, &zb),
                             OP_SCALAR(F32, &sy),     OP_SCALAR(U8, &zy)};
    const oct_op ops[] = {OCT_OP_QLINEAR_ADD, OCT_OP_QLINEAR_MUL};
    for (int k = 0; k < 2; k++) {
        op_result r = op_run_ok(ctx, ops[k], NULL, in, 8, 1);
        for (int i = 0; i < N; i++) {
            const double x = (a[i] - 120) * (double)sa, y = (b[i] - 10) * (double)sb;
            const double q = (k ? x * y : x + y) / sy + zy;
            assert_true(fabs(((uint8_t *)r.out[0].data)[i] - fmin(fmax(q, 0), 255)) < 0.502);
        }
        op_result_free(ctx, &r);
    }
    const oct_tensor unary[] = {in[0], in[1], in[2], in[6], in[7]};
    op_result r = op_run_ok(ctx, OCT_OP_QLINEAR_LEAKY_RELU, NULL, unary, 5, 1);
    for (int i = 0; i < N; i++) {
        const double x = (a[i] - 120) * (double)sa;
        assert_true(fabs(((uint8_t *)r.out[0].data)[i] - ((x < 0 ? x * 0.01 : x) / sy + zy)) <
                    0.502);
    }
    op_result_free(ctx, &r);
    const oct_tensor parts[] = {in[6], in[7], in[0], in[1], in[2], in[3], in[4], in[5]};
    r = op_run_ok(ctx, OCT_OP_QLINEAR_CONCAT, &(oct_attr_axis){.axis = 1}, parts, 8, 1);
    assert_true(oct_shape_equal(&r.out[0].desc.shape, &(oct_shape){{4, 24}, 2}));
    for (int i = 0; i < N; i++) {
        const double x = (b[i] - 10) * (double)sb / sy + zy;
        assert_true(fabs(((uint8_t *)r.out[0].data)[i / 12 * 24 + 12 + i % 12] - fmin(x, 255)) <
                    0.502);
    }
    op_result_free(ctx, &r);
}

static void qlinear_conv_takes_scales_per_channel_at_run_time(void **state)
{
    (void)state;
    const uint8_t x[] = {10, 20, 30, 40}, zx = 5, zy = 7;
    const int8_t w[] = {1, -2}, zw[] = {0, 1};
    const int32_t bias[] = {3, -4};
    const float sx = 0.5f, sw[] = {2, 4}, sy = 8;
    const oct_attr_window at = {.group = 1};
    const oct_tensor in[] = {
        OP_TENSOR(U8, x, 1, 1, 2, 2), OP_SCALAR(F32, &sx),   OP_SCALAR(U8, &zx),
        OP_TENSOR(S8, w, 2, 1, 1, 1), OP_TENSOR(F32, sw, 2), OP_TENSOR(S8, zw, 2),
        OP_SCALAR(F32, &sy),          OP_SCALAR(U8, &zy),    OP_TENSOR(S32, bias, 2)};
    op_result r = op_run_ok(ctx, OCT_OP_QLINEAR_CONV, &at, in, 9, 1);
    for (int i = 0; i < 8; i++) {
        const int c = i / 4, acc = (x[i % 4] - zx) * (w[c] - zw[c]) + bias[c];
        const float v = rintf((float)acc * (sx * sw[c] / sy)) + zy; /* powers of two: exact */
        assert_int_equal(((uint8_t *)r.out[0].data)[i], (int)fminf(fmaxf(v, 0), 255));
    }
    op_result_free(ctx, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantizing_rounds_to_even_and_saturates),
        cmocka_unit_test(dequantizing_then_quantizing_gives_the_same_bytes),
        cmocka_unit_test(channels_last_data_finds_the_same_channel),
        cmocka_unit_test(what_cannot_be_computed_is_refused),
        cmocka_unit_test(dynamic_quantization_covers_zero),
        cmocka_unit_test(a_table_is_indexed_by_the_byte_whatever_its_sign),
        cmocka_unit_test(qlinear_ops_agree_with_their_real_form),
        cmocka_unit_test(qlinear_conv_takes_scales_per_channel_at_run_time),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
