/* SPDX-License-Identifier: Apache-2.0
 *
 * A Conv, Gemm or MatMul as the tensor-core kernels see it (cuda_mma.h): geometry, the packing
 * of its weights and the tables of its channels.
 */
#ifndef OCT_KERNELS_CUDA_CUDA_CONV_PLAN_H
#define OCT_KERNELS_CUDA_CUDA_CONV_PLAN_H

#include "kernels/cuda/cuda_internal.h"
#include "kernels/cuda/cuda_mma.h"

/* Most parts that a weight less its zero point is split into so that each fits s8. */
#define OCT_CONV_MAX_PARTS 3

typedef struct oct_conv_plan {
    oct_mma_args args; /* all but pointers and what the tile decides */
    oct_mma_type type;
    oct_mma_finish finish;
    int elem;         /* bytes of an element of x */
    int64_t channels; /* input channels of a group */
    int64_t taps;
    int64_t k_bytes; /* of a row of weights, before alignment */
    int parts;
    bool folded;     /* channels too few for whole pieces: k runs through (tap, channel) densely */
    bool stem;       /* folded, and fit for cuda_stem.cuh: k is (kernel row, quad of bytes) */
    int x_alignment; /* that strides allow */
    /* Weight of (group and output channel, input channel, tap): n * n_step + c * c_step + tap */
    int64_t n_step, c_step;
    bool s32_bias, f32_bias;
    float alpha, beta;
} oct_conv_plan;

/* False with a reason. */
bool oct_conv_plan_make(oct_ctx *ctx, const oct_op_desc *d, oct_conv_plan *p, char *reason);

/* ---- constants (cuda_conv_pack.c) ---- */

size_t oct_conv_weight_bytes(const oct_conv_plan *p);
uint64_t oct_conv_weight_format(const oct_conv_plan *p);
void oct_conv_pack_weights(const oct_op_desc *d, const oct_conv_plan *p, void *packed);

/* Everything else that the kernel reads: one block of memory with `args` pointing into it. */
typedef struct oct_conv_tables {
    void *device;
} oct_conv_tables;
OCT_MUST_CHECK oct_status oct_conv_tables_make(oct_cuda *be, oct_ctx *ctx, const oct_op_desc *d,
                                               oct_conv_plan *p, oct_conv_tables *out);

#endif /* OCT_KERNELS_CUDA_CUDA_CONV_PLAN_H */
