/* SPDX-License-Identifier: Apache-2.0
 *
 * Local functions are inlined. The body is imported into the caller's graph in a scope of its
 * own: arguments are bound to the caller's values, results carry the caller's names, all
 * other names get the calling node's as a prefix.
 */
#include <string.h>

#include "engine/import_internal.h"

enum { MAX_NESTING = 30 };

static const char *key_of(oct_importer *im, const char *domain, const char *name,
                          const char *overload)
{
    domain = oct_onnx_str(domain);
    return oct_arena_printf(im->doc->arena, "%s:%s:%s", strcmp(domain, "ai.onnx") ? domain : "",
                            oct_onnx_str(name), oct_onnx_str(overload));
}

oct_status oct_import_functions(oct_importer *im)
{
    const Onnx__ModelProto *m = im->doc->model;
    for (size_t i = 0; i < m->n_functions; i++) {
        const Onnx__FunctionProto *f = m->functions[i];
        uint32_t old;
        const char *key = key_of(im, f->domain, f->name, f->overload);
        if (!key)
            return OCT_ERR_NOMEM;
        if (oct_name_map_get(&im->functions, key, &old))
            return oct_fail(im->ctx, OCT_ERR_FORMAT, "function '%s' is defined twice",
                            oct_onnx_str(f->name));
        OCT_TRY(oct_name_map_put(im->ctx, &im->functions, key, (uint32_t)i));
    }
    return OCT_OK;
}

oct_status oct_import_find_function(oct_importer *im, const Onnx__NodeProto *n,
                                    const Onnx__FunctionProto **f)
{
    uint32_t i;
    *f = NULL;
    if (im->functions.n == 0)
        return OCT_OK;
    const char *key = key_of(im, n->domain, n->op_type, n->overload);
    if (!key)
        return OCT_ERR_NOMEM;
    if (oct_name_map_get(&im->functions, key, &i))
        *f = im->doc->model->functions[i];
    return OCT_OK;
}

static oct_status bind_arguments(oct_scope *body, oct_scope *s, const Onnx__FunctionProto *f,
                                 const Onnx__NodeProto *n)
{
    oct_ctx *ctx = s->im->ctx;
    if (n->n_input > f->n_input || n->n_output > f->n_output)
        return oct_fail(
            ctx, OCT_ERR_FORMAT,
            "function '%s' takes %zu inputs and gives %zu outputs, called with %zu and %zu",
            oct_onnx_str(f->name), f->n_input, f->n_output, n->n_input, n->n_output);
    for (size_t i = 0; i < f->n_input; i++) {
        oct_value_id id = OCT_NONE;
        bool found = true;
        if (i < n->n_input && *n->input[i])
            OCT_TRY(oct_scope_find(s, n->input[i], &id, &found));
        if (!found)
            return oct_fail(ctx, OCT_ERR_FORMAT, "input '%s' is made by nothing", n->input[i]);
        OCT_TRY(oct_scope_bind(body, f->input[i], id));
    }
    for (size_t i = 0; i < n->n_output; i++)
        if (*n->output[i])
            OCT_TRY(oct_name_map_put(ctx, &body->renamed, f->output[i], (uint32_t)i));
    return OCT_OK;
}

/* A result that is an argument, a constant or a second result needs a value of its own. */
static oct_status pass_through(oct_scope *s, oct_value_id from, const char *name)
{
    oct_value_id to;
    oct_node_id node;
    OCT_TRY(oct_scope_new_value(s, name, &to));
    OCT_TRY(
        oct_graph_add_node(s->g, s->im->ctx, OCT_OP_IDENTITY, "", NULL, &from, 1, &to, 1, &node));
    return oct_infer_node(s->infer, node);
}

static oct_status bind_results(oct_scope *body, oct_scope *s, const Onnx__FunctionProto *f,
                               const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_output; i++) {
        uint32_t id;
        if (!*n->output[i])
            continue;
        if (!oct_name_map_get(&body->values, f->output[i], &id) || id == OCT_NONE)
            return oct_fail(s->im->ctx, OCT_ERR_FORMAT,
                            "function '%s': output '%s' is made by nothing", oct_onnx_str(f->name),
                            f->output[i]);
        const char *name = oct_scope_graph_name(body, f->output[i]);
        if (!name)
            return OCT_ERR_NOMEM;
        if (strcmp(oct_graph_value(s->g, id)->name, name) == 0)
            OCT_TRY(oct_scope_bind(s, n->output[i], id));
        else
            OCT_TRY(pass_through(s, id, n->output[i]));
    }
    return OCT_OK;
}

oct_status oct_import_call(oct_scope *s, const Onnx__FunctionProto *f, const Onnx__NodeProto *n)
{
    const char *label = oct_onnx_str(n->name);
    if (!*label && n->n_output)
        label = n->output[0];
    if (s->depth >= MAX_NESTING)
        return oct_fail(s->im->ctx, OCT_ERR_LIMIT,
                        "subgraphs and functions nested more than %d deep (does '%s' call itself?)",
                        MAX_NESTING, oct_onnx_str(f->name));
    oct_scope body = {
        .im = s->im,
        .g = s->g,
        .infer = s->infer,
        .fn = f,
        .call = n,
        .call_scope = s,
        .prefix = oct_arena_printf(s->im->doc->arena, "%s%s/", s->prefix, label),
        .depth = s->depth + 1,
    };
    oct_status st = body.prefix ? bind_arguments(&body, s, f, n) : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_import_nodes(&body, f->node, f->n_node);
    if (st == OCT_OK)
        st = bind_results(&body, s, f, n);
    oct_scope_deinit(&body);
    return st;
}
