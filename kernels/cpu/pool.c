/* SPDX-License-Identifier: Apache-2.0
 *
 * MaxPool, AveragePool and the global pools, f32 and 8-bit, channels-last.
 */
#include "kernels/cpu/pool.h"

#include <math.h>
#include <stdio.h>

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/cpu_window.h"
#include "kernels/cpu/quant_vec.h"

extern const oct_pool_kernels oct_pool_portable;
#if defined(OCT_X86)
extern const oct_pool_kernels oct_pool_avx2, oct_pool_avx512;
#endif

#define MAX_TAPS 256
#define CHANNELS_AT_ONCE 64 /* of a global pool, per work item */

const oct_pool_kernels *oct_pool_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_pool_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_pool_avx2;
#endif
    (void)isa;
    return &oct_pool_portable;
}

typedef struct pool_op {
    oct_cpu_op base;
    oct_cpu_window win;
    const oct_pool_kernels *k;
    const oct_quant_kernels *q; /* NULL for f32 */
    oct_q8_type from, to;
    size_t elem_bytes;
    bool is_max, count_pad;
    int threads;
} pool_op;

typedef struct job {
    const pool_op *op;
    const char *x;
    char *y;
} job;

/* ---- windows -------------------------------------------------------------------------------- */

/* Divisor of one axis: all positions within the padded input, or only those on real pixels. */
static int64_t axis_count(const oct_window *w, int a, int64_t first, bool count_pad)
{
    int64_t n = 0;
    for (int64_t t = 0; t < w->kernel[a]; t++) {
        const int64_t at = first + t * w->dilation[a];
        n += count_pad ? at < w->in[a] + w->pad_hi[a] : at >= 0 && at < w->in[a];
    }
    return n;
}

static size_t collect_taps(const pool_op *op, const char *x, const int64_t first[3],
                           const void **tap)
{
    const oct_window *w = &op->win.w;
    size_t n = 0;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t z = first[0] + i * w->dilation[0];
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            const int64_t r = first[1] + j * w->dilation[1];
            for (int64_t k = 0; k < w->kernel[2]; k++) {
                const int64_t c = first[2] + k * w->dilation[2];
                if (z < 0 || z >= w->in[0] || r < 0 || r >= w->in[1] || c < 0 || c >= w->in[2])
                    continue;
                tap[n++] =
                    x + (z * op->win.x_axis[0] + r * op->win.x_axis[1] + c * op->win.x_axis[2]) *
                            (int64_t)op->elem_bytes;
            }
        }
    }
    return n;
}

/* Scale of a sum of 8-bit values: as `ref`, in double, rounded once. */
static float average_factor(const pool_op *op, int64_t count)
{
    return (float)((double)op->from.q.scale / ((double)op->to.q.scale * (double)count));
}

static void reduce_q8(const pool_op *op, const void *const *tap, size_t n, int64_t count, char *y)
{
    const size_t channels = (size_t)op->win.out_channels;
    if (op->is_max && n == 0)
        memset(y, op->from.is_signed ? -128 : 0, channels);
    else if (op->is_max)
        op->q->max(tap, n, channels, op->from.is_signed, y);
    else
        op->q->avg(tap, n, channels, op->from, average_factor(op, count), op->to, y);
}

static void reduce_f32(const pool_op *op, const void *const *tap, size_t n, int64_t count, float *y)
{
    const size_t channels = (size_t)op->win.out_channels;
    if (n == 0) /* the window lies in the padding */
        for (size_t i = 0; i < channels; i++)
            y[i] = op->is_max ? -INFINITY : 0.0f;
    else if (op->is_max)
        op->k->max(tap, n, channels, y);
    else
        op->k->avg(tap, n, channels, (float)count, y);
}

static void one_pixel(const job *j, int64_t batch, const int64_t at[3])
{
    const pool_op *op = j->op;
    const oct_cpu_window *c = &op->win;
    const void *tap[MAX_TAPS];
    int64_t first[3], count = 1, to = batch * c->y_batch;
    for (int a = 0; a < 3; a++) {
        first[a] = at[a] * c->w.stride[a] - c->w.pad_lo[a];
        count *= axis_count(&c->w, a, first[a], op->count_pad);
        to += at[a] * c->y_axis[a];
    }
    const size_t n =
        collect_taps(op, j->x + batch * c->x_batch * (int64_t)op->elem_bytes, first, tap);
    char *y = j->y + to * (int64_t)op->elem_bytes;
    if (op->q)
        reduce_q8(op, tap, n, count, y);
    else
        reduce_f32(op, tap, n, count, (float *)(void *)y);
}

