/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON: jansson behind our errors. Every message says file, place and expectation:
 * "plan.json: key 'layers[3].bits': expected an integer, found a string".
 *
 *     json_t *root;
 *     OCT_TRY(oct_json_read_file(ctx, path, 1 << 20, &root));
 *     const oct_json_at at = {ctx, path, ""};
 *     st = oct_json_get_f64(&at, root, "scale", &scale);   // required key
 *     if (st == OCT_OK)
 *         st = oct_json_opt_s64(&at, root, "seed", &seed); // left alone when absent
 *     oct_json_read_free(root);
 *
 * Values got from a tree are borrowed and live until oct_json_read_free(). jansson keeps
 * its own heap: bound the text's size (a tree takes up to about 30 times that).
 */
#ifndef OCT_BASE_JSON_READ_H
#define OCT_BASE_JSON_READ_H

#include <jansson.h>

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

#define OCT_JSON_MAX_DEPTH 64

/* Parses a whole text; duplicate keys, depth above OCT_JSON_MAX_DEPTH and trailing text are
 * OCT_ERR_FORMAT with "name:line:column". `name` is only for messages. */
OCT_MUST_CHECK oct_status oct_json_read_text(oct_ctx *ctx, const char *name, const char *text,
                                             size_t n_bytes, json_t **root);
OCT_MUST_CHECK oct_status oct_json_read_file(oct_ctx *ctx, const char *path, size_t max_bytes,
                                             json_t **root);
void oct_json_read_free(json_t *root); /* NULL is allowed */

/* Where we are, for messages. `where` is a prefix such as "layers[3]." or "". */
typedef struct oct_json_at {
    oct_ctx *ctx;
    const char *file;
    const char *where;
} oct_json_at;

/* Required keys of an object: OCT_ERR_FORMAT when absent, of another type or out of range.
 * Integers are accepted where a float is expected. Strings are borrowed. */
OCT_MUST_CHECK oct_status oct_json_get_object(const oct_json_at *at, const json_t *obj,
                                              const char *key, json_t **out);
OCT_MUST_CHECK oct_status oct_json_get_array(const oct_json_at *at, const json_t *obj,
                                             const char *key, json_t **out);
OCT_MUST_CHECK oct_status oct_json_get_string(const oct_json_at *at, const json_t *obj,
                                              const char *key, const char **out);
OCT_MUST_CHECK oct_status oct_json_get_s64(const oct_json_at *at, const json_t *obj,
                                           const char *key, int64_t *out);
OCT_MUST_CHECK oct_status oct_json_get_f64(const oct_json_at *at, const json_t *obj,
                                           const char *key, double *out);
OCT_MUST_CHECK oct_status oct_json_get_f32(const oct_json_at *at, const json_t *obj,
                                           const char *key, float *out);
OCT_MUST_CHECK oct_status oct_json_get_bool(const oct_json_at *at, const json_t *obj,
                                            const char *key, bool *out);

/* Optional keys: `*out` stays as it is when the key is absent or null. */
OCT_MUST_CHECK oct_status oct_json_opt_object(const oct_json_at *at, const json_t *obj,
                                              const char *key, json_t **out);
OCT_MUST_CHECK oct_status oct_json_opt_array(const oct_json_at *at, const json_t *obj,
                                             const char *key, json_t **out);
OCT_MUST_CHECK oct_status oct_json_opt_string(const oct_json_at *at, const json_t *obj,
                                              const char *key, const char **out);
OCT_MUST_CHECK oct_status oct_json_opt_s64(const oct_json_at *at, const json_t *obj,
                                           const char *key, int64_t *out);
OCT_MUST_CHECK oct_status oct_json_opt_f64(const oct_json_at *at, const json_t *obj,
                                           const char *key, double *out);
OCT_MUST_CHECK oct_status oct_json_opt_f32(const oct_json_at *at, const json_t *obj,
                                           const char *key, float *out);
OCT_MUST_CHECK oct_status oct_json_opt_bool(const oct_json_at *at, const json_t *obj,
                                            const char *key, bool *out);

/* OCT_ERR_FORMAT naming the first key of `obj` that is not in `known` (NULL-terminated): a
 * mistyped option must not be ignored. */
OCT_MUST_CHECK oct_status oct_json_check_keys(const oct_json_at *at, const json_t *obj,
                                              const char *const *known);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_JSON_READ_H */
