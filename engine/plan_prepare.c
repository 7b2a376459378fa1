/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared ops of a plan: weights are packed and kernels generated, on several threads where the
 * host does it. ResNet-50 takes 0.15 s of one core, during which calibration's other workers wait.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/parallel.h"
#include "engine/planner.h"

struct oct_prepare_later {
    oct_backend *be;
    oct_op_desc d;
    oct_candidate c;
};

/* Nodes that the planner made up live on its stack; a device's plan looks at its ops while it is made. */
static bool can_wait(const oct_planner *b, const oct_backend *be, oct_node_id id)
{
    return id != OCT_NONE && be->vt->host_memory && b->engine->be->vt->host_memory &&
           b->engine->plan_threads > 1;
}

oct_status oct_plan_prepare(oct_planner *b, oct_backend *be, oct_node_id id, const oct_op_desc *d,
                            const oct_candidate *c, oct_plan_step *s)
{
    if (!can_wait(b, be, id))
        return be->vt->prepare(be, b->ctx, d, c, &s->op);
    const size_t n = (size_t)(d->n_in + d->n_out);
    struct oct_prepare_later *later = oct_arena_array(b->p->arena, 1, sizeof *later);
    oct_operand *operand = oct_arena_array(b->p->arena, n + 1, sizeof *operand);
    if (!later || !operand)
        return OCT_ERR_NOMEM;
    memcpy(operand, d->in, (size_t)d->n_in * sizeof *operand);
    memcpy(operand + d->n_in, d->out, (size_t)d->n_out * sizeof *operand);
    *later = (struct oct_prepare_later){be, *d, *c};
    later->d.in = operand;
    later->d.out = operand + d->n_in;
    s->later = later;
    return OCT_OK;
}

typedef struct prepare_job {
    oct_plan *p;
    atomic_uint next;
    atomic_bool failed;
} prepare_job;

static oct_status prepare_some(void *user, oct_ctx *ctx, int worker)
{
    prepare_job *j = user;
    (void)worker;
    for (;;) {
        const uint32_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->p->n_steps || atomic_load(&j->failed))
            return OCT_OK;
        oct_plan_step *s = &j->p->step[i];
        if (!s->later)
            continue;
        oct_backend *be = s->later->be;
        const oct_status st = be->vt->prepare(be, ctx, &s->later->d, &s->later->c, &s->op);
        if (st != OCT_OK) {
            atomic_store(&j->failed, true);
            return st;
        }
        s->later = NULL;
    }
}

oct_status oct_plan_prepare_rest(oct_planner *b)
{
    prepare_job j = {.p = b->p};
    bool any = false;
    for (uint32_t i = 0; i < b->p->n_steps; i++)
        any = any || b->p->step[i].later != NULL;
    if (!any)
        return OCT_OK;
    return oct_run_workers(b->ctx, b->engine->plan_threads, 1, prepare_some, &j);
}
