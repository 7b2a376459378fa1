/* SPDX-License-Identifier: Apache-2.0
 *
 * Context: the only way the library reaches the outside world. It carries the
 * allocator, the log sink, the cancel flag and the error record of one line of
 * work. There is no global state.
 *
 * Ownership: a context is created by the program (or API caller) and outlives all
 * objects made with it. Thread-safety: one thread per context. A worker thread gets
 * its own with oct_ctx_fork(), which shares the environment but has its own error
 * record; oct_ctx_join() hands that record back.
 */
#ifndef OCT_BASE_CTX_H
#define OCT_BASE_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_ALIGN 64 /* every block from oct_alloc() starts on such a boundary */

/* Replaceable allocator; both functions must be thread-safe. `alloc` returns NULL
 * when it cannot serve, never aborts; `bytes` is > 0; result aligned to OCT_ALIGN. */
typedef struct oct_allocator {
    void *user;
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *p, size_t bytes); /* p != NULL; same bytes as at alloc */
} oct_allocator;

typedef enum oct_log_level {
    OCT_LOG_ERROR,
    OCT_LOG_WARN,
    OCT_LOG_INFO,
    OCT_LOG_DEBUG,
    OCT_LOG_COUNT,
} oct_log_level;

/* Log sink; must be thread-safe. `text` has no trailing newline. */
typedef struct oct_log_sink {
    void *user;
    void (*write)(void *user, oct_log_level level, const char *text);
    oct_log_level max_level; /* messages above are dropped before formatting */
} oct_log_sink;

/* Polled between units of work (an image, a layer); true means stop. Thread-safe. */
typedef struct oct_cancel {
    void *user;
    bool (*requested)(void *user);
} oct_cancel;

typedef struct oct_ctx_options {
    const oct_allocator *allocator; /* copied; NULL = malloc */
    const oct_log_sink *log;        /* copied; NULL = silent */
    const oct_cancel *cancel;       /* copied; NULL = never */
    size_t memory_limit_bytes;      /* 0 = none; above it allocations fail (ERR_LIMIT text) */
} oct_ctx_options;

/* `opt` may be NULL. Fails with OCT_ERR_NOMEM (there is no context to record it in). */
OCT_MUST_CHECK oct_status oct_ctx_new(const oct_ctx_options *opt, oct_ctx **out);
void oct_ctx_free(oct_ctx *ctx); /* NULL is allowed; asserts that no block leaks in debug builds */

/* Worker context: same allocator, log and cancel flag, its own error record. */
OCT_MUST_CHECK oct_status oct_ctx_fork(oct_ctx *parent, oct_ctx **out);
/* The same, but oct_check_cancel() of it never says stop: for work that must be finished once
 * begun (an image that is half counted). */
OCT_MUST_CHECK oct_status oct_ctx_fork_steady(oct_ctx *parent, oct_ctx **out);
/* Frees `child`. If it recorded an error and `parent` has none, the error moves over.
 * Join workers in index order and the lowest index wins. */
void oct_ctx_join(oct_ctx *parent, oct_ctx *child);

/* 64-byte aligned block of `bytes` (0 gives a valid one-byte block), or NULL with
 * OCT_ERR_NOMEM recorded. oct_zalloc() clears it; oct_alloc_array() checks n * size. */
void *oct_alloc(oct_ctx *ctx, size_t bytes);
void *oct_zalloc(oct_ctx *ctx, size_t bytes);
void *oct_alloc_array(oct_ctx *ctx, size_t n, size_t elem_bytes);
void *oct_zalloc_array(oct_ctx *ctx, size_t n, size_t elem_bytes);
/* Grows a block from one of the above (p may be NULL), keeping its contents; on failure
 * returns NULL and `p` stays valid. New bytes are not cleared. */
void *oct_realloc(oct_ctx *ctx, void *p, size_t new_bytes);
void oct_free(oct_ctx *ctx, void *p); /* NULL is allowed */
char *oct_strdup(oct_ctx *ctx, const char *s);
char *oct_strndup(oct_ctx *ctx, const char *s, size_t n);

/* Bytes in live blocks of the whole context family, and their peak so far. */
size_t oct_mem_now(const oct_ctx *ctx);
size_t oct_mem_peak(const oct_ctx *ctx);

void oct_log(oct_ctx *ctx, oct_log_level level, const char *fmt, ...) OCT_PRINTF(3, 4);

/* OCT_ERR_CANCELLED when the cancel callback says so, else OCT_OK. */
OCT_MUST_CHECK oct_status oct_check_cancel(oct_ctx *ctx);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_CTX_H */
