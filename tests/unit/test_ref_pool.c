/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools and normalizations on ref, by hand and by property.
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

static const float RAMP[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static oct_attr_window pool_2d(int64_t kernel, int64_t stride, int64_t pad)
{
    return (oct_attr_window){.n_kernel = 2,
                             .kernel = {kernel, kernel},
                             .n_stride = 2,
                             .stride = {stride, stride},
                             .n_pad = 4,
                             .pad = {pad, pad, pad, pad},
                             .p = 2};
}

static void expect_run(oct_op op, const void *attr, const oct_tensor *in, const float *want, int n)
{
    op_result r = op_run_ok(ctx, op, attr, in, 1, 1);
    for (int i = 0; i < n; i++)
        assert_true(fabsf(((float *)r.out[0].data)[i] - want[i]) < 1e-5f);
    op_result_free(ctx, &r);
}

static void averages_count_padding_only_when_asked(void **state)
{
    (void)state;
    const oct_tensor x = OP_TENSOR(F32, RAMP, 1, 1, 4, 4);
    oct_attr_window at = pool_2d(3, 3, 1);
    expect_run(OCT_OP_AVERAGE_POOL, &at, &x, (float[]){3.5f, 5.5f, 11.5f, 13.5f}, 4);
    at.count_include_pad = true;
    expect_run(OCT_OP_AVERAGE_POOL, &at, &x, (float[]){14 / 9.0f, 22 / 9.0f, 46 / 9.0f, 54 / 9.0f},
               4);
    /* ceil_mode: what lies beyond the padding never counts */
    at = pool_2d(3, 2, 0);
    at.ceil_mode = at.count_include_pad = true;
    expect_run(OCT_OP_AVERAGE_POOL, &at, &x, (float[]){6, 7.5f, 12, 13.5f}, 4);
}

static void maxima_know_where_they_were(void **state)
{
    (void)state;
    const oct_tensor x = OP_TENSOR(F32, RAMP, 1, 2, 2, 4);
    oct_attr_window at = pool_2d(2, 2, 0);
    op_result r = op_run_ok(ctx, OCT_OP_MAX_POOL, &at, &x, 1, 2);
    const int64_t row[] = {5, 7, 13, 15}, column[] = {3, 7, 11, 15};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(((int64_t *)r.out[1].data)[i], row[i]);
        assert_true(((float *)r.out[0].data)[i] == RAMP[row[i]]);
    }
    op_result_free(ctx, &r);
    at.storage_order = 1;
    r = op_run_ok(ctx, OCT_OP_MAX_POOL, &at, &x, 1, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(((int64_t *)r.out[1].data)[i], column[i]);
    op_result_free(ctx, &r);
    const float odd[] = {1, NAN, 3, 2};
    const oct_tensor with_nan = OP_TENSOR(F32, odd, 1, 1, 2, 2);
    r = op_run_ok(ctx, OCT_OP_MAX_POOL, &(oct_attr_window){.n_kernel = 2, .kernel = {2, 2}},
                  &with_nan, 1, 1);
    assert_true(isnan(((float *)r.out[0].data)[0]));
    op_result_free(ctx, &r);
}

static void an_average_of_bytes_is_rounded_once(void **state)
{
    (void)state;
    oct_rng rng = {6};
    uint8_t x[2 * 3 * 7 * 7];
    for (size_t i = 0; i < sizeof x; i++)
        x[i] = (uint8_t)oct_rng_below(&rng, 256);
    const oct_tensor in = OP_TENSOR(U8, x, 2, 3, 7, 7);
    const oct_qparams qx = {0.05f, 100}, qy = {0.03f, -4};
    const oct_quant quant = {&qx, 1, 0};
    const op_options opt = {.in_quant = &quant, .out_quant = {&qy, 1, 0}, .out_dtype = OCT_DT_S8};
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_GLOBAL_AVERAGE_POOL, NULL, &in, 1, 1, &opt, &r), OCT_OK);
    for (int c = 0; c < 6; c++) {
        int32_t sum = 0;
        for (int i = 0; i < 49; i++)
            sum += x[c * 49 + i] - 100;
        const float m = (float)((double)qx.scale / ((double)qy.scale * 49));
        assert_int_equal(((int8_t *)r.out[0].data)[c],
                         oct_requantize(sum, m, 0, qy.zero_point, -128, 127));
    }
    op_result_free(ctx, &r);
}

static void global_pools_equal_windows_of_the_whole_image(void **state)
{
    (void)state;
    const oct_tensor x = OP_TENSOR(F32, RAMP, 1, 1, 4, 4);
    const oct_attr_window whole = pool_2d(4, 1, 0);
    const oct_attr_norm two = {.p = 2};
    const float average = 8.5f, max = 16, lp = sqrtf(1496);
    expect_run(OCT_OP_AVERAGE_POOL, &whole, &x, &average, 1);
    expect_run(OCT_OP_GLOBAL_AVERAGE_POOL, NULL, &x, &average, 1);
    expect_run(OCT_OP_MAX_POOL, &whole, &x, &max, 1);
    expect_run(OCT_OP_GLOBAL_MAX_POOL, NULL, &x, &max, 1);
    expect_run(OCT_OP_LP_POOL, &whole, &x, &lp, 1);
    expect_run(OCT_OP_GLOBAL_LP_POOL, &two, &x, &lp, 1);
}

