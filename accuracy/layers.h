/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensor by tensor: what a candidate's values are beside the reference's on the same images.
 *
 *     image ──► reference, observed where the candidate is ──► kept for this image
 *           ──► candidate as it really runs (no barrier) ──► sums per tensor and image
 *
 * Tensors are paired by ONNX name; a candidate's integers stand for the float tensor that was quantized,
 * and are compared as scale * (q - zero_point). What the candidate no longer computes by itself,
 * because fusion swallowed it, is listed. Memory is one image's values a worker plus five numbers a
 * tensor and image, added in the data set's order, so that results do not depend on threads.
 *
 *     SQNR = 10 lg (sum ref^2 / sum (cand - ref)^2) dB     cosine = sum ref cand / (|ref| |cand|)
 *     saturation = share of integers at an end of their range that is not the zero point
 */
#ifndef OCT_ACCURACY_LAYERS_H
#define OCT_ACCURACY_LAYERS_H

#include "base/batch.h"
#include "engine/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_layer_value {
    const char *name, *op; /* op that makes it in the reference; "input" */
    uint64_t elements;     /* compared, over all images */
    bool equal;
    double sqnr_db; /* infinity when equal; NaN when the reference is all zero */
    double cosine, max_error;
    double saturation, scale; /* NaN: the candidate has it in floating point */
} oct_layer_value;

typedef struct oct_layer_removed {
    const char *name, *reason;
} oct_layer_removed;

/* An operator of the candidate's plan. */
typedef struct oct_layer_op {
    const char *node, *op, *reason;
    bool integer;
} oct_layer_op;

/* Everything lives in `arena`. */
typedef struct oct_layers {
    oct_arena *arena;
    oct_layer_value *value; /* in the reference's execution order */
    size_t n_values;
    oct_layer_removed *removed; /* in the reference's order */
    size_t n_removed;
    oct_layer_op *
        op; /* in execution order; without conversions between layouts and types, and without arithmetic on shapes */
    size_t n_ops;
    uint64_t n_images;
} oct_layers;

typedef struct oct_layers_options {
    const oct_model *reference, *candidate;            /* borrowed */
    uint32_t reference_precision, candidate_precision; /* OCT_PRECISION_* bits */
    const char *backend;                               /* of both; a device's values are copied */
    struct oct_backend *opened;                        /* used instead when not NULL; borrowed */
    int workers;                                       /* 0 = oct_cpu_count() */
    void (*progress)(void *user, int64_t n_done);      /* any thread; may be NULL */
    void *user;
} oct_layers_options;

/* Runs `source` to its end. Release with oct_layers_deinit() whatever the outcome.
 * OCT_ERR_NOT_FOUND: no image, or no tensor in common; OCT_ERR_SHAPE: a tensor differs in shape. */
OCT_MUST_CHECK oct_status oct_layers_compare(oct_ctx *ctx, const oct_layers_options *opt,
                                             oct_batch_source *source, oct_layers *out);
void oct_layers_deinit(oct_layers *l); /* zeroed structs are fine */

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_LAYERS_H */
