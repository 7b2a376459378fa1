/* SPDX-License-Identifier: Apache-2.0
 *
 * TensorProto -> constant. Elements come raw, in one of the typed fields, or from an external
 * file; where they lie as kernels want them they are borrowed, not copied.
 */
#include <string.h>

#include "base/checked.h"
#include "engine/external_data.h"
#include "engine/import_internal.h"

/* ---- shapes -------------------------------------------------------------------------------- */

static oct_status tensor_shape(oct_ctx *ctx, const Onnx__TensorProto *t, const char *name,
                               oct_shape *shape)
{
    if (t->n_dims > OCT_MAX_DIMS)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "tensor '%s' has %zu dimensions, at most %d",
                        name, t->n_dims, OCT_MAX_DIMS);
    *shape = (oct_shape){.n_dims = (int)t->n_dims};
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return oct_fail(ctx, OCT_ERR_FORMAT,
                            "tensor '%s': dimension %zu is %lld, expected >= 0", name, i,
                            (long long)t->dims[i]);
        shape->dim[i] = t->dims[i];
    }
    return OCT_OK;
}

static oct_status tensor_size(oct_ctx *ctx, const oct_shape *shape, oct_dtype dt, const char *name,
                              size_t *n_elems, size_t *n_bytes)
{
    if (!oct_shape_elems(shape, n_elems) || !oct_mul_size(*n_elems, oct_dtype_bytes(dt), n_bytes) ||
        *n_bytes > INT64_MAX)
        return oct_fail(ctx, OCT_ERR_FORMAT, "tensor '%s': its dimensions overflow", name);
    return OCT_OK;
}

/* ---- typed fields -------------------------------------------------------------------------- */

static oct_status count_is(oct_ctx *ctx, const char *name, size_t have, size_t want)
{
    if (have == want)
        return OCT_OK;
    return oct_fail(ctx, OCT_ERR_FORMAT, "tensor '%s': %zu elements, its shape needs %zu", name,
                    have, want);
}

/* int32_data holds every type of at most 32 bits, one element a number. */
static void *narrow_int32(oct_arena *a, const Onnx__TensorProto *t, oct_dtype dt)
{
    const size_t size = oct_dtype_bytes(dt);
    uint8_t *out = oct_arena_alloc(a, t->n_int32_data * size + 1);
    for (size_t i = 0; out && i < t->n_int32_data; i++) {
        const uint32_t v = (uint32_t)t->int32_data[i];
        const uint16_t half = (uint16_t)v;
        if (size == 1)
            out[i] = (uint8_t)v;
        else
            memcpy(out + 2 * i, &half, 2);
    }
    return out;
}

static void *narrow_uint64(oct_arena *a, const Onnx__TensorProto *t)
{
    uint32_t *out = oct_arena_alloc(a, t->n_uint64_data * sizeof *out + 1);
    for (size_t i = 0; out && i < t->n_uint64_data; i++)
        out[i] = (uint32_t)t->uint64_data[i];
    return out;
}

static oct_status typed_data(oct_scope *s, const Onnx__TensorProto *t, const char *name,
                             oct_dtype dt, size_t n_elems, const void **data)
{
    oct_arena *a = oct_graph_arena(s->g);
    size_t n;
    switch (dt) {
    case OCT_DT_F32:
        *data = t->float_data;
        n = t->n_float_data;
        break;
    case OCT_DT_F64:
        *data = t->double_data;
        n = t->n_double_data;
        break;
    case OCT_DT_S64:
        *data = t->int64_data;
        n = t->n_int64_data;
        break;
    case OCT_DT_U64:
        *data = t->uint64_data;
        n = t->n_uint64_data;
        break;
    case OCT_DT_U32:
        n = t->n_uint64_data;
        *data = n == n_elems ? narrow_uint64(a, t) : "";
        break;
    case OCT_DT_S32:
        *data = t->int32_data;
        n = t->n_int32_data;
        break;
    default:
        n = t->n_int32_data;
        *data = n == n_elems ? narrow_int32(a, t, dt) : "";
        break;
    }
    OCT_TRY(count_is(s->im->ctx, name, n, n_elems));
    if (n_elems == 0)
        *data = "";
    return *data ? OCT_OK : OCT_ERR_NOMEM;
}

