/* SPDX-License-Identifier: Apache-2.0
 *
 * Reductions, Softmax, normalizations, ordering, pools and sampling on the GPU against `ref`.
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

static double tolerance(oct_dtype dt)
{
    return dt == OCT_DT_F16 ? 1e-3 : 2e-6;
}

static void *defaults(oct_op op, void *at, size_t bytes)
{
    memset(at, 0, bytes);
    oct_op_attr_defaults(op, at);
    return at;
}

static void reductions(void **state)
{
    static const oct_op ops[] = {OCT_OP_REDUCE_SUM,        OCT_OP_REDUCE_MEAN,
                                 OCT_OP_REDUCE_MAX,        OCT_OP_REDUCE_MIN,
                                 OCT_OP_REDUCE_L1,         OCT_OP_REDUCE_L2,
                                 OCT_OP_REDUCE_SUM_SQUARE, OCT_OP_REDUCE_PROD,
                                 OCT_OP_REDUCE_LOG_SUM,    OCT_OP_REDUCE_LOG_SUM_EXP};
    static const int64_t axes[][2] = {{1, 1}, {3, 3}, {2, 3}, {0, 3}, {-3, 2}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S64, OCT_DT_S32};
    (void)state;
    for (size_t i = 0; i < COUNT(ops) * COUNT(axes) * COUNT(types) * 2; i++) {
        const oct_op op = ops[i % COUNT(ops)];
        const int64_t *a = axes[i / COUNT(ops) % COUNT(axes)];
        const oct_dtype dt = types[i / COUNT(ops) / COUNT(axes) % COUNT(types)];
        const bool integer = dt == OCT_DT_S64 || dt == OCT_DT_S32;
        const bool logs = op == OCT_OP_REDUCE_LOG_SUM || op == OCT_OP_REDUCE_LOG_SUM_EXP;
        oct_attr_reduce at;
        kcase k;
        if (integer && logs)
            continue;
        defaults(op, &at, sizeof at);
        at.keepdims = i % 2;
        kc_begin(&k, op, &at);
        k.layout = at.keepdims ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW;
        const bool small = op == OCT_OP_REDUCE_PROD;
        kc_in(&k, dt, small ? kc_shape(4, 2, 3, 4, 4) : kc_shape(4, 2, 24, 5, 16),
              op == OCT_OP_REDUCE_LOG_SUM || small ? KC_POSITIVE : KC_NORMAL);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, a[0] == a[1] ? 1 : 2), a);
        kc_out(&k, dt);
        kc_check(&k, small ? 5e-3 : tolerance(dt));
    }
    kc_totals("reductions");
}

static void long_reductions(void **state)
{
    static const int sizes[] = {255, 3000, 100000};
    static const int64_t axis = 1;
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * 2; i++) {
        const int n = sizes[i % COUNT(sizes)];
        oct_attr_reduce at;
        kcase k;
        defaults(OCT_OP_REDUCE_SUM, &at, sizeof at);
        kc_begin(&k, OCT_OP_REDUCE_SUM, &at);
        kc_in_f32(&k, i < COUNT(sizes) ? kc_shape(2, 3, n) : kc_shape(3, 1, n, 8), KC_NORMAL);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 1), &axis);
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, 2e-6);
    }
    kc_totals("long reductions");
}

static void softmax(void **state)
{
    static const oct_op ops[] = {OCT_OP_SOFTMAX, OCT_OP_LOG_SOFTMAX, OCT_OP_HARDMAX};
    static const int sizes[] = {1, 197, 256, 768, 1000, 4096, 9000};
    (void)state;
    for (size_t i = 0; i < COUNT(ops) * COUNT(sizes) * 4; i++) {
        const oct_op op = ops[i % COUNT(ops)];
        const int n = sizes[i / COUNT(ops) % COUNT(sizes)];
        const oct_dtype dt = i / COUNT(ops) / COUNT(sizes) % 2 ? OCT_DT_F16 : OCT_DT_F32;
        const bool inner = i / COUNT(ops) / COUNT(sizes) / 2;
        oct_attr_axis at;
        kcase k;
        defaults(op, &at, sizeof at);
        at.axis = 1;
        kc_begin(&k, op, &at);
        kc_in(&k, dt, inner ? kc_shape(3, 2, n, 5) : kc_shape(2, 11, n), KC_NORMAL);
        kc_out(&k, dt);
        kc_check(&k, dt == OCT_DT_F16 ? 1e-3 : 1e-5); /* ref adds up in f32, one by one */
    }
    kc_totals("softmax");
}

