/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and reading reports: walks over the table of members.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_read.h"
#include "reports/report_fields_internal.h"

/* ---- writing ----------------------------------------------------------------------------- */

static void write_struct(oct_json *j, oct_report_kind kind, const void *p);

static size_t length_of(const oct_field *f, const void *p)
{
    return *(const size_t *)oct_field_of(p, f->n_at);
}

static void write_interval(oct_json *j, const char *key, const oct_report_interval *i)
{
    if (isnan(i->lo) && isnan(i->hi))
        return;
    oct_json_key(j, key);
    oct_json_begin_array(j);
    oct_json_f64(j, i->lo);
    oct_json_f64(j, i->hi);
    oct_json_end_array(j);
}

static void write_list(oct_json *j, const oct_field *f, const void *p)
{
    const void *list = *(void *const *)oct_field_of(p, f->at);
    const size_t n = length_of(f, p);
    if (!list)
        return;
    oct_json_key(j, f->key);
    oct_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        if (f->type == OCT_FIELD_LIST)
            write_struct(j, f->kind, (const char *)list + i * oct_report_structs[f->kind].bytes);
        else if (f->type == OCT_FIELD_NUMBERS)
            oct_json_u64(j, ((const uint64_t *)list)[i]);
        else
            oct_json_string(j, ((const char *const *)list)[i]);
    }
    oct_json_end_array(j);
}

static void write_member(oct_json *j, const oct_field *f, const void *p)
{
    const void *at = oct_field_of(p, f->at);
    switch (f->type) {
    case OCT_FIELD_TEXT:
        if (*(const char *const *)at)
            oct_json_kv_string(j, f->key, *(const char *const *)at);
        break;
    case OCT_FIELD_F64:
        if (!isnan(*(const double *)at))
            oct_json_kv_f64(j, f->key, *(const double *)at);
        break;
    case OCT_FIELD_S64:
        if (*(const int64_t *)at != -1)
            oct_json_kv_s64(j, f->key, *(const int64_t *)at);
        break;
    case OCT_FIELD_BOOL:
        oct_json_kv_bool(j, f->key, *(const bool *)at);
        break;
    case OCT_FIELD_INTERVAL:
        write_interval(j, f->key, at);
        break;
    case OCT_FIELD_OBJECT:
        if (*(void *const *)at) {
            oct_json_key(j, f->key);
            write_struct(j, f->kind, *(void *const *)at);
        }
        break;
    default:
        write_list(j, f, p);
    }
}

static void write_members(oct_json *j, oct_report_kind kind, const void *p)
{
    for (const oct_field *f = oct_report_structs[kind].field; f->type != OCT_FIELD_END; f++)
        write_member(j, f, p);
}

static void write_struct(oct_json *j, oct_report_kind kind, const void *p)
{
    oct_json_begin_object(j);
    write_members(j, kind, p);
    oct_json_end_object(j);
}

oct_status oct_report_write(const oct_report *r, oct_strbuf *out)
{
    oct_json j;
    oct_json_init(&j, out, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", OCT_REPORT_SCHEMA);
    write_members(&j, OCT_REPORT_ROOT, r);
    oct_json_end_object(&j);
    return oct_strbuf_status(out);
}

/* ---- reading ----------------------------------------------------------------------------- */

typedef struct reader {
    oct_report *report;
    oct_json_at at;
} reader;

static oct_status read_struct(reader *rd, oct_report_kind kind, const json_t *v, void *p);

static oct_status fail_at(const reader *rd, const char *key, const char *expected)
{
    return oct_fail(rd->at.ctx, OCT_ERR_FORMAT, "%s: key '%s%s': expected %s", rd->at.file,
                    rd->at.where, key, expected);
}

static oct_status read_text(reader *rd, const json_t *obj, const char *key, const char **out)
{
    const char *text = NULL;
    OCT_TRY(oct_json_opt_string(&rd->at, obj, key, &text));
    *out = oct_report_text(rd->report, text);
    return text && !*out ? OCT_ERR_NOMEM : OCT_OK;
}

/* One of the words in `choices`, "a|b|c". */
static bool is_choice(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strcspn(p, "|") == n && strncmp(p, text, n) == 0)
            return true;
    return false;
}

static oct_status read_choice(reader *rd, const json_t *obj, const oct_field *f, const char **out)
{
    OCT_TRY(read_text(rd, obj, f->key, out));
    return !*out || is_choice(f->choices, *out) ? OCT_OK : fail_at(rd, f->key, f->choices);
}

static oct_status read_interval(reader *rd, const json_t *obj, const char *key,
                                oct_report_interval *out)
{
    json_t *list = NULL;
    OCT_TRY(oct_json_opt_array(&rd->at, obj, key, &list));
    if (!list)
        return OCT_OK;
    double end[2] = {NAN, NAN};
    for (size_t i = 0; i < 2; i++) {
        const json_t *v = json_array_get(list, i);
        if (json_array_size(list) != 2 || (!json_is_number(v) && !json_is_null(v)))
            return fail_at(rd, key, "two numbers");
        if (json_is_number(v))
            end[i] = json_number_value(v);
    }
    *out = (oct_report_interval){end[0], end[1]};
    return OCT_OK;
}

/* A struct inside another: what is wrong in it is reported with the whole way. */
static oct_status read_inner(reader *rd, const oct_field *f, const json_t *v, size_t index, void *p)
{
    char where[200];
    const char *outer = rd->at.where;
    if (f->type == OCT_FIELD_LIST)
        snprintf(where, sizeof where, "%s%s[%zu].", outer, f->key, index);
    else
        snprintf(where, sizeof where, "%s%s.", outer, f->key);
    rd->at.where = where;
    const oct_status st = read_struct(rd, f->kind, v, p);
    rd->at.where = outer;
    return st;
}

