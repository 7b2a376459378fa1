/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/pack_cache.h"

#include <assert.h>
#include <pthread.h>

typedef struct entry {
    oct_pack pack; /* first: handed out and cast back */
    uint64_t key, format;
    size_t refs;
    bool ready; /* packed */
    struct entry *next;
} entry;

struct oct_pack_cache {
    oct_ctx *ctx;
    pthread_mutex_t lock;
    pthread_cond_t packed;
    entry *head;
};

oct_status oct_pack_cache_new(oct_ctx *ctx, oct_pack_cache **out)
{
    oct_pack_cache *c = oct_zalloc(ctx, sizeof *c);
    if (!c)
        return OCT_ERR_NOMEM;
    c->ctx = ctx;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->packed, NULL);
    *out = c;
    return OCT_OK;
}

void oct_pack_cache_free(oct_pack_cache *c)
{
    if (!c)
        return;
    assert(!c->head && "a prepared op outlives its backend");
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->packed);
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

static void unlink_entry(oct_pack_cache *c, const entry *gone)
{
    entry **link = &c->head;
    while (*link != gone)
        link = &(*link)->next;
    *link = gone->next;
}

/* Adds the entry to the list, then packs without the lock: who wants the same weights waits, which
 * packing them twice would not save, and would double the peak. */
static oct_status add(oct_pack_cache *c, oct_ctx *ctx, entry *e, oct_pack_fn fn, void *user)
{
    e->next = c->head;
    c->head = e;
    pthread_mutex_unlock(&c->lock);
    const oct_status st = fn(user, ctx, e->pack.data);
    pthread_mutex_lock(&c->lock);
    if (st != OCT_OK) {
        unlink_entry(c, e);
        entry_free(c, e);
    } else {
        e->ready = true;
        e->refs = 1;
    }
    pthread_cond_broadcast(&c->packed);
    return st;
}

oct_status oct_pack_get(oct_pack_cache *c, oct_ctx *ctx, uint64_t key, uint64_t format,
                        size_t bytes, oct_pack_fn fn, void *user, const oct_pack **out)
{
    oct_status st = OCT_OK;
    entry *e;
    pthread_mutex_lock(&c->lock);
    while ((e = find(c, key, format, bytes)) != NULL && !e->ready)
        pthread_cond_wait(&c->packed, &c->lock);
    if (e != NULL) {
        e->refs++;
    } else if ((st = entry_new(ctx, bytes, &e)) == OCT_OK) {
        e->key = key;
        e->format = format;
        st = add(c, ctx, e, fn, user);
    }
    if (st == OCT_OK)
        *out = &e->pack;
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
