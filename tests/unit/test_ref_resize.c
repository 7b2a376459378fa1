/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize, GridSample, RoiAlign, NonMaxSuppression on ref.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "kernels/op_schema.h"
#include "kernels/resize.h"
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

static oct_attr_resize resize_attr(oct_resize_method mode, oct_resize_coord coord)
{
    oct_attr_resize at;
    oct_op_attr_defaults(OCT_OP_RESIZE, &at);
    at.mode = mode;
    at.coord = coord;
    return at;
}

static op_result resize_4x4(const oct_attr_resize *at, int64_t h, int64_t w)
{
    const int64_t sizes[] = {1, 1, h, w};
    const oct_tensor in[] = {OP_TENSOR(F32, RAMP, 1, 1, 4, 4), OP_ABSENT, OP_ABSENT,
                             OP_TENSOR(S64, sizes, 4)};
    return op_run_ok(ctx, OCT_OP_RESIZE, at, in, 4, 1);
}

static void the_same_size_gives_the_same_bits(void **state)
{
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        for (int coord = 0; coord < 5; coord++) {
            const oct_attr_resize at =
                resize_attr((oct_resize_method)mode, (oct_resize_coord)coord);
            op_result r = resize_4x4(&at, 4, 4);
            assert_memory_equal(r.out[0].data, RAMP, sizeof RAMP);
            op_result_free(ctx, &r);
        }
    }
}

static void linear_upsampling_by_hand(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4}, scales[] = {1, 1, 2, 2};
    const oct_tensor in[] = {OP_TENSOR(F32, x, 1, 1, 2, 2), OP_ABSENT, OP_TENSOR(F32, scales, 4)};
    const oct_attr_resize at = resize_attr(OCT_RESIZE_LINEAR, OCT_COORD_HALF_PIXEL);
    op_result r = op_run_ok(ctx, OCT_OP_RESIZE, &at, in, 3, 1);
    const float want[] = {1,    1.25f, 1.75f, 2,    1.5f, 1.75f, 2.25f, 2.5f,
                          2.5f, 2.75f, 3.25f, 3.5f, 3,    3.25f, 3.75f, 4};
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
}

static void weights_of_every_output_sum_to_1(void **state)
{
    (void)state;
    for (int mode = 1; mode < 3; mode++) {
        for (int antialias = 0; antialias < 2; antialias++) {
            oct_attr_resize at = resize_attr((oct_resize_method)mode, OCT_COORD_HALF_PIXEL);
            at.antialias = antialias;
            for (int64_t in = 1; in < 40; in += 3) {
                for (int64_t out = 1; out < 60; out += 7) {
                    const oct_resize_axis ax = {in, out, (double)out / (double)in, 0, 1};
                    int32_t index[200];
                    float weight[200];
                    for (int64_t o = 0; o < out; o++) {
                        const int n = oct_resize_taps(&at, &ax, o, index, weight);
                        double sum = 0;
                        assert_true(n <= oct_resize_taps_max(&at, in, out) && n <= 200);
                        for (int i = 0; i < n; i++) {
                            assert_true(index[i] >= 0 && index[i] < in);
                            sum += weight[i];
                        }
                        assert_true(fabs(sum - 1) < 1e-5);
                    }
                }
            }
        }
    }
}

static void nearest_modes_round_as_they_say(void **state)
{
    (void)state;
    /* 4 -> 8 with asymmetric coordinates: sources 0, 0.5, 1, 1.5, ... */
    static const int want[4][8] = {{0, 0, 1, 1, 2, 2, 3, 3},
                                   {0, 1, 1, 2, 2, 3, 3, 3},
                                   {0, 0, 1, 1, 2, 2, 3, 3},
                                   {0, 1, 1, 2, 2, 3, 3, 3}};
    for (int mode = 0; mode < 4; mode++) {
        oct_attr_resize at = resize_attr(OCT_RESIZE_NEAREST, OCT_COORD_ASYMMETRIC);
        at.nearest = (oct_resize_nearest)mode;
        op_result r = resize_4x4(&at, 4, 8);
        for (int i = 0; i < 8; i++)
            assert_true(((float *)r.out[0].data)[i] == RAMP[want[mode][i]]);
        op_result_free(ctx, &r);
    }
}

/* x_original = length_resized > 1 ? ... : 0, although 0.5 * 3 is no whole length. */
static void pytorch_half_pixel_reads_pixel_0_for_a_single_output(void **state)
{
    (void)state;
    const float scales[] = {0.5f};
    const oct_tensor in[] = {OP_TENSOR(F32, RAMP, 3), OP_ABSENT, OP_TENSOR(F32, scales, 1)};
    for (int mode = 0; mode < 3; mode++) {
        oct_attr_resize at = resize_attr((oct_resize_method)mode, OCT_COORD_PYTORCH_HALF_PIXEL);
        at.nearest = OCT_NEAREST_ROUND_PREFER_CEIL;
        op_result r = op_run_ok(ctx, OCT_OP_RESIZE, &at, in, 3, 1);
        assert_int_equal(r.out[0].desc.shape.dim[0], 1);
        assert_true(((float *)r.out[0].data)[0] == 1);
        op_result_free(ctx, &r);
    }
}

