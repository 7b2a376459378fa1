/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/subset.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/strbuf.h"

oct_status oct_subset_parse(oct_ctx *ctx, const char *text, oct_subset *out)
{
    static const char *const names[] = {"auto", "first", "even", "random", "stratified"};
    const char *colon = strchr(text, ':');
    const size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);
    for (int k = 0; k < OCT_SUBSET_COUNT; k++) {
        if (strlen(names[k]) != n || memcmp(names[k], text, n) != 0)
            continue;
        if (colon != NULL &&
            (k != OCT_SUBSET_RANDOM || !oct_parse_u64(colon + 1, strlen(colon + 1), &out->seed)))
            break;
        out->kind = (oct_subset_kind)k;
        return OCT_OK;
    }
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "subset '%.60s': expected first, even, random:SEED or stratified", text);
}

/* Entry i of k evenly spaced ones out of n: the middle of the i-th part. */
static int64_t spaced(int64_t i, int64_t k, int64_t n)
{
    return (int64_t)(((__int128)(2 * i + 1) * n) / (2 * (__int128)k));
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static oct_status choose_random(oct_ctx *ctx, uint64_t seed, int64_t n, int64_t k, int64_t *out)
{
    oct_rng r = {seed};
    int64_t *all = oct_alloc_array(ctx, (size_t)n, sizeof *all);
    if (all == NULL)
        return OCT_ERR_NOMEM;
    for (int64_t i = 0; i < n; i++)
        all[i] = i;
    for (int64_t i = 0; i < k; i++) { /* the first k steps of a shuffle */
        const int64_t j = i + (int64_t)oct_rng_below(&r, (uint64_t)(n - i));
        const int64_t t = all[i];
        all[i] = all[j];
        all[j] = t;
    }
    memcpy(out, all, (size_t)k * sizeof *out);
    oct_free(ctx, all);
    qsort(out, (size_t)k, sizeof *out, ascending);
    return OCT_OK;
}

/* A sample under its class, so that sorting brings classes together. */
typedef struct labelled {
    int32_t label;
    int64_t index;
} labelled;

static int by_class(const void *a, const void *b)
{
    const labelled *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The same quota for every class; what small classes leave goes to the others, one sample a
 * round in class order. `start` has n_classes + 1 entries, `quota` n_classes zeros. */
static void share_out(const int64_t *start, int64_t n_classes, int64_t k, int64_t *quota)
{
    while (k > 0) {
        int64_t open = 0;
        for (int64_t c = 0; c < n_classes; c++)
            open += quota[c] < start[c + 1] - start[c];
        const int64_t each = k / open > 0 ? k / open : 1;
        for (int64_t c = 0; c < n_classes && k > 0; c++) {
            const int64_t room = start[c + 1] - start[c] - quota[c];
            const int64_t take = each < room ? each : room;
            quota[c] += take < k ? take : k;
            k -= take < k ? take : k;
        }
    }
}

static oct_status choose_stratified(oct_ctx *ctx, const int32_t *label, int64_t n, int64_t k,
                                    int64_t *out)
{
    labelled *all = oct_alloc_array(ctx, (size_t)n, sizeof *all);
    int64_t *start = oct_zalloc_array(ctx, (size_t)n + 1, 2 * sizeof *start);
    int64_t n_classes = 0, n_out = 0;
    if (all == NULL || start == NULL) {
        oct_free(ctx, all);
        oct_free(ctx, start);
        return OCT_ERR_NOMEM;
    }
    int64_t *quota = start + n + 1;
    for (int64_t i = 0; i < n; i++)
        all[i] = (labelled){label[i], i};
    qsort(all, (size_t)n, sizeof *all, by_class);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || all[i].label != all[i - 1].label)
            start[n_classes++] = i;
    start[n_classes] = n;
    share_out(start, n_classes, k, quota);
    for (int64_t c = 0; c < n_classes; c++)
        for (int64_t i = 0; i < quota[c]; i++)
            out[n_out++] = all[start[c] + spaced(i, quota[c], start[c + 1] - start[c])].index;
    qsort(out, (size_t)n_out, sizeof *out, ascending);
    oct_free(ctx, all);
    oct_free(ctx, start);
    return OCT_OK;
}

static int64_t keep_shard(const oct_subset *s, int64_t *chosen, int64_t n)
{
    if (s->n_shards <= 1)
        return n;
    int64_t kept = 0;
    for (int64_t i = s->shard; i < n; i += s->n_shards)
        chosen[kept++] = chosen[i];
    return kept;
}

oct_status oct_subset_choose(oct_ctx *ctx, const oct_subset *s, int64_t n, const int32_t *label,
                             int64_t **chosen, int64_t *n_chosen)
{
    const int64_t k = s->limit > 0 && s->limit < n ? s->limit : n;
    oct_subset_kind kind = s->kind;
    if (kind == OCT_SUBSET_STRATIFIED && label == NULL)
        return oct_fail(ctx, OCT_ERR_USAGE,
                        "subset stratified needs labels (class folders or "
                        "--labels); even, random:SEED and first do not");
    if (kind == OCT_SUBSET_AUTO)
        kind = label != NULL ? OCT_SUBSET_STRATIFIED : OCT_SUBSET_EVEN;
    int64_t *out = oct_alloc_array(ctx, (size_t)k, sizeof *out);
    if (out == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    if (kind == OCT_SUBSET_RANDOM && k < n)
        st = choose_random(ctx, s->seed, n, k, out);
    else if (kind == OCT_SUBSET_STRATIFIED && k < n)
        st = choose_stratified(ctx, label, n, k, out);
    else
        for (int64_t i = 0; i < k; i++)
            out[i] = kind == OCT_SUBSET_EVEN && k < n ? spaced(i, k, n) : i;
    if (st != OCT_OK) {
        oct_free(ctx, out);
        return st;
    }
    *chosen = out;
    *n_chosen = keep_shard(s, out, k);
    return OCT_OK;
}
