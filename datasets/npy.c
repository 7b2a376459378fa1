/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/npy.h"

#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/strbuf.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6

static const struct {
    const char *text; /* without the byte order mark */
    oct_dtype dtype;
} dtype_names[] = {
    {"f4", OCT_DT_F32}, {"f2", OCT_DT_F16}, {"f8", OCT_DT_F64}, {"i1", OCT_DT_S8},
    {"u1", OCT_DT_U8},  {"i2", OCT_DT_S16}, {"u2", OCT_DT_U16}, {"i4", OCT_DT_S32},
    {"u4", OCT_DT_U32}, {"i8", OCT_DT_S64}, {"u8", OCT_DT_U64}, {"b1", OCT_DT_BOOL},
};

static bool host_is_little(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

/* Cursor over the header's Python literal. */
typedef struct cursor {
    oct_ctx *ctx;
    const char *name;
    const char *p, *end;
} cursor;

static oct_status malformed(const cursor *c, const char *expected)
{
    return oct_fail(c->ctx, OCT_ERR_FORMAT, "%s: .npy header: expected %s", c->name, expected);
}

static void skip_space(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

static bool accept(cursor *c, char ch)
{
    skip_space(c);
    if (c->p >= c->end || *c->p != ch)
        return false;
    c->p++;
    return true;
}

static bool accept_word(cursor *c, const char *word)
{
    const size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return false;
    c->p += n;
    return true;
}

/* 'text' or "text" without escapes; at most cap-1 characters. */
static bool read_quoted(cursor *c, char *buf, size_t cap)
{
    skip_space(c);
    if (c->p >= c->end || (*c->p != '\'' && *c->p != '"'))
        return false;
    const char quote = *c->p++;
    size_t n = 0;
    while (c->p < c->end && *c->p != quote) {
        if (n + 1 >= cap)
            return false;
        buf[n++] = *c->p++;
    }
    buf[n] = '\0';
    return accept(c, quote);
}

static oct_status read_descr(cursor *c, oct_npy_header *h)
{
    char text[16];
    if (!read_quoted(c, text, sizeof text) || strlen(text) < 2)
        return oct_fail(c->ctx, OCT_ERR_UNSUPPORTED,
                        "%s: .npy element type is not a plain number type", c->name);
    const bool marked = strchr("<>|=", text[0]) != NULL;
    const char *kind = marked ? text + 1 : text;
    for (size_t i = 0; i < sizeof dtype_names / sizeof dtype_names[0]; i++) {
        if (strcmp(kind, dtype_names[i].text) != 0)
            continue;
        h->dtype = dtype_names[i].dtype;
        h->swap_bytes =
            (text[0] == '>' && host_is_little()) || (text[0] == '<' && !host_is_little());
        return OCT_OK;
    }
    return oct_fail(c->ctx, OCT_ERR_UNSUPPORTED,
                    "%s: .npy element type '%s'; supported: f2 f4 f8 i1..i8 u1..u8 b1", c->name,
                    text);
}

static oct_status read_dim(cursor *c, int64_t *out)
{
    int64_t v = 0;
    skip_space(c);
    if (c->p >= c->end || *c->p < '0' || *c->p > '9')
        return malformed(c, "a dimension");
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        if (!oct_mul_s64(v, 10, &v) || !oct_add_s64(v, *c->p - '0', &v))
            return oct_fail(c->ctx, OCT_ERR_RANGE, "%s: .npy dimension overflows", c->name);
        c->p++;
    }
    *out = v;
    return OCT_OK;
}

static oct_status read_shape(cursor *c, oct_shape *s)
{
    if (!accept(c, '('))
        return malformed(c, "'(' of the shape");
    s->n_dims = 0;
    while (!accept(c, ')')) {
        if (s->n_dims == OCT_MAX_DIMS)
            return oct_fail(c->ctx, OCT_ERR_UNSUPPORTED, "%s: .npy rank above %d", c->name,
                            OCT_MAX_DIMS);
        OCT_TRY(read_dim(c, &s->dim[s->n_dims]));
        s->n_dims++;
        if (accept(c, ','))
            continue;
        if (!accept(c, ')'))
            return malformed(c, "',' or ')' in the shape");
        break;
    }
    return OCT_OK;
}

static oct_status read_entry(cursor *c, oct_npy_header *h, unsigned *seen)
{
    char key[32];
    unsigned bit;
    if (!read_quoted(c, key, sizeof key) || !accept(c, ':'))
        return malformed(c, "a key");
    if (strcmp(key, "descr") == 0) {
        bit = 1;
        OCT_TRY(read_descr(c, h));
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = 2;
        h->fortran_order = accept_word(c, "True");
        if (!h->fortran_order && !accept_word(c, "False"))
            return malformed(c, "True or False after fortran_order");
    } else if (strcmp(key, "shape") == 0) {
        bit = 4;
        OCT_TRY(read_shape(c, &h->shape));
    } else {
        return malformed(c, "descr, fortran_order or shape");
    }
    if (*seen & bit)
        return malformed(c, "each key once");
    *seen |= bit;
    return OCT_OK;
}

static oct_status read_dict(cursor *c, oct_npy_header *h)
{
    unsigned seen = 0;
    if (!accept(c, '{'))
        return malformed(c, "'{'");
    while (!accept(c, '}')) {
        OCT_TRY(read_entry(c, h, &seen));
        if (accept(c, ','))
            continue;
        if (!accept(c, '}'))
            return malformed(c, "',' or '}'");
        break;
    }
    if (seen != 7)
        return malformed(c, "descr, fortran_order and shape");
    skip_space(c);
    return c->p == c->end ? OCT_OK : malformed(c, "the end of the header");
}

oct_status oct_npy_parse_header(oct_ctx *ctx, const char *name, const uint8_t *bytes,
                                size_t n_bytes, oct_npy_header *out)
{
    if (n_bytes < 10 || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: not a .npy file (no NUMPY magic at offset 0)",
                        name);
    const int major = bytes[6];
    if (major < 1 || major > 3)
        return oct_fail(ctx, OCT_ERR_VERSION, "%s: .npy version %d; 1 to 3 are supported", name,
                        major);
    const size_t prefix = major == 1 ? 10 : 12;
    if (n_bytes < prefix)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: .npy file of %zu bytes is truncated", name,
                        n_bytes);
    size_t len = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (major > 1)
        len |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (len > OCT_NPY_MAX_HEADER_BYTES - prefix || len > n_bytes - prefix)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "%s: .npy header of %zu bytes exceeds the file or the limit of %d", name,
                        len, OCT_NPY_MAX_HEADER_BYTES);
    oct_npy_header h = {.data_offset = prefix + len};
    cursor c = {ctx, name, (const char *)bytes + prefix, (const char *)bytes + prefix + len};
    size_t total;
    OCT_TRY(read_dict(&c, &h));
    if (!oct_shape_elems(&h.shape, &h.n_elems) ||
        !oct_mul_size(h.n_elems, oct_dtype_bytes(h.dtype), &total))
        return oct_fail(ctx, OCT_ERR_RANGE, "%s: .npy dimensions overflow", name);
    *out = h;
    return OCT_OK;
}

