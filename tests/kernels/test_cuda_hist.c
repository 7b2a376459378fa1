/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms on the GPU against those of the host (calib/histogram.h): the same values give
 * the same counts, whatever their distribution, their growth from batch to batch, their fold.
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

#include "base/numeric.h"
#include "base/rng.h"
#include "calib/histogram.h"
#include "kernels/backend.h"

enum { MAX_IMAGES = 5, N_VALUES = 2, N_BATCHES = 6, SKIPPED = 77 };

static oct_ctx *ctx;
static oct_backend *be;
static oct_stream *stream;

static int setup(void **state)
{
    if (oct_backend_open(ctx, "cuda", &be) != OCT_OK)
        return 1;
    return be->vt->stream_new(be, ctx, &stream) != OCT_OK;
}

static int teardown(void **state)
{
    be->vt->stream_free(be, stream);
    oct_backend_close(be, ctx);
    return 0;
}

/* ---- values ------------------------------------------------------------------------------ */

typedef enum kind { NORMAL, RELU, CONSTANT, WIDE, SPECIAL, ZEROS, N_KINDS } kind;

static float draw(oct_rng *rng, kind k, int batch)
{
    const float x = oct_rng_normal(rng);
    const float u = oct_rng_f32(rng);
    switch (k) {
    case NORMAL: /* grows from batch to batch, by several doublings at once */
        return x * ldexpf(1.0f, 2 * batch);
    case RELU:
        return x < 0.3f ? 0.0f : x;
    case CONSTANT:
        return -3.0f;
    case WIDE:
        return x * ldexpf(1.0f, (int)(200 * u) - 100);
    case SPECIAL:
        return u < 0.1f   ? NAN
               : u < 0.2f ? INFINITY
               : u < 0.3f ? -INFINITY
               : u < 0.4f ? 1e-40f
               : u < 0.5f ? -0.0f
               : u < 0.6f ? 3.4028235e38f
               : u < 0.7f ? 1.17549435e-38f
                          : x;
    default:
        return 0.0f;
    }
}

/* ---- one history of batches on both sides ------------------------------------------------ */

typedef struct both {
    oct_hist_device *dev;
    oct_hist host, seen;
    float *x;
    void *mem;
} both;

static void count_on_host(both *b, const float *x, size_t n_each, int n_images, int fold,
                          oct_hist_range *range)
{
    for (int k = 0; k < n_images; k++) {
        memset(&range[k], 0, sizeof range[k]);
        assert_int_equal(
            oct_hist_add(ctx, &b->host, x + (size_t)k * n_each, n_each, fold, &range[k]), OCT_OK);
    }
}

static void check_images(both *b, uint32_t value, int n_images, const oct_hist_range *range)
{
    const oct_hist_image *list = NULL;
    assert_int_equal(be->vt->hist->images(b->dev, ctx, stream, &list), OCT_OK);
    for (int k = 0; k < n_images; k++) {
        const oct_hist_image *im = &list[value * MAX_IMAGES + (uint32_t)k];
        assert_true(im->pos_amax == range[k].pos_amax && im->neg_amax == range[k].neg_amax);
        assert_int_equal(im->n_nan, range[k].n_nan);
        assert_int_equal(im->n_inf, range[k].n_pos_inf + range[k].n_neg_inf);
    }
}

static void convert_f16(float *x, uint16_t *half, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        half[i] = oct_f16_from_f32(x[i]);
        x[i] = oct_f32_from_f16(half[i]);
    }
}

static void run_batch(both *b, oct_rng *rng, kind k, oct_dtype dt, size_t n_each, int batch)
{
    const int n_images = 1 + batch % MAX_IMAGES, fold = (batch * 3) % OCT_HIST_FOLDS;
    const size_t n = n_each * (size_t)n_images;
    uint16_t *half = malloc(n * sizeof *half + 1);
    oct_hist_range range[MAX_IMAGES];
    for (size_t i = 0; i < n; i++)
        b->x[i] = draw(rng, k, batch);
    if (dt == OCT_DT_F16)
        convert_f16(b->x, half, n);
    const void *bytes = dt == OCT_DT_F16 ? (const void *)half : b->x;
    /* off the allocation's alignment, as slices of a batch are */
    char *at = (char *)b->mem + (batch % 2) * oct_dtype_bytes(dt);
    assert_int_equal(be->vt->copy_in(be, ctx, at, bytes, n * oct_dtype_bytes(dt), NULL), OCT_OK);
    const oct_hist_slice s = {at, dt, n_each, n_images, fold};
    assert_int_equal(be->vt->hist->begin(b->dev, ctx, stream), OCT_OK);
    assert_int_equal(be->vt->hist->count(b->dev, ctx, 1, &s, stream), OCT_OK);
    count_on_host(b, b->x, n_each, n_images, fold, range);
    check_images(b, 1, n_images, range);
    free(half);
}

static void collect(both *b)
{
    oct_hist_counts *c = malloc(sizeof *c);
    assert_int_equal(be->vt->hist->read(b->dev, ctx, 1, c), OCT_OK);
    assert_int_equal(oct_hist_merge_counts(ctx, &b->seen, c), OCT_OK);
    free(c);
}

