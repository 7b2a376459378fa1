/* SPDX-License-Identifier: Apache-2.0 */
#include "accuracy/recorded.h"

#include <math.h>
#include <string.h>

#include "base/json_read.h"
#include "base/strbuf.h"

typedef struct reader {
    oct_ctx *ctx;
    const char *name;
    oct_array *out;
    size_t at; /* elements read */
} reader;

/* ---- nested lists ------------------------------------------------------------------------ */

/* The shape of the first items all the way down. */
static oct_status find_shape(const reader *r, const json_t *v, oct_shape *shape)
{
    shape->n_dims = 0;
    for (; json_is_array(v); v = json_array_get(v, 0)) {
        if (shape->n_dims == OCT_MAX_DIMS)
            return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: lists nested deeper than %d", r->name,
                            OCT_MAX_DIMS);
        if (json_array_size(v) == 0)
            return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: an empty list", r->name);
        shape->dim[shape->n_dims++] = (int64_t)json_array_size(v);
    }
    return OCT_OK;
}

static oct_status read_number(reader *r, const json_t *v, int64_t sample)
{
    double *data = r->out->data;
    if (!json_is_number(v) && !json_is_null(v))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: item %lld holds something that is no number",
                        r->name, (long long)sample);
    data[r->at++] = json_is_null(v) ? (double)NAN : json_number_value(v);
    return OCT_OK;
}

static oct_status read_list(reader *r, const json_t *v, int depth, int64_t sample)
{
    const oct_shape *shape = &r->out->shape;
    if (depth == shape->n_dims)
        return read_number(r, v, sample);
    if (!json_is_array(v) || (int64_t)json_array_size(v) != shape->dim[depth])
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: item %lld has not the shape of the first one",
                        r->name, (long long)sample);
    for (size_t i = 0; i < json_array_size(v); i++)
        OCT_TRY(read_list(r, json_array_get(v, i), depth + 1, depth == 0 ? (int64_t)i : sample));
    return OCT_OK;
}

/* ---- trtexec ----------------------------------------------------------------------------- */

/* "8x1000" */
static oct_status parse_dimensions(const reader *r, const char *text, oct_shape *shape)
{
    shape->n_dims = 0;
    for (const char *at = text; at != NULL;) {
        const char *x = strchr(at, 'x');
        const size_t n = x != NULL ? (size_t)(x - at) : strlen(at);
        int64_t dim;
        if (shape->n_dims == OCT_MAX_DIMS || !oct_parse_s64(at, n, &dim) || dim < 1)
            return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: dimensions '%s', expected as 8x1000",
                            r->name, text);
        shape->dim[shape->n_dims++] = dim;
        at = x != NULL ? x + 1 : NULL;
    }
    return OCT_OK;
}

static const json_t *trtexec_values(reader *r, const json_t *root, oct_status *st)
{
    const json_t *first = json_array_get(root, 0);
    const char *dims = json_string_value(json_object_get(first, "dimensions"));
    const json_t *values = json_object_get(first, "values");
    if (json_array_size(root) > 1)
        *st = oct_fail(r->ctx, OCT_ERR_UNSUPPORTED, "%s: %zu outputs, expected one", r->name,
                       json_array_size(root));
    else if (dims == NULL || !json_is_array(values))
        *st =
            oct_fail(r->ctx, OCT_ERR_FORMAT,
                     "%s: expected \"dimensions\" and \"values\", as trtexec writes them", r->name);
    else
        *st = parse_dimensions(r, dims, &r->out->shape);
    return values;
}

static oct_status read_values(reader *r, const json_t *values)
{
    if (json_array_size(values) != r->out->n_elems)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: %zu values, but its dimensions hold %zu",
                        r->name, json_array_size(values), r->out->n_elems);
    for (size_t i = 0; i < r->out->n_elems; i++)
        OCT_TRY(read_number(r, json_array_get(values, i), (int64_t)i));
    return OCT_OK;
}

/* ---- both -------------------------------------------------------------------------------- */

static oct_status convert(reader *r, const json_t *root)
{
    const json_t *values = NULL;
    oct_status st = OCT_OK;
    if (!json_is_array(root))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s: expected a list, one item a sample", r->name);
    if (json_is_object(json_array_get(root, 0)))
        values = trtexec_values(r, root, &st);
    else
        st = find_shape(r, root, &r->out->shape);
    if (st != OCT_OK)
        return st;
    if (!oct_shape_elems(&r->out->shape, &r->out->n_elems))
        return oct_fail(r->ctx, OCT_ERR_RANGE, "%s: its dimensions overflow", r->name);
    r->out->dtype = OCT_DT_F64;
    r->out->data = oct_alloc_array(r->ctx, r->out->n_elems, sizeof(double));
    if (r->out->data == NULL)
        return OCT_ERR_NOMEM;
    return values != NULL ? read_values(r, values) : read_list(r, root, 0, 0);
}

static oct_status finish(oct_ctx *ctx, const char *name, json_t *root, oct_array *out)
{
    reader r = {ctx, name, out, 0};
    *out = (oct_array){0};
    const oct_status st = convert(&r, root);
    oct_json_read_free(root);
    if (st != OCT_OK)
        oct_array_deinit(ctx, out);
    return st;
}

oct_status oct_recorded_parse_json(oct_ctx *ctx, const char *name, const char *text, size_t n_bytes,
                                   oct_array *out)
{
    json_t *root = NULL;
    OCT_TRY(oct_json_read_text(ctx, name, text, n_bytes, &root));
    return finish(ctx, name, root, out);
}

oct_status oct_recorded_read_json(oct_ctx *ctx, const char *path, oct_array *out)
{
    json_t *root = NULL;
    OCT_TRY(oct_json_read_file(ctx, path, OCT_RECORDED_MAX_BYTES, &root));
    return finish(ctx, path, root, out);
}
