/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
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

static float random_value(oct_rng *r)
{
    return oct_rng_f32(r) * 8 - 4;
}

static double expected(oct_op op, float u, float v)
{
    switch (op) {
    case OCT_OP_ADD:
        return u + v;
    case OCT_OP_SUB:
        return u - v;
    case OCT_OP_MUL:
        return u * v;
    case OCT_OP_DIV:
        return u / v;
    case OCT_OP_MIN:
        return u < v ? u : v;
    case OCT_OP_MAX:
        return u > v ? u : v;
    case OCT_OP_GREATER:
        return u > v;
    default:
        return u <= v;
    }
}

/* Reads element `index` of a dense tensor of `shape` that is broadcast to `to`. */
static float element(const float *x, const oct_shape *shape, const oct_shape *to,
                     const int64_t *index)
{
    int64_t at = 0;
    for (int i = 0; i < shape->n_dims; i++) {
        const int64_t k = index[i + to->n_dims - shape->n_dims];
        at = at * shape->dim[i] + (shape->dim[i] == 1 ? 0 : k);
    }
    return x[at];
}

static void check_broadcast(oct_op op, oct_rng *rng)
{
    static const int64_t sizes[] = {1, 2, 3, 9, 17};
    oct_shape s[2], out;
    float x[2][5000];
    oct_tensor in[2];
    out.n_dims = 1 + (int)oct_rng_below(rng, 4);
    for (int i = 0; i < out.n_dims; i++)
        out.dim[i] = sizes[oct_rng_below(rng, i < 2 ? 5 : 3)];
    for (int k = 0; k < 2; k++) {
        s[k].n_dims = k == 0 ? out.n_dims : (int)oct_rng_below(rng, (uint64_t)out.n_dims + 1);
        for (int i = 0; i < s[k].n_dims; i++)
            s[k].dim[i] =
                k == 1 && oct_rng_below(rng, 3) == 0 ? 1 : out.dim[i + out.n_dims - s[k].n_dims];
        for (int i = 0; i < 5000; i++)
            x[k][i] = random_value(rng);
        in[k] = op_tensor(OCT_DT_F32, x[k], s[k].dim, s[k].n_dims);
    }
    op_result r = op_run_ok(ctx, op, NULL, in, 2, 1);
    assert_true(oct_shape_equal(&r.out[0].desc.shape, &out));
    size_t n;
    assert_true(oct_shape_elems(&out, &n));
    for (size_t i = 0; i < n; i++) {
        int64_t index[OCT_MAX_DIMS];
        int64_t left = (int64_t)i;
        for (int k = out.n_dims - 1; k >= 0; k--) {
            index[k] = left % out.dim[k];
            left /= out.dim[k];
        }
        const double want =
            expected(op, element(x[0], &s[0], &out, index), element(x[1], &s[1], &out, index));
        assert_true(oct_elem_f64(r.out[0].data, r.out[0].desc.dtype, i) == want);
    }
    op_result_free(ctx, &r);
}

static void binary_ops_broadcast_like_numpy(void **state)
{
    (void)state;
    static const oct_op ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL,     OCT_OP_DIV,
                                 OCT_OP_MIN, OCT_OP_MAX, OCT_OP_GREATER, OCT_OP_LESS_OR_EQUAL};
    oct_rng rng = {7};
    for (int round = 0; round < 20; round++)
        for (size_t k = 0; k < sizeof ops / sizeof ops[0]; k++)
            check_broadcast(ops[k], &rng);
}