static void row_norms(void **state)
{
    static const int sizes[] = {1, 64, 197, 768, 1024, 4096, 8200};
    (void)state;
    for (size_t i = 0; i < COUNT(sizes) * 8; i++) {
        const int n = sizes[i % COUNT(sizes)];
        const size_t v = i / COUNT(sizes);
        const oct_op op = v % 2 ? OCT_OP_RMS_NORM : OCT_OP_LAYER_NORM;
        const oct_dtype dt = v / 2 % 2 ? OCT_DT_F16 : OCT_DT_F32;
        oct_attr_norm at;
        kcase k;
        defaults(op, &at, sizeof at);
        at.axis = -1;
        kc_begin(&k, op, &at);
        kc_in(&k, dt, kc_shape(3, 2, 9, n), KC_NORMAL);
        kc_const(kc_in(&k, dt, kc_shape(1, n), KC_POSITIVE));
        if (v / 4 && op == OCT_OP_LAYER_NORM)
            kc_const(kc_in(&k, dt, kc_shape(1, n), KC_NORMAL));
        kc_out(&k, dt);
        kc_check(&k, tolerance(dt));
    }
    kc_totals("row norms");
}

static void channel_norms(void **state)
{
    static const oct_op ops[] = {OCT_OP_BATCH_NORM, OCT_OP_INSTANCE_NORM,
                                 OCT_OP_GROUP_NORM, OCT_OP_LRN,
                                 OCT_OP_LP_NORM,    OCT_OP_MEAN_VARIANCE_NORM};
    static const int channels[] = {6, 32};
    (void)state;
    for (size_t i = 0; i < COUNT(ops) * 8; i++) {
        const oct_op op = ops[i % COUNT(ops)];
        const size_t v = i / COUNT(ops);
        const oct_dtype dt = v % 2 ? OCT_DT_F16 : OCT_DT_F32;
        const int c = channels[v / 2 % 2];
        oct_attr_norm at;
        kcase k;
        memset(&at, 0, sizeof at);
        if (oct_op_schema_get(op)->attr_bytes)
            oct_op_attr_defaults(op, &at);
        at.num_groups = 2;
        at.size = op == OCT_OP_LRN ? 5 : at.size;
        at.p = v / 4 ? 1 : 2;
        at.axis = 1;
        kc_begin(&k, op, oct_op_schema_get(op)->attr_bytes ? &at : NULL);
        k.layout = op == OCT_OP_LP_NORM || op == OCT_OP_MEAN_VARIANCE_NORM
                       ? OCT_LAYOUT_ROW
                       : OCT_LAYOUT_CHANNELS_LAST;
        kc_in(&k, dt, kc_shape(4, 2, c, 7, 9), KC_NORMAL);
        const int params = op == OCT_OP_BATCH_NORM                                 ? 4
                           : op == OCT_OP_INSTANCE_NORM || op == OCT_OP_GROUP_NORM ? 2
                                                                                   : 0;
        for (int p = 0; p < params; p++)
            kc_const(kc_in(&k, dt, kc_shape(1, c), KC_POSITIVE));
        kc_out(&k, dt);
        kc_check(&k, dt == OCT_DT_F16 ? 2e-3 : 5e-6);
    }
    kc_totals("channel norms");
}

static void ordering(void **state)
{
    static const int shapes[][3] = {{3, 40, 1}, {2, 1000, 1}, {4, 33, 7}, {1, 9000, 1}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_S32};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(types) * 4; i++) {
        const int *s = shapes[i % COUNT(shapes)];
        const oct_dtype dt = types[i / COUNT(shapes) % COUNT(types)];
        const size_t v = i / COUNT(shapes) / COUNT(types);
        const oct_op op = v % 2 ? OCT_OP_ARG_MIN : OCT_OP_ARG_MAX;
        const int64_t n = v ? 17 : 1;
        oct_attr_axis at;
        kcase k;
        defaults(op, &at, sizeof at);
        at.axis = 1;
        at.select_last_index = v / 2;
        kc_begin(&k, op, &at);
        kc_in(&k, dt, kc_shape(3, s[0], s[1], s[2]), KC_INTS);
        kc_out(&k, OCT_DT_S64);
        kc_check(&k, 0);
        defaults(OCT_OP_TOP_K, &at, sizeof at);
        at.axis = 1;
        at.largest = v % 2;
        kc_begin(&k, OCT_OP_TOP_K, &at);
        kc_in(&k, dt, kc_shape(3, s[0], s[1], s[2]), KC_INTS);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 1), &n);
        kc_out(&k, dt);
        kc_out(&k, OCT_DT_S64);
        kc_check(&k, 0);
    }
    kc_totals("ordering");
}

