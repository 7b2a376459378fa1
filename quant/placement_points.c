/* SPDX-License-Identifier: Apache-2.0
 *
 * The Q/DQ pairs of quantized nodes.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "quant/placement_internal.h"
#include "quant/select.h"
#include "quant/weight_scale.h"

/* ---- points ---- */

static oct_status new_point(placer *p, oct_point_kind kind, oct_value_id v, oct_dtype dt,
                            oct_point **out)
{
    oct_placement *o = p->out;
    if (o->n_points == p->cap_points) {
        const uint32_t cap = p->cap_points ? 2 * p->cap_points : 64;
        oct_point *grown = oct_arena_array(o->arena, cap, sizeof *grown);
        if (!grown)
            return OCT_ERR_NOMEM;
        if (o->n_points)
            memcpy(grown, o->point, o->n_points * sizeof *grown);
        o->point = grown;
        p->cap_points = cap;
    }
    *out = &o->point[o->n_points++];
    **out = (oct_point){.kind = kind, .value = v, .dtype = dt};
    return OCT_OK;
}

static oct_status add_use(placer *p, oct_point *pt, oct_node_id node, uint32_t in_index)
{
    for (uint32_t i = 0; i < pt->n_uses; i++)
        if (pt->use[i].node == node && pt->use[i].in_index == in_index)
            return OCT_OK;
    oct_use *grown = oct_arena_array(p->out->arena, pt->n_uses + 1, sizeof *grown);
    if (!grown)
        return OCT_ERR_NOMEM;
    if (pt->n_uses)
        memcpy(grown, pt->use, pt->n_uses * sizeof *grown);
    grown[pt->n_uses++] = (oct_use){node, in_index};
    pt->use = grown;
    return OCT_OK;
}

static oct_quant make_quant(placer *p, size_t n, int axis)
{
    oct_qparams *q = oct_arena_array(p->out->arena, n, sizeof *q);
    return (oct_quant){q, (int32_t)n, axis < 0 ? 0 : axis};
}

