/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an ONNX document. One file where it fits (protobuf ends at 2 GB); tensors that came
 * from external data, and all large ones when the model would not fit, go to one file
 * beside it, <name>.data, 64-byte aligned. Both appear atomically, data first.
 */
#ifndef OCT_ENGINE_ONNX_WRITE_H
#define OCT_ENGINE_ONNX_WRITE_H

#include "engine/onnx_doc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_onnx_write_options {
    bool force;         /* replace existing files */
    bool external;      /* put tensors of 1 KiB and more into the data file even if they fit */
    size_t limit_bytes; /* largest model file; 0 = 2 GiB - 1 (smaller for tests) */
} oct_onnx_write_options;

/* Writes the document to `path`. Its tensors' locations are rewritten to what was written.
 * OCT_ERR_USAGE when a file exists and !force, OCT_ERR_IO, and the errors of reading external data. */
OCT_MUST_CHECK oct_status oct_onnx_write(oct_ctx *ctx, oct_onnx_doc *doc, const char *path,
                                         const oct_onnx_write_options *opt);

/* The document as bytes (an oct_alloc() block), without a data file: external tensors become
 * internal. OCT_ERR_LIMIT beyond 2 GB. */
OCT_MUST_CHECK oct_status oct_onnx_pack(oct_ctx *ctx, oct_onnx_doc *doc, uint8_t **bytes,
                                        size_t *n_bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_ONNX_WRITE_H */
