/* SPDX-License-Identifier: Apache-2.0
 *
 * Model: an ONNX file read into a graph in canonical form (kernels/op.h), with inferred types and
 * symbolic shapes. Files are hostile: a pre-scan bounds nesting, counts and lengths before
 * protobuf-c sees them, all sizes are checked, external data cannot leave the model's folder.
 *
 * The model keeps the file's bytes (weights are borrowed from them) and can hand out the
 * parsed protobuf for the exporter (engine/onnx_doc.h).
 * Thread-safety: immutable once loaded.
 */
#ifndef OCT_ENGINE_MODEL_H
#define OCT_ENGINE_MODEL_H

#include "base/hash.h"
#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_model oct_model;

typedef struct oct_model_options {
    bool allow_external_symlinks; /* follow links of external data files (still below the root) */
    size_t max_bytes;             /* budget for model + parsing; 0 = default 16 GiB */
    bool
        keep_unsupported; /* load although operators are unsupported (inspect): they are listed, not run */
} oct_model_options;

/* An operator that octet cannot run. */
typedef struct oct_unsupported {
    const char *node, *op, *domain; /* owned by the model */
    int64_t opset;
    const char *reason;
} oct_unsupported;

typedef struct oct_model_info {
    int64_t ir_version, opset; /* of the default domain */
    const char *producer_name, *producer_version, *graph_name;
    oct_sha256
        hash; /* of the model file's bytes, then of each external data file's in order of first use */
    size_t file_bytes, weight_bytes;
    uint64_t n_parameters;
    uint32_t n_model_nodes; /* nodes in the file, Constant nodes included */
} oct_model_info;

/* Reads `path`. All unsupported operators are reported at once in one OCT_ERR_UNSUPPORTED
 * message unless keep_unsupported. OCT_ERR_FORMAT messages carry the byte offset. */
OCT_MUST_CHECK oct_status oct_model_load(oct_ctx *ctx, const char *path,
                                         const oct_model_options *opt, oct_model **out);
/* The same from memory (copied); external data is refused unless `dir` is given. */
OCT_MUST_CHECK oct_status oct_model_parse(oct_ctx *ctx, const void *data, size_t n_bytes,
                                          const char *dir, const oct_model_options *opt,
                                          oct_model **out);
void oct_model_free(oct_model *m); /* NULL is allowed */

/* Lets a model that was exported for N images at a time take any number (engine/open_batch.h). The
 * file behind it (oct_model_doc) stays as it is. Before anything else uses `m`. */
OCT_MUST_CHECK oct_status oct_model_open_batch(oct_ctx *ctx, oct_model *m);

/* A model around a graph made otherwise (an engine file, the quantizer). Takes `g` and `owned`
 * (an oct_alloc() block that constants of `g` borrow from, or NULL), also on failure; `info` is copied, its
 * strings too. */
OCT_MUST_CHECK oct_status oct_model_adopt(oct_ctx *ctx, oct_graph *g, void *owned,
                                          const oct_model_info *info, oct_model **out);

const oct_graph *oct_model_graph(const oct_model *m);
const oct_model_info *oct_model_get_info(const oct_model *m);
size_t oct_model_unsupported(const oct_model *m, const oct_unsupported **list);

/* The parsed file, for exporters to edit and write (engine/onnx_edit.h, engine/onnx_write.h). Owned by
 * the model; editing it does not change the graph. */
struct oct_onnx_doc;
struct oct_onnx_doc *oct_model_doc(oct_model *m);

/* Runs inference over a whole graph (and its subgraphs): fills dtype and shape of every value, folding
 * integer shape arithmetic on the host as far as known. `input_shape` (n graph inputs, or NULL)
 * overrides the graph inputs' shapes. Used by the loader, the planner and passes. */
OCT_MUST_CHECK oct_status oct_graph_infer(oct_ctx *ctx, oct_graph *g, const oct_shape *input_shape);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_MODEL_H */
