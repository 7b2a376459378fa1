/* SPDX-License-Identifier: Apache-2.0
 *
 * Einsum equations, parsed once for inference and kernels. "..." stands for as many
 * broadcast dimensions as an operand has left; without "->" the output has the labels that
 * occur once, in alphabetical order, after the broadcast dimensions. Source: ONNX Einsum.
 */
#ifndef OCT_KERNELS_EINSUM_H
#define OCT_KERNELS_EINSUM_H

#include "base/ctx.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_EINSUM_MAX_INPUTS 16
#define OCT_EINSUM_MAX_INDICES 32

/* Indices are numbered 0 .. n_indices-1: first those of the output in order, then the summed
 * ones in order of first appearance. */
typedef struct oct_einsum {
    int n_in, n_out_dims, n_indices;
    int n_dims[OCT_EINSUM_MAX_INPUTS];
    int8_t index[OCT_EINSUM_MAX_INPUTS][OCT_MAX_DIMS]; /* index of each input's axis */
} oct_einsum;

/* `n_dims`: rank of each input. OCT_ERR_SHAPE or OCT_ERR_UNSUPPORTED with the reason. */
OCT_MUST_CHECK oct_status oct_einsum_parse(oct_ctx *ctx, const char *equation, const int *n_dims,
                                           int n_in, oct_einsum *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_EINSUM_H */
