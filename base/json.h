/* SPDX-License-Identifier: Apache-2.0
 *
 * Streaming JSON writer. Valid JSON by construction: commas, nesting and escapes are
 * handled here, NaN and infinities become null, floats are shortest round-trip text.
 * Reading JSON is jansson's job (base/json_read.h).
 */
#ifndef OCT_BASE_JSON_H
#define OCT_BASE_JSON_H

#include "base/strbuf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_json {
    oct_strbuf *out; /* borrowed */
    int depth;
    bool pretty;
    uint64_t has_item; /* bit per depth */
    bool after_key;
} oct_json;

void oct_json_init(oct_json *j, oct_strbuf *out, bool pretty);
void oct_json_begin_object(oct_json *j);
void oct_json_end_object(oct_json *j);
void oct_json_begin_array(oct_json *j);
void oct_json_end_array(oct_json *j);
void oct_json_key(oct_json *j, const char *key);
void oct_json_string(oct_json *j, const char *s); /* NULL writes null */
void oct_json_string_n(oct_json *j, const char *s, size_t n);
void oct_json_s64(oct_json *j, int64_t v);
void oct_json_u64(oct_json *j, uint64_t v);
void oct_json_f32(oct_json *j, float v);
void oct_json_f64(oct_json *j, double v);
void oct_json_bool(oct_json *j, bool v);
void oct_json_null(oct_json *j);

/* key + value in one call */
void oct_json_kv_string(oct_json *j, const char *key, const char *s);
void oct_json_kv_s64(oct_json *j, const char *key, int64_t v);
void oct_json_kv_u64(oct_json *j, const char *key, uint64_t v);
void oct_json_kv_f32(oct_json *j, const char *key, float v);
void oct_json_kv_f64(oct_json *j, const char *key, double v);
void oct_json_kv_bool(oct_json *j, const char *key, bool v);
void oct_json_kv_shape(oct_json *j, const char *key, const int64_t *dim, int n); /* symbols: -1 */

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_JSON_H */
