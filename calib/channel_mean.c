/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/channel_mean.h"

#include <assert.h>
#include <string.h>

#include "base/numeric.h"
#include "kernels/hist.h"

oct_status oct_channel_mean_new(oct_ctx *ctx, oct_mean_axis axis, oct_channel_mean **out)
{
    oct_channel_mean *m = oct_zalloc(ctx, sizeof *m);
    if (m == NULL)
        return OCT_ERR_NOMEM;
    m->axis = axis;
    *out = m;
    return OCT_OK;
}

void oct_channel_mean_free(oct_ctx *ctx, oct_channel_mean *m)
{
    if (m != NULL)
        oct_free(ctx, m->sum);
    oct_free(ctx, m);
}

void oct_channel_sums_deinit(oct_ctx *ctx, oct_channel_sums *s)
{
    oct_free(ctx, s->sum);
    *s = (oct_channel_sums){0};
}

/* ---- one image --------------------------------------------------------------------------- */

/* Elements of a value as [outer, channels, inner]. */
typedef struct extents {
    size_t outer, channels, inner;
} extents;

static bool extents_of(const oct_tensor *t, oct_mean_axis axis, extents *e)
{
    const oct_shape *s = &t->desc.shape;
    size_t n;
    if (s->n_dims < 2 || !oct_shape_elems(s, &n) || n == 0)
        return false;
    const bool channels_last = t->desc.layout == OCT_LAYOUT_CHANNELS_LAST && s->n_dims >= 3;
    if (axis == OCT_MEAN_AXIS_LAST && channels_last)
        return false; /* the last axis of a value laid out for convolutions */
    const size_t channels = (size_t)s->dim[axis == OCT_MEAN_AXIS_1 ? 1 : s->n_dims - 1];
    const size_t outer = (size_t)s->dim[0];
    if (channels_last || axis == OCT_MEAN_AXIS_LAST)
        *e = (extents){n / channels, channels, 1};
    else
        *e = (extents){outer, channels, n / outer / channels};
    return true;
}

static void sum_f32(const float *x, const extents *e, double *sum)
{
    const oct_hist_kernel *kernel = oct_hist_kernel_best();
    if (e->inner == 1) {
        kernel->sum_columns(x, e->outer, e->channels, sum);
        return;
    }
    for (size_t o = 0; o < e->outer; o++)
        for (size_t c = 0; c < e->channels; c++, x += e->inner)
            sum[c] += kernel->sum(x, e->inner);
}

static void sum_any(const oct_tensor *t, const extents *e, double *sum)
{
    size_t at = 0;
    for (size_t o = 0; o < e->outer; o++)
        for (size_t c = 0; c < e->channels; c++)
            for (size_t i = 0; i < e->inner; i++)
                sum[c] += oct_elem_f64(t->data, t->desc.dtype, at++);
}

oct_status oct_channel_sums_take(oct_ctx *ctx, oct_channel_sums *s, const oct_tensor *t,
                                 oct_mean_axis axis)
{
    extents e;
    s->n_channels = 0;
    if (!oct_tensor_desc_is_dense(&t->desc) || !extents_of(t, axis, &e))
        return OCT_OK;
    if (e.channels > s->cap) {
        oct_free(ctx, s->sum);
        s->cap = 0;
        s->sum = oct_alloc_array(ctx, e.channels, sizeof *s->sum);
        if (s->sum == NULL)
            return OCT_ERR_NOMEM;
        s->cap = e.channels;
    }
    s->n_channels = e.channels;
    s->n = (uint64_t)e.outer * e.inner;
    memset(s->sum, 0, e.channels * sizeof *s->sum);
    if (t->desc.dtype == OCT_DT_F32)
        sum_f32(t->data, &e, s->sum);
    else
        sum_any(t, &e, s->sum);
    return OCT_OK;
}

/* ---- all images -------------------------------------------------------------------------- */

/* Gets ready to add `n_channels`; false if that is another number than so far. */
static oct_status fit(oct_ctx *ctx, oct_channel_mean *m, size_t n_channels)
{
    if (m->mixed || m->n_channels == n_channels)
        return OCT_OK;
    if (m->n_channels == 0 && n_channels > 0) {
        m->sum = oct_zalloc_array(ctx, n_channels, sizeof *m->sum);
        if (m->sum == NULL)
            return OCT_ERR_NOMEM;
        m->n_channels = n_channels;
        return OCT_OK;
    }
    oct_free(ctx, m->sum);
    *m = (oct_channel_mean){.axis = m->axis, .mixed = true};
    return OCT_OK;
}

oct_status oct_channel_mean_add(oct_ctx *ctx, oct_channel_mean *m, const oct_channel_sums *image)
{
    if (image->n_channels ==
        0) { /* an image without these channels: the mean is not theirs alone */
        oct_free(ctx, m->sum);
        *m = (oct_channel_mean){.axis = m->axis, .mixed = true};
        return OCT_OK;
    }
    OCT_TRY(fit(ctx, m, image->n_channels));
    if (m->mixed)
        return OCT_OK;
    for (size_t c = 0; c < m->n_channels; c++)
        oct_exact_sum_add(&m->sum[c], image->sum[c]);
    m->n += image->n;
    return OCT_OK;
}

oct_status oct_channel_mean_merge(oct_ctx *ctx, oct_channel_mean *dst, const oct_channel_mean *src)
{
    assert(dst->axis == src->axis);
    if (src->n_channels == 0 && !src->mixed)
        return OCT_OK;
    OCT_TRY(fit(ctx, dst, src->n_channels)); /* 0 if mixed: then no number fits */
    dst->mixed = dst->mixed || src->mixed;
    if (dst->mixed)
        return OCT_OK;
    for (size_t c = 0; c < dst->n_channels; c++)
        oct_exact_sum_merge(&dst->sum[c], &src->sum[c]);
    dst->n += src->n;
    return OCT_OK;
}

bool oct_channel_mean_is_usable(const oct_channel_mean *m)
{
    for (size_t c = 0; c < m->n_channels; c++)
        if (m->sum[c].n_big > 0)
            return false;
    return m->n_channels > 0 && m->n > 0;
}

double oct_channel_mean_at(const oct_channel_mean *m, size_t channel)
{
    assert(channel < m->n_channels);
    return oct_exact_sum_value(&m->sum[channel]) / (double)m->n;
}
