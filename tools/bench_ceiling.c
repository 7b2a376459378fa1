/* SPDX-License-Identifier: Apache-2.0
 *
 * What a device reaches at best, to hold achieved numbers against: a copy inside its memory,
 * and square matrix products by the fastest kernel that the backend has.
 */
#include <string.h>

#include "base/rng.h"
#include "tools/bench.h"

#define COPY_BYTES ((size_t)1 << 30)
#define SIDE 4096 /* of the matrices */
#define RUNS 10
#define MAX_CANDIDATES 16

typedef struct lab { /* a stream and two events */
    oct_ctx *ctx;
    oct_backend *be;
    oct_stream *s;
    oct_event *ev[2];
} lab;

static oct_status lab_open(lab *l)
{
    OCT_TRY(l->be->vt->stream_new(l->be, l->ctx, &l->s));
    OCT_TRY(l->be->vt->event_new(l->be, l->ctx, &l->ev[0]));
    return l->be->vt->event_new(l->be, l->ctx, &l->ev[1]);
}

static void lab_close(lab *l)
{
    for (int i = 0; i < 2; i++)
        if (l->ev[i])
            l->be->vt->event_free(l->be, l->ev[i]);
    if (l->s)
        l->be->vt->stream_free(l->be, l->s);
}

typedef oct_status (*work_fn)(lab *l, void *user);

/* Mean time of a run in ms, after one that does not count. */
static oct_status time_work(lab *l, work_fn fn, void *user, double *ms)
{
    const oct_backend_vtable *vt = l->be->vt;
    OCT_TRY(fn(l, user));
    OCT_TRY(vt->event_record(l->be, l->ctx, l->ev[0], l->s));
    for (int i = 0; i < RUNS; i++)
        OCT_TRY(fn(l, user));
    OCT_TRY(vt->event_record(l->be, l->ctx, l->ev[1], l->s));
    OCT_TRY(vt->event_ms(l->be, l->ctx, l->ev[0], l->ev[1], ms));
    *ms /= RUNS;
    return OCT_OK;
}

/* ---- copies ---- */

static oct_status copy_once(lab *l, void *user)
{
    void **p = user;
    return l->be->vt->copy_within(l->be, l->ctx, p[0], p[1], COPY_BYTES, l->s);
}

static oct_status measure_copy(lab *l, double *gb_s)
{
    double ms = 0;
    void *p[2] = {l->be->vt->mem_alloc(l->be, l->ctx, COPY_BYTES), NULL};
    if (p[0])
        p[1] = l->be->vt->mem_alloc(l->be, l->ctx, COPY_BYTES);
    const oct_status st = p[1] ? time_work(l, copy_once, p, &ms) : OCT_ERR_NOMEM;
    for (int i = 0; i < 2; i++)
        if (p[i])
            l->be->vt->mem_free(l->be, l->ctx, p[i]);
    *gb_s = ms > 0 ? 2e-6 * (double)COPY_BYTES / ms : 0;
    return st;
}

/* ---- products ---- */

typedef struct product {
    oct_prepared *op;
    const void *in[2];
    void *out[1], *workspace;
} product;

static oct_status product_once(lab *l, void *user)
{
    const product *p = user;
    const oct_run_args a = {p->in, p->out, p->workspace, l->s};
    return l->be->vt->run(p->op, l->ctx, &a);
}

static void fill(oct_rng *rng, void *data, oct_dtype dt)
{
    const size_t n = (size_t)SIDE * SIDE;
    if (dt == OCT_DT_F32)
        oct_rng_fill_uniform(rng, data, n, -1.0F, 1.0F);
    for (size_t i = 0; dt == OCT_DT_F16 && i < n; i++) /* 0.5 to 1, either sign */
        ((uint16_t *)data)[i] = (uint16_t)(0x3800u | (oct_rng_below(rng, 1u << 16) & 0x83ffu));
    for (size_t i = 0; dt == OCT_DT_S8 && i < n; i++)
        ((uint8_t *)data)[i] = (uint8_t)oct_rng_below(rng, 256);
}

static oct_status time_candidate(lab *l, const oct_op_desc *d, const oct_candidate *c, product *p,
                                 double *ms)
{
    const oct_backend_vtable *vt = l->be->vt;
    OCT_TRY(vt->prepare(l->be, l->ctx, d, c, &p->op));
    p->workspace = vt->mem_alloc(l->be, l->ctx, c->workspace_bytes);
    const oct_status st = p->workspace ? time_work(l, product_once, p, ms) : OCT_ERR_NOMEM;
    if (p->workspace)
        vt->mem_free(l->be, l->ctx, p->workspace);
    vt->release(l->be, p->op);
    return st;
}

