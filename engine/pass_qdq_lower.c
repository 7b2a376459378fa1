/* SPDX-License-Identifier: Apache-2.0
 *
 * DQ -> op -> Q becomes the integer op: it reads and writes s8/u8 values that carry their
 * scales (oct_value.quant), and the backend computes it by DESIGN 3's formula.
 *
 *     conv-like   DQ(x), DQ(w), bias f32, residual DQ or f32;  out Q, f32 or both
 *     element     Add, Mul, pools, Concat, linear Resize: all real inputs DQ, the only reader Q
 *     unary       any one-argument function between DQ and Q: a 256-entry table
 *
 * A node that has a quantized input and still stays in floating point gets its reason in `note`.
 */
#include <string.h>

#include "base/numeric.h"
#include "engine/qdq.h"
#include "engine/qdq_passes.h"
#include "kernels/op_schema.h"
#include "kernels/ref/ref.h"

typedef struct lowering {
    oct_graph *g;
    oct_ctx *ctx;
} lowering;

/* A quantized operand: the value behind its DQ. */
typedef struct quantized {
    oct_value_id value;
    oct_quant quant;
    oct_dtype dt;
} quantized;

static bool operand(const lowering *s, oct_value_id v, quantized *q, const char **why)
{
    const oct_node *dq = oct_qdq_dequantize_of(s->g, v);
    if (!dq) {
        *why = "an input is not quantized";
        return false;
    }
    if (!oct_qdq_params(s->g, dq, &q->quant, &q->dt, why))
        return false;
    q->value = dq->in[0];
    return true;
}

static bool activation(const lowering *s, oct_value_id v, quantized *q, const char **why)
{
    if (!operand(s, v, q, why))
        return false;
    if (q->quant.n == 1 && q->dt != OCT_DT_S32)
        return true;
    *why = "an activation is quantized per channel";
    return false;
}

/* ---- results ---- */

/* Who reads a result: a Q whose output may replace it, and whether anyone needs it as a real. */
typedef struct readers {
    oct_node_id q;
    oct_quant quant;
    oct_dtype dt;
    bool real;
} readers;

static oct_status find_readers(lowering *s, oct_value_id y, readers *r)
{
    const oct_use *use;
    uint32_t n = 0;
    const oct_value *v = oct_graph_value(s->g, y);
    *r = (readers){.q = OCT_NONE, .real = v->is_output || v->observed};
    OCT_TRY(oct_graph_uses(s->g, s->ctx, y, &use, &n));
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *c = oct_graph_node(s->g, use[i].node);
        oct_quant quant;
        oct_dtype dt;
        if (c->op == OCT_OP_QUANTIZE_LINEAR && use[i].in_index == 0 && r->q == OCT_NONE &&
            oct_qdq_params(s->g, c, &quant, &dt, NULL) && quant.n == 1) {
            r->q = use[i].node;
            r->quant = quant;
            r->dt = dt;
        } else if (use[i].node != r->q) {
            r->real = true;
        }
    }
    return OCT_OK;
}

/* Replaces node `id` by `op` on `in`, with the results that `r` asks for. */
static oct_status replace(lowering *s, oct_node_id id, oct_op op, const void *attr,
                          const oct_value_id *in, uint32_t n_in, const readers *r)
{
    oct_graph *g = s->g;
    const oct_node old = *oct_graph_node(g, id);
    oct_value_id out[2];
    uint32_t n_out = 0;
    if (r->q != OCT_NONE) {
        out[n_out] = oct_graph_node(g, r->q)->out[0];
        oct_graph_remove_node(g, r->q);
        oct_graph_value(g, out[n_out++])->quant = r->quant;
    }
    if (r->q == OCT_NONE || r->real)
        out[n_out++] = old.out[0];
    oct_graph_remove_node(g, id);
    oct_node_id made;
    OCT_TRY(oct_graph_add_node(g, s->ctx, op, old.name, attr, in, n_in, out, n_out, &made));
    oct_node *n = oct_graph_node(g, made);
    n->epilogue = old.epilogue;
    n->model_index = old.model_index;
    return OCT_OK;
}

static void annotate(const lowering *s, const quantized *q)
{
    oct_value *v = oct_graph_value(s->g, q->value);
    if (v->quant.n == 0)
        v->quant = q->quant;
}

/* ---- conv-like ---- */

