/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing cache: how long each candidate of an operator took, so that candidates are timed once
 * and a build with the same cache makes the same choices. A time is found by three texts:
 *
 *     device   chip or processor, threads, libraries, and this program's kernels (plan_key.c)
 *     key      operator, attributes, operands and epilogue (plan_key.c)
 *     tactic   the candidate's name
 *
 * The file is text, one canonical form for equal contents whatever the order of timing:
 *
 *     octet timing cache 1 <xxh3-128 of everything behind this line>
 *     device <chip ...>; <kernels ...>
 *     op <key>
 *     <ns> <tactic>             "-" instead of a time: could not be prepared
 *
 * Sections of other devices are kept as they are. A section of this device for other kernels
 * (another octet) is left out when the file is written next. What is damaged is refused.
 *
 * Processes that share a file: who has something to time takes a lock on it, reads what others
 * added, times, writes a new file atomically and lets go. A complete cache is only read.
 *
 * Ownership: texts are copied. Thread-safety: none; one cache per engine, used under its lock.
 */
#ifndef OCT_ENGINE_TIMING_CACHE_H
#define OCT_ENGINE_TIMING_CACHE_H

#include "base/ctx.h"
#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_TIMING_FAILED UINT64_MAX /* could not be prepared or run out of memory */

typedef struct oct_timing_cache oct_timing_cache;

/* Reads `path` (NULL: a cache in memory only; copied). A file that is missing or empty is an empty
 * cache. OCT_ERR_FORMAT with the line where it is damaged, OCT_ERR_VERSION for another format. */
OCT_MUST_CHECK oct_status oct_timing_cache_open(oct_ctx *ctx, const char *path,
                                                oct_timing_cache **out);
/* Without writing; lets go of the lock. NULL is allowed. */
void oct_timing_cache_close(oct_timing_cache *tc);

/* The device that is going to be timed: its sections for other kernels (the part behind the last
 * ';' differs) are left out from now on. Says in the log when the file has nothing for it. Once. */
OCT_MUST_CHECK oct_status oct_timing_cache_use(oct_timing_cache *tc, oct_ctx *ctx,
                                               const char *device);

/* False when that candidate was never timed; *ns may be OCT_TIMING_FAILED. */
bool oct_timing_cache_find(const oct_timing_cache *tc, const char *device, const char *key,
                           const char *tactic, uint64_t *ns);
/* Adds or replaces. Texts are printable ASCII without line ends, as plan_key.c makes them. */
OCT_MUST_CHECK oct_status oct_timing_cache_add(oct_timing_cache *tc, oct_ctx *ctx,
                                               const char *device, const char *key,
                                               const char *tactic, uint64_t ns);
size_t oct_timing_cache_size(const oct_timing_cache *tc);

typedef struct oct_timing { /* texts are the cache's */
    const char *device, *key, *tactic;
    uint64_t ns;
} oct_timing;
/* Entry `i`, in the order of the file. */
oct_timing oct_timing_cache_at(const oct_timing_cache *tc, size_t i);
/* Whether a file starts like one; its first 64 bytes are enough. */
bool oct_timing_cache_is(const char *head, size_t n);

/* Before timing: waits for other processes that time into the same file, and reads what they left
 * there. Nothing to do for a cache in memory, or when it is held already. OCT_ERR_IO where the
 * file cannot be written, OCT_ERR_CANCELLED. */
OCT_MUST_CHECK oct_status oct_timing_cache_begin(oct_timing_cache *tc, oct_ctx *ctx);
/* After timing: writes the file if something was added since oct_timing_cache_begin(), and lets go of it. */
OCT_MUST_CHECK oct_status oct_timing_cache_end(oct_timing_cache *tc, oct_ctx *ctx);

/* Text as in a file, hostile; what it holds is added. `name` for messages. */
OCT_MUST_CHECK oct_status oct_timing_cache_parse(oct_timing_cache *tc, oct_ctx *ctx,
                                                 const char *text, size_t n, const char *name);
OCT_MUST_CHECK oct_status oct_timing_cache_render(const oct_timing_cache *tc, oct_strbuf *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_TIMING_CACHE_H */
