/* SPDX-License-Identifier: Apache-2.0
 *
 * Which descriptors a reference kernel takes: the `accepts` members shared by the data
 * groups. Without one a kernel gets dense row-major operands only.
 */
#ifndef OCT_KERNELS_REF_REF_ACCEPT_H
#define OCT_KERNELS_REF_REF_ACCEPT_H

#include "kernels/ref/ref.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any layouts and strides, real-valued operands. */
bool oct_ref_accept_strided(const oct_op_desc *d, char *reason);
/* Any layouts and strides; quantized operands only where all carry the same parameters,
 * because elements are copied as they are. */
bool oct_ref_accept_mover(const oct_op_desc *d, char *reason);
/* The same for kernels that index dense row-major buffers. */
bool oct_ref_accept_dense_mover(const oct_op_desc *d, char *reason);
/* Anything: the kernel looks at shapes only. */
bool oct_ref_accept_any(const oct_op_desc *d, char *reason);
/* Any layouts and strides; s8/u8 operands quantized per tensor, at most 8 of them. */
bool oct_ref_accept_quantized(const oct_op_desc *d, char *reason);

#ifdef __cplusplus
}
#endif

#endif /* OCT_KERNELS_REF_REF_ACCEPT_H */
