/* SPDX-License-Identifier: Apache-2.0
 *
 * GridSample in two and three dimensions and RoiAlign, f32 and f16 row-major: formulas and order of
 * kernels/ref/ref_sample.c. A thread makes one position of all channels, or one cell.
 */
#include "kernels/cuda/cuda_fault.h"
#include "kernels/cuda/cuda_kernel.cuh"

#define THREADS 128

/* ---- GridSample ---- */

enum { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };

/* Spatial axes as in the grid: 0 = x = innermost. */
typedef struct grid_params {
    int n, mode, padding;
    bool align_corners;
    int64_t size[3], stride[3], plane;
    uint32_t total, channels; /* total: images x positions */
    oct_cuda_div positions;
    oct_dtype dt, grid_type;
} grid_params;

OCT_DEV float denormalize(float v, int64_t size, bool align_corners)
{
    return align_corners ? (v + 1.0f) / 2.0f * (float)(size - 1)
                         : ((v + 1.0f) * (float)size - 1.0f) / 2.0f;
}

OCT_DEV float reflect(float v, float lo, float hi)
{
    const float range = hi - lo;
    if (range <= 0.0f)
        return lo;
    const float over = v < lo ? lo - v : v > hi ? v - hi : 0.0f;
    if (over == 0.0f)
        return v;
    const float turns = floorf(over / range), rest = over - turns * range;
    const bool even = fmodf(turns, 2.0f) == 0.0f;
    if (v < lo)
        return even ? lo + rest : hi - rest;
    return even ? hi - rest : lo + rest;
}

/* A pixel number that padding moves into the image; -1 = reads zero. */
OCT_DEV int64_t pixel(const grid_params &p, int k, int64_t i)
{
    const int64_t n = p.size[k];
    if (i >= 0 && i < n)
        return i;
    if (p.padding == PADDING_ZEROS)
        return -1;
    if (p.padding == PADDING_BORDER)
        return i < 0 ? 0 : n - 1;
    const float edge = p.align_corners ? 0.0f : 0.5f;
    const int64_t at = (int64_t)reflect((float)i, -edge, (float)(n - 1) + edge);
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}

OCT_DEV void cubic_weights(float t, float *w)
{
    const float a = -0.75f;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
    w[3] = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a;
}

/* Taps along one axis: offsets (-1 = zero) and weights. */
typedef struct grid_taps {
    int n;
    int64_t off[4];
    float w[4];
} grid_taps;

OCT_DEV void taps_of(const grid_params &p, int k, float g, grid_taps *t)
{
    t->n = 1;
    t->off[0] = 0;
    t->w[0] = 1.0f;
    if (k >= p.n)
        return;
    float v = denormalize(g, p.size[k], p.align_corners);
    if (!(v > -1e9f && v < 1e9f))
        v = v > 0.0f ? 1e9f : -1e9f;
    if (p.mode != OCT_RESIZE_CUBIC && p.padding == PADDING_BORDER)
        v = v < 0.0f ? 0.0f : v > (float)(p.size[k] - 1) ? (float)(p.size[k] - 1) : v;
    if (p.mode != OCT_RESIZE_CUBIC && p.padding == PADDING_REFLECTION) {
        const float edge = p.align_corners ? 0.0f : 0.5f;
        v = reflect(v, -edge, (float)(p.size[k] - 1) + edge);
    }
    const float left = floorf(v);
    int64_t first = (int64_t)left;
    if (p.mode == OCT_RESIZE_NEAREST) {
        first = (int64_t)rintf(v);
    } else if (p.mode == OCT_RESIZE_LINEAR) {
        t->n = 2;
        t->w[0] = 1.0f - (v - left);
        t->w[1] = v - left;
    } else {
        t->n = 4;
        first -= 1;
        cubic_weights(v - left, t->w);
    }
    for (int i = 0; i < t->n; i++) {
        const int64_t at = pixel(p, k, first + i);
        t->off[i] = at < 0 ? -1 : at * p.stride[k];
    }
}

OCT_DEV float weigh(const grid_params &p, const grid_taps *t, const void *x, int64_t base)
{
    float sum2 = 0.0f;
    for (int c = 0; c < t[2].n; c++) {
        float sum1 = 0.0f;
        for (int b = 0; b < t[1].n; b++) {
            float sum0 = 0.0f;
            for (int a = 0; a < t[0].n; a++) {
                const int64_t o0 = t[0].off[a], o1 = t[1].off[b], o2 = t[2].off[c];
                const bool inside = o0 >= 0 && o1 >= 0 && o2 >= 0;
                sum0 += t[0].w[a] * (inside ? oct_dev_get(x, p.dt, base + o0 + o1 + o2) : 0.0f);
            }
            sum1 += t[1].w[b] * sum0;
        }
        sum2 += t[2].w[c] * sum1;
    }
    return sum2;
}