static void result_does_not_depend_on_threads_or_place(void **state)
{
    (void)state;
    enum { N = 40000 };
    static float a[N], b[N], c[N];
    oct_rng rng = {3};
    for (int i = 0; i < N; i++) {
        a[i] = c[i] = random_value(&rng);
        b[i] = random_value(&rng);
    }
    const oct_tensor in[2] = {OP_TENSOR(F32, a, N), OP_TENSOR(F32, b, N)};
    const oct_tensor same[2] = {OP_TENSOR(F32, c, N), OP_TENSOR(F32, b, N)};
    op_result one = op_run_ok(ctx, OCT_OP_MUL, NULL, in, 2, 1), two, none;
    assert_int_equal(op_run(ctx, OCT_OP_MUL, NULL, in, 2, 1, &(op_options){.threads = 2}, &two),
                     OCT_OK);
    assert_int_equal(
        op_run(ctx, OCT_OP_MUL, NULL, same, 2, 1, &(op_options){.in_place = true}, &none), OCT_OK);
    assert_memory_equal(one.out[0].data, two.out[0].data, sizeof a);
    assert_memory_equal(one.out[0].data, c, sizeof a);
    op_result_free(ctx, &one);
    op_result_free(ctx, &two);
}

static void channels_last_operands_give_the_same_elements(void **state)
{
    (void)state;
    enum { C = 5, H = 3, W = 4, N = 2 * C * H * W };
    float x[N], y[N], bias[C];
    const oct_shape s = {.dim = {2, C, H, W}, .n_dims = 4};
    oct_rng rng = {11};
    for (int i = 0; i < C; i++)
        bias[i] = random_value(&rng);
    const oct_tensor_desc last = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_CHANNELS_LAST);
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < H * W; p++) {
                const float v = random_value(&rng);
                x[(n * C + c) * H * W + p] = v;
                y[(n * H * W + p) * C + c] = v;
            }
    const oct_tensor row[2] = {OP_TENSOR(F32, x, 2, C, H, W), OP_TENSOR(F32, bias, C, 1, 1)};
    const oct_tensor nhwc[2] = {{last, y}, row[1]};
    op_result a = op_run_ok(ctx, OCT_OP_ADD, NULL, row, 2, 1), b;
    assert_int_equal(op_run(ctx, OCT_OP_ADD, NULL, nhwc, 2, 1, &(op_options){.out_at = &last}, &b),
                     OCT_OK);
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < H * W; p++)
                assert_true(((float *)a.out[0].data)[(n * C + c) * H * W + p] ==
                            ((float *)b.out[0].data)[(n * H * W + p) * C + c]);
    op_result_free(ctx, &a);
    op_result_free(ctx, &b);
}

static void nan_and_infinity_pass_through_comparing_functions(void **state)
{
    (void)state;
    const float x[] = {NAN, INFINITY, -INFINITY, 0x1p-149f, -0.0f};
    const float zero[] = {0};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 5), OP_SCALAR(F32, zero)};
    const oct_tensor turned[2] = {in[1], in[0]};
    static const oct_op keep_nan[] = {OCT_OP_RELU,         OCT_OP_SIGMOID,    OCT_OP_TANH,
                                      OCT_OP_HARD_SIGMOID, OCT_OP_HARD_SWISH, OCT_OP_ELU,
                                      OCT_OP_SELU,         OCT_OP_SOFTPLUS,   OCT_OP_GELU,
                                      OCT_OP_MISH,         OCT_OP_SIGN,       OCT_OP_ROUND};
    for (size_t i = 0; i < sizeof keep_nan / sizeof keep_nan[0]; i++) {
        op_result r = op_run_ok(ctx, keep_nan[i], NULL, in, 1, 1);
        assert_true(isnan(((float *)r.out[0].data)[0]));
        op_result_free(ctx, &r);
    }
    for (int i = 0; i < 4; i++) {
        op_result r =
            op_run_ok(ctx, i & 1 ? OCT_OP_MAX : OCT_OP_MIN, NULL, i & 2 ? in : turned, 2, 1);
        const float *y = r.out[0].data;
        assert_true(isnan(y[0]));
        assert_true(y[1] == (i & 1 ? INFINITY : 0) && y[3] == (i & 1 ? 0x1p-149f : 0));
        op_result_free(ctx, &r);
    }
    op_result relu = op_run_ok(ctx, OCT_OP_RELU, NULL, in, 1, 1);
    const float *y = relu.out[0].data;
    assert_true(y[1] == INFINITY && y[2] == 0 && y[3] == 0x1p-149f);
    op_result_free(ctx, &relu);
}

