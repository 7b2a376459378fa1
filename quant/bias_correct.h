/* SPDX-License-Identifier: Apache-2.0
 *
 * Bias correction: rounding a layer's weights moves the mean of its outputs; the bias takes that
 * back.
 *
 *     bias'[o] = bias[o] - sum over inputs i and taps k of (wq[o,i,k] - w[o,i,k]) * E[x_i] * p[k]
 *
 * wq are the weights that the integers stand for, E[x_i] the mean of the layer's input channel over
 * the calibration images, p[k] the share of output positions at which tap k reads data and not
 * padding (1 where the shapes are not known). For ConvTranspose p = 1 / product of the strides: an
 * output position meets that share of the taps, on average. Everything in double, rounded once.
 *
 * What it leaves: that E[x] is not the same at every position, and what rounding and clipping x
 * adds. Source: Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias
 * Correction, section 4.2 (there with analytic means).
 */
#ifndef OCT_QUANT_BIAS_CORRECT_H
#define OCT_QUANT_BIAS_CORRECT_H

#include "quant/placement.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Corrects every quantized layer of `p` with constant weights whose input has means, in `g`, and lists
 * them in `p`; nothing without scheme->means. A layer without a bias gets one, but for MatMul, and for
 * ONNX Runtime (it fuses quantized biases only). Bias points of `p` move to the new constants. */
OCT_MUST_CHECK oct_status oct_bias_correct(oct_ctx *ctx, oct_graph *g, oct_placement *p,
                                           const oct_scheme *scheme);

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_BIAS_CORRECT_H */
