/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize along any axes. For each axis a table (kernels/resize.h) says which input elements an
 * output element is made of; an output element is the nested weighted sum over those axes,
 * innermost axis first, in f32 (8-bit elements: of q - z_x, rounded once). Nearest copies
 * elements of any type.
 */
#include <string.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"
#include "kernels/resize.h"

/* Taps of all output elements of one axis: [out][cap]. */
typedef struct axis_table {
    int32_t *count; /* taps of an element; 0 = extrapolated */
    int32_t *index;
    float *weight;
    int64_t cap;
} axis_table;

typedef struct job {
    const oct_op_desc *d;
    const oct_attr_resize *at;
    axis_table axis[OCT_MAX_DIMS];
    const uint8_t *x;
    uint8_t *y;
    size_t elem_bytes;
} job;

static size_t align_up(size_t n)
{
    return (n + OCT_ALIGN - 1) / OCT_ALIGN * OCT_ALIGN;
}

/* Bytes of a table; fills its pointers when there is memory. */
static size_t carve_table(uint8_t *base, int64_t out, int64_t cap, axis_table *t)
{
    const size_t n = (size_t)(out * cap);
    const size_t counts = align_up((size_t)out * sizeof(int32_t));
    const size_t indices = align_up(n * sizeof(int32_t));
    if (base)
        *t = (axis_table){(int32_t *)base, (int32_t *)(base + counts),
                          (float *)(base + counts + indices), cap};
    return counts + indices + align_up(n * sizeof(float));
}

static int64_t taps_cap(const oct_op_desc *d, int k)
{
    return oct_resize_taps_max(d->attr, d->in[0].desc.shape.dim[k], d->out[0].desc.shape.dim[k]);
}

static size_t workspace(const oct_op_desc *d)
{
    size_t bytes = 0;
    for (int k = 0; k < d->out[0].desc.shape.n_dims; k++)
        bytes += carve_table(NULL, d->out[0].desc.shape.dim[k], taps_cap(d, k), NULL);
    return bytes;
}

static void fill_table(const oct_attr_resize *at, const oct_resize_axis *ax, axis_table *t)
{
    for (int64_t o = 0; o < ax->out; o++) {
        int32_t *index = t->index + o * t->cap;
        float *weight = t->weight + o * t->cap;
        if (oct_resize_axis_is_identity(at, ax)) {
            index[0] = (int32_t)o;
            weight[0] = 1.0f;
            t->count[o] = 1;
        } else {
            t->count[o] = oct_resize_taps(at, ax, o, index, weight);
        }
    }
}

static oct_status fill_tables(job *j, oct_ctx *ctx, const oct_run_args *a)
{
    const oct_op_desc *d = j->d;
    oct_tensor in[4] = {{.data = NULL}};
    const oct_tensor *given[4] = {NULL};
    oct_resize_plan p;
    for (int i = 1; i < d->n_in; i++) {
        if (a->in[i]) {
            in[i] = (oct_tensor){d->in[i].desc, (void *)a->in[i]};
            given[i] = &in[i];
        }
    }
    OCT_TRY(
        oct_resize_plan_make(ctx, j->at, &d->in[0].desc.shape, given[1], given[2], given[3], &p));
    uint8_t *scratch = a->workspace;
    for (int k = 0; k < p.n_dims; k++) {
        if (p.axis[k].out != d->out[0].desc.shape.dim[k])
            return oct_fail(ctx, OCT_ERR_SHAPE, "Resize: axis %d gives %lld, planned for %lld", k,
                            (long long)p.axis[k].out, (long long)d->out[0].desc.shape.dim[k]);
        scratch += carve_table(scratch, p.axis[k].out, taps_cap(d, k), &j->axis[k]);
        fill_table(j->at, &p.axis[k], &j->axis[k]);
    }
    return OCT_OK;
}

/* ---- elements -------------------------------------------------------------------------------- */

/* Sum over axes [k, rank) of weights times elements; `o`: output position, `at`: offset so far. */
static float interpolate(const job *j, int k, const int64_t *o, int64_t at)
{
    const oct_operand *x = &j->d->in[0];
    if (k == x->desc.shape.n_dims) {
        if (oct_ref_is_q8(x->desc.dtype))
            return (float)(oct_ref_load_q8(j->x, x->desc.dtype, at) - x->quant.q[0].zero_point);
        return ((const float *)j->x)[at];
    }
    const axis_table *t = &j->axis[k];
    const int32_t *index = t->index + o[k] * t->cap;
    const float *weight = t->weight + o[k] * t->cap;
    const int64_t stride = x->desc.stride[k];
    if (t->count[o[k]] == 1)
        return interpolate(j, k + 1, o, at + index[0] * stride);
    float sum = 0;
    for (int i = 0; i < t->count[o[k]]; i++) {
        if (weight[i] != 0.0f)
            sum += weight[i] * interpolate(j, k + 1, o, at + index[i] * stride);
    }
    return sum;
}

