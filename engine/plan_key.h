/* SPDX-License-Identifier: Apache-2.0
 *
 * The names under which times are kept (timing_cache.h): what the speed of a candidate depends on, as
 * plain text. Equal layers of a network have equal keys, whatever their names and weights.
 *
 *     key     Conv {kernel_shape=[3,3], pads=[1,1,1,1]} s8[8x64x56x56]nhwc*1 s8[64x64x3x3]*64@0!
 *             f32[64]! -> s8[8x64x56x56]nhwc*1 relu
 *     device  cuda NVIDIA H100 sm_90, CUDA 13.1, cuBLASLt 130100; octet 0.1.0 Release 5f0c...
 *
 * Operands: type, shape, layout, strides unless dense, *scales@axis (z: with zero points),
 * ! = constant. Constant integers (axes, pads) stand with a hash of their values.
 */
#ifndef OCT_ENGINE_PLAN_KEY_H
#define OCT_ENGINE_PLAN_KEY_H

#include "base/strbuf.h"
#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* OCT_ERR_NOMEM. Printable ASCII. */
OCT_MUST_CHECK oct_status oct_plan_key(const oct_op_desc *d, oct_strbuf *b);
/* `threads` matter on the host only. */
OCT_MUST_CHECK oct_status oct_plan_key_device(const oct_backend *be, int threads, oct_strbuf *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_PLAN_KEY_H */
