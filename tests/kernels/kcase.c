/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a case: tensors, their random elements and quantization.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/numeric.h"
#include "engine/infer.h"
#include "tests/kernels/kcase_internal.h"

void kc_begin(kcase *k, oct_op op, const void *attr)
{
    static uint64_t seed = 1;
    memset(k, 0, sizeof *k);
    k->op = op;
    k->attr = attr;
    k->epilogue.residual = -1;
    k->rng.state = seed++ * 7919;
}

oct_shape kc_shape(int n_dims, ...)
{
    oct_shape s = {.n_dims = n_dims};
    va_list args;
    va_start(args, n_dims);
    for (int i = 0; i < n_dims; i++)
        s.dim[i] = va_arg(args, int);
    va_end(args);
    return s;
}

static float random_f32(oct_rng *r, kc_fill fill)
{
    if (fill == KC_POSITIVE)
        return 0.1f + 1.9f * oct_rng_f32(r);
    const float v = oct_rng_normal(r) * (fill == KC_SMALL ? 0.1f : 1.0f);
    if (fill != KC_WIDE)
        return v;
    return oct_rng_below(r, 16) == 0 ? 0.0f : v * powf(10.0f, 12.0f * oct_rng_f32(r) - 6.0f);
}

static int64_t random_int(oct_rng *r, kc_fill fill, int64_t lo, int64_t hi)
{
    if (fill == KC_EXTREMES && oct_rng_below(r, 8) != 0)
        return oct_rng_below(r, 2) ? lo : hi;
    return lo + (int64_t)oct_rng_below(r, (uint64_t)(hi - lo + 1));
}

static void fill_tensor(kcase *k, kc_tensor *t, kc_fill fill, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (t->desc.dtype) {
        case OCT_DT_F32:
            ((float *)t->data)[i] = random_f32(&k->rng, fill);
            break;
        case OCT_DT_F16:
            ((uint16_t *)t->data)[i] = oct_f16_from_f32(random_f32(&k->rng, fill));
            break;
        case OCT_DT_BOOL:
            ((uint8_t *)t->data)[i] = (uint8_t)oct_rng_below(&k->rng, 2);
            break;
        case OCT_DT_S64:
            ((int64_t *)t->data)[i] = random_int(&k->rng, KC_INTS, -5000, 5000);
            break;
        case OCT_DT_S8:
            ((int8_t *)t->data)[i] = (int8_t)random_int(&k->rng, fill, -128, 127);
            break;
        case OCT_DT_U8:
            ((uint8_t *)t->data)[i] = (uint8_t)random_int(&k->rng, fill, 0, 255);
            break;
        case OCT_DT_S32:
            ((int32_t *)t->data)[i] = (int32_t)random_int(&k->rng, KC_INTS, -5000, 5000);
            break;
        default:
            fail_msg("no filling for %s", oct_dtype_str(t->desc.dtype));
        }
    }
}

size_t kc_elems(const kc_tensor *t)
{
    size_t n = 0;
    assert_true(oct_shape_elems(&t->desc.shape, &n));
    return n;
}

size_t kc_bytes(const kc_tensor *t)
{
    return kc_elems(t) * oct_dtype_bytes(t->desc.dtype);
}

kc_tensor *kc_in(kcase *k, oct_dtype dt, oct_shape s, kc_fill fill)
{
    assert_true(k->n_in < KC_MAX);
    kc_tensor *t = &k->in[k->n_in++];
    t->desc = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
    t->data = malloc(kc_bytes(t) + 1);
    fill_tensor(k, t, fill, kc_elems(t));
    return t;
}

kc_tensor *kc_in_f32(kcase *k, oct_shape s, kc_fill fill)
{
    return kc_in(k, OCT_DT_F32, s, fill);
}

kc_tensor *kc_absent(kcase *k)
{
    return &k->in[k->n_in++];
}

kc_tensor *kc_const(kc_tensor *t)
{
    t->constant = t->fixed_layout = true;
    return t;
}

kc_tensor *kc_const_values(kcase *k, oct_dtype dt, oct_shape s, const void *values)
{
    kc_tensor *t = &k->in[k->n_in++];
    t->desc = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
    t->data = malloc(kc_bytes(t) + 1);
    memcpy(t->data, values, kc_bytes(t));
    return kc_const(t);
}

void kc_quant(kcase *k, kc_tensor *t, float scale, int zero_point)
{
    (void)k;
    t->qparams = malloc(sizeof *t->qparams);
    *t->qparams = (oct_qparams){scale, zero_point};
    t->quant = (oct_quant){t->qparams, 1, 0};
}

void kc_quant_axis(kcase *k, kc_tensor *t, float scale, int axis)
{
    const int n = (int)t->desc.shape.dim[axis];
    t->qparams = malloc(sizeof *t->qparams * (size_t)n);
    for (int i = 0; i < n; i++)
        t->qparams[i] = (oct_qparams){scale * powf(10.0f, oct_rng_f32(&k->rng) - 0.5f), 0};
    t->quant = (oct_quant){t->qparams, n, axis};
}

static int64_t no_symbols(void *user)
{
    (void)user;
    return OCT_DIM_SYMBOL(0);
}

kc_tensor *kc_out(kcase *k, oct_dtype dt)
{
    kc_tensor *t = &k->out[k->n_out++];
    if (k->n_out == 2) { /* a second form of output 0 */
        t->desc = oct_tensor_desc_make(dt, k->out[0].desc.shape, OCT_LAYOUT_ROW);
        return t;
    }
    oct_tensor in[KC_MAX];
    oct_tensor_desc out;
    int n_in = k->n_in;
    if (k->epilogue.residual == n_in - 1)
        n_in--;
    for (int i = 0; i < n_in; i++) {
        in[i].desc = k->in[i].desc;
        in[i].data = k->in[i].constant ? k->in[i].data : NULL;
        if (k->in[i].quant.n && (k->op == OCT_OP_CONV || k->op == OCT_OP_CONV_TRANSPOSE ||
                                 k->op == OCT_OP_GEMM || k->op == OCT_OP_MATMUL))
            in[i].desc.dtype = OCT_DT_F32; /* inference knows real-valued forms */
        else if (k->in[i].quant.n)
            in[i].desc.dtype = OCT_DT_F32;
    }
    if (k->op == OCT_OP_REORDER || k->op == OCT_OP_TABLE) { /* ours: shape kept */
        t->desc = oct_tensor_desc_make(dt, k->in[0].desc.shape, OCT_LAYOUT_ROW);
        return t;
    }
    oct_infer_args a = {k->op, k->attr, in, n_in, &out, 1, no_symbols, NULL};
    const oct_status st = oct_infer_find(k->op)(kc_state.ctx, &a);
    if (st != OCT_OK)
        fail_msg("%s: %s", oct_op_name(k->op), oct_error_text(kc_state.ctx));
    t->desc = oct_tensor_desc_make(dt, out.shape, OCT_LAYOUT_ROW);
    return t;
}
