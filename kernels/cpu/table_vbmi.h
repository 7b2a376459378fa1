/* SPDX-License-Identifier: Apache-2.0
 *
 * y[i] = table[x[i]] on processors with AVX512-VBMI (oct_cpu_isa.avx512_vbmi).
 */
#ifndef OCT_KERNELS_CPU_TABLE_VBMI_H
#define OCT_KERNELS_CPU_TABLE_VBMI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(OCT_X86)
/* x == y is allowed; `table` has 256 entries. */
void oct_table_vbmi_avx512(const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n);
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_TABLE_VBMI_H */
