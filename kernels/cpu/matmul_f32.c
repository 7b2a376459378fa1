/* SPDX-License-Identifier: Apache-2.0
 *
 * Our own f32 Gemm and MatMul, with any batch dimensions and computed or constant operands,
 * on the kernels of gemm_f32.h. A constant B is packed once; a computed one on every run, into
 * the workspace.
 */
#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/eltwise.h"
#include "kernels/cpu/gemm_f32.h"

#define CHUNK_TILES 8
#define MAX_TILES_ROWS (CHUNK_TILES * OCT_GEMM_MAX_ROWS)

/* One product [m, k] x [k, n] for each index of the batch dimensions. */
typedef struct shape {
    size_t m, n, k;
    ptrdiff_t b_k, b_n; /* steps of B */
    int n_batch_dims;
    size_t batch_dim[OCT_MAX_DIMS];
    size_t a_step[OCT_MAX_DIMS], b_step[OCT_MAX_DIMS]; /* elements; 0 where broadcast */
    size_t batches, b_batches;                         /* of the result, of B */
    size_t b_elems;                                    /* of one B */
} shape;

typedef struct mm_op {
    oct_cpu_op base;
    shape s;
    const oct_gemm_kernels *g;
    const oct_pack *packed; /* NULL: packed while running */
    float alpha;
    int bias, residual; /* input numbers or -1 */
    float *scaled_bias; /* bias times beta, where beta is not 1 */
    float lo, hi;
    oct_vec_unary_fn act;
    float act_a, act_b;
    size_t chunk_rows, panel_groups;
    int threads;
} mm_op;

typedef struct job {
    const mm_op *op;
    const float *a, *b, *bias, *residual;
    float *c, *packed;
} job;

/* ---- shapes --------------------------------------------------------------------------------- */

static size_t dim_of(const oct_shape *s, int from_end)
{
    const int i = s->n_dims - 1 - from_end;
    return i < 0 ? 1 : (size_t)s->dim[i];
}

static void batch_steps(const oct_shape *t, int n, const size_t *dim, size_t matrix, size_t *step)
{
    size_t elems = matrix;
    for (int i = n - 1; i >= 0; i--) {
        const size_t own = dim_of(t, 2 + n - 1 - i);
        step[i] = own == 1 && dim[i] != 1 ? 0 : elems;
        elems *= own;
    }
}

static void batch_shape(shape *s, const oct_shape *a, const oct_shape *b)
{
    const int most = a->n_dims > b->n_dims ? a->n_dims : b->n_dims;
    s->batches = 1;
    s->n_batch_dims = most > 2 ? most - 2 : 0;
    for (int i = 0; i < s->n_batch_dims; i++) {
        const int from_end = 2 + s->n_batch_dims - 1 - i;
        const size_t x = dim_of(a, from_end), y = dim_of(b, from_end);
        s->batch_dim[i] = x == 1 ? y : x;
        s->batches *= s->batch_dim[i];
    }
    batch_steps(a, s->n_batch_dims, s->batch_dim, s->m * s->k, s->a_step);
    batch_steps(b, s->n_batch_dims, s->batch_dim, s->k * s->n, s->b_step);
}

static void matmul_shape(shape *s, const oct_op_desc *d)
{
    const oct_shape *a = &d->in[0].desc.shape;
    oct_shape b = d->in[1].desc.shape;
    if (b.n_dims == 1) { /* a column */
        b.dim[1] = 1;
        b.n_dims = 2;
    }
    s->m = a->n_dims == 1 ? 1 : dim_of(a, 1);
    s->k = dim_of(&b, 1);
    s->n = dim_of(&b, 0);
    s->b_k = (ptrdiff_t)s->n;
    s->b_n = 1;
    s->b_elems = s->k * s->n;
    s->b_batches = s->b_elems ? oct_cpu_elems(&d->in[1]) / s->b_elems : 0;
    batch_shape(s, a, &b);
    if (s->b_batches == 1) { /* one B: the batch is more rows */
        s->m *= s->batches;
        s->batches = 1;
        s->n_batch_dims = 0;
    }
}

static void gemm_shape(shape *s, const oct_op_desc *d)
{
    const oct_attr_gemm *at = d->attr;
    const oct_shape *b = &d->in[1].desc.shape;
    s->m = (size_t)d->out[0].desc.shape.dim[0];
    s->n = (size_t)b->dim[at->trans_b ? 0 : 1];
    s->k = (size_t)b->dim[at->trans_b ? 1 : 0];
    s->b_k = at->trans_b ? 1 : (ptrdiff_t)s->n;
    s->b_n = at->trans_b ? (ptrdiff_t)s->k : 1;
    s->b_elems = s->k * s->n;
    s->batches = s->b_batches = 1;
}

static void batch_offsets(const shape *s, size_t batch, size_t *a, size_t *b)
{
    *a = *b = 0;
    for (int i = s->n_batch_dims - 1; i >= 0; i--) {
        const size_t at = batch % s->batch_dim[i];
        batch /= s->batch_dim[i];
        *a += at * s->a_step[i];
        *b += at * s->b_step[i];
    }
}

