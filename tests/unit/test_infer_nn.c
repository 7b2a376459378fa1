/* SPDX-License-Identifier: Apache-2.0
 *
 * Inference of convolutions, pools, products, normalizations with unknown dimensions, and what it
 * refuses.
 */
#include <string.h>

#include "kernels/op_schema.h"
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

#define BATCH_DIM OCT_DIM_SYMBOL(0)
#define WIDTH_DIM OCT_DIM_SYMBOL(1)
#define SHAPE(...) OP_TENSOR(F32, NULL, __VA_ARGS__)

static oct_tensor unranked(void)
{
    return (oct_tensor){.desc = {.dtype = OCT_DT_F32, .shape.n_dims = -1}};
}

static oct_shape infer_ok(oct_op op, const void *attr, const oct_tensor *in, int n_in)
{
    oct_tensor_desc out;
    assert_int_equal(op_infer(ctx, op, attr, in, n_in, &out, 1), OCT_OK);
    assert_int_equal(out.dtype, in[0].desc.dtype);
    return out.shape;
}

static void refused(oct_op op, const void *attr, const oct_tensor *in, int n_in, oct_status want)
{
    oct_tensor_desc out[3];
    assert_int_equal(op_infer(ctx, op, attr, in, n_in, out, 1), want);
    assert_true(strlen(oct_error_text(ctx)) > 0);
    oct_error_clear(ctx);
}

static void unknown_batches_and_widths_pass_through(void **state)
{
    (void)state;
    const oct_tensor in[] = {SHAPE(BATCH_DIM, 3, 224, WIDTH_DIM), SHAPE(64, 3, 7, 7), SHAPE(64)};
    const oct_attr_window at = {
        .n_stride = 2, .stride = {2, 2}, .n_pad = 4, .pad = {3, 3, 3, 3}, .group = 1};
    const oct_shape y = infer_ok(OCT_OP_CONV, &at, in, 3);
    assert_true(y.dim[0] == BATCH_DIM && y.dim[1] == 64 && y.dim[2] == 112);
    assert_true(oct_dim_is_symbol(y.dim[3]) && y.dim[3] != WIDTH_DIM);
    const oct_shape g = infer_ok(OCT_OP_GLOBAL_AVERAGE_POOL, NULL, in, 1);
    assert_true(g.dim[0] == BATCH_DIM && g.dim[3] == 1);
    const oct_tensor mm[] = {SHAPE(BATCH_DIM, 12, WIDTH_DIM, 64),
                             SHAPE(BATCH_DIM, 12, 64, WIDTH_DIM)};
    const oct_shape m = infer_ok(OCT_OP_MATMUL, NULL, mm, 2);
    assert_true(m.n_dims == 4 && m.dim[0] == BATCH_DIM && m.dim[2] == WIDTH_DIM &&
                m.dim[3] == WIDTH_DIM);
    const oct_tensor none[] = {unranked(), SHAPE(64, 3, 7, 7)};
    assert_int_equal(infer_ok(OCT_OP_CONV, &at, none, 2).n_dims, -1);
    assert_int_equal(infer_ok(OCT_OP_SOFTMAX, NULL, none, 1).n_dims, -1);
}

static void resize_keeps_axes_of_scale_1(void **state)
{
    (void)state;
    const float scales[] = {1, 1, 2, 2};
    oct_attr_resize at;
    oct_op_attr_defaults(OCT_OP_RESIZE, &at);
    const oct_tensor in[] = {SHAPE(BATCH_DIM, 8, 20, WIDTH_DIM), OP_ABSENT,
                             OP_TENSOR(F32, scales, 4)};
    const oct_shape y = infer_ok(OCT_OP_RESIZE, &at, in, 3);
    assert_true(y.dim[0] == BATCH_DIM && y.dim[1] == 8 && y.dim[2] == 40);
    assert_true(oct_dim_is_symbol(y.dim[3]) && y.dim[3] != WIDTH_DIM);
    const int64_t sizes[] = {BATCH_DIM, 8, WIDTH_DIM, 7}; /* computed from other shapes */
    const oct_tensor by_size[] = {in[0], OP_ABSENT, OP_ABSENT, OP_TENSOR(S64, sizes, 4)};
    const oct_shape z = infer_ok(OCT_OP_RESIZE, &at, by_size, 4);
    assert_true(z.dim[0] == BATCH_DIM && z.dim[2] == WIDTH_DIM && z.dim[3] == 7);
}

