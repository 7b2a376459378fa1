/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/cache_tools.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/numeric.h"
#include "calib/ranges_internal.h"

/* ---- diff -------------------------------------------------------------------------------- */

static bool is_first_of_name(const oct_ranges *r, size_t i)
{
    const oct_range *e = oct_ranges_at(r, i);
    return !(e->flags & (OCT_RANGE_UNPARSED | OCT_RANGE_WEIGHTS)) &&
           oct_ranges_find(r, e->name) == e;
}

/* Missing ones first; then the larger change; then by name. */
static int by_change(const void *pa, const void *pb)
{
    const oct_cache_diff_row *a = pa, *b = pb;
    const bool whole_a = a->a != NULL && a->b != NULL, whole_b = b->a != NULL && b->b != NULL;
    if (whole_a != whole_b)
        return whole_a ? 1 : -1;
    const double x = isnan(a->ratio) ? INFINITY : fabs(log(a->ratio));
    const double y = isnan(b->ratio) ? INFINITY : fabs(log(b->ratio));
    if (whole_a && x != y)
        return x < y ? 1 : -1;
    return strcmp(a->name, b->name);
}

static void add_row(oct_cache_diff *d, const char *name, const oct_range *a, const oct_range *b)
{
    oct_cache_diff_row row = {name, a, b, NAN};
    if (a == NULL || b == NULL) {
        d->n_only_a += b == NULL;
        d->n_only_b += a == NULL;
        d->row[d->n++] = row;
        return;
    }
    if (oct_f32_bits(a->scale) == oct_f32_bits(b->scale)) {
        d->n_equal++;
        return;
    }
    const unsigned bad = OCT_RANGE_ZERO | OCT_RANGE_INFINITE | OCT_RANGE_NAN | OCT_RANGE_NEGATIVE;
    if (!((a->flags | b->flags) & bad)) {
        row.ratio = (double)b->scale / (double)a->scale;
        const double larger = row.ratio > 1 ? row.ratio : 1 / row.ratio;
        d->largest_ratio = larger > d->largest_ratio ? larger : d->largest_ratio;
    }
    d->row[d->n++] = row;
}

oct_status oct_cache_diff_of(oct_ctx *ctx, const oct_ranges *a, const oct_ranges *b,
                             oct_cache_diff *out)
{
    *out = (oct_cache_diff){.largest_ratio = 1};
    out->row = oct_alloc_array(ctx, oct_ranges_count(a) + oct_ranges_count(b), sizeof *out->row);
    if (out->row == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < oct_ranges_count(a); i++) {
        const oct_range *e = oct_ranges_at(a, i);
        if (is_first_of_name(a, i))
            add_row(out, e->name, e, oct_ranges_find(b, e->name));
    }
    for (size_t i = 0; i < oct_ranges_count(b); i++) {
        const oct_range *e = oct_ranges_at(b, i);
        if (is_first_of_name(b, i) && oct_ranges_find(a, e->name) == NULL)
            add_row(out, e->name, NULL, e);
    }
    if (out->n > 0)
        qsort(out->row, out->n, sizeof *out->row, by_change);
    return OCT_OK;
}

void oct_cache_diff_free(oct_ctx *ctx, oct_cache_diff *d)
{
    oct_free(ctx, d->row);
    *d = (oct_cache_diff){.largest_ratio = 1};
}

/* ---- filter, merge, rename --------------------------------------------------------------- */

static bool matches_any(const char *const *pattern, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (fnmatch(pattern[i], name, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

bool oct_name_filter_passes(const oct_name_filter *f, const char *name)
{
    return (f->n_include == 0 || matches_any(f->include, f->n_include, name)) &&
           !matches_any(f->exclude, f->n_exclude, name);
}

/* An empty table of the same kind and origin as `r`. */
static oct_status new_like(oct_ctx *ctx, const oct_ranges *r, oct_ranges **out)
{
    oct_ranges *fresh;
    OCT_TRY(oct_ranges_new(ctx, &fresh));
    const oct_status st = oct_ranges_set_origin(fresh, oct_ranges_format(r), oct_ranges_header(r),
                                                oct_ranges_source(r));
    if (st != OCT_OK) {
        oct_ranges_free(fresh);
        return st;
    }
    *out = fresh;
    return OCT_OK;
}

/* Adds a copy of `e` under `name`; flags about the name are found anew. */
static oct_status add_copy(oct_ranges *r, const oct_range *e, const char *name)
{
    oct_range copy = *e;
    copy.flags &= OCT_RANGE_UNPARSED | OCT_RANGE_WEIGHTS;
    if (e->text != NULL && (copy.text = oct_ranges_text(r, e->text, strlen(e->text))) == NULL)
        return OCT_ERR_NOMEM;
    return oct_ranges_add(r, name, strlen(name), &copy);
}

oct_status oct_cache_filter(oct_ctx *ctx, const oct_ranges *r, const oct_name_filter *f,
                            oct_ranges **out)
{
    oct_ranges *kept;
    OCT_TRY(new_like(ctx, r, &kept));
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        if (!oct_name_filter_passes(f, e->name))
            continue;
        const oct_status st = add_copy(kept, e, e->name);
        if (st != OCT_OK) {
            oct_ranges_free(kept);
            return st;
        }
    }
    *out = kept;
    return OCT_OK;
}

typedef struct name_pair {
    const char *from, *to;
} name_pair;

static int by_from(const void *a, const void *b)
{
    return strcmp(((const name_pair *)a)->from, ((const name_pair *)b)->from);
}

static oct_status sort_pairs(oct_ctx *ctx, const oct_rename_map *map, name_pair **out)
{
    name_pair *pair = oct_alloc_array(ctx, map->n, sizeof *pair);
    if (pair == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < map->n; i++)
        pair[i] = (name_pair){map->from[i], map->to[i]};
    if (map->n > 0)
        qsort(pair, map->n, sizeof *pair, by_from);
    *out = pair;
    return OCT_OK;
}

oct_status oct_cache_rename(oct_ctx *ctx, const oct_ranges *r, const oct_rename_map *map,
                            oct_ranges **out, size_t *n_renamed)
{
    name_pair *pair = NULL;
    oct_ranges *renamed = NULL;
    size_t n = 0;
    oct_status st = sort_pairs(ctx, map, &pair);
    if (st == OCT_OK)
        st = new_like(ctx, r, &renamed);
    for (size_t i = 0; st == OCT_OK && i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        const name_pair key = {e->name, NULL};
        const name_pair *hit =
            map->n > 0 ? bsearch(&key, pair, map->n, sizeof *pair, by_from) : NULL;
        n += hit != NULL;
        st = add_copy(renamed, e, hit != NULL ? hit->to : e->name);
    }
    oct_free(ctx, pair);
    if (st != OCT_OK) {
        oct_ranges_free(renamed);
        return st;
    }
    *out = renamed;
    if (n_renamed != NULL)
        *n_renamed = n;
    return OCT_OK;
}

typedef struct merge_item {
    const oct_range *e;
    size_t order; /* of the first appearance of the name */
} merge_item;

static int by_name_and_order(const void *pa, const void *pb)
{
    const merge_item *a = pa, *b = pb;
    const int c = strcmp(a->e->name, b->e->name);
    return c != 0 ? c : (a->order > b->order) - (a->order < b->order);
}

static int by_order(const void *pa, const void *pb)
{
    const merge_item *a = pa, *b = pb;
    return (a->order > b->order) - (a->order < b->order);
}

static size_t collect_usable(const oct_ranges *const *list, size_t n, merge_item *item)
{
    const unsigned bad = OCT_RANGE_UNUSABLE & ~(unsigned)OCT_RANGE_CONFLICT;
    size_t n_items = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < oct_ranges_count(list[i]); k++) {
            const oct_range *e = oct_ranges_at(list[i], k);
            if (!(e->flags & (bad | OCT_RANGE_WEIGHTS)))
                item[n_items++] = (merge_item){e, i * ((size_t)UINT32_MAX + 1) + k};
        }
    }
    return n_items;
}

