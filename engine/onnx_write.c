/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx_write.h"

#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "engine/external_data.h"

enum { SPILL_BYTES = 1024, DATA_ALIGN = 64, BUFFER_BYTES = 1 << 16, LOCATION_EXTERNAL = 1 };

/* ---- the model file --------------------------------------------------------------------------- */

/* protobuf-c hands out a few bytes at a time. */
typedef struct sink {
    ProtobufCBuffer base;
    oct_atomic_file *file;
    oct_status st;
    size_t n;
    uint8_t bytes[BUFFER_BYTES];
} sink;

static void flush(sink *s)
{
    if (s->st == OCT_OK && s->n)
        s->st = oct_atomic_write(s->file, s->bytes, s->n);
    s->n = 0;
}

static void append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    sink *s = (sink *)buffer;
    if (len > BUFFER_BYTES - s->n)
        flush(s);
    if (len > BUFFER_BYTES) {
        if (s->st == OCT_OK)
            s->st = oct_atomic_write(s->file, data, len);
        return;
    }
    memcpy(s->bytes + s->n, data, len);
    s->n += len;
}

static oct_status write_model(oct_ctx *ctx, const oct_onnx_doc *doc, const char *path, bool force)
{
    sink *s = oct_alloc(ctx, sizeof *s);
    if (!s)
        return OCT_ERR_NOMEM;
    s->base.append = append;
    s->n = 0;
    s->st = oct_atomic_open(ctx, path, force, &s->file);
    oct_status st = s->st;
    if (st == OCT_OK) {
        protobuf_c_message_pack_to_buffer(&doc->model->base, &s->base);
        flush(s);
        st = s->st;
        if (st == OCT_OK)
            st = oct_atomic_commit(s->file);
        else
            oct_atomic_abort(s->file);
    }
    oct_free(ctx, s);
    return st;
}

/* ---- tensors in and out of the model ---------------------------------------------------------- */

/* Bits per element where there is no oct_dtype (ONNX's sub-byte and 8-bit floats, complex). */
static size_t bits_of(int32_t onnx_type)
{
    static const struct {
        const char *name;
        size_t bits;
    } other[] = {
        {"COMPLEX64", 64}, {"COMPLEX128", 128},   {"FLOAT8E4M3FN", 8}, {"FLOAT8E4M3FNUZ", 8},
        {"FLOAT8E5M2", 8}, {"FLOAT8E5M2FNUZ", 8}, {"UINT4", 4},        {"INT4", 4},
        {"FLOAT4E2M1", 4}, {"FLOAT8E8M0", 8},     {"UINT2", 2},        {"INT2", 2},
    };
    const oct_dtype dt = oct_onnx_dtype(onnx_type);
    if (dt != OCT_DT_NONE)
        return 8 * oct_dtype_bytes(dt);
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (strcmp(other[i].name, oct_onnx_type_name(onnx_type)) == 0)
            return other[i].bits;
    return 0;
}

static oct_status external_bytes(oct_ctx *ctx, const Onnx__TensorProto *t, size_t *n_bytes)
{
    size_t bits = bits_of(t->data_type);
    for (size_t i = 0; i < t->n_dims; i++)
        if (t->dims[i] < 0 || !oct_mul_size(bits, (size_t)t->dims[i], &bits))
            bits = 0;
    bool empty = false;
    for (size_t i = 0; i < t->n_dims; i++)
        empty |= t->dims[i] == 0;
    if (bits == 0 && !empty)
        return oct_fail(ctx, OCT_ERR_FORMAT, "tensor '%s': its type or shape is not known",
                        oct_onnx_str(t->name));
    *n_bytes = (bits + 7) / 8;
    return OCT_OK;
}

typedef struct pull {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    bool any;
} pull;

/* External elements become raw_data that points into the file read. */
static oct_status pull_in(void *user, Onnx__TensorProto *t)
{
    pull *p = user;
    size_t n;
    const uint8_t *data;
    if (!oct_external_is(t))
        return OCT_OK;
    OCT_TRY(external_bytes(p->ctx, t, &n));
    OCT_TRY(oct_external_read(p->ctx, p->doc, t, n, &data));
    t->has_raw_data = true;
    t->raw_data = (ProtobufCBinaryData){.len = n, .data = (uint8_t *)data};
    t->n_external_data = 0;
    t->has_data_location = false;
    p->any = true;
    return OCT_OK;
}

typedef struct spill {
    oct_ctx *ctx;
    oct_onnx_doc *doc;
    oct_atomic_file *file;
    const char *name; /* of the data file, beside the model */
    size_t at;
} spill;

