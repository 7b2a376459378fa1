/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows: sizes and pads by hand, and properties over many random ones.
 */
#include "base/ctx.h"
#include "base/rng.h"
#include "kernels/window.h"
#include "tests/support/cmocka_all.h"

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

static oct_shape image(int64_t h, int64_t w)
{
    return (oct_shape){{1, 3, h, w}, 4};
}

static oct_attr_window kernel_2d(int64_t kernel, int64_t stride)
{
    return (oct_attr_window){.n_kernel = 2,
                             .kernel = {kernel, kernel},
                             .n_stride = 2,
                             .stride = {stride, stride},
                             .group = 1};
}

static oct_window resolve(oct_op op, const oct_attr_window *at, oct_shape x)
{
    oct_window w;
    assert_int_equal(oct_window_resolve(ctx, op, at, &x, NULL, &w), OCT_OK);
    return w;
}

static void sizes_by_hand(void **state)
{
    (void)state;
    oct_attr_window at = kernel_2d(3, 2);
    assert_int_equal(resolve(OCT_OP_CONV, &at, image(7, 8)).out[0], 3);
    assert_int_equal(resolve(OCT_OP_CONV, &at, image(7, 8)).out[1], 3);
    at.ceil_mode = true;
    assert_int_equal(resolve(OCT_OP_MAX_POOL, &at, image(7, 8)).out[1], 4);
    at = kernel_2d(1, 2); /* the last window would start behind the input */
    at.ceil_mode = true;
    assert_int_equal(resolve(OCT_OP_MAX_POOL, &at, image(2, 3)).out[0], 1);
    assert_int_equal(resolve(OCT_OP_MAX_POOL, &at, image(2, 3)).out[1], 2);
    at = kernel_2d(3, 2);
    assert_int_equal(resolve(OCT_OP_CONV_TRANSPOSE, &at, image(3, 4)).out[0], 7);
    at.n_output_padding = 2;
    at.output_padding[0] = 1;
    assert_int_equal(resolve(OCT_OP_CONV_TRANSPOSE, &at, image(3, 4)).out[0], 8);
    assert_int_equal(resolve(OCT_OP_CONV_TRANSPOSE, &at, image(3, 4)).out[1], 9);
}

static void same_pads_go_to_the_end_or_the_start(void **state)
{
    (void)state;
    oct_attr_window at = kernel_2d(2, 1);
    at.auto_pad = OCT_PAD_SAME_UPPER;
    oct_window w = resolve(OCT_OP_CONV, &at, image(5, 5));
    assert_true(w.out[0] == 5 && w.pad_lo[0] == 0 && w.pad_hi[0] == 1);
    at.auto_pad = OCT_PAD_SAME_LOWER;
    w = resolve(OCT_OP_CONV, &at, image(5, 5));
    assert_true(w.out[0] == 5 && w.pad_lo[0] == 1 && w.pad_hi[0] == 0);
    at.auto_pad = OCT_PAD_VALID;
    assert_int_equal(resolve(OCT_OP_CONV, &at, image(5, 5)).out[0], 4);
}

static void every_window_starts_inside_and_one_more_would_not_fit(void **state)
{
    (void)state;
    oct_rng rng;
    rng = (oct_rng){7};
    for (int i = 0; i < 2000; i++) {
        oct_attr_window at =
            kernel_2d(1 + (int64_t)oct_rng_below(&rng, 5), 1 + (int64_t)oct_rng_below(&rng, 4));
        at.n_dilation = 2;
        at.dilation[0] = at.dilation[1] = 1 + (int64_t)oct_rng_below(&rng, 3);
        at.n_pad = 4;
        for (int k = 0; k < 4; k++)
            at.pad[k] = (int64_t)oct_rng_below(&rng, 3);
        const oct_shape x = image(20, 13 + (int64_t)oct_rng_below(&rng, 9));
        const oct_window w = resolve(OCT_OP_CONV, &at, x);
        for (int k = 0; k < 2; k++) {
            const int64_t room = w.in[k] + w.pad_lo[k] + w.pad_hi[k];
            const int64_t span = (w.kernel[k] - 1) * w.dilation[k] + 1;
            assert_true((w.out[k] - 1) * w.stride[k] + span <= room);
            assert_true(w.out[k] * w.stride[k] + span > room);
        }
        /* what a transposed window makes, a forward one takes back (floor loses the rest) */
        const oct_window t = resolve(OCT_OP_CONV_TRANSPOSE, &at, image(w.out[0], w.out[1]));
        for (int k = 0; k < 2; k++)
            assert_true(t.out[k] <= w.in[k] && t.out[k] + w.stride[k] > w.in[k]);
    }
}

static void an_unknown_size_stays_the_same_symbol_where_it_is_kept(void **state)
{
    (void)state;
    const oct_shape x = image(OCT_DIM_SYMBOL(5), OCT_DIM_SYMBOL(6));
    oct_attr_window at = kernel_2d(3, 1);
    assert_true(resolve(OCT_OP_CONV, &at, x).out[0] == OCT_WINDOW_UNKNOWN);
    at.n_pad = 4;
    for (int k = 0; k < 4; k++)
        at.pad[k] = 1;
    assert_true(resolve(OCT_OP_CONV, &at, x).out[1] == OCT_DIM_SYMBOL(6));
    at = kernel_2d(4, 2);
    at.auto_pad = OCT_PAD_SAME_UPPER;
    assert_true(resolve(OCT_OP_CONV, &at, x).out[1] == OCT_WINDOW_UNKNOWN);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const oct_shape x = image(4, 4), w = {{8, 3, 3, 3}, 4};
    oct_window o;
    oct_attr_window at = kernel_2d(5, 1);
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, NULL, &o), OCT_ERR_SHAPE);
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, &w, &o), OCT_ERR_SHAPE);
    at = kernel_2d(3, 0);
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, NULL, &o), OCT_ERR_SHAPE);
    at = kernel_2d(3, INT64_MAX);
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, NULL, &o), OCT_ERR_SHAPE);
    at = kernel_2d(3, 1);
    at.n_kernel = 1;
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, NULL, &o), OCT_ERR_SHAPE);
    at = kernel_2d(3, 1);
    at.n_pad = 4;
    at.pad[0] = -1;
    assert_int_equal(oct_window_resolve(ctx, OCT_OP_CONV, &at, &x, NULL, &o), OCT_ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_by_hand),
        cmocka_unit_test(same_pads_go_to_the_end_or_the_start),
        cmocka_unit_test(every_window_starts_inside_and_one_more_would_not_fit),
        cmocka_unit_test(an_unknown_size_stays_the_same_symbol_where_it_is_kept),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
