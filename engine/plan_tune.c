/* SPDX-License-Identifier: Apache-2.0
 *
 * Times the candidates of one operator on random operands, which they share. On the host a
 * few runs by the clock; on a device a graph of several runs by events, so that the time to launch
 * them does not count. Constants are the real ones; other operands come in several sets that are
 * used in turn, as many as make up the device's cache, so that a layer that fits into it does not
 * find there what no layer before it would have left. A candidate that is clearly slower than the
 * best one so far is given up after its first run.
 */
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "engine/planner.h"

#define ROUNDS 5          /* the best one counts */
#define ROUND_NS 150000.0 /* device: wanted length of a graph */
#define MAX_GRAPH_RUNS 32 /* of the candidate in one graph */
#define HOST_ROUNDS 20
/* On the host, ns: no sixth round after the first, and after the second no fourth one of a candidate
 * that seems far too slow, which a busy machine can make of any. */
#define HOST_NS 30000000u
#define GIVE_UP_NS 5000000u
#define GIVE_UP 2             /* times the best so far */
#define LAUNCH_NS 20000.0     /* of a run outside of a graph, at most */
#define MAX_SETS 4            /* of operands */
#define TILE_BYTES (1u << 20) /* of random numbers, repeated */
#define MAX_PTR (2 * OCT_MAX_ALIAS)

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* ---- operands ---- */

typedef struct tune_set {
    const void *in[OCT_MAX_ALIAS];
    void *out[OCT_MAX_ALIAS];
} tune_set;

typedef struct tuner {
    oct_ctx *ctx;
    oct_backend *be;
    const oct_op_desc *d;
    tune_set set[MAX_SETS];
    int n_sets;
    void *block[MAX_SETS * MAX_PTR];
    int n_blocks;
    oct_stream *stream;
    oct_event *event[2];
} tuner;

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

static void *raw_alloc(tuner *t, size_t bytes)
{
    const oct_backend_vtable *vt = t->be->vt;
    return vt->host_memory ? oct_alloc(t->ctx, bytes) : vt->mem_alloc(t->be, t->ctx, bytes);
}

static void raw_free(tuner *t, void *p)
{
    if (t->be->vt->host_memory)
        oct_free(t->ctx, p);
    else if (p)
        t->be->vt->mem_free(t->be, t->ctx, p);
}

/* Repeats the first `have` bytes until all are there. */
static oct_status repeat(tuner *t, uint8_t *p, size_t have, size_t bytes)
{
    const oct_backend_vtable *vt = t->be->vt;
    for (; have < bytes; have *= 2) {
        const size_t n = have < bytes - have ? have : bytes - have;
        if (vt->host_memory)
            memcpy(p + have, p, n);
        else
            OCT_TRY(vt->copy_within(t->be, t->ctx, p + have, p, n, t->stream));
    }
    return OCT_OK;
}

static oct_status fill(tuner *t, void *p, size_t bytes, const void *from, oct_dtype dt)
{
    const oct_backend_vtable *vt = t->be->vt;
    if (bytes == 0)
        return OCT_OK;
    const size_t tile = from || bytes < TILE_BYTES ? bytes : TILE_BYTES;
    void *host = vt->host_memory ? p : oct_zalloc(t->ctx, tile);
    oct_status st = host ? OCT_OK : OCT_ERR_NOMEM;
    if (host && from)
        memcpy(host, from, tile);
    else if (host) {
        memset(host, 0, tile);
        fill_random(host, tile, dt);
    }
    if (st == OCT_OK && host != p)
        st = vt->copy_in(t->be, t->ctx, p, host, tile, t->stream);
    if (st == OCT_OK)
        st = repeat(t, p, tile, bytes);
    if (st == OCT_OK && host != p)
        st = vt->stream_sync(t->be, t->ctx, t->stream);
    if (host != p)
        oct_free(t->ctx, host);
    return st;
}

static oct_status block_of(tuner *t, size_t bytes, const void *from, oct_dtype dt, void **p)
{
    const size_t n = bytes ? bytes : 1;
    *p = raw_alloc(t, n);
    if (!*p)
        return OCT_ERR_NOMEM;
    t->block[t->n_blocks++] = *p;
    return fill(t, *p, bytes, from, dt);
}

