/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/tensor.h"
#include "base/utf8.h"

void oct_json_init(oct_json *j, oct_strbuf *out, bool pretty)
{
    *j = (oct_json){.out = out, .pretty = pretty};
}

static void new_line(oct_json *j)
{
    if (!j->pretty)
        return;
    oct_strbuf_add(j->out, "\n");
    for (int i = 0; i < j->depth; i++)
        oct_strbuf_add(j->out, "  ");
}

/* Comma and indentation before an item; nothing after a key. */
static void item(oct_json *j)
{
    const uint64_t bit = UINT64_C(1) << j->depth;
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->has_item & bit)
        oct_strbuf_add(j->out, ",");
    j->has_item |= bit;
    if (j->depth > 0)
        new_line(j);
}

static void begin(oct_json *j, const char *bracket)
{
    item(j);
    oct_strbuf_add(j->out, bracket);
    j->depth++;
    assert(j->depth < 64);
    j->has_item &= ~(UINT64_C(1) << j->depth);
}

static void end(oct_json *j, const char *bracket)
{
    assert(j->depth > 0 && !j->after_key);
    const bool any = j->has_item >> j->depth & 1;
    j->depth--;
    if (any)
        new_line(j);
    oct_strbuf_add(j->out, bracket);
}

void oct_json_begin_object(oct_json *j)
{
    begin(j, "{");
}

void oct_json_end_object(oct_json *j)
{
    end(j, "}");
}

void oct_json_begin_array(oct_json *j)
{
    begin(j, "[");
}

void oct_json_end_array(oct_json *j)
{
    end(j, "]");
}

static void add_escaped(oct_strbuf *b, const char *s, size_t n, uint32_t c)
{
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *hit = n == 1 ? memchr(names, s[0], sizeof names - 1) : NULL;
    if (hit)
        oct_strbuf_addf(b, "\\%c", letters[hit - names]);
    else if (n == 0)
        oct_strbuf_add(b, "\\ufffd");
    else if (c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029)
        oct_strbuf_addf(b, "\\u%04x", (unsigned)c);
    else
        oct_strbuf_add_n(b, s, n);
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c >= 0x7f || c == '"' || c == '\\';
}

static void quoted(oct_strbuf *b, const char *s, size_t n)
{
    oct_strbuf_add(b, "\"");
    while (n > 0) {
        size_t plain = 0;
        while (plain < n && !needs_escape((unsigned char)s[plain]))
            plain++;
        oct_strbuf_add_n(b, s, plain);
        s += plain;
        n -= plain;
        if (n > 0) {
            uint32_t c = 0;
            const size_t len = oct_utf8_decode(s, n, &c);
            add_escaped(b, s, len, c);
            s += len ? len : 1;
            n -= len ? len : 1;
        }
    }
    oct_strbuf_add(b, "\"");
}

void oct_json_key(oct_json *j, const char *key)
{
    assert(!j->after_key);
    item(j);
    quoted(j->out, key, strlen(key));
    oct_strbuf_add(j->out, j->pretty ? ": " : ":");
    j->after_key = true;
}

void oct_json_string_n(oct_json *j, const char *s, size_t n)
{
    item(j);
    quoted(j->out, s, n);
}

void oct_json_string(oct_json *j, const char *s)
{
    if (s)
        oct_json_string_n(j, s, strlen(s));
    else
        oct_json_null(j);
}

void oct_json_s64(oct_json *j, int64_t v)
{
    item(j);
    oct_strbuf_addf(j->out, "%" PRId64, v);
}

void oct_json_u64(oct_json *j, uint64_t v)
{
    item(j);
    oct_strbuf_addf(j->out, "%" PRIu64, v);
}

void oct_json_f32(oct_json *j, float v)
{
    if (!isfinite(v)) {
        oct_json_null(j);
        return;
    }
    item(j);
    oct_strbuf_add_f32(j->out, v);
}

void oct_json_f64(oct_json *j, double v)
{
    if (!isfinite(v)) {
        oct_json_null(j);
        return;
    }
    item(j);
    oct_strbuf_add_f64(j->out, v);
}

void oct_json_bool(oct_json *j, bool v)
{
    item(j);
    oct_strbuf_add(j->out, v ? "true" : "false");
}

void oct_json_null(oct_json *j)
{
    item(j);
    oct_strbuf_add(j->out, "null");
}

void oct_json_kv_string(oct_json *j, const char *key, const char *s)
{
    oct_json_key(j, key);
    oct_json_string(j, s);
}

void oct_json_kv_s64(oct_json *j, const char *key, int64_t v)
{
    oct_json_key(j, key);
    oct_json_s64(j, v);
}

void oct_json_kv_u64(oct_json *j, const char *key, uint64_t v)
{
    oct_json_key(j, key);
    oct_json_u64(j, v);
}

void oct_json_kv_f32(oct_json *j, const char *key, float v)
{
    oct_json_key(j, key);
    oct_json_f32(j, v);
}

void oct_json_kv_f64(oct_json *j, const char *key, double v)
{
    oct_json_key(j, key);
    oct_json_f64(j, v);
}

void oct_json_kv_bool(oct_json *j, const char *key, bool v)
{
    oct_json_key(j, key);
    oct_json_bool(j, v);
}

void oct_json_kv_shape(oct_json *j, const char *key, const int64_t *dim, int n)
{
    oct_json_key(j, key);
    oct_json_begin_array(j);
    for (int i = 0; i < n; i++)
        oct_json_s64(j, oct_dim_is_symbol(dim[i]) ? -1 : dim[i]);
    oct_json_end_array(j);
}
