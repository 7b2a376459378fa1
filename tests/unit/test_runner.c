/* SPDX-License-Identifier: Apache-2.0
 *
 * The calibration runner over a source in memory. Needs a model: skips those it does not find.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "calib/runner.h"
#include "tests/support/fake_device.h"

#ifndef OCT_TEST_DATA_DIR
#define OCT_TEST_DATA_DIR "../shared/data"
#endif
#define MODEL OCT_TEST_DATA_DIR "/models/resnet20_cifar10.onnx"

static oct_ctx *ctx;
static oct_model *model;
static atomic_bool cancel_now; /* set by one worker, read by all */

static bool is_cancelled(void *user)
{
    return cancel_now;
}

static int setup(void **state)
{
    const oct_cancel cancel = {NULL, is_cancelled};
    const oct_ctx_options opt = {.cancel = &cancel};
    if (oct_ctx_new(&opt, &ctx) != OCT_OK)
        return 1;
    if (!oct_path_exists(MODEL)) {
        fprintf(stderr, "skipped: no %s\n", MODEL);
        return 0;
    }
    return oct_model_load(ctx, MODEL, NULL, &model) != OCT_OK;
}

static int teardown(void **state)
{
    oct_model_free(model);
    oct_ctx_free(ctx);
    return 0;
}

/* ---- a source of random images, in batches of any size, in any order --------------------- */

enum { PIXELS = 3 * 32 * 32, N_IMAGES = 40 };

typedef struct random_batch {
    oct_batch b;
    oct_tensor in;
    oct_sample *sample;
    char (*name)[16];
} random_batch;

typedef struct random_source {
    oct_batch_source base;
    pthread_mutex_t lock;
    int order[N_IMAGES];
    int n_images, batch, next;
    int nan_image; /* that image holds a NaN; -1 = none */
    int cancel_at; /* cancels when this many images were handed out; -1 = never */
    int handed_out[N_IMAGES];
} random_source;

static int64_t rs_count(const oct_batch_source *s)
{
    return ((const random_source *)s)->n_images;
}

static oct_status rs_next(oct_batch_source *s, oct_ctx *c, const oct_batch **out)
{
    random_source *r = (random_source *)s;
    pthread_mutex_lock(&r->lock);
    const int first = r->next;
    int n = r->n_images - first < r->batch ? r->n_images - first : r->batch;
    r->next += n;
    for (int k = 0; k < n; k++)
        r->handed_out[r->order[first + k]]++;
    if (r->cancel_at >= 0 && r->next >= r->cancel_at)
        cancel_now = true;
    pthread_mutex_unlock(&r->lock);
    *out = NULL;
    if (n == 0)
        return OCT_OK;
    random_batch *b = calloc(1, sizeof *b);
    b->sample = calloc((size_t)r->batch, sizeof *b->sample);
    b->name = calloc((size_t)r->batch, sizeof *b->name);
    float *x = calloc((size_t)r->batch * PIXELS, sizeof *x); /* padding rows are zeros */
    for (int k = 0; k < n; k++) {
        const int image = r->order[first + k];
        oct_rng rng = {(uint64_t)image};
        for (int i = 0; i < PIXELS; i++)
            x[k * PIXELS + i] = oct_rng_normal(&rng) * (1 + (float)(image % 3));
        if (image == r->nan_image)
            x[k * PIXELS + 5] = NAN;
        oct_sha256_of(&image, sizeof image, &b->sample[k].id);
        snprintf(b->name[k], sizeof b->name[k], "image%d", image);
        b->sample[k].name = b->name[k];
        b->sample[k].index = first + k;
    }
    const oct_shape shape = {{r->batch, 3, 32, 32}, 4};
    b->in.desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW);
    b->in.data = x;
    b->b = (oct_batch){(uint64_t)(first / r->batch), 1, &b->in, n, b->sample};
    *out = &b->b;
    return OCT_OK;
}

