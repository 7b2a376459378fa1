/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products in their plainest form:
 *
 *     MatMul(x, W) + b    one node with bias, where b has one number per column
 *     Gemm                alpha and beta multiplied into constant weights and bias
 */
#include "engine/pass_internal.h"

static bool is_row_of(const oct_graph *g, oct_value_id v, int64_t n)
{
    if (!oct_pass_is_const(g, v) || n < 1)
        return false;
    const oct_value *c = oct_graph_value(g, v);
    const oct_shape *s = &c->shape;
    return c->dtype == OCT_DT_F32 && s->n_dims == 1 && s->dim[0] == n;
}

static oct_status fuse_bias(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    oct_use user;
    const oct_node *n = oct_graph_node(g, id);
    const oct_value *y = oct_graph_value(g, n->out[0]);
    if (n->n_in != 2 || y->shape.n_dims < 1 || y->dtype != OCT_DT_F32)
        return OCT_OK;
    const int64_t columns = y->shape.dim[y->shape.n_dims - 1];
    OCT_TRY(oct_pass_sole_use(ctx, g, n->out[0], &user));
    if (user.node == OCT_NONE)
        return OCT_OK;
    const oct_node *add = oct_graph_node(g, user.node);
    if (add->op != OCT_OP_ADD || !is_row_of(g, add->in[1 - user.in_index], columns))
        return OCT_OK;
    const oct_value_id sum = add->out[0];
    OCT_TRY(oct_pass_set_input(ctx, g, id, 2, add->in[1 - user.in_index]));
    oct_pass_take_output(g, id, 0, sum);
    return OCT_OK;
}

static oct_status scale_input(oct_ctx *ctx, oct_graph *g, oct_node_id id, uint32_t i, float by)
{
    const oct_value *c = oct_graph_value(g, oct_graph_node(g, id)->in[i]);
    const oct_shape shape = c->shape;
    const float *src = c->data;
    size_t n = 0;
    if (!oct_shape_elems(&shape, &n))
        return OCT_OK;
    float *dst = oct_arena_alloc_aligned(oct_graph_arena(g), n * sizeof *dst, 64);
    if (!dst)
        return OCT_ERR_NOMEM;
    for (size_t k = 0; k < n; k++)
        dst[k] = src[k] * by;
    oct_value_id scaled;
    OCT_TRY(oct_pass_new_f32(ctx, g, "gemm", &shape, dst, &scaled));
    return oct_pass_set_input(ctx, g, id, i, scaled);
}

static bool is_plain_f32(const oct_graph *g, oct_value_id v)
{
    return oct_pass_is_const(g, v) && oct_graph_value(g, v)->dtype == OCT_DT_F32;
}

/* A power of two only, so that no product is rounded differently than in the model. */
static bool is_exact_factor(float f)
{
    return f == 0.5F || f == 2.0F || f == 0.25F || f == 4.0F || f == 0.125F || f == 8.0F;
}

static oct_status plain_gemm(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    oct_node *n = oct_graph_node(g, id);
    const oct_attr_gemm *old = n->attr;
    const bool has_c = n->n_in > 2 && n->in[2] != OCT_NONE;
    const bool scale_b =
        old->alpha != 1.0F && is_exact_factor(old->alpha) && is_plain_f32(g, n->in[1]);
    const bool drop_beta = !has_c && old->beta != 1.0F;
    const bool scale_c = has_c && is_exact_factor(old->beta) && is_plain_f32(g, n->in[2]);
    if (!scale_b && !scale_c && !drop_beta)
        return OCT_OK;
    oct_attr_gemm *a = oct_arena_copy(oct_graph_arena(g), old, sizeof *old);
    if (!a)
        return OCT_ERR_NOMEM;
    if (scale_b)
        OCT_TRY(scale_input(ctx, g, id, 1, old->alpha));
    if (scale_c)
        OCT_TRY(scale_input(ctx, g, id, 2, old->beta));
    a->alpha = scale_b ? 1.0F : old->alpha;
    a->beta = scale_c || drop_beta ? 1.0F : old->beta;
    oct_graph_node(g, id)->attr = a;
    return OCT_OK;
}

oct_status oct_pass_linear(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    (void)env;
    for (uint32_t i = 0; i < oct_graph_n_nodes(g); i++) {
        const oct_node *n = oct_graph_node(g, i);
        if (n->dead)
            continue;
        if (n->op == OCT_OP_MATMUL)
            OCT_TRY(fuse_bias(ctx, g, i));
        else if (n->op == OCT_OP_GEMM && n->attr)
            OCT_TRY(plain_gemm(ctx, g, i));
    }
    return OCT_OK;
}
