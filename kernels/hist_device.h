/* SPDX-License-Identifier: Apache-2.0
 *
 * Histograms that stay on a device: the counting of calib/histogram.h done where the
 * activations are, on the same grid, so that equal activations give equal counts.
 *
 *     hist = new(n_values, max_images)
 *     for each batch of images of one fold:
 *         begin(stream); engine runs, and for each observed value: count(value, tensor, ...)
 *         images(stream) -> per value and image: largest magnitudes, values that are not finite
 *     read(value) -> everything counted so far
 *
 * count() only queues work: whether the bins must become wider is decided on the device.
 * One set of histograms belongs to one stream; sets are merged on the host
 * (oct_hist_merge()). A backend without this table is calibrated on the CPU.
 */
#ifndef OCT_KERNELS_HIST_DEVICE_H
#define OCT_KERNELS_HIST_DEVICE_H

#include "base/ctx.h"
#include "base/tensor.h"
#include "kernels/hist.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oct_backend;
struct oct_stream;
typedef struct oct_hist_device oct_hist_device;

#define OCT_HIST_DEVICE_FOLDS 8
#define OCT_HIST_EXACT_BINS 2048 /* of the second pass */

/* What one image was in one value. */
typedef struct oct_hist_image {
    float pos_amax, neg_amax; /* largest magnitudes of normal values; 0 if none */
    uint32_t n_nan, n_inf;
} oct_hist_image;

/* What to count: `n_images` blocks of `n_each` elements, the first in the tensor. */
typedef struct oct_hist_slice {
    const void *data; /* device memory, dense */
    oct_dtype dtype;  /* F32 or F16 */
    size_t n_each;
    int n_images;
    int fold; /* 0 .. OCT_HIST_DEVICE_FOLDS - 1 */
} oct_hist_slice;

typedef struct oct_hist_fold_counts {
    float pos_amax, neg_amax;
    uint64_t n_zero, n_neg_inf, n_total;
} oct_hist_fold_counts;

/* Counts of one value, in the caller's memory. Widths are exponents of two, as in
 * calib/histogram.h; both 0 amax = nothing of that sign was seen. */
typedef struct oct_hist_counts {
    uint64_t bin[2 * OCT_HIST_BINS]; /* x > 0, then x < 0 */
    uint64_t coarse[OCT_HIST_DEVICE_FOLDS][2 * OCT_HIST_COARSE_BINS];
    float pos_amax, neg_amax;
    int32_t pos_exp, neg_exp;
    uint64_t n_zero, n_nan, n_pos_inf, n_neg_inf, n_total;
    oct_hist_fold_counts fold[OCT_HIST_DEVICE_FOLDS];
} oct_hist_counts;

typedef struct oct_hist_device_vtable {
    /* Histograms of n_values values for batches of up to max_images. */
    oct_status (*create)(struct oct_backend *be, oct_ctx *ctx, uint32_t n_values, int max_images,
                         oct_hist_device **out);
    void (*destroy)(struct oct_backend *be, oct_hist_device *h); /* NULL is allowed */
    oct_status (*begin)(oct_hist_device *h, oct_ctx *ctx, struct oct_stream *s);
    oct_status (*count)(oct_hist_device *h, oct_ctx *ctx, uint32_t value, const oct_hist_slice *x,
                        struct oct_stream *s);
    /* Records of the batch, [n_values][max_images]; waits for the stream. Valid until begin(). */
    oct_status (*images)(oct_hist_device *h, oct_ctx *ctx, struct oct_stream *s,
                         const oct_hist_image **list);
    /* All counts of a value since create() or its last read; they start again from zero. No
     * work may be queued. */
    oct_status (*read)(oct_hist_device *h, oct_ctx *ctx, uint32_t value, oct_hist_counts *out);

    /* Second pass (--exact-range): bins of [0, amax], bin = min(trunc(|x| * scale), last) in
     * double, for normal values; table 0 of all magnitudes, table 1 of x > 0. Scale 0 = no
     * such table. */
    oct_status (*count_exact)(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                              const oct_hist_slice *x, const double scale[2], struct oct_stream *s);
    oct_status (*read_exact)(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                             uint64_t table[2][OCT_HIST_EXACT_BINS]);
} oct_hist_device_vtable;

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_HIST_DEVICE_H */
