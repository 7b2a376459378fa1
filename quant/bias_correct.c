/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/bias_correct.h"

#include <string.h>

#include "base/numeric.h"
#include "quant/insert.h"
#include "quant/select.h"

/* A layer's weights as w[group][out][in][tap], taps side by side. */
typedef struct layer {
    const oct_node *node;
    const oct_value *w;
    const oct_point *point;
    size_t groups, outs, ins, taps; /* outs and ins of one group */
    size_t group_step, out_step, in_step;
    double factor; /* of the sum, in units of the bias */
    double *share; /* [taps]; NULL = 1 each */
    oct_node_id bias_node;
    uint32_t bias_in;
} layer;

/* ---- shapes ------------------------------------------------------------------------------ */

static size_t taps_of(const oct_shape *w)
{
    size_t n = 1;
    for (int d = 2; d < w->n_dims; d++)
        n *= (size_t)w->dim[d];
    return n;
}

static bool is_window(oct_op op)
{
    return op == OCT_OP_CONV || op == OCT_OP_CONV_TRANSPOSE;
}

static void window_layout(layer *l)
{
    const oct_attr_window *a = l->node->attr;
    const size_t d0 = (size_t)l->w->shape.dim[0], d1 = (size_t)l->w->shape.dim[1];
    l->groups = (size_t)a->group;
    l->taps = taps_of(&l->w->shape);
    l->group_step = d0 / l->groups * d1 * l->taps;
    if (l->node->op == OCT_OP_CONV) { /* [out, in / group, taps] */
        l->outs = d0 / l->groups;
        l->ins = d1;
        l->out_step = d1 * l->taps;
        l->in_step = l->taps;
        return;
    }
    l->outs = d1; /* [in, out / group, taps] */
    l->ins = d0 / l->groups;
    l->out_step = l->taps;
    l->in_step = d1 * l->taps;
    for (int d = 0; d < a->n_stride; d++)
        l->factor /= (double)a->stride[d];
}

static void matrix_layout(layer *l, bool transposed)
{
    const size_t d0 = (size_t)l->w->shape.dim[0], d1 = (size_t)l->w->shape.dim[1];
    l->groups = l->taps = 1;
    l->outs = transposed ? d0 : d1;
    l->ins = transposed ? d1 : d0;
    l->out_step = transposed ? d1 : 1;
    l->in_step = transposed ? 1 : d1;
}

/* False: not a layer that can be corrected. */
static bool layout(layer *l)
{
    l->factor = 1;
    if (is_window(l->node->op)) {
        window_layout(l);
        return true;
    }
    if (l->w->shape.n_dims != 2)
        return false;
    const oct_attr_gemm *a = l->node->op == OCT_OP_GEMM ? l->node->attr : NULL;
    if (a != NULL && (a->trans_a || a->beta == 0))
        return false;
    matrix_layout(l, a != NULL && a->trans_b);
    l->factor = a != NULL ? (double)a->alpha / (double)a->beta : 1;
    return true;
}

/* ---- padding ----------------------------------------------------------------------------- */

/* Pads before the first element along `d` when `total` are needed. */
static int64_t pad_begin(const oct_attr_window *a, int d, int64_t in, int64_t out, int64_t reach)
{
    const int64_t stride = d < a->n_stride ? a->stride[d] : 1;
    const int64_t need = (out - 1) * stride + reach - in, total = need > 0 ? need : 0;
    switch (a->auto_pad) {
    case OCT_PAD_SAME_UPPER:
        return total / 2;
    case OCT_PAD_SAME_LOWER:
        return total - total / 2;
    case OCT_PAD_VALID:
        return 0;
    default:
        return d < a->n_pad / 2 ? a->pad[d] : 0;
    }
}

/* share[k] = part of the output positions at which tap k lies inside, along one dimension. */
static bool shares_along(const layer *l, const oct_shape *x, const oct_shape *y, int d,
                         double *share)
{
    const oct_attr_window *a = l->node->attr;
    const int64_t in = x->dim[2 + d], out = y->dim[2 + d], kernel = l->w->shape.dim[2 + d];
    const int64_t stride = d < a->n_stride ? a->stride[d] : 1;
    const int64_t dilation = d < a->n_dilation ? a->dilation[d] : 1;
    if (in < 1 || out < 1)
        return false;
    const int64_t begin = pad_begin(a, d, in, out, (kernel - 1) * dilation + 1);
    for (int64_t k = 0; k < kernel; k++) {
        int64_t n = 0;
        for (int64_t o = 0; o < out; o++) {
            const int64_t at = o * stride + k * dilation - begin;
            n += at >= 0 && at < in;
        }
        share[k] = (double)n / (double)out;
    }
    return true;
}

