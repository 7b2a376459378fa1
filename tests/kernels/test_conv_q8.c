/* SPDX-License-Identifier: Apache-2.0
 *
 * 8-bit convolutions and products: every candidate of `cpu` against `ref`. s32 outputs must be
 * equal, 8-bit ones at most 1 apart on at most 1 in 10,000 elements.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase.h"

typedef struct conv_shape {
    int batch, ic, oc, group, h, w, kernel, stride, dilation, pad;
} conv_shape;

static const conv_shape shapes[] = {
    {1, 3, 8, 1, 9, 11, 3, 1, 1, 1},     {2, 3, 33, 1, 15, 13, 7, 2, 1, 3},
    {1, 16, 16, 1, 8, 8, 1, 1, 1, 0},    {1, 17, 31, 1, 7, 5, 1, 1, 1, 0},
    {3, 32, 48, 1, 6, 6, 3, 1, 1, 1},    {1, 64, 70, 1, 12, 12, 3, 2, 1, 1},
    {1, 8, 8, 8, 10, 10, 3, 1, 1, 1},    {2, 37, 37, 37, 9, 8, 3, 2, 1, 1},
    {1, 24, 24, 24, 9, 9, 5, 1, 1, 2},   {1, 16, 32, 16, 7, 7, 3, 1, 1, 1},
    {1, 20, 30, 5, 8, 8, 3, 1, 1, 1},    {1, 5, 7, 1, 13, 13, 3, 1, 3, 2},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 0},      {1, 48, 12, 1, 14, 14, 1, 2, 1, 0},
    {1, 132, 65, 1, 4, 4, 3, 1, 1, 1},   {1, 32, 32, 2, 9, 9, 3, 1, 1, 1},
    {1, 8, 40, 1, 41, 37, 3, 1, 1, 1},   {2, 12, 24, 1, 23, 17, 1, 1, 1, 0},
    {1, 32, 32, 32, 19, 30, 3, 1, 1, 1}, {2, 144, 144, 144, 12, 9, 3, 2, 1, 1},
    {1, 5, 5, 5, 11, 40, 7, 1, 1, 3},    {1, 96, 96, 96, 16, 13, 5, 2, 1, 2},
    {1, 64, 64, 64, 10, 10, 3, 1, 2, 2}, {2, 40, 40, 40, 7, 7, 5, 1, 1, 2},
    {1, 6, 80, 1, 30, 31, 5, 2, 1, 2},   {2, 64, 33, 1, 20, 20, 3, 1, 2, 2},
    {1, 3, 16, 1, 33, 57, 3, 2, 1, 1},   {1, 96, 132, 3, 17, 16, 3, 1, 1, 0},
    {2, 10, 6, 2, 16, 15, 1, 2, 1, 0},   {1, 4, 64, 1, 3, 5, 3, 1, 1, 2},
};

enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct style { /* types and zero points of one quantization style */
    oct_dtype x, w, y;
    int x_zero, y_zero, w_zero;
    bool per_channel;
} style;

static const style styles[] = {
    {OCT_DT_S8, OCT_DT_S8, OCT_DT_S8, 0, 0, 0, true},
    {OCT_DT_U8, OCT_DT_S8, OCT_DT_U8, 0, 0, 0, true},
    {OCT_DT_U8, OCT_DT_S8, OCT_DT_U8, 131, 97, 0, false},
    {OCT_DT_S8, OCT_DT_S8, OCT_DT_S8, -17, 5, 0, true},
    {OCT_DT_U8, OCT_DT_U8, OCT_DT_U8, 128, 120, 128, false},
    {OCT_DT_U8, OCT_DT_U8, OCT_DT_S8, 7, -9, 93, false},
    {OCT_DT_S8, OCT_DT_S8, OCT_DT_F32, 3, 0, 0, true},
    {OCT_DT_U8, OCT_DT_S8, OCT_DT_S32, 100, 0, 0, true},
};

enum { N_STYLES = sizeof styles / sizeof styles[0] };

typedef struct extra {
    oct_act act;
    oct_dtype bias, residual; /* NONE for none */
    bool second;              /* a second, f32 output */
    bool extremes;
} extra;

