/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/window.h"

/* Larger sizes than this are refused, so that no sum or product below can overflow. */
#define MAX_SIZE INT32_MAX

static oct_status fill(oct_ctx *ctx, const char *what, const int64_t *given, int n_given, int n,
                       int64_t absent, int64_t lo, int64_t *out)
{
    if (n_given != 0 && n_given != n)
        return oct_fail(ctx, OCT_ERR_SHAPE, "%s: %d values, expected %d", what, n_given, n);
    for (int k = 0; k < n; k++) {
        out[k] = n_given ? given[k] : absent;
        if (out[k] < lo || out[k] > MAX_SIZE)
            return oct_fail(ctx, OCT_ERR_SHAPE, "%s[%d]: %lld, expected %lld to %d", what, k,
                            (long long)out[k], (long long)lo, MAX_SIZE);
    }
    return OCT_OK;
}

static oct_status fill_kernel(oct_ctx *ctx, const oct_attr_window *at, const oct_shape *w,
                              oct_window *o)
{
    if (!w || w->n_dims < 0) {
        if (at->n_kernel == 0)
            return oct_fail(ctx, OCT_ERR_SHAPE, "kernel_shape: missing");
        return fill(ctx, "kernel_shape", at->kernel, at->n_kernel, o->n, 0, 1, o->kernel);
    }
    if (w->n_dims != o->n + 2)
        return oct_fail(ctx, OCT_ERR_SHAPE, "weights: rank %d, expected %d", w->n_dims, o->n + 2);
    OCT_TRY(fill(ctx, "kernel_shape", at->kernel, at->n_kernel, o->n, 1, 1, o->kernel));
    for (int k = 0; k < o->n; k++) {
        const int64_t dim = w->dim[k + 2];
        if (dim < 0 && at->n_kernel == 0)
            return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "weights: kernel size %d is not known", k);
        if (dim >= 0 && at->n_kernel != 0 && dim != o->kernel[k])
            return oct_fail(ctx, OCT_ERR_SHAPE, "kernel_shape[%d]: %lld, the weights have %lld", k,
                            (long long)o->kernel[k], (long long)dim);
        if (dim >= 0)
            o->kernel[k] = dim;
        if (o->kernel[k] < 1 || o->kernel[k] > MAX_SIZE)
            return oct_fail(ctx, OCT_ERR_SHAPE, "kernel size %d: %lld", k, (long long)o->kernel[k]);
    }
    return OCT_OK;
}

static oct_status fill_pads(oct_ctx *ctx, const oct_attr_window *at, oct_window *o)
{
    int64_t pad[2 * OCT_MAX_SPATIAL];
    if (at->auto_pad != OCT_PAD_NOTSET)
        return OCT_OK; /* known once the sizes are */
    OCT_TRY(fill(ctx, "pads", at->pad, at->n_pad, 2 * o->n, 0, 0, pad));
    for (int k = 0; k < o->n; k++) {
        o->pad_lo[k] = pad[k];
        o->pad_hi[k] = pad[k + o->n];
    }
    return OCT_OK;
}

static int64_t span(const oct_window *o, int k) /* input positions under one window */
{
    return (o->kernel[k] - 1) * o->dilation[k] + 1;
}

static int64_t max0(int64_t v)
{
    return v > 0 ? v : 0;
}

static void same_pads(oct_window *o, int k, bool upper, int64_t total)
{
    o->pad_lo[k] = upper ? total / 2 : total - total / 2;
    o->pad_hi[k] = total - o->pad_lo[k];
}

static bool is_same(oct_auto_pad p)
{
    return p == OCT_PAD_SAME_UPPER || p == OCT_PAD_SAME_LOWER;
}

/* ---- forward: convolutions and pools ------------------------------------------------------ */

static oct_status forward_axis(oct_ctx *ctx, const oct_attr_window *at, oct_window *o, int k)
{
    const int64_t in = o->in[k], step = o->stride[k];
    if (is_same(at->auto_pad)) {
        o->out[k] = in < 0 ? (step == 1 ? in : OCT_WINDOW_UNKNOWN) : (in + step - 1) / step;
        if (in >= 0)
            same_pads(o, k, at->auto_pad == OCT_PAD_SAME_UPPER,
                      max0((o->out[k] - 1) * step + span(o, k) - in));
        return OCT_OK;
    }
    const int64_t pads = o->pad_lo[k] + o->pad_hi[k];
    if (in < 0) {
        o->out[k] = step == 1 && pads == span(o, k) - 1 ? in : OCT_WINDOW_UNKNOWN;
        return OCT_OK;
    }
    const int64_t room = in + pads - span(o, k);
    if (room < 0)
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "spatial axis %d: window of %lld, expected within the padded input of %lld",
                        k, (long long)span(o, k), (long long)(in + pads));
    const bool up = at->ceil_mode && at->auto_pad == OCT_PAD_NOTSET;
    o->out[k] = (room + (up ? step - 1 : 0)) / step + 1;
    if (up && (o->out[k] - 1) * step >= in + o->pad_lo[k])
        o->out[k]--; /* a window that starts in the padding behind the input is none */
    return OCT_OK;
}

