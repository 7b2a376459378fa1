/* SPDX-License-Identifier: Apache-2.0
 *
 * f32 3x3 convolutions of stride 1 by winograd.h, channels-last, on the matrix kernels of
 * gemm_f32.h. A block of tiles is transformed, multiplied as 16 products [tiles, in] x [in, out]
 * and transformed back, all in a worker's cache. A value depends on its tile alone, whatever the
 * blocks and threads.
 *
 * An infinite or NaN input spoils whole tiles, where the direct sum would spoil the outputs that
 * see it.
 */
#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/cpu_window.h"
#include "kernels/cpu/gemm_f32.h"
#include "kernels/cpu/winograd.h"

#define POINTS OCT_WINO_POINTS
#define BLOCK_TILES 72 /* a multiple of every kernel's rows */
/* Below, transforms cost what the products save, or weights are read for too few tiles. Tiles are
 * those of one image, so that its result does not depend on the batch. */
#define MIN_CHANNELS 32
#define MIN_TILES 16

extern const oct_wino_kernels oct_wino_portable;
#if defined(OCT_X86)
extern const oct_wino_kernels oct_wino_avx2, oct_wino_avx512;
#endif

const oct_wino_kernels *oct_wino_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_wino_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_wino_avx2;
#endif
    (void)isa;
    return &oct_wino_portable;
}

typedef struct wino_op {
    oct_cpu_op base;
    oct_cpu_window win;
    const oct_gemm_kernels *g;
    const oct_wino_kernels *k;
    const oct_pack *weights; /* [point] packed [in, out] */
    const float *zeros;      /* a pixel of padding */
    int bias, residual;
    int64_t residual_batch, residual_axis[3];
    float lo, hi;
    size_t tiles_h, tiles_w, n_tiles; /* of all images */
    size_t block, n_blocks;           /* tiles of a block */
    size_t worker_bytes;
    int threads;
} wino_op;

typedef struct job {
    const wino_op *op;
    const float *x, *bias, *residual;
    float *y;
    char *workspace;
} job;

/* A worker's part of the workspace. */
typedef struct block_room {
    float *v, *m;   /* [point][tile][channels] */
    const void **a; /* rows of v and m */
    float **c;
} block_room;

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

static size_t in_channels(const wino_op *op)
{
    return (size_t)op->win.in_channels;
}

static size_t out_channels(const wino_op *op)
{
    return (size_t)op->win.out_channels;
}

static block_room room_of(const job *j, int worker)
{
    const wino_op *op = j->op;
    char *at = j->workspace + (size_t)worker * op->worker_bytes;
    block_room r;
    r.v = (float *)(void *)at;
    at += align_up(POINTS * op->block * in_channels(op) * sizeof(float));
    r.m = (float *)(void *)at;
    at += align_up(POINTS * op->block * out_channels(op) * sizeof(float));
    r.a = (const void **)(void *)at;
    r.c = (float **)(void *)(r.a + op->block);
    return r;
}

/* ---- running -------------------------------------------------------------------------------- */

typedef struct tile_place {
    int64_t batch, row, col; /* first output pixel */
} tile_place;

static tile_place place_of(const wino_op *op, size_t tile)
{
    const size_t image = op->tiles_h * op->tiles_w, at = tile % image;
    return (tile_place){(int64_t)(tile / image), (int64_t)(at / op->tiles_w * 2),
                        (int64_t)(at % op->tiles_w * 2)};
}

static void transform_inputs(const job *j, const block_room *room, size_t first, size_t n)
{
    const wino_op *op = j->op;
    const oct_cpu_window *w = &op->win;
    const float *x[POINTS];
    oct_wino_input t = {.x = x, .channels = in_channels(op), .step = op->block * in_channels(op)};
    for (size_t i = 0; i < n; i++) {
        const tile_place p = place_of(op, first + i);
        const float *image = j->x + p.batch * w->x_batch;
        for (int r = 0; r < 4; r++)
            for (int c = 0; c < 4; c++) {
                const int64_t row = p.row + r - w->w.pad_lo[1], col = p.col + c - w->w.pad_lo[2];
                const bool in = row >= 0 && row < w->w.in[1] && col >= 0 && col < w->w.in[2];
                x[4 * r + c] = in ? image + row * w->x_axis[1] + col * w->x_axis[2] : op->zeros;
            }
        t.v = room->v + i * in_channels(op);
        op->k->input(&t);
    }
}

