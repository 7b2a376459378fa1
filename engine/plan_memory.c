/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a plan: unread steps are dropped, lifetimes found, results put in place of
 * operands that end with them, and what is left packed into one block, largest first,
 * each at the tightest gap among the tensors alive at the same time.
 *
 *     offset ^   +--------+
 *            |   |   c    |---+        a and c never live together with d: d reuses
 *            |   +--------+ d |        their bytes
 *            | a          |   |
 *            +-------------------> step
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "engine/planner.h"

#define ALIGN 64u

static size_t align_up(size_t n)
{
    return n > SIZE_MAX - ALIGN ? n : (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- steps that nobody needs ---- */

/* One backward sweep; slices make a step needed through their whole. */
static void mark_needed(const oct_plan *p, bool *tensor, bool *step)
{
    for (uint32_t i = 0; i < p->n_events; i++)
        tensor[oct_plan_root(p, p->event[i].tensor)] = true;
    for (uint32_t i = 0; i < p->n_outputs; i++)
        tensor[oct_plan_root(p, p->output[i])] = true;
    for (uint32_t i = p->n_steps; i-- > 0;) {
        const oct_plan_step *s = &p->step[i];
        for (uint32_t k = 0; k < s->n_out && !step[i]; k++)
            step[i] = s->out[k] != OCT_NONE && tensor[oct_plan_root(p, s->out[k])];
        for (uint32_t k = 0; k < s->n_in && step[i]; k++)
            if (s->in[k] != OCT_NONE)
                tensor[oct_plan_root(p, s->in[k])] = true;
    }
}

static void drop_unneeded(oct_plan *p, const bool *step)
{
    uint32_t kept = 0, e = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        for (; e < p->n_events && p->event[e].step == i; e++)
            p->event[e].step = kept;
        if (step[i])
            p->step[kept++] = p->step[i];
        else if (p->step[i].op)
            p->step[i].op->backend->vt->release(p->step[i].op->backend, p->step[i].op);
    }
    for (; e < p->n_events; e++)
        p->event[e].step = kept;
    p->n_steps = kept;
}

static oct_status prune_steps(oct_planner *b)
{
    bool *tensor = oct_zalloc_array(b->ctx, b->p->n_tensors + 1, sizeof *tensor);
    bool *step = oct_zalloc_array(b->ctx, b->p->n_steps + 1, sizeof *step);
    oct_status st = OCT_ERR_NOMEM;
    if (tensor && step) {
        mark_needed(b->p, tensor, step);
        drop_unneeded(b->p, step);
        st = OCT_OK;
    }
    oct_free(b->ctx, tensor);
    oct_free(b->ctx, step);
    return st;
}

/* ---- lifetimes ---- */

static void touch(oct_plan *p, uint32_t t, uint32_t step)
{
    if (t == OCT_NONE)
        return;
    oct_plan_tensor *r = &p->tensor[oct_plan_root(p, t)];
    r->first = r->first == OCT_NONE || step < r->first ? step : r->first;
    r->last = step > r->last ? step : r->last;
}

static void find_lifetimes(oct_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps; i++) /* copied before the first step, kept for replays */
        if (p->step[i].phase == OCT_PHASE_IN) {
            touch(p, p->step[i].out[0], 0);
            touch(p, p->step[i].out[0], p->n_steps);
        }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const oct_plan_step *s = &p->step[i];
        for (uint32_t k = 0; k < s->n_in; k++)
            touch(p, s->in[k], i);
        for (uint32_t k = 0; k < s->n_out; k++)
            touch(p, s->out[k], i);
        touch(p, s->workspace, i);
    }
    for (uint32_t i = 0; i < p->n_events; i++)
        touch(p, p->event[i].tensor, p->event[i].step);
    for (uint32_t i = 0; i < p->n_outputs; i++)
        touch(p, p->output[i], p->n_steps);
}

/* ---- in place ---- */

