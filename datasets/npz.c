/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/npz.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/checked.h"
#include "base/file.h"

#define END_BYTES 22
#define END64_BYTES 56
#define LOCATOR64_BYTES 20
#define CENTRAL_BYTES 46
#define LOCAL_BYTES 30
#define MAX_MEMBERS 65535
#define MAX_NAME_BYTES 1024
#define DEFAULT_MAX_MEMBER ((size_t)4 << 30)

typedef struct member {
    char *name;
    uint64_t local_offset, packed_bytes, bytes;
    uint32_t crc;
    uint16_t method;
} member;

struct oct_npz {
    oct_ctx *ctx;
    char *path;
    const uint8_t *bytes;
    uint8_t *owned; /* == bytes when the archive was read by us */
    size_t n_bytes;
    int n_members;
    member *m;
};

static uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

static oct_status damaged(const oct_npz *z, oct_ctx *ctx, const char *what, uint64_t offset)
{
    return oct_fail(ctx, OCT_ERR_FORMAT, "%s: .npz: %s at offset %llu", z->path, what,
                    (unsigned long long)offset);
}

static bool inside(const oct_npz *z, uint64_t offset, uint64_t n)
{
    return offset <= z->n_bytes && n <= z->n_bytes - offset;
}

/* The end record is the last thing in the file but for a comment of up to 64 KiB. */
static oct_status find_end(const oct_npz *z, size_t *out)
{
    if (z->n_bytes < END_BYTES)
        return damaged(z, z->ctx, "file too short for a ZIP archive", 0);
    const size_t last = z->n_bytes - END_BYTES;
    const size_t lowest = last > 65535 ? last - 65535 : 0;
    for (size_t at = last + 1; at-- > lowest;) {
        if (le32(z->bytes + at) != 0x06054b50)
            continue;
        *out = at;
        return OCT_OK;
    }
    return damaged(z, z->ctx, "no end-of-archive record", last);
}

static oct_status read_end(const oct_npz *z, uint64_t *count, uint64_t *offset)
{
    size_t at;
    OCT_TRY(find_end(z, &at));
    const uint8_t *e = z->bytes + at;
    *count = le16(e + 10);
    *offset = le32(e + 16);
    if (*count != 0xffff && *offset != 0xffffffff)
        return OCT_OK;
    if (at < LOCATOR64_BYTES || le32(e - LOCATOR64_BYTES) != 0x07064b50)
        return OCT_OK; /* the values really are these */
    const uint64_t at64 = le64(e - LOCATOR64_BYTES + 8);
    if (!inside(z, at64, END64_BYTES) || le32(z->bytes + at64) != 0x06064b50)
        return damaged(z, z->ctx, "bad 64-bit end-of-archive record", at64);
    *count = le64(z->bytes + at64 + 32);
    *offset = le64(z->bytes + at64 + 48);
    return OCT_OK;
}

/* The 64-bit extra field holds, in this order, those of the values that are all ones in the
 * 32-bit record. */
