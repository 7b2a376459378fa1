/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of pool_portable.c, pool_avx2.c and pool_avx512.c.
 */
#ifndef OCT_KERNELS_CPU_POOL_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_POOL_BODY_INTERNAL_H

#include "kernels/cpu/pool.h"
#include "kernels/cpu/simd_internal.h"

#define ROWS_AT_ONCE 64

SIMD_INLINE vf load_lanes(const float *p, size_t k)
{
    return k == VW ? vf_load(p) : vf_load_n(p, k);
}

static void pool_max(const void *const *tap, size_t n_taps, size_t channels, float *out)
{
    SIMD_FOR(c, k, channels)
    {
        vf m = load_lanes((const float *)tap[0] + c, k);
        for (size_t t = 1; t < n_taps; t++)
            m = vf_max(m, load_lanes((const float *)tap[t] + c, k));
        vf_store_n(out + c, k, m);
    }
}

static void pool_avg(const void *const *tap, size_t n_taps, size_t channels, float divisor,
                     float *out)
{
    SIMD_FOR(c, k, channels)
    {
        vf s = vf_zero();
        for (size_t t = 0; t < n_taps; t++)
            s = vf_add(s, load_lanes((const float *)tap[t] + c, k));
        vf_store_n(out + c, k, vf_div(s, vf_set(divisor)));
    }
}

static void pool_max_rows(const float *x, ptrdiff_t step, size_t rows, size_t channels, float *out)
{
    SIMD_FOR(c, k, channels)
    {
        vf m = load_lanes(x + c, k);
        for (size_t r = 1; r < rows; r++)
            m = vf_max(m, load_lanes(x + (ptrdiff_t)r * step + c, k));
        vf_store_n(out + c, k, m);
    }
}

static void pool_avg_rows(const float *x, ptrdiff_t step, size_t rows, size_t channels,
                          float divisor, float *out)
{
    SIMD_FOR(c, k, channels)
    {
        vf total = vf_zero();
        for (size_t lo = 0; lo < rows; lo += ROWS_AT_ONCE) {
            const size_t hi = lo + ROWS_AT_ONCE < rows ? lo + ROWS_AT_ONCE : rows;
            vf s = vf_zero();
            for (size_t r = lo; r < hi; r++)
                s = vf_add(s, load_lanes(x + (ptrdiff_t)r * step + c, k));
            total = vf_add(total, s);
        }
        vf_store_n(out + c, k, vf_div(total, vf_set(divisor)));
    }
}

extern const oct_pool_kernels SIMD_NAME(oct_pool);
const oct_pool_kernels SIMD_NAME(oct_pool) = {pool_max, pool_avg, pool_max_rows, pool_avg_rows};

#endif /* OCT_KERNELS_CPU_POOL_BODY_INTERNAL_H */