static uint32_t owner_of(const oct_plan *p, uint32_t t)
{
    while (p->tensor[t].in_place != OCT_NONE)
        t = p->tensor[t].in_place;
    return t;
}

/* May output 0 of step `i` take over the bytes of input `k`? */
static bool can_share(const oct_plan *p, uint32_t i, uint32_t k, uint32_t allowed)
{
    const oct_plan_step *s = &p->step[i];
    const uint32_t in = s->in[k], out = s->out[0];
    if (in == OCT_NONE || out == OCT_NONE || p->tensor[out].place != OCT_PLACE_ARENA)
        return false;
    const uint32_t root = oct_plan_root(p, in), owner = owner_of(p, root);
    const oct_plan_tensor *r = &p->tensor[root], *o = &p->tensor[out];
    if (r->place != OCT_PLACE_ARENA || p->tensor[owner].last != i || o->first != i ||
        r->on_host != o->on_host || p->tensor[owner].bytes < o->bytes)
        return false;
    if (p->tensor[in].place == OCT_PLACE_VIEW &&
        (p->tensor[in].offset != 0 || !oct_tensor_desc_is_dense(&p->tensor[in].desc)))
        return false;
    size_t bytes = 0;
    if (!oct_tensor_desc_bytes(&p->tensor[in].desc, &bytes) || bytes != o->bytes)
        return false;
    for (uint32_t j = 0; j < s->n_in; j++) /* other inputs in the same bytes */
        if (j != k && s->in[j] != OCT_NONE && owner_of(p, oct_plan_root(p, s->in[j])) == owner &&
            !(allowed >> j & 1u && s->in[j] == in))
            return false;
    for (uint32_t j = 1; j < s->n_out; j++)
        if (s->out[j] != OCT_NONE && owner_of(p, oct_plan_root(p, s->out[j])) == owner)
            return false;
    return true;
}

static void share(oct_plan *p, uint32_t i, uint32_t k)
{
    const uint32_t owner = owner_of(p, oct_plan_root(p, p->step[i].in[k]));
    oct_plan_tensor *out = &p->tensor[p->step[i].out[0]];
    out->in_place = owner;
    if (out->last > p->tensor[owner].last)
        p->tensor[owner].last = out->last;
}

static void place_in_place(oct_plan *p)
{
    for (uint32_t i = 0; i < p->n_steps; i++) {
        oct_plan_step *s = &p->step[i];
        if (s->kind != OCT_STEP_OP || s->n_out == 0)
            continue;
        if (s->alias_in >= 0) {
            const uint32_t k = (uint32_t)s->alias_in;
            s->alias_copy = !can_share(p, i, k, 0);
            if (!s->alias_copy)
                share(p, i, k);
            continue;
        }
        for (uint32_t k = 0; k < s->n_in && k < OCT_MAX_ALIAS; k++) {
            if (!(s->may_alias >> k & 1u) || !can_share(p, i, k, s->may_alias))
                continue;
            share(p, i, k);
            break;
        }
    }
}

/* ---- offsets ---- */

static bool overlaps(const oct_plan_tensor *a, const oct_plan_tensor *b)
{
    return a->first <= b->last && b->first <= a->last;
}

typedef struct span {
    size_t lo, hi;
} span;

static int compare_span(const void *a, const void *b)
{
    const span *x = a, *y = b;
    return x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* Tightest gap of `bytes` between the spans in use. */
static size_t best_gap(span *s, uint32_t n, size_t bytes)
{
    size_t end = 0, best = SIZE_MAX, best_slack = SIZE_MAX;
    qsort(s, n, sizeof *s, compare_span);
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].lo > end && s[i].lo - end >= bytes && s[i].lo - end - bytes < best_slack) {
            best = end;
            best_slack = s[i].lo - end - bytes;
        }
        end = s[i].hi > end ? s[i].hi : end;
    }
    return best == SIZE_MAX ? end : best;
}

typedef struct by_size {
    uint32_t tensor;
    size_t bytes;
} by_size;

