/* SPDX-License-Identifier: Apache-2.0
 *
 * QOperator models (ONNX Runtime's QLinear*, com.microsoft's too) in Q/DQ form:
 *
 *     y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, B)
 *  => y = Q(Conv(DQ(x, xs, xz), DQ(w, ws, wz), DQ(B, xs * ws, 0)), ys, yz)
 *
 * A table says for each op where its quantized operands, their scales and zero points stand.
 * An op whose scales are not constant is left as it is: `ref` runs it.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/qdq.h"
#include "engine/qdq_passes.h"
#include "kernels/op_schema.h"

#define NO_INPUT (-1)
#define MAX_OPERANDS 2

typedef struct qoperator {
    oct_op op, real_op;
    int operand[MAX_OPERANDS]; /* position of the quantized input; scale and zero point follow it */
    int n_operands;
    int out_scale; /* position of the output's scale; zero point follows; QGemm: may be absent */
    int bias;      /* position of the s32 bias, or NO_INPUT */
    bool weighted; /* operand 1 is a weight; its scales are along its output-channel axis */
} qoperator;

static const qoperator QOPERATOR[] = {
    {OCT_OP_QLINEAR_CONV, OCT_OP_CONV, {0, 3}, 2, 6, 8, true},
    {OCT_OP_QLINEAR_MATMUL, OCT_OP_MATMUL, {0, 3}, 2, 6, NO_INPUT, true},
    {OCT_OP_QGEMM, OCT_OP_GEMM, {0, 3}, 2, 7, 6, true},
    {OCT_OP_QLINEAR_ADD, OCT_OP_ADD, {0, 3}, 2, 6, NO_INPUT, false},
    {OCT_OP_QLINEAR_MUL, OCT_OP_MUL, {0, 3}, 2, 6, NO_INPUT, false},
    {OCT_OP_QLINEAR_SIGMOID, OCT_OP_SIGMOID, {0}, 1, 3, NO_INPUT, false},
    {OCT_OP_QLINEAR_LEAKY_RELU, OCT_OP_LEAKY_RELU, {0}, 1, 3, NO_INPUT, false},
    {OCT_OP_QLINEAR_AVERAGE_POOL, OCT_OP_AVERAGE_POOL, {0}, 1, 3, NO_INPUT, false},
    {OCT_OP_QLINEAR_GLOBAL_AVERAGE_POOL, OCT_OP_GLOBAL_AVERAGE_POOL, {0}, 1, 3, NO_INPUT, false},
};

static const qoperator *find(oct_op op)
{
    for (size_t i = 0; i < sizeof QOPERATOR / sizeof QOPERATOR[0]; i++)
        if (QOPERATOR[i].op == op)
            return &QOPERATOR[i];
    return NULL;
}

static oct_value_id input(const oct_node *n, int i)
{
    return i >= 0 && (uint32_t)i < n->n_in ? n->in[i] : OCT_NONE;
}

/* Parameters at inputs [at], [at + 1] of `n`. */
static bool read_params(oct_graph *g, const oct_node *n, int at, int32_t axis, oct_quant *out)
{
    const oct_value_id s = input(n, at), z = input(n, at + 1);
    const oct_value *scale = s == OCT_NONE ? NULL : oct_graph_value(g, s);
    const oct_value *zero = z == OCT_NONE ? NULL : oct_graph_value(g, z);
    size_t count = 0, n_zero = 0;
    if (!scale || !scale->data || (zero && !zero->data) || !oct_dtype_is_float(scale->dtype) ||
        !oct_shape_elems(&scale->shape, &count) || count == 0 || count > INT32_MAX ||
        (zero && (!oct_shape_elems(&zero->shape, &n_zero) || (n_zero != 1 && n_zero != count))))
        return false;
    oct_qparams *q = oct_arena_array(oct_graph_arena(g), count, sizeof *q);
    if (!q)
        return false;
    for (size_t i = 0; i < count; i++) {
        q[i].scale = (float)oct_elem_f64(scale->data, scale->dtype, i);
        q[i].zero_point =
            zero ? (int32_t)oct_elem_s64(zero->data, zero->dtype, n_zero == 1 ? 0 : i) : 0;
        if (!(q[i].scale > 0) || !isfinite(q[i].scale))
            return false;
    }
    *out = (oct_quant){q, (int32_t)count, axis};
    return true;
}

