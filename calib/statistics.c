/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/statistics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "calib/statistics_internal.h"

/* ---- life -------------------------------------------------------------------------------- */

static oct_status init(oct_stats *s, const oct_stats_origin *origin)
{
    OCT_TRY(oct_arena_new(s->ctx, &s->arena));
    OCT_TRY(oct_ranges_new(s->ctx, &s->names));
    s->origin.model = origin->model;
    s->origin.preprocess = oct_arena_strdup(s->arena, origin->preprocess);
    if (s->origin.preprocess == NULL)
        return OCT_ERR_NOMEM;
    s->images_sorted = true;
    return oct_stats_add_engine(s, origin->engine);
}

oct_status oct_stats_new(oct_ctx *ctx, const oct_stats_origin *origin, oct_stats **out)
{
    oct_stats *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    s->ctx = ctx;
    const oct_status st = init(s, origin);
    if (st != OCT_OK) {
        oct_stats_free(s);
        return st;
    }
    *out = s;
    return OCT_OK;
}

void oct_stats_free(oct_stats *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_tensors; i++) {
        oct_hist_deinit(s->ctx, &s->tensor[i].hist);
        oct_free(s->ctx, s->tensor[i].exact);
        oct_free(s->ctx, s->tensor[i].channel);
        oct_channel_mean_free(s->ctx, s->tensor[i].mean);
    }
    oct_free(s->ctx, s->tensor);
    oct_free(s->ctx, s->image);
    oct_ranges_free(s->names);
    oct_arena_free(s->arena);
    oct_free(s->ctx, s);
}

oct_status oct_stats_add_engine(oct_stats *s, const char *text)
{
    size_t at = 0;
    while (at < s->n_engines && strcmp(s->engine[at], text) < 0)
        at++;
    if (at < s->n_engines && strcmp(s->engine[at], text) == 0)
        return OCT_OK;
    const char **list = oct_arena_array(s->arena, s->n_engines + 1, sizeof *list);
    const char *copy = oct_arena_strdup(s->arena, text);
    if (list == NULL || copy == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < s->n_engines; i++)
        list[i + (i >= at)] = s->engine[i];
    list[at] = copy;
    s->engine = list;
    s->n_engines++;
    s->origin.engine = s->engine[0];
    return OCT_OK;
}

void oct_stats_clear_engines(oct_stats *s)
{
    s->n_engines = 0;
}

oct_status oct_stats_add_tensor(oct_stats *s, const char *name, oct_stat_kind kind, uint32_t source,
                                uint32_t *index)
{
    assert(kind == OCT_STAT_SCANNED || source < s->n_tensors);
    if (s->n_tensors >= STATS_MAX_TENSORS)
        return oct_fail(s->ctx, OCT_ERR_LIMIT, "more than %d tensors", STATS_MAX_TENSORS);
    if (s->n_tensors == s->cap_tensors) {
        const size_t cap = s->cap_tensors == 0 ? 64 : 2 * s->cap_tensors;
        oct_stat_tensor *list = oct_realloc(s->ctx, s->tensor, cap * sizeof *list);
        if (list == NULL)
            return OCT_ERR_NOMEM;
        s->tensor = list;
        s->cap_tensors = cap;
    }
    const oct_range entry = {.scale = 1, .amax = 1, .line = (uint32_t)s->n_tensors};
    const char *copy = oct_arena_strdup(s->arena, name);
    if (copy == NULL)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_ranges_add(s->names, name, strlen(name), &entry));
    oct_stat_tensor *t = &s->tensor[s->n_tensors];
    memset(t, 0, sizeof *t);
    t->name = copy;
    t->kind = kind;
    t->source = kind == OCT_STAT_SCANNED ? 0 : source;
    oct_hist_init(&t->hist);
    if (index != NULL)
        *index = (uint32_t)s->n_tensors;
    s->n_tensors++;
    return OCT_OK;
}

/* ---- images ------------------------------------------------------------------------------ */

oct_status oct_stats_add_image(oct_stats *s, const oct_sha256 *id)
{
    if (s->n_images == s->cap_images) {
        const size_t cap = s->cap_images == 0 ? 256 : 2 * s->cap_images;
        oct_sha256 *list = oct_realloc(s->ctx, s->image, cap * sizeof *list);
        if (list == NULL)
            return OCT_ERR_NOMEM;
        s->image = list;
        s->cap_images = cap;
    }
    if (s->n_images > 0 && oct_sha256_cmp(&s->image[s->n_images - 1], id) > 0)
        s->images_sorted = false;
    s->image[s->n_images++] = *id;
    return OCT_OK;
}

