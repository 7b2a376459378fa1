/* SPDX-License-Identifier: Apache-2.0
 *
 * Convolutions and matrix products in f32: every candidate of `cpu` against `ref`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase.h"

#define TOLERANCE 2e-6 /* of the largest value */

typedef struct conv_shape {
    int batch, ic, oc, group, h, w, kh, kw, stride, dilation, pad;
} conv_shape;

static oct_attr_window window_of(const conv_shape *s, oct_op op)
{
    oct_attr_window at;
    memset(&at, 0, sizeof at);
    oct_op_attr_defaults(op, &at);
    at.n_stride = at.n_dilation = 2;
    at.n_pad = 4;
    for (int i = 0; i < 2; i++) {
        at.stride[i] = s->stride;
        at.dilation[i] = s->dilation;
    }
    for (int i = 0; i < 4; i++)
        at.pad[i] = s->pad;
    at.group = s->group;
    return at;
}

static const conv_shape shapes[] = {
    {1, 3, 8, 1, 9, 11, 3, 3, 1, 1, 1},    {2, 3, 33, 1, 15, 13, 7, 7, 2, 1, 3},
    {1, 16, 16, 1, 8, 8, 1, 1, 1, 1, 0},   {1, 17, 31, 1, 7, 5, 1, 1, 1, 1, 0},
    {3, 32, 48, 1, 6, 6, 3, 3, 1, 1, 1},   {1, 64, 70, 1, 12, 12, 3, 3, 2, 1, 1},
    {1, 8, 8, 8, 10, 10, 3, 3, 1, 1, 1},   {2, 37, 37, 37, 9, 8, 3, 3, 2, 1, 1},
    {1, 24, 24, 24, 9, 9, 5, 5, 1, 1, 2},  {1, 16, 32, 16, 7, 7, 3, 3, 1, 1, 1},
    {1, 20, 30, 5, 8, 8, 3, 3, 1, 1, 1},   {1, 5, 7, 1, 13, 13, 3, 3, 1, 3, 2},
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0},     {1, 4, 1, 1, 6, 6, 4, 2, 2, 1, 0},
    {1, 48, 12, 1, 14, 14, 1, 1, 2, 1, 0}, {1, 130, 65, 1, 4, 4, 3, 3, 1, 1, 1},
};

static void conv_case(const conv_shape *s, oct_act act, bool bias, bool residual)
{
    const oct_attr_window at = window_of(s, OCT_OP_CONV);
    kcase k;
    kc_begin(&k, OCT_OP_CONV, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    k.epilogue.act = act;
    k.epilogue.a = act == OCT_ACT_CLIP ? -0.5f : 0.2f;
    k.epilogue.b = act == OCT_ACT_CLIP ? 1.5f : 0.5f;
    if (act == OCT_ACT_SWISH)
        k.epilogue.a = 1.0f;
    kc_in_f32(&k, kc_shape(4, s->batch, s->ic, s->h, s->w), KC_NORMAL);
    kc_const(kc_in_f32(&k, kc_shape(4, s->oc, s->ic / s->group, s->kh, s->kw), KC_SMALL));
    if (bias)
        kc_const(kc_in_f32(&k, kc_shape(1, s->oc), KC_NORMAL));
    else if (residual)
        kc_absent(&k);
    kc_tensor *y = kc_out(&k, OCT_DT_F32);
    if (residual) {
        const oct_shape shape = y->desc.shape;
        kc_in_f32(&k, shape, KC_NORMAL);
        k.epilogue.residual = k.n_in - 1;
    }
    kc_check(&k, TOLERANCE * 4);
}

static void convolutions_agree_with_ref(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        conv_case(&shapes[i], OCT_ACT_NONE, i % 2 == 0, false);
        conv_case(&shapes[i], OCT_ACT_RELU, true, true);
    }
    kc_totals("conv");
}

