/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/quantize.h"

#include <string.h>

#include "base/file.h"
#include "engine/onnx_write.h"
#include "engine/passes.h"
#include "quant/bias_correct.h"
#include "quant/insert.h"

void oct_quant_report_deinit(oct_quant_report *r)
{
    oct_arena_free(r->arena);
    *r = (oct_quant_report){0};
}

static oct_status fill_report(oct_ctx *ctx, const oct_graph *g, const oct_placement *p,
                              uint32_t n_folded, oct_quant_report *r)
{
    if (!r)
        return OCT_OK;
    *r = (oct_quant_report){
        .n_points = p->n_points, .n_folded = n_folded, .n_corrected = p->n_biases};
    OCT_TRY(oct_arena_new(ctx, &r->arena));
    r->line = oct_arena_array(r->arena, p->n_nodes, sizeof *r->line);
    if (!r->line)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const oct_node *n = oct_graph_node(g, p->node[i].node);
        r->line[i].node = oct_arena_strdup(r->arena, n->name);
        r->line[i].op = oct_op_name(n->op);
        r->line[i].reason = p->node[i].reason; /* constant text */
        r->line[i].corrected = false;
        for (uint32_t k = 0; k < p->n_biases; k++)
            r->line[i].corrected |= p->bias[k].layer == p->node[i].node;
        r->n_quantized += p->node[i].quantized;
        if (!r->line[i].node)
            return OCT_ERR_NOMEM;
    }
    r->n_lines = p->n_nodes;
    return OCT_OK;
}

/* ---- in memory ---- */

static oct_status quantize_graph(oct_ctx *ctx, oct_graph *g, const oct_amax_source *amax,
                                 const oct_scheme *scheme, oct_quant_report *report)
{
    const oct_pass_env env = {.precision = OCT_PRECISION_F32 | OCT_PRECISION_S8};
    oct_placement *p = NULL;
    OCT_TRY(oct_pass_batch_norm(ctx, g, &env));
    oct_graph_remove_unused(g);
    OCT_TRY(oct_graph_sort(g, ctx));
    OCT_TRY(oct_placement_new(ctx, g, amax, scheme, &p));
    oct_status st = oct_bias_correct(ctx, g, p, scheme);
    if (st == OCT_OK)
        st = fill_report(ctx, g, p, 0, report);
    if (st == OCT_OK)
        st = oct_quant_insert(ctx, g, p);
    oct_placement_free(ctx, p);
    return st;
}

oct_status oct_quantize_model(oct_ctx *ctx, const oct_model *m, const oct_amax_source *amax,
                              const oct_scheme *scheme, oct_quant_report *report, oct_model **out)
{
    oct_graph *g = NULL;
    OCT_TRY(oct_graph_clone(ctx, oct_model_graph(m), &g));
    const oct_status st = quantize_graph(ctx, g, amax, scheme, report);
    if (st != OCT_OK) {
        oct_graph_free(g);
        return st;
    }
    return oct_model_adopt(ctx, g, NULL, oct_model_get_info(m), out);
}

/* ---- files ---- */

/* The document after folding, read anew so that graph and document agree. */
static oct_status fold_and_reload(oct_ctx *ctx, const char *path, oct_onnx_doc **doc, oct_model **m,
                                  uint32_t *n_folded)
{
    oct_graph *g = NULL;
    uint8_t *bytes = NULL, *again = NULL;
    size_t n = 0;
    OCT_TRY(oct_graph_clone(ctx, oct_model_graph(*m), &g));
    oct_status st = oct_export_fold_batch_norm(ctx, *doc, g, n_folded);
    if (st == OCT_OK && *n_folded > 0) {
        st = oct_onnx_pack(ctx, *doc, &bytes, &n);
        again = st == OCT_OK ? oct_alloc(ctx, n) : NULL;
        if (st == OCT_OK && !again)
            st = OCT_ERR_NOMEM;
        if (st == OCT_OK) {
            memcpy(again, bytes, n);
            oct_onnx_doc_free(*doc);
            oct_model_free(*m);
            *doc = NULL;
            *m = NULL;
            st = oct_onnx_doc_parse(ctx, again, n, NULL, 0, doc); /* takes `again` */
            if (st == OCT_OK)
                st = oct_model_parse(ctx, bytes, n, NULL, NULL, m);
        }
        oct_free(ctx, bytes);
    }
    oct_graph_free(g);
    return st == OCT_OK ? st : oct_fail_in(ctx, st, "%s", path);
}

static oct_status quantize_doc(oct_ctx *ctx, const char *in, oct_onnx_doc **doc, oct_model **m,
                               const oct_amax_source *amax, const oct_scheme *scheme,
                               const oct_export_options *opt, oct_quant_report *report)
{
    uint32_t n_folded = 0;
    oct_placement *p = NULL;
    oct_graph *g = NULL;
    if (scheme->target == OCT_TARGET_ORT)
        OCT_TRY(fold_and_reload(ctx, in, doc, m, &n_folded));
    OCT_TRY(oct_graph_clone(ctx, oct_model_graph(*m), &g));
    oct_status st = oct_placement_new(ctx, g, amax, scheme, &p);
    if (st == OCT_OK)
        st = oct_bias_correct(ctx, g, p, scheme);
    if (st == OCT_OK)
        st = fill_report(ctx, g, p, n_folded, report);
    if (st == OCT_OK)
        st = oct_export_qdq(ctx, *doc, g, p, opt);
    oct_placement_free(ctx, p);
    oct_graph_free(g);
    return st;
}

oct_status oct_quantize_file(oct_ctx *ctx, const char *in, const char *out,
                             const oct_amax_source *amax, const oct_scheme *scheme,
                             const oct_quantize_file_options *opt, oct_quant_report *report)
{
    oct_onnx_doc *doc = NULL;
    oct_model *m = NULL;
    OCT_TRY(oct_path_check_output(ctx, out, opt->force));
    OCT_TRY(oct_model_load(ctx, in, NULL, &m));
    oct_status st = oct_onnx_doc_open(ctx, in, 0, &doc);
    if (st == OCT_OK)
        st = quantize_doc(ctx, in, &doc, &m, amax, scheme, &opt->qdq, report);
    const oct_onnx_write_options write = {.force = opt->force, .external = opt->external_data};
    if (st == OCT_OK)
        st = oct_onnx_write(ctx, doc, out, &write);
    oct_model_free(m);
    oct_onnx_doc_free(doc);
    return st;
}
