/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/export.h"

#include <string.h>

#include "base/build_info.h"
#include "base/numeric.h"
#include "engine/onnx_edit.h"
#include "quant/bias_export.h"
#include "quant/insert.h"

#define OPSET_PER_CHANNEL 13
#define OPSET_F16_SCALE 19
#define NAME_BYTES 1024

typedef struct exporter {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    const oct_graph *g;
    const oct_placement *p;
    const oct_export_options *opt;
    Onnx__NodeProto **node; /* by model index, as they stood before editing */
    size_t n_nodes;
} exporter;

static const char *suffixed(exporter *e, const char *name, const char *suffix)
{
    return oct_onnx_fresh_name(e->doc, oct_arena_printf(e->p->arena, "%s_%s", name, suffix));
}

/* The document's node behind a graph node. */
static oct_status doc_node(exporter *e, oct_node_id id, Onnx__NodeProto **out)
{
    const oct_node *n = oct_graph_node(e->g, id);
    if (n->model_index >= e->n_nodes)
        return oct_fail(
            e->ctx, OCT_ERR_UNSUPPORTED,
            "node '%s' stands inside a local function; exclude it or inline the function first",
            n->name);
    *out = e->node[n->model_index];
    return OCT_OK;
}

/* Where a reader of `v` may stand at the earliest: behind its producer. */
static oct_status insert_behind(exporter *e, oct_value_id v, Onnx__NodeProto *const *made,
                                size_t n_made)
{
    Onnx__GraphProto *g = e->doc->model->graph;
    const oct_node_id id = oct_graph_value(e->g, v)->producer;
    size_t at = 0;
    if (id != OCT_NONE) {
        Onnx__NodeProto *producer;
        OCT_TRY(doc_node(e, id, &producer));
        while (at < g->n_node && g->node[at] != producer)
            at++;
        at++;
    } else { /* a Constant node may make it */
        const char *name = oct_graph_value(e->g, v)->name;
        for (size_t i = 0; i < g->n_node; i++)
            for (size_t o = 0; o < g->node[i]->n_output; o++)
                if (strcmp(g->node[i]->output[o], name) == 0)
                    at = i + 1;
    }
    for (size_t i = 0; i < n_made; i++)
        OCT_TRY(oct_onnx_graph_insert(e->doc, g, at + i, made[i]));
    return OCT_OK;
}

/* ---- parameters ---- */

/* Scale initializer of the type of the real side. */
static oct_status add_scale(exporter *e, const oct_point *pt, oct_dtype real, const char *name)
{
    const size_t n = (size_t)pt->quant.n;
    const oct_shape shape = {.n_dims = n > 1 || pt->kind != OCT_POINT_ACTIVATION,
                             .dim = {(int64_t)n}};
    const oct_shape scalar = {.n_dims = 0};
    float *f = oct_arena_array(e->p->arena, n, sizeof *f);
    uint16_t *h = oct_arena_array(e->p->arena, n, sizeof *h);
    if (!f || !h)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        f[i] = pt->quant.q[i].scale;
        h[i] = oct_f16_from_f32(f[i]);
    }
    const void *data = real == OCT_DT_F16 ? (const void *)h : f;
    return oct_onnx_initializer_add(e->doc, e->doc->model->graph, name, real,
                                    n == 1 ? &scalar : &shape, data, true)
               ? OCT_OK
               : OCT_ERR_NOMEM;
}

static oct_status add_zero_point(exporter *e, const oct_point *pt, const char *name)
{
    const size_t n = (size_t)pt->quant.n, size = oct_dtype_bytes(pt->dtype);
    const oct_shape shape = {.n_dims = n > 1, .dim = {(int64_t)n}};
    uint8_t *z = oct_arena_array(e->p->arena, n, size);
    if (!z)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        memcpy(z + i * size, &pt->quant.q[i].zero_point, size); /* little-endian */
    return oct_onnx_initializer_add(e->doc, e->doc->model->graph, name, pt->dtype, &shape, z, true)
               ? OCT_OK
               : OCT_ERR_NOMEM;
}

/* Names of one pair. */
typedef struct pair {
    const char *scale, *zero, *quantized, *real;
    Onnx__NodeProto *node[2];
} pair;

