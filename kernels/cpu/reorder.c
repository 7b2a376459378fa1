/* SPDX-License-Identifier: Apache-2.0
 *
 * Reorder and Transpose: copies whose fast axis differs between input and output, as a
 * transposition of tiles. Others (rows that stay rows) are left to `ref`, which copies them with
 * memcpy().
 */
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/interleave.h"
#include "kernels/ref/ref_loop.h"

#define TILE 16
#define STRIP 512 /* elements along the input's fast axis per work item */

/* y[i * y_wide + j] = x[i + j * x_long] for i < wide (the input's fast axis), j < len (the
 * output's fast axis), for each index of the outer dims. */
typedef struct reorder_op {
    oct_cpu_op base;
    int64_t wide, len, y_wide, x_long;
    int n_outer;
    int64_t outer[OCT_REF_LOOP_DIMS], x_outer[OCT_REF_LOOP_DIMS], y_outer[OCT_REF_LOOP_DIMS];
    size_t n_items, strips;
    size_t elem_bytes;
    bool triples; /* interleave.h serves */
    int threads;
} reorder_op;

typedef struct job {
    const reorder_op *op;
    const char *x;
    char *y;
} job;

#define TRANSPOSE(type)                                                                      \
    static void transpose_##type(const reorder_op *op, const type *x, type *y, int64_t wide) \
    {                                                                                        \
        for (int64_t j0 = 0; j0 < op->len; j0 += TILE) {                                     \
            const int64_t j1 = j0 + TILE < op->len ? j0 + TILE : op->len;                    \
            for (int64_t i = 0; i < wide; i++) {                                             \
                const type *from = x + i;                                                    \
                type *to = y + i * op->y_wide;                                               \
                for (int64_t j = j0; j < j1; j++)                                            \
                    to[j] = from[j * op->x_long];                                            \
            }                                                                                \
        }                                                                                    \
    }
TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)
TRANSPOSE(uint64_t)

static void strip(const reorder_op *op, const char *x, char *y, int64_t wide)
{
    const void *from = x;
    void *to = y;
#if defined(OCT_X86)
    if (op->triples) {
        oct_interleave3_avx2(x, (size_t)op->x_long, (size_t)wide, op->elem_bytes, y);
        return;
    }
#endif
    switch (op->elem_bytes) {
    case 1:
        transpose_uint8_t(op, from, to, wide);
        break;
    case 2:
        transpose_uint16_t(op, from, to, wide);
        break;
    case 4:
        transpose_uint32_t(op, from, to, wide);
        break;
    default:
        transpose_uint64_t(op, from, to, wide);
        break;
    }
}

static void run_items(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const reorder_op *op = j->op;
    (void)worker;
    for (size_t item = lo; item < hi; item++) {
        const int64_t first = (int64_t)(item % op->strips) * STRIP;
        int64_t rest = (int64_t)(item / op->strips), x = first, y = first * op->y_wide;
        for (int d = op->n_outer - 1; d >= 0; d--) {
            x += rest % op->outer[d] * op->x_outer[d];
            y += rest % op->outer[d] * op->y_outer[d];
            rest /= op->outer[d];
        }
        const int64_t wide = op->wide - first < STRIP ? op->wide - first : STRIP;
        strip(op, j->x + x * (int64_t)op->elem_bytes, j->y + y * (int64_t)op->elem_bytes, wide);
    }
}

static oct_status run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const reorder_op *op = (const reorder_op *)base;
    job j = {op, a->in[0], a->out[0]};
    (void)ctx;
    oct_parallel_for(op->threads, op->n_items, 1 + 8192 / (size_t)(op->len * 16 + 1), run_items,
                     &j);
    return OCT_OK;
}

/* ---- query, prepare ----------------------------------------------------------------------- */

static void loop_of(const oct_op_desc *d, oct_ref_loop *l)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const oct_attr_transpose *at = d->op == OCT_OP_TRANSPOSE ? d->attr : NULL;
    const int n = x->shape.n_dims;
    memset(l, 0, sizeof *l);
    for (int i = 0; i < n; i++) {
        const int from = !at ? i : at->n_perm ? (int)at->perm[i] : n - 1 - i;
        oct_ref_loop_dim(l, y->shape.dim[i], y->stride[i], x->stride[from]);
    }
    oct_ref_loop_optimize(l);
}

static bool same_params(const oct_operand *x, const oct_operand *y)
{
    if (x->quant.n != y->quant.n || x->quant.n > 1)
        return false;
    return x->quant.n == 0 || (x->quant.q[0].scale == y->quant.q[0].scale &&
                               x->quant.q[0].zero_point == y->quant.q[0].zero_point);
}

static bool fill(const oct_op_desc *d, reorder_op *op, char *reason)
{
    oct_ref_loop l;
    if (d->in[0].desc.dtype != d->out[0].desc.dtype || !same_params(&d->in[0], &d->out[0]))
        return oct_cpu_no(reason, "types differ");
    if (oct_cpu_elems(&d->in[0]) == 0 || d->in[0].desc.shape.n_dims < 2)
        return oct_cpu_no(reason, "nothing to reorder");
    loop_of(d, &l);
    const int last = l.n_dims - 1;
    int fast = -1;
    for (int i = 0; i < last; i++)
        if (l.stride[1][i] == 1)
            fast = i;
    if (fast < 0 || l.stride[0][last] != 1 || l.stride[1][last] == 1)
        return oct_cpu_no(reason, "rows stay rows");
    op->elem_bytes = oct_dtype_bytes(d->in[0].desc.dtype);
    op->threads = d->threads;
    op->wide = l.dim[fast];
    op->y_wide = l.stride[0][fast];
    op->len = l.dim[last];
    op->x_long = l.stride[1][last];
    op->strips = (size_t)((op->wide + STRIP - 1) / STRIP);
    op->n_items = op->strips;
    for (int i = 0; i < last; i++) {
        if (i == fast)
            continue;
        op->outer[op->n_outer] = l.dim[i];
        op->y_outer[op->n_outer] = l.stride[0][i];
        op->x_outer[op->n_outer++] = l.stride[1][i];
        op->n_items *= (size_t)l.dim[i];
    }
    return true;
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    reorder_op op = {.n_outer = 0};
    (void)be;
    (void)ctx;
    snprintf(c->name, sizeof c->name, "cpu:transpose");
    return fill(d, &op, reason);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    reorder_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = run;
    if (!fill(d, op, reason)) {
        oct_free(be->ctx, op);
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    op->triples = op->len == 3 && op->y_wide == 3 && op->x_long > 0 && op->elem_bytes <= 4 &&
                  be->isa.isa >= OCT_ISA_AVX2;
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_REORDER, query, prepare},
    {OCT_OP_TRANSPOSE, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_reorder = {rows, sizeof rows / sizeof rows[0]};
