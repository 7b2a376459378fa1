/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX document: an ONNX file as a parsed protobuf tree, for the importer to read and for the
 * exporter to edit and write back (engine/onnx_edit.h, engine/onnx_write.h).
 *
 *     file bytes --scan--> slim copy --protobuf-c--> tree whose raw_data point into the file bytes
 *
 * `model` is an ordinary protobuf-c tree (engine/proto/onnx.proto; unknown fields kept). Rules:
 *   - read it freely; names are NUL-terminated; absent strings are NULL;
 *   - never call protobuf_c_message_free_unpacked(): the tree lives in the document;
 *   - new messages, strings and arrays come from oct_onnx_doc_alloc() (or engine/onnx_edit.h)
 *     and may simply be linked in; nothing is freed singly;
 *   - a tensor's raw_data may point to any memory that outlives the document, so
 *     large weights need no copy.
 *
 * Ownership: the document owns the file's bytes and everything parsed from them.
 * Thread-safety: none while editing; any number of readers otherwise.
 */
#ifndef OCT_ENGINE_ONNX_DOC_H
#define OCT_ENGINE_ONNX_DOC_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/tensor.h"
#include "engine/name_map.h"
#include "engine/proto/onnx.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OCT_ONNX_GROWN = 8 };

typedef struct oct_onnx_doc {
    Onnx__ModelProto *model;
    oct_ctx *ctx;
    oct_arena *arena;
    uint8_t *bytes; /* the file, with its tensors' raw data moved to aligned places */
    size_t n_bytes;
    oct_sha256 hash;                 /* of the file as it was */
    struct oct_onnx_block *blocks;   /* large pieces of the tree */
    struct oct_external_file *files; /* external data read so far, newest first */
    char *dir;                       /* where external data may lie; NULL = nowhere */
    bool allow_symlinks;             /* follow links of external data below `dir` */
    oct_name_map names;              /* of values and nodes; filled by engine/onnx_edit.h */
    struct {                         /* lists that editing made longer, and their room */
        const void *list;
        size_t cap;
    } grown[OCT_ONNX_GROWN];
    unsigned next_grown;
    size_t budget_left; /* bytes that may still be taken for this document */
} oct_onnx_doc;

/* Parses `bytes` (an oct_alloc() block that is given to the document, also on failure).
 * `max_bytes` bounds file, tree and external data together (0 = 16 GiB); `dir` (may be NULL) is
 * where external data lies. OCT_ERR_FORMAT and OCT_ERR_LIMIT name the byte offset. */
OCT_MUST_CHECK oct_status oct_onnx_doc_parse(oct_ctx *ctx, uint8_t *bytes, size_t n_bytes,
                                             const char *dir, size_t max_bytes, oct_onnx_doc **out);
/* Reads the file `path` and parses it; messages name the path. */
OCT_MUST_CHECK oct_status oct_onnx_doc_open(oct_ctx *ctx, const char *path, size_t max_bytes,
                                            oct_onnx_doc **out);
void oct_onnx_doc_free(oct_onnx_doc *doc); /* NULL is allowed */

/* Cleared memory that lives as long as the document; NULL with OCT_ERR_NOMEM recorded. */
void *oct_onnx_doc_alloc(oct_onnx_doc *doc, size_t n_bytes);
char *oct_onnx_doc_strdup(oct_onnx_doc *doc, const char *s);

/* Calls `fn` for every tensor of the document: initializers, attributes, sparse parts, in subgraphs
 * and functions too. Stops at the first status that is not OCT_OK and returns it. */
typedef oct_status (*oct_onnx_tensor_fn)(void *user, Onnx__TensorProto *t);
OCT_MUST_CHECK oct_status oct_onnx_each_tensor(oct_onnx_doc *doc, oct_onnx_tensor_fn fn,
                                               void *user);

/* "" for NULL: absent strings and empty strings mean the same in ONNX. */
static inline const char *oct_onnx_str(const char *s)
{
    return s ? s : "";
}

/* ONNX's TensorProto.DataType <-> oct_dtype (OCT_DT_NONE / 0 where there is no counterpart), and
 * its name in the specification ("FLOAT16"; "type 99"-like text in `buf` if unknown). */
oct_dtype oct_onnx_dtype(int32_t onnx_type);
int32_t oct_onnx_type_of(oct_dtype dt);
const char *oct_onnx_type_name(int32_t onnx_type);

/* Version of `domain` ("" or NULL = ai.onnx) that the document imports; 0 if it does not. */
int64_t oct_onnx_doc_opset(const oct_onnx_doc *doc, const char *domain);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_ONNX_DOC_H */
