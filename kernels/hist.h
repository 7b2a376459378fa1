/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting kernels of the histogram (calib/histogram.h). Every variant gives the same bits;
 * `ref` is the definition.
 *
 *   A value is "normal" if 2^-126 <= |x| < infinity. Zeros of either sign and subnormals are
 *   zeros; NaN and the infinities are odd.
 *
 *       bin = trunc(|x| * mul)          mul = 2^-width_exp of the value's sign
 *
 *   The product of a float with a power of two is exact unless it is subnormal, and then
 *   bin is 0 whether or not it is flushed.
 *
 * A tensor is tallied into one small table of 32-bit counts that stays in the cache from
 * tensor to tensor, and then poured into the 64-bit counts of its histogram. What bounds the
 * speed is one store a value; finding the bins and the range is hidden behind it.
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
#define OCT_HIST_BLOCK 128 /* values looked at before any of them is counted */

/* Accumulates over calls; zero it first. Magnitudes of normal values only. */
typedef struct oct_hist_range {
    float pos_amax, neg_amax;
    uint64_t n_zero, n_nan, n_pos_inf, n_neg_inf;
} oct_hist_range;

/* Where to tally: OCT_HIST_BINS counts for x > 0, then as many for x < 0, 64-byte aligned,
 * with the width exponent of either sign, in [-126, 113]. */
typedef struct oct_hist_table {
    uint32_t *bin;
    int pos_exp, neg_exp;
} oct_hist_table;

typedef struct oct_hist_kernel {
    const char *name;
    /* Counts values and adds them to `r` in blocks of OCT_HIST_BLOCK (the last one may be
     * shorter) up to the first block that holds an odd value or one outside the table.
     * Returns how many were counted: n, or where that block begins. */
    size_t (*tally)(const float *x, size_t n, const oct_hist_table *t, oct_hist_range *r);
    /* Adds `n` counts (a multiple of 16) to `bin` and, 16 to 1, to `coarse` (may be NULL), and
     * makes them zero. All aligned to 64 bytes. */
    void (*pour)(uint32_t *from, size_t n, uint64_t *bin, uint64_t *coarse);
    /* Sum of n values in double, in an order that only n decides. */
    double (*sum)(const float *x, size_t n);
    /* sum[c] of each column of x[rows][cols], in double from top to bottom. */
    void (*sum_columns)(const float *x, size_t rows, size_t cols, double *sum);
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

/* Adds what the values are to `r`. */
void oct_hist_scan(const float *x, size_t n, oct_hist_range *r);

/* The bin of a value inside the table, negative ones behind OCT_HIST_BINS; or -1 for zeros and
 * odd values. `pos_mul`, `neg_mul`: 2^-width_exp. */
int32_t oct_hist_bin_of(float v, float pos_mul, float neg_mul);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_HIST_H */