static void multiply(const job *j, const block_room *room, size_t n)
{
    const wino_op *op = j->op;
    const oct_gemm_kernels *g = op->g;
    const size_t k = in_channels(op), columns = out_channels(op);
    const float *packed = op->weights->data;
    oct_gemm_tile t = {.taps = 1, .k = k, .lo = -INFINITY, .hi = INFINITY};
    for (size_t point = 0; point < POINTS; point++) {
        t.a_offset = (ptrdiff_t)(point * op->block * k);
        for (size_t first = 0; first < columns; first += g->panel) {
            t.b = packed + point * oct_gemm_packed_elems(g, 1, k, columns) + first * k;
            t.column = point * op->block * columns + first;
            t.columns = oct_min_size(g->panel, columns - first);
            for (size_t i = 0; i < n; i += g->rows) {
                t.a = room->a + i;
                t.c = room->c + i;
                t.rows = oct_min_size(g->rows, n - i);
                g->tile(&t);
            }
        }
    }
}

static void transform_outputs(const job *j, const block_room *room, size_t first, size_t n)
{
    const wino_op *op = j->op;
    const oct_cpu_window *w = &op->win;
    float *y[4];
    const float *residual[4];
    oct_wino_output t = {.step = op->block * out_channels(op),
                         .channels = out_channels(op),
                         .bias = j->bias,
                         .y = y,
                         .residual = j->residual ? residual : NULL,
                         .lo = op->lo,
                         .hi = op->hi};
    for (size_t i = 0; i < n; i++) {
        const tile_place p = place_of(op, first + i);
        for (int q = 0; q < 4; q++) {
            const int64_t row = p.row + q / 2, col = p.col + q % 2;
            const bool in = row < w->w.out[1] && col < w->w.out[2];
            y[q] =
                in ? j->y + p.batch * w->y_batch + row * w->y_axis[1] + col * w->y_axis[2] : NULL;
            if (j->residual)
                residual[q] = j->residual + p.batch * op->residual_batch +
                              row * op->residual_axis[1] + col * op->residual_axis[2];
        }
        t.m = room->m + i * out_channels(op);
        op->k->output(&t);
    }
}

static void run_blocks(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const wino_op *op = j->op;
    const block_room room = room_of(j, worker);
    for (size_t i = 0; i < op->block; i++) {
        room.a[i] = room.v + i * in_channels(op);
        room.c[i] = room.m + i * out_channels(op);
    }
    for (size_t b = lo; b < hi; b++) {
        const size_t first = b * op->block, n = oct_min_size(op->block, op->n_tiles - first);
        transform_inputs(j, &room, first, n);
        multiply(j, &room, n);
        transform_outputs(j, &room, first, n);
    }
}

static oct_status wino_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const wino_op *op = (const wino_op *)base;
    job j = {op,
             a->in[0],
             op->bias >= 0 ? a->in[op->bias] : NULL,
             op->residual >= 0 ? a->in[op->residual] : NULL,
             a->out[0],
             a->workspace};
    (void)ctx;
    oct_parallel_for(op->threads, op->n_blocks, 1, run_blocks, &j);
    return OCT_OK;
}

static void wino_release(oct_cpu *be, oct_cpu_op *base)
{
    wino_op *op = (wino_op *)base;
    oct_pack_put(be->packs, op->weights);
    oct_free(be->ctx, (void *)op->zeros);
}

/* ---- preparing ------------------------------------------------------------------------------ */

typedef struct pack_job {
    const wino_op *op;
    const float *src; /* [out][in][3][3] */
} pack_job;

/* G w G' in double, rounded once. */
static void transform_weights(const float *w, float u[POINTS])
{
    double t[4][3];
    for (int c = 0; c < 3; c++) {
        const double a = (double)w[c], b = (double)w[3 + c], d = (double)w[6 + c];
        t[0][c] = a;
        t[1][c] = 0.5 * (a + b + d);
        t[2][c] = 0.5 * (a - b + d);
        t[3][c] = d;
    }
    for (int r = 0; r < 4; r++) {
        u[4 * r] = (float)t[r][0];
        u[4 * r + 1] = (float)(0.5 * (t[r][0] + t[r][1] + t[r][2]));
        u[4 * r + 2] = (float)(0.5 * (t[r][0] - t[r][1] + t[r][2]));
        u[4 * r + 3] = (float)t[r][2];
    }
}

static oct_status pack_weights(void *user, oct_ctx *ctx, void *dst)
{
    const pack_job *p = user;
    const wino_op *op = p->op;
    const size_t k = in_channels(op), columns = out_channels(op), panel = op->g->panel;
    const size_t step = oct_gemm_packed_elems(op->g, 1, k, columns);
    float *out = dst, u[POINTS];
    (void)ctx;
    for (size_t first = 0; first < columns; first += panel)
        for (size_t i = 0; i < k; i++, out += panel)
            for (size_t c = 0; c < panel; c++) {
                if (first + c < columns)
                    transform_weights(p->src + ((first + c) * k + i) * 9, u);
                else
                    memset(u, 0, sizeof u);
                for (size_t point = 0; point < POINTS; point++)
                    out[point * step + c] = u[point];
            }
    return OCT_OK;
}

