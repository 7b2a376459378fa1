/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/executor.h"

#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* ---- memory ---- */

static void *memory_new(oct_worker *w, oct_ctx *ctx, bool on_host, size_t bytes)
{
    oct_backend *be = w->engine->be;
    if (on_host)
        return oct_engine_host_alloc(w->engine, ctx, bytes);
    return be->vt->mem_alloc(be, ctx, bytes);
}

static void memory_free(oct_worker *w, oct_ctx *ctx, bool on_host, void *p)
{
    oct_backend *be = w->engine->be;
    if (on_host)
        oct_engine_host_free(w->engine, ctx, p);
    else if (p)
        be->vt->mem_free(be, ctx, p);
}

/* Frames of the engine's graph share the worker's block, grown to the largest plan. */
static oct_status worker_memory(oct_worker *w, oct_ctx *ctx, const oct_plan *p)
{
    for (int host = 0; host < 2; host++) {
        if (p->arena_bytes[host] <= w->memory_bytes[host])
            continue;
        memory_free(w, ctx, host, w->memory[host]);
        w->memory_bytes[host] = 0;
        w->memory_version++;
        w->memory[host] = memory_new(w, ctx, host, p->arena_bytes[host]);
        if (!w->memory[host])
            return OCT_ERR_NOMEM;
        w->memory_bytes[host] = p->arena_bytes[host];
    }
    return OCT_OK;
}

