/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/ranges.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/hash.h"
#include "calib/ranges_internal.h"

#define MAX_CACHE_BYTES ((size_t)256 << 20)
#define EMPTY UINT32_MAX

struct oct_ranges {
    oct_ctx *ctx;
    oct_arena *arena; /* names and texts */
    oct_range *item;
    uint32_t *slot; /* open addressing by name: index of the first entry of a name */
    size_t n, cap, n_slots;
    oct_cache_format format;
    const char *header, *source;
};

static const oct_cache_codec *const codecs[] = {&oct_codec_trt, &oct_codec_json, &oct_codec_ncnn,
                                                &oct_codec_ort, &oct_codec_ort_text};
#define N_CODECS (sizeof codecs / sizeof codecs[0])

static const oct_cache_codec *codec_of(oct_cache_format f)
{
    for (size_t i = 0; i < N_CODECS; i++)
        if (codecs[i]->format == f)
            return codecs[i];
    return NULL;
}

const char *oct_cache_format_str(oct_cache_format f)
{
    const oct_cache_codec *c = codec_of(f);
    return c != NULL ? c->name : "auto";
}

oct_status oct_cache_format_parse(oct_ctx *ctx, const char *text, oct_cache_format *out)
{
    for (size_t i = 0; i < N_CODECS; i++) {
        if (strcmp(codecs[i]->name, text) == 0) {
            *out = codecs[i]->format;
            return OCT_OK;
        }
    }
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "cache format '%s': expected trt, ort, ort-txt, ncnn or json", text);
}

oct_cache_format oct_cache_format_of_path(const char *path)
{
    static const struct {
        const char *ext;
        oct_cache_format format;
    } table[] = {
        {".cache", OCT_CACHE_TRT},       {".calib", OCT_CACHE_TRT},    {".trt", OCT_CACHE_TRT},
        {".flatbuffers", OCT_CACHE_ORT}, {".txt", OCT_CACHE_ORT_TEXT}, {".table", OCT_CACHE_NCNN},
        {".json", OCT_CACHE_JSON},
    };
    const char *ext = oct_path_ext(path);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].ext, ext) == 0)
            return table[i].format;
    return OCT_CACHE_AUTO;
}

oct_status oct_ranges_new(oct_ctx *ctx, oct_ranges **out)
{
    oct_ranges *r = oct_zalloc(ctx, sizeof *r);
    if (r == NULL)
        return OCT_ERR_NOMEM;
    r->ctx = ctx;
    r->header = r->source = "";
    const oct_status st = oct_arena_new(ctx, &r->arena);
    if (st != OCT_OK) {
        oct_free(ctx, r);
        return st;
    }
    *out = r;
    return OCT_OK;
}

void oct_ranges_free(oct_ranges *r)
{
    if (r == NULL)
        return;
    oct_arena_free(r->arena);
    oct_free(r->ctx, r->item);
    oct_free(r->ctx, r->slot);
    oct_free(r->ctx, r);
}

static size_t probe(const oct_ranges *r, const char *name)
{
    size_t s = (size_t)oct_xxh64_of(name, strlen(name)) & (r->n_slots - 1);
    while (r->slot[s] != EMPTY && strcmp(r->item[r->slot[s]].name, name) != 0)
        s = (s + 1) & (r->n_slots - 1);
    return s;
}

static bool has_name(const oct_range *e)
{
    return (e->flags & (OCT_RANGE_UNPARSED | OCT_RANGE_WEIGHTS)) == 0;
}

static oct_status grow_index(oct_ranges *r)
{
    const size_t n_slots = r->n_slots == 0 ? 256 : r->n_slots * 2;
    uint32_t *slot = oct_alloc_array(r->ctx, n_slots, sizeof *slot);
    if (slot == NULL)
        return OCT_ERR_NOMEM;
    memset(slot, 0xff, n_slots * sizeof *slot);
    oct_free(r->ctx, r->slot);
    r->slot = slot;
    r->n_slots = n_slots;
    for (size_t i = 0; i < r->n; i++) {
        if (!has_name(&r->item[i]))
            continue;
        const size_t s = probe(r, r->item[i].name);
        if (r->slot[s] == EMPTY)
            r->slot[s] = (uint32_t)i;
    }
    return OCT_OK;
}

static oct_status grow(oct_ranges *r)
{
    if (r->n == r->cap) {
        const size_t cap = r->cap == 0 ? 128 : r->cap * 2;
        size_t bytes;
        if (cap > UINT32_MAX / 4 || !oct_mul_size(cap, sizeof *r->item, &bytes))
            return oct_fail(r->ctx, OCT_ERR_LIMIT, "a cache of more than %zu entries", r->cap);
        oct_range *item = oct_realloc(r->ctx, r->item, bytes);
        if (item == NULL)
            return OCT_ERR_NOMEM;
        r->item = item;
        r->cap = cap;
    }
    return r->n * 2 >= r->n_slots ? grow_index(r) : OCT_OK;
}

