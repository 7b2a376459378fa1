/* SPDX-License-Identifier: Apache-2.0
 *
 * Three planes to triples: what an RGB image in row-major order takes to become channels-last.
 */
#ifndef OCT_KERNELS_CPU_INTERLEAVE_H
#define OCT_KERNELS_CPU_INTERLEAVE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(OCT_X86)
/* y[3 i + j] = x[j * plane + i] for i < n, elements of 1, 2 or 4 bytes; `plane` in elements. */
void oct_interleave3_avx2(const void *x, size_t plane, size_t n, size_t elem_bytes, void *y);
#endif

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_INTERLEAVE_H */
