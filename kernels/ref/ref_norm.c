/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalizations with statistics per channel or group: BatchNormalization (given
 * statistics), InstanceNormalization, GroupNormalization, LRN. f32 data in any layout whose
 * spatial positions lie at one distance. Sums are f64 in index order.
 */
#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

/* x[n][c][p] with a stride each; the same for y. */
typedef struct plane {
    int64_t n, c, p;
    int64_t xn, xc, xp, yn, yc, yp;
} plane;

static bool spatial_is_linear(const oct_tensor_desc *t)
{
    for (int k = 2; k + 1 < t->shape.n_dims; k++) {
        if (t->stride[k] != t->stride[k + 1] * t->shape.dim[k + 1])
            return false;
    }
    return true;
}

static plane plane_of(const oct_op_desc *d)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    const int rank = x->shape.n_dims;
    plane v = {.n = x->shape.dim[0], .c = rank > 1 ? x->shape.dim[1] : 1, .p = 1};
    v.xn = x->stride[0];
    v.yn = y->stride[0];
    if (rank > 1) {
        v.xc = x->stride[1];
        v.yc = y->stride[1];
    }
    if (rank > 2) {
        v.p = oct_ref_product(&x->shape, 2, rank);
        v.xp = x->stride[rank - 1];
        v.yp = y->stride[rank - 1];
    }
    return v;
}

typedef struct job {
    const oct_op_desc *d;
    const oct_attr_norm *at;
    plane v;
    const float *x, *scale, *bias, *mean, *var;
    float *y;
} job;

/* y = (x - mean) * m + b over one channel. */
static void normalize(const job *j, int64_t n, int64_t c, float mean, float m, float b)
{
    const plane *v = &j->v;
    const float *x = j->x + n * v->xn + c * v->xc;
    float *y = j->y + n * v->yn + c * v->yc;
    for (int64_t i = 0; i < v->p; i++)
        y[i * v->yp] = (x[i * v->xp] - mean) * m + b;
}

static void batch_norm(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t c = i % j->v.c;
        const float m = j->scale[c] / sqrtf(j->var[c] + j->at->epsilon);
        normalize(j, i / j->v.c, c, j->mean[c], m, j->bias[c]);
    }
}

/* Mean and 1/deviation of channels [c, c + n_c) of image n. */
static void statistics(const job *j, int64_t n, int64_t c, int64_t n_c, float *mean, float *inv)
{
    const plane *v = &j->v;
    const double count = (double)(n_c * v->p);
    double sum = 0, square = 0;
    for (int64_t k = c; k < c + n_c; k++) {
        for (int64_t i = 0; i < v->p; i++)
            sum += j->x[n * v->xn + k * v->xc + i * v->xp];
    }
    const double mu = sum / count;
    for (int64_t k = c; k < c + n_c; k++) {
        for (int64_t i = 0; i < v->p; i++) {
            const double t = j->x[n * v->xn + k * v->xc + i * v->xp] - mu;
            square += t * t;
        }
    }
    *mean = (float)mu;
    *inv = (float)(1.0 / sqrt(square / count + j->at->epsilon));
}

/* Groups of channels; InstanceNormalization has one channel in each. */
static void group_norm(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const bool instance = j->d->op == OCT_OP_INSTANCE_NORM;
    const int64_t groups = instance ? j->v.c : j->at->num_groups, n_c = j->v.c / groups;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t n = i / groups, g = i % groups;
        float mean, inv;
        statistics(j, n, g * n_c, n_c, &mean, &inv);
        for (int64_t c = g * n_c; c < (g + 1) * n_c; c++) {
            const int64_t param = j->at->per_group_scale ? g : c;
            normalize(j, n, c, mean, inv * j->scale[param], j->bias[param]);
        }
    }
}

/* y = x / (bias + alpha / size * sum of squares over the neighbouring channels)^beta */
static void lrn(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const plane *v = &j->v;
    const int64_t before = (j->at->size - 1) / 2, after = j->at->size - 1 - before;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t n = i / v->c, c = i % v->c;
        const int64_t c0 = c > before ? c - before : 0,
                      c1 = c + after < v->c ? c + after : v->c - 1;
        for (int64_t p = 0; p < v->p; p++) {
            double square = 0;
            for (int64_t k = c0; k <= c1; k++) {
                const float t = j->x[n * v->xn + k * v->xc + p * v->xp];
                square += (double)t * t;
            }
            const double base = j->at->bias + j->at->alpha / (double)j->at->size * square;
            j->y[n * v->yn + c * v->yc + p * v->yp] =
                (float)(j->x[n * v->xn + c * v->xc + p * v->xp] / pow(base, j->at->beta));
        }
    }
}

static oct_status run_norm(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    job j = {.d = d, .at = d->attr, .v = plane_of(d), .x = a->in[0], .y = a->out[0]};
    oct_range_fn fn = group_norm;
    int64_t items = j.v.n * j.v.c;
    if (d->op != OCT_OP_LRN) {
        j.scale = a->in[1];
        j.bias = a->in[2];
    }
    if (d->op == OCT_OP_GROUP_NORM)
        items = j.v.n * j.at->num_groups;
    if (d->op == OCT_OP_BATCH_NORM) {
        j.mean = a->in[3];
        j.var = a->in[4];
        fn = batch_norm;
    }
    if (d->op == OCT_OP_LRN)
        fn = lrn;
    oct_parallel_for(d->threads, (size_t)items, 1, fn, &j);
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    const char *name = oct_op_name(d->op);
    for (int i = 0; i < d->n_in + d->n_out; i++) {
        const oct_operand *o = i < d->n_in ? &d->in[i] : &d->out[i - d->n_in];
        if (o->desc.dtype != OCT_DT_F32)
            return oct_ref_refuse(reason, "ref %s on %s", name, oct_dtype_str(o->desc.dtype));
    }
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_ref_refuse(reason, "ref %s takes no epilogue", name);
    if (!spatial_is_linear(&d->in[0].desc) || !spatial_is_linear(&d->out[0].desc))
        return oct_ref_refuse(reason, "ref %s: strided spatial axes", name);
    return true;
}

const oct_ref_entry oct_ref_norm[] = {
    {OCT_OP_BATCH_NORM, run_norm, NULL, accepts, true},
    {OCT_OP_INSTANCE_NORM, run_norm, NULL, accepts, true},
    {OCT_OP_GROUP_NORM, run_norm, NULL, accepts, true},
    {OCT_OP_LRN, run_norm, NULL, accepts, true},
    {0},
};
