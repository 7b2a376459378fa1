/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/html.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define DASH "\xe2\x80\x93"       /* en dash */
#define MINUS "\xe2\x88\x92"      /* minus sign */
#define THIN_SPACE "\xe2\x80\x89" /* between thousands */

static const char *escape_of(char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* One character that oct_printable() judges. */
static void add_char(oct_strbuf *b, const char *s, size_t n)
{
    char one[8], shown[32];
    memcpy(one, s, n);
    one[n] = '\0';
    oct_strbuf_add(b, oct_printable(one, shown, sizeof shown));
}

void oct_html_text(oct_strbuf *b, const char *s)
{
    size_t left = s ? strlen(s) : 0;
    while (left > 0) {
        uint32_t cp;
        const size_t len = oct_utf8_decode(s, left, &cp);
        const char *escape = escape_of(*s);
        if (escape)
            oct_strbuf_add(b, escape);
        else
            add_char(b, s, len ? len : 1);
        s += len ? len : 1;
        left -= len ? len : 1;
    }
}

static void add_number(oct_strbuf *b, double v, int decimals)
{
    char text[OCT_NUM_TEXT_BYTES];
    if (isnan(v)) {
        oct_strbuf_add(b, DASH);
    } else if (isinf(v)) {
        oct_strbuf_add(b, v > 0 ? "\xe2\x88\x9e" : MINUS "\xe2\x88\x9e");
    } else {
        oct_fixed_text(v, decimals, text);
        const bool zero = strspn(text, "-0.") == strlen(text);
        if (text[0] == '-' && !zero)
            oct_strbuf_add(b, MINUS);
        oct_strbuf_add(b, text + (text[0] == '-'));
    }
}

static void add_grouped(oct_strbuf *b, int64_t v)
{
    char digit[32];
    if (v == -1) {
        oct_strbuf_add(b, DASH);
        return;
    }
    const int n = snprintf(digit, sizeof digit, "%lld", (long long)v);
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digit[i - 1] != '-')
            oct_strbuf_add(b, THIN_SPACE);
        oct_strbuf_add_n(b, &digit[i], 1);
    }
}

static void add_bytes(oct_strbuf *b, int64_t v)
{
    static const struct {
        double size;
        const char *unit;
    } step[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        const double x = (double)v / step[i].size;
        if (x < 1)
            continue;
        add_number(b, x, x < 10 ? 2 : x < 100 ? 1 : 0);
        oct_strbuf_addf(b, " %s", step[i].unit);
        return;
    }
    add_grouped(b, v);
    if (v >= 0)
        oct_strbuf_add(b, " B");
}

static void add_directive(oct_strbuf *b, char what, va_list *args)
{
    if (what >= '0' && what <= '9')
        add_number(b, va_arg(*args, double), what - '0');
    else if (what == 'p')
        add_number(b, 100 * va_arg(*args, double), 2);
    else if (what == 't')
        oct_html_text(b, va_arg(*args, const char *));
    else if (what == 'r')
        oct_strbuf_add(b, va_arg(*args, const char *));
    else if (what == 'i')
        add_grouped(b, va_arg(*args, int64_t));
    else if (what == 'd')
        oct_strbuf_addf(b, "%lld", (long long)va_arg(*args, int64_t));
    else if (what == 'b')
        add_bytes(b, va_arg(*args, int64_t));
    else {
        assert(what == '$');
        oct_strbuf_add(b, "$");
    }
}

void oct_html_add(oct_strbuf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    for (const char *dollar; (dollar = strchr(fmt, '$')) != NULL; fmt = dollar + 2) {
        oct_strbuf_add_n(b, fmt, (size_t)(dollar - fmt));
        add_directive(b, dollar[1], &args);
    }
    oct_strbuf_add(b, fmt);
    va_end(args);
}