static void functions_do_not_overflow_on_the_way(void **state)
{
    (void)state;
    const float x[] = {100, -100, 3e38f, -3e38f};
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 4)};
    static const struct {
        oct_op op;
        float want[4];
    } cases[] = {
        {OCT_OP_SIGMOID, {1, 3.7835e-44f, 1, 0}},
        {OCT_OP_SOFTPLUS, {100, 3.7835e-44f, 3e38f, 0}},
        {OCT_OP_MISH, {100, 0, 3e38f, 0}},
        {OCT_OP_TANH, {1, -1, 1, -1}},
        {OCT_OP_SOFTSIGN, {0.990099f, -0.990099f, 1, -1}},
        {OCT_OP_ERF, {1, -1, 1, -1}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        op_result r = op_run_ok(ctx, cases[k].op, NULL, in, 1, 1);
        const float *y = r.out[0].data;
        for (int i = 0; i < 4; i++)
            if (!(fabsf(y[i] - cases[k].want[i]) <= 1e-6f * fabsf(cases[k].want[i]) + 1e-40f))
                fail_msg("%s: element %d differs", oct_op_name(cases[k].op), i);
        op_result_free(ctx, &r);
    }
}

static void round_is_half_to_even(void **state)
{
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f};
    const float want[] = {0, 2, 2, -0.0f, -2, -2};
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 6)};
    op_result r = op_run_ok(ctx, OCT_OP_ROUND, NULL, in, 1, 1);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
}

static void integers_wrap_and_division_by_zero_is_an_error(void **state)
{
    (void)state;
    const int8_t a[] = {-128, 127, -7}, b[] = {-1, 1, 2}, z[] = {1, 0, 1};
    const oct_tensor in[2] = {OP_TENSOR(S8, a, 3), OP_TENSOR(S8, b, 3)};
    const oct_tensor bad[2] = {in[0], OP_TENSOR(S8, z, 3)};
    const int8_t sum[] = {127, -128, -5}, quotient[] = {-128, 127, -3}, mod[] = {0, 0, 1};
    op_result r = op_run_ok(ctx, OCT_OP_ADD, NULL, in, 2, 1);
    assert_memory_equal(r.out[0].data, sum, 3);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_DIV, NULL, in, 2, 1);
    assert_memory_equal(r.out[0].data, quotient, 3);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_MOD, NULL, in, 2, 1);
    assert_memory_equal(r.out[0].data, mod, 3);
    op_result_free(ctx, &r);
    assert_int_equal(op_run(ctx, OCT_OP_DIV, NULL, bad, 2, 1, NULL, &r), OCT_ERR_RANGE);
    assert_non_null(strstr(oct_error_text(ctx), "division by zero"));
    oct_error_clear(ctx);
    const int64_t least[] = {INT64_MIN}, minus[] = {-1};
    const oct_tensor edge[2] = {OP_TENSOR(S64, least, 1), OP_TENSOR(S64, minus, 1)};
    r = op_run_ok(ctx, OCT_OP_DIV, NULL, edge, 2, 1);
    assert_true(*(int64_t *)r.out[0].data == INT64_MIN);
    op_result_free(ctx, &r);
}

static void halves_are_rounded_once_even_in_long_sums(void **state)
{
    (void)state;
    const float parts[8] = {2048, 1, 1, 1, 1, 1, 1, 1};
    uint16_t half[8];
    oct_tensor in[8];
    for (int i = 0; i < 8; i++) {
        half[i] = oct_f16_from_f32(parts[i]);
        in[i] = OP_TENSOR(F16, &half[i], 1);
    }
    op_result r = op_run_ok(ctx, OCT_OP_SUM, NULL, in, 8, 1); /* 2049 is no f16; 2056 is */
    assert_true(oct_f32_from_f16(*(uint16_t *)r.out[0].data) == 2056);
    op_result_free(ctx, &r);
}

