/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise ops, pools, quantizing and data movers: every candidate of `cpu` against `ref`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const oct_op unary_ops[] = {
    OCT_OP_RELU,       OCT_OP_LEAKY_RELU,   OCT_OP_ELU,        OCT_OP_SELU,     OCT_OP_CELU,
    OCT_OP_SIGMOID,    OCT_OP_HARD_SIGMOID, OCT_OP_HARD_SWISH, OCT_OP_SWISH,    OCT_OP_MISH,
    OCT_OP_GELU,       OCT_OP_ERF,          OCT_OP_TANH,       OCT_OP_SOFTPLUS, OCT_OP_SOFTSIGN,
    OCT_OP_ABS,        OCT_OP_NEG,          OCT_OP_CEIL,       OCT_OP_FLOOR,    OCT_OP_ROUND,
    OCT_OP_RECIPROCAL, OCT_OP_EXP,          OCT_OP_SQRT,       OCT_OP_LOG,
};

/* Sizes around the widths of vectors, and one that is split over threads. */
static const int sizes[] = {1, 7, 8, 9, 15, 16, 17, 63, 40000};

static void unary_case(oct_op op, int n, kc_fill fill, bool tanh_form)
{
    oct_attr_act at = {0};
    if (oct_op_schema_get(op)->attr_bytes)
        oct_op_attr_defaults(op, &at);
    at.approximate_tanh = tanh_form;
    kcase k;
    kc_begin(&k, op, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    kc_in_f32(&k, n > 1000 ? kc_shape(4, 1, n / 100, 10, 10) : kc_shape(3, 1, n, 3), fill);
    kc_out(&k, OCT_DT_F32);
    kc_check(&k, fill == KC_WIDE ? 2e-6 : 5e-7);
}

static void unary_functions_agree_with_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unary_ops); i++)
        for (size_t n = 0; n < COUNT(sizes); n++) {
            const bool positive = unary_ops[i] == OCT_OP_LOG || unary_ops[i] == OCT_OP_SQRT;
            unary_case(unary_ops[i], sizes[n], positive ? KC_POSITIVE : KC_NORMAL, n % 2);
            if (!positive && unary_ops[i] != OCT_OP_EXP && unary_ops[i] != OCT_OP_RECIPROCAL)
                unary_case(unary_ops[i], sizes[n], KC_WIDE, false);
        }
    kc_totals("unary");
}

static void clip_takes_constant_bounds(void **state)
{
    const float lo = -0.5f, hi = 0.75f;
    (void)state;
    for (int which = 0; which < 4; which++) {
        kcase k;
        kc_begin(&k, OCT_OP_CLIP, NULL);
        kc_in_f32(&k, kc_shape(2, 5, 33), KC_NORMAL);
        if (which & 1)
            kc_const_values(&k, OCT_DT_F32, kc_shape(0), &lo);
        else
            kc_absent(&k);
        if (which & 2)
            kc_const_values(&k, OCT_DT_F32, kc_shape(0), &hi);
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, 0);
    }
    kc_totals("clip");
}

static const oct_op binary_ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL,
                                    OCT_OP_DIV, OCT_OP_MIN, OCT_OP_MAX};

static void binary_ops_broadcast_as_in_ref(void **state)
{
    (void)state;
    const oct_shape pairs[][2] = {
        {kc_shape(4, 2, 17, 5, 6), kc_shape(4, 2, 17, 5, 6)},
        {kc_shape(4, 2, 17, 5, 6), kc_shape(4, 1, 17, 1, 1)},
        {kc_shape(4, 2, 17, 5, 6), kc_shape(4, 2, 17, 1, 1)},
        {kc_shape(4, 2, 1, 5, 6), kc_shape(4, 2, 17, 1, 1)},
        {kc_shape(3, 4, 1, 33), kc_shape(3, 1, 9, 33)},
        {kc_shape(1, 300), kc_shape(0)},
        {kc_shape(4, 1, 64, 20, 20), kc_shape(4, 1, 64, 20, 20)},
    };
    for (size_t o = 0; o < COUNT(binary_ops); o++)
        for (size_t i = 0; i < COUNT(pairs); i++)
            for (int q8 = 0; q8 < 2; q8++) {
                const oct_dtype dt = !q8 ? OCT_DT_F32 : i % 2 ? OCT_DT_U8 : OCT_DT_S8;
                kcase k;
                if (q8 && binary_ops[o] == OCT_OP_DIV)
                    continue;
                kc_begin(&k, binary_ops[o], NULL);
                k.layout = OCT_LAYOUT_CHANNELS_LAST;
                kc_tensor *x = kc_in(&k, dt, pairs[i][0], KC_INTS);
                kc_tensor *y = kc_in(&k, dt, pairs[i][1], KC_INTS);
                if (q8) {
                    kc_quant(&k, x, 0.031f, i % 3 ? 0 : 4);
                    kc_quant(&k, y, 0.017f, i % 2 ? 100 : 0);
                }
                kc_tensor *z = kc_out(&k, dt);
                if (q8)
                    kc_quant(&k, z, 0.04f, i % 2 ? 90 : -7);
                kc_check(&k, 0);
            }
    kc_totals("binary");
}

