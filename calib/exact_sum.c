/* SPDX-License-Identifier: Apache-2.0 */
#include "calib/exact_sum.h"

#include <math.h>

#define SUM_BIG 0x1p40

static void add_128(oct_exact_sum *s, uint64_t lo, uint64_t hi)
{
    const uint64_t before = s->lo;
    s->lo += lo;
    s->hi = (int64_t)((uint64_t)s->hi + hi + (s->lo < before));
}

void oct_exact_sum_add(oct_exact_sum *s, double v)
{
    if (!(fabs(v) < SUM_BIG)) {
        s->n_big++;
        return;
    }
    /* whole part and fraction of the magnitude, the fraction in units of 2^-64 */
    const double a = fabs(v);
    uint64_t hi = (uint64_t)a, lo = 0;
    const double fraction = rint((a - (double)hi) * 0x1p64);
    if (fraction >= 0x1p64)
        hi++;
    else
        lo = (uint64_t)fraction;
    if (v < 0) { /* two's complement */
        lo = ~lo + 1;
        hi = ~hi + (lo == 0);
    }
    add_128(s, lo, hi);
}

void oct_exact_sum_merge(oct_exact_sum *dst, const oct_exact_sum *src)
{
    add_128(dst, src->lo, (uint64_t)src->hi);
    dst->n_big += src->n_big;
}

double oct_exact_sum_value(const oct_exact_sum *s)
{
    return (double)s->hi + (double)s->lo * 0x1p-64;
}
