/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"

#define MAX_LABEL_FILE_BYTES ((size_t)256 << 20)
#define MAX_LABEL 10000000

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

bool oct_line_next(oct_line_reader *r, const char **line, size_t *len)
{
    while (r->at < r->end) {
        const char *start = r->at;
        const char *stop = memchr(start, '\n', (size_t)(r->end - start));
        stop = stop != NULL ? stop : r->end;
        r->at = stop < r->end ? stop + 1 : stop;
        r->number++;
        while (start < stop && is_blank(*start))
            start++;
        while (stop > start && is_blank(stop[-1]))
            stop--;
        if (start == stop || *start == '#')
            continue;
        *line = start;
        *len = (size_t)(stop - start);
        return true;
    }
    return false;
}

bool oct_line_split_label(const char *line, size_t len, size_t *path_len, int64_t *label)
{
    size_t word = len;
    while (word > 0 && !is_blank(line[word - 1]) && line[word - 1] != ',')
        word--;
    *path_len = len;
    if (word == 0 || !oct_parse_s64(line + word, len - word, label))
        return false;
    size_t n = word;
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    if (n > 0 && line[n - 1] == ',')
        n--;
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    *path_len = n;
    return n > 0;
}

/* A name of the data set, for binary search by path and by file name. */
typedef struct entry {
    const char *key;
    int64_t index;
} entry;

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int d = strcmp(x->key, y->key);
    return d != 0 ? d : (x->index > y->index) - (x->index < y->index);
}