static void wrong_ranks_types_and_sizes_are_refused(void **state)
{
    (void)state;
    const oct_attr_window plain = {.group = 1}, grouped = {.group = 2}, none = {.group = 0};
    const oct_tensor channels[] = {SHAPE(1, 4, 8, 8), SHAPE(8, 3, 3, 3)};
    refused(OCT_OP_CONV, &plain, channels, 2, OCT_ERR_SHAPE);
    refused(OCT_OP_CONV, &none, channels, 2, OCT_ERR_SHAPE);
    const oct_tensor odd[] = {SHAPE(1, 6, 8, 8), SHAPE(7, 3, 3, 3)};
    refused(OCT_OP_CONV, &grouped, odd, 2, OCT_ERR_SHAPE);
    const oct_tensor bias[] = {SHAPE(1, 3, 8, 8), SHAPE(8, 3, 3, 3), SHAPE(7)};
    refused(OCT_OP_CONV, &plain, bias, 3, OCT_ERR_SHAPE);
    const oct_tensor flat[] = {SHAPE(1, 3), SHAPE(8, 3)};
    refused(OCT_OP_CONV, &plain, flat, 2, OCT_ERR_SHAPE);
    const oct_tensor ints[] = {OP_TENSOR(S64, NULL, 1, 3, 8, 8), SHAPE(8, 3, 3, 3)};
    refused(OCT_OP_CONV, &plain, ints, 2, OCT_ERR_UNSUPPORTED);
    refused(OCT_OP_MAX_POOL, &plain, channels, 1, OCT_ERR_SHAPE); /* no kernel_shape */
    const oct_tensor gemm[] = {SHAPE(2, 3), SHAPE(3, 4), SHAPE(5)};
    refused(OCT_OP_GEMM, NULL, gemm, 3, OCT_ERR_SHAPE);
    const oct_attr_norm three = {.num_groups = 3};
    const oct_tensor group[] = {SHAPE(1, 4, 8, 8), SHAPE(4), SHAPE(4)};
    refused(OCT_OP_GROUP_NORM, &three, group, 3, OCT_ERR_SHAPE);
    const oct_attr_axis far = {.axis = 4};
    refused(OCT_OP_SOFTMAX, &far, group, 1, OCT_ERR_SHAPE);
    const oct_attr_norm lp = {.p = 3};
    refused(OCT_OP_LP_NORM, &lp, group, 1, OCT_ERR_SHAPE);
    const oct_tensor lstm[] = {SHAPE(5, 2, 3), SHAPE(1, 16, 3), SHAPE(1, 15, 4)};
    refused(OCT_OP_LSTM, NULL, lstm, 3, OCT_ERR_SHAPE);
    const oct_tensor grid[] = {SHAPE(1, 3, 8, 8), SHAPE(1, 4, 4, 3)};
    refused(OCT_OP_GRID_SAMPLE, NULL, grid, 2, OCT_ERR_SHAPE);
    const oct_tensor table[] = {OP_TENSOR(S8, NULL, 9), OP_TENSOR(S8, NULL, 255)};
    refused(OCT_OP_TABLE, NULL, table, 2, OCT_ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_batches_and_widths_pass_through),
        cmocka_unit_test(resize_keeps_axes_of_scale_1),
        cmocka_unit_test(wrong_ranks_types_and_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