static __global__ void __launch_bounds__(THREADS)
    grid_kernel(grid_params p, void *y, const void *x, const void *grid)
{
    const uint32_t item = oct_dev_item();
    uint32_t at;
    grid_taps t[3];
    if (item >= p.total)
        return;
    const uint32_t image = oct_dev_divmod(item, p.positions, at);
    for (int k = 0; k < 3; k++)
        taps_of(p, k, k < p.n ? oct_dev_get(grid, p.grid_type, (int64_t)item * p.n + k) : 0.0f,
                &t[k]);
    for (uint32_t c = 0; c < p.channels; c++) {
        const int64_t plane = (int64_t)image * p.channels + c;
        oct_dev_put(y, p.dt, plane * p.positions.d + at, weigh(p, t, x, plane * p.plane));
    }
}

typedef struct grid_op {
    oct_cuda_op base;
    grid_params p;
} grid_op;

static oct_status grid_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    const grid_op *op = (const grid_op *)base;
    if (op->p.total > 0)
        grid_kernel<<<oct_cuda_blocks(op->p.total, THREADS), THREADS, 0, oct_cuda_stream_of(a)>>>(
            op->p, a->out[0], a->in[0], a->in[1]);
    return oct_cuda_launched(ctx, "GridSample");
}

static bool reals(const oct_op_desc *d, int n_in, char *reason)
{
    for (int i = 0; i < n_in; i++)
        if (!oct_cuda_is_real(d->in[i].desc.dtype))
            return oct_cuda_no(reason, "f32 and f16 only");
    if (d->in[0].desc.dtype != d->out[0].desc.dtype)
        return oct_cuda_no(reason, "types differ");
    if (oct_cuda_elems(&d->in[0]) == 0 || oct_cuda_elems(&d->in[0]) > OCT_CUDA_MAX_ELEMS ||
        oct_cuda_elems(&d->out[0]) > OCT_CUDA_MAX_ELEMS)
        return oct_cuda_no(reason, "empty, or more than 2^31 elements");
    return oct_cuda_all_plain(d, reason);
}

bool oct_cuda_grid_sample_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                                char *reason)
{
    (void)be;
    (void)ctx;
    return reals(d, 2, reason) && oct_cuda_name(c, "grid_sample");
}

oct_status oct_cuda_grid_sample_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                        const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_grid_sample *at = (const oct_attr_grid_sample *)d->attr;
    const oct_tensor_desc *x = &d->in[0].desc;
    const oct_shape *y = &d->out[0].desc.shape;
    grid_op *op = oct_cuda_make<grid_op>(be, ctx, grid_run);
    int64_t positions = 1;
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    grid_params *p = &op->p;
    p->n = x->shape.n_dims - 2;
    p->mode = at->mode;
    p->padding = (int)at->padding;
    p->align_corners = at->align_corners;
    p->plane = 1;
    for (int k = 0; k < p->n; k++) {
        p->size[k] = x->shape.dim[x->shape.n_dims - 1 - k];
        p->stride[k] = x->stride[x->shape.n_dims - 1 - k];
        p->plane *= p->size[k];
        positions *= y->dim[k + 2];
    }
    p->positions = oct_cuda_div_make(positions > 0 ? positions : 1);
    p->total = (uint32_t)(y->dim[0] * positions);
    p->channels = (uint32_t)x->shape.dim[1];
    p->dt = x->dtype;
    p->grid_type = d->in[1].desc.dtype;
    *out = &op->base;
    return OCT_OK;
}

/* ---- RoiAlign ---- */

typedef struct roi_params {
    int64_t batch, channels, h, w;
    oct_cuda_div cols, rows, chans;
    uint32_t total;
    bool max_mode, half_pixel;
    int64_t sampling_ratio;
    float spatial_scale;
    oct_dtype dt, roi_type;
    oct_cuda_fault_at at;
} roi_params;

OCT_DEV float roi_value(const roi_params &p, const void *x, int64_t base, float py, float px)
{
    const int64_t h = p.h, w = p.w;
    if (!(py >= -1.0f && py <= (float)h && px >= -1.0f && px <= (float)w))
        return 0.0f;
    py = py < 0.0f ? 0.0f : py;
    px = px < 0.0f ? 0.0f : px;
    int64_t y0 = (int64_t)py, x0 = (int64_t)px;
    if (y0 >= h - 1) {
        y0 = h - 1;
        py = (float)y0;
    }
    if (x0 >= w - 1) {
        x0 = w - 1;
        px = (float)x0;
    }
    const int64_t y1 = y0 < h - 1 ? y0 + 1 : y0, x1 = x0 < w - 1 ? x0 + 1 : x0;
    const float ly = py - (float)y0, lx = px - (float)x0, hy = 1.0f - ly, hx = 1.0f - lx;
    const float v0 = hy * hx * oct_dev_get(x, p.dt, base + y0 * w + x0);
    const float v1 = hy * lx * oct_dev_get(x, p.dt, base + y0 * w + x1);
    const float v2 = ly * hx * oct_dev_get(x, p.dt, base + y1 * w + x0);
    const float v3 = ly * lx * oct_dev_get(x, p.dt, base + y1 * w + x1);
    return p.max_mode ? fmaxf(fmaxf(v0, v1), fmaxf(v2, v3)) : v0 + v1 + v2 + v3;
}