static void rs_release(oct_batch_source *s, const oct_batch *batch)
{
    random_batch *b = (random_batch *)(uintptr_t)batch;
    free(b->in.data);
    free(b->sample);
    free(b->name);
    free(b);
}

static oct_status rs_rewind(oct_batch_source *s, oct_ctx *c)
{
    ((random_source *)s)->next = 0;
    return OCT_OK;
}

static size_t rs_skipped(const oct_batch_source *s, const oct_skip **list)
{
    *list = NULL;
    return 0;
}

static const char *rs_preprocess(const oct_batch_source *s)
{
    return "{\"test\":1}";
}

static const oct_batch_source_vtable rs_vtable = {
    .n_samples = rs_count,
    .next = rs_next,
    .release = rs_release,
    .rewind = rs_rewind,
    .skipped = rs_skipped,
    .preprocess_json = rs_preprocess,
};

static random_source source_of(int n_images, int batch)
{
    random_source r = {.base = {&rs_vtable},
                       .n_images = n_images,
                       .batch = batch,
                       .nan_image = -1,
                       .cancel_at = -1};
    pthread_mutex_init(&r.lock, NULL);
    for (int i = 0; i < N_IMAGES; i++)
        r.order[i] = i;
    return r;
}

static void shuffle(random_source *r, uint64_t seed)
{
    oct_rng rng = {seed};
    for (int i = r->n_images - 1; i > 0; i--) {
        const int k = (int)oct_rng_below(&rng, (uint64_t)i + 1), t = r->order[i];
        r->order[i] = r->order[k];
        r->order[k] = t;
    }
}

static oct_stats *run(random_source *r, const oct_calib_options *opt, oct_calib_report *report)
{
    oct_stats *s = NULL;
    const oct_status st = oct_calibrate_run(ctx, model, &r->base, opt, &s, report);
    if (st != OCT_OK)
        fail_msg("%s", oct_error_text(ctx));
    return s;
}

