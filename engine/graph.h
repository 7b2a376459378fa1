/* SPDX-License-Identifier: Apache-2.0
 *
 * Graph IR: what the importer builds, passes rewrite and the planner runs.
 *
 * SSA. A *value* is a tensor with exactly one producer: a node, a graph input, or a
 * constant. Values and nodes are named by index, never by pointer, and ids are never
 * reused: a removed node stays in place with `dead` set. The *order* (oct_graph_order) lists
 * live nodes topologically.
 *
 * Control flow: a subgraph is a graph of its own. Outer values that it captures are
 * explicit: they are extra inputs of the If/Loop node after its formal ones, and extra
 * inputs of the subgraph after its formal ones, in the same order (oct_attr_control.n_captured).
 *
 * Quantization: a value with dtype s8/u8 (or s32 bias) may carry `quant`; QuantizeLinear and
 * DequantizeLinear nodes are ordinary nodes until the Q/DQ lowering pass turns them
 * into quant annotations and epilogues.
 *
 * Ownership: the graph owns every node, name, attribute and constant it was given by copy; all of it lives in one
 * arena and goes away in oct_graph_free(). Large constants may be borrowed from a buffer that the
 * model owns (oct_graph_add_constant with copy = false). Pointers to nodes and values
 * stay valid until the next oct_graph_add_*() call.
 *
 * Thread-safety: any number of readers, or one writer.
 */
#ifndef OCT_ENGINE_GRAPH_H
#define OCT_ENGINE_GRAPH_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "kernels/backend.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uint32_t oct_value_id;
typedef uint32_t oct_node_id;

#define OCT_NONE UINT32_MAX /* absent optional input or output, or no producer */

typedef struct oct_value {
    const char *name;     /* from the model; unique in the graph, never NULL or empty */
    oct_dtype dtype;      /* NONE until inferred */
    oct_shape shape;      /* ONNX-logical order; n_dims = -1 until inferred */
    oct_layout layout;    /* how it lies in memory; set by the layout pass */
    oct_node_id producer; /* OCT_NONE for graph inputs and constants */
    uint32_t out_index;   /* which output of the producer */
    const void *data;     /* constants: dense row-major. Also values with a producer whose elements
                             oct_graph_infer() worked out (shape arithmetic): these hold until the
                             next inference, and their producer need not run. Else NULL */
    size_t data_bytes;
    uint64_t const_key;       /* constants: unique in the process; else 0 */
    oct_quant quant;          /* after lowering; n = 0 otherwise */
    bool is_input, is_output; /* of this graph */
    bool observed;            /* must exist in memory as named: fusion and in-place barrier */
    bool from_model;          /* named in the ONNX file (not made by a pass) */
} oct_value;

typedef struct oct_node {
    oct_op op;
    const char *name;  /* from the model, or made from its first output's name; never NULL */
    void *attr;        /* oct_attr_<x> in the arena, or NULL */
    oct_value_id *in;  /* OCT_NONE marks an absent optional input */
    oct_value_id *out; /* OCT_NONE marks an absent optional output */
    uint32_t n_in, n_out;
    oct_epilogue epilogue; /* residual = index into in[]; act NONE and residual -1 by default */
    bool dead;
    const char *note;     /* why it stays in floating point in a quantized model, or NULL */
    uint32_t model_index; /* node number in the ONNX file, or OCT_NONE */
} oct_node;

typedef struct oct_graph oct_graph;

OCT_MUST_CHECK oct_status oct_graph_new(oct_ctx *ctx, oct_graph **out);
void oct_graph_free(oct_graph *g); /* NULL is allowed; frees subgraphs too */
/* Deep copy (shares borrowed constants and const_keys). */
OCT_MUST_CHECK oct_status oct_graph_clone(oct_ctx *ctx, const oct_graph *g, oct_graph **out);
oct_arena *oct_graph_arena(oct_graph *g);

/* Building and rewriting. Names and lists are copied. A taken or empty name is
 * OCT_ERR_FORMAT; oct_graph_fresh_name() makes one that is free. */
OCT_MUST_CHECK oct_status oct_graph_add_value(oct_graph *g, oct_ctx *ctx, const char *name,
                                              oct_dtype dt,
                                              const oct_shape *shape /* NULL = unknown */,
                                              oct_value_id *id);
