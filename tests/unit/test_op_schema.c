/* SPDX-License-Identifier: Apache-2.0
 *
 * The attribute table agrees with the list of ops, and its defaults are ONNX's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"

static const char *const ATTR_OF[OCT_OP_COUNT] = {
#define X(id, name, domain, attr) [OCT_OP_##id] = #attr,
    OCT_OP_MAP(X)
#undef X
};

static void every_op_is_found_by_its_name_and_domain(void **state)
{
    (void)state;
    for (int op = 0; op < OCT_OP_COUNT; op++)
        assert_int_equal(oct_op_find(oct_op_domain(op), oct_op_name(op)), op);
    assert_int_equal(oct_op_find("ai.onnx", "Conv"), OCT_OP_CONV);
    assert_int_equal(oct_op_find("com.microsoft", "Conv"), OCT_OP_COUNT);
    assert_int_equal(oct_op_find("", "NoSuchOp"), OCT_OP_COUNT);
}

static void every_op_has_a_row_whose_fields_lie_inside_its_struct(void **state)
{
    (void)state;
    for (int op = 0; op < OCT_OP_COUNT; op++) {
        const oct_op_schema *s = oct_op_schema_get(op);
        assert_true(s->min_in >= 1 && s->max_in >= s->min_in);
        assert_true(s->min_out >= 1 && s->max_out >= s->min_out);
        assert_int_equal(s->attr_bytes > 0, strcmp(ATTR_OF[op], "none") != 0);
        for (int i = 0; i < s->n_fields; i++) {
            assert_non_null(s->field[i].name);
            assert_true(s->field[i].offset < s->attr_bytes);
            assert_true(s->field[i].count_offset < s->attr_bytes);
        }
    }
}

static void defaults_are_those_of_onnx(void **state)
{
    (void)state;
    oct_attr_window w;
    oct_op_attr_defaults(OCT_OP_CONV, &w);
    assert_int_equal(w.group, 1);
    assert_int_equal(w.n_kernel, 0);
    oct_attr_shape sh;
    oct_op_attr_defaults(OCT_OP_SHAPE, &sh);
    assert_true(sh.start == 0 && sh.end == INT64_MAX);
    oct_attr_act act;
    oct_op_attr_defaults(OCT_OP_SELU, &act);
    assert_true(act.alpha == 1.67326319217681884765625f);
    oct_attr_resize r;
    oct_op_attr_defaults(OCT_OP_RESIZE, &r);
    assert_true(r.cubic_coeff_a == -0.75f && r.coord == OCT_COORD_HALF_PIXEL);
    oct_attr_fill fill;
    oct_op_attr_defaults(OCT_OP_CONSTANT_OF_SHAPE, &fill);
    assert_int_equal(fill.dtype, OCT_DT_F32);
    oct_attr_roi_align roi;
    oct_op_attr_defaults(OCT_OP_ROI_ALIGN, &roi);
    assert_true(roi.half_pixel && !roi.max_mode);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_is_found_by_its_name_and_domain),
        cmocka_unit_test(every_op_has_a_row_whose_fields_lie_inside_its_struct),
        cmocka_unit_test(defaults_are_those_of_onnx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