/* The one point of a computed value, made on first use. */
static oct_status activation_point(placer *p, oct_value_id v, oct_point **out)
{
    value_info *i = &p->value[v];
    if (i->point) {
        *out = &p->out->point[i->point - 1];
        return OCT_OK;
    }
    OCT_TRY(new_point(p, OCT_POINT_ACTIVATION, v, OCT_DT_S8, out));
    i->point = p->out->n_points;
    (*out)->quant = make_quant(p, 1, -1);
    return (*out)->quant.q ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status quantize_input(placer *p, oct_node_id node, uint32_t in_index)
{
    oct_point *pt;
    OCT_TRY(activation_point(p, oct_graph_node(p->g, node)->in[in_index], &pt));
    return add_use(p, pt, node, in_index);
}

/* The convolution whose sum an Add takes over, through an unfolded BatchNorm: -1 or input 0 / 1. Where
 * both inputs qualify, the one computed later is fused and the other is the residual. */
static int fused_branch(placer *p, const oct_node *add)
{
    int best = -1;
    oct_node_id latest = 0;
    for (int i = 0; i < 2; i++) {
        const oct_use *use;
        uint32_t n_uses = 0;
        oct_value_id v = add->in[i];
        const oct_node *from = oct_placer_producer(p, v);
        if (from && from->op == OCT_OP_BATCH_NORM)
            from = oct_placer_producer(p, from->in[0]);
        if (!from || !oct_select_is_weighted(from->op) || oct_placer_value(p, v)->is_output ||
            oct_graph_uses(p->g, p->ctx, v, &use, &n_uses) != OCT_OK || n_uses != 1)
            continue;
        const oct_node_id id = oct_placer_value(p, v)->producer;
        if (best < 0 || id > latest) {
            best = i;
            latest = id;
        }
    }
    return best;
}

static oct_status place_follower(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    const bool ort = p->scheme->target == OCT_TARGET_ORT;
    if (n->op == OCT_OP_CONCAT && !ort)
        return OCT_OK; /* Q behind it moves through */
    const int fused = n->op == OCT_OP_ADD && !ort ? fused_branch(p, n) : -1;
    for (uint32_t i = 0; i < oct_placer_n_real_inputs(n); i++)
        if ((int)i != fused)
            OCT_TRY(quantize_input(p, id, i));
    return OCT_OK;
}

/* ONNX Runtime fuses DQ -> op -> [Relu or Clip] -> Q only: the result needs a pair too. */
oct_status oct_placer_result(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    oct_value_id y = n->out[0];
    const oct_use *use;
    uint32_t n_uses = 0;
    if (oct_placer_value(p, y)->dtype == OCT_DT_F16)
        return OCT_OK; /* no integer kernel of its takes float16 scales: nothing to fuse */
    OCT_TRY(oct_graph_uses(p->g, p->ctx, y, &use, &n_uses));
    if (n_uses == 1 && !oct_placer_value(p, y)->is_output) {
        const oct_node *next = oct_graph_node(p->g, use[0].node);
        if ((next->op == OCT_OP_RELU || next->op == OCT_OP_CLIP) &&
            p->value[next->out[0]].non_negative)
            y = next->out[0];
    }
    const bool optional = n->op == OCT_OP_GEMM || n->op == OCT_OP_MATMUL;
    if ((optional && !p->value[y].needed) || !oct_placer_amax(p, y))
        return OCT_OK;
    oct_point *pt;
    OCT_TRY(activation_point(p, y, &pt));
    pt->result = true;
    return OCT_OK;
}

/* ---- weights ---- */

static int channel_axis(const oct_scheme *s, const oct_node *n, const oct_value *w)
{
    if (s->per_tensor_weights)
        return -1;
    switch (n->op) {
    case OCT_OP_CONV:
        return 0;
    case OCT_OP_CONV_TRANSPOSE:
        return ((const oct_attr_window *)n->attr)->group == 1 ? 1 : -1;
    case OCT_OP_GEMM:
        return ((const oct_attr_gemm *)n->attr)->trans_b ? 0 : 1;
    default:
        return w->shape.n_dims == 2 ? 1 : -1;
    }
}

/* Dense f32 copy of a constant; the constant itself when it is f32. */
static const float *as_f32(placer *p, const oct_value *w)
{
    size_t n = 0;
    if (w->dtype == OCT_DT_F32)
        return w->data;
    if (!oct_shape_elems(&w->shape, &n))
        return NULL;
    float *f = oct_arena_array(p->out->arena, n, sizeof *f);
    for (size_t i = 0; f && i < n; i++)
        f[i] = (float)oct_elem_f64(w->data, w->dtype, i);
    return f;
}

static oct_point *find_weight_point(placer *p, oct_value_id v, int axis)
{
    for (uint32_t i = 0; i < p->out->n_points; i++) {
        oct_point *pt = &p->out->point[i];
        if (pt->kind == OCT_POINT_WEIGHT && pt->value == v &&
            pt->quant.axis == (axis < 0 ? 0 : axis))
            return pt;
    }
    return NULL;
}

/* s32 bias with scale x * w per channel. ONNX Runtime only. */
static oct_status place_bias(placer *p, oct_node_id id, float x_scale, const oct_point *w)
{
    const oct_node *n = oct_graph_node(p->g, id);
    oct_point *pt;
    OCT_TRY(new_point(p, OCT_POINT_BIAS, n->in[2], OCT_DT_S32, &pt));
    pt->quant = make_quant(p, (size_t)w->quant.n, 0);
    if (!pt->quant.q)
        return OCT_ERR_NOMEM;
    oct_qparams *q = (oct_qparams *)pt->quant.q;
    for (int32_t c = 0; c < pt->quant.n; c++)
        q[c].scale = x_scale * w->quant.q[c].scale;
    return add_use(p, pt, id, 2);
}

static bool has_vector_bias(const placer *p, const oct_node *n, size_t n_out)
{
    size_t have = 0;
    if (n->op == OCT_OP_MATMUL || n->n_in < 3 || n->in[2] == OCT_NONE)
        return false;
    const oct_value *b = oct_placer_value(p, n->in[2]);
    return b->data && b->dtype == OCT_DT_F32 && oct_shape_elems(&b->shape, &have) &&
           have == n_out && b->shape.n_dims == 1;
}

static oct_status place_weight(placer *p, oct_node_id id, float x_scale)
{
    const oct_node *n = oct_graph_node(p->g, id);
    const oct_value *w = oct_placer_value(p, n->in[1]);
    const int axis = channel_axis(p->scheme, n, w);
    const size_t n_scales = oct_weight_n_scales(&w->shape, axis);
    oct_point *pt = find_weight_point(p, n->in[1], axis);
    const bool ort_bias = p->scheme->target == OCT_TARGET_ORT && has_vector_bias(p, n, n_scales);
    if (pt && !ort_bias)
        return add_use(p, pt, id, 1);
    const float *data = as_f32(p, w);
    float *scale = oct_arena_array(p->out->arena, n_scales, sizeof *scale);
    if (!data || !scale)
        return OCT_ERR_NOMEM;
    const oct_status st =
        oct_weight_scales(p->ctx, data, &w->shape, axis, p->scheme->weights, scale);
    if (st != OCT_OK)
        return oct_fail_in(p->ctx, st, "weight '%s' of node '%s'", w->name, n->name);
    if (ort_bias)
        oct_weight_scales_fit_bias(scale, n_scales, oct_placer_value(p, n->in[2])->data, n_scales,
                                   x_scale);
    OCT_TRY(new_point(p, OCT_POINT_WEIGHT, n->in[1], OCT_DT_S8, &pt));
    pt->quant = make_quant(p, n_scales, axis);
    if (!pt->quant.q)
        return OCT_ERR_NOMEM;
    for (size_t c = 0; c < n_scales; c++)
        ((oct_qparams *)pt->quant.q)[c].scale = scale[c];
    OCT_TRY(add_use(p, pt, id, 1));
    const oct_point made = *pt;
    return ort_bias ? place_bias(p, id, x_scale, &made) : OCT_OK;
}

/* Scales of all activation points, once their sharing is known. */
void oct_placer_scales(placer *p)
{
    oct_placement *o = p->out;
    const uint32_t n_values = oct_graph_n_values(p->g);
    for (uint32_t v = 0; v < n_values; v++) { /* the root collects its group's largest threshold */
        const uint32_t root = oct_placer_share(p, v);
        if (root == v || !oct_placer_amax(p, v))
            continue;
        (void)oct_placer_amax(p, root);
        p->value[root].amax = fmaxf(p->value[root].amax, p->value[v].amax);
        p->value[root].non_negative = p->value[root].non_negative && p->value[v].non_negative;
    }
    for (uint32_t i = 0; i < o->n_points; i++) {
        oct_point *pt = &o->point[i];
        if (pt->kind != OCT_POINT_ACTIVATION)
            continue;
        const value_info *info = &p->value[oct_placer_share(p, pt->value)];
        const bool ort = p->scheme->target == OCT_TARGET_ORT;
        const bool shifted = (ort || p->scheme->unsigned_activations) && info->non_negative;
        oct_qparams *q = (oct_qparams *)pt->quant.q;
        q->scale = fmaxf(info->amax / (shifted ? 255.0f : 127.0f), 0x1p-120f);
        q->zero_point = ort && !shifted ? 128 : 0;
        pt->dtype = ort || shifted ? OCT_DT_U8 : OCT_DT_S8;
    }
}

oct_status oct_placer_inputs(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (!oct_select_is_weighted(n->op))
        return place_follower(p, id);
    OCT_TRY(quantize_input(p, id, 0));
    return oct_placer_value(p, n->in[1])->data ? OCT_OK : quantize_input(p, id, 1);
}

oct_status oct_placer_weights(placer *p, oct_node_id id)
{
    const oct_node *n = oct_graph_node(p->g, id);
    if (!oct_select_is_weighted(n->op) || !oct_placer_value(p, n->in[1])->data)
        return OCT_OK;
    return place_weight(p, id, p->out->point[p->value[n->in[0]].point - 1].quant.q->scale);
}
