/* SPDX-License-Identifier: Apache-2.0
 *
 * Guarded HDF5 container: the file format of statistics, engines and packs.
 *
 *     byte 0    magic   89 'O' 'C' 'T' 0d 0a 1a 0a
 *          8    kind    8 bytes, NUL padded ("stats", "engine", "pack")
 *         16    version u32
 *         20    zero    u32
 *         24    length  u64, bytes after the header
 *         32    hash    XXH3-128 (lo, hi) of the whole file with these 16 bytes zeroed
 *         48    zeros
 *        512    HDF5 1.8 format; to HDF5 tools the header is a user block
 *
 * All integers little-endian. The hash is verified over the whole file before HDF5 sees a
 * byte of it, because HDF5 crashes on damaged files; HDF5 then reads the verified copy in
 * memory, never the file. The hash stops accidents, not attackers: callers treat every
 * number they read as hostile. Only dense datasets reached through hard links are read
 * (no filters, no external storage, no variable-length types).
 *
 * Equal calls give equal bytes: object times are off and the library bounds fixed.
 * Thread-safety: one thread per container; all HDF5 calls of the process that go through
 * here take one lock.
 */
#ifndef OCT_BASE_CONTAINER_H
#define OCT_BASE_CONTAINER_H

#include "base/ctx.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_CONTAINER_HEADER_BYTES 512
#define OCT_CONTAINER_KIND_BYTES 8 /* with NUL padding, so at most 7 letters and a NUL */

/* ---- writing ---------------------------------------------------------------------------- */

typedef struct oct_container_writer oct_container_writer;

/* In memory until oct_container_commit() or oct_container_image(). `kind` has at most 7 letters. */
OCT_MUST_CHECK oct_status oct_container_create(oct_ctx *ctx, const char *kind, uint32_t version,
                                               oct_container_writer **out);
/* In a temporary file beside `path` until oct_container_finish(): the same bytes without the memory.
 * OCT_ERR_USAGE if `path` exists and !force. */
OCT_MUST_CHECK oct_status oct_container_create_at(oct_ctx *ctx, const char *path, bool force,
                                                  const char *kind, uint32_t version,
                                                  oct_container_writer **out);
void oct_container_discard(oct_container_writer *w); /* NULL is allowed */

/* Dataset `path` ("a/b/c", missing groups are made) of `n_dims` dims (1..OCT_MAX_DIMS) and
 * type `dt` (no F16/BF16: write those as U16). `data` is dense row-major, borrowed. */
OCT_MUST_CHECK oct_status oct_container_write(oct_container_writer *w, const char *path,
                                              oct_dtype dt, int n_dims, const int64_t *dim,
                                              const void *data);
/* 1-D dataset of `n` elements. */
OCT_MUST_CHECK oct_status oct_container_write_1d(oct_container_writer *w, const char *path,
                                                 oct_dtype dt, size_t n, const void *data);
/* The same in pieces, one after another, `n` elements in all; nothing else is written in between. */
OCT_MUST_CHECK oct_status oct_container_begin_pieces(oct_container_writer *w, const char *path,
                                                     oct_dtype dt, size_t n);
OCT_MUST_CHECK oct_status oct_container_piece(oct_container_writer *w, size_t n, const void *data);
OCT_MUST_CHECK oct_status oct_container_end_pieces(oct_container_writer *w);
/* 1-D dataset of `n` fixed-length strings (padded with NUL to the longest). */
OCT_MUST_CHECK oct_status oct_container_write_strings(oct_container_writer *w, const char *path,
                                                      size_t n, const char *const *text);
/* Scalar dataset holding one text. */
OCT_MUST_CHECK oct_status oct_container_write_text(oct_container_writer *w, const char *path,
                                                   const char *text);
/* Attribute of the root group: a text or one integer. */
OCT_MUST_CHECK oct_status oct_container_attr_text(oct_container_writer *w, const char *name,
                                                  const char *text);
OCT_MUST_CHECK oct_status oct_container_attr_u64(oct_container_writer *w, const char *name,
                                                 uint64_t value);

/* The finished file (header and all) in an oct_alloc() block of the caller's; `w` stays. */
OCT_MUST_CHECK oct_status oct_container_image(oct_container_writer *w, uint8_t **image,
                                              size_t *n_bytes);
/* Writes the file atomically. OCT_ERR_USAGE if it exists and !force. `w` stays. */
OCT_MUST_CHECK oct_status oct_container_commit(oct_container_writer *w, const char *path,
                                               bool force);

/* Ends what oct_container_create_at() began; frees `w` whatever the outcome. */
OCT_MUST_CHECK oct_status oct_container_finish(oct_container_writer *w);

/* ---- reading ---------------------------------------------------------------------------- */

typedef struct oct_container oct_container;

/* What the header says; filled by oct_container_probe(). */
typedef struct oct_container_head {
    char kind[OCT_CONTAINER_KIND_BYTES + 1];
    uint32_t version;
    uint64_t payload_bytes;
    uint64_t hash_lo, hash_hi;
} oct_container_head;

/* Whether `data` (the first n bytes of a file) starts with the magic. */
bool oct_container_is(const uint8_t *data, size_t n);
/* Checks header and hash of a whole file in memory. OCT_ERR_FORMAT with what is wrong. */
OCT_MUST_CHECK oct_status oct_container_probe(oct_ctx *ctx, const uint8_t *data, size_t n,
                                              oct_container_head *head);

/* Reads, verifies and opens `path`. `kind` must match, the version be in [1, max_version]
 * (OCT_ERR_VERSION). `max_bytes` 0 = no limit. */
OCT_MUST_CHECK oct_status oct_container_open(oct_ctx *ctx, const char *path, const char *kind,
                                             uint32_t max_version, size_t max_bytes,
                                             oct_container **out);
/* The same from memory, which is borrowed during the call only. */
OCT_MUST_CHECK oct_status oct_container_open_memory(oct_ctx *ctx, const uint8_t *data, size_t n,
                                                    const char *kind, uint32_t max_version,
                                                    oct_container **out);
void oct_container_close(oct_container *c); /* NULL is allowed */

const oct_container_head *oct_container_get_head(const oct_container *c);
bool oct_container_has(oct_container *c, const char *path);

/* Type and shape of a dataset. OCT_ERR_FORMAT if absent, of another kind of type, or claiming
 * more data than it stores. */
OCT_MUST_CHECK oct_status oct_container_info(oct_container *c, const char *path, oct_dtype *dt,
                                             oct_shape *shape);
/* Reads a dataset that must hold exactly `n` elements of type `dt` into `data`. */
OCT_MUST_CHECK oct_status oct_container_read(oct_container *c, const char *path, oct_dtype dt,
                                             size_t n, void *data);
/* Reads a 1-D dataset of type `dt` and any length up to `max_n` into an oct_alloc() block. */
OCT_MUST_CHECK oct_status oct_container_read_1d(oct_container *c, const char *path, oct_dtype dt,
                                                size_t max_n, void **data, size_t *n);
/* Text of a scalar string dataset, oct_alloc()ed, at most `max_bytes` long. */
OCT_MUST_CHECK oct_status oct_container_read_text(oct_container *c, const char *path,
                                                  size_t max_bytes, char **text);
/* 1-D dataset of fixed-length strings: one oct_alloc() block holding pointers and texts. */
OCT_MUST_CHECK oct_status oct_container_read_strings(oct_container *c, const char *path,
                                                     size_t max_n, char ***text, size_t *n);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_CONTAINER_H */
