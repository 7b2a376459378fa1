/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_read.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/strbuf.h"

/* Deepest nesting of a text, strings skipped. jansson's own limit of 2,048 is generous. */
static int text_depth(const char *s, size_t n)
{
    int depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string) {
            i += s[i] == '\\';
            in_string = i >= n || s[i] != '"';
        } else if (s[i] == '"') {
            in_string = true;
        } else if (s[i] == '{' || s[i] == '[') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if (s[i] == '}' || s[i] == ']') {
            depth--;
        }
    }
    return deepest;
}

oct_status oct_json_read_text(oct_ctx *ctx, const char *name, const char *text, size_t n_bytes,
                              json_t **root)
{
    json_error_t err;
    char reason[2 * JSON_ERROR_TEXT_LENGTH];
    *root = NULL;
    const int depth = text_depth(text, n_bytes);
    if (depth > OCT_JSON_MAX_DEPTH)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: JSON nested %d deep, at most %d allowed", name,
                        depth, OCT_JSON_MAX_DEPTH);
    *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &err);
    if (*root)
        return OCT_OK;
    if (json_error_code(&err) == json_error_out_of_memory)
        return oct_fail(ctx, OCT_ERR_NOMEM, "%s: out of memory while reading JSON", name);
    return oct_fail(ctx, OCT_ERR_FORMAT, "%s:%d:%d: not valid JSON: %s", name, err.line, err.column,
                    oct_printable(err.text, reason, sizeof reason));
}

oct_status oct_json_read_file(oct_ctx *ctx, const char *path, size_t max_bytes, json_t **root)
{
    uint8_t *data;
    size_t n;
    *root = NULL;
    OCT_TRY(oct_file_read(ctx, path, max_bytes, &data, &n));
    const oct_status st = oct_json_read_text(ctx, path, (const char *)data, n, root);
    oct_free(ctx, data);
    return st;
}

void oct_json_read_free(json_t *root)
{
    json_decref(root);
}

static const char *type_text(const json_t *v)
{
    static const char *const text[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a float",   [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return v ? text[json_typeof(v)] : "nothing";
}

static oct_status fail_type(const oct_json_at *at, const char *key, const char *expected,
                            const json_t *found)
{
    return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: key '%s%s': expected %s, found %s", at->file,
                    at->where, key, expected, type_text(found));
}

/* Convert one value; false when it is of another type or does not fit. */
static bool to_object(json_t *v, void *out)
{
    if (json_is_object(v))
        *(json_t **)out = v;
    return json_is_object(v);
}

static bool to_array(json_t *v, void *out)
{
    if (json_is_array(v))
        *(json_t **)out = v;
    return json_is_array(v);
}

static bool to_string(json_t *v, void *out)
{
    /* A NUL inside would cut the text short unseen. */
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return false;
    *(const char **)out = json_string_value(v);
    return true;
}

static bool to_s64(json_t *v, void *out)
{
    if (json_is_integer(v))
        *(int64_t *)out = json_integer_value(v);
    return json_is_integer(v);
}

static bool to_f64(json_t *v, void *out)
{
    if (json_is_number(v))
        *(double *)out = json_number_value(v);
    return json_is_number(v);
}

static bool to_f32(json_t *v, void *out)
{
    const double d = json_number_value(v);
    if (!json_is_number(v) || fabs(d) > (double)FLT_MAX)
        return false;
    *(float *)out = (float)d;
    return true;
}

static bool to_bool(json_t *v, void *out)
{
    if (json_is_boolean(v))
        *(bool *)out = json_is_true(v);
    return json_is_boolean(v);
}

#define GETTERS(name, type, expected)                                                         \
    oct_status oct_json_get_##name(const oct_json_at *at, const json_t *obj, const char *key, \
                                   type *out)                                                 \
    {                                                                                         \
        json_t *v = json_object_get(obj, key);                                                \
        return v && to_##name(v, out) ? OCT_OK : fail_type(at, key, expected, v);             \
    }                                                                                         \
    oct_status oct_json_opt_##name(const oct_json_at *at, const json_t *obj, const char *key, \
                                   type *out)                                                 \
    {                                                                                         \
        json_t *v = json_object_get(obj, key);                                                \
        return !v || json_is_null(v) ? OCT_OK : oct_json_get_##name(at, obj, key, out);       \
    }

GETTERS(object, json_t *, "an object")
GETTERS(array, json_t *, "an array")
GETTERS(string, const char *, "a string")
GETTERS(s64, int64_t, "an integer")
GETTERS(f64, double, "a number")
GETTERS(f32, float, "a number that fits float32")
GETTERS(bool, bool, "true or false")

oct_status oct_json_check_keys(const oct_json_at *at, const json_t *obj, const char *const *known)
{
    const char *key;
    json_t *v;
    char name[128];
    json_object_foreach((json_t *)obj, key, v)
    {
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return oct_fail(at->ctx, OCT_ERR_FORMAT, "%s: key '%s%s' is not known", at->file,
                            at->where, oct_printable(key, name, sizeof name));
    }
    return OCT_OK;
}
