/* SPDX-License-Identifier: Apache-2.0
 *
 * Status codes and the error-propagation idiom used by every module.
 *
 * A function that can fail on its *input* (a file, a model, the device, memory)
 * returns oct_status and explains itself with oct_fail(). A function that can only
 * fail if the *caller* is wrong asserts instead and returns its value directly.
 *
 * The program's exit code follows from the status alone (third column).
 */
#ifndef OCT_BASE_STATUS_H
#define OCT_BASE_STATUS_H

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

/* name, code, exit code of the program, text */
#define OCT_STATUS_MAP(X)                                                 \
    X(OK, 0, 0, "ok")                                                     \
    X(ERR_NOMEM, -1, 6, "out of memory")                                  \
    X(ERR_IO, -2, 8, "input/output error")                                \
    X(ERR_FORMAT, -3, 4, "malformed file")                                \
    X(ERR_VERSION, -4, 4, "file version not supported")                   \
    X(ERR_UNSUPPORTED, -5, 5, "operator, attribute or model unsupported") \
    X(ERR_SHAPE, -6, 4, "tensor shapes do not agree")                     \
    X(ERR_RANGE, -7, 4, "value out of range")                             \
    X(ERR_STALE, -8, 4, "file does not belong to this model")             \
    X(ERR_DEVICE, -9, 7, "device error")                                  \
    X(ERR_USAGE, -10, 2, "invalid argument or configuration")             \
    X(ERR_NOT_FOUND, -11, 3, "input missing")                             \
    X(ERR_LIMIT, -12, 6, "limit exceeded")                                \
    X(ERR_GATE, -13, 1, "quality gate failed")                            \
    X(ERR_CANCELLED, -14, 130, "cancelled")                               \
    X(ERR_BUG, -15, 9, "internal error")

typedef enum oct_status {
#define X(name, code, exit_code, text) OCT_##name = code,
    OCT_STATUS_MAP(X)
#undef X
} oct_status;

#if defined(__GNUC__)
#define OCT_MUST_CHECK __attribute__((warn_unused_result))
#define OCT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define OCT_MUST_CHECK
#define OCT_PRINTF(fmt, args)
#endif

typedef struct oct_ctx oct_ctx;

/* Constant text for `st`, e.g. "malformed file". Never NULL. */
const char *oct_status_str(oct_status st);

/* Exit code of the program for `st` (DESIGN 9), 0..9 or 130. */
int oct_status_exit_code(oct_status st);

/* Records a message in `ctx` and returns `st`, so that the failing line reads
 *
 *     return oct_fail(ctx, OCT_ERR_FORMAT, "%s: bad magic at offset %zu", path, off);
 *
 * The first message wins: callers that add nothing just pass the status on.
 * Never allocates. Strings from files are made printable when shown, not here. */
oct_status oct_fail(oct_ctx *ctx, oct_status st, const char *fmt, ...) OCT_PRINTF(3, 4);
oct_status oct_vfail(oct_ctx *ctx, oct_status st, const char *fmt, va_list args);

/* Puts "prefix: " before the recorded message (for "model.onnx: ..." on the way up);
 * returns `st` unchanged. No effect when nothing is recorded. */
oct_status oct_fail_in(oct_ctx *ctx, oct_status st, const char *fmt, ...) OCT_PRINTF(3, 4);

/* The recorded message, "" if none; the recorded status. Valid until oct_error_clear(). */
const char *oct_error_text(const oct_ctx *ctx);
oct_status oct_error_status(const oct_ctx *ctx);
void oct_error_clear(oct_ctx *ctx);

/* Returns from the calling function when `expr` is not OCT_OK. Only for functions
 * with nothing to release; the others set `st` and `goto done`. */
#define OCT_TRY(expr)                \
    do {                             \
        oct_status try_st_ = (expr); \
        if (try_st_ != OCT_OK)       \
            return try_st_;          \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_STATUS_H */