static void assert_same_bytes(oct_stats *a, oct_stats *b)
{
    uint8_t *x, *y;
    size_t n, m;
    assert_int_equal(oct_stats_image(ctx, a, &x, &n), OCT_OK);
    assert_int_equal(oct_stats_image(ctx, b, &y, &m), OCT_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    oct_free(ctx, x);
    oct_free(ctx, y);
}

static oct_stats *reference(void)
{
    const oct_calib_options one = {.workers = 1};
    random_source r = source_of(N_IMAGES, 1);
    return run(&r, &one, NULL);
}

#define NEEDS_MODEL()      \
    do {                   \
        if (model == NULL) \
            skip();        \
    } while (0)

static void batches_order_and_workers_do_not_matter(void **state)
{
    NEEDS_MODEL();
    oct_stats *want = reference();
    for (int k = 0; k < 4; k++) {
        const oct_calib_options opt = {.workers = 1 + k};
        random_source r = source_of(N_IMAGES, 1 + 3 * k); /* the last batch is padded */
        oct_calib_report report;
        shuffle(&r, (uint64_t)k);
        oct_stats *got = run(&r, &opt, &report);
        assert_int_equal(report.n_counted, N_IMAGES);
        for (int i = 0; i < N_IMAGES; i++)
            assert_int_equal(r.handed_out[i], 1);
        assert_same_bytes(want, got);
        oct_stats_free(got);
    }
    oct_stats_free(want);
}

static void shards_merge_to_the_whole(void **state)
{
    NEEDS_MODEL();
    oct_stats *want = reference();
    for (uint32_t n = 3; n <= 8; n += 5) {
        oct_stats *all = NULL;
        for (uint32_t k = 0; k < n; k++) {
            const oct_calib_options opt = {.workers = 2, .shard = k, .n_shards = n};
            random_source r = source_of(N_IMAGES, 1);
            oct_stats *part = run(&r, &opt, NULL);
            if (all == NULL) {
                all = part;
                continue;
            }
            assert_int_equal(oct_stats_merge(ctx, all, part, false), OCT_OK);
            oct_stats_free(part);
        }
        assert_same_bytes(want, all);
        oct_stats_free(all);
    }
    oct_stats_free(want);
}

static void cancelling_keeps_a_checkpoint_that_resumes(void **state)
{
    NEEDS_MODEL();
    char path[64];
    snprintf(path, sizeof path, "runner-%d.h5", (int)getpid());
    oct_stats *want = reference();
    for (int at = 1; at < N_IMAGES; at += 13) {
        oct_calib_options opt = {.workers = 2, .checkpoint = path, .checkpoint_every = 4};
        random_source r = source_of(N_IMAGES, 1);
        oct_stats *s = NULL;
        r.cancel_at = at;
        assert_int_equal(oct_calibrate_run(ctx, model, &r.base, &opt, &s, NULL), OCT_ERR_CANCELLED);
        oct_error_clear(ctx);
        cancel_now = false;
        assert_int_equal(oct_stats_read(ctx, path, &opt.resume), OCT_OK);
        assert_false(oct_stats_is_complete(opt.resume));
        random_source again = source_of(N_IMAGES, 1);
        oct_calib_report report;
        s = run(&again, &opt, &report);
        assert_int_equal(report.n_resumed + report.n_counted, N_IMAGES);
        assert_true(report.n_resumed >= 1);
        assert_same_bytes(want, s);
        oct_stats_free(s);
    }
    oct_stats_free(want);
    unlink(path);
}

static void a_checkpoint_of_other_images_is_refused(void **state)
{
    NEEDS_MODEL();
    random_source r = source_of(N_IMAGES, 1), fewer = source_of(N_IMAGES / 2, 1);
    oct_calib_options opt = {.workers = 2};
    oct_stats *s = NULL;
    opt.resume = run(&r, &opt, NULL);
    assert_int_equal(oct_calibrate_run(ctx, model, &fewer.base, &opt, &s, NULL), OCT_ERR_STALE);
    oct_error_clear(ctx);
}

static void a_nan_names_tensor_and_image(void **state)
{
    NEEDS_MODEL();
    oct_calib_options opt = {.workers = 3};
    random_source r = source_of(N_IMAGES, 1);
    oct_stats *s = NULL;
    r.nan_image = 17;
    assert_int_equal(oct_calibrate_run(ctx, model, &r.base, &opt, &s, NULL), OCT_ERR_RANGE);
    assert_non_null(strstr(oct_error_text(ctx), "image17"));
    oct_error_clear(ctx);
    opt.allow_nonfinite = true;
    random_source again = source_of(N_IMAGES, 1);
    again.nan_image = 17;
    s = run(&again, &opt, NULL);
    assert_true(oct_stats_at(s, 0)->hist.n_nan == 1);
    oct_stats_free(s);
}

static void channels_add_up_to_the_tensor(void **state)
{
    NEEDS_MODEL();
    const oct_calib_options opt = {.workers = 2, .per_channel = true};
    random_source r = source_of(8, 1);
    oct_stats *s = run(&r, &opt, NULL);
    size_t n_with = 0;
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        const oct_stat_tensor *t = oct_stats_at(s, i);
        uint64_t n = 0;
        float max = 0, min = 0;
        for (size_t c = 0; c < t->n_channels; c++) {
            n += t->channel[c].n;
            max = fmaxf(max, t->channel[c].max);
            min = fminf(min, t->channel[c].min);
        }
        if (t->n_channels == 0)
            continue;
        n_with++;
        assert_true(n == t->hist.n_total);
        assert_true(max == t->hist.pos.amax && -min == t->hist.neg.amax);
    }
    assert_true(n_with > 10);
    oct_stats_free(s);
}

