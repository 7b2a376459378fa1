/* SPDX-License-Identifier: Apache-2.0
 *
 * Scales of constant weights: symmetric, q in [-127, 127], zero point 0.
 */
#ifndef OCT_QUANT_WEIGHT_SCALE_H
#define OCT_QUANT_WEIGHT_SCALE_H

#include "quant/scheme.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Number of scales for `shape` along `axis` (-1 = one for all). */
size_t oct_weight_n_scales(const oct_shape *shape, int axis);

/* Fills scale[0 .. n_scales) for a dense f32 weight. An all-zero channel gets 1. The method MSE minimises
 * sum (w - s * clamp(rne(w / s)))^2 over 80 thresholds from 0.2 to 1 of the channel's maximum;
 * ties go to the largest. NaN or infinite weights: OCT_ERR_RANGE. */
OCT_MUST_CHECK oct_status oct_weight_scales(oct_ctx *ctx, const float *w, const oct_shape *shape,
                                            int axis, oct_weight_method method, float *scale);

/* Raises scales so that every bias[c] / (x_scale * scale[c]) fits in s32 with a bit to spare.
 * n_scales is 1 or n. */
void oct_weight_scales_fit_bias(float *scale, size_t n_scales, const float *bias, size_t n,
                                float x_scale);

/* q[i] = clamp(rne(w[i] / scale), -127, 127) */
void oct_weight_quantize(const float *w, const oct_shape *shape, int axis, const float *scale,
                         int8_t *q);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_WEIGHT_SCALE_H */
