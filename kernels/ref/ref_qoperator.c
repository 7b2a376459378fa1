/* SPDX-License-Identifier: Apache-2.0
 *
 * Ops that carry scales and zero points as inputs: QLinearConv, QLinearMatMul, ConvInteger,
 * MatMulInteger and com.microsoft's. Their parameters are read when they run, and the plain
 * op runs with them in its descriptor. (The engine turns most of them into Q/DQ form first;
 * what comes here has parameters that the model computes, or is asked for as it is.)
 */
#include <string.h>

#include "kernels/epilogue.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

#define NONE (-1)
#define MAX_OPERANDS 2

/* Where an op has its operands and their parameters. */
typedef struct qop {
    oct_op op, plain;
    int n_operands;
    int operand[MAX_OPERANDS], scale[MAX_OPERANDS], zero[MAX_OPERANDS];
    int out_scale, out_zero, bias;
} qop;

static const qop QOPS[] = {
    {OCT_OP_QLINEAR_CONV, OCT_OP_CONV, 2, {0, 3}, {1, 4}, {2, 5}, 6, 7, 8},
    {OCT_OP_QLINEAR_MATMUL, OCT_OP_MATMUL, 2, {0, 3}, {1, 4}, {2, 5}, 6, 7, NONE},
    {OCT_OP_QGEMM, OCT_OP_GEMM, 2, {0, 3}, {1, 4}, {2, 5}, 7, 8, 6},
    {OCT_OP_CONV_INTEGER, OCT_OP_CONV, 2, {0, 1}, {NONE, NONE}, {2, 3}, NONE, NONE, NONE},
    {OCT_OP_MATMUL_INTEGER, OCT_OP_MATMUL, 2, {0, 1}, {NONE, NONE}, {2, 3}, NONE, NONE, NONE},
    {OCT_OP_QLINEAR_ADD, OCT_OP_ADD, 2, {0, 3}, {1, 4}, {2, 5}, 6, 7, NONE},
    {OCT_OP_QLINEAR_MUL, OCT_OP_MUL, 2, {0, 3}, {1, 4}, {2, 5}, 6, 7, NONE},
    {OCT_OP_QLINEAR_AVERAGE_POOL, OCT_OP_AVERAGE_POOL, 1, {0}, {1}, {2}, 3, 4, NONE},
    {OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL, OCT_OP_GLOBAL_AVERAGE_POOL, 1, {0}, {1}, {2}, 3, 4, NONE},
};

static const qop *qop_of(oct_op op)
{
    for (size_t i = 0; i < sizeof QOPS / sizeof QOPS[0]; i++) {
        if (QOPS[i].op == op)
            return &QOPS[i];
    }
    return NULL;
}

/* The plain op; parameters are filled in when it runs. */
typedef struct plain {
    oct_op_desc d;
    oct_operand in[3], out[1];
    oct_qparams out_quant;
} plain;

static bool is_present(const oct_op_desc *d, int i)
{
    return i >= 0 && i < d->n_in && d->in[i].desc.dtype != OCT_DT_NONE;
}

static size_t elems_of(const oct_op_desc *d, int i)
{
    size_t n = 0;
    return is_present(d, i) && oct_shape_elems(&d->in[i].desc.shape, &n) ? n : 0;
}

static int32_t n_params(const qop *q, const oct_op_desc *d, int k)
{
    const size_t s = elems_of(d, q->scale[k]), z = elems_of(d, q->zero[k]);
    const size_t n = s > z ? s : z;
    return n > 1 ? (int32_t)n : 1;
}

/* `params`: room for the parameters of both operands, one operand behind the other. */
static void make_plain(const qop *q, const oct_op_desc *d, oct_qparams *params, plain *p)
{
    *p = (plain){.d = *d};
    for (int k = 0; k < q->n_operands; k++) {
        p->in[k] = d->in[q->operand[k]];
        p->in[k].quant = (oct_quant){.q = params, .n = n_params(q, d, k)};
        params = params ? params + p->in[k].quant.n : NULL; /* NULL when only sizing */
    }
    if (is_present(d, q->bias))
        p->in[2] = d->in[q->bias];
    p->out[0] = d->out[0];
    p->out_quant = (oct_qparams){1.0f, 0};
    if (oct_ref_is_q8(d->out[0].desc.dtype))
        p->out[0].quant = (oct_quant){.q = &p->out_quant, .n = 1};
    p->d.op = q->plain;
    p->d.in = p->in;
    p->d.out = p->out;
    p->d.n_in = q->n_operands + is_present(d, q->bias);
    p->d.epilogue = (oct_epilogue){.residual = -1};
}

