/* SPDX-License-Identifier: Apache-2.0
 *
 * FP16: values of f32 graphs become f16 where the backend has kernels for it, weights are
 * converted once, and Casts stand where f16 and f32 meet.
 *
 *     x:f32 ─► Cast ─► Conv (f16, sums in f32) ─► Relu (f16) ─► Cast ─► CumSum (f32) ─► y:f32
 *
 * Matrix products and convolutions are converted where they can be; light operators follow a
 * converted input; what loses range or sums many terms in its own type stays f32, and so do
 * values that the caller names (calibrated beyond f16), constants beyond f16, observed values
 * and the graph's inputs and outputs.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "engine/infer_node.h"
#include "engine/pass_internal.h"
#include "engine/session.h"
#include "kernels/op_schema.h"

#define MAX_ARGS 32
#define PROBE_DIM 2 /* stands for an open dimension */
#define F16_MAX 65504.0F

typedef enum share {
    STAYS,
    HEAVY, /* worth two Casts */
    LIGHT, /* only beside f16 neighbours */
} share;

typedef struct halver {
    oct_ctx *ctx;
    oct_graph *g;
    const oct_pass_env *env;
    oct_value_id *twin; /* of each value: its copy in the other type, or OCT_NONE */
    uint32_t n_values;
} halver;

static share share_of(oct_op op)
{
    static const oct_op heavy[] = {OCT_OP_CONV, OCT_OP_CONV_TRANSPOSE, OCT_OP_GEMM, OCT_OP_MATMUL};
    static const oct_op light[] = {
        OCT_OP_ADD,
        OCT_OP_SUB,
        OCT_OP_MUL,
        OCT_OP_DIV,
        OCT_OP_MIN,
        OCT_OP_MAX,
        OCT_OP_WHERE,
        OCT_OP_RELU,
        OCT_OP_LEAKY_RELU,
        OCT_OP_PRELU,
        OCT_OP_ELU,
        OCT_OP_CLIP,
        OCT_OP_SIGMOID,
        OCT_OP_HARD_SIGMOID,
        OCT_OP_HARD_SWISH,
        OCT_OP_SWISH,
        OCT_OP_MISH,
        OCT_OP_GELU,
        OCT_OP_ERF,
        OCT_OP_TANH,
        OCT_OP_ABS,
        OCT_OP_NEG,
        OCT_OP_SOFTMAX,
        OCT_OP_LAYER_NORM,
        OCT_OP_MAX_POOL,
        OCT_OP_AVERAGE_POOL,
        OCT_OP_GLOBAL_MAX_POOL,
        OCT_OP_GLOBAL_AVERAGE_POOL,
        OCT_OP_REDUCE_MEAN,
        OCT_OP_RESIZE,
        OCT_OP_CONCAT,
        OCT_OP_SPLIT,
        OCT_OP_SLICE,
        OCT_OP_RESHAPE,
        OCT_OP_FLATTEN,
        OCT_OP_SQUEEZE,
        OCT_OP_UNSQUEEZE,
        OCT_OP_TRANSPOSE,
        OCT_OP_IDENTITY,
        OCT_OP_PAD,
        OCT_OP_EXPAND,
        OCT_OP_GATHER,
        OCT_OP_DEPTH_TO_SPACE,
        OCT_OP_SPACE_TO_DEPTH,
        OCT_OP_QUANTIZE_LINEAR,
        OCT_OP_DEQUANTIZE_LINEAR,
    };
    for (size_t i = 0; i < sizeof heavy / sizeof heavy[0]; i++)
        if (heavy[i] == op)
            return HEAVY;
    for (size_t i = 0; i < sizeof light / sizeof light[0]; i++)
        if (light[i] == op)
            return LIGHT;
    return STAYS;
}

/* ---- which operands ---- */

static const oct_value *value_of(const halver *h, oct_value_id v)
{
    return oct_graph_value(h->g, v);
}

static bool on_integers(const halver *h, const oct_node *n)
{
    return n->n_in > 0 && n->in[0] != OCT_NONE && value_of(h, n->in[0])->quant.n > 0;
}

/* Inputs that hold data of the kind that the output holds. With integer operands the bias, with
 * Resize the scales, with Q and DQ their scales keep their type. */
static bool is_data(const halver *h, const oct_node *n, uint32_t i)
{
    if (n->in[i] == OCT_NONE)
        return false;
    const oct_value *v = value_of(h, n->in[i]);
    if ((v->dtype != OCT_DT_F32 && v->dtype != OCT_DT_F16) || v->quant.n > 0)
        return false;
    if (on_integers(h, n))
        return (int)i == n->epilogue.residual;
    if (n->op == OCT_OP_RESIZE || n->op == OCT_OP_QUANTIZE_LINEAR)
        return i == 0;
    return n->op != OCT_OP_DEQUANTIZE_LINEAR;
}

static bool is_result(const halver *h, const oct_node *n, uint32_t i)
{
    if (n->out[i] == OCT_NONE)
        return false;
    const oct_value *v = value_of(h, n->out[i]);
    return v->dtype == OCT_DT_F32 && v->quant.n == 0;
}

