/* SPDX-License-Identifier: Apache-2.0 */
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

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)i;
}

static const oct_dtype BY_SIZE[] = {OCT_DT_U8, OCT_DT_F16, OCT_DT_F32, OCT_DT_S64};

/* Element `i` of the test pattern in any type of 1, 2, 4 or 8 bytes. */
static void fill_bytes(uint8_t *x, size_t n, size_t bytes)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < bytes; b++)
            x[i * bytes + b] = (uint8_t)(i * 7 + b * 31 + (i >> 8));
}

static void transpose_moves_every_element_of_every_size(void **state)
{
    (void)state;
    static const int64_t dims[][4] = {{2, 3, 4, 5}, {1, 33, 17, 2}, {3, 1, 64, 40}, {2, 5, 1, 7}};
    static const int64_t perms[][4] = {{0, 2, 3, 1}, {3, 2, 1, 0}, {0, 3, 1, 2},
                                       {1, 0, 2, 3}, {0, 1, 3, 2}, {2, 3, 0, 1}};
    static uint8_t x[8 * 8000];
    for (size_t t = 0; t < 4 * 4 * 6; t++) {
        const int64_t *dim = dims[t % 4], *perm = perms[t / 16];
        const oct_dtype dt = BY_SIZE[t / 4 % 4];
        const size_t bytes = oct_dtype_bytes(dt);
        oct_attr_transpose attr = {.n_perm = 4};
        memcpy(attr.perm, perm, sizeof attr.perm[0] * 4);
        fill_bytes(x, (size_t)(dim[0] * dim[1] * dim[2] * dim[3]), bytes);
        const oct_tensor in[1] = {op_tensor(dt, x, dim, 4)};
        op_result r = op_run_ok(ctx, OCT_OP_TRANSPOSE, &attr, in, 1, 1);
        const uint8_t *y = r.out[0].data;
        int64_t at[4];
        for (at[0] = 0; at[0] < dim[perm[0]]; at[0]++)
            for (at[1] = 0; at[1] < dim[perm[1]]; at[1]++)
                for (at[2] = 0; at[2] < dim[perm[2]]; at[2]++)
                    for (at[3] = 0; at[3] < dim[perm[3]]; at[3]++, y += bytes) {
                        int64_t from[4];
                        for (int k = 0; k < 4; k++)
                            from[perm[k]] = at[k];
                        const int64_t i =
                            ((from[0] * dim[1] + from[1]) * dim[2] + from[2]) * dim[3] + from[3];
                        assert_memory_equal(y, x + (size_t)i * bytes, bytes);
                    }
        op_result_free(ctx, &r);
    }
}

static void reorder_to_channels_last_and_back_is_the_identity(void **state)
{
    (void)state;
    float x[2 * 19 * 3 * 5];
    const oct_shape s = {.dim = {2, 19, 3, 5}, .n_dims = 4};
    const oct_tensor_desc last = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_CHANNELS_LAST);
    fill(x, 2 * 19 * 3 * 5);
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 2, 19, 3, 5)};
    op_result there, back;
    assert_int_equal(
        op_run(ctx, OCT_OP_REORDER, NULL, in, 1, 1, &(op_options){.out_at = &last}, &there),
        OCT_OK);
    assert_true(((float *)there.out[0].data)[1] == x[15]); /* the next channel */
    assert_int_equal(op_run(ctx, OCT_OP_REORDER, NULL, there.out, 1, 1,
                            &(op_options){.out_at = &in[0].desc}, &back),
                     OCT_OK);
    assert_memory_equal(back.out[0].data, x, sizeof x);
    op_result_free(ctx, &there);
    op_result_free(ctx, &back);
}

