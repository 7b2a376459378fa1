/* SPDX-License-Identifier: Apache-2.0
 *
 * The worker's pool: memory for tensors whose size is known only while running.
 */
#include "engine/executor.h"

#define GRAIN 4096u /* blocks grow in these steps, so that nearby sizes share one */

oct_status oct_pool_take(oct_pool *p, oct_ctx *ctx, size_t bytes, uint32_t *block)
{
    uint32_t best = OCT_NONE;
    for (uint32_t i = 0; i < p->n; i++)
        if (!p->block[i].used && p->block[i].bytes >= bytes &&
            (best == OCT_NONE || p->block[i].bytes < p->block[best].bytes))
            best = i;
    if (best == OCT_NONE) {
        if (p->n == p->cap) {
            const uint32_t cap = p->cap ? 2 * p->cap : 16;
            oct_pool_block *more = oct_realloc(ctx, p->block, cap * sizeof *more);
            if (!more)
                return OCT_ERR_NOMEM;
            p->block = more;
            p->cap = cap;
        }
        if (bytes > SIZE_MAX - GRAIN)
            return oct_fail(ctx, OCT_ERR_LIMIT, "a tensor of more bytes than fit in memory");
        const size_t rounded = (bytes + GRAIN) / GRAIN * GRAIN;
        void *data = oct_alloc(ctx, rounded);
        if (!data)
            return OCT_ERR_NOMEM;
        best = p->n++;
        p->block[best] = (oct_pool_block){.data = data, .bytes = rounded};
    }
    p->block[best].used = true;
    *block = best;
    return OCT_OK;
}

void oct_pool_give(oct_pool *p, uint32_t block)
{
    if (block != OCT_NONE)
        p->block[block].used = false;
}

void oct_pool_deinit(oct_pool *p, oct_ctx *ctx)
{
    for (uint32_t i = 0; i < p->n; i++)
        oct_free(ctx, p->block[i].data);
    oct_free(ctx, p->block);
    *p = (oct_pool){0};
}