static int64_t find(const entry *e, int64_t n, const char *key, bool *ambiguous)
{
    int64_t lo = 0, hi = n;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (strcmp(e[mid].key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || strcmp(e[lo].key, key) != 0)
        return -1;
    *ambiguous = lo + 1 < n && strcmp(e[lo + 1].key, key) == 0;
    return e[lo].index;
}

typedef struct parser {
    oct_ctx *ctx;
    const char *file;
    const oct_label_names *names;
    int32_t *label;
    entry *by_path, *by_name;
} parser;

static oct_status make_index(parser *p)
{
    const int64_t n = p->names->n;
    p->by_path = oct_alloc_array(p->ctx, (size_t)n, 2 * sizeof *p->by_path);
    if (p->by_path == NULL)
        return OCT_ERR_NOMEM;
    p->by_name = p->by_path + n;
    for (int64_t i = 0; i < n; i++) {
        const char *path = p->names->name(p->names->user, i);
        p->by_path[i] = (entry){path, i};
        p->by_name[i] = (entry){oct_path_name(path), i};
        p->label[i] = INT32_MIN;
    }
    qsort(p->by_path, (size_t)n, sizeof(entry), by_key);
    qsort(p->by_name, (size_t)n, sizeof(entry), by_key);
    return OCT_OK;
}

static oct_status bad_line(const parser *p, int64_t number, const char *expected)
{
    return oct_fail(p->ctx, OCT_ERR_FORMAT, "%s:%lld: expected %s", p->file, (long long)number,
                    expected);
}

/* "path label": by relative path first, then by file name. Pictures that are not in the data set
 * are no error: lists often cover more than a subset. */
static oct_status take_pair(parser *p, const char *line, size_t path_len, int64_t label,
                            int64_t number)
{
    char path[4096];
    bool ambiguous = false;
    if (path_len >= sizeof path)
        return bad_line(p, number, "a path below 4096 bytes");
    if (label < -MAX_LABEL || label > MAX_LABEL)
        return bad_line(p, number, "a label below ten million");
    memcpy(path, line, path_len);
    path[path_len] = '\0';
    const char *rel = strncmp(path, "./", 2) == 0 ? path + 2 : path;
    int64_t i = find(p->by_path, p->names->n, rel, &ambiguous);
    if (i < 0) {
        i = find(p->by_name, p->names->n, oct_path_name(path), &ambiguous);
        if (ambiguous)
            return bad_line(p, number, "a path: several pictures have this file name");
    }
    if (i < 0)
        return OCT_OK;
    if (p->label[i] != INT32_MIN && p->label[i] != (int32_t)label)
        return bad_line(p, number, "one label per picture; this one had another above");
    p->label[i] = (int32_t)label;
    return OCT_OK;
}

static oct_status all_labelled(const parser *p)
{
    int64_t missing = 0, first = -1;
    for (int64_t i = p->names->n - 1; i >= 0; i--)
        if (p->label[i] == INT32_MIN) {
            missing++;
            first = i;
        }
    if (missing == 0)
        return OCT_OK;
    return oct_fail(
        p->ctx, OCT_ERR_USAGE, "%s: no label for %lld of %lld pictures, the first is %s", p->file,
        (long long)missing, (long long)p->names->n, p->names->name(p->names->user, first));
}

static oct_status parse_lines(parser *p, const char *text, size_t n_bytes)
{
    oct_line_reader r = {text, text + n_bytes, 0};
    const char *line;
    size_t len, path_len;
    int64_t label, n_bare = 0;
    bool pairs = false;
    while (oct_line_next(&r, &line, &len)) {
        if (oct_line_split_label(line, len, &path_len, &label)) {
            pairs = true;
            OCT_TRY(take_pair(p, line, path_len, label, r.number));
        } else if (!pairs && oct_parse_s64(line, len, &label)) {
            if (label < -MAX_LABEL || label > MAX_LABEL)
                return bad_line(p, r.number, "a label below ten million");
            if (n_bare < p->names->n)
                p->label[n_bare] = (int32_t)label;
            n_bare++;
        } else {
            return bad_line(p, r.number, "\"path label\" or a label");
        }
    }
    if (!pairs && n_bare != p->names->n)
        return oct_fail(p->ctx, OCT_ERR_USAGE, "%s: %lld labels for %lld pictures", p->file,
                        (long long)n_bare, (long long)p->names->n);
    return all_labelled(p);
}

oct_status oct_labels_parse_list(oct_ctx *ctx, const char *file, const char *text, size_t n_bytes,
                                 const oct_label_names *names, int32_t *label)
{
    parser p = {.ctx = ctx, .file = file, .names = names, .label = label};
    oct_status st = make_index(&p);
    if (st == OCT_OK)
        st = parse_lines(&p, text, n_bytes);
    oct_free(ctx, p.by_path);
    return st;
}

/* Splits "GT,map=FILE" and reads both. */
static oct_status read_ilsvrc(oct_ctx *ctx, const char *spec, const oct_label_names *names,
                              int32_t *label)
{
    const char *comma = strstr(spec, ",map=");
    if (comma == NULL)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "--labels ilsvrc:GT,map=FILE: the map is needed, because ILSVRC's ids are "
                        "not in the order of torchvision's classes");
    char *gt = oct_strndup(ctx, spec, (size_t)(comma - spec));
    const char *map = comma + 5;
    uint8_t *text = NULL, *map_text = NULL;
    size_t n, map_n;
    oct_status st =
        gt == NULL ? OCT_ERR_NOMEM : oct_file_read(ctx, gt, MAX_LABEL_FILE_BYTES, &text, &n);
    if (st == OCT_OK)
        st = oct_file_read(ctx, map, MAX_LABEL_FILE_BYTES, &map_text, &map_n);
    if (st == OCT_OK)
        st = oct_labels_parse_ilsvrc(ctx, gt, (const char *)text, n, map, (const char *)map_text,
                                     map_n, names, label);
    oct_free(ctx, gt);
    oct_free(ctx, text);
    oct_free(ctx, map_text);
    return st;
}

static oct_status add_offset(oct_ctx *ctx, const char *spec, int offset,
                             const oct_label_names *names, int32_t *label)
{
    for (int64_t i = 0; i < names->n; i++) {
        label[i] += offset;
        if (label[i] < 0)
            return oct_fail(ctx, OCT_ERR_USAGE, "%s: class of %s is %d after --label-offset %d",
                            spec, names->name(names->user, i), label[i], offset);
    }
    return OCT_OK;
}

oct_status oct_labels_read(oct_ctx *ctx, const char *spec, int offset, const oct_label_names *names,
                           int32_t *label)
{
    if (strncmp(spec, "ilsvrc:", 7) == 0) {
        OCT_TRY(read_ilsvrc(ctx, spec + 7, names, label));
    } else {
        uint8_t *text;
        size_t n;
        OCT_TRY(oct_file_read(ctx, spec, MAX_LABEL_FILE_BYTES, &text, &n));
        const oct_status st = oct_labels_parse_list(ctx, spec, (const char *)text, n, names, label);
        oct_free(ctx, text);
        if (st != OCT_OK)
            return st;
    }
    return add_offset(ctx, spec, offset, names, label);
}