static void concat_of_split_is_the_identity(void **state)
{
    (void)state;
    float x[3 * 7 * 4];
    const int64_t sizes[] = {2, 0, 4, 1};
    fill(x, 3 * 7 * 4);
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 3, 7, 4), OP_TENSOR(S64, sizes, 4)};
    oct_attr_axis attr = {.axis = -2};
    op_result parts = op_run_ok(ctx, OCT_OP_SPLIT, &attr, in, 2, 4);
    assert_int_equal(parts.out[2].desc.shape.dim[1], 4);
    assert_true(((float *)parts.out[2].data)[0] == 8);
    op_result whole = op_run_ok(ctx, OCT_OP_CONCAT, &attr, parts.out, 4, 1);
    assert_memory_equal(whole.out[0].data, x, sizeof x);
    op_result_free(ctx, &parts);
    op_result_free(ctx, &whole);
}

static void concat_writes_into_a_channels_last_tensor(void **state)
{
    (void)state;
    const float a[] = {1, 2, 3, 4}, b[] = {5, 6};
    const oct_tensor in[2] = {OP_TENSOR(F32, a, 1, 2, 2), OP_TENSOR(F32, b, 1, 1, 2)};
    const oct_shape s = {.dim = {1, 3, 2}, .n_dims = 3};
    const oct_tensor_desc last = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_CHANNELS_LAST);
    const oct_attr_axis attr = {.axis = 1};
    const float want[] = {1, 3, 5, 2, 4, 6};
    op_result r;
    assert_int_equal(
        op_run(ctx, OCT_OP_CONCAT, &attr, in, 2, 1, &(op_options){.out_at = &last}, &r), OCT_OK);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
}

/* numpy's rule, one axis: positions start, start + step, ... before end. */
static int64_t naive_slice(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *out)
{
    int64_t n = 0;
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    const int64_t top = step > 0 ? dim : dim - 1;
    start = start < 0 ? (step > 0 ? 0 : 0) : start > top ? top : start;
    for (int64_t i = start; i >= 0 && i < dim && (step > 0 ? i < end : i > end); i += step)
        out[n++] = i;
    return n;
}

static void slices_agree_with_a_plain_walk(void **state)
{
    (void)state;
    float x[2 * 9];
    fill(x, 18);
    oct_rng rng = {21};
    for (int round = 0; round < 500; round++) {
        int64_t start = (int64_t)oct_rng_below(&rng, 30) - 15;
        int64_t end = (int64_t)oct_rng_below(&rng, 30) - 15;
        int64_t step = (int64_t)oct_rng_below(&rng, 9) - 4, axis = -1, want[9];
        if (step == 0)
            step = round & 1 ? INT64_MAX : INT64_MIN;
        if (round % 7 == 0)
            end = step > 0 ? INT64_MAX : INT64_MIN;
        const oct_tensor in[5] = {OP_TENSOR(F32, x, 2, 9), OP_TENSOR(S64, &start, 1),
                                  OP_TENSOR(S64, &end, 1), OP_TENSOR(S64, &axis, 1),
                                  OP_TENSOR(S64, &step, 1)};
        const int64_t small = step > 20 ? 20 : step < -20 ? -20 : step;
        const int64_t low = end < -9 ? -10 : end; /* before the first element: nothing to add */
        const int64_t n = end < -9 && step < 0 ? naive_slice(9, start, -1 - 9, small, want)
                                               : naive_slice(9, start, low, small, want);
        op_result r = op_run_ok(ctx, OCT_OP_SLICE, NULL, in, 5, 1);
        assert_int_equal(r.out[0].desc.shape.dim[1], n);
        for (int64_t i = 0; i < 2 * n; i++)
            assert_true(((float *)r.out[0].data)[i] == x[i / n * 9 + want[i % n]]);
        op_result_free(ctx, &r);
    }
}

