/* SPDX-License-Identifier: Apache-2.0
 *
 * Einsum: every output element is a sum over the summed indices in row-major order of the product
 * of one element of each input, in f32 or f64. The innermost summed index runs in a tight loop.
 */
#include "kernels/einsum.h"

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

typedef struct job {
    oct_einsum e;
    int64_t dim[OCT_EINSUM_MAX_INDICES];
    int64_t stride[OCT_EINSUM_MAX_INPUTS][OCT_EINSUM_MAX_INDICES]; /* 0: index not in input */
    const void *in[OCT_EINSUM_MAX_INPUTS];
    void *out;
    bool f64;
} job;

/* Inputs that broadcast along an index have size 1 there and stride 0. */
static void set_strides(job *j, const oct_op_desc *d)
{
    for (int k = 0; k < j->e.n_indices; k++)
        j->dim[k] = 1;
    for (int i = 0; i < d->n_in; i++) {
        const oct_tensor_desc *t = &d->in[i].desc;
        for (int k = 0; k < t->shape.n_dims; k++) {
            const int index = j->e.index[i][k];
            if (t->shape.dim[k] == 1)
                continue;
            j->dim[index] = t->shape.dim[k];
            j->stride[i][index] += t->stride[k]; /* a repeated label walks the diagonal */
        }
    }
}

/* Sum over the last summed index (or the one product) from the given offsets. */
static double inner_f64(const job *j, const int64_t *at, int64_t n, int last)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        double v = 1;
        for (int i = 0; i < j->e.n_in; i++)
            v *= ((const double *)j->in[i])[at[i] + k * j->stride[i][last]];
        sum += v;
    }
    return sum;
}

static float inner_f32(const job *j, float sum, const int64_t *at, int64_t n, int last)
{
    if (j->e.n_in == 2) {
        const float *a = (const float *)j->in[0] + at[0], *b = (const float *)j->in[1] + at[1];
        const int64_t sa = j->stride[0][last], sb = j->stride[1][last];
        for (int64_t k = 0; k < n; k++)
            sum += a[k * sa] * b[k * sb];
        return sum;
    }
    for (int64_t k = 0; k < n; k++) {
        float v = 1;
        for (int i = 0; i < j->e.n_in; i++)
            v *= ((const float *)j->in[i])[at[i] + k * j->stride[i][last]];
        sum += v;
    }
    return sum;
}

/* Moves `index` of [lo, hi) to the next position and the offsets with it; false at the end. */
static bool advance(const job *j, int lo, int hi, int64_t *index, int64_t *at)
{
    for (int k = hi - 1; k >= lo; k--) {
        const int64_t step = ++index[k] < j->dim[k] ? 1 : 1 - j->dim[k];
        for (int i = 0; i < j->e.n_in; i++)
            at[i] += step * j->stride[i][k];
        if (step == 1)
            return true;
        index[k] = 0;
    }
    return false;
}

static void one_output(const job *j, int64_t o, int64_t *index)
{
    const int lo = j->e.n_out_dims, hi = j->e.n_indices;
    const int last = hi > lo ? hi - 1 : OCT_EINSUM_MAX_INDICES - 1; /* unused index: stride 0 */
    const int64_t n = hi > lo ? j->dim[last] : 1;
    int64_t at[OCT_EINSUM_MAX_INPUTS] = {0}, rest = o;
    double sum64 = 0;
    float sum32 = 0;
    for (int k = lo - 1; k >= 0; k--) {
        for (int i = 0; i < j->e.n_in; i++)
            at[i] += rest % j->dim[k] * j->stride[i][k];
        rest /= j->dim[k];
    }
    for (int k = lo; k < hi; k++)
        index[k] = 0;
    do {
        if (j->f64)
            sum64 += inner_f64(j, at, n, last);
        else
            sum32 = inner_f32(j, sum32, at, n, last);
    } while (advance(j, lo, last < hi ? last : lo, index, at));
    if (j->f64)
        ((double *)j->out)[o] = sum64;
    else
        ((float *)j->out)[o] = sum32;
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    int64_t index[OCT_EINSUM_MAX_INDICES];
    for (size_t o = lo; o < hi; o++)
        one_output(user, (int64_t)o, index);
}

static oct_status run_einsum(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_einsum *at = d->attr;
    int n_dims[OCT_EINSUM_MAX_INPUTS];
    job j = {.out = a->out[0], .f64 = d->in[0].desc.dtype == OCT_DT_F64};
    for (int i = 0; i < d->n_in; i++) {
        n_dims[i] = d->in[i].desc.shape.n_dims;
        j.in[i] = a->in[i];
    }
    OCT_TRY(oct_einsum_parse(ctx, at->equation, n_dims, d->n_in, &j.e));
    set_strides(&j, d);
    size_t n = 1;
    bool empty_sum = false;
    for (int k = 0; k < j.e.n_indices; k++) {
        if (k < j.e.n_out_dims)
            n *= (size_t)j.dim[k];
        else
            empty_sum |= j.dim[k] == 0;
    }
    if (empty_sum)
        memset(a->out[0], 0, n * oct_dtype_bytes(d->out[0].desc.dtype));
    else
        oct_parallel_for(d->threads, n, 64, run_range, &j);
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    const oct_dtype dt = d->in[0].desc.dtype;
    if (dt != OCT_DT_F32 && dt != OCT_DT_F64)
        return oct_ref_refuse(reason, "ref Einsum on %s", oct_dtype_str(dt));
    if (d->n_in > OCT_EINSUM_MAX_INPUTS)
        return oct_ref_refuse(reason, "ref Einsum with %d inputs", d->n_in);
    return oct_ref_accepts_plain(d, reason);
}

const oct_ref_entry oct_ref_einsum[] = {
    {OCT_OP_EINSUM, run_einsum, NULL, accepts, true},
    {0},
};
