/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights, shared by (constant key, format). The first caller packs, the others
 * wait and get the same bytes; different weights are packed side by side. Reference-counted: the last put frees them. Key 0 is never shared.
 * Thread-safety: any thread.
 */
#ifndef OCT_KERNELS_CPU_PACK_CACHE_H
#define OCT_KERNELS_CPU_PACK_CACHE_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_pack_cache oct_pack_cache;

typedef struct oct_pack {
    void *data; /* 64-byte aligned; immutable once handed out */
    size_t bytes;
} oct_pack;

/* Fills `dst` (`bytes` long, uninitialised). */
typedef oct_status (*oct_pack_fn)(void *user, oct_ctx *ctx, void *dst);

/* `ctx` must outlive the cache; callers' contexts must be of its family. */
OCT_MUST_CHECK oct_status oct_pack_cache_new(oct_ctx *ctx, oct_pack_cache **out);
void oct_pack_cache_free(oct_pack_cache *c); /* asserts that nothing is out; NULL is allowed */

/* `format` identifies how the bytes are packed: equal format and key mean equal bytes. */
OCT_MUST_CHECK oct_status oct_pack_get(oct_pack_cache *c, oct_ctx *ctx, uint64_t key,
                                       uint64_t format, size_t bytes, oct_pack_fn fn, void *user,
                                       const oct_pack **out);
void oct_pack_put(oct_pack_cache *c, const oct_pack *p); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_PACK_CACHE_H */
