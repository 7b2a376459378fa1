/* SPDX-License-Identifier: Apache-2.0
 *
 * An op's epilogue (residual, activation) as oneDNN post-ops.
 */
#ifndef OCT_KERNELS_CPU_DNNL_POST_H
#define OCT_KERNELS_CPU_DNNL_POST_H

#if defined(OCT_HAVE_ONEDNN)

#include "kernels/backend.h"
#include "kernels/cpu/dnnl_compat.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_dnnl_post {
    dnnl_post_ops_t ops;
    int binary; /* input index of the residual added by a binary post-op (number 0), or -1 */
    oct_dmd binary_md;
} oct_dnnl_post;

/* Appends activation `act` with parameters `a`, `b`. */
dnnl_status_t oct_dnnl_post_act(dnnl_post_ops_t ops, oct_act act, float a, float b);

/* Builds the post-ops of an f32 op and sets them in `attr`. `in_place`: the residual already lies
 * in the destination (sum), else it is read beside it (binary add). */
dnnl_status_t oct_dnnl_post_init(oct_dnnl_post *p, const oct_op_desc *d, bool in_place,
                                 const oct_dmd *dst, dnnl_primitive_attr_t attr);
void oct_dnnl_post_deinit(oct_dnnl_post *p);

#ifdef __cplusplus
}
#endif

#endif /* OCT_HAVE_ONEDNN */
#endif /* OCT_KERNELS_CPU_DNNL_POST_H */
