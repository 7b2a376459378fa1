/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/utf8.h"

void oct_strbuf_init(oct_strbuf *b, oct_ctx *ctx)
{
    *b = (oct_strbuf){.ctx = ctx};
}

void oct_strbuf_deinit(oct_strbuf *b)
{
    oct_free(b->ctx, b->text);
    *b = (oct_strbuf){.ctx = b->ctx};
}

void oct_strbuf_clear(oct_strbuf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->text)
        b->text[0] = '\0';
}

/* Room for `more` bytes and a NUL after `len`. */
static bool grow(oct_strbuf *b, size_t more)
{
    size_t need;
    if (b->failed)
        return false;
    if (!oct_add_size(b->len, more, &need) || !oct_add_size(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;
    const size_t cap = oct_max_size(need, oct_max_size(64, b->cap > SIZE_MAX / 2 ? 0 : b->cap * 2));
    char *text = oct_realloc(b->ctx, b->text, cap);
    if (!text) {
        b->failed = true;
        return false;
    }
    b->text = text;
    b->cap = cap;
    return true;
}

void oct_strbuf_add_n(oct_strbuf *b, const char *s, size_t n)
{
    if (!grow(b, n))
        return;
    if (n)
        memcpy(b->text + b->len, s, n);
    b->len += n;
    b->text[b->len] = '\0';
}

void oct_strbuf_add(oct_strbuf *b, const char *s)
{
    oct_strbuf_add_n(b, s, strlen(s));
}

void oct_strbuf_addf(oct_strbuf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);
    if (grow(b, (size_t)n)) {
        vsnprintf(b->text + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void oct_strbuf_add_f32(oct_strbuf *b, float v)
{
    char buf[OCT_NUM_TEXT_BYTES];
    oct_strbuf_add(b, oct_f32_text(v, buf));
}

void oct_strbuf_add_f64(oct_strbuf *b, double v)
{
    char buf[OCT_NUM_TEXT_BYTES];
    oct_strbuf_add(b, oct_f64_text(v, buf));
}

void oct_strbuf_add_fixed(oct_strbuf *b, double v, int decimals)
{
    char buf[OCT_NUM_TEXT_BYTES];
    oct_strbuf_add(b, oct_fixed_text(v, decimals, buf));
}

oct_status oct_strbuf_status(const oct_strbuf *b)
{
    return b->failed ? OCT_ERR_NOMEM : OCT_OK;
}

oct_status oct_strbuf_take(oct_strbuf *b, char **text)
{
    *text = NULL;
    if (!grow(b, 0))
        return OCT_ERR_NOMEM;
    b->text[b->len] = '\0';
    *text = b->text;
    *b = (oct_strbuf){.ctx = b->ctx};
    return OCT_OK;
}

/* Characters that move the cursor, hide text or turn its direction. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

const char *oct_printable(const char *s, char *buf, size_t cap)
{
    size_t left = strlen(s), at = 0;
    assert(cap > 0);
    while (left > 0) {
        uint32_t c = 0;
        const size_t n = oct_utf8_decode(s, left, &c);
        const bool keep = n > 0 && !is_unsafe(c);
        const size_t used = n > 0 ? n : 1;
        if (cap - at <= (keep ? used : 4 * used))
            break;
        for (size_t i = 0; i < used; i++) {
            if (keep)
                buf[at++] = s[i];
            else
                at += (size_t)snprintf(buf + at, cap - at, "\\x%02x", (unsigned char)s[i]);
        }
        s += used;
        left -= used;
    }
    buf[at] = '\0';
    return buf;
}
