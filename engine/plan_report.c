/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a device's plan runs on the CPU, said once per engine: such steps cost copies and waiting, and
 * nobody should have to find out from a profile.
 */
#include <string.h>

#include "engine/planner.h"

#define MAX_LINES 6

static bool is_on_host(const oct_engine *e, const oct_plan_step *s)
{
    if (s->kind == OCT_STEP_DYNAMIC || s->kind == OCT_STEP_CONTROL)
        return true;
    return s->kind == OCT_STEP_OP && s->op->backend != e->be && s->node != OCT_NONE;
}

static bool is_alike(const oct_plan_step *a, const oct_plan_step *b)
{
    return strcmp(a->info.op, b->info.op) == 0 && strcmp(a->info.reason, b->info.reason) == 0;
}

/* How many steps from `i` on are as this one; 0 when an earlier one was. */
static uint32_t count_alike(const oct_planner *b, uint32_t i)
{
    const oct_plan *p = b->p;
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->n_steps; k++) {
        if (!is_on_host(b->engine, &p->step[k]) || !is_alike(&p->step[i], &p->step[k]))
            continue;
        if (k < i)
            return 0;
        n++;
    }
    return n;
}

void oct_plan_report(oct_planner *b)
{
    oct_engine *e = b->engine;
    const oct_plan *p = b->p;
    uint32_t on_host = 0, lines = 0, told = 0;
    if (e->be->vt->host_memory || e->host_told || b->g != e->graph)
        return;
    e->host_told = true;
    for (uint32_t i = 0; i < p->n_steps; i++)
        on_host += is_on_host(e, &p->step[i]);
    if (on_host == 0)
        return;
    oct_log(b->ctx, OCT_LOG_INFO,
            "%u of %u steps run on the CPU, with copies around them:", (unsigned)on_host,
            (unsigned)p->n_steps);
    for (uint32_t i = 0; i < p->n_steps && lines < MAX_LINES; i++) {
        const oct_plan_step *s = &p->step[i];
        const uint32_t n = is_on_host(e, s) ? count_alike(b, i) : 0;
        if (n == 0)
            continue;
        char name[128];
        oct_log(b->ctx, OCT_LOG_INFO, "  %u x %s (%s%s): %s", (unsigned)n, s->info.op,
                oct_printable(s->info.node, name, sizeof name), n > 1 ? ", ..." : "",
                s->info.reason);
        told += n;
        lines++;
    }
    if (told < on_host)
        oct_log(b->ctx, OCT_LOG_INFO, "  and %u more: octet bench --profile lists them",
                (unsigned)(on_host - told));
}
