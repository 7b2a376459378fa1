/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise ops, casts and Where on the GPU against `ref`: f32, f16, 8-bit and integers.
 * (test_ops.c runs here too, for what both backends have.)
 */
#include <math.h>
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
    OCT_OP_RELU,       OCT_OP_LEAKY_RELU, OCT_OP_ELU,      OCT_OP_SELU,
    OCT_OP_CELU,       OCT_OP_SIGMOID,    OCT_OP_SOFTPLUS, OCT_OP_HARD_SIGMOID,
    OCT_OP_HARD_SWISH, OCT_OP_SWISH,      OCT_OP_MISH,     OCT_OP_GELU,
    OCT_OP_MS_GELU,    OCT_OP_ERF,        OCT_OP_TANH,     OCT_OP_SOFTSIGN,
    OCT_OP_ABS,        OCT_OP_NEG,        OCT_OP_CEIL,     OCT_OP_FLOOR,
    OCT_OP_ROUND,      OCT_OP_RECIPROCAL, OCT_OP_EXP,      OCT_OP_SIGN,
    OCT_OP_SHRINK,     OCT_OP_SIN,        OCT_OP_COS,      OCT_OP_TAN,
    OCT_OP_ATAN,       OCT_OP_SQRT,       OCT_OP_LOG,      OCT_OP_THRESHOLDED_RELU,
};

static const int sizes[] = {1, 7, 8, 12, 33, 4096, 40003};

static bool wants_positive(oct_op op)
{
    return op == OCT_OP_SQRT || op == OCT_OP_LOG || op == OCT_OP_RECIPROCAL || op == OCT_OP_TAN;
}

static void unary(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(unary_ops) * COUNT(sizes) * 2; i++) {
        const oct_op op = unary_ops[i % COUNT(unary_ops)];
        const int n = sizes[i / COUNT(unary_ops) % COUNT(sizes)];
        const bool half = i >= COUNT(unary_ops) * COUNT(sizes);
        oct_attr_act at;
        kcase k;
        memset(&at, 0, sizeof at);
        if (oct_op_schema_get(op)->attr_bytes)
            oct_op_attr_defaults(op, &at);
        at.approximate_tanh = op == OCT_OP_GELU && n % 2;
        kc_begin(&k, op, &at);
        kc_in(&k, half ? OCT_DT_F16 : OCT_DT_F32, kc_shape(1, n),
              wants_positive(op) ? KC_POSITIVE : KC_NORMAL);
        kc_out(&k, half ? OCT_DT_F16 : OCT_DT_F32);
        kc_check(&k, half ? 1e-3 : 1e-6);
    }
    kc_totals("unary");
}

static const oct_op float_ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL,  OCT_OP_DIV, OCT_OP_MIN,
                                   OCT_OP_MAX, OCT_OP_SUM, OCT_OP_MEAN, OCT_OP_POW, OCT_OP_PRELU};
static const oct_op test_ops[] = {OCT_OP_EQUAL, OCT_OP_GREATER, OCT_OP_GREATER_OR_EQUAL,
                                  OCT_OP_LESS, OCT_OP_LESS_OR_EQUAL};
static const oct_op int_ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL, OCT_OP_MIN, OCT_OP_MAX};
static const oct_op logic_ops[] = {OCT_OP_AND, OCT_OP_OR, OCT_OP_XOR, OCT_OP_EQUAL};

/* Numbers of pairs(): same shape, per channel, per row, both broadcast, scalar, inner. */
#define PAIRS 8
static void pair(int i, oct_shape *a, oct_shape *b)
{
    const oct_shape s[PAIRS][2] = {
        {kc_shape(4, 2, 16, 5, 6), kc_shape(4, 2, 16, 5, 6)},
        {kc_shape(4, 2, 16, 5, 6), kc_shape(4, 1, 16, 1, 1)},
        {kc_shape(4, 2, 17, 5, 6), kc_shape(4, 2, 17, 1, 1)},
        {kc_shape(4, 2, 16, 8, 8), kc_shape(4, 2, 1, 8, 8)},
        {kc_shape(3, 4, 9, 33), kc_shape(3, 1, 9, 33)},
        {kc_shape(1, 301), kc_shape(0)},
        {kc_shape(4, 1, 64, 20, 20), kc_shape(4, 1, 64, 20, 20)},
        {kc_shape(6, 2, 3, 1, 4, 2, 8), kc_shape(6, 1, 3, 1, 4, 1, 8)},
    };
    *a = s[i][0];
    *b = s[i][1];
}

