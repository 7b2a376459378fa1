/* SPDX-License-Identifier: Apache-2.0
 *
 * GridSample in two and three dimensions, and RoiAlign. f32, row-major. Source: ONNX.
 */
#include <math.h>

#include "base/parallel.h"
#include "kernels/ref/ref_elem.h"
#include "kernels/ref/ref_groups_internal.h"

/* ---- GridSample ------------------------------------------------------------------------------ */

/* Spatial axes are numbered as in the grid: 0 = x = innermost. */
typedef struct grid {
    const oct_op_desc *d;
    const oct_attr_grid_sample *at;
    int n;
    int64_t size[3], stride[3];
    const float *x, *g;
    float *y;
} grid;

enum { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };

/* [-1, 1] to pixels. */
static float denormalize(float v, int64_t size, bool align_corners)
{
    return align_corners ? (v + 1) / 2 * (float)(size - 1) : ((v + 1) * (float)size - 1) / 2;
}

/* Reflects v into [lo, hi]. */
static float reflect(float v, float lo, float hi)
{
    const float range = hi - lo;
    if (range <= 0)
        return lo;
    const float over = v < lo ? lo - v : v > hi ? v - hi : 0;
    if (over == 0)
        return v;
    const float turns = floorf(over / range), rest = over - turns * range;
    const bool even = fmodf(turns, 2.0f) == 0;
    if (v < lo)
        return even ? lo + rest : hi - rest;
    return even ? hi - rest : lo + rest;
}

/* A pixel number that padding moves into the image; -1 = reads zero. */
static int64_t pixel(const grid *s, int k, int64_t i)
{
    const int64_t n = s->size[k];
    if (i >= 0 && i < n)
        return i;
    if (s->at->padding == PADDING_ZEROS)
        return -1;
    if (s->at->padding == PADDING_BORDER)
        return i < 0 ? 0 : n - 1;
    const float edge = s->at->align_corners ? 0.0f : 0.5f;
    const float r = reflect((float)i, -edge, (float)(n - 1) + edge);
    const int64_t at = (int64_t)r;
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}

/* Keys' cubic with a = -0.75: weights of the four pixels around fraction t. */
static void cubic_weights(float t, float *w)
{
    const float a = -0.75f;
    w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
    w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
    w[2] = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1;
    w[3] = ((a * (2 - t) - 5 * a) * (2 - t) + 8 * a) * (2 - t) - 4 * a;
}

/* Taps along one axis for pixel coordinate v: number of first pixel, weights; returns count. */
static int axis_taps(const grid *s, float v, int64_t *first, float *w)
{
    if (s->at->mode == OCT_RESIZE_NEAREST) {
        *first = (int64_t)rintf(v);
        w[0] = 1;
        return 1;
    }
    const float left = floorf(v);
    *first = (int64_t)left;
    if (s->at->mode == OCT_RESIZE_LINEAR) {
        w[0] = 1 - (v - left);
        w[1] = v - left;
        return 2;
    }
    *first -= 1;
    cubic_weights(v - left, w);
    return 4;
}

/* Where a sample reads: offsets (-1 = zero) and weights along each axis. */
typedef struct sample {
    int n[3];
    int64_t off[3][4];
    float w[3][4];
} sample;

static void locate(const grid *s, const float *g, sample *out)
{
    for (int k = 0; k < 3; k++) {
        int64_t first = 0;
        out->n[k] = 1;
        out->off[k][0] = 0;
        out->w[k][0] = 1;
        if (k >= s->n)
            continue;
        float v = denormalize(g[k], s->size[k], s->at->align_corners);
        /* outside any image: keeps the conversion to integers defined, reads padding all the same */
        if (!(v > -1e9f && v < 1e9f))
            v = v > 0 ? 1e9f : -1e9f;
        if (s->at->mode != OCT_RESIZE_CUBIC && s->at->padding == PADDING_BORDER)
            v = v < 0 ? 0 : v > (float)(s->size[k] - 1) ? (float)(s->size[k] - 1) : v;
        if (s->at->mode != OCT_RESIZE_CUBIC && s->at->padding == PADDING_REFLECTION) {
            const float edge = s->at->align_corners ? 0.0f : 0.5f;
            v = reflect(v, -edge, (float)(s->size[k] - 1) + edge);
        }
        out->n[k] = axis_taps(s, v, &first, out->w[k]);
        for (int i = 0; i < out->n[k]; i++) {
            const int64_t at = pixel(s, k, first + i);
            out->off[k][i] = at < 0 ? -1 : at * s->stride[k];
        }
    }
}

