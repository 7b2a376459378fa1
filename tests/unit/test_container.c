/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/container.h"
#include "base/file.h"
#include "base/rng.h"

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

static oct_container_writer *sample_writer(void)
{
    static const uint64_t u[5] = {1, 2, UINT64_MAX, 4, 5};
    static const float f[6] = {1.5f, -0.0f, 3e38f, 1e-45f, 5, 6};
    static const int64_t dim[2] = {2, 3};
    static const char *const names[3] = {"a", "", "longer/name: with colon"};
    oct_container_writer *w;
    assert_int_equal(oct_container_create(ctx, "test", 3, &w), OCT_OK);
    assert_int_equal(oct_container_write_1d(w, "x/y/u", OCT_DT_U64, 5, u), OCT_OK);
    assert_int_equal(oct_container_write(w, "x/f", OCT_DT_F32, 2, dim, f), OCT_OK);
    assert_int_equal(oct_container_write_1d(w, "empty", OCT_DT_S32, 0, NULL), OCT_OK);
    assert_int_equal(oct_container_write_strings(w, "names", 3, names), OCT_OK);
    assert_int_equal(oct_container_write_text(w, "json", "{\"a\": 1}"), OCT_OK);
    assert_int_equal(oct_container_attr_text(w, "format", "octet test"), OCT_OK);
    assert_int_equal(oct_container_attr_u64(w, "n", 7), OCT_OK);
    return w;
}

static void sample_image(uint8_t **image, size_t *n)
{
    oct_container_writer *w = sample_writer();
    assert_int_equal(oct_container_image(w, image, n), OCT_OK);
    oct_container_discard(w);
}

static void what_was_written_is_read_back(void **state)
{
    uint8_t *image;
    size_t n;
    sample_image(&image, &n);
    oct_container *c;
    assert_int_equal(oct_container_open_memory(ctx, image, n, "test", 3, &c), OCT_OK);
    assert_int_equal(oct_container_get_head(c)->version, 3);

    void *u;
    size_t n_u;
    assert_int_equal(oct_container_read_1d(c, "x/y/u", OCT_DT_U64, 100, &u, &n_u), OCT_OK);
    assert_int_equal(n_u, 5);
    assert_true(((uint64_t *)u)[2] == UINT64_MAX);
    oct_free(ctx, u);

    oct_dtype dt;
    oct_shape shape;
    assert_int_equal(oct_container_info(c, "x/f", &dt, &shape), OCT_OK);
    assert_int_equal(dt, OCT_DT_F32);
    assert_true(shape.n_dims == 2 && shape.dim[0] == 2 && shape.dim[1] == 3);
    float f[6];
    assert_int_equal(oct_container_read(c, "x/f", OCT_DT_F32, 6, f), OCT_OK);
    assert_true(f[3] == 1e-45f && f[2] == 3e38f);

    char **names;
    size_t n_names;
    assert_int_equal(oct_container_read_strings(c, "names", 10, &names, &n_names), OCT_OK);
    assert_int_equal(n_names, 3);
    assert_string_equal(names[1], "");
    assert_string_equal(names[2], "longer/name: with colon");
    oct_free(ctx, names);

    char *json;
    assert_int_equal(oct_container_read_text(c, "json", 1000, &json), OCT_OK);
    assert_string_equal(json, "{\"a\": 1}");
    oct_free(ctx, json);
    assert_true(oct_container_has(c, "empty"));
    assert_false(oct_container_has(c, "x/none"));
    oct_container_close(c);
    oct_free(ctx, image);
}

static void equal_content_gives_equal_bytes(void **state)
{
    uint8_t *a, *b;
    size_t n_a, n_b;
    sample_image(&a, &n_a);
    sleep(2); /* a hidden clock would show */
    sample_image(&b, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    oct_free(ctx, a);
    oct_free(ctx, b);
}

static void every_flipped_byte_is_noticed_before_hdf5(void **state)
{
    uint8_t *image;
    size_t n;
    sample_image(&image, &n);
    oct_rng rng = {1};
    for (int i = 0; i < 400; i++) {
        const size_t at = i < 60 ? (size_t)i : (size_t)oct_rng_below(&rng, n);
        const uint8_t bit = (uint8_t)(1u << oct_rng_below(&rng, 8));
        image[at] ^= bit;
        oct_container *c = NULL;
        const oct_status st = oct_container_open_memory(ctx, image, n, "test", 3, &c);
        assert_true(st == OCT_ERR_FORMAT || st == OCT_ERR_VERSION);
        assert_true(strlen(oct_error_text(ctx)) > 0);
        oct_error_clear(ctx);
        image[at] ^= bit;
    }
    oct_free(ctx, image);
}

static void truncated_files_are_refused(void **state)
{
    uint8_t *image;
    size_t n;
    sample_image(&image, &n);
    for (size_t len = 0; len < n; len += 1 + len / 20) {
        oct_container *c = NULL;
        assert_int_equal(oct_container_open_memory(ctx, image, len, "test", 3, &c), OCT_ERR_FORMAT);
        oct_error_clear(ctx);
    }
    oct_free(ctx, image);
}

static void kind_version_type_and_length_are_checked(void **state)
{
    uint8_t *image;
    size_t n;
    sample_image(&image, &n);
    oct_container *c = NULL;
    assert_int_equal(oct_container_open_memory(ctx, image, n, "stats", 3, &c), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_container_open_memory(ctx, image, n, "test", 2, &c), OCT_ERR_VERSION);
    oct_error_clear(ctx);
    assert_int_equal(oct_container_open_memory(ctx, image, n, "test", 3, &c), OCT_OK);
    uint64_t u[6];
    assert_int_equal(oct_container_read(c, "x/y/u", OCT_DT_U64, 6, u), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_container_read(c, "x/y/u", OCT_DT_S64, 5, u), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    void *block;
    size_t n_block;
    assert_int_equal(oct_container_read_1d(c, "x/y/u", OCT_DT_U64, 4, &block, &n_block),
                     OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    assert_int_equal(oct_container_read(c, "names", OCT_DT_U8, 3, u), OCT_ERR_FORMAT);
    oct_error_clear(ctx);
    oct_container_close(c);
    oct_free(ctx, image);
}

static void files_are_committed_and_not_clobbered(void **state)
{
    char path[64];
    snprintf(path, sizeof path, "container-%d.h5", (int)getpid());
    oct_container_writer *w = sample_writer();
    assert_int_equal(oct_container_commit(w, path, false), OCT_OK);
    assert_int_equal(oct_container_commit(w, path, false), OCT_ERR_USAGE);
    oct_error_clear(ctx);
    assert_int_equal(oct_container_commit(w, path, true), OCT_OK);
    oct_container_discard(w);
    oct_container *c;
    assert_int_equal(oct_container_open(ctx, path, "test", 3, 0, &c), OCT_OK);
    oct_container_close(c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(equal_content_gives_equal_bytes),
        cmocka_unit_test(every_flipped_byte_is_noticed_before_hdf5),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(kind_version_type_and_length_are_checked),
        cmocka_unit_test(files_are_committed_and_not_clobbered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
