/* SPDX-License-Identifier: Apache-2.0
 *
 * Small ONNX models for tests, made in memory: every call asserts that it worked.
 */
#ifndef OCT_TESTS_SUPPORT_ONNX_BUILD_H
#define OCT_TESTS_SUPPORT_ONNX_BUILD_H

#include "engine/model.h"
#include "engine/onnx_edit.h"

enum { OB_FLOAT = 1, OB_INT64 = 7, OB_BOOL = 9, OB_FLOAT16 = 10 };

/* An empty model that imports ai.onnx at `opset`. */
oct_onnx_doc *ob_new(oct_ctx *ctx, int64_t opset);
/* Node; names are separated by blanks, "-" is an absent one. */
Onnx__NodeProto *ob_node(oct_onnx_doc *doc, const char *op, const char *in, const char *out);
/* Declared input; dims end with 0, -1 is the symbol "n". */
void ob_input(oct_onnx_doc *doc, const char *name, int32_t type, const int64_t *dim);
void ob_output(oct_onnx_doc *doc, const char *name);
void ob_s64s(oct_onnx_doc *doc, const char *name, const int64_t *v, int64_t n);
void ob_f32s(oct_onnx_doc *doc, const char *name, const float *v, int64_t n);
/* Packs the document and parses the bytes; does not assert. */
oct_status ob_load(oct_ctx *ctx, oct_onnx_doc *doc, const oct_model_options *opt, oct_model **out);
/* Text of the graph, to be released with oct_free(). */
char *ob_dump(oct_ctx *ctx, const oct_graph *g);

#define OB_DIMS(...) ((const int64_t[]){__VA_ARGS__, 0})

#endif /* OCT_TESTS_SUPPORT_ONNX_BUILD_H */