static oct_status read_extra64(const oct_npz *z, member *m, const uint8_t *extra, size_t n)
{
    while (n >= 4) {
        const size_t len = le16(extra + 2);
        if (len > n - 4)
            return damaged(z, z->ctx, "extra field overruns", (uint64_t)(extra - z->bytes));
        if (le16(extra) == 0x0001) {
            uint64_t *value[3] = {&m->bytes, &m->packed_bytes, &m->local_offset};
            size_t used = 0;
            for (int i = 0; i < 3; i++) {
                if (*value[i] != 0xffffffff)
                    continue;
                if (used + 8 > len)
                    return damaged(z, z->ctx, "short 64-bit extra field",
                                   (uint64_t)(extra - z->bytes));
                *value[i] = le64(extra + 4 + used);
                used += 8;
            }
            return OCT_OK;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return OCT_OK;
}

static oct_status read_member(oct_npz *z, uint64_t *at, member *m)
{
    if (!inside(z, *at, CENTRAL_BYTES) || le32(z->bytes + *at) != 0x02014b50)
        return damaged(z, z->ctx, "bad directory entry", *at);
    const uint8_t *e = z->bytes + *at;
    const size_t n_name = le16(e + 28), n_extra = le16(e + 30), n_comment = le16(e + 32);
    if (!inside(z, *at, CENTRAL_BYTES + n_name + n_extra + n_comment) || n_name > MAX_NAME_BYTES)
        return damaged(z, z->ctx, "directory entry overruns", *at);
    if (le16(e + 8) & 1)
        return oct_fail(z->ctx, OCT_ERR_UNSUPPORTED, "%s: .npz member is encrypted", z->path);
    *m = (member){.method = le16(e + 10),
                  .crc = le32(e + 16),
                  .packed_bytes = le32(e + 20),
                  .bytes = le32(e + 24),
                  .local_offset = le32(e + 42)};
    const char *name = (const char *)e + CENTRAL_BYTES;
    const size_t shown =
        n_name > 4 && memcmp(name + n_name - 4, ".npy", 4) == 0 ? n_name - 4 : n_name;
    m->name = oct_strndup(z->ctx, name, shown);
    if (m->name == NULL)
        return OCT_ERR_NOMEM;
    *at += CENTRAL_BYTES + n_name + n_extra + n_comment;
    return read_extra64(z, m, e + CENTRAL_BYTES + n_name, n_extra);
}

static oct_status read_directory(oct_npz *z)
{
    uint64_t count, at;
    OCT_TRY(read_end(z, &count, &at));
    if (count > MAX_MEMBERS || count > z->n_bytes / CENTRAL_BYTES)
        return damaged(z, z->ctx, "impossible member count", at);
    z->m = oct_zalloc_array(z->ctx, (size_t)count, sizeof *z->m);
    if (z->m == NULL)
        return OCT_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        z->n_members = (int)i + 1; /* so that close frees a half-read entry */
        OCT_TRY(read_member(z, &at, &z->m[i]));
    }
    return OCT_OK;
}

oct_status oct_npz_open_memory(oct_ctx *ctx, const char *name, const uint8_t *bytes, size_t n_bytes,
                               oct_npz **out)
{
    oct_npz *z = oct_zalloc(ctx, sizeof *z);
    if (z == NULL)
        return OCT_ERR_NOMEM;
    z->ctx = ctx;
    z->bytes = bytes;
    z->n_bytes = n_bytes;
    z->path = oct_strdup(ctx, name);
    oct_status st = z->path == NULL ? OCT_ERR_NOMEM : read_directory(z);
    if (st != OCT_OK) {
        oct_npz_close(z);
        return st;
    }
    *out = z;
    return OCT_OK;
}

oct_status oct_npz_open(oct_ctx *ctx, const char *path, size_t max_bytes, oct_npz **out)
{
    uint8_t *bytes;
    size_t n_bytes;
    OCT_TRY(oct_file_read(ctx, path, max_bytes, &bytes, &n_bytes));
    const oct_status st = oct_npz_open_memory(ctx, path, bytes, n_bytes, out);
    if (st == OCT_OK)
        (*out)->owned = bytes;
    else
        oct_free(ctx, bytes);
    return st;
}

void oct_npz_close(oct_npz *z)
{
    if (z == NULL)
        return;
    for (int i = 0; i < z->n_members; i++)
        oct_free(z->ctx, z->m[i].name);
    oct_free(z->ctx, z->m);
    oct_free(z->ctx, z->owned);
    oct_free(z->ctx, z->path);
    oct_free(z->ctx, z);
}

int oct_npz_count(const oct_npz *z)
{
    return z->n_members;
}

const char *oct_npz_name(const oct_npz *z, int i)
{
    return z->m[i].name;
}

int oct_npz_find(const oct_npz *z, const char *name)
{
    for (int i = 0; i < z->n_members; i++)
        if (strcmp(z->m[i].name, name) == 0)
            return i;
    return -1;
}

static oct_status inflate_member(const oct_npz *z, oct_ctx *ctx, const member *m,
                                 const uint8_t *src, uint8_t *dst)
{
    z_stream s = {0};
    /* zlib counts in uInt; members above 4 GiB are refused by the caller's limit. */
    if (m->packed_bytes > UINT32_MAX || m->bytes > UINT32_MAX)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: deflated member '%s' above 4 GiB", z->path,
                        m->name);
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return oct_fail(ctx, OCT_ERR_NOMEM, "%s: zlib cannot start", z->path);
    s.next_in = (Bytef *)(uintptr_t)src;
    s.avail_in = (uInt)m->packed_bytes;
    s.next_out = dst;
    s.avail_out = (uInt)m->bytes;
    const int rc = inflate(&s, Z_FINISH);
    const bool whole = rc == Z_STREAM_END && s.avail_out == 0;
    inflateEnd(&s);
    return whole ? OCT_OK : damaged(z, ctx, "broken deflate data", m->local_offset);
}

