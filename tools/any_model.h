/* SPDX-License-Identifier: Apache-2.0
 *
 * What a MODEL argument may be: an ONNX file, quantized or not, or an engine file.
 */
#ifndef OCT_TOOLS_ANY_MODEL_H
#define OCT_TOOLS_ANY_MODEL_H

#include "engine/engine_file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_any_model {
    const oct_model *model; /* owned through one of the two below */
    oct_model *onnx;
    oct_engine_file *engine;
    bool quantized; /* holds Q/DQ nodes, QLinear nodes or integer operators */
} oct_any_model;

/* Close whatever the outcome. */
OCT_MUST_CHECK oct_status oct_any_model_open(oct_ctx *ctx, const char *path, oct_any_model *m);
/* oct_model_open_batch(): for commands that go image by image. */
OCT_MUST_CHECK oct_status oct_any_model_open_batch(oct_ctx *ctx, oct_any_model *m);
void oct_any_model_close(oct_any_model *m);

/* OCT_PRECISION_* bits for "auto", "fp32" or "int8". */
uint32_t oct_any_model_precision(const oct_any_model *m, const char *choice);
/* OCT_PRECISION_* bits of a --precision list, "int8,fp16": what they cannot serve stays f32. */
uint32_t oct_precision_bits(const char *list);
/* For --precision of commands that run models. */
#define OCT_PRECISION_CHOICES "auto|fp32|tf32|fp16|int8|int8,fp16"

/* The tactics stored in an engine file, unless `opt` asks for new timings. They live with `m`. */
void oct_any_model_tactics(const oct_any_model *m, oct_engine_options *opt);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_ANY_MODEL_H */
