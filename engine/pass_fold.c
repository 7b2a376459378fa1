/* SPDX-License-Identifier: Apache-2.0
 *
 * Constant folding with the reference kernels, so that a folded value has the bits that
 * running would give. Results much larger than their inputs (Expand, ConstantOfShape) are
 * left to the plan.
 */
#include <string.h>

#include "engine/host_op.h"
#include "engine/pass_internal.h"
#include "kernels/op_schema.h"

#define ALWAYS_BYTES (1u << 20)
#define GROWTH 4u
#define ALIGN 64u

/* Random generators do not exist among the operators, so every node is a function. */
static bool can_fold(const oct_graph *g, const oct_node *n, size_t *in_bytes)
{
    if (n->dead || n->n_out == 0 || oct_op_schema_get(n->op)->flags & OCT_OPF_CONTROL ||
        n->epilogue.act != OCT_ACT_NONE || n->epilogue.residual >= 0)
        return false;
    *in_bytes = 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (n->in[i] == OCT_NONE)
            continue;
        if (!oct_pass_is_const(g, n->in[i]))
            return false;
        if (oct_graph_value(g, n->in[i])->quant.n > 0 && n->op != OCT_OP_DEQUANTIZE_LINEAR)
            return false;
        *in_bytes += oct_graph_value(g, n->in[i])->data_bytes;
    }
    return true;
}

/* Weights behind DequantizeLinear stay: the Q/DQ lowering reads that pair. */
static bool is_quantized_weight(const oct_node *n)
{
    return n->op == OCT_OP_DEQUANTIZE_LINEAR || n->op == OCT_OP_QUANTIZE_LINEAR;
}

static bool results_fit(const oct_graph *g, const oct_node *n, size_t in_bytes)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n->n_out; i++) {
        size_t bytes = 0;
        if (n->out[i] == OCT_NONE)
            return false;
        const oct_value *v = oct_graph_value(g, n->out[i]);
        const oct_tensor_desc d = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        if (v->observed || v->dtype == OCT_DT_NONE || !oct_shape_is_known(&v->shape) ||
            !oct_tensor_desc_bytes(&d, &bytes))
            return false;
        total += bytes;
    }
    return total <= ALWAYS_BYTES || total / GROWTH <= in_bytes;
}

static oct_status fold_run(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env, const oct_node *n,
                           oct_tensor *in, oct_tensor *out, bool *done)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        memset(&in[i], 0, sizeof in[i]);
        if (n->in[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(g, n->in[i]);
        in[i].desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        in[i].data = (void *)(uintptr_t)v->data;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        const oct_value *v = oct_graph_value(g, n->out[i]);
        size_t bytes = 0;
        out[i].desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        if (!oct_tensor_desc_bytes(&out[i].desc, &bytes))
            return OCT_OK;
        out[i].data = oct_arena_alloc_aligned(oct_graph_arena(g), bytes, ALIGN);
        if (!out[i].data)
            return OCT_ERR_NOMEM;
    }
    const oct_status st = oct_host_op_run(ctx, env->ref, n->op, n->attr, n->name, in, (int)n->n_in,
                                          out, (int)n->n_out);
    *done = st == OCT_OK;
    if (st != OCT_ERR_UNSUPPORTED)
        return st;
    oct_error_clear(ctx);
    return OCT_OK;
}

static oct_status fold_node(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env, oct_node_id id)
{
    const oct_node *n = oct_graph_node(g, id);
    oct_tensor *in = oct_alloc_array(ctx, n->n_in + n->n_out + 1, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    oct_tensor *out = in + n->n_in;
    bool done = false;
    oct_status st = fold_run(ctx, g, env, n, in, out, &done);
    if (st == OCT_OK && done) {
        oct_value_id *made = n->out;
        const uint32_t n_made = n->n_out;
        oct_graph_remove_node(g, id);
        for (uint32_t i = 0; i < n_made; i++) {
            size_t bytes = 0;
            (void)oct_tensor_desc_bytes(&out[i].desc, &bytes);
            oct_pass_make_constant(g, made[i], out[i].data, bytes);
        }
    }
    oct_free(ctx, in);
    return st;
}

static oct_status fold_all(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env, bool quantized)
{
    uint32_t n;
    const oct_node_id *order = oct_graph_order(g, &n);
    oct_node_id *list = oct_alloc_array(ctx, n + 1, sizeof *list);
    if (!list)
        return OCT_ERR_NOMEM;
    if (n) /* an empty order may be NULL */
        memcpy(list, order, n * sizeof *list);
    oct_status st = OCT_OK;
    for (uint32_t i = 0; i < n && st == OCT_OK; i++) {
        size_t in_bytes = 0;
        const oct_node *node = oct_graph_node(g, list[i]);
        if (can_fold(g, node, &in_bytes) && (quantized || !is_quantized_weight(node)) &&
            results_fit(g, node, in_bytes))
            st = fold_node(ctx, g, env, list[i]);
    }
    oct_free(ctx, list);
    return st;
}

oct_status oct_pass_fold(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    return fold_all(ctx, g, env, false);
}

oct_status oct_pass_fold_rest(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    return fold_all(ctx, g, env, true);
}