void oct_npy_copy_elems(const oct_npy_header *h, const uint8_t *src, size_t n, void *dst)
{
    const size_t size = oct_dtype_bytes(h->dtype);
    uint8_t *d = dst;
    if (h->dtype == OCT_DT_BOOL) {
        for (size_t i = 0; i < n; i++)
            d[i] = src[i] != 0;
    } else if (!h->swap_bytes || size == 1) {
        memcpy(d, src, n * size);
    } else {
        for (size_t i = 0; i < n; i++)
            for (size_t b = 0; b < size; b++)
                d[i * size + b] = src[i * size + (size - 1 - b)];
    }
}

/* Fortran order: element (i0, i1, ...) lies at i0 + d0 * (i1 + d1 * ...). */
static void copy_fortran(const oct_npy_header *h, const uint8_t *src, uint8_t *dst)
{
    const size_t size = oct_dtype_bytes(h->dtype);
    const oct_shape *s = &h->shape;
    size_t stride[OCT_MAX_DIMS], index[OCT_MAX_DIMS] = {0};
    size_t step = 1, from = 0;
    for (int k = 0; k < s->n_dims; k++) {
        stride[k] = step;
        step *= (size_t)s->dim[k];
    }
    for (size_t i = 0; i < h->n_elems; i++) {
        oct_npy_copy_elems(h, src + from * size, 1, dst + i * size);
        for (int k = s->n_dims - 1; k >= 0; k--) {
            from += stride[k];
            if (++index[k] < (size_t)s->dim[k])
                break;
            from -= stride[k] * (size_t)s->dim[k];
            index[k] = 0;
        }
    }
}