static int by_id(const void *a, const void *b)
{
    return oct_sha256_cmp(a, b);
}

const oct_sha256 *oct_stats_images(oct_stats *s)
{
    if (!s->images_sorted)
        qsort(s->image, s->n_images, sizeof *s->image, by_id);
    s->images_sorted = true;
    return s->image;
}

/* The larger magnitude wins, of equal ones the lesser id. */
static void note_side(float amax, const oct_sha256 *id, float so_far, oct_sha256 *image)
{
    static const oct_sha256 none;
    if (!(amax > 0) || amax < so_far)
        return;
    if (amax > so_far || oct_sha256_cmp(image, &none) == 0 || oct_sha256_cmp(id, image) < 0)
        *image = *id;
}

void oct_stat_tensor_note_sides(oct_stat_tensor *t, float pos_amax, const oct_sha256 *pos_id,
                                float neg_amax, const oct_sha256 *neg_id)
{
    /* the histogram already holds the images: its amax is at least theirs */
    if (pos_amax == t->hist.pos.amax)
        note_side(pos_amax, pos_id, t->pos_image_amax, &t->pos_image);
    if (neg_amax == t->hist.neg.amax)
        note_side(neg_amax, neg_id, t->neg_image_amax, &t->neg_image);
    t->pos_image_amax = t->hist.pos.amax;
    t->neg_image_amax = t->hist.neg.amax;
}

void oct_stat_tensor_note(oct_stat_tensor *t, const oct_hist_range *seen, const oct_sha256 *id)
{
    oct_stat_tensor_note_sides(t, seen->pos_amax, id, seen->neg_amax, id);
}

/* ---- access ------------------------------------------------------------------------------ */

size_t oct_stats_n_tensors(const oct_stats *s)
{
    return s->n_tensors;
}

oct_stat_tensor *oct_stats_tensor(oct_stats *s, size_t i)
{
    assert(i < s->n_tensors);
    return &s->tensor[i];
}

const oct_stat_tensor *oct_stats_at(const oct_stats *s, size_t i)
{
    assert(i < s->n_tensors);
    return &s->tensor[i];
}

bool oct_stats_find(const oct_stats *s, const char *name, size_t *index)
{
    const oct_range *e = oct_ranges_find(s->names, name);
    if (e != NULL)
        *index = e->line;
    return e != NULL;
}

uint64_t oct_stats_n_images(const oct_stats *s)
{
    return s->n_images;
}

const oct_stats_origin *oct_stats_get_origin(const oct_stats *s)
{
    return &s->origin;
}

size_t oct_stats_n_engines(const oct_stats *s)
{
    return s->n_engines;
}

const char *oct_stats_engine(const oct_stats *s, size_t i)
{
    assert(i < s->n_engines);
    return s->engine[i];
}

bool oct_stats_is_complete(const oct_stats *s)
{
    return s->complete;
}

void oct_stats_set_complete(oct_stats *s, bool complete)
{
    s->complete = complete;
}

size_t oct_stats_root(const oct_stats *s, size_t i, bool *relu)
{
    *relu = false;
    while (s->tensor[i].kind != OCT_STAT_SCANNED) {
        *relu = *relu || s->tensor[i].kind == OCT_STAT_RELU;
        i = s->tensor[i].source;
    }
    return i;
}

oct_status oct_stats_hist(oct_ctx *ctx, const oct_stats *s, size_t i, oct_hist *scratch,
                          const oct_hist **out)
{
    bool relu;
    const size_t root = oct_stats_root(s, i, &relu);
    *out = &s->tensor[root].hist;
    if (!relu)
        return OCT_OK;
    oct_hist_deinit(ctx, scratch);
    OCT_TRY(oct_hist_relu(ctx, scratch, &s->tensor[root].hist));
    *out = scratch;
    return OCT_OK;
}

oct_status oct_stats_calibrate(oct_ctx *ctx, const oct_stats *s, size_t i, const oct_method *m,
                               oct_calib_work *w, oct_calib_result *result, oct_spread *spread)
{
    oct_hist scratch;
    oct_hist_init(&scratch);
    const oct_hist *h;
    const oct_status st = oct_stats_hist(ctx, s, i, &scratch, &h);
    if (st == OCT_OK) {
        oct_calibrate_hist(w, m, h, s->tensor[i].exact, result);
        if (spread != NULL)
            oct_spread_of(w, m, h, s->n_images, spread);
    }
    oct_hist_deinit(ctx, &scratch);
    return st;
}

