/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/sensitivity.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct search {
    const oct_sens_search *s;
    oct_ctx *ctx;
    oct_sens_result *r;
    oct_sens_set *set; /* per_call */
    bool *bits;        /* per_call x n_layers */
} search;

static bool *bits_of(const search *q, size_t i)
{
    return q->bits + i * q->s->n_layers;
}

static oct_status measure(search *q, size_t n, bool all)
{
    for (size_t i = 0; i < n; i++)
        q->set[i] = (oct_sens_set){.keep = bits_of(q, i)};
    OCT_TRY(oct_check_cancel(q->ctx));
    return q->s->measure(q->s->user, q->ctx, q->set, n, all);
}

static bool meets(const oct_sens_score *s)
{
    return s->margin >= 0;
}

/* ---- 1. rank ----------------------------------------------------------------------------- */

typedef struct ranked {
    uint32_t layer;
    double sqnr_db;
} ranked;

static int worst_first(const void *pa, const void *pb)
{
    const ranked *a = pa, *b = pb;
    return a->sqnr_db != b->sqnr_db ? (a->sqnr_db < b->sqnr_db ? -1 : 1)
                                    : (a->layer > b->layer) - (a->layer < b->layer);
}

static oct_status rank_layers(search *q)
{
    const size_t n = q->s->n_layers;
    for (size_t first = 0; first < n; first += q->s->per_call) {
        const size_t some = n - first < q->s->per_call ? n - first : q->s->per_call;
        for (size_t i = 0; i < some; i++) {
            memset(bits_of(q, i), true, n * sizeof(bool));
            bits_of(q, i)[first + i] = false;
        }
        OCT_TRY(measure(q, some, false));
        for (size_t i = 0; i < some; i++)
            q->r->alone[first + i] = q->set[i].score;
    }
    ranked *list = oct_alloc_array(q->ctx, n, sizeof *list);
    if (!list)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        list[i] = (ranked){(uint32_t)i,
                           isnan(q->r->alone[i].sqnr_db) ? -INFINITY : q->r->alone[i].sqnr_db};
    qsort(list, n, sizeof *list, worst_first);
    for (size_t i = 0; i < n; i++)
        q->r->order[i] = list[i].layer;
    oct_free(q->ctx, list);
    return OCT_OK;
}

/* ---- 2. grow ----------------------------------------------------------------------------- */

/* Measures keeping the first k[0], k[1], ... of the ranking; k ascending. */
static oct_status measure_prefixes(search *q, const size_t *k, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memset(bits_of(q, i), false, q->s->n_layers * sizeof(bool));
        for (size_t j = 0; j < k[i]; j++)
            bits_of(q, i)[q->r->order[j]] = true;
    }
    return measure(q, n, true);
}

/* The interval (fails, meets] of prefix lengths that is left; meets = n_layers + 1: none so far. */
typedef struct gap {
    size_t fails, meets;
    bool any_fails;
} gap;

/* Takes the results of measured prefixes into `g`; true once the smallest that meets is known. */
static void narrow(search *q, const size_t *k, size_t n, gap *g)
{
    for (size_t i = 0; i < n; i++) {
        if (k[i] == 0)
            q->r->none = q->set[i].score;
        if (meets(&q->set[i].score)) {
            if (k[i] < g->meets) {
                g->meets = k[i];
                q->r->plan = q->set[i].score;
            }
            return;
        }
        g->fails = k[i];
        g->any_fails = true;
    }
}

/* 0, 1, 2, 4 ... n_layers, in as many calls as that takes. */
static oct_status find_some(search *q, gap *g)
{
    const size_t n = q->s->n_layers;
    size_t next = 0;
    while (g->meets > n && next <= n) {
        size_t k[32], m = 0;
        while (m < q->s->per_call && m < 32 && next <= n) {
            k[m++] = next;
            next = next == n ? n + 1 : next == 0 ? 1 : 2 * next < n ? 2 * next : n;
        }
        OCT_TRY(measure_prefixes(q, k, m));
        narrow(q, k, m, g);
    }
    return OCT_OK;
}

static oct_status close_gap(search *q, gap *g)
{
    while (g->any_fails && g->meets - g->fails > 1) {
        const size_t inside = g->meets - g->fails - 1;
        const size_t m = inside < q->s->per_call && inside < 32 ? inside
                         : q->s->per_call < 32                  ? q->s->per_call
                                                                : 32;
        size_t k[32];
        for (size_t i = 0; i < m; i++)
            k[i] = g->fails + (i + 1) * (inside + 1) / (m + 1);
        OCT_TRY(measure_prefixes(q, k, m));
        narrow(q, k, m, g);
    }
    return OCT_OK;
}

/* ---- 3. prune ---------------------------------------------------------------------------- */

