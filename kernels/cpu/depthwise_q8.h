/* SPDX-License-Identifier: Apache-2.0
 *
 * The VNNI form of the 8-bit depthwise convolution: one 8-bit output in the scaled form of
 * kernels/requant.h, no residual, no activation but what its bounds hold.
 */
#ifndef OCT_KERNELS_CPU_DEPTHWISE_Q8_H
#define OCT_KERNELS_CPU_DEPTHWISE_Q8_H

#include "kernels/cpu/gemm_q8.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_DW_VNNI_CHANNELS 64 /* a block; arrays below are padded to whole blocks */

typedef struct oct_dw_vnni {
    const oct_q8_out *out;
    const void *const *x; /* [tap][OCT_Q8_DW_PIXELS] */
    const oct_q8_place *place;
    size_t taps, channels, padded_channels, pixels;
    bool x_signed;
    const uint8_t *w;    /* [tap / 4][channel in lane order][4] s8 */
    const int32_t *comp; /* in lane order, as m and b */
    const float *m, *b;
} oct_dw_vnni;

/* Channel that lane `lane` of a block belongs to. */
static inline size_t oct_dw_vnni_channel(size_t lane)
{
    const size_t vector = lane / 16, within = lane % 16;
    return within / 4 * 16 + vector * 4 + within % 4;
}

#if defined(OCT_X86)
void oct_dw_vnni_avx512(const oct_dw_vnni *t);
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_DEPTHWISE_Q8_H */
