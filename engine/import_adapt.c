/* SPDX-License-Identifier: Apache-2.0
 *
 * From the model's opset to the canonical form of kernels/op.h: changes of meaning, one function
 * each, in a table by operator. Source: the ONNX operator changelog.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/import_internal.h"

enum { OPSET_BROADCAST = 7 }; /* from here on binary ops broadcast as numpy does */

static oct_status unsupported(oct_draft *d, const char *what)
{
    return oct_fail(d->s->im->ctx, OCT_ERR_UNSUPPORTED, "%s", what);
}

static const oct_value *value_in(const oct_draft *d, uint32_t i)
{
    const oct_value_id v = oct_draft_in(d, i);
    return v == OCT_NONE ? NULL : oct_graph_value(d->s->g, v);
}

/* ---- broadcasting before opset 7 ------------------------------------------------------------ */

/* Appends ones to the shape of input `i` so that its axes meet input 0's from `axis` on. */
static oct_status pad_rank(oct_draft *d, uint32_t i, int64_t axis)
{
    const oct_value *x = value_in(d, 0), *y = value_in(d, i);
    int64_t axes[OCT_MAX_DIMS];
    oct_value_id in[2], out;
    if (!y || !x || x->shape.n_dims < 0 || y->shape.n_dims < 0)
        return unsupported(d, "broadcasting along an axis needs known ranks");
    const int n_pad = x->shape.n_dims - (int)axis - y->shape.n_dims;
    if (axis < 0 || axis > x->shape.n_dims || n_pad < 0)
        return oct_fail(d->s->im->ctx, OCT_ERR_SHAPE,
                        "input %u does not fit input 0 from axis %lld", i, (long long)axis);
    if (n_pad == 0)
        return OCT_OK;
    for (int k = 0; k < n_pad; k++)
        axes[k] = y->shape.n_dims + k;
    in[0] = oct_draft_in(d, i);
    OCT_TRY(oct_draft_const_s64s(d, "broadcast_axes", axes, n_pad, &in[1]));
    const char *name = oct_scope_fresh(d->s, "broadcast");
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_value(d->s->g, d->s->im->ctx, name, OCT_DT_NONE, NULL, &out));
    oct_node_id node;
    OCT_TRY(oct_graph_add_node(d->s->g, d->s->im->ctx, OCT_OP_UNSQUEEZE, "", NULL, in, 2, &out, 1,
                               &node));
    OCT_TRY(oct_infer_node(d->s->infer, node));
    oct_draft_set_in(d, i, out);
    return OCT_OK;
}

static oct_status adapt_binary(oct_draft *d)
{
    const Onnx__AttributeProto *axis = oct_draft_attr(d, "axis");
    if (d->version >= OPSET_BROADCAST || !axis)
        return OCT_OK;
    const oct_value *x = value_in(d, 0);
    return pad_rank(d, 1, axis->i < 0 && x ? axis->i + x->shape.n_dims : axis->i);
}

static oct_status adapt_prelu(oct_draft *d)
{
    const oct_value *slope = value_in(d, 1);
    if (d->version >= OPSET_BROADCAST || !slope || slope->shape.n_dims != 1 ||
        slope->shape.dim[0] == 1)
        return OCT_OK;
    return pad_rank(d, 1, 1);
}

/* ---- changed defaults and meanings ---------------------------------------------------------- */

static oct_status adapt_softmax(oct_draft *d)
{
    oct_attr_axis *a = d->attr;
    if (d->version >= 13)
        return OCT_OK;
    a->flatten_2d = true;
    if (!oct_draft_attr(d, "axis"))
        a->axis = 1;
    return OCT_OK;
}

static oct_status adapt_concat(oct_draft *d)
{
    if (d->version < 4 && !oct_draft_attr(d, "axis"))
        ((oct_attr_axis *)d->attr)->axis = 1;
    return OCT_OK;
}

static oct_status adapt_compress(oct_draft *d)
{
    ((oct_attr_axis *)d->attr)->has_axis = oct_draft_attr(d, "axis") != NULL;
    return OCT_OK;
}

static oct_status adapt_group_norm(oct_draft *d)
{
    ((oct_attr_norm *)d->attr)->per_group_scale = d->version < 21;
    return OCT_OK;
}

/* The outputs beyond the first hold training statistics. */
static oct_status adapt_batch_norm(oct_draft *d)
{
    oct_attr_norm *a = d->attr;
    const Onnx__AttributeProto *spatial = oct_draft_attr(d, "spatial");
    if (spatial)
        a->spatial = spatial->i;
    if (a->spatial == 0)
        return unsupported(d, "BatchNormalization with spatial=0");
    if (a->training_mode)
        return unsupported(d, "BatchNormalization in training mode");
    d->n_out = 1;
    return OCT_OK;
}

/* Training with a ratio of zero drops nothing (torchvision's Swin exports that). */
static oct_status adapt_dropout(oct_draft *d)
{
    const oct_value *ratio = value_in(d, 1), *training = value_in(d, 2);
    const bool off = training && training->data && !*(const uint8_t *)training->data;
    const bool none = ratio && ratio->data && ratio->data_bytes &&
                      oct_elem_f64(ratio->data, ratio->dtype, 0) == 0;
    if (training && !off && !none)
        return unsupported(d, "Dropout in training mode");
    d->n_in = 1;
    return OCT_OK;
}

static oct_status adapt_roi_align(oct_draft *d)
{
    if (d->version < 16)
        ((oct_attr_roi_align *)d->attr)->half_pixel = false;
    return OCT_OK;
}