/* ---- running -------------------------------------------------------------------------------- */

static size_t packed_elems(const mm_op *op)
{
    return oct_gemm_packed_elems(op->g, 1, op->s.k, op->s.n);
}

static void pack_panels(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const shape *s = &j->op->s;
    const size_t per = oct_gemm_panels(j->op->g, s->n);
    (void)worker;
    for (size_t i = lo; i < hi; i++) {
        const oct_gemm_source src = {
            j->b + i / per * s->b_elems, 1, s->k, s->n, 0, s->b_k, s->b_n, j->op->alpha};
        oct_gemm_pack(j->op->g, &src, i % per, i % per + 1,
                      j->packed + i / per * packed_elems(j->op));
    }
}

/* Rows [row, row + n) of one product, panels [lo, hi). */
static void chunk(const job *j, size_t batch, size_t row, size_t n, size_t lo, size_t hi)
{
    const mm_op *op = j->op;
    const shape *s = &op->s;
    const void *a[MAX_TILES_ROWS];
    const float *residual[MAX_TILES_ROWS];
    float *c[MAX_TILES_ROWS];
    size_t a_offset, b_offset;
    batch_offsets(s, batch, &a_offset, &b_offset);
    const float *b = j->packed + (s->b_elems ? b_offset / s->b_elems : 0) * packed_elems(op);
    for (size_t i = 0; i < n; i++) {
        const size_t out = (batch * s->m + row + i) * s->n;
        a[i] = j->a + a_offset + (row + i) * s->k;
        c[i] = j->c + out;
        residual[i] = j->residual ? j->residual + out : NULL;
    }
    for (size_t p = lo; p < hi; p++) {
        const size_t first = p * op->g->panel;
        oct_gemm_tile t = {.taps = 1,
                           .k = s->k,
                           .b = b + first * s->k,
                           .bias = j->bias ? j->bias + first : NULL,
                           .column = first,
                           .columns = oct_min_size(op->g->panel, s->n - first),
                           .lo = op->lo,
                           .hi = op->hi};
        for (size_t i = 0; i < n; i += op->g->rows) {
            t.a = a + i;
            t.c = c + i;
            t.residual = j->residual ? residual + i : NULL;
            t.rows = oct_min_size(op->g->rows, n - i);
            op->g->tile(&t);
        }
    }
    const size_t first = lo * op->g->panel, last = oct_min_size(hi * op->g->panel, s->n);
    for (size_t i = 0; op->act && i < n; i++)
        op->act(c[i] + first, c[i] + first, last - first, op->act_a, op->act_b);
}

static size_t n_chunks(const mm_op *op)
{
    return (op->s.m + op->chunk_rows - 1) / op->chunk_rows;
}

static void run_items(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const mm_op *op = j->op;
    const size_t chunks = n_chunks(op), panels = oct_gemm_panels(op->g, op->s.n);
    (void)worker;
    for (size_t i = lo; i < hi; i++) {
        const size_t group = i % op->panel_groups, rest = i / op->panel_groups;
        const size_t row = rest % chunks * op->chunk_rows;
        chunk(j, rest / chunks, row, oct_min_size(op->chunk_rows, op->s.m - row),
              group * panels / op->panel_groups, (group + 1) * panels / op->panel_groups);
    }
}

static oct_status mm_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *r)
{
    const mm_op *op = (const mm_op *)base;
    job j = {.op = op,
             .a = r->in[0],
             .b = r->in[1],
             .bias = op->scaled_bias ? op->scaled_bias
                     : op->bias >= 0 ? r->in[op->bias]
                                     : NULL,
             .residual = op->residual >= 0 ? r->in[op->residual] : NULL,
             .c = r->out[0],
             .packed = op->packed ? op->packed->data : r->workspace};
    (void)ctx;
    if (!op->packed)
        oct_parallel_for(op->threads, op->s.b_batches * oct_gemm_panels(op->g, op->s.n), 4,
                         pack_panels, &j);
    oct_parallel_for(op->threads, op->s.batches * n_chunks(op) * op->panel_groups, 1, run_items,
                     &j);
    return OCT_OK;
}

static void mm_release(oct_cpu *be, oct_cpu_op *base)
{
    mm_op *op = (mm_op *)base;
    oct_pack_put(be->packs, op->packed);
    oct_free(be->ctx, op->scaled_bias);
}

/* ---- preparing ------------------------------------------------------------------------------ */

static bool row_major(const oct_operand *o)
{
    return oct_cpu_dense(o) && o->desc.layout == OCT_LAYOUT_ROW;
}