static void pow_two_is_a_square(void **state)
{
    const float two = 2.0f;
    kcase k;
    (void)state;
    kc_begin(&k, OCT_OP_POW, NULL);
    kc_in_f32(&k, kc_shape(2, 9, 21), KC_NORMAL);
    kc_const_values(&k, OCT_DT_F32, kc_shape(0), &two);
    kc_out(&k, OCT_DT_F32);
    kc_check(&k, 1e-7);
    kc_totals("pow");
}

typedef struct pool_shape {
    int c, size, kernel, stride, pad, dilation;
    bool ceil, count_pad;
} pool_shape;

static void pools_agree_with_ref(void **state)
{
    static const pool_shape shapes[] = {
        {3, 9, 3, 2, 1, 1, false, false}, {64, 14, 3, 2, 1, 1, true, false},
        {17, 8, 2, 2, 0, 1, false, true}, {40, 11, 5, 1, 2, 1, false, true},
        {33, 10, 3, 3, 1, 1, true, true}, {16, 7, 7, 1, 0, 1, false, false},
    };
    static const oct_op ops[] = {OCT_OP_MAX_POOL, OCT_OP_AVERAGE_POOL};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(ops) * COUNT(types); i++) {
        const pool_shape *s = &shapes[i % COUNT(shapes)];
        const oct_op op = ops[i / COUNT(shapes) % COUNT(ops)];
        const oct_dtype dt = types[i / COUNT(shapes) / COUNT(ops)];
        oct_attr_window at;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(op, &at);
        at.n_kernel = at.n_stride = 2;
        at.n_pad = 4;
        at.kernel[0] = at.kernel[1] = s->kernel;
        at.stride[0] = at.stride[1] = s->stride;
        for (int p = 0; p < 4; p++)
            at.pad[p] = s->pad;
        at.ceil_mode = s->ceil;
        at.count_include_pad = s->count_pad && op == OCT_OP_AVERAGE_POOL;
        kcase k;
        kc_begin(&k, op, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, 2, s->c, s->size, s->size), KC_INTS);
        if (dt != OCT_DT_F32)
            kc_quant(&k, x, 0.03f, dt == OCT_DT_U8 ? 90 : -3);
        kc_tensor *y = kc_out(&k, dt);
        if (dt != OCT_DT_F32 && op == OCT_OP_MAX_POOL)
            kc_quant(&k, y, 0.03f, dt == OCT_DT_U8 ? 90 : -3);
        else if (dt != OCT_DT_F32)
            kc_quant(&k, y, 0.013f, 7);
        kc_check(&k, 1e-6);
    }
    kc_totals("pools");
}

static void global_pools_agree_with_ref(void **state)
{
    static const int shapes[][2] = {{3, 1}, {17, 5}, {64, 7}, {130, 14}, {2048, 7}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(types); i++) {
        const int *s = shapes[i % COUNT(shapes)];
        const oct_dtype dt = types[i / COUNT(shapes)];
        for (int max = 0; max < 2; max++) {
            kcase k;
            kc_begin(&k, max ? OCT_OP_GLOBAL_MAX_POOL : OCT_OP_GLOBAL_AVERAGE_POOL, NULL);
            k.layout = OCT_LAYOUT_CHANNELS_LAST;
            kc_tensor *x = kc_in(&k, dt, kc_shape(4, 2, s[0], s[1], s[1]), KC_INTS);
            if (dt != OCT_DT_F32)
                kc_quant(&k, x, 0.03f, 5);
            kc_tensor *y = kc_out(&k, dt);
            if (dt != OCT_DT_F32)
                kc_quant(&k, y, max ? 0.03f : 0.01f, 5);
            kc_check(&k, 1e-6);
        }
    }
    kc_totals("global pools");
}

