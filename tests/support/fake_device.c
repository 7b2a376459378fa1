/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_device.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/op_schema.h"
#include "tests/support/fake_hist.h"

/* Device addresses: host addresses with a bit that no processor accepts. */
#define DEVICE_BIT ((uintptr_t)1 << 62)
#define MAX_BLOCKS 4096
#define MAX_ARGS 64

enum work_kind { RUN, COPY, RECORD, COUNT, COUNT_EXACT };

typedef struct work { /* something queued; pointers are the host's */
    enum work_kind kind;
    const oct_prepared *op;
    const void *in[MAX_ARGS];
    void *out[MAX_ARGS];
    void *workspace;
    void *dst;
    const void *src;
    size_t bytes;
    oct_event *event;
    oct_hist_device *hist; /* COUNT: of slice `slice` in value `value` */
    uint32_t value;
    oct_hist_slice slice;
    double scale[2];
} work;

typedef struct queue {
    work *list;
    size_t n, cap;
} queue;

struct oct_stream {
    queue q;
    queue *capture; /* not NULL: queued work goes there */
};

struct oct_event {
    double at; /* in steps of work done */
    bool done;
    oct_stream *on;
};

typedef struct block {
    uint8_t *host;
    size_t bytes;
} block;

typedef struct fake_device {
    oct_backend base;
    oct_ctx *ctx;
    oct_backend *inner;
    fake_device_options opt;
    block device[MAX_BLOCKS], pinned[MAX_BLOCKS];
    fake_device_counts count;
    double steps;
    bool capturing;
} fake_device;

typedef struct fake_op {
    oct_prepared base;
    oct_prepared *inner;
    const void *constant[MAX_ARGS];
    int n_in, n_out;
} fake_op;

/* ---- addresses ---- */

static bool in_blocks(const block *list, const void *host)
{
    for (int i = 0; i < MAX_BLOCKS; i++)
        if (list[i].host && (const uint8_t *)host >= list[i].host &&
            (const uint8_t *)host < list[i].host + list[i].bytes)
            return true;
    return false;
}

static bool is_device(const void *p)
{
    return ((uintptr_t)p & DEVICE_BIT) != 0;
}

static oct_status to_host(fake_device *be, oct_ctx *ctx, const void *p, void **host)
{
    *host = (void *)((uintptr_t)p & ~DEVICE_BIT);
    if (is_device(p) && in_blocks(be->device, *host))
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_BUG, "fake device: %p is no device address", (void *)(uintptr_t)p);
}

static oct_status not_capturing(fake_device *be, oct_ctx *ctx, const char *what)
{
    return be->capturing ? oct_fail(ctx, OCT_ERR_BUG, "fake device: %s while capturing", what)
                         : OCT_OK;
}

static void *block_new(block *list, size_t bytes)
{
    for (int i = 0; i < MAX_BLOCKS; i++)
        if (!list[i].host) {
            list[i].bytes = bytes ? bytes : 1;
            return list[i].host = aligned_alloc(64, (list[i].bytes + 63) / 64 * 64);
        }
    return NULL;
}

static size_t block_free(block *list, void *host)
{
    for (int i = 0; i < MAX_BLOCKS; i++)
        if (list[i].host == host) {
            free(host);
            list[i].host = NULL;
            return list[i].bytes;
        }
    abort(); /* freed twice, or never allocated */
}

static void *mem_alloc(oct_backend *base, oct_ctx *ctx, size_t bytes)
{
    fake_device *be = (fake_device *)base;
    if (not_capturing(be, ctx, "allocating") != OCT_OK)
        return NULL;
    void *p = block_new(be->device, bytes);
    if (!p) {
        (void)oct_fail(ctx, OCT_ERR_NOMEM, "fake device: no memory");
        return NULL;
    }
    memset(p, 0xcd, bytes);
    be->count.allocations++;
    be->count.live_bytes += bytes ? bytes : 1;
    return (void *)((uintptr_t)p | DEVICE_BIT);
}

static void mem_free(oct_backend *base, oct_ctx *ctx, void *p)
{
    fake_device *be = (fake_device *)base;
    (void)ctx;
    if (p)
        be->count.live_bytes -= block_free(be->device, (void *)((uintptr_t)p & ~DEVICE_BIT));
}

static void *host_alloc(oct_backend *base, oct_ctx *ctx, size_t bytes)
{
    (void)ctx;
    return block_new(((fake_device *)base)->pinned, bytes);
}

static void host_free(oct_backend *base, oct_ctx *ctx, void *p)
{
    (void)ctx;
    if (p)
        block_free(((fake_device *)base)->pinned, p);
}

