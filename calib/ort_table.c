/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration tables of ONNX Runtime's TensorRT execution provider: amax (not scale) of each
 * tensor as decimal text, in a flatbuffers file
 *
 *     table KeyValue { key: string; value: string; }
 *     table TrtTable { dict: [KeyValue]; }
 *     root_type TrtTable;
 *
 * or as text lines "name value". Both sorted by name, as its own writer does.
 *
 * What we write, all numbers u32/u16 little-endian, every table and string 4-aligned:
 *
 *     root offset | vtable T | table T | vtable K | dict vector | K tables | strings
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "calib/ranges_internal.h"

/* ---- sorted writing ---------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const oct_range *const *)a)->name, (*(const oct_range *const *)b)->name);
}

/* Entries to write in name order, oct_alloc()ed. */
static oct_status sorted_entries(oct_ctx *ctx, const oct_ranges *r, const oct_range ***list,
                                 size_t *n)
{
    const oct_range **all = oct_alloc_array(ctx, oct_ranges_count(r), sizeof *all);
    if (all == NULL)
        return OCT_ERR_NOMEM;
    *n = 0;
    for (size_t i = 0; i < oct_ranges_count(r); i++)
        if (oct_range_is_written(oct_ranges_at(r, i)))
            all[(*n)++] = oct_ranges_at(r, i);
    qsort(all, *n, sizeof *all, by_name);
    *list = all;
    return OCT_OK;
}

static oct_status add_value(oct_ranges *r, const char *name, size_t n_name, const char *value,
                            size_t n_value, uint32_t line, const char *text, size_t n_text)
{
    double v;
    if (n_name == 0 || memchr(name, '\0', n_name) != NULL || !oct_parse_f64(value, n_value, &v))
        return oct_ranges_add_unparsed(r, line, text, n_text);
    const float amax = (float)v;
    const oct_range e = {.scale = amax / 127.0f,
                         .amax = amax,
                         .line = line,
                         .text = oct_ranges_text(r, text, n_text)};
    return e.text != NULL ? oct_ranges_add(r, name, n_name, &e) : OCT_ERR_NOMEM;
}

/* ---- text -------------------------------------------------------------------------------- */

static oct_status parse_lines(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n)
{
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len;
    while (oct_lines_next(&lines, &line, &len)) {
        if (len == 0)
            continue;
        size_t cut = len; /* names may hold spaces: split at the last one */
        while (cut > 0 && line[cut - 1] != ' ')
            cut--;
        OCT_TRY(add_value(r, line, cut > 0 ? cut - 1 : 0, line + cut, len - cut, lines.number, line,
                          len));
    }
    return OCT_OK;
}

static oct_status render_text(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                              oct_strbuf *out)
{
    const oct_range **list;
    size_t n;
    OCT_TRY(sorted_entries(ctx, r, &list, &n));
    oct_status st = OCT_OK;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        st = oct_range_check_name(ctx, list[i]);
        oct_strbuf_addf(out, "%s ", list[i]->name);
        oct_strbuf_add_f32(out, list[i]->amax);
        oct_strbuf_add(out, "\n");
    }
    oct_free(ctx, list);
    return st;
}

/* "name number" lines are ncnn's as well: content alone cannot tell. */
static bool matches_text(const char *data, size_t n)
{
    return false;
}

const oct_cache_codec oct_codec_ort_text = {OCT_CACHE_ORT_TEXT, "ort-txt", parse_lines, render_text,
                                            matches_text};

/* ---- flatbuffers, reading ---------------------------------------------------------------- */

typedef struct flat {
    const uint8_t *data;
    size_t n;
} flat;

static bool get_u32(const flat *f, size_t at, uint32_t *v)
{
    if (f->n < 4 || at > f->n - 4)
        return false;
    const uint8_t *p = f->data + at;
    *v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return true;
}

static bool get_u16(const flat *f, size_t at, uint32_t *v)
{
    if (f->n < 2 || at > f->n - 2)
        return false;
    *v = (uint32_t)f->data[at] | (uint32_t)f->data[at + 1] << 8;
    return true;
}

/* Follows the offset stored at `at`. */
static bool follow(const flat *f, size_t at, size_t *target)
{
    uint32_t offset;
    return get_u32(f, at, &offset) && offset != 0 && oct_add_size(at, offset, target) &&
           *target < f->n;
}

/* Place of field number `field` of the table at `table`; false if absent or out of bounds. */
static bool find_field(const flat *f, size_t table, uint32_t field, size_t *at)
{
    uint32_t back, size, offset;
    if (!get_u32(f, table, &back))
        return false;
    const int64_t vtable = (int64_t)table - (int32_t)back;
    if (vtable < 0 || (uint64_t)vtable >= f->n || !get_u16(f, (size_t)vtable, &size) ||
        size < 4 + 2 * (field + 1) || !get_u16(f, (size_t)vtable + 4 + 2 * field, &offset) ||
        offset == 0)
        return false;
    *at = table + offset;
    return *at < f->n;
}

static bool get_string(const flat *f, size_t table, uint32_t field, const char **s, size_t *n)
{
    size_t at, target;
    uint32_t len;
    if (!find_field(f, table, field, &at) || !follow(f, at, &target) || !get_u32(f, target, &len) ||
        len > f->n - target - 4)
        return false;
    *s = (const char *)f->data + target + 4;
    *n = len;
    return true;
}

