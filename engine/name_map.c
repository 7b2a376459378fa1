/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/name_map.h"

#include <string.h>

#include "base/hash.h"

enum { FIRST_SLOTS = 32 };

static struct oct_name_slot *slot_of(const oct_name_map *m, const char *name)
{
    const uint32_t mask = m->n_slots - 1;
    uint32_t i = (uint32_t)oct_xxh64_of(name, strlen(name)) & mask;
    while (m->slot[i].name && strcmp(m->slot[i].name, name) != 0)
        i = (i + 1) & mask;
    return &m->slot[i];
}

static oct_status grow(oct_ctx *ctx, oct_name_map *m)
{
    oct_name_map bigger = {.n = m->n, .n_slots = m->n_slots ? m->n_slots * 2 : FIRST_SLOTS};
    bigger.slot = oct_zalloc_array(ctx, bigger.n_slots, sizeof *bigger.slot);
    if (!bigger.slot)
        return OCT_ERR_NOMEM;
    for (uint32_t i = 0; i < m->n_slots; i++)
        if (m->slot[i].name)
            *slot_of(&bigger, m->slot[i].name) = m->slot[i];
    oct_free(ctx, m->slot);
    *m = bigger;
    return OCT_OK;
}

oct_status oct_name_map_put(oct_ctx *ctx, oct_name_map *m, const char *name, uint32_t value)
{
    if (m->n >= m->n_slots / 2)
        OCT_TRY(grow(ctx, m));
    struct oct_name_slot *s = slot_of(m, name);
    m->n += s->name == NULL;
    *s = (struct oct_name_slot){name, value};
    return OCT_OK;
}

bool oct_name_map_get(const oct_name_map *m, const char *name, uint32_t *value)
{
    const struct oct_name_slot *s = m->n_slots ? slot_of(m, name) : NULL;
    if (!s || !s->name)
        return false;
    *value = s->value;
    return true;
}

void oct_name_map_deinit(oct_ctx *ctx, oct_name_map *m)
{
    oct_free(ctx, m->slot);
    *m = (oct_name_map){0};
}