bool oct_stats_max_image(const oct_stats *s, size_t i, oct_sha256 *id)
{
    bool relu;
    const oct_stat_tensor *t = &s->tensor[oct_stats_root(s, i, &relu)];
    const bool pos = relu || t->hist.pos.amax >= t->hist.neg.amax;
    if (!((pos ? t->hist.pos.amax : t->hist.neg.amax) > 0))
        return false;
    *id = pos ? t->pos_image : t->neg_image;
    return true;
}

/* ---- channel means ----------------------------------------------------------------------- */

oct_status oct_stats_want_mean(oct_stats *s, size_t i, oct_mean_axis axis)
{
    assert(i < s->n_tensors && s->n_images == 0);
    return s->tensor[i].mean != NULL ? OCT_OK
                                     : oct_channel_mean_new(s->ctx, axis, &s->tensor[i].mean);
}

const oct_channel_mean *oct_stats_means_of(const oct_stats *s, const char *name, oct_mean_axis axis)
{
    size_t at;
    const oct_channel_mean *m = oct_stats_find(s, name, &at) ? s->tensor[at].mean : NULL;
    return m != NULL && m->axis == axis && oct_channel_mean_is_usable(m) ? m : NULL;
}

bool oct_stats_has_means(const oct_stats *s)
{
    for (size_t i = 0; i < s->n_tensors; i++)
        if (s->tensor[i].mean != NULL && oct_channel_mean_is_usable(s->tensor[i].mean))
            return true;
    return false;
}

bool oct_stats_never_negative(const oct_stats *s, const char *name)
{
    size_t at;
    bool relu;
    if (!oct_stats_find(s, name, &at))
        return false;
    const oct_hist *h = &s->tensor[oct_stats_root(s, at, &relu)].hist;
    return h->n_total > 0 && (relu || (h->neg.amax == 0 && h->n_neg_inf == 0));
}

/* ---- merge ------------------------------------------------------------------------------- */

static oct_status check_tensors(oct_ctx *ctx, const oct_stats *a, const oct_stats *b)
{
    if (a->n_tensors != b->n_tensors)
        return oct_fail(ctx, OCT_ERR_STALE, "statistics of %zu and of %zu tensors", a->n_tensors,
                        b->n_tensors);
    for (size_t i = 0; i < a->n_tensors; i++) {
        const oct_stat_tensor *x = &a->tensor[i], *y = &b->tensor[i];
        char shown[160];
        if (strcmp(x->name, y->name) != 0 || x->kind != y->kind || x->source != y->source)
            return oct_fail(ctx, OCT_ERR_STALE, "tensor '%s' is not the same in both statistics",
                            oct_printable(x->name, shown, sizeof shown));
        if (x->exact != NULL || y->exact != NULL)
            return oct_fail(ctx, OCT_ERR_STALE,
                            "tables of --exact-range cannot be merged: their range is known only "
                            "after all images; calibrate all images in one run");
        if (x->n_channels != y->n_channels && x->hist.n_total > 0 && y->hist.n_total > 0)
            return oct_fail(ctx, OCT_ERR_STALE,
                            "tensor '%s' has %zu channels in one and %zu in "
                            "the other statistics",
                            oct_printable(x->name, shown, sizeof shown), x->n_channels,
                            y->n_channels);
    }
    return OCT_OK;
}

static oct_status check_overlap(oct_ctx *ctx, oct_stats *a, oct_stats *b)
{
    const oct_sha256 *x = oct_stats_images(a), *y = oct_stats_images(b);
    size_t i = 0, k = 0, n_same = 0;
    const oct_sha256 *first = NULL;
    while (i < a->n_images && k < b->n_images) {
        const int c = oct_sha256_cmp(&x[i], &y[k]);
        if (c == 0) {
            first = first != NULL ? first : &x[i];
            n_same++;
        }
        i += c <= 0;
        k += c >= 0;
    }
    if (n_same == 0)
        return OCT_OK;
    char hex[OCT_SHA256_HEX_BYTES];
    return oct_fail(ctx, OCT_ERR_STALE,
                    "%zu images are in both statistics, the first %.12s; --allow-overlap counts "
                    "them twice",
                    n_same, oct_sha256_hex(first, hex));
}

