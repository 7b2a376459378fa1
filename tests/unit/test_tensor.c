/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tensor.h"

#include <string.h>

#include "base/checked.h"
#include "tests/support/cmocka_all.h"

static void dtype_names_round_trip(void **state)
{
    for (int i = 1; i < OCT_DT_COUNT; i++) {
        assert_int_equal(oct_dtype_parse(oct_dtype_str((oct_dtype)i)), i);
        assert_int_not_equal(oct_dtype_bytes((oct_dtype)i), 0);
        assert_false(oct_dtype_is_int((oct_dtype)i) && oct_dtype_is_float((oct_dtype)i));
    }
    assert_int_equal(oct_dtype_parse("float32"), OCT_DT_NONE);
    assert_int_equal(oct_dtype_bytes(OCT_DT_NONE), 0);
    assert_int_equal(oct_dtype_bytes((oct_dtype)-1), 0);
    assert_non_null(oct_dtype_str((oct_dtype)1000));
    assert_true(oct_dtype_is_float(OCT_DT_BF16));
    assert_false(oct_dtype_is_int(OCT_DT_BOOL));
}

static void element_counts_are_checked(void **state)
{
    size_t n = 77;
    assert_true(oct_shape_elems(&(oct_shape){{0}, 0}, &n));
    assert_int_equal(n, 1);
    assert_true(oct_shape_elems(&(oct_shape){{2, 3, 4}, 3}, &n));
    assert_int_equal(n, 24);
    /* 2^31 x 2^31 fits 64 bits, 2^31 x 2^31 x 4 does not; with a zero it is empty */
    assert_false(oct_shape_elems(&(oct_shape){{INT64_C(1) << 31, INT64_C(1) << 31, 4}, 3}, &n));
    assert_true(oct_shape_elems(&(oct_shape){{INT64_C(1) << 62, INT64_C(1) << 62, 0}, 3}, &n));
    assert_int_equal(n, 0);
    assert_false(oct_shape_elems(&(oct_shape){{OCT_DIM_SYMBOL(0), 3}, 2}, &n));
    assert_false(oct_shape_elems(&(oct_shape){{-1}, 1}, &n));
    assert_false(oct_shape_elems(&(oct_shape){{0}, -1}, &n));
}

static void symbols_are_equal_only_to_themselves(void **state)
{
    const oct_shape a = {{OCT_DIM_SYMBOL(1), 3}, 2}, b = {{OCT_DIM_SYMBOL(2), 3}, 2};
    assert_true(oct_shape_equal(&a, &a));
    assert_false(oct_shape_equal(&a, &b));
    assert_true(oct_dim_is_symbol(a.dim[0]));
    assert_false(oct_dim_is_symbol(-1));
    assert_false(oct_shape_is_known(&a));
}

static void shapes_print_and_truncate(void **state)
{
    char buf[OCT_SHAPE_STR_BYTES], tiny[6];
    assert_string_equal(oct_shape_str(&(oct_shape){{1, 3, 224}, 3}, buf, sizeof buf), "1x3x224");
    assert_string_equal(oct_shape_str(&(oct_shape){{0}, 0}, buf, sizeof buf), "scalar");
    assert_string_equal(oct_shape_str(&(oct_shape){{OCT_DIM_SYMBOL(3), 2}, 2}, buf, sizeof buf),
                        "?x2");
    assert_string_equal(oct_shape_str(&(oct_shape){{1000, 3000}, 2}, tiny, sizeof tiny), "1000x");
    const int64_t m = INT64_MAX;
    oct_shape_str(&(oct_shape){{m, m, m, m, m, m, m, m}, 8}, buf, sizeof buf);
    assert_int_equal(strlen(buf), 8 * 19 + 7);
}

static void dense_strides_follow_the_layout(void **state)
{
    const oct_shape s = {{2, 3, 5, 7}, 4};
    const oct_tensor_desc row = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_ROW);
    const oct_tensor_desc cl = oct_tensor_desc_make(OCT_DT_F32, s, OCT_LAYOUT_CHANNELS_LAST);
    const int64_t want_row[] = {105, 35, 7, 1}, want_cl[] = {105, 1, 21, 3};
    size_t bytes;
    assert_memory_equal(row.stride, want_row, sizeof want_row);
    assert_memory_equal(cl.stride, want_cl, sizeof want_cl);
    assert_true(oct_tensor_desc_is_dense(&row) && oct_tensor_desc_is_dense(&cl));
    assert_true(oct_tensor_desc_bytes(&cl, &bytes));
    assert_int_equal(bytes, 840);
}