/* Sizes at which 3x3 convolutions are done by tiles: odd ones, tails of channels, several blocks,
 * each kind of padding. */
static void winograd_agrees_with_ref(void **state)
{
    static const conv_shape cases[] = {
        {1, 32, 32, 1, 14, 14, 3, 3, 1, 1, 1}, {1, 37, 45, 1, 13, 15, 3, 3, 1, 1, 1},
        {2, 64, 33, 1, 11, 12, 3, 3, 1, 1, 0}, {3, 33, 64, 1, 8, 9, 3, 3, 1, 1, 2},
        {1, 40, 96, 1, 31, 29, 3, 3, 1, 1, 1}, {1, 256, 48, 1, 14, 14, 3, 3, 1, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        conv_case(&cases[i], OCT_ACT_NONE, i % 2 == 0, false);
        conv_case(&cases[i], OCT_ACT_RELU, true, true);
        if (cases[i].ic <= 64) /* the tolerance is one of the sums, which a clip hides */
            conv_case(&cases[i], OCT_ACT_CLIP, false, i % 2 == 0);
    }
    kc_totals("conv by tiles");
}

static void every_activation_fuses_into_a_convolution(void **state)
{
    (void)state;
    for (int act = OCT_ACT_RELU; act < OCT_ACT_COUNT; act++) {
        conv_case(&shapes[1], (oct_act)act, true, false);
        conv_case(&shapes[4], (oct_act)act, true, true);
        conv_case(&shapes[7], (oct_act)act, false, true);
    }
    kc_totals("conv + activation");
}

static void transposed_convolutions_agree_with_ref(void **state)
{
    static const conv_shape cases[] = {
        {1, 8, 6, 1, 5, 7, 2, 2, 2, 1, 0},    {2, 16, 16, 1, 4, 4, 4, 4, 2, 1, 1},
        {1, 12, 20, 4, 6, 5, 3, 3, 2, 1, 1},  {1, 5, 33, 1, 3, 3, 3, 3, 1, 2, 1},
        {1, 24, 24, 24, 5, 5, 4, 4, 2, 1, 1}, {1, 1, 1, 1, 2, 3, 3, 3, 3, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const conv_shape *s = &cases[i];
        oct_attr_window at = window_of(s, OCT_OP_CONV_TRANSPOSE);
        if (i % 2) {
            at.n_output_padding = 2;
            at.output_padding[0] = at.output_padding[1] = s->stride - 1;
        }
        kcase k;
        kc_begin(&k, OCT_OP_CONV_TRANSPOSE, &at);
        k.layout = OCT_LAYOUT_CHANNELS_LAST;
        k.epilogue.act = i % 3 == 0 ? OCT_ACT_RELU : OCT_ACT_NONE;
        kc_in_f32(&k, kc_shape(4, s->batch, s->ic, s->h, s->w), KC_NORMAL);
        kc_const(kc_in_f32(&k, kc_shape(4, s->ic, s->oc / s->group, s->kh, s->kw), KC_NORMAL));
        if (i % 2 == 0)
            kc_const(kc_in_f32(&k, kc_shape(1, s->oc), KC_NORMAL));
        kc_out(&k, OCT_DT_F32);
        kc_check(&k, TOLERANCE * 4);
    }
    kc_totals("conv transpose");
}

static void one_and_three_spatial_axes_agree_with_ref(void **state)
{
    (void)state;
    oct_attr_window at;
    memset(&at, 0, sizeof at);
    oct_op_attr_defaults(OCT_OP_CONV, &at);
    at.auto_pad = OCT_PAD_SAME_UPPER;
    at.group = 1;
    kcase k;
    kc_begin(&k, OCT_OP_CONV, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    kc_in_f32(&k, kc_shape(3, 2, 6, 19), KC_NORMAL);
    kc_const(kc_in_f32(&k, kc_shape(3, 10, 6, 4), KC_NORMAL));
    kc_out(&k, OCT_DT_F32);
    kc_check(&k, TOLERANCE * 4);
    kc_begin(&k, OCT_OP_CONV, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    kc_in_f32(&k, kc_shape(5, 1, 6, 4, 5, 6), KC_NORMAL);
    kc_const(kc_in_f32(&k, kc_shape(5, 9, 6, 3, 2, 3), KC_NORMAL));
    kc_out(&k, OCT_DT_F32);
    kc_check(&k, TOLERANCE * 4);
    kc_totals("conv 1d, 3d");
}

static void products_agree_with_ref(void **state)
{
    static const int mnk[][3] = {{1, 1, 1},    {1, 1000, 64}, {7, 33, 12}, {12, 32, 16},
                                 {13, 31, 17}, {64, 48, 130}, {3, 5, 300}, {197, 96, 40}};
    (void)state;
    for (size_t i = 0; i < sizeof mnk / sizeof mnk[0]; i++) {
        const int m = mnk[i][0], n = mnk[i][1], kk = mnk[i][2];
        for (int variant = 0; variant < 8; variant++) {
            oct_attr_gemm at = {1.0f, 1.0f, false, (variant & 1) != 0};
            if (variant & 2)
                at.alpha = 0.5f, at.beta = 2.0f;
            kcase k;
            kc_begin(&k, OCT_OP_GEMM, &at);
            k.epilogue.act = variant == 5 ? OCT_ACT_GELU : OCT_ACT_NONE;
            kc_in_f32(&k, kc_shape(2, m, kk), KC_NORMAL);
            kc_tensor *b =
                kc_in_f32(&k, at.trans_b ? kc_shape(2, n, kk) : kc_shape(2, kk, n), KC_NORMAL);
            if (variant & 4)
                kc_const(b);
            kc_const(kc_in_f32(&k, kc_shape(1, n), KC_NORMAL));
            kc_out(&k, OCT_DT_F32);
            kc_check(&k, TOLERANCE * 4);
        }
    }
    kc_totals("gemm");
}

static void batched_products_broadcast_as_in_ref(void **state)
{
    (void)state;
    const oct_shape pairs[][2] = {
        {kc_shape(3, 4, 9, 8), kc_shape(3, 4, 8, 7)},
        {kc_shape(4, 2, 3, 5, 6), kc_shape(4, 2, 3, 6, 33)},
        {kc_shape(4, 2, 1, 5, 6), kc_shape(3, 3, 6, 4)},
        {kc_shape(3, 4, 9, 8), kc_shape(2, 8, 17)},
        {kc_shape(2, 9, 8), kc_shape(3, 5, 8, 17)},
        {kc_shape(1, 8), kc_shape(3, 5, 8, 17)},
        {kc_shape(3, 5, 9, 8), kc_shape(1, 8)},
        {kc_shape(1, 8), kc_shape(1, 8)},
        {kc_shape(3, 12, 50, 64), kc_shape(3, 12, 64, 50)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (int constant = 0; constant < 2; constant++) {
            kcase k;
            kc_begin(&k, OCT_OP_MATMUL, NULL);
            kc_in_f32(&k, pairs[i][0], KC_NORMAL);
            kc_tensor *b = kc_in_f32(&k, pairs[i][1], KC_NORMAL);
            if (constant)
                kc_const(b);
            kc_out(&k, OCT_DT_F32);
            kc_check(&k, TOLERANCE * 4);
        }
    }
    kc_totals("matmul");
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
        cmocka_unit_test(convolutions_agree_with_ref),
        cmocka_unit_test(winograd_agrees_with_ref),
        cmocka_unit_test(every_activation_fuses_into_a_convolution),
        cmocka_unit_test(transposed_convolutions_agree_with_ref),
        cmocka_unit_test(one_and_three_spatial_axes_agree_with_ref),
        cmocka_unit_test(products_agree_with_ref),
        cmocka_unit_test(batched_products_broadcast_as_in_ref),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
