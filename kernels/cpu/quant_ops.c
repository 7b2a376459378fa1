/* SPDX-License-Identifier: Apache-2.0
 *
 * QuantizeLinear and DequantizeLinear with one scale, 8-bit Add, Sub, Mul, ... with
 * broadcasting, and Table.
 */
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/quant_vec.h"
#include "kernels/cpu/table_vbmi.h"
#include "kernels/ref/ref_loop.h"

static bool is_8bit(oct_dtype dt)
{
    return dt == OCT_DT_S8 || dt == OCT_DT_U8;
}

static bool alike(const oct_operand *x, const oct_operand *y)
{
    return oct_cpu_dense(x) && oct_cpu_dense(y) && x->desc.layout == y->desc.layout;
}

static void name_it(const oct_cpu *be, oct_candidate *c, const char *what)
{
    snprintf(c->name, sizeof c->name, "cpu:%s:%s", what, oct_cpu_isa_name(&be->isa));
}

/* ---- QuantizeLinear, DequantizeLinear, Table ---------------------------------------------- */

typedef struct linear_op {
    oct_cpu_op base;
    const oct_quant_kernels *k;
    bool quantizes;
    oct_dtype stored, zero_type; /* zero_type NONE: 0 */
    size_t n;
    bool vbmi;
    int threads;
} linear_op;

typedef struct linear_job {
    const linear_op *op;
    const char *x;
    char *y;
    oct_q8_type type;
    const uint8_t *table;
} linear_job;

#define LINEAR_GRAIN 16384

static void linear_range(void *user, size_t lo, size_t hi, int worker)
{
    const linear_job *j = user;
    (void)worker;
    if (j->op->quantizes)
        j->op->k->quantize((const float *)(const void *)j->x + lo, j->y + lo, hi - lo, j->type);
    else
        j->op->k->dequantize(j->x + lo, (float *)(void *)j->y + lo, hi - lo, j->type);
}

static oct_status linear_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const linear_op *op = (const linear_op *)base;
    oct_qparams q = {*(const float *)a->in[1], 0};
    (void)ctx;
    if (op->zero_type != OCT_DT_NONE)
        q.zero_point =
            op->zero_type == OCT_DT_S8 ? *(const int8_t *)a->in[2] : *(const uint8_t *)a->in[2];
    linear_job j = {op, a->in[0], a->out[0], oct_q8_type_of(op->stored, q), NULL};
    oct_parallel_for(op->threads, op->n, LINEAR_GRAIN, linear_range, &j);
    return OCT_OK;
}

static bool linear_query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                         char *reason)
{
    const bool quantizes = d->op == OCT_OP_QUANTIZE_LINEAR;
    const oct_operand *real = quantizes ? &d->in[0] : &d->out[0];
    const oct_operand *stored = quantizes ? &d->out[0] : &d->in[0];
    (void)ctx;
    if (real->desc.dtype != OCT_DT_F32 || !is_8bit(stored->desc.dtype) ||
        d->in[1].desc.dtype != OCT_DT_F32 || oct_cpu_elems(&d->in[1]) != 1)
        return oct_cpu_no(reason, "types, or a scale per axis");
    if (oct_operand_present(d, 2) && !is_8bit(d->in[2].desc.dtype))
        return oct_cpu_no(reason, "type of the zero point");
    if (!alike(&d->in[0], &d->out[0]))
        return oct_cpu_no(reason, "layouts differ");
    name_it(be, c, quantizes ? "quantize" : "dequantize");
    return true;
}

static oct_status linear_prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d,
                                 const oct_candidate *c, oct_cpu_op **out)
{
    linear_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = linear_run;
    op->k = oct_quant_vec_get(be->isa.isa);
    op->quantizes = d->op == OCT_OP_QUANTIZE_LINEAR;
    op->stored = (op->quantizes ? d->out : d->in)[0].desc.dtype;
    op->zero_type = oct_operand_present(d, 2) ? d->in[2].desc.dtype : OCT_DT_NONE;
    op->n = oct_cpu_elems(&d->in[0]);
    op->threads = d->threads;
    *out = &op->base;
    return OCT_OK;
}

static void table_range(void *user, size_t lo, size_t hi, int worker)
{
    const linear_job *j = user;
    const uint8_t *x = (const uint8_t *)j->x;
    uint8_t *y = (uint8_t *)j->y;
    (void)worker;
#if defined(OCT_X86)
    if (j->op->vbmi) {
        oct_table_vbmi_avx512(x + lo, j->table, y + lo, hi - lo);
        return;
    }
#endif
    for (size_t i = lo; i < hi; i++)
        y[i] = j->table[x[i]];
}

static oct_status table_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const linear_op *op = (const linear_op *)base;
    linear_job j = {.op = op, .x = a->in[0], .y = a->out[0], .table = a->in[1]};
    (void)ctx;
    oct_parallel_for(op->threads, op->n, LINEAR_GRAIN, table_range, &j);
    return OCT_OK;
}

static bool table_query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                        char *reason)
{
    (void)be;
    (void)ctx;
    if (!alike(&d->in[0], &d->out[0]) || !is_8bit(d->in[0].desc.dtype) ||
        !is_8bit(d->out[0].desc.dtype))
        return oct_cpu_no(reason, "types or layouts");
    snprintf(c->name, sizeof c->name, "cpu:table");
    c->may_alias[0] = true;
    return true;
}

static oct_status table_prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_candidate *c, oct_cpu_op **out)
{
    linear_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = table_run;
    op->vbmi = be->isa.avx512_vbmi;
    op->n = oct_cpu_elems(&d->in[0]);
    op->threads = d->threads;
    *out = &op->base;
    return OCT_OK;
}

