/* SPDX-License-Identifier: Apache-2.0
 *
 * Times candidates on random operands: on the host a few runs by the clock, on a device a
 * graph of several runs by events, so that the time to launch them does not count.
 */
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/planner.h"

#define TUNE_RUNS 5
#define GRAPH_RUNS 8 /* of the candidate in one captured graph */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* ---- operands ---- */

typedef struct tune_buffers {
    oct_backend *be;
    void *block[2 * OCT_MAX_ALIAS + 1];
    const void *in[OCT_MAX_ALIAS];
    void *out[OCT_MAX_ALIAS];
    void *workspace;
    uint32_t n;
} tune_buffers;

/* Bytes from the first to behind the last element of a strided tensor. */
static size_t extent_bytes(const oct_tensor_desc *d)
{
    size_t last = 0;
    for (int i = 0; i < d->shape.n_dims; i++) {
        if (d->shape.dim[i] == 0)
            return 0;
        last += (size_t)(d->shape.dim[i] - 1) * (size_t)d->stride[i];
    }
    return (last + 1) * oct_dtype_bytes(d->dtype);
}

/* Zeros would flatter a device: its clocks follow the bits that change. */
static void fill_random(void *p, size_t bytes, oct_dtype dt)
{
    oct_rng rng = {.state = 7};
    if (dt == OCT_DT_F32) {
        oct_rng_fill_uniform(&rng, p, bytes / sizeof(float), -1.0F, 1.0F);
    } else if (dt == OCT_DT_F16) { /* sign and mantissa at random, magnitudes in [0.5, 1) */
        for (size_t i = 0; i < bytes / 2; i++)
            ((uint16_t *)p)[i] = (uint16_t)(0x3800u | (oct_rng_below(&rng, 1u << 16) & 0x83ffu));
    } else if (dt == OCT_DT_S8 || dt == OCT_DT_U8) {
        for (size_t i = 0; i < bytes; i++)
            ((uint8_t *)p)[i] = (uint8_t)oct_rng_below(&rng, 256);
    }
}

static void *block_of(oct_ctx *ctx, tune_buffers *tb, size_t bytes, const void *from, oct_dtype dt)
{
    const oct_backend_vtable *vt = tb->be->vt;
    void *host = oct_zalloc(ctx, bytes ? bytes : 1);
    if (!host)
        return NULL;
    if (from)
        memcpy(host, from, bytes);
    else
        fill_random(host, bytes, dt);
    if (vt->host_memory)
        return tb->block[tb->n++] = host;
    void *p = vt->mem_alloc(tb->be, ctx, bytes);
    if (p)
        tb->block[tb->n++] = p;
    const oct_status st = p ? vt->copy_in(tb->be, ctx, p, host, bytes, NULL) : OCT_ERR_NOMEM;
    oct_free(ctx, host);
    return st == OCT_OK ? p : NULL;
}

static oct_status tune_alloc(oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                             tune_buffers *tb)
{
    const bool on_host = tb->be->vt->host_memory;
    for (int i = 0; i < d->n_out; i++) {
        if (d->out[i].desc.dtype == OCT_DT_NONE)
            continue;
        tb->out[i] = block_of(ctx, tb, extent_bytes(&d->out[i].desc), NULL, OCT_DT_NONE);
        if (!tb->out[i])
            return OCT_ERR_NOMEM;
    }
    for (int i = 0; i < d->n_in; i++) {
        const oct_operand *o = &d->in[i];
        tb->in[i] = on_host ? o->data : NULL;
        if (tb->in[i] || o->desc.dtype == OCT_DT_NONE)
            continue;
        tb->in[i] = c->alias_in == i
                        ? tb->out[0]
                        : block_of(ctx, tb, extent_bytes(&o->desc), o->data, o->desc.dtype);
        if (!tb->in[i])
            return OCT_ERR_NOMEM;
    }
    tb->workspace = block_of(ctx, tb, c->workspace_bytes, NULL, OCT_DT_NONE);
    return tb->workspace ? OCT_OK : OCT_ERR_NOMEM;
}

