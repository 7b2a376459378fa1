/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference counting kernel, and the choice among the variants.
 */
#include "kernels/hist.h"

#include <stdbool.h>
#include <string.h>

#define MIN_NORMAL_BITS 0x00800000u
#define INF_BITS 0x7f800000u

static uint32_t bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

static void scan_ref(const float *x, size_t n, oct_hist_range *r)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t u = bits_of(x[i]), mag = u & 0x7fffffffu;
        const bool neg = (u >> 31) != 0;
        if (mag < MIN_NORMAL_BITS) {
            r->n_zero++;
        } else if (mag > INF_BITS) {
            r->n_nan++;
        } else if (mag == INF_BITS) {
            *(neg ? &r->n_neg_inf : &r->n_pos_inf) += 1;
        } else {
            float *amax = neg ? &r->neg_amax : &r->pos_amax;
            const float a = neg ? -x[i] : x[i];
            if (a > *amax)
                *amax = a;
        }
    }
}

static void count_ref(const float *x, size_t n, const oct_hist_table *t)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t u = bits_of(x[i]), mag = u & 0x7fffffffu;
        if (mag < MIN_NORMAL_BITS || mag >= INF_BITS)
            continue;
        const bool neg = (u >> 31) != 0;
        const uint32_t k =
            (uint32_t)(neg ? -x[i] * t->neg_mul : x[i] * t->pos_mul) + (neg ? OCT_HIST_BINS : 0);
        t->bin[k]++;
        if (t->coarse != NULL)
            t->coarse[k >> OCT_HIST_COARSE_SHIFT]++;
    }
}

const oct_hist_kernel oct_hist_ref = {"ref", scan_ref, count_ref};

static bool runs_here(const oct_hist_kernel *k)
{
#ifdef OCT_X86
    if (k == &oct_hist_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (k == &oct_hist_avx2)
        return __builtin_cpu_supports("avx2");
#endif
    return k == &oct_hist_ref;
}

const oct_hist_kernel *oct_hist_kernel_at(int i)
{
    static const oct_hist_kernel *const all[] = {
#ifdef OCT_X86
        &oct_hist_avx512, &oct_hist_avx2,
#endif
        &oct_hist_ref};
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        if (runs_here(all[k]) && i-- == 0)
            return all[k];
    return NULL;
}

const oct_hist_kernel *oct_hist_kernel_best(void)
{
    return oct_hist_kernel_at(0);
}
