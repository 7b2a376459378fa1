/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qdq.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "kernels/op_schema.h"

static bool refuse(const char **why, const char *text)
{
    if (why)
        *why = text;
    return false;
}

/* Type of the quantized side: the zero point's, else the output_dtype attribute's, else the
 * quantized operand's own. */
static oct_dtype quantized_dtype(const oct_graph *g, const oct_node *n)
{
    if (n->op == OCT_OP_DEQUANTIZE_LINEAR)
        return oct_graph_value(g, n->in[0])->dtype;
    if (n->n_in > 2 && n->in[2] != OCT_NONE)
        return oct_graph_value(g, n->in[2])->dtype;
    const oct_attr_quantize *a = n->attr;
    return a->output_dtype != OCT_DT_NONE ? a->output_dtype : OCT_DT_U8;
}

static bool dtype_is_computable(const oct_node *n, oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8 ||
           (n->op == OCT_OP_DEQUANTIZE_LINEAR && dt == OCT_DT_S32);
}

static int64_t axis_of(const oct_graph *g, const oct_node *n, size_t n_scale)
{
    const oct_attr_quantize *a = n->attr;
    if (n_scale == 1)
        return 0;
    const int rank = oct_graph_value(g, n->in[0])->shape.n_dims;
    return a->axis < 0 && rank > 0 ? a->axis + rank : a->axis;
}

bool oct_qdq_params(oct_graph *g, const oct_node *n, oct_quant *quant, oct_dtype *dt,
                    const char **why)
{
    assert(n->op == OCT_OP_QUANTIZE_LINEAR || n->op == OCT_OP_DEQUANTIZE_LINEAR);
    const oct_value *scale = oct_graph_value(g, n->in[1]);
    const oct_value *zero =
        n->n_in > 2 && n->in[2] != OCT_NONE ? oct_graph_value(g, n->in[2]) : NULL;
    *dt = quantized_dtype(g, n);
    size_t count = 0, n_zero = 0;
    if (!scale->data || (zero && !zero->data))
        return refuse(why, "scale or zero point is computed, not constant");
    if (((const oct_attr_quantize *)n->attr)->block_size != 0 || scale->shape.n_dims > 1)
        return refuse(why, "blocked quantization");
    if (!dtype_is_computable(n, *dt) || !oct_dtype_is_float(scale->dtype))
        return refuse(why, "quantized type is neither s8 nor u8");
    if (!oct_shape_elems(&scale->shape, &count) || count == 0 || count > INT32_MAX)
        return refuse(why, "no scale");
    if (zero && (!oct_shape_elems(&zero->shape, &n_zero) || n_zero != count))
        return refuse(why, "scale and zero point differ in size");
    oct_qparams *q = oct_arena_array(oct_graph_arena(g), count, sizeof *q);
    if (!q)
        return refuse(why, "out of memory");
    for (size_t i = 0; i < count; i++) {
        q[i].scale = (float)oct_elem_f64(scale->data, scale->dtype, i);
        q[i].zero_point = zero ? (int32_t)oct_elem_s64(zero->data, zero->dtype, i) : 0;
        if (!(q[i].scale > 0) || !isfinite(q[i].scale))
            return refuse(why, "scale is zero, negative or not finite");
    }
    *quant = (oct_quant){q, (int32_t)count, (int32_t)axis_of(g, n, count)};
    return true;
}

bool oct_quant_equal(const oct_quant *a, const oct_quant *b)
{
    if (a->n != b->n || (a->n > 1 && a->axis != b->axis))
        return false;
    for (int32_t i = 0; i < a->n; i++)
        if (oct_f32_bits(a->q[i].scale) != oct_f32_bits(b->q[i].scale) ||
            a->q[i].zero_point != b->q[i].zero_point)
            return false;
    return true;
}

const oct_node *oct_qdq_dequantize_of(const oct_graph *g, oct_value_id v)
{
    if (v == OCT_NONE)
        return NULL;
    const oct_node_id p = oct_graph_value(g, v)->producer;
    if (p == OCT_NONE)
        return NULL;
    const oct_node *n = oct_graph_node(g, p);
    return n->op == OCT_OP_DEQUANTIZE_LINEAR ? n : NULL;
}

