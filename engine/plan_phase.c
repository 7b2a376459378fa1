/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of a device: which copies run before and after everything else, which steps can be
 * captured into one graph, and which constants the device need not hold.
 *
 *     IN  host -> device   BODY  [graph] host step [graph] ...   OUT  device -> host
 */
#include "engine/planner.h"

/* A shorter run of steps gains nothing from a graph. */
#define MIN_SEGMENT 2u

static bool is_input_copy(const oct_plan *p, const oct_plan_step *s)
{
    if (s->kind != OCT_STEP_COPY)
        return false;
    const oct_plan_tensor *from = &p->tensor[oct_plan_root(p, s->in[0])],
                          *to = &p->tensor[s->out[0]];
    return from->place == OCT_PLACE_INPUT && to->place == OCT_PLACE_ARENA && !to->on_host;
}

static bool is_output_copy(const oct_plan *p, const oct_plan_step *s)
{
    return s->kind == OCT_STEP_COPY && !p->tensor[s->in[0]].on_host && p->tensor[s->out[0]].on_host;
}

static bool is_device_step(const oct_planner *b, const oct_plan_step *s)
{
    if (s->kind == OCT_STEP_OP)
        return s->op->backend == b->engine->be;
    return s->kind == OCT_STEP_COPY && !b->p->tensor[s->in[0]].on_host &&
           !b->p->tensor[s->out[0]].on_host;
}

void oct_plan_phases(oct_planner *b)
{
    oct_plan *p = b->p;
    if (b->engine->be->vt->host_memory)
        return;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        oct_plan_step *s = &p->step[i];
        s->on_device = is_device_step(b, s);
        s->phase = is_input_copy(p, s) ? OCT_PHASE_IN : OCT_PHASE_BODY;
    }
    for (uint32_t i = p->n_steps; i-- > 0 && is_output_copy(p, &p->step[i]);)
        p->step[i].phase = OCT_PHASE_OUT;
}

/* ---- constants ---- */

static void mark_read(oct_plan *p, uint32_t t)
{
    if (t != OCT_NONE)
        p->tensor[oct_plan_root(p, t)].unread = false;
}

static void mark_constants(oct_plan *p)
{
    for (uint32_t i = 0; i < p->n_tensors; i++)
        p->tensor[i].unread = p->tensor[i].place == OCT_PLACE_CONST && !p->tensor[i].on_host;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const oct_plan_step *s = &p->step[i];
        const uint32_t packed = s->kind == OCT_STEP_OP && s->on_device ? s->op->packed : 0;
        for (uint32_t k = 0; k < s->n_in; k++)
            if (k >= 32 || !(packed >> k & 1u))
                mark_read(p, s->in[k]);
    }
    for (uint32_t i = 0; i < p->n_events; i++)
        mark_read(p, p->event[i].tensor);
    for (uint32_t i = 0; i < p->n_outputs; i++)
        mark_read(p, p->output[i]);
}

/* ---- segments ---- */

/* Input copies in between have run before. */
static uint32_t segment_end(const oct_plan *p, uint32_t i)
{
    while (i < p->n_steps && (p->step[i].on_device || p->step[i].phase == OCT_PHASE_IN))
        i++;
    return i;
}

oct_status oct_plan_segments(oct_planner *b)
{
    oct_plan *p = b->p;
    if (b->engine->be->vt->host_memory)
        return OCT_OK;
    mark_constants(p);
    p->segment = oct_arena_array(p->arena, p->n_steps + 1, sizeof *p->segment);
    if (!p->segment)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const uint32_t end = segment_end(p, i);
        if (end - i < MIN_SEGMENT || !p->step[i].on_device)
            continue;
        p->segment[p->n_segments++] = (oct_plan_segment){.first = i, .end = end};
        i = end - 1;
    }
    return OCT_OK;
}
