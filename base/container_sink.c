/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing half of container_stream.h: HDF5 writes the temporary file of an atomic one, leaving
 * 512 bytes in front; the header is put there at the end.
 */
#include <assert.h>
#include <string.h>

#include "base/container_internal.h"
#include "base/container_stream.h"
#include "base/file.h"

#define CHUNK_TARGET_BYTES ((size_t)64 << 10) /* small rows share a chunk of about this size */

typedef struct rowset {
    hid_t id;
    oct_dtype dt;
    int n_dims; /* with the row axis */
    hsize_t dim[OCT_MAX_DIMS];
} rowset;

struct oct_container_sink {
    oct_ctx *ctx;
    oct_atomic_file *out;
    char kind[OCT_CONTAINER_KIND_BYTES + 1];
    uint32_t version;
    hid_t file;
    rowset rows[OCT_CONTAINER_MAX_ROWSETS];
    int n_rowsets;
};

static hid_t create_file(const char *path)
{
    const hid_t fcpl = H5Pcreate(H5P_FILE_CREATE), fapl = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_obj_track_times(fcpl, false);
    H5Pset_userblock(fcpl, OCT_CONTAINER_HEADER_BYTES);
    H5Pset_libver_bounds(fapl, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl);
    H5Pclose(fcpl);
    H5Pclose(fapl);
    return file;
}

/* Closes everything of HDF5; true if it could write all. */
static bool close_h5(oct_container_sink *s)
{
    oct_h5_guard g;
    bool ok = true;
    oct_h5_enter(&g);
    for (int i = 0; i < s->n_rowsets; i++)
        ok = H5Dclose(s->rows[i].id) >= 0 && ok;
    s->n_rowsets = 0;
    if (s->file >= 0)
        ok = H5Fclose(s->file) >= 0 && ok;
    s->file = -1;
    oct_h5_leave(&g);
    return ok;
}

oct_status oct_container_sink_open(oct_ctx *ctx, const char *path, const char *kind,
                                   uint32_t version, bool force, oct_container_sink **out)
{
    assert(strlen(kind) < OCT_CONTAINER_KIND_BYTES && version >= 1);
    oct_container_sink *s = oct_zalloc(ctx, sizeof *s);
    if (s == NULL)
        return OCT_ERR_NOMEM;
    s->ctx = ctx;
    s->version = version;
    s->file = -1;
    memcpy(s->kind, kind, strlen(kind));
    const oct_status st = oct_atomic_open(ctx, path, force, &s->out);
    if (st != OCT_OK) {
        oct_free(ctx, s);
        return st;
    }
    oct_h5_guard g;
    oct_h5_enter(&g);
    s->file = create_file(oct_atomic_temp_path(s->out));
    oct_h5_leave(&g);
    if (s->file < 0) {
        oct_container_sink_abort(s);
        return oct_fail(ctx, OCT_ERR_IO, "%s: HDF5 cannot create the file", path);
    }
    *out = s;
    return OCT_OK;
}

void oct_container_sink_abort(oct_container_sink *s)
{
    if (s == NULL)
        return;
    close_h5(s);
    oct_atomic_abort(s->out);
    oct_free(s->ctx, s);
}

static oct_status h5_fail(const oct_container_sink *s, const char *name)
{
    return oct_fail(s->ctx, OCT_ERR_IO, "HDF5 cannot write '%s' (is the disk full?)", name);
}

static hid_t create_rows(oct_container_sink *s, const char *name, rowset *r, size_t row_bytes)
{
    hsize_t most[OCT_MAX_DIMS], chunk[OCT_MAX_DIMS];
    memcpy(most, r->dim, sizeof most);
    memcpy(chunk, r->dim, sizeof chunk);
    most[0] = H5S_UNLIMITED;
    chunk[0] = row_bytes < CHUNK_TARGET_BYTES ? CHUNK_TARGET_BYTES / row_bytes : 1;
    const hid_t space = H5Screate_simple(r->n_dims, r->dim, most);
    const hid_t props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(props, false);
    H5Pset_chunk(props, r->n_dims, chunk);
    const hid_t id =
        H5Dcreate2(s->file, name, oct_h5_file_type(r->dt), space, H5P_DEFAULT, props, H5P_DEFAULT);
    H5Pclose(props);
    H5Sclose(space);
    return id;
}

oct_status oct_container_sink_rows(oct_container_sink *s, const char *name, oct_dtype dt,
                                   int n_dims, const int64_t *dim, int *rows)
{
    assert(s->n_rowsets < OCT_CONTAINER_MAX_ROWSETS && n_dims + 1 <= OCT_MAX_DIMS);
    rowset *r = &s->rows[s->n_rowsets];
    size_t row_bytes = oct_dtype_bytes(dt);
    r->dt = dt;
    r->n_dims = n_dims + 1;
    r->dim[0] = 0;
    for (int i = 0; i < n_dims; i++) {
        assert(dim[i] > 0);
        r->dim[i + 1] = (hsize_t)dim[i];
        row_bytes *= (size_t)dim[i];
    }
    oct_h5_guard g;
    oct_h5_enter(&g);
    r->id = create_rows(s, name, r, row_bytes);
    oct_h5_leave(&g);
    if (r->id < 0)
        return h5_fail(s, name);
    *rows = s->n_rowsets++;
    return OCT_OK;
}

/* Grows by one row and fills it. Under the lock. */
static bool append_row(rowset *r, const void *row)
{
    hsize_t start[OCT_MAX_DIMS] = {r->dim[0]}, count[OCT_MAX_DIMS];
    memcpy(count, r->dim, sizeof count);
    count[0] = 1;
    r->dim[0]++;
    if (H5Dset_extent(r->id, r->dim) < 0)
        return false;
    const hid_t space = H5Dget_space(r->id), memory = H5Screate_simple(r->n_dims, count, NULL);
    const bool ok =
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
        H5Dwrite(r->id, oct_h5_memory_type(r->dt), memory, space, H5P_DEFAULT, row) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    return ok;
}

oct_status oct_container_sink_append(oct_container_sink *s, int rows, const void *row)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const bool ok = append_row(&s->rows[rows], row);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(s, "rows");
}

oct_status oct_container_sink_text(oct_container_sink *s, const char *name, const char *text)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    const hid_t props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(props, false);
    H5Tset_size(type, strlen(text) + 1);
    const hid_t id = H5Dcreate2(s->file, name, type, space, H5P_DEFAULT, props, H5P_DEFAULT);
    const bool ok = id >= 0 && H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0;
    if (id >= 0)
        H5Dclose(id);
    H5Pclose(props);
    H5Sclose(space);
    H5Tclose(type);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(s, name);
}

oct_status oct_container_sink_commit(oct_container_sink *s)
{
    oct_ctx *ctx = s->ctx;
    const bool ok = close_h5(s) && oct_container_seal(ctx, s->out, s->kind, s->version, false);
    if (!ok) {
        oct_container_sink_abort(s);
        return oct_fail(ctx, OCT_ERR_IO, "HDF5 cannot finish the file (is the disk full?)");
    }
    const oct_status st = oct_atomic_commit(s->out);
    oct_free(ctx, s);
    return st;
}
