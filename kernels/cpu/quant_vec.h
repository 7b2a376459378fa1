/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels on 8-bit elements per instruction set: quantizing, element-wise sums and products,
 * pools. Formulas and rounding are base/numeric.h's, bit for bit.
 */
#ifndef OCT_KERNELS_CPU_QUANT_VEC_H
#define OCT_KERNELS_CPU_QUANT_VEC_H

#include <stddef.h>

#include "base/tensor.h"
#include "kernels/cpu/cpu_isa.h"
#include "kernels/cpu/eltwise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An 8-bit operand. */
typedef struct oct_q8_type {
    bool is_signed;
    oct_qparams q;
} oct_q8_type;

static inline oct_q8_type oct_q8_type_of(oct_dtype dt, oct_qparams q)
{
    oct_q8_type t = {dt == OCT_DT_S8, q};
    return t;
}

typedef struct oct_quant_kernels {
    void (*quantize)(const float *x, void *y, size_t n, oct_q8_type to);
    void (*dequantize)(const void *x, float *y, size_t n, oct_q8_type from);
    /* step 1: an array; step 0: one value for all */
    void (*binary[OCT_VEC_BINARY_COUNT])(const void *x, int x_step, oct_q8_type tx, const void *y,
                                         int y_step, oct_q8_type ty, void *z, oct_q8_type tz,
                                         size_t n);
    /* out[c] = max over taps of tap[t][c] */
    void (*max)(const void *const *tap, size_t n_taps, size_t channels, bool is_signed, void *out);
    /* clamp(rne((sum - n_taps * zero point) * m) + zero point) */
    void (*avg)(const void *const *tap, size_t n_taps, size_t channels, oct_q8_type from, float m,
                oct_q8_type to, void *out);
    /* the same over `rows` pixels `step` bytes apart */
    void (*max_rows)(const void *x, ptrdiff_t step, size_t rows, size_t channels, bool is_signed,
                     void *out);
    void (*avg_rows)(const void *x, ptrdiff_t step, size_t rows, size_t channels, oct_q8_type from,
                     float m, oct_q8_type to, void *out);
} oct_quant_kernels;

const oct_quant_kernels *oct_quant_vec_get(oct_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_QUANT_VEC_H */
