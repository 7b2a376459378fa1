/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/quant_vec.h"

extern const oct_quant_kernels oct_quant_portable;
#if defined(OCT_X86)
extern const oct_quant_kernels oct_quant_avx2, oct_quant_avx512;
#endif

const oct_quant_kernels *oct_quant_vec_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_quant_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_quant_avx2;
#endif
    (void)isa;
    return &oct_quant_portable;
}
