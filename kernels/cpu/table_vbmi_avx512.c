/* SPDX-License-Identifier: Apache-2.0
 *
 * Table lookup with AVX512-VBMI: two 128-entry byte permutations and a blend by the top bit,
 * 64 elements at a time.
 */
#include "kernels/cpu/table_vbmi.h"

#include <immintrin.h>

#define VBMI __attribute__((target("avx512vbmi")))

VBMI void oct_table_vbmi_avx512(const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n)
{
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
    const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    for (size_t i = 0; i < n; i += 64) {
        const __mmask64 k = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        const __m512i at = _mm512_maskz_loadu_epi8(k, x + i);
        const __m512i low = _mm512_permutex2var_epi8(t0, at, t1);
        const __m512i high = _mm512_permutex2var_epi8(t2, at, t3);
        _mm512_mask_storeu_epi8(y + i, k,
                                _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high));
    }
}
