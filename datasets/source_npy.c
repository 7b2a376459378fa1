/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors as files: .npy (rows of one array, read one by one unless it is in Fortran order) and
 * .npz (one array per model input, held in memory). Rows are converted to the input's type.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/numeric.h"
#include "base/strbuf.h"
#include "datasets/npz.h"
#include "datasets/source.h"

/* Rows of one array: in memory, or in an open file. */
typedef struct row_store {
    oct_npy_header head; /* dtype, byte order and offset of the file */
    oct_array array;     /* .data NULL: read from fd */
    int fd;              /* -1 if none */
    size_t row_elems;
    oct_dtype to;
} row_store;

typedef struct npy_source {
    oct_source base;
    row_store *store; /* n_inputs; row_elems 0 = not fed */
    char *path;
} npy_source;

static const char *npy_name(const oct_source *s, int64_t i, char buf[OCT_SAMPLE_NAME_BYTES])
{
    (void)s;
    snprintf(buf, OCT_SAMPLE_NAME_BYTES, "#%lld", (long long)i);
    return buf;
}

static void store_elem(void *dst, oct_dtype to, size_t i, const void *src, oct_dtype from)
{
    switch (to) {
    case OCT_DT_F32:
        ((float *)dst)[i] = (float)oct_elem_f64(src, from, i);
        break;
    case OCT_DT_F64:
        ((double *)dst)[i] = oct_elem_f64(src, from, i);
        break;
    case OCT_DT_F16:
        ((uint16_t *)dst)[i] = oct_f16_from_f32((float)oct_elem_f64(src, from, i));
        break;
    case OCT_DT_S64:
        ((int64_t *)dst)[i] = oct_elem_s64(src, from, i);
        break;
    case OCT_DT_S32:
        ((int32_t *)dst)[i] = (int32_t)oct_elem_s64(src, from, i);
        break;
    default: /* refused at opening */
        break;
    }
}

static bool can_convert(oct_dtype from, oct_dtype to)
{
    if (from == to)
        return true;
    if (to == OCT_DT_F32 || to == OCT_DT_F64 || to == OCT_DT_F16)
        return true;
    const bool small = oct_dtype_is_int(from) && oct_dtype_bytes(from) < oct_dtype_bytes(to);
    return (to == OCT_DT_S64 || to == OCT_DT_S32) && (small || (from == OCT_DT_S64));
}

