/* SPDX-License-Identifier: Apache-2.0
 *
 * What cuda's ordinary-arithmetic kernels and cuBLASLt do beyond test_conv_f32 and test_conv_q8: f16
 * storage, depthwise layers of every window that has its own kernel, sums split over the device,
 * epilogues over products, 8-bit operands both computed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase.h"

#define F16_TOLERANCE 2e-3 /* of the largest value */
#define F32_TOLERANCE 1e-5

typedef struct layer {
    int batch, ic, oc, group, h, w, kernel, stride, pad;
} layer;

typedef struct epilogue {
    oct_act act;
    float a, b;
    bool bias, residual, second;
} epilogue;

static oct_attr_window window_of(const layer *l, oct_op op)
{
    oct_attr_window at;
    memset(&at, 0, sizeof at);
    oct_op_attr_defaults(op, &at);
    at.n_stride = 2;
    at.n_pad = 4;
    at.group = l->group;
    for (int i = 0; i < 4; i++) {
        at.stride[i % 2] = l->stride;
        at.pad[i] = l->pad;
    }
    return at;
}

static bool is_8bit(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

static double tolerance_of(oct_dtype dt)
{
    return dt == OCT_DT_F16 ? F16_TOLERANCE : F32_TOLERANCE;
}

static void add_operand(kcase *k, oct_dtype dt, oct_shape s, bool constant, float scale, int zero)
{
    kc_tensor *t = kc_in(k, dt, s, is_8bit(dt) ? KC_INTS : KC_NORMAL);
    if (constant)
        kc_const(t);
    if (is_8bit(dt))
        kc_quant(k, t, scale, zero);
}

/* Output and what is added to it; `spread`: about the standard deviation of the sums. */
static void add_rest(kcase *k, oct_dtype dt, int oc, const epilogue *e, float spread)
{
    if (e->bias)
        kc_const(kc_in_f32(k, kc_shape(1, oc), KC_NORMAL));
    else if (e->residual)
        kc_absent(k);
    kc_tensor *y = kc_out(k, dt);
    if (is_8bit(dt))
        kc_quant(k, y, spread / 48.0f, dt == OCT_DT_U8 ? 110 : -4);
    const oct_shape shape = y->desc.shape;
    if (e->residual) {
        add_operand(k, dt, shape, false, spread / 64.0f, dt == OCT_DT_U8 ? 99 : 3);
        k->epilogue.residual = k->n_in - 1;
    }
    if (e->second)
        kc_out(k, OCT_DT_F32);
    k->epilogue.act = e->act;
    k->epilogue.a = e->a;
    k->epilogue.b = e->b;
}

static void conv_case(oct_op op, const layer *l, oct_dtype dt, const epilogue *e)
{
    const oct_attr_window at = window_of(l, op);
    const bool turned = op == OCT_OP_CONV_TRANSPOSE;
    const int taps = l->ic / l->group * l->kernel * l->kernel;
    float root = 1.0f;
    while (root * root < (float)taps)
        root += 1.0f;
    kcase k;
    kc_begin(&k, op, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    add_operand(&k, dt, kc_shape(4, l->batch, l->ic, l->h, l->w), false, 0.02f,
                dt == OCT_DT_U8 ? 120 : -9);
    add_operand(&k, is_8bit(dt) ? OCT_DT_S8 : dt,
                turned ? kc_shape(4, l->ic, l->oc / l->group, l->kernel, l->kernel)
                       : kc_shape(4, l->oc, l->ic / l->group, l->kernel, l->kernel),
                true, 0.01f, 0);
    add_rest(&k, dt, l->oc, e, 0.02f * 0.01f * 74.0f * 74.0f * root);
    kc_check(&k, tolerance_of(dt));
}

static const oct_dtype types[] = {OCT_DT_F32, OCT_DT_F16, OCT_DT_S8, OCT_DT_U8};

static const epilogue epilogues[] = {
    {OCT_ACT_NONE, 0, 0, false, false, false},      {OCT_ACT_RELU, 0, 0, true, false, false},
    {OCT_ACT_CLIP, -0.5f, 1.5f, true, true, false}, {OCT_ACT_SWISH, 1.0f, 0, true, false, false},
    {OCT_ACT_HARD_SWISH, 0, 0, true, true, false},  {OCT_ACT_RELU, 0, 0, false, true, true},
    {OCT_ACT_SIGMOID, 0, 0, true, false, false},    {OCT_ACT_GELU, 0, 0, true, false, false},
};

enum { N_EPILOGUES = sizeof epilogues / sizeof epilogues[0] };

/* Those that the rolling kernels have of their own. */
static const epilogue brief[] = {
    {OCT_ACT_HARD_SWISH, 0, 0, true, false, false},
    {OCT_ACT_CLIP, -0.4f, 1.2f, true, false, false},
};

static void depthwise_layers_agree_with_ref(void **state)
{
    static const layer layers[] = {
        {2, 32, 32, 32, 15, 16, 3, 1, 1}, {1, 40, 40, 40, 17, 14, 3, 2, 1},
        {2, 24, 24, 24, 7, 7, 5, 1, 2},   {1, 64, 64, 64, 14, 15, 5, 2, 2},
        {1, 12, 12, 12, 9, 23, 7, 1, 3},  {1, 21, 21, 21, 8, 9, 3, 1, 1},
        {3, 8, 8, 8, 3, 2, 3, 1, 1},      {1, 4, 4, 4, 1, 1, 5, 1, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int t = 0; t < 4; t++)
            for (int e = 0; e < N_EPILOGUES + 2; e++)
                conv_case(OCT_OP_CONV, &layers[i], types[t],
                          e < N_EPILOGUES ? &epilogues[e] : &brief[e - N_EPILOGUES]);
    kc_totals("depthwise");
}

/* Large enough for threads of the rolling kernels to make strips of many rows. */
static void tall_depthwise_layers_agree_with_ref(void **state)
{
    static const layer layers[] = {
        {16, 512, 512, 512, 400, 4, 3, 1, 1},
        {16, 512, 512, 512, 403, 9, 3, 2, 1},
        {8, 512, 512, 512, 401, 7, 5, 1, 2},
        {8, 512, 512, 512, 400, 11, 5, 2, 2},
    };
    static const oct_dtype which[][2] = {{OCT_DT_S8, OCT_DT_F16}, {OCT_DT_F16, OCT_DT_U8}};
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int t = 0; t < 2; t++)
            conv_case(OCT_OP_CONV, &layers[i], which[i % 2][t], &epilogues[1]);
    kc_totals("tall depthwise");
}

static void f16_convolutions_agree_with_ref(void **state)
{
    static const layer layers[] = {
        {1, 3, 16, 1, 17, 19, 7, 2, 3},
        {1, 20, 33, 1, 9, 8, 3, 1, 1},
        {1, 64, 64, 1, 8, 8, 1, 1, 0},
        {1, 24, 36, 3, 7, 7, 3, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int e = 0; e < N_EPILOGUES; e++)
            conv_case(OCT_OP_CONV, &layers[i], OCT_DT_F16, &epilogues[e]);
    kc_totals("conv f16");
}

/* Few outputs and long sums: split over the device; every tile. */
static void split_sums_agree_with_ref(void **state)
{
    static const layer layers[] = {
        {1, 512, 64, 1, 7, 7, 3, 1, 1},   {1, 256, 130, 1, 5, 4, 3, 1, 1},
        {4, 64, 256, 1, 28, 28, 1, 1, 0}, {8, 32, 128, 1, 40, 40, 3, 1, 1},
        {2, 1024, 32, 1, 3, 3, 1, 1, 0},  {8, 4, 128, 1, 40, 40, 3, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int t = 0; t < 3; t += 2)
            for (int e = 1; e < 6; e += 2)
                conv_case(OCT_OP_CONV, &layers[i], types[t], &epilogues[e]);
    kc_totals("conv, long sums");
}

static void transposed_f16_agrees_with_ref(void **state)
{
    static const layer layers[] = {
        {1, 16, 24, 1, 6, 5, 2, 2, 0}, {2, 12, 8, 4, 4, 7, 4, 2, 1}, {1, 5, 6, 1, 3, 4, 2, 3, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int e = 0; e < N_EPILOGUES; e++)
            conv_case(OCT_OP_CONV_TRANSPOSE, &layers[i], OCT_DT_F16, &epilogues[e]);
    kc_totals("conv transpose f16");
}

static void product_case(oct_dtype dt, int m, int n, int kk, bool constant, const epilogue *e)
{
    kcase k;
    kc_begin(&k, OCT_OP_MATMUL, NULL);
    add_operand(&k, dt, kc_shape(2, m, kk), false, 0.02f, 17);
    add_operand(&k, dt, kc_shape(2, kk, n), constant, 0.01f, dt == OCT_DT_U8 ? 131 : 0);
    add_rest(&k, dt, n, e, 0.02f * 0.01f * 74.0f * 74.0f * 8.0f);
    kc_check(&k, tolerance_of(dt));
}

static void products_take_every_epilogue(void **state)
{
    static const int mnk[][3] = {{5, 64, 32}, {33, 70, 65}, {128, 96, 48}, {1, 1000, 256}};
    (void)state;
    for (size_t i = 0; i < sizeof mnk / sizeof mnk[0]; i++)
        for (int t = 0; t < 4; t++)
            for (int e = 0; e < N_EPILOGUES; e++)
                product_case(types[t], mnk[i][0], mnk[i][1], mnk[i][2], e % 2, &epilogues[e]);
    kc_totals("products, epilogues");
}

/* C in every broadcast form, alpha and beta, both transposes. */
static void gemm_adds_any_c(void **state)
{
    const oct_shape c[] = {kc_shape(1, 20), kc_shape(2, 12, 20), kc_shape(2, 12, 1),
                           kc_shape(2, 1, 20), kc_shape(1, 1)};
    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof c[0]; i++)
        for (int v = 0; v < 16; v++)
            for (int t = 0; t < 2; t++) {
                const oct_attr_gemm at = {v & 4 ? 0.5f : 1.0f, v & 8 ? 2.0f : 1.0f, v & 1,
                                          (v & 2) != 0};
                kcase k;
                kc_begin(&k, OCT_OP_GEMM, &at);
                kc_in(&k, types[t], at.trans_a ? kc_shape(2, 9, 12) : kc_shape(2, 12, 9),
                      KC_NORMAL);
                kc_in(&k, types[t], at.trans_b ? kc_shape(2, 20, 9) : kc_shape(2, 9, 20),
                      KC_NORMAL);
                kc_const(kc_in(&k, types[t], c[i], KC_NORMAL));
                kc_out(&k, types[t]);
                k.epilogue.act = v % 3 ? OCT_ACT_RELU : OCT_ACT_TANH;
                kc_check(&k, tolerance_of(types[t]));
            }
    kc_totals("gemm, C");
}

static void computed_8bit_products_agree_with_ref(void **state)
{
    static const oct_dtype pairs[][2] = {
        {OCT_DT_S8, OCT_DT_S8}, {OCT_DT_U8, OCT_DT_U8}, {OCT_DT_U8, OCT_DT_S8}};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int shared = 0; shared < 2; shared++) {
            kcase k;
            kc_begin(&k, OCT_OP_MATMUL, NULL);
            add_operand(&k, pairs[i][0], kc_shape(4, 2, 3, 17, 40), false, 0.02f, 5);
            add_operand(&k, pairs[i][1],
                        shared ? kc_shape(3, 3, 40, 19) : kc_shape(4, 2, 3, 40, 19), false, 0.01f,
                        pairs[i][1] == OCT_DT_U8 ? 77 : -3);
            kc_quant(&k, kc_out(&k, OCT_DT_S8), 0.15f, 2);
            kc_check(&k, F32_TOLERANCE);
        }
    kc_totals("computed products int8");
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
        cmocka_unit_test(depthwise_layers_agree_with_ref),
        cmocka_unit_test(tall_depthwise_layers_agree_with_ref),
        cmocka_unit_test(f16_convolutions_agree_with_ref),
        cmocka_unit_test(split_sums_agree_with_ref),
        cmocka_unit_test(transposed_f16_agrees_with_ref),
        cmocka_unit_test(products_take_every_epilogue),
        cmocka_unit_test(gemm_adds_any_c),
        cmocka_unit_test(computed_8bit_products_agree_with_ref),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
