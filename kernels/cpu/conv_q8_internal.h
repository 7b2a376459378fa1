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
#include "kernels/cpu/tile_vnni.h"

/* How the model's weights lie: element (group, tap, k, n), steps in elements. */
typedef struct oct_q8_source {
    const uint8_t *w;
    bool is_signed;
    ptrdiff_t group_step, tap_step, k_step, n_step;
    const oct_quant *quant;
} oct_q8_source;

/* The way of most VNNI convolutions (conv_q8_direct.c): every tap lies at one distance from the
 * pixel's first, in the tensor itself or in a padded copy of the rows at hand. */
typedef struct oct_q8_direct {
    bool on, in_place;
    size_t run;                      /* kernel columns read as one tap */
    size_t taps, lanes;              /* of 4 bytes, per tap */
    size_t padded_width;             /* pixels of a copied row */
    int64_t pixel_step, row_step;    /* bytes, in the tensor or the copy */
    size_t chunk;                    /* pixels at once, at most */
    size_t pixel_parts, panel_parts; /* work items */
    oct_vnni_finish finish;
} oct_q8_direct;

#define OCT_Q8_DW_GROUPS 128 /* of 4 taps, at most */

/* Depthwise with VNNI: depthwise_q8.h, conv_q8_depthwise.c. */
typedef struct oct_q8_dw {
    bool on;
    bool pairs;      /* two output rows at once */
    bool tame;       /* scaled sums stay far inside s32 */
    size_t deep;     /* groups of 4 rows under a kernel column, with pairs */
    size_t groups;   /* of 4 taps */
    size_t period;   /* of the channels, in blocks of 64 */
    size_t plane;    /* pixels of a copied row, per remainder of the stride */
    size_t row_step; /* bytes of a copied row */
    size_t rows;     /* output rows at once, at most */
} oct_q8_dw;

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
    bool linear; /* output pixel i reads input pixel i, all at one distance */
    oct_q8_dw dw;
    oct_q8_direct direct;
    void *lane_params; /* comp, m, b in lane order, of dw and direct */
} oct_q8_conv;

/* Fills all but what is allocated. False with a reason. */
bool oct_q8_conv_plan(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op,
                      char *reason);
/* Packs weights, factors and padding; on failure the caller calls deinit. */
oct_status oct_q8_conv_pack(oct_cpu *be, oct_ctx *ctx, const oct_op_desc *d, oct_q8_conv *op);
/* Values before rounding stay far inside s32, so that packing them with saturation clamps them.
 * Activations add at most 1, and multiply by no more than their parameters. After set_factors. */
bool oct_q8_is_tame(const oct_q8_conv *op);
void oct_q8_conv_deinit(oct_cpu *be, oct_q8_conv *op);

#if defined(OCT_X86)
/* False where it cannot serve; the caller has filled all but `direct`. */
bool oct_q8_direct_plan(oct_q8_conv *op);
size_t oct_q8_direct_worker_bytes(const oct_q8_conv *op);
size_t oct_q8_direct_lanes(const oct_q8_conv *op); /* packed weights, in 4 bytes */
oct_status oct_q8_direct_pack(const oct_q8_conv *op, oct_ctx *ctx, uint32_t *out);
void oct_q8_direct_deltas(const oct_q8_conv *op, ptrdiff_t *delta); /* [group * taps] */
oct_status oct_q8_direct_params(oct_q8_conv *op, oct_ctx *ctx);     /* after comp and factors */
oct_status oct_q8_direct_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a);

/* The same for `dw`. */
bool oct_q8_dw_plan(oct_q8_conv *op);
size_t oct_q8_dw_worker_bytes(const oct_q8_conv *op);
size_t oct_q8_dw_lanes(const oct_q8_conv *op);
void oct_q8_dw_pack(const oct_q8_conv *op, uint32_t *out);
oct_status oct_q8_dw_params(oct_q8_conv *op, oct_ctx *ctx);
oct_status oct_q8_dw_run(const oct_cpu_op *base, oct_ctx *ctx, const oct_run_args *a);
#endif

#endif /* OCT_KERNELS_CPU_CONV_Q8_INTERNAL_H */
