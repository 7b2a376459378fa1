/* SPDX-License-Identifier: Apache-2.0
 *
 * Body of eltwise_portable.c, eltwise_avx2.c and eltwise_avx512.c: one function a row of the
 * maps in eltwise.h.
 */
#ifndef OCT_KERNELS_CPU_ELTWISE_BODY_INTERNAL_H
#define OCT_KERNELS_CPU_ELTWISE_BODY_INTERNAL_H

#include "kernels/cpu/eltwise.h"
#include "kernels/cpu/vmath_internal.h"

#define X(name, expr)                                                                   \
    static void unary_##name(const float *in, float *out, size_t n, float pa, float pb) \
    {                                                                                   \
        const vf a = vf_set(pa), b = vf_set(pb);                                        \
        (void)a;                                                                        \
        (void)b;                                                                        \
        SIMD_FOR(i, k, n)                                                               \
        {                                                                               \
            const vf x = k == VW ? vf_load(in + i) : vf_load_n(in + i, k);              \
            const vf y = expr;                                                          \
            if (k == VW)                                                                \
                vf_store(out + i, y);                                                   \
            else                                                                        \
                vf_store_n(out + i, k, y);                                              \
        }                                                                               \
    }
OCT_VEC_UNARY_MAP(X)
#undef X

SIMD_INLINE vf load_step(const float *p, int step, size_t i, size_t k)
{
    if (!step)
        return vf_set(*p);
    return k == VW ? vf_load(p + i) : vf_load_n(p + i, k);
}

#define X(name, expr)                                                                        \
    SIMD_INLINE void binary_##name##_steps(const float *px, int xs, const float *py, int ys, \
                                           float *out, size_t n)                             \
    {                                                                                        \
        SIMD_FOR(i, k, n)                                                                    \
        {                                                                                    \
            const vf x = load_step(px, xs, i, k), y = load_step(py, ys, i, k);               \
            const vf z = expr;                                                               \
            if (k == VW)                                                                     \
                vf_store(out + i, z);                                                        \
            else                                                                             \
                vf_store_n(out + i, k, z);                                                   \
        }                                                                                    \
    }                                                                                        \
    static void binary_##name(const float *px, int xs, const float *py, int ys, float *out,  \
                              size_t n)                                                      \
    {                                                                                        \
        if (xs && ys)                                                                        \
            binary_##name##_steps(px, 1, py, 1, out, n);                                     \
        else if (xs)                                                                         \
            binary_##name##_steps(px, 1, py, 0, out, n);                                     \
        else if (ys)                                                                         \
            binary_##name##_steps(px, 0, py, 1, out, n);                                     \
        else                                                                                 \
            binary_##name##_steps(px, 0, py, 0, out, n);                                     \
    }
OCT_VEC_BINARY_MAP(X)
#undef X

extern const oct_vec SIMD_NAME(oct_vec);
const oct_vec SIMD_NAME(oct_vec) = {
#define X(name, expr) [OCT_VEC_##name] = unary_##name,
    .unary = {OCT_VEC_UNARY_MAP(X)},
#undef X
#define X(name, expr) [OCT_VEC_BIN_##name] = binary_##name,
    .binary = {OCT_VEC_BINARY_MAP(X)},
#undef X
};

#endif /* OCT_KERNELS_CPU_ELTWISE_BODY_INTERNAL_H */
