/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums that do not depend on the order of adding: each value is rounded to a multiple of 2^-64 and
 * added as 128-bit two's complement. Values of magnitude 2^40 and above, NaN and the infinities
 * are counted in n_big instead.
 */
#ifndef OCT_CALIB_EXACT_SUM_H
#define OCT_CALIB_EXACT_SUM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_exact_sum {
    uint64_t lo;
    int64_t hi;
    uint64_t n_big;
} oct_exact_sum;

void oct_exact_sum_add(oct_exact_sum *s, double v);
void oct_exact_sum_merge(oct_exact_sum *dst, const oct_exact_sum *src);
double oct_exact_sum_value(const oct_exact_sum *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_EXACT_SUM_H */