/* Axis of a weight's scales: output channels. */
static int32_t weight_axis(const oct_graph *g, const oct_node *n, oct_value_id w)
{
    const int rank = oct_graph_value(g, w)->shape.n_dims;
    if (n->op == OCT_OP_QLINEAR_CONV)
        return 0;
    if (n->op == OCT_OP_QGEMM)
        return ((const oct_attr_gemm *)n->attr)->trans_b ? 0 : 1;
    return rank > 0 ? rank - 1 : 0;
}

/* The bias is s32 with scale x * w per channel and zero point 0. */
static oct_status add_bias(oct_graph *g, oct_ctx *ctx, const oct_node *n, oct_value_id bias,
                           const oct_quant in[2], oct_value_id *out)
{
    const double alpha = n->op == OCT_OP_QGEMM ? ((const oct_attr_gemm *)n->attr)->alpha : 1.0;
    oct_qparams *q = oct_arena_array(oct_graph_arena(g), (size_t)in[1].n, sizeof *q);
    if (!q)
        return OCT_ERR_NOMEM;
    for (int32_t i = 0; i < in[1].n; i++)
        q[i].scale = (float)(alpha * in[0].q[0].scale * in[1].q[i].scale);
    const int rank = oct_graph_value(g, bias)->shape.n_dims;
    const oct_quant quant = {q, in[1].n, rank > 0 ? rank - 1 : 0};
    *out = OCT_NONE;
    return oct_qdq_add_dequantize(g, ctx, bias, &quant, oct_graph_value(g, bias)->name, out);
}

/* Attributes of the real op: the same struct for all but QGemm, whose alpha is in the scale of the
 * bias already but not of the product. */
static oct_status add_real(oct_graph *g, oct_ctx *ctx, const oct_node *n, const qoperator *qo,
                           const oct_value_id *in, uint32_t n_in, oct_value_id *out)
{
    oct_attr_gemm gemm;
    const void *attr = oct_op_schema_get(qo->real_op)->attr_bytes ? n->attr : NULL;
    if (qo->real_op == OCT_OP_GEMM) {
        gemm = *(const oct_attr_gemm *)n->attr;
        gemm.beta = 1.0f;
        attr = &gemm;
    }
    if (*out == OCT_NONE) {
        const oct_value *y = oct_graph_value(g, n->out[0]);
        const oct_shape shape = y->shape;
        const char *name = oct_graph_fresh_name(g, ctx, y->name);
        if (!name)
            return OCT_ERR_NOMEM;
        OCT_TRY(oct_graph_add_value(g, ctx, name, OCT_DT_F32, &shape, out));
    }
    oct_node_id made;
    OCT_TRY(oct_graph_add_node(g, ctx, qo->real_op, n->name, attr, in, n_in, out, 1, &made));
    oct_graph_node(g, made)->model_index = n->model_index;
    return OCT_OK;
}

/* The op's own result value, now made by Q from the real one. */
static oct_status add_result(oct_graph *g, oct_ctx *ctx, oct_value_id real, const oct_quant *quant,
                             oct_value_id result)
{
    const oct_value *y = oct_graph_value(g, result);
    return oct_qdq_add_quantize(g, ctx, real, quant, y->dtype, y->name, &result);
}

