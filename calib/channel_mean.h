/* SPDX-License-Identifier: Apache-2.0
 *
 * Means of the channels of one value over all images: what bias correction needs of the inputs of
 * layers with weights (quant/bias_correct.h).
 *
 * An image's sum of a channel is taken in double, in an order that only its shape and layout
 * decide, and then added exactly (exact_sum.h). So the means add up like histograms: any order,
 * number of threads, shards and merges gives the same bytes.
 *
 * Thread-safety: none; one writer at a time.
 */
#ifndef OCT_CALIB_CHANNEL_MEAN_H
#define OCT_CALIB_CHANNEL_MEAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/ctx.h"
#include "base/tensor.h"
#include "calib/exact_sum.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a layer's input has its channels. */
typedef enum oct_mean_axis {
    OCT_MEAN_AXIS_1 = 0,    /* convolutions */
    OCT_MEAN_AXIS_LAST = 1, /* matrix products */
    OCT_MEAN_AXIS_COUNT,
} oct_mean_axis;

typedef struct oct_channel_mean {
    oct_mean_axis axis;
    bool mixed;         /* images disagree on the number of channels: no means */
    size_t n_channels;  /* 0 until something was counted, and if mixed */
    uint64_t n;         /* values of each channel */
    oct_exact_sum *sum; /* n_channels; n_big counts images whose sum is not usable */
} oct_channel_mean;

OCT_MUST_CHECK oct_status oct_channel_mean_new(oct_ctx *ctx, oct_mean_axis axis,
                                               oct_channel_mean **out);
void oct_channel_mean_free(oct_ctx *ctx, oct_channel_mean *m); /* NULL is allowed */

/* One image's sums, by one thread. Zero it first. */
typedef struct oct_channel_sums {
    double *sum; /* `cap` of them; owned */
    size_t cap, n_channels;
    uint64_t n; /* values of each channel */
} oct_channel_sums;
void oct_channel_sums_deinit(oct_ctx *ctx, oct_channel_sums *s);

/* Adds up the channels of a dense value; one without that axis or without elements gives
 * n_channels 0. */
OCT_MUST_CHECK oct_status oct_channel_sums_take(oct_ctx *ctx, oct_channel_sums *s,
                                                const oct_tensor *t, oct_mean_axis axis);
/* Books an image. */
OCT_MUST_CHECK oct_status oct_channel_mean_add(oct_ctx *ctx, oct_channel_mean *m,
                                               const oct_channel_sums *image);
/* Adds `src`, of the same axis, to `dst`. */
OCT_MUST_CHECK oct_status oct_channel_mean_merge(oct_ctx *ctx, oct_channel_mean *dst,
                                                 const oct_channel_mean *src);

/* Whether there are means, all finite. */
bool oct_channel_mean_is_usable(const oct_channel_mean *m);
double oct_channel_mean_at(const oct_channel_mean *m, size_t channel);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_CHANNEL_MEAN_H */
