/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
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

static void gather_takes_slices_and_counts_from_the_end(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    const int64_t index[] = {2, -3};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 2, 3), OP_TENSOR(S64, index, 2)};
    const oct_attr_axis attr = {.axis = 1};
    const float want[] = {3, 1, 6, 4};
    op_result r = op_run_ok(ctx, OCT_OP_GATHER, &attr, in, 2, 1);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
}

static void bad_indices_are_named_with_position_and_value(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3};
    const int32_t index[] = {0, 3}, low[] = {0, -4};
    const oct_tensor in[3] = {OP_TENSOR(F32, x, 3), OP_TENSOR(S32, index, 2), OP_TENSOR(F32, x, 2)};
    const oct_tensor under[2] = {in[0], OP_TENSOR(S32, low, 2)};
    static const oct_op ops[] = {OCT_OP_GATHER, OCT_OP_GATHER_ELEMENTS, OCT_OP_SCATTER_ELEMENTS};
    for (size_t i = 0; i < 3; i++) {
        op_result r;
        assert_int_equal(op_run(ctx, ops[i], NULL, in, i == 2 ? 3 : 2, 1, NULL, &r), OCT_ERR_RANGE);
        assert_non_null(strstr(oct_error_text(ctx), "indices[1] is 3, expected -3 to 2"));
        oct_error_clear(ctx);
    }
    op_result r;
    assert_int_equal(op_run(ctx, OCT_OP_GATHER, NULL, under, 2, 1, NULL, &r), OCT_ERR_RANGE);
    oct_error_clear(ctx);
}

static void gather_nd_follows_batches(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const int64_t index[] = {1, 0};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 2, 2, 2), OP_TENSOR(S64, index, 2, 1)};
    const float flat[] = {5, 6, 7, 8, 1, 2, 3, 4}, batched[] = {3, 4, 5, 6};
    op_result r = op_run_ok(ctx, OCT_OP_GATHER_ND, NULL, in, 2, 1);
    assert_memory_equal(r.out[0].data, flat, sizeof flat);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_GATHER_ND, &(oct_attr_gather_nd){1}, in, 2, 1);
    assert_memory_equal(r.out[0].data, batched, sizeof batched);
    op_result_free(ctx, &r);
}

static void scatter_reduces_repeated_indices_in_order(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3}, update[] = {10, 20, -1};
    const int64_t index[] = {1, 1, -3};
    const oct_tensor in[3] = {OP_TENSOR(F32, x, 3), OP_TENSOR(S64, index, 3),
                              OP_TENSOR(F32, update, 3)};
    const oct_tensor nd[3] = {in[0], OP_TENSOR(S64, index, 3, 1), in[2]};
    static const float want[5][3] = {{-1, 20, 3}, {0, 32, 3}, {-1, 400, 3}, {1, 20, 3}, {-1, 2, 3}};
    for (int how = OCT_SCATTER_NONE; how <= OCT_SCATTER_MIN; how++) {
        const oct_attr_scatter attr = {.axis = 0, .reduction = (oct_scatter_reduction)how};
        op_result r = op_run_ok(ctx, OCT_OP_SCATTER_ELEMENTS, &attr, in, 3, 1);
        assert_memory_equal(r.out[0].data, want[how], sizeof want[how]);
        op_result_free(ctx, &r);
        r = op_run_ok(ctx, OCT_OP_SCATTER_ND, &attr, nd, 3, 1);
        assert_memory_equal(r.out[0].data, want[how], sizeof want[how]);
        op_result_free(ctx, &r);
    }
}

