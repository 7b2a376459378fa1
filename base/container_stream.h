/* SPDX-License-Identifier: Apache-2.0
 *
 * The guarded container (container.h, same header and hash) for data larger than memory: rows
 * are appended to the file one by one and read back one by one. Datasets are chunked along their
 * first axis and grow; nothing is compressed.
 *
 * Reading verifies the hash over the whole file first, in a pass of bounded memory, then lets
 * HDF5 open the file itself: a file that is changed behind our back after that is HDF5's to
 * survive. Equal calls give equal bytes.
 * Thread-safety: writers, one thread; readers, any number (all HDF5 calls take one lock).
 */
#ifndef OCT_BASE_CONTAINER_STREAM_H
#define OCT_BASE_CONTAINER_STREAM_H

#include "base/container.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_CONTAINER_MAX_ROWSETS 8

/* ---- writing ---------------------------------------------------------------------------- */

typedef struct oct_container_sink oct_container_sink;

/* OCT_ERR_USAGE if `path` exists and !force. */
OCT_MUST_CHECK oct_status oct_container_sink_open(oct_ctx *ctx, const char *path, const char *kind,
                                                  uint32_t version, bool force,
                                                  oct_container_sink **out);
void oct_container_sink_abort(oct_container_sink *s); /* NULL is allowed */

/* A growing dataset `name` whose rows have `n_dims` dims (0..OCT_MAX_DIMS - 1) and type `dt`; its
 * handle (0, 1, ...) in `*rows`. */
OCT_MUST_CHECK oct_status oct_container_sink_rows(oct_container_sink *s, const char *name,
                                                  oct_dtype dt, int n_dims, const int64_t *dim,
                                                  int *rows);
OCT_MUST_CHECK oct_status oct_container_sink_append(oct_container_sink *s, int rows,
                                                    const void *row);
/* A whole text. */
OCT_MUST_CHECK oct_status oct_container_sink_text(oct_container_sink *s, const char *name,
                                                  const char *text);
/* Header, fsync, rename; frees `s` whatever the outcome. */
OCT_MUST_CHECK oct_status oct_container_sink_commit(oct_container_sink *s);

/* ---- reading ---------------------------------------------------------------------------- */

typedef struct oct_container_file oct_container_file;

OCT_MUST_CHECK oct_status oct_container_file_open(oct_ctx *ctx, const char *path, const char *kind,
                                                  uint32_t max_version, oct_container_file **out);
void oct_container_file_close(oct_container_file *f); /* NULL is allowed */

/* Opens a dataset of rows: type, shape of a row and number of rows as found. */
OCT_MUST_CHECK oct_status oct_container_file_rows(oct_container_file *f, const char *name,
                                                  oct_dtype *dt, oct_shape *row, int64_t *n_rows,
                                                  int *rows);
/* Rows [first, first + n) into `data`; they exist (asserted). Any thread; errors go to `ctx`. */
OCT_MUST_CHECK oct_status oct_container_file_read(oct_container_file *f, oct_ctx *ctx, int rows,
                                                  int64_t first, int64_t n, void *data);
/* oct_alloc()ed with a NUL behind it. */
OCT_MUST_CHECK oct_status oct_container_file_text(oct_container_file *f, const char *name,
                                                  size_t max_bytes, char **text);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_CONTAINER_STREAM_H */