static void quantizing_agrees_with_ref(void **state)
{
    static const float scales[] = {0.02f, 0.0157f, 1.0f};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * 3; i++) {
        const int n = sizes[i % COUNT(sizes)];
        const int8_t zero_s = -5;
        const uint8_t zero_u = 120;
        oct_attr_quantize at;
        memset(&at, 0, sizeof at);
        for (int is_unsigned = 0; is_unsigned < 2; is_unsigned++) {
            const oct_dtype dt = is_unsigned ? OCT_DT_U8 : OCT_DT_S8;
            const void *zero = is_unsigned ? (const void *)&zero_u : &zero_s;
            kcase k;
            oct_op_attr_defaults(OCT_OP_QUANTIZE_LINEAR, &at);
            kc_begin(&k, OCT_OP_QUANTIZE_LINEAR, &at);
            kc_in_f32(&k, kc_shape(1, n), i % 2 ? KC_WIDE : KC_NORMAL);
            kc_const_values(&k, OCT_DT_F32, kc_shape(0), &scales[i / COUNT(sizes)]);
            kc_const_values(&k, dt, kc_shape(0), zero);
            kc_out(&k, dt);
            kc_check(&k, 0);
            oct_op_attr_defaults(OCT_OP_DEQUANTIZE_LINEAR, &at);
            kc_begin(&k, OCT_OP_DEQUANTIZE_LINEAR, &at);
            kc_in(&k, dt, kc_shape(1, n), KC_INTS);
            kc_const_values(&k, OCT_DT_F32, kc_shape(0), &scales[i / COUNT(sizes)]);
            kc_const_values(&k, dt, kc_shape(0), zero);
            kc_out(&k, OCT_DT_F32);
            kc_check(&k, 0);
        }
    }
    kc_totals("quantize");
}

static void transposes_agree_with_ref(void **state)
{
    static const int64_t perms[][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 2, 1, 0}, {0, 2, 1, 3},
                                       {1, 0, 3, 2}, {0, 1, 2, 3}, {2, 3, 0, 1}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_S8};
    (void)state;
    for (size_t i = 0; i < COUNT(perms) * COUNT(types); i++) {
        oct_attr_transpose at = {.n_perm = 4};
        memcpy(at.perm, perms[i % COUNT(perms)], sizeof perms[0]);
        kcase k;
        kc_begin(&k, OCT_OP_TRANSPOSE, &at);
        kc_in(&k, types[i / COUNT(perms)], kc_shape(4, 2, 3, 37, 41), KC_INTS);
        kc_out(&k, types[i / COUNT(perms)]);
        kc_check(&k, 0);
    }
    kc_totals("transpose");
}

static void reorders_agree_with_ref(void **state)
{
    static const int shapes[][4] = {{1, 3, 30, 40}, {2, 64, 7, 9}, {1, 1, 5, 5}, {3, 17, 1, 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * 4; i++) {
        const int *s = shapes[i / 4];
        const oct_dtype dt = i % 2 ? OCT_DT_U8 : OCT_DT_F32;
        kcase k;
        kc_begin(&k, OCT_OP_REORDER, NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, s[0], s[1], s[2], s[3]), KC_INTS);
        kc_tensor *y = kc_out(&k, dt);
        (i / 2 % 2 ? x : y)->fixed_layout = true;
        kc_check(&k, 0);
    }
    kc_totals("reorder");
}

