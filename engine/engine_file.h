/* SPDX-License-Identifier: Apache-2.0
 *
 * Engine files: a model that passes have already rewritten for a precision, with plain weights,
 * scales, chosen tactics and provenance, in the guarded container (base/container.h, kind
 * "engine"). Data only, never code: kernels are prepared when it is loaded.
 *
 *     /graph/code, /graph/constants, /graph/scale, /graph/zero_point   engine/graph_codec.h
 *     /info                                                            JSON, see below
 *
 * The hash stops accidents; every number inside is still checked as hostile.
 */
#ifndef OCT_ENGINE_ENGINE_FILE_H
#define OCT_ENGINE_ENGINE_FILE_H

#include "engine/model.h"
#include "engine/session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_ENGINE_FILE_KIND "engine"
#define OCT_ENGINE_FILE_VERSION 1u

/* What an engine file says about itself besides the graph. */
typedef struct oct_engine_info {
    uint32_t precision;     /* OCT_PRECISION_* bits to run it with */
    oct_sha256 model_hash;  /* of the ONNX model it was built from */
    const char *model_name; /* graph name in that model */
    const char *
        quantization_json; /* where the scales came from: method, cache or statistics hash; "{}" for fp32 */
    const char *preprocess_json; /* effective preprocessing of the calibration; "" if none */
    const char *built_with;      /* "octet 0.1.0" */
    const oct_tactic *tactic;
    size_t n_tactics;
    const char *tuned_on;        /* what the tactics were timed on; NULL or "" without */
    const char *const *keep_f32; /* values that f16 cannot hold */
    size_t n_keep_f32;
} oct_engine_info;

/* Writes `g` (after its passes). OCT_ERR_USAGE if `path` exists and !force. */
OCT_MUST_CHECK oct_status oct_engine_file_save(oct_ctx *ctx, const oct_graph *g,
                                               const oct_engine_info *info, const char *path,
                                               bool force);

typedef struct oct_engine_file oct_engine_file;

/* Reads and validates `path`. OCT_ERR_FORMAT, OCT_ERR_VERSION. */
OCT_MUST_CHECK oct_status oct_engine_file_load(oct_ctx *ctx, const char *path,
                                               oct_engine_file **out);
/* The same from memory, which is borrowed during the call only. */
OCT_MUST_CHECK oct_status oct_engine_file_parse(oct_ctx *ctx, const uint8_t *data, size_t n_bytes,
                                                oct_engine_file **out);
void oct_engine_file_free(oct_engine_file *f); /* NULL is allowed; also frees its model */
oct_model *oct_engine_file_model(const oct_engine_file *f);
const oct_engine_info *oct_engine_file_info(const oct_engine_file *f);

/* Whether the file at `path` starts like an engine file (false if it cannot be read). */
bool oct_engine_file_is(const char *path);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_ENGINE_FILE_H */