/* ---- binary ops on 8-bit operands --------------------------------------------------------- */

static const struct {
    oct_op op;
    oct_vec_binary fn;
} binary_ops[] = {
    {OCT_OP_ADD, OCT_VEC_BIN_ADD}, {OCT_OP_SUM, OCT_VEC_BIN_ADD}, {OCT_OP_SUB, OCT_VEC_BIN_SUB},
    {OCT_OP_MUL, OCT_VEC_BIN_MUL}, {OCT_OP_DIV, OCT_VEC_BIN_DIV}, {OCT_OP_MIN, OCT_VEC_BIN_MIN},
    {OCT_OP_MAX, OCT_VEC_BIN_MAX},
};

typedef struct binary_op {
    oct_cpu_op base;
    oct_ref_loop loop; /* output, x, y */
    const oct_quant_kernels *k;
    oct_vec_binary fn;
    oct_q8_type x, y, z;
    int threads;
} binary_op;

typedef struct binary_job {
    const binary_op *op;
    const uint8_t *x, *y;
    uint8_t *z;
} binary_job;

#define PIECE 256

static void gather(uint8_t *dst, const uint8_t *src, int64_t step, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[(int64_t)i * step];
}

static void apply(const binary_op *op, const uint8_t *x, int xs, const uint8_t *y, int ys,
                  uint8_t *z, size_t n)
{
    op->k->binary[op->fn](x, xs, op->x, y, ys, op->y, z, op->z, n);
}

static void binary_row(void *user, const int64_t *offset, const int64_t *step, int64_t n)
{
    const binary_job *j = user;
    const uint8_t *x = j->x + offset[1], *y = j->y + offset[2];
    uint8_t *z = j->z + offset[0], bx[PIECE], by[PIECE], bz[PIECE];
    if (step[0] == 1 && (step[1] | 1) == 1 && (step[2] | 1) == 1) {
        apply(j->op, x, (int)step[1], y, (int)step[2], z, (size_t)n);
        return;
    }
    for (int64_t lo = 0; lo < n; lo += PIECE) {
        const size_t k = n - lo < PIECE ? (size_t)(n - lo) : PIECE;
        gather(bx, x + lo * step[1], step[1], k);
        gather(by, y + lo * step[2], step[2], k);
        apply(j->op, bx, 1, by, 1, bz, k);
        for (size_t i = 0; i < k; i++)
            z[(lo + (int64_t)i) * step[0]] = bz[i];
    }
}

static oct_status binary_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const binary_op *op = (const binary_op *)base;
    binary_job j = {op, a->in[0], a->in[1], a->out[0]};
    (void)ctx;
    oct_ref_loop_run(&op->loop, op->threads, binary_row, &j);
    return OCT_OK;
}

static bool q8_operand(const oct_operand *o)
{
    return is_8bit(o->desc.dtype) && o->quant.n == 1;
}

static bool same_place(const oct_operand *x, const oct_operand *y)
{
    return oct_shape_equal(&x->desc.shape, &y->desc.shape) &&
           memcmp(x->desc.stride, y->desc.stride,
                  sizeof x->desc.stride[0] * (size_t)x->desc.shape.n_dims) == 0;
}

static bool binary_query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                         char *reason)
{
    (void)ctx;
    if (d->n_in != 2 || !q8_operand(&d->in[0]) || !q8_operand(&d->in[1]) || !q8_operand(&d->out[0]))
        return oct_cpu_no(reason, "operands are not 8-bit with one scale");
    name_it(be, c, "eltwise:q8");
    for (int i = 0; i < 2; i++)
        c->may_alias[i] = same_place(&d->in[i], &d->out[0]);
    return true;
}

static oct_status binary_prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d,
                                 const oct_candidate *c, oct_cpu_op **out)
{
    binary_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.run = binary_run;
    op->k = oct_quant_vec_get(be->isa.isa);
    for (size_t i = 0; i < sizeof binary_ops / sizeof binary_ops[0]; i++)
        if (binary_ops[i].op == d->op)
            op->fn = binary_ops[i].fn;
    op->x = oct_q8_type_of(d->in[0].desc.dtype, d->in[0].quant.q[0]);
    op->y = oct_q8_type_of(d->in[1].desc.dtype, d->in[1].quant.q[0]);
    op->z = oct_q8_type_of(d->out[0].desc.dtype, d->out[0].quant.q[0]);
    op->threads = d->threads;
    oct_ref_loop_init(&op->loop, &d->out[0].desc.shape);
    oct_ref_loop_add(&op->loop, &d->out[0].desc);
    oct_ref_loop_add(&op->loop, &d->in[0].desc);
    oct_ref_loop_add(&op->loop, &d->in[1].desc);
    oct_ref_loop_optimize(&op->loop);
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_QUANTIZE_LINEAR, linear_query, linear_prepare},
    {OCT_OP_DEQUANTIZE_LINEAR, linear_query, linear_prepare},
    {OCT_OP_TABLE, table_query, table_prepare},
    {OCT_OP_ADD, binary_query, binary_prepare},
    {OCT_OP_SUM, binary_query, binary_prepare},
    {OCT_OP_SUB, binary_query, binary_prepare},
    {OCT_OP_MUL, binary_query, binary_prepare},
    {OCT_OP_DIV, binary_query, binary_prepare},
    {OCT_OP_MIN, binary_query, binary_prepare},
    {OCT_OP_MAX, binary_query, binary_prepare},
};
const oct_cpu_rows oct_cpu_rows_quant = {rows, sizeof rows / sizeof rows[0]};
