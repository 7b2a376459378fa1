/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/model.h"

#include <string.h>

#include "engine/external_data.h"
#include "engine/import_internal.h"
#include "engine/onnx_doc.h"
#include "engine/open_batch.h"

enum { MAX_LISTED = 12 };

struct oct_model {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    oct_graph *graph;
    oct_model_info info;
    oct_unsupported *unsupported;
    size_t n_unsupported;
    void *owned; /* what an adopted graph's constants borrow from */
};

void oct_model_free(oct_model *m)
{
    if (!m)
        return;
    oct_graph_free(m->graph);
    oct_onnx_doc_free(m->doc);
    oct_free(m->ctx, m->unsupported);
    oct_free(m->ctx, m->owned);
    oct_free(m->ctx, m);
}

/* ---- unsupported operators in one message ---------------------------------------------------- */

static bool same_kind(const oct_unsupported *a, const oct_unsupported *b)
{
    return strcmp(a->op, b->op) == 0 && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

static bool seen_before(const oct_model *m, size_t k)
{
    for (size_t i = 0; i < k; i++)
        if (same_kind(&m->unsupported[i], &m->unsupported[k]))
            return true;
    return false;
}

static void add_kind(const oct_model *m, size_t k, oct_strbuf *b)
{
    const oct_unsupported *u = &m->unsupported[k];
    size_t n = 0;
    for (size_t i = k; i < m->n_unsupported; i++)
        n += same_kind(&m->unsupported[i], u);
    oct_strbuf_addf(b, "; %s%s%s", u->domain, *u->domain ? "." : "", u->op);
    if (n > 1)
        oct_strbuf_addf(b, " (%zu nodes, first '%s')", n, u->node);
    else
        oct_strbuf_addf(b, " ('%s')", u->node);
    oct_strbuf_addf(b, " of opset %lld: %s", (long long)u->opset, u->reason);
}

static oct_status fail_unsupported(oct_ctx *ctx, const oct_model *m)
{
    oct_strbuf b;
    size_t n_kinds = 0;
    oct_strbuf_init(&b, ctx);
    for (size_t k = 0; k < m->n_unsupported && n_kinds <= MAX_LISTED; k++) {
        if (seen_before(m, k))
            continue;
        if (n_kinds++ < MAX_LISTED)
            add_kind(m, k, &b);
    }
    if (n_kinds > MAX_LISTED)
        oct_strbuf_add(&b, "; and more (octet inspect lists all)");
    const oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        oct_fail(ctx, OCT_ERR_UNSUPPORTED, "%zu unsupported node%s%s", m->n_unsupported,
                 m->n_unsupported == 1 ? "" : "s", b.text);
    oct_strbuf_deinit(&b);
    return st == OCT_OK ? OCT_ERR_UNSUPPORTED : st;
}

/* ---- loading --------------------------------------------------------------------------------- */

static oct_status import(oct_model *m, oct_importer *im)
{
    oct_scope scope = {.im = im, .g = m->graph, .prefix = ""};
    oct_status st = oct_import_functions(im);
    if (st == OCT_OK)
        st = oct_infer_begin(im->ctx, m->graph, NULL, &scope.infer);
    if (st == OCT_OK)
        st = oct_import_graph(&scope, m->doc->model->graph, NULL, 0);
    oct_infer_end(scope.infer);
    oct_scope_deinit(&scope);
    return st;
}

static oct_status fill_info(oct_model *m, const oct_importer *im)
{
    const Onnx__ModelProto *p = m->doc->model;
    m->info = (oct_model_info){
        .ir_version = p->ir_version,
        .opset = oct_onnx_doc_opset(m->doc, ""),
        .producer_name = oct_onnx_str(p->producer_name),
        .producer_version = oct_onnx_str(p->producer_version),
        .graph_name = oct_onnx_str(p->graph->name),
        .file_bytes = m->doc->n_bytes,
        .weight_bytes = im->weight_bytes,
        .n_parameters = im->n_parameters,
        .n_model_nodes = im->n_model_nodes,
    };
    return oct_external_hash(m->ctx, m->doc, &m->info.hash);
}

static oct_status build(oct_model *m, const oct_model_options *opt)
{
    oct_importer im = {.ctx = m->ctx, .doc = m->doc};
    oct_status st = oct_graph_new(m->ctx, &m->graph);
    if (st == OCT_OK)
        st = import(m, &im);
    m->unsupported = im.unsupported;
    m->n_unsupported = im.n_unsupported;
    oct_name_map_deinit(m->ctx, &im.functions);
    oct_name_map_deinit(m->ctx, &im.dim_params);
    if (st == OCT_OK)
        st = fill_info(m, &im);
    if (st == OCT_OK && m->n_unsupported == 0)
        return oct_graph_check(m->ctx, m->graph);
    if (st == OCT_OK && !(opt && opt->keep_unsupported))
        st = fail_unsupported(m->ctx, m);
    return st;
}

/* Takes `doc`, also on failure. */
static oct_status model_of(oct_ctx *ctx, oct_onnx_doc *doc, const oct_model_options *opt,
                           oct_model **out)
{
    oct_model *m = oct_zalloc(ctx, sizeof *m);
    if (!m) {
        oct_onnx_doc_free(doc);
        return OCT_ERR_NOMEM;
    }
    m->ctx = ctx;
    m->doc = doc;
    doc->allow_symlinks = opt && opt->allow_external_symlinks;
    const oct_status st = build(m, opt);
    if (st != OCT_OK) {
        oct_model_free(m);
        return st;
    }
    *out = m;
    return OCT_OK;
}

oct_status oct_model_load(oct_ctx *ctx, const char *path, const oct_model_options *opt,
                          oct_model **out)
{
    oct_onnx_doc *doc;
    OCT_TRY(oct_onnx_doc_open(ctx, path, opt ? opt->max_bytes : 0, &doc));
    const oct_status st = model_of(ctx, doc, opt, out);
    return st == OCT_OK ? st : oct_fail_in(ctx, st, "%s", path);
}

oct_status oct_model_parse(oct_ctx *ctx, const void *data, size_t n_bytes, const char *dir,
                           const oct_model_options *opt, oct_model **out)
{
    oct_onnx_doc *doc;
    uint8_t *copy = oct_alloc(ctx, n_bytes);
    if (!copy)
        return OCT_ERR_NOMEM;
    if (n_bytes)
        memcpy(copy, data, n_bytes);
    OCT_TRY(oct_onnx_doc_parse(ctx, copy, n_bytes, dir, opt ? opt->max_bytes : 0, &doc));
    return model_of(ctx, doc, opt, out);
}

static const char *adopt_text(oct_graph *g, const char *s)
{
    return oct_arena_strdup(oct_graph_arena(g), s ? s : "");
}

oct_status oct_model_adopt(oct_ctx *ctx, oct_graph *g, void *owned, const oct_model_info *info,
                           oct_model **out)
{
    oct_model *m = oct_zalloc(ctx, sizeof *m);
    if (!m) {
        oct_graph_free(g);
        oct_free(ctx, owned);
        return OCT_ERR_NOMEM;
    }
    m->ctx = ctx;
    m->graph = g;
    m->owned = owned;
    m->info = *info;
    m->info.producer_name = adopt_text(g, info->producer_name);
    m->info.producer_version = adopt_text(g, info->producer_version);
    m->info.graph_name = adopt_text(g, info->graph_name);
    oct_status st = OCT_ERR_NOMEM;
    if (m->info.producer_name && m->info.producer_version && m->info.graph_name)
        st = oct_graph_infer(ctx, g, NULL);
    if (st != OCT_OK) {
        oct_model_free(m);
        return st;
    }
    *out = m;
    return OCT_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

oct_status oct_model_open_batch(oct_ctx *ctx, oct_model *m)
{
    return oct_graph_open_batch(ctx, m->graph);
}

const oct_graph *oct_model_graph(const oct_model *m)
{
    return m->graph;
}

const oct_model_info *oct_model_get_info(const oct_model *m)
{
    return &m->info;
}

size_t oct_model_unsupported(const oct_model *m, const oct_unsupported **list)
{
    *list = m->unsupported;
    return m->n_unsupported;
}

oct_onnx_doc *oct_model_doc(oct_model *m)
{
    return m->doc;
}
