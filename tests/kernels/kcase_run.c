/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a case: descriptor, buffers behind guard bytes, on the host or on a device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/kernels/kcase_internal.h"

#define GUARD_BYTES 256
#define GUARD 0x5a

/* One buffer: `host` has guards on both sides; on a device `dev` mirrors it. */
typedef struct buffer {
    unsigned char *host;
    size_t bytes;
    unsigned char *dev;
} buffer;

typedef struct bound { /* a case as a descriptor with buffers */
    oct_operand in[KC_MAX], out[2];
    oct_op_desc d;
    buffer in_buf[KC_MAX], out_buf[2];
} bound;

/* ---- buffers ---- */

static size_t whole(const buffer *b)
{
    return b->bytes + 2 * GUARD_BYTES;
}

static buffer buffer_new(size_t bytes)
{
    buffer b = {.bytes = bytes};
    b.host = aligned_alloc(64, (whole(&b) + 63) / 64 * 64);
    assert_non_null(b.host);
    memset(b.host, GUARD, whole(&b));
    b.host += GUARD_BYTES;
    return b;
}

static void buffer_free(oct_backend *be, buffer *b)
{
    if (b->dev)
        be->vt->mem_free(be, kc_state.ctx, b->dev - GUARD_BYTES);
    if (b->host)
        free(b->host - GUARD_BYTES);
}

static void *buffer_to(oct_backend *be, buffer *b)
{
    if (be->vt->host_memory)
        return b->host;
    b->dev = be->vt->mem_alloc(be, kc_state.ctx, whole(b));
    assert_non_null(b->dev);
    assert_int_equal(
        be->vt->copy_in(be, kc_state.ctx, b->dev, b->host - GUARD_BYTES, whole(b), NULL), OCT_OK);
    b->dev += GUARD_BYTES;
    return b->dev;
}

static void buffer_from(oct_backend *be, buffer *b, const char *what)
{
    if (b->dev)
        assert_int_equal(be->vt->copy_out(be, kc_state.ctx, b->host - GUARD_BYTES,
                                          b->dev - GUARD_BYTES, whole(b), NULL),
                         OCT_OK);
    const uint8_t *before = b->host - GUARD_BYTES;
    for (size_t i = 0; i < GUARD_BYTES; i++)
        if (before[i] != GUARD || b->host[b->bytes + i] != GUARD)
            fail_msg("%s: written outside of the buffer", what);
}

/* ---- layouts ---- */

/* Width of the axis along which a strided tensor is a window of a larger one. */
static int window_axis(const oct_shape *s)
{
    return s->n_dims >= 2 ? 1 : 0;
}

static oct_tensor_desc placed(const kc_tensor *t, const kc_offer *o)
{
    const bool row = t->fixed_layout || t->desc.shape.n_dims < 3 || o->layout == OCT_LAYOUT_ROW;
    const oct_layout layout = row ? OCT_LAYOUT_ROW : OCT_LAYOUT_CHANNELS_LAST;
    if (!o->strided || t->fixed_layout || t->desc.shape.n_dims < 2)
        return oct_tensor_desc_make(t->desc.dtype, t->desc.shape, layout);
    oct_shape s = t->desc.shape;
    s.dim[window_axis(&s)] += 16;
    oct_tensor_desc d = oct_tensor_desc_make(t->desc.dtype, s, layout);
    d.shape = t->desc.shape;
    return d;
}

/* Bytes from the first to behind the last element. */
static size_t extent(const oct_tensor_desc *d)
{
    size_t last = 0;
    for (int i = 0; i < d->shape.n_dims; i++) {
        if (d->shape.dim[i] == 0)
            return 0;
        last += (size_t)(d->shape.dim[i] - 1) * (size_t)d->stride[i];
    }
    return (last + 1) * oct_dtype_bytes(d->dtype);
}

/* Copies between row-major `row` and `other` laid out as `d`; row NULL: guards the elements. */
static void relayout(const oct_tensor_desc *d, void *other, void *row, bool to_row)
{
    size_t n = 0;
    const size_t width = oct_dtype_bytes(d->dtype);
    assert_true(oct_shape_elems(&d->shape, &n));
    int64_t at[OCT_MAX_DIMS] = {0};
    for (size_t i = 0; i < n; i++) {
        int64_t offset = 0;
        for (int a = 0; a < d->shape.n_dims; a++)
            offset += at[a] * d->stride[a];
        char *o = (char *)other + (size_t)offset * width;
        if (row)
            memcpy(to_row ? (char *)row + i * width : o, to_row ? o : (char *)row + i * width,
                   width);
        else
            memset(o, GUARD, width);
        for (int a = d->shape.n_dims - 1; a >= 0 && ++at[a] == d->shape.dim[a]; a--)
            at[a] = 0;
    }
}

/* A window's neighbours must be as they were. */
static void check_neighbours(const oct_tensor_desc *d, buffer *b, const char *what)
{
    relayout(d, b->host, NULL, false);
    for (size_t i = 0; i < b->bytes; i++)
        if (b->host[i] != GUARD)
            fail_msg("%s: written between the elements of a strided result", what);
}

/* ---- the case as a descriptor ---- */

