/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report.h"

#include <math.h>
#include <stdio.h>

#include "reports/report_fields_internal.h"

/* What a new struct holds where 0 would say something. */
static void forget(const oct_report_struct *s, void *p)
{
    for (const oct_field *f = s->field; f->type != OCT_FIELD_END; f++) {
        void *at = oct_field_of(p, f->at);
        if (f->type == OCT_FIELD_F64)
            *(double *)at = NAN;
        else if (f->type == OCT_FIELD_S64)
            *(int64_t *)at = -1;
        else if (f->type == OCT_FIELD_INTERVAL)
            *(oct_report_interval *)at = (oct_report_interval){NAN, NAN};
    }
}

oct_status oct_report_new(oct_ctx *ctx, oct_report **out)
{
    oct_arena *arena;
    OCT_TRY(oct_arena_new(ctx, &arena));
    oct_report *r = oct_arena_zalloc(arena, sizeof *r);
    if (!r) {
        oct_arena_free(arena);
        return OCT_ERR_NOMEM;
    }
    forget(&oct_report_structs[OCT_REPORT_ROOT], r);
    r->ctx = ctx;
    r->arena = arena;
    *out = r;
    return OCT_OK;
}

void oct_report_free(oct_report *r)
{
    if (r)
        oct_arena_free(r->arena);
}

void *oct_report_array(oct_report *r, oct_report_kind kind, size_t n)
{
    const oct_report_struct *s = &oct_report_structs[kind];
    char *list = oct_arena_array(r->arena, n, s->bytes);
    for (size_t i = 0; list && i < n; i++)
        forget(s, list + i * s->bytes);
    return list;
}

uint64_t *oct_report_numbers(oct_report *r, size_t n)
{
    return oct_arena_array(r->arena, n, sizeof(uint64_t));
}

const char **oct_report_texts(oct_report *r, size_t n)
{
    return oct_arena_array(r->arena, n, sizeof(const char *));
}

const char *oct_report_text(oct_report *r, const char *s)
{
    return s ? oct_arena_strdup(r->arena, s) : NULL;
}

const char *oct_report_textf(oct_report *r, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : oct_arena_alloc(r->arena, (size_t)n + 1);
    if (text)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

static void base64(const uint8_t *in, size_t n, char *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        const uint32_t b = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
                           (i + 2 < n ? in[i + 2] : 0);
        *out++ = digit[b >> 18];
        *out++ = digit[b >> 12 & 63];
        *out++ = i + 1 < n ? digit[b >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digit[b & 63] : '=';
    }
    *out = '\0';
}

const char *oct_report_thumbnail(oct_report *r, const char *type, const void *data, size_t n)
{
    char head[40];
    const int used = snprintf(head, sizeof head, "%s;base64,", type);
    char *text = oct_arena_alloc(r->arena, (size_t)used + (n + 2) / 3 * 4 + 1);
    if (!text)
        return NULL;
    snprintf(text, sizeof head, "%s", head);
    base64(data, n, text + used);
    return text;
}