static oct_status rewrite(oct_graph *g, oct_ctx *ctx, oct_node_id id, const qoperator *qo)
{
    const oct_node n = *oct_graph_node(g, id);
    oct_quant quant[MAX_OPERANDS], out_quant = {0};
    oct_value_id real[MAX_OPERANDS + 1] = {OCT_NONE, OCT_NONE, OCT_NONE}, y;
    for (int i = 0; i < qo->n_operands; i++) {
        const int at = qo->operand[i];
        const int32_t axis = qo->weighted && i == 1 ? weight_axis(g, &n, n.in[at]) : 0;
        if (!read_params(g, &n, at + 1, axis, &quant[i]))
            return OCT_OK;
    }
    const bool quantized_out = input(&n, qo->out_scale) != OCT_NONE;
    if (quantized_out && !read_params(g, &n, qo->out_scale, 0, &out_quant))
        return OCT_OK;
    for (int i = 0; i < qo->n_operands; i++) {
        const oct_value_id v = n.in[qo->operand[i]];
        OCT_TRY(
            oct_qdq_add_dequantize(g, ctx, v, &quant[i], oct_graph_value(g, v)->name, &real[i]));
    }
    uint32_t n_in = (uint32_t)qo->n_operands;
    if (input(&n, qo->bias) != OCT_NONE)
        OCT_TRY(add_bias(g, ctx, &n, n.in[qo->bias], quant, &real[n_in++]));
    y = quantized_out ? OCT_NONE : n.out[0];
    oct_graph_remove_node(g, id);
    OCT_TRY(add_real(g, ctx, &n, qo, real, n_in, &y));
    return quantized_out ? add_result(g, ctx, y, &out_quant, n.out[0]) : OCT_OK;
}

/* QLinearConcat(Ys, Yz, x0, s0, z0, x1, ...) */
static oct_status rewrite_concat(oct_graph *g, oct_ctx *ctx, oct_node_id id)
{
    const oct_node n = *oct_graph_node(g, id);
    const uint32_t n_parts = (n.n_in - 2) / 3;
    oct_quant out_quant, quant;
    oct_value_id *real = oct_arena_array(oct_graph_arena(g), n_parts, sizeof *real), y;
    if (!real)
        return OCT_ERR_NOMEM;
    bool ok = n.n_in >= 5 && read_params(g, &n, 0, 0, &out_quant);
    for (uint32_t i = 0; ok && i < n_parts; i++)
        ok = read_params(g, &n, (int)(3 + 3 * i), 0, &quant);
    for (uint32_t i = 0; ok && i < n_parts; i++) {
        const oct_value_id v = n.in[2 + 3 * i];
        ok = read_params(g, &n, (int)(3 + 3 * i), 0, &quant);
        real[i] = OCT_NONE;
        OCT_TRY(oct_qdq_add_dequantize(g, ctx, v, &quant, oct_graph_value(g, v)->name, &real[i]));
    }
    if (!ok)
        return OCT_OK;
    const qoperator concat = {OCT_OP_QLINEAR_CONCAT, OCT_OP_CONCAT, {0}, 0, 0, NO_INPUT, false};
    y = OCT_NONE;
    oct_graph_remove_node(g, id);
    OCT_TRY(add_real(g, ctx, &n, &concat, real, n_parts, &y));
    return add_result(g, ctx, y, &out_quant, n.out[0]);
}

oct_status oct_pass_qoperator(oct_ctx *ctx, oct_graph *g)
{
    const uint32_t n_nodes = oct_graph_n_nodes(g);
    for (oct_node_id id = 0; id < n_nodes; id++) {
        const oct_node *n = oct_graph_node(g, id);
        const qoperator *qo = n->dead ? NULL : find(n->op);
        if (qo)
            OCT_TRY(rewrite(g, ctx, id, qo));
        else if (!n->dead && n->op == OCT_OP_QLINEAR_CONCAT)
            OCT_TRY(rewrite_concat(g, ctx, id));
    }
    oct_graph_remove_unused(g);
    return oct_graph_sort(g, ctx);
}
