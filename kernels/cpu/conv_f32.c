/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own f32 Conv and ConvTranspose, channels-last, on the kernels of gemm_f32.h. Serves
 * where oneDNN is absent or has nothing good.
 *
 * Output pixels are cut into chunks; a worker lists the pixels' input pointers once per chunk
 * and then runs panel by panel over it, so that a panel of weights stays in cache.
 */
#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/eltwise.h"
#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/taps.h"

#define CHUNK_TILES 8

typedef struct conv_op {
    oct_cpu_op base;
    oct_cpu_window win;
    const oct_gemm_kernels *g;
    const oct_pack *weights; /* packed panels per group, or [tap][channel] for depthwise */
    const float *zeros;      /* a pixel of padding */
    ptrdiff_t *delta;        /* taps.h */
    int bias, residual;
    bool depthwise;
    float lo, hi;
    oct_vec_unary_fn act; /* applied to finished rows when a clamp is not enough */
    float act_a, act_b;
    int64_t residual_batch, residual_axis[3];
    size_t chunk, worker_bytes;
    int threads;
} conv_op;

/* A worker's part of the workspace: pointers for one chunk. */
typedef struct lists {
    const void **a; /* [tile][tap][row] */
    float **c;
    const float **residual;
} lists;

typedef struct job {
    const conv_op *op;
    const float *x, *bias, *residual;
    float *y;
    char *workspace;
} job;

static size_t pixels_of(const conv_op *op)
{
    return (size_t)(op->depthwise ? OCT_DW_PIXELS : op->g->rows);
}

static lists worker_lists(const job *j, int worker)
{
    const conv_op *op = j->op;
    lists l;
    const size_t taps = (size_t)oct_cpu_window_taps(&op->win);
    l.a = (const void **)(void *)(j->workspace + (size_t)worker * op->worker_bytes);
    l.c = (float **)(void *)(l.a + op->chunk * taps);
    l.residual = (const float **)(void *)(l.c + op->chunk);
    return l;
}

/* ---- pointer lists -------------------------------------------------------------------------- */

static void list_pixel(const job *j, const lists *l, size_t slot, const oct_tap_cursor *cur)
{
    const conv_op *op = j->op;
    const oct_cpu_window *c = &op->win;
    const size_t rows = pixels_of(op), taps = (size_t)oct_cpu_window_taps(c);
    l->c[slot] = j->y + oct_tap_place(cur, c->y_batch, c->y_axis);
    if (j->residual)
        l->residual[slot] = j->residual + oct_tap_place(cur, op->residual_batch, op->residual_axis);
    oct_tap_list(c, cur, j->x, sizeof(float), op->zeros, op->delta,
                 l->a + slot / rows * rows * taps + slot % rows, rows, 1);
}

/* Lists `n` pixels from number `first` of all images; fills the last tile with repeats. */
static void list_chunk(const job *j, const lists *l, size_t first, size_t n)
{
    const size_t rows = pixels_of(j->op), padded = (n + rows - 1) / rows * rows;
    oct_tap_cursor cur;
    oct_tap_seek(&j->op->win, first, &cur);
    for (size_t i = 0; i < padded; i++) {
        list_pixel(j, l, i, &cur);
        if (i + 1 < n)
            oct_tap_next(&j->op->win, &cur);
    }
}

/* ---- running -------------------------------------------------------------------------------- */

static void activate(const conv_op *op, const lists *l, size_t n)
{
    for (size_t i = 0; op->act && i < n; i++)
        op->act(l->c[i], l->c[i], (size_t)op->win.out_channels, op->act_a, op->act_b);
}

static void depthwise_chunk(const job *j, const lists *l, size_t n)
{
    const conv_op *op = j->op;
    const size_t taps = (size_t)oct_cpu_window_taps(&op->win);
    oct_dw_tile t = {.taps = taps,
                     .channels = (size_t)op->win.in_channels,
                     .w = op->weights->data,
                     .bias = j->bias,
                     .lo = op->lo,
                     .hi = op->hi};
    for (size_t i = 0; i < n; i += OCT_DW_PIXELS) {
        t.x = l->a + i * taps;
        t.y = l->c + i;
        t.residual = j->residual ? l->residual + i : NULL;
        t.pixels = oct_min_size(OCT_DW_PIXELS, n - i);
        op->g->depthwise(&t);
    }
}

