/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy archives: .npz is a ZIP file of .npy members. Reading takes stored and deflated
 * members (np.savez, np.savez_compressed) through the central directory, 64-bit sizes
 * included; every offset and size is checked against the file, and inflated sizes against a
 * limit before allocation. Writing stores members uncompressed, with no clock inside.
 * Format: PKWARE APPNOTE 6.3, sections 4.3 and 4.5.3.
 * Thread-safety: one thread per handle.
 */
#ifndef OCT_DATASETS_NPZ_H
#define OCT_DATASETS_NPZ_H

#include "datasets/npy.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_npz oct_npz;

/* Reads the whole archive (at most `max_bytes`, 0 = no limit) and its directory.
 * OCT_ERR_FORMAT: damaged; OCT_ERR_UNSUPPORTED: encrypted or other compression. */
OCT_MUST_CHECK oct_status oct_npz_open(oct_ctx *ctx, const char *path, size_t max_bytes,
                                       oct_npz **out);
/* Same over memory; `bytes` is borrowed until oct_npz_close(). */
OCT_MUST_CHECK oct_status oct_npz_open_memory(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                              size_t n_bytes, oct_npz **out);
void oct_npz_close(oct_npz *z); /* NULL is allowed */

int oct_npz_count(const oct_npz *z);
const char *oct_npz_name(const oct_npz *z, int i);    /* without ".npy"; the archive's */
int oct_npz_find(const oct_npz *z, const char *name); /* -1 if absent */
/* Member `i`; its CRC is verified. `max_bytes` of the inflated member, 0 = 4 GiB. */
OCT_MUST_CHECK oct_status oct_npz_read(oct_npz *z, oct_ctx *ctx, int i, size_t max_bytes,
                                       oct_array *out);

typedef struct oct_npz_member {
    const char *name; /* without ".npy" */
    oct_dtype dtype;
    oct_shape shape;
    const void *data; /* dense, row-major */
} oct_npz_member;

/* Writes atomically; members above 4 GiB and archives above it are refused (OCT_ERR_LIMIT). */
OCT_MUST_CHECK oct_status oct_npz_write(oct_ctx *ctx, const char *path,
                                        const oct_npz_member *member, int n_members, bool force);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_NPZ_H */