/* The vector of entries: its first element and length. */
static bool find_dict(const flat *f, size_t *first, uint32_t *count)
{
    size_t root, at, vector;
    if (!follow(f, 0, &root) || !find_field(f, root, 0, &at) || !follow(f, at, &vector) ||
        !get_u32(f, vector, count) || *count > (f->n - vector - 4) / 4)
        return false;
    *first = vector + 4;
    return true;
}

static oct_status parse_flat(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n)
{
    const flat f = {(const uint8_t *)data, n};
    size_t first;
    uint32_t count;
    if (!find_dict(&f, &first, &count))
        return oct_fail(ctx, OCT_ERR_FORMAT, "no flatbuffers table 'TrtTable' with a 'dict'");
    for (uint32_t i = 0; i < count; i++) {
        size_t entry, n_key, n_value;
        const char *key, *value;
        if (!follow(&f, first + 4 * (size_t)i, &entry) || !get_string(&f, entry, 0, &key, &n_key) ||
            !get_string(&f, entry, 1, &value, &n_value)) {
            OCT_TRY(oct_ranges_add_unparsed(r, i + 1, "entry outside the file", 22));
            continue;
        }
        OCT_TRY(add_value(r, key, n_key, value, n_value, i + 1, key, n_key));
    }
    return OCT_OK;
}

/* A plausible file: the first entry is whole. */
static bool matches_flat(const char *data, size_t n)
{
    const flat f = {(const uint8_t *)data, n};
    size_t first, entry, len;
    uint32_t count;
    const char *s;
    if (!find_dict(&f, &first, &count))
        return false;
    return count == 0 || (follow(&f, first, &entry) && get_string(&f, entry, 0, &s, &len) &&
                          get_string(&f, entry, 1, &s, &len));
}

/* ---- flatbuffers, writing ---------------------------------------------------------------- */

enum {
    VTABLE_T = 4,        /* after the root offset: 6 bytes and 2 of padding */
    TABLE_T = 12,        /* soffset, dict */
    VTABLE_K = 20,       /* 8 bytes */
    DICT = 28,           /* count, then one offset an entry */
    KEY_VALUE_BYTES = 12 /* soffset, key, value */
};

static void add_u32(oct_strbuf *b, size_t v)
{
    const char c[4] = {(char)(v & 0xff), (char)(v >> 8 & 0xff), (char)(v >> 16 & 0xff),
                       (char)(v >> 24 & 0xff)};
    oct_strbuf_add_n(b, c, 4);
}

static void add_u16(oct_strbuf *b, unsigned v)
{
    const char c[2] = {(char)(v & 0xff), (char)(v >> 8)};
    oct_strbuf_add_n(b, c, 2);
}

static size_t string_bytes(size_t len)
{
    return (4 + len + 1 + 3) / 4 * 4; /* length, text, NUL, padding */
}

static void add_string(oct_strbuf *b, const char *s)
{
    const size_t len = strlen(s);
    add_u32(b, len);
    oct_strbuf_add_n(b, s, len);
    oct_strbuf_add_n(b, "\0\0\0", string_bytes(len) - 4 - len);
}

static void add_tables(oct_strbuf *b)
{
    add_u32(b, TABLE_T);
    add_u16(b, 6), add_u16(b, 8), add_u16(b, 4), add_u16(b, 0); /* vtable T: dict at 4 */
    add_u32(b, TABLE_T - VTABLE_T);
    add_u32(b, DICT - (TABLE_T + 4));
    add_u16(b, 8), add_u16(b, KEY_VALUE_BYTES), add_u16(b, 4), add_u16(b, 8); /* vtable K */
}

static void add_dict(oct_strbuf *b, const oct_range *const *list, size_t n)
{
    char number[OCT_NUM_TEXT_BYTES];
    const size_t entries = DICT + 4 + 4 * n;
    add_u32(b, n);
    for (size_t i = 0; i < n; i++)
        add_u32(b, entries + i * KEY_VALUE_BYTES - (DICT + 4 + 4 * i));
    size_t text = entries + n * KEY_VALUE_BYTES;
    for (size_t i = 0; i < n; i++) {
        const size_t at = entries + i * KEY_VALUE_BYTES;
        const size_t value = text + string_bytes(strlen(list[i]->name));
        add_u32(b, at - VTABLE_K);
        add_u32(b, text - (at + 4));
        add_u32(b, value - (at + 8));
        text = value + string_bytes(strlen(oct_f32_text(list[i]->amax, number)));
    }
    for (size_t i = 0; i < n; i++) {
        add_string(b, list[i]->name);
        add_string(b, oct_f32_text(list[i]->amax, number));
    }
}

static oct_status render_flat(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                              oct_strbuf *out)
{
    const oct_range **list;
    size_t n;
    OCT_TRY(sorted_entries(ctx, r, &list, &n));
    add_tables(out);
    add_dict(out, list, n);
    oct_free(ctx, list);
    return OCT_OK;
}

const oct_cache_codec oct_codec_ort = {OCT_CACHE_ORT, "ort", parse_flat, render_flat, matches_flat};
