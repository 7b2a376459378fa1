/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs one operator on host memory with the reference kernels: constant folding, integer
 * shape arithmetic, and whatever else must be known before a plan exists.
 */
#ifndef OCT_ENGINE_HOST_OP_H
#define OCT_ENGINE_HOST_OP_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `in`: dense row-major with data (dtype NONE = absent); `out`: descriptions inferred,
 * dense row-major, data = where to write. `ref` is the "ref" backend. OCT_ERR_UNSUPPORTED when ref declines. */
OCT_MUST_CHECK oct_status oct_host_op_run(oct_ctx *ctx, oct_backend *ref, oct_op op,
                                          const void *attr, const char *name, const oct_tensor *in,
                                          int n_in, const oct_tensor *out, int n_out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_HOST_OP_H */
