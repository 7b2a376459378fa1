/* SPDX-License-Identifier: Apache-2.0
 *
 * Files: whole-file reading with limits, and atomic writing. An output is written to a
 * temporary file beside its target, fsynced, renamed over the target, and the folder is
 * fsynced: a reader sees the old file or the new one, never a torn one. Existing
 * outputs are only replaced when `force` is set. Messages carry path and errno text.
 */
#ifndef OCT_BASE_FILE_H
#define OCT_BASE_FILE_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a regular file of at most `max_bytes` (0 = no limit) into an oct_alloc() block with
 * a NUL after the last byte. OCT_ERR_NOT_FOUND if it cannot be opened, OCT_ERR_LIMIT if too
 * large, OCT_ERR_USAGE if it is no regular file (FIFO, folder, device). */
OCT_MUST_CHECK oct_status oct_file_read(oct_ctx *ctx, const char *path, size_t max_bytes,
                                        uint8_t **data, size_t *n_bytes);

/* The same; after each piece `seen` is told where the file lies and how much of it is there, and NULL
 * before the block is released after a failure. */
typedef void (*oct_file_seen_fn)(void *user, const uint8_t *data, size_t n_bytes);
OCT_MUST_CHECK oct_status oct_file_read_seen(oct_ctx *ctx, const char *path, size_t max_bytes,
                                             oct_file_seen_fn seen, void *user, uint8_t **data,
                                             size_t *n_bytes);

typedef struct oct_atomic_file oct_atomic_file;

/* Creates the temporary file. OCT_ERR_USAGE if `path` exists and !force. */
OCT_MUST_CHECK oct_status oct_atomic_open(oct_ctx *ctx, const char *path, bool force,
                                          oct_atomic_file **out);
OCT_MUST_CHECK oct_status oct_atomic_write(oct_atomic_file *f, const void *data, size_t n_bytes);
/* Path of the temporary file, for libraries that insist on opening it themselves (HDF5). */
const char *oct_atomic_temp_path(const oct_atomic_file *f);
int oct_atomic_fd(const oct_atomic_file *f);
/* fsync, rename, fsync folder; frees `f` whatever the outcome. A failed commit leaves the old
 * file untouched and no temporary behind. */
OCT_MUST_CHECK oct_status oct_atomic_commit(oct_atomic_file *f);
void oct_atomic_abort(oct_atomic_file *f); /* unlinks and frees; NULL is allowed */

/* The three steps in one call. */
OCT_MUST_CHECK oct_status oct_file_write(oct_ctx *ctx, const char *path, const void *data,
                                         size_t n_bytes, bool force);

bool oct_path_exists(const char *path);
bool oct_path_is_dir(const char *path);
int64_t oct_path_bytes(const char *path); /* size of the file, links followed; -1 if it is none */
/* OCT_ERR_USAGE "exists; use --force" unless `force` or absent. Call before long work. */
OCT_MUST_CHECK oct_status oct_path_check_output(oct_ctx *ctx, const char *path, bool force);
OCT_MUST_CHECK oct_status oct_path_make_dir(oct_ctx *ctx, const char *path); /* mkdir -p */
/* dir + "/" + name, oct_alloc()ed; part after the last '/'; text from the last '.' of that, or "". */
char *oct_path_join(oct_ctx *ctx, const char *dir, const char *name);
const char *oct_path_name(const char *path);
const char *oct_path_ext(const char *path);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_FILE_H */
