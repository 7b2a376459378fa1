/* SPDX-License-Identifier: Apache-2.0
 *
 * ArgMax, ArgMin, TopK, CumSum: operators whose result depends on order along one axis.
 *
 * Elements are compared through 64-bit keys whose unsigned order is the order of the values, so
 * that one loop serves all types. NaN counts as the greatest (numpy's ArgMax); -0 equals 0.
 * Dense row-major data is seen as [outer, dim, inner].
 */
#include <assert.h>
#include <string.h>

#include "base/parallel.h"
#include "kernels/ref/ref_accept.h"
#include "kernels/ref/ref_cast.h"

typedef struct axis_view {
    int64_t outer, dim, inner;
} axis_view;

static axis_view view_of(const oct_shape *s, int64_t axis)
{
    axis += axis < 0 ? s->n_dims : 0;
    axis_view v = {1, s->n_dims ? s->dim[axis] : 1, 1};
    for (int i = 0; i < axis; i++)
        v.outer *= s->dim[i];
    for (int64_t i = axis + 1; i < s->n_dims; i++)
        v.inner *= s->dim[i];
    return v;
}

static uint64_t key_of_f64(double v)
{
    uint64_t bits;
    if (v != v)
        return UINT64_MAX;
    v += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &v, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* Keys of `n` elements (at most OCT_REF_BLOCK); `least` turns the order round. */
static void read_keys(uint64_t *key, const char *src, oct_dtype dt, int64_t n, int64_t step,
                      bool least)
{
    const uint64_t flip = least ? UINT64_MAX : 0;
    if (oct_dtype_is_float(dt)) {
        double x[OCT_REF_BLOCK];
        oct_ref_read_f64(x, src, dt, n, step);
        for (int64_t i = 0; i < n; i++)
            key[i] = key_of_f64(x[i]) ^ (x[i] == x[i] ? flip : 0);
        return;
    }
    int64_t x[OCT_REF_BLOCK];
    const uint64_t sign = dt == OCT_DT_U64 ? 0 : UINT64_C(1) << 63;
    oct_ref_read_s64(x, src, dt, n, step);
    for (int64_t i = 0; i < n; i++)
        key[i] = ((uint64_t)x[i] ^ sign) ^ flip;
}

typedef struct order_job {
    const char *src;
    oct_dtype dt;
    size_t bytes;
    axis_view v;
    bool least, last; /* ArgMin; select_last_index */
    int64_t *index;   /* ArgMax, ArgMin: result */
} order_job;

/* Results `first` .. `first + n` of one outer slice. */
static void arg_block(const order_job *j, int64_t outer, int64_t first, int64_t n)
{
    uint64_t best[OCT_REF_BLOCK], key[OCT_REF_BLOCK];
    int64_t *index = j->index + outer * j->v.inner + first;
    for (int64_t k = 0; k < j->v.dim; k++) {
        const int64_t at = (outer * j->v.dim + k) * j->v.inner + first;
        read_keys(key, j->src + (size_t)at * j->bytes, j->dt, n, 1, j->least);
        for (int64_t i = 0; i < n; i++) {
            if (k > 0 && !(key[i] > best[i] || (j->last && key[i] == best[i])))
                continue;
            best[i] = key[i];
            index[i] = k;
        }
    }
}

/* The same where results are no neighbours: along the axis in blocks. */
static void arg_row(const order_job *j, int64_t outer)
{
    uint64_t best = 0, key[OCT_REF_BLOCK];
    int64_t index = 0;
    const char *src = j->src + (size_t)(outer * j->v.dim) * j->bytes;
    for (int64_t k = 0; k < j->v.dim; k += OCT_REF_BLOCK) {
        const int64_t n = j->v.dim - k < OCT_REF_BLOCK ? j->v.dim - k : OCT_REF_BLOCK;
        read_keys(key, src + (size_t)k * j->bytes, j->dt, n, 1, j->least);
        for (int64_t i = 0; i < n; i++) {
            if (k + i > 0 && !(key[i] > best || (j->last && key[i] == best)))
                continue;
            best = key[i];
            index = k + i;
        }
    }
    j->index[outer] = index;
}

static void arg_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const order_job *j = user;
    for (size_t outer = lo; outer < hi; outer++) {
        if (j->v.inner == 1) {
            arg_row(j, (int64_t)outer);
            continue;
        }
        for (int64_t i = 0; i < j->v.inner; i += OCT_REF_BLOCK) {
            const int64_t n = j->v.inner - i < OCT_REF_BLOCK ? j->v.inner - i : OCT_REF_BLOCK;
            arg_block(j, (int64_t)outer, i, n);
        }
    }
}

