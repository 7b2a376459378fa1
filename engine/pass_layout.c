/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes the layout that each value is made in; engine/layout.h has the rules.
 */
#include "engine/layout.h"
#include "engine/pass_internal.h"

oct_status oct_pass_layout(oct_ctx *ctx, oct_graph *g, const oct_pass_env *env)
{
    uint32_t n;
    (void)ctx;
    const oct_node_id *order = oct_graph_order(g, &n);
    for (uint32_t i = 0; i < n; i++) {
        const oct_node *node = oct_graph_node(g, order[i]);
        const oct_layout layout = oct_layout_out(env->backend, g, node);
        for (uint32_t k = 0; k < node->n_out; k++) {
            if (node->out[k] == OCT_NONE)
                continue;
            oct_value *v = oct_graph_value(g, node->out[k]);
            v->layout = v->shape.n_dims >= 3 ? layout : OCT_LAYOUT_ROW;
        }
    }
    return OCT_OK;
}