static void add_operands(kcase *k, const style *s, oct_shape x, oct_shape w, int w_axis, int oc,
                         const extra *e)
{
    const kc_fill fill = e->extremes ? KC_EXTREMES : KC_INTS;
    kc_quant(k, kc_in(k, s->x, x, fill), 0.03f, s->x_zero);
    kc_tensor *weights = kc_const(kc_in(k, s->w, w, fill));
    if (s->per_channel)
        kc_quant_axis(k, weights, 0.01f, w_axis);
    else
        kc_quant(k, weights, 0.01f, s->w_zero);
    if (e->bias != OCT_DT_NONE)
        kc_const(kc_in(k, e->bias, kc_shape(1, oc), KC_NORMAL));
    else if (e->residual != OCT_DT_NONE)
        kc_absent(k);
}

/* A scale that lets about 1 value in 20 saturate: sums grow with the root of their length. */
static float output_scale(int terms, bool extremes)
{
    float root = 1.0f;
    while (root * root < (float)terms)
        root += 1.0f;
    return 0.03f * 0.01f * 74.0f * 74.0f * root / 64.0f * (extremes ? 3.0f : 1.0f);
}

static void add_outputs(kcase *k, const style *s, int terms, const extra *e)
{
    const float scale = output_scale(terms, e->extremes);
    kc_tensor *y = kc_out(k, s->y);
    if (s->y == OCT_DT_S8 || s->y == OCT_DT_U8)
        kc_quant(k, y, scale, s->y_zero);
    const oct_shape shape = y->desc.shape;
    if (e->residual != OCT_DT_NONE && s->y != OCT_DT_S32) {
        kc_tensor *r = kc_in(k, e->residual, shape, KC_NORMAL);
        if (e->residual != OCT_DT_F32)
            kc_quant(k, r, scale * 0.8f, e->residual == OCT_DT_U8 ? 100 : -3);
        k->epilogue.residual = k->n_in - 1;
    }
    if (e->second)
        kc_out(k, OCT_DT_F32);
}

static void conv_case(oct_op op, const conv_shape *c, const style *s, const extra *e)
{
    oct_attr_window at;
    memset(&at, 0, sizeof at);
    oct_op_attr_defaults(op, &at);
    at.n_stride = at.n_dilation = 2;
    at.n_pad = 4;
    at.group = c->group;
    for (int i = 0; i < 2; i++) {
        at.stride[i] = c->stride;
        at.dilation[i] = c->dilation;
        at.pad[i] = at.pad[i + 2] = c->pad;
    }
    kcase k;
    kc_begin(&k, op, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    k.epilogue.act = s->y == OCT_DT_S32 ? OCT_ACT_NONE : e->act;
    k.epilogue.a = e->act == OCT_ACT_CLIP ? -0.2f : e->act == OCT_ACT_SWISH ? 1.0f : 0.2f;
    k.epilogue.b = 1.5f;
    const bool t = op == OCT_OP_CONV_TRANSPOSE;
    const oct_shape w = t ? kc_shape(4, c->ic, c->oc / c->group, c->kernel, c->kernel)
                          : kc_shape(4, c->oc, c->ic / c->group, c->kernel, c->kernel);
    add_operands(&k, s, kc_shape(4, c->batch, c->ic, c->h, c->w), w, t, c->oc, e);
    add_outputs(&k, s, c->ic / c->group * c->kernel * c->kernel, e);
    kc_check(&k, 1e-5);
}

static void every_style_and_shape_agrees_with_ref(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++)
        for (int j = 0; j < N_STYLES; j++) {
            const extra e = {.bias = j % 3 == 0   ? OCT_DT_NONE
                                     : j % 3 == 1 ? OCT_DT_F32
                                                  : OCT_DT_S32,
                             .act = i % 2 ? OCT_ACT_RELU : OCT_ACT_NONE};
            conv_case(OCT_OP_CONV, &shapes[i], &styles[j], &e);
        }
    kc_totals("conv int8");
}

static void extreme_values_do_not_saturate_sums(void **state)
{
    (void)state;
    for (int j = 0; j < N_STYLES; j++) {
        const extra e = {.bias = OCT_DT_S32, .extremes = true};
        conv_case(OCT_OP_CONV, &shapes[1], &styles[j], &e);
        conv_case(OCT_OP_CONV, &shapes[4], &styles[j], &e);
        conv_case(OCT_OP_CONV, &shapes[7], &styles[j], &e);
        conv_case(OCT_OP_CONV, &shapes[14], &styles[j], &e);
    }
    kc_totals("conv int8, extremes");
}

