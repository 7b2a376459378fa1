/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of the public API that belongs to base: version, status, context, tensors. An
 * octet_ctx is an oct_ctx with the caller's callbacks beside it (see base/api.h).
 */
#include "base/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "base/checked.h"
#include "base/parallel.h"

/* One numbering for both: a cast translates. */
#define X(name, code, exit_code, text) \
    _Static_assert((int)OCTET_##name == (int)OCT_##name, "status codes differ");
OCT_STATUS_MAP(X)
#undef X
#define X(name, code, bytes, text) \
    _Static_assert((int)OCTET_DTYPE_##name == (int)OCT_DT_##name, "dtype codes differ");
OCT_DTYPE_MAP(X)
#undef X
_Static_assert((int)OCTET_LOG_DEBUG == (int)OCT_LOG_DEBUG, "log levels differ");
_Static_assert(OCTET_MAX_DIMS == OCT_MAX_DIMS, "ranks differ");

const char *octet_version(void)
{
    return OCT_VERSION;
}

const char *octet_status_str(octet_status st)
{
    return oct_status_str((oct_status)st);
}

/* ---- context ---------------------------------------------------------------------------- */

struct octet_ctx {
    oct_ctx *ctx;
    octet_ctx_options opt;
};

oct_ctx *oct_api_ctx(octet_ctx *ctx)
{
    return ctx->ctx;
}

static void *call_alloc(void *user, size_t bytes)
{
    const octet_ctx *c = user;
    return c->opt.alloc(c->opt.user, bytes);
}

static void call_free(void *user, void *p, size_t bytes)
{
    const octet_ctx *c = user;
    c->opt.free(c->opt.user, p, bytes);
}

static void call_log(void *user, oct_log_level level, const char *text)
{
    const octet_ctx *c = user;
    c->opt.log(c->opt.user, (octet_log_level)level, text);
}

static bool call_cancelled(void *user)
{
    const octet_ctx *c = user;
    return c->opt.cancelled(c->opt.user) != 0;
}

oct_status oct_api_copy_options(void *dst, size_t dst_bytes, const void *src)
{
    size_t n = 0;
    memset(dst, 0, dst_bytes);
    if (!src)
        return OCT_OK;
    memcpy(&n, src, sizeof n);
    if (n < sizeof n)
        return OCT_ERR_USAGE;
    /* fields that a newer caller set and this library does not know must be at their default */
    for (size_t i = dst_bytes; i < n; i++) {
        if (((const unsigned char *)src)[i] != 0)
            return OCT_ERR_USAGE;
    }
    memcpy(dst, src, oct_min_size(n, dst_bytes));
    return OCT_OK;
}

octet_status octet_ctx_new(const octet_ctx_options *options, octet_ctx **out)
{
    octet_ctx_options opt;
    if (oct_api_copy_options(&opt, sizeof opt, options) != OCT_OK || !opt.alloc != !opt.free)
        return OCTET_ERR_USAGE;
    octet_ctx *c = malloc(sizeof *c); /* lint: allow malloc: there is no context yet */
    if (!c)
        return OCTET_ERR_NOMEM;
    c->opt = opt;
    const oct_allocator allocator = {c, call_alloc, call_free};
    const oct_log_sink log = {c, call_log, (oct_log_level)opt.log_level};
    const oct_cancel cancel = {c, call_cancelled};
    const oct_ctx_options inner = {
        .allocator = opt.alloc ? &allocator : NULL,
        .log = opt.log ? &log : NULL,
        .cancel = opt.cancelled ? &cancel : NULL,
        .memory_limit_bytes = opt.memory_limit_bytes,
    };
    const oct_status st = oct_ctx_new(&inner, &c->ctx);
    if (st != OCT_OK) {
        free(c);
        return (octet_status)st;
    }
    *out = c;
    return OCTET_OK;
}

void octet_ctx_free(octet_ctx *ctx)
{
    if (!ctx)
        return;
    oct_ctx_free(ctx->ctx);
    free(ctx);
}

const char *octet_error_text(const octet_ctx *ctx)
{
    return oct_error_text(ctx->ctx);
}

octet_status octet_error_status(const octet_ctx *ctx)
{
    return (octet_status)oct_error_status(ctx->ctx);
}

void octet_error_clear(octet_ctx *ctx)
{
    oct_error_clear(ctx->ctx);
}

size_t octet_memory_now(const octet_ctx *ctx)
{
    return oct_mem_now(ctx->ctx);
}

size_t octet_memory_peak(const octet_ctx *ctx)
{
    return oct_mem_peak(ctx->ctx);
}

int octet_cpu_count(void)
{
    return oct_cpu_count();
}

/* ---- tensors ---------------------------------------------------------------------------- */

size_t octet_dtype_bytes(octet_dtype dt)
{
    return oct_dtype_bytes((oct_dtype)dt);
}

const char *octet_dtype_str(octet_dtype dt)
{
    return oct_dtype_str((oct_dtype)dt);
}

oct_status oct_api_tensor(oct_ctx *ctx, const char *what, const octet_tensor *in, oct_tensor *out)
{
    oct_shape shape = {.n_dims = in->n_dims};
    size_t bytes;
    if (in->n_dims < 0 || in->n_dims > OCT_MAX_DIMS)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: %d dimensions, expected 0..%d", what, in->n_dims,
                        OCT_MAX_DIMS);
    if (oct_dtype_bytes((oct_dtype)in->dtype) == 0)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: unknown element type %d", what, (int)in->dtype);
    memcpy(shape.dim, in->dim, (size_t)in->n_dims * sizeof shape.dim[0]);
    const oct_tensor_desc d = oct_tensor_desc_make((oct_dtype)in->dtype, shape, OCT_LAYOUT_ROW);
    if (!oct_tensor_desc_bytes(&d, &bytes))
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: negative or too large dimensions", what);
    if (bytes > 0 && !in->data)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: no data", what);
    *out = (oct_tensor){.desc = d, .data = in->data};
    return OCT_OK;
}

size_t octet_tensor_bytes(const octet_tensor *t)
{
    size_t bytes;
    oct_shape shape = {.n_dims = t->n_dims};
    if (t->n_dims < 0 || t->n_dims > OCT_MAX_DIMS)
        return 0;
    memcpy(shape.dim, t->dim, (size_t)t->n_dims * sizeof shape.dim[0]);
    const oct_tensor_desc d = oct_tensor_desc_make((oct_dtype)t->dtype, shape, OCT_LAYOUT_ROW);
    return oct_tensor_desc_bytes(&d, &bytes) ? bytes : 0;
}

void oct_api_tensor_out(const oct_tensor *in, octet_tensor *out)
{
    *out = (octet_tensor){
        .dtype = (octet_dtype)in->desc.dtype, .n_dims = in->desc.shape.n_dims, .data = in->data};
    memcpy(out->dim, in->desc.shape.dim, (size_t)out->n_dims * sizeof out->dim[0]);
}
