/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration through the public API: the caller's batches, statistics, scales, caches.
 * labels: threads
 */
#include "octet/octet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"
#include "tests/support/tiny_onnx.h"

#define N_SAMPLES 24

static char folder[64];
static octet_ctx *ctx;

static const char *in_folder(const char *name)
{
    static char path[4][160];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
    return path[k];
}

static int setup(void **state)
{
    const oct_tiny_onnx onnx = oct_tiny_onnx_unary("Relu");
    strcpy(folder, "/tmp/octet-api-XXXXXX");
    if (!mkdtemp(folder) || octet_ctx_new(NULL, &ctx) != OCTET_OK)
        return -1;
    FILE *f = fopen(in_folder("relu.onnx"), "wb");
    const int bad = !f || fwrite(onnx.data, 1, onnx.n, f) != onnx.n;
    return fclose(f) || bad ? -1 : 0;
}

static int teardown(void **state)
{
    char command[96];
    if (octet_memory_now(ctx) == 0) /* else the test has failed before */
        octet_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* N_SAMPLES samples of four normal numbers, handed out `batch` at a time from `lo`. The buffer is
 * overwritten at each call, as a caller might. */
typedef struct feed {
    int64_t at, end, batch;
    int fail_at; /* call number that returns -1; 0 = never */
    int calls;
    float buffer[N_SAMPLES * 4];
} feed;

static int next_batch(void *user, octet_tensor *inputs, size_t n_inputs)
{
    feed *f = user;
    assert_int_equal(n_inputs, 1);
    if (++f->calls == f->fail_at)
        return -1;
    const int64_t n = f->end - f->at < f->batch ? f->end - f->at : f->batch;
    if (n <= 0)
        return 0;
    memset(f->buffer, 0xff, sizeof f->buffer);
    for (int64_t i = 0; i < n; i++) {
        oct_rng rng = {(uint64_t)(f->at + i)};
        oct_rng_fill_normal(&rng, f->buffer + i * 4, 4);
    }
    inputs[0] = (octet_tensor){OCTET_DTYPE_F32, 2, {n, 4}, f->buffer};
    f->at += n;
    return 1;
}

static octet_stats *calibrate(int64_t lo, int64_t hi, int64_t batch, int threads)
{
    feed f = {.at = lo, .end = hi, .batch = batch};
    octet_calibrate_options opt;
    octet_stats *s = NULL;
    OCTET_INIT(opt);
    opt.n_threads = threads;
    if (octet_calibrate(ctx, in_folder("relu.onnx"), next_batch, &f, &opt, &s) != OCTET_OK)
        fail_msg("%s", octet_error_text(ctx));
    return s;
}

static void assert_same_file(const char *a, const char *b)
{
    char command[400];
    snprintf(command, sizeof command, "cmp %s %s", in_folder(a), in_folder(b));
    assert_int_equal(system(command), 0);
}

static void batches_and_threads_do_not_change_a_byte(void **state)
{
    static const struct {
        int64_t batch;
        int threads;
    } how[] = {{1, 1}, {7, 3}, {24, 2}};
    for (int i = 0; i < 3; i++) {
        octet_stats *s = calibrate(0, N_SAMPLES, how[i].batch, how[i].threads);
        assert_int_equal(octet_stats_n_samples(s), N_SAMPLES);
        assert_true(octet_stats_n_tensors(s) >= 2);
        assert_int_equal(octet_stats_write(s, in_folder(i ? "b.h5" : "a.h5"), i > 1), OCTET_OK);
        octet_stats_free(s);
        if (i > 0)
            assert_same_file("a.h5", "b.h5");
    }
}

static void merged_parts_equal_the_whole(void **state)
{
    octet_stats *whole = calibrate(0, N_SAMPLES, 4, 2), *part = calibrate(0, 9, 4, 1);
    octet_stats *rest = calibrate(9, N_SAMPLES, 5, 2), *read = NULL;
    assert_int_equal(octet_stats_write(whole, in_folder("whole.h5"), 0), OCTET_OK);
    assert_int_equal(octet_stats_write(rest, in_folder("rest.h5"), 0), OCTET_OK);
    assert_int_equal(octet_stats_read(ctx, in_folder("rest.h5"), &read), OCTET_OK);
    assert_int_equal(octet_stats_merge(part, read, 0), OCTET_OK);
    assert_int_equal(octet_stats_write(part, in_folder("merged.h5"), 0), OCTET_OK);
    assert_same_file("whole.h5", "merged.h5");
    assert_int_equal(octet_stats_merge(part, read, 0), OCTET_ERR_STALE); /* the same samples */
    octet_error_clear(ctx);
    octet_stats_free(whole);
    octet_stats_free(part);
    octet_stats_free(rest);
    octet_stats_free(read);
    octet_stats_free(NULL);
}

static void scales_go_through_every_cache_format(void **state)
{
    static const char *const files[] = {"c.cache", "c.json", "c.flatbuffers", "c.table"};
    octet_stats *s = calibrate(0, N_SAMPLES, 4, 1);
    octet_scales *scales = NULL, *back = NULL;
    float scale = 0, again = 0, amax = 0;
    const char *name = NULL;
    for (int64_t i = 0; i < N_SAMPLES; i++) {
        float x[4];
        oct_rng rng = {(uint64_t)i};
        oct_rng_fill_normal(&rng, x, 4);
        for (int k = 0; k < 4; k++)
            amax = fmaxf(amax, fabsf(x[k]));
    }
    assert_int_equal(octet_stats_scales(s, "minmax", &scales), OCTET_OK);
    assert_int_equal(octet_scales_find(scales, "x", &scale), OCTET_OK);
    assert_true(scale == amax / 127);
    assert_int_equal(octet_scales_find(scales, "nobody", &scale), OCTET_ERR_NOT_FOUND);
    octet_error_clear(ctx);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(octet_scales_write(scales, in_folder(files[i]), OCTET_CACHE_AUTO, NULL),
                         OCTET_OK);
        if (octet_scales_read(ctx, in_folder(files[i]), OCTET_CACHE_AUTO, &back) != OCTET_OK)
            fail_msg("%s: %s", files[i], octet_error_text(ctx));
        assert_int_equal(octet_scales_count(back), octet_scales_count(scales));
        assert_int_equal(octet_scales_at(back, 0, &name, &again), OCTET_OK);
        assert_int_equal(octet_scales_find(scales, name, &scale), OCTET_OK);
        assert_true(fabsf(scale - again) <= 2e-6f * scale); /* amax has 6 digits at least */
        octet_scales_free(back);
    }
    assert_int_equal(octet_scales_write(scales, in_folder("c.xyz"), OCTET_CACHE_AUTO, NULL),
                     OCTET_ERR_USAGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_scales_write(scales, in_folder("c.cache"), OCTET_CACHE_AUTO, NULL),
                     OCTET_ERR_USAGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_stats_scales(s, "magic", &back), OCTET_ERR_USAGE);
    octet_error_clear(ctx);
    octet_scales_free(scales);
    octet_stats_free(s);
}

