/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define MAX_COLUMNS 24

struct oct_table {
    oct_ctx *ctx;
    oct_strbuf text; /* cells, each ended by NUL; titles first */
    int n_columns, n_cells;
    bool right[MAX_COLUMNS];
    size_t width[MAX_COLUMNS]; /* characters */
};

static size_t text_width(const char *s)
{
    size_t n = 0, left = strlen(s);
    while (left > 0) {
        uint32_t c;
        const size_t len = oct_utf8_decode(s, left, &c);
        s += len ? len : 1;
        left -= len ? len : 1;
        n++;
    }
    return n;
}

static void add_cell(oct_table *t, const char *s)
{
    char clean[512];
    const int column = t->n_cells++ % t->n_columns;
    oct_printable(s, clean, sizeof clean);
    const size_t width = text_width(clean);
    if (width > t->width[column])
        t->width[column] = width;
    oct_strbuf_add_n(&t->text, clean, strlen(clean) + 1);
}

oct_status oct_table_new(oct_ctx *ctx, const char *columns, oct_table **out)
{
    oct_table *t = oct_zalloc(ctx, sizeof *t);
    *out = t;
    if (!t)
        return OCT_ERR_NOMEM;
    t->ctx = ctx;
    oct_strbuf_init(&t->text, ctx);
    for (const char *p = columns; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        assert(t->n_columns < MAX_COLUMNS);
        t->right[t->n_columns++] = *p == '>';
    }
    for (const char *p = columns; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        char title[128];
        const char *start = p + (*p == '>');
        snprintf(title, sizeof title, "%.*s", (int)strcspn(start, "|"), start);
        add_cell(t, title);
    }
    return OCT_OK;
}

void oct_table_free(oct_table *t)
{
    if (!t)
        return;
    oct_strbuf_deinit(&t->text);
    oct_free(t->ctx, t);
}

void oct_table_str(oct_table *t, const char *s)
{
    add_cell(t, s ? s : "-");
}

void oct_table_strf(oct_table *t, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add_cell(t, text);
}

void oct_table_s64(oct_table *t, int64_t v)
{
    oct_table_strf(t, "%lld", (long long)v);
}

void oct_table_fixed(oct_table *t, double v, int decimals)
{
    char text[OCT_NUM_TEXT_BYTES];
    add_cell(t, isnan(v) ? "-" : oct_fixed_text(v, decimals, text));
}

static void pad(oct_strbuf *b, size_t n)
{
    while (n-- > 0)
        oct_strbuf_add(b, " ");
}

oct_status oct_table_render(const oct_table *t, oct_strbuf *out)
{
    const char *cell = t->text.text;
    OCT_TRY(oct_strbuf_status(&t->text));
    assert(t->n_cells % t->n_columns == 0 && "the last row is not complete");
    for (int i = 0; i < t->n_cells; i++) {
        const int column = i % t->n_columns;
        const bool last = column == t->n_columns - 1;
        const size_t space = t->width[column] - text_width(cell);
        if (column > 0)
            pad(out, 2);
        if (t->right[column])
            pad(out, space);
        oct_strbuf_add(out, cell);
        if (!t->right[column] && !last)
            pad(out, space);
        if (last)
            oct_strbuf_add(out, "\n");
        cell += strlen(cell) + 1;
    }
    return oct_strbuf_status(out);
}
