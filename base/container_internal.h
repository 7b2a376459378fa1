/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by container_write.c and container_read.c: the process-wide HDF5 lock and the type
 * table.
 */
#ifndef OCT_BASE_CONTAINER_INTERNAL_H
#define OCT_BASE_CONTAINER_INTERNAL_H

#include <hdf5.h>

#include "base/container.h"
#include "base/file.h"
#include "base/hash.h"

/* Header offsets (container.h draws them). */
enum {
    HEAD_KIND = 8,
    HEAD_VERSION = 16,
    HEAD_LENGTH = 24,
    HEAD_HASH = 32,
    HEAD_HASH_BYTES = 16,
};

extern const uint8_t oct_container_magic[8];

/* Entered before any HDF5 call, left after: one lock (Debian's HDF5 is not thread-safe), with
 * the error printing of the calling program saved and off in between. */
typedef struct oct_h5_guard {
    H5E_auto2_t func;
    void *data;
} oct_h5_guard;
void oct_h5_enter(oct_h5_guard *g);
void oct_h5_leave(oct_h5_guard *g);

/* Little-endian file type and native memory type; negative for types that are not stored. */
hid_t oct_h5_file_type(oct_dtype dt);
hid_t oct_h5_memory_type(oct_dtype dt);

/* XXH3-128 of a file image, as if its hash field were zero. `image` is restored. */
oct_xxh128 oct_container_hash(uint8_t *image, size_t n);

/* The header of a file of `n_bytes` in all, its hash still zero; and the hash. */
void oct_container_fill_head(uint8_t *head, const char *kind, uint32_t version, uint64_t n_bytes);
void oct_container_put_hash(uint8_t *head, oct_xxh128 hash);

/* Puts the header in front of what HDF5 wrote behind a user block. `as_in_memory`: with the bytes
 * of a file made in memory. False: the file cannot be read or written, or no memory. */
bool oct_container_seal(oct_ctx *ctx, const oct_atomic_file *f, const char *kind, uint32_t version,
                        bool as_in_memory);

/* oct_container_probe() without the copy. */
OCT_MUST_CHECK oct_status oct_container_verify(oct_ctx *ctx, uint8_t *image, size_t n,
                                               oct_container_head *head);

#endif /* OCT_BASE_CONTAINER_INTERNAL_H */
