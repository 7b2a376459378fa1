/* SPDX-License-Identifier: Apache-2.0
 *
 * labels: slow
 * Ten thousand damaged pictures, truncated at every percent and with flipped bits, through the
 * loader: no crash (run under asan), and the list of skipped files is exactly the list of those
 * that do not decode one by one. Bombs are refused before anything is allocated.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "datasets/dataset.h"
#include "datasets/presets.h"

#define N_FILES 10000

static const char *const originals[] = {
    "jpeg/s420.jpg",  "jpeg/s444_progressive.jpg", "jpeg/gray.jpg",
    "jpeg/cmyk.jpg",  "jpeg/restart.jpg",          "jpeg/exif6.jpg",
    "png/rgb.png",    "png/palette.png",           "png/rgba.png",
    "png/gray16.png", "png/adam7_gray16.png",      "png/la.png"};

#define N_ORIGINALS (sizeof originals / sizeof originals[0])

typedef struct fixture {
    oct_ctx *ctx;
    char dir[64];
    uint8_t *bytes[N_ORIGINALS];
    size_t n[N_ORIGINALS];
    oct_preprocess spec;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const oct_image_input in = {3, 16, 16, false};
    assert_int_equal(oct_ctx_new(NULL, &f->ctx), OCT_OK);
    snprintf(f->dir, sizeof f->dir, "/tmp/octet_damaged_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    for (size_t i = 0; i < N_ORIGINALS; i++) {
        char path[512];
        snprintf(path, sizeof path, OCT_TEST_SOURCE_DIR "/tests/fuzz/corpus/%s", originals[i]);
        assert_int_equal(oct_file_read(f->ctx, path, 0, &f->bytes[i], &f->n[i]), OCT_OK);
    }
    assert_int_equal(oct_preset_apply(f->ctx, "imagenet", &in, &f->spec), OCT_OK);
    f->spec.exif = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char cmd[128];
    snprintf(cmd, sizeof cmd, "rm -rf %s", f->dir);
    assert_int_equal(system(cmd), 0);
    for (size_t i = 0; i < N_ORIGINALS; i++)
        oct_free(f->ctx, f->bytes[i]);
    oct_ctx_free(f->ctx);
    free(f);
    return 0;
}

/* File k: the first 101 of an original's are its truncations, the others have 1 to 8 bits
 * flipped. Returns its length. */
static size_t damage(const fixture *f, int k, uint8_t *out)
{
    const size_t o = (size_t)k % N_ORIGINALS;
    const int variant = k / (int)N_ORIGINALS;
    memcpy(out, f->bytes[o], f->n[o]);
    if (variant <= 100)
        return f->n[o] * (size_t)variant / 100;
    oct_rng r = {(uint64_t)k};
    const uint64_t flips = 1 + oct_rng_below(&r, 8);
    for (uint64_t i = 0; i < flips; i++)
        out[oct_rng_below(&r, f->n[o])] ^= (uint8_t)(1u << oct_rng_below(&r, 8));
    return f->n[o];
}

static bool decodes(fixture *f, oct_preprocessor *pp, oct_preprocess_scratch *s,
                    const uint8_t *bytes, size_t n)
{
    static float out[3 * 16 * 16];
    oct_sample sample = {0};
    oct_decode_info info;
    const oct_status st = oct_preprocess_file(pp, f->ctx, s, "one", bytes, n, out, &sample, &info);
    oct_error_clear(f->ctx);
    return st == OCT_OK;
}