/* Keeps one item a name, with the largest scale; returns how many. Disagreements are logged. */
static size_t keep_largest(oct_ctx *ctx, merge_item *item, size_t n, size_t *n_conflicts)
{
    size_t n_kept = 0;
    for (size_t lo = 0, hi; lo < n; lo = hi) {
        merge_item best = item[lo];
        bool differ = false;
        for (hi = lo + 1; hi < n && strcmp(item[hi].e->name, best.e->name) == 0; hi++) {
            differ = differ || item[hi].e->scale != item[lo].e->scale;
            if (item[hi].e->scale > best.e->scale)
                best.e = item[hi].e;
        }
        if (differ) {
            char shown[160], number[OCT_NUM_TEXT_BYTES];
            ++*n_conflicts;
            oct_log(ctx, OCT_LOG_WARN, "tensor '%s': scales differ, the largest (%s) is kept",
                    oct_printable(best.e->name, shown, sizeof shown),
                    oct_f32_text(best.e->scale, number));
        }
        item[n_kept++] = best;
    }
    return n_kept;
}

oct_status oct_cache_merge(oct_ctx *ctx, const oct_ranges *const *list, size_t n, oct_ranges **out,
                           size_t *n_conflicts)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += oct_ranges_count(list[i]);
    *n_conflicts = 0;
    merge_item *item = oct_alloc_array(ctx, total, sizeof *item);
    if (item == NULL)
        return OCT_ERR_NOMEM;
    size_t n_items = collect_usable(list, n, item);
    if (n_items > 0)
        qsort(item, n_items, sizeof *item, by_name_and_order);
    n_items = keep_largest(ctx, item, n_items, n_conflicts);
    if (n_items > 0)
        qsort(item, n_items, sizeof *item, by_order);
    oct_ranges *all = NULL;
    oct_status st = new_like(ctx, list[0], &all);
    for (size_t i = 0; st == OCT_OK && i < n_items; i++)
        st = add_copy(all, item[i].e, item[i].e->name);
    oct_free(ctx, item);
    if (st != OCT_OK) {
        oct_ranges_free(all);
        return st;
    }
    *out = all;
    return OCT_OK;
}

oct_status oct_cache_retarget(oct_ctx *ctx, const char *data, size_t n,
                              const oct_cache_write_options *opt, oct_strbuf *out)
{
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len;
    if (!oct_lines_next(&lines, &line, &len) || len < 4 || memcmp(line, "TRT-", 4) != 0)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "no TensorRT header (TRT-<version>-<algorithm>) in the first line");
    const char *dash = memchr(line + 4, '-', len - 4);
    if (opt->trt_algorithm == NULL && dash == NULL)
        return oct_fail(ctx, OCT_ERR_FORMAT, "the header names no algorithm; say --algorithm");
    oct_strbuf_add(out, "TRT-");
    if (opt->trt_version != 0)
        oct_strbuf_addf(out, "%u", opt->trt_version);
    else
        oct_strbuf_add_n(out, line + 4, (size_t)((dash != NULL ? dash : line + len) - line - 4));
    oct_strbuf_add(out, "-");
    if (opt->trt_algorithm != NULL)
        oct_strbuf_add(out, opt->trt_algorithm);
    else
        oct_strbuf_add_n(out, dash + 1, (size_t)(line + len - dash - 1));
    oct_strbuf_add_n(out, line + len, (size_t)(data + n - (line + len)));
    return oct_strbuf_status(out);
}
