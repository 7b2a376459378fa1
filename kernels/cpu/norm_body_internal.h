/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of norm_portable.c, norm_avx2.c and norm_avx512.c.
 */
#ifndef OCT_KERNELS_CPU_NORM_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_NORM_BODY_INTERNAL_H

#include "kernels/cpu/norm.h"
#include "kernels/cpu/vmath_internal.h"

/* A long sum in two steps, so that its error does not grow with the row. */
typedef struct long_sum {
    vf block, total;
    size_t n;
} long_sum;

SIMD_INLINE void long_sum_add(long_sum *s, vf v)
{
    s->block = vf_add(s->block, v);
    if (++s->n % 64 == 0) {
        s->total = vf_add(s->total, s->block);
        s->block = vf_zero();
    }
}

SIMD_INLINE float long_sum_get(const long_sum *s)
{
    return vf_sum(vf_add(s->total, s->block));
}

/* Largest value; NaN if there is one. */
static float row_max(const float *x, size_t n)
{
    float lane[VW], m = x[0];
    vf v = vf_set(x[0]);
    for (size_t i = 0; i + VW <= n; i += VW)
        v = vf_max(v, vf_load(x + i));
    vf_store(lane, v);
    for (size_t i = 0; i < VW; i++)
        m = lane[i] > m || lane[i] != lane[i] ? lane[i] : m;
    for (size_t i = n / VW * VW; i < n; i++)
        m = x[i] > m || x[i] != x[i] ? x[i] : m;
    return m;
}

/* Lanes past the end hold -inf, whose exponential is 0. */
SIMD_INLINE vf shifted(const float *x, size_t i, size_t k, vf max)
{
    const vf v = vf_sub(vf_load_n(x + i, k), max);
#if VW > 1
    if (k < VW) {
        float lane[VW];
        vf_store(lane, v);
        for (size_t j = k; j < VW; j++)
            lane[j] = -INFINITY;
        return vf_load(lane);
    }
#endif
    return v;
}

static void softmax(const float *x, float *y, size_t n)
{
    const vf max = vf_set(row_max(x, n));
    long_sum sum = {vf_zero(), vf_zero(), 0};
    SIMD_FOR(i, k, n)
    {
        const vf e = vf_exp(shifted(x, i, k, max));
        long_sum_add(&sum, e);
        vf_store_n(y + i, k, e);
    }
    const vf total = vf_set(long_sum_get(&sum));
    SIMD_FOR(i, k, n)
    vf_store_n(y + i, k, vf_div(vf_load_n(y + i, k), total));
}

static void log_softmax(const float *x, float *y, size_t n)
{
    const vf max = vf_set(row_max(x, n));
    long_sum sum = {vf_zero(), vf_zero(), 0};
    SIMD_FOR(i, k, n)
    long_sum_add(&sum, vf_exp(shifted(x, i, k, max)));
    const vf log_total = vf_log(vf_set(long_sum_get(&sum)));
    SIMD_FOR(i, k, n)
    vf_store_n(y + i, k, vf_sub(vf_sub(vf_load_n(x + i, k), max), log_total));
}

static void layer(const float *x, float *y, size_t n, const float *scale, const float *bias,
                  float epsilon)
{
    float lane[VW];
    long_sum sum = {vf_zero(), vf_zero(), 0}, square = sum;
    SIMD_FOR(i, k, n)
    long_sum_add(&sum, vf_load_n(x + i, k));
    const vf mean = vf_set(long_sum_get(&sum) / (float)n);
    SIMD_FOR(i, k, n)
    {
        vf d = vf_sub(vf_load_n(x + i, k), mean);
        if (k < VW) { /* only real lanes count */
            vf_store(lane, d);
            d = vf_load_n(lane, k);
        }
        long_sum_add(&square, vf_mul(d, d));
    }
    const vf inv = vf_set(1.0f / sqrtf(long_sum_get(&square) / (float)n + epsilon));
    SIMD_FOR(i, k, n)
    {
        vf v = vf_mul(vf_sub(vf_load_n(x + i, k), mean), inv);
        v = vf_mul(v, vf_load_n(scale + i, k));
        if (bias)
            v = vf_add(v, vf_load_n(bias + i, k));
        vf_store_n(y + i, k, v);
    }
}

extern const oct_norm_kernels SIMD_NAME(oct_norm);
const oct_norm_kernels SIMD_NAME(oct_norm) = {softmax, log_softmax, layer};

#endif /* OCT_KERNELS_CPU_NORM_BODY_INTERNAL_H */
