/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 for identities and provenance (OpenSSL), XXH3-128 for integrity (xxHash).
 */
#ifndef OCT_BASE_HASH_H
#define OCT_BASE_HASH_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_SHA256_BYTES 32
#define OCT_SHA256_HEX_BYTES 65 /* with NUL */

typedef struct oct_sha256 {
    uint8_t byte[OCT_SHA256_BYTES];
} oct_sha256;

void oct_sha256_of(const void *data, size_t n_bytes, oct_sha256 *out);
OCT_MUST_CHECK oct_status oct_sha256_of_file(oct_ctx *ctx, const char *path, oct_sha256 *out);
/* oct_file_read() and the hash of what was read; a second thread hashes while the file comes in. */
OCT_MUST_CHECK oct_status oct_sha256_read_file(oct_ctx *ctx, const char *path, size_t max_bytes,
                                               uint8_t **data, size_t *n_bytes, oct_sha256 *out);
const char *oct_sha256_hex(const oct_sha256 *h, char buf[OCT_SHA256_HEX_BYTES]);
/* Reads 64 hex digits, NUL-terminated; false for anything else. */
OCT_MUST_CHECK bool oct_sha256_parse(const char *hex, oct_sha256 *out);
int oct_sha256_cmp(const oct_sha256 *a, const oct_sha256 *b); /* memcmp order */

typedef struct oct_sha256_stream oct_sha256_stream;
OCT_MUST_CHECK oct_status oct_sha256_begin(oct_ctx *ctx, oct_sha256_stream **out);
void oct_sha256_update(oct_sha256_stream *s, const void *data, size_t n_bytes);
void oct_sha256_end(oct_sha256_stream *s, oct_sha256 *out); /* frees `s`; out may be NULL */

typedef struct oct_xxh128 {
    uint64_t lo, hi;
} oct_xxh128;

oct_xxh128 oct_xxh128_of(const void *data, size_t n_bytes);
uint64_t oct_xxh64_of(const void *data, size_t n_bytes);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_HASH_H */