static void check_equal(const oct_hist *a, const oct_hist *b)
{
    assert_int_equal(a->n_total, b->n_total);
    assert_int_equal(a->n_zero, b->n_zero);
    assert_int_equal(a->n_nan, b->n_nan);
    assert_int_equal(a->n_pos_inf, b->n_pos_inf);
    assert_int_equal(a->n_neg_inf, b->n_neg_inf);
    assert_true(a->pos.amax == b->pos.amax && a->neg.amax == b->neg.amax);
    assert_int_equal(a->pos.width_exp, b->pos.width_exp);
    assert_int_equal(a->neg.width_exp, b->neg.width_exp);
    assert_int_equal(a->wide, b->wide);
    if (a->block != NULL)
        assert_memory_equal(a->block, b->block, (a->wide ? 2 : 1) * OCT_HIST_BINS * 8);
    for (int f = 0; f < OCT_HIST_FOLDS; f++) {
        const oct_hist_fold *x = &a->fold[f], *y = &b->fold[f];
        assert_true(x->pos_amax == y->pos_amax && x->neg_amax == y->neg_amax);
        assert_int_equal(x->n_total, y->n_total);
        assert_int_equal(x->n_zero, y->n_zero);
        assert_int_equal(x->n_neg_inf, y->n_neg_inf);
        if (x->bin != NULL && y->bin != NULL)
            assert_memory_equal(x->bin, y->bin, 2 * OCT_HIST_COARSE_BINS * 8);
        else
            assert_int_equal(x->n_total + y->n_total, 0);
    }
}

static void run_history(kind k, oct_dtype dt, size_t n_each)
{
    both b = {.dev = NULL};
    oct_rng rng = {.state = 5 + (uint64_t)k};
    b.x = malloc(n_each * MAX_IMAGES * sizeof *b.x);
    b.mem = be->vt->mem_alloc(be, ctx, (n_each * MAX_IMAGES + 1) * sizeof(float));
    assert_non_null(b.x);
    assert_non_null(b.mem);
    oct_hist_init(&b.host);
    oct_hist_init(&b.seen);
    assert_int_equal(be->vt->hist->create(be, ctx, N_VALUES, MAX_IMAGES, &b.dev), OCT_OK);
    for (int batch = 0; batch < N_BATCHES; batch++) {
        run_batch(&b, &rng, k, dt, n_each, batch);
        if (batch == 3) /* a checkpoint: the device starts again */
            collect(&b);
    }
    collect(&b);
    check_equal(&b.host, &b.seen);
    be->vt->hist->destroy(be, b.dev);
    be->vt->mem_free(be, ctx, b.mem);
    oct_hist_deinit(ctx, &b.host);
    oct_hist_deinit(ctx, &b.seen);
    free(b.x);
}

/* Where OCT_KCASE_SMALL is set, for compute-sanitizer, the large sizes are left out. */
static void test_equals_host(void **state)
{
    static const size_t sizes[] = {31, 3000, 1, 1000, 12345, 200704};
    const bool small = getenv("OCT_KCASE_SMALL") != NULL;
    const size_t n_sizes = small ? 2 : sizeof sizes / sizeof sizes[0];
    (void)state;
    if (small)
        print_message("left out: sizes but %zu and %zu\n", sizes[0], sizes[1]);
    for (int k = 0; k < N_KINDS; k++)
        for (size_t i = 0; i < n_sizes; i++) {
            run_history((kind)k, OCT_DT_F32, sizes[i]);
            run_history((kind)k, OCT_DT_F16, sizes[i]);
        }
}

/* ---- the second pass --------------------------------------------------------------------- */

static void test_exact_table(void **state)
{
    enum { N = 30001 };
    oct_hist_device *dev = NULL;
    oct_rng rng = {.state = 9};
    float *x = malloc(N * sizeof *x);
    uint64_t want[2][OCT_HIST_EXACT_BINS] = {{0}}, got[2][OCT_HIST_EXACT_BINS];
    const double scale[2] = {OCT_HIST_EXACT_BINS / 4.5, OCT_HIST_EXACT_BINS / 3.9};
    for (int i = 0; i < N; i++) {
        x[i] = i % 7 == 0 ? 0 : oct_rng_normal(&rng);
        if (!isnormal(x[i]))
            continue;
        for (int t = 0; t < (x[i] > 0 ? 2 : 1); t++) {
            const double k = fabs((double)x[i]) * scale[t];
            want[t][k < OCT_HIST_EXACT_BINS - 1 ? (size_t)k : OCT_HIST_EXACT_BINS - 1]++;
        }
    }
    void *mem = be->vt->mem_alloc(be, ctx, N * sizeof *x);
    assert_int_equal(be->vt->copy_in(be, ctx, mem, x, N * sizeof *x, NULL), OCT_OK);
    assert_int_equal(be->vt->hist->create(be, ctx, 1, 1, &dev), OCT_OK);
    const oct_hist_slice s = {mem, OCT_DT_F32, N, 1, 0};
    assert_int_equal(be->vt->hist->count_exact(dev, ctx, 0, &s, scale, stream), OCT_OK);
    assert_int_equal(be->vt->stream_sync(be, ctx, stream), OCT_OK);
    assert_int_equal(be->vt->hist->read_exact(dev, ctx, 0, got), OCT_OK);
    assert_memory_equal(got, want, sizeof want);
    be->vt->hist->destroy(be, dev);
    be->vt->mem_free(be, ctx, mem);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_host),
        cmocka_unit_test(test_exact_table),
    };
    if (oct_ctx_new(NULL, &ctx) != OCT_OK)
        return 1;
    oct_backend *probe = NULL;
    if (oct_backend_open(ctx, "cuda", &probe) != OCT_OK) {
        printf("SKIPPED: %s\n", oct_error_text(ctx));
        oct_ctx_free(ctx);
        return SKIPPED;
    }
    oct_backend_close(probe, ctx);
    const int failed = cmocka_run_group_tests(tests, setup, teardown);
    oct_ctx_free(ctx);
    return failed;
}
