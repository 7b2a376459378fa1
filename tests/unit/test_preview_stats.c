/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "datasets/dataset.h"
#include "datasets/presets.h"
#include "datasets/preview_stats.h"

static const oct_image_input cifar = {3, 32, 32, false};

static int with_ctx(void **state)
{
    return oct_ctx_new(NULL, (oct_ctx **)state) == OCT_OK ? 0 : -1;
}

static int without_ctx(void **state)
{
    oct_ctx_free(*state);
    return 0;
}

static oct_preprocess spec_of(oct_ctx *ctx, const char *json)
{
    oct_preprocess p;
    if (oct_preprocess_from_json(ctx, "t", json, strlen(json), &cifar, NULL, &p) != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    return p;
}

/* A picture whose red is about 12 grey levels above its blue, as photos have it, put through the
 * specification. */
static void make_sample(const oct_preprocess *p, oct_rng *r, float *x)
{
    static const double level[3] = {126, 123, 114};
    const double shift = 60 * (oct_rng_f64(r) - 0.5);
    for (int c = 0; c < 3; c++) {
        const int from = p->color == OCT_COLOR_BGR ? 2 - c : c;
        for (int i = 0; i < 1024; i++) {
            double v = level[from] + shift + 160 * (oct_rng_f64(r) - 0.5);
            v = v < 0 ? 0 : v > 255 ? 255 : v;
            x[c * 1024 + i] = (float)((v * p->scale - p->mean[c]) / p->std[c]);
        }
    }
}

static int warnings_of(oct_ctx *ctx, const char *json, const char *word)
{
    const oct_preprocess p = spec_of(ctx, json);
    oct_preview_stats s;
    oct_strbuf text;
    oct_rng r = {1};
    static float x[3 * 1024];
    const oct_sample sample = {0};
    oct_preview_stats_init(&s, &p);
    for (int i = 0; i < 64; i++) {
        make_sample(&p, &r, x);
        oct_preview_stats_add(&s, x, &sample);
    }
    oct_strbuf_init(&text, ctx);
    const int n = oct_preview_stats_check(&s, &text);
    if (word != NULL && (text.text == NULL || strstr(text.text, word) == NULL))
        fail_msg("%s: no warning about %s", json, word);
    oct_strbuf_deinit(&text);
    return n;
}

static void right_settings_give_no_warning(void **state)
{
    assert_int_equal(warnings_of(*state, "{\"preset\":\"cifar10\"}", NULL), 0);
    assert_int_equal(warnings_of(*state, "{\"preset\":\"imagenet\"}", NULL), 0);
    assert_int_equal(warnings_of(*state, "{\"preset\":\"caffe-bgr\"}", NULL), 0);
    assert_int_equal(warnings_of(*state, "{\"preset\":\"yolo\"}", NULL), 0);
    assert_int_equal(warnings_of(*state, "{\"preset\":\"none\"}", NULL), 0);
}

static void swapped_channels_are_noticed(void **state)
{
    assert_int_equal(
        warnings_of(*state, "{\"preset\":\"cifar10\",\"color\":\"BGR\"}", "channel order"), 1);
    assert_int_equal(
        warnings_of(*state, "{\"preset\":\"caffe-bgr\",\"color\":\"RGB\"}", "channel order"), 1);
}

static void wrong_ranges_are_noticed(void **state)
{
    assert_true(warnings_of(*state, "{\"preset\":\"cifar10\",\"scale\":1}", "range") >= 1);
    assert_true(warnings_of(*state, "{\"preset\":\"imagenet\",\"scale\":0.0000154}", "range") >= 1);
    assert_true(warnings_of(*state, "{\"preset\":\"caffe-bgr\",\"scale\":0.0039}", "range") >= 1);
}

static void the_picture_is_what_the_network_sees(void **state)
{
    const char *const settings[] = {"{\"preset\":\"cifar10\"}", "{\"preset\":\"caffe-bgr\"}"};
    const oct_decode_limits limits = OCT_DECODE_LIMITS_DEFAULT;
    for (int k = 0; k < 2; k++) {
        const oct_preprocess p = spec_of(*state, settings[k]);
        oct_preprocessor *pp;
        oct_image im = {0};
        static uint8_t pixels[3 * 1024];
        static float x[3 * 1024];
        for (int i = 0; i < 3 * 1024; i++)
            pixels[i] = (uint8_t)(i * 31);
        assert_int_equal(oct_preprocessor_new(*state, &p, OCT_DT_F32, &limits, false, &pp), OCT_OK);
        oct_preprocess_normalize(pp, pixels, x);
        assert_int_equal(oct_preview_picture(*state, &p, x, &im), OCT_OK);
        assert_memory_equal(im.data, pixels, sizeof pixels);
        oct_image_deinit(*state, &im);
        oct_preprocessor_free(pp);
    }
}

/* The real pictures, where they are. */
static int warnings_on_cifar10(oct_ctx *ctx, const char *json)
{
    const oct_preprocess p = spec_of(ctx, json);
    const oct_input_spec input = {"input", OCT_DT_F32, {{-1, 3, 32, 32}, 4}};
    const oct_dataset_options o = {.path = OCT_TEST_DATA_DIR "/cifar10/calibration",
                                   .preprocess = &p,
                                   .input = &input,
                                   .n_inputs = 1,
                                   .batch = 8,
                                   .subset = {.limit = 128}};
    oct_preview_stats s;
    oct_batch_source *src;
    const oct_batch *b;
    oct_strbuf text;
    oct_preview_stats_init(&s, &p);
    assert_int_equal(oct_dataset_open(ctx, &o, &src), OCT_OK);
    while (src->vt->next(src, ctx, &b) == OCT_OK && b != NULL) {
        for (int i = 0; i < b->n_samples; i++)
            oct_preview_stats_add(&s, (const float *)b->input[0].data + i * 3072, &b->sample[i]);
        src->vt->release(src, b);
    }
    src->vt->close(src);
    oct_strbuf_init(&text, ctx);
    const int n = oct_preview_stats_check(&s, &text);
    oct_strbuf_deinit(&text);
    return n;
}

static void wrong_settings_on_cifar10_are_noticed(void **state)
{
    if (!oct_path_is_dir(OCT_TEST_DATA_DIR "/cifar10")) {
        print_message("skipped: no " OCT_TEST_DATA_DIR "/cifar10\n");
        skip();
    }
    assert_int_equal(warnings_on_cifar10(*state, "{\"preset\":\"cifar10\"}"), 0);
    assert_int_equal(warnings_on_cifar10(*state, "{\"preset\":\"cifar10\",\"color\":\"BGR\"}"), 1);
    assert_int_equal(warnings_on_cifar10(*state, "{\"preset\":\"cifar10\",\"scale\":1}"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_settings_give_no_warning),
        cmocka_unit_test(swapped_channels_are_noticed),
        cmocka_unit_test(wrong_ranges_are_noticed),
        cmocka_unit_test(the_picture_is_what_the_network_sees),
        cmocka_unit_test(wrong_settings_on_cifar10_are_noticed),
    };
    return cmocka_run_group_tests_name("preview_stats", tests, with_ctx, without_ctx);
}