/* Output-channel axis of a weight, or -1 where the op cannot have scales along it. */
static int weight_axis(const lowering *s, const oct_node *n)
{
    const oct_value *w = oct_graph_value(s->g, n->in[1]);
    switch (n->op) {
    case OCT_OP_CONV:
        return 0;
    case OCT_OP_CONV_TRANSPOSE:
        return ((const oct_attr_window *)n->attr)->group == 1 ? 1 : -1;
    case OCT_OP_GEMM:
        return ((const oct_attr_gemm *)n->attr)->trans_b ? 0 : 1;
    default:
        return w->shape.n_dims >= 2 ? w->shape.n_dims - 1 : 0;
    }
}

static bool weight(const lowering *s, const oct_node *n, quantized *q, const char **why)
{
    if (!operand(s, n->in[1], q, why))
        return false;
    const oct_value *w = oct_graph_value(s->g, q->value);
    if (!w->data) { /* a product of two activations */
        *why = "the weight is computed, not constant";
        return n->op == OCT_OP_MATMUL && q->quant.n == 1 && q->dt != OCT_DT_S32;
    }
    for (int32_t i = 0; i < q->quant.n; i++)
        if (q->dt != OCT_DT_S8 || q->quant.q[i].zero_point != 0) {
            *why = "weights have a zero point";
            return false;
        }
    *why = "weight scales run along another axis than the output channels";
    return q->quant.n == 1 || q->quant.axis == weight_axis(s, n);
}

/* Forms of Gemm that the integer kernels do not take. */
static bool gemm_is_plain(const oct_node *n, const char **why)
{
    if (n->op != OCT_OP_GEMM)
        return true;
    const oct_attr_gemm *a = n->attr;
    *why = "Gemm with alpha, beta or a transposed first input";
    return a->alpha == 1.0f && !a->trans_a &&
           (n->n_in < 3 || n->in[2] == OCT_NONE || a->beta == 1.0f);
}

/* The bias must be a constant vector over the output channels: that is what requantization folds. */
static bool bias_is_plain(const lowering *s, const oct_node *n, const char **why)
{
    if (n->n_in < 3 || n->in[2] == OCT_NONE || n->epilogue.residual == 2)
        return true;
    const oct_value *b = oct_graph_value(s->g, n->in[2]);
    *why = "the bias is not a constant vector";
    return b->data && b->dtype == OCT_DT_F32 && b->shape.n_dims == 1;
}

