/* SPDX-License-Identifier: Apache-2.0
 *
 * One descriptor run by `ref` and by every candidate that the backend under test has for it, in
 * the layouts asked for, each run twice and behind guard bytes. The backend is `cpu` (with 1
 * and 3 threads), or what the environment's OCT_TEST_BACKEND names: "cuda", "cuda:1". On a
 * device everything is also offered strided (windows of larger tensors), the second run is
 * replayed from a captured graph (so run() may neither allocate nor wait), and without a device the
 * program ends with 77, saying so. Candidates with may_alias are also run in place.
 *
 *     kc_begin(&k, OCT_OP_CONV, &attr);
 *     kc_in_f32(&k, shape, KC_NORMAL);          row-major data; laid out as k.layout says when run
 *     kc_const(kc_in_f32(&k, ...));             known to the backend ahead
 *     kc_out(&k, OCT_DT_F32);                   shape by engine/infer.h
 *     kc_check(&k, tolerance);                  relative to the largest |value| of `ref`
 *
 * kc_totals() prints how many candidates were compared, so that a test of nothing shows.
 */
#ifndef OCT_TESTS_KERNELS_KCASE_H
#define OCT_TESTS_KERNELS_KCASE_H

#include "base/rng.h"
#include "kernels/backend.h"

#define KC_MAX 6

typedef enum kc_fill {
    KC_NORMAL,   /* standard normal */
    KC_SMALL,    /* a tenth of that */
    KC_WIDE,     /* signs and magnitudes 1e-6 .. 1e6, some zeros */
    KC_POSITIVE, /* uniform in [0.1, 2) */
    KC_INTS,     /* full range of the integer type */
    KC_EXTREMES, /* mostly the ends of the integer type's range */
} kc_fill;

typedef struct kc_tensor {
    oct_tensor_desc desc; /* row-major */
    void *data;
    bool constant;
    bool fixed_layout; /* weights and the like: always row-major */
    oct_quant quant;
    oct_qparams *qparams;
} kc_tensor;

typedef struct kcase {
    oct_op op;
    const void *attr;
    kc_tensor in[KC_MAX], out[2];
    int n_in, n_out;
    oct_epilogue epilogue;
    oct_layout layout; /* for tensors of rank >= 3 that are not fixed */
    bool may_decline;  /* no candidate of a device in any layout is no failure; for all cases:
                             OCT_TEST_MAY_DECLINE=1 in the environment */
    oct_rng rng;
} kcase;

void kc_open(void); /* `ref` and the backend under test */
bool kc_on_device(void);
void kc_close(void);
void kc_totals(const char *what);

void kc_begin(kcase *k, oct_op op, const void *attr);
oct_shape kc_shape(int n_dims, ...); /* int64_t values as int */
kc_tensor *kc_in(kcase *k, oct_dtype dt, oct_shape s, kc_fill fill);
kc_tensor *kc_in_f32(kcase *k, oct_shape s, kc_fill fill);
kc_tensor *kc_absent(kcase *k);
kc_tensor *kc_const(kc_tensor *t); /* constant and row-major */
kc_tensor *kc_const_values(kcase *k, oct_dtype dt, oct_shape s, const void *values);
void kc_quant(kcase *k, kc_tensor *t, float scale, int zero_point);
/* One scale per index of `axis`, spread over a factor of ten around `scale`. */
void kc_quant_axis(kcase *k, kc_tensor *t, float scale, int axis);
kc_tensor *kc_out(kcase *k, oct_dtype dt);

/* Compares and frees the case. f32, f16: |a - b| <= tolerance * max |ref|; 8-bit outputs: at most 1
 * apart, counted towards kc_totals(), which fails above 1 in 10,000; others: equal. */
void kc_check(kcase *k, double tolerance);
/* f32 and f16 outputs: |a - b| <= relative * |ref| + tiny, element by element. */
void kc_check_each(kcase *k, double relative);

#endif /* OCT_TESTS_KERNELS_KCASE_H */
