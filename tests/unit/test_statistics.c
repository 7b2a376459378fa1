/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/container_internal.h"
#include "base/file.h"
#include "base/rng.h"
#include "calib/statistics.h"

static oct_ctx *ctx;

static int setup(void **state)
{
    return oct_ctx_new(NULL, &ctx);
}

static int teardown(void **state)
{
    oct_ctx_free(ctx);
    return 0;
}

#define N_IMAGES 24
#define N_VALUES 700

static oct_sha256 id_of(int image)
{
    oct_sha256 id;
    oct_sha256_of(&image, sizeof image, &id);
    return id;
}

/* "in" scanned, "relu" of it, "moved" the same, "dead" all zero. */
static oct_stats *new_stats(const char *preprocess)
{
    oct_stats *s;
    oct_stats_origin origin = {.preprocess = preprocess, .engine = "cpu test"};
    oct_sha256_of("model", 5, &origin.model);
    assert_int_equal(oct_stats_new(ctx, &origin, &s), OCT_OK);
    assert_int_equal(oct_stats_add_tensor(s, "in", OCT_STAT_SCANNED, 0, NULL), OCT_OK);
    assert_int_equal(oct_stats_add_tensor(s, "relu", OCT_STAT_RELU, 0, NULL), OCT_OK);
    assert_int_equal(oct_stats_add_tensor(s, "moved", OCT_STAT_SAME, 1, NULL), OCT_OK);
    assert_int_equal(oct_stats_add_tensor(s, "dead: 0", OCT_STAT_SCANNED, 0, NULL), OCT_OK);
    assert_int_equal(oct_stats_want_mean(s, 0, OCT_MEAN_AXIS_1), OCT_OK);
    assert_int_equal(oct_stats_want_mean(s, 2, OCT_MEAN_AXIS_LAST), OCT_OK);
    return s;
}

/* [1, 7, 100] and [100, 7] of the same elements. */
static void count_means(oct_stats *s, float *x)
{
    oct_channel_sums sums = {0};
    const oct_shape shape[2] = {{{1, 7, 100}, 3}, {{100, 7}, 2}};
    for (int i = 0; i < 2; i++) {
        oct_channel_mean *m = oct_stats_tensor(s, i == 0 ? 0 : 2)->mean;
        const oct_tensor t = {.desc = oct_tensor_desc_make(OCT_DT_F32, shape[i], OCT_LAYOUT_ROW),
                              .data = x};
        if (m == NULL)
            continue;
        assert_int_equal(oct_channel_sums_take(ctx, &sums, &t, m->axis), OCT_OK);
        assert_int_equal(oct_channel_mean_add(ctx, m, &sums), OCT_OK);
    }
    oct_channel_sums_deinit(ctx, &sums);
}

static void count_image(oct_stats *s, int image)
{
    static const float zero[5];
    float x[N_VALUES];
    oct_rng rng = {(uint64_t)image + 1};
    for (int i = 0; i < N_VALUES; i++)
        x[i] = ldexpf(oct_rng_normal(&rng), image % 5);
    if (image % 4 == 0)
        x[3] = 400.0f; /* several images share the maximum */
    const oct_sha256 id = id_of(image);
    const int fold = oct_fold_of(&id);
    oct_hist_range seen = {0};
    oct_stat_tensor *t = oct_stats_tensor(s, 0);
    assert_int_equal(oct_hist_add(ctx, &t->hist, x, N_VALUES, fold, &seen), OCT_OK);
    oct_stat_tensor_note(t, &seen, &id);
    count_means(s, x);
    assert_int_equal(oct_hist_add(ctx, &oct_stats_tensor(s, 3)->hist, zero, 5, fold, NULL), OCT_OK);
    assert_int_equal(oct_stats_add_image(s, &id), OCT_OK);
}

static oct_stats *stats_of(int first, int step)
{
    oct_stats *s = new_stats("{}");
    for (int i = first; i < N_IMAGES; i += step)
        count_image(s, i);
    oct_stats_set_complete(s, true);
    return s;
}

static void image_of(oct_stats *s, uint8_t **image, size_t *n)
{
    assert_int_equal(oct_stats_image(ctx, s, image, n), OCT_OK);
}