static oct_status read_object(reader *rd, const oct_field *f, const json_t *obj, void *at)
{
    json_t *v = NULL;
    OCT_TRY(oct_json_opt_object(&rd->at, obj, f->key, &v));
    if (!v)
        return OCT_OK;
    void *made = oct_report_array(rd->report, f->kind, 1);
    if (!made)
        return OCT_ERR_NOMEM;
    *(void **)at = made;
    return read_inner(rd, f, v, 0, made);
}

static oct_status read_item(reader *rd, const oct_field *f, const json_t *v, size_t i, void *list)
{
    if (f->type == OCT_FIELD_LIST)
        return read_inner(rd, f, v, i, (char *)list + i * oct_report_structs[f->kind].bytes);
    if (f->type == OCT_FIELD_NUMBERS) {
        if (!json_is_integer(v) || json_integer_value(v) < 0)
            return fail_at(rd, f->key, "a list of counts");
        ((uint64_t *)list)[i] = (uint64_t)json_integer_value(v);
        return OCT_OK;
    }
    const char *text = json_string_value(v);
    if (!text || strlen(text) != json_string_length(v))
        return fail_at(rd, f->key, "a list of texts");
    ((const char **)list)[i] = oct_report_text(rd->report, text);
    return ((const char **)list)[i] ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status read_list(reader *rd, const oct_field *f, const json_t *obj, void *p)
{
    json_t *v = NULL;
    OCT_TRY(oct_json_opt_array(&rd->at, obj, f->key, &v));
    if (!v)
        return OCT_OK;
    const size_t n = json_array_size(v);
    void *list = f->type == OCT_FIELD_LIST      ? oct_report_array(rd->report, f->kind, n)
                 : f->type == OCT_FIELD_NUMBERS ? (void *)oct_report_numbers(rd->report, n)
                                                : (void *)oct_report_texts(rd->report, n);
    if (!list)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        OCT_TRY(read_item(rd, f, json_array_get(v, i), i, list));
    *(void **)oct_field_of(p, f->at) = list;
    *(size_t *)oct_field_of(p, f->n_at) = n;
    return OCT_OK;
}

static oct_status read_member(reader *rd, const oct_field *f, const json_t *obj, void *p)
{
    void *at = oct_field_of(p, f->at);
    const json_t *v = json_object_get(obj, f->key);
    if (f->required && (!v || json_is_null(v)))
        return fail_at(rd, f->key, "a text, found nothing");
    switch (f->type) {
    case OCT_FIELD_TEXT:
        return f->choices ? read_choice(rd, obj, f, at) : read_text(rd, obj, f->key, at);
    case OCT_FIELD_F64:
        return oct_json_opt_f64(&rd->at, obj, f->key, at);
    case OCT_FIELD_S64:
        return oct_json_opt_s64(&rd->at, obj, f->key, at);
    case OCT_FIELD_BOOL:
        return oct_json_opt_bool(&rd->at, obj, f->key, at);
    case OCT_FIELD_INTERVAL:
        return read_interval(rd, obj, f->key, at);
    case OCT_FIELD_OBJECT:
        return read_object(rd, f, obj, at);
    default:
        return read_list(rd, f, obj, p);
    }
}

static oct_status read_struct(reader *rd, oct_report_kind kind, const json_t *v, void *p)
{
    if (!json_is_object(v))
        return fail_at(rd, "", "an object");
    for (const oct_field *f = oct_report_structs[kind].field; f->type != OCT_FIELD_END; f++)
        OCT_TRY(read_member(rd, f, v, p));
    return OCT_OK;
}

static oct_status read_root(reader *rd, const json_t *root)
{
    const char *schema = NULL;
    char shown[80];
    if (!json_is_object(root))
        return fail_at(rd, "", "an object");
    OCT_TRY(oct_json_opt_string(&rd->at, root, "schema", &schema));
    if (!schema || strcmp(schema, OCT_REPORT_SCHEMA) != 0)
        return oct_fail(rd->at.ctx, OCT_ERR_FORMAT,
                        "%s: schema '%s', expected '%s': is it the result of 'octet evaluate "
                        "--json' or 'octet auto'?",
                        rd->at.file, oct_printable(schema ? schema : "", shown, sizeof shown),
                        OCT_REPORT_SCHEMA);
    return read_struct(rd, OCT_REPORT_ROOT, root, rd->report);
}

static oct_status from_tree(oct_ctx *ctx, const char *name, json_t *root, oct_report **out)
{
    reader rd = {.at = {ctx, name, ""}};
    oct_status st = oct_report_new(ctx, &rd.report);
    if (st == OCT_OK)
        st = read_root(&rd, root);
    oct_json_read_free(root);
    if (st != OCT_OK) {
        oct_report_free(rd.report);
        return st;
    }
    *out = rd.report;
    return OCT_OK;
}

oct_status oct_report_parse(oct_ctx *ctx, const char *name, const char *text, size_t n_bytes,
                            oct_report **out)
{
    json_t *root;
    OCT_TRY(oct_json_read_text(ctx, name, text, n_bytes, &root));
    return from_tree(ctx, name, root, out);
}

oct_status oct_report_read(oct_ctx *ctx, const char *path, oct_report **out)
{
    json_t *root;
    OCT_TRY(oct_json_read_file(ctx, path, OCT_REPORT_MAX_BYTES, &root));
    return from_tree(ctx, path, root, out);
}