/* ---- queues ---- */

static oct_status push(fake_device *be, oct_ctx *ctx, oct_stream *s, const work *w)
{
    queue *q = s->capture ? s->capture : &s->q;
    if (q->n == q->cap) {
        q->cap = q->cap ? 2 * q->cap : 64;
        work *more = realloc(q->list, q->cap * sizeof *more);
        if (!more)
            return oct_fail(ctx, OCT_ERR_NOMEM, "fake device: queue");
        q->list = more;
    }
    (void)be;
    q->list[q->n++] = *w;
    return OCT_OK;
}

static oct_status perform(fake_device *be, oct_ctx *ctx, const work *w)
{
    be->steps += 1;
    if (w->kind == COUNT)
        return fake_hist_count(w->hist, ctx, w->value, &w->slice);
    if (w->kind == COUNT_EXACT) {
        fake_hist_count_exact(w->hist, w->value, &w->slice, w->scale);
        return OCT_OK;
    }
    if (w->kind == COPY) {
        memcpy(w->dst, w->src, w->bytes);
        return OCT_OK;
    }
    if (w->kind == RECORD) {
        w->event->at = be->steps;
        w->event->done = true;
        return OCT_OK;
    }
    const oct_run_args a = {.in = w->in, .out = w->out, .workspace = w->workspace};
    const oct_prepared *inner = ((const fake_op *)w->op)->inner;
    return inner->backend->vt->run(inner, ctx, &a);
}

static oct_status stream_sync(oct_backend *base, oct_ctx *ctx, oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    OCT_TRY(not_capturing(be, ctx, "waiting"));
    be->count.syncs++;
    oct_status st = OCT_OK;
    for (size_t i = 0; s && i < s->q.n && st == OCT_OK; i++)
        st = perform(be, ctx, &s->q.list[i]);
    if (s)
        s->q.n = 0;
    return st;
}

static oct_status stream_new(oct_backend *base, oct_ctx *ctx, oct_stream **out)
{
    (void)base;
    *out = calloc(1, sizeof **out);
    return *out ? OCT_OK : oct_fail(ctx, OCT_ERR_NOMEM, "fake device: stream");
}

static void stream_free(oct_backend *base, oct_stream *s)
{
    (void)base;
    free(s->q.list);
    free(s);
}

/* ---- copies ---- */

static oct_status queue_copy(fake_device *be, oct_ctx *ctx, oct_stream *s, void *dst,
                             const void *src, size_t bytes)
{
    const work w = {.kind = COPY, .dst = dst, .src = src, .bytes = bytes};
    return s ? push(be, ctx, s, &w) : perform(be, ctx, &w);
}

/* Pageable memory is read before the call returns, pinned memory some time later. */
static oct_status copy_in(oct_backend *base, oct_ctx *ctx, void *dst, const void *src, size_t bytes,
                          oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    void *to;
    OCT_TRY(to_host(be, ctx, dst, &to));
    if (is_device(src))
        return oct_fail(ctx, OCT_ERR_BUG, "fake device: copy_in from the device");
    be->count.copies_in++;
    if (s && in_blocks(be->pinned, src))
        return queue_copy(be, ctx, s, to, src, bytes);
    OCT_TRY(not_capturing(be, ctx, "copying pageable memory"));
    if (s)
        OCT_TRY(stream_sync(base, ctx, s));
    memcpy(to, src, bytes);
    return OCT_OK;
}

static oct_status copy_out(oct_backend *base, oct_ctx *ctx, void *dst, const void *src,
                           size_t bytes, oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    void *from;
    OCT_TRY(to_host(be, ctx, src, &from));
    if (is_device(dst))
        return oct_fail(ctx, OCT_ERR_BUG, "fake device: copy_out to the device");
    be->count.copies_out++;
    return queue_copy(be, ctx, s, dst, from, bytes);
}

static oct_status copy_within(oct_backend *base, oct_ctx *ctx, void *dst, const void *src,
                              size_t bytes, oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    void *from, *to;
    OCT_TRY(to_host(be, ctx, src, &from));
    OCT_TRY(to_host(be, ctx, dst, &to));
    be->count.copies_within++;
    return queue_copy(be, ctx, s, to, from, bytes);
}

/* ---- operators ---- */