static Onnx__NodeProto *new_node(exporter *e, const char *op, const char *tensor, const char *x,
                                 const pair *names, const char *y, const oct_point *pt)
{
    Onnx__NodeProto *n = oct_onnx_node_new(e->doc, op, "", suffixed(e, tensor, op));
    if (!n || oct_onnx_node_input(e->doc, n, x) != OCT_OK ||
        oct_onnx_node_input(e->doc, n, names->scale) != OCT_OK ||
        oct_onnx_node_input(e->doc, n, names->zero) != OCT_OK ||
        oct_onnx_node_output(e->doc, n, y) != OCT_OK)
        return NULL;
    if (pt->quant.n > 1 && oct_onnx_attr_set_s64(e->doc, n, "axis", pt->quant.axis) != OCT_OK)
        return NULL;
    return n;
}

/* Makes scale, zero point, Q (unless `stored`: the integers are an initializer) and DQ for `tensor`. */
static oct_status make_pair(exporter *e, const oct_point *pt, const char *tensor,
                            const char *real_in, bool stored, pair *out)
{
    const oct_dtype real = oct_graph_value(e->g, pt->value)->dtype;
    out->scale = suffixed(e, tensor, "scale");
    out->zero = suffixed(e, tensor, "zero_point");
    out->quantized = suffixed(e, tensor, "quantized");
    if (!out->scale || !out->zero || !out->quantized || !out->real)
        return OCT_ERR_NOMEM;
    OCT_TRY(add_scale(e, pt, real, out->scale));
    OCT_TRY(add_zero_point(e, pt, out->zero));
    out->node[0] =
        stored ? NULL : new_node(e, "QuantizeLinear", tensor, real_in, out, out->quantized, pt);
    out->node[1] = new_node(e, "DequantizeLinear", tensor, out->quantized, out, out->real, pt);
    return out->node[1] && (stored || out->node[0]) ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status rewire(exporter *e, const oct_point *pt, const char *name)
{
    for (uint32_t i = 0; i < pt->n_uses; i++) {
        Onnx__NodeProto *n;
        OCT_TRY(doc_node(e, pt->use[i].node, &n));
        OCT_TRY(oct_onnx_node_set_input(e->doc, n, pt->use[i].in_index, name));
    }
    return OCT_OK;
}

/* ---- the three kinds of points ---- */

/* The producer's output gets another name; the tensor's own is what DQ makes from now on. */
static oct_status rename_result(exporter *e, const oct_point *pt, const char *real)
{
    const oct_value *v = oct_graph_value(e->g, pt->value);
    Onnx__NodeProto *producer;
    OCT_TRY(doc_node(e, v->producer, &producer));
    for (size_t o = 0; o < producer->n_output; o++)
        if (strcmp(producer->output[o], v->name) == 0) {
            producer->output[o] = oct_onnx_doc_strdup(e->doc, real);
            return producer->output[o] ? OCT_OK : OCT_ERR_NOMEM;
        }
    return oct_fail(e->ctx, OCT_ERR_UNSUPPORTED,
                    "tensor '%s' is not an output of a node of the model", v->name);
}

static oct_status export_activation(exporter *e, const oct_point *pt)
{
    const oct_value *v = oct_graph_value(e->g, pt->value);
    pair names = {0};
    if (pt->result) {
        const char *before = suffixed(e, v->name, "real");
        names.real = v->name;
        if (!before)
            return OCT_ERR_NOMEM;
        OCT_TRY(make_pair(e, pt, v->name, before, false, &names));
        OCT_TRY(rename_result(e, pt, before));
        return insert_behind(e, pt->value, names.node, 2);
    }
    names.real = suffixed(e, v->name, "dequantized");
    OCT_TRY(make_pair(e, pt, v->name, v->name, false, &names));
    OCT_TRY(insert_behind(e, pt->value, names.node, 2));
    return rewire(e, pt, names.real);
}

static oct_status export_stored(exporter *e, const oct_point *pt)
{
    const oct_value *v = oct_graph_value(e->g, pt->value);
    Onnx__GraphProto *g = e->doc->model->graph;
    const void *bytes;
    pair names = {.real = suffixed(e, v->name, "dequantized")};
    OCT_TRY(oct_quant_constant(e->ctx, e->g, e->p, pt, &bytes));
    OCT_TRY(make_pair(e, pt, v->name, NULL, true, &names));
    if (!oct_onnx_initializer_add(e->doc, g, names.quantized, pt->dtype, &v->shape, bytes, true))
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_onnx_graph_insert(e->doc, g, 0, names.node[1]));
    OCT_TRY(rewire(e, pt, names.real));
    if (!oct_onnx_is_read(g, v->name) && oct_onnx_initializer_find(g, v->name))
        oct_onnx_initializer_remove(g, v->name);
    return OCT_OK;
}

