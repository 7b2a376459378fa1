/* SPDX-License-Identifier: Apache-2.0
 *
 * Name pairs of a rename, from a file.
 */
#include <string.h>

#include "base/file.h"
#include "calib/cache_tools.h"
#include "calib/cache_tools_internal.h"
#include "calib/ranges_internal.h"

#define MAX_MAP_BYTES ((size_t)64 << 20)

oct_status oct_rename_map_new(oct_ctx *ctx, size_t cap, size_t text_bytes, oct_rename_map *m,
                              char **text)
{
    const char **block = oct_zalloc(ctx, cap * 2 * sizeof *block + text_bytes + 1);
    if (block == NULL)
        return OCT_ERR_NOMEM;
    *m = (oct_rename_map){block, block + cap, 0};
    *text = (char *)(block + 2 * cap);
    return OCT_OK;
}

void oct_rename_map_free(oct_ctx *ctx, oct_rename_map *m)
{
    oct_free(ctx, (void *)(uintptr_t)m->from);
    *m = (oct_rename_map){NULL, NULL, 0};
}

void oct_rename_map_add(oct_rename_map *m, const char *from, const char *to)
{
    ((const char **)(uintptr_t)m->from)[m->n] = from;
    ((const char **)(uintptr_t)m->to)[m->n] = to;
    m->n++;
}

static oct_status parse_map(oct_ctx *ctx, const char *data, size_t n, oct_rename_map *out)
{
    size_t n_lines = 1;
    for (size_t i = 0; i < n; i++)
        n_lines += data[i] == '\n';
    char *text;
    OCT_TRY(oct_rename_map_new(ctx, n_lines, n, out, &text));
    memcpy(text, data, n);
    oct_lines lines = {text, text + n, 0};
    const char *line;
    size_t len;
    while (oct_lines_next(&lines, &line, &len)) {
        if (len == 0)
            continue;
        char *from = text + (line - text), *tab = memchr(from, '\t', len);
        if (tab == NULL || tab == from || tab + 1 == from + len)
            return oct_fail(ctx, OCT_ERR_FORMAT, "line %u: expected old<TAB>new", lines.number);
        *tab = '\0';
        from[len] = '\0';
        oct_rename_map_add(out, from, tab + 1);
    }
    return OCT_OK;
}

oct_status oct_rename_map_read(oct_ctx *ctx, const char *path, oct_rename_map *out)
{
    uint8_t *data;
    size_t n;
    *out = (oct_rename_map){NULL, NULL, 0};
    OCT_TRY(oct_file_read(ctx, path, MAX_MAP_BYTES, &data, &n));
    const oct_status st = parse_map(ctx, (const char *)data, n, out);
    oct_free(ctx, data);
    if (st != OCT_OK) {
        oct_rename_map_free(ctx, out);
        return oct_fail_in(ctx, st, "%s", path);
    }
    return OCT_OK;
}