static void variadic_ops_take_one_and_many_inputs(void **state)
{
    (void)state;
    float x[24][2];
    oct_tensor in[24];
    for (int i = 0; i < 24; i++) {
        x[i][0] = (float)i;
        x[i][1] = (float)-i;
        in[i] = OP_TENSOR(F32, x[i], 2);
    }
    for (int n = 1; n <= 24; n++) {
        op_result mean = op_run_ok(ctx, OCT_OP_MEAN, NULL, in, n, 1);
        op_result max = op_run_ok(ctx, OCT_OP_MAX, NULL, in, n, 1);
        assert_true(((float *)mean.out[0].data)[0] == (float)(n - 1) / 2);
        assert_true(((float *)max.out[0].data)[0] == (float)(n - 1));
        assert_true(((float *)max.out[0].data)[1] == 0);
        op_result_free(ctx, &mean);
        op_result_free(ctx, &max);
    }
}

static void int8_add_and_mul_follow_the_formula(void **state)
{
    (void)state;
    int8_t a[256], b[256];
    const oct_qparams qa = {0.05f, 3}, qb = {0.02f, -7}, qy = {0.06f, 1};
    const oct_quant in_quant[2] = {{&qa, 1, 0}, {&qb, 1, 0}};
    const op_options opt = {.in_quant = in_quant, .out_quant = {&qy, 1, 0}};
    oct_rng rng = {5};
    for (int i = 0; i < 256; i++) {
        a[i] = (int8_t)(i - 128);
        b[i] = (int8_t)oct_rng_below(&rng, 256);
    }
    const oct_tensor in[2] = {OP_TENSOR(S8, a, 256), OP_TENSOR(S8, b, 256)};
    for (int mul = 0; mul < 2; mul++) {
        op_result r;
        assert_int_equal(op_run(ctx, mul ? OCT_OP_MUL : OCT_OP_ADD, NULL, in, 2, 1, &opt, &r),
                         OCT_OK);
        for (int i = 0; i < 256; i++) {
            const float u = oct_dequantize(a[i], qa), v = oct_dequantize(b[i], qb);
            assert_int_equal(((int8_t *)r.out[0].data)[i],
                             oct_quantize(mul ? u * v : u + v, qy, -128, 127));
        }
        op_result_free(ctx, &r);
    }
}

/* Ties, saturation and NaN, against the one definition of rounding in base/numeric.h. */
static void quantized_results_round_like_oct_quantize(void **state)
{
    (void)state;
    enum { N = 2000 };
    static float x[N];
    const float one[1] = {1};
    const float special[] = {NAN,  INFINITY, -INFINITY, 1e30f,  -1e30f, 0.5f,
                             1.5f, -0.5f,    126.5f,    127.5f, 999.5f, -1000.5f};
    static const oct_dtype types[] = {OCT_DT_S8, OCT_DT_U8};
    oct_rng rng = {29};
    for (int i = 0; i < N; i++)
        x[i] = i < 12 ? special[i] : oct_rng_f32(&rng) * 800 - 400;
    const oct_tensor in[2] = {OP_TENSOR(F32, x, N), OP_TENSOR(F32, one, 1)};
    for (int k = 0; k < 6; k++) {
        const oct_dtype dt = types[k & 1];
        const int32_t lo = k & 1 ? 0 : -128;
        const oct_qparams q = {k < 2 ? 1.0f : k < 4 ? 0.7f : 3.1f, k < 4 ? 0 : lo + 5};
        const op_options opt = {.out_quant = {&q, 1, 0}, .out_dtype = dt};
        op_result r;
        assert_int_equal(op_run(ctx, OCT_OP_MUL, NULL, in, 2, 1, &opt, &r), OCT_OK);
        for (int i = 0; i < N; i++)
            assert_int_equal((int32_t)oct_elem_s64(r.out[0].data, dt, (size_t)i),
                             oct_quantize(x[i], q, lo, lo + 255));
        op_result_free(ctx, &r);
    }
}