static void nearest_resizes_agree_with_ref(void **state)
{
    static const float scales[][4] = {
        {1, 1, 2, 2}, {1, 1, 0.5f, 0.7f}, {1, 1, 1.3f, 3}, {1, 1, 1, 1}, {1, 2, 1, 2}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_S8, OCT_DT_U8};
    static const oct_resize_coord coords[] = {OCT_COORD_HALF_PIXEL, OCT_COORD_ASYMMETRIC,
                                              OCT_COORD_ALIGN_CORNERS};
    (void)state;
    for (size_t i = 0; i < COUNT(scales) * COUNT(types) * COUNT(coords) * 2; i++) {
        const oct_dtype dt = types[i % 3];
        const float *scale = scales[i / 3 % COUNT(scales)];
        oct_attr_resize at;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(OCT_OP_RESIZE, &at);
        at.mode = OCT_RESIZE_NEAREST;
        at.coord = coords[i / 3 / COUNT(scales) % COUNT(coords)];
        kcase k;
        kc_begin(&k, OCT_OP_RESIZE, &at);
        k.layout = i % 2 ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x =
            kc_in(&k, dt, kc_shape(4, 2, 19, 9, 13), dt == OCT_DT_F32 ? KC_NORMAL : KC_INTS);
        kc_absent(&k);
        kc_const_values(&k, OCT_DT_F32, kc_shape(1, 4), scale);
        kc_tensor *y = kc_out(&k, dt);
        if (dt != OCT_DT_F32) {
            kc_quant(&k, x, 0.1f, 3);
            kc_quant(&k, y, 0.1f, 3);
        }
        kc_check(&k, 0);
    }
    kc_totals("resize, nearest");
}

static void tables_agree_with_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        kcase k;
        kc_begin(&k, OCT_OP_TABLE, NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, i % 2 ? OCT_DT_S8 : OCT_DT_U8, kc_shape(3, 1, sizes[i], 3), KC_INTS);
        kc_const(kc_in(&k, OCT_DT_U8, kc_shape(1, 256), KC_INTS));
        kc_out(&k, OCT_DT_U8);
        kc_check(&k, 0);
    }
    kc_totals("table");
}

static void softmax_agrees_with_ref(void **state)
{
    static const oct_op ops[] = {OCT_OP_SOFTMAX, OCT_OP_LOG_SOFTMAX};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * 8; i++) {
        const int n = sizes[i / 8];
        oct_attr_axis at;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(ops[i % 2], &at);
        at.axis = i % 4 < 2 ? -1 : 1;
        at.flatten_2d = i % 8 >= 6;
        kcase k;
        kc_begin(&k, ops[i % 2], &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_in_f32(&k, n > 1000 ? kc_shape(3, 1, 3, n) : kc_shape(3, 2, n, n), KC_NORMAL);
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, n > 1000 ? 1e-5 : 1e-6); /* ref adds up in f32 */
    }
    kc_totals("softmax");
}

static void layer_norm_agrees_with_ref(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT(sizes); i++)
        for (int bias = 0; bias < 2; bias++) {
            oct_attr_norm at;
            memset(&at, 0, sizeof at);
            oct_op_attr_defaults(OCT_OP_LAYER_NORM, &at);
            at.axis = -1;
            kcase k;
            kc_begin(&k, OCT_OP_LAYER_NORM, &at);
            kc_in_f32(&k, kc_shape(3, 1, 3, sizes[i]), KC_NORMAL);
            kc_const(kc_in_f32(&k, kc_shape(1, sizes[i]), KC_POSITIVE));
            if (bias)
                kc_const(kc_in_f32(&k, kc_shape(1, sizes[i]), KC_NORMAL));
            kc_out(&k, OCT_DT_F32);
            kc_check(&k, 2e-6);
        }
    kc_totals("layer norm");
}

static int open_all(void **state)
{
    (void)state;
    kc_open();
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    kc_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_functions_agree_with_ref),
        cmocka_unit_test(clip_takes_constant_bounds),
        cmocka_unit_test(binary_ops_broadcast_as_in_ref),
        cmocka_unit_test(pow_two_is_a_square),
        cmocka_unit_test(pools_agree_with_ref),
        cmocka_unit_test(global_pools_agree_with_ref),
        cmocka_unit_test(quantizing_agrees_with_ref),
        cmocka_unit_test(transposes_agree_with_ref),
        cmocka_unit_test(reorders_agree_with_ref),
        cmocka_unit_test(tables_agree_with_ref),
        cmocka_unit_test(softmax_agrees_with_ref),
        cmocka_unit_test(layer_norm_agrees_with_ref),
        cmocka_unit_test(nearest_resizes_agree_with_ref),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