static oct_status lower_conv_like(lowering *s, oct_node_id id, const char **why)
{
    const oct_node n = *oct_graph_node(s->g, id);
    quantized x, w, residual;
    const char *ignored;
    if (!activation(s, n.in[0], &x, why) || !weight(s, &n, &w, why) || !gemm_is_plain(&n, why) ||
        !bias_is_plain(s, &n, why))
        return OCT_OK;
    oct_value_id *in = oct_arena_copy(oct_graph_arena(s->g), n.in, n.n_in * sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    in[0] = x.value;
    in[1] = w.value;
    annotate(s, &x);
    annotate(s, &w);
    if (n.epilogue.residual >= 0 && activation(s, n.in[n.epilogue.residual], &residual, &ignored)) {
        in[n.epilogue.residual] = residual.value;
        annotate(s, &residual);
    }
    readers r;
    OCT_TRY(find_readers(s, n.out[0], &r));
    *why = NULL;
    return replace(s, id, n.op, n.attr, in, n.n_in, &r);
}

/* ---- element-wise and pooling ---- */

/* Real-valued inputs of an op, from input 0. */
static uint32_t n_real_inputs(const oct_node *n)
{
    return n->op == OCT_OP_CONCAT ? n->n_in : n->op == OCT_OP_ADD || n->op == OCT_OP_MUL ? 2 : 1;
}

static oct_status lower_element(lowering *s, oct_node_id id, const char **why)
{
    const oct_node n = *oct_graph_node(s->g, id);
    oct_value_id *in = oct_arena_copy(oct_graph_arena(s->g), n.in, n.n_in * sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    readers r;
    OCT_TRY(find_readers(s, n.out[0], &r));
    *why = "its result is not quantized";
    if (r.q == OCT_NONE || r.real)
        return OCT_OK;
    for (uint32_t i = 0; i < n_real_inputs(&n); i++) {
        quantized q;
        if (!activation(s, n.in[i], &q, why))
            return OCT_OK;
        in[i] = q.value;
    }
    for (uint32_t i = 0; i < n_real_inputs(&n); i++) {
        quantized q;
        if (activation(s, n.in[i], &q, why))
            annotate(s, &q);
    }
    *why = NULL;
    return replace(s, id, n.op, n.attr, in, n.n_in, &r);
}

/* ---- unary functions ---- */

/* f over the 256 values that the input type can hold, by the reference kernel. */
static oct_status evaluate(lowering *s, const oct_node *n, const float x[256], float y[256],
                           bool *ok)
{
    const oct_ref_entry *ref = oct_ref_find(n->op);
    const oct_shape shape = {.n_dims = 1, .dim = {256}};
    oct_operand in[3], out;
    const void *ptr[3] = {x, NULL, NULL};
    void *res = y;
    memset(in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    *ok = ref != NULL && n->n_in <= 3;
    if (!*ok)
        return OCT_OK;
    in[0].desc = out.desc = oct_tensor_desc_make(OCT_DT_F32, shape, OCT_LAYOUT_ROW);
    for (uint32_t i = 1; i < n->n_in && *ok; i++) { /* Clip's bounds */
        if (n->in[i] == OCT_NONE)
            continue;
        const oct_value *v = oct_graph_value(s->g, n->in[i]);
        *ok = v->data != NULL;
        in[i].desc = oct_tensor_desc_make(v->dtype, v->shape, OCT_LAYOUT_ROW);
        in[i].data = ptr[i] = v->data;
    }
    const oct_op_desc d = {.op = n->op,
                           .attr = n->attr,
                           .in = in,
                           .out = &out,
                           .n_in = (int)n->n_in,
                           .n_out = 1,
                           .epilogue = {.residual = -1},
                           .threads = 1,
                           .name = n->name};
    char reason[OCT_REASON_BYTES];
    *ok = *ok && (!ref->accepts || ref->accepts(&d, reason)) &&
          (!ref->workspace || ref->workspace(&d) == 0);
    const oct_run_args args = {.in = ptr, .out = &res};
    return *ok ? ref->run(s->ctx, &d, &args) : OCT_OK;
}

static oct_status lower_unary(lowering *s, oct_node_id id, const char **why)
{
    const oct_node n = *oct_graph_node(s->g, id);
    quantized x;
    readers r;
    float real[256], result[256];
    bool ok = false;
    OCT_TRY(find_readers(s, n.out[0], &r));
    *why = "its result is not quantized";
    if (r.q == OCT_NONE || r.real || !activation(s, n.in[0], &x, why))
        return OCT_OK;
    const int lo_in = x.dt == OCT_DT_S8 ? -128 : 0;
    /* entry i belongs to the byte i, read as the input's type */
    for (int i = 0; i < 256; i++)
        real[i] = oct_dequantize(lo_in < 0 ? (int8_t)(uint8_t)i : i, x.quant.q[0]);
    OCT_TRY(evaluate(s, &n, real, result, &ok));
    *why = "no reference kernel for a table of it";
    if (!ok)
        return OCT_OK;
    uint8_t table[256];
    const int32_t lo = r.dt == OCT_DT_S8 ? -128 : 0, hi = r.dt == OCT_DT_S8 ? 127 : 255;
    for (int i = 0; i < 256; i++)
        table[i] = (uint8_t)oct_quantize(result[i], r.quant.q[0], lo, hi);
    const oct_shape shape = {.n_dims = 1, .dim = {256}};
    const char *name = oct_graph_fresh_name(
        s->g, s->ctx, oct_arena_printf(oct_graph_arena(s->g), "%s_table", n.name));
    oct_value_id in[2] = {x.value, OCT_NONE};
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(s->g, s->ctx, name, r.dt, &shape, table, true, &in[1]));
    annotate(s, &x);
    *why = NULL;
    return replace(s, id, OCT_OP_TABLE, NULL, in, 2, &r);
}

/* Relu that qdq_move left between integers of one scale: max(q, zero point), as a table. */
static oct_status lower_integer_relu(lowering *s, oct_node_id id)
{
    const oct_node n = *oct_graph_node(s->g, id);
    const oct_value *x = oct_graph_value(s->g, n.in[0]);
    const oct_quant quant = x->quant;
    const oct_dtype dt = x->dtype;
    if (quant.n != 1 || (dt != OCT_DT_S8 && dt != OCT_DT_U8))
        return OCT_OK;
    uint8_t table[256];
    for (int i = 0; i < 256; i++) {
        const int v = dt == OCT_DT_S8 ? (int8_t)(uint8_t)i : i;
        table[i] = (uint8_t)(v > quant.q[0].zero_point ? v : quant.q[0].zero_point);
    }
    const oct_shape shape = {.n_dims = 1, .dim = {256}};
    const char *name = oct_graph_fresh_name(
        s->g, s->ctx, oct_arena_printf(oct_graph_arena(s->g), "%s_table", n.name));
    oct_value_id in[2] = {n.in[0], OCT_NONE};
    oct_node_id made;
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(s->g, s->ctx, name, dt, &shape, table, true, &in[1]));
    oct_graph_remove_node(s->g, id);
    OCT_TRY(oct_graph_add_node(s->g, s->ctx, OCT_OP_TABLE, n.name, NULL, in, 2, n.out, 1, &made));
    oct_graph_node(s->g, made)->model_index = n.model_index;
    return OCT_OK;
}

/* ---- dispatch ---- */

typedef oct_status (*lower_fn)(lowering *s, oct_node_id id, const char **why);

static bool is_linear_resize(const oct_node *n)
{
    const oct_attr_resize *a = n->attr;
    return a->mode == OCT_RESIZE_LINEAR && a->coord != OCT_COORD_TF_CROP_AND_RESIZE;
}

static lower_fn rule_of(const oct_node *n)
{
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_CONV_TRANSPOSE:
    case OCT_OP_GEMM:
    case OCT_OP_MATMUL:
        return lower_conv_like;
    case OCT_OP_ADD:
    case OCT_OP_MUL:
    case OCT_OP_AVERAGE_POOL:
    case OCT_OP_GLOBAL_AVERAGE_POOL:
    case OCT_OP_CONCAT:
        return lower_element;
    case OCT_OP_RESIZE:
        return is_linear_resize(n) ? lower_element : NULL;
    default:
        return (oct_op_schema_get(n->op)->flags & OCT_OPF_UNARY) != 0 ? lower_unary : NULL;
    }
}