/* A Relu's output is not scanned, but its means are its own. */
static void layers_inputs_have_channel_means(void **state)
{
    NEEDS_MODEL();
    const oct_calib_options opt = {.workers = 2, .per_channel = true};
    random_source r = source_of(8, 1);
    oct_stats *s = run(&r, &opt, NULL);
    size_t n_scanned = 0, n_relu = 0;
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        const oct_stat_tensor *t = oct_stats_at(s, i);
        if (t->mean == NULL)
            continue;
        assert_true(oct_channel_mean_is_usable(t->mean));
        const oct_stat_tensor *source = oct_stats_at(s, t->source);
        for (size_t c = 0; c < t->mean->n_channels; c++) {
            const double mean = oct_channel_mean_at(t->mean, c);
            const oct_stat_channel *own = t->n_channels > 0 ? &t->channel[c] : NULL;
            if (own != NULL)
                assert_true(fabs(mean - oct_exact_sum_value(&own->sum) / (double)own->n) < 1e-9);
            else if (t->kind == OCT_STAT_RELU && source->n_channels > 0)
                assert_true(mean >= 0 && mean <= fmax(0, (double)source->channel[c].max));
        }
        n_scanned += t->n_channels > 0;
        n_relu += t->kind == OCT_STAT_RELU;
    }
    assert_true(n_scanned > 0 && n_relu > 5);
    oct_stats_free(s);
}

static void an_exact_table_counts_every_value(void **state)
{
    NEEDS_MODEL();
    const oct_calib_options opt = {.workers = 2, .exact_range = true};
    random_source r = source_of(12, 1);
    oct_stats *s = run(&r, &opt, NULL);
    oct_hist scratch;
    oct_hist_init(&scratch);
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        const oct_stat_tensor *t = oct_stats_at(s, i);
        const oct_hist *h;
        uint64_t sum = 0;
        assert_int_equal(oct_stats_hist(ctx, s, i, &scratch, &h), OCT_OK);
        assert_non_null(t->exact);
        for (size_t k = 0; k < OCT_VIEW_BINS; k++)
            sum += t->exact[k];
        assert_true(sum == h->n_total - h->n_zero);
        assert_true(t->exact[OCT_VIEW_BINS - 1] > 0);
    }
    oct_hist_deinit(ctx, &scratch);
    oct_stats_free(s);
}

/* ---- on a device ------------------------------------------------------------------------- */

static void assert_same_counts(const oct_stats *a, const oct_stats *b)
{
    assert_int_equal(oct_stats_n_tensors(a), oct_stats_n_tensors(b));
    for (size_t i = 0; i < oct_stats_n_tensors(a); i++) {
        const oct_stat_tensor *x = oct_stats_at(a, i), *y = oct_stats_at(b, i);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->hist.n_total, y->hist.n_total);
        assert_int_equal(x->hist.n_zero, y->hist.n_zero);
        assert_int_equal(x->hist.wide, y->hist.wide);
        assert_true(x->hist.pos.amax == y->hist.pos.amax && x->hist.neg.amax == y->hist.neg.amax);
        if (x->hist.block != NULL)
            assert_memory_equal(x->hist.block, y->hist.block,
                                (x->hist.wide ? 2 : 1) * OCT_HIST_BINS * sizeof(uint64_t));
        assert_memory_equal(&x->pos_image, &y->pos_image, sizeof x->pos_image);
        assert_memory_equal(&x->neg_image, &y->neg_image, sizeof x->neg_image);
        for (int f = 0; f < OCT_HIST_FOLDS; f++) {
            assert_int_equal(x->hist.fold[f].n_total, y->hist.fold[f].n_total);
            if (x->hist.fold[f].bin != NULL)
                assert_memory_equal(x->hist.fold[f].bin, y->hist.fold[f].bin,
                                    2 * OCT_HIST_COARSE_BINS * sizeof(uint64_t));
        }
        if (x->exact != NULL)
            assert_memory_equal(x->exact, y->exact, OCT_VIEW_BINS * sizeof *x->exact);
    }
}