static int enumerate(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *list,
                     int cap, char *reason)
{
    fake_device *be = (fake_device *)base;
    const int n_args = d->n_in > d->n_out ? d->n_in : d->n_out;
    if (n_args > MAX_ARGS || (be->opt.declines && be->opt.declines(d->op))) {
        memcpy(reason, "declined", sizeof "declined");
        return 0;
    }
    int n = be->inner->vt->enumerate(be->inner, ctx, d, list, cap, reason);
    if (be->opt.twins && n > 0 && n < cap) {
        list[n] = list[0];
        memcpy(list[n++].name, "twin", sizeof "twin");
    }
    return n;
}

static oct_status prepare(oct_backend *base, oct_ctx *ctx, const oct_op_desc *d,
                          const oct_candidate *c, oct_prepared **out)
{
    fake_device *be = (fake_device *)base;
    oct_prepared *inner = NULL;
    OCT_TRY(be->inner->vt->prepare(be->inner, ctx, d, c, &inner));
    fake_op *op = calloc(1, sizeof *op);
    if (!op) {
        be->inner->vt->release(be->inner, inner);
        return oct_fail(ctx, OCT_ERR_NOMEM, "fake device: op");
    }
    op->base.backend = base;
    op->inner = inner;
    op->n_in = d->n_in;
    op->n_out = d->n_out;
    if (be->opt.packs_weights && (d->op == OCT_OP_CONV || d->op == OCT_OP_GEMM) && d->in[1].data) {
        op->base.packed = 1u << 1;
        op->constant[1] = d->in[1].data;
    }
    *out = &op->base;
    return OCT_OK;
}

static void release(oct_backend *base, oct_prepared *p)
{
    fake_device *be = (fake_device *)base;
    fake_op *op = (fake_op *)p;
    be->inner->vt->release(be->inner, op->inner);
    free(op);
}

static oct_status run(const oct_prepared *p, oct_ctx *ctx, const oct_run_args *a)
{
    fake_device *be = (fake_device *)p->backend;
    const fake_op *op = (const fake_op *)p;
    work w = {.kind = RUN, .op = p};
    if (!a->stream)
        return oct_fail(ctx, OCT_ERR_BUG, "fake device: a run without a stream");
    for (int i = 0; i < op->n_in; i++) {
        void *host = NULL;
        if (op->constant[i] && a->in[i])
            return oct_fail(ctx, OCT_ERR_BUG, "fake device: a packed constant was uploaded");
        if (a->in[i])
            OCT_TRY(to_host(be, ctx, a->in[i], &host));
        w.in[i] = op->constant[i] ? op->constant[i] : host;
    }
    for (int i = 0; i < op->n_out; i++)
        if (a->out[i])
            OCT_TRY(to_host(be, ctx, a->out[i], &w.out[i]));
    if (a->workspace)
        OCT_TRY(to_host(be, ctx, a->workspace, &w.workspace));
    be->count.launches += !a->stream->capture;
    return push(be, ctx, a->stream, &w);
}

static oct_layout_wish layout_wish(oct_backend *base, oct_op op, const void *attr, int n_dims)
{
    oct_backend *inner = ((fake_device *)base)->inner;
    return inner->vt->layout_wish(inner, op, attr, n_dims);
}

/* ---- graphs ---- */

static oct_status capture_begin(oct_backend *base, oct_ctx *ctx, oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    OCT_TRY(not_capturing(be, ctx, "capturing"));
    if (be->opt.fails_to_capture)
        return oct_fail(ctx, OCT_ERR_DEVICE, "fake device: cannot capture");
    s->capture = calloc(1, sizeof *s->capture);
    be->capturing = true;
    return s->capture ? OCT_OK : oct_fail(ctx, OCT_ERR_NOMEM, "fake device: graph");
}

static oct_status capture_end(oct_backend *base, oct_ctx *ctx, oct_stream *s, void **graph)
{
    fake_device *be = (fake_device *)base;
    (void)ctx;
    *graph = s->capture;
    s->capture = NULL;
    be->capturing = false;
    be->count.captures++;
    return OCT_OK;
}

static oct_status graph_launch(oct_backend *base, oct_ctx *ctx, void *graph, oct_stream *s)
{
    fake_device *be = (fake_device *)base;
    const queue *q = graph;
    be->count.graph_launches++;
    for (size_t i = 0; i < q->n; i++)
        OCT_TRY(push(be, ctx, s, &q->list[i]));
    return OCT_OK;
}

static void graph_free(oct_backend *base, void *graph)
{
    queue *q = graph;
    (void)base;
    if (q)
        free(q->list);
    free(q);
}

/* ---- events ---- */

static oct_status event_new(oct_backend *base, oct_ctx *ctx, oct_event **out)
{
    (void)base;
    *out = calloc(1, sizeof **out);
    return *out ? OCT_OK : oct_fail(ctx, OCT_ERR_NOMEM, "fake device: event");
}