static int compare_size(const void *a, const void *b)
{
    const by_size *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

static oct_status assign_offsets(oct_planner *b, const by_size *list, uint32_t n, span *busy)
{
    oct_plan *p = b->p;
    for (uint32_t i = 0; i < n; i++) {
        oct_plan_tensor *t = &p->tensor[list[i].tensor];
        uint32_t n_busy = 0;
        for (uint32_t k = 0; k < i; k++) {
            const oct_plan_tensor *o = &p->tensor[list[k].tensor];
            if (o->on_host == t->on_host && overlaps(o, t))
                busy[n_busy++] = (span){o->offset, o->offset + align_up(o->bytes)};
        }
        t->offset = best_gap(busy, n_busy, align_up(t->bytes));
        size_t end;
        if (!oct_add_size(t->offset, align_up(t->bytes), &end))
            return oct_fail(b->ctx, OCT_ERR_LIMIT, "activations of more bytes than fit in memory");
        if (end > p->arena_bytes[t->on_host])
            p->arena_bytes[t->on_host] = end;
    }
    const size_t limit = b->engine->arena_limit_bytes;
    if (limit && p->arena_bytes[0] + p->arena_bytes[1] > limit)
        return oct_fail(b->ctx, OCT_ERR_LIMIT,
                        "activations need %zu bytes, the limit is %zu; use smaller inputs",
                        p->arena_bytes[0] + p->arena_bytes[1], limit);
    return OCT_OK;
}

static oct_status pack_arena(oct_planner *b)
{
    oct_plan *p = b->p;
    by_size *list = oct_alloc_array(b->ctx, p->n_tensors + 1, sizeof *list);
    span *busy = oct_alloc_array(b->ctx, p->n_tensors + 1, sizeof *busy);
    oct_status st = list && busy ? OCT_OK : OCT_ERR_NOMEM;
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_tensors && st == OCT_OK; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        if (t->place == OCT_PLACE_ARENA && t->first != OCT_NONE && t->in_place == OCT_NONE)
            list[n++] = (by_size){i, t->bytes};
    }
    if (st == OCT_OK) {
        qsort(list, n, sizeof *list, compare_size);
        st = assign_offsets(b, list, n, busy);
    }
    for (uint32_t i = 0; i < p->n_tensors && st == OCT_OK; i++)
        if (p->tensor[i].place == OCT_PLACE_ARENA && p->tensor[i].in_place != OCT_NONE)
            p->tensor[i].offset = p->tensor[owner_of(p, i)].offset;
    oct_free(b->ctx, list);
    oct_free(b->ctx, busy);
    return st;
}

/* ---- the pool ---- */

/* DYNAMIC tensors go back after their last step; graph outputs stay until the next run. */
static oct_status list_releases(oct_planner *b)
{
    oct_plan *p = b->p;
    for (uint32_t i = 0; i < p->n_tensors && p->has_dynamic; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        if (t->place == OCT_PLACE_DYNAMIC && t->first != OCT_NONE && t->last < p->n_steps)
            p->step[t->last].n_release++;
    }
    for (uint32_t i = 0; i < p->n_steps && p->has_dynamic; i++) {
        oct_plan_step *s = &p->step[i];
        s->release = oct_arena_array(p->arena, s->n_release, sizeof *s->release);
        if (!s->release)
            return OCT_ERR_NOMEM;
        s->n_release = 0;
    }
    for (uint32_t i = 0; i < p->n_tensors && p->has_dynamic; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        if (t->place != OCT_PLACE_DYNAMIC || t->first == OCT_NONE || t->last >= p->n_steps)
            continue;
        oct_plan_step *s = &p->step[t->last];
        s->release[s->n_release++] = i;
    }
    return OCT_OK;
}

oct_status oct_plan_place(oct_planner *b)
{
    OCT_TRY(prune_steps(b));
    oct_plan_phases(b);
    find_lifetimes(b->p);
    place_in_place(b->p);
    OCT_TRY(pack_arena(b));
    OCT_TRY(list_releases(b));
    return oct_plan_segments(b);
}
