/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/infer_node.h"

#include <string.h>

#include "kernels/op_schema.h"

#define MAX_IN 8 /* inputs of an operator that computes in integers */

bool oct_op_has_epilogue(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE || op == OCT_OP_GEMM ||
           op == OCT_OP_MATMUL;
}

/* Real operators that qdq_lower gives integer operands, and whose ONNX form has none. Data movers
 * and MaxPool pass s8 through on their own. */
static bool computes_on_quantized(oct_op op)
{
    return oct_op_has_epilogue(op) || op == OCT_OP_ADD || op == OCT_OP_MUL ||
           op == OCT_OP_AVERAGE_POOL || op == OCT_OP_GLOBAL_AVERAGE_POOL || op == OCT_OP_RESIZE;
}

static bool is_quantized(const oct_graph *g, oct_value_id v)
{
    if (v == OCT_NONE)
        return false;
    const oct_value *val = oct_graph_value(g, v);
    return val->quant.n > 0 && (val->dtype == OCT_DT_S8 || val->dtype == OCT_DT_U8);
}

/* Made f16 by a pass from integers or f32. */
static bool is_halved(const oct_graph *g, oct_value_id v, oct_dtype inferred)
{
    return v != OCT_NONE && inferred == OCT_DT_F32 && oct_graph_value(g, v)->dtype == OCT_DT_F16;
}

/* Equal where both are known. */
static bool dims_agree(int64_t a, int64_t b)
{
    return a == b || oct_dim_is_symbol(a) || oct_dim_is_symbol(b);
}

static oct_status check_residual(oct_ctx *ctx, const oct_node *n, const oct_infer_args *a)
{
    const int r = n->epilogue.residual;
    if (r < 0)
        return OCT_OK;
    if (r >= a->n_in)
        return oct_fail(ctx, OCT_ERR_SHAPE, "residual is input %d of %d", r, a->n_in);
    const oct_shape *x = &a->in[r].desc.shape, *y = &a->out[0].shape;
    bool same = x->n_dims == y->n_dims || x->n_dims < 0 || y->n_dims < 0;
    for (int d = 0; same && d < x->n_dims && d < y->n_dims; d++)
        same = dims_agree(x->dim[d], y->dim[d]);
    return same ? OCT_OK : oct_fail(ctx, OCT_ERR_SHAPE, "residual and result differ in shape");
}

/* MatMul's bias is ours, so no operator rule checks it. */
static oct_status check_bias(oct_ctx *ctx, const oct_node *n, const oct_infer_args *a)
{
    if (n->op != OCT_OP_MATMUL || a->n_in < 3 || n->epilogue.residual == 2 ||
        a->in[2].desc.dtype == OCT_DT_NONE)
        return OCT_OK;
    const oct_shape *b = &a->in[2].desc.shape, *y = &a->out[0].shape;
    if (b->n_dims == 1 && (y->n_dims < 1 || dims_agree(b->dim[0], y->dim[y->n_dims - 1])))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_SHAPE, "the bias does not fit the last axis");
}

/* The operator's own rule, on operands shown as it knows them. */
static oct_status infer_operator(oct_ctx *ctx, const oct_graph *g, const oct_node *n,
                                 const oct_infer_args *a)
{
    const oct_infer_fn fn = oct_infer_find(n->op);
    if (!fn)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "no shape inference for %s", oct_op_name(n->op));
    if (!computes_on_quantized(n->op) || a->n_in > MAX_IN)
        return fn(ctx, a);
    oct_tensor in[MAX_IN];
    oct_infer_args shown = *a;
    const oct_op_schema *schema = oct_op_schema_get(n->op);
    memcpy(in, a->in, (size_t)a->n_in * sizeof *in);
    shown.in = in;
    shown.n_in = a->n_in < schema->max_in ? a->n_in : schema->max_in;
    shown.n_out = a->n_out < schema->max_out ? a->n_out : schema->max_out;
    if (shown.n_in > n->epilogue.residual && n->epilogue.residual >= 0)
        shown.n_in = n->epilogue.residual;
    for (int i = 0; i < shown.n_in; i++)
        if (is_quantized(g, n->in[i])) {
            in[i].desc.dtype = OCT_DT_F32;
            in[i].data = NULL;
        }
    return fn(ctx, &shown);
}

oct_status oct_infer_lowered(oct_ctx *ctx, const oct_graph *g, const oct_node *n,
                             const oct_infer_args *a)
{
    OCT_TRY(infer_operator(ctx, g, n, a));
    if (a->n_out > 1 && oct_op_has_epilogue(n->op)) {
        a->out[1] = a->out[0];
        a->out[1].dtype = OCT_DT_F32;
    }
    for (int i = 0; i < a->n_out; i++)
        if (is_quantized(g, n->out[i]) || is_halved(g, n->out[i], a->out[i].dtype))
            a->out[i].dtype = oct_graph_value(g, n->out[i])->dtype;
    OCT_TRY(check_bias(ctx, n, a));
    return check_residual(ctx, n, a);
}