/* ---- raw bytes ----------------------------------------------------------------------------- */

/* Kernels read elements through pointers of their type and bools as 0 or 1. */
static oct_status usable(oct_scope *s, oct_dtype dt, size_t n_bytes, const void **data)
{
    const uint8_t *p = *data;
    bool copy = (uintptr_t)p % oct_dtype_bytes(dt) != 0;
    for (size_t i = 0; dt == OCT_DT_BOOL && i < n_bytes && !copy; i++)
        copy = p[i] > 1;
    if (!copy)
        return OCT_OK;
    uint8_t *own = oct_arena_alloc_aligned(oct_graph_arena(s->g), n_bytes, OCT_ALIGN);
    if (!own)
        return OCT_ERR_NOMEM;
    memcpy(own, p, n_bytes);
    for (size_t i = 0; dt == OCT_DT_BOOL && i < n_bytes; i++)
        own[i] = own[i] != 0;
    *data = own;
    return OCT_OK;
}

static oct_status raw_data(oct_scope *s, const Onnx__TensorProto *t, const char *name, oct_dtype dt,
                           size_t n_bytes, const void **data)
{
    if (t->raw_data.len != n_bytes)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT,
                        "tensor '%s': raw_data of %zu bytes, its type and shape need %zu", name,
                        t->raw_data.len, n_bytes);
    *data = n_bytes ? t->raw_data.data : (const uint8_t *)"";
    return usable(s, dt, n_bytes, data);
}

static oct_status external(oct_scope *s, const Onnx__TensorProto *t, oct_dtype dt, size_t n_bytes,
                           const void **data)
{
    const uint8_t *p;
    OCT_TRY(oct_external_read(s->im->ctx, s->im->doc, t, n_bytes, &p));
    *data = n_bytes ? p : (const uint8_t *)"";
    return usable(s, dt, n_bytes, data);
}

oct_status oct_import_tensor(oct_scope *s, const Onnx__TensorProto *t, const char *name,
                             oct_value_id *id)
{
    oct_ctx *ctx = s->im->ctx;
    const oct_dtype dt = oct_onnx_dtype(t->data_type);
    oct_shape shape;
    size_t n_elems = 0, n_bytes = 0;
    const void *data;
    if (dt == OCT_DT_NONE)
        return oct_fail(ctx, t->data_type == 0 ? OCT_ERR_FORMAT : OCT_ERR_UNSUPPORTED,
                        "tensor '%s' has element type %s (%d)", name,
                        oct_onnx_type_name(t->data_type), t->data_type);
    OCT_TRY(tensor_shape(ctx, t, name, &shape));
    OCT_TRY(tensor_size(ctx, &shape, dt, name, &n_elems, &n_bytes));
    if (oct_external_is(t))
        OCT_TRY(external(s, t, dt, n_bytes, &data));
    else if (t->has_raw_data)
        OCT_TRY(raw_data(s, t, name, dt, n_bytes, &data));
    else
        OCT_TRY(typed_data(s, t, name, dt, n_elems, &data));
    const char *text = oct_scope_fresh(s, name);
    if (!text)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_graph_add_constant(s->g, ctx, text, dt, &shape, data, false, id));
    oct_graph_value(s->g, *id)->from_model = true;
    return OCT_OK;
}

/* ---- declarations -------------------------------------------------------------------------- */

static oct_status symbol_of(oct_scope *s, const char *param, int64_t *dim)
{
    uint32_t k;
    *dim = oct_infer_fresh(s->infer);
    if (!*param)
        return OCT_OK;
    if (oct_name_map_get(&s->im->dim_params, param, &k)) {
        *dim = OCT_DIM_SYMBOL(k);
        return OCT_OK;
    }
    return oct_name_map_put(s->im->ctx, &s->im->dim_params, param,
                            (uint32_t)(*dim - OCT_DIM_SYMBOL(0)));
}

static oct_status declared_dim(oct_scope *s, const Onnx__TensorShapeProto__Dimension *d,
                               const char *name, int64_t *dim)
{
    if (!d->has_dim_value)
        return symbol_of(s, oct_onnx_str(d->dim_param), dim);
    if (d->dim_value < 0)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT,
                        "'%s': dimension %lld, expected >= 0 or a name for an unknown one", name,
                        (long long)d->dim_value);
    *dim = d->dim_value;
    return OCT_OK;
}

