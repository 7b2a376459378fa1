/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "engine/pass_internal.h"

oct_status oct_pass_sole_use(oct_ctx *ctx, oct_graph *g, oct_value_id v, oct_use *user)
{
    const oct_use *uses;
    uint32_t n;
    *user = (oct_use){.node = OCT_NONE, .in_index = 0};
    const oct_value *value = oct_graph_value(g, v);
    if (value->is_output || value->observed)
        return OCT_OK;
    OCT_TRY(oct_graph_uses(g, ctx, v, &uses, &n));
    if (n == 1)
        *user = uses[0];
    return OCT_OK;
}

bool oct_pass_is_const(const oct_graph *g, oct_value_id v)
{
    if (v == OCT_NONE)
        return false;
    const oct_value *x = oct_graph_value(g, v);
    return x->data && x->producer == OCT_NONE && !x->is_input;
}

bool oct_pass_scalar(const oct_graph *g, oct_value_id v, float *x)
{
    size_t n = 0;
    if (!oct_pass_is_const(g, v))
        return false;
    const oct_value *c = oct_graph_value(g, v);
    if (c->dtype != OCT_DT_F32 || !oct_shape_elems(&c->shape, &n) || n != 1)
        return false;
    memcpy(x, c->data, sizeof *x);
    return true;
}

int64_t oct_pass_list_len(const oct_graph *g, oct_value_id v)
{
    size_t n = 0;
    if (!oct_pass_is_const(g, v))
        return -1;
    const oct_value *c = oct_graph_value(g, v);
    const bool is_list = c->dtype == OCT_DT_S64 || c->dtype == OCT_DT_S32;
    return is_list && oct_shape_elems(&c->shape, &n) ? (int64_t)n : -1;
}

int64_t oct_pass_list_at(const oct_graph *g, oct_value_id v, int64_t i)
{
    const oct_value *c = oct_graph_value(g, v);
    if (c->dtype == OCT_DT_S32) {
        int32_t x;
        memcpy(&x, (const uint8_t *)c->data + (size_t)i * sizeof x, sizeof x);
        return x;
    }
    int64_t x;
    memcpy(&x, (const uint8_t *)c->data + (size_t)i * sizeof x, sizeof x);
    return x;
}

oct_node *oct_pass_producer(const oct_graph *g, oct_value_id v, oct_op op, oct_node_id *id)
{
    if (v == OCT_NONE)
        return NULL;
    const oct_node_id p = oct_graph_value(g, v)->producer;
    if (p == OCT_NONE)
        return NULL;
    oct_node *n = oct_graph_node(g, p);
    if (id)
        *id = p;
    return n->op == op && !n->dead ? n : NULL;
}

void oct_pass_make_constant(oct_graph *g, oct_value_id v, const void *data, size_t bytes)
{
    oct_value *x = oct_graph_value(g, v);
    x->producer = OCT_NONE;
    x->out_index = 0;
    x->data = data;
    x->data_bytes = bytes;
    x->const_key = oct_const_key_new();
}

void oct_pass_take_output(oct_graph *g, oct_node_id n, uint32_t i, oct_value_id v)
{
    const oct_node_id had = oct_graph_value(g, v)->producer;
    if (had != OCT_NONE && had != n)
        oct_graph_remove_node(g, had);
    oct_node *node = oct_graph_node(g, n);
    if (node->out[i] != OCT_NONE)
        oct_graph_value(g, node->out[i])->producer = OCT_NONE;
    node->out[i] = v;
    oct_graph_value(g, v)->producer = n;
    oct_graph_value(g, v)->out_index = i;
}

oct_status oct_pass_new_f32(oct_ctx *ctx, oct_graph *g, const char *stem, const oct_shape *shape,
                            const float *data, oct_value_id *id)
{
    const char *name = oct_graph_fresh_name(g, ctx, stem);
    if (!name)
        return OCT_ERR_NOMEM;
    return oct_graph_add_constant(g, ctx, name, OCT_DT_F32, shape, data, false, id);
}

oct_status oct_pass_set_input(oct_ctx *ctx, oct_graph *g, oct_node_id n, uint32_t i, oct_value_id v)
{
    const oct_node *node = oct_graph_node(g, n);
    const uint32_t count = i >= node->n_in ? i + 1 : node->n_in;
    oct_value_id *in = oct_alloc_array(ctx, count, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    for (uint32_t k = 0; k < count; k++)
        in[k] = k < node->n_in ? node->in[k] : OCT_NONE;
    in[i] = v;
    const oct_status st = oct_graph_set_inputs(g, ctx, n, in, count);
    oct_free(ctx, in);
    return st;
}