static void window_rows(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const oct_window *w = &j->op->win.w;
    (void)worker;
    for (size_t i = lo; i < hi; i++) { /* a row of output pixels */
        int64_t at[3] = {(int64_t)i / w->out[1] % w->out[0], (int64_t)i % w->out[1], 0};
        for (; at[2] < w->out[2]; at[2]++)
            one_pixel(j, (int64_t)i / w->out[1] / w->out[0], at);
    }
}

static size_t grain(int64_t elems_per_item)
{
    const int64_t g = 16384 / (elems_per_item > 0 ? elems_per_item : 1);
    return g > 1 ? (size_t)g : 1;
}

static oct_status window_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const pool_op *op = (const pool_op *)base;
    const oct_window *w = &op->win.w;
    job j = {op, a->in[0], a->out[0]};
    (void)ctx;
    oct_parallel_for(op->threads, (size_t)(op->win.batch * w->out[0] * w->out[1]),
                     grain(w->out[2] * op->win.out_channels * oct_cpu_window_taps(&op->win)),
                     window_rows, &j);
    return OCT_OK;
}

/* ---- global pools --------------------------------------------------------------------------- */

static void global_f32(const pool_op *op, const char *x, char *y, size_t pixels, size_t n)
{
    const float *from = (const float *)(const void *)x;
    float *to = (float *)(void *)y;
    if (op->is_max)
        op->k->max_rows(from, op->win.x_axis[2], pixels, n, to);
    else
        op->k->avg_rows(from, op->win.x_axis[2], pixels, n, (float)pixels, to);
}

static void global_q8(const pool_op *op, const char *x, char *y, size_t pixels, size_t n)
{
    if (op->is_max)
        op->q->max_rows(x, op->win.x_axis[2], pixels, n, op->from.is_signed, y);
    else
        op->q->avg_rows(x, op->win.x_axis[2], pixels, n, op->from,
                        average_factor(op, (int64_t)pixels), op->to, y);
}

static void global_blocks(void *user, size_t lo, size_t hi, int worker)
{
    const job *j = user;
    const pool_op *op = j->op;
    const oct_cpu_window *c = &op->win;
    const size_t channels = (size_t)c->in_channels, width = op->elem_bytes;
    const size_t blocks = (channels + CHANNELS_AT_ONCE - 1) / CHANNELS_AT_ONCE;
    const size_t pixels = (size_t)(c->w.in[0] * c->w.in[1] * c->w.in[2]);
    (void)worker;
    for (size_t i = lo; i < hi; i++) {
        const size_t first = i % blocks * CHANNELS_AT_ONCE;
        const size_t n = oct_min_size(CHANNELS_AT_ONCE, channels - first);
        const char *x = j->x + ((size_t)((int64_t)(i / blocks) * c->x_batch) + first) * width;
        char *y = j->y + ((size_t)((int64_t)(i / blocks) * c->y_batch) + first) * width;
        if (op->q)
            global_q8(op, x, y, pixels, n);
        else
            global_f32(op, x, y, pixels, n);
    }
}

static oct_status global_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const pool_op *op = (const pool_op *)base;
    const oct_cpu_window *c = &op->win;
    const int64_t blocks = (c->in_channels + CHANNELS_AT_ONCE - 1) / CHANNELS_AT_ONCE;
    job j = {op, a->in[0], a->out[0]};
    (void)ctx;
    oct_parallel_for(op->threads, (size_t)(c->batch * blocks),
                     grain(c->w.in[0] * c->w.in[1] * c->w.in[2] * CHANNELS_AT_ONCE), global_blocks,
                     &j);
    return OCT_OK;
}

/* ---- query, prepare ------------------------------------------------------------------------- */

static bool is_global(oct_op op)
{
    return op == OCT_OP_GLOBAL_AVERAGE_POOL || op == OCT_OP_GLOBAL_MAX_POOL;
}

