/* SPDX-License-Identifier: Apache-2.0
 *
 * SplitMix64: the only random source. Same seed, same numbers, on every machine.
 * Source: Steele, Lea, Flood 2014.
 */
#ifndef OCT_BASE_RNG_H
#define OCT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_rng {
    uint64_t state;
} oct_rng;

static inline uint64_t oct_rng_u64(oct_rng *r)
{
    uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Uniform in [0, 1), 24 / 53 bits. */
static inline float oct_rng_f32(oct_rng *r)
{
    return (float)(oct_rng_u64(r) >> 40) * 0x1p-24f;
}

static inline double oct_rng_f64(oct_rng *r)
{
    return (double)(oct_rng_u64(r) >> 11) * 0x1p-53;
}

/* Uniform in [0, n), n > 0; bias below 2^-40 for n < 2^24. */
static inline uint64_t oct_rng_below(oct_rng *r, uint64_t n)
{
    return oct_rng_u64(r) % n;
}

/* Standard normal (sum of 12 uniforms minus 6 is not good enough: Box-Muller). */
float oct_rng_normal(oct_rng *r);
void oct_rng_fill_uniform(oct_rng *r, float *x, size_t n, float lo, float hi);
void oct_rng_fill_normal(oct_rng *r, float *x, size_t n);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_RNG_H */
