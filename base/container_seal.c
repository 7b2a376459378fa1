/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a container that HDF5 wrote into a file itself, put there when HDF5 has closed it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/container_internal.h"

#define COPY_BYTES ((size_t)1 << 18)

/* Superblock of the oldest version: version, width of addresses, base address, end of the file. */
enum {
    SUPER_VERSION = 8,
    SUPER_ADDRESS_WIDTH = 13,
    SUPER_BASE = 24,
    SUPER_END = 40,
    SUPER_BYTES = 48,
};

static void put_le(uint8_t *p, uint64_t v, int n_bytes)
{
    for (int i = 0; i < n_bytes; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, int n_bytes)
{
    uint64_t v = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

void oct_container_fill_head(uint8_t *head, const char *kind, uint32_t version, uint64_t n_bytes)
{
    memset(head, 0, OCT_CONTAINER_HEADER_BYTES);
    memcpy(head, oct_container_magic, sizeof oct_container_magic);
    memcpy(head + HEAD_KIND, kind, OCT_CONTAINER_KIND_BYTES);
    put_le(head + HEAD_VERSION, version, 4);
    put_le(head + HEAD_LENGTH, n_bytes - OCT_CONTAINER_HEADER_BYTES, 8);
}

void oct_container_put_hash(uint8_t *head, oct_xxh128 hash)
{
    put_le(head + HEAD_HASH, hash.lo, 8);
    put_le(head + HEAD_HASH + 8, hash.hi, 8);
}

/* HDF5 notes the length of the user block. A file that was made in memory has none when HDF5 writes
 * it; the same data must be the same bytes. */
static bool forget_user_block(int fd)
{
    uint8_t s[SUPER_BYTES];
    if (pread(fd, s, sizeof s, OCT_CONTAINER_HEADER_BYTES) != (ssize_t)sizeof s ||
        s[SUPER_VERSION] != 0 || s[SUPER_ADDRESS_WIDTH] != 8 ||
        get_le(s + SUPER_BASE, 8) != OCT_CONTAINER_HEADER_BYTES)
        return false;
    put_le(s + SUPER_BASE, 0, 8);
    put_le(s + SUPER_END, get_le(s + SUPER_END, 8) - OCT_CONTAINER_HEADER_BYTES, 8);
    return pwrite(fd, s, sizeof s, OCT_CONTAINER_HEADER_BYTES) == (ssize_t)sizeof s;
}

/* Hash of `head` and of what follows it in the file; its length in `*n_bytes`. */
static bool hash_file(oct_ctx *ctx, int fd, const uint8_t *head, XXH128_hash_t *hash,
                      uint64_t *n_bytes)
{
    uint8_t *buffer = oct_alloc(ctx, COPY_BYTES);
    XXH3_state_t *state = buffer != NULL ? XXH3_createState() : NULL;
    bool ok = state != NULL;
    uint64_t at = OCT_CONTAINER_HEADER_BYTES;
    if (ok) {
        XXH3_128bits_reset(state);
        XXH3_128bits_update(state, head, OCT_CONTAINER_HEADER_BYTES);
    }
    while (ok) {
        const ssize_t got = pread(fd, buffer, COPY_BYTES, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        ok = got >= 0;
        if (got <= 0)
            break;
        XXH3_128bits_update(state, buffer, (size_t)got);
        at += (uint64_t)got;
    }
    if (ok)
        *hash = XXH3_128bits_digest(state);
    *n_bytes = at;
    XXH3_freeState(state);
    oct_free(ctx, buffer);
    return ok;
}

bool oct_container_seal(oct_ctx *ctx, const oct_atomic_file *f, const char *kind, uint32_t version,
                        bool as_in_memory)
{
    uint8_t head[OCT_CONTAINER_HEADER_BYTES];
    XXH128_hash_t hash;
    uint64_t n_bytes;
    const int fd = oct_atomic_fd(f);
    const off_t end = lseek(fd, 0, SEEK_END);
    if (end < OCT_CONTAINER_HEADER_BYTES || (as_in_memory && !forget_user_block(fd)))
        return false;
    oct_container_fill_head(head, kind, version, (uint64_t)end);
    if (!hash_file(ctx, fd, head, &hash, &n_bytes) || n_bytes != (uint64_t)end)
        return false;
    oct_container_put_hash(head, (oct_xxh128){.lo = hash.low64, .hi = hash.high64});
    return pwrite(fd, head, sizeof head, 0) == (ssize_t)sizeof head;
}