/* The known dims alone must not overflow; unknown ones count as 1. */
static oct_status check_declared(oct_ctx *ctx, const oct_shape *shape, oct_dtype dt,
                                 const char *name)
{
    oct_shape known = *shape;
    size_t n, bytes;
    for (int i = 0; i < known.n_dims; i++)
        if (known.dim[i] < 0)
            known.dim[i] = 1;
    return tensor_size(ctx, &known, dt, name, &n, &bytes);
}

oct_status oct_import_type(oct_scope *s, const Onnx__ValueInfoProto *v, oct_dtype *dt,
                           oct_shape *shape)
{
    const char *name = oct_onnx_str(v->name);
    const Onnx__TypeProto__Tensor *t = v->type ? v->type->tensor_type : NULL;
    *dt = OCT_DT_NONE;
    *shape = (oct_shape){.n_dims = -1};
    if (!t)
        return OCT_OK;
    *dt = oct_onnx_dtype(t->elem_type);
    if (!t->shape)
        return OCT_OK;
    if (t->shape->n_dim > OCT_MAX_DIMS)
        return oct_fail(s->im->ctx, OCT_ERR_UNSUPPORTED, "'%s' has %zu dimensions, at most %d",
                        name, t->shape->n_dim, OCT_MAX_DIMS);
    shape->n_dims = (int)t->shape->n_dim;
    for (size_t i = 0; i < t->shape->n_dim; i++)
        OCT_TRY(declared_dim(s, t->shape->dim[i], name, &shape->dim[i]));
    return *dt == OCT_DT_NONE ? OCT_OK : check_declared(s->im->ctx, shape, *dt, name);
}

/* ---- Constant ------------------------------------------------------------------------------ */

static oct_status constant_of(oct_scope *s, const Onnx__AttributeProto *a, const char *name,
                              oct_value_id *id)
{
    oct_ctx *ctx = s->im->ctx;
    const char *kind = oct_onnx_str(a->name);
    oct_shape scalar = {0}, vec = {.n_dims = 1};
    const char *text;
    if (strcmp(kind, "value") == 0 && a->t)
        return oct_import_tensor(s, a->t, name, id);
    if (!(text = oct_scope_fresh(s, name)))
        return OCT_ERR_NOMEM;
    if (strcmp(kind, "value_float") == 0)
        return oct_graph_add_constant(s->g, ctx, text, OCT_DT_F32, &scalar, &a->f, true, id);
    if (strcmp(kind, "value_int") == 0)
        return oct_graph_add_constant(s->g, ctx, text, OCT_DT_S64, &scalar, &a->i, true, id);
    if (strcmp(kind, "value_floats") == 0) {
        vec.dim[0] = (int64_t)a->n_floats;
        return oct_graph_add_constant(s->g, ctx, text, OCT_DT_F32, &vec, a->floats, true, id);
    }
    if (strcmp(kind, "value_ints") == 0) {
        vec.dim[0] = (int64_t)a->n_ints;
        return oct_graph_add_constant(s->g, ctx, text, OCT_DT_S64, &vec, a->ints, true, id);
    }
    return oct_fail(ctx, OCT_ERR_UNSUPPORTED, "constant given as '%s'", kind);
}

oct_status oct_import_constant_node(oct_scope *s, const Onnx__NodeProto *n)
{
    oct_value_id id;
    if (n->n_output != 1 || !*n->output[0] || n->n_attribute == 0)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT, "Constant needs one output and a value");
    const Onnx__AttributeProto *a = oct_scope_attr(s, n->attribute[0]);
    if (!a)
        return oct_fail(s->im->ctx, OCT_ERR_FORMAT, "Constant refers to an attribute not given");
    Onnx__AttributeProto as_named = *a; /* a referenced attribute keeps this one's name */
    as_named.name = n->attribute[0]->name;
    OCT_TRY(constant_of(s, &as_named, n->output[0], &id));
    oct_graph_value(s->g, id)->from_model = true;
    return oct_scope_bind(s, n->output[0], id);
}