/* A global pool as a window op: the sizes and steps alone. */
static bool global_window(oct_cpu_window *c, const oct_op_desc *d)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int n = x->shape.n_dims;
    if (n < 3 || n > 5 || !oct_tensor_desc_is_dense(x))
        return false;
    memset(c, 0, sizeof *c);
    c->batch = x->shape.dim[0];
    c->in_channels = c->out_channels = x->shape.dim[1];
    c->x_batch = x->stride[0];
    c->x_channel = x->stride[1];
    c->y_batch = y->stride[0];
    c->y_channel = y->stride[1];
    for (int a = 0; a < 3; a++)
        c->w.in[a] = a < n - 2 ? x->shape.dim[2 + a] : 1;
    c->x_axis[2] = x->stride[n - 1];
    return true;
}

static bool q8_operand(const oct_operand *o)
{
    return (o->desc.dtype == OCT_DT_S8 || o->desc.dtype == OCT_DT_U8) && o->quant.n <= 1;
}

/* f32, or 8 bits; a maximum keeps its parameters. */
static bool set_types(pool_op *op, const oct_cpu *be, const oct_op_desc *d)
{
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const oct_qparams none = {1.0f, 0};
    op->elem_bytes = oct_dtype_bytes(x->desc.dtype);
    op->k = oct_pool_get(be->isa.isa);
    if (oct_cpu_all_f32(d))
        return true;
    if (!q8_operand(x) || !q8_operand(y) || x->quant.n != y->quant.n)
        return false;
    op->q = oct_quant_vec_get(be->isa.isa);
    op->from = oct_q8_type_of(x->desc.dtype, x->quant.n ? x->quant.q[0] : none);
    op->to = oct_q8_type_of(y->desc.dtype, y->quant.n ? y->quant.q[0] : none);
    if (!op->is_max)
        return x->quant.n == 1;
    return x->desc.dtype == y->desc.dtype && op->from.q.scale == op->to.q.scale &&
           op->from.q.zero_point == op->to.q.zero_point;
}

static bool fill(pool_op *op, const oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, char *reason)
{
    oct_cpu_window *c = &op->win;
    op->is_max = d->op == OCT_OP_MAX_POOL || d->op == OCT_OP_GLOBAL_MAX_POOL;
    if (d->n_out != 1 || !set_types(op, be, d))
        return oct_cpu_no(reason, "types, or with indices");
    if (is_global(d->op) ? !global_window(c, d) : !oct_cpu_window_init(c, ctx, d))
        return oct_cpu_no(reason, "rank");
    if (c->x_channel != 1 || c->y_channel != 1)
        return oct_cpu_no(reason, "needs channels-last");
    if (!is_global(d->op) && oct_cpu_window_taps(c) > MAX_TAPS)
        return oct_cpu_no(reason, "window too large");
    if (oct_cpu_elems(&d->in[0]) == 0)
        return oct_cpu_no(reason, "empty tensor");
    op->count_pad =
        d->op == OCT_OP_AVERAGE_POOL && ((const oct_attr_window *)d->attr)->count_include_pad;
    op->threads = d->threads;
    return true;
}

static bool query(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c, char *reason)
{
    pool_op op = {.q = NULL};
    snprintf(c->name, sizeof c->name, "cpu:pool");
    return fill(&op, be, ctx, d, reason);
}

static oct_status prepare(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, const oct_candidate *c,
                          oct_cpu_op **out)
{
    char reason[OCT_REASON_BYTES];
    pool_op *op = oct_cpu_op_new(be, ctx, sizeof *op);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    if (!fill(op, be, ctx, d, reason)) {
        oct_free(be->ctx, op);
        return oct_fail(ctx, OCT_ERR_BUG, "%s: %s", oct_op_name(d->op), reason);
    }
    op->base.run = is_global(d->op) ? global_run : window_run;
    *out = &op->base;
    return OCT_OK;
}

static const oct_cpu_row rows[] = {
    {OCT_OP_MAX_POOL, query, prepare},
    {OCT_OP_AVERAGE_POOL, query, prepare},
    {OCT_OP_GLOBAL_MAX_POOL, query, prepare},
    {OCT_OP_GLOBAL_AVERAGE_POOL, query, prepare},
};
const oct_cpu_rows oct_cpu_rows_pool = {rows, sizeof rows / sizeof rows[0]};