static void a_cache_of_own_scales_names_its_version(void **state)
{
    char line[64] = "";
    octet_scales *scales = NULL;
    octet_cache_options opt;
    OCTET_INIT(opt);
    opt.trt_version = "8.6.1";
    assert_int_equal(octet_scales_new(ctx, &scales), OCTET_OK);
    assert_int_equal(octet_scales_add(scales, "a", 0.5f), OCTET_OK);
    assert_int_equal(octet_scales_add(scales, "a", 0.5f), OCTET_ERR_RANGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_scales_add(scales, "b", 0), OCTET_ERR_RANGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_scales_add(scales, "b", INFINITY), OCTET_ERR_RANGE);
    octet_error_clear(ctx);
    assert_int_equal(octet_scales_write(scales, in_folder("t"), OCTET_CACHE_TRT, &opt), OCTET_OK);
    FILE *f = fopen(in_folder("t"), "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "TRT-8601-EntropyCalibration2\n");
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "a: 3f000000\n");
    fclose(f);
    octet_scales_free(scales);
}

static int odd_batch(void *user, octet_tensor *inputs, size_t n_inputs)
{
    static float x[6];
    inputs[0] = (octet_tensor){OCTET_DTYPE_F32, 2, {2, 3}, *(int *)user ? x : NULL};
    return 1;
}

