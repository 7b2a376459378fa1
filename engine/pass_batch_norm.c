/* SPDX-License-Identifier: Apache-2.0
 *
 * BatchNormalization after a convolution or Gemm with constant weights, folded into them:
 *
 *     k[c] = scale[c] / sqrt(var[c] + eps),   w' = w * k,   b' = (b - mean) * k + beta
 *
 * in double, rounded once. Only where the convolution has no other consumer; elsewhere the node
 * stays and runs as it is. Source: Ioffe, Szegedy 2015.
 */
#include <math.h>
#include <string.h>

#include "engine/pass_internal.h"

typedef struct bn_fold {
    oct_node_id bn, op;
    int64_t n_out; /* channels */
    const float *scale, *beta, *mean, *var;
    double eps;
} bn_fold;

static const float *channel_data(const oct_graph *g, oct_value_id v, int64_t n)
{
    size_t elems = 0;
    if (!oct_pass_is_const(g, v))
        return NULL;
    const oct_value *c = oct_graph_value(g, v);
    const bool fits =
        c->dtype == OCT_DT_F32 && oct_shape_elems(&c->shape, &elems) && elems == (size_t)n;
    return fits ? c->data : NULL;
}

/* Output channels of a foldable op, 0 if it is none. */
static int64_t fold_channels(const oct_graph *g, const oct_node *n)
{
    if (n->n_in < 2 || !oct_pass_is_const(g, n->in[1]) ||
        (n->n_in > 2 && n->in[2] != OCT_NONE && !oct_pass_is_const(g, n->in[2])) ||
        n->epilogue.act != OCT_ACT_NONE || n->epilogue.residual >= 0)
        return 0;
    const oct_value *w = oct_graph_value(g, n->in[1]);
    if (w->dtype != OCT_DT_F32 || w->quant.n > 0)
        return 0;
    const oct_attr_window *a = n->attr;
    const oct_attr_gemm *m = n->attr;
    switch (n->op) {
    case OCT_OP_CONV:
        return w->shape.dim[0];
    case OCT_OP_CONV_TRANSPOSE:
        return w->shape.dim[1] * a->group;
    case OCT_OP_GEMM:
        return m->beta == 1.0F && m->alpha == 1.0F ? w->shape.dim[m->trans_b ? 0 : 1] : 0;
    default:
        return 0;
    }
}

/* Channel of weight element `i`. */
static int64_t channel_of(const oct_node *n, const oct_shape *w, size_t i)
{
    if (n->op == OCT_OP_GEMM) {
        const oct_attr_gemm *m = n->attr;
        return m->trans_b ? (int64_t)i / w->dim[1] : (int64_t)i % w->dim[1];
    }
    int64_t kernel = 1;
    for (int k = 2; k < w->n_dims; k++)
        kernel *= w->dim[k];
    if (n->op == OCT_OP_CONV)
        return (int64_t)i / (kernel * w->dim[1]);
    const oct_attr_window *a = n->attr; /* [in, out / group, kernel] */
    const int64_t in_per_group = w->dim[0] / a->group;
    const int64_t in = (int64_t)i / (kernel * w->dim[1]);
    return in / in_per_group * w->dim[1] + (int64_t)i / kernel % w->dim[1];
}

static oct_status find_fold(oct_ctx *ctx, oct_graph *g, oct_node_id bn, bn_fold *f, bool *found)
{
    const oct_node *n = oct_graph_node(g, bn);
    const oct_attr_norm *a = n->attr;
    oct_use user;
    *found = false;
    if (n->n_in < 5 || n->in[0] == OCT_NONE || a->training_mode)
        return OCT_OK;
    const oct_node_id p = oct_graph_value(g, n->in[0])->producer;
    if (p == OCT_NONE || oct_graph_node(g, p)->dead)
        return OCT_OK;
    *f = (bn_fold){.bn = bn, .op = p, .eps = a->epsilon};
    f->n_out = fold_channels(g, oct_graph_node(g, p));
    if (f->n_out <= 0)
        return OCT_OK;
    OCT_TRY(oct_pass_sole_use(ctx, g, n->in[0], &user));
    f->scale = channel_data(g, n->in[1], f->n_out);
    f->beta = channel_data(g, n->in[2], f->n_out);
    f->mean = channel_data(g, n->in[3], f->n_out);
    f->var = channel_data(g, n->in[4], f->n_out);
    *found = user.node == bn && f->scale && f->beta && f->mean && f->var;
    return OCT_OK;
}