typedef struct roi_axis {
    float start, cell;
    int64_t samples;
} roi_axis;

OCT_DEV roi_axis roi_axis_of(const roi_params &p, float lo, float hi, uint32_t cells)
{
    const float shift = p.half_pixel ? 0.5f : 0.0f;
    roi_axis r;
    r.start = lo * p.spatial_scale - shift;
    float size = hi * p.spatial_scale - shift - r.start;
    if (!p.half_pixel && size < 1.0f)
        size = 1.0f;
    r.cell = size / (float)cells;
    const float n = ceilf(r.cell);
    r.samples = p.sampling_ratio > 0 ? p.sampling_ratio : n > 0.0f && n < 65536.0f ? (int64_t)n : 0;
    return r;
}

static __global__ void __launch_bounds__(THREADS)
    roi_kernel(roi_params p, void *y, const void *x, const void *rois, const int64_t *batch)
{
    const uint32_t item = oct_dev_item();
    uint32_t cx, cy, c;
    if (item >= p.total)
        return;
    uint32_t r = oct_dev_divmod(item, p.cols, cx);
    r = oct_dev_divmod(r, p.rows, cy);
    r = oct_dev_divmod(r, p.chans, c);
    const int64_t image = batch[r];
    float out = 0.0f;
    if (image < 0 || image >= p.batch) {
        oct_dev_fault(p.at, r, image, 0, p.batch - 1);
    } else {
        const roi_axis rx =
            roi_axis_of(p, oct_dev_get(rois, p.roi_type, 4 * (int64_t)r),
                        oct_dev_get(rois, p.roi_type, 4 * (int64_t)r + 2), p.cols.d);
        const roi_axis ry =
            roi_axis_of(p, oct_dev_get(rois, p.roi_type, 4 * (int64_t)r + 1),
                        oct_dev_get(rois, p.roi_type, 4 * (int64_t)r + 3), p.rows.d);
        const int64_t base = (image * p.channels + c) * p.h * p.w;
        for (int64_t iy = 0; iy < ry.samples; iy++) {
            const float py =
                ry.start + (float)cy * ry.cell + ((float)iy + 0.5f) * ry.cell / (float)ry.samples;
            for (int64_t ix = 0; ix < rx.samples; ix++) {
                const float px = rx.start + (float)cx * rx.cell +
                                 ((float)ix + 0.5f) * rx.cell / (float)rx.samples;
                const float v = roi_value(p, x, base, py, px);
                out = !p.max_mode ? out + v : (iy == 0 && ix == 0) || v > out ? v : out;
            }
        }
        const int64_t count = ry.samples * rx.samples;
        out = p.max_mode || count == 0 ? out : out / (float)count;
    }
    oct_dev_put(y, p.dt, item, out);
}

typedef struct roi_op {
    oct_cuda_op base;
    roi_params p;
} roi_op;

static oct_status roi_run(const oct_cuda_op *base, oct_ctx *ctx, const oct_run_args *a)
{
    roi_op with_fault = *(const roi_op *)base;
    const roi_op *op = &with_fault;
    with_fault.p.at.fault = oct_cuda_fault_of(a);
    if (op->p.total > 0)
        roi_kernel<<<oct_cuda_blocks(op->p.total, THREADS), THREADS, 0, oct_cuda_stream_of(a)>>>(
            op->p, a->out[0], a->in[0], a->in[1], (const int64_t *)a->in[2]);
    return oct_cuda_launched(ctx, "RoiAlign");
}

bool oct_cuda_roi_align_query(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d, oct_candidate *c,
                              char *reason)
{
    (void)be;
    (void)ctx;
    return reals(d, 2, reason) && oct_cuda_name(c, "roi_align");
}

oct_status oct_cuda_roi_align_prepare(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                      const oct_candidate *c, oct_cuda_op **out)
{
    const oct_attr_roi_align *at = (const oct_attr_roi_align *)d->attr;
    const oct_shape *s = &d->in[0].desc.shape;
    roi_op *op = oct_cuda_make<roi_op>(be, ctx, roi_run);
    (void)c;
    if (!op)
        return OCT_ERR_NOMEM;
    roi_params *p = &op->p;
    oct_cuda_fault_at_init(&p->at, d);
    p->batch = s->dim[0];
    p->channels = s->dim[1];
    p->h = s->dim[2];
    p->w = s->dim[3];
    p->cols = oct_cuda_div_make(at->output_width > 0 ? at->output_width : 1);
    p->rows = oct_cuda_div_make(at->output_height > 0 ? at->output_height : 1);
    p->chans = oct_cuda_div_make(s->dim[1]);
    p->total = (uint32_t)oct_cuda_elems(&d->out[0]);
    p->max_mode = at->max_mode;
    p->half_pixel = at->half_pixel;
    p->sampling_ratio = at->sampling_ratio;
    p->spatial_scale = at->spatial_scale;
    p->dt = s->n_dims ? d->in[0].desc.dtype : OCT_DT_F32;
    p->roi_type = d->in[1].desc.dtype;
    *out = &op->base;
    return OCT_OK;
}