static void binary_case(oct_op op, oct_dtype dt, int p, oct_dtype out, double tolerance)
{
    kcase k;
    oct_shape a, b;
    pair(p, &a, &b);
    kc_begin(&k, op, NULL);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    kc_in(&k, dt, a, op == OCT_OP_POW ? KC_POSITIVE : dt == OCT_DT_F32 ? KC_NORMAL : KC_INTS);
    kc_in(&k, dt, b, op == OCT_OP_DIV || op == OCT_OP_POW ? KC_POSITIVE : KC_NORMAL);
    kc_out(&k, out);
    kc_check(&k, tolerance);
}

static void binary(void **state)
{
    (void)state;
    for (int p = 0; p < PAIRS; p++) {
        for (size_t i = 0; i < COUNT(float_ops); i++) {
            binary_case(float_ops[i], OCT_DT_F32, p, OCT_DT_F32, 1e-6);
            if (float_ops[i] != OCT_OP_POW && float_ops[i] != OCT_OP_DIV)
                binary_case(float_ops[i], OCT_DT_F16, p, OCT_DT_F16, 1e-3);
        }
        for (size_t i = 0; i < COUNT(test_ops); i++) {
            binary_case(test_ops[i], OCT_DT_F32, p, OCT_DT_BOOL, 0);
            binary_case(test_ops[i], OCT_DT_S64, p, OCT_DT_BOOL, 0);
            binary_case(test_ops[i], OCT_DT_U8, p, OCT_DT_BOOL, 0);
        }
        for (size_t i = 0; i < COUNT(int_ops); i++) {
            binary_case(int_ops[i], OCT_DT_S32, p, OCT_DT_S32, 0);
            binary_case(int_ops[i], OCT_DT_S64, p, OCT_DT_S64, 0);
        }
        for (size_t i = 0; i < COUNT(logic_ops); i++)
            binary_case(logic_ops[i], OCT_DT_BOOL, p, OCT_DT_BOOL, 0);
    }
    kc_totals("binary");
}

static void variadic(void **state)
{
    static const oct_op ops[] = {OCT_OP_SUM, OCT_OP_MEAN, OCT_OP_MIN, OCT_OP_MAX};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(ops) * COUNT(types) * 2; i++) {
        const oct_dtype dt = types[i / COUNT(ops) % COUNT(types)];
        const bool q8 = dt == OCT_DT_S8 || dt == OCT_DT_U8;
        const int c = i % 2 ? 13 : 16;
        kcase k;
        kc_begin(&k, ops[i % COUNT(ops)], NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        for (int n = 0; n < 3; n++) {
            const oct_shape s = n == 1 ? kc_shape(4, 1, c, 1, 1) : kc_shape(4, 2, c, 4, 6);
            kc_tensor *x = kc_in(&k, dt, s, q8 ? KC_INTS : KC_NORMAL);
            if (q8)
                kc_quant(&k, x, 0.02f + 0.01f * (float)n, n);
        }
        kc_tensor *y = kc_out(&k, dt);
        if (q8)
            kc_quant(&k, y, 0.05f, 3);
        kc_check(&k, dt == OCT_DT_F16 ? 1e-3 : 1e-6);
    }
    kc_totals("variadic");
}

/* Vectors, factors shared by the positions of a picture, and what is neither. */
static void eight_bit_arithmetic(void **state)
{
    static const oct_op ops[] = {OCT_OP_ADD, OCT_OP_SUB, OCT_OP_MUL};
    static const int shapes[][4] = {{2, 48, 4, 6}, {2, 48, 1, 1}, {1, 48, 1, 1}, {1, 1, 4, 6}};
    static const int pictures[][2] = {{4, 6}, {7, 5}};
    (void)state;
    for (size_t i = 0; i < COUNT(ops) * COUNT(shapes) * COUNT(pictures) * 4; i++) {
        const int *b = shapes[i / COUNT(ops) % COUNT(shapes)];
        const int *hw = pictures[i / COUNT(ops) / COUNT(shapes) % COUNT(pictures)];
        const size_t types = i / COUNT(ops) / COUNT(shapes) / COUNT(pictures);
        const oct_dtype one = types & 1 ? OCT_DT_U8 : OCT_DT_S8;
        const oct_dtype other = types & 2 ? OCT_DT_U8 : OCT_DT_S8;
        kcase k;
        kc_begin(&k, ops[i % COUNT(ops)], NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, one, kc_shape(4, 2, 48, hw[0], hw[1]), KC_INTS);
        kc_quant(&k, x, 0.031f, one == OCT_DT_U8 ? 77 : -3);
        x = kc_in(&k, other, kc_shape(4, b[0], b[1], b[2] == 1 ? 1 : hw[0], b[3] == 1 ? 1 : hw[1]),
                  KC_INTS);
        kc_quant(&k, x, 0.017f, other == OCT_DT_U8 ? 130 : 9);
        x = kc_out(&k, one);
        kc_quant(&k, x, 0.043f, one == OCT_DT_U8 ? 100 : i % 2 ? 0 : 21);
        kc_check(&k, 1e-6);
    }
    kc_totals("8-bit arithmetic");
}