static void where_and_clip_choose(void **state)
{
    (void)state;
    const uint8_t cond[] = {1, 0};
    const int64_t yes[] = {1, 2}, no[] = {-1};
    const oct_tensor in[3] = {OP_TENSOR(BOOL, cond, 2, 1), OP_TENSOR(S64, yes, 2),
                              OP_SCALAR(S64, no)};
    const int64_t want[] = {1, 2, -1, -1};
    op_result r = op_run_ok(ctx, OCT_OP_WHERE, NULL, in, 3, 1);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
    const float x[] = {-2, 0.5f, 9, NAN}, lo[] = {-1}, hi[] = {1};
    const oct_tensor clip[3] = {OP_TENSOR(F32, x, 4), OP_SCALAR(F32, lo), OP_SCALAR(F32, hi)};
    const oct_tensor above[3] = {clip[0], OP_ABSENT, clip[2]};
    r = op_run_ok(ctx, OCT_OP_CLIP, NULL, clip, 3, 1);
    const float *y = r.out[0].data;
    assert_true(y[0] == -1 && y[1] == 0.5f && y[2] == 1 && isnan(y[3]));
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_CLIP, NULL, above, 3, 1);
    y = r.out[0].data;
    assert_true(y[0] == -2 && y[2] == 1);
    op_result_free(ctx, &r);
}

static void empty_tensors_are_fine(void **state)
{
    (void)state;
    const float none[1] = {0};
    const oct_tensor in[2] = {OP_TENSOR(F32, none, 0, 3), OP_TENSOR(F32, none, 1)};
    op_result r = op_run_ok(ctx, OCT_OP_ADD, NULL, in, 2, 1);
    assert_int_equal(r.out[0].desc.shape.dim[0], 0);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_EXP, NULL, in, 1, 1);
    op_result_free(ctx, &r);
}

static void powers_mix_types(void **state)
{
    (void)state;
    const int32_t base[] = {-3, 2, 7, 1};
    const float exponent[] = {3, 0.5f, 0, -1};
    const int64_t whole[] = {3, 10, 0, -1};
    const oct_tensor floats[2] = {OP_TENSOR(S32, base, 4), OP_TENSOR(F32, exponent, 4)};
    const oct_tensor ints[2] = {floats[0], OP_TENSOR(S64, whole, 4)};
    const int32_t want_f[] = {-27, 1, 1, 1}, want_i[] = {-27, 1024, 1, 1};
    op_result r = op_run_ok(ctx, OCT_OP_POW, NULL, floats, 2, 1);
    assert_memory_equal(r.out[0].data, want_f, sizeof want_f);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_POW, NULL, ints, 2, 1);
    assert_memory_equal(r.out[0].data, want_i, sizeof want_i);
    op_result_free(ctx, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_ops_broadcast_like_numpy),
        cmocka_unit_test(result_does_not_depend_on_threads_or_place),
        cmocka_unit_test(channels_last_operands_give_the_same_elements),
        cmocka_unit_test(nan_and_infinity_pass_through_comparing_functions),
        cmocka_unit_test(functions_do_not_overflow_on_the_way),
        cmocka_unit_test(round_is_half_to_even),
        cmocka_unit_test(integers_wrap_and_division_by_zero_is_an_error),
        cmocka_unit_test(halves_are_rounded_once_even_in_long_sums),
        cmocka_unit_test(variadic_ops_take_one_and_many_inputs),
        cmocka_unit_test(int8_add_and_mul_follow_the_formula),
        cmocka_unit_test(quantized_results_round_like_oct_quantize),
        cmocka_unit_test(where_and_clip_choose),
        cmocka_unit_test(empty_tensors_are_fine),
        cmocka_unit_test(powers_mix_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
