/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own exact 8-bit Conv, ConvTranspose, Gemm and MatMul with constant weights, channels-last
 * (a product is a 1x1 convolution over its rows), on the kernels of gemm_q8.h.
 *
 * With VNNI rows are read in place where channels come in fours; otherwise (and always for
 * s16 lanes) a chunk of rows is first copied side by side, taps joined.
 */
#include <stdio.h>

#include "kernels/cpu/conv_q8_internal.h"

/* ---- lists ---------------------------------------------------------------------------------- */

typedef struct lists { /* a worker's part of the workspace */
    const void **a;    /* [tile][tap][row] */
    oct_q8_place *place;
    const void **copy_row; /* [tile][row] of `copy` */
    uint8_t *copy;
} lists;

typedef struct job {
    const oct_q8_conv *op;
    const uint8_t *x;
    const char *residual;
    char *y[2];
    char *workspace;
} job;

static size_t aligned(size_t bytes)
{
    return (bytes + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t list_bytes(const oct_q8_conv *op, size_t part[3])
{
    part[0] = aligned(op->chunk * op->taps * sizeof(void *));
    part[1] = aligned(op->chunk * sizeof(oct_q8_place));
    part[2] = aligned(op->chunk * sizeof(void *));
    return part[0] + part[1] + part[2];
}

static size_t copy_row_bytes(const oct_q8_conv *op)
{
    return op->lanes_copied * 4;
}

static size_t worker_bytes(const oct_q8_conv *op)
{
    size_t part[3];
#if defined(OCT_X86)
    if (op->direct.on)
        return oct_q8_direct_worker_bytes(op);
    if (op->dw.on)
        return oct_q8_dw_worker_bytes(op);
#endif
    return list_bytes(op, part) + aligned(op->copies ? op->chunk * copy_row_bytes(op) : 0);
}

static lists worker_lists(const job *j, int worker)
{
    size_t part[3];
    const size_t listed = list_bytes(j->op, part);
    char *p = j->workspace + (size_t)worker * worker_bytes(j->op);
    lists l = {(const void **)(void *)p, (oct_q8_place *)(void *)(p + part[0]),
               (const void **)(void *)(p + part[0] + part[1]), (uint8_t *)p + listed};
    return l;
}

static void list_pixel(const job *j, const lists *l, size_t slot, const oct_tap_cursor *cur)
{
    const oct_q8_conv *op = j->op;
    const oct_cpu_window *c = &op->win;
    const int64_t y = oct_tap_place(cur, c->y_batch, c->y_axis);
    oct_q8_place *p = &l->place[slot];
    p->fix = 0;
    p->out[0] = j->y[0] + y * (int64_t)op->out_bytes[0];
    p->out[1] = j->y[1] ? j->y[1] + y * (int64_t)op->out_bytes[1] : NULL;
    p->residual = j->residual
                      ? j->residual + oct_tap_place(cur, op->residual_batch, op->residual_axis) *
                                          (int64_t)op->residual_bytes
                      : NULL;
    p->inside = oct_tap_list(c, cur, j->x, 1, op->padding, op->delta,
                             l->a + slot / op->rows * op->rows * op->taps + slot % op->rows,
                             op->rows, op->copies ? op->run : 1);
}

/* Pixel `p` of a 1x1 convolution without stride over dense tensors. */
static void list_linear(const job *j, const lists *l, size_t slot, size_t p)
{
    const oct_q8_conv *op = j->op;
    const size_t y = p * (size_t)op->win.y_axis[2];
    oct_q8_place *place = &l->place[slot];
    place->fix = 0;
    place->inside = true;
    place->out[0] = j->y[0] + y * op->out_bytes[0];
    place->out[1] = j->y[1] ? j->y[1] + y * op->out_bytes[1] : NULL;
    place->residual =
        j->residual ? j->residual + p * (size_t)op->residual_axis[2] * op->residual_bytes : NULL;
    l->a[slot] = j->x + p * (size_t)op->win.x_axis[2];
}

static void list_chunk(const job *j, const lists *l, size_t first, size_t n)
{
    const size_t rows = j->op->rows, padded = (n + rows - 1) / rows * rows;
    oct_tap_cursor cur;
    for (size_t i = 0; j->op->linear && i < padded; i++)
        list_linear(j, l, i, first + (i < n ? i : n - 1));
    if (j->op->linear)
        return;
    oct_tap_seek(&j->op->win, first, &cur);
    for (size_t i = 0; i < padded; i++) {
        list_pixel(j, l, i, &cur);
        if (i + 1 < n)
            oct_tap_next(&j->op->win, &cur);
    }
}

/* ---- rows side by side ---------------------------------------------------------------------- */

static void widen(const oct_q8_conv *op, const uint8_t *x, size_t n, int16_t *out)
{
    const int zero = op->x_zero;
    if (op->x_signed)
        for (size_t i = 0; i < n; i++)
            out[i] = (int16_t)((int8_t)x[i] - zero);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (int16_t)(x[i] - zero);
}

/* memcpy() of a length known to be small: a call costs more than these moves, the last of which
 * overlaps the one before. */
static inline void copy_bytes(uint8_t *dst, const uint8_t *src, size_t n)
{
    if (n >= 16) {
        for (size_t i = 0; i + 16 <= n; i += 16)
            memcpy(dst + i, src + i, 16);
        memcpy(dst + n - 16, src + n - 16, 16);
    } else if (n >= 8) {
        memcpy(dst, src, 8);
        memcpy(dst + n - 8, src + n - 8, 8);
    } else if (n >= 4) {
        memcpy(dst, src, 4);
        memcpy(dst + n - 4, src + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            dst[i] = src[i];
    }
}

static void copy_row(const oct_q8_conv *op, const void *const *a, size_t offset, bool inside,
                     uint8_t *out)
{
    const bool wide = op->kind == OCT_Q8_S16;
    const size_t run = inside ? op->run : 1, n = op->k * run, width = wide ? 2 : 1;
    const size_t used = op->taps * op->k * width;
    for (size_t t = 0; t < op->taps; t += run) {
        const uint8_t *x = (const uint8_t *)a[t * op->rows] + offset;
        uint8_t *to = out + t * op->k * width;
        if (wide)
            widen(op, x, n, (int16_t *)(void *)to);
        else if (n > 64)
            memcpy(to, x, n);
        else
            copy_bytes(to, x, n);
    }
    memset(out + used, 0, copy_row_bytes(op) - used);
}

static void copy_chunk(const job *j, const lists *l, size_t n, size_t group)
{
    const oct_q8_conv *op = j->op;
    const size_t padded = (n + op->rows - 1) / op->rows * op->rows;
    for (size_t i = 0; i < padded; i++) {
        uint8_t *row = l->copy + i * copy_row_bytes(op);
        copy_row(op, l->a + i / op->rows * op->rows * op->taps + i % op->rows, group * op->k,
                 l->place[i].inside, row);
        l->copy_row[i] = row;
    }
}

/* Weights carry +128 in the s8 x u8 form: the row's sum times 128 comes off again. */
static void fix_rows(const job *j, const lists *l, size_t n, size_t group)
{
    const oct_q8_conv *op = j->op;
    for (size_t i = 0; i < n; i++) {
        const void *const *a = l->a + i / op->rows * op->rows * op->taps + i % op->rows;
        int32_t sum = 0;
        if (op->copies)
            sum = op->kernels->sum_s8(l->copy_row[i], op->taps * op->k);
        for (size_t t = 0; !op->copies && t < op->taps; t++)
            sum += op->kernels->sum_s8((const int8_t *)a[t * op->rows] + group * op->k, op->k);
        l->place[i].fix = -128 * sum;
    }
}

/* ---- tiles ---------------------------------------------------------------------------------- */

static void panel_over_chunk(const job *j, const lists *l, size_t n, size_t group, size_t first)
{
    const oct_q8_conv *op = j->op;
    const uint32_t *packed = op->weights->data;
    const size_t lanes = op->copies ? op->lanes_copied : op->taps * op->k / 4;
    oct_q8_tile t = {.finish = &op->finish,
                     .taps = op->copies ? 1 : op->taps,
                     .lanes = op->copies ? lanes : op->k / 4,
                     .a_offset = op->copies ? 0 : (ptrdiff_t)(group * op->k),
                     .b = packed + (group * op->panels * op->kernels->panel + first) * lanes,
                     .channel = group * op->n + first,
                     .columns = oct_min_size(op->kernels->panel, op->n - first)};
    for (size_t i = 0; i < n; i += op->rows) {
        t.a = op->copies ? l->copy_row + i : l->a + i * op->taps;
        t.place = l->place + i;
        t.rows = oct_min_size(op->rows, n - i);
        op->kernels->tile[op->kind](&t);
    }
}

static void depthwise_chunk(const job *j, const lists *l, size_t n)
{
    const oct_q8_conv *op = j->op;
    oct_q8_dw_tile t = {.finish = &op->finish,
                        .x_signed = op->x_signed,
                        .taps = op->taps,
                        .channels = (size_t)op->win.in_channels,
                        .w = op->weights->data};
    for (size_t i = 0; i < n; i += op->rows) {
        t.x = l->a + i * op->taps;
        t.place = l->place + i;
        t.pixels = oct_min_size(op->rows, n - i);
        op->kernels->depthwise(&t);
    }
}

static void run_chunks(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const oct_q8_conv *op = j->op;
    const lists l = worker_lists(j, worker);
    for (size_t i = lo; i < hi; i++) {
        const size_t first = i / op->splits * op->chunk;
        const size_t n = oct_min_size(op->chunk, op->pixels - first);
        list_chunk(j, &l, first, n);
        if (op->depthwise) {
            depthwise_chunk(j, &l, n);
            continue;
        }
        const size_t part = i % op->splits;
        const size_t from = part * op->panels / op->splits;
        const size_t to = (part + 1) * op->panels / op->splits;
        for (size_t g = 0; g < (size_t)op->win.group; g++) {
            if (op->copies)
                copy_chunk(j, &l, n, g);
            if (op->kind == OCT_Q8_S8U8)
                fix_rows(j, &l, n, g);
            for (size_t p = from; p < to; p++)
                panel_over_chunk(j, &l, n, g, p * op->kernels->panel);
        }
    }
}

static oct_status conv_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const oct_q8_conv *op = (const oct_q8_conv *)base;
    job j = {op,
             a->in[0],
             op->residual >= 0 ? a->in[op->residual] : NULL,
             {a->out[0], op->finish.n_out == 2 ? a->out[1] : NULL},
             a->workspace};
    const size_t chunks = (op->pixels + op->chunk - 1) / op->chunk;
    (void)ctx;
    oct_parallel_for(op->threads, chunks * op->splits, 1, run_chunks, &j);
    return OCT_OK;
}

/* ---- query, prepare ------------------------------------------------------------------------- */

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const kinds[OCT_Q8_KIND_COUNT] = {"u8s8", "s8s8", "s16"};
    oct_q8_conv op;
    memset(&op, 0, sizeof op);
    if (!oct_q8_conv_plan(be, ctx, d, &op, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cpu:%s:%s:%s", op.depthwise ? "depthwise" : "conv",
             op.dw.on       ? "vnni"
             : op.direct.on ? "direct"
             : op.depthwise ? "q8"
                            : kinds[op.kind],
             oct_cpu_isa_name(&be->isa));
    c->workspace_bytes = worker_bytes(&op) * (size_t)d->threads;
    return true;
}

static void conv_release(oct_cpu *be, oct_cpu_op *base)
{
    oct_q8_conv_deinit(be, (oct_q8_conv *)base);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    oct_q8_conv *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.release = conv_release;
    const oct_status st = oct_q8_conv_plan(be, ctx, d, op, reason)
                              ? oct_q8_conv_pack(be, ctx, d, op)
                              : oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    if (st != OCT_OK) {
        oct_q8_conv_deinit(be, op);
        oct_free(be->ctx, op);
        return st;
    }
    op->base.run = conv_run;
#if defined(OCT_X86)
    if (op->direct.on)
        op->base.run = oct_q8_direct_run;
    if (op->dw.on)
        op->base.run = oct_q8_dw_run;
#endif
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_CONV, query, prepare},
    {OCT_OP_CONV_TRANSPOSE, query, prepare},
    {OCT_OP_GEMM, query, prepare},
    {OCT_OP_MATMUL, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_conv_q8 = {rows, sizeof rows / sizeof rows[0]};
