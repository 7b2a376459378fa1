/* SPDX-License-Identifier: Apache-2.0
 *
 * Editing an ONNX document: new nodes, attributes, initializers, names, metadata, opset. What is
 * not touched, unknown fields included, is written back as it was read.
 *
 *     Onnx__NodeProto *q = oct_onnx_node_new(doc, "QuantizeLinear", "", "x_quantize");
 *     oct_onnx_node_input(doc, q, "x"); ... oct_onnx_node_output(doc, q, "x_q");
 *     oct_onnx_graph_insert(doc, doc->model->graph, 3, q);      before node 3
 *
 * Ownership: everything made here belongs to the document. Strings are copied. Errors: only
 * OCT_ERR_NOMEM, recorded in the document's context, unless stated; functions that make
 * something return NULL then. Any further call with a NULL node or name is a caller's bug.
 * Lists may be edited directly too (they are plain protobuf-c arrays).
 */
#ifndef OCT_ENGINE_ONNX_EDIT_H
#define OCT_ENGINE_ONNX_EDIT_H

#include "engine/graph.h"
#include "engine/onnx_doc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- names: unique among all value and node names of the document, subgraphs included.
 * `stem` itself where it is free, else stem_1, stem_2, ... A name is taken once it was handed out. */
const char *oct_onnx_fresh_name(oct_onnx_doc *doc, const char *stem);

/* ---- nodes */
Onnx__NodeProto *oct_onnx_node_new(oct_onnx_doc *doc, const char *op_type, const char *domain,
                                   const char *name);
/* Appends an input or output name ("" = absent). */
OCT_MUST_CHECK oct_status oct_onnx_node_input(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                              const char *name);
OCT_MUST_CHECK oct_status oct_onnx_node_output(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                               const char *name);
/* Sets input `i`, appending absent ones before it where needed. */
OCT_MUST_CHECK oct_status oct_onnx_node_set_input(oct_onnx_doc *doc, Onnx__NodeProto *n, size_t i,
                                                  const char *name);
/* Puts `n` before node `at` (at == n_node: at the end). */
OCT_MUST_CHECK oct_status oct_onnx_graph_insert(oct_onnx_doc *doc, Onnx__GraphProto *g, size_t at,
                                                Onnx__NodeProto *n);
void oct_onnx_graph_remove(Onnx__GraphProto *g, size_t at);
/* Every node input that reads `from`, in `g` and its subgraphs, reads `to` instead; graph outputs
 * keep their names. Nodes in `except` (may be NULL) are left alone. */
OCT_MUST_CHECK oct_status oct_onnx_rename_reads(oct_onnx_doc *doc, Onnx__GraphProto *g,
                                                const char *from, const char *to,
                                                const Onnx__NodeProto *except);

/* Whether a node of `g` (not of its subgraphs) or a graph output reads `name`. */
bool oct_onnx_is_read(const Onnx__GraphProto *g, const char *name);

/* ---- attributes; setting replaces an attribute of that name */
Onnx__AttributeProto *oct_onnx_attr_find(const Onnx__NodeProto *n, const char *name);
void oct_onnx_attr_remove(Onnx__NodeProto *n, const char *name);
OCT_MUST_CHECK oct_status oct_onnx_attr_set_s64(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                                const char *name, int64_t v);
OCT_MUST_CHECK oct_status oct_onnx_attr_set_f32(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                                const char *name, float v);
OCT_MUST_CHECK oct_status oct_onnx_attr_set_string(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                                   const char *name, const char *v);
OCT_MUST_CHECK oct_status oct_onnx_attr_set_s64s(oct_onnx_doc *doc, Onnx__NodeProto *n,
                                                 const char *name, const int64_t *v, size_t n_v);

/* ---- initializers */
Onnx__TensorProto *oct_onnx_initializer_find(const Onnx__GraphProto *g, const char *name);
/* Adds one, stored raw. `data` (dense, of `dt`) is copied, or borrowed until the document is freed. */
Onnx__TensorProto *oct_onnx_initializer_add(oct_onnx_doc *doc, Onnx__GraphProto *g,
                                            const char *name, oct_dtype dt, const oct_shape *shape,
                                            const void *data, bool copy);
/* Changes type, shape and elements of an existing tensor (typed and external data are dropped). */
OCT_MUST_CHECK oct_status oct_onnx_tensor_set(oct_onnx_doc *doc, Onnx__TensorProto *t, oct_dtype dt,
                                              const oct_shape *shape, const void *data, bool copy);
/* Removes it, and the graph input of the same name if there is one. */
void oct_onnx_initializer_remove(Onnx__GraphProto *g, const char *name);

/* ---- model */
/* metadata_props[key] = value, replacing. */
OCT_MUST_CHECK oct_status oct_onnx_metadata_set(oct_onnx_doc *doc, const char *key,
                                                const char *value);
const char *oct_onnx_metadata_get(const oct_onnx_doc *doc, const char *key); /* NULL if absent */
void oct_onnx_metadata_remove(oct_onnx_doc *doc, const char *key);
/* Imports `domain` at least at `version` without touching any node. */
OCT_MUST_CHECK oct_status oct_onnx_opset_set(oct_onnx_doc *doc, const char *domain,
                                             int64_t version);

/* Raises ai.onnx to at least `version` (at most 20) and rewrites every node whose operator changed
 * on the way, in subgraphs and functions too: attributes that became inputs, Upsample, Softmax's
 * flattening, and so on. `g` is the graph imported from this document: element types and ranks
 * are looked up there by name. Raises ir_version where the opset needs it. OCT_ERR_UNSUPPORTED
 * names the node that cannot be expressed. No effect if the model is there already. */
OCT_MUST_CHECK oct_status oct_onnx_opset_raise(oct_ctx *ctx, oct_onnx_doc *doc, int64_t version,
                                               const oct_graph *g);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_ONNX_EDIT_H */