static void assert_same_bytes(oct_stats *a, oct_stats *b)
{
    uint8_t *x, *y;
    size_t n, m;
    image_of(a, &x, &n);
    image_of(b, &y, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    oct_free(ctx, x);
    oct_free(ctx, y);
}

static void a_file_reads_back_to_the_same_bytes(void **state)
{
    oct_stats *s = stats_of(0, 1), *back;
    uint8_t *image;
    size_t n;
    image_of(s, &image, &n);
    assert_int_equal(oct_stats_parse(ctx, image, n, &back), OCT_OK);
    assert_same_bytes(s, back);
    assert_int_equal(oct_stats_n_images(back), N_IMAGES);
    assert_true(oct_stats_is_complete(back));
    oct_free(ctx, image);
    oct_stats_free(back);
    oct_stats_free(s);
}

/* A file is made on disk, an image in memory. */
static void a_file_is_the_image(void **state)
{
    static const char path[] = "test_statistics_image.h5";
    oct_stats *s = stats_of(0, 1), *one;
    uint8_t *image, *file;
    size_t n, m;
    image_of(s, &image, &n);
    assert_int_equal(oct_stats_write(ctx, s, path, true), OCT_OK);
    assert_int_equal(oct_file_read(ctx, path, 0, &file, &m), OCT_OK);
    assert_int_equal(n, m);
    assert_memory_equal(image, file, n);
    assert_int_equal(oct_stats_read(ctx, path, &one), OCT_OK);
    assert_same_bytes(s, one);
    assert_int_equal(oct_stats_write(ctx, s, path, false), OCT_ERR_USAGE);
    oct_error_clear(ctx);
    assert_int_equal(oct_stats_write(ctx, s, "no/such/folder/s.h5", true), OCT_ERR_IO);
    oct_error_clear(ctx);
    remove(path);
    oct_free(ctx, image);
    oct_free(ctx, file);
    oct_stats_free(one);
    oct_stats_free(s);
}

static void order_shards_and_merging_do_not_matter(void **state)
{
    oct_stats *whole = stats_of(0, 1), *backwards = new_stats("{}");
    for (int i = N_IMAGES - 1; i >= 0; i--)
        count_image(backwards, i);
    oct_stats_set_complete(backwards, true);
    assert_same_bytes(whole, backwards);
    for (int shards = 2; shards <= 8; shards += 3) {
        oct_stats *all = stats_of(shards - 1, shards);
        for (int k = 0; k < shards - 1; k++) {
            oct_stats *part = stats_of(k, shards);
            assert_int_equal(oct_stats_merge(ctx, all, part, false), OCT_OK);
            oct_stats_free(part);
        }
        assert_same_bytes(whole, all);
        oct_stats_free(all);
    }
    oct_stats_free(backwards);
    oct_stats_free(whole);
}

static void merging_refuses_what_does_not_belong(void **state)
{
    oct_stats *a = stats_of(0, 2), *same = stats_of(0, 4), *other = new_stats("{\"mean\":1}");
    assert_int_equal(oct_stats_merge(ctx, a, same, false), OCT_ERR_STALE);
    assert_non_null(strstr(oct_error_text(ctx), "6 images"));
    oct_error_clear(ctx);
    assert_int_equal(oct_stats_merge(ctx, a, other, false), OCT_ERR_STALE);
    oct_error_clear(ctx);
    assert_int_equal(oct_stats_merge(ctx, a, same, true), OCT_OK);
    assert_int_equal(oct_stats_n_images(a), 18);
    oct_stats_free(a);
    oct_stats_free(same);
    oct_stats_free(other);
}

static void derived_tensors_calibrate_from_their_source(void **state)
{
    oct_stats *s = stats_of(0, 1);
    oct_calib_work *w;
    oct_method m;
    oct_calib_result r[4];
    assert_int_equal(oct_calib_work_new(ctx, &w), OCT_OK);
    assert_int_equal(oct_method_parse(ctx, "minmax", &m), OCT_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(oct_stats_calibrate(ctx, s, i, &m, w, &r[i], NULL), OCT_OK);
    assert_true(r[0].amax == 400.0f && r[1].amax == 400.0f && r[2].amax == 400.0f);
    assert_true(r[3].flags & OCT_CALIB_DEAD);
    /* the least id of the images that share the maximum */
    oct_sha256 least = id_of(0), id;
    for (int i = 4; i < N_IMAGES; i += 4) {
        id = id_of(i);
        least = oct_sha256_cmp(&id, &least) < 0 ? id : least;
    }
    assert_true(oct_stats_max_image(s, 2, &id));
    assert_int_equal(oct_sha256_cmp(&id, &least), 0);
    assert_false(oct_stats_max_image(s, 3, &id));
    oct_calib_work_free(ctx, w);
    oct_stats_free(s);
}

static void exact_sums_do_not_depend_on_order(void **state)
{
    oct_rng rng = {5};
    oct_exact_sum a = {0, 0, 0}, b = a, c = a;
    float x[2000];
    double want = 0;
    for (int i = 0; i < 2000; i++) {
        x[i] = ldexpf(oct_rng_normal(&rng), (int)oct_rng_below(&rng, 30) - 20);
        want += (double)x[i];
        oct_exact_sum_add(&a, x[i]);
    }
    for (int i = 1999; i >= 0; i--)
        oct_exact_sum_add(i % 3 ? &b : &c, x[i]);
    oct_exact_sum_merge(&b, &c);
    assert_true(a.lo == b.lo && a.hi == b.hi && a.n_big == 0);
    assert_true(fabs(oct_exact_sum_value(&a) - want) < 1e-9 * 2000);
    oct_exact_sum one = {0, 0, 0};
    oct_exact_sum_add(&one, -0.75f);
    assert_true(oct_exact_sum_value(&one) == -0.75);
    oct_exact_sum_add(&one, 0.75f);
    assert_true(one.lo == 0 && one.hi == 0);
    oct_exact_sum_add(&one, INFINITY);
    assert_true(one.n_big == 1);
}

static void means_are_those_of_the_values(void **state)
{
    oct_stats *s = stats_of(0, 1), *back;
    uint8_t *image;
    size_t n;
    double by_first[7] = {0}, by_last[7] = {0};
    for (int i = 0; i < N_IMAGES; i++) {
        oct_rng rng = {(uint64_t)i + 1};
        for (int k = 0; k < N_VALUES; k++) {
            float v = ldexpf(oct_rng_normal(&rng), i % 5);
            if (k == 3 && i % 4 == 0)
                v = 400.0f;
            by_first[k / 100] += (double)v;
            by_last[k % 7] += (double)v;
        }
    }
    image_of(s, &image, &n);
    assert_int_equal(oct_stats_parse(ctx, image, n, &back), OCT_OK);
    assert_true(oct_stats_has_means(back));
    const oct_channel_mean *first = oct_stats_at(back, 0)->mean,
                           *last = oct_stats_at(back, 2)->mean;
    assert_null(oct_stats_at(back, 1)->mean);
    for (size_t c = 0; c < 7; c++) {
        assert_true(fabs(oct_channel_mean_at(first, c) - by_first[c] / 100 / N_IMAGES) < 1e-12);
        assert_true(fabs(oct_channel_mean_at(last, c) - by_last[c] / 100 / N_IMAGES) < 1e-12);
    }
    oct_free(ctx, image);
    oct_stats_free(back);
    oct_stats_free(s);
}

/* Statistics of an older version have no means: then the whole has none, whatever came first. */
static void means_of_a_part_are_no_means(void **state)
{
    for (int which = 0; which < 3; which++) {
        oct_stats *part[3], *whole = new_stats("{}");
        for (int k = 0; k < 3; k++) {
            part[k] = stats_of(k, 3);
            for (size_t i = 0; k == which && i < oct_stats_n_tensors(part[k]); i++) {
                oct_channel_mean_free(ctx, oct_stats_tensor(part[k], i)->mean);
                oct_stats_tensor(part[k], i)->mean = NULL;
            }
        }
        for (int k = 0; k < 3; k++) {
            assert_int_equal(oct_stats_merge(ctx, whole, part[k], false), OCT_OK);
            assert_true(oct_stats_has_means(whole) == (k < which));
            oct_stats_free(part[k]);
        }
        oct_stats_free(whole);
    }
}

static void channels_that_change_have_no_means(void **state)
{
    static float x[12];
    oct_channel_sums sums = {0};
    oct_channel_mean *m[2];
    for (int order = 0; order < 2; order++) {
        assert_int_equal(oct_channel_mean_new(ctx, OCT_MEAN_AXIS_1, &m[order]), OCT_OK);
        for (int i = 0; i < 3; i++) {
            const bool odd = i == (order == 0 ? 0 : 2);
            const oct_shape shape = {{1, odd ? 3 : 4, 2}, 3};
            const oct_tensor t = {.desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW),
                                  .data = x};
            assert_int_equal(oct_channel_sums_take(ctx, &sums, &t, OCT_MEAN_AXIS_1), OCT_OK);
            assert_int_equal(oct_channel_mean_add(ctx, m[order], &sums), OCT_OK);
        }
        assert_true(m[order]->mixed && !oct_channel_mean_is_usable(m[order]));
    }
    assert_int_equal(oct_channel_mean_merge(ctx, m[0], m[1]), OCT_OK);
    assert_true(m[0]->mixed && m[0]->n == m[1]->n && m[0]->n_channels == 0);
    oct_channel_mean_free(ctx, m[0]);
    oct_channel_mean_free(ctx, m[1]);
    oct_channel_sums_deinit(ctx, &sums);
}

static void an_image_without_a_finite_sum_leaves_no_mean(void **state)
{
    static float x[4] = {1, 2, INFINITY, 4};
    const oct_shape shape = {{1, 2, 2}, 3};
    const oct_tensor t = {.desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW),
                          .data = x};
    oct_channel_sums sums = {0};
    oct_channel_mean *m;
    assert_int_equal(oct_channel_mean_new(ctx, OCT_MEAN_AXIS_1, &m), OCT_OK);
    assert_int_equal(oct_channel_sums_take(ctx, &sums, &t, OCT_MEAN_AXIS_1), OCT_OK);
    assert_int_equal(oct_channel_mean_add(ctx, m, &sums), OCT_OK);
    assert_true(m->n_channels == 2 && !oct_channel_mean_is_usable(m));
    oct_channel_mean_free(ctx, m);
    oct_channel_sums_deinit(ctx, &sums);
}