static void ten_thousand_damaged_files_give_an_exact_skip_list(void **state)
{
    fixture *f = *state;
    static const oct_input_spec input = {"input", OCT_DT_F32, {{-1, 3, 16, 16}, 4}};
    const oct_decode_limits limits = OCT_DECODE_LIMITS_DEFAULT;
    static bool good[N_FILES];
    static uint8_t bytes[65536];
    oct_preprocessor *pp;
    oct_preprocess_scratch *scratch;
    oct_batch_source *s;
    const oct_batch *b;
    const oct_skip *skip;
    int64_t n_good = 0, n_read = 0;
    assert_int_equal(oct_preprocessor_new(f->ctx, &f->spec, OCT_DT_F32, &limits, false, &pp), 0);
    assert_int_equal(oct_preprocess_scratch_new(f->ctx, &scratch), OCT_OK);
    for (int k = 0; k < N_FILES; k++) {
        char path[128];
        const size_t n = damage(f, k, bytes);
        good[k] = decodes(f, pp, scratch, bytes, n);
        n_good += good[k];
        snprintf(path, sizeof path, "%s/%05d.jpg", f->dir, k);
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(bytes, 1, n, out), n);
        fclose(out);
    }
    const oct_dataset_options o = {.path = f->dir,
                                   .preprocess = &f->spec,
                                   .input = &input,
                                   .n_inputs = 1,
                                   .batch = 16,
                                   .n_threads = 2,
                                   .skip_bad = true,
                                   .max_skip_percent = 100};
    assert_int_equal(oct_dataset_open(f->ctx, &o, &s), OCT_OK);
    assert_int_equal(s->vt->n_samples(s), N_FILES);
    for (;;) {
        assert_int_equal(s->vt->next(s, f->ctx, &b), OCT_OK);
        if (b == NULL)
            break;
        for (int i = 0; i < b->n_samples; i++)
            assert_true(good[b->sample[i].index]);
        n_read += b->n_samples;
        s->vt->release(s, b);
    }
    assert_int_equal(n_read, n_good);
    const size_t n_skipped = s->vt->skipped(s, &skip);
    assert_int_equal(n_skipped, N_FILES - n_good);
    for (size_t i = 0; i < n_skipped; i++)
        assert_false(good[skip[i].index]);
    print_message("%d damaged files: %zu skipped, %lld decode\n", N_FILES, n_skipped,
                  (long long)n_good);
    s->vt->close(s);
    oct_preprocess_scratch_free(f->ctx, scratch);
    oct_preprocessor_free(pp);
}

static void bombs_are_refused_without_allocating(void **state)
{
    fixture *f = *state;
    /* One megabyte that declares 20,000 x 20,000 RGB: 1.2 GB. */
    const size_t n = 1 << 20;
    uint8_t *png = calloc(1, n);
    static const uint8_t head[] = {0x89, 'P', 'N',  'G',  13,  10,  26, 10, 0,    0,
                                   0,    13,  'I',  'H',  'D', 'R', 0,  0,  0x4e, 0x20,
                                   0,    0,   0x4e, 0x20, 8,   2,   0,  0,  0};
    memcpy(png, head, sizeof head);
    /* A JPEG header of 65,500 x 65,500. */
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0,    11, 8,    0xff, 0xdc,
                                   0xff, 0xdc, 1,    1,    0x11, 0,  0xff, 0xda, 0,
                                   8,    1,    1,    0,    0,    63, 0,    0xff, 0xd9};
    const oct_decode_options opt = {.limits = OCT_DECODE_LIMITS_DEFAULT};
    oct_image im = {0}, turned = {0};
    oct_decode_info info;
    oct_ctx *ctx;
    assert_int_equal(oct_ctx_new(NULL, &ctx), OCT_OK);
    assert_int_equal(oct_image_decode(ctx, "bomb", png, n, &opt, &im, &turned, &info),
                     OCT_ERR_LIMIT);
    assert_int_equal(oct_mem_peak(ctx), 0);
    oct_error_clear(ctx);
    assert_int_equal(oct_image_decode(ctx, "bomb", jpeg, sizeof jpeg, &opt, &im, &turned, &info),
                     OCT_ERR_LIMIT);
    assert_true(oct_mem_peak(ctx) < 8192);
    oct_error_clear(ctx);
    oct_ctx_free(ctx);
    free(png);
    (void)f;
}

static void truncated_pictures_are_accepted_on_request_only(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < N_ORIGINALS; i++) {
        oct_image im = {0}, turned = {0};
        oct_decode_info info;
        oct_decode_options opt = {.limits = OCT_DECODE_LIMITS_DEFAULT};
        const size_t n = f->n[i] - f->n[i] / 20;
        assert_true(oct_image_decode(f->ctx, "t", f->bytes[i], n, &opt, &im, &turned, &info) !=
                    OCT_OK);
        oct_error_clear(f->ctx);
        opt.allow_truncated = true;
        assert_int_equal(oct_image_decode(f->ctx, "t", f->bytes[i], n, &opt, &im, &turned, &info),
                         OCT_OK);
        assert_true(info.truncated);
        oct_image_deinit(f->ctx, &im);
        oct_image_deinit(f->ctx, &turned);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bombs_are_refused_without_allocating),
        cmocka_unit_test(truncated_pictures_are_accepted_on_request_only),
        cmocka_unit_test(ten_thousand_damaged_files_give_an_exact_skip_list),
    };
    return cmocka_run_group_tests_name("damaged_images", tests, set_up, tear_down);
}
