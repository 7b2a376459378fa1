/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/npy.h"
#include "datasets/npz.h"

static int with_ctx(void **state)
{
    return oct_ctx_new(NULL, (oct_ctx **)state) == OCT_OK ? 0 : -1;
}

static int without_ctx(void **state)
{
    oct_ctx_free(*state);
    return 0;
}

/* A version 1 file with this dictionary and data. */
static size_t make_file(uint8_t *buf, int major, const char *dict, const void *data, size_t n_data)
{
    const size_t n = strlen(dict), prefix = major == 1 ? 10 : 12;
    memcpy(buf, "\x93NUMPY", 6);
    buf[6] = (uint8_t)major;
    buf[7] = 0;
    memset(buf + 8, 0, 4);
    buf[8] = (uint8_t)n;
    buf[9] = (uint8_t)(n >> 8);
    memcpy(buf + prefix, dict, n);
    memcpy(buf + prefix + n, data, n_data);
    return prefix + n + n_data;
}

static void every_type_and_shape_survives_a_round_trip(void **state)
{
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_F64, OCT_DT_S8,
                                      OCT_DT_U8,  OCT_DT_S16, OCT_DT_U16, OCT_DT_S32,
                                      OCT_DT_U32, OCT_DT_S64, OCT_DT_U64, OCT_DT_BOOL};
    static const oct_shape shapes[] = {
        {{0}, 0}, {{7}, 1}, {{0, 3}, 2}, {{2, 3, 4}, 3}, {{1, 2, 1, 3, 1, 2, 1, 1}, 8}};
    uint8_t data[8 * 24];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = i % 3 == 0;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            uint8_t *head, file[1024];
            size_t n_head, n_elems;
            oct_array a;
            assert_true(oct_shape_elems(&shapes[s], &n_elems));
            const size_t n = n_elems * oct_dtype_bytes(types[t]);
            assert_int_equal(oct_npy_make_header(*state, types[t], &shapes[s], &head, &n_head), 0);
            assert_int_equal(n_head % 64, 0);
            memcpy(file, head, n_head);
            memcpy(file + n_head, data, n);
            oct_free(*state, head);
            assert_int_equal(oct_npy_decode(*state, "t", file, n_head + n, &a), OCT_OK);
            assert_int_equal(a.dtype, types[t]);
            assert_true(oct_shape_equal(&a.shape, &shapes[s]));
            assert_memory_equal(a.data, data, n);
            oct_array_deinit(*state, &a);
        }
}

static void fortran_order_and_big_endian_are_turned_round(void **state)
{
    const uint8_t data[12] = {0, 1, 0, 4, 0, 2,
                              0, 5, 0, 3, 0, 6}; /* [[1,2,3],[4,5,6]] by columns */
    const char *dict = "{'descr': '>u2', 'fortran_order': True, 'shape': (2, 3)}\n";
    const uint16_t want[6] = {1, 2, 3, 4, 5, 6};
    for (int major = 1; major <= 3; major++) {
        uint8_t file[256];
        oct_array a;
        const size_t n = make_file(file, major, dict, data, sizeof data);
        assert_int_equal(oct_npy_decode(*state, "t", file, n, &a), OCT_OK);
        assert_int_equal(a.dtype, OCT_DT_U16);
        assert_memory_equal(a.data, want, sizeof want);
        oct_array_deinit(*state, &a);
    }
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        const char *dict;
        oct_status want;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n", OCT_ERR_FORMAT},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }\n", OCT_ERR_UNSUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", OCT_ERR_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }\n", OCT_ERR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False}", OCT_ERR_FORMAT},
        {"{'descr': '<f4', 'shape': (2,), 'shape': (2,), 'fortran_order': False}", OCT_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", OCT_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", OCT_ERR_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
         OCT_ERR_RANGE},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,8)}",
         OCT_ERR_RANGE},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
         OCT_ERR_UNSUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", OCT_ERR_FORMAT},
        {"", OCT_ERR_FORMAT},
    };
    const float data[2] = {1, 2};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[512];
        oct_array a;
        const size_t n = make_file(file, 1, cases[i].dict, data, sizeof data);
        assert_int_equal(oct_npy_decode(*state, "t", file, n, &a), cases[i].want);
        oct_error_clear(*state);
    }
}

static void every_truncation_is_refused(void **state)
{
    const float data[2] = {1, 2};
    uint8_t file[256];
    const size_t n = make_file(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
                               data, sizeof data);
    for (size_t k = 0; k < n; k++) {
        oct_array a;
        assert_int_equal(oct_npy_decode(*state, "t", file, k, &a), OCT_ERR_FORMAT);
        oct_error_clear(*state);
    }
}

static void an_archive_survives_a_round_trip(void **state)
{
    char path[] = "/tmp/octet_npz_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int64_t y = 42;
    const oct_npz_member m[2] = {{"input", OCT_DT_F32, {{2, 3}, 2}, x},
                                 {"a/b", OCT_DT_S64, {{0}, 0}, &y}};
    oct_npz *z;
    oct_array a;
    assert_int_equal(oct_npz_write(*state, path, m, 2, false), OCT_ERR_USAGE);
    oct_error_clear(*state);
    assert_int_equal(oct_npz_write(*state, path, m, 2, true), OCT_OK);
    assert_int_equal(oct_npz_open(*state, path, 0, &z), OCT_OK);
    assert_int_equal(oct_npz_count(z), 2);
    assert_int_equal(oct_npz_find(z, "a/b"), 1);
    assert_int_equal(oct_npz_find(z, "c"), -1);
    assert_int_equal(oct_npz_read(z, *state, 0, 0, &a), OCT_OK);
    assert_memory_equal(a.data, x, sizeof x);
    oct_array_deinit(*state, &a);
    assert_int_equal(oct_npz_read(z, *state, 1, 0, &a), OCT_OK);
    assert_memory_equal(a.data, &y, sizeof y);
    oct_array_deinit(*state, &a);
    assert_int_equal(oct_npz_read(z, *state, 0, 16, &a), OCT_ERR_LIMIT);
    oct_error_clear(*state);
    oct_npz_close(z);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_shape_survives_a_round_trip),
        cmocka_unit_test(fortran_order_and_big_endian_are_turned_round),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(an_archive_survives_a_round_trip),
    };
    return cmocka_run_group_tests_name("npy", tests, with_ctx, without_ctx);
}