static bool fits_half(const oct_value *v)
{
    size_t n = 0;
    const float *x = v->data;
    if (v->dtype != OCT_DT_F32 || !oct_shape_elems(&v->shape, &n))
        return true;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > F16_MAX && !isinf(x[i]))
            return false;
    return true;
}

static bool is_kept(const halver *h, const oct_value *v)
{
    for (size_t i = 0; i < h->env->n_keep_f32; i++)
        if (strcmp(h->env->keep_f32[i], v->name) == 0)
            return true;
    return v->observed;
}

/* Nothing about the node's values speaks against f16. */
static bool values_allow(const halver *h, const oct_node *n)
{
    if (n->n_in + n->n_out > MAX_ARGS || (n->n_out > 1 && oct_op_has_epilogue(n->op)))
        return false;
    uint32_t n_real = 0;
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (!is_data(h, n, i))
            continue;
        const oct_value *v = value_of(h, n->in[i]);
        if (is_kept(h, v) || (v->data && !fits_half(v)))
            return false;
        n_real++;
    }
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (!is_result(h, n, i))
            continue;
        if (is_kept(h, value_of(h, n->out[i])))
            return false;
        n_real++;
    }
    return n_real > 0;
}

/* ---- what the backend says ---- */

static bool probe_shape(oct_shape *s)
{
    for (int i = 0; i < s->n_dims; i++)
        s->dim[i] = oct_dim_is_symbol(s->dim[i]) ? PROBE_DIM : s->dim[i];
    return s->n_dims >= 0;
}

static bool probe_operand(const halver *h, oct_value_id id, bool half, bool spatial, oct_operand *o)
{
    if (id == OCT_NONE)
        return true;
    const oct_value *v = value_of(h, id);
    oct_shape s = v->shape;
    if (!probe_shape(&s))
        return false;
    const oct_layout layout =
        spatial && !v->data && s.n_dims >= 3 ? OCT_LAYOUT_CHANNELS_LAST : OCT_LAYOUT_ROW;
    o->desc = oct_tensor_desc_make(half ? OCT_DT_F16 : v->dtype, s, layout);
    o->quant = v->quant;
    o->data = v->data; /* asked for integers only: f16 bytes are not made yet */
    return true;
}

static bool accepts(const halver *h, const oct_node *n, bool spatial)
{
    oct_operand o[MAX_ARGS];
    oct_candidate c;
    char reason[OCT_REASON_BYTES];
    memset(o, 0, sizeof o);
    memset(&c, 0, sizeof c);
    for (uint32_t i = 0; i < n->n_in; i++)
        if (!probe_operand(h, n->in[i], is_data(h, n, i), spatial, &o[i]))
            return false;
    for (uint32_t i = 0; i < n->n_out; i++)
        if (!probe_operand(h, n->out[i], is_result(h, n, i), spatial, &o[n->n_in + i]))
            return false;
    const oct_op_desc d = {.op = n->op,
                           .attr = n->attr,
                           .in = o,
                           .out = o + n->n_in,
                           .n_in = (int)n->n_in,
                           .n_out = (int)n->n_out,
                           .epilogue = n->epilogue,
                           .threads = 1,
                           .name = n->name};
    oct_backend *be = h->env->backend;
    return be->vt->enumerate(be, h->ctx, &d, &c, 1, reason) > 0;
}

/* Views need no kernel. */
static bool is_view(oct_op op)
{
    return op == OCT_OP_RESHAPE || op == OCT_OP_FLATTEN || op == OCT_OP_SQUEEZE ||
           op == OCT_OP_UNSQUEEZE || op == OCT_OP_IDENTITY || op == OCT_OP_SPLIT ||
           op == OCT_OP_SLICE;
}

static bool has_half_input(const halver *h, const oct_node *n)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (is_data(h, n, i) && value_of(h, n->in[i])->dtype == OCT_DT_F16)
            return true;
    return n->op == OCT_OP_DEQUANTIZE_LINEAR;
}

static bool wants_half(const halver *h, const oct_node *n)
{
    const share s = share_of(n->op);
    if (s == STAYS || !values_allow(h, n) || (s == LIGHT && !has_half_input(h, n)))
        return false;
    return is_view(n->op) || accepts(h, n, true) || accepts(h, n, false);
}

/* ---- rewriting ---- */

static oct_status half_constant(halver *h, oct_value_id v, oct_value_id *out)
{
    const oct_value *c = value_of(h, v);
    const float *x = c->data;
    size_t n = 0;
    const char *name = oct_graph_fresh_name(h->g, h->ctx, c->name);
    if (!name || !oct_shape_elems(&c->shape, &n))
        return OCT_ERR_NOMEM;
    uint16_t *half = oct_arena_array(oct_graph_arena(h->g), n ? n : 1, sizeof *half);
    if (!half)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        half[i] = oct_f16_from_f32(x[i]);
    const oct_shape shape = c->shape;
    return oct_graph_add_constant(h->g, h->ctx, name, OCT_DT_F16, &shape, half, false, out);
}