static void rank_two_has_no_channels_last(void **state)
{
    const oct_shape s = {{4, 9}, 2};
    const oct_tensor_desc d = oct_tensor_desc_make(OCT_DT_S8, s, OCT_LAYOUT_CHANNELS_LAST);
    assert_int_equal(d.stride[0], 9);
    assert_int_equal(d.stride[1], 1);
}

static void a_slice_is_not_dense_but_unit_dims_do_not_matter(void **state)
{
    oct_tensor_desc d =
        oct_tensor_desc_make(OCT_DT_F32, (oct_shape){{1, 4, 1, 6}, 4}, OCT_LAYOUT_ROW);
    d.stride[0] = 999;
    d.stride[2] = 12345;
    assert_true(oct_tensor_desc_is_dense(&d));
    d.stride[1] = 8;
    assert_false(oct_tensor_desc_is_dense(&d));
}

static void huge_and_unknown_shapes_have_no_bytes(void **state)
{
    size_t bytes;
    oct_tensor_desc d = oct_tensor_desc_make(
        OCT_DT_F32, (oct_shape){{INT64_C(1) << 40, INT64_C(1) << 40}, 2}, OCT_LAYOUT_ROW);
    assert_false(oct_tensor_desc_bytes(&d, &bytes));
    d = oct_tensor_desc_make(OCT_DT_F64, (oct_shape){{INT64_C(1) << 62}, 1}, OCT_LAYOUT_ROW);
    assert_false(oct_tensor_desc_bytes(&d, &bytes));
    d = oct_tensor_desc_make(OCT_DT_F32, (oct_shape){{OCT_DIM_SYMBOL(0)}, 1}, OCT_LAYOUT_ROW);
    assert_false(oct_tensor_desc_bytes(&d, &bytes));
    assert_false(oct_tensor_desc_is_dense(&d));
}

/* Against 128-bit arithmetic, over all pairs of interesting values. */
static void checked_arithmetic_agrees_with_wide_arithmetic(void **state)
{
    const int64_t v[] = {0,
                         1,
                         -1,
                         2,
                         -2,
                         3,
                         INT64_MAX,
                         INT64_MIN,
                         INT64_MAX / 2,
                         INT64_MIN / 2,
                         INT64_C(1) << 31,
                         INT64_C(1) << 32,
                         -(INT64_C(1) << 32),
                         3037000500};
    const size_t n = sizeof v / sizeof v[0];
    for (size_t i = 0; i < n * n; i++) {
        const int64_t a = v[i / n], b = v[i % n];
        const double exact = (double)a * (double)b;
        int64_t s;
        size_t u;
        if (oct_mul_s64(a, b, &s)) {
            assert_true(exact >= -0x1p63 && exact <= 0x1p63);
            assert_true(a == 0 || (s / a == b && s % a == 0));
        } else {
            assert_true(exact >= 0x1p63 || exact <= -0x1p63);
        }
        if (oct_add_s64(a, b, &s))
            assert_true((uint64_t)s == (uint64_t)a + (uint64_t)b && (b < 0) == (s < a));
        else
            assert_true((a > 0) == (b > 0));
        if (oct_mul_size((size_t)a, (size_t)b, &u))
            assert_true(b == 0 || u / (size_t)b == (size_t)a);
        if (oct_add_size((size_t)a, (size_t)b, &u))
            assert_true(u >= (size_t)a && u >= (size_t)b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtype_names_round_trip),
        cmocka_unit_test(element_counts_are_checked),
        cmocka_unit_test(symbols_are_equal_only_to_themselves),
        cmocka_unit_test(shapes_print_and_truncate),
        cmocka_unit_test(dense_strides_follow_the_layout),
        cmocka_unit_test(rank_two_has_no_channels_last),
        cmocka_unit_test(a_slice_is_not_dense_but_unit_dims_do_not_matter),
        cmocka_unit_test(huge_and_unknown_shapes_have_no_bytes),
        cmocka_unit_test(checked_arithmetic_agrees_with_wide_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
