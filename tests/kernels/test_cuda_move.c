/* SPDX-License-Identifier: Apache-2.0
 *
 * Data movers, gathers and scatters, quantizing and Table on the GPU against `ref`, for all element
 * sizes; shapes around the sizes of tiles and vectors.
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

static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_S64};

static void transpose(void **state)
{
    static const int64_t perms[][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 2, 1, 0}, {0, 2, 1, 3},
                                       {1, 0, 3, 2}, {0, 1, 2, 3}, {2, 3, 0, 1}};
    static const int shapes[][4] = {
        {2, 3, 37, 41}, {2, 64, 16, 12}, {1, 130, 8, 36}, {3, 33, 65, 4}};
    (void)state;
    for (size_t i = 0; i < COUNT(perms) * COUNT(types) * COUNT(shapes); i++) {
        const int *s = shapes[i / COUNT(perms) / COUNT(types)];
        const oct_dtype dt = types[i / COUNT(perms) % COUNT(types)];
        oct_attr_transpose at = {.n_perm = 4};
        kcase k;
        memcpy(at.perm, perms[i % COUNT(perms)], sizeof perms[0]);
        kc_begin(&k, OCT_OP_TRANSPOSE, &at);
        kc_in(&k, dt, kc_shape(4, s[0], s[1], s[2], s[3]), KC_INTS);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("transpose");
}

static void reorder(void **state)
{
    static const int shapes[][4] = {{1, 3, 30, 40}, {2, 64, 7, 9},    {1, 1, 5, 5},
                                    {3, 17, 1, 1},  {2, 128, 16, 16}, {1, 96, 56, 56}};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(types) * 2; i++) {
        const int *s = shapes[i / COUNT(types) / 2];
        const oct_dtype dt = types[i / 2 % COUNT(types)];
        kcase k;
        kc_begin(&k, OCT_OP_REORDER, NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, s[0], s[1], s[2], s[3]), KC_INTS);
        kc_tensor *y = kc_out(&k, dt);
        (i % 2 ? x : y)->fixed_layout = true;
        kc_check(&k, 0);
    }
    kc_totals("reorder");
}

static void concat_expand_tile(void **state)
{
    static const int64_t expand[] = {2, 5, 4, 24}, repeats[] = {2, 1, 3, 2};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 4; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const int axis = (int)(i / COUNT(types));
        oct_attr_axis at;
        kcase k;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(OCT_OP_CONCAT, &at);
        at.axis = axis;
        kc_begin(&k, OCT_OP_CONCAT, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        for (int n = 1; n <= 3; n++) {
            int d[4] = {2, 8, 6, 16};
            d[axis] = 8 * n;
            kc_in(&k, dt, kc_shape(4, d[0], d[1], d[2], d[3]), KC_INTS);
        }
        kc_out(&k, dt);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_EXPAND, NULL);
        kc_in(&k, dt, axis % 2 ? kc_shape(3, 5, 1, 24) : kc_shape(4, 2, 1, 4, 1), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 4), expand);
        kc_out(&k, dt);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_TILE, NULL);
        kc_in(&k, dt, kc_shape(4, 2, 3, 4, axis % 2 ? 16 : 5), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 4), repeats);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("concat, expand, tile");
}

static void slice(void **state)
{
    static const int64_t starts[][2] = {{1, 2}, {-1, 0}, {4, -3}, {0, 8}};
    static const int64_t ends[][2] = {{5, 30}, {-100, 24}, {0, -1}, {100, 24}};
    static const int64_t steps[][2] = {{1, 1}, {-1, 3}, {-2, 1}, {2, 1}};
    static const int64_t axes[] = {1, -1};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 4; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const size_t v = i / COUNT(types);
        kcase k;
        kc_begin(&k, OCT_OP_SLICE, NULL);
        kc_in(&k, dt, kc_shape(3, 3, 7, 32), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 2), starts[v]);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 2), ends[v]);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 2), axes);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 2), steps[v]);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("slice");
}

static void pad(void **state)
{
    static const int64_t pads[][8] = {{0, 0, 1, 2, 0, 0, 3, 1}, {0, 2, 0, -1, 1, 0, -2, 3}};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 8; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const oct_attr_pad at = {(oct_pad_mode)(i / COUNT(types) % 4)};
        const bool crop = i / COUNT(types) / 4 == 1;
        const uint8_t value[8] = {1, 60, 2, 60};
        kcase k;
        if (crop && at.mode != OCT_PAD_MODE_CONSTANT)
            continue;
        kc_begin(&k, OCT_OP_PAD, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, dt, kc_shape(4, 2, 8, 5, 6), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 8), pads[crop]);
        if (i % 2)
            kc_const_values(&k, dt, kc_shape(0), value);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("pad");
}

static void depth_and_space(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 4; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const bool deep = i / COUNT(types) % 2;
        const oct_attr_depth_space at = {.block_size = 2, .crd = deep && i / COUNT(types) / 2};
        kcase k;
        kc_begin(&k, deep ? OCT_OP_DEPTH_TO_SPACE : OCT_OP_SPACE_TO_DEPTH, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, dt, kc_shape(4, 2, 16, 6, 8), KC_INTS);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("depth and space");
}

static void gathers(void **state)
{
    static const int64_t index[] = {3, -1, 0, 5, 3, 1}, tuples[] = {1, 2, -1, 0, 0, -4};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 3; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        oct_attr_axis at;
        oct_attr_gather_nd nd = {0};
        kcase k;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(OCT_OP_GATHER, &at);
        at.axis = (int64_t)(i / COUNT(types));
        kc_begin(&k, OCT_OP_GATHER, &at);
        kc_in(&k, dt, kc_shape(3, 6, 7, 16), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(2, 2, 3), index);
        kc_out(&k, dt);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_GATHER_ELEMENTS, &at);
        kc_in(&k, dt, kc_shape(3, 6, 7, 16), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(3, 2, 3, 1), index);
        kc_out(&k, dt);
        kc_check(&k, 0);
        nd.batch_dims = at.axis == 2;
        kc_begin(&k, OCT_OP_GATHER_ND, &nd);
        kc_in(&k, dt, kc_shape(3, 3, 4, 8), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, nd.batch_dims ? kc_shape(2, 3, 2) : kc_shape(2, 3, 2),
                        tuples);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("gathers");
}

static void scatters(void **state)
{
    static const int64_t index[] = {3, -1, 0, 5, 2, 1}, tuples[] = {1, 2, -1, 0, 0, -4};
    static const int64_t depth = 6;
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        oct_attr_scatter at = {.axis = 1, .reduction = OCT_SCATTER_NONE};
        oct_attr_axis axis;
        kcase k;
        kc_begin(&k, OCT_OP_SCATTER_ELEMENTS, &at);
        kc_in(&k, types[i], kc_shape(2, 4, 7), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(2, 1, 6), index);
        kc_in(&k, types[i], kc_shape(2, 1, 6), KC_INTS);
        kc_out(&k, types[i]);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_SCATTER_ND, &at);
        kc_in(&k, types[i], kc_shape(3, 3, 4, 8), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(2, 3, 2), tuples);
        kc_in(&k, types[i], kc_shape(2, 3, 8), KC_INTS);
        kc_out(&k, types[i]);
        kc_check(&k, 0);
        memset(&axis, 0, sizeof axis);
        oct_op_attr_defaults(OCT_OP_ONE_HOT, &axis);
        axis.axis = i % 2 ? -1 : 0;
        kc_begin(&k, OCT_OP_ONE_HOT, &axis);
        kc_in(&k, OCT_DT_S64, kc_shape(2, 20, 9), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 1), &depth);
        kc_in(&k, types[i], kc_shape(1, 2), KC_INTS);
        kc_out(&k, types[i]);
        kc_check(&k, 0);
    }
    kc_totals("scatters");
}

static void triangles_and_sources(void **state)
{
    static const int64_t diagonals[] = {0, 2, -3, 100}, lens[] = {3, 0, 5, 1};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 4; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const oct_attr_trilu at = {.upper = i / COUNT(types) % 2};
        const oct_attr_reverse_sequence rev = {.batch_axis = i % 2,
                                               .time_axis = 1 - (int64_t)i % 2};
        const oct_attr_eye eye = {dt, (int64_t)i % 3 - 1};
        kcase k;
        kc_begin(&k, OCT_OP_TRILU, &at);
        kc_in(&k, dt, kc_shape(3, 2, 9, 11), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(0), &diagonals[i / COUNT(types)]);
        kc_out(&k, dt);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_REVERSE_SEQUENCE, &rev);
        kc_in(&k, dt, i % 2 ? kc_shape(3, 5, 4, 6) : kc_shape(3, 4, 5, 6), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 4), lens);
        kc_out(&k, dt);
        kc_check(&k, 0);
        kc_begin(&k, OCT_OP_EYE_LIKE, &eye);
        kc_in(&k, OCT_DT_F32, kc_shape(2, 7, 9), KC_NORMAL);
        kc_out(&k, dt);
        kc_check(&k, 0);
    }
    kc_totals("triangles");
}

static void quantize_by_axis(void **state)
{
    static const oct_dtype reals[] = {OCT_DT_F32, OCT_DT_F16};
    (void)state;
    for (size_t i = 0; i < 24; i++) {
        const oct_dtype dt = i % 2 ? OCT_DT_U8 : OCT_DT_S8, real = reals[i / 2 % 2];
        const int axis = (int)(i / 4 % 3), n = axis == 0 ? 2 : axis == 1 ? 16 : 12;
        const oct_shape s = i < 12 ? kc_shape(3, 2, 16, 12) : kc_shape(3, 2, 16, 12);
        oct_attr_quantize at;
        kcase k;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(OCT_OP_QUANTIZE_LINEAR, &at);
        at.axis = axis;
        kc_begin(&k, OCT_OP_QUANTIZE_LINEAR, &at);
        k.layout = i < 12 ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, real, s, KC_NORMAL);
        kc_const(kc_in_f32(&k, kc_shape(1, n), KC_POSITIVE));
        kc_const(kc_in(&k, dt, kc_shape(1, n), KC_INTS));
        kc_out(&k, dt);
        kc_check(&k, 0);
        oct_op_attr_defaults(OCT_OP_DEQUANTIZE_LINEAR, &at);
        at.axis = axis;
        kc_begin(&k, OCT_OP_DEQUANTIZE_LINEAR, &at);
        k.layout = i < 12 ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, dt, s, KC_INTS);
        kc_const(kc_in_f32(&k, kc_shape(1, n), KC_POSITIVE));
        kc_const(kc_in(&k, dt, kc_shape(1, n), KC_INTS));
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, 0);
    }
    kc_totals("quantize by axis");
}

/* One scale: runs of sixteen, and what is left behind them. */
static void quantize_runs(void **state)
{
    static const oct_dtype reals[] = {OCT_DT_F32, OCT_DT_F16};
    static const kc_fill fills[] = {KC_NORMAL, KC_WIDE, KC_SMALL};
    static const float scales[] = {0.03f, 1.0f / 128.0f, 3.1e-5f};
    (void)state;
    for (size_t i = 0; i < COUNT(fills) * COUNT(scales) * 4; i++) {
        const oct_dtype dt = i % 2 ? OCT_DT_U8 : OCT_DT_S8, real = reals[i / 2 % 2];
        const uint8_t zero = i % 3 == 0 ? 0 : 17;
        oct_attr_quantize at;
        kcase k;
        memset(&at, 0, sizeof at);
        oct_op_attr_defaults(OCT_OP_QUANTIZE_LINEAR, &at);
        kc_begin(&k, OCT_OP_QUANTIZE_LINEAR, &at);
        kc_in(&k, real, kc_shape(3, 5, 41, 101), fills[i / 4 % COUNT(fills)]);
        kc_const_values(&k, OCT_DT_F32, kc_shape(0), &scales[i / 4 / COUNT(fills)]);
        kc_const_values(&k, dt, kc_shape(0), &zero);
        kc_out(&k, dt);
        kc_check(&k, 0);
        oct_op_attr_defaults(OCT_OP_DEQUANTIZE_LINEAR, &at);
        kc_begin(&k, OCT_OP_DEQUANTIZE_LINEAR, &at);
        kc_in(&k, dt, kc_shape(3, 5, 41, 101), KC_INTS);
        kc_const_values(&k, OCT_DT_F32, kc_shape(0), &scales[i / 4 / COUNT(fills)]);
        kc_const_values(&k, dt, kc_shape(0), &zero);
        kc_out(&k, real);
        kc_check(&k, 0);
    }
    kc_totals("quantize runs");
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
        cmocka_unit_test(transpose),
        cmocka_unit_test(reorder),
        cmocka_unit_test(concat_expand_tile),
        cmocka_unit_test(slice),
        cmocka_unit_test(pad),
        cmocka_unit_test(depth_and_space),
        cmocka_unit_test(gathers),
        cmocka_unit_test(scatters),
        cmocka_unit_test(triangles_and_sources),
        cmocka_unit_test(quantize_by_axis),
        cmocka_unit_test(quantize_runs),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
