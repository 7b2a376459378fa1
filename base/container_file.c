/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading half of container_stream.h.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/checked.h"
#include "base/container_internal.h"
#include "base/container_stream.h"

#define COPY_BYTES ((size_t)1 << 20)

typedef struct rowset {
    hid_t id;
    oct_dtype dt;
    int n_dims;
    hsize_t dim[OCT_MAX_DIMS];
} rowset;

struct oct_container_file {
    oct_ctx *ctx;
    char *path;
    hid_t file;
    rowset rows[OCT_CONTAINER_MAX_ROWSETS];
    int n_rowsets;
};

static uint64_t get_le(const uint8_t *p, int n_bytes)
{
    uint64_t v = 0;
    for (int i = n_bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static oct_status check_head(oct_ctx *ctx, const char *path, const uint8_t *head, uint64_t n_bytes,
                             const char *kind, uint32_t max_version)
{
    char padded[OCT_CONTAINER_KIND_BYTES] = {0};
    memcpy(padded, kind, strlen(kind));
    if (!oct_container_is(head, OCT_CONTAINER_HEADER_BYTES))
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: not an octet file: bad magic at offset 0", path);
    if (memcmp(head + HEAD_KIND, padded, sizeof padded) != 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: holds no %s but '%.8s'", path, kind,
                        (const char *)head + HEAD_KIND);
    const uint64_t version = get_le(head + HEAD_VERSION, 4);
    if (version < 1 || version > max_version)
        return oct_fail(ctx, OCT_ERR_VERSION, "%s: version %llu; this octet reads 1 to %u", path,
                        (unsigned long long)version, max_version);
    const uint64_t length = get_le(head + HEAD_LENGTH, 8);
    if (length != n_bytes - OCT_CONTAINER_HEADER_BYTES)
        return oct_fail(
            ctx, OCT_ERR_FORMAT, "%s: %llu bytes after the header, which announces %llu", path,
            (unsigned long long)(n_bytes - OCT_CONTAINER_HEADER_BYTES), (unsigned long long)length);
    return OCT_OK;
}

/* The hash over the whole file, its own field zeroed. */
static oct_status check_hash(oct_ctx *ctx, const char *path, int fd, uint8_t *buffer,
                             XXH3_state_t *state)
{
    XXH128_hash_t want = {0};
    uint64_t at = 0;
    XXH3_128bits_reset(state);
    for (;;) {
        OCT_TRY(oct_check_cancel(ctx));
        const ssize_t got = pread(fd, buffer, COPY_BYTES, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return oct_fail(ctx, OCT_ERR_IO, "%s: %s", path, strerror(errno));
        if (got == 0)
            break;
        if (at == 0 && got >= OCT_CONTAINER_HEADER_BYTES) {
            want.low64 = get_le(buffer + HEAD_HASH, 8);
            want.high64 = get_le(buffer + HEAD_HASH + 8, 8);
            memset(buffer + HEAD_HASH, 0, HEAD_HASH_BYTES);
        }
        XXH3_128bits_update(state, buffer, (size_t)got);
        at += (uint64_t)got;
    }
    const XXH128_hash_t have = XXH3_128bits_digest(state);
    if (!XXH128_isEqual(have, want))
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: damaged: its XXH3-128 is not the header's", path);
    return OCT_OK;
}

static oct_status verify(oct_ctx *ctx, const char *path, int fd, const char *kind,
                         uint32_t max_version)
{
    uint8_t head[OCT_CONTAINER_HEADER_BYTES] = {0};
    struct stat st;
    if (fstat(fd, &st) != 0)
        return oct_fail(ctx, OCT_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: not a regular file", path);
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: too short for an octet file", path);
    OCT_TRY(check_head(ctx, path, head, (uint64_t)st.st_size, kind, max_version));
    uint8_t *buffer = oct_alloc(ctx, COPY_BYTES);
    XXH3_state_t *state = buffer != NULL ? XXH3_createState() : NULL;
    const oct_status s = state == NULL
                             ? oct_fail(ctx, OCT_ERR_NOMEM, "%s: no memory to check", path)
                             : check_hash(ctx, path, fd, buffer, state);
    XXH3_freeState(state);
    oct_free(ctx, buffer);
    return s;
}

oct_status oct_container_file_open(oct_ctx *ctx, const char *path, const char *kind,
                                   uint32_t max_version, oct_container_file **out)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    const oct_status st = verify(ctx, path, fd, kind, max_version);
    close(fd);
    if (st != OCT_OK)
        return st;
    oct_container_file *f = oct_zalloc(ctx, sizeof *f);
    if (f == NULL)
        return OCT_ERR_NOMEM;
    f->ctx = ctx;
    f->file = -1;
    f->path = oct_strdup(ctx, path);
    if (f->path == NULL) {
        oct_container_file_close(f);
        return OCT_ERR_NOMEM;
    }
    oct_h5_guard g;
    oct_h5_enter(&g);
    f->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    oct_h5_leave(&g);
    if (f->file < 0) {
        oct_container_file_close(f);
        return oct_fail(ctx, OCT_ERR_FORMAT, "%s: HDF5 cannot open it", path);
    }
    *out = f;
    return OCT_OK;
}

void oct_container_file_close(oct_container_file *f)
{
    oct_h5_guard g;
    if (f == NULL)
        return;
    oct_h5_enter(&g);
    for (int i = 0; i < f->n_rowsets; i++)
        H5Dclose(f->rows[i].id);
    if (f->file >= 0)
        H5Fclose(f->file);
    oct_h5_leave(&g);
    oct_free(f->ctx, f->path);
    oct_free(f->ctx, f);
}

/* A dataset of the root group by a hard link, stored inside the file without filters. */
static hid_t open_plain(const oct_container_file *f, const char *name)
{
    H5L_info_t info;
    if (H5Lexists(f->file, name, H5P_DEFAULT) <= 0 ||
        H5Lget_info(f->file, name, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
        return -1;
    const hid_t id = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (id < 0)
        return -1;
    const hid_t props = H5Dget_create_plist(id);
    const bool plain = H5Pget_external_count(props) == 0 && H5Pget_nfilters(props) == 0 &&
                       H5Pget_layout(props) != H5D_VIRTUAL;
    H5Pclose(props);
    if (!plain)
        H5Dclose(id);
    return plain ? id : -1;
}

static oct_dtype dtype_of(hid_t type)
{
    for (int dt = OCT_DT_NONE + 1; dt < OCT_DT_COUNT; dt++) {
        const hid_t t = oct_h5_file_type((oct_dtype)dt);
        if (t >= 0 && H5Tequal(t, type) > 0)
            return (oct_dtype)dt;
    }
    return OCT_DT_NONE;
}

/* Fills `r`; what is wrong, or NULL. Under the lock. */
static const char *open_rows(const oct_container_file *f, const char *name, rowset *r)
{
    r->id = open_plain(f, name);
    if (r->id < 0)
        return "is missing or stored in a way that is not used here";
    const hid_t type = H5Dget_type(r->id), space = H5Dget_space(r->id);
    const char *wrong = NULL;
    size_t n = 1;
    r->dt = dtype_of(type);
    r->n_dims = H5Sget_simple_extent_ndims(space);
    if (r->dt == OCT_DT_NONE)
        wrong = "has a type that is not used here";
    else if (r->n_dims < 1 || r->n_dims > OCT_MAX_DIMS ||
             H5Sget_simple_extent_dims(space, r->dim, NULL) < 0)
        wrong = "has no rows";
    for (int i = 0; wrong == NULL && i < r->n_dims; i++)
        if (r->dim[i] > INT64_MAX / 16 || !oct_mul_size(n, (size_t)r->dim[i], &n))
            wrong = "is too large";
    if (wrong == NULL &&
        (!oct_mul_size(n, oct_dtype_bytes(r->dt), &n) || H5Dget_storage_size(r->id) < n))
        wrong = "claims more data than it stores";
    H5Tclose(type);
    H5Sclose(space);
    if (wrong != NULL)
        H5Dclose(r->id);
    return wrong;
}

oct_status oct_container_file_rows(oct_container_file *f, const char *name, oct_dtype *dt,
                                   oct_shape *row, int64_t *n_rows, int *rows)
{
    assert(f->n_rowsets < OCT_CONTAINER_MAX_ROWSETS);
    rowset *r = &f->rows[f->n_rowsets];
    oct_h5_guard g;
    oct_h5_enter(&g);
    const char *wrong = open_rows(f, name, r);
    oct_h5_leave(&g);
    if (wrong != NULL)
        return oct_fail(f->ctx, OCT_ERR_FORMAT, "%s: dataset '%s' %s", f->path, name, wrong);
    *dt = r->dt;
    *n_rows = (int64_t)r->dim[0];
    row->n_dims = r->n_dims - 1;
    for (int i = 1; i < r->n_dims; i++)
        row->dim[i - 1] = (int64_t)r->dim[i];
    *rows = f->n_rowsets++;
    return OCT_OK;
}

oct_status oct_container_file_read(oct_container_file *f, oct_ctx *ctx, int rows, int64_t first,
                                   int64_t n, void *data)
{
    const rowset *r = &f->rows[rows];
    hsize_t start[OCT_MAX_DIMS] = {(hsize_t)first}, count[OCT_MAX_DIMS];
    assert(first >= 0 && n >= 0 && (hsize_t)(first + n) <= r->dim[0]);
    if (n == 0)
        return OCT_OK;
    memcpy(count, r->dim, sizeof count);
    count[0] = (hsize_t)n;
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t space = H5Dget_space(r->id), memory = H5Screate_simple(r->n_dims, count, NULL);
    const bool ok =
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
        H5Dread(r->id, oct_h5_memory_type(r->dt), memory, space, H5P_DEFAULT, data) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    oct_h5_leave(&g);
    return ok ? OCT_OK
              : oct_fail(ctx, OCT_ERR_FORMAT, "%s: row %lld cannot be read", f->path,
                         (long long)first);
}

oct_status oct_container_file_text(oct_container_file *f, const char *name, size_t max_bytes,
                                   char **text)
{
    oct_h5_guard g;
    char *out = NULL;
    bool ok = false;
    oct_h5_enter(&g);
    const hid_t id = open_plain(f, name);
    if (id >= 0) {
        const hid_t type = H5Dget_type(id), space = H5Dget_space(id);
        const size_t n = H5Tget_size(type);
        const bool fits = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                          H5Sget_simple_extent_npoints(space) == 1 && n <= max_bytes;
        out = fits ? oct_zalloc(f->ctx, n + 1) : NULL;
        ok = out != NULL && H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
        H5Sclose(space);
        H5Tclose(type);
        H5Dclose(id);
    }
    oct_h5_leave(&g);
    if (!ok) {
        oct_free(f->ctx, out);
        return oct_fail(f->ctx, OCT_ERR_FORMAT, "%s: text '%s' is missing or too long", f->path,
                        name);
    }
    *text = out;
    return OCT_OK;
}