static oct_backend *open_device(void)
{
    const fake_device_options opt = {.kernels = "cpu"};
    oct_backend *be = NULL;
    assert_int_equal(fake_device_open(ctx, &opt, &be), OCT_OK);
    return be;
}

/* The device's kernels are the host's here, so the counts must be too. */
static void a_device_counts_what_the_host_counts(void **state)
{
    NEEDS_MODEL();
    oct_backend *device = open_device();
    oct_stats *first = NULL;
    oct_calib_options opt = {.workers = 1, .exact_range = true};
    random_source r = source_of(N_IMAGES, 1);
    oct_stats *want = run(&r, &opt, NULL);
    opt.opened = device;
    for (int k = 0; k < 3; k++) {
        random_source again = source_of(N_IMAGES, 1 + 3 * k);
        oct_calib_report report;
        shuffle(&again, (uint64_t)k);
        oct_stats *got = run(&again, &opt, &report);
        assert_int_equal(report.n_counted, N_IMAGES);
        assert_same_counts(want, got);
        if (first != NULL)
            assert_same_bytes(first, got);
        oct_stats_free(first);
        first = got;
    }
    assert_true(fake_device_count(device).live_bytes == 0);
    oct_stats_free(first);
    oct_stats_free(want);
    oct_backend_close(device, ctx);
}

static void a_device_resumes_from_its_checkpoint(void **state)
{
    NEEDS_MODEL();
    oct_backend *device = open_device();
    char path[64];
    snprintf(path, sizeof path, "runner-device-%d.h5", (int)getpid());
    oct_calib_options opt = {.workers = 1, .opened = device};
    random_source whole = source_of(N_IMAGES, 1);
    oct_stats *want = run(&whole, &opt, NULL), *s = NULL;
    opt.checkpoint = path;
    opt.checkpoint_every = 4;
    random_source r = source_of(N_IMAGES, 1);
    r.cancel_at = N_IMAGES; /* the lots that are not full by then are lost */
    assert_int_equal(oct_calibrate_run(ctx, model, &r.base, &opt, &s, NULL), OCT_ERR_CANCELLED);
    oct_error_clear(ctx);
    cancel_now = false;
    assert_int_equal(oct_stats_read(ctx, path, &opt.resume), OCT_OK);
    random_source again = source_of(N_IMAGES, 1);
    s = run(&again, &opt, NULL);
    assert_same_bytes(want, s);
    oct_stats_free(s);
    oct_stats_free(want);
    oct_backend_close(device, ctx);
    unlink(path);
}

static void a_nan_on_a_device_names_tensor_and_image(void **state)
{
    NEEDS_MODEL();
    oct_backend *device = open_device();
    const oct_calib_options opt = {.workers = 1, .opened = device};
    random_source r = source_of(N_IMAGES, 1);
    oct_stats *s = NULL;
    r.nan_image = 17;
    assert_int_equal(oct_calibrate_run(ctx, model, &r.base, &opt, &s, NULL), OCT_ERR_RANGE);
    assert_non_null(strstr(oct_error_text(ctx), "image17"));
    oct_error_clear(ctx);
    oct_backend_close(device, ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_order_and_workers_do_not_matter),
        cmocka_unit_test(shards_merge_to_the_whole),
        cmocka_unit_test(cancelling_keeps_a_checkpoint_that_resumes),
        cmocka_unit_test(a_checkpoint_of_other_images_is_refused),
        cmocka_unit_test(a_nan_names_tensor_and_image),
        cmocka_unit_test(channels_add_up_to_the_tensor),
        cmocka_unit_test(layers_inputs_have_channel_means),
        cmocka_unit_test(an_exact_table_counts_every_value),
        cmocka_unit_test(a_device_counts_what_the_host_counts),
        cmocka_unit_test(a_device_resumes_from_its_checkpoint),
        cmocka_unit_test(a_nan_on_a_device_names_tensor_and_image),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
