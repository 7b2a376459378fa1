/* SPDX-License-Identifier: Apache-2.0
 *
 * Handles of the public API that calib's api_*.c files share.
 */
#ifndef OCT_CALIB_API_CALIB_INTERNAL_H
#define OCT_CALIB_API_CALIB_INTERNAL_H

#include "base/api.h"
#include "base/batch.h"
#include "calib/ranges.h"
#include "calib/statistics.h"

#ifdef __cplusplus
extern "C" {
#endif

struct octet_stats {
    oct_ctx *ctx;
    oct_stats *stats;
};

struct octet_scales {
    oct_ctx *ctx;
    oct_ranges *ranges;
};

/* Wraps `r` (given, freed on failure too). */
OCT_MUST_CHECK oct_status oct_api_scales_wrap(oct_ctx *ctx, oct_ranges *r, octet_scales **out);

/* A batch source over a caller's function; `user` stays the caller's. */
OCT_MUST_CHECK oct_status oct_api_source_new(oct_ctx *ctx, octet_next_batch next, void *user,
                                             size_t n_inputs, oct_batch_source **out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_CALIB_API_CALIB_INTERNAL_H */
