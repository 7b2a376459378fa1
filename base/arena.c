/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define FIRST_CHUNK_BYTES ((size_t)4096)
#define MAX_CHUNK_BYTES ((size_t)1 << 20) /* larger blocks get a chunk of their own */
#define ARENA_ALIGN 16

typedef struct chunk {
    struct chunk *next;
    size_t used, cap; /* of the bytes after this head */
} chunk;

_Static_assert(sizeof(chunk) <= OCT_ALIGN, "a chunk's data starts OCT_ALIGN bytes in");

struct oct_arena {
    oct_ctx *ctx;
    chunk *head; /* the one being carved */
    size_t next_cap;
    size_t bytes; /* handed out, padding included */
};

oct_status oct_arena_new(oct_ctx *ctx, oct_arena **out)
{
    oct_arena *a = oct_zalloc(ctx, sizeof *a);
    *out = a;
    if (!a)
        return OCT_ERR_NOMEM;
    a->ctx = ctx;
    a->next_cap = FIRST_CHUNK_BYTES - OCT_ALIGN;
    return OCT_OK;
}

void oct_arena_free(oct_arena *a)
{
    if (!a)
        return;
    for (chunk *c = a->head, *next; c; c = next) {
        next = c->next;
        oct_free(a->ctx, c);
    }
    oct_free(a->ctx, a);
}

static chunk *chunk_new(oct_arena *a, size_t cap)
{
    size_t total;
    if (!oct_add_size(cap, OCT_ALIGN, &total)) {
        oct_fail(a->ctx, OCT_ERR_NOMEM, "out of memory: %zu bytes asked for", cap);
        return NULL;
    }
    chunk *c = oct_alloc(a->ctx, total);
    if (c)
        *c = (chunk){NULL, 0, cap};
    return c;
}

static void *carve(oct_arena *a, chunk *c, size_t start, size_t bytes)
{
    a->bytes += start - c->used + bytes;
    c->used = start + bytes;
    return (char *)c + OCT_ALIGN + start;
}

void *oct_arena_alloc_aligned(oct_arena *a, size_t bytes, size_t align)
{
    assert(align > 0 && align <= OCT_ALIGN && (align & (align - 1)) == 0);
    chunk *c = a->head;
    if (bytes == 0)
        bytes = 1;
    if (c) {
        const size_t start = (c->used + align - 1) & ~(align - 1);
        if (start <= c->cap && bytes <= c->cap - start)
            return carve(a, c, start, bytes);
    }
    const bool own = bytes > a->next_cap / 4; /* keep carving the current chunk afterwards */
    c = chunk_new(a, own ? bytes : a->next_cap);
    if (!c)
        return NULL;
    if (own && a->head) {
        c->next = a->head->next;
        a->head->next = c;
    } else {
        c->next = a->head;
        a->head = c;
    }
    if (!own)
        a->next_cap = oct_min_size(a->next_cap * 2 + OCT_ALIGN, MAX_CHUNK_BYTES - OCT_ALIGN);
    return carve(a, c, 0, bytes);
}

void *oct_arena_alloc(oct_arena *a, size_t bytes)
{
    return oct_arena_alloc_aligned(a, bytes, ARENA_ALIGN);
}

void *oct_arena_zalloc(oct_arena *a, size_t bytes)
{
    void *p = oct_arena_alloc(a, bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void *oct_arena_array(oct_arena *a, size_t n, size_t elem_bytes)
{
    size_t bytes;
    if (!oct_mul_size(n, elem_bytes, &bytes)) {
        oct_fail(a->ctx, OCT_ERR_NOMEM, "out of memory: %zu x %zu bytes asked for", n, elem_bytes);
        return NULL;
    }
    return oct_arena_zalloc(a, bytes);
}

void *oct_arena_copy(oct_arena *a, const void *src, size_t bytes)
{
    void *p = oct_arena_alloc(a, bytes);
    if (p && bytes)
        memcpy(p, src, bytes);
    return p;
}

char *oct_arena_strndup(oct_arena *a, const char *s, size_t n)
{
    const size_t len = strnlen(s, n);
    char *p = oct_arena_alloc_aligned(a, len + 1, 1);
    if (p) {
        memcpy(p, s, len);
        p[len] = '\0';
    }
    return p;
}

char *oct_arena_strdup(oct_arena *a, const char *s)
{
    return oct_arena_strndup(a, s, strlen(s));
}

char *oct_arena_printf(oct_arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : oct_arena_alloc_aligned(a, (size_t)n + 1, 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

size_t oct_arena_bytes(const oct_arena *a)
{
    return a->bytes;
}
