/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/session.h"

#include <string.h>

#include "base/parallel.h"
#include "engine/executor.h"
#include "engine/passes.h"
#include "engine/plan_key.h"
#include "engine/session_internal.h"

#define DEFAULT_PLANS 8
#define SUB_PLANS 64 /* plans of If and Loop bodies, beside those of the graph */

/* ---- constants of a device backend ---- */

struct oct_device_const {
    const void *host;
    void *device;
};

oct_status oct_engine_constant(oct_engine *e, oct_ctx *ctx, const void *data, size_t bytes,
                               const void **out)
{
    if (e->be->vt->host_memory) {
        *out = data;
        return OCT_OK;
    }
    pthread_mutex_lock(&e->lock);
    oct_status st = OCT_OK;
    struct oct_device_const *found = NULL;
    for (uint32_t i = 0; i < e->n_device_const && !found; i++)
        if (e->device_const[i].host == data)
            found = &e->device_const[i];
    if (!found && e->n_device_const == e->cap_device_const) {
        const uint32_t cap = e->cap_device_const ? 2 * e->cap_device_const : 64;
        void *more = oct_realloc(e->ctx, e->device_const, cap * sizeof *e->device_const);
        if (more) {
            e->device_const = more;
            e->cap_device_const = cap;
        } else {
            st = OCT_ERR_NOMEM;
        }
    }
    if (!found && st == OCT_OK) {
        found = &e->device_const[e->n_device_const];
        found->host = data;
        found->device = e->be->vt->mem_alloc(e->be, ctx, bytes);
        st = found->device ? e->be->vt->copy_in(e->be, ctx, found->device, data, bytes, NULL)
                           : OCT_ERR_NOMEM;
        if (found->device)
            e->n_device_const++;
    }
    *out = found ? found->device : NULL;
    pthread_mutex_unlock(&e->lock);
    return st;
}

/* ---- plans ---- */

