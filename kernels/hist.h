/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting kernels of the histogram (calib/histogram.h): one scan that finds the range of a
 * block, one that counts it. Every variant gives the same bits; `ref` is the definition.
 *
 *   A value is "normal" if 2^-126 <= |x| < infinity. Zeros of either sign and subnormals are
 *   zeros; NaN and the infinities are counted by the scan and skipped by the count.
 *
 *       bin = trunc(|x| * mul)          mul = 2^-width_exp of the value's sign
 *
 *   The product of a float with a power of two is exact unless it is subnormal, and then
 *   bin is 0 whether or not it is flushed.
 *
 * Thread-safety: pure functions of their arguments.
 */
#ifndef OCT_KERNELS_HIST_H
#define OCT_KERNELS_HIST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_HIST_BINS 32768       /* of one sign */
#define OCT_HIST_COARSE_BINS 2048 /* of one sign, folded 16 to 1 */
#define OCT_HIST_COARSE_SHIFT 4

/* Accumulates over calls; zero it first. Magnitudes of normal values only. */
typedef struct oct_hist_range {
    float pos_amax, neg_amax;
    uint64_t n_zero, n_nan, n_pos_inf, n_neg_inf;
} oct_hist_range;

/* Where to count. `bin` holds OCT_HIST_BINS counts for x > 0, then as many for x < 0; the
 * second half may be missing if the scan saw no negative value. `coarse` holds twice
 * OCT_HIST_COARSE_BINS counts in the same order, or is NULL. Every normal value of the
 * block must fall inside. */
typedef struct oct_hist_table {
    uint64_t *bin;
    uint64_t *coarse;
    float pos_mul, neg_mul; /* powers of two in [2^-113, 2^126] */
} oct_hist_table;

typedef struct oct_hist_kernel {
    const char *name;
    void (*scan)(const float *x, size_t n, oct_hist_range *r);
    void (*count)(const float *x, size_t n, const oct_hist_table *t);
} oct_hist_kernel;

extern const oct_hist_kernel oct_hist_ref;
#ifdef OCT_X86
extern const oct_hist_kernel oct_hist_avx2;
extern const oct_hist_kernel oct_hist_avx512;
#endif

/* The fastest variant this processor runs. */
const oct_hist_kernel *oct_hist_kernel_best(void);
/* Variant number `i`, those this processor cannot run left out; NULL past the last. */
const oct_hist_kernel *oct_hist_kernel_at(int i);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_HIST_H */
