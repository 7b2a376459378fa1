/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx_scan.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "engine/proto/onnx.pb-c.h"

enum {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5,
    MAX_TAG_BYTES = 5,
    MAX_LENGTH_BYTES = 5,
    MAX_VARINT_BYTES = 10,
    MEMBER_BYTES = 80, /* protobuf-c's scratch for a field of the message in hand */
};

typedef struct frame {
    const ProtobufCMessageDescriptor *desc;
    const uint8_t *end;
    uint8_t *length_at, *body_at; /* in the slim copy */
    int length_bytes;
    size_t n_fields;
} frame;

typedef struct scanner {
    oct_ctx *ctx;
    const uint8_t *data, *p;
    uint8_t *out; /* NULL while only counting */
    size_t budget;
    oct_onnx_scan n;
    int depth;
    frame stack[OCT_ONNX_MAX_DEPTH];
    size_t max_fields[OCT_ONNX_MAX_DEPTH]; /* of a message, by depth */
} scanner;

static oct_status broken(scanner *s, const uint8_t *at, const char *what)
{
    return oct_fail(s->ctx, OCT_ERR_FORMAT, "byte %zu, in %s: %s", (size_t)(at - s->data),
                    s->stack[s->depth].desc->short_name, what);
}

/* Reads a varint of at most `max` bytes before `end`; 0 if it is cut off or too long. */
static int read_varint(const uint8_t *p, const uint8_t *end, int max, uint64_t *v)
{
    uint64_t r = 0;
    for (int i = 0; i < max && p + i < end; i++) {
        r |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (!(p[i] & 0x80)) {
            *v = r;
            return i + 1;
        }
    }
    return 0;
}

/* `v` in exactly `n` bytes, padded with continuation bits. */
static void write_padded_varint(uint8_t *p, int n, uint64_t v)
{
    for (int i = 0; i < n; i++, v >>= 7)
        p[i] = (uint8_t)((v & 0x7f) | (i + 1 < n ? 0x80 : 0));
    assert(v == 0);
}

static void emit(scanner *s, const uint8_t *from, size_t n)
{
    s->n.slim_bytes += n;
    if (!s->out)
        return;
    memcpy(s->out, from, n);
    s->out += n;
}

static int wire_of(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return WIRE_32;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT;
    }
}

static size_t elem_bytes_of(ProtobufCType t)
{
    switch (t) {
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_INT32:
        return 4;
    default:
        return 8;
    }
}

static oct_status charge(scanner *s, const uint8_t *at, size_t bytes)
{
    s->n.memory_bytes += bytes; /* at most 300 times the file's size: no overflow */
    if (s->n.memory_bytes <= s->budget)
        return OCT_OK;
    return oct_fail(s->ctx, OCT_ERR_LIMIT,
                    "byte %zu: parsing takes more than %zu MiB, out of proportion to the file",
                    (size_t)(at - s->data), s->budget >> 20);
}

/* protobuf-c lists all fields of a message, and of those around it, before it parses the first. */
static oct_status charge_field(scanner *s, const uint8_t *at)
{
    frame *f = &s->stack[s->depth];
    if (++f->n_fields <= s->max_fields[s->depth])
        return OCT_OK;
    s->max_fields[s->depth] = f->n_fields;
    return charge(s, at, MEMBER_BYTES);
}

/* A packed field: a whole number of elements. Their number in `*n`. */
static oct_status check_packed(scanner *s, const ProtobufCFieldDescriptor *f, const uint8_t *p,
                               size_t len, size_t *n)
{
    const int wire = wire_of(f->type);
    const size_t size = wire == WIRE_32 ? 4 : 8;
    if (wire != WIRE_VARINT) {
        *n = len / size;
        return len % size ? broken(s, p, "packed field with a broken last element") : OCT_OK;
    }
    int run = 0;
    *n = 0;
    for (size_t i = 0; i < len; i++) {
        if (++run > MAX_VARINT_BYTES)
            return broken(s, p + i, "number longer than 10 bytes");
        if (!(p[i] & 0x80)) {
            run = 0;
            ++*n;
        }
    }
    return run ? broken(s, p + len, "packed field with a broken last element") : OCT_OK;
}

