/* SPDX-License-Identifier: Apache-2.0
 *
 * Corrected biases in an ONNX document. What they were is kept in
 * metadata_props["octet.bias_correction"], so that stripping the Q/DQ pairs gives the original
 * model back:
 *
 *     [{"input": "what the node reads now", "was": "name", "dtype": "f32", "shape": [64], "values": [...]},
 *      {"input": "...", "was": null}]          there was no bias
 */
#ifndef OCT_QUANT_BIAS_EXPORT_H
#define OCT_QUANT_BIAS_EXPORT_H

#include "base/json.h"
#include "engine/onnx_doc.h"
#include "quant/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_BIAS_METADATA "octet.bias_correction"

/* Adds the corrected constant as an initializer that `node` reads. */
OCT_MUST_CHECK oct_status oct_bias_export(oct_onnx_doc *doc, const oct_graph *g,
                                          const oct_bias_change *c, Onnx__NodeProto *node);

/* Collects what the biases were; the metadata is written by oct_bias_note_end(). */
typedef struct oct_bias_note {
    oct_strbuf text;
    oct_json json;
} oct_bias_note;
void oct_bias_note_begin(oct_bias_note *n, oct_ctx *ctx);
void oct_bias_note_add(oct_bias_note *n, const oct_graph *g, const oct_bias_change *c,
                       const Onnx__NodeProto *node);
OCT_MUST_CHECK oct_status oct_bias_note_end(oct_bias_note *n, oct_onnx_doc *doc);
void oct_bias_note_deinit(oct_bias_note *n);

/* Puts the biases back that the metadata tells of, and removes it. Inputs that nothing reads any more are
 * left alone. OCT_ERR_FORMAT for metadata that is not ours. */
OCT_MUST_CHECK oct_status oct_bias_restore(oct_ctx *ctx, oct_onnx_doc *doc);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_BIAS_EXPORT_H */
