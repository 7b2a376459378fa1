/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize by tables made when the op is prepared (kernels/resize.h): for each axis, which input
 * elements an output element is made of and their weights. Nested weighted sums over the axes that
 * change, in ref's order; nearest copies elements of any type.
 */
#include "kernels/cuda/cuda_kernel.cuh"
#include "kernels/resize.h"

#define THREADS 256
#define MAX_AXES 4 /* that change */

/* An axis that changes: `cap` taps for each of its output elements. */
typedef struct resize_axis {
    const int32_t *count, *index;
    const float *weight;
    int32_t cap;
    int64_t stride; /* in the input */
} resize_axis;

typedef struct resize_params {
    oct_cuda_div dim[OCT_MAX_DIMS]; /* of the output, innermost in memory first */
    int64_t y_stride[OCT_MAX_DIMS], x_stride[OCT_MAX_DIMS]; /* x: 0 along changing axes */
    int8_t changes[OCT_MAX_DIMS];                           /* number of the axis, or -1 */
    int n_dims, n_axes;
    uint32_t total;
    resize_axis axis[MAX_AXES];
    oct_dtype from, to;
    bool nearest, q8;
    int32_t zero_x, zero_y;
    float m, extrapolation;
} resize_params;

OCT_DEV float element(const resize_params &p, const void *x, int64_t at)
{
    const float v = oct_dev_get(x, p.from, at);
    return p.q8 ? v - (float)p.zero_x : v;
}

/* Sum over axes [K, n) of weights times elements. */
template <int K>
OCT_DEV float interpolate(const resize_params &p, const void *x, const int32_t *o, int64_t at)
{
    if (K >= p.n_axes)
        return element(p, x, at);
    const resize_axis &t = p.axis[K];
    const int32_t first = o[K] * t.cap, count = t.count[o[K]];
    if (count == 1)
        return interpolate<K + 1>(p, x, o, at + t.index[first] * t.stride);
    float sum = 0.0f;
    for (int32_t i = first; i < first + count; i++) {
        const float w = t.weight[i];
        if (w != 0.0f)
            sum += w * interpolate<K + 1>(p, x, o, at + t.index[i] * t.stride);
    }
    return sum;
}
template <>
__device__ __forceinline__ float interpolate<MAX_AXES>(const resize_params &p, const void *x,
                                                       const int32_t *, int64_t at)
{
    return element(p, x, at);
}

OCT_DEV void put(const resize_params &p, void *y, int64_t at, float v)
{
    if (!p.q8) {
        oct_dev_put(y, p.to, at, v);
        return;
    }
    const int32_t q =
        oct_dev_clamp_q(rintf(v * p.m) + (float)p.zero_y, oct_dev_q_min(p.to), oct_dev_q_max(p.to));
    ((int8_t *)y)[at] = (int8_t)q;
}

/* The output position of an item: its offset, positions along changing axes, and the input's offset. */
OCT_DEV int64_t locate(const resize_params &p, uint32_t item, int32_t (&o)[MAX_AXES], int64_t &x)
{
    int64_t y = 0;
    x = 0;
    for (int k = 0; k < p.n_dims; k++) {
        uint32_t r;
        item = oct_dev_divmod(item, p.dim[k], r);
        y += r * p.y_stride[k];
        x += r * p.x_stride[k];
#pragma unroll
        for (int a = 0; a < MAX_AXES; a++)
            if (p.changes[k] == a)
                o[a] = (int32_t)r;
    }
    return y;
}

/* Unrolled, so that `o` stays in registers: false if the element lies outside the crop. */
OCT_DEV bool inside(const resize_params &p, const int32_t (&o)[MAX_AXES])
{
    bool in = true;
#pragma unroll
    for (int a = 0; a < MAX_AXES; a++)
        if (a < p.n_axes)
            in = in && p.axis[a].count[o[a]] > 0;
    return in;
}

static __global__ void __launch_bounds__(THREADS)
    resize_weighted(resize_params p, void *y, const void *x)
{
    int32_t o[MAX_AXES] = {0, 0, 0, 0};
    int64_t from;
    const uint32_t item = oct_dev_item();
    if (item >= p.total)
        return;
    const int64_t to = locate(p, item, o, from);
    if (inside(p, o))
        put(p, y, to, interpolate<0>(p, x, o, from));
    else if (p.q8)
        ((int8_t *)y)[to] = (int8_t)(int32_t)p.extrapolation;
    else
        oct_dev_put(y, p.to, to, p.extrapolation);
}