/* `v` in the other of the two types: its f16 constant, or what a Cast makes of it. */
static oct_status other_type(halver *h, oct_value_id v, oct_dtype dt, oct_value_id *out)
{
    if (v < h->n_values && h->twin[v] != OCT_NONE) {
        *out = h->twin[v];
        return OCT_OK;
    }
    const oct_value *x = value_of(h, v);
    if (x->data && x->producer == OCT_NONE && dt == OCT_DT_F16) {
        OCT_TRY(half_constant(h, v, out));
    } else {
        const oct_attr_cast a = {.to = dt, .saturate = true};
        const oct_shape shape = x->shape;
        oct_node_id id;
        const char *name = oct_graph_fresh_name(h->g, h->ctx, x->name);
        if (!name)
            return OCT_ERR_NOMEM;
        OCT_TRY(oct_graph_add_value(h->g, h->ctx, name, dt, &shape, out));
        OCT_TRY(oct_graph_add_node(h->g, h->ctx, OCT_OP_CAST, name, &a, &v, 1, out, 1, &id));
    }
    if (v < h->n_values)
        h->twin[v] = *out;
    return OCT_OK;
}

/* An output of the graph keeps its type: the node makes a twin, a Cast the output. */
static oct_status half_output(halver *h, oct_node_id id, uint32_t i)
{
    const oct_value_id v = oct_graph_node(h->g, id)->out[i];
    oct_value *x = oct_graph_value(h->g, v);
    if (!x->is_output) {
        x->dtype = OCT_DT_F16;
        return OCT_OK;
    }
    const oct_shape shape = x->shape;
    oct_value_id twin;
    oct_node_id cast;
    const char *name = oct_graph_fresh_name(h->g, h->ctx, x->name);
    if (!name)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_value(h->g, h->ctx, name, OCT_DT_F16, &shape, &twin));
    oct_graph_node(h->g, id)->out[i] = twin;
    oct_graph_value(h->g, twin)->producer = id;
    oct_graph_value(h->g, twin)->out_index = i;
    oct_graph_value(h->g, v)->producer = OCT_NONE;
    const oct_attr_cast a = {.to = OCT_DT_F32, .saturate = true};
    OCT_TRY(oct_graph_add_node(h->g, h->ctx, OCT_OP_CAST, name, &a, &twin, 1, &v, 1, &cast));
    h->twin[v] = twin;
    return OCT_OK;
}

static oct_status halve_node(halver *h, oct_node_id id)
{
    for (uint32_t i = 0; i < oct_graph_node(h->g, id)->n_in; i++) {
        const oct_node *n = oct_graph_node(h->g, id);
        oct_value_id v = n->in[i];
        if (!is_data(h, n, i) || value_of(h, v)->dtype == OCT_DT_F16)
            continue;
        OCT_TRY(other_type(h, v, OCT_DT_F16, &v));
        oct_graph_node(h->g, id)->in[i] = v;
    }
    for (uint32_t i = 0; i < oct_graph_node(h->g, id)->n_out; i++)
        if (is_result(h, oct_graph_node(h->g, id), i))
            OCT_TRY(half_output(h, id, i));
    return OCT_OK;
}

/* Nodes that stay in f32 read f32. */
static oct_status widen_inputs(halver *h, oct_node_id id)
{
    for (uint32_t i = 0; i < oct_graph_node(h->g, id)->n_in; i++) {
        oct_value_id v = oct_graph_node(h->g, id)->in[i];
        if (v == OCT_NONE || value_of(h, v)->dtype != OCT_DT_F16)
            continue;
        OCT_TRY(other_type(h, v, OCT_DT_F32, &v));
        oct_graph_node(h->g, id)->in[i] = v;
    }
    return OCT_OK;
}

static oct_status halve_all(halver *h)
{
    uint32_t n;
    oct_graph_order(h->g, &n);
    oct_node_id *order = oct_alloc_array(h->ctx, n + 1, sizeof *order);
    if (!order)
        return OCT_ERR_NOMEM;
    memcpy(order, oct_graph_order(h->g, &n), n * sizeof *order);
    oct_status st = OCT_OK;
    for (uint32_t i = 0; i < n && st == OCT_OK; i++) {
        const oct_node *node = oct_graph_node(h->g, order[i]);
        if (node->dead)
            continue;
        st = wants_half(h, node) ? halve_node(h, order[i]) : widen_inputs(h, order[i]);
    }
    oct_free(h->ctx, order);
    return st;
}

oct_status oct_pass_half(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    if (!(env->precision & OCT_PRECISION_F16))
        return OCT_OK;
    halver h = {.ctx = ctx, .g = g, .env = env, .n_values = oct_graph_n_values(g)};
    h.twin = oct_alloc_array(ctx, h.n_values + 1, sizeof *h.twin);
    if (!h.twin)
        return OCT_ERR_NOMEM;
    memset(h.twin, 0xff, (h.n_values + 1) * sizeof *h.twin);
    const oct_status st = halve_all(&h);
    oct_free(ctx, h.twin);
    return st == OCT_OK ? oct_graph_sort(g, ctx) : st;
}
