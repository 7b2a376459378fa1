/* SPDX-License-Identifier: Apache-2.0
 *
 * AveragePool, MaxPool, LpPool and their global forms, in any dense layout.
 *
 *   f32 average   sum in row-major order of the window, then one division (global: the sum is
 *                 f64)
 *   8-bit average exact s32 sum of (q - z_x);  q = clamp(rne((float)sum * m) + z_y) with
 *                 m = s_x / (s_y count) computed in double and rounded once
 *   maximum       a NaN wins; 8-bit elements are compared as they are
 */
#include "kernels/ref/ref_pool.h"

#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"
#include "kernels/window.h"

struct taps;

typedef struct pool {
    const oct_op_desc *d;
    oct_window w; /* three axes */
    bool include_pad, is_global, column_major;
    int64_t p;
    int64_t channels;
    int64_t x_stride[5], y_stride[5]; /* n, c, three spatial axes */
    const void *x;
    void *y;
    int64_t *indices; /* MaxPool's second output */
    void (*element)(const struct pool *, int64_t n, int64_t c, const struct taps *t, int64_t to);
} pool;

/* Taps of one window that lie inside the input: positions at + t * dilation, t in [lo, hi).
 * `counted`: how many of an axis an average divides by. */
typedef struct taps {
    int64_t at[3], lo[3], hi[3], counted[3];
} taps;

static int64_t clamp_taps(int64_t v, int64_t n)
{
    return v < 0 ? 0 : v > n ? n : v;
}

static int64_t ceil_div(int64_t a, int64_t b) /* b > 0 */
{
    if (b == 1)
        return a;
    return a > 0 ? (a + b - 1) / b : a / b;
}

static void axis_taps(const pool *p, int k, int64_t o, taps *t)
{
    const oct_window *w = &p->w;
    const int64_t at = o * w->stride[k] - w->pad_lo[k], n = w->kernel[k];
    t->at[k] = at;
    t->lo[k] = clamp_taps(ceil_div(-at, w->dilation[k]), n);
    t->hi[k] = clamp_taps(ceil_div(w->in[k] - at, w->dilation[k]), n);
    /* a window may reach beyond the padding (ceil_mode): that part never counts */
    const int64_t padded = ceil_div(w->in[k] + w->pad_hi[k] - at, w->dilation[k]);
    t->counted[k] = p->include_pad ? clamp_taps(padded, n) : t->hi[k] - t->lo[k];
}

static int64_t count_of(const taps *t)
{
    return t->counted[0] * t->counted[1] * t->counted[2];
}

/* for each tap inside the input: `off` is its offset in the input. */
#define FOR_EACH_TAP(p, t, base, off)                                               \
    for (int64_t i0 = (t)->lo[0]; i0 < (t)->hi[0]; i0++)                            \
        for (int64_t i1 = (t)->lo[1]; i1 < (t)->hi[1]; i1++)                        \
            for (int64_t i2 = (t)->lo[2], off = tap_offset(p, t, base, i0, i1, i2); \
                 i2 < (t)->hi[2]; i2++, off += (p)->w.dilation[2] * (p)->x_stride[4])

static int64_t tap_offset(const pool *p, const taps *t, int64_t base, int64_t i0, int64_t i1,
                          int64_t i2)
{
    const int64_t *step = p->w.dilation;
    return base + (t->at[0] + i0 * step[0]) * p->x_stride[2] +
           (t->at[1] + i1 * step[1]) * p->x_stride[3] + (t->at[2] + i2 * step[2]) * p->x_stride[4];
}

static int64_t channel_base(const pool *p, int64_t n, int64_t c)
{
    return n * p->x_stride[0] + c * p->x_stride[1];
}

/* ---- one output element -------------------------------------------------------------------- */

static void average_f32(const pool *p, int64_t n, int64_t c, const taps *t, int64_t to)
{
    const float *x = p->x;
    double wide = 0;
    float sum = 0;
    if (p->is_global) {
        FOR_EACH_TAP(p, t, channel_base(p, n, c), off)
        wide += x[off];
        ((float *)p->y)[to] = (float)(wide / (double)count_of(t));
        return;
    }
    FOR_EACH_TAP(p, t, channel_base(p, n, c), off)
    sum += x[off];
    ((float *)p->y)[to] = sum / (float)count_of(t);
}

static void average_q8(const pool *p, int64_t n, int64_t c, const taps *t, int64_t to)
{
    const oct_qparams qx = p->d->in[0].quant.q[0], qy = p->d->out[0].quant.q[0];
    const oct_dtype dt = p->d->in[0].desc.dtype, out = p->d->out[0].desc.dtype;
    int32_t sum = 0;
    FOR_EACH_TAP(p, t, channel_base(p, n, c), off)
    sum += oct_ref_load_q8(p->x, dt, off) - qx.zero_point;
    const float m = (float)((double)qx.scale / ((double)qy.scale * (double)count_of(t)));
    oct_ref_store_q8(
        p->y, out, to,
        oct_requantize(sum, m, 0.0f, qy.zero_point, oct_ref_q8_min(out), oct_ref_q8_max(out)));
}

