/* SPDX-License-Identifier: Apache-2.0 */
#include "base/container.h"

#include <pthread.h>
#include <string.h>

#include "base/container_internal.h"

const uint8_t oct_container_magic[8] = {0x89, 'O', 'C', 'T', '\r', '\n', 0x1a, '\n'};

/* The one piece of process-wide state: HDF5 itself is a global. */
static pthread_mutex_t h5_lock = PTHREAD_MUTEX_INITIALIZER;

void oct_h5_enter(oct_h5_guard *g)
{
    pthread_mutex_lock(&h5_lock);
    g->func = NULL;
    g->data = NULL;
    H5Eget_auto2(H5E_DEFAULT, &g->func, &g->data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void oct_h5_leave(oct_h5_guard *g)
{
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, g->func, g->data);
    pthread_mutex_unlock(&h5_lock);
}

hid_t oct_h5_file_type(oct_dtype dt)
{
    switch (dt) {
    case OCT_DT_F32:
        return H5T_IEEE_F32LE;
    case OCT_DT_F64:
        return H5T_IEEE_F64LE;
    case OCT_DT_S8:
        return H5T_STD_I8LE;
    case OCT_DT_U8:
        return H5T_STD_U8LE;
    case OCT_DT_S16:
        return H5T_STD_I16LE;
    case OCT_DT_U16:
        return H5T_STD_U16LE;
    case OCT_DT_S32:
        return H5T_STD_I32LE;
    case OCT_DT_U32:
        return H5T_STD_U32LE;
    case OCT_DT_S64:
        return H5T_STD_I64LE;
    case OCT_DT_U64:
        return H5T_STD_U64LE;
    default:
        return -1;
    }
}

hid_t oct_h5_memory_type(oct_dtype dt)
{
    switch (dt) {
    case OCT_DT_F32:
        return H5T_NATIVE_FLOAT;
    case OCT_DT_F64:
        return H5T_NATIVE_DOUBLE;
    case OCT_DT_S8:
        return H5T_NATIVE_INT8;
    case OCT_DT_U8:
        return H5T_NATIVE_UINT8;
    case OCT_DT_S16:
        return H5T_NATIVE_INT16;
    case OCT_DT_U16:
        return H5T_NATIVE_UINT16;
    case OCT_DT_S32:
        return H5T_NATIVE_INT32;
    case OCT_DT_U32:
        return H5T_NATIVE_UINT32;
    case OCT_DT_S64:
        return H5T_NATIVE_INT64;
    case OCT_DT_U64:
        return H5T_NATIVE_UINT64;
    default:
        return -1;
    }
}

oct_xxh128 oct_container_hash(uint8_t *image, size_t n)
{
    uint8_t kept[HEAD_HASH_BYTES];
    memcpy(kept, image + HEAD_HASH, sizeof kept);
    memset(image + HEAD_HASH, 0, sizeof kept);
    const oct_xxh128 h = oct_xxh128_of(image, n);
    memcpy(image + HEAD_HASH, kept, sizeof kept);
    return h;
}

static uint64_t get_le(const uint8_t *p, int n_bytes)
{
    uint64_t v = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

bool oct_container_is(const uint8_t *data, size_t n)
{
    return n >= sizeof oct_container_magic &&
           memcmp(data, oct_container_magic, sizeof oct_container_magic) == 0;
}

static oct_status parse_head(oct_ctx *ctx, const uint8_t *data, size_t n, oct_container_head *head)
{
    if (!oct_container_is(data, n))
        return oct_fail(ctx, OCT_ERR_FORMAT, "not an octet file: bad magic at offset 0");
    if (n < OCT_CONTAINER_HEADER_BYTES)
        return oct_fail(ctx, OCT_ERR_FORMAT, "truncated: %zu bytes, the header alone has %d", n,
                        OCT_CONTAINER_HEADER_BYTES);
    memcpy(head->kind, data + HEAD_KIND, OCT_CONTAINER_KIND_BYTES);
    head->kind[OCT_CONTAINER_KIND_BYTES] = '\0';
    head->version = (uint32_t)get_le(data + HEAD_VERSION, 4);
    head->payload_bytes = get_le(data + HEAD_LENGTH, 8);
    head->hash_lo = get_le(data + HEAD_HASH, 8);
    head->hash_hi = get_le(data + HEAD_HASH + 8, 8);
    if (head->payload_bytes != n - OCT_CONTAINER_HEADER_BYTES)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "truncated or extended: %zu bytes after the header, which announces %llu",
                        n - OCT_CONTAINER_HEADER_BYTES, (unsigned long long)head->payload_bytes);
    return OCT_OK;
}

oct_status oct_container_verify(oct_ctx *ctx, uint8_t *image, size_t n, oct_container_head *head)
{
    OCT_TRY(parse_head(ctx, image, n, head));
    const oct_xxh128 h = oct_container_hash(image, n);
    if (h.lo != head->hash_lo || h.hi != head->hash_hi)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "damaged: XXH3-128 is %016llx%016llx, the header says %016llx%016llx",
                        (unsigned long long)h.hi, (unsigned long long)h.lo,
                        (unsigned long long)head->hash_hi, (unsigned long long)head->hash_lo);
    return OCT_OK;
}

oct_status oct_container_probe(oct_ctx *ctx, const uint8_t *data, size_t n,
                               oct_container_head *head)
{
    OCT_TRY(parse_head(ctx, data, n, head));
    uint8_t *copy = oct_alloc(ctx, n); /* hashing zeroes a field for a moment */
    if (copy == NULL)
        return OCT_ERR_NOMEM;
    memcpy(copy, data, n);
    const oct_status st = oct_container_verify(ctx, copy, n, head);
    oct_free(ctx, copy);
    return st;
}