static oct_status fold_bias(oct_ctx *ctx, oct_graph *g, const bn_fold *f, const double *k)
{
    const oct_node *n = oct_graph_node(g, f->op);
    const float *old = NULL;
    if (n->n_in > 2 && n->in[2] != OCT_NONE) {
        old = channel_data(g, n->in[2], f->n_out);
        float one;
        if (!old && !oct_pass_scalar(g, n->in[2], &one))
            return OCT_OK;
    }
    float *b = oct_arena_array(oct_graph_arena(g), (size_t)f->n_out, sizeof *b);
    if (!b)
        return OCT_ERR_NOMEM;
    float scalar = 0.0F;
    if (!old && n->n_in > 2 && n->in[2] != OCT_NONE)
        (void)oct_pass_scalar(g, n->in[2], &scalar);
    for (int64_t c = 0; c < f->n_out; c++) {
        const double had = old ? old[c] : scalar;
        b[c] = (float)((had - f->mean[c]) * k[c] + f->beta[c]);
    }
    const oct_shape shape = {.dim = {f->n_out}, .n_dims = 1};
    oct_value_id id;
    OCT_TRY(oct_pass_new_f32(ctx, g, "bn_bias", &shape, b, &id));
    return oct_pass_set_input(ctx, g, f->op, 2, id);
}

static oct_status fold_weights(oct_ctx *ctx, oct_graph *g, const bn_fold *f, const double *k)
{
    const oct_node *n = oct_graph_node(g, f->op);
    const oct_value *w = oct_graph_value(g, n->in[1]);
    const oct_shape shape = w->shape;
    const float *src = w->data;
    size_t elems = 0;
    if (!oct_shape_elems(&shape, &elems))
        return OCT_OK;
    float *dst = oct_arena_alloc_aligned(oct_graph_arena(g), elems * sizeof *dst, 64);
    if (!dst)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < elems; i++)
        dst[i] = (float)(src[i] * k[channel_of(n, &shape, i)]);
    oct_value_id id;
    OCT_TRY(oct_pass_new_f32(ctx, g, "bn_weight", &shape, dst, &id));
    return oct_pass_set_input(ctx, g, f->op, 1, id);
}

/* A Gemm bias may be [1, n] or [m, n]; only what reads as one number a channel is folded. */
static bool bias_fits(const oct_graph *g, const bn_fold *f)
{
    const oct_node *n = oct_graph_node(g, f->op);
    float x;
    return n->n_in < 3 || n->in[2] == OCT_NONE || channel_data(g, n->in[2], f->n_out) ||
           oct_pass_scalar(g, n->in[2], &x);
}

static oct_status apply_fold(oct_ctx *ctx, oct_graph *g, const bn_fold *f)
{
    double *k = oct_alloc_array(ctx, (size_t)f->n_out, sizeof *k);
    if (!k)
        return OCT_ERR_NOMEM;
    for (int64_t c = 0; c < f->n_out; c++)
        k[c] = f->scale[c] / sqrt((double)f->var[c] + f->eps);
    oct_status st = fold_weights(ctx, g, f, k);
    if (st == OCT_OK)
        st = fold_bias(ctx, g, f, k);
    oct_free(ctx, k);
    if (st == OCT_OK)
        oct_pass_take_output(g, f->op, 0, oct_graph_node(g, f->bn)->out[0]);
    return st;
}

oct_status oct_pass_batch_norm(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    (void)env;
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++) {
        bn_fold f;
        bool found = false;
        if (oct_graph_node(g, i)->dead || oct_graph_node(g, i)->op != OCT_OP_BATCH_NORM)
            continue;
        OCT_TRY(find_fold(ctx, g, i, &f, &found));
        if (found && bias_fits(g, &f))
            OCT_TRY(apply_fold(ctx, g, &f));
    }
    return OCT_OK;
}
