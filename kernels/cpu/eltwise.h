/* SPDX-License-Identifier: Apache-2.0
 *
 * Element-wise f32 kernels per instruction set, used by the element-wise ops and by the
 * epilogues of our own convolutions.
 */
#ifndef OCT_KERNELS_CPU_ELTWISE_H
#define OCT_KERNELS_CPU_ELTWISE_H

#include <stddef.h>

#include "kernels/cpu/cpu_isa.h"
#include "kernels/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/* y[i] = f(x[i]) with up to two parameters; x == y is allowed. The names are those of
 * oct_act where there is one, in the same order. */
#define OCT_VEC_UNARY_MAP(X)                                                   \
    X(NONE, x)                                                                 \
    X(RELU, vf_relu(x))                                                        \
    X(CLIP, vf_clip(x, a, b))                                                  \
    X(LEAKY_RELU, vf_leaky_relu(x, a))                                         \
    X(SIGMOID, vf_sigmoid(x))                                                  \
    X(TANH, vf_tanh(x))                                                        \
    X(ELU, vf_elu(x, a))                                                       \
    X(HARD_SIGMOID, vf_hard_sigmoid(x, a, b))                                  \
    X(HARD_SWISH, vf_hard_swish(x))                                            \
    X(SWISH, vf_mul(x, vf_sigmoid(vf_mul(x, a))))                              \
    X(GELU, vf_gelu(x))                                                        \
    X(GELU_TANH, vf_gelu_tanh(x))                                              \
    X(MISH, vf_mish(x))                                                        \
    X(SOFTPLUS, vf_softplus(x))                                                \
    X(SELU, vf_mul(b, vf_elu(x, a)))                                           \
    X(CELU, vf_sel(vf_lt(x, vf_zero()), vf_mul(a, vf_expm1(vf_div(x, a))), x)) \
    X(ERF, vf_erf(x))                                                          \
    X(SOFTSIGN, vf_div(x, vf_add(vf_set(1.0f), vf_abs(x))))                    \
    X(THRESHOLDED_RELU, vf_sel(vf_lt(a, x), x, vf_mul(x, vf_zero())))          \
    X(ABS, vf_abs(x))                                                          \
    X(NEG, vf_neg(x))                                                          \
    X(CEIL, vf_ceil(x))                                                        \
    X(FLOOR, vf_floor(x))                                                      \
    X(ROUND, vf_rne(x))                                                        \
    X(SQRT, vf_sqrt(x))                                                        \
    X(RECIPROCAL, vf_div(vf_set(1.0f), x))                                     \
    X(EXP, vf_exp(x))                                                          \
    X(LOG, vf_log(x))                                                          \
    X(AFFINE, vf_add(vf_mul(x, a), b))

typedef enum oct_vec_unary {
#define X(name, expr) OCT_VEC_##name,
    OCT_VEC_UNARY_MAP(X)
#undef X
        OCT_VEC_UNARY_COUNT,
} oct_vec_unary;

/* z[i] = f(x[i], y[i]) */
#define OCT_VEC_BINARY_MAP(X)     \
    X(ADD, vf_add(x, y))          \
    X(SUB, vf_sub(x, y))          \
    X(MUL, vf_mul(x, y))          \
    X(DIV, vf_div(x, y))          \
    X(MIN, vf_min(x, y))          \
    X(MAX, vf_max(x, y))          \
    X(PRELU, vf_leaky_relu(x, y)) \
    X(SQDIFF, vf_mul(vf_sub(x, y), vf_sub(x, y)))

typedef enum oct_vec_binary {
#define X(name, expr) OCT_VEC_BIN_##name,
    OCT_VEC_BINARY_MAP(X)
#undef X
        OCT_VEC_BINARY_COUNT,
} oct_vec_binary;

typedef void (*oct_vec_unary_fn)(const float *x, float *y, size_t n, float a, float b);
/* step 1: an array; step 0: one value for all */
typedef void (*oct_vec_binary_fn)(const float *x, int x_step, const float *y, int y_step, float *z,
                                  size_t n);

typedef struct oct_vec {
    oct_vec_unary_fn unary[OCT_VEC_UNARY_COUNT];
    oct_vec_binary_fn binary[OCT_VEC_BINARY_COUNT];
} oct_vec;

const oct_vec *oct_vec_get(oct_isa isa);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_ELTWISE_H */