static bool has_quantized_input(const lowering *s, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++) {
        const oct_node *dq = oct_qdq_dequantize_of(s->g, n->in[i]);
        if (dq && !oct_graph_value(s->g, dq->in[0])->data)
            return true;
    }
    return false;
}

static void label(oct_graph *g, oct_value_id id, const oct_quant *q)
{
    oct_value *v = oct_graph_value(g, id);
    if (v->quant.n == 0)
        v->quant = *q;
}

/* Integers carry their scales wherever a Q made them or a mover passed them on, whether or not a
 * lowered node reads them. */
static oct_status label_integers(oct_ctx *ctx, oct_graph *g)
{
    uint32_t n_order = 0;
    OCT_TRY(oct_graph_sort(g, ctx));
    const oct_node_id *order = oct_graph_order(g, &n_order);
    for (uint32_t k = 0; k < n_order; k++) {
        const oct_node *n = oct_graph_node(g, order[k]);
        oct_quant quant;
        oct_dtype dt;
        if (n->op == OCT_OP_QUANTIZE_LINEAR && oct_qdq_params(g, n, &quant, &dt, NULL)) {
            label(g, n->out[0], &quant);
        } else if (n->n_in > 0 && n->in[0] != OCT_NONE &&
                   ((oct_op_schema_get(n->op)->flags & OCT_OPF_MOVER) ||
                    n->op == OCT_OP_MAX_POOL)) {
            const oct_value *x = oct_graph_value(g, n->in[0]), *y = oct_graph_value(g, n->out[0]);
            if (x->quant.n == 1 && x->dtype == y->dtype)
                label(g, n->out[0], &x->quant);
        }
    }
    return OCT_OK;
}

oct_status oct_pass_qdq_lower(oct_ctx *ctx, oct_graph *g)
{
    lowering s = {g, ctx};
    OCT_TRY(label_integers(ctx, g));
    const uint32_t n_nodes = oct_graph_n_nodes(g);
    for (oct_node_id id = 0; id < n_nodes; id++) {
        const oct_node *n = oct_graph_node(g, id);
        if (!n->dead && n->op == OCT_OP_RELU)
            OCT_TRY(lower_integer_relu(&s, id));
        n = oct_graph_node(g, id);
        if (n->dead || n->op == OCT_OP_QUANTIZE_LINEAR || !has_quantized_input(&s, n))
            continue;
        const lower_fn lower = rule_of(n);
        const char *why = "no integer kernel for this operator";
        if (lower)
            OCT_TRY(lower(&s, id, &why));
        if (why)
            oct_graph_node(g, id)->note = why;
    }
    oct_graph_remove_unused(g);
    return oct_graph_sort(g, ctx);
}
