/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants of a Q/DQ model in the one form that integer ops take:
 *
 *   - QuantizeLinear of a constant is computed;
 *   - u8 weights with zero point 128 become s8 with 0 (same real values, bit for bit);
 *   - an s32 bias behind DequantizeLinear becomes f32 (computed in double, rounded once);
 *   - BatchNorm behind a quantized convolution moves into the weights' scales: with
 *     g = gamma / sqrt(var + epsilon) per output channel, scale' = scale * |g|, q' = q * sign(g),
 *     bias' = (bias - mean) * g + beta. The integers stay what the exporting tool chose.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/qdq.h"
#include "engine/qdq_passes.h"

/* Index of element `i`'s parameters when `quant` runs along an axis of `shape`. */
static size_t param_index(const oct_shape *shape, const oct_quant *quant, size_t i)
{
    if (quant->n == 1)
        return 0;
    size_t inner = 1;
    for (int d = quant->axis + 1; d < shape->n_dims; d++)
        inner *= (size_t)shape->dim[d];
    return i / inner % (size_t)quant->n;
}

static bool params_fit(const oct_value *v, const oct_quant *quant)
{
    return quant->n == 1 || (quant->axis >= 0 && quant->axis < v->shape.n_dims &&
                             v->shape.dim[quant->axis] == quant->n);
}

/* Q(constant) -> constant */
static oct_status fold_quantize(oct_graph *g, oct_ctx *ctx, oct_node_id id)
{
    const oct_node n = *oct_graph_node(g, id);
    const oct_value *x = oct_graph_value(g, n.in[0]);
    oct_quant quant;
    oct_dtype dt;
    size_t count = 0;
    if (!x->data || x->dtype != OCT_DT_F32 || !oct_qdq_params(g, &n, &quant, &dt, NULL) ||
        !params_fit(x, &quant) || !oct_shape_elems(&x->shape, &count) ||
        oct_graph_value(g, n.out[0])->is_output)
        return OCT_OK;
    uint8_t *q = oct_arena_alloc_aligned(oct_graph_arena(g), count, OCT_ALIGN);
    if (!q)
        return OCT_ERR_NOMEM;
    const int32_t lo = dt == OCT_DT_S8 ? -128 : 0, hi = dt == OCT_DT_S8 ? 127 : 255;
    const float *v = x->data;
    for (size_t i = 0; i < count; i++)
        q[i] = (uint8_t)oct_quantize(v[i], quant.q[param_index(&x->shape, &quant, i)], lo, hi);
    const oct_shape shape = x->shape;
    const char *name = oct_graph_fresh_name(g, ctx, x->name);
    oct_value_id c;
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, dt, &shape, q, false, &c));
    oct_graph_value(g, c)->quant = quant;
    oct_graph_replace_uses(g, n.out[0], c, false);
    oct_graph_remove_node(g, id);
    return OCT_OK;
}

/* DQ(s32 constant) -> f32 constant */
static oct_status fold_bias(oct_graph *g, oct_ctx *ctx, const oct_node *n, const oct_quant *quant,
                            oct_node_id id)
{
    const oct_value *x = oct_graph_value(g, n->in[0]);
    size_t count = 0;
    if (!params_fit(x, quant) || !oct_shape_elems(&x->shape, &count))
        return OCT_OK;
    float *v = oct_arena_alloc_aligned(oct_graph_arena(g), count * sizeof *v, OCT_ALIGN);
    if (!v)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const oct_qparams p = quant->q[param_index(&x->shape, quant, i)];
        v[i] = (float)((double)(oct_elem_s64(x->data, x->dtype, i) - p.zero_point) * p.scale);
    }
    const oct_shape shape = x->shape;
    const char *name = oct_graph_fresh_name(g, ctx, x->name);
    oct_value_id c;
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, OCT_DT_F32, &shape, v, false, &c));
    oct_graph_replace_uses(g, n->out[0], c, false);
    oct_graph_remove_node(g, id);
    return OCT_OK;
}

/* Makes the DQ at `id` read `data` (s8, zero point 0) with these scales. */
static oct_status set_weight(oct_graph *g, oct_ctx *ctx, oct_node_id id, const uint8_t *data,
                             const oct_quant *quant)
{
    const oct_node n = *oct_graph_node(g, id);
    const oct_value *old = oct_graph_value(g, n.in[0]);
    const oct_shape shape = old->shape;
    const char *name = oct_graph_fresh_name(g, ctx, old->name);
    oct_value_id w, y = n.out[0];
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, OCT_DT_S8, &shape, data, false, &w));
    oct_graph_value(g, w)->quant = *quant;
    oct_graph_remove_node(g, id);
    return oct_qdq_add_dequantize(g, ctx, w, quant, name, &y);
}

