/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/any_model.h"

#include <string.h>

static bool is_quantized(const oct_graph *g)
{
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = oct_op_name(oct_graph_node(g, order[i])->op);
        if (strcmp(name, "QuantizeLinear") == 0 || strncmp(name, "QLinear", 7) == 0 ||
            strcmp(name, "QGemm") == 0)
            return true;
    }
    return false;
}

oct_status oct_any_model_open(oct_ctx *ctx, const char *path, oct_any_model *m)
{
    *m = (oct_any_model){0};
    if (oct_engine_file_is(path)) {
        OCT_TRY(oct_engine_file_load(ctx, path, &m->engine));
        m->model = oct_engine_file_model(m->engine);
        m->quantized = (oct_engine_file_info(m->engine)->precision & OCT_PRECISION_S8) != 0;
        return OCT_OK;
    }
    OCT_TRY(oct_model_load(ctx, path, NULL, &m->onnx));
    m->model = m->onnx;
    m->quantized = is_quantized(oct_model_graph(m->onnx));
    return OCT_OK;
}

oct_status oct_any_model_open_batch(oct_ctx *ctx, oct_any_model *m)
{
    return oct_model_open_batch(ctx, m->engine ? oct_engine_file_model(m->engine) : m->onnx);
}

void oct_any_model_close(oct_any_model *m)
{
    oct_model_free(m->onnx);
    oct_engine_file_free(m->engine);
    *m = (oct_any_model){0};
}

void oct_any_model_tactics(const oct_any_model *m, oct_engine_options *opt)
{
    if (!m->engine)
        return;
    opt->keep_f32 = oct_engine_file_info(m->engine)->keep_f32;
    opt->n_keep_f32 = oct_engine_file_info(m->engine)->n_keep_f32;
    if (opt->tune)
        return;
    opt->tactic = oct_engine_file_info(m->engine)->tactic;
    opt->n_tactics = oct_engine_file_info(m->engine)->n_tactics;
}

uint32_t oct_any_model_precision(const oct_any_model *m, const char *choice)
{
    if (m->engine)
        return oct_engine_file_info(m->engine)->precision;
    if (strcmp(choice, "auto") == 0)
        return OCT_PRECISION_F32 | (m->quantized ? OCT_PRECISION_S8 : 0);
    return oct_precision_bits(choice);
}

uint32_t oct_precision_bits(const char *list)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } word[] = {
        {"int8", OCT_PRECISION_S8}, {"fp16", OCT_PRECISION_F16}, {"tf32", OCT_PRECISION_TF32}};
    uint32_t bits = OCT_PRECISION_F32;
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
        if (strstr(list, word[i].name))
            bits |= word[i].bit;
    return bits;
}