static void check_pad(oct_pad_mode mode, int64_t lo, int64_t hi, const float *want, size_t n)
{
    const float x[] = {1, 2, 3}, value[] = {9};
    const int64_t pads[] = {lo, hi}, axes[] = {-1};
    const oct_tensor in[4] = {OP_TENSOR(F32, x, 1, 3), OP_TENSOR(S64, pads, 2),
                              OP_SCALAR(F32, value), OP_TENSOR(S64, axes, 1)};
    const oct_attr_pad attr = {mode};
    op_result r = op_run_ok(ctx, OCT_OP_PAD, &attr, in, 4, 1);
    assert_int_equal(r.out[0].desc.shape.dim[1], (int64_t)n);
    assert_memory_equal(r.out[0].data, want, n * sizeof *want);
    op_result_free(ctx, &r);
}

static void pad_has_four_modes_and_negative_pads(void **state)
{
    (void)state;
    check_pad(OCT_PAD_MODE_CONSTANT, 2, 1, (const float[]){9, 9, 1, 2, 3, 9}, 6);
    check_pad(OCT_PAD_MODE_REFLECT, 2, 2, (const float[]){3, 2, 1, 2, 3, 2, 1}, 7);
    check_pad(OCT_PAD_MODE_EDGE, 2, 1, (const float[]){1, 1, 1, 2, 3, 3}, 6);
    check_pad(OCT_PAD_MODE_WRAP, 4, 2, (const float[]){3, 1, 2, 3, 1, 2, 3, 1, 2}, 9);
    check_pad(OCT_PAD_MODE_CONSTANT, -1, 1, (const float[]){2, 3, 9}, 3);
    check_pad(OCT_PAD_MODE_EDGE, -2, 2, (const float[]){3, 3, 3}, 3);
    check_pad(OCT_PAD_MODE_CONSTANT, -2, -1, NULL, 0);
    check_pad(OCT_PAD_MODE_CONSTANT, -5, 4, (const float[]){9, 9}, 2);
}

static void padding_of_quantized_data_is_the_zero_point(void **state)
{
    (void)state;
    const int8_t x[] = {5, 6};
    const int64_t pads[] = {1, 1};
    const oct_qparams q = {0.1f, -3};
    const oct_quant quant[2] = {{&q, 1, 0}, {NULL, 0, 0}};
    const oct_tensor in[2] = {OP_TENSOR(S8, x, 2), OP_TENSOR(S64, pads, 2)};
    const int8_t want[] = {-3, 5, 6, -3};
    op_result r;
    const op_options opt = {.in_quant = quant, .out_quant = {&q, 1, 0}};
    assert_int_equal(op_run(ctx, OCT_OP_PAD, NULL, in, 2, 1, &opt, &r), OCT_OK);
    assert_memory_equal(r.out[0].data, want, 4);
    op_result_free(ctx, &r);
}

static void movers_refuse_to_change_scales(void **state)
{
    (void)state;
    const int8_t x[] = {5, 6};
    const oct_qparams a = {0.1f, 0}, b = {0.2f, 0};
    const oct_quant quant[1] = {{&a, 1, 0}};
    const oct_tensor in[1] = {OP_TENSOR(S8, x, 2)};
    op_result r;
    const op_options opt = {.in_quant = quant, .out_quant = {&b, 1, 0}};
    assert_int_equal(op_run(ctx, OCT_OP_IDENTITY, NULL, in, 1, 1, &opt, &r), OCT_ERR_UNSUPPORTED);
    oct_error_clear(ctx);
}

static void tile_and_expand_repeat(void **state)
{
    (void)state;
    const float x[] = {1, 2};
    const int64_t repeats[] = {2, 3}, shape[] = {2, 1, 2};
    const oct_tensor tile[2] = {OP_TENSOR(F32, x, 2, 1), OP_TENSOR(S64, repeats, 2)};
    const oct_tensor expand[2] = {OP_TENSOR(F32, x, 2), OP_TENSOR(S64, shape, 3)};
    const float tiled[] = {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2}, expanded[] = {1, 2, 1, 2};
    op_result r = op_run_ok(ctx, OCT_OP_TILE, NULL, tile, 2, 1);
    assert_memory_equal(r.out[0].data, tiled, sizeof tiled);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_EXPAND, NULL, expand, 2, 1);
    assert_memory_equal(r.out[0].data, expanded, sizeof expanded);
    op_result_free(ctx, &r);
}

