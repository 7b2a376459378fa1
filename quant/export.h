/* SPDX-License-Identifier: Apache-2.0
 *
 * A placement written into an ONNX document: Q/DQ pairs for TensorRT, ONNX Runtime and OpenVINO.
 * Everything else in the file stays as it was.
 *
 *     tensor t  ->  t_scale, t_zero_point, QuantizeLinear -> t_quantized -> DequantizeLinear -> t_dequantized
 *
 * Result pairs (ORT) keep the tensor's name on the dequantized side, so that graph outputs keep
 * theirs; the unquantized value is then t_real.
 */
#ifndef OCT_QUANT_EXPORT_H
#define OCT_QUANT_EXPORT_H

#include "engine/onnx_doc.h"
#include "quant/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_export_options {
    bool weights_int8;      /* store s8 initializers instead of f32 ones behind QuantizeLinear */
    const char *provenance; /* JSON for metadata_props["octet.quantization"]; NULL = none */
} oct_export_options;

/* Edits `doc`. `g` is the graph imported from these very bytes and `p` its placement. Raises the opset to
 * 13 (19 where a float16 tensor is quantized). OCT_ERR_UNSUPPORTED for points inside functions. */
OCT_MUST_CHECK oct_status oct_export_qdq(oct_ctx *ctx, oct_onnx_doc *doc, const oct_graph *g,
                                         const oct_placement *p, const oct_export_options *opt);

/* Folds BatchNormalization into the convolutions before it, in the document (ONNX Runtime does not fuse it
 * behind Q/DQ). `g` is imported from `doc` and out of date afterwards. `*n` = how many were folded. */
OCT_MUST_CHECK oct_status oct_export_fold_batch_norm(oct_ctx *ctx, oct_onnx_doc *doc, oct_graph *g,
                                                     uint32_t *n);

/* Takes the Q/DQ pairs out again: activations lose theirs, s8 weights become f32. `found` is called for each
 * activation with its tensor's name and scale (amax / 127 for zero point 0; for others the scale that covers the
 * same range symmetrically). */
typedef oct_status (*oct_strip_fn)(void *user, const char *tensor, float scale);
OCT_MUST_CHECK oct_status oct_strip_qdq(oct_ctx *ctx, oct_onnx_doc *doc, oct_graph *g,
                                        oct_strip_fn found, void *user, uint32_t *n_pairs);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_EXPORT_H */
