/* SPDX-License-Identifier: Apache-2.0
 *
 * Attributes of older opsets that became inputs: a table, because they are all alike. Where a
 * node carries the attribute and not the input, a constant takes the input's place.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/import_internal.h"

typedef enum form {
    S64_VECTOR,     /* ints -> s64[n] */
    S64_ONE,        /* int -> s64[1] */
    F32_VECTOR,     /* floats -> f32[n] */
    SCALAR_LIKE_IN, /* float -> scalar of input 0's element type */
} form;

static const struct {
    oct_op op;
    const char *attr;
    uint32_t index;
    form form;
} ROWS[] = {
    {OCT_OP_SQUEEZE, "axes", 1, S64_VECTOR},
    {OCT_OP_UNSQUEEZE, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_SUM, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_MEAN, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_MAX, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_MIN, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_PROD, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_L1, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_L2, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_SUM_SQUARE, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_LOG_SUM, "axes", 1, S64_VECTOR},
    {OCT_OP_REDUCE_LOG_SUM_EXP, "axes", 1, S64_VECTOR},
    {OCT_OP_MEAN_VARIANCE_NORM, "axes", 1, S64_VECTOR},
    {OCT_OP_SPLIT, "split", 1, S64_VECTOR},
    {OCT_OP_SLICE, "starts", 1, S64_VECTOR},
    {OCT_OP_SLICE, "ends", 2, S64_VECTOR},
    {OCT_OP_SLICE, "axes", 3, S64_VECTOR},
    {OCT_OP_TOP_K, "k", 1, S64_ONE},
    {OCT_OP_RESHAPE, "shape", 1, S64_VECTOR},
    {OCT_OP_PAD, "pads", 1, S64_VECTOR},
    {OCT_OP_PAD, "paddings", 1, S64_VECTOR},
    {OCT_OP_PAD, "value", 2, SCALAR_LIKE_IN},
    {OCT_OP_CLIP, "min", 1, SCALAR_LIKE_IN},
    {OCT_OP_CLIP, "max", 2, SCALAR_LIKE_IN},
    {OCT_OP_RESIZE, "scales", 2, F32_VECTOR},
};

oct_status oct_draft_const(oct_draft *d, const char *stem, oct_dtype dt, const oct_shape *shape,
                           const void *data, oct_value_id *id)
{
    oct_arena *a = d->s->im->doc->arena;
    const char *base = oct_onnx_str(d->node->name);
    if (!*base && d->node->n_output)
        base = d->node->output[0];
    const char *name = oct_arena_printf(a, "%s/%s", base, stem);
    if (name)
        name = oct_scope_fresh(d->s, name);
    if (!name)
        return OCT_ERR_NOMEM;
    return oct_graph_add_constant(d->s->g, d->s->im->ctx, name, dt, shape, data, true, id);
}

oct_status oct_draft_const_s64s(oct_draft *d, const char *stem, const int64_t *v, int64_t n,
                                oct_value_id *id)
{
    const oct_shape shape = {.dim = {n}, .n_dims = 1};
    return oct_draft_const(d, stem, OCT_DT_S64, &shape, n ? (const void *)v : "", id);
}

oct_value_id oct_draft_in(const oct_draft *d, uint32_t i)
{
    return i < d->n_in ? d->in[i] : OCT_NONE;
}

void oct_draft_set_in(oct_draft *d, uint32_t i, oct_value_id v)
{
    while (d->n_in <= i)
        d->in[d->n_in++] = OCT_NONE;
    d->in[i] = v;
}

static oct_status scalar_like(oct_draft *d, const char *stem, float v, oct_value_id *id)
{
    const oct_shape scalar = {0};
    const oct_value_id x = oct_draft_in(d, 0);
    const oct_dtype dt = x == OCT_NONE ? OCT_DT_NONE : oct_graph_value(d->s->g, x)->dtype;
    const uint16_t half = dt == OCT_DT_BF16 ? oct_bf16_from_f32(v) : oct_f16_from_f32(v);
    const double wide = v;
    switch (dt) {
    case OCT_DT_F16:
    case OCT_DT_BF16:
        return oct_draft_const(d, stem, dt, &scalar, &half, id);
    case OCT_DT_F64:
        return oct_draft_const(d, stem, dt, &scalar, &wide, id);
    default: /* the attribute existed for floats only */
        return oct_draft_const(d, stem, OCT_DT_F32, &scalar, &v, id);
    }
}

static oct_status make_constant(oct_draft *d, const Onnx__AttributeProto *a, const char *stem,
                                form f, oct_value_id *id)
{
    const oct_shape vec = {.dim = {(int64_t)a->n_floats}, .n_dims = 1};
    switch (f) {
    case S64_VECTOR:
        return oct_draft_const_s64s(d, stem, a->ints, (int64_t)a->n_ints, id);
    case S64_ONE:
        return oct_draft_const_s64s(d, stem, &a->i, 1, id);
    case F32_VECTOR:
        return oct_draft_const(d, stem, OCT_DT_F32, &vec,
                               a->n_floats ? (const void *)a->floats : "", id);
    default:
        return scalar_like(d, stem, a->f, id);
    }
}

oct_status oct_import_attr_inputs(oct_draft *d)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        oct_value_id id;
        if (ROWS[i].op != d->op || oct_draft_in(d, ROWS[i].index) != OCT_NONE)
            continue;
        const Onnx__AttributeProto *a = oct_draft_attr(d, ROWS[i].attr);
        if (!a)
            continue;
        OCT_TRY(make_constant(d, a, ROWS[i].attr, ROWS[i].form, &id));
        oct_draft_set_in(d, ROWS[i].index, id);
    }
    return OCT_OK;
}