static void modulo_and_tests(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        const oct_attr_mod at = {i % 2};
        const int64_t seven = -7;
        kcase k;
        kc_begin(&k, OCT_OP_MOD, &at);
        kc_in(&k, i < 2 ? OCT_DT_F32 : OCT_DT_S64, kc_shape(2, 9, 40), KC_NORMAL);
        if (i < 2)
            kc_in(&k, OCT_DT_F32, kc_shape(2, 9, 40), KC_POSITIVE);
        else
            kc_const_values(&k, OCT_DT_S64, kc_shape(0), &seven);
        kc_out(&k, i < 2 ? OCT_DT_F32 : OCT_DT_S64);
        kc_check(&k, 0);
        const oct_attr_is_inf inf = {i % 2, i / 2};
        kc_begin(&k, i ? OCT_OP_IS_INF : OCT_OP_IS_NAN, i ? (const void *)&inf : NULL);
        kc_tensor *x = kc_in_f32(&k, kc_shape(1, 100), KC_NORMAL);
        ((float *)x->data)[3] = INFINITY;
        ((float *)x->data)[4] = -INFINITY;
        ((float *)x->data)[99] = NAN;
        kc_out(&k, OCT_DT_BOOL);
        kc_check(&k, 0);
        const oct_op ops[] = {OCT_OP_NOT, OCT_OP_ABS, OCT_OP_NEG, OCT_OP_SIGN};
        const oct_dtype dt = i ? OCT_DT_S64 : OCT_DT_BOOL;
        kc_begin(&k, ops[i], NULL);
        kc_in(&k, dt, kc_shape(2, 7, 24), KC_INTS);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("modulo and tests");
}

static void clip(void **state)
{
    const float lo = -0.5f, hi = 0.75f;
    const int64_t ilo = -100, ihi = 77;
    (void)state;
    for (int which = 0; which < 8; which++) {
        const bool integer = which >= 4;
        const oct_dtype dt = integer ? OCT_DT_S64 : OCT_DT_F32;
        kcase k;
        kc_begin(&k, OCT_OP_CLIP, NULL);
        kc_in(&k, dt, kc_shape(2, 5, 33), KC_NORMAL);
        if (which & 1)
            kc_const_values(&k, dt, kc_shape(0), integer ? (const void *)&ilo : &lo);
        else
            kc_absent(&k);
        if (which & 2)
            kc_const_values(&k, dt, kc_shape(0), integer ? (const void *)&ihi : &hi);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("clip");
}

static const oct_dtype all_types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8,  OCT_DT_U8,
                                      OCT_DT_S32, OCT_DT_S64, OCT_DT_BOOL};

static void casts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all_types) * COUNT(all_types) * 2; i++) {
        const oct_dtype from = all_types[i % COUNT(all_types)];
        const oct_dtype to = all_types[i / COUNT(all_types) % COUNT(all_types)];
        const oct_attr_cast at = {to, true};
        kcase k;
        kc_begin(&k, OCT_OP_CAST, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, from, kc_shape(3, 2, 13, i % 2 ? 24 : 7), KC_INTS);
        kc_out(&k, to);
        kc_check(&k, 0);
    }
    kc_totals("cast");
}

static void where(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(all_types) * 3; i++) {
        const oct_dtype dt = all_types[i % COUNT(all_types)];
        const int kind = (int)(i / COUNT(all_types));
        kcase k;
        kc_begin(&k, OCT_OP_WHERE, NULL);
        kc_in(&k, OCT_DT_BOOL, kind ? kc_shape(3, 3, 1, 16) : kc_shape(3, 3, 5, 16), KC_INTS);
        kc_in(&k, dt, kind == 1 ? kc_shape(0) : kc_shape(3, 3, 5, 16), KC_INTS);
        kc_in(&k, dt, kind == 2 ? kc_shape(3, 3, 5, 1) : kc_shape(3, 3, 5, 16), KC_INTS);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("where");
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
        cmocka_unit_test(unary),
        cmocka_unit_test(binary),
        cmocka_unit_test(variadic),
        cmocka_unit_test(clip),
        cmocka_unit_test(eight_bit_arithmetic),
        cmocka_unit_test(modulo_and_tests),
        cmocka_unit_test(casts),
        cmocka_unit_test(where),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
