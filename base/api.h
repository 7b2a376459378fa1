/* SPDX-License-Identifier: Apache-2.0
 *
 * For the api_*.c files that implement include/octet/octet.h: from public types to ours.
 * Status and dtype codes are equal by static assertion, so a cast translates them.
 */
#ifndef OCT_BASE_API_H
#define OCT_BASE_API_H

#include "base/ctx.h"
#include "base/tensor.h"
#include "octet/octet.h"

#ifdef __cplusplus
extern "C" {
#endif

oct_ctx *oct_api_ctx(octet_ctx *ctx);

/* Copies a caller's option struct (NULL = defaults) of any size into ours: missing fields
 * become 0, unknown fields that are not 0 give OCT_ERR_USAGE. Both start with struct_size. */
OCT_MUST_CHECK oct_status oct_api_copy_options(void *dst, size_t dst_bytes, const void *src);

/* Checks a caller's tensor and describes it row-major in `*out`, borrowing the data. `what`
 * names it in messages ("input 'x'"). */
OCT_MUST_CHECK oct_status oct_api_tensor(oct_ctx *ctx, const char *what, const octet_tensor *in,
                                         oct_tensor *out);

/* Our row-major tensor as a public one (data borrowed). */
void oct_api_tensor_out(const oct_tensor *in, octet_tensor *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_API_H */
