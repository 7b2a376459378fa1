/* SPDX-License-Identifier: Apache-2.0
 *
 * Which layout a node computes in. The layout pass writes the answer into its outputs, the
 * planner asks again for the inputs and makes the copies that are needed, so that no
 * Reorder node stands in the graph and none is made twice.
 *
 *     backend wishes channels-last  Conv, pools, Resize ...: channels-last
 *     backend takes any, Concat,    channels-last when one of its full-rank inputs is
 *     Pad
 *     Reshape and its kind          channels-last only while axes 0 and 1 stay what they are
 *     Transpose to NHWC             reads channels-last and writes row-major for nothing
 *     everything else               row-major
 */
#ifndef OCT_ENGINE_LAYOUT_H
#define OCT_ENGINE_LAYOUT_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Layout of the spatial inputs of node `n`, from its inputs' layouts as known so far. */
oct_layout oct_layout_in(oct_backend *be, const oct_graph *g, const oct_node *n);
/* Layout of its outputs (of those of rank 3 and more). */
oct_layout oct_layout_out(oct_backend *be, const oct_graph *g, const oct_node *n);
/* Is input `i` one of those that have the node's layout (not weights, sizes, slopes)? */
bool oct_layout_is_spatial(const oct_graph *g, const oct_node *n, uint32_t i);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_LAYOUT_H */