static float weigh(const sample *p, const float *x)
{
    float sum2 = 0;
    for (int c = 0; c < p->n[2]; c++) {
        float sum1 = 0;
        for (int b = 0; b < p->n[1]; b++) {
            float sum0 = 0;
            for (int a = 0; a < p->n[0]; a++) {
                const bool inside = p->off[0][a] >= 0 && p->off[1][b] >= 0 && p->off[2][c] >= 0;
                sum0 += p->w[0][a] * (inside ? x[p->off[0][a] + p->off[1][b] + p->off[2][c]] : 0);
            }
            sum1 += p->w[1][b] * sum0;
        }
        sum2 += p->w[2][c] * sum1;
    }
    return sum2;
}

/* Items: (image, output position). */
static void sample_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const grid *s = user;
    const oct_shape *x = &s->d->in[0].desc.shape, *y = &s->d->out[0].desc.shape;
    const int64_t positions = oct_ref_product(y, 2, y->n_dims), channels = x->dim[1];
    const int64_t plane = oct_ref_product(x, 2, x->n_dims);
    for (int64_t i = (int64_t)lo; i < (int64_t)hi; i++) {
        const int64_t n = i / positions, p = i % positions;
        sample at;
        locate(s, s->g + i * s->n, &at);
        for (int64_t c = 0; c < channels; c++)
            s->y[(n * channels + c) * positions + p] =
                weigh(&at, s->x + (n * channels + c) * plane);
    }
}

static oct_status run_grid_sample(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    (void)ctx;
    const oct_tensor_desc *x = &d->in[0].desc;
    const oct_shape *y = &d->out[0].desc.shape;
    grid s = {.d = d, .at = d->attr, .n = x->shape.n_dims - 2, .x = a->in[0], .g = a->in[1]};
    s.y = a->out[0];
    for (int k = 0; k < s.n; k++) {
        s.size[k] = x->shape.dim[x->shape.n_dims - 1 - k];
        s.stride[k] = x->stride[x->shape.n_dims - 1 - k];
        if (s.size[k] == 0)
            return oct_fail(ctx, OCT_ERR_SHAPE, "GridSample: empty input");
    }
    oct_parallel_for(d->threads, (size_t)(y->dim[0] * oct_ref_product(y, 2, y->n_dims)), 64,
                     sample_range, &s);
    return OCT_OK;
}

/* ---- RoiAlign ---------------------------------------------------------------------------------- */

typedef struct roi_job {
    const oct_op_desc *d;
    const oct_attr_roi_align *at;
    const float *x, *rois;
    const int64_t *batch;
    float *y;
} roi_job;

/* Bilinear reading; 0 beyond one pixel outside. With max_mode the largest of the four weighted
 * corners counts, as ONNX defines it. */
static float roi_value(const float *x, int64_t h, int64_t w, float py, float px, bool max_mode)
{
    if (!(py >= -1 && py <= (float)h && px >= -1 && px <= (float)w)) /* also NaN */
        return 0;
    py = py < 0 ? 0 : py;
    px = px < 0 ? 0 : px;
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
    const float ly = py - (float)y0, lx = px - (float)x0, hy = 1 - ly, hx = 1 - lx;
    const float v0 = hy * hx * x[y0 * w + x0], v1 = hy * lx * x[y0 * w + x1];
    const float v2 = ly * hx * x[y1 * w + x0], v3 = ly * lx * x[y1 * w + x1];
    return max_mode ? fmaxf(fmaxf(v0, v1), fmaxf(v2, v3)) : v0 + v1 + v2 + v3;
}

/* Start and size of a region in pixels, cells and samples per cell of one axis. */
typedef struct roi_axis {
    float start, cell;
    int64_t samples;
} roi_axis;

