/* SPDX-License-Identifier: Apache-2.0
 *
 * What the passes share: asking for sole uses and constants, and the few edits that
 * keep value names where they are.
 */
#ifndef OCT_ENGINE_PASS_INTERNAL_H
#define OCT_ENGINE_PASS_INTERNAL_H

#include "engine/passes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The only use of `v`, when it may disappear: one node input, no graph output, not observed.
 * *user = OCT_NONE otherwise. */
OCT_MUST_CHECK oct_status oct_pass_sole_use(oct_ctx *ctx, oct_graph *g, oct_value_id v,
                                            oct_use *user);
bool oct_pass_is_const(const oct_graph *g, oct_value_id v);
/* Constant f32 of one element; false otherwise. */
bool oct_pass_scalar(const oct_graph *g, oct_value_id v, float *x);
/* Element `i` of a constant list of s32 or s64; n = its length, -1 if it is not constant. */
int64_t oct_pass_list_len(const oct_graph *g, oct_value_id v);
int64_t oct_pass_list_at(const oct_graph *g, oct_value_id v, int64_t i);
/* Producer of `v` if it is a live node of kind `op`, else NULL. */
oct_node *oct_pass_producer(const oct_graph *g, oct_value_id v, oct_op op, oct_node_id *id);

/* Value `v` loses its producer and becomes a constant; `data` lives in the graph's arena. */
void oct_pass_make_constant(oct_graph *g, oct_value_id v, const void *data, size_t bytes);
/* Node `n` makes `v` as output `i` from now on; `v`'s producer is removed. */
void oct_pass_take_output(oct_graph *g, oct_node_id n, uint32_t i, oct_value_id v);
/* Fresh constant f32 with `data` in the graph's arena. */
OCT_MUST_CHECK oct_status oct_pass_new_f32(oct_ctx *ctx, oct_graph *g, const char *stem,
                                           const oct_shape *shape, const float *data,
                                           oct_value_id *id);
/* Replaces input `i`, growing the list with absent inputs where needed. */
OCT_MUST_CHECK oct_status oct_pass_set_input(oct_ctx *ctx, oct_graph *g, oct_node_id n, uint32_t i,
                                             oct_value_id v);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_PASS_INTERNAL_H */