static oct_status count_message(scanner *s, const uint8_t *at,
                                const ProtobufCMessageDescriptor *desc)
{
    s->n.n_messages++;
    if (desc == &onnx__node_proto__descriptor && ++s->n.n_nodes > OCT_ONNX_MAX_NODES)
        return oct_fail(s->ctx, OCT_ERR_LIMIT, "byte %zu: more than %d nodes",
                        (size_t)(at - s->data), OCT_ONNX_MAX_NODES);
    return charge(s, at, desc->sizeof_message);
}

/* Enters the submessage [p, p + len); its tag and length bytes start at `tag`. */
static oct_status enter(scanner *s, const ProtobufCMessageDescriptor *desc, const uint8_t *tag,
                        int length_bytes, size_t len)
{
    OCT_TRY(count_message(s, tag, desc));
    if (s->depth + 1 >= OCT_ONNX_MAX_DEPTH)
        return oct_fail(s->ctx, OCT_ERR_LIMIT, "byte %zu: messages nested more than %d deep",
                        (size_t)(tag - s->data), OCT_ONNX_MAX_DEPTH);
    emit(s, tag, (size_t)(s->p - tag));
    frame *f = &s->stack[++s->depth];
    *f = (frame){.desc = desc, .end = s->p + len, .length_bytes = length_bytes};
    if (s->out) {
        f->body_at = s->out;
        f->length_at = s->out - length_bytes;
    }
    return OCT_OK;
}

static void leave(scanner *s)
{
    frame *f = &s->stack[s->depth--];
    if (s->out)
        write_padded_varint(f->length_at, f->length_bytes, (uint64_t)(s->out - f->body_at));
}

/* A raw_data of `len` bytes becomes a token. */
static void emit_token(scanner *s, const uint8_t *tag, int length_bytes, size_t len)
{
    const oct_onnx_token t = {.offset = (uint64_t)(s->p - s->data), .n_bytes = len};
    emit(s, tag, (size_t)(s->p - tag));
    if (s->out)
        write_padded_varint(s->out - length_bytes, length_bytes, OCT_ONNX_TOKEN_BYTES);
    emit(s, (const uint8_t *)&t, sizeof t);
    s->n.n_tokens++;
    s->p += len;
}

static bool is_raw_data(const frame *f, const ProtobufCFieldDescriptor *field)
{
    return f->desc == &onnx__tensor_proto__descriptor && field && field->id == 9;
}

static oct_status scan_bytes(scanner *s, const ProtobufCFieldDescriptor *field, const uint8_t *tag)
{
    frame *f = &s->stack[s->depth];
    uint64_t len;
    const int length_bytes = read_varint(s->p, f->end, MAX_LENGTH_BYTES, &len);
    if (!length_bytes)
        return broken(s, s->p, "field length cut off");
    s->p += length_bytes;
    if (len > INT_MAX || len > (uint64_t)(f->end - s->p))
        return oct_fail(s->ctx, OCT_ERR_FORMAT,
                        "byte %zu, in %s: field of %llu bytes, but only %zu are left",
                        (size_t)(tag - s->data), f->desc->short_name, (unsigned long long)len,
                        (size_t)(f->end - s->p));
    const size_t n_bytes = (size_t)len;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        OCT_TRY(charge(s, tag, sizeof(void *)));
        return enter(s, field->descriptor, tag, length_bytes, n_bytes);
    }
    if (is_raw_data(f, field) && n_bytes >= OCT_ONNX_TOKEN_BYTES) {
        emit_token(s, tag, length_bytes, n_bytes);
        return charge(s, tag, OCT_ONNX_TOKEN_BYTES);
    }
    if (!field) {
        OCT_TRY(charge(s, tag, sizeof(ProtobufCMessageUnknownField) + n_bytes));
    } else if (wire_of(field->type) == WIRE_BYTES) {
        OCT_TRY(charge(s, tag, elem_bytes_of(field->type) + n_bytes + 1));
    } else {
        size_t n;
        OCT_TRY(check_packed(s, field, s->p, n_bytes, &n));
        OCT_TRY(charge(s, tag, n * elem_bytes_of(field->type)));
    }
    s->p += n_bytes;
    emit(s, tag, (size_t)(s->p - tag));
    return OCT_OK;
}