static oct_status export_weight(exporter *e, const oct_point *pt)
{
    const oct_value *v = oct_graph_value(e->g, pt->value);
    if (e->opt->weights_int8)
        return export_stored(e, pt);
    pair names = {.real = suffixed(e, v->name, "dequantized")};
    OCT_TRY(make_pair(e, pt, v->name, v->name, false, &names));
    OCT_TRY(insert_behind(e, pt->value, names.node, 2));
    return rewire(e, pt, names.real);
}

/* ---- the whole ---- */

static bool has_f16(const exporter *e)
{
    for (uint32_t i = 0; i < e->p->n_points; i++)
        if (oct_graph_value(e->g, e->p->point[i].value)->dtype == OCT_DT_F16)
            return true;
    return false;
}

/* The corrected biases, before the points that quantize them. */
static oct_status export_biases(exporter *e)
{
    for (uint32_t i = 0; i < e->p->n_biases; i++) {
        Onnx__NodeProto *n;
        OCT_TRY(doc_node(e, e->p->bias[i].node, &n));
        OCT_TRY(oct_bias_export(e->doc, e->g, &e->p->bias[i], n));
    }
    return OCT_OK;
}

/* What they were, once it is known what the nodes read now. */
static oct_status note_biases(exporter *e)
{
    oct_bias_note note;
    oct_status st = OCT_OK;
    if (e->p->n_biases == 0)
        return OCT_OK;
    oct_bias_note_begin(&note, e->ctx);
    for (uint32_t i = 0; i < e->p->n_biases && st == OCT_OK; i++) {
        Onnx__NodeProto *n;
        st = doc_node(e, e->p->bias[i].node, &n);
        if (st == OCT_OK)
            oct_bias_note_add(&note, e->g, &e->p->bias[i], n);
    }
    if (st == OCT_OK)
        st = oct_bias_note_end(&note, e->doc);
    oct_bias_note_deinit(&note);
    return st;
}

static oct_status export_points(exporter *e)
{
    OCT_TRY(oct_onnx_opset_raise(e->ctx, e->doc, has_f16(e) ? OPSET_F16_SCALE : OPSET_PER_CHANNEL,
                                 e->g));
    OCT_TRY(export_biases(e));
    for (uint32_t i = 0; i < e->p->n_points; i++) {
        const oct_point *pt = &e->p->point[i];
        oct_status st;
        if (pt->kind == OCT_POINT_ACTIVATION)
            st = export_activation(e, pt);
        else
            st = pt->kind == OCT_POINT_WEIGHT ? export_weight(e, pt) : export_stored(e, pt);
        if (st != OCT_OK)
            return oct_fail_in(e->ctx, st, "tensor '%s'", oct_graph_value(e->g, pt->value)->name);
    }
    OCT_TRY(note_biases(e));
    OCT_TRY(oct_onnx_metadata_set(e->doc, "octet.version", OCT_VERSION));
    return e->opt->provenance
               ? oct_onnx_metadata_set(e->doc, "octet.quantization", e->opt->provenance)
               : OCT_OK;
}

oct_status oct_export_qdq(oct_ctx *ctx, oct_onnx_doc *doc, const oct_graph *g,
                          const oct_placement *p, const oct_export_options *opt)
{
    static const oct_export_options none = {0};
    exporter e = {.ctx = ctx, .doc = doc, .g = g, .p = p, .opt = opt ? opt : &none};
    e.n_nodes = doc->model->graph->n_node;
    e.node = oct_alloc_array(ctx, e.n_nodes, sizeof *e.node);
    if (!e.node)
        return OCT_ERR_NOMEM;
    if (e.n_nodes)
        memcpy(e.node, doc->model->graph->node, e.n_nodes * sizeof *e.node);
    const oct_status st = export_points(&e);
    oct_free(ctx, e.node);
    return st;
}
