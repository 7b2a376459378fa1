/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/gemm_q8.h"

extern const oct_q8_kernels oct_q8_portable;
#if defined(OCT_X86)
extern const oct_q8_kernels oct_q8_avx2, oct_q8_avx512, oct_q8_avx512_vnni;
#endif

const oct_q8_kernels *oct_gemm_q8_get(const oct_cpu_isa *isa)
{
#if defined(OCT_X86)
    if (isa->avx512_vnni)
        return &oct_q8_avx512_vnni;
    if (isa->isa >= OCT_ISA_AVX512)
        return &oct_q8_avx512;
    if (isa->isa >= OCT_ISA_AVX2)
        return &oct_q8_avx2;
#endif
    (void)isa;
    return &oct_q8_portable;
}
