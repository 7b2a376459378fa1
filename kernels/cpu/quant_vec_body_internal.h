/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of quant_vec_portable.c, quant_vec_avx2.c and quant_vec_avx512.c.
 */
#ifndef OCT_KERNELS_CPU_QUANT_VEC_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_QUANT_VEC_BODY_INTERNAL_H

#include "kernels/cpu/quant_vec.h"
#include "kernels/cpu/vmath_internal.h"

SIMD_INLINE vi load_8(const void *p, size_t at, size_t n, bool is_signed)
{
    const uint8_t *x = (const uint8_t *)p + at;
    return is_signed ? vi_load_s8(x, n) : vi_load_u8(x, n);
}

/* clamp(v + zero point), `v` integral or NaN (to the low end). */
SIMD_INLINE void store_rounded(void *y, size_t at, size_t n, vf v, oct_q8_type t)
{
    const vf lo = vf_set(t.is_signed ? -128.0f : 0.0f), hi = vf_set(t.is_signed ? 127.0f : 255.0f);
    const vf q = vf_max2(vf_add(v, vf_set((float)t.q.zero_point)), lo);
    vi_store_8((uint8_t *)y + at, n, vf_to_s32(vf_min2(q, hi)));
}

SIMD_INLINE vf real_of(vi q, oct_q8_type t)
{
    return vf_mul(vf_set(t.q.scale), vi_to_f32(vi_sub(q, vi_set(t.q.zero_point))));
}

static void quantize(const float *x, void *y, size_t n, oct_q8_type to)
{
    const vf scale = vf_set(to.q.scale);
    SIMD_FOR(i, k, n)
    store_rounded(y, i, k, vf_rne(vf_div(vf_load_n(x + i, k), scale)), to);
}

static void dequantize(const void *x, float *y, size_t n, oct_q8_type from)
{
    SIMD_FOR(i, k, n)
    vf_store_n(y + i, k, real_of(load_8(x, i, k, from.is_signed), from));
}

SIMD_INLINE vf load_real(const void *p, int step, size_t at, size_t n, oct_q8_type t)
{
    if (step)
        return real_of(load_8(p, at, n, t.is_signed), t);
    return real_of(vi_set(t.is_signed ? *(const int8_t *)p : *(const uint8_t *)p), t);
}

#define X(name, expr)                                                                         \
    static void binary_##name(const void *px, int xs, oct_q8_type tx, const void *py, int ys, \
                              oct_q8_type ty, void *pz, oct_q8_type tz, size_t n)             \
    {                                                                                         \
        const vf scale = vf_set(tz.q.scale);                                                  \
        SIMD_FOR(i, k, n)                                                                     \
        {                                                                                     \
            const vf x = load_real(px, xs, i, k, tx), y = load_real(py, ys, i, k, ty);        \
            store_rounded(pz, i, k, vf_rne(vf_div(expr, scale)), tz);                         \
        }                                                                                     \
    }
OCT_VEC_BINARY_MAP(X)
#undef X

static void pool_max(const void *const *tap, size_t n_taps, size_t channels, bool is_signed,
                     void *out)
{
    SIMD_FOR(c, k, channels)
    {
        vi m = load_8(tap[0], c, k, is_signed);
        for (size_t t = 1; t < n_taps; t++)
            m = vi_max(m, load_8(tap[t], c, k, is_signed));
        vi_store_8((uint8_t *)out + c, k, m);
    }
}

static void pool_avg(const void *const *tap, size_t n_taps, size_t channels, oct_q8_type from,
                     float m, oct_q8_type to, void *out)
{
    SIMD_FOR(c, k, channels)
    {
        vi s = vi_set(-(int32_t)n_taps * from.q.zero_point);
        for (size_t t = 0; t < n_taps; t++)
            s = vi_add(s, load_8(tap[t], c, k, from.is_signed));
        store_rounded(out, c, k, vf_rne(vf_mul(vi_to_f32(s), vf_set(m))), to);
    }
}

static void max_rows(const void *x, ptrdiff_t step, size_t rows, size_t channels, bool is_signed,
                     void *out)
{
    const uint8_t *p = x;
    SIMD_FOR(c, k, channels)
    {
        vi m = load_8(p, c, k, is_signed);
        for (size_t r = 1; r < rows; r++)
            m = vi_max(m, load_8(p + (ptrdiff_t)r * step, c, k, is_signed));
        vi_store_8((uint8_t *)out + c, k, m);
    }
}

static void avg_rows(const void *x, ptrdiff_t step, size_t rows, size_t channels, oct_q8_type from,
                     float m, oct_q8_type to, void *out)
{
    const uint8_t *p = x;
    SIMD_FOR(c, k, channels)
    {
        vi s = vi_set((int32_t)(0 - (uint32_t)rows * (uint32_t)from.q.zero_point));
        for (size_t r = 0; r < rows; r++)
            s = vi_add(s, load_8(p + (ptrdiff_t)r * step, c, k, from.is_signed));
        store_rounded(out, c, k, vf_rne(vf_mul(vi_to_f32(s), vf_set(m))), to);
    }
}

extern const oct_quant_kernels SIMD_NAME(oct_quant);
const oct_quant_kernels SIMD_NAME(oct_quant) = {
    .quantize = quantize,
    .dequantize = dequantize,
#define X(name, expr) [OCT_VEC_BIN_##name] = binary_##name,
    .binary = {OCT_VEC_BINARY_MAP(X)},
#undef X
    .max = pool_max,
    .avg = pool_avg,
    .max_rows = max_rows,
    .avg_rows = avg_rows,
};

#endif /* OCT_KERNELS_CPU_QUANT_VEC_BODY_INTERNAL_H */
