/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference counting kernel, and the choice among the variants.
 */
#include "kernels/hist.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/hist_sum_internal.h"

#define MIN_NORMAL_BITS 0x00800000u
#define INF_BITS 0x7f800000u
#define LINE 16 /* bins that one coarse bin covers */

static uint32_t bits_of(float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}

void oct_hist_scan(const float *x, size_t n, oct_hist_range *r)
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

int32_t oct_hist_bin_of(float v, float pos_mul, float neg_mul)
{
    const uint32_t u = bits_of(v), mag = u & 0x7fffffffu;
    if (mag < MIN_NORMAL_BITS || mag >= INF_BITS)
        return -1;
    return u >> 31 != 0 ? (int32_t)(-v * neg_mul) + OCT_HIST_BINS : (int32_t)(v * pos_mul);
}

/* Whether all magnitudes of the range lie below 2^(15 + exp) of their side. */
static bool fits(const oct_hist_range *r, const oct_hist_table *t)
{
    return r->n_nan == 0 && r->n_pos_inf == 0 && r->n_neg_inf == 0 &&
           (double)r->pos_amax < ldexp(OCT_HIST_BINS, t->pos_exp) &&
           (double)r->neg_amax < ldexp(OCT_HIST_BINS, t->neg_exp);
}

static void merge_range(oct_hist_range *r, const oct_hist_range *block)
{
    r->n_zero += block->n_zero;
    r->pos_amax = block->pos_amax > r->pos_amax ? block->pos_amax : r->pos_amax;
    r->neg_amax = block->neg_amax > r->neg_amax ? block->neg_amax : r->neg_amax;
}

static size_t tally_ref(const float *x, size_t n, const oct_hist_table *t, oct_hist_range *r)
{
    const float pos_mul = ldexpf(1.0f, -t->pos_exp), neg_mul = ldexpf(1.0f, -t->neg_exp);
    for (size_t i = 0; i < n; i += OCT_HIST_BLOCK) {
        const size_t len = n - i < OCT_HIST_BLOCK ? n - i : OCT_HIST_BLOCK;
        oct_hist_range block = {0};
        oct_hist_scan(x + i, len, &block);
        if (!fits(&block, t))
            return i;
        merge_range(r, &block);
        for (size_t k = i; k < i + len; k++) {
            const int32_t bin = oct_hist_bin_of(x[k], pos_mul, neg_mul);
            if (bin >= 0)
                t->bin[bin]++;
        }
    }
    return n;
}

static void pour_ref(uint32_t *from, size_t n, uint64_t *bin, uint64_t *coarse)
{
    for (size_t i = 0; i < n; i += LINE) {
        uint64_t sum = 0;
        for (size_t k = i; k < i + LINE; k++)
            sum += from[k];
        if (sum == 0)
            continue;
        for (size_t k = i; k < i + LINE; k++)
            bin[k] += from[k];
        memset(from + i, 0, LINE * sizeof *from);
        if (coarse != NULL)
            coarse[i / LINE] += sum;
    }
}

const oct_hist_kernel oct_hist_ref = {"ref", tally_ref, pour_ref, sum_run, sum_columns};

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