oct_quant oct_quant_copy(oct_graph *g, const oct_quant *quant)
{
    oct_quant c = *quant;
    c.q = oct_arena_copy(oct_graph_arena(g), quant->q, (size_t)quant->n * sizeof *quant->q);
    return c;
}

/* Scale and zero point as constants, shaped scalar or [n]. */
static oct_status add_params(oct_graph *g, oct_ctx *ctx, const oct_quant *quant, oct_dtype dt,
                             const char *stem, oct_value_id in[2])
{
    const size_t n = (size_t)quant->n;
    const oct_shape shape = {.n_dims = n > 1, .dim = {(int64_t)n}};
    oct_arena *arena = oct_graph_arena(g);
    float *scale = oct_arena_array(arena, n, sizeof *scale);
    uint8_t *zero = oct_arena_array(arena, n, oct_dtype_bytes(dt));
    const char *scale_name =
        oct_graph_fresh_name(g, ctx, oct_arena_printf(arena, "%s_scale", stem));
    if (!scale || !zero || !scale_name)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        scale[i] = quant->q[i].scale;
        if (dt == OCT_DT_S32)
            memcpy(zero + 4 * i, &quant->q[i].zero_point, 4);
        else
            zero[i] = (uint8_t)quant->q[i].zero_point;
    }
    OCT_TRY(oct_graph_add_constant(g, ctx, scale_name, OCT_DT_F32, &shape, scale, true, &in[0]));
    const char *zero_name =
        oct_graph_fresh_name(g, ctx, oct_arena_printf(arena, "%s_zero_point", stem));
    if (!zero_name)
        return OCT_ERR_NOMEM;
    return oct_graph_add_constant(g, ctx, zero_name, dt, &shape, zero, true, &in[1]);
}

/* One Q or DQ node and its result. */
static oct_status add_node(oct_graph *g, oct_ctx *ctx, oct_op op, oct_value_id x,
                           const oct_quant *quant, oct_dtype quantized, const char *name,
                           oct_value_id *out)
{
    oct_attr_quantize attr;
    oct_op_attr_defaults(op, &attr);
    attr.axis = quant->axis;
    oct_value_id in[3] = {x, OCT_NONE, OCT_NONE};
    OCT_TRY(add_params(g, ctx, quant, quantized, name, in + 1));
    if (*out == OCT_NONE) {
        const char *fresh = oct_graph_fresh_name(g, ctx, name);
        if (!fresh)
            return OCT_ERR_NOMEM;
        const oct_dtype dt = op == OCT_OP_QUANTIZE_LINEAR ? quantized : OCT_DT_F32;
        const oct_shape shape = oct_graph_value(g, x)->shape;
        OCT_TRY(oct_graph_add_value(g, ctx, fresh, dt, &shape, out));
    }
    oct_node_id node;
    return oct_graph_add_node(g, ctx, op, oct_graph_value(g, *out)->name, &attr, in, 3, out, 1,
                              &node);
}

oct_status oct_qdq_add_quantize(oct_graph *g, oct_ctx *ctx, oct_value_id x, const oct_quant *quant,
                                oct_dtype dt, const char *name, oct_value_id *out)
{
    OCT_TRY(add_node(g, ctx, OCT_OP_QUANTIZE_LINEAR, x, quant, dt, name, out));
    const oct_quant copy = oct_quant_copy(g, quant);
    if (!copy.q)
        return OCT_ERR_NOMEM;
    oct_graph_value(g, *out)->quant = copy;
    return OCT_OK;
}

oct_status oct_qdq_add_dequantize(oct_graph *g, oct_ctx *ctx, oct_value_id q,
                                  const oct_quant *quant, const char *name, oct_value_id *out)
{
    return add_node(g, ctx, OCT_OP_DEQUANTIZE_LINEAR, q, quant, oct_graph_value(g, q)->dtype, name,
                    out);
}
