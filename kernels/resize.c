/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/resize.h"

#include <math.h>

#include "base/numeric.h"

/* ---- sizes -------------------------------------------------------------------------------- */

static size_t count_of(const oct_tensor *t)
{
    size_t n = 0;
    return t && oct_shape_elems(&t->desc.shape, &n) ? n : 0;
}

/* Axis of the i-th entry of scales, sizes and roi. */
static int axis_at(const oct_attr_resize *at, int n_dims, int i)
{
    const int64_t k = at->n_axes ? at->axis[i] : i;
    return (int)(k < 0 ? k + n_dims : k);
}

static oct_status check_axes(oct_ctx *ctx, const oct_attr_resize *at, int n_dims)
{
    uint32_t seen = 0;
    for (int i = 0; i < at->n_axes; i++) {
        const int64_t k = at->axis[i] < 0 ? at->axis[i] + n_dims : at->axis[i];
        if (k < 0 || k >= n_dims || (seen >> k & 1))
            return oct_fail(ctx, OCT_ERR_SHAPE, "axes[%d]: %lld, expected distinct axes of rank %d",
                            i, (long long)at->axis[i], n_dims);
        seen |= 1u << k;
    }
    return OCT_OK;
}

static oct_status set_by_scales(oct_ctx *ctx, const oct_attr_resize *at, const oct_tensor *scales,
                                int n, oct_resize_plan *p)
{
    for (int i = 0; i < n; i++) {
        oct_resize_axis *ax = &p->axis[axis_at(at, p->n_dims, i)];
        const float s = (float)oct_elem_f64(scales->data, scales->desc.dtype, (size_t)i);
        if (!(s > 0) || !isfinite(s))
            return oct_fail(ctx, OCT_ERR_SHAPE, "scales[%d]: expected a positive number", i);
        ax->scale = s;
        if (s == 1.0f)
            continue;
        const float size = ax->in < 0 ? 0 : floorf((float)ax->in * s);
        if (size > (float)INT32_MAX)
            return oct_fail(ctx, OCT_ERR_SHAPE, "scales[%d]: output too large", i);
        ax->out = ax->in < 0 ? OCT_RESIZE_UNKNOWN : (int64_t)size;
    }
    return OCT_OK;
}

static oct_status set_stretched(oct_ctx *ctx, const oct_attr_resize *at, const int64_t *sizes,
                                int n, oct_resize_plan *p)
{
    for (int i = 0; i < n; i++) {
        oct_resize_axis *ax = &p->axis[axis_at(at, p->n_dims, i)];
        const bool symbol = oct_dim_is_symbol(sizes[i]);
        if (!symbol && (sizes[i] < 0 || sizes[i] > INT32_MAX))
            return oct_fail(ctx, OCT_ERR_SHAPE, "sizes[%d]: %lld", i, (long long)sizes[i]);
        ax->out = sizes[i];
        ax->scale = ax->in > 0 && !symbol ? (double)sizes[i] / (double)ax->in : 1.0;
    }
    return OCT_OK;
}

/* keep_aspect_ratio_policy: one scale for all axes, from the tightest or the widest. */
static oct_status set_by_aspect(oct_ctx *ctx, const oct_attr_resize *at, const int64_t *sizes,
                                int n, oct_resize_plan *p)
{
    double scale = at->aspect == OCT_ASPECT_NOT_LARGER ? INFINITY : 0;
    bool known = true;
    for (int i = 0; i < n; i++) {
        const oct_resize_axis *ax = &p->axis[axis_at(at, p->n_dims, i)];
        if (!oct_dim_is_symbol(sizes[i]) && (sizes[i] < 1 || sizes[i] > INT32_MAX))
            return oct_fail(ctx, OCT_ERR_SHAPE, "sizes[%d]: %lld", i, (long long)sizes[i]);
        known &= ax->in > 0 && sizes[i] > 0;
        const double s = (double)sizes[i] / (double)ax->in;
        scale = at->aspect == OCT_ASPECT_NOT_LARGER ? fmin(scale, s) : fmax(scale, s);
    }
    for (int i = 0; i < n; i++) {
        oct_resize_axis *ax = &p->axis[axis_at(at, p->n_dims, i)];
        const double size = known ? floor((double)ax->in * scale + 0.5) : 0;
        if (size > INT32_MAX)
            return oct_fail(ctx, OCT_ERR_SHAPE, "sizes[%d]: output too large", i);
        ax->scale = known ? scale : 1.0;
        ax->out = known ? (int64_t)size : OCT_RESIZE_UNKNOWN;
    }
    return OCT_OK;
}

