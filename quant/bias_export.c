/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/bias_export.h"

#include <math.h>
#include <string.h>

#include "base/json_read.h"
#include "base/numeric.h"
#include "engine/onnx_edit.h"

#define MAX_TEXT_BYTES ((size_t)64 << 20)

oct_status oct_bias_export(oct_onnx_doc *doc, const oct_graph *g, const oct_bias_change *c,
                           Onnx__NodeProto *node)
{
    const oct_value *v = oct_graph_value(g, c->after), *old = NULL;
    Onnx__GraphProto *og = doc->model->graph;
    if (c->before != OCT_NONE)
        old = oct_graph_value(g, c->before);
    const char *name = oct_onnx_fresh_name(doc, v->name);
    if (!name || !oct_onnx_initializer_add(doc, og, name, v->dtype, &v->shape, v->data, true))
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_onnx_node_set_input(doc, node, c->in_index, name));
    if (old != NULL && !oct_onnx_is_read(og, old->name) &&
        oct_onnx_initializer_find(og, old->name) != NULL)
        oct_onnx_initializer_remove(og, old->name);
    return OCT_OK;
}

/* ---- what they were ---------------------------------------------------------------------- */

void oct_bias_note_begin(oct_bias_note *n, oct_ctx *ctx)
{
    oct_strbuf_init(&n->text, ctx);
    oct_json_init(&n->json, &n->text, false);
    oct_json_begin_array(&n->json);
}

void oct_bias_note_add(oct_bias_note *n, const oct_graph *g, const oct_bias_change *c,
                       const Onnx__NodeProto *node)
{
    oct_json *j = &n->json;
    oct_json_begin_object(j);
    oct_json_kv_string(j, "input", node->input[c->in_index]);
    if (c->before == OCT_NONE) {
        oct_json_kv_string(j, "was", NULL);
        oct_json_end_object(j);
        return;
    }
    const oct_value *v = oct_graph_value(g, c->before);
    size_t n_values = 0;
    (void)oct_shape_elems(&v->shape, &n_values);
    oct_json_kv_string(j, "was", v->name);
    oct_json_kv_string(j, "dtype", oct_dtype_str(v->dtype));
    oct_json_kv_shape(j, "shape", v->shape.dim, v->shape.n_dims);
    oct_json_key(j, "values");
    oct_json_begin_array(j);
    for (size_t i = 0; i < n_values; i++)
        oct_json_f32(j, (float)oct_elem_f64(v->data, v->dtype, i));
    oct_json_end_array(j);
    oct_json_end_object(j);
}

oct_status oct_bias_note_end(oct_bias_note *n, oct_onnx_doc *doc)
{
    oct_json_end_array(&n->json);
    OCT_TRY(oct_strbuf_status(&n->text));
    return oct_onnx_metadata_set(doc, OCT_BIAS_METADATA, n->text.text);
}

void oct_bias_note_deinit(oct_bias_note *n)
{
    oct_strbuf_deinit(&n->text);
}

/* ---- the way back ------------------------------------------------------------------------ */

typedef struct restorer {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    oct_json_at at;
} restorer;

static bool is_defined(const Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t o = 0; o < g->node[i]->n_output; o++)
            if (strcmp(g->node[i]->output[o], name) == 0)
                return true;
    return oct_onnx_initializer_find(g, name) != NULL;
}

/* Nodes that read `name` as their last input read nothing there. */
static void drop_reads(Onnx__GraphProto *g, const char *name)
{
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *n = g->node[i];
        if (n->n_input > 0 && strcmp(n->input[n->n_input - 1], name) == 0)
            n->n_input--;
    }
}

static oct_status read_shape(const restorer *r, const json_t *entry, oct_shape *shape)
{
    json_t *dims;
    *shape = (oct_shape){.n_dims = 0};
    OCT_TRY(oct_json_get_array(&r->at, entry, "shape", &dims));
    if (json_array_size(dims) > OCT_MAX_DIMS)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, OCT_BIAS_METADATA ": a shape of %zu dimensions",
                        json_array_size(dims));
    shape->n_dims = (int)json_array_size(dims);
    for (int d = 0; d < shape->n_dims; d++)
        shape->dim[d] = json_integer_value(json_array_get(dims, (size_t)d));
    return OCT_OK;
}

/* Makes the initializer anew that the exporter took out. */
static oct_status add_original(const restorer *r, const json_t *entry, const char *name)
{
    const char *type;
    json_t *values;
    oct_shape shape;
    size_t n;
    OCT_TRY(oct_json_get_string(&r->at, entry, "dtype", &type));
    OCT_TRY(oct_json_get_array(&r->at, entry, "values", &values));
    OCT_TRY(read_shape(r, entry, &shape));
    const oct_dtype dt = oct_dtype_parse(type);
    if ((dt != OCT_DT_F32 && dt != OCT_DT_F16) || !oct_shape_elems(&shape, &n) ||
        n != json_array_size(values))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, OCT_BIAS_METADATA ": '%s' does not hold together",
                        name);
    float *f = oct_onnx_doc_alloc(r->doc, n * sizeof *f);
    uint16_t *h = oct_onnx_doc_alloc(r->doc, n * sizeof *h);
    if (f == NULL || h == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(values, i);
        f[i] = json_is_number(v) ? (float)json_number_value(v) : NAN;
        h[i] = oct_f16_from_f32(f[i]);
    }
    return oct_onnx_initializer_add(r->doc, r->doc->model->graph, name, dt, &shape,
                                    dt == OCT_DT_F16 ? (const void *)h : f, false)
               ? OCT_OK
               : OCT_ERR_NOMEM;
}

static oct_status restore_one(const restorer *r, const json_t *entry)
{
    Onnx__GraphProto *g = r->doc->model->graph;
    const char *input;
    OCT_TRY(oct_json_get_string(&r->at, entry, "input", &input));
    if (!oct_onnx_is_read(g, input))
        return OCT_OK;
    if (json_is_null(json_object_get(entry, "was"))) {
        drop_reads(g, input);
        return OCT_OK;
    }
    const char *was;
    OCT_TRY(oct_json_get_string(&r->at, entry, "was", &was));
    if (!is_defined(g, was))
        OCT_TRY(add_original(r, entry, was));
    return oct_onnx_rename_reads(r->doc, g, input, was, NULL);
}

oct_status oct_bias_restore(oct_ctx *ctx, oct_onnx_doc *doc)
{
    const char *text = oct_onnx_metadata_get(doc, OCT_BIAS_METADATA);
    json_t *root = NULL;
    if (text == NULL)
        return OCT_OK;
    if (strlen(text) > MAX_TEXT_BYTES)
        return oct_fail(ctx, OCT_ERR_LIMIT, "metadata " OCT_BIAS_METADATA " is too long");
    OCT_TRY(oct_json_read_text(ctx, OCT_BIAS_METADATA, text, strlen(text), &root));
    const restorer r = {ctx, doc, {ctx, OCT_BIAS_METADATA, ""}};
    oct_status st = json_is_array(root) ? OCT_OK
                                        : oct_fail(ctx, OCT_ERR_FORMAT,
                                                   "metadata " OCT_BIAS_METADATA " is no list");
    for (size_t i = 0; i < json_array_size(root) && st == OCT_OK; i++)
        st = restore_one(&r, json_array_get(root, i));
    oct_json_read_free(root);
    if (st == OCT_OK)
        oct_onnx_metadata_remove(doc, OCT_BIAS_METADATA);
    return st;
}
