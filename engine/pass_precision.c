/* SPDX-License-Identifier: Apache-2.0
 *
 * Half-precision models compute in f32 (pass_half.c brings f16 back on devices): every f16 or bf16 tensor becomes
 * f32, weights are converted once, and Casts stand at the graph's inputs and outputs.
 *
 *     x:f16 ──► Cast ──► f32 graph ──► Cast ──► y:f16
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/pass_internal.h"
#include "kernels/op_schema.h"

static bool is_half(oct_dtype dt)
{
    return dt == OCT_DT_F16 || dt == OCT_DT_BF16;
}

static oct_status convert_constant(oct_graph *g, oct_value *v)
{
    size_t n = 0;
    if (!oct_shape_elems(&v->shape, &n))
        return OCT_OK;
    float *x = oct_arena_array(oct_graph_arena(g), n ? n : 1, sizeof *x);
    if (!x)
        return OCT_ERR_NOMEM;
    const uint16_t *h = v->data;
    for (size_t i = 0; i < n; i++)
        x[i] = v->dtype == OCT_DT_F16 ? oct_f32_from_f16(h[i]) : oct_f32_from_bf16(h[i]);
    v->data = x;
    v->data_bytes = n * sizeof *x;
    v->const_key = oct_const_key_new();
    return OCT_OK;
}

/* Attributes that name an element type. */
static oct_status convert_attr(oct_graph *g, oct_node *n)
{
    const size_t bytes = oct_op_schema_get(n->op)->attr_bytes;
    if (!n->attr ||
        (n->op != OCT_OP_CAST && n->op != OCT_OP_CONSTANT_OF_SHAPE && n->op != OCT_OP_EYE_LIKE))
        return OCT_OK;
    void *attr = oct_arena_copy(oct_graph_arena(g), n->attr, bytes);
    if (!attr)
        return OCT_ERR_NOMEM;
    n->attr = attr;
    if (n->op == OCT_OP_CAST) {
        oct_attr_cast *a = attr;
        a->to = is_half(a->to) ? OCT_DT_F32 : a->to;
    } else if (n->op == OCT_OP_EYE_LIKE) {
        oct_attr_eye *a = attr;
        a->dtype = is_half(a->dtype) ? OCT_DT_F32 : a->dtype;
    } else {
        oct_attr_fill *a = attr;
        uint16_t h;
        memcpy(&h, a->value, sizeof h);
        const float x = a->dtype == OCT_DT_F16 ? oct_f32_from_f16(h) : oct_f32_from_bf16(h);
        if (is_half(a->dtype)) {
            memcpy(a->value, &x, sizeof x);
            a->dtype = OCT_DT_F32;
        }
    }
    return OCT_OK;
}

static oct_status add_cast(oct_ctx *ctx, oct_graph *g, oct_value_id from, oct_value_id to,
                           oct_dtype dt)
{
    oct_attr_cast a = {.to = dt, .saturate = true};
    oct_node_id id;
    const char *name = oct_graph_fresh_name(g, ctx, "cast");
    return name ? oct_graph_add_node(g, ctx, OCT_OP_CAST, name, &a, &from, 1, &to, 1, &id)
                : OCT_ERR_NOMEM;
}

/* A twin of border value `v`, of the other type; `dt` is the twin's. */
static oct_status add_twin(oct_ctx *ctx, oct_graph *g, oct_value_id v, oct_dtype dt,
                           oct_value_id *twin)
{
    const oct_shape shape = oct_graph_value(g, v)->shape;
    const char *name = oct_graph_fresh_name(g, ctx, oct_graph_value(g, v)->name);
    return name ? oct_graph_add_value(g, ctx, name, dt, &shape, twin) : OCT_ERR_NOMEM;
}

static oct_status border_input(oct_ctx *ctx, oct_graph *g, oct_value_id v)
{
    oct_value_id twin;
    OCT_TRY(add_twin(ctx, g, v, OCT_DT_F32, &twin));
    oct_graph_replace_uses(g, v, twin, false);
    OCT_TRY(add_cast(ctx, g, v, twin, OCT_DT_F32));
    oct_graph_value(g, twin)->observed = oct_graph_value(g, v)->observed;
    oct_graph_value(g, v)->observed = false;
    return OCT_OK;
}

/* The producer makes the f32 twin; the output keeps its name and type behind a Cast. */
static oct_status border_output(oct_ctx *ctx, oct_graph *g, oct_value_id v)
{
    const oct_dtype dt = oct_graph_value(g, v)->dtype;
    const oct_node_id producer = oct_graph_value(g, v)->producer;
    const uint32_t index = oct_graph_value(g, v)->out_index;
    oct_value_id twin;
    if (producer == OCT_NONE)
        return OCT_OK; /* an input or constant handed through */
    OCT_TRY(add_twin(ctx, g, v, OCT_DT_F32, &twin));
    oct_graph_replace_uses(g, v, twin, false);
    oct_graph_node(g, producer)->out[index] = twin;
    oct_graph_value(g, twin)->producer = producer;
    oct_graph_value(g, twin)->out_index = index;
    oct_graph_value(g, v)->producer = OCT_NONE;
    oct_graph_value(g, twin)->observed = oct_graph_value(g, v)->observed;
    oct_graph_value(g, v)->observed = false;
    return add_cast(ctx, g, twin, v, dt);
}

static oct_status convert_inner(oct_ctx *ctx, oct_graph *g, bool is_sub)
{
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++) {
        oct_value *v = oct_graph_value(g, i);
        const bool border = !is_sub && (v->is_input || v->is_output);
        if (!is_half(v->dtype))
            continue;
        if (border)
            continue;
        if (v->data) /* constants, and what inference has folded */
            OCT_TRY(convert_constant(g, v));
        v->dtype = OCT_DT_F32;
    }
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++)
        OCT_TRY(convert_inner(ctx, oct_graph_sub(g, i), true));
    return OCT_OK;
}

/* Before the border's Casts are there: those keep their type. */
static oct_status convert_attrs(oct_graph *g)
{
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++)
        if (!oct_graph_node(g, i)->dead)
            OCT_TRY(convert_attr(g, oct_graph_node(g, i)));
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++)
        OCT_TRY(convert_attrs(oct_graph_sub(g, i)));
    return OCT_OK;
}

static bool has_half(const oct_graph *g)
{
    for (uint32_t i = 0; i < oct_graph_n_values(g); i++)
        if (is_half(oct_graph_value(g, i)->dtype))
            return true;
    for (uint32_t i = 0; i < oct_graph_n_subs(g); i++)
        if (has_half(oct_graph_sub(g, i)))
            return true;
    return false;
}

/* The list of inputs or outputs may move when nodes are added: ids are read one by one. */
oct_status oct_pass_precision(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    uint32_t n;
    (void)env;
    if (!has_half(g))
        return OCT_OK;
    OCT_TRY(convert_attrs(g));
    oct_graph_outputs(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_value_id v = oct_graph_outputs(g, &n)[i];
        if (is_half(oct_graph_value(g, v)->dtype) && !oct_graph_value(g, v)->is_input)
            OCT_TRY(border_output(ctx, g, v));
    }
    oct_graph_inputs(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_value_id v = oct_graph_inputs(g, &n)[i];
        if (is_half(oct_graph_value(g, v)->dtype))
            OCT_TRY(border_input(ctx, g, v));
    }
    OCT_TRY(oct_graph_sort(g, ctx));
    return convert_inner(ctx, g, false);
}
