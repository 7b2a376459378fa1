/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a rename map.
 */
#ifndef OCT_CALIB_CACHE_TOOLS_INTERNAL_H
#define OCT_CALIB_CACHE_TOOLS_INTERNAL_H

#include "calib/cache_tools.h"

/* An empty map for `cap` pairs, in one block: both pointer arrays, then `text_bytes` + 1 for the
 * texts they may point into. */
OCT_MUST_CHECK oct_status oct_rename_map_new(oct_ctx *ctx, size_t cap, size_t text_bytes,
                                             oct_rename_map *m, char **text);
void oct_rename_map_add(oct_rename_map *m, const char *from, const char *to);

#endif /* OCT_CALIB_CACHE_TOOLS_INTERNAL_H */