static oct_status check_origin(oct_ctx *ctx, const oct_stats *a, const oct_stats *b)
{
    if (oct_sha256_cmp(&a->origin.model, &b->origin.model) != 0) {
        char x[OCT_SHA256_HEX_BYTES], y[OCT_SHA256_HEX_BYTES];
        return oct_fail(ctx, OCT_ERR_STALE, "statistics of different models: %.12s and %.12s",
                        oct_sha256_hex(&a->origin.model, x), oct_sha256_hex(&b->origin.model, y));
    }
    if (strcmp(a->origin.preprocess, b->origin.preprocess) != 0)
        return oct_fail(ctx, OCT_ERR_STALE, "statistics of different preprocessing: %s and %s",
                        a->origin.preprocess, b->origin.preprocess);
    return OCT_OK;
}

static oct_status merge_channels(oct_ctx *ctx, oct_stat_tensor *d, const oct_stat_tensor *s)
{
    if (s->n_channels == 0)
        return OCT_OK;
    if (d->n_channels == 0) {
        d->channel = oct_alloc_array(ctx, s->n_channels, sizeof *d->channel);
        if (d->channel == NULL)
            return OCT_ERR_NOMEM;
        memcpy(d->channel, s->channel, s->n_channels * sizeof *d->channel);
        d->n_channels = s->n_channels;
        return OCT_OK;
    }
    for (size_t c = 0; c < d->n_channels; c++) {
        oct_stat_channel *x = &d->channel[c];
        const oct_stat_channel *y = &s->channel[c];
        x->min = y->min < x->min ? y->min : x->min;
        x->max = y->max > x->max ? y->max : x->max;
        x->n += y->n;
        oct_exact_sum_merge(&x->sum, &y->sum);
    }
    return OCT_OK;
}

static oct_status merge_tensor(oct_ctx *ctx, oct_stat_tensor *d, const oct_stat_tensor *s)
{
    OCT_TRY(oct_hist_merge(ctx, &d->hist, &s->hist));
    if (s->hist.pos.amax == d->hist.pos.amax)
        note_side(s->hist.pos.amax, &s->pos_image, d->pos_image_amax, &d->pos_image);
    if (s->hist.neg.amax == d->hist.neg.amax)
        note_side(s->hist.neg.amax, &s->neg_image, d->neg_image_amax, &d->neg_image);
    d->pos_image_amax = d->hist.pos.amax;
    d->neg_image_amax = d->hist.neg.amax;
    return merge_channels(ctx, d, s);
}

/* A mean over a part of the images is no mean: both have it, or neither keeps it. Statistics
 * without images have no say. */
static oct_status merge_means(oct_ctx *ctx, oct_stats *dst, const oct_stats *src)
{
    for (size_t i = 0; i < dst->n_tensors && src->n_images > 0; i++) {
        oct_channel_mean **d = &dst->tensor[i].mean;
        const oct_channel_mean *s = src->tensor[i].mean;
        if (s != NULL && *d == NULL && dst->n_images == 0)
            OCT_TRY(oct_channel_mean_new(ctx, s->axis, d));
        if (s != NULL && *d != NULL && s->axis == (*d)->axis) {
            OCT_TRY(oct_channel_mean_merge(ctx, *d, s));
        } else {
            oct_channel_mean_free(ctx, *d);
            *d = NULL;
        }
    }
    return OCT_OK;
}

oct_status oct_stats_merge(oct_ctx *ctx, oct_stats *dst, oct_stats *src, bool allow_overlap)
{
    OCT_TRY(check_origin(ctx, dst, src));
    OCT_TRY(check_tensors(ctx, dst, src));
    if (!allow_overlap)
        OCT_TRY(check_overlap(ctx, dst, src));
    for (size_t i = 0; i < dst->n_tensors; i++)
        if (dst->tensor[i].kind == OCT_STAT_SCANNED)
            OCT_TRY(merge_tensor(ctx, &dst->tensor[i], &src->tensor[i]));
    OCT_TRY(merge_means(ctx, dst, src));
    for (size_t i = 0; i < src->n_images; i++)
        OCT_TRY(oct_stats_add_image(dst, &src->image[i]));
    for (size_t i = 0; i < src->n_engines; i++)
        OCT_TRY(oct_stats_add_engine(dst, src->engine[i]));
    dst->complete = dst->complete && src->complete;
    return OCT_OK;
}
