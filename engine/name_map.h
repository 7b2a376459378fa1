/* SPDX-License-Identifier: Apache-2.0
 *
 * Map from names to numbers: open addressing, a power of two of slots, at most half full.
 * Names are borrowed and must outlive the map. Start from all zeros.
 */
#ifndef OCT_ENGINE_NAME_MAP_H
#define OCT_ENGINE_NAME_MAP_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_name_slot {
    const char *name; /* NULL = free */
    uint32_t value;
} oct_name_slot;

typedef struct oct_name_map {
    oct_name_slot *slot;
    uint32_t n, n_slots;
} oct_name_map;

/* Adds `name` or changes its number. OCT_ERR_NOMEM. */
OCT_MUST_CHECK oct_status oct_name_map_put(oct_ctx *ctx, oct_name_map *m, const char *name,
                                           uint32_t value);
bool oct_name_map_get(const oct_name_map *m, const char *name, uint32_t *value);
void oct_name_map_deinit(oct_ctx *ctx, oct_name_map *m);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_NAME_MAP_H */