/* Fills l->share for a convolution whose shapes are known. */
static oct_status find_shares(const oct_graph *g, oct_arena *arena, layer *l)
{
    const oct_shape *x = &oct_graph_value(g, l->node->in[0])->shape;
    const oct_shape *y = &oct_graph_value(g, l->node->out[0])->shape, *w = &l->w->shape;
    if (l->node->op != OCT_OP_CONV || x->n_dims != w->n_dims || y->n_dims != w->n_dims)
        return OCT_OK;
    double *share = oct_arena_array(arena, l->taps, sizeof *share);
    double *along = oct_arena_array(arena, l->taps, sizeof *along);
    if (share == NULL || along == NULL)
        return OCT_ERR_NOMEM;
    for (size_t k = 0; k < l->taps; k++)
        share[k] = 1;
    size_t inner = l->taps;
    for (int d = 0; d < w->n_dims - 2; d++) {
        const size_t kernel = (size_t)w->dim[2 + d];
        inner /= kernel;
        if (!shares_along(l, x, y, d, along))
            return OCT_OK;
        for (size_t k = 0; k < l->taps; k++)
            share[k] *= along[k / inner % kernel];
    }
    l->share = share;
    return OCT_OK;
}

/* ---- the shift --------------------------------------------------------------------------- */

static double weight_error(const layer *l, const int8_t *q, size_t at, size_t out)
{
    const double scale = l->point->quant.q[l->point->quant.n == 1 ? 0 : out].scale;
    return q[at] * scale - oct_elem_f64(l->w->data, l->w->dtype, at);
}

/* How far the mean of output `o` of group `grp` moved. */
static double shift_of(const layer *l, const int8_t *q, const double *mean, size_t grp, size_t o)
{
    const size_t out = grp * l->outs + o;
    double sum = 0;
    for (size_t i = 0; i < l->ins; i++) {
        const size_t at = grp * l->group_step + o * l->out_step + i * l->in_step;
        double moved = 0;
        for (size_t k = 0; k < l->taps; k++)
            moved += weight_error(l, q, at + k, out) * (l->share != NULL ? l->share[k] : 1);
        sum += moved * mean[grp * l->ins + i];
    }
    return sum * l->factor;
}

/* ---- the bias ---------------------------------------------------------------------------- */

/* A constant that adds one number to each of `n` outputs, or the same one to all. */
static bool is_bias(const oct_value *v, size_t n)
{
    size_t have = 0;
    if (v->data == NULL || (v->dtype != OCT_DT_F32 && v->dtype != OCT_DT_F16) ||
        !oct_shape_elems(&v->shape, &have) || (have != n && have != 1))
        return false;
    return have == 1 || v->shape.dim[v->shape.n_dims - 1] == (int64_t)n;
}

/* The Add with a constant behind a MatMul. */
static bool find_add(oct_ctx *ctx, oct_graph *g, layer *l, size_t n)
{
    const oct_use *use;
    uint32_t n_uses = 0;
    const oct_value_id y = l->node->out[0];
    if (oct_graph_value(g, y)->is_output || oct_graph_uses(g, ctx, y, &use, &n_uses) != OCT_OK ||
        n_uses != 1 || oct_graph_node(g, use[0].node)->op != OCT_OP_ADD)
        return false;
    l->bias_node = use[0].node;
    l->bias_in = 1 - use[0].in_index;
    return is_bias(oct_graph_value(g, oct_graph_node(g, l->bias_node)->in[l->bias_in]), n);
}

/* Where the bias of the layer is or would be. */
static bool find_bias(oct_ctx *ctx, oct_graph *g, oct_node_id id, const oct_scheme *scheme,
                      layer *l)
{
    const size_t n = l->groups * l->outs;
    if (l->node->op == OCT_OP_MATMUL)
        return find_add(ctx, g, l, n);
    l->bias_node = id;
    l->bias_in = 2;
    if (l->node->n_in > 2 && l->node->in[2] != OCT_NONE)
        return is_bias(oct_graph_value(g, l->node->in[2]), n);
    const oct_dtype dt = oct_graph_value(g, l->node->in[0])->dtype;
    return scheme->target != OCT_TARGET_ORT && (dt == OCT_DT_F32 || dt == OCT_DT_F16);
}

static oct_value_id bias_before(const oct_graph *g, const layer *l)
{
    const oct_node *n = oct_graph_node(g, l->bias_node);
    return l->bias_in < n->n_in ? n->in[l->bias_in] : OCT_NONE;
}