static void panel_over_chunk(const job *j, const lists *l, size_t n, size_t group, size_t first)
{
    const conv_op *op = j->op;
    const oct_gemm_kernels *g = op->g;
    const size_t taps = (size_t)oct_cpu_window_taps(&op->win);
    const size_t icg = (size_t)(op->win.in_channels / op->win.group);
    const size_t ocg = (size_t)(op->win.out_channels / op->win.group);
    const float *packed = op->weights->data;
    oct_gemm_tile t = {.taps = taps,
                       .k = icg,
                       .a_offset = (ptrdiff_t)(group * icg),
                       .b = packed + group * oct_gemm_packed_elems(g, taps, icg, ocg) +
                            first * taps * icg,
                       .bias = j->bias ? j->bias + group * ocg + first : NULL,
                       .column = group * ocg + first,
                       .columns = oct_min_size(g->panel, ocg - first),
                       .lo = op->lo,
                       .hi = op->hi};
    for (size_t i = 0; i < n; i += g->rows) {
        t.a = l->a + i * taps;
        t.c = l->c + i;
        t.residual = j->residual ? l->residual + i : NULL;
        t.rows = oct_min_size(g->rows, n - i);
        g->tile(&t);
    }
}

static void run_chunks(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const conv_op *op = j->op;
    const lists l = worker_lists(j, worker);
    const size_t total = (size_t)(op->win.batch * oct_cpu_window_out_pixels(&op->win));
    const size_t ocg = (size_t)(op->win.out_channels / op->win.group);
    for (size_t i = lo; i < hi; i++) {
        const size_t first = i * op->chunk, n = oct_min_size(op->chunk, total - first);
        list_chunk(j, &l, first, n);
        if (op->depthwise) {
            depthwise_chunk(j, &l, n);
        } else {
            for (size_t g = 0; g < (size_t)op->win.group; g++)
                for (size_t c = 0; c < ocg; c += op->g->panel)
                    panel_over_chunk(j, &l, n, g, c);
        }
        activate(op, &l, n);
    }
}

static size_t n_chunks(const conv_op *op)
{
    const size_t total = (size_t)(op->win.batch * oct_cpu_window_out_pixels(&op->win));
    return (total + op->chunk - 1) / op->chunk;
}

static oct_status conv_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const conv_op *op = (const conv_op *)base;
    job j = {op,
             a->in[0],
             op->bias >= 0 ? a->in[op->bias] : NULL,
             op->residual >= 0 ? a->in[op->residual] : NULL,
             a->out[0],
             a->workspace};
    (void)ctx;
    oct_parallel_for(op->threads, n_chunks(op), 1, run_chunks, &j);
    return OCT_OK;
}

static void conv_release(oct_cpu *be, oct_cpu_op *base)
{
    conv_op *op = (conv_op *)base;
    oct_pack_put(be->packs, op->weights);
    oct_free(be->ctx, (void *)op->zeros);
    oct_free(be->ctx, op->delta);
}

/* ---- preparing ------------------------------------------------------------------------------ */

typedef struct pack_job {
    const conv_op *op;
    const float *src;
} pack_job;

/* Model weights: [O][I/g][tap], of ConvTranspose [I][O/g][tap]. */
static oct_status pack_weights(void *user, oct_ctx *ctx, void *dst)
{
    const pack_job *p = user;
    const oct_cpu_window *w = &p->op->win;
    const size_t taps = (size_t)oct_cpu_window_taps(w);
    const size_t icg = (size_t)(w->in_channels / w->group);
    const size_t ocg = (size_t)(w->out_channels / w->group);
    const ptrdiff_t k_step = (ptrdiff_t)(w->transposed ? ocg * taps : taps);
    const ptrdiff_t n_step = (ptrdiff_t)(w->transposed ? taps : icg * taps);
    float *out = dst;
    (void)ctx;
    if (p->op->depthwise) {
        for (size_t t = 0; t < taps; t++)
            for (int64_t c = 0; c < w->in_channels; c++)
                *out++ = p->src[(size_t)c * taps + t];
        return OCT_OK;
    }
    for (int64_t g = 0; g < w->group; g++) {
        const oct_gemm_source src = {
            p->src + (size_t)g * icg * ocg * taps, taps, icg, ocg, 1, k_step, n_step, 1.0f};
        oct_gemm_pack(p->op->g, &src, 0, oct_gemm_panels(p->op->g, ocg), out);
        out += oct_gemm_packed_elems(p->op->g, taps, icg, ocg);
    }
    return OCT_OK;
}

