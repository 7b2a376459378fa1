/* SPDX-License-Identifier: Apache-2.0
 *
 * The way back: a Q/DQ model without its pairs, and the scales they carried.
 *
 *     x -> Q -> DQ -> y      readers of y read x again; where y is a graph output, x takes its name
 *     s8 constant -> DQ -> y      y becomes an f32 initializer
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/onnx_edit.h"
#include "engine/qdq.h"
#include "quant/bias_export.h"
#include "quant/export.h"

typedef struct stripper {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    oct_graph *g;
    oct_strip_fn found;
    void *user;
    uint32_t n_pairs;
} stripper;

static Onnx__GraphProto *doc_graph(const stripper *s)
{
    return s->doc->model->graph;
}

static bool is_graph_output(const stripper *s, const char *name)
{
    for (size_t i = 0; i < doc_graph(s)->n_output; i++)
        if (strcmp(oct_onnx_str(doc_graph(s)->output[i]->name), name) == 0)
            return true;
    return false;
}

static bool is_graph_input(const stripper *s, const char *name)
{
    for (size_t i = 0; i < doc_graph(s)->n_input; i++)
        if (strcmp(oct_onnx_str(doc_graph(s)->input[i]->name), name) == 0)
            return true;
    return false;
}

/* Removes the node that makes `name`. */
static void remove_maker(stripper *s, const char *name)
{
    Onnx__GraphProto *g = doc_graph(s);
    for (size_t i = 0; i < g->n_node; i++)
        if (g->node[i]->n_output > 0 && strcmp(g->node[i]->output[0], name) == 0) {
            oct_onnx_graph_remove(g, i);
            return;
        }
}

static oct_status rename_output(stripper *s, const char *from, const char *to)
{
    Onnx__GraphProto *g = doc_graph(s);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t o = 0; o < g->node[i]->n_output; o++)
            if (strcmp(g->node[i]->output[o], from) == 0) {
                g->node[i]->output[o] = oct_onnx_doc_strdup(s->doc, to);
                return g->node[i]->output[o] ? OCT_OK : OCT_ERR_NOMEM;
            }
    return oct_fail(s->ctx, OCT_ERR_FORMAT, "tensor '%s' has no producer", from);
}

/* Our exporter keeps a result's own name on the dequantized side. */
static bool is_renamed(const char *x, const char *y)
{
    const size_t n = strlen(y);
    return strncmp(x, y, n) == 0 && strncmp(x + n, "_real", 5) == 0;
}

/* Half the width of what the type can hold, as a symmetric threshold over 127. */
static float symmetric_scale(oct_qparams q, oct_dtype dt)
{
    const double lo = dt == OCT_DT_S8 ? -128 : 0, hi = dt == OCT_DT_S8 ? 127 : 255;
    if (q.zero_point == 0 && dt == OCT_DT_S8)
        return q.scale;
    return (float)(fmax(hi - q.zero_point, q.zero_point - lo) * q.scale / 127);
}

static oct_status strip_activation(stripper *s, const oct_node *dq, const oct_node *q,
                                   const oct_quant *quant, oct_dtype dt)
{
    const char *x = oct_graph_value(s->g, q->in[0])->name,
               *y = oct_graph_value(s->g, dq->out[0])->name;
    const char *quantized = oct_graph_value(s->g, q->out[0])->name;
    const bool renamed = is_renamed(x, y), output = is_graph_output(s, y);
    if (s->found && quant->n == 1)
        OCT_TRY(s->found(s->user, renamed || output ? y : x, symmetric_scale(quant->q[0], dt)));
    remove_maker(s, y);
    s->n_pairs++;
    if ((renamed || output) && !is_graph_input(s, x)) {
        remove_maker(s, quantized);
        OCT_TRY(oct_onnx_rename_reads(s->doc, doc_graph(s), x, y, NULL));
        return rename_output(s, x, y);
    }
    if (output) /* a graph input quantized straight into an output: Identity keeps both names */
        return oct_fail(s->ctx, OCT_ERR_UNSUPPORTED, "graph input '%s' is quantized into an output",
                        x);
    return oct_onnx_rename_reads(s->doc, doc_graph(s), y, x, NULL);
}

