/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations that exporters spell out become one node, which an epilogue can take:
 *
 *     Swish      x * Sigmoid(x)
 *     HardSwish  x * HardSigmoid(x; 1/6, 1/2),  x * Clip(x + 3, 0, 6) / 6
 *     Mish       x * Tanh(Softplus(x))
 *     Gelu       x * (Erf(x / sqrt 2) + 1) * 0.5, factors in any order
 *     Gelu tanh  0.5 * x * (1 + Tanh(0.79788 * (x + 0.044715 * x^3)))
 *
 * Each pattern starts at its innermost function and follows sole uses outwards.
 */
#include <math.h>
#include <string.h>

#include "engine/pass_internal.h"

static bool near(float a, double b)
{
    return fabs((double)a - b) <= 1e-4 * fabs(b);
}

/* The sole consumer of `v` when it is an `op` of two inputs; *other = its other input. */
static oct_status next_binary(oct_ctx *ctx, oct_graph *g, oct_value_id v, oct_op op,
                              oct_node_id *id, oct_value_id *other)
{
    oct_use user;
    *id = OCT_NONE;
    OCT_TRY(oct_pass_sole_use(ctx, g, v, &user));
    if (user.node == OCT_NONE)
        return OCT_OK;
    const oct_node *n = oct_graph_node(g, user.node);
    if (n->op != op || n->n_in != 2 || (op == OCT_OP_DIV && user.in_index != 0))
        return OCT_OK;
    *id = user.node;
    *other = n->in[1 - user.in_index];
    return OCT_OK;
}

/* `v` = x * factor or x / divisor with a constant near `factor`; *x is the other operand. */
static bool is_scaled(const oct_graph *g, oct_value_id v, double factor, oct_value_id *x)
{
    float c;
    const oct_node *n = oct_pass_producer(g, v, OCT_OP_MUL, NULL);
    for (uint32_t i = 0; n && i < 2; i++) {
        if (oct_pass_scalar(g, n->in[i], &c) && near(c, factor)) {
            *x = n->in[1 - i];
            return true;
        }
    }
    n = oct_pass_producer(g, v, OCT_OP_DIV, NULL);
    if (n && oct_pass_scalar(g, n->in[1], &c) && near(c, 1.0 / factor)) {
        *x = n->in[0];
        return true;
    }
    return false;
}

static oct_status replace_by(oct_ctx *ctx, oct_graph *g, oct_node_id last, oct_op op,
                             const void *attr, oct_value_id x)
{
    const char *name = oct_graph_node(g, last)->name;
    const oct_value_id y = oct_graph_node(g, last)->out[0];
    oct_node_id id;
    oct_graph_remove_node(g, last);
    return oct_graph_add_node(g, ctx, op, name, attr, &x, 1, &y, 1, &id);
}

/* Follows `v` through an optional constant factor of 1/`part`; *last is where it ends. */
static oct_status scaled_end(oct_ctx *ctx, oct_graph *g, oct_node_id from, double factor,
                             oct_node_id *last, bool *found)
{
    static const oct_op op[] = {OCT_OP_MUL, OCT_OP_DIV};
    const oct_value_id y = oct_graph_node(g, from)->out[0];
    *found = false;
    for (int i = 0; i < 2 && !*found; i++) {
        oct_value_id other;
        float c;
        OCT_TRY(next_binary(ctx, g, y, op[i], last, &other));
        *found = *last != OCT_NONE && oct_pass_scalar(g, other, &c) &&
                 near(c, i == 0 ? factor : 1.0 / factor);
    }
    return OCT_OK;
}

/* ---- x * f(x) ---- */

static oct_status match_sigmoid(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    const oct_node *n = oct_graph_node(g, id);
    const oct_value_id x = n->in[0];
    oct_node_id mul;
    oct_value_id other;
    OCT_TRY(next_binary(ctx, g, n->out[0], OCT_OP_MUL, &mul, &other));
    if (mul == OCT_NONE || other != x)
        return OCT_OK;
    if (n->op == OCT_OP_SIGMOID) {
        const oct_attr_act a = {.alpha = 1.0F};
        return replace_by(ctx, g, mul, OCT_OP_SWISH, &a, x);
    }
    const oct_attr_act *h = n->attr;
    if (near(h->alpha, 1.0 / 6.0) && h->beta == 0.5F)
        return replace_by(ctx, g, mul, OCT_OP_HARD_SWISH, NULL, x);
    return OCT_OK;
}

static oct_status match_softplus(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    const oct_value_id x = oct_graph_node(g, id)->in[0];
    oct_use user;
    oct_node_id mul;
    oct_value_id other;
    OCT_TRY(oct_pass_sole_use(ctx, g, oct_graph_node(g, id)->out[0], &user));
    if (user.node == OCT_NONE || oct_graph_node(g, user.node)->op != OCT_OP_TANH)
        return OCT_OK;
    OCT_TRY(next_binary(ctx, g, oct_graph_node(g, user.node)->out[0], OCT_OP_MUL, &mul, &other));
    if (mul == OCT_NONE || other != x)
        return OCT_OK;
    return replace_by(ctx, g, mul, OCT_OP_MISH, NULL, x);
}

