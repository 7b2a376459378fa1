/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <zlib.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "datasets/npz.h"

/* The zip epoch, 1980-01-01 00:00: archives of the same arrays are the same bytes. */
#define DOS_DATE 0x0021

typedef struct writer {
    oct_ctx *ctx;
    oct_atomic_file *f;
    const char *path;
    uint64_t at;        /* bytes written so far */
    oct_strbuf central; /* directory, written last */
} writer;

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16);
}

static oct_status put(writer *w, const void *p, size_t n)
{
    w->at += n;
    if (w->at > UINT32_MAX)
        return oct_fail(w->ctx, OCT_ERR_LIMIT, "%s: .npz above 4 GiB; write .npy files instead",
                        w->path);
    return n == 0 ? OCT_OK : oct_atomic_write(w->f, p, n);
}

static uint32_t add_crc(uint32_t crc, const void *data, size_t n)
{
    const uint8_t *p = data;
    uLong c = crc;
    while (n > 0) {
        const uInt part = n > ((size_t)1 << 30) ? (uInt)1 << 30 : (uInt)n;
        c = crc32(c, p, part);
        p += part;
        n -= part;
    }
    return (uint32_t)c;
}

/* The fields that local header (offset 4) and directory entry (offset 6) share. */
static void fill_common(uint8_t *p, uint32_t crc, uint32_t n_bytes, uint32_t n_name)
{
    put16(p, 20); /* version needed */
    put16(p + 8, DOS_DATE);
    put32(p + 10, crc);
    put32(p + 14, n_bytes);
    put32(p + 18, n_bytes);
    put16(p + 22, n_name);
}

static oct_status put_member(writer *w, const oct_npz_member *m, const uint8_t *head, size_t n_head,
                             size_t n_data)
{
    uint8_t local[30] = {'P', 'K', 3, 4}, entry[46] = {'P', 'K', 1, 2, 20};
    char name[1024];
    const size_t n_name = strlen(m->name) + 4;
    if (n_name >= sizeof name)
        return oct_fail(w->ctx, OCT_ERR_USAGE, "%s: array name too long", w->path);
    memcpy(name, m->name, n_name - 4);
    memcpy(name + n_name - 4, ".npy", 4);
    if (n_data > UINT32_MAX - n_head)
        return oct_fail(w->ctx, OCT_ERR_LIMIT, "%s: array '%s' above 4 GiB", w->path, m->name);
    const uint32_t crc = add_crc(add_crc(0, head, n_head), m->data, n_data);
    fill_common(local + 4, crc, (uint32_t)(n_head + n_data), (uint32_t)n_name);
    fill_common(entry + 6, crc, (uint32_t)(n_head + n_data), (uint32_t)n_name);
    put32(entry + 42, (uint32_t)w->at);
    oct_strbuf_add_n(&w->central, (const char *)entry, sizeof entry);
    oct_strbuf_add_n(&w->central, name, n_name);
    OCT_TRY(put(w, local, sizeof local));
    OCT_TRY(put(w, name, n_name));
    OCT_TRY(put(w, head, n_head));
    return put(w, m->data, n_data);
}

static oct_status write_member(writer *w, const oct_npz_member *m)
{
    uint8_t *head;
    size_t n_head, n_elems, n_data;
    if (!oct_shape_elems(&m->shape, &n_elems) ||
        !oct_mul_size(n_elems, oct_dtype_bytes(m->dtype), &n_data))
        return oct_fail(w->ctx, OCT_ERR_SHAPE, "%s: array '%s' of unknown shape", w->path, m->name);
    OCT_TRY(oct_npy_make_header(w->ctx, m->dtype, &m->shape, &head, &n_head));
    const oct_status st = put_member(w, m, head, n_head, n_data);
    oct_free(w->ctx, head);
    return st;
}

static oct_status write_end(writer *w, int n_members)
{
    uint8_t end[22] = {'P', 'K', 5, 6};
    OCT_TRY(oct_strbuf_status(&w->central));
    put16(end + 8, (uint32_t)n_members);
    put16(end + 10, (uint32_t)n_members);
    put32(end + 12, (uint32_t)w->central.len);
    put32(end + 16, (uint32_t)w->at);
    OCT_TRY(put(w, w->central.text, w->central.len));
    return put(w, end, sizeof end);
}

oct_status oct_npz_write(oct_ctx *ctx, const char *path, const oct_npz_member *member_list,
                         int n_members, bool force)
{
    writer w = {.ctx = ctx, .path = path};
    if (n_members > 65534)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: too many arrays for one .npz", path);
    OCT_TRY(oct_atomic_open(ctx, path, force, &w.f));
    oct_strbuf_init(&w.central, ctx);
    oct_status st = OCT_OK;
    for (int i = 0; i < n_members && st == OCT_OK; i++)
        st = write_member(&w, &member_list[i]);
    if (st == OCT_OK)
        st = write_end(&w, n_members);
    oct_strbuf_deinit(&w.central);
    if (st == OCT_OK)
        return oct_atomic_commit(w.f);
    oct_atomic_abort(w.f);
    return st;
}
