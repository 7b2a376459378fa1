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
    size_t left_out; /* by kc_selection */
} kc_state_t;

extern kc_state_t kc_state;

size_t kc_elems(const kc_tensor *t);
size_t kc_bytes(const kc_tensor *t);

/* How a case is offered to a backend. */
typedef struct kc_offer {
    oct_layout layout;
    int threads;
    bool strided;            /* tensors as windows of larger ones */
    bool in_place;           /* output 0 in the bytes of an input that may be overwritten */
    bool captured;           /* replayed from a graph (devices) */
    struct kc_names *survey; /* not run: gets the names of what would run */
} kc_offer;

/* The ways in which the harness offers a case with so many threads. */
enum { KC_MAX_OFFERS = 4, KC_MAX_CANDIDATES = 32 };
int kc_offers(const kcase *k, int threads, kc_offer list[KC_MAX_OFFERS]);

/* Candidates of `be` for the case offered so; `reason` when 0. */
int kc_candidates(kcase *k, oct_backend *be, const kc_offer *o, oct_candidate *list, int cap,
                  char *reason);
/* Runs one candidate behind guard bytes; results in row-major order to out[]. */
void kc_result(kcase *k, oct_backend *be, const oct_candidate *c, const kc_offer *o, void *out[2]);
/* What it would run: nothing does. */
void kc_survey(kcase *k, oct_backend *be, const oct_candidate *c, kc_offer o,
               struct kc_names *names);

/* ---- kcase_kernels.c ---- */

enum { KC_MAX_KERNELS = 16 };

/* Hashes of the names of device functions, in the order in which they would run. */
typedef struct kc_names {
    uint64_t hash[KC_MAX_KERNELS];
    int n;
} kc_names;

/* Records what `p` queues without running it. On the host: nothing. */
void kc_names_of(const oct_prepared *p, oct_backend *be, const oct_run_args *a, kc_names *names);
/* FNV-1a; start with 0. */
uint64_t kc_hash(uint64_t h, const void *bytes, size_t n);

/* ---- kcase_select.c ---- */

void kc_select_open(void);
void kc_select_close(void);
/* Whether kc_check() shall run this case; counts the cases. A surveyed one is not run. */
bool kc_selected(kcase *k);
/* Whether it shall run this candidate of this of the case's offers. */
bool kc_run_selected(int offer, int candidate);
/* Whether runs are left out; the others are not repeated from a graph. */
bool kc_selecting(void);

#endif /* OCT_TESTS_KERNELS_KCASE_INTERNAL_H */