static oct_status frame_memory(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    for (int host = 0; host < 2; host++) {
        if (f->plan->arena_bytes[host] == 0)
            continue;
        f->memory[host] = memory_new(w, ctx, host, f->plan->arena_bytes[host]);
        if (!f->memory[host])
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

/* ---- frames ---- */

void oct_frame_free(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    if (!f)
        return;
    const oct_plan *p = f->plan;
    oct_exec_device_free(w, ctx, f);
    if (f->deferred)
        for (uint32_t i = 0; i < p->n_steps; i++)
            oct_exec_deferred_free(ctx, &f->deferred[i], &p->step[i]);
    if (f->block)
        for (uint32_t i = 0; i < p->n_tensors; i++)
            oct_pool_give(&w->pool, f->block[i]);
    memory_free(w, ctx, false, f->memory[0]);
    memory_free(w, ctx, true, f->memory[1]);
    oct_free(ctx, f->ptr);
    oct_free(ctx, f->desc);
    oct_free(ctx, f->block);
    oct_free(ctx, f->deferred);
    oct_free(ctx, (void *)f->arg_in);
    oct_free(ctx, f->arg_out);
    oct_free(ctx, f->n_runs);
    oct_free(ctx, f->total_ns);
    oct_free(ctx, f->info);
    oct_engine_release_plan(w->engine, f->plan);
    oct_free(ctx, f);
}

static oct_status frame_lists(oct_ctx *ctx, oct_frame *f)
{
    const oct_plan *p = f->plan;
    f->ptr = oct_zalloc_array(ctx, p->n_tensors + 1, sizeof *f->ptr);
    f->arg_in = oct_zalloc_array(ctx, p->max_args + 1, sizeof *f->arg_in);
    f->arg_out = oct_zalloc_array(ctx, p->max_args + 1, sizeof *f->arg_out);
    f->n_runs = oct_zalloc_array(ctx, p->n_steps + 1, sizeof *f->n_runs);
    f->total_ns = oct_zalloc_array(ctx, p->n_steps + 1, sizeof *f->total_ns);
    f->info = oct_zalloc_array(ctx, p->n_steps + 1, sizeof *f->info);
    if (!f->ptr || !f->arg_in || !f->arg_out || !f->n_runs || !f->total_ns || !f->info)
        return OCT_ERR_NOMEM;
    if (!p->has_dynamic)
        return OCT_OK;
    f->deferred = oct_zalloc_array(ctx, p->n_steps + 1, sizeof *f->deferred);
    f->desc = oct_zalloc_array(ctx, p->n_tensors + 1, sizeof *f->desc);
    f->block = oct_alloc_array(ctx, p->n_tensors + 1, sizeof *f->block);
    if (!f->deferred || !f->desc || !f->block)
        return OCT_ERR_NOMEM;
    memset(f->block, 0xff, (p->n_tensors + 1) * sizeof *f->block);
    return OCT_OK;
}

/* Where tensors without elements lie: kernels may do arithmetic on every pointer they get. */
static void *no_bytes(oct_frame *f)
{
    return f;
}

/* Pointers that stay the same from run to run. */
static oct_status frame_resolve(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    const oct_plan *p = f->plan;
    const bool shared = p->graph == w->engine->graph;
    for (uint32_t i = 0; i < p->n_tensors; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        size_t bytes = 0;
        const void *data = t->data;
        uint8_t *memory = shared ? w->memory[t->on_host] : f->memory[t->on_host];
        if (t->unread)
            continue;
        if (t->place == OCT_PLACE_CONST && !t->on_host && oct_tensor_desc_bytes(&t->desc, &bytes))
            OCT_TRY(oct_engine_constant(w->engine, ctx, t->data, bytes, &data));
        if (t->place == OCT_PLACE_CONST)
            f->ptr[i] = (void *)(uintptr_t)data;
        else if (t->place == OCT_PLACE_ARENA && t->first != OCT_NONE)
            f->ptr[i] = memory ? memory + t->offset : no_bytes(f);
    }
    for (uint32_t i = 0; i < p->n_tensors; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        if (t->place == OCT_PLACE_VIEW && f->ptr[t->base])
            f->ptr[i] = (uint8_t *)f->ptr[t->base] + t->offset;
    }
    f->memory_version = w->memory_version;
    return OCT_OK;
}

static oct_status frame_new(oct_worker *w, oct_ctx *ctx, oct_plan *plan, oct_frame **out)
{
    oct_frame *f = oct_zalloc(ctx, sizeof *f);
    if (!f) {
        oct_engine_release_plan(w->engine, plan);
        return OCT_ERR_NOMEM;
    }
    f->plan = plan;
    oct_status st = frame_lists(ctx, f);
    if (st == OCT_OK && plan->graph != w->engine->graph)
        st = frame_memory(w, ctx, f);
    if (st != OCT_OK) {
        oct_frame_free(w, ctx, f);
        return st;
    }
    f->memory_version = UINT64_MAX;
    *out = f;
    return OCT_OK;
}

static bool same_inputs(const oct_plan *p, const oct_graph *g, const oct_tensor_desc *in,
                        uint32_t n)
{
    if (p->graph != g || p->n_key != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (p->key[i].dtype != in[i].dtype || !oct_shape_equal(&p->key[i].shape, &in[i].shape))
            return false;
    return true;
}

/* Frames follow the engine's plans: as many, least recently used out. */
static oct_status frame_keep(oct_worker *w, oct_ctx *ctx, oct_frame *f)
{
    const uint32_t most = w->engine->max_plans + oct_graph_n_subs(w->engine->graph) * 8;
    if (w->n_frames >= most && f->plan->graph == w->engine->graph) {
        uint32_t oldest = OCT_NONE;
        for (uint32_t i = 0; i < w->n_frames; i++)
            if (w->frame[i]->plan->graph == w->engine->graph &&
                (oldest == OCT_NONE || w->frame[i]->used_at < w->frame[oldest]->used_at))
                oldest = i;
        if (oldest != OCT_NONE) {
            if (w->last == w->frame[oldest])
                w->last = NULL;
            oct_frame_free(w, ctx, w->frame[oldest]);
            w->frame[oldest] = w->frame[--w->n_frames];
        }
    }
    if (w->n_frames == w->cap_frames) {
        const uint32_t cap = w->cap_frames ? 2 * w->cap_frames : 8;
        oct_frame **more = oct_realloc(ctx, w->frame, cap * sizeof(oct_frame *));
        if (!more)
            return OCT_ERR_NOMEM;
        w->frame = more;
        w->cap_frames = cap;
    }
    w->frame[w->n_frames++] = f;
    return OCT_OK;
}

oct_status oct_frame_get(oct_worker *w, oct_ctx *ctx, const oct_graph *g, const oct_tensor_desc *in,
                         uint32_t n_in, oct_frame **out)
{
    oct_frame *f = NULL;
    for (uint32_t i = 0; i < w->n_frames && !f; i++)
        if (same_inputs(w->frame[i]->plan, g, in, n_in))
            f = w->frame[i];
    if (!f) {
        oct_plan *plan;
        OCT_TRY(oct_engine_plan(w->engine, ctx, g, in, n_in, &plan));
        OCT_TRY(frame_new(w, ctx, plan, &f));
        const oct_status st = frame_keep(w, ctx, f);
        if (st != OCT_OK) {
            oct_frame_free(w, ctx, f);
            return st;
        }
    }
    f->used_at = ++w->clock;
    if (g == w->engine->graph) {
        OCT_TRY(worker_memory(w, ctx, f->plan));
        w->last = f;
    }
    if (f->memory_version != w->memory_version)
        OCT_TRY(frame_resolve(w, ctx, f));
    *out = f;
    return OCT_OK;
}

oct_tensor oct_frame_output(const oct_frame *f, uint32_t i)
{
    const uint32_t t = f->plan->output[i];
    return (oct_tensor){.desc = *oct_frame_desc(f, t), .data = f->ptr[t]};
}

/* ---- running ---- */

static void bind_inputs(oct_frame *f, const oct_tensor *in)
{
    const oct_plan *p = f->plan;
    for (uint32_t i = 0; i < p->n_tensors; i++) {
        const oct_plan_tensor *t = &p->tensor[i];
        if (t->place == OCT_PLACE_INPUT)
            f->ptr[i] = in[t->input].data ? in[t->input].data : no_bytes(f);
        else if (t->place == OCT_PLACE_VIEW && p->tensor[t->base].place == OCT_PLACE_INPUT)
            f->ptr[i] = (uint8_t *)f->ptr[t->base] + t->offset;
    }
}

static void give_outputs(oct_worker *w, oct_frame *f)
{
    const oct_plan *p = f->plan;
    for (uint32_t i = 0; f->block && i < p->n_tensors; i++) {
        oct_pool_give(&w->pool, f->block[i]);
        f->block[i] = OCT_NONE;
    }
}

static oct_status run_op(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s)
{
    for (uint32_t k = 0; k < s->n_in; k++)
        f->arg_in[k] = s->in[k] == OCT_NONE ? NULL : f->ptr[s->in[k]];
    for (uint32_t k = 0; k < s->n_out; k++)
        f->arg_out[k] = s->out[k] == OCT_NONE ? NULL : f->ptr[s->out[k]];
    if (!s->on_device && w->pending)
        OCT_TRY(oct_exec_settle(w, ctx));
    if (s->alias_copy) {
        OCT_TRY(oct_exec_alias_copy(w, ctx, s->op, f->arg_out[0], f->arg_in[s->alias_in],
                                    f->plan->tensor[s->out[0]].bytes));
        f->arg_in[s->alias_in] = f->arg_out[0];
    }
    const oct_run_args a = {.in = f->arg_in,
                            .out = f->arg_out,
                            .workspace = s->workspace == OCT_NONE ? NULL : f->ptr[s->workspace],
                            .stream = w->stream};
    return s->op->backend->vt->run(s->op, ctx, &a);
}

static oct_status run_copy(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_step *s)
{
    const oct_plan_tensor *from = &f->plan->tensor[s->in[0]], *to = &f->plan->tensor[s->out[0]];
    oct_backend *be = w->engine->be;
    size_t bytes = 0;
    if (!oct_tensor_desc_bytes(oct_frame_desc(f, s->out[0]), &bytes))
        return oct_fail(ctx, OCT_ERR_BUG, "copy of an unknown number of bytes");
    void *dst = f->ptr[s->out[0]];
    const void *src = f->ptr[s->in[0]];
    if (!from->on_host && !to->on_host)
        return be->vt->copy_within(be, ctx, dst, src, bytes, w->stream);
    if (from->on_host != to->on_host) {
        w->pending = true;
        return to->on_host ? be->vt->copy_out(be, ctx, dst, src, bytes, w->stream)
                           : be->vt->copy_in(be, ctx, dst, src, bytes, w->stream);
    }
    if (w->pending)
        OCT_TRY(oct_exec_settle(w, ctx));
    memcpy(dst, src, bytes);
    return OCT_OK;
}

oct_status oct_exec_step(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    const oct_plan_step *s = &f->plan->step[i];
    if (w->pending && (s->kind == OCT_STEP_DYNAMIC || s->kind == OCT_STEP_CONTROL))
        OCT_TRY(oct_exec_settle(w, ctx));
    switch (s->kind) {
    case OCT_STEP_OP:
        return run_op(w, ctx, f, s);
    case OCT_STEP_COPY:
        return run_copy(w, ctx, f, s);
    case OCT_STEP_DYNAMIC:
        return oct_exec_deferred(w, ctx, f, i);
    default:
        return oct_exec_control(w, ctx, f, i);
    }
}

static oct_status observe(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_plan_event *ev,
                          oct_observer *observer)
{
    if (observer->skip_derived && w->engine->observed[ev->value].derived != OCT_DERIVED_NONE)
        return OCT_OK;
    const oct_tensor t = {.desc = *oct_frame_desc(f, ev->tensor), .data = f->ptr[ev->tensor]};
    const bool on_host = f->plan->tensor[ev->tensor].on_host;
    return observer->fn(observer, ctx, ev->value, &t, on_host ? NULL : w->stream);
}

static oct_status timed_step(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    if (!w->profiling)
        return oct_exec_step(w, ctx, f, i);
    if (w->stream && f->plan->step[i].kind <= OCT_STEP_COPY)
        return oct_exec_timed(w, ctx, f, i);
    const uint64_t t0 = now_ns();
    const oct_status st = oct_exec_step(w, ctx, f, i);
    f->total_ns[i] += now_ns() - t0;
    f->n_runs[i]++;
    return st;
}

static void give_dynamic(oct_worker *w, oct_frame *f, const oct_plan_step *s)
{
    for (uint32_t k = 0; k < s->n_release; k++) {
        oct_pool_give(&w->pool, f->block[s->release[k]]);
        f->block[s->release[k]] = OCT_NONE;
    }
}

static oct_status run_checked(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i)
{
    const oct_plan_step *s = &f->plan->step[i];
    const oct_status st = timed_step(w, ctx, f, i);
    if (st != OCT_OK)
        return oct_fail_in(ctx, st, "%s (%s)", s->info.node, s->info.op);
    if (s->n_release)
        give_dynamic(w, f, s);
    return OCT_OK;
}

/* Steps of one phase, one by one. */
static oct_status run_phase(oct_worker *w, oct_ctx *ctx, oct_frame *f, oct_step_phase phase,
                            oct_observer *observer)
{
    const oct_plan *p = f->plan;
    uint32_t e = 0;
    for (uint32_t i = 0; i <= p->n_steps; i++) {
        for (; observer && e < p->n_events && p->event[e].step == i; e++)
            OCT_TRY(observe(w, ctx, f, &p->event[e], observer));
        if (i < p->n_steps && p->step[i].phase == phase)
            OCT_TRY(run_checked(w, ctx, f, i));
    }
    return OCT_OK;
}

oct_status oct_frame_run(oct_worker *w, oct_ctx *ctx, oct_frame *f, const oct_tensor *in,
                         oct_observer *observer)
{
    if (f->plan->has_dynamic)
        give_outputs(w, f);
    bind_inputs(f, in);
    if (!w->stream)
        return run_phase(w, ctx, f, OCT_PHASE_BODY, observer);
    OCT_TRY(run_phase(w, ctx, f, OCT_PHASE_IN, NULL));
    if (oct_exec_uses_graphs(w, f, observer))
        OCT_TRY(oct_exec_graphs(w, ctx, f));
    else
        OCT_TRY(run_phase(w, ctx, f, OCT_PHASE_BODY, observer));
    OCT_TRY(run_phase(w, ctx, f, OCT_PHASE_OUT, NULL));
    OCT_TRY(oct_exec_settle(w, ctx));
    f->warm = true;
    return w->profiling ? oct_exec_read_events(w, ctx, f) : OCT_OK;
}