static size_t param_bytes(const qop *q, const oct_op_desc *d)
{
    size_t n = 0;
    for (int k = 0; k < q->n_operands; k++)
        n += (size_t)n_params(q, d, k);
    return (n * sizeof(oct_qparams) + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t workspace(const oct_op_desc *d)
{
    const qop *q = qop_of(d->op);
    const oct_ref_entry *e = oct_ref_find(q->plain);
    plain p;
    make_plain(q, d, NULL, &p);
    return param_bytes(q, d) + (e && e->workspace ? e->workspace(&p.d) : 0);
}

static float scale_at(const oct_op_desc *d, const oct_run_args *a, int i, size_t k)
{
    const size_t n = elems_of(d, i);
    return n ? ((const float *)a->in[i])[n == 1 ? 0 : k] : 1.0f;
}

static int32_t zero_at(const oct_op_desc *d, const oct_run_args *a, int i, size_t k)
{
    const size_t n = elems_of(d, i);
    return n ? oct_ref_load_q8(a->in[i], d->in[i].desc.dtype, (int64_t)(n == 1 ? 0 : k)) : 0;
}

static oct_status run_qop(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const qop *q = qop_of(d->op);
    const oct_ref_entry *e = oct_ref_find(q->plain);
    oct_qparams *params = a->workspace;
    const void *in[3] = {NULL};
    char reason[OCT_REASON_BYTES];
    plain p;
    make_plain(q, d, params, &p);
    for (int k = 0; k < q->n_operands; k++) {
        in[k] = a->in[q->operand[k]];
        for (size_t c = 0; c < (size_t)p.in[k].quant.n; c++)
            *params++ = (oct_qparams){scale_at(d, a, q->scale[k], c), zero_at(d, a, q->zero[k], c)};
    }
    if (is_present(d, q->bias))
        in[2] = a->in[q->bias];
    p.out_quant = (oct_qparams){scale_at(d, a, q->out_scale, 0), zero_at(d, a, q->out_zero, 0)};
    if (d->out[0].desc.dtype != OCT_DT_S32 && e->accepts && !e->accepts(&p.d, reason))
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%s: %s", oct_op_name(d->op), reason);
    uint8_t *scratch = (uint8_t *)a->workspace + param_bytes(q, d);
    return e->run(ctx, &p.d, &(oct_run_args){in, a->out, scratch, NULL});
}

/* Operands of 8 bits, scales of f32, no parameters in the descriptor itself. */
static bool accepts(const oct_op_desc *d, char *reason)
{
    const qop *q = qop_of(d->op);
    if (!oct_ref_find(q->plain))
        return oct_ref_refuse(reason, "ref has no kernel for %s", oct_op_name(q->plain));
    for (int k = 0; k < q->n_operands; k++) {
        if (!oct_ref_is_q8(d->in[q->operand[k]].desc.dtype) ||
            (is_present(d, q->scale[k]) && d->in[q->scale[k]].desc.dtype != OCT_DT_F32) ||
            (is_present(d, q->zero[k]) && !oct_ref_is_q8(d->in[q->zero[k]].desc.dtype)))
            return oct_ref_refuse(reason, "ref %s: types of operand %d", oct_op_name(d->op), k);
    }
    return oct_ref_accepts_plain(d, reason);
}

/* ---- element by element: QLinearSigmoid, QLinearLeakyRelu, QLinearConcat ----------------------- */

static float unary(const oct_op_desc *d, float x)
{
    return d->op == OCT_OP_QLINEAR_SIGMOID
               ? oct_act_sigmoid(x)
               : oct_act_leaky_relu(x, ((const oct_attr_act *)d->attr)->alpha);
}

static oct_status run_unary(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_qparams qx = {scale_at(d, a, 1, 0), zero_at(d, a, 2, 0)};
    const oct_qparams qy = {scale_at(d, a, 3, 0), zero_at(d, a, 4, 0)};
    const oct_dtype dt = d->in[0].desc.dtype, out = d->out[0].desc.dtype;
    const int64_t n = (int64_t)elems_of(d, 0);
    for (int64_t i = 0; i < n; i++) {
        const float y = unary(d, oct_dequantize(oct_ref_load_q8(a->in[0], dt, i), qx));
        oct_ref_store_q8(a->out[0], out, i,
                         oct_quantize(y, qy, oct_ref_q8_min(out), oct_ref_q8_max(out)));
    }
    return OCT_OK;
}

/* Inputs: scale and zero point of the result, then (x, scale, zero point) of each part. */
static oct_status run_concat(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_axis *at = d->attr;
    const oct_shape *s = &d->out[0].desc.shape;
    const int axis = (int)(at->axis < 0 ? at->axis + s->n_dims : at->axis);
    const int64_t outer = oct_ref_product(s, 0, axis), row = oct_ref_product(s, axis, s->n_dims);
    const oct_qparams qy = {scale_at(d, a, 0, 0), zero_at(d, a, 1, 0)};
    const oct_dtype out = d->out[0].desc.dtype;
    int64_t before = 0;
    for (int i = 2; i + 2 < d->n_in; i += 3) {
        const oct_qparams qx = {scale_at(d, a, i + 1, 0), zero_at(d, a, i + 2, 0)};
        const oct_shape *part = &d->in[i].desc.shape;
        const int64_t len = oct_ref_product(part, axis, part->n_dims);
        for (int64_t k = 0; k < outer * len; k++) {
            const int32_t q = oct_ref_load_q8(a->in[i], d->in[i].desc.dtype, k);
            oct_ref_store_q8(
                a->out[0], out, k / len * row + before + k % len,
                oct_quantize(oct_dequantize(q, qx), qy, oct_ref_q8_min(out), oct_ref_q8_max(out)));
        }
        before += len;
    }
    return OCT_OK;
}

const oct_ref_entry oct_ref_qoperator[] = {
    {OCT_OP_QLINEAR_CONV, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_MATMUL, run_qop, workspace, accepts, false},
    {OCT_OP_QGEMM, run_qop, workspace, accepts, false},
    {OCT_OP_CONV_INTEGER, run_qop, workspace, accepts, false},
    {OCT_OP_MATMUL_INTEGER, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_ADD, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_MUL, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_AVERAGE_POOL, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL, run_qop, workspace, accepts, false},
    {OCT_OP_QLINEAR_SIGMOID, run_unary, NULL, NULL, false},
    {OCT_OP_QLINEAR_LEAKY_RELU, run_unary, NULL, NULL, false},
    {OCT_OP_QLINEAR_CONCAT, run_concat, NULL, NULL, false},
    {0},
};
