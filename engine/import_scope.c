/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/graph_internal.h"
#include "engine/import_internal.h"

/* ---- scope --------------------------------------------------------------------------------- */

void oct_scope_deinit(oct_scope *s)
{
    oct_ctx *ctx = s->im->ctx;
    oct_name_map_deinit(ctx, &s->values);
    oct_name_map_deinit(ctx, &s->renamed);
    oct_name_map_deinit(ctx, &s->declared);
    oct_free(ctx, s->capture);
}

oct_status oct_scope_bind(oct_scope *s, const char *name, oct_value_id id)
{
    uint32_t old;
    if (oct_name_map_get(&s->values, name, &old))
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT, "value '%s' is defined twice", name);
    return oct_name_map_put(s->im->ctx, &s->values, name, id);
}

/* Name in the graph for this scope's `name`: the caller's where it is a function's output. */
const char *oct_scope_graph_name(oct_scope *s, const char *name)
{
    uint32_t i;
    if (oct_name_map_get(&s->renamed, name, &i))
        return oct_scope_graph_name(s->call_scope, s->call->output[i]);
    if (!*s->prefix)
        return name;
    return oct_arena_printf(s->im->doc->arena, "%s%s", s->prefix, name);
}

oct_status oct_scope_new_value(oct_scope *s, const char *name, oct_value_id *id)
{
    uint32_t old;
    if (oct_name_map_get(&s->values, name, &old))
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT, "value '%s' is defined twice", name);
    const char *text = oct_scope_graph_name(s, name);
    if (text && oct_graph_find_value(s->g, text) != OCT_NONE) /* an adapter took it */
        text = oct_graph_fresh_name(s->g, s->im->ctx, text);
    if (!text)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_value(s->g, s->im->ctx, text, OCT_DT_NONE, NULL, id));
    oct_graph_value(s->g, *id)->from_model = true;
    return oct_scope_bind(s, name, *id);
}

const char *oct_scope_fresh(oct_scope *s, const char *stem)
{
    const char *text = oct_scope_graph_name(s, stem);
    return text ? oct_graph_fresh_name(s->g, s->im->ctx, text) : NULL;
}

/* ---- captures ------------------------------------------------------------------------------ */

/* A constant of the outer graph is shared; anything else becomes an input of the subgraph. */
static oct_status capture(oct_scope *s, const char *name, oct_value_id outer, oct_value_id *id)
{
    oct_ctx *ctx = s->im->ctx;
    const oct_value v = *oct_graph_value(s->outer->g, outer);
    const char *text = oct_scope_fresh(s, name);
    if (!text)
        return OCT_ERR_NOMEM;
    if (v.data) {
        OCT_TRY(oct_graph_add_constant(s->g, ctx, text, v.dtype, &v.shape, v.data, false, id));
        oct_graph_value(s->g, *id)->const_key = v.const_key;
    } else {
        OCT_TRY(oct_graph_add_value(s->g, ctx, text, v.dtype, &v.shape, id));
        void *p = s->capture;
        OCT_TRY(oct_graph_grow(ctx, &p, s->n_captures, &s->cap_captures, sizeof *s->capture));
        s->capture = p;
        s->capture[s->n_captures++] = (oct_capture){outer, *id};
    }
    return oct_name_map_put(ctx, &s->values, name, *id);
}

oct_status oct_scope_find(oct_scope *s, const char *name, oct_value_id *id, bool *found)
{
    oct_value_id outer;
    *found = oct_name_map_get(&s->values, name, id);
    if (*found || !s->outer)
        return OCT_OK;
    OCT_TRY(oct_scope_find(s->outer, name, &outer, found)); /* as deep as subgraphs nest */
    if (!*found)
        return OCT_OK;
    if (outer != OCT_NONE)
        return capture(s, name, outer, id);
    *id = OCT_NONE;
    return OCT_OK;
}

/* ---- opsets and attribute references ------------------------------------------------------- */

int64_t oct_scope_opset(const oct_scope *s, const char *domain)
{
    if (!s->fn)
        return oct_onnx_doc_opset(s->im->doc, domain);
    for (size_t i = 0; i < s->fn->n_opset_import; i++) {
        const char *d = oct_onnx_str(s->fn->opset_import[i]->domain);
        if (strcmp(strcmp(d, "ai.onnx") == 0 ? "" : d, domain) == 0)
            return s->fn->opset_import[i]->version;
    }
    return oct_onnx_doc_opset(s->im->doc, domain);
}

static const Onnx__AttributeProto *find_in(Onnx__AttributeProto *const *list, size_t n,
                                           const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(oct_onnx_str(list[i]->name), name) == 0)
            return list[i];
    return NULL;
}

const Onnx__AttributeProto *oct_scope_attr(const oct_scope *s, const Onnx__AttributeProto *a)
{
    while (a && a->ref_attr_name && *a->ref_attr_name) {
        if (!s || !s->fn)
            return NULL;
        const Onnx__AttributeProto *given =
            find_in(s->call->attribute, s->call->n_attribute, a->ref_attr_name);
        if (!given)
            return find_in(s->fn->attribute_proto, s->fn->n_attribute_proto, a->ref_attr_name);
        a = given;
        s = s->call_scope;
    }
    return a;
}
