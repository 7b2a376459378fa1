/* SPDX-License-Identifier: Apache-2.0
 *
 * Constants in device memory: packed once on the host, uploaded, shared by (key, format).
 */
#include <pthread.h>

#include "kernels/cuda/cuda_packs.h"

typedef struct pack_entry {
    uint64_t key, format;
    void *device;
    size_t bytes;
    uint32_t users;
} pack_entry;

struct oct_cuda_packs {
    pthread_mutex_t lock;
    oct_ctx *ctx;
    pack_entry *entry;
    size_t n, cap;
};

oct_status oct_cuda_packs_new(oct_ctx *ctx, oct_cuda_packs **out)
{
    oct_cuda_packs *p = oct_zalloc(ctx, sizeof *p);
    if (!p)
        return OCT_ERR_NOMEM;
    p->ctx = ctx;
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return OCT_OK;
}

void oct_cuda_packs_free(oct_cuda_packs *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++)
        cudaFree(p->entry[i].device);
    pthread_mutex_destroy(&p->lock);
    oct_free(p->ctx, p->entry);
    oct_free(p->ctx, p);
}

oct_status oct_cuda_upload(oct_cuda *be, oct_ctx *ctx, const void *host, size_t bytes,
                           void **device)
{
    void *p = NULL;
    (void)be;
    OCT_TRY(oct_cuda_check(ctx, cudaMalloc(&p, bytes ? bytes : 1), "allocating a constant"));
    const oct_status st =
        oct_cuda_check(ctx, cudaMemcpy(p, host, bytes, cudaMemcpyHostToDevice), "uploading");
    if (st != OCT_OK) {
        cudaFree(p);
        return st;
    }
    *device = p;
    return OCT_OK;
}

static oct_status pack_make(oct_cuda *be, oct_ctx *ctx, size_t bytes, oct_cuda_pack pack,
                            void **device)
{
    void *host = oct_zalloc(ctx, bytes ? bytes : 1);
    if (!host)
        return OCT_ERR_NOMEM;
    pack.fill(pack.user, host, bytes);
    const oct_status st = oct_cuda_upload(be, ctx, host, bytes, device);
    oct_free(ctx, host);
    return st;
}

static oct_status pack_slot(oct_cuda_packs *p, oct_ctx *ctx, pack_entry **slot)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->entry[i].device) {
            *slot = &p->entry[i];
            return OCT_OK;
        }
    if (p->n == p->cap) {
        const size_t cap = p->cap ? 2 * p->cap : 64;
        pack_entry *more = oct_realloc(p->ctx, p->entry, cap * sizeof *more);
        if (!more)
            return oct_fail(ctx, OCT_ERR_NOMEM, "list of GPU constants: no memory");
        p->entry = more;
        p->cap = cap;
    }
    *slot = &p->entry[p->n++];
    memset(*slot, 0, sizeof **slot);
    return OCT_OK;
}

static oct_status pack_get_locked(oct_cuda *be, oct_ctx *ctx, const pack_entry *want,
                                  oct_cuda_pack pack, const void **device)
{
    oct_cuda_packs *p = be->packs;
    for (size_t i = 0; want->key && i < p->n; i++) {
        pack_entry *e = &p->entry[i];
        if (!e->device || e->key != want->key || e->format != want->format)
            continue;
        e->users++;
        *device = e->device;
        return OCT_OK;
    }
    void *made = NULL;
    OCT_TRY(pack_make(be, ctx, want->bytes, pack, &made));
    pack_entry *slot = NULL;
    const oct_status st = pack_slot(p, ctx, &slot);
    if (st != OCT_OK) {
        cudaFree(made);
        return st;
    }
    *slot = *want;
    slot->device = made;
    slot->users = 1;
    *device = made;
    return OCT_OK;
}

oct_status oct_cuda_pack_get(oct_cuda *be, oct_ctx *ctx, uint64_t key, uint64_t format,
                             size_t bytes, oct_cuda_pack pack, const void **device)
{
    const pack_entry want = {.key = key, .format = format, .bytes = bytes};
    pthread_mutex_lock(&be->packs->lock);
    const oct_status st = pack_get_locked(be, ctx, &want, pack, device);
    pthread_mutex_unlock(&be->packs->lock);
    return st;
}

void oct_cuda_unpack(oct_cuda *be, const void *device)
{
    oct_cuda_packs *p = be->packs;
    if (!device)
        return;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->n; i++) {
        pack_entry *e = &p->entry[i];
        if (e->device != device || --e->users > 0)
            continue;
        cudaFree(e->device);
        e->device = NULL;
    }
    pthread_mutex_unlock(&p->lock);
}