/* Number of the input element at `off` as if the input were row-major (or its spatial part
 * column-major, storage_order 1). */
static int64_t flat_index(const pool *p, int64_t n, int64_t c, const int64_t *at)
{
    const int64_t *in = p->w.in, plane = in[0] * in[1] * in[2];
    const int64_t inside = p->column_major ? at[0] + (at[1] + at[2] * in[1]) * in[0]
                                           : (at[0] * in[1] + at[1]) * in[2] + at[2];
    return (n * p->channels + c) * plane + inside;
}

static void max_any(const pool *p, int64_t n, int64_t c, const taps *t, int64_t to)
{
    const oct_dtype dt = p->d->in[0].desc.dtype;
    const bool q8 = oct_ref_is_q8(dt);
    float best = q8 ? (float)oct_ref_q8_min(dt) : -INFINITY;
    int64_t best_at[3] = {0};
    bool first = true;
    FOR_EACH_TAP(p, t, channel_base(p, n, c), off)
    {
        const float v = q8 ? (float)oct_ref_load_q8(p->x, dt, off) : ((const float *)p->x)[off];
        if (!first && !(v > best) && !(isnan(v) && !isnan(best)))
            continue;
        first = false;
        best = v;
        best_at[0] = t->at[0] + i0 * p->w.dilation[0];
        best_at[1] = t->at[1] + i1 * p->w.dilation[1];
        best_at[2] = t->at[2] + i2 * p->w.dilation[2];
    }
    if (q8)
        oct_ref_store_q8(p->y, dt, to, (int32_t)best);
    else
        ((float *)p->y)[to] = best;
    if (p->indices)
        p->indices[to] = flat_index(p, n, c, best_at);
}

static void lp_f32(const pool *p, int64_t n, int64_t c, const taps *t, int64_t to)
{
    const float *x = p->x;
    double sum = 0;
    FOR_EACH_TAP(p, t, channel_base(p, n, c), off)
    sum += p->p == 1   ? fabs(x[off])
           : p->p == 2 ? (double)x[off] * x[off]
                       : pow(fabs(x[off]), (double)p->p);
    ((float *)p->y)[to] = (float)(p->p == 1   ? sum
                                  : p->p == 2 ? sqrt(sum)
                                              : pow(sum, 1.0 / (double)p->p));
}

/* ---- setting up ----------------------------------------------------------------------------- */

static oct_window global_window(const oct_shape *x)
{
    oct_window w = {.n = 3};
    for (int k = 0; k < 3; k++) {
        w.in[k] = w.kernel[k] = w.out[k] = w.stride[k] = w.dilation[k] = 1;
        if (k + 2 < x->n_dims)
            w.in[k] = w.kernel[k] = x->dim[k + 2];
    }
    w.in[2] = w.kernel[2] = x->n_dims > 4 ? oct_ref_product(x, 4, x->n_dims) : w.in[2];
    return w;
}

/* Strides of n, c and three spatial axes; `lead` spatial axes are made up. */
static void spatial_strides(const oct_tensor_desc *t, int lead, int64_t *stride)
{
    stride[0] = t->stride[0];
    stride[1] = t->stride[1];
    for (int k = 0; k < 3; k++)
        stride[k + 2] = k < lead || k - lead + 2 >= t->shape.n_dims ? 0 : t->stride[k - lead + 2];
}

static bool is_global(oct_op op)
{
    return op == OCT_OP_GLOBAL_AVERAGE_POOL || op == OCT_OP_GLOBAL_MAX_POOL ||
           op == OCT_OP_GLOBAL_LP_POOL;
}

static void choose_element(pool *p)
{
    switch (p->d->op) {
    case OCT_OP_MAX_POOL:
    case OCT_OP_GLOBAL_MAX_POOL:
        p->element = max_any;
        break;
    case OCT_OP_LP_POOL:
    case OCT_OP_GLOBAL_LP_POOL:
        p->element = lp_f32;
        break;
    default:
        p->element = oct_ref_is_q8(p->d->in[0].desc.dtype) ? average_q8 : average_f32;
    }
}

