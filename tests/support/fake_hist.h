/* SPDX-License-Identifier: Apache-2.0
 *
 * The fake device's histograms (kernels/hist_device.h): those of calib/histogram.h, in host
 * memory. fake_device.c queues the counting; these do it.
 */
#ifndef OCT_TESTS_SUPPORT_FAKE_HIST_H
#define OCT_TESTS_SUPPORT_FAKE_HIST_H

#include "calib/histogram.h"
#include "kernels/backend.h"

struct oct_hist_device {
    oct_backend *be;
    oct_ctx *ctx;
    uint32_t n_values;
    int max_images;
    oct_hist *hist;
    oct_hist_image *image;
    uint64_t (*exact)[2][OCT_HIST_EXACT_BINS];
};

/* Members of the vtable that wait for nothing. */
oct_status fake_hist_create(oct_backend *be, oct_ctx *ctx, uint32_t n_values, int max_images,
                            oct_hist_device **out);
void fake_hist_destroy(oct_backend *be, oct_hist_device *h);
oct_status fake_hist_begin(oct_hist_device *h, oct_ctx *ctx, oct_stream *s);
oct_status fake_hist_read(oct_hist_device *h, oct_ctx *ctx, uint32_t value, oct_hist_counts *out);
oct_status fake_hist_read_exact(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                                uint64_t table[2][OCT_HIST_EXACT_BINS]);

/* What was queued, when its turn comes; `x->data` is a host address. */
oct_status fake_hist_count(oct_hist_device *h, oct_ctx *ctx, uint32_t value,
                           const oct_hist_slice *x);
void fake_hist_count_exact(oct_hist_device *h, uint32_t value, const oct_hist_slice *slice,
                           const double scale[2]);

#endif /* OCT_TESTS_SUPPORT_FAKE_HIST_H */