static oct_status adapt_mvn(oct_draft *d)
{
    static const int64_t axes[] = {0, 2, 3};
    oct_value_id id;
    if (oct_draft_in(d, 1) != OCT_NONE)
        return OCT_OK;
    OCT_TRY(oct_draft_const_s64s(d, "axes", axes, 3, &id));
    oct_draft_set_in(d, 1, id);
    return OCT_OK;
}

/* ---- Cast before opset 6 names the type ----------------------------------------------------- */

static oct_status adapt_cast(oct_draft *d)
{
    oct_attr_cast *a = d->attr;
    const Onnx__AttributeProto *to = oct_draft_attr(d, "to");
    if (d->version < 6 && to) {
        for (int32_t i = 1; i < 32 && a->to == OCT_DT_NONE; i++)
            if (strlen(oct_onnx_type_name(i)) == to->s.len &&
                memcmp(oct_onnx_type_name(i), to->s.data, to->s.len) == 0)
                a->to = oct_onnx_dtype(i);
    }
    return a->to == OCT_DT_NONE ? unsupported(d, "Cast to no known type") : OCT_OK;
}

/* ---- Upsample, and Resize of opset 10 and 11 ------------------------------------------------ */

static bool is_empty(const oct_value *v)
{
    return v && v->data && v->data_bytes == 0;
}

static oct_status upsample_scales(oct_draft *d)
{
    const Onnx__AttributeProto *h = oct_draft_attr(d, "height_scale");
    const Onnx__AttributeProto *w = oct_draft_attr(d, "width_scale");
    const oct_shape four = {.dim = {4}, .n_dims = 1};
    oct_value_id id;
    if (!h || !w)
        return OCT_OK;
    const float scales[] = {1, 1, h->f, w->f};
    OCT_TRY(oct_draft_const(d, "scales", OCT_DT_F32, &four, scales, &id));
    oct_draft_set_in(d, 2, id);
    return OCT_OK;
}

static oct_status adapt_resize(oct_draft *d)
{
    oct_attr_resize *a = d->attr;
    const bool upsample = strcmp(d->node->op_type, "Upsample") == 0;
    if (upsample || d->version < 11) {
        a->coord = OCT_COORD_ASYMMETRIC;
        a->nearest = OCT_NEAREST_FLOOR;
        if (d->n_in == 2) { /* (x, scales) */
            const oct_value_id scales = d->in[1];
            oct_draft_set_in(d, 1, OCT_NONE);
            oct_draft_set_in(d, 2, scales);
        }
        OCT_TRY(upsample_scales(d));
    }
    for (uint32_t i = 1; i < d->n_in; i++) /* an empty tensor says "not given" */
        if (is_empty(value_in(d, i)))
            d->in[i] = OCT_NONE;
    if (oct_draft_in(d, 2) == OCT_NONE && oct_draft_in(d, 3) == OCT_NONE)
        return oct_fail(d->s->im->ctx, OCT_ERR_FORMAT, "neither scales nor sizes are given");
    return OCT_OK;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct {
    oct_op op;
    oct_status (*fn)(oct_draft *d);
} ROWS[] = {
    {OCT_OP_ADD, adapt_binary},
    {OCT_OP_SUB, adapt_binary},
    {OCT_OP_MUL, adapt_binary},
    {OCT_OP_DIV, adapt_binary},
    {OCT_OP_POW, adapt_binary},
    {OCT_OP_AND, adapt_binary},
    {OCT_OP_OR, adapt_binary},
    {OCT_OP_XOR, adapt_binary},
    {OCT_OP_EQUAL, adapt_binary},
    {OCT_OP_GREATER, adapt_binary},
    {OCT_OP_LESS, adapt_binary},
    {OCT_OP_PRELU, adapt_prelu},
    {OCT_OP_SOFTMAX, adapt_softmax},
    {OCT_OP_LOG_SOFTMAX, adapt_softmax},
    {OCT_OP_HARDMAX, adapt_softmax},
    {OCT_OP_CONCAT, adapt_concat},
    {OCT_OP_COMPRESS, adapt_compress},
    {OCT_OP_GROUP_NORM, adapt_group_norm},
    {OCT_OP_BATCH_NORM, adapt_batch_norm},
    {OCT_OP_DROPOUT, adapt_dropout},
    {OCT_OP_ROI_ALIGN, adapt_roi_align},
    {OCT_OP_MEAN_VARIANCE_NORM, adapt_mvn},
    {OCT_OP_CAST, adapt_cast},
    {OCT_OP_RESIZE, adapt_resize},
};

oct_status oct_import_adapt(oct_draft *d)
{
    OCT_TRY(oct_import_attr_inputs(d));
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        if (ROWS[i].op == d->op)
            OCT_TRY(ROWS[i].fn(d));
    return OCT_OK;
}

/* Names that older opsets or ONNX Runtime use for an operator we have. */
oct_op oct_import_find_op(const char *domain, const char *op_type)
{
    static const struct {
        const char *domain, *name;
        oct_op op;
    } alias[] = {
        {"", "Upsample", OCT_OP_RESIZE},
        {"", "Scatter", OCT_OP_SCATTER_ELEMENTS},
        {"com.microsoft", "QuantizeLinear", OCT_OP_QUANTIZE_LINEAR},
        {"com.microsoft", "DequantizeLinear", OCT_OP_DEQUANTIZE_LINEAR},
    };
    for (size_t i = 0; i < sizeof alias / sizeof alias[0]; i++)
        if (strcmp(alias[i].domain, domain) == 0 && strcmp(alias[i].name, op_type) == 0)
            return alias[i].op;
    return oct_op_find(domain, op_type);
}