static bool is_3x3(const oct_cpu_window *c)
{
    const oct_window *w = &c->w;
    return c->n_spatial == 2 && c->group == 1 && !c->transposed && w->kernel[1] == 3 &&
           w->kernel[2] == 3 && w->stride[1] == 1 && w->stride[2] == 1 && w->dilation[1] == 1 &&
           w->dilation[2] == 1;
}

/* ReLU and Clip, which are a clamp of the result. */
static bool set_clamp(wino_op *op, const oct_epilogue *e)
{
    op->lo = e->act == OCT_ACT_RELU ? 0.0f : -INFINITY;
    op->hi = INFINITY;
    if (e->act == OCT_ACT_CLIP) {
        op->lo = e->a;
        op->hi = e->b;
        return e->a <= e->b;
    }
    return e->act == OCT_ACT_NONE || e->act == OCT_ACT_RELU;
}

static bool set_residual(wino_op *op, const oct_op_desc *d)
{
    op->residual = d->epilogue.residual;
    if (op->residual < 0)
        return true;
    const oct_tensor_desc *r = &d->in[op->residual].desc;
    op->residual_batch = r->stride[0];
    op->residual_axis[1] = r->stride[2];
    op->residual_axis[2] = r->stride[3];
    return r->stride[1] == 1 && oct_shape_equal(&r->shape, &d->out[0].desc.shape);
}

/* Blocks of about equal size, at least one a thread where there are enough tiles. */
static void set_blocks(wino_op *op)
{
    const oct_window *w = &op->win.w;
    const size_t rows = op->g->rows, threads = (size_t)op->threads;
    op->tiles_h = (size_t)(w->out[1] + 1) / 2;
    op->tiles_w = (size_t)(w->out[2] + 1) / 2;
    op->n_tiles = (size_t)op->win.batch * op->tiles_h * op->tiles_w;
    size_t n = (op->n_tiles + BLOCK_TILES - 1) / BLOCK_TILES;
    n = (n + threads - 1) / threads * threads;
    op->block = ((op->n_tiles + n - 1) / n + rows - 1) / rows * rows;
    op->n_blocks = (op->n_tiles + op->block - 1) / op->block;
    op->worker_bytes = align_up(POINTS * op->block * in_channels(op) * sizeof(float)) +
                       align_up(POINTS * op->block * out_channels(op) * sizeof(float)) +
                       align_up(2 * op->block * sizeof(void *));
}

static bool fill(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, wino_op *op, char *reason)
{
    oct_cpu_window *w = &op->win;
    if (!oct_cpu_all_f32(d) || d->n_out != 1 || !d->in[1].data)
        return oct_cpu_no(reason, "not f32, two outputs or computed weights");
    if (!oct_cpu_window_init(w, ctx, d) || !is_3x3(w))
        return oct_cpu_no(reason, "not 3x3 with stride 1");
    if (w->x_channel != 1 || w->y_channel != 1)
        return oct_cpu_no(reason, "needs channels-last");
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->out[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    if (w->in_channels < MIN_CHANNELS || w->out_channels < MIN_CHANNELS)
        return oct_cpu_no(reason, "too few channels to pay");
    op->g = oct_gemm_f32_get(be->isa.isa);
    op->k = oct_wino_get(be->isa.isa);
    op->bias = oct_operand_present(d, 2) && d->epilogue.residual != 2 ? 2 : -1;
    op->threads = d->threads;
    if (!set_clamp(op, &d->epilogue) || !set_residual(op, d))
        return oct_cpu_no(reason, "activation or layout of the residual");
    set_blocks(op);
    return op->tiles_h * op->tiles_w >= MIN_TILES || oct_cpu_no(reason, "too few pixels to pay");
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512"};
    wino_op op = {.threads = 0};
    if (!fill(be, ctx, d, &op, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cpu:winograd:%s", names[be->isa.isa]);
    c->workspace_bytes = op.worker_bytes * (size_t)d->threads;
    return true;
}

static oct_status get_weights(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, wino_op *op)
{
    pack_job pack = {op, d->in[1].data};
    const size_t elems =
        POINTS * oct_gemm_packed_elems(op->g, 1, in_channels(op), out_channels(op));
    const uint64_t format = (uint64_t)POINTS << 48 | (uint64_t)op->g->panel << 8 | 0x57u;
    op->zeros = oct_zalloc_array(ctx, in_channels(op), sizeof(float));
    if (!op->zeros)
        return OCT_ERR_NOMEM;
    return oct_pack_get(be->packs, ctx, d->in[1].const_key, format, elems * sizeof(float),
                        pack_weights, &pack, &op->weights);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    wino_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = wino_run;
    op->base.release = wino_release;
    oct_status st = OCT_OK;
    if (!fill(be, ctx, d, op, reason))
        st = oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    if (st == OCT_OK)
        st = get_weights(be, ctx, d, op);
    if (st != OCT_OK) {
        wino_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {{OCT_OP_CONV, query, prepare}};
const oct_cpu_rows oct_cpu_rows_winograd = {rows, sizeof rows / sizeof rows[0]};