static void aspect_policies_keep_one_scale(void **state)
{
    (void)state;
    const int64_t sizes[] = {7, 9};
    const oct_tensor in[] = {OP_TENSOR(F32, RAMP, 1, 1, 2, 8), OP_ABSENT, OP_ABSENT,
                             OP_TENSOR(S64, sizes, 2)};
    oct_attr_resize at = resize_attr(OCT_RESIZE_NEAREST, OCT_COORD_HALF_PIXEL);
    oct_tensor_desc out;
    at.n_axes = 2;
    at.axis[0] = 2;
    at.axis[1] = -1;
    at.aspect = OCT_ASPECT_NOT_LARGER;
    assert_int_equal(op_infer(ctx, OCT_OP_RESIZE, &at, in, 4, &out, 1), OCT_OK);
    assert_true(out.shape.dim[2] == 2 && out.shape.dim[3] == 9);
    at.aspect = OCT_ASPECT_NOT_SMALLER;
    assert_int_equal(op_infer(ctx, OCT_OP_RESIZE, &at, in, 4, &out, 1), OCT_OK);
    assert_true(out.shape.dim[2] == 7 && out.shape.dim[3] == 28);
}

static void bytes_and_reals_agree_within_a_step(void **state)
{
    (void)state;
    uint8_t x[16];
    float real[16];
    const int64_t sizes[] = {1, 1, 7, 3};
    const oct_qparams qx = {0.5f, 10}, qy = {0.25f, -100};
    for (int i = 0; i < 16; i++) {
        x[i] = (uint8_t)(i * 13 % 97);
        real[i] = 0.5f * (float)(x[i] - 10);
    }
    const oct_attr_resize at = resize_attr(OCT_RESIZE_LINEAR, OCT_COORD_ALIGN_CORNERS);
    const oct_tensor q8[] = {OP_TENSOR(U8, x, 1, 1, 4, 4), OP_ABSENT, OP_ABSENT,
                             OP_TENSOR(S64, sizes, 4)};
    const oct_tensor f32[] = {OP_TENSOR(F32, real, 1, 1, 4, 4), OP_ABSENT, OP_ABSENT, q8[3]};
    const oct_quant quant[4] = {{&qx, 1, 0}};
    const op_options opt = {.in_quant = quant, .out_quant = {&qy, 1, 0}, .out_dtype = OCT_DT_S8};
    op_result a, b = op_run_ok(ctx, OCT_OP_RESIZE, &at, f32, 4, 1);
    assert_int_equal(op_run(ctx, OCT_OP_RESIZE, &at, q8, 4, 1, &opt, &a), OCT_OK);
    for (int i = 0; i < 21; i++) {
        const float want = fminf(((float *)b.out[0].data)[i] / 0.25f - 100, 127);
        assert_true(fabsf(((int8_t *)a.out[0].data)[i] - want) <= 0.501f);
    }
    op_result_free(ctx, &a);
    op_result_free(ctx, &b);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    const float scales[] = {1, 1, 2, 0};
    const int64_t sizes[] = {1, 1, 2, 2};
    const oct_attr_resize at = resize_attr(OCT_RESIZE_LINEAR, OCT_COORD_HALF_PIXEL);
    oct_tensor_desc out;
    const oct_tensor both[] = {OP_TENSOR(F32, RAMP, 1, 1, 4, 4), OP_ABSENT,
                               OP_TENSOR(F32, scales, 4), OP_TENSOR(S64, sizes, 4)};
    assert_int_equal(op_infer(ctx, OCT_OP_RESIZE, &at, both, 4, &out, 1), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
    assert_int_equal(op_infer(ctx, OCT_OP_RESIZE, &at, both, 3, &out, 1), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
    assert_int_equal(op_infer(ctx, OCT_OP_RESIZE, &at, both, 1, &out, 1), OCT_ERR_SHAPE);
    oct_error_clear(ctx);
}

/* ---- GridSample, RoiAlign ------------------------------------------------------------------------ */

static void the_identity_grid_gives_the_image(void **state)
{
    (void)state;
    float grid[4 * 4 * 2];
    for (int align = 0; align < 2; align++) {
        for (int i = 0; i < 16; i++) {
            const float x = (float)(i % 4), y = (float)i / 4 - x / 4;
            grid[2 * i] = align ? x / 1.5f - 1 : (x + 0.5f) / 2 - 1;
            grid[2 * i + 1] = align ? y / 1.5f - 1 : (y + 0.5f) / 2 - 1;
        }
        for (int mode = 0; mode < 3; mode++) {
            const oct_attr_grid_sample at = {(oct_resize_method)mode, 0, align};
            const oct_tensor in[] = {OP_TENSOR(F32, RAMP, 1, 1, 4, 4),
                                     OP_TENSOR(F32, grid, 1, 4, 4, 2)};
            op_result r = op_run_ok(ctx, OCT_OP_GRID_SAMPLE, &at, in, 2, 1);
            for (int i = 0; i < 16; i++)
                assert_true(fabsf(((float *)r.out[0].data)[i] - RAMP[i]) < 1e-5f);
            op_result_free(ctx, &r);
        }
    }
}

static void grid_padding_by_hand(void **state)
{
    (void)state;
    const float grid[] = {-3, -1, NAN, 0};
    const oct_tensor in[] = {OP_TENSOR(F32, RAMP, 1, 1, 4, 4), OP_TENSOR(F32, grid, 1, 1, 2, 2)};
    const float want[] = {0, 1, 4}; /* x = -3 is pixel -3 with align_corners; reflected: pixel 3 */
    for (int padding = 0; padding < 3; padding++) {
        const oct_attr_grid_sample at = {OCT_RESIZE_LINEAR, padding, true};
        op_result r = op_run_ok(ctx, OCT_OP_GRID_SAMPLE, &at, in, 2, 1);
        assert_true(fabsf(((float *)r.out[0].data)[0] - want[padding]) < 1e-5f);
        op_result_free(ctx, &r);
    }
}

static void roi_align_of_a_constant_is_that_constant(void **state)
{
    (void)state;
    float x[2 * 3 * 25];
    for (int i = 0; i < 150; i++)
        x[i] = i < 75 ? 2 : 7;
    const float rois[] = {0, 0, 4, 4, 1, 2, 3, 4};
    int64_t batch[] = {0, 1};
    const oct_attr_roi_align at = {
        .half_pixel = true, .output_height = 2, .output_width = 3, .spatial_scale = 1};
    const oct_tensor in[] = {OP_TENSOR(F32, x, 2, 3, 5, 5), OP_TENSOR(F32, rois, 2, 4),
                             OP_TENSOR(S64, batch, 2)};
    op_result r = op_run_ok(ctx, OCT_OP_ROI_ALIGN, &at, in, 3, 1);
    for (int i = 0; i < 36; i++)
        assert_true(fabsf(((float *)r.out[0].data)[i] - (i < 18 ? 2 : 7)) < 1e-5f);
    op_result_free(ctx, &r);
    batch[1] = 2; /* an index from the model's data is checked while running */
    assert_int_equal(op_run(ctx, OCT_OP_ROI_ALIGN, &at, in, 3, 1, NULL, &r), OCT_ERR_RANGE);
    oct_error_clear(ctx);
}

/* ---- NonMaxSuppression ----------------------------------------------------------------------------- */

static void suppression_by_hand(void **state)
{
    (void)state;
    const float boxes[] = {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 5, 1, 6, 1, 1, 0, 0};
    const float scores[] = {0.5f, 0.9f, 0.5f, NAN}, iou = 0.5f, least = 0.4f;
    int64_t max = 3;
    const oct_tensor in[] = {OP_TENSOR(F32, boxes, 1, 4, 4), OP_TENSOR(F32, scores, 1, 1, 4),
                             OP_SCALAR(S64, &max), OP_SCALAR(F32, &iou), OP_SCALAR(F32, &least)};
    op_result r = op_run_ok(ctx, OCT_OP_NON_MAX_SUPPRESSION, NULL, in, 5, 1);
    assert_true(oct_shape_equal(&r.out[0].desc.shape, &(oct_shape){{2, 3}, 2}));
    assert_memory_equal(r.out[0].data, ((int64_t[]){0, 0, 1, 0, 0, 2}), 6 * sizeof(int64_t));
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_NON_MAX_SUPPRESSION, NULL, in, 2, 1); /* no maximum: none */
    assert_int_equal(r.out[0].desc.shape.dim[0], 0);
    op_result_free(ctx, &r);
    oct_tensor unknown[2] = {in[0], in[1]};
    unknown[0].data = NULL;
    oct_tensor_desc out;
    assert_int_equal(op_infer(ctx, OCT_OP_NON_MAX_SUPPRESSION, NULL, unknown, 2, &out, 1), OCT_OK);
    assert_true(oct_dim_is_symbol(out.shape.dim[0]) && out.shape.dim[1] == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_size_gives_the_same_bits),
        cmocka_unit_test(linear_upsampling_by_hand),
        cmocka_unit_test(weights_of_every_output_sum_to_1),
        cmocka_unit_test(nearest_modes_round_as_they_say),
        cmocka_unit_test(pytorch_half_pixel_reads_pixel_0_for_a_single_output),
        cmocka_unit_test(aspect_policies_keep_one_scale),
        cmocka_unit_test(bytes_and_reals_agree_within_a_step),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(the_identity_grid_gives_the_image),
        cmocka_unit_test(grid_padding_by_hand),
        cmocka_unit_test(roi_align_of_a_constant_is_that_constant),
        cmocka_unit_test(suppression_by_hand),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