static oct_status new_bias(oct_ctx *ctx, oct_graph *g, const layer *l, const int8_t *q,
                           const double *mean, oct_value_id *out)
{
    const size_t n = l->groups * l->outs;
    const oct_value_id before = bias_before(g, l);
    const oct_value *old = before != OCT_NONE ? oct_graph_value(g, before) : NULL;
    const oct_dtype dt = old ? old->dtype : oct_graph_value(g, l->node->in[0])->dtype;
    size_t n_old = 0;
    float *f = oct_arena_array(oct_graph_arena(g), n, sizeof *f);
    uint16_t *h = oct_arena_array(oct_graph_arena(g), n, sizeof *h);
    if (f == NULL || h == NULL)
        return OCT_ERR_NOMEM;
    if (old != NULL)
        (void)oct_shape_elems(&old->shape, &n_old);
    for (size_t c = 0; c < n; c++) {
        const double b = old ? oct_elem_f64(old->data, old->dtype, n_old == 1 ? 0 : c) : 0;
        f[c] = (float)(b - shift_of(l, q, mean, c / l->outs, c % l->outs));
        h[c] = oct_f16_from_f32(f[c]);
    }
    oct_shape shape = {.n_dims = 1, .dim = {(int64_t)n}};
    if (old != NULL && n_old == n)
        shape = old->shape;
    const char *stem = old ? old->name : l->node->name;
    const char *name = oct_graph_fresh_name(
        g, ctx, oct_arena_printf(oct_graph_arena(g), "%s_corrected%s", stem, old ? "" : "_bias"));
    if (name == NULL)
        return OCT_ERR_NOMEM;
    return oct_graph_add_constant(g, ctx, name, dt, &shape, dt == OCT_DT_F16 ? (const void *)h : f,
                                  true, out);
}

static oct_status set_input(oct_ctx *ctx, oct_graph *g, const layer *l, oct_value_id v)
{
    const oct_node *n = oct_graph_node(g, l->bias_node);
    const uint32_t n_in = l->bias_in < n->n_in ? n->n_in : l->bias_in + 1;
    oct_value_id *in = oct_arena_array(oct_graph_arena(g), n_in, sizeof *in);
    if (in == NULL)
        return OCT_ERR_NOMEM;
    memcpy(in, n->in, n->n_in * sizeof *in);
    in[l->bias_in] = v;
    return oct_graph_set_inputs(g, ctx, l->bias_node, in, n_in);
}

/* ---- all layers -------------------------------------------------------------------------- */

static oct_point *point_used(const oct_placement *p, oct_point_kind kind, oct_node_id node,
                             uint32_t in_index)
{
    for (uint32_t i = 0; i < p->n_points; i++)
        for (uint32_t u = 0; p->point[i].kind == kind && u < p->point[i].n_uses; u++)
            if (p->point[i].use[u].node == node && p->point[i].use[u].in_index == in_index)
                return &p->point[i];
    return NULL;
}

static oct_status correct(oct_ctx *ctx, oct_graph *g, oct_placement *p, const oct_scheme *scheme,
                          oct_node_id id)
{
    layer l = {.node = oct_graph_node(g, id)};
    const double *mean;
    const void *q;
    size_t n_means;
    l.point = point_used(p, OCT_POINT_WEIGHT, id, 1);
    if (l.point == NULL)
        return OCT_OK;
    l.w = oct_graph_value(g, l.point->value);
    if (!layout(&l) ||
        !scheme->means->find(scheme->means->user, oct_graph_value(g, l.node->in[0])->name,
                             !is_window(l.node->op), &mean, &n_means) ||
        n_means != l.groups * l.ins || !find_bias(ctx, g, id, scheme, &l))
        return OCT_OK;
    oct_bias_change *c = &p->bias[p->n_biases];
    *c = (oct_bias_change){id, l.bias_node, l.bias_in, bias_before(g, &l), OCT_NONE};
    OCT_TRY(find_shares(g, p->arena, &l));
    OCT_TRY(oct_quant_constant(ctx, g, p, l.point, &q));
    OCT_TRY(new_bias(ctx, g, &l, q, mean, &c->after));
    OCT_TRY(set_input(ctx, g, &l, c->after));
    oct_point *bias = point_used(p, OCT_POINT_BIAS, l.bias_node, l.bias_in);
    if (bias != NULL)
        bias->value = c->after;
    p->n_biases++;
    return OCT_OK;
}

oct_status oct_bias_correct(oct_ctx *ctx, oct_graph *g, oct_placement *p, const oct_scheme *scheme)
{
    if (scheme->means == NULL)
        return OCT_OK;
    p->bias = oct_arena_array(p->arena, p->n_nodes, sizeof *p->bias);
    if (p->bias == NULL)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_nodes; i++)
        if (p->node[i].quantized && oct_select_is_weighted(oct_graph_node(g, p->node[i].node)->op))
            OCT_TRY(correct(ctx, g, p, scheme, p->node[i].node));
    return OCT_OK;
}
