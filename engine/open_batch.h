/* SPDX-License-Identifier: Apache-2.0
 *
 * Models exported for a fixed number of images at a time, run with any number. Calibration and
 * evaluation go image by image, whatever the deployed batch is.
 */
#ifndef OCT_ENGINE_OPEN_BATCH_H
#define OCT_ENGINE_OPEN_BATCH_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the first axis of the inputs of `g` where it is fixed to more than 1 (as its first input
 * of two axes or more has it), and of Reshapes that repeat the number. Nothing to do is OCT_OK.
 * OCT_ERR_UNSUPPORTED, with the node, where the graph depends on the number; `g` is of no use then. */
OCT_MUST_CHECK oct_status oct_graph_open_batch(oct_ctx *ctx, oct_graph *g);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_OPEN_BATCH_H */
