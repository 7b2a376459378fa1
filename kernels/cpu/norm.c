/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax, LogSoftmax and LayerNormalization, f32, over the innermost axis (or axes).
 */
#include "kernels/cpu/norm.h"

#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"

extern const oct_norm_kernels oct_norm_portable;
#if defined(OCT_X86)
extern const oct_norm_kernels oct_norm_avx2, oct_norm_avx512;
#endif

const oct_norm_kernels *oct_norm_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_norm_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_norm_avx2;
#endif
    (void)isa;
    return &oct_norm_portable;
}

typedef struct norm_op {
    oct_cpu_op base;
    const oct_norm_kernels *k;
    oct_op op;
    size_t rows, n; /* n elements a row */
    float epsilon;
    bool bias;
    int threads;
} norm_op;

typedef struct job {
    const norm_op *op;
    const float *x, *scale, *bias;
    float *y;
} job;

static void run_rows(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const norm_op *op = j->op;
    (void)worker;
    for (size_t r = lo; r < hi; r++) {
        const float *x = j->x + r * op->n;
        float *y = j->y + r * op->n;
        if (op->op == OCT_OP_SOFTMAX)
            op->k->softmax(x, y, op->n);
        else if (op->op == OCT_OP_LOG_SOFTMAX)
            op->k->log_softmax(x, y, op->n);
        else
            op->k->layer(x, y, op->n, j->scale, j->bias, op->epsilon);
    }
}

static oct_status run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const norm_op *op = (const norm_op *)base;
    const bool layer = op->op == OCT_OP_LAYER_NORM;
    job j = {op, a->in[0], layer ? a->in[1] : NULL, op->bias ? a->in[2] : NULL, a->out[0]};
    (void)ctx;
    oct_parallel_for(op->threads, op->rows, 1 + 8192 / op->n, run_rows, &j);
    return OCT_OK;
}

/* Elements a row when the axes from `axis` on (or `axis` alone, when last in memory) are
 * contiguous; 0 otherwise. */
static size_t row_elems(const oct_tensor_desc *t, int64_t axis, bool to_end)
{
    const int n = t->shape.n_dims;
    const int a = (int)(axis < 0 ? axis + n : axis);
    size_t elems = 1;
    if (a < 0 || a >= n)
        return 0;
    if (t->layout == OCT_LAYOUT_CHANNELS_LAST)
        return !to_end && a == 1 ? (size_t)t->shape.dim[1] : 0;
    if (!to_end && a != n - 1)
        return 0;
    for (int i = a; i < n; i++)
        elems *= (size_t)t->shape.dim[i];
    return elems;
}

static bool fits_layer(const norm_op *op, const oct_op_desc *d)
{
    return oct_cpu_elems(&d->in[1]) == op->n &&
           (!oct_operand_present(d, 2) || oct_cpu_elems(&d->in[2]) == op->n);
}

static bool fill(norm_op *op, const oct_cpu *be, const oct_op_desc *d, char *reason)
{
    const bool layer = d->op == OCT_OP_LAYER_NORM;
    if (!oct_cpu_all_f32(d) || d->n_out != 1)
        return oct_cpu_no(reason, "not f32 or several outputs");
    if (!oct_cpu_dense(&d->in[0]) || !oct_cpu_dense(&d->out[0]) ||
        d->in[0].desc.layout != d->out[0].desc.layout)
        return oct_cpu_no(reason, "not dense");
    if (layer) {
        const oct_attr_norm *at = d->attr;
        op->n = row_elems(&d->in[0].desc, at->axis, true);
        op->epsilon = at->epsilon;
        op->bias = oct_operand_present(d, 2);
    } else {
        const oct_attr_axis *at = d->attr;
        op->n = row_elems(&d->in[0].desc, at->axis, at->flatten_2d);
    }
    if (op->n == 0 || (layer && !fits_layer(op, d)))
        return oct_cpu_no(reason, "axis is not innermost, or a broadcast scale");
    op->op = d->op;
    op->rows = oct_cpu_elems(&d->in[0]) / op->n;
    op->k = oct_norm_get(be->isa.isa);
    op->threads = d->threads;
    return true;
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    norm_op op = {.n = 0};
    (void)ctx;
    snprintf(c->name, sizeof c->name, "cpu:norm");
    c->may_alias[0] = true;
    return fill(&op, be, d, reason);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    norm_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = run;
    if (!fill(op, be, d, reason)) {
        oct_free(be->ctx, op);
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_SOFTMAX, query, prepare},
    {OCT_OP_LOG_SOFTMAX, query, prepare},
    {OCT_OP_LAYER_NORM, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_norm = {rows, sizeof rows / sizeof rows[0]};
