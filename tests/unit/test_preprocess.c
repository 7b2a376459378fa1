/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/geometry.h"
#include "datasets/presets.h"

static const oct_image_input photo = {3, 224, 224, false};

static int with_ctx(void **state)
{
    return oct_ctx_new(NULL, (oct_ctx **)state) == OCT_OK ? 0 : -1;
}

static int without_ctx(void **state)
{
    oct_ctx_free(*state);
    return 0;
}

static oct_status parse(oct_ctx *ctx, const char *text, const oct_image_input *in,
                        oct_preprocess *out)
{
    oct_error_clear(ctx);
    return oct_preprocess_from_json(ctx, "test.json", text, strlen(text), in, NULL, out);
}

static void every_preset_survives_its_own_json(void **state)
{
    for (int i = 0; i < oct_preset_count(); i++) {
        const oct_preset *preset = oct_preset_at(i);
        oct_image_input in = {preset->channels ? preset->channels : 3, 32, 32, i % 2 == 1};
        oct_preprocess p, q;
        char *a, *b;
        assert_non_null(preset->program);
        assert_int_equal(oct_preset_apply(*state, preset->name, &in, &p), OCT_OK);
        assert_int_equal(oct_preprocess_check(*state, &p), OCT_OK);
        assert_int_equal(oct_preprocess_to_json(*state, &p, &a), OCT_OK);
        assert_int_equal(parse(*state, a, &in, &q), OCT_OK);
        assert_int_equal(oct_preprocess_to_json(*state, &q, &b), OCT_OK);
        assert_string_equal(a, b);
        oct_free(*state, a);
        oct_free(*state, b);
    }
}

static void imagenet_has_torchvisions_numbers(void **state)
{
    oct_preprocess p;
    assert_int_equal(oct_preset_apply(*state, "imagenet", &photo, &p), OCT_OK);
    assert_int_equal(p.resize_short, 256);
    assert_int_equal(oct_preset_apply(*state, "imagenet-v2", &photo, &p), OCT_OK);
    assert_int_equal(p.resize_short, 232);
    const oct_image_input small = {3, 128, 128, false};
    assert_int_equal(oct_preset_apply(*state, "tf-inception", &small, &p), OCT_OK);
    assert_int_equal(p.resize_short, 146);
}

static void presets_that_fit_follow_from_the_shape(void **state)
{
    char buf[256];
    const oct_image_input digit = {1, 28, 28, false}, cifar = {3, 32, 32, false};
    const oct_image_input wide = {3, 352, 352, false};
    assert_string_equal(oct_presets_fitting(&digit, buf, sizeof buf), "mnist, none");
    assert_string_equal(oct_presets_fitting(&cifar, buf, sizeof buf), "cifar10, none");
    assert_non_null(strstr(oct_presets_fitting(&photo, buf, sizeof buf), "imagenet-v2"));
    assert_non_null(strstr(oct_presets_fitting(&wide, buf, sizeof buf), "yolo"));
    oct_preprocess p;
    oct_error_clear(*state);
    assert_int_equal(oct_preset_apply(*state, "imagnet", &photo, &p), OCT_ERR_USAGE);
    assert_non_null(strstr(oct_error_text(*state), "imagenet"));
    oct_error_clear(*state);
    assert_int_equal(oct_preset_apply(*state, "mnist", &photo, &p), OCT_ERR_USAGE);
    oct_error_clear(*state);
}

static void shapes_of_both_layouts_are_understood(void **state)
{
    (void)state;
    const oct_shape a = {{1, 3, 224, 192}, 4}, b = {{OCT_DIM_SYMBOL(0), 96, 64, 3}, 4};
    const oct_shape c = {{1, 10}, 2}, d = {{1, 3, OCT_DIM_SYMBOL(1), OCT_DIM_SYMBOL(2)}, 4};
    const oct_image_input ia = oct_image_input_of(&a), ib = oct_image_input_of(&b);
    assert_true(ia.channels == 3 && ia.height == 224 && ia.width == 192 && !ia.channels_last);
    assert_true(ib.channels == 3 && ib.height == 96 && ib.width == 64 && ib.channels_last);
    assert_int_equal(oct_image_input_of(&c).channels, 0);
    assert_int_equal(oct_image_input_of(&d).height, 0);
}

