/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/onnx_doc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "engine/external_data.h"
#include "engine/onnx_scan.h"

enum {
    LARGE_BYTES = 32768,   /* pieces from here on are freed singly (protobuf-c's scratch) */
    PARSE_BASE = 64 << 20, /* the tree may take this much plus ten times the file */
    PARSE_RATIO = 10,
};
#define DEFAULT_MAX_BYTES ((size_t)16 << 30)

/* Stands in front of a large piece, 64 bytes so that the piece stays aligned. */
typedef struct oct_onnx_block {
    struct oct_onnx_block *prev, *next;
    size_t n_bytes;
} oct_onnx_block;

enum { BLOCK_HEAD = OCT_ALIGN };

static void *large_alloc(oct_onnx_doc *doc, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX - BLOCK_HEAD)
        return NULL;
    oct_onnx_block *b = oct_alloc(doc->ctx, n_bytes + BLOCK_HEAD);
    if (!b)
        return NULL;
    *b = (oct_onnx_block){.next = doc->blocks, .n_bytes = n_bytes};
    if (b->next)
        b->next->prev = b;
    doc->blocks = b;
    return (char *)b + BLOCK_HEAD;
}

static void large_free(oct_onnx_doc *doc, void *p)
{
    oct_onnx_block *b = (oct_onnx_block *)((char *)p - BLOCK_HEAD);
    if (b->prev)
        b->prev->next = b->next;
    else
        doc->blocks = b->next;
    if (b->next)
        b->next->prev = b->prev;
    doc->budget_left += b->n_bytes;
    oct_free(doc->ctx, b);
}

/* protobuf-c's allocator: small pieces from the arena (freeing them is a no-op), large ones
 * tracked. A piece is large iff it lies in a block, and blocks are few. */
static void *tree_alloc(void *user, size_t n_bytes)
{
    oct_onnx_doc *doc = user;
    if (n_bytes > doc->budget_left) {
        oct_fail(doc->ctx, OCT_ERR_LIMIT, "parsing needs more memory than allowed");
        return NULL;
    }
    doc->budget_left -= n_bytes;
    return n_bytes >= LARGE_BYTES ? large_alloc(doc, n_bytes)
                                  : oct_arena_alloc(doc->arena, n_bytes);
}

static void tree_free(void *user, void *p)
{
    oct_onnx_doc *doc = user;
    for (oct_onnx_block *b = doc->blocks; b; b = b->next) {
        if (p == (char *)b + BLOCK_HEAD) {
            large_free(doc, p);
            return;
        }
    }
}

void *oct_onnx_doc_alloc(oct_onnx_doc *doc, size_t n_bytes)
{
    void *p =
        n_bytes >= LARGE_BYTES ? large_alloc(doc, n_bytes) : oct_arena_alloc(doc->arena, n_bytes);
    if (p)
        memset(p, 0, n_bytes);
    return p;
}

char *oct_onnx_doc_strdup(oct_onnx_doc *doc, const char *s)
{
    return oct_arena_strdup(doc->arena, s);
}

/* ---- tokens become pointers ------------------------------------------------------------- */

typedef struct raw_ref {
    ProtobufCBinaryData *data;
    oct_onnx_token token;
} raw_ref;

typedef struct raw_list {
    raw_ref *ref;
    size_t n;
} raw_list;

static oct_status each_in(ProtobufCMessage *m, oct_onnx_tensor_fn fn, void *user);

static oct_status each_in_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                                oct_onnx_tensor_fn fn, void *user)
{
    char *base = (char *)m;
    ProtobufCMessage *one, **child = &one;
    size_t n;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&n, base + f->quantifier_offset, sizeof n);
        memcpy(&child, base + f->offset, sizeof child);
    } else {
        memcpy(&one, base + f->offset, sizeof one);
        n = one != NULL;
    }
    for (size_t i = 0; i < n; i++)
        OCT_TRY(each_in(child[i], fn, user));
    return OCT_OK;
}

