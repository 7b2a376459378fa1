/* SPDX-License-Identifier: Apache-2.0
 *
 * Importing: an ONNX document becomes a graph in canonical form. Private to import_*.c and
 * model.c.
 *
 *     importer   the whole import: document, unsupported list, counters
 *     scope      where names are looked up: main graph, subgraph (outer scopes are searched
 *                too; what is found there is captured) or an inlined function body
 *     draft      one node on its way in: operator, attributes, inputs; adapters change it
 *                from the model's opset to the canonical form
 *
 * Nodes are imported in topological order and inferred at once, so that adapters know the
 * element types and ranks of their inputs. An OCT_ERR_UNSUPPORTED while importing a node goes
 * to the list of unsupported operators and the import carries on; other errors end it.
 */
#ifndef OCT_ENGINE_IMPORT_INTERNAL_H
#define OCT_ENGINE_IMPORT_INTERNAL_H

#include "engine/graph_infer.h"
#include "engine/model.h"
#include "engine/name_map.h"
#include "engine/onnx_doc.h"

typedef struct oct_importer {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    oct_unsupported *unsupported;
    uint32_t n_unsupported, cap_unsupported;
    oct_name_map functions;  /* "domain:name:overload" -> index in the model */
    oct_name_map dim_params; /* name -> symbol number */
    uint32_t n_imported, n_model_nodes;
    uint64_t n_parameters;
    size_t weight_bytes;
} oct_importer;

typedef struct oct_capture {
    oct_value_id outer, inner;
} oct_capture;

typedef struct oct_scope {
    oct_importer *im;
    oct_graph *g;
    oct_infer_state *infer;
    struct oct_scope *outer;       /* of a subgraph; NULL otherwise */
    const Onnx__FunctionProto *fn; /* function whose body (or subgraph of it) this is */
    const Onnx__NodeProto *call;   /* the node that calls it */
    struct oct_scope *call_scope;  /* where `call` stands, for its own attribute references */
    const char *prefix;            /* put before names that are made here */
    oct_name_map values;           /* name -> value id, or OCT_NONE for an absent argument */
    oct_name_map renamed;  /* function outputs: local name -> index of the caller's output */
    oct_name_map declared; /* name -> index in value_info */
    Onnx__ValueInfoProto **value_info;
    oct_capture *capture;
    uint32_t n_captures, cap_captures;
    int depth;
} oct_scope;

/* ---- scopes (import_scope.c) */
void oct_scope_deinit(oct_scope *s);
/* Value of `name`, capturing it from outer scopes; false if there is none. */
oct_status oct_scope_find(oct_scope *s, const char *name, oct_value_id *id, bool *found);
oct_status oct_scope_bind(oct_scope *s, const char *name, oct_value_id id);
/* New value for the name `name` of this scope. */
oct_status oct_scope_new_value(oct_scope *s, const char *name, oct_value_id *id);
/* Name in the graph for this scope's `name`: prefixed in a function's body, the caller's where it is
 * one of its outputs. NULL on OCT_ERR_NOMEM. */
const char *oct_scope_graph_name(oct_scope *s, const char *name);
/* The same, made unique. */
const char *oct_scope_fresh(oct_scope *s, const char *stem);
int64_t oct_scope_opset(const oct_scope *s, const char *domain);
/* Follows ref_attr_name through the calls; NULL when the caller gave no such attribute. */
const Onnx__AttributeProto *oct_scope_attr(const oct_scope *s, const Onnx__AttributeProto *a);

/* ---- tensors and types (import_tensor.c) */
oct_status oct_import_tensor(oct_scope *s, const Onnx__TensorProto *t, const char *name,
                             oct_value_id *id);
/* Type and shape of a declaration; *dt NONE when it is no tensor that octet knows. */
oct_status oct_import_type(oct_scope *s, const Onnx__ValueInfoProto *v, oct_dtype *dt,
                           oct_shape *shape);
oct_status oct_import_constant_node(oct_scope *s, const Onnx__NodeProto *n);

/* ---- nodes (import_node.c) */
typedef struct oct_draft {
    oct_scope *s;
    const Onnx__NodeProto *node;
    int64_t version; /* of the node's domain */
    oct_op op;
    void *attr;
    oct_value_id *in; /* room for a few more than the node has */
    uint32_t n_in, cap_in;
    uint32_t n_out;
} oct_draft;

oct_status oct_import_node(oct_scope *s, const Onnx__NodeProto *n, uint32_t index);
/* Nodes in an order in which each comes after what it reads; array of n indices in the arena. */
oct_status oct_import_order(oct_scope *s, Onnx__NodeProto *const *node, size_t n,
                            const uint32_t **order);
oct_status oct_import_unsupported(oct_scope *s, const char *node, const char *op,
                                  const char *domain, int64_t opset);
oct_status oct_import_outputs(oct_scope *s, const Onnx__NodeProto *n, oct_value_id *out,
                              uint32_t n_out);

/* ---- attributes (import_attr.c) */
oct_status oct_import_attrs(oct_draft *d);
/* Attribute by name, references resolved; NULL if absent. */
const Onnx__AttributeProto *oct_draft_attr(const oct_draft *d, const char *name);

/* ---- adapters (import_adapt.c, import_inputs.c) */
oct_status oct_import_adapt(oct_draft *d);
oct_status oct_import_attr_inputs(oct_draft *d);
oct_op oct_import_find_op(const char *domain, const char *op_type);
oct_value_id oct_draft_in(const oct_draft *d, uint32_t i); /* OCT_NONE beyond the end */
void oct_draft_set_in(oct_draft *d, uint32_t i, oct_value_id v);
oct_status oct_draft_const(oct_draft *d, const char *stem, oct_dtype dt, const oct_shape *shape,
                           const void *data, oct_value_id *id);
oct_status oct_draft_const_s64s(oct_draft *d, const char *stem, const int64_t *v, int64_t n,
                                oct_value_id *id);

/* ---- graphs (import_graph.c, import_control.c, import_function.c) */
oct_status oct_import_nodes(oct_scope *s, Onnx__NodeProto *const *node, size_t n);
oct_status oct_import_graph(oct_scope *s, const Onnx__GraphProto *gp, const oct_value_id *formal,
                            uint32_t n_formal);
oct_status oct_import_control(oct_scope *s, const Onnx__NodeProto *n, oct_op op, uint32_t index);
oct_status oct_import_functions(oct_importer *im);
/* The function that `n` calls, NULL if it is an operator. */
oct_status oct_import_find_function(oct_importer *im, const Onnx__NodeProto *n,
                                    const Onnx__FunctionProto **f);
oct_status oct_import_call(oct_scope *s, const Onnx__FunctionProto *f, const Onnx__NodeProto *n);

#endif /* OCT_ENGINE_IMPORT_INTERNAL_H */