static void depth_to_space_undoes_space_to_depth(void **state)
{
    (void)state;
    float x[2 * 3 * 4 * 6];
    fill(x, 2 * 3 * 4 * 6);
    const oct_tensor in[1] = {OP_TENSOR(F32, x, 2, 3, 4, 6)};
    const oct_attr_depth_space attr = {.block_size = 2, .crd = false};
    op_result deep = op_run_ok(ctx, OCT_OP_SPACE_TO_DEPTH, &attr, in, 1, 1);
    assert_int_equal(deep.out[0].desc.shape.dim[1], 12);
    op_result back = op_run_ok(ctx, OCT_OP_DEPTH_TO_SPACE, &attr, deep.out, 1, 1);
    assert_memory_equal(back.out[0].data, x, sizeof x);
    op_result_free(ctx, &deep);
    op_result_free(ctx, &back);
}

static void triangles_keep_one_side_of_a_diagonal(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    const int64_t k[] = {1};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 2, 3), OP_SCALAR(S64, k)};
    const float upper[] = {0, 2, 3, 0, 0, 6}, lower[] = {1, 2, 0, 4, 5, 6};
    op_result r = op_run_ok(ctx, OCT_OP_TRILU, &(oct_attr_trilu){true}, in, 2, 1);
    assert_memory_equal(r.out[0].data, upper, sizeof upper);
    op_result_free(ctx, &r);
    r = op_run_ok(ctx, OCT_OP_TRILU, &(oct_attr_trilu){false}, in, 2, 1);
    assert_memory_equal(r.out[0].data, lower, sizeof lower);
    op_result_free(ctx, &r);
}

static void reverse_sequence_checks_its_lengths(void **state)
{
    (void)state;
    const float x[] = {1, 2, 3, 4, 5, 6};
    const int64_t lens[] = {2, 3}, bad[] = {2, 4};
    const oct_attr_reverse_sequence attr = {.batch_axis = 0, .time_axis = 1};
    const oct_tensor in[2] = {OP_TENSOR(F32, x, 2, 3), OP_TENSOR(S64, lens, 2)};
    const oct_tensor wrong[2] = {in[0], OP_TENSOR(S64, bad, 2)};
    const float want[] = {2, 1, 3, 6, 5, 4};
    op_result r = op_run_ok(ctx, OCT_OP_REVERSE_SEQUENCE, &attr, in, 2, 1);
    assert_memory_equal(r.out[0].data, want, sizeof want);
    op_result_free(ctx, &r);
    assert_int_equal(op_run(ctx, OCT_OP_REVERSE_SEQUENCE, &attr, wrong, 2, 1, NULL, &r),
                     OCT_ERR_RANGE);
    assert_non_null(strstr(oct_error_text(ctx), "sequence_lens[1] is 4"));
    oct_error_clear(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpose_moves_every_element_of_every_size),
        cmocka_unit_test(reorder_to_channels_last_and_back_is_the_identity),
        cmocka_unit_test(concat_of_split_is_the_identity),
        cmocka_unit_test(concat_writes_into_a_channels_last_tensor),
        cmocka_unit_test(slices_agree_with_a_plain_walk),
        cmocka_unit_test(pad_has_four_modes_and_negative_pads),
        cmocka_unit_test(padding_of_quantized_data_is_the_zero_point),
        cmocka_unit_test(movers_refuse_to_change_scales),
        cmocka_unit_test(tile_and_expand_repeat),
        cmocka_unit_test(depth_to_space_undoes_space_to_depth),
        cmocka_unit_test(triangles_keep_one_side_of_a_diagonal),
        cmocka_unit_test(reverse_sequence_checks_its_lengths),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
