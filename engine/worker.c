/* SPDX-License-Identifier: Apache-2.0
 *
 * Workers: one line of execution of an engine, with memory of its own (session.h).
 */
#include <string.h>

#include "engine/executor.h"
#include "engine/session.h"

oct_status oct_worker_new(oct_engine *e, oct_ctx *ctx, oct_worker **out)
{
    oct_worker *w = oct_zalloc(ctx, sizeof *w);
    if (!w)
        return OCT_ERR_NOMEM;
    w->engine = e;
    if (e->be->vt->stream_new) {
        const oct_status st = e->be->vt->stream_new(e->be, ctx, &w->stream);
        if (st != OCT_OK) {
            oct_free(ctx, w);
            return st;
        }
    }
    *out = w;
    return OCT_OK;
}

void oct_worker_free(oct_worker *w, oct_ctx *ctx)
{
    if (!w)
        return;
    oct_backend *be = w->engine->be;
    for (uint32_t i = 0; i < w->n_frames; i++)
        oct_frame_free(w, ctx, w->frame[i]);
    oct_free(ctx, w->frame);
    oct_pool_deinit(&w->pool, ctx);
    oct_engine_host_free(w->engine, ctx, w->memory[1]);
    if (w->memory[0])
        be->vt->mem_free(be, ctx, w->memory[0]);
    if (w->stream)
        be->vt->stream_free(be, w->stream);
    oct_free(ctx, w);
}

/* ---- inputs ---- */

/* Known dims must agree; the same symbol must stand for the same number in all inputs. */
static oct_status check_dims(oct_ctx *ctx, const oct_engine *e, const oct_shape *in, uint32_t i)
{
    const oct_io *io = &e->input[i];
    char want[OCT_SHAPE_STR_BYTES], have[OCT_SHAPE_STR_BYTES];
    if (io->shape.n_dims < 0)
        return OCT_OK;
    bool fits = in[i].n_dims == io->shape.n_dims;
    for (int k = 0; fits && k < in[i].n_dims; k++) {
        const int64_t d = io->shape.dim[k];
        fits = in[i].dim[k] >= 0 && (oct_dim_is_symbol(d) || d == in[i].dim[k]);
        for (uint32_t j = 0; fits && oct_dim_is_symbol(d) && j < i; j++)
            for (int m = 0; m < in[j].n_dims && m < e->input[j].shape.n_dims; m++)
                if (e->input[j].shape.dim[m] == d && in[j].dim[m] != in[i].dim[k])
                    return oct_fail(ctx, OCT_ERR_SHAPE,
                                    "inputs %s and %s disagree on a dimension that the model "
                                    "gives one name: %lld and %lld",
                                    e->input[j].name, io->name, (long long)in[j].dim[m],
                                    (long long)in[i].dim[k]);
    }
    if (fits)
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_SHAPE, "input %s is %s, the model wants %s", io->name,
                    oct_shape_str(&in[i], have, sizeof have),
                    oct_shape_str(&io->shape, want, sizeof want));
}

static oct_status check_shapes(oct_ctx *ctx, const oct_engine *e, const oct_shape *in, size_t n)
{
    if (n != e->n_inputs)
        return oct_fail(ctx, OCT_ERR_USAGE, "%zu inputs given, the model has %u", n,
                        (unsigned)e->n_inputs);
    for (uint32_t i = 0; i < n; i++)
        OCT_TRY(check_dims(ctx, e, in, i));
    return OCT_OK;
}

static oct_status frame_for(oct_worker *w, oct_ctx *ctx, const oct_shape *in, size_t n,
                            oct_frame **f)
{
    const oct_engine *e = w->engine;
    OCT_TRY(check_shapes(ctx, e, in, n));
    oct_tensor_desc *key = oct_alloc_array(ctx, n + 1, sizeof *key);
    if (!key)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        key[i] = oct_tensor_desc_make(e->input[i].dtype, in[i], OCT_LAYOUT_ROW);
    const oct_status st = oct_frame_get(w, ctx, e->graph, key, (uint32_t)n, f);
    oct_free(ctx, key);
    return st;
}