static unsigned value_flags(float scale)
{
    if (isnan(scale))
        return OCT_RANGE_NAN;
    unsigned flags = signbit(scale) && scale != 0 ? OCT_RANGE_NEGATIVE : 0;
    if (isinf(scale))
        flags |= OCT_RANGE_INFINITE;
    else if (scale == 0)
        flags |= OCT_RANGE_ZERO;
    else if (fabsf(scale) < FLT_MIN)
        flags |= OCT_RANGE_SUBNORMAL;
    return flags;
}

oct_status oct_ranges_add(oct_ranges *r, const char *name, size_t n_name, const oct_range *proto)
{
    OCT_TRY(grow(r));
    oct_range e = *proto;
    e.name = oct_arena_strndup(r->arena, name, n_name);
    if (e.name == NULL)
        return OCT_ERR_NOMEM;
    if (!(e.flags & OCT_RANGE_UNPARSED))
        e.flags |= value_flags(e.scale);
    if (has_name(&e)) {
        const size_t s = probe(r, e.name);
        if (r->slot[s] == EMPTY)
            r->slot[s] = (uint32_t)r->n;
        else
            e.flags |=
                r->item[r->slot[s]].scale == e.scale ? OCT_RANGE_REPEATED : OCT_RANGE_CONFLICT;
    }
    r->item[r->n++] = e;
    return OCT_OK;
}

oct_status oct_ranges_add_scale(oct_ranges *r, const char *name, float scale)
{
    const oct_range e = {.scale = scale, .amax = scale * 127.0f};
    return oct_ranges_add(r, name, strlen(name), &e);
}

oct_status oct_ranges_add_amax(oct_ranges *r, const char *name, float amax)
{
    const oct_range e = {.scale = amax / 127.0f, .amax = amax};
    return oct_ranges_add(r, name, strlen(name), &e);
}

const char *oct_ranges_text(oct_ranges *r, const char *text, size_t n)
{
    return oct_arena_strndup(r->arena, text, n);
}

oct_status oct_ranges_add_unparsed(oct_ranges *r, uint32_t line, const char *text, size_t n)
{
    const oct_range e = {
        .flags = OCT_RANGE_UNPARSED, .line = line, .text = oct_ranges_text(r, text, n)};
    return e.text != NULL ? oct_ranges_add(r, "", 0, &e) : OCT_ERR_NOMEM;
}

size_t oct_ranges_count(const oct_ranges *r)
{
    return r->n;
}

const oct_range *oct_ranges_at(const oct_ranges *r, size_t i)
{
    return i < r->n ? &r->item[i] : NULL;
}

const oct_range *oct_ranges_find(const oct_ranges *r, const char *name)
{
    if (r->n_slots == 0)
        return NULL;
    const size_t s = probe(r, name);
    return r->slot[s] != EMPTY ? &r->item[r->slot[s]] : NULL;
}

oct_cache_format oct_ranges_format(const oct_ranges *r)
{
    return r->format;
}

const char *oct_ranges_header(const oct_ranges *r)
{
    return r->header;
}

const char *oct_ranges_source(const oct_ranges *r)
{
    return r->source;
}

oct_status oct_ranges_set_origin(oct_ranges *r, oct_cache_format f, const char *header,
                                 const char *source)
{
    const char *h = oct_arena_strdup(r->arena, header), *s = oct_arena_strdup(r->arena, source);
    if (h == NULL || s == NULL)
        return OCT_ERR_NOMEM;
    r->format = f;
    r->header = h;
    r->source = s;
    return OCT_OK;
}

/* ---- reading ----------------------------------------------------------------------------- */

bool oct_lines_next(oct_lines *l, const char **line, size_t *n)
{
    if (l->at >= l->end)
        return false;
    const char *eol = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const char *stop = eol != NULL ? eol : l->end;
    *line = l->at;
    *n = (size_t)(stop - l->at);
    if (*n > 0 && (*line)[*n - 1] == '\r')
        --*n;
    l->at = eol != NULL ? eol + 1 : l->end;
    l->number++;
    return true;
}

static const oct_cache_codec *guess(const char *data, size_t n, const char *source)
{
    for (size_t i = 0; i < N_CODECS; i++)
        if (codecs[i]->matches(data, n))
            return codecs[i];
    return codec_of(oct_cache_format_of_path(source));
}

static oct_status parse_text(oct_ctx *ctx, const char *data, size_t n, oct_cache_format f,
                             const char *source, oct_ranges **out)
{
    const oct_cache_codec *c = f == OCT_CACHE_AUTO ? guess(data, n, source) : codec_of(f);
    if (c == NULL)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "%s: neither content nor name says which kind of cache this is; say "
                        "--from trt, ort, ort-txt, ncnn or json",
                        source);
    oct_ranges *r;
    OCT_TRY(oct_ranges_new(ctx, &r));
    oct_status st = oct_ranges_set_origin(r, c->format, "", source);
    if (st == OCT_OK)
        st = c->parse(ctx, r, data, n);
    if (st != OCT_OK) {
        oct_ranges_free(r);
        return oct_fail_in(ctx, st, "%s", source);
    }
    *out = r;
    return OCT_OK;
}

