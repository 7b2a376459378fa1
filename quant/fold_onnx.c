/* SPDX-License-Identifier: Apache-2.0
 *
 * BatchNormalization folded in the document: new weight and bias initializers, the convolution
 * takes over the output name, the node goes. Formula as in engine/pass_batch_norm.c.
 */
#include <math.h>
#include <string.h>

#include "engine/onnx_edit.h"
#include "quant/export.h"

typedef struct candidate {
    const oct_node *conv, *bn;
    const oct_value *weight;
    size_t n_out;
    int axis; /* of output channels in the weight */
} candidate;

static const float *channel_data(const oct_graph *g, const oct_node *n, uint32_t i, size_t want)
{
    size_t have = 0;
    if (i >= n->n_in || n->in[i] == OCT_NONE)
        return NULL;
    const oct_value *v = oct_graph_value(g, n->in[i]);
    return v->data && v->dtype == OCT_DT_F32 && oct_shape_elems(&v->shape, &have) && have == want
               ? v->data
               : NULL;
}

static bool match(oct_ctx *ctx, oct_graph *g, const oct_node *bn, candidate *c)
{
    const oct_value *x = oct_graph_value(g, bn->in[0]);
    const oct_use *use;
    uint32_t n_uses = 0;
    if (bn->op != OCT_OP_BATCH_NORM || x->producer == OCT_NONE || x->is_output ||
        oct_graph_uses(g, ctx, bn->in[0], &use, &n_uses) != OCT_OK || n_uses != 1)
        return false;
    const oct_node *conv = oct_graph_node(g, x->producer);
    const bool transposed = conv->op == OCT_OP_CONV_TRANSPOSE;
    if ((conv->op != OCT_OP_CONV && !transposed) || conv->model_index == OCT_NONE ||
        bn->model_index == OCT_NONE ||
        (transposed && ((const oct_attr_window *)conv->attr)->group != 1))
        return false;
    *c = (candidate){conv, bn, oct_graph_value(g, conv->in[1]), 0, transposed ? 1 : 0};
    if (!c->weight->data || c->weight->dtype != OCT_DT_F32 || c->weight->shape.n_dims < 3)
        return false;
    c->n_out = (size_t)c->weight->shape.dim[c->axis];
    const bool has_bias = conv->n_in > 2 && conv->in[2] != OCT_NONE;
    if (has_bias && !channel_data(g, conv, 2, c->n_out))
        return false;
    for (uint32_t i = 1; i < 5; i++)
        if (!channel_data(g, bn, i, c->n_out))
            return false;
    return true;
}

/* w' and b' in `doc`'s memory. */
static oct_status compute(oct_onnx_doc *doc, const oct_graph *g, const candidate *c, float **w,
                          float **b)
{
    size_t n = 0, inner = 1;
    (void)oct_shape_elems(&c->weight->shape, &n);
    for (int d = c->axis + 1; d < c->weight->shape.n_dims; d++)
        inner *= (size_t)c->weight->shape.dim[d];
    *w = oct_onnx_doc_alloc(doc, n * sizeof **w);
    *b = oct_onnx_doc_alloc(doc, c->n_out * sizeof **b);
    double *k = oct_onnx_doc_alloc(doc, c->n_out * sizeof *k);
    if (!*w || !*b || !k)
        return OCT_ERR_NOMEM;
    const float *scale = channel_data(g, c->bn, 1, c->n_out),
                *beta = channel_data(g, c->bn, 2, c->n_out);
    const float *mean = channel_data(g, c->bn, 3, c->n_out),
                *var = channel_data(g, c->bn, 4, c->n_out);
    const float *bias = channel_data(g, c->conv, 2, c->n_out);
    const double epsilon = ((const oct_attr_norm *)c->bn->attr)->epsilon;
    for (size_t o = 0; o < c->n_out; o++) {
        k[o] = scale[o] / sqrt((double)var[o] + epsilon);
        (*b)[o] = (float)(((bias ? bias[o] : 0.0) - (double)mean[o]) * k[o] + beta[o]);
    }
    for (size_t i = 0; i < n; i++)
        (*w)[i] = (float)(((const float *)c->weight->data)[i] * k[i / inner % c->n_out]);
    return OCT_OK;
}

static oct_status fold(oct_onnx_doc *doc, const oct_graph *g, const candidate *c,
                       Onnx__NodeProto *const *node)
{
    Onnx__GraphProto *og = doc->model->graph;
    Onnx__NodeProto *conv = node[c->conv->model_index], *bn = node[c->bn->model_index];
    const oct_shape bias_shape = {.n_dims = 1, .dim = {(int64_t)c->n_out}};
    float *w, *b;
    OCT_TRY(compute(doc, g, c, &w, &b));
    const char *wn =
        oct_onnx_fresh_name(doc, oct_arena_printf(doc->arena, "%s_folded", c->weight->name));
    const char *bn_name =
        oct_onnx_fresh_name(doc, oct_arena_printf(doc->arena, "%s_folded_bias", c->weight->name));
    if (!wn || !bn_name ||
        !oct_onnx_initializer_add(doc, og, wn, OCT_DT_F32, &c->weight->shape, w, false) ||
        !oct_onnx_initializer_add(doc, og, bn_name, OCT_DT_F32, &bias_shape, b, false))
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_onnx_node_set_input(doc, conv, 1, wn));
    OCT_TRY(oct_onnx_node_set_input(doc, conv, 2, bn_name));
    conv->output[0] = bn->output[0];
    for (size_t i = 0; i < og->n_node; i++)
        if (og->node[i] == bn) {
            oct_onnx_graph_remove(og, i);
            break;
        }
    return OCT_OK;
}

oct_status oct_export_fold_batch_norm(oct_ctx *ctx, oct_onnx_doc *doc, oct_graph *g,
                                      uint32_t *n_folded)
{
    const Onnx__GraphProto *og = doc->model->graph;
    const size_t n_nodes = og->n_node;
    uint32_t n_order = 0;
    const oct_node_id *order = oct_graph_order(g, &n_order);
    Onnx__NodeProto **node = oct_alloc_array(ctx, n_nodes, sizeof *node);
    oct_status st = node ? OCT_OK : OCT_ERR_NOMEM;
    *n_folded = 0;
    if (node && n_nodes)
        memcpy(node, og->node, n_nodes * sizeof *node);
    for (uint32_t i = 0; st == OCT_OK && i < n_order; i++) {
        candidate c;
        const oct_node *n = oct_graph_node(g, order[i]);
        if (n->op != OCT_OP_BATCH_NORM || !match(ctx, g, n, &c) || c.conv->model_index >= n_nodes ||
            n->model_index >= n_nodes)
            continue;
        st = fold(doc, g, &c, node);
        (*n_folded)++;
    }
    oct_free(ctx, node);
    return st;
}