static void configuration_errors_name_the_key(void **state)
{
    static const struct {
        const char *text, *key;
    } cases[] = {
        {"{\"preset\":\"imagenet\",\"scal\":1}", "scal"},
        {"{\"preset\":\"imagenet\",\"color\":\"RBG\"}", "color"},
        {"{\"preset\":\"imagenet\",\"color\":\"GRAY\"}", "color"},
        {"{\"preset\":\"imagenet\",\"mean\":[1,2]}", "mean"},
        {"{\"preset\":\"imagenet\",\"std\":0}", "std"},
        {"{\"preset\":\"imagenet\",\"scale\":\"x\"}", "scale"},
        {"{\"preset\":\"imagenet\",\"size\":299}", "299"},
        {"{\"preset\":\"imagenet\",\"resize\":{\"mode\":\"squash\"}}", "resize.mode"},
        {"{\"preset\":\"imagenet\",\"resize\":{\"mode\":\"exact\",\"size\":3}}", "resize.size"},
        {"{\"preset\":\"imagenet\",\"pad\":300}", "pad"},
        {"{\"preset\":\"imagenet\",\"layout\":\"NHWC\"}", "layout"},
        {"{\"preset\":\"nope\"}", "nope"},
        {"[1]", "object"},
        {"{\"preset\":", "test.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oct_preprocess p;
        const oct_status st = parse(*state, cases[i].text, &photo, &p);
        assert_true(st == OCT_ERR_USAGE || st == OCT_ERR_FORMAT);
        if (strstr(oct_error_text(*state), cases[i].key) == NULL)
            fail_msg("%s: '%s'", cases[i].text, oct_error_text(*state));
    }
    oct_error_clear(*state);
}

static void nvinfers_keys_mean_what_nvinfer_does(void **state)
{
    oct_preprocess p;
    assert_int_equal(parse(*state,
                           "{\"preset\":\"deepstream\",\"net-scale-factor\":0.5,"
                           "\"offsets\":[10,20,30],\"model-color-format\":1,"
                           "\"maintain-aspect-ratio\":1,\"symmetric-padding\":1}",
                           &photo, &p),
                     OCT_OK);
    assert_int_equal(p.color, OCT_COLOR_BGR);
    assert_int_equal(p.resize, OCT_FIT_LETTERBOX);
    assert_true(p.letterbox_center);
    assert_true((100 * p.scale - p.mean[1]) / p.std[1] == 0.5 * (100 - 20));
}

static void free_sizes_come_from_the_configuration(void **state)
{
    const oct_image_input open = {3, 0, 0, false};
    oct_preprocess p;
    assert_int_equal(parse(*state, "{\"preset\":\"imagenet\",\"size\":299}", &open, &p), OCT_OK);
    assert_int_equal(p.height, 299);
    assert_int_equal(p.resize_short, 341);
    assert_int_equal(parse(*state,
                           "{\"preset\":\"yolo\",\"size\":[300,500],\"resize\":{\"stride\":32}}",
                           &open, &p),
                     OCT_OK);
    assert_int_equal(p.height, 320);
    assert_int_equal(p.width, 512);
    assert_int_equal(parse(*state, "{\"scale\":1}", &open, &p), OCT_ERR_USAGE);
    oct_error_clear(*state);
}

static void letterbox_rounds_as_ultralytics_does(void **state)
{
    const oct_image_input in = {3, 640, 640, false};
    oct_preprocess p;
    oct_geometry g;
    assert_int_equal(oct_preset_apply(*state, "yolo", &in, &p), OCT_OK);
    assert_int_equal(oct_geometry_plan(*state, "t", &p, 810, 1080, 1 << 30, &g), OCT_OK);
    assert_int_equal(g.resized_width, 480);
    assert_int_equal(g.dst_x, 80);
    assert_int_equal(g.dst_y, 0);
    assert_int_equal(oct_geometry_plan(*state, "t", &p, 640, 427, 1 << 30, &g), OCT_OK);
    assert_int_equal(g.dst_y, 106); /* 213 rows to share: round(106.4), the odd one below */
}

static void centre_crop_rounds_half_to_even(void **state)
{
    oct_preprocess p;
    oct_geometry g;
    assert_int_equal(oct_preset_apply(*state, "imagenet", &photo, &p), OCT_OK);
    assert_int_equal(oct_geometry_plan(*state, "t", &p, 500, 375, 1 << 30, &g), OCT_OK);
    assert_int_equal(g.resized_width, 341);
    assert_int_equal(g.window.x, 58); /* 58.5 */
    assert_int_equal(g.window.y, 16);
    p.resize_short = 100; /* smaller than the crop: borders */
    assert_int_equal(oct_geometry_plan(*state, "t", &p, 200, 200, 1 << 30, &g), OCT_OK);
    assert_int_equal(g.dst_x, 62);
    assert_int_equal(g.window.width, 100);
    p.resize_short = 16000;
    assert_int_equal(oct_geometry_plan(*state, "t", &p, 1, 16000, 64000000, &g), OCT_ERR_LIMIT);
    oct_error_clear(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_preset_survives_its_own_json),
        cmocka_unit_test(imagenet_has_torchvisions_numbers),
        cmocka_unit_test(presets_that_fit_follow_from_the_shape),
        cmocka_unit_test(shapes_of_both_layouts_are_understood),
        cmocka_unit_test(configuration_errors_name_the_key),
        cmocka_unit_test(nvinfers_keys_mean_what_nvinfer_does),
        cmocka_unit_test(free_sizes_come_from_the_configuration),
        cmocka_unit_test(letterbox_rounds_as_ultralytics_does),
        cmocka_unit_test(centre_crop_rounds_half_to_even),
    };
    return cmocka_run_group_tests_name("preprocess", tests, with_ctx, without_ctx);
}