oct_status oct_ranges_parse(oct_ctx *ctx, const void *data, size_t n_bytes, oct_cache_format f,
                            const char *source, oct_ranges **out)
{
    char *copy = oct_alloc(ctx, n_bytes + 1);
    if (copy == NULL)
        return OCT_ERR_NOMEM;
    if (n_bytes > 0)
        memcpy(copy, data, n_bytes);
    copy[n_bytes] = '\0';
    const oct_status st = parse_text(ctx, copy, n_bytes, f, source, out);
    oct_free(ctx, copy);
    return st;
}

oct_status oct_ranges_read(oct_ctx *ctx, const char *path, oct_cache_format f, oct_ranges **out)
{
    uint8_t *data = NULL;
    size_t n = 0;
    OCT_TRY(oct_file_read(ctx, path, MAX_CACHE_BYTES, &data, &n));
    const oct_status st = parse_text(ctx, (const char *)data, n, f, path, out);
    oct_free(ctx, data);
    return st;
}

/* ---- judging ----------------------------------------------------------------------------- */

const char *oct_range_flags_str(unsigned flags, char buf[OCT_RANGE_FLAGS_BYTES])
{
    static const struct {
        unsigned flag;
        const char *text;
    } table[] = {
        {OCT_RANGE_UNPARSED, "not understood"}, {OCT_RANGE_ZERO, "zero"},
        {OCT_RANGE_INFINITE, "infinite"},       {OCT_RANGE_NAN, "not a number"},
        {OCT_RANGE_NEGATIVE, "negative"},       {OCT_RANGE_SUBNORMAL, "subnormal"},
        {OCT_RANGE_REPEATED, "repeated"},       {OCT_RANGE_CONFLICT, "repeated with another scale"},
        {OCT_RANGE_WEIGHTS, "weights"},
    };
    size_t n = 0;
    buf[0] = '\0';
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!(flags & table[i].flag))
            continue;
        const int len =
            snprintf(buf + n, OCT_RANGE_FLAGS_BYTES - n, "%s%s", n > 0 ? ", " : "", table[i].text);
        n = oct_min_size(n + (size_t)len, OCT_RANGE_FLAGS_BYTES - 1);
    }
    return buf;
}

oct_status oct_ranges_check(oct_ctx *ctx, const oct_ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const oct_range *e = &r->item[i];
        if (!(e->flags & OCT_RANGE_UNUSABLE) || (e->flags & OCT_RANGE_WEIGHTS))
            continue;
        char why[OCT_RANGE_FLAGS_BYTES], shown[160];
        return oct_fail(ctx, OCT_ERR_RANGE, "%s: line %u: %s: '%s'; 'octet cache lint' lists all",
                        r->source, e->line, oct_range_flags_str(e->flags, why),
                        oct_printable(e->text != NULL ? e->text : e->name, shown, sizeof shown));
    }
    return OCT_OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

bool oct_range_is_written(const oct_range *e)
{
    return (e->flags & (OCT_RANGE_UNPARSED | OCT_RANGE_WEIGHTS | OCT_RANGE_REPEATED |
                        OCT_RANGE_CONFLICT)) == 0;
}

oct_status oct_range_check_name(oct_ctx *ctx, const oct_range *e)
{
    if (strpbrk(e->name, "\n\r") == NULL)
        return OCT_OK;
    char shown[160];
    return oct_fail(ctx, OCT_ERR_RANGE, "tensor '%s': a line break in its name fits no text cache",
                    oct_printable(e->name, shown, sizeof shown));
}

oct_status oct_ranges_render(oct_ctx *ctx, const oct_ranges *r, oct_cache_format f,
                             const oct_cache_write_options *opt, oct_strbuf *out)
{
    static const oct_cache_write_options none = {0};
    const oct_cache_codec *c = codec_of(f);
    if (c == NULL)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "which cache format to write is not said; expected "
                        "trt, ort, ort-txt, ncnn or json");
    OCT_TRY(c->render(ctx, r, opt != NULL ? opt : &none, out));
    return oct_strbuf_status(out);
}

oct_status oct_ranges_write(oct_ctx *ctx, const oct_ranges *r, oct_cache_format f,
                            const oct_cache_write_options *opt, const char *path, bool force)
{
    oct_strbuf b;
    oct_strbuf_init(&b, ctx);
    oct_status st = oct_ranges_render(ctx, r, f, opt, &b);
    if (st == OCT_OK)
        st = oct_file_write(ctx, path, b.text != NULL ? b.text : "", b.len, force);
    oct_strbuf_deinit(&b);
    return st;
}