template <class T>
static __global__ void __launch_bounds__(THREADS) resize_nearest(resize_params p, T *y, const T *x)
{
    int32_t o[MAX_AXES] = {0, 0, 0, 0};
    int64_t from;
    const uint32_t item = oct_dev_item();
    if (item >= p.total)
        return;
    const int64_t to = locate(p, item, o, from);
    if (!inside(p, o)) {
        if (p.q8)
            ((int8_t *)y)[to] = (int8_t)(int32_t)p.extrapolation;
        else
            oct_dev_put(y, p.to, to, p.extrapolation);
        return;
    }
#pragma unroll
    for (int a = 0; a < MAX_AXES; a++)
        if (a < p.n_axes)
            from += p.axis[a].index[o[a]] * p.axis[a].stride;
    y[to] = x[from];
}

/* Twice the size: a thread stores a piece of the input four times. Dims: piece, column, row, image. */
template <class T>
static __global__ void __launch_bounds__(THREADS) resize_twice(resize_params p, T *y, const T *x)
{
    uint32_t piece, col, row, item = oct_dev_item();
    if (item >= p.total)
        return;
    item = oct_dev_divmod(item, p.dim[0], piece);
    item = oct_dev_divmod(item, p.dim[1], col);
    item = oct_dev_divmod(item, p.dim[2], row);
    const T v = x[piece + col * p.axis[1].stride + row * p.axis[0].stride + item * p.x_stride[3]];
    y += piece + 2 * col * p.y_stride[1] + 2 * row * p.y_stride[2] + item * p.y_stride[3];
    y[0] = v;
    y[p.y_stride[1]] = v;
    y[p.y_stride[2]] = v;
    y[p.y_stride[1] + p.y_stride[2]] = v;
}

/* ---- the op ---- */

typedef struct resize_op {
    oct_cuda_op base;
    resize_params p;
    size_t unit; /* nearest: bytes moved at a time when pointers are aligned */
    resize_params unit_p;
    bool doubles; /* both axes of a picture with channels innermost: unit_p is resize_twice()'s */
    void *tables;
} resize_op;

template <class T>
static void launch_nearest(const resize_params &p, bool twice, void *y, const void *x,
                           cudaStream_t s)
{
    const uint32_t blocks = oct_cuda_blocks(p.total, THREADS);
    if (twice)
        resize_twice<T><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
    else
        resize_nearest<T><<<blocks, THREADS, 0, s>>>(p, (T *)y, (const T *)x);
}

static void run_nearest(const resize_op *op, void *y, const void *x, cudaStream_t s)
{
    const bool wide =
        op->unit > 0 && oct_cuda_aligned(x, op->unit) && oct_cuda_aligned(y, op->unit);
    const resize_params &p = wide ? op->unit_p : op->p;
    const bool twice = wide && op->doubles;
    switch (wide ? op->unit : oct_dtype_bytes(op->p.from)) {
    case 1:
        launch_nearest<uint8_t>(p, twice, y, x, s);
        break;
    case 2:
        launch_nearest<uint16_t>(p, twice, y, x, s);
        break;
    case 4:
        launch_nearest<uint32_t>(p, twice, y, x, s);
        break;
    case 8:
        launch_nearest<uint2>(p, twice, y, x, s);
        break;
    default:
        launch_nearest<uint4>(p, twice, y, x, s);
        break;
    }
}

static oct_status run_resize(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const resize_op *op = (const resize_op *)base;
    const cudaStream_t s = oct_cuda_stream_of(a);
    if (op->p.total == 0)
        return OCT_OK;
    if (op->p.nearest)
        run_nearest(op, a->out[0], a->in[0], s);
    else
        resize_weighted<<<oct_cuda_blocks(op->p.total, THREADS), THREADS, 0, s>>>(op->p, a->out[0],
                                                                                  a->in[0]);
    return oct_cuda_launched(ctx, "Resize");
}

/* ---- planning ---- */

static oct_status plan_of(oct_ctx *ctx, const oct_op_desc *d, oct_resize_plan *plan)
{
    oct_tensor in[4];
    const oct_tensor *given[4] = {NULL, NULL, NULL, NULL};
    for (int i = 1; i < d->n_in && i < 4; i++) {
        if (!oct_cuda_present(d, i) || oct_cuda_elems(&d->in[i]) == 0)
            continue;
        in[i].desc = d->in[i].desc;
        in[i].data = (void *)d->in[i].data;
        given[i] = &in[i];
    }
    return oct_resize_plan_make(ctx, (const oct_attr_resize *)d->attr, &d->in[0].desc.shape,
                                given[1], given[2], given[3], plan);
}

static bool values_are_known(const oct_op_desc *d)
{
    for (int i = 1; i < d->n_in; i++)
        if (oct_cuda_present(d, i) && oct_cuda_elems(&d->in[i]) > 0 && !d->in[i].data)
            return false;
    return true;
}