typedef struct spare {
    uint32_t layer;
    double margin;
} spare;

static int widest_first(const void *pa, const void *pb)
{
    const spare *a = pa, *b = pb;
    return a->margin != b->margin ? (a->margin > b->margin ? -1 : 1)
                                  : (a->layer > b->layer) - (a->layer < b->layer);
}

/* Kept layers that can go back to INT8 one at a time, the safest first. */
static oct_status find_spares(search *q, spare *list, size_t *n_list)
{
    const size_t n = q->s->n_layers;
    size_t next = 0;
    while (next < n) {
        uint32_t layer[32];
        size_t m = 0;
        for (; next < n && m < q->s->per_call && m < 32; next++) {
            if (!q->r->keep[next])
                continue;
            memcpy(bits_of(q, m), q->r->keep, n * sizeof(bool));
            bits_of(q, m)[next] = false;
            layer[m++] = (uint32_t)next;
        }
        if (m > 0)
            OCT_TRY(measure(q, m, true));
        for (size_t i = 0; i < m; i++)
            if (meets(&q->set[i].score))
                list[(*n_list)++] = (spare){layer[i], q->set[i].score.margin};
    }
    qsort(list, *n_list, sizeof *list, widest_first);
    return OCT_OK;
}

/* Puts back the first 1, 2, ... spares together and takes the largest number that still meets. */
static oct_status put_back(search *q, const spare *list, size_t n_list)
{
    const size_t n = q->s->n_layers;
    size_t done = 0, next = 1;
    oct_sens_score best = q->r->plan;
    while (next <= n_list) {
        const size_t left = n_list - next + 1;
        const size_t m = left < q->s->per_call ? left : q->s->per_call;
        for (size_t i = 0; i < m; i++) {
            memcpy(bits_of(q, i), q->r->keep, n * sizeof(bool));
            for (size_t j = 0; j < next + i; j++)
                bits_of(q, i)[list[j].layer] = false;
        }
        OCT_TRY(measure(q, m, true));
        for (size_t i = 0; i < m; i++)
            if (meets(&q->set[i].score)) {
                done = next + i;
                best = q->set[i].score;
            }
        next += m;
    }
    for (size_t j = 0; j < done; j++)
        q->r->keep[list[j].layer] = false;
    q->r->n_keep -= done;
    q->r->plan = best;
    return OCT_OK;
}

static oct_status prune(search *q)
{
    size_t n_list = 0;
    if (q->r->n_keep < 2) /* without the last one the goal is known not to be met */
        return OCT_OK;
    spare *list = oct_alloc_array(q->ctx, q->r->n_keep, sizeof *list);
    if (!list)
        return OCT_ERR_NOMEM;
    oct_status st = find_spares(q, list, &n_list);
    if (st == OCT_OK)
        st = put_back(q, list, n_list);
    oct_free(q->ctx, list);
    return st;
}

/* ---- all --------------------------------------------------------------------------------- */

static oct_status run(search *q)
{
    const size_t n = q->s->n_layers;
    gap g = {.meets = n + 1};
    OCT_TRY(rank_layers(q));
    OCT_TRY(find_some(q, &g));
    OCT_TRY(close_gap(q, &g));
    q->r->met = g.meets <= n;
    q->r->n_keep = q->r->met ? g.meets : n;
    for (size_t j = 0; j < q->r->n_keep; j++)
        q->r->keep[q->r->order[j]] = true;
    return q->r->met ? prune(q) : OCT_OK;
}

oct_status oct_sens_run(oct_ctx *ctx, const oct_sens_search *s, oct_sens_result *out)
{
    assert(s->per_call >= 1 && s->n_layers >= 1);
    *out = (oct_sens_result){0};
    search q = {.s = s, .ctx = ctx, .r = out};
    out->order = oct_zalloc_array(ctx, s->n_layers, sizeof *out->order);
    out->alone = oct_zalloc_array(ctx, s->n_layers, sizeof *out->alone);
    out->keep = oct_zalloc_array(ctx, s->n_layers, sizeof *out->keep);
    q.set = oct_alloc_array(ctx, s->per_call, sizeof *q.set);
    q.bits = oct_zalloc_array(ctx, s->per_call, s->n_layers * sizeof *q.bits);
    const bool ready = out->order && out->alone && out->keep && q.set && q.bits;
    const oct_status st = ready ? run(&q) : OCT_ERR_NOMEM;
    oct_free(ctx, q.set);
    oct_free(ctx, q.bits);
    return st;
}

void oct_sens_result_deinit(oct_ctx *ctx, oct_sens_result *r)
{
    oct_free(ctx, r->order);
    oct_free(ctx, r->alone);
    oct_free(ctx, r->keep);
    *r = (oct_sens_result){0};
}