static void cumulative_sums(void **state)
{
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S64, OCT_DT_S32};
    (void)state;
    for (size_t i = 0; i < COUNT(types) * 12; i++) {
        const oct_attr_cum_sum at = {i / COUNT(types) % 2, i / COUNT(types) / 2 % 2};
        const int64_t axis = (int64_t)(i / COUNT(types) / 4);
        kcase k;
        kc_begin(&k, OCT_OP_CUM_SUM, &at);
        kc_in(&k, types[i % COUNT(types)], kc_shape(3, 3, 70, 9), KC_NORMAL);
        kc_const_values(&k, OCT_DT_S64, kc_shape(0), &axis);
        kc_out(&k, types[i % COUNT(types)]);
        kc_check(&k, tolerance(types[i % COUNT(types)]));
    }
    kc_totals("cumulative sums");
}

typedef struct pool_shape {
    int c, size, kernel, stride, pad, dilation;
    bool ceil, count_pad;
} pool_shape;

static void pools(void **state)
{
    static const pool_shape shapes[] = {
        {3, 9, 3, 2, 1, 1, false, false},   {64, 14, 3, 2, 1, 1, true, false},
        {17, 8, 2, 2, 0, 1, false, true},   {40, 11, 5, 1, 2, 1, false, true},
        {33, 10, 3, 3, 1, 1, true, true},   {16, 7, 7, 1, 0, 1, false, false},
        {32, 12, 3, 1, 2, 2, false, false},
    };
    static const oct_op ops[] = {OCT_OP_MAX_POOL, OCT_OP_AVERAGE_POOL, OCT_OP_LP_POOL};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(ops) * COUNT(types) * 2; i++) {
        const pool_shape *s = &shapes[i % COUNT(shapes)];
        const oct_op op = ops[i / COUNT(shapes) % COUNT(ops)];
        const oct_dtype dt = types[i / COUNT(shapes) / COUNT(ops) % COUNT(types)];
        const bool q8 = dt == OCT_DT_S8 || dt == OCT_DT_U8,
                   indices = i % 2 && op == OCT_OP_MAX_POOL;
        oct_attr_window at;
        kcase k;
        if (q8 && op == OCT_OP_LP_POOL)
            continue;
        defaults(op, &at, sizeof at);
        at.n_kernel = at.n_stride = at.n_dilation = 2;
        at.n_pad = 4;
        at.kernel[0] = at.kernel[1] = s->kernel;
        at.stride[0] = at.stride[1] = s->stride;
        at.dilation[0] = at.dilation[1] = s->dilation;
        for (int p = 0; p < 4; p++)
            at.pad[p] = s->pad;
        at.ceil_mode = s->ceil;
        at.count_include_pad = s->count_pad && op == OCT_OP_AVERAGE_POOL;
        kc_begin(&k, op, &at);
        k.layout = indices ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, 2, s->c, s->size, s->size), KC_INTS);
        if (q8)
            kc_quant(&k, x, 0.03f, dt == OCT_DT_U8 ? 90 : -3);
        kc_tensor *y = kc_out(&k, dt);
        if (q8)
            kc_quant(&k, y, op == OCT_OP_MAX_POOL ? 0.03f : 0.013f,
                     op != OCT_OP_MAX_POOL ? 7
                     : dt == OCT_DT_U8     ? 90
                                           : -3);
        if (indices)
            kc_out(&k, OCT_DT_S64);
        kc_check(&k, tolerance(dt));
    }
    kc_totals("pools");
}

static void global_pools(void **state)
{
    static const int shapes[][2] = {{3, 1},    {17, 5},   {64, 7},  {130, 14},
                                    {2048, 7}, {32, 112}, {144, 41}};
    static const oct_op ops[] = {OCT_OP_GLOBAL_AVERAGE_POOL, OCT_OP_GLOBAL_MAX_POOL,
                                 OCT_OP_GLOBAL_LP_POOL};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(shapes) * COUNT(types) * COUNT(ops); i++) {
        const int *s = shapes[i % COUNT(shapes)];
        const oct_dtype dt = types[i / COUNT(shapes) % COUNT(types)];
        const oct_op op = ops[i / COUNT(shapes) / COUNT(types)];
        const bool q8 = dt == OCT_DT_S8 || dt == OCT_DT_U8;
        const oct_attr_norm at = {.p = i % 2 + 1};
        kcase k;
        if (q8 && op == OCT_OP_GLOBAL_LP_POOL)
            continue;
        kc_begin(&k, op, op == OCT_OP_GLOBAL_LP_POOL ? &at : NULL);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, 2, s[0], s[1], s[1]), KC_INTS);
        if (q8)
            kc_quant(&k, x, 0.03f, 5);
        kc_tensor *y = kc_out(&k, dt);
        if (q8)
            kc_quant(&k, y, op == OCT_OP_GLOBAL_MAX_POOL ? 0.03f : 0.01f, 5);
        kc_check(&k, tolerance(dt));
    }
    kc_totals("global pools");
}

