/* SPDX-License-Identifier: Apache-2.0
 *
 * Scheme: how a model is to be quantized. Plain data, filled from the command line or by API
 * callers; borrowed for the calls that take it.
 */
#ifndef OCT_QUANT_SCHEME_H
#define OCT_QUANT_SCHEME_H

#include "engine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who will read the result: decides where Q/DQ pairs stand (DESIGN 7).
 *   OCTET, TRT  inputs of weighted ops; residual branch of an Add; nothing behind a convolution
 *   ORT         besides, results of quantized ops (ONNX Runtime and OpenVINO only fuse DQ -> op -> Q);
 *               u8 activations, zero point 128 (the same grid as s8 with 0), or 0 over the full range for
 *               values that are never negative, so that Relu disappears into the clamp; bias s32. u8
 *               because ONNX Runtime on x86 turns some s8 pairs into u8 and then refuses to fuse
 *               operators between the two kinds */
typedef enum oct_quant_target {
    OCT_TARGET_OCTET,
    OCT_TARGET_TRT,
    OCT_TARGET_ORT,
    OCT_TARGET_COUNT,
} oct_quant_target;

typedef enum oct_weight_method {
    OCT_WEIGHT_MAX_ABS, /* scale = max|w| / 127 */
    OCT_WEIGHT_MSE,     /* scale of least squared error, per channel */
    OCT_WEIGHT_METHOD_COUNT,
} oct_weight_method;

/* Where the thresholds of activations come from: statistics, or any cache. `find` returns false for
 * a tensor that has none; amax is finite and > 0. */
typedef struct oct_amax_source {
    void *user;
    bool (*find)(void *user, const char *name, float *amax);
} oct_amax_source;

/* Where bias correction finds what layers read on average: means of the channels of `name`, along its
 * last axis or, if not `last`, axis 1; borrowed until the next call. False if there are none. */
typedef struct oct_mean_source {
    void *user;
    bool (*find)(void *user, const char *name, bool last, const double **mean, size_t *n);
} oct_mean_source;

/* Whether calibration never saw a negative value of `name`. */
typedef struct oct_sign_source {
    void *user;
    bool (*never_negative)(void *user, const char *name);
} oct_sign_source;

/* A pattern is a node's name, "op:Conv", or "re:REGEX" (POSIX extended, whole name). */
typedef struct oct_scheme {
    oct_quant_target target;
    oct_weight_method weights;
    bool per_tensor_weights;    /* one scale a weight instead of one a channel */
    bool matmul_of_activations; /* also quantize MatMul without a constant operand */
    bool allow_missing;         /* leave nodes whose input has no threshold in floating point */
    bool skip_first, skip_last; /* keep the first / last weighted op in floating point */
    /* Values that cannot be negative become u8 with zero point 0: eight bits for them instead of seven. Graph
     * inputs that never were, by `signs` (may be NULL), count as such. Not for TensorRT, which reads s8 only;
     * for ONNX Runtime it adds the inputs. */
    bool unsigned_activations;
    const oct_sign_source *signs;
    const oct_mean_source *means; /* corrects biases (quant/bias_correct.h); NULL = as they are */
    const char *const *include;   /* only these, if n_include > 0 */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
    const char *const *keep; /* exact names of nodes that a plan keeps in floating point */
    size_t n_keep;
} oct_scheme;

#ifdef __cplusplus
}
#endif

#endif /* OCT_QUANT_SCHEME_H */
