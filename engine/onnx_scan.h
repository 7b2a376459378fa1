/* SPDX-License-Identifier: Apache-2.0
 *
 * Pre-scan of an ONNX file's bytes, before protobuf-c sees them. protobuf-c recurses without
 * limit (3,000 nested graphs crash it) and turns 20 MB of empty nodes into 2 GB; this
 * walk is iterative, allocates nothing and refuses such files in milliseconds.
 *
 * It also makes the *slim* copy that protobuf-c parses: the same message, but with each
 * raw_data of OCT_ONNX_TOKEN_BYTES or more replaced by a token of exactly that size that
 * says where the bytes lie in the file. So weights are never copied.
 *
 *     file:  .. 4a 80 80 04 <65536 bytes> ..      slim:  .. 4a 90 80 00 <offset, length> ..
 *
 * Lengths of the enclosing messages shrink but keep their number of varint bytes (padded
 * with continuation bits), so one pass with a stack is enough. A shorter raw_data stays as
 * it is: in the slim copy a raw_data is a token if and only if it has the token's size.
 */
#ifndef OCT_ENGINE_ONNX_SCAN_H
#define OCT_ENGINE_ONNX_SCAN_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_ONNX_TOKEN_BYTES 16

/* What is refused; OCT_ERR_LIMIT with the byte offset. */
#define OCT_ONNX_MAX_DEPTH 100 /* nested messages, protobuf's own default */
#define OCT_ONNX_MAX_NODES 1000000

typedef struct oct_onnx_token {
    uint64_t offset, n_bytes; /* in the file */
} oct_onnx_token;

typedef struct oct_onnx_scan {
    size_t n_nodes, n_messages;
    size_t n_tokens;     /* raw_data fields that become tokens */
    size_t slim_bytes;   /* size of the slim copy */
    size_t memory_bytes; /* estimate of what protobuf-c will allocate */
} oct_onnx_scan;

/* Walks a whole ModelProto. OCT_ERR_FORMAT names the byte offset and the message it is in;
 * OCT_ERR_LIMIT also when `memory_bytes` would exceed `budget`. */
OCT_MUST_CHECK oct_status oct_onnx_scan_model(oct_ctx *ctx, const uint8_t *data, size_t n_bytes,
                                              size_t budget, oct_onnx_scan *out);

/* Writes the slim copy, `scan->slim_bytes` long, of a file that oct_onnx_scan_model() accepted. */
OCT_MUST_CHECK oct_status oct_onnx_scan_slim(oct_ctx *ctx, const uint8_t *data, size_t n_bytes,
                                             const oct_onnx_scan *scan, uint8_t *slim);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_ONNX_SCAN_H */