oct_status oct_worker_prepare(oct_worker *w, oct_ctx *ctx, const oct_shape *in, size_t n_in)
{
    oct_frame *f;
    return frame_for(w, ctx, in, n_in, &f);
}

/* The last run's frame again, without a look-up, when the shapes are the same. */
static bool same_as_last(const oct_worker *w, const oct_tensor *in, size_t n_in)
{
    if (!w->last || w->last->plan->n_key != n_in || w->last->memory_version != w->memory_version)
        return false;
    for (size_t i = 0; i < n_in; i++)
        if (!oct_shape_equal(&w->last->plan->key[i].shape, &in[i].desc.shape))
            return false;
    return true;
}

static oct_status find_frame(oct_worker *w, oct_ctx *ctx, const oct_tensor *in, size_t n_in,
                             oct_frame **f)
{
    const oct_engine *e = w->engine;
    for (size_t i = 0; i < n_in && i < e->n_inputs; i++) {
        size_t elems = 0;
        if (!in[i].data && oct_shape_elems(&in[i].desc.shape, &elems) && elems > 0)
            return oct_fail(ctx, OCT_ERR_USAGE, "input %s has no data", e->input[i].name);
        if (in[i].desc.dtype != e->input[i].dtype)
            return oct_fail(ctx, OCT_ERR_SHAPE, "input %s is %s, the model wants %s",
                            e->input[i].name, oct_dtype_str(in[i].desc.dtype),
                            oct_dtype_str(e->input[i].dtype));
    }
    if (same_as_last(w, in, n_in)) {
        *f = w->last;
        return OCT_OK;
    }
    oct_shape *shape = oct_alloc_array(ctx, n_in + 1, sizeof *shape);
    if (!shape)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n_in; i++)
        shape[i] = in[i].desc.shape;
    const oct_status st = frame_for(w, ctx, shape, n_in, f);
    oct_free(ctx, shape);
    return st;
}

oct_status oct_worker_run(oct_worker *w, oct_ctx *ctx, const oct_tensor *in, size_t n_in,
                          oct_tensor *out, size_t n_out, oct_observer *observer)
{
    oct_frame *f;
    OCT_TRY(oct_check_cancel(ctx));
    OCT_TRY(find_frame(w, ctx, in, n_in, &f));
    const oct_status st = oct_frame_run(w, ctx, f, in, observer);
    if (st != OCT_OK)
        return w->stream ? oct_exec_abandon(w, ctx, st) : st;
    for (size_t i = 0; i < n_out && i < f->plan->n_outputs; i++)
        out[i] = oct_frame_output(f, (uint32_t)i);
    return OCT_OK;
}

/* ---- profiles ---- */

void oct_worker_set_profiling(oct_worker *w, bool on)
{
    w->profiling = on;
    for (uint32_t i = 0; i < w->n_frames && on; i++) {
        oct_frame *f = w->frame[i];
        memset(f->n_runs, 0, f->plan->n_steps * sizeof *f->n_runs);
        memset(f->total_ns, 0, f->plan->n_steps * sizeof *f->total_ns);
    }
}

size_t oct_worker_ops(const oct_worker *w, const oct_op_info **list)
{
    *list = NULL;
    if (!w->last)
        return 0;
    const oct_plan *p = w->last->plan;
    oct_op_info *ops = w->last->info;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        ops[i] = p->step[i].info;
        ops[i].n_runs = w->last->n_runs[i];
        ops[i].total_ns = w->last->total_ns[i];
    }
    *list = ops;
    return p->n_steps;
}

size_t oct_worker_arena_bytes(const oct_worker *w)
{
    return w->last ? w->last->plan->arena_bytes[0] + w->last->plan->arena_bytes[1] : 0;
}
