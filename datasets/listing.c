/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "datasets/batch_buffer.h"
#include "datasets/loader.h"

typedef struct lister {
    oct_source *source;
    oct_listing *out;
    int n_workers;
} lister;

/* Room for one row of every fed input, for sources that only identify what they load. */
static oct_status make_rows(oct_ctx *ctx, const oct_source *s, void **dst)
{
    for (int k = 0; k < s->n_inputs; k++) {
        size_t n;
        if (s->row[k].n_dims < 0)
            continue;
        if (!oct_shape_elems(&s->row[k], &n))
            return oct_fail(ctx, OCT_ERR_RANGE, "a row of input %d overflows", k);
        dst[k] = oct_alloc_array(ctx, n + OCT_IMAGE_SLACK_BYTES, sizeof(double));
        if (dst[k] == NULL)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

static oct_status identify(const lister *w, oct_ctx *ctx, oct_load_scratch *scratch, void **dst,
                           oct_listing_item *item)
{
    oct_sample sample = {.index = item->index};
    oct_source *s = w->source;
    char name[OCT_SAMPLE_NAME_BYTES];
    sample.name = s->vt->name(s, item->index, name);
    const oct_status st = s->vt->identify != NULL
                              ? s->vt->identify(s, ctx, scratch, item->index, &sample.id)
                              : s->vt->load(s, ctx, scratch, item->index, dst, &sample);
    item->readable = st == OCT_OK;
    if (item->readable)
        item->id = sample.id;
    if (st != OCT_OK && st != OCT_ERR_NOMEM && st != OCT_ERR_CANCELLED) {
        oct_error_clear(ctx);
        return OCT_OK;
    }
    return st;
}

static oct_status list_some(void *user, oct_ctx *ctx, int worker)
{
    const lister *w = user;
    const oct_source *s = w->source;
    oct_load_scratch scratch = {0};
    void **dst = oct_zalloc_array(ctx, (size_t)s->n_inputs + 1, sizeof *dst);
    oct_status st = dst != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK && s->vt->identify == NULL)
        st = make_rows(ctx, s, dst);
    for (size_t i = (size_t)worker; st == OCT_OK && i < w->out->n; i += (size_t)w->n_workers) {
        st = identify(w, ctx, &scratch, dst, &w->out->item[i]);
        if (st == OCT_OK)
            st = oct_check_cancel(ctx);
    }
    for (int k = 0; dst != NULL && k < s->n_inputs; k++)
        oct_free(ctx, dst[k]);
    oct_free(ctx, dst);
    oct_load_scratch_deinit(ctx, &scratch);
    return st;
}

oct_status oct_listing_make(oct_ctx *ctx, const oct_batch_source *s, int n_workers,
                            oct_listing *out)
{
    int64_t n;
    const int64_t *order = oct_loader_order(s, &n);
    oct_source *source = oct_loader_source_mutable(s);
    *out = (oct_listing){.ctx = ctx};
    out->item = oct_zalloc_array(ctx, (size_t)n, sizeof *out->item);
    if (out->item == NULL)
        return OCT_ERR_NOMEM;
    out->n = (size_t)n;
    for (size_t i = 0; i < out->n; i++) {
        out->item[i].index = order[i];
        out->item[i].label = source->label != NULL ? source->label[order[i]] : OCT_LABEL_NONE;
    }
    lister w = {source, out, n_workers > 0 ? n_workers : 1};
    return oct_run_workers(ctx, w.n_workers, 1, list_some, &w);
}

void oct_listing_deinit(oct_listing *l)
{
    if (l->ctx != NULL)
        oct_free(l->ctx, l->item);
    *l = (oct_listing){0};
}

/* ---- rules ------------------------------------------------------------------------------- */

uint64_t oct_listing_key(const oct_sha256 *id)
{
    uint64_t key = 0;
    for (int i = 16; i < 24; i++) /* folds look at byte 0 */
        key = key << 8 | id->byte[i];
    return key;
}

bool oct_listing_calibrates(const oct_sha256 *id)
{
    return oct_listing_key(id) % OCT_LISTING_SPLIT == 0;
}

static int by_id(const void *a, const void *b)
{
    const oct_listing_item *x = a, *y = b;
    const int c = oct_sha256_cmp(&x->id, &y->id);
    return c != 0 ? c : (x->index > y->index) - (x->index < y->index);
}

void oct_listing_sort(oct_listing *l)
{
    qsort(l->item, l->n, sizeof *l->item, by_id);
}

bool oct_listing_has(const oct_listing *sorted, const oct_sha256 *id)
{
    size_t lo = 0, hi = sorted->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (oct_sha256_cmp(&sorted->item[mid].id, id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sorted->n && sorted->item[lo].readable &&
           oct_sha256_cmp(&sorted->item[lo].id, id) == 0;
}

typedef struct keyed {
    uint64_t key;
    const oct_sha256 *id;
    size_t at;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    const int c = oct_sha256_cmp(x->id, y->id);
    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

oct_status oct_listing_hold_back(const oct_listing *l, size_t n_wanted, bool *held, size_t *n_held)
{
    keyed *list = oct_alloc_array(l->ctx, l->n, sizeof *list);
    size_t n = 0, end = 0;
    if (list == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < l->n; i++) {
        held[i] = false;
        if (l->item[i].readable)
            list[n++] = (keyed){oct_listing_key(&l->item[i].id), &l->item[i].id, i};
    }
    qsort(list, n, sizeof *list, by_key);
    while (end < n && end < n_wanted) { /* whole groups of equal pictures, as far as they fit */
        size_t next = end + 1;
        while (next < n && oct_sha256_cmp(list[next].id, list[end].id) == 0)
            next++;
        if (next == n) /* the last one stays */
            break;
        end = next;
    }
    for (size_t i = 0; i < end; i++)
        held[list[i].at] = true;
    *n_held = end;
    oct_free(l->ctx, list);
    return OCT_OK;
}