static void bad_batches_stop_with_a_reason(void **state)
{
    octet_stats *s = NULL;
    feed stops = {.end = 24, .batch = 2, .fail_at = 3}, none = {.end = 0, .batch = 1};
    int with_data = 0;
    const char *model = in_folder("relu.onnx");
    assert_int_equal(octet_calibrate(ctx, model, next_batch, &stops, NULL, &s), OCTET_ERR_IO);
    octet_error_clear(ctx);
    assert_int_equal(octet_calibrate(ctx, model, next_batch, &none, NULL, &s), OCTET_ERR_NOT_FOUND);
    octet_error_clear(ctx);
    assert_int_equal(octet_calibrate(ctx, model, odd_batch, &with_data, NULL, &s), OCTET_ERR_USAGE);
    assert_non_null(strstr(octet_error_text(ctx), "batch 0, input 0"));
    octet_error_clear(ctx);
    with_data = 1; /* 2 x 3 does not fit N x 4 */
    assert_int_not_equal(octet_calibrate(ctx, model, odd_batch, &with_data, NULL, &s), OCTET_OK);
    octet_error_clear(ctx);
    assert_int_equal(octet_memory_now(ctx), 0);
    assert_null(s);
}

/* Runs the model file at `path` on 2 x 4 numbers. */
static void run_file(const char *path, float *x, float y[8])
{
    octet_model *m = NULL;
    octet_tensor out;
    const octet_tensor in = {OCTET_DTYPE_F32, 2, {2, 4}, x};
    if (octet_model_open(ctx, path, NULL, &m) != OCTET_OK)
        fail_msg("%s", octet_error_text(ctx));
    assert_int_equal(octet_model_run(m, &in, 1, &out, 1), OCTET_OK);
    memcpy(y, out.data, 8 * sizeof *y);
    octet_model_close(m);
}

