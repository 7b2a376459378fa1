/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of winograd_portable.c, winograd_avx2.c and winograd_avx512.c: a vector of channels at a time.
 */
#ifndef OCT_KERNELS_CPU_WINOGRAD_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_WINOGRAD_BODY_INTERNAL_H

#include "kernels/cpu/simd_internal.h"
#include "kernels/cpu/winograd.h"

/* B' d of one column. */
SIMD_INLINE void input_column(const vf d[4], vf t[4])
{
    t[0] = vf_sub(d[0], d[2]);
    t[1] = vf_add(d[1], d[2]);
    t[2] = vf_sub(d[2], d[1]);
    t[3] = vf_sub(d[1], d[3]);
}

SIMD_INLINE void input_channels(const oct_wino_input *t, size_t c, size_t k, const int full)
{
    vf rows[4][4]; /* [column][row] */
    for (size_t col = 0; col < 4; col++) {
        vf d[4];
        for (size_t r = 0; r < 4; r++) {
            const float *x = t->x[4 * r + col] + c;
            d[r] = full ? vf_load(x) : vf_load_n(x, k);
        }
        input_column(d, rows[col]);
    }
    for (size_t r = 0; r < 4; r++) {
        const vf d[4] = {rows[0][r], rows[1][r], rows[2][r], rows[3][r]};
        vf v[4];
        input_column(d, v);
        for (size_t col = 0; col < 4; col++) {
            float *to = t->v + (4 * r + col) * t->step + c;
            if (full)
                vf_store(to, v[col]);
            else
                vf_store_n(to, k, v[col]);
        }
    }
}

static void wino_input(const oct_wino_input *t)
{
    size_t c = 0;
    for (; c + VW <= t->channels; c += VW)
        input_channels(t, c, VW, 1);
    if (c < t->channels)
        input_channels(t, c, t->channels - c, 0);
}

/* A' m of one column. */
SIMD_INLINE void output_column(const vf m[4], vf t[2])
{
    t[0] = vf_add(vf_add(m[0], m[1]), m[2]);
    t[1] = vf_sub(vf_sub(m[1], m[2]), m[3]);
}

SIMD_INLINE void output_channels(const oct_wino_output *t, size_t c, size_t k)
{
    vf rows[4][2]; /* [column][row] */
    for (size_t col = 0; col < 4; col++) {
        vf m[4];
        for (size_t r = 0; r < 4; r++)
            m[r] = vf_load_n(t->m + (4 * r + col) * t->step + c, k);
        output_column(m, rows[col]);
    }
    const vf bias = t->bias ? vf_load_n(t->bias + c, k) : vf_zero();
    for (size_t r = 0; r < 2; r++) {
        const vf m[4] = {rows[0][r], rows[1][r], rows[2][r], rows[3][r]};
        vf y[2];
        output_column(m, y);
        for (size_t col = 0; col < 2; col++) {
            float *to = t->y[2 * r + col];
            if (!to)
                continue;
            vf z = vf_add(y[col], bias);
            if (t->residual)
                z = vf_add(z, vf_load_n(t->residual[2 * r + col] + c, k));
            z = vf_min2(vf_set(t->hi), vf_max2(vf_set(t->lo), z));
            vf_store_n(to + c, k, z);
        }
    }
}

static void wino_output(const oct_wino_output *t)
{
    for (size_t c = 0; c < t->channels; c += VW)
        output_channels(t, c, t->channels - c < VW ? t->channels - c : VW);
}

extern const oct_wino_kernels SIMD_NAME(oct_wino);
const oct_wino_kernels SIMD_NAME(oct_wino) = {wino_input, wino_output};

#endif /* OCT_KERNELS_CPU_WINOGRAD_BODY_INTERNAL_H */
