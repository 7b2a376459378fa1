/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/graph_internal.h"
#include "engine/import_internal.h"
#include "kernels/op_schema.h"

enum { SPARE_INPUTS = 8, MAX_OPSET = 28, MAX_IMPORTED = 1000000 };

static const char *plain_domain(const char *domain)
{
    domain = oct_onnx_str(domain);
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/* Name for messages: the node's, or its first output's. */
static const char *label(const Onnx__NodeProto *n)
{
    const char *name = oct_onnx_str(n->name);
    for (size_t i = 0; i < n->n_output && !*name; i++)
        name = n->output[i];
    return name;
}

/* The recorded error becomes an entry of the list. */
oct_status oct_import_unsupported(oct_scope *s, const char *node, const char *op,
                                  const char *domain, int64_t opset)
{
    oct_importer *im = s->im;
    oct_arena *a = im->doc->arena;
    void *p = im->unsupported;
    char *reason = oct_arena_strdup(a, oct_error_text(im->ctx));
    oct_error_clear(im->ctx);
    if (!reason)
        return oct_fail(im->ctx, OCT_ERR_NOMEM, "out of memory");
    OCT_TRY(oct_graph_grow(im->ctx, &p, im->n_unsupported, &im->cap_unsupported,
                           sizeof *im->unsupported));
    im->unsupported = p;
    im->unsupported[im->n_unsupported++] = (oct_unsupported){
        .node = node, .op = op, .domain = domain, .opset = opset, .reason = reason};
    return OCT_OK;
}

/* ---- inputs and outputs ---------------------------------------------------------------------- */

static oct_status find_inputs(oct_draft *d)
{
    oct_ctx *ctx = d->s->im->ctx;
    const size_t n = d->node->n_input;
    d->cap_in = (uint32_t)n + SPARE_INPUTS;
    d->in = oct_arena_array(d->s->im->doc->arena, d->cap_in, sizeof *d->in);
    if (!d->in)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        bool found = true;
        d->in[i] = OCT_NONE;
        if (*d->node->input[i])
            OCT_TRY(oct_scope_find(d->s, d->node->input[i], &d->in[i], &found));
        if (!found)
            return oct_fail(ctx, OCT_ERR_FORMAT, "input '%s' is made by nothing",
                            d->node->input[i]);
    }
    d->n_in = (uint32_t)n;
    while (d->n_in && d->in[d->n_in - 1] == OCT_NONE)
        d->n_in--;
    return OCT_OK;
}

oct_status oct_import_outputs(oct_scope *s, const Onnx__NodeProto *n, oct_value_id *out,
                              uint32_t n_out)
{
    for (size_t i = 0; i < n->n_output; i++) {
        oct_value_id id = OCT_NONE;
        if (*n->output[i])
            OCT_TRY(oct_scope_new_value(s, n->output[i], &id));
        if (out && i < n_out)
            out[i] = id;
    }
    return OCT_OK;
}

static oct_status check_arity(const oct_draft *d)
{
    const oct_op_schema *schema = oct_op_schema_get(d->op);
    oct_ctx *ctx = d->s->im->ctx;
    if (d->n_in < (uint32_t)schema->min_in || d->n_in > (uint32_t)schema->max_in)
        return oct_fail(ctx, OCT_ERR_FORMAT, "has %u inputs, expected %d to %d", d->n_in,
                        schema->min_in, schema->max_in);
    if (d->n_out < (uint32_t)schema->min_out || d->n_out > (uint32_t)schema->max_out)
        return oct_fail(ctx, OCT_ERR_FORMAT, "has %u outputs, expected %d to %d", d->n_out,
                        schema->min_out, schema->max_out);
    for (int i = 0; i < schema->min_in; i++)
        if (d->in[i] == OCT_NONE)
            return oct_fail(ctx, OCT_ERR_FORMAT, "required input %d is absent", i);
    return OCT_OK;
}

/* ---- one node ---------------------------------------------------------------------------------- */

static oct_status check_version(oct_scope *s, const char *domain, const char *op, int64_t *version)
{
    *version = oct_scope_opset(s, domain);
    if (*version == 0 && *domain == 0)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT,
                        "the model imports no operator set for domain 'ai.onnx'");
    if (*domain == 0 && (*version < 0 || *version > MAX_OPSET))
        return oct_fail(s->im->ctx, OCT_ERR_UNSUPPORTED, "opset %lld, octet knows 1 to %d",
                        (long long)*version, MAX_OPSET);
    if (*version == 0)
        *version = 1;
    (void)op;
    return OCT_OK;
}

static oct_status draft_node(oct_draft *d)
{
    const oct_op_schema *schema = oct_op_schema_get(d->op);
    OCT_TRY(find_inputs(d));
    d->n_out = (uint32_t)d->node->n_output;
    while (d->n_out && !*d->node->output[d->n_out - 1])
        d->n_out--;
    if (schema->attr_bytes) {
        if (!(d->attr = oct_arena_alloc(d->s->im->doc->arena, schema->attr_bytes)))
            return OCT_ERR_NOMEM;
        oct_op_attr_defaults(d->op, d->attr);
    }
    OCT_TRY(oct_import_attrs(d));
    OCT_TRY(oct_import_adapt(d));
    return check_arity(d);
}