static void tune_free(oct_ctx *ctx, tune_buffers *tb)
{
    for (uint32_t i = 0; i < tb->n; i++) {
        if (tb->be->vt->host_memory)
            oct_free(ctx, tb->block[i]);
        else
            tb->be->vt->mem_free(tb->be, ctx, tb->block[i]);
    }
}

/* ---- timing ---- */

static oct_status time_host(oct_ctx *ctx, oct_prepared *op, const oct_run_args *a, uint64_t *best)
{
    for (int k = 0; k < TUNE_RUNS; k++) {
        const uint64_t t0 = now_ns();
        OCT_TRY(op->backend->vt->run(op, ctx, a));
        const uint64_t ns = now_ns() - t0;
        *best = ns < *best ? ns : *best;
    }
    return OCT_OK;
}

static oct_status time_graph(oct_ctx *ctx, oct_backend *be, void *graph, oct_stream *s,
                             oct_event *const ev[2], uint64_t *best)
{
    for (int k = 0; k < TUNE_RUNS; k++) {
        double ms = 0;
        OCT_TRY(be->vt->event_record(be, ctx, ev[0], s));
        OCT_TRY(be->vt->graph_launch(be, ctx, graph, s));
        OCT_TRY(be->vt->event_record(be, ctx, ev[1], s));
        OCT_TRY(be->vt->event_ms(be, ctx, ev[0], ev[1], &ms));
        const uint64_t ns = (uint64_t)(ms * 1e6 / GRAPH_RUNS);
        *best = ns < *best ? ns : *best;
    }
    return OCT_OK;
}

/* The first run, outside of the graph, loads the kernels. */
static oct_status time_device(oct_ctx *ctx, oct_prepared *op, const oct_run_args *a, uint64_t *best)
{
    oct_backend *be = op->backend;
    oct_event *ev[2] = {NULL, NULL};
    void *graph = NULL;
    OCT_TRY(be->vt->run(op, ctx, a));
    OCT_TRY(be->vt->stream_sync(be, ctx, a->stream));
    OCT_TRY(be->vt->capture_begin(be, ctx, a->stream));
    oct_status ran = OCT_OK;
    for (int k = 0; k < GRAPH_RUNS && ran == OCT_OK; k++)
        ran = be->vt->run(op, ctx, a);
    oct_status st = be->vt->capture_end(be, ctx, a->stream, &graph);
    st = ran != OCT_OK ? ran : st;
    for (int k = 0; k < 2 && st == OCT_OK; k++)
        st = be->vt->event_new(be, ctx, &ev[k]);
    if (st == OCT_OK)
        st = time_graph(ctx, be, graph, a->stream, ev, best);
    be->vt->event_free(be, ev[0]);
    be->vt->event_free(be, ev[1]);
    be->vt->graph_free(be, graph);
    return st;
}

static oct_status tune_run(oct_ctx *ctx, oct_prepared *op, const tune_buffers *tb, uint64_t *best)
{
    oct_backend *be = op->backend;
    oct_run_args a = {.in = tb->in, .out = tb->out, .workspace = tb->workspace};
    if (be->vt->host_memory)
        return time_host(ctx, op, &a, best);
    OCT_TRY(be->vt->stream_new(be, ctx, &a.stream));
    const oct_status st = time_device(ctx, op, &a, best);
    be->vt->stream_free(be, a.stream);
    return st;
}

oct_status oct_plan_tune(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                         const oct_candidate *c, uint64_t *best)
{
    *best = UINT64_MAX;
    oct_prepared *op = NULL;
    if (be->vt->prepare(be, b->ctx, d, c, &op) != OCT_OK) {
        oct_error_clear(b->ctx);
        return OCT_OK;
    }
    tune_buffers tb = {.be = be};
    oct_status st = tune_alloc(b->ctx, d, c, &tb);
    if (st == OCT_OK)
        st = tune_run(b->ctx, op, &tb, best);
    tune_free(b->ctx, &tb);
    be->vt->release(be, op);
    return st;
}