static void residuals_and_second_outputs_agree_with_ref(void **state)
{
    static const oct_dtype residuals[] = {OCT_DT_S8, OCT_DT_U8, OCT_DT_F32};
    (void)state;
    for (int j = 0; j < N_STYLES; j++)
        for (int r = 0; r < 3; r++)
            for (int second = 0; second < 2; second++) {
                const extra e = {.bias = second ? OCT_DT_F32 : OCT_DT_NONE,
                                 .residual = residuals[r],
                                 .second = second && styles[j].y != OCT_DT_S32,
                                 .act = OCT_ACT_RELU};
                conv_case(OCT_OP_CONV, &shapes[4], &styles[j], &e);
                conv_case(OCT_OP_CONV, &shapes[7], &styles[j], &e);
                conv_case(OCT_OP_CONV, &shapes[3], &styles[j], &e);
            }
    kc_totals("conv int8 + residual");
}

static void every_activation_fuses(void **state)
{
    static const int which[] = {4, 16, 17, 19}; /* one dense, three depthwise */
    (void)state;
    for (int act = OCT_ACT_NONE; act < OCT_ACT_COUNT; act++)
        for (int j = 0; j < N_STYLES; j++) {
            const extra e = {.bias = OCT_DT_F32, .act = (oct_act)act};
            for (size_t i = 0; i < sizeof which / sizeof which[0]; i++)
                conv_case(OCT_OP_CONV, &shapes[which[i]], &styles[j], &e);
        }
    kc_totals("conv int8 + activation");
}

static void transposed_convolutions_agree_with_ref(void **state)
{
    static const conv_shape cases[] = {
        {1, 8, 6, 1, 5, 7, 2, 2, 1, 0},
        {2, 16, 16, 1, 4, 4, 4, 2, 1, 1},
        {1, 12, 20, 4, 6, 5, 3, 2, 1, 1},
        {1, 5, 33, 1, 3, 3, 3, 1, 2, 1},
    };
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < N_STYLES; j++) {
            const extra e = {.bias = OCT_DT_F32};
            conv_case(OCT_OP_CONV_TRANSPOSE, &cases[i], &styles[j], &e);
        }
    kc_totals("conv transpose int8");
}

static void products_agree_with_ref(void **state)
{
    static const int mnk[][3] = {{1, 1, 1},    {1, 1000, 64}, {7, 33, 12}, {12, 32, 16},
                                 {13, 31, 17}, {64, 48, 130}, {3, 5, 300}};
    (void)state;
    for (size_t i = 0; i < sizeof mnk / sizeof mnk[0]; i++)
        for (int j = 0; j < N_STYLES; j++)
            for (int gemm = 0; gemm < 2; gemm++) {
                const int m = mnk[i][0], n = mnk[i][1], kk = mnk[i][2];
                const oct_attr_gemm at = {1.0f, 1.0f, false, true};
                const extra e = {.bias = j % 2 ? OCT_DT_F32 : OCT_DT_NONE,
                                 .act = j % 3 ? OCT_ACT_RELU : OCT_ACT_NONE};
                kcase k;
                kc_begin(&k, gemm ? OCT_OP_GEMM : OCT_OP_MATMUL, gemm ? &at : NULL);
                k.epilogue.act = styles[j].y == OCT_DT_S32 ? OCT_ACT_NONE : e.act;
                add_operands(&k, &styles[j], kc_shape(2, m, kk),
                             gemm ? kc_shape(2, n, kk) : kc_shape(2, kk, n), !gemm, n, &e);
                add_outputs(&k, &styles[j], kk, &e);
                kc_check(&k, 1e-5);
            }
    kc_totals("products int8");
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
        cmocka_unit_test(every_style_and_shape_agrees_with_ref),
        cmocka_unit_test(extreme_values_do_not_saturate_sums),
        cmocka_unit_test(residuals_and_second_outputs_agree_with_ref),
        cmocka_unit_test(every_activation_fuses),
        cmocka_unit_test(transposed_convolutions_agree_with_ref),
        cmocka_unit_test(products_agree_with_ref),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
