/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph as bytes and back: what engine files store (engine/engine_file.h). Constants and
 * scales stand apart from the structure, so that they can be read in place:
 *
 *     code       structure: values, nodes with attributes by name (kernels/op_schema.h), lists
 *     constants  every constant once, 64-byte aligned, in order of first use
 *     scale, zero_point   quantization parameters, in order of use
 *
 * Little-endian whatever the machine. Equal graphs give equal bytes. Decoding treats every
 * byte as hostile: lengths, ids, ranks and offsets are checked, then oct_graph_check() runs.
 */
#ifndef OCT_ENGINE_GRAPH_CODEC_H
#define OCT_ENGINE_GRAPH_CODEC_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All four parts; memory of the context. Zero-initialised = empty. */
typedef struct oct_graph_code {
    uint8_t *code;
    size_t code_bytes;
    uint8_t *constants;
    size_t constant_bytes;
    float *scale;
    int32_t *zero_point;
    size_t n_params;
} oct_graph_code;

void oct_graph_code_deinit(oct_ctx *ctx, oct_graph_code *c);

/* Live nodes and the values they use. OCT_ERR_NOMEM. */
OCT_MUST_CHECK oct_status oct_graph_encode(oct_ctx *ctx, const oct_graph *g, oct_graph_code *out);

/* The graph borrows `c->constants`, which must outlive it. OCT_ERR_FORMAT names what is wrong and the
 * offset in the code. */
OCT_MUST_CHECK oct_status oct_graph_decode(oct_ctx *ctx, const oct_graph_code *c, oct_graph **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_GRAPH_CODEC_H */
