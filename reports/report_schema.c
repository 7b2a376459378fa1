/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON Schema of reports, from the table of members.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "reports/report_fields_internal.h"

static void reference(oct_json *j, oct_report_kind kind)
{
    char text[64];
    snprintf(text, sizeof text, "#/$defs/%s", oct_report_structs[kind].name);
    oct_json_kv_string(j, "$ref", text);
}

static void types(oct_json *j, const char *type)
{
    oct_json_key(j, "type");
    oct_json_begin_array(j);
    oct_json_string(j, type);
    oct_json_string(j, "null");
    oct_json_end_array(j);
}

static void items_begin(oct_json *j)
{
    oct_json_kv_string(j, "type", "array");
    oct_json_key(j, "items");
    oct_json_begin_object(j);
}

static void text_type(oct_json *j, const oct_field *f)
{
    oct_json_kv_string(j, "type", "string");
    if (!f->choices)
        return;
    oct_json_key(j, "enum");
    oct_json_begin_array(j);
    for (const char *p = f->choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        oct_json_string_n(j, p, strcspn(p, "|"));
    oct_json_end_array(j);
}

static void list_type(oct_json *j, const oct_field *f)
{
    items_begin(j);
    if (f->type == OCT_FIELD_LIST) {
        reference(j, f->kind);
    } else if (f->type == OCT_FIELD_TEXTS) {
        oct_json_kv_string(j, "type", "string");
    } else if (f->type == OCT_FIELD_NUMBERS) {
        oct_json_kv_string(j, "type", "integer");
        oct_json_kv_s64(j, "minimum", 0);
    } else {
        types(j, "number");
    }
    oct_json_end_object(j);
    if (f->type == OCT_FIELD_INTERVAL) {
        oct_json_kv_s64(j, "minItems", 2);
        oct_json_kv_s64(j, "maxItems", 2);
    }
}

static void member(oct_json *j, const oct_field *f)
{
    oct_json_key(j, f->key);
    oct_json_begin_object(j);
    oct_json_kv_string(j, "description", f->about);
    if (f->type == OCT_FIELD_TEXT)
        text_type(j, f);
    else if (f->type == OCT_FIELD_F64)
        types(j, "number");
    else if (f->type == OCT_FIELD_S64)
        oct_json_kv_string(j, "type", "integer");
    else if (f->type == OCT_FIELD_BOOL)
        oct_json_kv_string(j, "type", "boolean");
    else if (f->type == OCT_FIELD_OBJECT)
        reference(j, f->kind);
    else
        list_type(j, f);
    oct_json_end_object(j);
}

static void members(oct_json *j, oct_report_kind kind)
{
    const oct_field *field = oct_report_structs[kind].field;
    oct_json_kv_string(j, "type", "object");
    oct_json_key(j, "properties");
    oct_json_begin_object(j);
    if (kind == OCT_REPORT_ROOT) {
        oct_json_key(j, "schema");
        oct_json_begin_object(j);
        oct_json_kv_string(j, "const", OCT_REPORT_SCHEMA);
        oct_json_end_object(j);
    }
    for (const oct_field *f = field; f->type != OCT_FIELD_END; f++)
        member(j, f);
    oct_json_end_object(j);
    oct_json_key(j, "required");
    oct_json_begin_array(j);
    if (kind == OCT_REPORT_ROOT)
        oct_json_string(j, "schema");
    for (const oct_field *f = field; f->type != OCT_FIELD_END; f++)
        if (f->required)
            oct_json_string(j, f->key);
    oct_json_end_array(j);
}

oct_status oct_report_schema(oct_strbuf *out)
{
    oct_json j;
    oct_json_init(&j, out, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "$schema", "https://json-schema.org/draft/2020-12/schema");
    oct_json_kv_string(&j, "title", OCT_REPORT_SCHEMA);
    members(&j, OCT_REPORT_ROOT);
    oct_json_key(&j, "$defs");
    oct_json_begin_object(&j);
    for (int k = OCT_REPORT_ROOT + 1; k < OCT_REPORT_KIND_COUNT; k++) {
        oct_json_key(&j, oct_report_structs[k].name);
        oct_json_begin_object(&j);
        members(&j, (oct_report_kind)k);
        oct_json_end_object(&j);
    }
    oct_json_end_object(&j);
    oct_json_end_object(&j);
    return oct_strbuf_status(out);
}
