/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ctx.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/checked.h"

#define ERROR_BYTES 1024
#define LOG_BYTES 2048
#define HUGE_BYTES ((size_t)4 << 20) /* blocks from here on ask for huge pages */

/* What a family of contexts shares. */
typedef struct env {
    oct_allocator allocator;
    oct_log_sink log;
    oct_cancel cancel;
    size_t limit_bytes; /* SIZE_MAX = none */
    atomic_size_t now, peak;
} env;

struct oct_ctx {
    env *env;
    bool is_root;
    bool steady;       /* deaf to the cancel flag */
    oct_status status; /* of the recorded message */
    char text[ERROR_BYTES];
};

/* Stands in front of each block, OCT_ALIGN bytes long so that the block stays aligned. */
typedef struct block_head {
    size_t bytes; /* as asked for, at least 1 */
    size_t total; /* with this head */
} block_head;

static void *default_alloc(void *user, size_t bytes)
{
    (void)user;
    if (bytes > SIZE_MAX - OCT_ALIGN)
        return NULL;
    const size_t rounded = (bytes + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
    void *p = aligned_alloc(OCT_ALIGN, rounded);
#if defined(MADV_HUGEPAGE)
    /* Weights, files and arenas are filled whole: 4 KiB faults cost more than filling them. A refusal
     * changes nothing. */
    if (p && rounded >= HUGE_BYTES) {
        const uintptr_t lo = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
        (void)madvise((void *)lo, ((uintptr_t)p + rounded - lo) & ~(uintptr_t)4095, MADV_HUGEPAGE);
    }
#endif
    return p;
}

static void default_free(void *user, void *p, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(p);
}

oct_status oct_ctx_new(const oct_ctx_options *opt, oct_ctx **out)
{
    oct_allocator a = {NULL, default_alloc, default_free};
    if (opt && opt->allocator)
        a = *opt->allocator;
    *out = NULL;
    env *e = a.alloc(a.user, sizeof *e);
    if (!e)
        return OCT_ERR_NOMEM;
    oct_ctx *ctx = a.alloc(a.user, sizeof *ctx);
    if (!ctx) {
        a.free(a.user, e, sizeof *e);
        return OCT_ERR_NOMEM;
    }
    memset(e, 0, sizeof *e);
    memset(ctx, 0, sizeof *ctx);
    e->allocator = a;
    if (opt && opt->log)
        e->log = *opt->log;
    if (opt && opt->cancel)
        e->cancel = *opt->cancel;
    e->limit_bytes = opt && opt->memory_limit_bytes ? opt->memory_limit_bytes : SIZE_MAX;
    atomic_init(&e->now, 0);
    atomic_init(&e->peak, 0);
    ctx->env = e;
    ctx->is_root = true;
    *out = ctx;
    return OCT_OK;
}

void oct_ctx_free(oct_ctx *ctx)
{
    if (!ctx)
        return;
    assert(ctx->is_root && "worker contexts end with oct_ctx_join()");
    assert(atomic_load(&ctx->env->now) == 0 && "a block outlives its context");
    const oct_allocator a = ctx->env->allocator;
    a.free(a.user, ctx->env, sizeof *ctx->env);
    a.free(a.user, ctx, sizeof *ctx);
}

oct_status oct_ctx_fork(oct_ctx *parent, oct_ctx **out)
{
    const oct_allocator *a = &parent->env->allocator;
    oct_ctx *ctx = a->alloc(a->user, sizeof *ctx);
    *out = NULL;
    if (!ctx)
        return oct_fail(parent, OCT_ERR_NOMEM, "out of memory for a worker context");
    memset(ctx, 0, sizeof *ctx);
    ctx->env = parent->env;
    *out = ctx;
    return OCT_OK;
}

oct_status oct_ctx_fork_steady(oct_ctx *parent, oct_ctx **out)
{
    OCT_TRY(oct_ctx_fork(parent, out));
    (*out)->steady = true;
    return OCT_OK;
}

void oct_ctx_join(oct_ctx *parent, oct_ctx *child)
{
    if (!child)
        return;
    assert(!child->is_root && child->env == parent->env);
    if (child->status != OCT_OK && parent->status == OCT_OK) {
        parent->status = child->status;
        memcpy(parent->text, child->text, sizeof parent->text);
    }
    const oct_allocator *a = &parent->env->allocator;
    a->free(a->user, child, sizeof *child);
}

/* ---- errors ---------------------------------------------------------------------------- */

oct_status oct_vfail(oct_ctx *ctx, oct_status st, const char *fmt, va_list args)
{
    assert(st != OCT_OK);
    if (ctx->status != OCT_OK)
        return st;
    ctx->status = st;
    vsnprintf(ctx->text, sizeof ctx->text, fmt, args);
    return st;
}

oct_status oct_fail(oct_ctx *ctx, oct_status st, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    oct_vfail(ctx, st, fmt, args);
    va_end(args);
    return st;
}

oct_status oct_fail_in(oct_ctx *ctx, oct_status st, const char *fmt, ...)
{
    char old[ERROR_BYTES];
    if (ctx->status == OCT_OK)
        return st;
    memcpy(old, ctx->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(ctx->text, sizeof ctx->text, fmt, args);
    va_end(args);
    const size_t used = n < 0 ? 0 : oct_min_size((size_t)n, sizeof ctx->text - 1);
    snprintf(ctx->text + used, sizeof ctx->text - used, ": %s", old);
    return st;
}

const char *oct_error_text(const oct_ctx *ctx)
{
    return ctx->text;
}

oct_status oct_error_status(const oct_ctx *ctx)
{
    return ctx->status;
}

void oct_error_clear(oct_ctx *ctx)
{
    ctx->status = OCT_OK;
    ctx->text[0] = '\0';
}

/* ---- memory ---------------------------------------------------------------------------- */

/* Books `total` bytes; false when that would pass the limit. */
static bool reserve(env *e, size_t total)
{
    size_t now = atomic_load_explicit(&e->now, memory_order_relaxed);
    do {
        if (total > e->limit_bytes || now > e->limit_bytes - total)
            return false;
    } while (!atomic_compare_exchange_weak(&e->now, &now, now + total));
    size_t peak = atomic_load_explicit(&e->peak, memory_order_relaxed);
    while (now + total > peak && !atomic_compare_exchange_weak(&e->peak, &peak, now + total))
        ;
    return true;
}

static block_head *head_of(void *p)
{
    return (block_head *)((char *)p - OCT_ALIGN);
}

void *oct_alloc(oct_ctx *ctx, size_t bytes)
{
    env *e = ctx->env;
    size_t total;
    if (bytes == 0)
        bytes = 1;
    if (!oct_add_size(bytes, OCT_ALIGN, &total)) {
        oct_fail(ctx, OCT_ERR_NOMEM, "out of memory: %zu bytes asked for", bytes);
        return NULL;
    }
    if (!reserve(e, total)) {
        oct_fail(ctx, OCT_ERR_LIMIT, "memory limit of %zu bytes reached: %zu in use, %zu asked for",
                 e->limit_bytes, atomic_load(&e->now), bytes);
        return NULL;
    }
    block_head *head = e->allocator.alloc(e->allocator.user, total);
    if (!head) {
        atomic_fetch_sub(&e->now, total);
        oct_fail(ctx, OCT_ERR_NOMEM, "out of memory: %zu bytes asked for", bytes);
        return NULL;
    }
    head->bytes = bytes;
    head->total = total;
    return (char *)head + OCT_ALIGN;
}

void oct_free(oct_ctx *ctx, void *p)
{
    if (!p)
        return;
    env *e = ctx->env;
    block_head *head = head_of(p);
    const size_t total = head->total;
    assert(total == head->bytes + OCT_ALIGN && "not a block of oct_alloc(), or written past");
    e->allocator.free(e->allocator.user, head, total);
    atomic_fetch_sub(&e->now, total);
}

void *oct_zalloc(oct_ctx *ctx, size_t bytes)
{
    void *p = oct_alloc(ctx, bytes);
    if (p)
        memset(p, 0, bytes ? bytes : 1);
    return p;
}

void *oct_alloc_array(oct_ctx *ctx, size_t n, size_t elem_bytes)
{
    size_t bytes;
    if (!oct_mul_size(n, elem_bytes, &bytes)) {
        oct_fail(ctx, OCT_ERR_NOMEM, "out of memory: %zu x %zu bytes asked for", n, elem_bytes);
        return NULL;
    }
    return oct_alloc(ctx, bytes);
}

void *oct_zalloc_array(oct_ctx *ctx, size_t n, size_t elem_bytes)
{
    void *p = oct_alloc_array(ctx, n, elem_bytes);
    if (p)
        memset(p, 0, n * elem_bytes);
    return p;
}

void *oct_realloc(oct_ctx *ctx, void *p, size_t new_bytes)
{
    void *q = oct_alloc(ctx, new_bytes);
    if (!q || !p)
        return q;
    memcpy(q, p, oct_min_size(head_of(p)->bytes, new_bytes));
    oct_free(ctx, p);
    return q;
}

char *oct_strndup(oct_ctx *ctx, const char *s, size_t n)
{
    const size_t len = strnlen(s, n);
    char *p = oct_alloc(ctx, len + 1);
    if (p) {
        memcpy(p, s, len);
        p[len] = '\0';
    }
    return p;
}

char *oct_strdup(oct_ctx *ctx, const char *s)
{
    return oct_strndup(ctx, s, strlen(s));
}

size_t oct_mem_now(const oct_ctx *ctx)
{
    return atomic_load(&ctx->env->now);
}

size_t oct_mem_peak(const oct_ctx *ctx)
{
    return atomic_load(&ctx->env->peak);
}

/* ---- log and cancel -------------------------------------------------------------------- */

void oct_log(oct_ctx *ctx, oct_log_level level, const char *fmt, ...)
{
    const oct_log_sink *log = &ctx->env->log;
    char text[LOG_BYTES];
    if (!log->write || level > log->max_level)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log->write(log->user, level, text);
}

oct_status oct_check_cancel(oct_ctx *ctx)
{
    const oct_cancel *c = &ctx->env->cancel;
    if (!ctx->steady && c->requested && c->requested(c->user))
        return oct_fail(ctx, OCT_ERR_CANCELLED, "cancelled");
    return OCT_OK;
}