static oct_status fill_set(tuner *t, tune_set *s)
{
    const oct_op_desc *d = t->d;
    for (int i = 0; i < d->n_out; i++)
        if (d->out[i].desc.dtype != OCT_DT_NONE)
            OCT_TRY(
                block_of(t, extent_bytes(&d->out[i].desc), NULL, d->out[i].desc.dtype, &s->out[i]));
    for (int i = 0; i < d->n_in; i++) {
        const oct_operand *o = &d->in[i];
        void *p = NULL;
        if (o->desc.dtype == OCT_DT_NONE)
            continue;
        if (o->data && s != &t->set[0]) {
            s->in[i] = t->set[0].in[i];
            continue;
        }
        if (o->data && t->be->vt->host_memory) {
            s->in[i] = o->data;
            continue;
        }
        OCT_TRY(block_of(t, extent_bytes(&o->desc), o->data, o->desc.dtype, &p));
        s->in[i] = p;
    }
    return OCT_OK;
}

/* One set on the host, whose caches hold little of a layer anyway. */
static int wanted_sets(const tuner *t)
{
    oct_device_info info;
    size_t bytes = 1;
    if (t->be->vt->host_memory || !t->be->vt->device_info)
        return 1;
    for (int i = 0; i < t->d->n_in + t->d->n_out; i++) {
        const oct_operand *o = i < t->d->n_in ? &t->d->in[i] : &t->d->out[i - t->d->n_in];
        if (!o->data)
            bytes += extent_bytes(&o->desc);
    }
    if (t->be->vt->device_info(t->be, t->ctx, &info) != OCT_OK) {
        oct_error_clear(t->ctx);
        return 1;
    }
    const size_t n = (info.l2_bytes + bytes - 1) / bytes;
    return n < 1 ? 1 : n > MAX_SETS ? MAX_SETS : (int)n;
}

static oct_status tuner_init(tuner *t)
{
    const oct_backend_vtable *vt = t->be->vt;
    if (!vt->host_memory) {
        OCT_TRY(vt->stream_new(t->be, t->ctx, &t->stream));
        for (int k = 0; k < 2; k++)
            OCT_TRY(vt->event_new(t->be, t->ctx, &t->event[k]));
    }
    OCT_TRY(fill_set(t, &t->set[0]));
    t->n_sets = 1;
    for (const int want = wanted_sets(t); t->n_sets < want; t->n_sets++) {
        const oct_status st = fill_set(t, &t->set[t->n_sets]);
        if (st == OCT_ERR_NOMEM) { /* fewer do */
            oct_error_clear(t->ctx);
            break;
        }
        OCT_TRY(st);
    }
    return OCT_OK;
}

static void tuner_deinit(tuner *t)
{
    for (int i = 0; i < t->n_blocks; i++)
        raw_free(t, t->block[i]);
    if (t->be->vt->host_memory)
        return;
    for (int k = 0; k < 2; k++)
        t->be->vt->event_free(t->be, t->event[k]);
    if (t->stream)
        t->be->vt->stream_free(t->be, t->stream);
}

/* ---- one candidate ---- */

typedef struct trial {
    tuner *t;
    oct_prepared *op;
    void *workspace;
    int alias_in;
    uint64_t limit; /* given up above */
} trial;

static oct_status run_once(const trial *r, int k)
{
    const tune_set *s = &r->t->set[k % r->t->n_sets];
    const void *in[OCT_MAX_ALIAS];
    memcpy(in, s->in, sizeof in);
    if (r->alias_in >= 0)
        in[r->alias_in] = s->out[0];
    const oct_run_args a = {
        .in = in, .out = s->out, .workspace = r->workspace, .stream = r->t->stream};
    return r->op->backend->vt->run(r->op, r->t->ctx, &a);
}

/* The first run loads code and touches memory: it decides only when it is far too slow. */
static oct_status time_host(const trial *r, uint64_t *best)
{
    uint64_t spent = 0;
    for (int k = 0; k < HOST_ROUNDS; k++) {
        const uint64_t t0 = now_ns();
        OCT_TRY(run_once(r, k));
        const uint64_t ns = now_ns() - t0;
        spent += ns;
        *best = ns < *best ? ns : *best;
        if ((k > 1 && *best > r->limit && spent > GIVE_UP_NS) || (k > 3 && spent > HOST_NS))
            break;
    }
    return OCT_OK;
}

static oct_status begin_event(const trial *r)
{
    tuner *t = r->t;
    return t->be->vt->event_record(t->be, t->ctx, t->event[0], t->stream);
}

static oct_status end_event(const trial *r, double *ns)
{
    tuner *t = r->t;
    const oct_backend_vtable *vt = t->be->vt;
    double ms = 0;
    OCT_TRY(vt->event_record(t->be, t->ctx, t->event[1], t->stream));
    OCT_TRY(vt->event_ms(t->be, t->ctx, t->event[0], t->event[1], &ms));
    *ns = 1e6 * ms;
    return OCT_OK;
}