/* ---- normalizations ----------------------------------------------------------------------------- */

/* Mean 0 and variance 1 over each run of `n` elements. */
static void expect_normal(const float *y, int runs, int n)
{
    for (int k = 0; k < runs; k++) {
        double sum = 0, square = 0;
        for (int i = 0; i < n; i++) {
            sum += y[k * n + i];
            square += (double)y[k * n + i] * y[k * n + i];
        }
        assert_true(fabs(sum / n) < 1e-5 && fabs(square / n - 1) < 1e-3);
    }
}

static void normalized_runs_have_mean_0_and_variance_1(void **state)
{
    (void)state;
    float x[2 * 4 * 25], one[4] = {1, 1, 1, 1}, zero[4] = {0};
    oct_rng rng = {8};
    for (int i = 0; i < 200; i++)
        x[i] = oct_rng_f32(&rng) * 9 - 2;
    const oct_tensor in[] = {OP_TENSOR(F32, x, 2, 4, 5, 5), OP_TENSOR(F32, one, 4),
                             OP_TENSOR(F32, zero, 4)};
    op_result r = op_run_ok(ctx, OCT_OP_INSTANCE_NORM, NULL, in, 3, 1);
    expect_normal(r.out[0].data, 8, 25);
    op_result_free(ctx, &r);
    const oct_attr_norm group = {.epsilon = 1e-5f, .num_groups = 2};
    r = op_run_ok(ctx, OCT_OP_GROUP_NORM, &group, in, 3, 1);
    expect_normal(r.out[0].data, 4, 50);
    op_result_free(ctx, &r);
    const float ones[25] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const oct_attr_norm layer = {.epsilon = 1e-5f, .axis = 2};
    const oct_tensor with_scale[] = {in[0], OP_TENSOR(F32, ones, 5, 5)};
    r = op_run_ok(ctx, OCT_OP_LAYER_NORM, &layer, with_scale, 2, 3);
    expect_normal(r.out[0].data, 8, 25);
    assert_true(oct_shape_equal(&r.out[1].desc.shape, &(oct_shape){{2, 4, 1, 1}, 4}));
    op_result_free(ctx, &r);
}

static void batch_norm_by_hand(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4}, scale[] = {2, 1}, bias[] = {0.5f, -1}, mean[] = {1, 3};
    const float var[] = {4, 1};
    const oct_tensor in[] = {OP_TENSOR(F32, x, 1, 2, 2), OP_TENSOR(F32, scale, 2),
                             OP_TENSOR(F32, bias, 2), OP_TENSOR(F32, mean, 2),
                             OP_TENSOR(F32, var, 2)};
    const oct_attr_norm at = {.spatial = 1};
    op_result r = op_run_ok(ctx, OCT_OP_BATCH_NORM, &at, in, 5, 1);
    const float want[] = {0.5f, 1.5f, -1, 0};
    for (int i = 0; i < 4; i++)
        assert_true(((float *)r.out[0].data)[i] == want[i]);
    op_result_free(ctx, &r);
    const oct_attr_norm training = {.spatial = 1, .training_mode = true};
    assert_int_equal(op_run(ctx, OCT_OP_BATCH_NORM, &training, in, 5, 1, NULL, &r),
                     OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
}

static void half_precision_runs_through_f32(void **state)
{
    (void)state;
    uint16_t x[16];
    for (int i = 0; i < 16; i++)
        x[i] = oct_f16_from_f32(RAMP[i]);
    const oct_tensor in = OP_TENSOR(F16, x, 1, 1, 4, 4);
    op_result r = op_run_ok(ctx, OCT_OP_GLOBAL_AVERAGE_POOL, NULL, &in, 1, 1);
    assert_int_equal(r.out[0].desc.dtype, OCT_DT_F16);
    assert_true(oct_f32_from_f16(((uint16_t *)r.out[0].data)[0]) == 8.5f);
    op_result_free(ctx, &r);
}

static void softmax_sums_to_1_and_survives_large_values(void **state)
{
    (void)state;
    const float x[] = {1000, 1001, 999, -1000, 0, 3};
    const oct_tensor in = OP_TENSOR(F32, x, 2, 3);
    op_result r = op_run_ok(ctx, OCT_OP_SOFTMAX, NULL, &in, 1, 1);
    op_result l = op_run_ok(ctx, OCT_OP_LOG_SOFTMAX, NULL, &in, 1, 1);
    for (int k = 0; k < 2; k++) {
        const float *y = (float *)r.out[0].data + 3 * k, *z = (float *)l.out[0].data + 3 * k;
        assert_true(fabsf(y[0] + y[1] + y[2] - 1) < 1e-6f);
        assert_true(fabsf(expf(z[1]) - y[1]) < 1e-6f);
    }
    op_result_free(ctx, &r);
    op_result_free(ctx, &l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_count_padding_only_when_asked),
        cmocka_unit_test(maxima_know_where_they_were),
        cmocka_unit_test(an_average_of_bytes_is_rounded_once),
        cmocka_unit_test(global_pools_equal_windows_of_the_whole_image),
        cmocka_unit_test(normalized_runs_have_mean_0_and_variance_1),
        cmocka_unit_test(batch_norm_by_hand),
        cmocka_unit_test(half_precision_runs_through_f32),
        cmocka_unit_test(softmax_sums_to_1_and_survives_large_values),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