oct_status oct_npy_decode(oct_ctx *ctx, const char *name, const uint8_t *bytes, size_t n_bytes,
                          oct_array *out)
{
    oct_npy_header h;
    OCT_TRY(oct_npy_parse_header(ctx, name, bytes, n_bytes, &h));
    const size_t want = h.n_elems * oct_dtype_bytes(h.dtype); /* checked by the parser */
    const size_t have = n_bytes - h.data_offset;
    if (want != have)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: .npy data is %zu bytes, the header wants %zu",
                        name, have, want);
    uint8_t *data = oct_alloc(ctx, want);
    if (data == NULL)
        return OCT_ERR_NOMEM;
    if (h.fortran_order && h.shape.n_dims > 1)
        copy_fortran(&h, bytes + h.data_offset, data);
    else
        oct_npy_copy_elems(&h, bytes + h.data_offset, h.n_elems, data);
    *out = (oct_array){h.dtype, h.shape, h.n_elems, data};
    return OCT_OK;
}

oct_status oct_npy_read(oct_ctx *ctx, const char *path, size_t max_bytes, oct_array *out)
{
    uint8_t *bytes;
    size_t n_bytes;
    OCT_TRY(oct_file_read(ctx, path, max_bytes, &bytes, &n_bytes));
    const oct_status st = oct_npy_decode(ctx, path, bytes, n_bytes, out);
    oct_free(ctx, bytes);
    return st;
}

void oct_array_deinit(oct_ctx *ctx, oct_array *a)
{
    oct_free(ctx, a->data);
    *a = (oct_array){0};
}

static const char *descr_of(oct_dtype dt)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof dtype_names[0]; i++)
        if (dtype_names[i].dtype == dt)
            return dtype_names[i].text;
    return NULL;
}

static void add_header_text(oct_strbuf *b, const char *descr, oct_dtype dt, const oct_shape *shape)
{
    const char mark = oct_dtype_bytes(dt) == 1 ? '|' : host_is_little() ? '<' : '>';
    oct_strbuf_addf(b, "{'descr': '%c%s', 'fortran_order': False, 'shape': (", mark, descr);
    for (int k = 0; k < shape->n_dims; k++)
        oct_strbuf_addf(b, k == 0 ? "%lld," : " %lld,", (long long)shape->dim[k]);
    oct_strbuf_add(b, "), }");
    /* Padded with blanks so that the data starts on a 64-byte boundary. */
    while ((10 + b->len + 1) % 64 != 0 && !b->failed)
        oct_strbuf_add(b, " ");
    oct_strbuf_add(b, "\n");
}

oct_status oct_npy_make_header(oct_ctx *ctx, oct_dtype dtype, const oct_shape *shape,
                               uint8_t **bytes, size_t *n_bytes)
{
    const char *descr = descr_of(dtype);
    if (descr == NULL)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED, ".npy has no element type %s; convert to f32",
                        oct_dtype_str(dtype));
    oct_strbuf text;
    oct_strbuf_init(&text, ctx);
    add_header_text(&text, descr, dtype, shape);
    oct_status st = oct_strbuf_status(&text);
    uint8_t *p = st == OCT_OK ? oct_alloc(ctx, 10 + text.len) : NULL;
    if (p != NULL) {
        memcpy(p, MAGIC "\x01\x00", 8);
        p[8] = (uint8_t)(text.len & 0xff);
        p[9] = (uint8_t)(text.len >> 8);
        memcpy(p + 10, text.text, text.len);
        *bytes = p;
        *n_bytes = 10 + text.len;
    } else {
        st = OCT_ERR_NOMEM;
    }
    oct_strbuf_deinit(&text);
    return st;
}

oct_status oct_npy_write(oct_ctx *ctx, const char *path, oct_dtype dtype, const oct_shape *shape,
                         const void *data, bool force)
{
    uint8_t *head;
    size_t n_head, n_elems, n_bytes;
    oct_atomic_file *f = NULL;
    if (!oct_shape_elems(shape, &n_elems) ||
        !oct_mul_size(n_elems, oct_dtype_bytes(dtype), &n_bytes))
        return oct_fail(ctx, OCT_ERR_SHAPE, "%s: array of unknown or overflowing shape", path);
    OCT_TRY(oct_npy_make_header(ctx, dtype, shape, &head, &n_head));
    oct_status st = oct_atomic_open(ctx, path, force, &f);
    if (st == OCT_OK)
        st = oct_atomic_write(f, head, n_head);
    if (st == OCT_OK && n_bytes > 0)
        st = oct_atomic_write(f, data, n_bytes);
    oct_free(ctx, head);
    if (st == OCT_OK)
        return oct_atomic_commit(f);
    oct_atomic_abort(f);
    return st;
}
