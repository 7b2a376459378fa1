/* SPDX-License-Identifier: Apache-2.0
 *
 * External data: tensors whose elements lie in files beside the model. File names come from
 * an untrusted model, so nothing outside the model's folder is ever opened: no absolute
 * path, no "..", no link in any component (openat2 with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS, or the same by hand), no file with a second hard link, no device.
 * Offsets and lengths are checked against the file. Source: ONNX's ExternalData description.
 *
 * Each file is read once, whole, and kept by the document.
 */
#ifndef OCT_ENGINE_EXTERNAL_DATA_H
#define OCT_ENGINE_EXTERNAL_DATA_H

#include "engine/onnx_doc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One file, kept by the document. */
typedef struct oct_external_file {
    struct oct_external_file *next;
    const char *name; /* as the model writes it */
    uint8_t *bytes;
    size_t n_bytes;
    oct_sha256 hash;
} oct_external_file;

/* True if `t` keeps its elements outside the model file. */
bool oct_external_is(const Onnx__TensorProto *t);

/* The bytes of tensor `t`: `n_expected` of them, borrowed from the document. OCT_ERR_FORMAT for a bad
 * name, key, offset or length; OCT_ERR_NOT_FOUND when the file is missing. Messages name tensor and file. */
OCT_MUST_CHECK oct_status oct_external_read(oct_ctx *ctx, oct_onnx_doc *doc,
                                            const Onnx__TensorProto *t, size_t n_expected,
                                            const uint8_t **data);
void oct_external_free(oct_onnx_doc *doc);

/* Hash of the model file, then of each external file in order of first use. */
OCT_MUST_CHECK oct_status oct_external_hash(oct_ctx *ctx, const oct_onnx_doc *doc, oct_sha256 *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_EXTERNAL_DATA_H */
