/* SPDX-License-Identifier: Apache-2.0
 *
 * The `cpu` backend. For each descriptor it lists, best guess first: oneDNN primitives
 * (where built), our own SIMD kernels, and, when neither serves, the `ref` kernel.
 *
 * The choice depends only on the descriptor, the instruction set and the oneDNN version. A
 * prepared op is immutable; packed weights are shared between prepared ops through a
 * reference-counted cache, so a plan for another input shape costs no second copy.
 *
 * Environment: ONEDNN_MAX_CPU_ISA (oneDNN's own variable) limits our kernels as well.
 */
#ifndef OCT_KERNELS_CPU_CPU_H
#define OCT_KERNELS_CPU_CPU_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A new instance; closed through its vtable. OCT_ERR_NOMEM. */
OCT_MUST_CHECK oct_status oct_cpu_open(oct_ctx *ctx, oct_backend **out);

/* "avx512_vnni", "avx512", "avx2" or "portable": what our kernels use; goes into provenance. */
const char *oct_cpu_isa_text(void);
/* What the processor calls itself, "" where it does not say. */
const char *oct_cpu_brand(char *buf, size_t cap);
/* "oneDNN 2.6.3 (avx512_core_vnni)", or "none". */
const char *oct_cpu_dnnl_text(char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_CPU_H */
