/* SPDX-License-Identifier: Apache-2.0
 *
 * What the executor does differently on a device: waiting, captured graphs, events.
 */
#include <stdio.h>
#include <string.h>

#include "engine/executor.h"

#define OCT_ERROR_COPY_BYTES 1024

oct_status oct_exec_settle(oct_worker *w, oct_ctx *ctx)
{
    w->pending = false;
    return w->engine->be->vt->stream_sync(w->engine->be, ctx, w->stream);
}

oct_status oct_exec_alias_copy(oct_worker *w, oct_ctx *ctx, const oct_prepared *op, void *dst,
                               const void *src, size_t bytes)
{
    oct_backend *be = op->backend;
    if (!be->vt->host_memory)
        return be->vt->copy_within(be, ctx, dst, src, bytes, w->stream);
    memcpy(dst, src, bytes);
    return OCT_OK;
}

oct_status oct_exec_abandon(oct_worker *w, oct_ctx *ctx, oct_status st)
{
    char text[OCT_ERROR_COPY_BYTES];
    snprintf(text, sizeof text, "%s", oct_error_text(ctx));
    oct_error_clear(ctx);
    if (oct_exec_settle(w, ctx) != OCT_OK)
        oct_error_clear(ctx);
    return oct_fail(ctx, st, "%s", text);
}

/* ---- graphs ---- */

bool oct_exec_uses_graphs(const oct_worker *w, const oct_frame *f, const oct_observer *observer)
{
    return w->engine->be->vt->capture_begin && !observer && !w->profiling && f->warm &&
           !f->no_graphs && f->plan->n_segments > 0;
}

static void free_graphs(oct_worker *w, oct_frame *f)
{
    oct_backend *be = w->engine->be;
    for (uint32_t k = 0; f->graph && k < f->plan->n_segments; k++) {
        be->vt->graph_free(be, f->graph[k]);
        f->graph[k] = NULL;
    }
}

static oct_status capture(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t k)
{
    oct_backend *be = w->engine->be;
    const oct_plan_segment *g = &f->plan->segment[k];
    OCT_TRY(be->vt->capture_begin(be, ctx, w->stream));
    oct_status st = OCT_OK;
    for (uint32_t i = g->first; i < g->end && st == OCT_OK; i++)
        if (f->plan->step[i].phase == OCT_PHASE_BODY)
            st = oct_exec_step(w, ctx, f, i);
    const oct_status ended = be->vt->capture_end(be, ctx, w->stream, &f->graph[k]);
    return st != OCT_OK ? st : ended;
}

/* A worker whose memory moved captures anew. */
static oct_status make_graphs(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    free_graphs(w, f);
    if (!f->graph)
        f->graph = oct_zalloc_array(ctx, f->plan->n_segments + 1, sizeof *f->graph);
    if (!f->graph)
        return OCT_ERR_NOMEM;
    f->graph_version = f->memory_version;
    for (uint32_t k = 0; k < f->plan->n_segments; k++)
        OCT_TRY(capture(w, ctx, f, k));
    return OCT_OK;
}

/* Steps are right with and without graphs, so a device that cannot capture only loses speed. */
static oct_status ready_graphs(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    if (f->no_graphs || (f->graph && f->graph_version == f->memory_version))
        return OCT_OK;
    const oct_status st = make_graphs(w, ctx, f);
    if (st == OCT_OK || st == OCT_ERR_NOMEM)
        return st;
    oct_log(ctx, OCT_LOG_WARN, "no graphs for this plan: %s", oct_error_text(ctx));
    oct_error_clear(ctx);
    free_graphs(w, f);
    f->no_graphs = true;
    return OCT_OK;
}

oct_status oct_exec_graphs(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    oct_backend *be = w->engine->be;
    const oct_plan *p = f->plan;
    OCT_TRY(ready_graphs(w, ctx, f));
    uint32_t k = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (!f->no_graphs && k < p->n_segments && p->segment[k].first == i) {
            OCT_TRY(be->vt->graph_launch(be, ctx, f->graph[k], w->stream));
            i = p->segment[k++].end - 1;
        } else if (p->step[i].phase == OCT_PHASE_BODY) {
            const oct_status st = oct_exec_step(w, ctx, f, i);
            if (st != OCT_OK)
                return oct_fail_in(ctx, st, "%s (%s)", p->step[i].info.node, p->step[i].info.op);
        }
    }
    return OCT_OK;
}

/* ---- events ---- */

oct_status oct_exec_timed(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    oct_backend *be = w->engine->be;
    if (!f->event)
        f->event = oct_zalloc_array(ctx, 2 * (size_t)f->plan->n_steps + 1, sizeof(oct_event *));
    if (!f->event)
        return OCT_ERR_NOMEM;
    oct_event **ev = &f->event[2 * i];
    for (int k = 0; k < 2; k++)
        if (!ev[k])
            OCT_TRY(be->vt->event_new(be, ctx, &ev[k]));
    OCT_TRY(be->vt->event_record(be, ctx, ev[0], w->stream));
    OCT_TRY(oct_exec_step(w, ctx, f, i));
    f->n_runs[i]++;
    return be->vt->event_record(be, ctx, ev[1], w->stream);
}

oct_status oct_exec_read_events(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    oct_backend *be = w->engine->be;
    for (uint32_t i = 0; f->event && i < f->plan->n_steps; i++) {
        double ms = 0;
        if (!f->event[2 * i + 1])
            continue;
        OCT_TRY(be->vt->event_ms(be, ctx, f->event[2 * i], f->event[2 * i + 1], &ms));
        f->total_ns[i] += (uint64_t)(ms * 1e6);
    }
    return OCT_OK;
}

void oct_exec_device_free(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    oct_backend *be = w->engine->be;
    free_graphs(w, f);
    for (uint32_t i = 0; f->event && i < 2 * f->plan->n_steps; i++)
        be->vt->event_free(be, f->event[i]);
    oct_free(ctx, f->graph);
    oct_free(ctx, f->event);
}

/* ---- replays ---- */

static oct_status replay_timed(oct_worker *w, oct_ctx *ctx, oct_frame *f, int n, oct_event **ev,
                               double *ms)
{
    oct_backend *be = w->engine->be;
    for (int i = 0; i <= n; i++) {
        OCT_TRY(be->vt->event_new(be, ctx, &ev[i]));
        OCT_TRY(be->vt->event_record(be, ctx, ev[i], w->stream));
        if (i < n)
            OCT_TRY(oct_exec_graphs(w, ctx, f));
    }
    OCT_TRY(oct_exec_settle(w, ctx));
    for (int i = 0; i < n; i++)
        OCT_TRY(be->vt->event_ms(be, ctx, ev[i], ev[i + 1], &ms[i]));
    return OCT_OK;
}

oct_status oct_worker_replay(oct_worker *w, oct_ctx *ctx, int n, double *ms)
{
    oct_backend *be = w->engine->be;
    if (!w->stream)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "replay: %s is not a device", be->vt->name);
    if (!w->last || !w->last->warm || w->last->plan->has_dynamic)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "replay: nothing has run, or shapes depend on data");
    oct_event **ev = oct_zalloc_array(ctx, (size_t)n + 1, sizeof(oct_event *));
    if (!ev)
        return OCT_ERR_NOMEM;
    const oct_status st = replay_timed(w, ctx, w->last, n, ev, ms);
    for (int i = 0; i <= n; i++)
        be->vt->event_free(be, ev[i]);
    oct_free(ctx, ev);
    return st;
}
