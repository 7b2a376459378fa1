/* SPDX-License-Identifier: Apache-2.0
 *
 * Which instruction set our own kernels use: what the processor and the system support, at
 * most what ONEDNN_MAX_CPU_ISA allows (so that one variable limits oneDNN and us alike).
 */
#ifndef OCT_KERNELS_CPU_CPU_ISA_H
#define OCT_KERNELS_CPU_CPU_ISA_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_isa {
    OCT_ISA_PORTABLE,
    OCT_ISA_AVX2,   /* with FMA and F16C */
    OCT_ISA_AVX512, /* F, BW, DQ, VL */
    OCT_ISA_COUNT,
} oct_isa;

typedef struct oct_cpu_isa {
    oct_isa isa;
    bool avx512_vnni; /* exact u8 x s8 dot products at 512 bits */
    bool avx_vnni;    /* the same at 256 bits */
    bool avx512_vbmi; /* byte permutations */
} oct_cpu_isa;

oct_cpu_isa oct_cpu_isa_detect(void);
/* "portable", "avx2", "avx512" or "avx512_vnni". */
const char *oct_cpu_isa_name(const oct_cpu_isa *c);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_CPU_ISA_H */