static void bind(kcase *k, bound *b, const kc_offer *o)
{
    memset(b, 0, sizeof *b);
    for (int i = 0; i < k->n_in; i++) {
        kc_tensor *t = &k->in[i];
        if (t->desc.dtype == OCT_DT_NONE)
            continue;
        b->in[i].desc = placed(t, o);
        b->in[i].quant = t->quant;
        b->in[i].data = t->constant ? t->data : NULL;
        b->in_buf[i] = buffer_new(extent(&b->in[i].desc));
        relayout(&b->in[i].desc, b->in_buf[i].host, t->data, false);
    }
    for (int i = 0; i < k->n_out; i++) {
        b->out[i].desc = placed(&k->out[i], o);
        b->out[i].quant = k->out[i].quant;
        b->out_buf[i] = buffer_new(extent(&b->out[i].desc));
    }
    b->d = (oct_op_desc){.op = k->op,
                         .attr = k->attr,
                         .in = b->in,
                         .out = b->out,
                         .n_in = k->n_in,
                         .n_out = k->n_out,
                         .epilogue = k->epilogue,
                         .threads = o->threads,
                         .name = "case"};
}

static void unbind(oct_backend *be, bound *b)
{
    for (int i = 0; i < KC_MAX; i++)
        buffer_free(be, &b->in_buf[i]);
    for (int i = 0; i < 2; i++)
        buffer_free(be, &b->out_buf[i]);
}

int kc_candidates(kcase *k, oct_backend *be, const kc_offer *o, oct_candidate *list, int cap,
                  char *reason)
{
    bound b;
    bind(k, &b, o);
    memset(list, 0, (size_t)cap * sizeof *list);
    const int n = be->vt->enumerate(be, kc_state.ctx, &b.d, list, cap, reason);
    unbind(be, &b);
    return n;
}

/* ---- running ---- */

static void run_plain(oct_backend *be, const oct_prepared *p, const oct_run_args *a,
                      const char *name)
{
    if (be->vt->run(p, kc_state.ctx, a) != OCT_OK)
        fail_msg("%s: run: %s", name, oct_error_text(kc_state.ctx));
}

/* run() that allocates or waits would end the capture with an error. */
static void run_captured(oct_backend *be, const oct_prepared *p, const oct_run_args *a,
                         const char *name)
{
    void *graph = NULL;
    const oct_backend_vtable *vt = be->vt;
    assert_int_equal(vt->capture_begin(be, kc_state.ctx, a->stream), OCT_OK);
    run_plain(be, p, a, name);
    if (vt->capture_end(be, kc_state.ctx, a->stream, &graph) != OCT_OK ||
        vt->graph_launch(be, kc_state.ctx, graph, a->stream) != OCT_OK)
        fail_msg("%s: captured: %s", name, oct_error_text(kc_state.ctx));
    if (vt->stream_sync(be, kc_state.ctx, a->stream) != OCT_OK)
        fail_msg("%s: replayed: %s", name, oct_error_text(kc_state.ctx));
    vt->graph_free(be, graph);
}

static int in_place_input(const bound *b, const oct_candidate *c)
{
    for (int i = 0; i < b->d.n_in && i < OCT_MAX_ALIAS; i++)
        if (c->may_alias[i] && b->in[i].desc.dtype != OCT_DT_NONE && !b->in[i].data &&
            b->in_buf[i].bytes == b->out_buf[0].bytes)
            return i;
    return -1;
}

static void run_candidate(oct_backend *be, bound *b, const oct_candidate *c, const kc_offer *o)
{
    oct_prepared *p = NULL;
    const void *in[KC_MAX] = {NULL};
    void *out[2] = {NULL};
    const bool device = !be->vt->host_memory;
    const int shared = c->alias_in >= 0 ? c->alias_in : o->in_place ? in_place_input(b, c) : -1;
    buffer ws = buffer_new(c->workspace_bytes);
    if (be->vt->prepare(be, kc_state.ctx, &b->d, c, &p) != OCT_OK)
        fail_msg("%s: prepare: %s", c->name, oct_error_text(kc_state.ctx));
    if (shared >= 0)
        memcpy(b->out_buf[0].host, b->in_buf[shared].host, b->out_buf[0].bytes);
    for (int i = 0; i < b->d.n_in; i++)
        in[i] = b->in_buf[i].host ? buffer_to(be, &b->in_buf[i]) : NULL;
    for (int i = 0; i < b->d.n_out; i++)
        out[i] = buffer_to(be, &b->out_buf[i]);
    if (shared >= 0)
        in[shared] = out[0];
    const oct_run_args args = {in, out, buffer_to(be, &ws), device ? kc_state.stream : NULL};
    if (o->survey)
        kc_names_of(p, be, &args, o->survey);
    else if (o->captured)
        run_captured(be, p, &args, c->name);
    else
        run_plain(be, p, &args, c->name);
    if (device && be->vt->stream_sync(be, kc_state.ctx, kc_state.stream) != OCT_OK)
        fail_msg("%s: run: %s", c->name, oct_error_text(kc_state.ctx));
    be->vt->release(be, p);
    buffer_from(be, &ws, "workspace");
    for (int i = 0; i < b->d.n_out; i++)
        buffer_from(be, &b->out_buf[i], c->name);
    buffer_free(be, &ws);
}

void kc_result(kcase *k, oct_backend *be, const oct_candidate *c, const kc_offer *o, void *out[2])
{
    bound b;
    bind(k, &b, o);
    run_candidate(be, &b, c, o);
    for (int i = 0; i < k->n_out; i++) {
        relayout(&b.out[i].desc, b.out_buf[i].host, out[i], true);
        if (o->strided)
            check_neighbours(&b.out[i].desc, &b.out_buf[i], c->name);
    }
    unbind(be, &b);
}

void kc_survey(kcase *k, oct_backend *be, const oct_candidate *c, kc_offer o, kc_names *names)
{
    bound b;
    bind(k, &b, &o);
    o.survey = names;
    run_candidate(be, &b, c, &o);
    unbind(be, &b);
}