static oct_status pool_init(pool *p, oct_ctx *ctx, const oct_op_desc *d)
{
    const oct_tensor_desc *x = &d->in[0].desc, *y = &d->out[0].desc;
    *p = (pool){.d = d, .is_global = is_global(d->op), .channels = x->shape.dim[1]};
    if (p->is_global) {
        p->w = global_window(&x->shape);
        spatial_strides(x, 0, p->x_stride);
        spatial_strides(y, 0, p->y_stride);
        if (x->shape.n_dims > 5) /* dense: the last axes are one */
            p->x_stride[4] = x->stride[x->shape.n_dims - 1];
        p->p = d->op == OCT_OP_GLOBAL_LP_POOL ? ((const oct_attr_norm *)d->attr)->p : 0;
    } else {
        const oct_attr_window *at = d->attr;
        oct_window w;
        OCT_TRY(oct_window_resolve(ctx, d->op, at, &x->shape, NULL, &w));
        p->w = oct_window_to_3d(&w);
        spatial_strides(x, 3 - w.n, p->x_stride);
        spatial_strides(y, 3 - w.n, p->y_stride);
        p->include_pad = at->count_include_pad;
        p->column_major = at->storage_order == 1;
        p->p = at->p;
    }
    choose_element(p);
    return OCT_OK;
}

static void run_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const pool *p = user;
    const int64_t *out = p->w.out, *s = p->y_stride;
    taps t;
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t n = i / p->channels, c = i % p->channels, to = n * s[0] + c * s[1];
        for (int64_t o0 = 0; o0 < out[0]; o0++) {
            axis_taps(p, 0, o0, &t);
            for (int64_t o1 = 0; o1 < out[1]; o1++) {
                axis_taps(p, 1, o1, &t);
                for (int64_t o2 = 0; o2 < out[2]; o2++) {
                    axis_taps(p, 2, o2, &t);
                    p->element(p, n, c, &t, to + o0 * s[2] + o1 * s[3] + o2 * s[4]);
                }
            }
        }
    }
}

oct_status oct_ref_pool_run(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    pool p;
    OCT_TRY(pool_init(&p, ctx, d));
    p.x = a->in[0];
    p.y = a->out[0];
    p.indices = d->n_out > 1 ? a->out[1] : NULL;
    oct_parallel_for(d->threads, (size_t)(d->in[0].desc.shape.dim[0] * p.channels), 1, run_range,
                     &p);
    return OCT_OK;
}

/* ---- accepts ----------------------------------------------------------------------------------- */

static bool same_quant(const oct_quant *a, const oct_quant *b)
{
    return a->n == b->n && (a->n == 0 || (a->n == 1 && a->q[0].scale == b->q[0].scale &&
                                          a->q[0].zero_point == b->q[0].zero_point));
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    const char *name = oct_op_name(d->op);
    const oct_operand *x = &d->in[0], *y = &d->out[0];
    const bool is_max = d->op == OCT_OP_MAX_POOL || d->op == OCT_OP_GLOBAL_MAX_POOL;
    const bool is_average = d->op == OCT_OP_AVERAGE_POOL || d->op == OCT_OP_GLOBAL_AVERAGE_POOL;
    const bool q8 = oct_ref_is_q8(x->desc.dtype);
    if (d->epilogue.residual >= 0 || d->epilogue.act != OCT_ACT_NONE)
        return oct_ref_refuse(reason, "ref %s takes no epilogue", name);
    if (is_global(d->op) && x->desc.shape.n_dims > 5 && !oct_tensor_desc_is_dense(&x->desc))
        return oct_ref_refuse(reason, "ref %s: strided input", name);
    if (d->n_out > 1 && (y->desc.layout != OCT_LAYOUT_ROW || !oct_tensor_desc_is_dense(&y->desc)))
        return oct_ref_refuse(reason, "ref %s: indices need a dense row-major output", name);
    if (x->desc.dtype == OCT_DT_F32 && y->desc.dtype == OCT_DT_F32)
        return true;
    if (q8 && is_max && y->desc.dtype == x->desc.dtype && same_quant(&x->quant, &y->quant))
        return true;
    if (q8 && is_average &&
        oct_ref_product(&x->desc.shape, 2, x->desc.shape.n_dims) > INT32_MAX / 255)
        return oct_ref_refuse(reason, "ref %s: sums may leave s32", name);
    if (q8 && is_average && oct_ref_is_q8(y->desc.dtype) && x->quant.n == 1 && y->quant.n == 1)
        return true;
    return oct_ref_refuse(reason, "ref %s from %s to %s", name, oct_dtype_str(x->desc.dtype),
                          oct_dtype_str(y->desc.dtype));
}

const oct_ref_entry oct_ref_pool[] = {
    {OCT_OP_AVERAGE_POOL, oct_ref_pool_run, NULL, accepts, true},
    {OCT_OP_MAX_POOL, oct_ref_pool_run, NULL, accepts, true},
    {OCT_OP_LP_POOL, oct_ref_pool_run, NULL, accepts, true},
    {OCT_OP_GLOBAL_AVERAGE_POOL, oct_ref_pool_run, NULL, accepts, true},
    {OCT_OP_GLOBAL_MAX_POOL, oct_ref_pool_run, NULL, accepts, true},
    {OCT_OP_GLOBAL_LP_POOL, oct_ref_pool_run, NULL, accepts, true},
    {0},
};