static bool plan_fits(const oct_plan *p, const oct_graph *g, const oct_tensor_desc *in, uint32_t n)
{
    if (p->graph != g || p->n_key != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (p->key[i].dtype != in[i].dtype || !oct_shape_equal(&p->key[i].shape, &in[i].shape))
            return false;
    return true;
}

/* Makes room: the least recently used plans that no frame holds go. */
static void evict_plans(oct_engine *e, const oct_graph *g)
{
    const uint32_t most = g == e->graph ? e->max_plans : SUB_PLANS;
    for (;;) {
        uint32_t count = 0, oldest = OCT_NONE;
        for (uint32_t i = 0; i < e->n_plans; i++) {
            const oct_plan *p = e->plan[i];
            if ((p->graph == e->graph) != (g == e->graph))
                continue;
            count++;
            if (p->users == 0 && (oldest == OCT_NONE || p->used_at < e->plan[oldest]->used_at))
                oldest = i;
        }
        if (count < most || oldest == OCT_NONE)
            return;
        oct_plan_free(e, e->plan[oldest]);
        e->plan[oldest] = e->plan[--e->n_plans];
    }
}

static oct_status add_plan(oct_engine *e, const oct_graph *g, const oct_tensor_desc *in, uint32_t n,
                           oct_plan **out)
{
    evict_plans(e, g);
    if (e->n_plans == e->cap_plans) {
        const uint32_t cap = e->cap_plans ? 2 * e->cap_plans : DEFAULT_PLANS;
        oct_plan **more = oct_realloc(e->ctx, e->plan, cap * sizeof(oct_plan *));
        if (!more)
            return OCT_ERR_NOMEM;
        e->plan = more;
        e->cap_plans = cap;
    }
    OCT_TRY(oct_plan_build(e, g, in, n, out));
    e->plan[e->n_plans++] = *out;
    return OCT_OK;
}

oct_status oct_engine_plan(oct_engine *e, oct_ctx *ctx, const oct_graph *g,
                           const oct_tensor_desc *in, uint32_t n_in, oct_plan **out)
{
    pthread_mutex_lock(&e->lock);
    oct_status st = OCT_OK;
    oct_plan *p = NULL;
    for (uint32_t i = 0; i < e->n_plans && !p; i++)
        if (plan_fits(e->plan[i], g, in, n_in))
            p = e->plan[i];
    if (!p)
        st = add_plan(e, g, in, n_in, &p);
    if (st == OCT_OK) {
        p->users++;
        p->used_at = ++e->clock;
        *out = p;
    } else {
        oct_fail(ctx, st, "%s", oct_error_text(e->ctx));
        oct_error_clear(e->ctx);
    }
    pthread_mutex_unlock(&e->lock);
    return st;
}

void oct_engine_release_plan(oct_engine *e, oct_plan *p)
{
    pthread_mutex_lock(&e->lock);
    p->users--;
    pthread_mutex_unlock(&e->lock);
}

/* ---- engine ---- */

static oct_status engine_ios(oct_engine *e, const oct_graph *g)
{
    uint32_t n_in, n_out;
    const oct_value_id *in = oct_graph_inputs(g, &n_in), *out = oct_graph_outputs(g, &n_out);
    e->input = oct_arena_array(e->arena, n_in + 1, sizeof *e->input);
    e->output = oct_arena_array(e->arena, n_out + 1, sizeof *e->output);
    if (!e->input || !e->output)
        return OCT_ERR_NOMEM;
    e->n_inputs = n_in;
    e->n_outputs = n_out;
    for (uint32_t i = 0; i < n_in + n_out; i++) {
        const oct_value *v = oct_graph_value(g, i < n_in ? in[i] : out[i - n_in]);
        oct_io *io = i < n_in ? &e->input[i] : &e->output[i - n_in];
        *io = (oct_io){.dtype = v->dtype, .shape = v->shape};
        io->name = oct_arena_strdup(e->arena, v->name);
        if (!io->name)
            return OCT_ERR_NOMEM;
    }
    return OCT_OK;
}

static oct_status engine_backends(oct_engine *e, const oct_engine_options *opt)
{
    const char *name = opt->backend ? opt->backend : "cpu";
    e->borrowed = opt->opened != NULL;
    e->be = opt->opened;
    if (!e->be)
        OCT_TRY(oct_backend_open(e->ctx, name, &e->be));
    if (e->be->vt->host_memory && opt->precision & (OCT_PRECISION_F16 | OCT_PRECISION_TF32))
        return oct_fail(e->ctx, OCT_ERR_UNSUPPORTED, "%s needs a GPU, this is device %s",
                        opt->precision & OCT_PRECISION_F16 ? "fp16" : "tf32", e->be->vt->name);
    if (e->be->vt->host_memory)
        e->host = e->be;
    else
        OCT_TRY(oct_backend_open(e->ctx, "cpu", &e->host));
    if (strcmp(e->be->vt->name, "ref") == 0)
        e->ref = e->be;
    else
        OCT_TRY(oct_backend_open(e->ctx, "ref", &e->ref));
    return OCT_OK;
}

static oct_status device_text(oct_engine *e, const oct_backend *be, const char **out)
{
    oct_strbuf b;
    oct_strbuf_init(&b, e->ctx);
    const oct_status st = oct_plan_key_device(be, e->threads, &b);
    *out = st == OCT_OK ? oct_arena_strdup(e->arena, b.text) : NULL;
    oct_strbuf_deinit(&b);
    return st == OCT_OK && !*out ? OCT_ERR_NOMEM : st;
}

static oct_status engine_timings(oct_engine *e, const oct_engine_options *opt)
{
    if (!e->tune)
        return OCT_OK;
    OCT_TRY(device_text(e, e->be, &e->timed_device));
    OCT_TRY(device_text(e, e->host, &e->timed_host));
    OCT_TRY(oct_timing_cache_open(e->ctx, opt->timing_cache, &e->timings));
    return oct_timing_cache_use(e->timings, e->ctx, e->timed_device);
}

static oct_status engine_graph(oct_engine *e, const oct_engine_options *opt)
{
    OCT_TRY(oct_graph_clone(e->ctx, oct_model_graph(e->model), &e->graph));
    OCT_TRY(oct_observe_mark(e, opt));
    const oct_pass_env env = {.backend = e->be,
                              .ref = e->ref,
                              .precision = opt->precision ? opt->precision : OCT_PRECISION_F32,
                              .no_fusion = opt->no_fusion,
                              .keep_f32 = opt->keep_f32,
                              .n_keep_f32 = opt->n_keep_f32};
    OCT_TRY(oct_passes_run(e->ctx, e->graph, &env));
    e->observe_made = opt->observe_made;
    if (e->observe_made)
        oct_observe_mark_made(e);
    return oct_observe_collect(e);
}

static oct_status engine_init(oct_engine *e, const oct_engine_options *opt)
{
    e->threads = opt->threads > 0 ? opt->threads : oct_cpu_count();
    e->plan_threads = opt->plan_threads > 0 ? opt->plan_threads : e->threads;
    e->tune = opt->tune;
    e->tf32 = (opt->precision & OCT_PRECISION_TF32) != 0;
    e->tactic = opt->tactic;
    e->n_tactics = opt->n_tactics;
    e->row_only = opt->no_fusion;
    e->max_plans = opt->max_plans > 0 ? (uint32_t)opt->max_plans : DEFAULT_PLANS;
    e->arena_limit_bytes = opt->arena_limit_bytes;
    OCT_TRY(oct_arena_new(e->ctx, &e->arena));
    OCT_TRY(engine_ios(e, oct_model_graph(e->model)));
    OCT_TRY(engine_backends(e, opt));
    OCT_TRY(engine_timings(e, opt));
    return engine_graph(e, opt);
}

oct_status oct_engine_new(oct_ctx *ctx, const oct_model *m, const oct_engine_options *opt,
                          oct_engine **out)
{
    static const oct_engine_options defaults;
    oct_engine *e = oct_zalloc(ctx, sizeof *e);
    if (!e)
        return OCT_ERR_NOMEM;
    e->model = m;
    if (pthread_mutex_init(&e->lock, NULL) != 0) {
        oct_free(ctx, e);
        return oct_fail(ctx, OCT_ERR_NOMEM, "engine: no mutex");
    }
    oct_status st = oct_ctx_fork(ctx, &e->ctx);
    if (st == OCT_OK)
        st = engine_init(e, opt ? opt : &defaults);
    if (st != OCT_OK) {
        oct_engine_free(e, ctx);
        return st;
    }
    *out = e;
    return OCT_OK;
}

void oct_engine_free(oct_engine *e, oct_ctx *ctx)
{
    if (!e)
        return;
    for (uint32_t i = 0; i < e->n_plans; i++)
        oct_plan_free(e, e->plan[i]);
    for (uint32_t i = 0; i < e->n_device_const; i++)
        e->be->vt->mem_free(e->be, e->ctx, e->device_const[i].device);
    if (e->ctx) {
        oct_free(e->ctx, e->plan);
        oct_free(e->ctx, e->device_const);
        if (e->ref != e->be)
            oct_backend_close(e->ref, e->ctx);
        if (e->host != e->be)
            oct_backend_close(e->host, e->ctx);
        if (!e->borrowed)
            oct_backend_close(e->be, e->ctx);
        oct_timing_cache_close(e->timings);
        oct_graph_free(e->graph);
        oct_arena_free(e->arena);
        oct_ctx_join(ctx, e->ctx);
    }
    pthread_mutex_destroy(&e->lock);
    oct_free(ctx, e);
}

struct oct_backend *oct_engine_backend(const oct_engine *e)
{
    return e->be;
}

size_t oct_engine_timed(const oct_engine *e, const char **device)
{
    *device = e->timed_device ? e->timed_device : "";
    return e->n_timed;
}

bool oct_engine_uses_tf32(const oct_engine *e)
{
    return e->tf32;
}

void *oct_engine_host_alloc(oct_engine *e, oct_ctx *ctx, size_t bytes)
{
    return e->be->vt->host_alloc ? e->be->vt->host_alloc(e->be, ctx, bytes) : oct_alloc(ctx, bytes);
}

void oct_engine_host_free(oct_engine *e, oct_ctx *ctx, void *p)
{
    if (e->be->vt->host_free)
        e->be->vt->host_free(e->be, ctx, p);
    else
        oct_free(ctx, p);
}

oct_status oct_engine_fetch(oct_engine *e, oct_ctx *ctx, const oct_tensor *t, oct_stream *stream,
                            void *host)
{
    size_t bytes = 0;
    if (!oct_tensor_desc_bytes(&t->desc, &bytes))
        return oct_fail(ctx, OCT_ERR_SHAPE, "a tensor of unknown size on the device");
    OCT_TRY(e->be->vt->copy_out(e->be, ctx, host, t->data, bytes, stream));
    return e->be->vt->stream_sync(e->be, ctx, stream);
}

size_t oct_engine_inputs(const oct_engine *e, const oct_io **list)
{
    *list = e->input;
    return e->n_inputs;
}

size_t oct_engine_outputs(const oct_engine *e, const oct_io **list)
{
    *list = e->output;
    return e->n_outputs;
}

size_t oct_engine_observed(const oct_engine *e, const oct_observed **list)
{
    *list = e->observed;
    return e->n_observed;
}