static void one_hot_ignores_indices_out_of_range(void **state)
{
    (void)state;
    const float index[] = {0, -1, 7}, values[] = {5, 9};
    const int32_t depth[] = {2};
    const oct_tensor in[3] = {OP_TENSOR(F32, index, 3), OP_SCALAR(S32, depth),
                              OP_TENSOR(F32, values, 2)};
    const float last[] = {9, 5, 5, 9, 5, 5}, first[] = {9, 5, 5, 5, 9, 5};
    op_result r = op_run_ok(ctx, OCT_OP_ONE_HOT, NULL, in, 3, 1);
    assert_memory_equal(r.out[0].data, last, sizeof last);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_ONE_HOT, &(oct_attr_axis){.axis = 0}, in, 3, 1);
    assert_memory_equal(r.out[0].data, first, sizeof first);
    op_result_free(ctx, &r);
}

static void shapes_that_depend_on_data_are_found_by_inference(void **state)
{
    (void)state;
    const float x[] = {0, NAN, 2, -0.0f};
    const uint8_t keep[] = {0, 1};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 2, 2), OP_TENSOR(BOOL, keep, 2)};
    const int64_t where[] = {0, 1, 1, 0};
    op_result r = op_run_ok(ctx, OCT_OP_NON_ZERO, NULL, in, 1, 1);
    assert_int_equal(r.out[0].desc.shape.dim[1], 2);
    assert_memory_equal(r.out[0].data, where, sizeof where);
    op_result_free(ctx, &r);
    const oct_attr_axis attr = {.axis = 0, .has_axis = true};
    r = op_run_ok(ctx, OCT_OP_COMPRESS, &attr, in, 2, 1);
    assert_int_equal(r.out[0].desc.shape.dim[0], 1);
    assert_true(((float *)r.out[0].data)[0] == 2);
    op_result_free(ctx, &r);
}

static void sources_make_what_they_are_told(void **state)
{
    (void)state;
    const float start[] = {1}, limit[] = {2}, delta[] = {0.25f};
    const oct_tensor range[3] = {OP_SCALAR(F32, start), OP_SCALAR(F32, limit),
                                 OP_SCALAR(F32, delta)};
    const float steps[] = {1, 1.25f, 1.5f, 1.75f};
    op_result r = op_run_ok(ctx, OCT_OP_RANGE, NULL, range, 3, 1);
    assert_int_equal(r.out[0].desc.shape.dim[0], 4);
    assert_memory_equal(r.out[0].data, steps, sizeof steps);
    op_result_free(ctx, &r);
    const int32_t from[] = {3}, to[] = {-2}, by[] = {-2}, down[] = {3, 1, -1};
    const oct_tensor back[3] = {OP_SCALAR(S32, from), OP_SCALAR(S32, to), OP_SCALAR(S32, by)};
    r = op_run_ok(ctx, OCT_OP_RANGE, NULL, back, 3, 1);
    assert_memory_equal(r.out[0].data, down, sizeof down);
    op_result_free(ctx, &r);
    const int64_t eye_like[4] = {0}, none[1] = {0};
    const oct_tensor square[1] = {OP_TENSOR(S64, eye_like, 2, 2)};
    const int64_t eye[] = {0, 1, 0, 0};
    r = op_run_ok(ctx, OCT_OP_EYE_LIKE, &(oct_attr_eye){.k = 1}, square, 1, 1);
    assert_memory_equal(r.out[0].data, eye, sizeof eye);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_EYE_LIKE, &(oct_attr_eye){.k = INT64_MIN}, square, 1, 1);
    op_result_free(ctx, &r);
    const oct_tensor shaped[1] = {OP_TENSOR(S64, none, 5, 0, 3)};
    const int64_t dims[] = {0, 3};
    r = op_run_ok(ctx, OCT_OP_SHAPE, &(oct_attr_shape){.start = -2, .end = INT64_MAX}, shaped, 1,
                  1);
    assert_memory_equal(r.out[0].data, dims, sizeof dims);
    op_result_free(ctx, &r);
}