OCT_MUST_CHECK oct_status oct_graph_add_constant(oct_graph *g, oct_ctx *ctx, const char *name,
                                                 oct_dtype dt, const oct_shape *shape,
                                                 const void *data, bool copy, oct_value_id *id);
OCT_MUST_CHECK oct_status oct_graph_add_input(oct_graph *g, oct_ctx *ctx, oct_value_id v);
OCT_MUST_CHECK oct_status oct_graph_add_output(oct_graph *g, oct_ctx *ctx, oct_value_id v);
/* Appends a node; `attr` (schema->attr_bytes, may be NULL for defaults) is copied shallowly. Outputs
 * must have no producer yet. The node joins the order at its end; call oct_graph_sort() after
 * inserting before consumers. */
OCT_MUST_CHECK oct_status oct_graph_add_node(oct_graph *g, oct_ctx *ctx, oct_op op,
                                             const char *name, const void *attr,
                                             const oct_value_id *in, uint32_t n_in,
                                             const oct_value_id *out, uint32_t n_out,
                                             oct_node_id *id);
OCT_MUST_CHECK oct_status oct_graph_add_subgraph(oct_graph *g, oct_ctx *ctx, oct_graph *sub,
                                                 uint32_t *index);
const char *oct_graph_fresh_name(oct_graph *g, oct_ctx *ctx,
                                 const char *stem); /* arena; NULL on NOMEM */

void oct_graph_remove_node(oct_graph *g,
                           oct_node_id id); /* marks dead; its outputs lose their producer */
/* Every use of `from` (node inputs; graph outputs too if `outputs`) becomes `to`. */
void oct_graph_replace_uses(oct_graph *g, oct_value_id from, oct_value_id to, bool outputs);
OCT_MUST_CHECK oct_status oct_graph_set_inputs(oct_graph *g, oct_ctx *ctx, oct_node_id n,
                                               const oct_value_id *in, uint32_t n_in);
/* Stable topological sort of live nodes; OCT_ERR_FORMAT names a cycle. */
OCT_MUST_CHECK oct_status oct_graph_sort(oct_graph *g, oct_ctx *ctx);
/* Removes nodes whose outputs nobody uses (graph outputs and observed values count as used). */
void oct_graph_remove_unused(oct_graph *g);

/* Reading. */
uint32_t oct_graph_n_nodes(const oct_graph *g); /* ids run below this; some may be dead */
uint32_t oct_graph_n_values(const oct_graph *g);
oct_node *oct_graph_node(const oct_graph *g, oct_node_id id);
oct_value *oct_graph_value(const oct_graph *g, oct_value_id id);
const oct_node_id *oct_graph_order(const oct_graph *g, uint32_t *n);
const oct_value_id *oct_graph_inputs(const oct_graph *g, uint32_t *n); /* without initializers */
const oct_value_id *oct_graph_outputs(const oct_graph *g, uint32_t *n);
oct_graph *oct_graph_sub(const oct_graph *g, uint32_t index);
uint32_t oct_graph_n_subs(const oct_graph *g);
oct_value_id oct_graph_find_value(const oct_graph *g, const char *name); /* OCT_NONE if absent */

/* Uses of a value, in node order; rebuilt lazily after changes. */
typedef struct oct_use {
    oct_node_id node;
    uint32_t in_index;
} oct_use;
OCT_MUST_CHECK oct_status oct_graph_uses(oct_graph *g, oct_ctx *ctx, oct_value_id v,
                                         const oct_use **uses, uint32_t *n);

/* Checks every invariant stated in this file, plus arity by schema. Debug builds call it
 * around every pass. The message names the first offender. */
OCT_MUST_CHECK oct_status oct_graph_check(oct_ctx *ctx, const oct_graph *g);

/* Stable text form, one line a node: `%name:f32[1x3x224x224] = Conv(%x, %w) {strides=[2,2]}`. */
void oct_graph_dump(const oct_graph *g, oct_strbuf *out);
/* Its pieces: " {name=value, ...}" of what is not default (`attr` may be NULL); an activation's name. */
void oct_graph_dump_attrs(oct_strbuf *out, oct_op op, const void *attr);
const char *oct_graph_dump_act(oct_act act);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_GRAPH_H */
