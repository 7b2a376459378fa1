/* SPDX-License-Identifier: Apache-2.0
 *
 * The oneDNN engine of one backend instance; in builds without oneDNN there is none.
 */
#ifndef OCT_KERNELS_CPU_DNNL_ENGINE_H
#define OCT_KERNELS_CPU_DNNL_ENGINE_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_cpu_dnnl oct_cpu_dnnl;

/* NULL in `*out` where oneDNN is not built in. */
OCT_MUST_CHECK oct_status oct_cpu_dnnl_open(oct_ctx *ctx, oct_cpu_dnnl **out);
void oct_cpu_dnnl_close(oct_ctx *ctx, oct_cpu_dnnl *d); /* NULL is allowed */

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_CPU_DNNL_ENGINE_H */