static oct_status scan_number(scanner *s, const ProtobufCFieldDescriptor *field, int wire,
                              const uint8_t *tag)
{
    const uint8_t *end = s->stack[s->depth].end;
    uint64_t v;
    const int n = wire == WIRE_VARINT ? read_varint(s->p, end, MAX_VARINT_BYTES, &v)
                  : wire == WIRE_64   ? 8
                                      : 4;
    if (n == 0 || n > end - s->p)
        return broken(s, s->p, "number cut off");
    s->p += n;
    emit(s, tag, (size_t)(s->p - tag));
    if (!field)
        return charge(s, tag, sizeof(ProtobufCMessageUnknownField) + (size_t)n);
    return field->label == PROTOBUF_C_LABEL_REPEATED ? charge(s, tag, elem_bytes_of(field->type))
                                                     : OCT_OK;
}

static oct_status scan_field(scanner *s)
{
    const frame *f = &s->stack[s->depth];
    const uint8_t *tag = s->p;
    uint64_t key;
    const int n = read_varint(s->p, f->end, MAX_TAG_BYTES, &key);
    const int wire = (int)(key & 7);
    if (!n || key > UINT32_MAX || key >> 3 == 0)
        return broken(s, tag, "not a field tag");
    s->p += n;
    OCT_TRY(charge_field(s, tag));
    if (wire != WIRE_VARINT && wire != WIRE_64 && wire != WIRE_BYTES && wire != WIRE_32)
        return broken(s, tag, "field of a wire type that ONNX does not use");
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(f->desc, (unsigned)(key >> 3));
    if (field && wire != wire_of(field->type) &&
        !(wire == WIRE_BYTES && field->label == PROTOBUF_C_LABEL_REPEATED))
        return oct_fail(s->ctx, OCT_ERR_FORMAT, "byte %zu, in %s: field '%s' has wire type %d",
                        (size_t)(tag - s->data), f->desc->short_name, field->name, wire);
    return wire == WIRE_BYTES ? scan_bytes(s, field, tag) : scan_number(s, field, wire, tag);
}

static oct_status walk(scanner *s, size_t n_bytes)
{
    s->depth = 0;
    s->p = s->data;
    memset(s->max_fields, 0, sizeof s->max_fields);
    s->stack[0] = (frame){.desc = &onnx__model_proto__descriptor, .end = s->data + n_bytes};
    for (;;) {
        while (s->p == s->stack[s->depth].end) {
            if (s->depth == 0)
                return OCT_OK;
            leave(s);
        }
        OCT_TRY(scan_field(s));
    }
}

oct_status oct_onnx_scan_model(oct_ctx *ctx, const uint8_t *data, size_t n_bytes, size_t budget,
                               oct_onnx_scan *out)
{
    scanner s;
    s.ctx = ctx;
    s.data = data;
    s.out = NULL;
    s.budget = budget;
    s.n = (oct_onnx_scan){0};
    OCT_TRY(walk(&s, n_bytes));
    *out = s.n;
    return OCT_OK;
}

oct_status oct_onnx_scan_slim(oct_ctx *ctx, const uint8_t *data, size_t n_bytes,
                              const oct_onnx_scan *scan, uint8_t *slim)
{
    scanner s;
    s.ctx = ctx;
    s.data = data;
    s.out = slim;
    s.budget = SIZE_MAX;
    s.n = (oct_onnx_scan){0};
    OCT_TRY(walk(&s, n_bytes));
    assert(s.n.slim_bytes == scan->slim_bytes);
    (void)scan;
    return OCT_OK;
}