static void casts_follow_the_stated_rules(void **state)
{
    (void)state;
    const float x[] = {70000, -1.9f, NAN, 300, 1e20f, 0x1p-25f};
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 6)};
    oct_attr_cast to = {.to = OCT_DT_F16, .saturate = true};
    op_result r = op_run_ok(ctx, OCT_OP_CAST, &to, in, 1, 1);
    const uint16_t *h = r.out[0].data;
    assert_int_equal(h[0], 0x7c00); /* infinity */
    assert_true(isnan(oct_f32_from_f16(h[2])));
    assert_int_equal(h[5], 0); /* half of the least subnormal: to even */
    op_result_free(ctx, &r);
    to.to = OCT_DT_U8;
    r = op_run_ok(ctx, OCT_OP_CAST, &to, in, 1, 1);
    const uint8_t *u = r.out[0].data;
    assert_int_equal(u[1], 255); /* -1, low bits */
    assert_int_equal(u[2], 0);
    assert_int_equal(u[3], 300 - 256);
    op_result_free(ctx, &r);
    to.to = OCT_DT_S64;
    r = op_run_ok(ctx, OCT_OP_CAST, &to, in, 1, 1);
    assert_true(((int64_t *)r.out[0].data)[4] == INT64_MAX && ((int64_t *)r.out[0].data)[1] == -1);
    op_result_free(ctx, &r);
    to.to = OCT_DT_BOOL;
    r = op_run_ok(ctx, OCT_OP_CAST, &to, in, 1, 1);
    assert_int_equal(((uint8_t *)r.out[0].data)[2], 1);
    op_result_free(ctx, &r);
}

static void doubles_become_halves_with_one_rounding(void **state)
{
    (void)state;
    /* Just above the middle of two f16: through f32 the excess would be lost, then tie to even. */
    const double x[] = {1 + 0x1p-11 + 0x1p-40, -(1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-11, 65504, 1e300};
    const oct_tensor in[1] = {OP_TENSOR(F64, x, 5)};
    const oct_attr_cast to = {.to = OCT_DT_F16};
    const uint16_t want[] = {0x3c01, 0xbc01, 0x3c00, 0x7bff, 0x7c00};
    op_result r = op_run_ok(ctx, OCT_OP_CAST, &to, in, 1, 1);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
}

static void small_integers_survive_every_pair_of_types(void **state)
{
    (void)state;
    const int8_t small[] = {0, 1, 2, 5, 100, 127};
    const oct_tensor in[1] = {OP_TENSOR(S8, small, 6)};
    for (int a = OCT_DT_F32; a < OCT_DT_BOOL; a++)
        for (int b = OCT_DT_F32; b < OCT_DT_BOOL; b++) {
            const oct_attr_cast first = {.to = (oct_dtype)a}, second = {.to = (oct_dtype)b};
            const oct_attr_cast last = {.to = OCT_DT_S8};
            op_result x = op_run_ok(ctx, OCT_OP_CAST, &first, in, 1, 1);
            op_result y = op_run_ok(ctx, OCT_OP_CAST, &second, x.out, 1, 1);
            op_result z = op_run_ok(ctx, OCT_OP_CAST, &last, y.out, 1, 1);
            assert_memory_equal(z.out[0].data, small, sizeof small);
            op_result_free(ctx, &x);
            op_result_free(ctx, &y);
            op_result_free(ctx, &z);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gather_takes_slices_and_counts_from_the_end),
        cmocka_unit_test(bad_indices_are_named_with_position_and_value),
        cmocka_unit_test(gather_nd_follows_batches),
        cmocka_unit_test(scatter_reduces_repeated_indices_in_order),
        cmocka_unit_test(one_hot_ignores_indices_out_of_range),
        cmocka_unit_test(shapes_that_depend_on_data_are_found_by_inference),
        cmocka_unit_test(sources_make_what_they_are_told),
        cmocka_unit_test(casts_follow_the_stated_rules),
        cmocka_unit_test(doubles_become_halves_with_one_rounding),
        cmocka_unit_test(small_integers_survive_every_pair_of_types),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