/* Best of the candidates; none is no error: the ceiling is then not known. */
static oct_status time_product(lab *l, const oct_op_desc *d, product *p, double *best)
{
    oct_candidate list[MAX_CANDIDATES];
    char reason[OCT_REASON_BYTES];
    memset(list, 0, sizeof list);
    const int n = l->be->vt->enumerate(l->be, l->ctx, d, list, MAX_CANDIDATES, reason);
    for (int i = 0; i < n; i++) {
        double ms = 0;
        OCT_TRY(time_candidate(l, d, &list[i], p, &ms));
        *best = *best == 0 || ms < *best ? ms : *best;
    }
    return OCT_OK;
}

static oct_status device_copy(lab *l, const void *host, size_t bytes, void **device)
{
    *device = l->be->vt->mem_alloc(l->be, l->ctx, bytes);
    return *device ? l->be->vt->copy_in(l->be, l->ctx, *device, host, bytes, NULL) : OCT_ERR_NOMEM;
}

static oct_status product_with(lab *l, oct_op_desc *d, uint8_t *host, size_t bytes, double *ms)
{
    product p = {NULL, {NULL, NULL}, {NULL}, NULL};
    void *x = NULL, *w = NULL;
    oct_rng rng = {.state = 5};
    fill(&rng, host, d->in[0].desc.dtype);
    oct_status st = device_copy(l, host, bytes, &x);
    fill(&rng, host, d->in[0].desc.dtype); /* the constant weights stay here while it runs */
    if (st == OCT_OK)
        st = device_copy(l, host, bytes, &w);
    p.out[0] = st == OCT_OK ? l->be->vt->mem_alloc(l->be, l->ctx, bytes) : NULL;
    p.in[0] = x;
    p.in[1] = w;
    if (st == OCT_OK)
        st = p.out[0] ? time_product(l, d, &p, ms) : OCT_ERR_NOMEM;
    void *all[] = {x, w, p.out[0]};
    for (int i = 0; i < 3; i++)
        if (all[i])
            l->be->vt->mem_free(l->be, l->ctx, all[i]);
    return st;
}

static oct_status measure_product(lab *l, oct_dtype dt, bool tf32, double *tops)
{
    const oct_shape s = {.dim = {SIDE, SIDE}, .n_dims = 2};
    const oct_qparams q[3] = {{0.02F, 0}, {0.01F, 0}, {0.5F, 0}};
    oct_operand o[3];
    oct_op_desc d = {.op = OCT_OP_MATMUL,
                     .in = o,
                     .out = o + 2,
                     .n_in = 2,
                     .n_out = 1,
                     .epilogue = {.residual = -1},
                     .threads = 1,
                     .tf32 = tf32,
                     .name = "ceiling"};
    double ms = 0;
    const size_t bytes = (size_t)SIDE * SIDE * oct_dtype_bytes(dt);
    uint8_t *host = oct_alloc(l->ctx, bytes);
    if (!host)
        return OCT_ERR_NOMEM;
    memset(o, 0, sizeof o);
    for (int i = 0; i < 3; i++) {
        o[i].desc = oct_tensor_desc_make(dt, s, OCT_LAYOUT_ROW);
        if (dt == OCT_DT_S8)
            o[i].quant = (oct_quant){&q[i], 1, 0};
    }
    o[1].data = host;
    o[1].const_key = oct_const_key_new();
    const oct_status st = product_with(l, &d, host, bytes, &ms);
    oct_free(l->ctx, host);
    *tops = ms > 0 ? 2e-9 * SIDE * SIDE * (double)SIDE / ms : 0;
    return st;
}

static oct_status measure_all(lab *l, oct_bench_ceilings *top)
{
    OCT_TRY(lab_open(l));
    OCT_TRY(measure_copy(l, &top->copy_gb_s));
    OCT_TRY(measure_product(l, OCT_DT_F32, false, &top->f32_tops));
    OCT_TRY(measure_product(l, OCT_DT_F32, true, &top->tf32_tops));
    OCT_TRY(measure_product(l, OCT_DT_F16, false, &top->f16_tops));
    return measure_product(l, OCT_DT_S8, false, &top->s8_tops);
}

oct_status oct_bench_measure_ceilings(oct_ctx *ctx, oct_backend *be, oct_bench_ceilings *top)
{
    lab l = {.ctx = ctx, .be = be};
    *top = (oct_bench_ceilings){0};
    const oct_status st = measure_all(&l, top);
    lab_close(&l);
    return st;
}