static roi_axis roi_axis_of(const oct_attr_roi_align *at, float lo, float hi, int64_t cells)
{
    const float shift = at->half_pixel ? 0.5f : 0.0f;
    roi_axis r = {.start = lo * at->spatial_scale - shift};
    float size = hi * at->spatial_scale - shift - r.start;
    if (!at->half_pixel && size < 1)
        size = 1; /* the older form enlarges tiny regions */
    r.cell = size / (float)cells;
    const float n = ceilf(r.cell);
    r.samples = at->sampling_ratio > 0 ? at->sampling_ratio : n > 0 && n < 65536 ? (int64_t)n : 0;
    return r;
}

static float roi_cell(const roi_job *j, const float *x, const roi_axis *ry, const roi_axis *rx,
                      int64_t cy, int64_t cx)
{
    const oct_shape *s = &j->d->in[0].desc.shape;
    const bool max_mode = j->at->max_mode;
    float out = 0;
    for (int64_t iy = 0; iy < ry->samples; iy++) {
        const float py =
            ry->start + (float)cy * ry->cell + ((float)iy + 0.5f) * ry->cell / (float)ry->samples;
        for (int64_t ix = 0; ix < rx->samples; ix++) {
            const float px = rx->start + (float)cx * rx->cell +
                             ((float)ix + 0.5f) * rx->cell / (float)rx->samples;
            const float v = roi_value(x, s->dim[2], s->dim[3], py, px, max_mode);
            if (!max_mode)
                out += v;
            else if ((iy == 0 && ix == 0) || v > out)
                out = v;
        }
    }
    const int64_t count = ry->samples * rx->samples;
    return max_mode || count == 0 ? out : out / (float)count;
}

static void roi_range(void *user, size_t lo, size_t hi, int worker)
{
    (void)worker;
    const roi_job *j = user;
    const oct_shape *s = &j->d->in[0].desc.shape;
    const int64_t oh = j->at->output_height, ow = j->at->output_width;
    for (int64_t r = (int64_t)lo; r < (int64_t)hi; r++) {
        const float *box = j->rois + 4 * r; /* x1, y1, x2, y2 */
        const roi_axis rx = roi_axis_of(j->at, box[0], box[2], ow);
        const roi_axis ry = roi_axis_of(j->at, box[1], box[3], oh);
        for (int64_t c = 0; c < s->dim[1]; c++) {
            const float *x = j->x + (j->batch[r] * s->dim[1] + c) * s->dim[2] * s->dim[3];
            for (int64_t i = 0; i < oh * ow; i++)
                j->y[(r * s->dim[1] + c) * oh * ow + i] = roi_cell(j, x, &ry, &rx, i / ow, i % ow);
        }
    }
}

static oct_status run_roi_align(oct_ctx *ctx, const oct_op_desc *d, const oct_run_args *a)
{
    roi_job j = {d, d->attr, a->in[0], a->in[1], a->in[2], a->out[0]};
    const int64_t n = d->in[1].desc.shape.dim[0];
    for (int64_t r = 0; r < n; r++) {
        if (j.batch[r] < 0 || j.batch[r] >= d->in[0].desc.shape.dim[0])
            return oct_fail(ctx, OCT_ERR_RANGE,
                            "RoiAlign: batch index %lld of region %lld, batch is "
                            "%lld",
                            (long long)j.batch[r], (long long)r,
                            (long long)d->in[0].desc.shape.dim[0]);
    }
    oct_parallel_for(d->threads, (size_t)n, 1, roi_range, &j);
    return OCT_OK;
}

static bool accepts(const oct_op_desc *d, char *reason)
{
    if (d->in[0].desc.dtype != OCT_DT_F32 || d->in[1].desc.dtype != OCT_DT_F32)
        return oct_ref_refuse(reason, "ref %s on %s", oct_op_name(d->op),
                              oct_dtype_str(d->in[0].desc.dtype));
    return oct_ref_accepts_plain(d, reason);
}

const oct_ref_entry oct_ref_sample[] = {
    {OCT_OP_GRID_SAMPLE, run_grid_sample, NULL, accepts, true},
    {OCT_OP_ROI_ALIGN, run_roi_align, NULL, accepts, true},
    {0},
};
