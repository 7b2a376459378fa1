/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize to the nearest element, channels-last: pixels are copied whole, and output rows that come
 * from the same input row are copied from the first. Interpolation is left to `ref`.
 */
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/resize.h"

typedef struct resize_op {
    oct_cpu_op base;
    int64_t batch, out[3];      /* depth, rows, columns; missing leading ones are 1 */
    int64_t x_batch, x_axis[3]; /* bytes */
    int64_t y_batch, y_axis[3];
    int32_t *from; /* input index of every output index: depth, rows, columns */
    size_t pixel_bytes;
    int threads;
} resize_op;

typedef struct job {
    const resize_op *op;
    const char *x;
    char *y;
} job;

/* One row of pixels; runs of one source pixel are common. */
static void copy_row(const resize_op *op, const char *x, char *y)
{
    const int32_t *column = op->from + op->out[0] + op->out[1];
    for (int64_t i = 0; i < op->out[2]; i++)
        memcpy(y + i * op->y_axis[2], x + column[i] * op->x_axis[2], op->pixel_bytes);
}

static void run_rows(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const resize_op *op = j->op;
    (void)worker;
    for (size_t i = lo; i < hi; i++) {
        const int64_t row = (int64_t)i % op->out[1], plane = (int64_t)i / op->out[1];
        const int64_t depth = plane % op->out[0], image = plane / op->out[0];
        char *y = j->y + image * op->y_batch + depth * op->y_axis[0] + row * op->y_axis[1];
        const int32_t *from = op->from + op->out[0];
        const bool dense = op->y_axis[2] == (int64_t)op->pixel_bytes;
        if (i > lo && row > 0 && from[row] == from[row - 1] && dense)
            memcpy(y, y - op->y_axis[1], op->pixel_bytes * (size_t)op->out[2]);
        else
            copy_row(op,
                     j->x + image * op->x_batch + op->from[depth] * op->x_axis[0] +
                         from[row] * op->x_axis[1],
                     y);
    }
}

static oct_status run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const resize_op *op = (const resize_op *)base;
    job j = {op, a->in[0], a->out[0]};
    (void)ctx;
    const size_t row_bytes = op->pixel_bytes * (size_t)op->out[2];
    oct_parallel_for(op->threads, (size_t)(op->batch * op->out[0] * op->out[1]),
                     1 + 16384 / (row_bytes + 1), run_rows, &j);
    return OCT_OK;
}

/* ---- query, prepare ------------------------------------------------------------------------- */

static bool same_params(const oct_operand *x, const oct_operand *y)
{
    return x->desc.dtype == y->desc.dtype && x->quant.n == y->quant.n && x->quant.n <= 1 &&
           (x->quant.n == 0 || (x->quant.q[0].scale == y->quant.q[0].scale &&
                                x->quant.q[0].zero_point == y->quant.q[0].zero_point));
}

static oct_status plan_of(oct_ctx *ctx, const oct_op_desc *d, oct_resize_plan *p)
{
    oct_tensor in[4];
    const oct_tensor *given[4] = {NULL};
    for (int i = 1; i < d->n_in && i < 4; i++) {
        if (!oct_operand_present(d, i))
            continue;
        in[i] = (oct_tensor){d->in[i].desc, (void *)(uintptr_t)d->in[i].data};
        given[i] = &in[i];
    }
    return oct_resize_plan_make(ctx, d->attr, &d->in[0].desc.shape, given[1], given[2], given[3],
                                p);
}

static bool fits(oct_ctx *ctx, const oct_op_desc *d, oct_resize_plan *p, char *reason)
{
    const oct_attr_resize *at = d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int n = x->shape.n_dims;
    if (at->mode != OCT_RESIZE_NEAREST || at->coord == OCT_COORD_TF_CROP_AND_RESIZE ||
        !same_params(&d->in[0], &d->out[0]))
        return oct_cpu_no(reason, "interpolates, crops or requantizes");
    if (n < 3 || n > 5 || x->stride[1] != 1 || y->stride[1] != 1)
        return oct_cpu_no(reason, "needs channels-last and at most 3 spatial axes");
    for (int i = 1; i < d->n_in; i++)
        if (oct_operand_present(d, i) && oct_cpu_elems(&d->in[i]) > 0 && !d->in[i].data)
            return oct_cpu_no(reason, "sizes are computed");
    if (oct_cpu_elems(&d->in[0]) == 0 || oct_cpu_elems(&d->out[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    if (plan_of(ctx, d, p) != OCT_OK) {
        oct_error_clear(ctx);
        return oct_cpu_no(reason, "sizes");
    }
    for (int k = 0; k < n; k++)
        if (p->axis[k].out != y->shape.dim[k])
            return oct_cpu_no(reason, "sizes");
    return (oct_resize_axis_is_identity(at, &p->axis[0]) &&
            oct_resize_axis_is_identity(at, &p->axis[1])) ||
           oct_cpu_no(reason, "resizes batch or channels");
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    oct_resize_plan p;
    (void)be;
    snprintf(c->name, sizeof c->name, "cpu:resize:nearest");
    return fits(ctx, d, &p, reason);
}

static void fill(resize_op *op, const oct_op_desc *d)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int64_t bytes = (int64_t)oct_dtype_bytes(x->dtype);
    const int n = x->shape.n_dims - 2;
    op->batch = x->shape.dim[0];
    op->x_batch = x->stride[0] * bytes;
    op->y_batch = y->stride[0] * bytes;
    op->pixel_bytes = (size_t)(x->shape.dim[1] * bytes);
    op->threads = d->threads;
    for (int a = 0; a < 3; a++) {
        const int k = 2 + a - (3 - n);
        op->out[a] = a < 3 - n ? 1 : y->shape.dim[k];
        op->x_axis[a] = a < 3 - n ? 0 : x->stride[k] * bytes;
        op->y_axis[a] = a < 3 - n ? 0 : y->stride[k] * bytes;
    }
}

static void fill_table(const oct_attr_resize *at, const oct_resize_axis *axis, int64_t n,
                       int32_t *from)
{
    float weight;
    for (int64_t i = 0; i < n; i++) {
        from[i] = axis ? (int32_t)i : 0;
        if (axis && !oct_resize_axis_is_identity(at, axis))
            (void)oct_resize_taps(at, axis, i, &from[i], &weight);
    }
}

static void resize_release(oct_cpu *be, oct_cpu_op *base)
{
    oct_free(be->ctx, ((resize_op *)base)->from);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    oct_resize_plan p;
    (void)c;
    if (!fits(ctx, d, &p, reason))
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    resize_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    if (!op)
        return OCT_ERR_NOMEM;
    fill(op, d);
    op->base.run = run;
    op->base.release = resize_release;
    op->from =
        oct_alloc_array(ctx, (size_t)(op->out[0] + op->out[1] + op->out[2]), sizeof *op->from);
    if (!op->from) {
        oct_free(be->ctx, op);
        return OCT_ERR_NOMEM;
    }
    int32_t *from = op->from;
    const int n = d->in[0].desc.shape.n_dims - 2;
    for (int a = 0; a < 3; from += op->out[a++])
        fill_table(d->attr, a < 3 - n ? NULL : &p.axis[2 + a - (3 - n)], op->out[a], from);
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {{OCT_OP_RESIZE, query, prepare}};
const oct_cpu_rows oct_cpu_rows_resize = {rows, sizeof rows / sizeof rows[0]};
