/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/weight_scale.h"

#include <float.h>
#include <math.h>

#include "base/numeric.h"

#define Q_MAX 127
#define MSE_STEPS 80
#define MSE_LOWEST 0.2

/* A channel's elements: `n_outer` runs of `inner` values, `stride` apart, from `at`. */
typedef struct channel {
    const float *w;
    size_t n_outer, inner, stride;
} channel;

static channel channel_of(const float *w, const oct_shape *shape, int axis, size_t c)
{
    size_t outer = 1, inner = 1;
    if (axis < 0) {
        for (int d = 0; d < shape->n_dims; d++)
            inner *= (size_t)shape->dim[d];
        return (channel){w, 1, inner, inner};
    }
    for (int d = 0; d < axis; d++)
        outer *= (size_t)shape->dim[d];
    for (int d = axis + 1; d < shape->n_dims; d++)
        inner *= (size_t)shape->dim[d];
    return (channel){w + c * inner, outer, inner, inner * (size_t)shape->dim[axis]};
}

size_t oct_weight_n_scales(const oct_shape *shape, int axis)
{
    return axis < 0 ? 1 : (size_t)shape->dim[axis];
}

/* max|w|; NaN or infinity if the channel holds one. */
static float max_abs(const channel *ch)
{
    float most = 0;
    for (size_t o = 0; o < ch->n_outer; o++) {
        const float *w = ch->w + o * ch->stride;
        for (size_t i = 0; i < ch->inner; i++) {
            const float a = fabsf(w[i]);
            if (!(a <= FLT_MAX))
                return a;
            most = a > most ? a : most;
        }
    }
    return most;
}

/* The smallest normal float keeps requantization factors normal (DESIGN 3). */
static float scale_of(float amax)
{
    const float s = amax / Q_MAX;
    return amax == 0 ? 1.0f : fmaxf(s, FLT_MIN);
}

static double squared_error(const channel *ch, float scale)
{
    double sum = 0;
    const oct_qparams p = {scale, 0};
    for (size_t o = 0; o < ch->n_outer; o++) {
        const float *w = ch->w + o * ch->stride;
        for (size_t i = 0; i < ch->inner; i++) {
            const double e = (double)w[i] - (double)scale * oct_quantize(w[i], p, -Q_MAX, Q_MAX);
            sum += e * e;
        }
    }
    return sum;
}

static float mse_scale(const channel *ch, float amax)
{
    float best = scale_of(amax);
    double least = squared_error(ch, best);
    for (int k = 1; k < MSE_STEPS && amax > 0; k++) {
        const double part = 1.0 - k * ((1.0 - MSE_LOWEST) / MSE_STEPS);
        const float s = scale_of((float)(amax * part));
        const double e = squared_error(ch, s);
        if (e < least) {
            least = e;
            best = s;
        }
    }
    return best;
}

oct_status oct_weight_scales(oct_ctx *ctx, const float *w, const oct_shape *shape, int axis,
                             oct_weight_method method, float *scale)
{
    const size_t n = oct_weight_n_scales(shape, axis);
    for (size_t c = 0; c < n; c++) {
        const channel ch = channel_of(w, shape, axis, c);
        const float amax = max_abs(&ch);
        if (!isfinite(amax))
            return oct_fail(ctx, OCT_ERR_RANGE, "weight channel %zu holds a NaN or an infinity", c);
        scale[c] = method == OCT_WEIGHT_MSE ? mse_scale(&ch, amax) : scale_of(amax);
    }
    return OCT_OK;
}

void oct_weight_scales_fit_bias(float *scale, size_t n_scales, const float *bias, size_t n,
                                float x_scale)
{
    const double most = 0x1p30;
    for (size_t c = 0; c < n; c++) {
        float *s = &scale[n_scales == 1 ? 0 : c];
        const double need = fabs((double)bias[c]) / (most * x_scale);
        if (need > *s)
            *s = nextafterf((float)need, INFINITY);
    }
}

void oct_weight_quantize(const float *w, const oct_shape *shape, int axis, const float *scale,
                         int8_t *q)
{
    const size_t n = oct_weight_n_scales(shape, axis);
    for (size_t c = 0; c < n; c++) {
        const channel ch = channel_of(w, shape, axis, c);
        const oct_qparams p = {scale[c], 0};
        for (size_t o = 0; o < ch.n_outer; o++) {
            const float *src = ch.w + o * ch.stride;
            int8_t *dst = q + (src - w);
            for (size_t i = 0; i < ch.inner; i++)
                dst[i] = (int8_t)oct_quantize(src[i], p, -Q_MAX, Q_MAX);
        }
    }
}