static void resize(void **state)
{
    static const float scales[][4] = {{1, 1, 2, 2}, {1, 1, 0.5f, 1.7f}, {1, 1, 3, 0.6f}};
    static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_U8};
    (void)state;
    for (size_t i = 0; i < COUNT(scales) * COUNT(types) * 3 * 3; i++) {
        const oct_dtype dt = types[i % COUNT(types)];
        const bool q8 = dt == OCT_DT_S8 || dt == OCT_DT_U8;
        oct_attr_resize at;
        kcase k;
        defaults(OCT_OP_RESIZE, &at, sizeof at);
        at.mode = (oct_resize_method)(i / COUNT(types) % 3);
        at.coord = i % 5 == 0   ? OCT_COORD_ALIGN_CORNERS
                   : i % 2 == 0 ? OCT_COORD_ASYMMETRIC
                                : OCT_COORD_HALF_PIXEL;
        at.antialias = i % 7 == 0 && at.mode != OCT_RESIZE_NEAREST;
        kc_begin(&k, OCT_OP_RESIZE, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        kc_tensor *x = kc_in(&k, dt, kc_shape(4, 2, i % 3 ? 16 : 5, 7, 10), KC_INTS);
        kc_absent(&k);
        kc_const_values(&k, OCT_DT_F32, kc_shape(1, 4),
                        scales[i / COUNT(types) / 3 % COUNT(scales)]);
        if (q8)
            kc_quant(&k, x, 0.03f, 5);
        kc_tensor *y = kc_out(&k, dt);
        if (q8)
            kc_quant(&k, y, at.mode == OCT_RESIZE_NEAREST ? 0.03f : 0.04f,
                     at.mode == OCT_RESIZE_NEAREST ? 5 : 9);
        kc_check(&k, tolerance(dt));
    }
    kc_totals("resize");
}

static void sampling(void **state)
{
    static const int64_t batch[] = {0, 1, 1};
    static const float rois[] = {1, 1, 6, 5, 0, 2, 9, 8, 3.5f, 0.5f, 4, 4};
    (void)state;
    for (int i = 0; i < 36; i++) {
        oct_attr_grid_sample at;
        oct_attr_roi_align roi;
        kcase k;
        defaults(OCT_OP_GRID_SAMPLE, &at, sizeof at);
        at.mode = (oct_resize_method)(i % 3);
        at.padding = i / 3 % 3;
        at.align_corners = i / 9 % 2;
        kc_begin(&k, OCT_OP_GRID_SAMPLE, &at);
        if (i / 18 && at.mode != OCT_RESIZE_CUBIC) {
            kc_in_f32(&k, kc_shape(5, 2, 3, 4, 5, 6), KC_NORMAL);
            kc_in_f32(&k, kc_shape(5, 2, 3, 2, 4, 3), KC_NORMAL);
        } else {
            kc_in_f32(&k, kc_shape(4, 2, 3, 8, 9), KC_NORMAL);
            kc_in_f32(&k, kc_shape(4, 2, 5, 6, 2), KC_NORMAL);
        }
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, 2e-6);
        defaults(OCT_OP_ROI_ALIGN, &roi, sizeof roi);
        roi.max_mode = i % 2;
        roi.half_pixel = i / 2 % 2;
        roi.output_height = 3;
        roi.output_width = 4;
        roi.sampling_ratio = i / 4 % 3;
        roi.spatial_scale = 0.8f;
        kc_begin(&k, OCT_OP_ROI_ALIGN, &roi);
        kc_in_f32(&k, kc_shape(4, 2, 3, 9, 10), KC_NORMAL);
        kc_const_values(&k, OCT_DT_F32, kc_shape(2, 3, 4), rois);
        kc_const_values(&k, OCT_DT_S64, kc_shape(1, 3), batch);
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, 2e-6);
    }
    kc_totals("sampling");
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
        cmocka_unit_test(reductions),    cmocka_unit_test(long_reductions),
        cmocka_unit_test(softmax),       cmocka_unit_test(row_norms),
        cmocka_unit_test(channel_norms), cmocka_unit_test(ordering),
        cmocka_unit_test(pools),         cmocka_unit_test(cumulative_sums),
        cmocka_unit_test(global_pools),  cmocka_unit_test(resize),
        cmocka_unit_test(sampling),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