/* Dims in the output's memory order, and the axes that change in logical order. */
static bool lay_out(const oct_op_desc *d, const oct_resize_plan *plan, resize_params *p,
                    char *reason)
{
    const oct_attr_resize *at = (const oct_attr_resize *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    int order[OCT_MAX_DIMS], number[OCT_MAX_DIMS];
    p->n_dims = y->shape.n_dims;
    p->n_axes = 0;
    for (int k = 0; k < p->n_dims; k++) {
        int i = k;
        number[k] = -1;
        if (!oct_resize_axis_is_identity(at, &plan->axis[k])) {
            if (p->n_axes == MAX_AXES)
                return oct_cuda_no(reason, "more than 4 axes change");
            p->axis[p->n_axes].stride = x->stride[k];
            number[k] = p->n_axes++;
        }
        for (; i > 0 && y->stride[order[i - 1]] > y->stride[k]; i--)
            order[i] = order[i - 1];
        order[i] = k;
    }
    for (int i = 0; i < p->n_dims; i++) {
        const int k = order[i];
        p->dim[i] = oct_cuda_div_make(y->shape.dim[k] > 0 ? y->shape.dim[k] : 1);
        p->y_stride[i] = y->stride[k];
        p->changes[i] = (int8_t)number[k];
        p->x_stride[i] = number[k] < 0 ? x->stride[k] : 0;
    }
    const size_t total = oct_cuda_elems(&d->out[0]);
    p->total = (uint32_t)total;
    return total <= OCT_CUDA_MAX_ELEMS || oct_cuda_no(reason, "more than 2^31 elements");
}

bool oct_cuda_resize_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                           char *reason)
{
    const oct_attr_resize *at = (const oct_attr_resize *)d->attr;
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const bool q8 = x->quant.n == 1 && y->quant.n == 1 && oct_cuda_is_8bit(x->desc.dtype) &&
                    oct_cuda_is_8bit(y->desc.dtype);
    const bool alike = x->desc.dtype == y->desc.dtype && oct_cuda_same_quant(&x->quant, &y->quant);
    const bool real = oct_cuda_is_real(x->desc.dtype) && x->quant.n == 0;
    const bool crops = at->coord == OCT_COORD_TF_CROP_AND_RESIZE;
    oct_resize_plan plan;
    resize_params p;
    (void)be;
    memset(&p, 0, sizeof p);
    const bool ok =
        at->mode == OCT_RESIZE_NEAREST ? alike && (!crops || q8 || real) : q8 || (alike && real);
    if (!ok || d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_cuda_no(reason, "Resize between these types");
    if (!values_are_known(d))
        return oct_cuda_no(reason, "scales, sizes or region are not known ahead");
    if (plan_of(ctx, d, &plan) != OCT_OK)
        return oct_cuda_no(reason, "scales or sizes");
    for (int k = 0; k < plan.n_dims; k++)
        if (plan.axis[k].out != y->desc.shape.dim[k])
            return oct_cuda_no(reason, "planned for another size");
    return lay_out(d, &plan, &p, reason) && oct_cuda_name(c, "resize");
}

static void release(oct_cuda *be, oct_cuda_op *base)
{
    (void)be;
    cudaFree(((resize_op *)base)->tables);
}

/* Fills host tables (when there are any) behind one another; returns their size in words. */
static size_t fill_tables(const oct_op_desc *d, const oct_resize_plan *plan, const int32_t *device,
                          int32_t *host, resize_params *p)
{
    const oct_attr_resize *at = (const oct_attr_resize *)d->attr;
    size_t used = 0;
    for (int k = 0, a = 0; k < plan->n_dims; k++) {
        const oct_resize_axis *ax = &plan->axis[k];
        if (oct_resize_axis_is_identity(at, ax))
            continue;
        resize_axis *t = &p->axis[a++];
        t->cap = (int32_t)oct_resize_taps_max(at, ax->in, ax->out);
        const size_t n = (size_t)ax->out, taps = n * (size_t)t->cap;
        for (size_t o = 0; host && o < n; o++)
            host[used + o] =
                oct_resize_taps(at, ax, (int64_t)o, host + used + n + o * (size_t)t->cap,
                                (float *)(host + used + n + taps) + o * (size_t)t->cap);
        t->count = device + used;
        t->index = device + used + n;
        t->weight = (const float *)(device + used + n + taps);
        used += n + 2 * taps;
    }
    return used;
}

/* Each of the axes at twice the size, element o from o / 2. */
static bool doubles(const oct_op_desc *d, const oct_resize_plan *plan)
{
    const oct_attr_resize *at = (const oct_attr_resize *)d->attr;
    int n = 0;
    for (int k = 0; k < plan->n_dims; k++) {
        const oct_resize_axis *ax = &plan->axis[k];
        int32_t index[1];
        float weight[1];
        if (oct_resize_axis_is_identity(at, ax))
            continue;
        n++;
        if (ax->out != 2 * ax->in || oct_resize_taps_max(at, ax->in, ax->out) != 1)
            return false;
        for (int64_t o = 0; o < ax->out; o++)
            if (oct_resize_taps(at, ax, o, index, weight) != 1 || index[0] != o / 2)
                return false;
    }
    return n == 2;
}

static oct_status upload_tables(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                const oct_resize_plan *plan, resize_op *op)
{
    const size_t words = fill_tables(d, plan, NULL, NULL, &op->p);
    int32_t *host = (int32_t *)oct_zalloc(ctx, (words + 1) * sizeof *host);
    if (!host)
        return OCT_ERR_NOMEM;
    fill_tables(d, plan, NULL, host, &op->p);
    const oct_status st = oct_cuda_upload(be, ctx, host, (words + 1) * sizeof *host, &op->tables);
    oct_free(ctx, host);
    if (st == OCT_OK)
        fill_tables(d, plan, (const int32_t *)op->tables, NULL, &op->p);
    return st;
}

/* Nearest with the innermost dim kept: several elements at a time. */
static void widen(const oct_op_desc *d, resize_op *op)
{
    const size_t bytes = oct_dtype_bytes(op->p.from);
    for (size_t unit = 16; unit > bytes && op->unit == 0; unit /= 2) {
        const int64_t per = (int64_t)(unit / bytes);
        resize_params p = op->p;
        bool ok = p.n_dims > 0 && p.changes[0] < 0 && p.y_stride[0] == 1 && p.x_stride[0] == 1 &&
                  p.dim[0].d % per == 0 &&
                  ((const oct_attr_resize *)d->attr)->coord != OCT_COORD_TF_CROP_AND_RESIZE;
        for (int k = 1; k < p.n_dims; k++)
            ok = ok && p.y_stride[k] % per == 0 && p.x_stride[k] % per == 0;
        for (int a = 0; a < p.n_axes; a++)
            ok = ok && p.axis[a].stride % per == 0;
        if (!ok)
            continue;
        p.dim[0] = oct_cuda_div_make(p.dim[0].d / per);
        p.total /= (uint32_t)per;
        for (int k = 1; k < p.n_dims; k++) {
            p.y_stride[k] /= per;
            p.x_stride[k] /= per;
        }
        for (int a = 0; a < p.n_axes; a++)
            p.axis[a].stride /= per;
        op->unit = unit;
        op->unit_p = p;
    }
}

/* Items of unit_p become pieces of the input. */
static void take_doubling(const oct_op_desc *d, const oct_resize_plan *plan, resize_op *op)
{
    resize_params *p = &op->unit_p;
    if (op->unit == 0 || p->n_dims != 4 || p->changes[1] != 1 || p->changes[2] != 0 ||
        p->changes[3] >= 0 || !doubles(d, plan))
        return;
    p->dim[1] = oct_cuda_div_make(p->dim[1].d / 2);
    p->dim[2] = oct_cuda_div_make(p->dim[2].d / 2);
    p->total /= 4;
    op->doubles = true;
}

static void set_numbers(const oct_op_desc *d, resize_params *p)
{
    const oct_attr_resize *at = (const oct_attr_resize *)d->attr;
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    p->from = x->desc.dtype;
    p->to = y->desc.dtype;
    p->nearest = at->mode == OCT_RESIZE_NEAREST;
    p->q8 = x->quant.n == 1;
    p->extrapolation = at->extrapolation_value;
    if (!p->q8)
        return;
    const oct_qparams qx = x->quant.q[0], qy = y->quant.q[0];
    const int32_t lo = p->to == OCT_DT_S8 ? -128 : 0, hi = p->to == OCT_DT_S8 ? 127 : 255;
    p->zero_x = qx.zero_point;
    p->zero_y = qy.zero_point;
    p->m = (float)((double)qx.scale / qy.scale);
    p->extrapolation = (float)oct_quantize(at->extrapolation_value, qy, lo, hi);
}

oct_status oct_cuda_resize_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                   const oct_candidate *c, oct_cuda_op **out)
{
    char reason[OCT_REASON_BYTES];
    oct_resize_plan plan;
    OCT_TRY(plan_of(ctx, d, &plan));
    resize_op *op = oct_cuda_make<resize_op>(be, ctx, run_resize);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    op->base.release = release;
    (void)lay_out(d, &plan, &op->p, reason);
    set_numbers(d, &op->p);
    const oct_status st = upload_tables(be, ctx, d, &plan, op);
    if (st != OCT_OK) {
        oct_free(be->ctx, op);
        return st;
    }
    if (op->p.nearest) {
        widen(d, op);
        take_doubling(d, &plan, op);
    }
    *out = &op->base;
    return OCT_OK;
}
