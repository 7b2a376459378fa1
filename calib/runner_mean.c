/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel means of what layers with weights read, Relu outputs and moved values among them.
 */
#include "calib/runner_device.h"
#include "calib/runner_internal.h"

/* Where the input of a layer with constant weights has its channels; false for other nodes. */
static bool mean_axis(const oct_graph *g, const oct_node *n, oct_mean_axis *axis)
{
    if (n->dead || n->n_in < 2 || n->in[0] == OCT_NONE || n->in[1] == OCT_NONE ||
        oct_graph_value(g, n->in[1])->data == NULL)
        return false;
    switch (n->op) {
    case OCT_OP_CONV:
    case OCT_OP_CONV_TRANSPOSE:
        *axis = OCT_MEAN_AXIS_1;
        return true;
    case OCT_OP_MATMUL:
        *axis = OCT_MEAN_AXIS_LAST;
        return true;
    case OCT_OP_GEMM:
        *axis = OCT_MEAN_AXIS_LAST;
        return !((const oct_attr_gemm *)n->attr)->trans_a;
    default:
        return false;
    }
}

oct_status oct_runner_want_means(runner *r, const oct_model *model)
{
    const oct_graph *g = oct_model_graph(model);
    uint32_t n = 0;
    const oct_node_id *order = oct_graph_order(g, &n);
    if (oct_runner_on_device(r))
        return OCT_OK; /* devices only count */
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(g, order[i]);
        oct_mean_axis axis;
        size_t at;
        if (mean_axis(g, node, &axis) &&
            oct_stats_find(r->stats, oct_graph_value(g, node->in[0])->name, &at))
            OCT_TRY(oct_stats_want_mean(r->stats, at, axis));
    }
    return OCT_OK;
}

oct_status oct_runner_count_mean(image_observer *o, oct_ctx *ctx, uint32_t value,
                                 const oct_tensor *t)
{
    oct_stat_tensor *st = oct_stats_tensor(o->r->stats, value);
    if (st->mean == NULL)
        return OCT_OK;
    OCT_TRY(oct_channel_sums_take(ctx, &o->sums, t, st->mean->axis));
    pthread_mutex_lock(&o->r->tensor_lock[value]);
    const oct_status status = oct_channel_mean_add(ctx, st->mean, &o->sums);
    pthread_mutex_unlock(&o->r->tensor_lock[value]);
    return status;
}