static void set_roi(const oct_attr_resize *at, const oct_tensor *roi, int n, oct_resize_plan *p)
{
    for (int i = 0; i < n; i++) {
        oct_resize_axis *ax = &p->axis[axis_at(at, p->n_dims, i)];
        ax->roi_lo = oct_elem_f64(roi->data, roi->desc.dtype, (size_t)i);
        ax->roi_hi = oct_elem_f64(roi->data, roi->desc.dtype, (size_t)(n + i));
    }
}

oct_status oct_resize_plan_make(oct_ctx *ctx, const oct_attr_resize *at, const oct_shape *x,
                                const oct_tensor *roi, const oct_tensor *scales,
                                const oct_tensor *sizes, oct_resize_plan *out)
{
    oct_resize_plan p = {.n_dims = x->n_dims};
    const int n = at->n_axes ? at->n_axes : x->n_dims;
    const size_t n_scales = count_of(scales), n_sizes = count_of(sizes), n_roi = count_of(roi);
    OCT_TRY(check_axes(ctx, at, x->n_dims));
    if ((n_scales != 0) == (n_sizes != 0) || n_scales + n_sizes != (size_t)n)
        return oct_fail(ctx, OCT_ERR_SHAPE, "scales: %zu and sizes: %zu values, expected %d of one",
                        n_scales, n_sizes, n);
    for (int k = 0; k < x->n_dims; k++)
        p.axis[k] = (oct_resize_axis){x->dim[k], x->dim[k], 1.0, 0.0, 1.0};
    if (at->coord == OCT_COORD_TF_CROP_AND_RESIZE) {
        if (n_roi != 2 * (size_t)n)
            return oct_fail(ctx, OCT_ERR_SHAPE, "roi: %zu values, expected %d", n_roi, 2 * n);
        set_roi(at, roi, n, &p);
    }
    if (n_scales)
        OCT_TRY(set_by_scales(ctx, at, scales, n, &p));
    else if (at->aspect == OCT_ASPECT_STRETCH)
        OCT_TRY(set_stretched(ctx, at, sizes->data, n, &p));
    else
        OCT_TRY(set_by_aspect(ctx, at, sizes->data, n, &p));
    *out = p;
    return OCT_OK;
}

/* ---- coordinates ----------------------------------------------------------------------------- */

bool oct_resize_axis_is_identity(const oct_attr_resize *at, const oct_resize_axis *ax)
{
    if (at->coord == OCT_COORD_TF_CROP_AND_RESIZE && (ax->roi_lo != 0 || ax->roi_hi != 1))
        return false;
    return ax->in == ax->out && ax->scale == 1.0 && at->coord != OCT_COORD_TF_HALF_PIXEL_FOR_NN;
}

