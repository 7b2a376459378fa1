/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs that another runtime recorded, as JSON:
 *
 *     [[0.1, 0.9], [0.7, 0.3]]        nested lists, one item a sample
 *     [{"name": "y", "dimensions": "2x10", "values": [...]}]
 *                                     one output as `trtexec --exportOutput` writes it
 */
#ifndef OCT_ACCURACY_RECORDED_H
#define OCT_ACCURACY_RECORDED_H

#include "datasets/npy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_RECORDED_MAX_BYTES ((size_t)1 << 30)

/* Reads them as f64; null stands for NaN. OCT_ERR_FORMAT: anything else, or ragged lists, with the place;
 * OCT_ERR_UNSUPPORTED: several outputs. Release with oct_array_deinit(). */
OCT_MUST_CHECK oct_status oct_recorded_read_json(oct_ctx *ctx, const char *path, oct_array *out);
/* The same from text; `name` is for messages. */
OCT_MUST_CHECK oct_status oct_recorded_parse_json(oct_ctx *ctx, const char *name, const char *text,
                                                  size_t n_bytes, oct_array *out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_RECORDED_H */
