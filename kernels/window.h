/* SPDX-License-Identifier: Apache-2.0
 *
 * Sliding windows with everything resolved: kernel, strides, dilations, pads (auto_pad
 * included) and output sizes of convolutions and pools. The one place that computes them:
 * inference and all backends ask here. Source: ONNX Conv, ConvTranspose, MaxPool.
 */
#ifndef OCT_KERNELS_WINDOW_H
#define OCT_KERNELS_WINDOW_H

#include "base/ctx.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_WINDOW_UNKNOWN (-1)

/* Spatial axes are numbered from 0 (logical axis 2 of the tensors). */
typedef struct oct_window {
    int n; /* 1 .. OCT_MAX_SPATIAL */
    int64_t in[OCT_MAX_SPATIAL];
    int64_t out[OCT_MAX_SPATIAL]; /* may be a symbol of the input, or OCT_WINDOW_UNKNOWN */
    int64_t kernel[OCT_MAX_SPATIAL];
    int64_t stride[OCT_MAX_SPATIAL];
    int64_t dilation[OCT_MAX_SPATIAL];
    int64_t pad_lo[OCT_MAX_SPATIAL]; /* 0 while auto_pad meets an unknown input size */
    int64_t pad_hi[OCT_MAX_SPATIAL];
} oct_window;

/* `x`: shape [N, C, spatial...]. `w`: shape of the weights, or NULL for pools, which take
 * the kernel from the attributes. OCT_OP_CONV_TRANSPOSE as `op` resolves a transposed window,
 * any other op a forward one. OCT_ERR_SHAPE names the attribute. */
OCT_MUST_CHECK oct_status oct_window_resolve(oct_ctx *ctx, oct_op op, const oct_attr_window *at,
                                             const oct_shape *x, const oct_shape *w,
                                             oct_window *out);

/* The same window with OCT_MAX_SPATIAL axes: leading axes of size 1 in front. */
oct_window oct_window_to_3d(const oct_window *w);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_WINDOW_H */
