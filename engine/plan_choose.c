/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of a backend's candidates runs an operator: the one stored in an engine file; with
 * `tune` the fastest by the timing cache, where what is missing is timed first; else the
 * backend's first.
 */
#include <string.h>

#include "base/hash.h"
#include "engine/plan_key.h"
#include "engine/planner.h"

/* The first candidate is the backend's best guess; another one must be faster by more than what two
 * timings of the same one differ by. On a device also by more than what its neighbours in the
 * network make of it: how far a kernel overlaps with those around it is not seen alone. (Measured: by
 * 2 % alone, MobileNetV2 of batch 1, whose kernels take 2 to 5 us, got 2.4 % slower on an H200.) */
#define CLEARLY_FASTER 0.98
#define DEVICE_GAIN_NS 400

/* What an earlier timing chose for this node; false where it says nothing, is of other shapes, or the
 * backend no longer offers it. */
static bool is_stored(const oct_engine *e, const oct_op_desc *d, uint64_t key,
                      const oct_candidate *list, int n, int *choice, double *us)
{
    for (size_t k = 0; k < e->n_tactics; k++) {
        const oct_tactic *t = &e->tactic[k];
        if (strcmp(t->node, d->name) != 0 || (t->key && t->key != key))
            continue;
        for (int i = 0; i < n; i++)
            if (strcmp(t->tactic, list[i].name) == 0) {
                *choice = i;
                *us = t->us;
                return true;
            }
    }
    return false;
}

static int fastest(const uint64_t *ns, int n, uint64_t least_gain_ns)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        best = ns[i] < ns[best] ? i : best;
    const bool clearly = (double)ns[best] < CLEARLY_FASTER * (double)ns[0];
    return clearly && ns[0] - ns[best] >= least_gain_ns ? best : 0;
}

/* Returns how many times are missing; those are 0. */
static int look_up(const oct_engine *e, const char *device, const char *key,
                   const oct_candidate *list, int n, uint64_t *ns)
{
    int missing = 0;
    for (int i = 0; i < n; i++) {
        ns[i] = 0;
        if (!oct_timing_cache_find(e->timings, device, key, list[i].name, &ns[i]))
            missing++;
    }
    return missing;
}

static oct_status time_missing(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                               const char *device, const char *key, const oct_candidate *list,
                               int n, uint64_t *ns)
{
    uint64_t known[OCT_PLAN_CANDIDATES];
    oct_engine *e = b->engine;
    OCT_TRY(oct_timing_cache_begin(e->timings, b->ctx));
    if (look_up(e, device, key, list, n, ns) == 0) /* someone else did */
        return OCT_OK;
    memcpy(known, ns, (size_t)n * sizeof *ns);
    const oct_status st = oct_plan_tune(b, be, d, list, n, ns);
    for (int i = 0; i < n; i++)
        if (known[i] == 0 && ns[i] != 0) {
            OCT_TRY(oct_timing_cache_add(e->timings, b->ctx, device, key, list[i].name, ns[i]));
            e->n_timed++;
        }
    return st;
}

static oct_status choose_by_time(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                                 const char *key, const oct_candidate *list, int n, int *choice,
                                 double *us)
{
    uint64_t ns[OCT_PLAN_CANDIDATES];
    const oct_engine *e = b->engine;
    const char *device = be == e->be ? e->timed_device : e->timed_host;
    if (look_up(e, device, key, list, n, ns) > 0)
        OCT_TRY(time_missing(b, be, d, device, key, list, n, ns));
    *choice = fastest(ns, n, be->vt->host_memory ? 0 : DEVICE_GAIN_NS);
    *us = ns[*choice] == OCT_TIMING_FAILED ? 0 : (double)ns[*choice] / 1000.0;
    return OCT_OK;
}

oct_status oct_plan_choose(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                           const oct_candidate *list, int n, int *choice, double *us, uint64_t *key)
{
    const oct_engine *e = b->engine;
    const bool can_time = e->tune && n > 1 && d->n_in <= OCT_MAX_ALIAS && d->n_out <= 2;
    oct_strbuf text;
    *choice = 0;
    *us = 0;
    *key = 0;
    if (!can_time && e->n_tactics == 0)
        return OCT_OK;
    oct_strbuf_init(&text, b->ctx);
    oct_status st = oct_plan_key(d, &text);
    if (st == OCT_OK)
        *key = oct_xxh64_of(text.text, text.len);
    if (st == OCT_OK && !is_stored(e, d, *key, list, n, choice, us) && can_time)
        st = choose_by_time(b, be, d, text.text, list, n, choice, us);
    oct_strbuf_deinit(&text);
    return st;
}