static bool is_extrapolated(const job *j, const int64_t *o)
{
    for (int k = 0; k < j->d->in[0].desc.shape.n_dims; k++) {
        if (j->axis[k].count[o[k]] == 0)
            return true;
    }
    return false;
}

static void copy_nearest(const job *j, const int64_t *o, int64_t to)
{
    const oct_tensor_desc *x = &j->d->in[0].desc;
    int64_t from = 0;
    for (int k = 0; k < x->shape.n_dims; k++)
        from += j->axis[k].index[o[k] * j->axis[k].cap] * x->stride[k];
    memcpy(j->y + (size_t)to * j->elem_bytes, j->x + (size_t)from * j->elem_bytes, j->elem_bytes);
}

static void put(const job *j, int64_t to, float v)
{
    const oct_operand *x = &j->d->in[0], *y = &j->d->out[0];
    if (!oct_ref_is_q8(y->desc.dtype)) {
        ((float *)j->y)[to] = v;
        return;
    }
    const oct_qparams q = y->quant.q[0];
    const float m = (float)((double)x->quant.q[0].scale / q.scale);
    const float r = oct_rne_f32(v * m) + (float)q.zero_point;
    const int32_t lo = oct_ref_q8_min(y->desc.dtype), hi = oct_ref_q8_max(y->desc.dtype);
    oct_ref_store_q8(j->y, y->desc.dtype, to,
                     !(r > (float)lo) ? lo
                     : r < (float)hi  ? (int32_t)r
                                      : hi);
}

static void put_extrapolation(const job *j, int64_t to)
{
    const oct_operand *y = &j->d->out[0];
    if (oct_ref_is_q8(y->desc.dtype) && y->quant.n == 1)
        oct_ref_store_q8(j->y, y->desc.dtype, to,
                         oct_quantize(j->at->extrapolation_value, y->quant.q[0],
                                      oct_ref_q8_min(y->desc.dtype),
                                      oct_ref_q8_max(y->desc.dtype)));
    else
        ((float *)j->y)[to] = j->at->extrapolation_value;
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const job *j = user;
    const oct_tensor_desc *y = &j->d->out[0].desc;
    int64_t o[OCT_MAX_DIMS], rest = (int64_t)lo;
    for (int k = y->shape.n_dims - 1; k >= 0; k--) {
        o[k] = rest % y->shape.dim[k];
        rest /= y->shape.dim[k];
    }
    for (size_t i = lo; i < hi; i++) {
        const int64_t to = oct_ref_offset(y, o);
        if (is_extrapolated(j, o))
            put_extrapolation(j, to);
        else if (j->at->mode == OCT_RESIZE_NEAREST)
            copy_nearest(j, o, to);
        else
            put(j, to, interpolate(j, 0, o, 0));
        oct_ref_next(&y->shape, o);
    }
}

static oct_status run_resize(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    job j = {.d = d, .at = d->attr, .x = a->in[0], .y = a->out[0]};
    size_t n = 0;
    j.elem_bytes = oct_dtype_bytes(d->in[0].desc.dtype);
    OCT_TRY(fill_tables(&j, ctx, a));
    if (oct_shape_elems(&d->out[0].desc.shape, &n))
        oct_parallel_for(d->threads, n, 1024, run_range, &j);
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    const oct_attr_resize *at = d->attr;
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const bool q8 = x->quant.n == 1 && y->quant.n == 1 && oct_ref_is_q8(x->desc.dtype) &&
                    oct_ref_is_q8(y->desc.dtype);
    const bool alike = x->desc.dtype == y->desc.dtype && x->quant.n == y->quant.n &&
                       (x->quant.n == 0 || (q8 && x->quant.q[0].scale == y->quant.q[0].scale &&
                                            x->quant.q[0].zero_point == y->quant.q[0].zero_point));
    const bool crops = at->coord == OCT_COORD_TF_CROP_AND_RESIZE;
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_ref_refuse(reason, "ref Resize takes no epilogue");
    if (at->mode == OCT_RESIZE_NEAREST && alike && (!crops || q8 || x->desc.dtype == OCT_DT_F32))
        return true;
    if (at->mode != OCT_RESIZE_NEAREST && (q8 || (alike && x->desc.dtype == OCT_DT_F32)))
        return true;
    return oct_ref_refuse(reason, "ref Resize from %s to %s", oct_dtype_str(x->desc.dtype),
                          oct_dtype_str(y->desc.dtype));
}

const oct_ref_entry oct_ref_resize[] = {
    {OCT_OP_RESIZE, run_resize, workspace, accepts, true},
    {0},
};
