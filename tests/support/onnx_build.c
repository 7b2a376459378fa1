/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/onnx_build.h"

#include <string.h>

#include "engine/onnx_write.h"
#include "tests/support/cmocka_all.h"

oct_onnx_doc *ob_new(oct_ctx *ctx, int64_t opset)
{
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto g = ONNX__GRAPH_PROTO__INIT;
    Onnx__OperatorSetIdProto o = ONNX__OPERATOR_SET_ID_PROTO__INIT, *list = &o;
    oct_onnx_doc *doc = NULL;
    m.has_ir_version = o.has_version = true;
    m.ir_version = 8;
    o.version = opset;
    g.name = oct_strdup(ctx, "test");
    m.graph = &g;
    m.opset_import = &list;
    m.n_opset_import = 1;
    const size_t n = onnx__model_proto__get_packed_size(&m);
    uint8_t *bytes = oct_alloc(ctx, n);
    assert_non_null(bytes);
    onnx__model_proto__pack(&m, bytes);
    oct_free(ctx, g.name);
    assert_int_equal(oct_onnx_doc_parse(ctx, bytes, n, NULL, 0, &doc), OCT_OK);
    return doc;
}

typedef oct_status (*add_fn)(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *name);

static void add_names(oct_onnx_doc *doc, Onnx__NodeProto *n, const char *names, add_fn add)
{
    char name[128];
    while (*names) {
        const size_t len = strcspn(names, " ");
        assert_true(len < sizeof name);
        memcpy(name, names, len);
        name[len] = 0;
        assert_int_equal(add(doc, n, strcmp(name, "-") ? name : ""), OCT_OK);
        names += len + (names[len] == ' ');
    }
}

Onnx__NodeProto *ob_node(oct_onnx_doc *doc, const char *op, const char *in, const char *out)
{
    Onnx__NodeProto *n = oct_onnx_node_new(doc, op, "", "");
    assert_non_null(n);
    add_names(doc, n, in, oct_onnx_node_input);
    add_names(doc, n, out, oct_onnx_node_output);
    assert_int_equal(oct_onnx_graph_insert(doc, doc->model->graph, doc->model->graph->n_node, n),
                     OCT_OK);
    return n;
}

static Onnx__ValueInfoProto *info(oct_onnx_doc *doc, const char *name)
{
    Onnx__ValueInfoProto *v = oct_onnx_doc_alloc(doc, sizeof *v);
    assert_non_null(v);
    onnx__value_info_proto__init(v);
    v->name = oct_onnx_doc_strdup(doc, name);
    return v;
}

static void append(oct_onnx_doc *doc, Onnx__ValueInfoProto ***list, size_t *n,
                   Onnx__ValueInfoProto *v)
{
    Onnx__ValueInfoProto **longer = oct_onnx_doc_alloc(doc, (*n + 1) * sizeof *longer);
    assert_non_null(longer);
    for (size_t i = 0; i < *n; i++)
        longer[i] = (*list)[i];
    longer[(*n)++] = v;
    *list = longer;
}

static Onnx__TensorShapeProto *shape_of(oct_onnx_doc *doc, const int64_t *dim)
{
    Onnx__TensorShapeProto *s = oct_onnx_doc_alloc(doc, sizeof *s);
    onnx__tensor_shape_proto__init(s);
    s->dim = oct_onnx_doc_alloc(doc, OCT_MAX_DIMS * sizeof *s->dim);
    for (; *dim; dim++) {
        Onnx__TensorShapeProto__Dimension *d = oct_onnx_doc_alloc(doc, sizeof *d);
        onnx__tensor_shape_proto__dimension__init(d);
        d->has_dim_value = *dim != -1;
        d->dim_value = *dim;
        d->dim_param = *dim == -1 ? oct_onnx_doc_strdup(doc, "n") : NULL;
        s->dim[s->n_dim++] = d;
    }
    return s;
}

void ob_input(oct_onnx_doc *doc, const char *name, int32_t type, const int64_t *dim)
{
    Onnx__ValueInfoProto *v = info(doc, name);
    v->type = oct_onnx_doc_alloc(doc, sizeof *v->type);
    onnx__type_proto__init(v->type);
    v->type->tensor_type = oct_onnx_doc_alloc(doc, sizeof *v->type->tensor_type);
    onnx__type_proto__tensor__init(v->type->tensor_type);
    v->type->tensor_type->has_elem_type = true;
    v->type->tensor_type->elem_type = type;
    v->type->tensor_type->shape = shape_of(doc, dim);
    append(doc, &doc->model->graph->input, &doc->model->graph->n_input, v);
}

void ob_output(oct_onnx_doc *doc, const char *name)
{
    append(doc, &doc->model->graph->output, &doc->model->graph->n_output, info(doc, name));
}

void ob_s64s(oct_onnx_doc *doc, const char *name, const int64_t *v, int64_t n)
{
    const oct_shape s = {.dim = {n}, .n_dims = 1};
    assert_non_null(
        oct_onnx_initializer_add(doc, doc->model->graph, name, OCT_DT_S64, &s, v, true));
}

void ob_f32s(oct_onnx_doc *doc, const char *name, const float *v, int64_t n)
{
    const oct_shape s = {.dim = {n}, .n_dims = 1};
    assert_non_null(
        oct_onnx_initializer_add(doc, doc->model->graph, name, OCT_DT_F32, &s, v, true));
}

oct_status ob_load(oct_ctx *ctx, oct_onnx_doc *doc, const oct_model_options *opt, oct_model **out)
{
    uint8_t *bytes;
    size_t n;
    assert_int_equal(oct_onnx_pack(ctx, doc, &bytes, &n), OCT_OK);
    const oct_status st = oct_model_parse(ctx, bytes, n, NULL, opt, out);
    oct_free(ctx, bytes);
    return st;
}

char *ob_dump(oct_ctx *ctx, const oct_graph *g)
{
    oct_strbuf b;
    char *text;
    oct_strbuf_init(&b, ctx);
    oct_graph_dump(g, &b);
    assert_int_equal(oct_strbuf_take(&b, &text), OCT_OK);
    return text;
}