static oct_status strip_weight(stripper *s, const oct_node *dq, const oct_quant *quant)
{
    const oct_value *w = oct_graph_value(s->g, dq->in[0]);
    const char *y = oct_graph_value(s->g, dq->out[0])->name;
    size_t n = 0, inner = 1;
    if (!oct_shape_elems(&w->shape, &n))
        return OCT_OK;
    for (int d = quant->axis + 1; quant->n > 1 && d < w->shape.n_dims; d++)
        inner *= (size_t)w->shape.dim[d];
    float *f = oct_onnx_doc_alloc(s->doc, n * sizeof *f);
    if (!f)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const oct_qparams q = quant->q[quant->n == 1 ? 0 : i / inner % (size_t)quant->n];
        f[i] = (float)((double)(oct_elem_s64(w->data, w->dtype, i) - q.zero_point) * q.scale);
    }
    remove_maker(s, y);
    s->n_pairs++;
    return oct_onnx_initializer_add(s->doc, doc_graph(s), y, OCT_DT_F32, &w->shape, f, false)
               ? OCT_OK
               : OCT_ERR_NOMEM;
}

static oct_status strip_node(stripper *s, oct_node_id id)
{
    const oct_node *dq = oct_graph_node(s->g, id);
    oct_quant quant;
    oct_dtype dt;
    const char *why = NULL;
    if (dq->op != OCT_OP_DEQUANTIZE_LINEAR || dq->model_index == OCT_NONE)
        return OCT_OK;
    if (!oct_qdq_params(s->g, dq, &quant, &dt, &why))
        return oct_fail(s->ctx, OCT_ERR_UNSUPPORTED, "node '%s': %s", dq->name, why);
    const oct_value *x = oct_graph_value(s->g, dq->in[0]);
    if (x->producer == OCT_NONE)
        return x->data ? strip_weight(s, dq, &quant) : OCT_OK;
    const oct_node *q = oct_graph_node(s->g, x->producer);
    if (q->op != OCT_OP_QUANTIZE_LINEAR)
        return OCT_OK;
    if (!oct_graph_value(s->g, q->in[0])->data)
        return strip_activation(s, dq, q, &quant, dt);
    remove_maker(s, oct_graph_value(s->g, dq->out[0])->name); /* f32 weight behind Q and DQ */
    s->n_pairs++;
    return oct_onnx_rename_reads(s->doc, doc_graph(s), oct_graph_value(s->g, dq->out[0])->name,
                                 oct_graph_value(s->g, q->in[0])->name, NULL);
}

/* QuantizeLinear nodes and parameters that nobody reads any more. */
static void sweep(stripper *s)
{
    Onnx__GraphProto *g = doc_graph(s);
    for (size_t i = g->n_node; i-- > 0;)
        if (strcmp(oct_onnx_str(g->node[i]->op_type), "QuantizeLinear") == 0 &&
            !oct_onnx_is_read(g, g->node[i]->output[0]))
            oct_onnx_graph_remove(g, i);
    for (size_t i = g->n_initializer; i-- > 0;)
        if (!oct_onnx_is_read(g, oct_onnx_str(g->initializer[i]->name)))
            oct_onnx_initializer_remove(g, g->initializer[i]->name);
}

oct_status oct_strip_qdq(oct_ctx *ctx, oct_onnx_doc *doc, oct_graph *g, oct_strip_fn found,
                         void *user, uint32_t *n_pairs)
{
    stripper s = {ctx, doc, g, found, user, 0};
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++)
        OCT_TRY(strip_node(&s, order[i]));
    OCT_TRY(oct_bias_restore(ctx, doc));
    sweep(&s);
    *n_pairs = s.n_pairs;
    return OCT_OK;
}
