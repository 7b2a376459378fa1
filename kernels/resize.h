/* SPDX-License-Identifier: Apache-2.0
 *
 * Resize resolved: output sizes, and for each axis which input elements an output element is
 * made of, with which weights. Shared by inference and all backends. Source: ONNX Resize and
 * its reference implementation.
 */
#ifndef OCT_KERNELS_RESIZE_H
#define OCT_KERNELS_RESIZE_H

#include "base/ctx.h"
#include "base/tensor.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One axis. scale = output / input as the formulas use it. */
typedef struct oct_resize_axis {
    int64_t in, out;
    double scale;
    double roi_lo, roi_hi; /* of tf_crop_and_resize, in units of the input's size */
} oct_resize_axis;

typedef struct oct_resize_plan {
    int n_dims;
    oct_resize_axis axis[OCT_MAX_DIMS];
} oct_resize_plan;

/* Inputs 1..3 of the op: tensors with data, or NULL where absent (an empty tensor counts as
 * absent). Exactly one of `scales` and `sizes` is expected. `x` may have unknown dims; those of
 * the result are then OCT_RESIZE_UNKNOWN unless they follow. */
#define OCT_RESIZE_UNKNOWN (-1)
OCT_MUST_CHECK oct_status oct_resize_plan_make(oct_ctx *ctx, const oct_attr_resize *at,
                                               const oct_shape *x, const oct_tensor *roi,
                                               const oct_tensor *scales, const oct_tensor *sizes,
                                               oct_resize_plan *out);

/* True when the axis comes out as it is. */
bool oct_resize_axis_is_identity(const oct_attr_resize *at, const oct_resize_axis *ax);

/* Input elements one output element is made of (an upper bound that needs only in and out). */
int64_t oct_resize_taps_max(const oct_attr_resize *at, int64_t in, int64_t out);

/* Taps of output element `o`: indices (clamped into the input) and weights; returns their number,
 * 0 when the element lies outside the crop and gets the extrapolation value. NEAREST has one. */
int oct_resize_taps(const oct_attr_resize *at, const oct_resize_axis *ax, int64_t o, int32_t *index,
                    float *weight);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_RESIZE_H */
