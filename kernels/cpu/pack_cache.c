/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/pack_cache.h"

#include <assert.h>
#include <pthread.h>

typedef struct entry {
    oct_pack pack; /* first: handed out and cast back */
    uint64_t key, format;
    size_t refs;
    struct entry *next;
} entry;

struct oct_pack_cache {
    oct_ctx *ctx;
    pthread_mutex_t lock;
    entry *head;
};

oct_status oct_pack_cache_new(oct_ctx *ctx, oct_pack_cache **out)
{
    oct_pack_cache *c = oct_zalloc(ctx, sizeof *c);
    if (!c)
        return OCT_ERR_NOMEM;
    c->ctx = ctx;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return OCT_OK;
}

void oct_pack_cache_free(oct_pack_cache *c)
{
    if (!c)
        return;
    assert(!c->head && "a prepared op outlives its backend");
    pthread_mutex_destroy(&c->lock);
    oct_free(c->ctx, c);
}

static entry *find(const oct_pack_cache *c, uint64_t key, uint64_t format, size_t bytes)
{
    for (entry *e = key ? c->head : NULL; e; e = e->next) {
        if (e->key == key && e->format == format && e->pack.bytes == bytes)
            return e;
    }
    return NULL;
}

static oct_status entry_new(oct_ctx *ctx, size_t bytes, entry **out)
{
    entry *e = oct_zalloc(ctx, sizeof *e);
    if (!e)
        return OCT_ERR_NOMEM;
    e->pack.data = oct_alloc(ctx, bytes);
    e->pack.bytes = bytes;
    if (!e->pack.data) {
        oct_free(ctx, e);
        return OCT_ERR_NOMEM;
    }
    *out = e;
    return OCT_OK;
}

static void entry_free(oct_pack_cache *c, entry *e)
{
    oct_free(c->ctx, e->pack.data);
    oct_free(c->ctx, e);
}

/* With the lock held: packing the same weights twice at once would double the peak. */
static oct_status add(oct_pack_cache *c, oct_ctx *ctx, size_t bytes, oct_pack_fn fn, void *user,
                      entry **out)
{
    entry *e = NULL;
    OCT_TRY(entry_new(ctx, bytes, &e));
    const oct_status st = fn(user, ctx, e->pack.data);
    if (st != OCT_OK) {
        entry_free(c, e);
        return st;
    }
    e->next = c->head;
    c->head = e;
    *out = e;
    return OCT_OK;
}

oct_status oct_pack_get(oct_pack_cache *c, oct_ctx *ctx, uint64_t key, uint64_t format,
                        size_t bytes, oct_pack_fn fn, void *user, const oct_pack **out)
{
    oct_status st = OCT_OK;
    pthread_mutex_lock(&c->lock);
    entry *e = find(c, key, format, bytes);
    if (!e)
        st = add(c, ctx, bytes, fn, user, &e);
    if (st == OCT_OK) {
        e->key = key;
        e->format = format;
        e->refs++;
        *out = &e->pack;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

void oct_pack_put(oct_pack_cache *c, const oct_pack *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&c->lock);
    for (entry **link = &c->head; *link; link = &(*link)->next) {
        entry *e = *link;
        if (&e->pack != p)
            continue;
        if (--e->refs == 0) {
            *link = e->next;
            entry_free(c, e);
        }
        break;
    }
    pthread_mutex_unlock(&c->lock);
}