/* Recursion is bounded by OCT_ONNX_MAX_DEPTH. */
static oct_status each_in(ProtobufCMessage *m, oct_onnx_tensor_fn fn, void *user)
{
    if (m->descriptor == &onnx__tensor_proto__descriptor)
        return fn(user, (Onnx__TensorProto *)m);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        if (m->descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            OCT_TRY(each_in_field(m, &m->descriptor->fields[i], fn, user));
    return OCT_OK;
}

oct_status oct_onnx_each_tensor(oct_onnx_doc *doc, oct_onnx_tensor_fn fn, void *user)
{
    return each_in(&doc->model->base, fn, user);
}

static oct_status collect_raw(void *user, Onnx__TensorProto *t)
{
    raw_list *list = user;
    if (t->has_raw_data && t->raw_data.len == OCT_ONNX_TOKEN_BYTES) {
        raw_ref *r = &list->ref[list->n++];
        r->data = &t->raw_data;
        memcpy(&r->token, t->raw_data.data, sizeof r->token);
    }
    return OCT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const raw_ref *x = a, *y = b;
    return x->token.offset < y->token.offset ? -1 : x->token.offset > y->token.offset;
}

/* Raw data lies at any byte of the file, but kernels want aligned elements. What stood between
 * the tensors is parsed, so each is moved down into that gap, to the best alignment that
 * fits; in file order, so that nothing is overwritten before it has moved. */
static void settle_raw(oct_onnx_doc *doc, raw_list *list)
{
    qsort(list->ref, list->n, sizeof *list->ref, by_offset);
    size_t cursor = 0;
    for (size_t i = 0; i < list->n; i++) {
        const size_t from = (size_t)list->ref[i].token.offset;
        const size_t n = (size_t)list->ref[i].token.n_bytes;
        size_t to = from;
        for (size_t align = OCT_ALIGN; align >= 8; align /= 2) {
            const size_t up = (cursor + align - 1) / align * align;
            if (up <= from) {
                to = up;
                break;
            }
        }
        if (to != from)
            memmove(doc->bytes + to, doc->bytes + from, n);
        list->ref[i].data->data = doc->bytes + to;
        list->ref[i].data->len = n;
        cursor = to + n;
    }
}

/* ---- parsing ----------------------------------------------------------------------------- */

static oct_status parse_slim(oct_onnx_doc *doc, const oct_onnx_scan *scan)
{
    ProtobufCAllocator alloc = {.alloc = tree_alloc, .free = tree_free, .allocator_data = doc};
    raw_list list = {0};
    uint8_t *slim = oct_alloc(doc->ctx, scan->slim_bytes);
    oct_status st = slim ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_onnx_scan_slim(doc->ctx, doc->bytes, doc->n_bytes, scan, slim);
    if (st == OCT_OK) {
        doc->model = onnx__model_proto__unpack(&alloc, scan->slim_bytes, slim);
        if (!doc->model) {
            st = oct_error_status(doc->ctx);
            if (st == OCT_OK)
                st = oct_fail(doc->ctx, OCT_ERR_FORMAT, "not a valid ONNX model");
        }
    }
    oct_free(doc->ctx, slim);
    if (st != OCT_OK)
        return st;
    list.ref = oct_alloc_array(doc->ctx, scan->n_tokens + 1, sizeof *list.ref);
    if (!list.ref)
        return OCT_ERR_NOMEM;
    st = oct_onnx_each_tensor(doc, collect_raw, &list);
    settle_raw(doc, &list);
    oct_free(doc->ctx, list.ref);
    return st;
}

/* Things that are often given instead of a model deserve their own words. */
static oct_status check_kind(oct_ctx *ctx, const uint8_t *p, size_t n)
{
    static const struct {
        const char *magic, *text;
    } kind[] = {
        {"version https://git-lfs", "a Git LFS pointer, not the model; fetch it with git lfs pull"},
        {"\xff\xd8\xff", "a JPEG image, not an ONNX model"},
        {"\x89PNG", "a PNG image, not an ONNX model"},
        {"\x89HDF", "an HDF5 file, not an ONNX model"},
        {"PK\x03\x04", "a ZIP archive (a PyTorch file?), not an ONNX model"},
        {"<", "text (HTML or XML), not an ONNX model"},
        {"{", "JSON text, not an ONNX model"},
    };
    if (n == 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "empty file, expected an ONNX model");
    for (size_t i = 0; i < sizeof kind / sizeof kind[0]; i++) {
        const size_t len = strlen(kind[i].magic);
        if (n >= len && memcmp(p, kind[i].magic, len) == 0)
            return oct_fail(ctx, OCT_ERR_FORMAT, "byte 0: %s", kind[i].text);
    }
    return OCT_OK;
}

/* `hash` of the bytes, if it is known already. */
static oct_status parse_bytes(oct_onnx_doc *doc, size_t max_bytes, const oct_sha256 *hash)
{
    oct_onnx_scan scan;
    const size_t max = max_bytes ? max_bytes : DEFAULT_MAX_BYTES;
    OCT_TRY(check_kind(doc->ctx, doc->bytes, doc->n_bytes));
    if (doc->n_bytes > max || doc->n_bytes > INT32_MAX)
        return oct_fail(doc->ctx, OCT_ERR_LIMIT, "file of %zu bytes, at most %zu are allowed",
                        doc->n_bytes, oct_min_size(max, INT32_MAX));
    const size_t parse = oct_min_size(max - doc->n_bytes, PARSE_BASE + PARSE_RATIO * doc->n_bytes);
    OCT_TRY(oct_onnx_scan_model(doc->ctx, doc->bytes, doc->n_bytes, parse, &scan));
    if (hash)
        doc->hash = *hash;
    else
        oct_sha256_of(doc->bytes, doc->n_bytes, &doc->hash);
    doc->budget_left = parse + PARSE_BASE; /* the scan's estimate leaves out rounding */
    OCT_TRY(parse_slim(doc, &scan));
    if (!doc->model->graph)
        return oct_fail(doc->ctx, OCT_ERR_FORMAT, "no graph in %zu bytes; is this an ONNX model?",
                        doc->n_bytes);
    doc->budget_left = max - doc->n_bytes;
    return OCT_OK;
}

static oct_status doc_new(oct_ctx *ctx, uint8_t *bytes, size_t n_bytes, const char *dir,
                          size_t max_bytes, const oct_sha256 *hash, oct_onnx_doc **out)
{
    oct_onnx_doc *doc = oct_zalloc(ctx, sizeof *doc);
    if (!doc) {
        oct_free(ctx, bytes);
        return OCT_ERR_NOMEM;
    }
    doc->ctx = ctx;
    doc->bytes = bytes;
    doc->n_bytes = n_bytes;
    oct_status st = oct_arena_new(ctx, &doc->arena);
    if (st == OCT_OK && dir && !(doc->dir = oct_arena_strdup(doc->arena, dir)))
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = parse_bytes(doc, max_bytes, hash);
    if (st != OCT_OK) {
        oct_onnx_doc_free(doc);
        return st;
    }
    *out = doc;
    return OCT_OK;
}

oct_status oct_onnx_doc_parse(oct_ctx *ctx, uint8_t *bytes, size_t n_bytes, const char *dir,
                              size_t max_bytes, oct_onnx_doc **out)
{
    return doc_new(ctx, bytes, n_bytes, dir, max_bytes, NULL, out);
}

oct_status oct_onnx_doc_open(oct_ctx *ctx, const char *path, size_t max_bytes, oct_onnx_doc **out)
{
    uint8_t *bytes;
    size_t n;
    oct_sha256 hash;
    const size_t max = oct_min_size(max_bytes ? max_bytes : DEFAULT_MAX_BYTES, INT32_MAX);
    OCT_TRY(oct_sha256_read_file(ctx, path, max, &bytes, &n, &hash));
    const size_t dir_len = (size_t)(oct_path_name(path) - path);
    char *dir = dir_len ? oct_strndup(ctx, path, dir_len) : oct_strdup(ctx, ".");
    if (!dir) {
        oct_free(ctx, bytes);
        return OCT_ERR_NOMEM;
    }
    const oct_status st = doc_new(ctx, bytes, n, dir, max_bytes, &hash, out);
    oct_free(ctx, dir);
    return st == OCT_OK ? st : oct_fail_in(ctx, st, "%s", path);
}

void oct_onnx_doc_free(oct_onnx_doc *doc)
{
    if (!doc)
        return;
    oct_external_free(doc);
    oct_name_map_deinit(doc->ctx, &doc->names);
    while (doc->blocks)
        large_free(doc, (char *)doc->blocks + BLOCK_HEAD);
    oct_arena_free(doc->arena);
    oct_free(doc->ctx, doc->bytes);
    oct_free(doc->ctx, doc);
}

/* ---- vocabulary -------------------------------------------------------------------------- */

/* ONNX TensorProto.DataType, in its order. */
static const struct {
    const char *name;
    oct_dtype dtype;
} data_type[] = {
    {"UNDEFINED", OCT_DT_NONE},
    {"FLOAT", OCT_DT_F32},
    {"UINT8", OCT_DT_U8},
    {"INT8", OCT_DT_S8},
    {"UINT16", OCT_DT_U16},
    {"INT16", OCT_DT_S16},
    {"INT32", OCT_DT_S32},
    {"INT64", OCT_DT_S64},
    {"STRING", OCT_DT_NONE},
    {"BOOL", OCT_DT_BOOL},
    {"FLOAT16", OCT_DT_F16},
    {"DOUBLE", OCT_DT_F64},
    {"UINT32", OCT_DT_U32},
    {"UINT64", OCT_DT_U64},
    {"COMPLEX64", OCT_DT_NONE},
    {"COMPLEX128", OCT_DT_NONE},
    {"BFLOAT16", OCT_DT_BF16},
    {"FLOAT8E4M3FN", OCT_DT_NONE},
    {"FLOAT8E4M3FNUZ", OCT_DT_NONE},
    {"FLOAT8E5M2", OCT_DT_NONE},
    {"FLOAT8E5M2FNUZ", OCT_DT_NONE},
    {"UINT4", OCT_DT_NONE},
    {"INT4", OCT_DT_NONE},
    {"FLOAT4E2M1", OCT_DT_NONE},
    {"FLOAT8E8M0", OCT_DT_NONE},
    {"UINT2", OCT_DT_NONE},
    {"INT2", OCT_DT_NONE},
};

enum { N_DATA_TYPES = sizeof data_type / sizeof data_type[0] };

oct_dtype oct_onnx_dtype(int32_t onnx_type)
{
    return onnx_type > 0 && onnx_type < N_DATA_TYPES ? data_type[onnx_type].dtype : OCT_DT_NONE;
}

int32_t oct_onnx_type_of(oct_dtype dt)
{
    for (int32_t i = 1; i < N_DATA_TYPES && dt != OCT_DT_NONE; i++)
        if (data_type[i].dtype == dt)
            return i;
    return 0;
}

const char *oct_onnx_type_name(int32_t onnx_type)
{
    return onnx_type >= 0 && onnx_type < N_DATA_TYPES ? data_type[onnx_type].name : "UNKNOWN";
}

static const char *plain_domain(const char *domain)
{
    return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int64_t oct_onnx_doc_opset(const oct_onnx_doc *doc, const char *domain)
{
    const Onnx__ModelProto *m = doc->model;
    for (size_t i = 0; i < m->n_opset_import; i++)
        if (strcmp(plain_domain(m->opset_import[i]->domain), plain_domain(domain)) == 0)
            return m->opset_import[i]->version;
    return 0;
}
