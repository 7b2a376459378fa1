/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the kernel-test harness share.
 */
#ifndef OCT_TESTS_KERNELS_KCASE_INTERNAL_H
#define OCT_TESTS_KERNELS_KCASE_INTERNAL_H

#include "tests/kernels/kcase.h"

typedef struct kc_state_t {
    oct_ctx *ctx;
    oct_backend *ref, *be;
    oct_stream *stream; /* of a device */
    size_t cases, declined, candidates, own, strided, in_place, n8, off_by_one;
} kc_state_t;

extern kc_state_t kc_state;

size_t kc_elems(const kc_tensor *t);
size_t kc_bytes(const kc_tensor *t);

/* How a case is offered to a backend. */
typedef struct kc_offer {
    oct_layout layout;
    int threads;
    bool strided;  /* tensors as windows of larger ones */
    bool in_place; /* output 0 in the bytes of an input that may be overwritten */
    bool captured; /* replayed from a graph (devices) */
} kc_offer;

/* Candidates of `be` for the case offered so; `reason` when 0. */
int kc_candidates(kcase *k, oct_backend *be, const kc_offer *o, oct_candidate *list, int cap,
                  char *reason);
/* Runs one candidate behind guard bytes; results in row-major order to out[]. */
void kc_result(kcase *k, oct_backend *be, const oct_candidate *c, const kc_offer *o, void *out[2]);

#endif /* OCT_TESTS_KERNELS_KCASE_INTERNAL_H */