static void put_le(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++, v >>= 8)
        p[i] = (uint8_t)v;
}

/* Damage behind a valid hash is found by the checks, never by a crash. */
static void damage_with_a_mended_hash_is_survived(void **state)
{
    oct_stats *s = stats_of(0, 3);
    uint8_t *image;
    size_t n;
    int n_refused = 0;
    image_of(s, &image, &n);
    oct_rng rng = {9};
    uint8_t *copy = oct_alloc(ctx, n);
    for (int round = 0; round < 300; round++) {
        memcpy(copy, image, n);
        for (int k = 0; k < 1 + round % 3; k++)
            copy[512 + 96 + oct_rng_below(&rng, n - 608)] ^=
                (uint8_t)(1 + oct_rng_below(&rng, 255));
        const oct_xxh128 h = oct_container_hash(copy, n);
        put_le(copy + HEAD_HASH, h.lo);
        put_le(copy + HEAD_HASH + 8, h.hi);
        oct_stats *back = NULL;
        if (oct_stats_parse(ctx, copy, n, &back) != OCT_OK) {
            n_refused++;
            oct_error_clear(ctx);
        }
        oct_stats_free(back);
    }
    assert_true(n_refused > 50);
    oct_free(ctx, copy);
    oct_free(ctx, image);
    oct_stats_free(s);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write-sample") == 0) { /* makes the fuzz corpus */
        if (setup(NULL) != 0)
            return 1;
        oct_stats *s = stats_of(0, 3);
        const oct_status st = oct_stats_write(ctx, s, argv[2], true);
        oct_stats_free(s);
        oct_ctx_free(ctx);
        return st != OCT_OK;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_reads_back_to_the_same_bytes),
        cmocka_unit_test(a_file_is_the_image),
        cmocka_unit_test(order_shards_and_merging_do_not_matter),
        cmocka_unit_test(merging_refuses_what_does_not_belong),
        cmocka_unit_test(derived_tensors_calibrate_from_their_source),
        cmocka_unit_test(exact_sums_do_not_depend_on_order),
        cmocka_unit_test(means_are_those_of_the_values),
        cmocka_unit_test(means_of_a_part_are_no_means),
        cmocka_unit_test(channels_that_change_have_no_means),
        cmocka_unit_test(an_image_without_a_finite_sum_leaves_no_mean),
        cmocka_unit_test(damage_with_a_mended_hash_is_survived),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
