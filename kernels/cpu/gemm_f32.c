/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/cpu/gemm_f32.h"

extern const oct_gemm_kernels oct_gemm_portable;
#if defined(OCT_X86)
extern const oct_gemm_kernels oct_gemm_avx2, oct_gemm_avx512;
#endif

const oct_gemm_kernels *oct_gemm_f32_get(oct_isa isa)
{
#if defined(OCT_X86)
    if (isa >= OCT_ISA_AVX512)
        return &oct_gemm_avx512;
    if (isa >= OCT_ISA_AVX2)
        return &oct_gemm_avx2;
#endif
    (void)isa;
    return &oct_gemm_portable;
}

size_t oct_gemm_panels(const oct_gemm_kernels *g, size_t n)
{
    return (n + g->panel - 1) / g->panel;
}

size_t oct_gemm_packed_elems(const oct_gemm_kernels *g, size_t taps, size_t k, size_t n)
{
    return oct_gemm_panels(g, n) * g->panel * taps * k;
}

static void pack_row(const float *from, ptrdiff_t step, size_t real, size_t panel, float scale,
                     float *dst)
{
    size_t j = 0;
    for (; j < real; j++)
        dst[j] = scale * from[(ptrdiff_t)j * step];
    for (; j < panel; j++)
        dst[j] = 0.0f;
}

void oct_gemm_pack(const oct_gemm_kernels *g, const oct_gemm_source *s, size_t lo, size_t hi,
                   float *dst)
{
    float *out = dst + lo * g->panel * s->taps * s->k;
    for (size_t p = lo; p < hi; p++) {
        const size_t first = p * g->panel;
        const size_t real = s->n - first < g->panel ? s->n - first : g->panel;
        for (size_t t = 0; t < s->taps; t++) {
            const float *from = s->b + (ptrdiff_t)t * s->tap_step + (ptrdiff_t)first * s->n_step;
            for (size_t i = 0; i < s->k; i++, out += g->panel)
                pack_row(from + (ptrdiff_t)i * s->k_step, s->n_step, real, g->panel, s->scale, out);
        }
    }
}
