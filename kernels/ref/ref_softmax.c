/* SPDX-License-Identifier: Apache-2.0
 *
 * Softmax, LogSoftmax, Hardmax along one axis, or (opset < 13) over all axes from `axis` on.
 * The maximum is subtracted first; sums run in index order in f32.
 */
#include "kernels/ref/ref_groups_internal.h"

#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"

/* x[outer][n][inner]: rows of n elements, `inner` apart. */
typedef struct rows {
    const float *x;
    float *y;
    int64_t outer, n, inner;
} rows;

typedef void (*row_fn)(const float *x, float *y, int64_t n, int64_t step);

static float row_max(const float *x, int64_t n, int64_t step)
{
    float m = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i * step];
        m = v > m || isnan(v) ? v : m; /* a NaN stays: nothing is greater */
    }
    return m;
}

static void softmax_row(const float *x, float *y, int64_t n, int64_t step)
{
    const float m = row_max(x, n, step);
    float sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float e = expf(x[i * step] - m);
        y[i * step] = e;
        sum += e;
    }
    for (int64_t i = 0; i < n; i++)
        y[i * step] /= sum;
}

static void log_softmax_row(const float *x, float *y, int64_t n, int64_t step)
{
    const float m = row_max(x, n, step);
    float sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += expf(x[i * step] - m);
    const float log_sum = logf(sum);
    for (int64_t i = 0; i < n; i++)
        y[i * step] = x[i * step] - m - log_sum;
}

static void hardmax_row(const float *x, float *y, int64_t n, int64_t step)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++) {
        if (x[i * step] > x[best * step])
            best = i;
    }
    for (int64_t i = 0; i < n; i++)
        y[i * step] = i == best ? 1.0f : 0.0f;
}

typedef struct job {
    rows r;
    row_fn fn;
} job;

static void run_rows(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const rows *r = &j->r;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t at = i / r->inner * r->n * r->inner + i % r->inner;
        j->fn(r->x + at, r->y + at, r->n, r->inner);
    }
}

static oct_status run_softmax(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_axis *at = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int axis = (int)(at->axis < 0 ? at->axis + s->n_dims : at->axis);
    const int end = at->flatten_2d || s->n_dims == 0 ? s->n_dims : axis + 1;
    job j = {.r = {a->in[0], a->out[0], oct_ref_product(s, 0, s->n_dims ? axis : 0),
                   oct_ref_product(s, s->n_dims ? axis : 0, end),
                   oct_ref_product(s, end, s->n_dims)}};
    j.fn = d->op == OCT_OP_SOFTMAX       ? softmax_row
           : d->op == OCT_OP_LOG_SOFTMAX ? log_softmax_row
                                         : hardmax_row;
    if (j.r.n > 0)
        oct_parallel_for(d->threads, (size_t)(j.r.outer * j.r.inner), 16, run_rows, &j);
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    if (d->in[0].desc.dtype != OCT_DT_F32)
        return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op),
                              oct_dtype_str(d->in[0].desc.dtype));
    return oct_ref_accepts_plain(d, reason);
}

const oct_ref_entry oct_ref_softmax[] = {
    {OCT_OP_SOFTMAX, run_softmax, .accepts = accepts, .half_via_f32 = true},
    {OCT_OP_LOG_SOFTMAX, run_softmax, .accepts = accepts, .half_via_f32 = true},
    {OCT_OP_HARDMAX, run_softmax, .accepts = accepts, .half_via_f32 = true},
    {0},
};
