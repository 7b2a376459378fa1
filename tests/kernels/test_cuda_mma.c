/* SPDX-License-Identifier: Apache-2.0
 *
 * Every finish of cuda's tensor-core kernels (cuda_mma.h) in every tile against `ref`: 8-bit and
 * f16 operands to 8 bits, f16 and f32, after every activation, with residuals, for convolutions
 * and products larger than a tile, that end inside one, and that are not aligned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/op_schema.h"
#include "tests/kernels/kcase.h"

#define F16_TOLERANCE 1.5e-3 /* of the largest value; sums of f16 products in any order */
#define F32_TOLERANCE 1e-5

typedef struct layer {
    int batch, ic, oc, group, size, kernel, stride, pad;
} layer;

static const layer layers[] = {{1, 64, 160, 1, 14, 1, 1, 0}, {2, 32, 96, 1, 15, 3, 2, 1},
                               {1, 144, 24, 1, 13, 1, 1, 0}, {1, 24, 40, 1, 9, 3, 1, 1},
                               {1, 3, 32, 1, 33, 3, 2, 1},   {1, 16, 33, 1, 11, 1, 1, 0},
                               {2, 48, 96, 2, 7, 3, 1, 1},   {1, 256, 272, 1, 5, 1, 1, 0}};

enum { N_LAYERS = sizeof layers / sizeof layers[0] };

typedef struct types {
    oct_dtype x, y, residual; /* residual: NONE for none */
} types;

#define NONE OCT_DT_NONE

static const types kinds[] = {
    {OCT_DT_S8, OCT_DT_S8, NONE},         {OCT_DT_S8, OCT_DT_S8, OCT_DT_S8},
    {OCT_DT_S8, OCT_DT_U8, NONE},         {OCT_DT_S8, OCT_DT_F16, NONE},
    {OCT_DT_S8, OCT_DT_F16, OCT_DT_F16},  {OCT_DT_S8, OCT_DT_F32, NONE},
    {OCT_DT_S8, OCT_DT_F32, OCT_DT_F32},  {OCT_DT_F16, OCT_DT_F16, NONE},
    {OCT_DT_F16, OCT_DT_F16, OCT_DT_F16}, {OCT_DT_S8, OCT_DT_F16, OCT_DT_S8},
    {OCT_DT_U8, OCT_DT_U8, NONE},
};

enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static bool is_8bit(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

static float parameter(oct_act act)
{
    return act == OCT_ACT_SWISH || act == OCT_ACT_ELU ? 1.0f : act == OCT_ACT_CLIP ? -0.3f : 0.2f;
}

static float root_of(int terms)
{
    float root = 1.0f;
    while (root * root < (float)terms)
        root += 1.0f;
    return root;
}

/* Values before the activation are spread by about 2 in both kinds of operands. */
static void add_operands(kcase *k, const types *t, oct_shape x, oct_shape w, int axis, int terms)
{
    const bool integer = is_8bit(t->x);
    kc_tensor *in = kc_in(k, t->x, x, integer ? KC_INTS : KC_NORMAL);
    kc_tensor *weights =
        kc_const(kc_in(k, integer ? OCT_DT_S8 : t->x, w, integer ? KC_INTS : KC_SMALL));
    if (!integer)
        return;
    kc_quant(k, in, 0.02f, t->x == OCT_DT_U8 ? 120 : 0);
    kc_quant_axis(k, weights, 2.0f / (0.02f * 74.0f * 74.0f * root_of(terms)), axis);
}

static void add_rest(kcase *k, const types *t, int columns, oct_act act)
{
    kc_const(kc_in_f32(k, kc_shape(1, columns), KC_NORMAL));
    kc_tensor *y = kc_out(k, t->y);
    const oct_shape shape = y->desc.shape;
    if (is_8bit(t->y))
        kc_quant(k, y, 0.037f, t->y == OCT_DT_U8 ? 60 : 0);
    if (t->residual != OCT_DT_NONE) {
        kc_tensor *r = kc_in(k, t->residual, shape, is_8bit(t->residual) ? KC_INTS : KC_NORMAL);
        if (is_8bit(t->residual))
            kc_quant(k, r, 0.011f, -3);
        k->epilogue.residual = k->n_in - 1;
    }
    k->epilogue.act = act;
    k->epilogue.a = parameter(act);
    k->epilogue.b = 0.5f;
    kc_check(k, t->y == OCT_DT_F16 ? F16_TOLERANCE : F32_TOLERANCE);
}

static void conv_case(const layer *l, const types *t, oct_act act)
{
    oct_attr_window at;
    memset(&at, 0, sizeof at);
    oct_op_attr_defaults(OCT_OP_CONV, &at);
    at.n_stride = 2;
    at.n_pad = 4;
    at.group = l->group;
    for (int i = 0; i < 4; i++) {
        at.stride[i % 2] = l->stride;
        at.pad[i] = l->pad;
    }
    kcase k;
    kc_begin(&k, OCT_OP_CONV, &at);
    k.layout = OCT_LAYOUT_CHANNELS_LAST;
    const int ic = l->ic / l->group;
    add_operands(&k, t, kc_shape(4, l->batch, l->ic, l->size, l->size),
                 kc_shape(4, l->oc, ic, l->kernel, l->kernel), 0, ic * l->kernel * l->kernel);
    add_rest(&k, t, l->oc, act);
}

static void product_case(int m, int n, int depth, const types *t, oct_act act)
{
    kcase k;
    kc_begin(&k, OCT_OP_MATMUL, NULL);
    add_operands(&k, t, kc_shape(2, m, depth), kc_shape(2, depth, n), 1, depth);
    add_rest(&k, t, n, act);
}

static void every_finish_agrees_with_ref(void **state)
{
    (void)state;
    for (int act = OCT_ACT_NONE; act < OCT_ACT_COUNT; act++)
        for (int t = 0; t < N_KINDS; t++)
            for (int i = act % 2; i < N_LAYERS; i += 2)
                conv_case(&layers[i], &kinds[t], (oct_act)act);
    kc_totals("tensor-core convolutions");
}

static void products_agree_with_ref(void **state)
{
    static const oct_act acts[] = {OCT_ACT_NONE, OCT_ACT_GELU, OCT_ACT_SWISH};
    static const int mnk[][3] = {{197, 304, 192}, {130, 65, 40}, {3, 264, 768}, {257, 128, 17}};
    (void)state;
    for (int a = 0; a < 3; a++)
        for (int t = 0; t < N_KINDS; t++)
            for (int i = 0; i < 4; i++)
                product_case(mnk[i][0], mnk[i][1], mnk[i][2], &kinds[t], acts[a]);
    kc_totals("tensor-core products");
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
        cmocka_unit_test(every_finish_agrees_with_ref),
        cmocka_unit_test(products_agree_with_ref),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