/* Two runs outside of a graph: the first loads the kernels. */
static oct_status estimate(const trial *r, double *ns)
{
    OCT_TRY(run_once(r, 0));
    OCT_TRY(begin_event(r));
    OCT_TRY(run_once(r, 1));
    return end_event(r, ns);
}

static oct_status capture(const trial *r, int n, void **graph)
{
    tuner *t = r->t;
    const oct_backend_vtable *vt = t->be->vt;
    oct_status ran = OCT_OK;
    OCT_TRY(vt->capture_begin(t->be, t->ctx, t->stream));
    for (int k = 0; k < n && ran == OCT_OK; k++)
        ran = run_once(r, k);
    const oct_status st = vt->capture_end(t->be, t->ctx, t->stream, graph);
    return ran != OCT_OK ? ran : st;
}

static oct_status time_graph(const trial *r, void *graph, int n, uint64_t *best)
{
    tuner *t = r->t;
    for (int k = 0; k <= ROUNDS; k++) {
        double ns = 0;
        OCT_TRY(begin_event(r));
        OCT_TRY(t->be->vt->graph_launch(t->be, t->ctx, graph, t->stream));
        OCT_TRY(end_event(r, &ns));
        const uint64_t one = (uint64_t)(ns / n);
        *best = one < *best ? one : *best;
        if (k > 0 && *best > r->limit)
            break;
    }
    return OCT_OK;
}

static oct_status time_device(const trial *r, uint64_t *best)
{
    double ns = 0;
    void *graph = NULL;
    OCT_TRY(estimate(r, &ns));
    if (r->limit < UINT64_MAX && ns > (double)r->limit + LAUNCH_NS) {
        *best = (uint64_t)ns;
        return OCT_OK;
    }
    const double wanted = ns > 0 ? ROUND_NS / ns : MAX_GRAPH_RUNS;
    int n = wanted > MAX_GRAPH_RUNS ? MAX_GRAPH_RUNS : (int)wanted;
    n = n < 2 * r->t->n_sets ? 2 * r->t->n_sets : n;
    if (capture(r, n, &graph) != OCT_OK) { /* an operator that cannot be captured: as it was seen */
        oct_error_clear(r->t->ctx);
        *best = (uint64_t)ns;
        return OCT_OK;
    }
    const oct_status st = time_graph(r, graph, n, best);
    r->t->be->vt->graph_free(r->t->be, graph);
    return st;
}

static bool is_fatal(oct_status st)
{
    return st == OCT_ERR_CANCELLED || st == OCT_ERR_DEVICE || st == OCT_ERR_NOMEM ||
           st == OCT_ERR_LIMIT || st == OCT_ERR_BUG;
}

/* *ns = OCT_TIMING_FAILED for a candidate that cannot be prepared. */
static oct_status time_one(tuner *t, const oct_candidate *c, uint64_t limit, uint64_t *ns)
{
    const oct_backend_vtable *vt = t->be->vt;
    trial r = {.t = t, .alias_in = c->alias_in, .limit = limit};
    *ns = OCT_TIMING_FAILED;
    if (vt->prepare(t->be, t->ctx, t->d, c, &r.op) != OCT_OK) {
        oct_error_clear(t->ctx);
        return OCT_OK;
    }
    r.workspace = raw_alloc(t, c->workspace_bytes ? c->workspace_bytes : 1);
    oct_status st = r.workspace ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = vt->host_memory ? time_host(&r, ns) : time_device(&r, ns);
    raw_free(t, r.workspace);
    vt->release(t->be, r.op);
    if (st == OCT_OK || is_fatal(st))
        return st;
    oct_error_clear(t->ctx); /* random operands that this candidate does not like */
    *ns = OCT_TIMING_FAILED;
    return OCT_OK;
}

static oct_status time_all(tuner *t, const oct_candidate *list, int n, uint64_t *ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < n; i++)
        best = ns[i] && ns[i] < best ? ns[i] : best;
    for (int i = 0; i < n; i++) {
        if (ns[i])
            continue;
        OCT_TRY(oct_check_cancel(t->ctx));
        OCT_TRY(time_one(t, &list[i], best < UINT64_MAX / GIVE_UP ? GIVE_UP * best : best, &ns[i]));
        ns[i] += ns[i] == 0;
        best = ns[i] < best ? ns[i] : best;
    }
    return OCT_OK;
}

oct_status oct_plan_tune(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                         const oct_candidate *list, int n, uint64_t *ns)
{
    tuner t = {.ctx = b->ctx, .be = be, .d = d};
    oct_status st = tuner_init(&t);
    if (st == OCT_OK)
        st = time_all(&t, list, n, ns);
    tuner_deinit(&t);
    return st;
}