static oct_status add_node(oct_draft *d, uint32_t index)
{
    oct_scope *s = d->s;
    oct_node_id id;
    oct_value_id *out = oct_arena_array(s->im->doc->arena, (size_t)d->n_out + 1, sizeof *out);
    if (!out)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_import_outputs(s, d->node, out, d->n_out));
    const char *name = oct_onnx_str(d->node->name);
    if (*s->prefix && *name &&
        !(name = oct_arena_printf(s->im->doc->arena, "%s%s", s->prefix, name)))
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_node(s->g, s->im->ctx, d->op, name, d->attr, d->in, d->n_in, out,
                               d->n_out, &id));
    oct_graph_node(s->g, id)->model_index = index;
    const oct_status st = oct_infer_node(s->infer, id);
    if (st != OCT_ERR_SHAPE || !s->outer)
        return st;
    /* A branch that is never taken may be impossible (Squeeze of an axis that is not 1). */
    oct_error_clear(s->im->ctx);
    return OCT_OK;
}

static oct_status import_operator(oct_scope *s, const Onnx__NodeProto *n, const char *domain,
                                  uint32_t index, bool *declared)
{
    oct_draft d = {.s = s, .node = n};
    OCT_TRY(check_version(s, domain, n->op_type, &d.version));
    d.op = oct_import_find_op(domain, n->op_type);
    if (d.op == OCT_OP_COUNT || strcmp(domain, "octet") == 0)
        return oct_fail(s->im->ctx, OCT_ERR_UNSUPPORTED, "no such operator in octet");
    if (d.op == OCT_OP_IF || d.op == OCT_OP_LOOP) {
        *declared = true;
        return oct_import_control(s, n, d.op, index);
    }
    OCT_TRY(draft_node(&d));
    *declared = true;
    return add_node(&d, index);
}

/* Outputs of a node that is not imported exist, of unknown type, so that its readers do. */
static oct_status declare_outputs(oct_scope *s, const Onnx__NodeProto *n)
{
    uint32_t old;
    for (size_t i = 0; i < n->n_output; i++) {
        oct_value_id id;
        if (*n->output[i] && !oct_name_map_get(&s->values, n->output[i], &old))
            OCT_TRY(oct_scope_new_value(s, n->output[i], &id));
    }
    return OCT_OK;
}

/* Where inference cannot tell (or was not possible) the model's own declaration stands in. */
static oct_status use_declarations(oct_scope *s, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_output; i++) {
        uint32_t k, id;
        oct_dtype dt;
        oct_shape shape;
        if (!oct_name_map_get(&s->declared, n->output[i], &k) ||
            !oct_name_map_get(&s->values, n->output[i], &id) || id == OCT_NONE)
            continue;
        oct_value *v = oct_graph_value(s->g, id);
        if (v->dtype != OCT_DT_NONE && v->shape.n_dims >= 0)
            continue;
        OCT_TRY(oct_import_type(s, s->value_info[k], &dt, &shape));
        v = oct_graph_value(s->g, id);
        if (v->dtype == OCT_DT_NONE)
            v->dtype = dt;
        if (v->dtype == dt && v->shape.n_dims < 0)
            v->shape = shape;
    }
    return OCT_OK;
}

static oct_status import_any(oct_scope *s, const Onnx__NodeProto *n, const char *domain,
                             uint32_t index, bool *declared)
{
    const Onnx__FunctionProto *f;
    OCT_TRY(oct_import_find_function(s->im, n, &f));
    if (f) {
        *declared = true;
        return oct_import_call(s, f, n);
    }
    if (!*domain && strcmp(n->op_type, "Constant") == 0)
        return oct_import_constant_node(s, n);
    return import_operator(s, n, domain, index, declared);
}

oct_status oct_import_node(oct_scope *s, const Onnx__NodeProto *n, uint32_t index)
{
    oct_ctx *ctx = s->im->ctx;
    const char *domain = plain_domain(n->domain);
    bool declared = false;
    if (!n->op_type || !*n->op_type)
        return oct_fail(ctx, OCT_ERR_FORMAT, "node %u ('%s') has no operator type", index,
                        label(n));
    if (++s->im->n_imported > MAX_IMPORTED)
        return oct_fail(ctx, OCT_ERR_LIMIT, "more than %d nodes once functions are inlined",
                        MAX_IMPORTED);
    oct_status st = import_any(s, n, domain, index, &declared);
    if (st == OCT_ERR_UNSUPPORTED) {
        st = oct_import_unsupported(s, label(n), n->op_type, domain, oct_scope_opset(s, domain));
        if (st == OCT_OK)
            st = declare_outputs(s, n);
    }
    if (st == OCT_OK)
        st = use_declarations(s, n);
    if (st == OCT_OK)
        return st;
    return oct_fail_in(ctx, st, "node %u '%s' (%s%s%s, opset %lld)", index, label(n), domain,
                       *domain ? "." : "", n->op_type, (long long)oct_scope_opset(s, domain));
}