/* zlib's crc32 takes uInt lengths. */
static uint32_t crc_of(const uint8_t *p, size_t n)
{
    uLong crc = crc32(0, NULL, 0);
    while (n > 0) {
        const uInt part = n > ((size_t)1 << 30) ? (uInt)1 << 30 : (uInt)n;
        crc = crc32(crc, p, part);
        p += part;
        n -= part;
    }
    return (uint32_t)crc;
}

static oct_status member_data(const oct_npz *z, oct_ctx *ctx, const member *m, const uint8_t **out)
{
    const uint64_t at = m->local_offset;
    if (!inside(z, at, LOCAL_BYTES) || le32(z->bytes + at) != 0x04034b50)
        return damaged(z, ctx, "bad member header", at);
    const uint64_t skip =
        LOCAL_BYTES + (uint64_t)le16(z->bytes + at + 26) + le16(z->bytes + at + 28);
    if (!inside(z, at, skip) || !inside(z, at + skip, m->packed_bytes))
        return damaged(z, ctx, "member overruns the file", at);
    *out = z->bytes + at + skip;
    return OCT_OK;
}

oct_status oct_npz_read(oct_npz *z, oct_ctx *ctx, int i, size_t max_bytes, oct_array *out)
{
    const member *m = &z->m[i];
    const uint8_t *src;
    if (m->bytes > (max_bytes == 0 ? DEFAULT_MAX_MEMBER : max_bytes))
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: member '%s' declares %llu bytes", z->path, m->name,
                        (unsigned long long)m->bytes);
    OCT_TRY(member_data(z, ctx, m, &src));
    if (m->method != 0 && m->method != 8)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "%s: member '%s' uses ZIP method %d; stored and deflate are supported",
                        z->path, m->name, m->method);
    if (m->method == 0 && m->packed_bytes != m->bytes)
        return damaged(z, ctx, "stored member with two sizes", m->local_offset);
    /* Deflate cannot exceed 1032:1, so a lying size is caught before the allocation. */
    if (m->method == 8 && m->bytes / 1032 > m->packed_bytes)
        return damaged(z, ctx, "impossible compression ratio", m->local_offset);
    uint8_t *tmp = m->method == 8 ? oct_alloc(ctx, (size_t)m->bytes) : NULL;
    if (m->method == 8 && tmp == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = tmp != NULL ? inflate_member(z, ctx, m, src, tmp) : OCT_OK;
    const uint8_t *plain = tmp != NULL ? tmp : src;
    if (st == OCT_OK && crc_of(plain, (size_t)m->bytes) != m->crc)
        st = damaged(z, ctx, "member with a wrong checksum", m->local_offset);
    if (st == OCT_OK)
        st = oct_npy_decode(ctx, m->name, plain, (size_t)m->bytes, out);
    oct_free(ctx, tmp);
    return st;
}