static oct_status read_exactly(oct_ctx *ctx, const char *path, int fd, uint8_t *dst, size_t n,
                               size_t offset)
{
    while (n > 0) {
        const ssize_t got = pread(fd, dst, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return oct_fail(ctx, OCT_ERR_IO, "%s: %s at offset %zu", path,
                            got < 0 ? strerror(errno) : "shrank while being read", offset);
        dst += got;
        n -= (size_t)got;
        offset += (size_t)got;
    }
    return OCT_OK;
}

/* Row i as it lies in the file or in memory; `*row` points into the scratch or the array. */
static oct_status fetch_row(const npy_source *s, const row_store *w, oct_ctx *ctx,
                            oct_load_scratch *scratch, int64_t i, const uint8_t **row)
{
    const size_t n = w->row_elems * oct_dtype_bytes(w->head.dtype);
    if (w->array.data != NULL) {
        *row = (const uint8_t *)w->array.data + (size_t)i * n;
        return OCT_OK;
    }
    if (scratch->file_cap < 2 * n) { /* raw bytes, then native ones */
        oct_free(ctx, scratch->file);
        scratch->file_cap = 2 * n;
        scratch->file = oct_alloc(ctx, 2 * n);
        if (scratch->file == NULL) {
            scratch->file_cap = 0;
            return OCT_ERR_NOMEM;
        }
    }
    OCT_TRY(
        read_exactly(ctx, s->path, w->fd, scratch->file, n, w->head.data_offset + (size_t)i * n));
    oct_npy_copy_elems(&w->head, scratch->file, w->row_elems, scratch->file + n);
    *row = scratch->file + n;
    return OCT_OK;
}

static oct_status npy_load(oct_source *base, oct_ctx *ctx, oct_load_scratch *scratch, int64_t i,
                           void *const *dst, oct_sample *sample)
{
    const npy_source *s = (const npy_source *)base;
    oct_sha256_stream *hash;
    OCT_TRY(oct_sha256_begin(ctx, &hash));
    oct_status st = OCT_OK;
    for (int k = 0; k < s->base.n_inputs && st == OCT_OK; k++) {
        const row_store *w = &s->store[k];
        const uint8_t *row;
        if (w->row_elems == 0)
            continue;
        st = fetch_row(s, w, ctx, scratch, i, &row);
        if (st != OCT_OK)
            break;
        const oct_dtype from = w->head.dtype;
        if (from == w->to)
            memcpy(dst[k], row, w->row_elems * oct_dtype_bytes(from));
        else
            for (size_t e = 0; e < w->row_elems; e++)
                store_elem(dst[k], w->to, e, row, from);
        oct_sha256_update(hash, dst[k], w->row_elems * oct_dtype_bytes(w->to));
    }
    oct_sha256_end(hash, &sample->id);
    return st;
}

static void npy_close(oct_source *base)
{
    npy_source *s = (npy_source *)base;
    oct_ctx *ctx = s->base.ctx;
    for (int k = 0; k < s->base.n_inputs && s->store != NULL; k++) {
        oct_array_deinit(ctx, &s->store[k].array);
        if (s->store[k].fd >= 0)
            close(s->store[k].fd);
    }
    oct_free(ctx, s->store);
    oct_free(ctx, s->path);
    oct_source_deinit(&s->base);
    oct_free(ctx, s);
}

static const oct_source_vtable npy_vtable = {"npy", npy_name, npy_load, npy_close, NULL};
static const oct_source_vtable npz_vtable = {"npz", npy_name, npy_load, npy_close, NULL};

/* Rows of an array [M, ...] against an input [N, ...]; an array without the first axis is one
 * row. */
static oct_status bind(npy_source *s, const oct_input_spec *in, int k, const oct_shape *have,
                       oct_dtype dtype)
{
    char want_text[OCT_SHAPE_STR_BYTES], have_text[OCT_SHAPE_STR_BYTES];
    const bool one = have->n_dims == in->shape.n_dims - 1;
    const oct_shape *want = &in->shape;
    bool ok = want->n_dims >= 1 && (one || have->n_dims == want->n_dims);
    oct_shape row = {.n_dims = want->n_dims - 1};
    for (int d = 1; d < want->n_dims && ok; d++) {
        row.dim[d - 1] = have->dim[one ? d - 1 : d];
        ok = row.dim[d - 1] > 0 && (want->dim[d] < 0 || want->dim[d] == row.dim[d - 1]);
    }
    const int64_t m = one ? 1 : ok ? have->dim[0] : 0;
    if (!ok || m < 1)
        return oct_fail(s->base.ctx, OCT_ERR_SHAPE, "%s: array is %s, input '%s' is %s", s->path,
                        oct_shape_str(have, have_text, sizeof have_text), in->name,
                        oct_shape_str(want, want_text, sizeof want_text));
    if (!can_convert(dtype, in->dtype))
        return oct_fail(s->base.ctx, OCT_ERR_SHAPE, "%s: array of %s, input '%s' takes %s", s->path,
                        oct_dtype_str(dtype), in->name, oct_dtype_str(in->dtype));
    if (s->base.n_items != 0 && s->base.n_items != m)
        return oct_fail(s->base.ctx, OCT_ERR_SHAPE, "%s: '%s' has %lld rows, others have %lld",
                        s->path, in->name, (long long)m, (long long)s->base.n_items);
    s->base.n_items = m;
    s->base.row[k] = row;
    s->store[k].to = in->dtype;
    return oct_shape_elems(&row, &s->store[k].row_elems)
               ? OCT_OK
               : oct_fail(s->base.ctx, OCT_ERR_RANGE, "%s: row overflows", s->path);
}

static oct_status read_head(npy_source *s, row_store *w)
{
    oct_ctx *ctx = s->base.ctx;
    struct stat st;
    w->fd = open(s->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (w->fd < 0 || fstat(w->fd, &st) != 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: %s", s->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: not a regular file", s->path);
    const size_t n = oct_min_size((size_t)st.st_size, OCT_NPY_MAX_HEADER_BYTES);
    uint8_t *head = oct_alloc(ctx, n);
    if (head == NULL)
        return OCT_ERR_NOMEM;
    oct_status s2 = read_exactly(ctx, s->path, w->fd, head, n, 0);
    if (s2 == OCT_OK)
        s2 = oct_npy_parse_header(ctx, s->path, head, n, &w->head);
    oct_free(ctx, head);
    if (s2 != OCT_OK)
        return s2;
    const size_t want = w->head.data_offset + w->head.n_elems * oct_dtype_bytes(w->head.dtype);
    if (want != (size_t)st.st_size)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: file of %lld bytes, its header wants %zu",
                        s->path, (long long)st.st_size, want);
    return OCT_OK;
}

/* The whole array for Fortran order: its rows are scattered. */
static oct_status load_whole(npy_source *s, row_store *w)
{
    close(w->fd);
    w->fd = -1;
    OCT_TRY(oct_npy_read(s->base.ctx, s->path, 0, &w->array));
    return OCT_OK;
}

static oct_status open_npy(npy_source *s, const oct_source_request *r)
{
    int k = r->opt->n_inputs == 1 ? 0 : -1, n_open = 0;
    for (int i = 0; i < r->opt->n_inputs; i++) {
        bool set = false;
        for (int j = 0; j < r->opt->n_set; j++)
            set = set || strcmp(r->opt->set[j].name, r->opt->input[i].name) == 0;
        if (r->opt->image_input != NULL ? strcmp(r->opt->image_input, r->opt->input[i].name) == 0
                                        : !set && r->opt->n_inputs > 1) {
            k = i;
            n_open++;
        }
    }
    if (k < 0 || n_open > 1)
        return oct_fail(s->base.ctx, OCT_ERR_USAGE,
                        "%s: the model has %d inputs; name the array's with --image-input, or give "
                        "an .npz with an array for each",
                        s->path, r->opt->n_inputs);
    row_store *w = &s->store[k];
    OCT_TRY(read_head(s, w));
    OCT_TRY(bind(s, &r->opt->input[k], k, &w->head.shape, w->head.dtype));
    return w->head.fortran_order && w->head.shape.n_dims > 1 ? load_whole(s, w) : OCT_OK;
}

static oct_status open_npz_members(npy_source *s, const oct_source_request *r, oct_npz *z)
{
    for (int k = 0; k < r->opt->n_inputs; k++) {
        const int i = oct_npz_find(z, r->opt->input[k].name);
        if (i < 0)
            continue; /* constant, or reported as missing later */
        row_store *w = &s->store[k];
        OCT_TRY(oct_npz_read(z, s->base.ctx, i, 0, &w->array));
        w->head.dtype = w->array.dtype;
        OCT_TRY(bind(s, &r->opt->input[k], k, &w->array.shape, w->array.dtype));
    }
    if (s->base.n_items == 0)
        return oct_fail(s->base.ctx, OCT_ERR_USAGE,
                        "%s: no array is named like a model input ('%s'...)", s->path,
                        r->opt->input[0].name);
    return OCT_OK;
}

static oct_status open_npz(npy_source *s, const oct_source_request *r)
{
    oct_npz *z;
    OCT_TRY(oct_npz_open(s->base.ctx, s->path, 0, &z));
    const oct_status st = open_npz_members(s, r, z);
    oct_npz_close(z);
    return st;
}

static oct_status open_with(oct_ctx *ctx, const oct_source_request *r, oct_source **out,
                            const oct_source_vtable *vt,
                            oct_status (*open_kind)(npy_source *, const oct_source_request *))
{
    npy_source *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_source_init(&s->base, ctx, vt, r->opt->n_inputs);
    s->base.ctx = ctx;
    s->path = oct_strdup(ctx, r->opt->path);
    s->store = oct_zalloc_array(ctx, (size_t)r->opt->n_inputs, sizeof *s->store);
    if (s->path == NULL || s->store == NULL)
        st = OCT_ERR_NOMEM;
    for (int k = 0; k < r->opt->n_inputs && s->store != NULL; k++)
        s->store[k].fd = -1;
    if (st == OCT_OK)
        st = open_kind(s, r);
    if (st != OCT_OK)
        npy_close(&s->base);
    else
        *out = &s->base;
    return st;
}

oct_status oct_source_open_npy(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    return open_with(ctx, r, out, &npy_vtable, open_npy);
}

oct_status oct_source_open_npz(oct_ctx *ctx, const oct_source_request *r, oct_source **out)
{
    return open_with(ctx, r, out, &npz_vtable, open_npz);
}
