/* SPDX-License-Identifier: Apache-2.0
 *
 * Arena: many small blocks with one lifetime (a graph, a parsed file). Blocks are
 * carved from chunks taken from the context and go away together.
 * Thread-safety: none.
 */
#ifndef OCT_BASE_ARENA_H
#define OCT_BASE_ARENA_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_arena oct_arena;

OCT_MUST_CHECK oct_status oct_arena_new(oct_ctx *ctx, oct_arena **out);
void oct_arena_free(oct_arena *a); /* NULL is allowed */

/* 16-byte aligned (oct_arena_alloc_aligned: `align`, a power of two up to 64), not cleared
 * (zalloc: cleared); NULL with OCT_ERR_NOMEM recorded. Zero bytes give a valid pointer. */
void *oct_arena_alloc(oct_arena *a, size_t bytes);
void *oct_arena_zalloc(oct_arena *a, size_t bytes);
void *oct_arena_alloc_aligned(oct_arena *a, size_t bytes, size_t align);
void *oct_arena_array(oct_arena *a, size_t n, size_t elem_bytes); /* checked n * size, cleared */
void *oct_arena_copy(oct_arena *a, const void *src, size_t bytes);
char *oct_arena_strdup(oct_arena *a, const char *s);
char *oct_arena_strndup(oct_arena *a, const char *s, size_t n);
char *oct_arena_printf(oct_arena *a, const char *fmt, ...) OCT_PRINTF(2, 3);
size_t oct_arena_bytes(const oct_arena *a);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_ARENA_H */
