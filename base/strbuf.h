/* SPDX-License-Identifier: Apache-2.0
 *
 * Growing text buffer and locale-independent number text. Floats are written with the
 * fewest digits that read back to the same value ("%.9g" / "%.17g" in the C locale);
 * nothing in the project uses printf's %f, %g or strtod directly, because they obey
 * the locale.
 * Ownership: `text` belongs to the buffer until oct_strbuf_take(). Thread-safety: none.
 */
#ifndef OCT_BASE_STRBUF_H
#define OCT_BASE_STRBUF_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_strbuf {
    oct_ctx *ctx;
    char *text; /* NUL-terminated once anything was added; NULL before */
    size_t len, cap;
    bool failed; /* an allocation failed; later additions are ignored */
} oct_strbuf;

void oct_strbuf_init(oct_strbuf *b, oct_ctx *ctx);
void oct_strbuf_deinit(oct_strbuf *b);
void oct_strbuf_clear(oct_strbuf *b); /* keeps the memory */
void oct_strbuf_add(oct_strbuf *b, const char *s);
void oct_strbuf_add_n(oct_strbuf *b, const char *s, size_t n);
void oct_strbuf_addf(oct_strbuf *b, const char *fmt, ...) OCT_PRINTF(2, 3); /* no %f/%g/%e */
void oct_strbuf_add_f32(oct_strbuf *b, float v);
void oct_strbuf_add_f64(oct_strbuf *b, double v);
void oct_strbuf_add_fixed(oct_strbuf *b, double v, int decimals); /* "12.34" */
/* OCT_ERR_NOMEM if any addition failed. */
OCT_MUST_CHECK oct_status oct_strbuf_status(const oct_strbuf *b);
/* Gives the text (never NULL on success) to the caller, who releases it with oct_free(). */
OCT_MUST_CHECK oct_status oct_strbuf_take(oct_strbuf *b, char **text);

#define OCT_NUM_TEXT_BYTES 40
/* Shortest round-trip text in `buf` (at least OCT_NUM_TEXT_BYTES); returns `buf`. "nan", "inf", "-inf". */
const char *oct_f32_text(float v, char *buf);
const char *oct_f64_text(double v, char *buf);
const char *oct_fixed_text(double v, int decimals, char *buf);

/* Parses all of `s` (length n) as a decimal or hex float / integer; false if anything is left
 * over, the text is empty or the value does not fit. C locale whatever setlocale() said. */
OCT_MUST_CHECK bool oct_parse_f64(const char *s, size_t n, double *out);
OCT_MUST_CHECK bool oct_parse_s64(const char *s, size_t n, int64_t *out);
OCT_MUST_CHECK bool oct_parse_u64(const char *s, size_t n, uint64_t *out);

/* Copies `s` into `buf` with control characters, ESC, bidi marks and invalid UTF-8 replaced
 * by \xHH, so that a hostile name cannot drive a terminal. Truncates; returns `buf`. */
const char *oct_printable(const char *s, char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_STRBUF_H */
