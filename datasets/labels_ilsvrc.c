/* SPDX-License-Identifier: Apache-2.0
 *
 * ILSVRC ground truth: line k of the validation file is the devkit's id (1..1000) of picture
 * ILSVRC2012_val_<k>. Frameworks number classes by sorted synset instead, so a map is needed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"
#include "datasets/labels.h"

#define MAX_ID 100000
#define SYNSET_BYTES 24

typedef struct synset {
    char name[SYNSET_BYTES];
    int64_t id;
} synset;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const synset *)a)->name, ((const synset *)b)->name);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

static size_t word(const char *line, size_t len)
{
    size_t n = 0;
    while (n < len && !blank(line[n]))
        n++;
    return n;
}

/* "id synset ..." or "synset ..." (then the line's number among the entries is the id). */
static bool parse_entry(const char *line, size_t len, int64_t n_before, synset *out)
{
    size_t n = word(line, len);
    out->id = n_before + 1;
    if (oct_parse_s64(line, n, &out->id)) {
        while (n < len && blank(line[n]))
            n++;
        line += n;
        len -= n;
        n = word(line, len);
    }
    if (n == 0 || n >= SYNSET_BYTES || out->id < 1 || out->id > MAX_ID)
        return false;
    memcpy(out->name, line, n);
    out->name[n] = '\0';
    return true;
}

/* class_of[id], -1 where the map has none. */
static oct_status read_map(oct_ctx *ctx, const char *file, const char *text, size_t n_bytes,
                           int32_t *class_of)
{
    oct_line_reader r = {text, text + n_bytes, 0};
    const char *line;
    size_t len;
    int64_t n = 0;
    synset *all = oct_alloc_array(ctx, MAX_ID, sizeof *all);
    if (all == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    while (st == OCT_OK && oct_line_next(&r, &line, &len)) {
        if (n == MAX_ID || !parse_entry(line, len, n, &all[n]))
            st = oct_fail(ctx, OCT_ERR_FORMAT, "%s:%lld: expected \"id synset\" or \"synset\"",
                          file, (long long)r.number);
        else
            n++;
    }
    qsort(all, (size_t)n, sizeof *all, by_name);
    for (int64_t i = 0; i <= MAX_ID; i++)
        class_of[i] = -1;
    for (int64_t i = 0; i < n && st == OCT_OK; i++) {
        if (class_of[all[i].id] >= 0 || (i > 0 && strcmp(all[i].name, all[i - 1].name) == 0))
            st = oct_fail(ctx, OCT_ERR_FORMAT, "%s: id %lld or synset %s occurs twice", file,
                          (long long)all[i].id, all[i].name);
        class_of[all[i].id] = (int32_t)i;
    }
    oct_free(ctx, all);
    return st;
}

/* The number before the extension: ILSVRC2012_val_00000293.JPEG -> 293. */
static bool picture_number(const char *path, int64_t *out)
{
    const char *name = oct_path_name(path);
    const size_t end = strlen(name) - strlen(oct_path_ext(name));
    size_t at = end;
    while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
        at--;
    return oct_parse_s64(name + at, end - at, out);
}

static oct_status read_ids(oct_ctx *ctx, const char *file, const char *text, size_t n_bytes,
                           int64_t **ids, int64_t *n_ids)
{
    oct_line_reader r = {text, text + n_bytes, 0};
    const char *line;
    size_t len;
    int64_t n = 0, *id = oct_alloc_array(ctx, n_bytes / 2 + 1, sizeof *id);
    if (id == NULL)
        return OCT_ERR_NOMEM;
    while (oct_line_next(&r, &line, &len))
        if (!oct_parse_s64(line, len, &id[n]) || id[n] < 1 || id[n] > MAX_ID) {
            oct_free(ctx, id);
            return oct_fail(ctx, OCT_ERR_FORMAT, "%s:%lld: expected an id from 1 to %d", file,
                            (long long)r.number, MAX_ID);
        } else {
            n++;
        }
    *ids = id;
    *n_ids = n;
    return OCT_OK;
}

oct_status oct_labels_parse_ilsvrc(oct_ctx *ctx, const char *file, const char *text, size_t n_bytes,
                                   const char *map_file, const char *map_text, size_t map_bytes,
                                   const oct_label_names *names, int32_t *label)
{
    int64_t *id = NULL, n_ids = 0;
    int32_t *class_of = oct_alloc_array(ctx, MAX_ID + 1, sizeof *class_of);
    if (class_of == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = read_map(ctx, map_file, map_text, map_bytes, class_of);
    if (st == OCT_OK)
        st = read_ids(ctx, file, text, n_bytes, &id, &n_ids);
    for (int64_t i = 0; i < names->n && st == OCT_OK; i++) {
        const char *name = names->name(names->user, i);
        int64_t k;
        if (!picture_number(name, &k) || k < 1 || k > n_ids)
            st = oct_fail(ctx, OCT_ERR_USAGE,
                          "%s: picture %s has no number between 1 and %lld in its name", file, name,
                          (long long)n_ids);
        else if (class_of[id[k - 1]] < 0)
            st = oct_fail(ctx, OCT_ERR_USAGE, "%s: no synset for id %lld", map_file,
                          (long long)id[k - 1]);
        else
            label[i] = class_of[id[k - 1]];
    }
    oct_free(ctx, id);
    oct_free(ctx, class_of);
    return st;
}
