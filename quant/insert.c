/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/insert.h"

#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/qdq.h"
#include "quant/weight_scale.h"

static oct_status weight_bytes(const oct_value *v, const oct_placement *p, const oct_point *pt,
                               size_t n, const void **bytes)
{
    oct_arena *a = p->arena;
    const float *w = v->data;
    if (v->dtype != OCT_DT_F32) {
        float *f = oct_arena_array(a, n, sizeof *f);
        if (!f)
            return OCT_ERR_NOMEM;
        for (size_t i = 0; i < n; i++)
            f[i] = (float)oct_elem_f64(v->data, v->dtype, i);
        w = f;
    }
    int8_t *q = oct_arena_alloc_aligned(a, n, OCT_ALIGN);
    float *scale = oct_arena_array(a, (size_t)pt->quant.n, sizeof *scale);
    if (!q || !scale)
        return OCT_ERR_NOMEM;
    for (int32_t c = 0; c < pt->quant.n; c++)
        scale[c] = pt->quant.q[c].scale;
    const bool whole = pt->quant.n == 1 && v->shape.dim[pt->quant.axis] != 1;
    oct_weight_quantize(w, &v->shape, whole ? -1 : pt->quant.axis, scale, q);
    *bytes = q;
    return OCT_OK;
}

static oct_status bias_bytes(const oct_value *v, const oct_placement *p, const oct_point *pt,
                             size_t n, const void **bytes)
{
    int32_t *q = oct_arena_array(p->arena, n, sizeof *q);
    if (!q)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const double s = pt->quant.q[pt->quant.n == 1 ? 0 : i].scale;
        q[i] =
            (int32_t)rint(fmin(fmax(oct_elem_f64(v->data, v->dtype, i) / s, -0x1p31), 0x1p31 - 1));
    }
    *bytes = q;
    return OCT_OK;
}

oct_status oct_quant_constant(oct_ctx *ctx, const oct_graph *g, const oct_placement *p,
                              const oct_point *pt, const void **bytes)
{
    const oct_value *v = oct_graph_value(g, pt->value);
    size_t n = 0;
    if (!oct_shape_elems(&v->shape, &n))
        return oct_fail(ctx, OCT_ERR_SHAPE, "constant '%s' has no known shape", v->name);
    return pt->kind == OCT_POINT_BIAS ? bias_bytes(v, p, pt, n, bytes)
                                      : weight_bytes(v, p, pt, n, bytes);
}

static oct_status rewire(oct_graph *g, oct_ctx *ctx, const oct_point *pt, oct_value_id real)
{
    for (uint32_t i = 0; i < pt->n_uses; i++) {
        const oct_node *n = oct_graph_node(g, pt->use[i].node);
        oct_value_id *in = oct_arena_copy(oct_graph_arena(g), n->in, n->n_in * sizeof *in);
        if (!in)
            return OCT_ERR_NOMEM;
        in[pt->use[i].in_index] = real;
        OCT_TRY(oct_graph_set_inputs(g, ctx, pt->use[i].node, in, n->n_in));
    }
    return OCT_OK;
}

static oct_status insert_constant(oct_graph *g, oct_ctx *ctx, const oct_placement *p,
                                  const oct_point *pt)
{
    const void *bytes;
    OCT_TRY(oct_quant_constant(ctx, g, p, pt, &bytes));
    const oct_value v = *oct_graph_value(g, pt->value);
    const char *name =
        oct_graph_fresh_name(g, ctx, oct_arena_printf(oct_graph_arena(g), "%s_quantized", v.name));
    oct_value_id q, real = OCT_NONE;
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(g, ctx, name, pt->dtype, &v.shape, bytes, true, &q));
    const oct_quant quant = oct_quant_copy(g, &pt->quant);
    if (!quant.q)
        return OCT_ERR_NOMEM;
    oct_graph_value(g, q)->quant = quant;
    OCT_TRY(oct_qdq_add_dequantize(g, ctx, q, &quant, v.name, &real));
    return rewire(g, ctx, pt, real);
}

static oct_status insert_activation(oct_graph *g, oct_ctx *ctx, const oct_point *pt)
{
    const char *name = oct_graph_value(g, pt->value)->name;
    oct_value_id q = OCT_NONE, real = OCT_NONE;
    OCT_TRY(oct_qdq_add_quantize(g, ctx, pt->value, &pt->quant, pt->dtype, name, &q));
    OCT_TRY(oct_qdq_add_dequantize(g, ctx, q, &pt->quant, name, &real));
    if (!pt->result)
        return rewire(g, ctx, pt, real);
    const oct_node_id maker = oct_graph_value(g, q)->producer;
    oct_graph_replace_uses(g, pt->value, real, false);
    oct_value_id *in = oct_arena_copy(oct_graph_arena(g), oct_graph_node(g, maker)->in,
                                      oct_graph_node(g, maker)->n_in * sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    in[0] = pt->value; /* the Q itself keeps reading the real value */
    return oct_graph_set_inputs(g, ctx, maker, in, oct_graph_node(g, maker)->n_in);
}

oct_status oct_quant_insert(oct_ctx *ctx, oct_graph *g, const oct_placement *p)
{
    for (uint32_t i = 0; i < p->n_points; i++) {
        const oct_point *pt = &p->point[i];
        if (pt->kind == OCT_POINT_ACTIVATION)
            OCT_TRY(insert_activation(g, ctx, pt));
        else
            OCT_TRY(insert_constant(g, ctx, p, pt));
    }
    oct_graph_remove_unused(g);
    return oct_graph_sort(g, ctx);
}