static double source_of(const oct_attr_resize *at, const oct_resize_axis *ax, int64_t o)
{
    const double x = (double)o, in = (double)ax->in, width = ax->scale * in;
    switch (at->coord) {
    case OCT_COORD_ALIGN_CORNERS:
        return width == 1 ? 0.0 : x * (in - 1) / (width - 1);
    case OCT_COORD_ASYMMETRIC:
        return x / ax->scale;
    case OCT_COORD_TF_CROP_AND_RESIZE: {
        const double span = (ax->roi_hi - ax->roi_lo) * (in - 1);
        return ax->roi_lo * (in - 1) + (width == 1 ? span / 2 : x * span / (width - 1));
    }
    case OCT_COORD_PYTORCH_HALF_PIXEL:
        return ax->out == 1 ? 0.0 : (x + 0.5) / ax->scale - 0.5;
    case OCT_COORD_HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)ax->out / width) + (x + 0.5) / ax->scale - 0.5;
    case OCT_COORD_TF_HALF_PIXEL_FOR_NN:
        return (x + 0.5) / ax->scale;
    default:
        return (x + 0.5) / ax->scale - 0.5;
    }
}

/* ---- taps ------------------------------------------------------------------------------------- */

/* Keys' cubic: |t| <= 1 and 1 < |t| < 2. */
static double cubic_weight(double t, double a)
{
    t = fabs(t);
    if (t <= 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static double linear_weight(double t)
{
    t = fabs(t);
    return t < 1 ? 1 - t : 0;
}

/* First tap relative to the pixel left of the source; the last one is 1 - first. */
static int64_t first_tap(const oct_attr_resize *at, double scale)
{
    const double reach = at->mode == OCT_RESIZE_CUBIC ? 2 : 1;
    const double shrink = at->antialias && scale < 1 ? scale : 1;
    return (int64_t)floor(-reach / shrink) + 1;
}

int64_t oct_resize_taps_max(const oct_attr_resize *at, int64_t in, int64_t out)
{
    if (at->mode == OCT_RESIZE_NEAREST)
        return 1;
    /* `out` may have been rounded up from scale * in by half an element */
    const double scale = out > 0 && in > 0 ? ((double)out - 0.5) / (double)in : 1;
    return 2 - 2 * first_tap(at, scale);
}

static int64_t nearest_index(const oct_attr_resize *at, double x)
{
    switch (at->nearest) {
    case OCT_NEAREST_ROUND_PREFER_CEIL:
        return (int64_t)floor(x + 0.5);
    case OCT_NEAREST_FLOOR:
        return (int64_t)floor(x);
    case OCT_NEAREST_CEIL:
        return (int64_t)ceil(x);
    default:
        return (int64_t)ceil(x - 0.5);
    }
}

static int32_t clamp_index(int64_t i, int64_t n)
{
    return (int32_t)(i < 0 ? 0 : i >= n ? n - 1 : i);
}

int oct_resize_taps(const oct_attr_resize *at, const oct_resize_axis *ax, int64_t o, int32_t *index,
                    float *weight)
{
    const double x = source_of(at, ax, o);
    if (at->coord == OCT_COORD_TF_CROP_AND_RESIZE && !(x >= 0 && x <= (double)(ax->in - 1)))
        return 0; /* also a region that is not a number */
    if (at->mode == OCT_RESIZE_NEAREST) {
        index[0] = clamp_index(nearest_index(at, x), ax->in);
        weight[0] = 1;
        return 1;
    }
    const double left = floor(x), shrink = at->antialias && ax->scale < 1 ? ax->scale : 1;
    const int64_t first = first_tap(at, ax->scale);
    double sum = 0;
    int n = 0;
    for (int64_t t = first; t <= 1 - first; t++) {
        const double d = ((double)t - (x - left)) * shrink;
        const int64_t i = (int64_t)left + t;
        const bool outside = at->exclude_outside && (i < 0 || i >= ax->in);
        const double w = outside                        ? 0
                         : at->mode == OCT_RESIZE_CUBIC ? cubic_weight(d, at->cubic_coeff_a)
                                                        : linear_weight(d);
        index[n] = clamp_index(i, ax->in);
        weight[n++] = (float)w;
        sum += w;
    }
    /* whole weights already sum to 1 */
    for (int t = 0; (at->antialias || at->exclude_outside) && sum != 0 && t < n; t++)
        weight[t] = (float)(weight[t] / sum);
    return n;
}