static void event_free(oct_backend *base, oct_event *e)
{
    (void)base;
    free(e);
}

static oct_status event_record(oct_backend *base, oct_ctx *ctx, oct_event *e, oct_stream *s)
{
    const work w = {.kind = RECORD, .event = e};
    e->on = s;
    e->done = false;
    return push((fake_device *)base, ctx, s, &w);
}

/* One piece of work takes one microsecond. */
static oct_status event_ms(oct_backend *base, oct_ctx *ctx, oct_event *from, oct_event *to,
                           double *ms)
{
    if (!to->done)
        OCT_TRY(stream_sync(base, ctx, to->on));
    *ms = (to->at - from->at) * 1e-3;
    return OCT_OK;
}

static const char *describe(const oct_backend *base)
{
    const fake_device *be = (const fake_device *)base;
    return be->opt.chip ? be->opt.chip : "fake";
}

static oct_status device_info(oct_backend *base, oct_ctx *ctx, oct_device_info *info)
{
    (void)base;
    (void)ctx;
    *info = (oct_device_info){.name = "fake", .l2_bytes = 1 << 16};
    return OCT_OK;
}

/* ---- histograms ---- */

static oct_status push_count(oct_hist_device *h, oct_ctx *ctx, work w, const oct_hist_slice *x,
                             oct_stream *s)
{
    void *host;
    OCT_TRY(to_host((fake_device *)h->be, ctx, x->data, &host));
    w.hist = h;
    w.slice = *x;
    w.slice.data = host;
    return push((fake_device *)h->be, ctx, s, &w);
}

static oct_status hist_count(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                             const oct_hist_slice *x, oct_stream *s)
{
    return push_count(h, ctx, (work){.kind = COUNT, .value = value}, x, s);
}

static oct_status hist_count_exact(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                                   const oct_hist_slice *x, const double scale[2], oct_stream *s)
{
    const work w = {.kind = COUNT_EXACT, .value = value, .scale = {scale[0], scale[1]}};
    return push_count(h, ctx, w, x, s);
}

static oct_status hist_images(oct_hist_device *h, oct_ctx *ctx, oct_stream *s,
                              const oct_hist_image **list)
{
    *list = h->image;
    return stream_sync(h->be, ctx, s);
}

static const oct_hist_device_vtable fake_hist = {
    .create = fake_hist_create,
    .destroy = fake_hist_destroy,
    .begin = fake_hist_begin,
    .count = hist_count,
    .images = hist_images,
    .read = fake_hist_read,
    .count_exact = hist_count_exact,
    .read_exact = fake_hist_read_exact,
};

static void close_fake(oct_backend *base, oct_ctx *ctx)
{
    fake_device *be = (fake_device *)base;
    oct_backend_close(be->inner, ctx);
    for (int i = 0; i < MAX_BLOCKS; i++)
        if (be->device[i].host || be->pinned[i].host)
            abort(); /* a leak */
    free(be);
}

static const oct_backend_vtable fake_vtable = {
    .name = "fake",
    .host_memory = false,
    .enumerate = enumerate,
    .prepare = prepare,
    .release = release,
    .run = run,
    .layout_wish = layout_wish,
    .mem_alloc = mem_alloc,
    .mem_free = mem_free,
    .copy_in = copy_in,
    .copy_out = copy_out,
    .hist = &fake_hist,
    .stream_new = stream_new,
    .stream_free = stream_free,
    .stream_sync = stream_sync,
    .capture_begin = capture_begin,
    .capture_end = capture_end,
    .graph_launch = graph_launch,
    .graph_free = graph_free,
    .copy_within = copy_within,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .event_new = event_new,
    .event_free = event_free,
    .event_record = event_record,
    .event_ms = event_ms,
    .device_info = device_info,
    .describe = describe,
    .close = close_fake,
};

oct_status fake_device_open(oct_ctx *ctx, const fake_device_options *opt, oct_backend **out)
{
    fake_device *be = calloc(1, sizeof *be);
    if (!be)
        return oct_fail(ctx, OCT_ERR_NOMEM, "fake device");
    be->base.vt = &fake_vtable;
    be->opt = *opt;
    const oct_status st = oct_backend_open(ctx, opt->kernels, &be->inner);
    if (st != OCT_OK) {
        free(be);
        return st;
    }
    *out = &be->base;
    return OCT_OK;
}

fake_device_counts fake_device_count(const oct_backend *be)
{
    return ((const fake_device *)be)->count;
}
