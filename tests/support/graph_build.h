/* SPDX-License-Identifier: Apache-2.0
 *
 * Small graphs for tests of passes: every call asserts that it worked.
 */
#ifndef OCT_TESTS_SUPPORT_GRAPH_BUILD_H
#define OCT_TESTS_SUPPORT_GRAPH_BUILD_H

#include "engine/graph.h"

/* f32 graph input of the given dims; dims end with 0. */
oct_value_id gb_input(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim);
/* f32 constant with random normal values (seeded by its name's length and dims). */
oct_value_id gb_weight(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim);
/* f32 constant with every element `v`. */
oct_value_id gb_fill(oct_graph *g, oct_ctx *ctx, const char *name, const int64_t *dim, float v);
/* Node with default attributes (or `attr`) and one f32 output of the given dims (NULL: those of
 * input 0), both called `name`. Inputs end with OCT_NONE. */
oct_value_id gb_node(oct_graph *g, oct_ctx *ctx, oct_op op, const char *name, const void *attr,
                     const int64_t *dim, const oct_value_id *in);
void gb_output(oct_graph *g, oct_ctx *ctx, oct_value_id v);

/* Live nodes of this kind. */
uint32_t gb_count(const oct_graph *g, oct_op op);
/* The live node of that name; fails the test if there is none. */
const oct_node *gb_find(const oct_graph *g, const char *name);

#define GB_DIMS(...) ((const int64_t[]){__VA_ARGS__, 0})
#define GB_IN(...) ((const oct_value_id[]){__VA_ARGS__, OCT_NONE})

#endif /* OCT_TESTS_SUPPORT_GRAPH_BUILD_H */