/* ---- transposed ------------------------------------------------------------------------------ */

static oct_status transposed_axis(oct_ctx *ctx, const oct_attr_window *at, int64_t extra,
                                  oct_window *o, int k)
{
    const int64_t in = o->in[k], step = o->stride[k];
    if (in < 0 && at->n_output_shape == 0) {
        const bool keeps = step == 1 && (is_same(at->auto_pad) ||
                                         o->pad_lo[k] + o->pad_hi[k] == span(o, k) - 1 + extra);
        o->out[k] = keeps ? in : OCT_WINDOW_UNKNOWN;
        return OCT_OK;
    }
    const int64_t full = in < 0 ? 0 : step * (in - 1) + extra + span(o, k);
    if (at->n_output_shape == 0 && !is_same(at->auto_pad)) {
        o->out[k] = full - o->pad_lo[k] - o->pad_hi[k];
    } else {
        /* SAME asks for in * step, as far as the windows reach */
        const int64_t want = at->n_output_shape ? at->output_shape[k] : in * step;
        const int64_t total = max0(full - want);
        o->out[k] = at->n_output_shape ? want : full - total;
        if (in >= 0) /* places that no window reaches stay at the end */
            same_pads(o, k, at->auto_pad == OCT_PAD_SAME_UPPER, total);
    }
    if (o->out[k] < 0 || o->out[k] > MAX_SIZE)
        return oct_fail(ctx, OCT_ERR_SHAPE, "spatial axis %d: output size %lld", k,
                        (long long)o->out[k]);
    return OCT_OK;
}

static oct_status resolve_transposed(oct_ctx *ctx, const oct_attr_window *at, oct_window *o)
{
    int64_t extra[OCT_MAX_SPATIAL], ignored[OCT_MAX_SPATIAL];
    OCT_TRY(
        fill(ctx, "output_padding", at->output_padding, at->n_output_padding, o->n, 0, 0, extra));
    OCT_TRY(fill(ctx, "output_shape", at->output_shape, at->n_output_shape, o->n, 0, 0, ignored));
    for (int k = 0; k < o->n; k++)
        OCT_TRY(transposed_axis(ctx, at, extra[k], o, k));
    return OCT_OK;
}

/* ---- public ------------------------------------------------------------------------------------- */

oct_status oct_window_resolve(oct_ctx *ctx, oct_op op, const oct_attr_window *at,
                              const oct_shape *x, const oct_shape *w, oct_window *out)
{
    oct_window o = {.n = x->n_dims - 2};
    if (o.n < 1 || o.n > OCT_MAX_SPATIAL)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "input: rank %d, expected 3 to %d", x->n_dims,
                        OCT_MAX_SPATIAL + 2);
    for (int k = 0; k < o.n; k++) {
        o.in[k] = x->dim[k + 2];
        if (o.in[k] > MAX_SIZE)
            return oct_fail(ctx, OCT_ERR_SHAPE, "input: size %lld of spatial axis %d",
                            (long long)o.in[k], k);
    }
    OCT_TRY(fill_kernel(ctx, at, w, &o));
    OCT_TRY(fill(ctx, "strides", at->stride, at->n_stride, o.n, 1, 1, o.stride));
    OCT_TRY(fill(ctx, "dilations", at->dilation, at->n_dilation, o.n, 1, 1, o.dilation));
    OCT_TRY(fill_pads(ctx, at, &o));
    if (op == OCT_OP_CONV_TRANSPOSE) {
        OCT_TRY(resolve_transposed(ctx, at, &o));
    } else {
        for (int k = 0; k < o.n; k++)
            OCT_TRY(forward_axis(ctx, at, &o, k));
    }
    *out = o;
    return OCT_OK;
}

oct_window oct_window_to_3d(const oct_window *w)
{
    oct_window o = {.n = OCT_MAX_SPATIAL};
    const int lead = OCT_MAX_SPATIAL - w->n;
    for (int k = 0; k < OCT_MAX_SPATIAL; k++) {
        const bool own = k >= lead;
        o.in[k] = own ? w->in[k - lead] : 1;
        o.out[k] = own ? w->out[k - lead] : 1;
        o.kernel[k] = own ? w->kernel[k - lead] : 1;
        o.stride[k] = own ? w->stride[k - lead] : 1;
        o.dilation[k] = own ? w->dilation[k - lead] : 1;
        o.pad_lo[k] = own ? w->pad_lo[k - lead] : 0;
        o.pad_hi[k] = own ? w->pad_hi[k - lead] : 0;
    }
    return o;
}