/* From float model and scales to a Q/DQ file and an engine: both compute what DESIGN 3 says. */
static void a_model_is_quantized_built_and_run(void **state)
{
    const float w[16] = {1, 2, 3, 4, -1, 0.5f, 0, 127, 2, -2, 1, 1, 0.25f, 0, -3, 8};
    float x[8] = {0.1f, -0.2f, 0.3f, 1.27f, 0, 0.635f, -1.27f, 5}, y[8], z[8];
    const oct_tiny_onnx onnx = oct_tiny_onnx_matmul(w);
    octet_scales *scales = NULL;
    FILE *f = fopen(in_folder("mm.onnx"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(onnx.data, 1, onnx.n, f), onnx.n);
    fclose(f);
    assert_int_equal(octet_scales_new(ctx, &scales), OCTET_OK);
    assert_int_not_equal(octet_build(ctx, in_folder("mm.onnx"), scales, NULL, in_folder("no")),
                         OCTET_OK); /* no scale for x */
    octet_error_clear(ctx);
    assert_int_equal(octet_scales_add(scales, "x", 0.01f), OCTET_OK);
    if (octet_quantize(ctx, in_folder("mm.onnx"), scales, NULL, in_folder("q.onnx")) != OCTET_OK)
        fail_msg("%s", octet_error_text(ctx));
    assert_int_equal(octet_build(ctx, in_folder("mm.onnx"), scales, NULL, in_folder("q.engine")),
                     OCTET_OK);
    assert_int_equal(octet_build(ctx, in_folder("mm.onnx"), scales, NULL, in_folder("q.engine")),
                     OCTET_ERR_USAGE); /* it is there */
    octet_error_clear(ctx);
    run_file(in_folder("q.onnx"), x, y);
    run_file(in_folder("q.engine"), x, z);
    for (int i = 0; i < 8; i++) {
        double want = 0, size = 0;
        for (int k = 0; k < 4; k++) {
            const float *column = w + i % 4;
            float amax = 0;
            for (int r = 0; r < 4; r++)
                amax = fmaxf(amax, fabsf(column[r * 4]));
            const double s_w = amax / 127;
            const double q = fmin(fmax(rint(x[i / 4 * 4 + k] / 0.01f), -128), 127);
            want += q * 0.01 * rint(column[k * 4] / s_w) * s_w;
            size += fabs(q * 0.01 * column[k * 4]);
        }
        assert_true(fabs(y[i] - want) <= 1e-5 * size + 1e-6);
        assert_true(fabs(z[i] - want) <= 1e-5 * size + 1e-6);
    }
    octet_scales_free(scales);
}

static int next_picture(void *user, octet_tensor *inputs, size_t n_inputs)
{
    static float x[3 * 32 * 32];
    oct_rng rng = {(uint64_t) * (int *)user};
    if (++*(int *)user > 4)
        return 0;
    oct_rng_fill_normal(&rng, x, sizeof x / sizeof *x);
    inputs[0] = (octet_tensor){OCTET_DTYPE_F32, 4, {1, 3, 32, 32}, x};
    return 1;
}

static bool file_holds(const char *path, const char *text)
{
    const size_t n = strlen(text);
    size_t at = 0;
    int c;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while (at < n && (c = fgetc(f)) != EOF)
        at = c == text[at] ? at + 1 : c == text[0];
    fclose(f);
    return at == n;
}

/* Given the statistics, quantizing corrects biases; without them it cannot. */
static void statistics_correct_biases(void **state)
{
    const char *model = OCT_TEST_DATA_DIR "/models/resnet20_cifar10.onnx";
    octet_quantize_options opt;
    octet_stats *s = NULL;
    octet_scales *scales = NULL;
    int at = 0;
    FILE *f = fopen(model, "rb");
    if (f == NULL)
        skip();
    fclose(f);
    if (octet_calibrate(ctx, model, next_picture, &at, NULL, &s) != OCTET_OK)
        fail_msg("%s", octet_error_text(ctx));
    assert_int_equal(octet_stats_scales(s, "mse", &scales), OCTET_OK);
    OCTET_INIT(opt);
    opt.target = OCTET_TARGET_TRT;
    opt.unsigned_activations = 1; /* TensorRT has none */
    assert_int_equal(octet_quantize(ctx, model, scales, &opt, in_folder("as_is.onnx")), OCTET_OK);
    opt.stats = s;
    assert_int_equal(octet_quantize(ctx, model, scales, &opt, in_folder("mean.onnx")), OCTET_OK);
    assert_false(file_holds(in_folder("as_is.onnx"), "octet.bias_correction"));
    assert_true(file_holds(in_folder("mean.onnx"), "octet.bias_correction"));
    assert_int_equal(octet_build(ctx, model, scales, &opt, in_folder("mean.engine")), OCTET_OK);
    octet_scales_free(scales);
    octet_stats_free(s);
    remove(in_folder("as_is.onnx"));
    remove(in_folder("mean.onnx"));
    remove(in_folder("mean.engine"));
}

#define with_model(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_model(batches_and_threads_do_not_change_a_byte),
        with_model(merged_parts_equal_the_whole),
        with_model(scales_go_through_every_cache_format),
        with_model(a_cache_of_own_scales_names_its_version),
        with_model(bad_batches_stop_with_a_reason),
        with_model(a_model_is_quantized_built_and_run),
        with_model(statistics_correct_biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
