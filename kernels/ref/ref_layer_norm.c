/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizations along axes: LayerNormalization, RMSNormalization, LpNormalization,
 * MeanVarianceNormalization. f32, row-major. Sums are f64 in index order.
 */
#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

/* ---- LayerNormalization, RMSNormalization ---------------------------------------------------- */

typedef struct layer_job {
    const oct_op_desc *d;
    const oct_attr_norm *at;
    int axis;
    int64_t inner;
    const float *x, *scale, *bias;
    float *y, *mean, *inv;
    int64_t scale_stride[OCT_MAX_DIMS], bias_stride[OCT_MAX_DIMS]; /* broadcast to x */
} layer_job;

static void row_statistics(const layer_job *j, const float *x, double *mean, double *inv)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < j->inner && j->d->op == OCT_OP_LAYER_NORM; i++)
        sum += x[i];
    *mean = sum / (double)j->inner;
    for (int64_t i = 0; i < j->inner; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *inv = 1.0 / sqrt(square / (double)j->inner + j->at->epsilon);
}

static int64_t param_offset(const oct_shape *s, const int64_t *stride, int64_t i)
{
    int64_t at = 0;
    for (int k = s->n_dims - 1; k >= 0; k--) {
        at += i % s->dim[k] * stride[k];
        i /= s->dim[k];
    }
    return at;
}

static void layer_rows(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const layer_job *j = user;
    const oct_shape *s = &j->d->in[0].desc.shape;
    for (size_t r = lo; r < hi; r++) {
        const int64_t base = (int64_t)r * j->inner;
        double mean, inv;
        row_statistics(j, j->x + base, &mean, &inv);
        for (int64_t i = 0; i < j->inner; i++) {
            const float v = (float)((j->x[base + i] - mean) * inv);
            const float b = j->bias ? j->bias[param_offset(s, j->bias_stride, base + i)] : 0.0f;
            j->y[base + i] = v * j->scale[param_offset(s, j->scale_stride, base + i)] + b;
        }
        if (j->mean)
            j->mean[r] = (float)mean;
        if (j->inv)
            j->inv[r] = (float)inv;
    }
}

static oct_status run_layer(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_norm *at = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    layer_job j = {.d = d, .at = at, .x = a->in[0], .scale = a->in[1], .y = a->out[0]};
    j.axis = (int)(at->axis < 0 ? at->axis + s->n_dims : at->axis);
    j.inner = oct_ref_product(s, j.axis, s->n_dims);
    j.bias = d->n_in > 2 ? a->in[2] : NULL;
    j.mean = d->n_out > 1 ? a->out[1] : NULL;
    j.inv = d->n_out > 2 ? a->out[2] : NULL;
    oct_ref_broadcast_strides(&d->in[1].desc, s, j.scale_stride);
    if (j.bias)
        oct_ref_broadcast_strides(&d->in[2].desc, s, j.bias_stride);
    if (j.inner > 0)
        oct_parallel_for(d->threads, (size_t)oct_ref_product(s, 0, j.axis), 4, layer_rows, &j);
    return OCT_OK;
}

/* ---- LpNormalization --------------------------------------------------------------------------- */

static oct_status run_lp(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_norm *at = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int axis = (int)(at->axis < 0 ? at->axis + s->n_dims : at->axis);
    const int64_t n = s->dim[axis], step = oct_ref_product(s, axis + 1, s->n_dims);
    const int64_t outer = oct_ref_product(s, 0, axis);
    for (int64_t r = 0; r < outer * step; r++) {
        const int64_t base = r / step * n * step + r % step;
        const float *x = (const float *)a->in[0] + base;
        float *y = (float *)a->out[0] + base;
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += at->p == 1 ? fabs(x[i * step]) : (double)x[i * step] * x[i * step];
        const double norm = at->p == 1 ? sum : sqrt(sum);
        for (int64_t i = 0; i < n; i++) /* a zero vector stays zero */
            y[i * step] = norm == 0 ? 0.0f : (float)(x[i * step] / norm);
    }
    return OCT_OK;
}

/* ---- MeanVarianceNormalization ----------------------------------------------------------------- */

/* Bit k: axis k is reduced. */
static uint32_t reduced_axes(const oct_op_desc *d, const oct_run_args *a)
{
    const int rank = d->in[0].desc.shape.n_dims;
    if (d->n_in < 2 || !a->in[1])
        return 1u << 0 | 1u << 2 | 1u << 3;
    uint32_t mask = 0;
    size_t n = 0;
    if (oct_shape_elems(&d->in[1].desc.shape, &n)) {
        for (size_t i = 0; i < n; i++) {
            const int64_t k = ((const int64_t *)a->in[1])[i];
            mask |= 1u << (k < 0 ? k + rank : k);
        }
    }
    return mask;
}

/* One group: all positions whose kept coordinates are those of `index`. */
static void normalize_group(const oct_tensor_desc *t, const oct_shape *inner, const float *x,
                            float *y)
{
    int64_t index[OCT_MAX_DIMS] = {0};
    double sum = 0, square = 0, count = 0;
    do {
        const double v = x[oct_ref_offset(t, index)];
        sum += v;
        count += 1;
    } while (oct_ref_next(inner, index));
    const double mean = sum / count;
    do {
        const double v = x[oct_ref_offset(t, index)] - mean;
        square += v * v;
    } while (oct_ref_next(inner, index));
    const double deviation = sqrt(square / count) + 1e-9; /* as ONNX's function body */
    do {
        const int64_t at = oct_ref_offset(t, index);
        y[at] = (float)((x[at] - mean) / deviation);
    } while (oct_ref_next(inner, index));
}

static oct_status run_mean_variance(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_tensor_desc *t = &d->in[0].desc;
    const uint32_t mask = reduced_axes(d, a);
    oct_shape outer = t->shape, inner = t->shape;
    size_t n = 0;
    for (int k = 0; k < t->shape.n_dims; k++)
        *(mask >> k & 1 ? &outer.dim[k] : &inner.dim[k]) = 1;
    if (!oct_shape_elems(&t->shape, &n) || n == 0)
        return OCT_OK;
    int64_t index[OCT_MAX_DIMS] = {0};
    do {
        const int64_t at = oct_ref_offset(t, index);
        normalize_group(t, &inner, (const float *)a->in[0] + at, (float *)a->out[0] + at);
    } while (oct_ref_next(&outer, index));
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    for (int i = 0; i < d->n_in; i++) {
        const oct_dtype dt = d->in[i].desc.dtype;
        const bool axes = d->op == OCT_OP_MEAN_VARIANCE_NORM && i == 1;
        if (dt != OCT_DT_F32 && dt != OCT_DT_NONE && !axes)
            return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op), oct_dtype_str(dt));
    }
    return oct_ref_accepts_plain(d, reason);
}

const oct_ref_entry oct_ref_layer_norm[] = {
    {OCT_OP_LAYER_NORM, run_layer, NULL, accepts, true},
    {OCT_OP_RMS_NORM, run_layer, NULL, accepts, true},
    {OCT_OP_LP_NORM, run_lp, NULL, accepts, true},
    {OCT_OP_MEAN_VARIANCE_NORM, run_mean_variance, NULL, accepts, true},
    {0},
};
