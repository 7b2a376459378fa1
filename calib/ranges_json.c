/* SPDX-License-Identifier: Apache-2.0
 *
 * Our JSON form of a cache, for programs:
 *
 *     {"format": "octet-ranges", "version": 1,
 *      "tensors": [{"name": "input", "amax": 2.64, "scale": 0.0207874}]}
 *
 * Scales outside the finite numbers cannot be written in JSON and become null; reading flags
 * such an entry.
 */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/json_read.h"
#include "calib/ranges_internal.h"

#define FORMAT "octet-ranges"

static oct_status read_entry(oct_ctx *ctx, oct_ranges *r, const json_t *entry, uint32_t number)
{
    char where[48] = "tensors";
    const oct_json_at at = {ctx, oct_ranges_source(r), where};
    const char *name;
    float scale = NAN, amax = NAN;
    OCT_TRY(oct_json_get_string(&at, entry, "name", &name));
    const json_t *value = json_object_get(entry, "scale");
    if (value != NULL && !json_is_null(value))
        OCT_TRY(oct_json_get_f32(&at, entry, "scale", &scale));
    value = json_object_get(entry, "amax");
    if (value != NULL && !json_is_null(value))
        OCT_TRY(oct_json_get_f32(&at, entry, "amax", &amax));
    if (isnan(scale) && !isnan(amax))
        scale = amax / 127.0f;
    if (isnan(amax))
        amax = scale * 127.0f;
    const oct_range e = {.scale = scale, .amax = amax, .line = number};
    return oct_ranges_add(r, name, strlen(name), &e);
}

static oct_status parse_json(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n)
{
    json_t *root, *list;
    OCT_TRY(oct_json_read_text(ctx, "cache", data, n, &root));
    const oct_json_at at = {ctx, oct_ranges_source(r), ""};
    const char *format;
    oct_status st = oct_json_get_string(&at, root, "format", &format);
    if (st == OCT_OK && strcmp(format, FORMAT) != 0)
        st = oct_fail(ctx, OCT_ERR_FORMAT, "key 'format': expected \"" FORMAT "\"");
    if (st == OCT_OK)
        st = oct_json_get_array(&at, root, "tensors", &list);
    for (size_t i = 0; st == OCT_OK && i < json_array_size(list); i++)
        st = read_entry(ctx, r, json_array_get(list, i), (uint32_t)i + 1);
    oct_json_read_free(root);
    return st;
}

static oct_status render_json(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                              oct_strbuf *out)
{
    oct_json j;
    oct_json_init(&j, out, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "format", FORMAT);
    oct_json_kv_u64(&j, "version", 1);
    oct_json_key(&j, "tensors");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        if (!oct_range_is_written(e))
            continue;
        oct_json_begin_object(&j);
        oct_json_kv_string(&j, "name", e->name);
        oct_json_kv_f32(&j, "amax", e->amax);
        oct_json_kv_f32(&j, "scale", e->scale);
        oct_json_end_object(&j);
    }
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_strbuf_add(out, "\n");
    return OCT_OK;
}

static bool matches_json(const char *data, size_t n)
{
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", data[i]) != NULL && data[i] != '\0')
        i++;
    return i < n && data[i] == '{';
}

const oct_cache_codec oct_codec_json = {OCT_CACHE_JSON, "json", parse_json, render_json,
                                        matches_json};