/* ReLU and Clip are a clamp of the tile, the others a pass over rows in cache. */
static void set_activation(conv_op *op, const oct_epilogue *e, oct_isa isa)
{
    op->lo = -INFINITY;
    op->hi = INFINITY;
    if (e->act == OCT_ACT_RELU) {
        op->lo = 0.0f;
    } else if (e->act == OCT_ACT_CLIP && e->a <= e->b) {
        op->lo = e->a;
        op->hi = e->b;
    } else if (e->act != OCT_ACT_NONE) {
        op->act = oct_vec_get(isa)->unary[e->act]; /* the same order */
        op->act_a = e->a;
        op->act_b = e->b;
    }
}

static bool set_residual(conv_op *op, const oct_op_desc *d)
{
    op->residual = d->epilogue.residual;
    if (op->residual < 0)
        return true;
    const oct_tensor_desc *r = &d->in[op->residual].desc;
    const int n = op->win.n_spatial;
    op->residual_batch = r->stride[0];
    for (int a = 3 - n; a < 3; a++)
        op->residual_axis[a] = r->stride[2 + a - (3 - n)];
    return r->stride[1] == 1 && oct_shape_equal(&r->shape, &d->out[0].desc.shape);
}

static bool fill(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, conv_op *op, char *reason)
{
    oct_cpu_window *w = &op->win;
    if (!oct_cpu_all_f32(d) || d->n_out != 1 || !d->in[1].data)
        return oct_cpu_no(reason, "not f32, two outputs or computed weights");
    if (!oct_cpu_window_init(w, ctx, d) || w->x_channel != 1 || w->y_channel != 1)
        return oct_cpu_no(reason, "needs channels-last and at most 3 spatial axes");
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->out[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    op->g = oct_gemm_f32_get(be->isa.isa);
    op->bias = oct_operand_present(d, 2) && d->epilogue.residual != 2 ? 2 : -1;
    op->depthwise = w->group > 1 && w->group == w->in_channels && w->group == w->out_channels;
    op->threads = d->threads;
    set_activation(op, &d->epilogue, be->isa.isa);
    if (!set_residual(op, d))
        return oct_cpu_no(reason, "layout of the residual");
    const size_t total = (size_t)(w->batch * oct_cpu_window_out_pixels(w));
    const size_t rows = pixels_of(op), share = total / (size_t)d->threads / 4 + 1;
    op->chunk = oct_min_size(CHUNK_TILES, (share + rows - 1) / rows) * rows;
    op->worker_bytes =
        op->chunk * ((size_t)oct_cpu_window_taps(w) + 2) * sizeof(void *) + OCT_ALIGN;
    op->worker_bytes = op->worker_bytes / OCT_ALIGN * OCT_ALIGN;
    return true;
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512"};
    conv_op op = {.chunk = 0};
    if (!fill(be, ctx, d, &op, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cpu:%s:%s", op.depthwise ? "depthwise" : "conv",
             names[be->isa.isa]);
    c->workspace_bytes = op.worker_bytes * (size_t)d->threads;
    return true;
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    conv_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = conv_run;
    op->base.release = conv_release;
    oct_status st = OCT_OK;
    if (!fill(be, ctx, d, op, reason))
        st = oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    if (st == OCT_OK) {
        const oct_cpu_window *w = &op->win;
        const size_t taps = (size_t)oct_cpu_window_taps(w);
        const size_t group = (size_t)w->group, icg = (size_t)w->in_channels / group;
        const size_t elems =
            op->depthwise
                ? taps * (size_t)w->in_channels
                : group * oct_gemm_packed_elems(op->g, taps, icg, (size_t)w->out_channels / group);
        pack_job pack = {op, d->in[1].data};
        const uint64_t format = (uint64_t)taps << 40 | (uint64_t)group << 16 |
                                (uint64_t)op->g->panel << 8 | op->depthwise * 4u |
                                w->transposed * 2u | 1u;
        op->zeros = oct_zalloc_array(ctx, (size_t)w->in_channels, sizeof(float));
        op->delta = oct_alloc_array(ctx, taps, sizeof *op->delta);
        if (op->delta)
            oct_tap_deltas(w, sizeof(float), op->delta);
        st = !op->zeros || !op->delta
                 ? OCT_ERR_NOMEM
                 : oct_pack_get(be->packs, ctx, d->in[1].const_key, format, elems * sizeof(float),
                                pack_weights, &pack, &op->weights);
    }
    if (st != OCT_OK) {
        conv_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_CONV, query, prepare},
    {OCT_OP_CONV_TRANSPOSE, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_conv_f32 = {rows, sizeof rows / sizeof rows[0]};
