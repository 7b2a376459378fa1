/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend that behaves like a GPU and needs none: its memory lies at addresses that the host
 * cannot read (a wrong access crashes), work queued on a stream happens only when someone
 * waits, captured work is recorded, and what a GPU forbids (waiting or allocating while capturing,
 * host pointers in kernels) fails. Kernels are those of "cpu" or "ref".
 */
#ifndef OCT_TESTS_SUPPORT_FAKE_DEVICE_H
#define OCT_TESTS_SUPPORT_FAKE_DEVICE_H

#include "kernels/backend.h"

typedef struct fake_device_counts {
    size_t allocations, live_bytes;
    size_t copies_in, copies_out, copies_within; /* queued */
    size_t launches;                             /* of kernels, outside of graphs */
    size_t captures, graph_launches, syncs;
} fake_device_counts;

typedef struct fake_device_options {
    const char *kernels;         /* "cpu" or "ref" */
    bool (*declines)(oct_op op); /* may be NULL */
    bool packs_weights;          /* constant input 1 of Conv and Gemm is packed */
    bool fails_to_capture;
    bool twins;       /* offers the first candidate once more as "twin": there is a choice */
    const char *chip; /* what it calls itself; "fake" by default */
} fake_device_options;

OCT_MUST_CHECK oct_status fake_device_open(oct_ctx *ctx, const fake_device_options *opt,
                                           oct_backend **out);
fake_device_counts fake_device_count(const oct_backend *be);

#endif /* OCT_TESTS_SUPPORT_FAKE_DEVICE_H */