/* Clip(x + 3, 0, 6): times x then a sixth, or a sixth then times x. */
static oct_status match_clip(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    const oct_node *n = oct_graph_node(g, id);
    float lo, hi, three;
    if (n->n_in < 3 || !oct_pass_scalar(g, n->in[1], &lo) || !oct_pass_scalar(g, n->in[2], &hi) ||
        lo != 0.0F || hi != 6.0F)
        return OCT_OK;
    const oct_node *add = oct_pass_producer(g, n->in[0], OCT_OP_ADD, NULL);
    const uint32_t c = add && oct_pass_scalar(g, add->in[0], &three) ? 0 : 1;
    if (!add || !oct_pass_scalar(g, add->in[c], &three) || three != 3.0F)
        return OCT_OK;
    const oct_value_id x = add->in[1 - c];
    oct_node_id mul, last;
    oct_value_id other;
    bool found = false;
    OCT_TRY(scaled_end(ctx, g, id, 1.0 / 6.0, &last, &found));
    if (found) {
        OCT_TRY(next_binary(ctx, g, oct_graph_node(g, last)->out[0], OCT_OP_MUL, &mul, &other));
        if (mul != OCT_NONE && other == x)
            return replace_by(ctx, g, mul, OCT_OP_HARD_SWISH, NULL, x);
        return OCT_OK;
    }
    OCT_TRY(next_binary(ctx, g, n->out[0], OCT_OP_MUL, &mul, &other));
    if (mul == OCT_NONE || other != x)
        return OCT_OK;
    OCT_TRY(scaled_end(ctx, g, mul, 1.0 / 6.0, &last, &found));
    return found ? replace_by(ctx, g, last, OCT_OP_HARD_SWISH, NULL, x) : OCT_OK;
}

/* ---- Gelu ---- */

/* From 1 + f(x) outwards: times x and a half, in either order. */
static oct_status gelu_tail(oct_ctx *ctx, oct_graph *g, oct_node_id f, oct_value_id x,
                            bool tanh_form)
{
    const oct_attr_act a = {.approximate_tanh = tanh_form};
    oct_node_id add, mul, last;
    oct_value_id other, inner;
    float one;
    bool found;
    OCT_TRY(next_binary(ctx, g, oct_graph_node(g, f)->out[0], OCT_OP_ADD, &add, &other));
    if (add == OCT_NONE || !oct_pass_scalar(g, other, &one) || one != 1.0F)
        return OCT_OK;
    OCT_TRY(scaled_end(ctx, g, add, 0.5, &last, &found));
    if (found) { /* x * (0.5 * (1 + f)) */
        OCT_TRY(next_binary(ctx, g, oct_graph_node(g, last)->out[0], OCT_OP_MUL, &mul, &other));
        if (mul != OCT_NONE && other == x)
            return replace_by(ctx, g, mul, OCT_OP_GELU, &a, x);
        return OCT_OK;
    }
    OCT_TRY(next_binary(ctx, g, oct_graph_node(g, add)->out[0], OCT_OP_MUL, &mul, &other));
    if (mul == OCT_NONE)
        return OCT_OK;
    if (other != x) /* (0.5 * x) * (1 + f) */
        return is_scaled(g, other, 0.5, &inner) && inner == x
                   ? replace_by(ctx, g, mul, OCT_OP_GELU, &a, x)
                   : OCT_OK;
    OCT_TRY(scaled_end(ctx, g, mul, 0.5, &last, &found)); /* (x * (1 + f)) * 0.5 */
    return found ? replace_by(ctx, g, last, OCT_OP_GELU, &a, x) : OCT_OK;
}

static oct_status match_erf(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    oct_value_id x;
    if (!is_scaled(g, oct_graph_node(g, id)->in[0], 0.70710678118654752, &x))
        return OCT_OK;
    return gelu_tail(ctx, g, id, x, false);
}

static bool is_cube(const oct_graph *g, oct_value_id v, oct_value_id x)
{
    float three;
    const oct_node *n = oct_pass_producer(g, v, OCT_OP_POW, NULL);
    if (n)
        return n->in[0] == x && oct_pass_scalar(g, n->in[1], &three) && three == 3.0F;
    n = oct_pass_producer(g, v, OCT_OP_MUL, NULL);
    for (uint32_t i = 0; n && i < 2; i++) {
        const oct_node *sq = oct_pass_producer(g, n->in[i], OCT_OP_MUL, NULL);
        if (n->in[1 - i] == x && sq && sq->in[0] == x && sq->in[1] == x)
            return true;
    }
    return false;
}

static oct_status match_tanh(oct_ctx *ctx, oct_graph *g, oct_node_id id)
{
    oct_value_id sum, cube;
    if (!is_scaled(g, oct_graph_node(g, id)->in[0], 0.79788456080286536, &sum))
        return OCT_OK;
    const oct_node *add = oct_pass_producer(g, sum, OCT_OP_ADD, NULL);
    for (uint32_t i = 0; add && i < 2; i++)
        if (is_scaled(g, add->in[1 - i], 0.044715, &cube) && is_cube(g, cube, add->in[i]))
            return gelu_tail(ctx, g, id, add->in[i], true);
    return OCT_OK;
}

oct_status oct_pass_activation(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    static const struct {
        oct_op op;
        oct_status (*match)(oct_ctx *ctx, oct_graph *g, oct_node_id id);
    } pattern[] = {
        {OCT_OP_SIGMOID, match_sigmoid},   {OCT_OP_HARD_SIGMOID, match_sigmoid},
        {OCT_OP_SOFTPLUS, match_softplus}, {OCT_OP_CLIP, match_clip},
        {OCT_OP_ERF, match_erf},           {OCT_OP_TANH, match_tanh},
    };
    const uint32_t n = oct_graph_n_nodes(g);
    (void)env;
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof pattern / sizeof pattern[0]; k++)
            if (!oct_graph_node(g, i)->dead && oct_graph_node(g, i)->op == pattern[k].op)
                OCT_TRY(pattern[k].match(ctx, g, i));
    return OCT_OK;
}
