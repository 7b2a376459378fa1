/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "datasets/resample.h"

static int with_ctx(void **state)
{
    return oct_ctx_new(NULL, (oct_ctx **)state) == OCT_OK ? 0 : -1;
}

static int without_ctx(void **state)
{
    oct_ctx_free(*state);
    return 0;
}

static oct_image noise(oct_ctx *ctx, int w, int h, int c, uint64_t seed)
{
    oct_image im = {0};
    oct_rng r = {seed};
    assert_int_equal(oct_image_reserve(ctx, &im, w, h, c), OCT_OK);
    for (size_t i = 0; i < (size_t)w * (size_t)h * (size_t)c; i++)
        im.data[i] = (uint8_t)(oct_rng_below(&r, 4) == 0 ? 255 * (i & 1) : oct_rng_below(&r, 256));
    return im;
}

static const int sizes[][4] = {/* from w, h to w, h */
                               {64, 48, 32, 24},     {37, 53, 20, 17}, {37, 53, 80, 111},
                               {500, 375, 341, 256}, {7, 5, 1, 1},     {1, 1, 9, 13},
                               {301, 7, 16, 7},      {9, 301, 9, 16},  {33, 31, 11, 31}};

static void vector_and_portable_code_agree_bit_for_bit(void **state)
{
    oct_resampler *fast, *plain;
    static uint8_t a[512 * 512 * 3], b[512 * 512 * 3];
    assert_int_equal(oct_resampler_new(*state, false, &fast), OCT_OK);
    assert_int_equal(oct_resampler_new(*state, true, &plain), OCT_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int c = 1; c <= 3; c += 2)
            for (int k = 0; k < OCT_RESAMPLE_COUNT; k++) {
                const int *s = sizes[i];
                oct_image im = noise(*state, s[0], s[1], c, 1 + i);
                const oct_window all = {0, 0, s[2], s[3]};
                const size_t stride = (size_t)s[2] * (size_t)c;
                assert_int_equal(oct_resample(fast, *state, (oct_resample_kernel)k, &im, s[2], s[3],
                                              all, a, stride),
                                 OCT_OK);
                assert_int_equal(oct_resample(plain, *state, (oct_resample_kernel)k, &im, s[2],
                                              s[3], all, b, stride),
                                 OCT_OK);
                assert_memory_equal(a, b, stride * (size_t)s[3]);
                oct_image_deinit(*state, &im);
            }
    oct_resampler_free(*state, fast);
    oct_resampler_free(*state, plain);
}

static void a_window_equals_the_crop_of_the_whole(void **state)
{
    oct_resampler *r;
    static uint8_t whole[512 * 512 * 3], part[512 * 512 * 3];
    assert_int_equal(oct_resampler_new(*state, false, &r), OCT_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int k = 0; k < OCT_RESAMPLE_COUNT; k++) {
            const int *s = sizes[i];
            const oct_window all = {0, 0, s[2], s[3]};
            const oct_window win = {s[2] / 3, s[3] / 4, (s[2] + 1) / 2, (s[3] + 1) / 2};
            oct_image im = noise(*state, s[0], s[1], 3, 77 + i);
            assert_int_equal(oct_resample(r, *state, (oct_resample_kernel)k, &im, s[2], s[3], all,
                                          whole, (size_t)s[2] * 3),
                             OCT_OK);
            assert_int_equal(oct_resample(r, *state, (oct_resample_kernel)k, &im, s[2], s[3], win,
                                          part, 512 * 3),
                             OCT_OK);
            for (int y = 0; y < win.height; y++)
                assert_memory_equal(part + (size_t)y * 512 * 3,
                                    whole +
                                        ((size_t)(win.y + y) * (size_t)s[2] + (size_t)win.x) * 3,
                                    (size_t)win.width * 3);
            oct_image_deinit(*state, &im);
        }
    oct_resampler_free(*state, r);
}

static void a_flat_picture_stays_flat(void **state)
{
    oct_resampler *r;
    uint8_t out[19 * 23 * 3];
    assert_int_equal(oct_resampler_new(*state, false, &r), OCT_OK);
    for (int v = 0; v < 256; v += 51)
        for (int k = 0; k < OCT_RESAMPLE_COUNT; k++)
            for (int side = 5; side < 90; side += 14) {
                oct_image im = {0};
                assert_int_equal(oct_image_reserve(*state, &im, side, side + 3, 3), OCT_OK);
                memset(im.data, v, (size_t)side * (size_t)(side + 3) * 3);
                const oct_window all = {0, 0, 19, 23};
                assert_int_equal(
                    oct_resample(r, *state, (oct_resample_kernel)k, &im, 19, 23, all, out, 57),
                    OCT_OK);
                for (size_t i = 0; i < sizeof out; i++)
                    assert_int_equal(out[i], v);
                oct_image_deinit(*state, &im);
            }
    oct_resampler_free(*state, r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_and_portable_code_agree_bit_for_bit),
        cmocka_unit_test(a_window_equals_the_crop_of_the_whole),
        cmocka_unit_test(a_flat_picture_stays_flat),
    };
    return cmocka_run_group_tests_name("resample", tests, with_ctx, without_ctx);
}