static oct_status add_entry(spill *s, Onnx__TensorProto *t, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = oct_onnx_doc_alloc(s->doc, sizeof *e);
    if (!e || !value)
        return OCT_ERR_NOMEM;
    onnx__string_string_entry_proto__init(e);
    e->key = oct_onnx_doc_strdup(s->doc, key);
    e->value = (char *)value;
    t->external_data[t->n_external_data++] = e;
    return e->key ? OCT_OK : OCT_ERR_NOMEM;
}

static oct_status spill_out(void *user, Onnx__TensorProto *t)
{
    static const uint8_t zeros[DATA_ALIGN];
    spill *s = user;
    oct_arena *a = s->doc->arena;
    if (!t->has_raw_data || t->raw_data.len < SPILL_BYTES)
        return OCT_OK;
    const size_t pad = (DATA_ALIGN - s->at % DATA_ALIGN) % DATA_ALIGN;
    OCT_TRY(oct_atomic_write(s->file, zeros, pad));
    OCT_TRY(oct_atomic_write(s->file, t->raw_data.data, t->raw_data.len));
    s->at += pad;
    t->n_external_data = 0;
    t->external_data = oct_arena_array(a, 3, sizeof *t->external_data);
    if (!t->external_data)
        return OCT_ERR_NOMEM;
    OCT_TRY(add_entry(s, t, "location", s->name));
    OCT_TRY(add_entry(s, t, "offset", oct_arena_printf(a, "%zu", s->at)));
    OCT_TRY(add_entry(s, t, "length", oct_arena_printf(a, "%zu", t->raw_data.len)));
    s->at += t->raw_data.len;
    t->has_raw_data = false;
    t->has_data_location = true;
    t->data_location = LOCATION_EXTERNAL;
    return OCT_OK;
}

static oct_status count_spilled(void *user, Onnx__TensorProto *t)
{
    *(size_t *)user += t->has_raw_data && t->raw_data.len >= SPILL_BYTES;
    return OCT_OK;
}

static oct_status write_data(oct_ctx *ctx, oct_onnx_doc *doc, const char *path, bool force)
{
    spill s = {.ctx = ctx, .doc = doc};
    size_t n_spilled = 0;
    OCT_TRY(oct_onnx_each_tensor(doc, count_spilled, &n_spilled));
    if (n_spilled == 0)
        return OCT_OK;
    const char *data_path = oct_arena_printf(doc->arena, "%s.data", path);
    if (!data_path)
        return OCT_ERR_NOMEM;
    s.name = oct_path_name(data_path);
    OCT_TRY(oct_atomic_open(ctx, data_path, force, &s.file));
    const oct_status st = oct_onnx_each_tensor(doc, spill_out, &s);
    if (st == OCT_OK)
        return oct_atomic_commit(s.file);
    oct_atomic_abort(s.file);
    return st;
}

/* ---- both -------------------------------------------------------------------------------------- */

oct_status oct_onnx_write(oct_ctx *ctx, oct_onnx_doc *doc, const char *path,
                          const oct_onnx_write_options *opt)
{
    const oct_onnx_write_options none = {0};
    pull p = {.ctx = ctx, .doc = doc};
    opt = opt ? opt : &none;
    const size_t limit = opt->limit_bytes ? opt->limit_bytes : INT32_MAX;
    OCT_TRY(oct_path_check_output(ctx, path, opt->force));
    OCT_TRY(oct_onnx_each_tensor(doc, pull_in, &p));
    if (opt->external || p.any || protobuf_c_message_get_packed_size(&doc->model->base) > limit)
        OCT_TRY(write_data(ctx, doc, path, opt->force));
    const size_t n = protobuf_c_message_get_packed_size(&doc->model->base);
    if (n > limit)
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: %zu bytes without its tensors, at most %zu", path,
                        n, limit);
    return write_model(ctx, doc, path, opt->force);
}

oct_status oct_onnx_pack(oct_ctx *ctx, oct_onnx_doc *doc, uint8_t **bytes, size_t *n_bytes)
{
    pull p = {.ctx = ctx, .doc = doc};
    OCT_TRY(oct_onnx_each_tensor(doc, pull_in, &p));
    const size_t n = protobuf_c_message_get_packed_size(&doc->model->base);
    if (n > INT32_MAX)
        return oct_fail(ctx, OCT_ERR_LIMIT, "model of %zu bytes, protobuf ends at 2 GB", n);
    if (!(*bytes = oct_alloc(ctx, n)))
        return OCT_ERR_NOMEM;
    protobuf_c_message_pack(&doc->model->base, *bytes);
    *n_bytes = n;
    return OCT_OK;
}
