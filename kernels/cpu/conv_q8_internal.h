/* SPDX-License-Identifier: Apache-2.0
 *
 * Planning and packing of our own 8-bit convolutions and products (conv_q8.c runs them).
 */
#ifndef OCT_KERNELS_CPU_CONV_Q8_INTERNAL_H
#define OCT_KERNELS_CPU_CONV_Q8_INTERNAL_H

#include "kernels/cpu/cpu_internal.h"
#include "kernels/cpu/depthwise_q8.h"
#include "kernels/cpu/gemm_q8.h"
#include "kernels/cpu/taps.h"

/* How the model's weights lie: element (group, tap, k, n), steps in elements. */
typedef struct oct_q8_source {
    const uint8_t *w;
    bool is_signed;
    ptrdiff_t group_step, tap_step, k_step, n_step;
    const oct_quant *quant;
} oct_q8_source;

typedef struct oct_q8_conv {
    oct_cpu_op base;
    oct_cpu_window win; /* of a product: a 1x1 convolution over its rows */
    oct_q8_finish finish;
    const oct_q8_kernels *kernels;
    oct_q8_source source;
    oct_q8_kind kind;
    const oct_pack *weights;
    int32_t *comp;          /* per output channel */
    float *factors;         /* m, b per output */
    const uint8_t *padding; /* a pixel of zero points */
    ptrdiff_t *delta;       /* taps.h */
    size_t run;             /* taps that lie side by side in memory where nothing is padding */
    size_t taps, k, n;      /* of one group; k input, n output channels */
    size_t panels;          /* of one group */
    size_t rows;            /* pixels of a tile */
    size_t pixels, chunk, splits;
    size_t lanes_copied; /* of a copied row, taps joined */
    size_t out_bytes[2], residual_bytes;
    int64_t residual_batch, residual_axis[3];
    int residual, x_zero, threads;
    bool depthwise, copies, x_signed;
    bool linear;       /* output pixel i reads input pixel i, all at one distance */
    bool dw_vnni;      /* depthwise_q8.h */
    void *lane_params; /* its comp, m, b in lane order */
} oct_q8_conv;

/* Fills all but what is allocated. False with a reason. */
bool oct_q8_conv_plan(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op,
                      char *reason);
/* Packs weights, factors and padding; on failure the caller calls deinit. */
oct_status oct_q8_conv_pack(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op);
size_t oct_q8_padded_channels(const oct_q8_conv *op);
void oct_q8_conv_deinit(oct_cpu *be, oct_q8_conv *op);

#endif /* OCT_KERNELS_CPU_CONV_Q8_INTERNAL_H */
