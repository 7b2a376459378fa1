/* SPDX-License-Identifier: Apache-2.0
 *
 * LayerNormalization as exporters before opset 17 spell it:
 *
 *     d = x - ReduceMean(x),  y = d / Sqrt(ReduceMean(d^2) + eps) [* gamma] [+ beta]
 *
 * over the last axis. Found from its Sqrt. Source: Ba, Kiros, Hinton 2016.
 */
#include <string.h>

#include "engine/pass_internal.h"

typedef struct norm_match {
    oct_value_id x, gamma, beta;
    oct_node_id last; /* its output is the result */
    float eps;
    int64_t width;
} norm_match;

/* ReduceMean over the last axis only, keeping it; NULL otherwise. */
static const oct_node *last_axis_mean(const oct_graph *g, oct_value_id v)
{
    const oct_node *n = oct_pass_producer(g, v, OCT_OP_REDUCE_MEAN, NULL);
    if (!n || n->n_in < 2 || oct_pass_list_len(g, n->in[1]) != 1)
        return NULL;
    const oct_attr_reduce *a = n->attr;
    const int rank = oct_graph_value(g, n->in[0])->shape.n_dims;
    const int64_t axis = oct_pass_list_at(g, n->in[1], 0);
    return a && a->keepdims && rank > 0 && (axis == -1 || axis == rank - 1) ? n : NULL;
}

/* d of d^2, or OCT_NONE. */
static oct_value_id square_of(const oct_graph *g, oct_value_id v)
{
    float two;
    const oct_node *n = oct_pass_producer(g, v, OCT_OP_POW, NULL);
    if (n)
        return oct_pass_scalar(g, n->in[1], &two) && two == 2.0F ? n->in[0] : OCT_NONE;
    n = oct_pass_producer(g, v, OCT_OP_MUL, NULL);
    return n && n->in[0] == n->in[1] ? n->in[0] : OCT_NONE;
}

/* x when d = x - ReduceMean(x), else OCT_NONE. */
static oct_value_id centred(const oct_graph *g, oct_value_id d)
{
    const oct_node *sub = oct_pass_producer(g, d, OCT_OP_SUB, NULL);
    const oct_node *mean = sub ? last_axis_mean(g, sub->in[1]) : NULL;
    return mean && mean->in[0] == sub->in[0] ? sub->in[0] : OCT_NONE;
}

/* Every value inside may vanish: not observed, no graph output. */
static bool hidden(const oct_graph *g, oct_value_id v)
{
    return !oct_graph_value(g, v)->observed && !oct_graph_value(g, v)->is_output;
}

static bool match_core(const oct_graph *g, const oct_node *root, norm_match *m)
{
    const oct_node *add = oct_pass_producer(g, root->in[0], OCT_OP_ADD, NULL);
    if (!add)
        return false;
    const uint32_t c = oct_pass_scalar(g, add->in[1], &m->eps) ? 1 : 0;
    if (!oct_pass_scalar(g, add->in[c], &m->eps))
        return false;
    const oct_node *mean = last_axis_mean(g, add->in[1 - c]);
    const oct_value_id d = mean ? square_of(g, mean->in[0]) : OCT_NONE;
    m->x = d == OCT_NONE ? OCT_NONE : centred(g, d);
    if (m->x == OCT_NONE)
        return false;
    const oct_shape *s = &oct_graph_value(g, m->x)->shape;
    m->width = s->dim[s->n_dims - 1];
    return m->width > 0 && oct_graph_value(g, m->x)->dtype == OCT_DT_F32 && hidden(g, d) &&
           hidden(g, mean->in[0]) && hidden(g, mean->out[0]) && hidden(g, add->out[0]) &&
           hidden(g, oct_pass_producer(g, d, OCT_OP_SUB, NULL)->in[1]);
}

static bool is_row(const oct_graph *g, oct_value_id v, int64_t width)
{
    if (!oct_pass_is_const(g, v))
        return false;
    const oct_value *c = oct_graph_value(g, v);
    return c->dtype == OCT_DT_F32 && c->shape.n_dims == 1 && c->shape.dim[0] == width;
}

/* Steps over a Mul or Add with a constant row. */
static oct_status match_row(oct_ctx *ctx, oct_graph *g, norm_match *m, oct_op op, oct_value_id *row)
{
    oct_use user;
    OCT_TRY(oct_pass_sole_use(ctx, g, oct_graph_node(g, m->last)->out[0], &user));
    if (user.node == OCT_NONE)
        return OCT_OK;
    const oct_node *n = oct_graph_node(g, user.node);
    if (n->op != op || n->n_in != 2 || !is_row(g, n->in[1 - user.in_index], m->width))
        return OCT_OK;
    *row = n->in[1 - user.in_index];
    m->last = user.node;
    return OCT_OK;
}

static oct_status ones(oct_ctx *ctx, oct_graph *g, int64_t n, oct_value_id *id)
{
    float *one = oct_arena_array(oct_graph_arena(g), (size_t)n, sizeof *one);
    if (!one)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < n; i++)
        one[i] = 1.0F;
    const oct_shape shape = {.dim = {n}, .n_dims = 1};
    return oct_pass_new_f32(ctx, g, "ones", &shape, one, id);
}

static oct_status replace(oct_ctx *ctx, oct_graph *g, norm_match *m)
{
    oct_attr_norm a;
    memset(&a, 0, sizeof a);
    a.axis = -1;
    a.epsilon = m->eps;
    if (m->gamma == OCT_NONE)
        OCT_TRY(ones(ctx, g, m->width, &m->gamma));
    const oct_value_id in[3] = {m->x, m->gamma, m->beta};
    const oct_value_id y = oct_graph_node(g, m->last)->out[0];
    const char *name = oct_graph_node(g, m->last)->name;
    oct_node_id id;
    oct_graph_remove_node(g, m->last);
    return oct_graph_add_node(g, ctx, OCT_OP_LAYER_NORM, name, &a, in, m->beta == OCT_NONE ? 2 : 3,
                              &y, 1, &id);
}

static oct_status match_sqrt(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    const oct_node *root = oct_graph_node(g, id);
    norm_match m = {.gamma = OCT_NONE, .beta = OCT_NONE};
    oct_use user;
    if (!match_core(g, root, &m))
        return OCT_OK;
    OCT_TRY(oct_pass_sole_use(ctx, g, root->out[0], &user));
    if (user.node == OCT_NONE || user.in_index != 1)
        return OCT_OK;
    const oct_node *div = oct_graph_node(g, user.node);
    if (div->op != OCT_OP_DIV || centred(g, div->in[0]) != m.x || !hidden(g, div->in[0]))
        return OCT_OK;
    m.last = user.node;
    OCT_TRY(match_row(ctx, g, &m, OCT_OP_MUL, &m.gamma));
    OCT_TRY(match_row(ctx, g, &m, OCT_OP_ADD, &m.beta));
    return replace(ctx, g, &m);
}

oct_status oct_pass_layer_norm(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    const uint32_t n = oct_graph_n_nodes(g);
    (void)env;
    for (uint32_t i = 0; i < n; i++)
        if (!oct_graph_node(g, i)->dead && oct_graph_node(g, i)->op == OCT_OP_SQRT)
            OCT_TRY(match_sqrt(ctx, g, i));
    return OCT_OK;
}