/* C of Gemm: a bias per column, or a whole matrix (added as a residual is). */
static bool set_addend(mm_op *op, const oct_op_desc *d, char *reason)
{
    const oct_attr_gemm *at = d->op == OCT_OP_GEMM ? d->attr : NULL;
    op->bias = -1;
    op->residual = d->epilogue.residual;
    op->alpha = at ? at->alpha : 1.0f;
    if (!oct_operand_present(d, 2) || d->epilogue.residual == 2)
        return true;
    const oct_shape *c = &d->in[2].desc.shape;
    const size_t n = oct_cpu_elems(&d->in[2]);
    if (n == op->s.n && (c->n_dims == 0 || (size_t)c->dim[c->n_dims - 1] == n)) {
        op->bias = 2;
        if (at && at->beta != 1.0f && !d->in[2].data)
            return oct_cpu_no(reason, "beta with a computed C");
        return true;
    }
    if (!at || at->beta != 1.0f || op->residual >= 0 || n != op->s.m * op->s.n ||
        !row_major(&d->in[2]))
        return oct_cpu_no(reason, "shape of C");
    op->residual = 2;
    return true;
}

static void set_blocks(mm_op *op)
{
    const size_t rows = op->g->rows, threads = (size_t)op->threads;
    const size_t share = op->s.m * op->s.batches / threads / 2 + 1;
    const size_t tiles = oct_min_size(CHUNK_TILES, (share + rows - 1) / rows);
    op->chunk_rows = tiles * rows;
    op->panel_groups = 1;
    if (n_chunks(op) * op->s.batches < threads)
        op->panel_groups = oct_min_size(threads, oct_gemm_panels(op->g, op->s.n));
}

static bool fill(oct_cpu *be, const oct_op_desc *d, mm_op *op, char *reason)
{
    if (!oct_cpu_all_f32(d) || d->n_out != 1)
        return oct_cpu_no(reason, "not f32 or two outputs");
    if (!row_major(&d->in[0]) || !row_major(&d->in[1]) || !row_major(&d->out[0]))
        return oct_cpu_no(reason, "needs dense row-major operands");
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->in[1]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    if (d->op == OCT_OP_GEMM && ((const oct_attr_gemm *)d->attr)->trans_a)
        return oct_cpu_no(reason, "transA");
    if (d->epilogue.residual >= 0 && !row_major(&d->in[d->epilogue.residual]))
        return oct_cpu_no(reason, "layout of the residual");
    op->g = oct_gemm_f32_get(be->isa.isa);
    op->threads = d->threads;
    if (d->op == OCT_OP_GEMM)
        gemm_shape(&op->s, d);
    else
        matmul_shape(&op->s, d);
    op->lo = -INFINITY;
    op->hi = INFINITY;
    if (d->epilogue.act != OCT_ACT_NONE) {
        op->act = oct_vec_get(be->isa.isa)->unary[d->epilogue.act];
        op->act_a = d->epilogue.a;
        op->act_b = d->epilogue.b;
    }
    set_blocks(op);
    return set_addend(op, d, reason);
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    static const char *const names[OCT_ISA_COUNT] = {"portable", "avx2", "avx512"};
    mm_op op = {.chunk_rows = 0};
    (void)ctx;
    if (!fill(be, d, &op, reason))
        return false;
    snprintf(c->name, sizeof c->name, "cpu:matmul:%s", names[be->isa.isa]);
    if (!d->in[1].data)
        c->workspace_bytes = packed_elems(&op) * op.s.b_batches * sizeof(float);
    return true;
}

static oct_status pack_constant(void *user, oct_ctx *ctx, void *dst)
{
    job *j = user;
    (void)ctx;
    j->packed = dst;
    pack_panels(j, 0, j->op->s.b_batches * oct_gemm_panels(j->op->g, j->op->s.n), 0);
    return OCT_OK;
}

static oct_status build(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, mm_op *op)
{
    char reason[OCT_REASON_BYTES];
    if (!fill(be, d, op, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    const float beta = d->op == OCT_OP_GEMM ? ((const oct_attr_gemm *)d->attr)->beta : 1.0f;
    if (op->bias >= 0 && beta != 1.0f) {
        op->scaled_bias = oct_alloc_array(ctx, op->s.n, sizeof(float));
        if (!op->scaled_bias)
            return OCT_ERR_NOMEM;
        for (size_t i = 0; i < op->s.n; i++)
            op->scaled_bias[i] = beta * ((const float *)d->in[2].data)[i];
    }
    if (!d->in[1].data)
        return OCT_OK;
    job j = {.op = op, .b = d->in[1].data};
    uint32_t alpha;
    memcpy(&alpha, &op->alpha, sizeof alpha);
    const uint64_t format =
        (uint64_t)alpha << 32 | (uint64_t)op->g->panel << 8 | (op->s.b_k == 1) * 16u | 8u;
    return oct_pack_get(be->packs, ctx, d->in[1].const_key, format,
                        packed_elems(op) * op->s.b_batches * sizeof(float), pack_constant, &j,
                        &op->packed);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    mm_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = mm_run;
    op->base.release = mm_release;
    const oct_status st = build(be, ctx, d, op);
    if (st != OCT_OK) {
        mm_release(be, &op->base);
        oct_free(be->ctx, op);
        return st;
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_GEMM, query, prepare},
    {OCT_OP_MATMUL, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_matmul_f32 = {rows, sizeof rows / sizeof rows[0]};