static oct_status run_arg(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_attr_axis *attr = d->attr;
    order_job j = {.src = a->in[0], .dt = d->in[0].desc.dtype, .index = a->out[0]};
    j.bytes = oct_dtype_bytes(j.dt);
    j.v = view_of(&d->in[0].desc.shape, attr->axis);
    j.least = d->op == OCT_OP_ARG_MIN;
    j.last = attr->select_last_index;
    if (j.v.dim > 0)
        oct_parallel_for(d->threads, (size_t)j.v.outer,
                         (size_t)(16384 / (j.v.dim * j.v.inner + 1)) + 1, arg_range, &j);
    return OCT_OK;
}

/* ---- TopK ------------------------------------------------------------------------------- */

typedef struct ranked {
    uint64_t key;
    int64_t index;
} ranked;

/* `a` comes before `b` in the result: greater key, then lower index. */
static bool before(const ranked *a, const ranked *b)
{
    return a->key != b->key ? a->key > b->key : a->index < b->index;
}

/* Heap whose root is the entry that comes last. */
static void sift_down(ranked *heap, int64_t n, int64_t i)
{
    for (;;) {
        int64_t last = i;
        for (int64_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
            if (before(&heap[last], &heap[c]))
                last = c;
        if (last == i)
            return;
        const ranked t = heap[i];
        heap[i] = heap[last];
        heap[last] = t;
        i = last;
    }
}

static void select_k(ranked *heap, int64_t k, const order_job *j, const char *src)
{
    uint64_t key[OCT_REF_BLOCK];
    int64_t n_heap = 0;
    for (int64_t i = 0; i < j->v.dim; i += OCT_REF_BLOCK) {
        const int64_t n = j->v.dim - i < OCT_REF_BLOCK ? j->v.dim - i : OCT_REF_BLOCK;
        read_keys(key, src + (size_t)(i * j->v.inner) * j->bytes, j->dt, n, j->v.inner, j->least);
        for (int64_t m = 0; m < n; m++) {
            const ranked r = {key[m], i + m};
            if (n_heap < k) {
                heap[n_heap++] = r;
                if (n_heap == k)
                    for (int64_t p = k / 2; p >= 0; p--)
                        sift_down(heap, k, p);
            } else if (before(&r, &heap[0])) {
                heap[0] = r;
                sift_down(heap, k, 0);
            }
        }
    }
    for (int64_t left = k - 1; left > 0; left--) { /* the last one to the end, again and again */
        const ranked t = heap[0];
        heap[0] = heap[left];
        heap[left] = t;
        sift_down(heap, left, 0);
    }
}

static size_t workspace_top_k(const oct_op_desc *d)
{
    const oct_attr_axis *attr = d->attr;
    return (size_t)view_of(&d->out[0].desc.shape, attr->axis).dim * sizeof(ranked) + sizeof(ranked);
}

/* Sorted in any case; ties by the lower index (ONNX). */
static oct_status run_top_k(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_axis *attr = d->attr;
    order_job j = {.src = a->in[0], .dt = d->in[0].desc.dtype, .least = !attr->largest};
    j.bytes = oct_dtype_bytes(j.dt);
    j.v = view_of(&d->in[0].desc.shape, attr->axis);
    const int64_t k = view_of(&d->out[0].desc.shape, attr->axis).dim;
    const int64_t asked = oct_ref_get_s64(a->in[1], d->in[1].desc.dtype, 0);
    if (asked != k || k > j.v.dim)
        return oct_fail(ctx, OCT_ERR_SHAPE, "TopK: k is %lld, planned %lld of %lld",
                        (long long)asked, (long long)k, (long long)j.v.dim);
    ranked *heap = a->workspace;
    for (int64_t r = 0; k > 0 && r < j.v.outer * j.v.inner; r++) {
        const int64_t outer = r / j.v.inner, inner = r % j.v.inner;
        const char *src = j.src + (size_t)(outer * j.v.dim * j.v.inner + inner) * j.bytes;
        select_k(heap, k, &j, src);
        for (int64_t i = 0; i < k; i++) {
            const size_t to = (size_t)((outer * k + i) * j.v.inner + inner);
            if (a->out[0])
                memcpy((char *)a->out[0] + to * j.bytes,
                       src + (size_t)(heap[i].index * j.v.inner) * j.bytes, j.bytes);
            if (d->n_out > 1 && a->out[1])
                ((int64_t *)a->out[1])[to] = heap[i].index;
        }
    }
    return OCT_OK;
}

/* ---- CumSum ----------------------------------------------------------------------------- */

/* One line along the axis; floats accumulate in double. */
static void cum_sum_line(const order_job *j, char *dst, const char *src, bool exclusive,
                         bool reverse)
{
    const int64_t stride = j->v.inner * (int64_t)j->bytes;
    double sum = 0;
    uint64_t sum_int = 0;
    for (int64_t i = 0; i < j->v.dim; i++) {
        const int64_t at = (reverse ? j->v.dim - 1 - i : i) * stride;
        double x = 0;
        int64_t k = 0;
        if (oct_dtype_is_float(j->dt))
            oct_ref_read_f64(&x, src + at, j->dt, 1, 1);
        else
            oct_ref_read_s64(&k, src + at, j->dt, 1, 1);
        const double shown = exclusive ? sum : sum + x;
        const int64_t shown_int = (int64_t)(exclusive ? sum_int : sum_int + (uint64_t)k);
        sum += x;
        sum_int += (uint64_t)k;
        if (oct_dtype_is_float(j->dt))
            oct_ref_write_f64(dst + at, j->dt, 1, &shown, 1);
        else
            oct_ref_write_s64(dst + at, j->dt, 1, &shown_int, 1);
    }
}

static oct_status run_cum_sum(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    const oct_attr_cum_sum *attr = d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    const int64_t axis = oct_ref_get_s64(a->in[1], d->in[1].desc.dtype, 0);
    if (axis < -s->n_dims || axis >= s->n_dims)
        return oct_fail(ctx, OCT_ERR_RANGE, "CumSum: axis is %lld, expected %d to %d",
                        (long long)axis, -s->n_dims, s->n_dims - 1);
    order_job j = {.src = a->in[0], .dt = d->in[0].desc.dtype};
    j.bytes = oct_dtype_bytes(j.dt);
    j.v = view_of(s, axis);
    for (int64_t r = 0; r < j.v.outer * j.v.inner; r++) {
        const int64_t first = r / j.v.inner * j.v.dim * j.v.inner + r % j.v.inner;
        cum_sum_line(&j, (char *)a->out[0] + (size_t)first * j.bytes,
                     j.src + (size_t)first * j.bytes, attr->exclusive, attr->reverse);
    }
    return OCT_OK;
}

/* Picking and ordering keep scales: 8-bit data compares as its real values do. */
const oct_ref_entry oct_ref_order[] = {
    {OCT_OP_ARG_MAX, run_arg, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_ARG_MIN, run_arg, NULL, oct_ref_accept_dense_mover, false},
    {OCT_OP_TOP_K, run_top_k, workspace_top_k, oct_ref_accept_dense_mover, false},
    {OCT_OP_CUM_SUM, run_cum_sum, NULL, NULL, false},
    {OCT_OP_COUNT, NULL, NULL, NULL, false},
};
