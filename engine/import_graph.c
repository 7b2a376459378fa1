/* SPDX-License-Identifier: Apache-2.0
 *
 * GraphProto -> graph: initializers, inputs, nodes, outputs. For subgraphs the inputs' types
 * come from the values that the outer node feeds them.
 */
#include <string.h>

#include "engine/import_internal.h"

static oct_status import_initializers(oct_scope *s, const Onnx__GraphProto *gp)
{
    oct_importer *im = s->im;
    for (size_t i = 0; i < gp->n_initializer; i++) {
        const Onnx__TensorProto *t = gp->initializer[i];
        const char *name = oct_onnx_str(t->name);
        oct_value_id id;
        uint32_t old;
        if (!*name)
            return oct_fail(im->ctx, OCT_ERR_FORMAT, "initializer %zu has no name", i);
        if (oct_name_map_get(&s->values, name, &old))
            return oct_fail(im->ctx, OCT_ERR_FORMAT, "initializer '%s' is defined twice", name);
        oct_status st = oct_import_tensor(s, t, name, &id);
        if (st == OCT_ERR_UNSUPPORTED) {
            OCT_TRY(oct_import_unsupported(s, name, "(initializer)", "", oct_scope_opset(s, "")));
            OCT_TRY(oct_scope_new_value(s, name, &id));
            continue;
        }
        OCT_TRY(st);
        OCT_TRY(oct_scope_bind(s, name, id));
        const oct_value *v = oct_graph_value(s->g, id);
        im->weight_bytes += v->data_bytes;
        im->n_parameters += v->data_bytes / oct_dtype_bytes(v->dtype);
    }
    return OCT_OK;
}

/* Sparse initializers are listed, each with what would be needed. */
static oct_status refuse_sparse(oct_scope *s, const Onnx__GraphProto *gp)
{
    for (size_t i = 0; i < gp->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = gp->sparse_initializer[i]->values;
        const char *name = values ? oct_onnx_str(values->name) : "";
        oct_value_id id;
        oct_fail(s->im->ctx, OCT_ERR_UNSUPPORTED,
                 "sparse tensor; store it dense (ONNX Runtime and onnxsim can)");
        OCT_TRY(
            oct_import_unsupported(s, name, "(sparse initializer)", "", oct_scope_opset(s, "")));
        if (*name)
            OCT_TRY(oct_scope_new_value(s, name, &id));
    }
    return OCT_OK;
}

static oct_status import_input(oct_scope *s, const Onnx__ValueInfoProto *vi, size_t i,
                               oct_value_id formal)
{
    oct_ctx *ctx = s->im->ctx;
    const char *name = oct_onnx_str(vi->name);
    oct_dtype dt;
    oct_shape shape;
    oct_value_id id;
    if (!*name)
        return oct_fail(ctx, OCT_ERR_FORMAT, "graph input %zu has no name", i);
    oct_status st = oct_import_type(s, vi, &dt, &shape);
    if (st == OCT_OK && dt == OCT_DT_NONE && !s->outer)
        st = oct_fail(ctx, OCT_ERR_UNSUPPORTED, "graph input is no tensor of a type octet knows");
    if (st == OCT_ERR_UNSUPPORTED)
        st = oct_import_unsupported(s, name, "(input)", "", oct_scope_opset(s, ""));
    OCT_TRY(st);
    OCT_TRY(oct_scope_new_value(s, name, &id));
    oct_value *v = oct_graph_value(s->g, id);
    v->dtype = dt;
    v->shape = shape;
    if (formal != OCT_NONE && s->outer) { /* what is really passed says more than the declaration */
        const oct_value *f = oct_graph_value(s->outer->g, formal);
        v->dtype = f->dtype != OCT_DT_NONE ? f->dtype : dt;
    }
    return oct_graph_add_input(s->g, ctx, id);
}

static oct_status import_inputs(oct_scope *s, const Onnx__GraphProto *gp,
                                const oct_value_id *formal, uint32_t n_formal)
{
    uint32_t n_taken = 0;
    for (size_t i = 0; i < gp->n_input; i++) {
        uint32_t id;
        const char *name = oct_onnx_str(gp->input[i]->name);
        /* An initializer that is also an input is a default value; octet keeps it constant. */
        if (oct_name_map_get(&s->values, name, &id) && id != OCT_NONE &&
            !oct_graph_value(s->g, id)->is_input)
            continue;
        OCT_TRY(import_input(s, gp->input[i], i, n_taken < n_formal ? formal[n_taken] : OCT_NONE));
        n_taken++;
    }
    return OCT_OK;
}

static oct_status note_declarations(oct_scope *s, const Onnx__GraphProto *gp)
{
    s->value_info = gp->value_info;
    for (size_t i = 0; i < gp->n_value_info; i++)
        OCT_TRY(oct_name_map_put(s->im->ctx, &s->declared, oct_onnx_str(gp->value_info[i]->name),
                                 (uint32_t)i));
    return OCT_OK;
}

static oct_status import_graph_outputs(oct_scope *s, const Onnx__GraphProto *gp)
{
    oct_ctx *ctx = s->im->ctx;
    for (size_t i = 0; i < gp->n_output; i++) {
        const char *name = oct_onnx_str(gp->output[i]->name);
        oct_value_id id;
        bool found = false;
        if (*name)
            OCT_TRY(oct_scope_find(s, name, &id, &found));
        if (!found || id == OCT_NONE)
            return oct_fail(ctx, OCT_ERR_FORMAT, "graph output %zu '%s' is made by nothing", i,
                            name);
        OCT_TRY(oct_graph_add_output(s->g, ctx, id));
    }
    return OCT_OK;
}

oct_status oct_import_nodes(oct_scope *s, Onnx__NodeProto *const *node, size_t n)
{
    const uint32_t *order;
    OCT_TRY(oct_import_order(s, node, n, &order));
    s->im->n_model_nodes += (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        if (i % 1024 == 0)
            OCT_TRY(oct_check_cancel(s->im->ctx));
        OCT_TRY(oct_import_node(s, node[order[i]], order[i]));
    }
    return OCT_OK;
}

oct_status oct_import_graph(oct_scope *s, const Onnx__GraphProto *gp, const oct_value_id *formal,
                            uint32_t n_formal)
{
    if (!s->outer && gp->n_output == 0)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT, "the graph has no outputs");
    OCT_TRY(note_declarations(s, gp));
    OCT_TRY(import_initializers(s, gp));
    OCT_TRY(refuse_sparse(s, gp));
    OCT_TRY(import_inputs(s, gp, formal, n_formal));
    OCT_TRY(oct_import_nodes(s, gp->node, gp->n_node));
    return import_graph_outputs(s, gp);
}