/* u8 with zero point 128 everywhere -> s8 with 0 */
static oct_status recentre(oct_graph *g, oct_ctx *ctx, oct_node_id id, const oct_quant *quant)
{
    const oct_value *x = oct_graph_value(g, oct_graph_node(g, id)->in[0]);
    size_t count = 0;
    for (int32_t i = 0; i < quant->n; i++)
        if (quant->q[i].zero_point != 128)
            return OCT_OK;
    if (!oct_shape_elems(&x->shape, &count))
        return OCT_OK;
    uint8_t *q = oct_arena_alloc_aligned(oct_graph_arena(g), count, OCT_ALIGN);
    oct_quant centred = oct_quant_copy(g, quant);
    if (!q || !centred.q)
        return OCT_ERR_NOMEM;
    oct_qparams *p = (oct_qparams *)centred.q;
    for (int32_t i = 0; i < quant->n; i++)
        p[i].zero_point = 0;
    for (size_t i = 0; i < count; i++)
        q[i] = ((const uint8_t *)x->data)[i] ^ 0x80;
    return set_weight(g, ctx, id, q, &centred);
}

static oct_status visit_dequantize(oct_graph *g, oct_ctx *ctx, oct_node_id id)
{
    const oct_node n = *oct_graph_node(g, id);
    oct_quant quant;
    oct_dtype dt;
    if (!oct_graph_value(g, n.in[0])->data || !oct_qdq_params(g, &n, &quant, &dt, NULL))
        return OCT_OK;
    if (dt == OCT_DT_S32)
        return oct_graph_value(g, n.out[0])->is_output ? OCT_OK : fold_bias(g, ctx, &n, &quant, id);
    oct_graph_value(g, n.in[0])->quant = quant;
    return dt == OCT_DT_U8 ? recentre(g, ctx, id, &quant) : OCT_OK;
}

/* ---- BatchNorm ---- */

/* What folding needs of a convolution with quantized weights. */
typedef struct folded {
    const oct_node *bn;
    oct_node_id conv_id, bn_id, dq_id;
    const oct_value *weight;
    oct_quant quant;
    size_t n_out;
    int32_t axis;      /* of output channels in the weight */
    const float *bias; /* n_out, or NULL */
} folded;

static const float *const_f32(const oct_graph *g, const oct_node *n, uint32_t i, size_t count)
{
    size_t have = 0;
    if (i >= n->n_in || n->in[i] == OCT_NONE)
        return NULL;
    const oct_value *v = oct_graph_value(g, n->in[i]);
    return v->data && v->dtype == OCT_DT_F32 && oct_shape_elems(&v->shape, &have) && have == count
               ? v->data
               : NULL;
}

/* Matches DQ(weight) -> Conv -> BatchNorm where nothing else reads in between. */
static oct_status match_bn(oct_graph *g, oct_ctx *ctx, oct_node_id bn_id, folded *f, bool *found)
{
    *found = false;
    const oct_node *bn = oct_graph_node(g, bn_id);
    const oct_value *x = oct_graph_value(g, bn->in[0]);
    if (x->producer == OCT_NONE || x->is_output || x->observed)
        return OCT_OK;
    const oct_node *conv = oct_graph_node(g, x->producer);
    const bool transposed = conv->op == OCT_OP_CONV_TRANSPOSE;
    const oct_use *use;
    uint32_t n_uses = 0;
    oct_dtype dt;
    OCT_TRY(oct_graph_uses(g, ctx, bn->in[0], &use, &n_uses));
    const oct_node *dq = conv->n_in > 1 ? oct_qdq_dequantize_of(g, conv->in[1]) : NULL;
    if (n_uses != 1 || (conv->op != OCT_OP_CONV && !transposed) || !dq ||
        conv->epilogue.residual >= 0 || conv->epilogue.act != OCT_ACT_NONE ||
        !oct_qdq_params(g, dq, &f->quant, &dt, NULL) || dt != OCT_DT_S8)
        return OCT_OK;
    f->weight = oct_graph_value(g, dq->in[0]);
    f->axis = transposed ? 1 : 0;
    if (!f->weight->data || f->weight->shape.n_dims < 3 ||
        (transposed && ((const oct_attr_window *)conv->attr)->group != 1) ||
        (f->quant.n > 1 && f->quant.axis != f->axis))
        return OCT_OK;
    f->n_out = (size_t)f->weight->shape.dim[f->axis];
    const bool has_bias = conv->n_in > 2 && conv->in[2] != OCT_NONE;
    f->bias = has_bias ? const_f32(g, conv, 2, f->n_out) : NULL;
    f->bn = bn;
    f->bn_id = bn_id;
    f->conv_id = x->producer;
    f->dq_id = oct_graph_value(g, conv->in[1])->producer;
    *found = (!has_bias || f->bias) && const_f32(g, bn, 1, f->n_out) &&
             const_f32(g, bn, 2, f->n_out) && const_f32(g, bn, 3, f->n_out) &&
             const_f32(g, bn, 4, f->n_out);
    return OCT_OK;
}

/* New integers and scales; false if a -128 would have to change its sign. */
static bool fold_weights(const oct_graph *g, const folded *f, uint8_t *q, oct_qparams *p,
                         float *bias)
{
    const float *gamma = const_f32(g, f->bn, 1, f->n_out), *beta = const_f32(g, f->bn, 2, f->n_out);
    const float *mean = const_f32(g, f->bn, 3, f->n_out), *var = const_f32(g, f->bn, 4, f->n_out);
    const double epsilon = ((const oct_attr_norm *)f->bn->attr)->epsilon;
    const oct_quant by_channel = {p, (int32_t)f->n_out, f->axis};
    size_t count = 0;
    (void)oct_shape_elems(&f->weight->shape, &count);
    for (size_t c = 0; c < f->n_out; c++) {
        const double k = gamma[c] / sqrt((double)var[c] + epsilon);
        const float scale = (float)(f->quant.q[f->quant.n == 1 ? 0 : c].scale * fabs(k));
        p[c] = (oct_qparams){k == 0 || !(scale > 0) ? 1.0f : scale,
                             k < 0 ? -1 : k > 0}; /* sign for now */
        bias[c] = (float)(((f->bias ? f->bias[c] : 0.0) - (double)mean[c]) * k + beta[c]);
        if (!isfinite(bias[c]) || !isfinite(scale))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        const int v = ((const int8_t *)f->weight->data)[i];
        const int sign = p[param_index(&f->weight->shape, &by_channel, i)].zero_point;
        if (v == -128 && sign < 0)
            return false;
        q[i] = (uint8_t)(int8_t)(v * sign);
    }
    for (size_t c = 0; c < f->n_out; c++)
        p[c].zero_point = 0;
    return true;
}

static oct_status fold_bn(oct_graph *g, oct_ctx *ctx, oct_node_id bn_id)
{
    folded f;
    bool found = false;
    OCT_TRY(match_bn(g, ctx, bn_id, &f, &found));
    if (!found)
        return OCT_OK;
    size_t count = 0;
    (void)oct_shape_elems(&f.weight->shape, &count);
    oct_arena *arena = oct_graph_arena(g);
    uint8_t *q = oct_arena_alloc_aligned(arena, count, OCT_ALIGN);
    oct_qparams *p = oct_arena_array(arena, f.n_out, sizeof *p);
    float *bias = oct_arena_array(arena, f.n_out, sizeof *bias);
    if (!q || !p || !bias)
        return OCT_ERR_NOMEM;
    if (!fold_weights(g, &f, q, p, bias))
        return OCT_OK;
    const oct_quant quant = {p, (int32_t)f.n_out, f.axis};
    const oct_node conv = *oct_graph_node(g, f.conv_id);
    const oct_shape shape = f.weight->shape; /* adding values moves the others */
    oct_value_id in[3], y = f.bn->out[0], w = OCT_NONE;
    const char *name = oct_graph_fresh_name(g, ctx, f.weight->name);
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, OCT_DT_S8, &shape, q, false, &w));
    oct_graph_value(g, w)->quant = quant;
    in[0] = conv.in[0];
    in[1] = OCT_NONE;
    OCT_TRY(oct_qdq_add_dequantize(g, ctx, w, &quant, name, &in[1]));
    const oct_shape bias_shape = {.n_dims = 1, .dim = {(int64_t)f.n_out}};
    name = oct_graph_fresh_name(g, ctx, name);
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, OCT_DT_F32, &bias_shape, bias, true, &in[2]));
    oct_graph_remove_node(g, f.bn_id);
    oct_graph_remove_node(g, f.conv_id);
    oct_node_id made;
    OCT_TRY(oct_graph_add_node(g, ctx, conv.op, conv.name, conv.attr, in, 3, &y, 1, &made));
    oct_graph_node(g, made)->model_index = conv.model_index;
    return OCT_OK;
}

typedef oct_status (*visit_fn)(oct_graph *g, oct_ctx *ctx, oct_node_id id);

static oct_status visit_all(oct_graph *g, oct_ctx *ctx, oct_op op, visit_fn fn)
{
    const uint32_t n = oct_graph_n_nodes(g);
    for (oct_node_id id = 0; id < n; id++)
        if (!oct_graph_node(g, id)->dead && oct_graph_node(g, id)->op == op)
            OCT_TRY(fn(g, ctx, id));
    return OCT_OK;
}

oct_status oct_pass_qdq_weights(oct_ctx *ctx, oct_graph *g)
{
    OCT_TRY(visit_all(g, ctx, OCT_OP_QUANTIZE_LINEAR, fold_quantize));
    OCT_TRY(visit_all(g, ctx, OCT_OP_DEQUANTIZE_LINEAR, visit_dequantize));
    OCT_TRY(visit_all(g, ctx, OCT_OP_BATCH_NORM, fold_bn));
    oct_graph_remove_unused(g);
    return oct_graph_sort(g, ctx);
}
