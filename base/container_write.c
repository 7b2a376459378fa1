/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing half of the container: an HDF5 file in the core driver's memory, copied out behind
 * our header at the end; or in the temporary file of an atomic one, leaving 512 bytes in front.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/container_internal.h"
#include "base/file.h"

#define CORE_INCREMENT_BYTES ((size_t)1 << 20)
#define PATH_BYTES 512

struct oct_container_writer {
    oct_ctx *ctx;
    hid_t file;
    hid_t group_props; /* creation properties without times */
    hid_t dataset_props;
    oct_atomic_file *out; /* NULL: in memory */
    hid_t pieces;         /* dataset that is written in pieces; negative = none */
    oct_dtype piece_type;
    hsize_t n_pieces_done;
    char kind[OCT_CONTAINER_KIND_BYTES + 1];
    uint32_t version;
};

static oct_status h5_fail(oct_container_writer *w, const char *what, const char *path)
{
    return w->out != NULL
               ? oct_fail(w->ctx, OCT_ERR_IO, "HDF5 cannot write %s '%s' (is the disk full?)", what,
                          path)
               : oct_fail(w->ctx, OCT_ERR_NOMEM, "HDF5 cannot write %s '%s'", what, path);
}

/* A file at `path`, or one in memory whose name only has to be unique among open ones. */
static hid_t create_h5(const char *path, const void *unique)
{
    char name[64];
    snprintf(name, sizeof name, "octet-writer-%p", unique);
    hid_t fcpl = H5Pcreate(H5P_FILE_CREATE);
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_obj_track_times(fcpl, false);
    if (path != NULL)
        H5Pset_userblock(fcpl, OCT_CONTAINER_HEADER_BYTES);
    else
        H5Pset_fapl_core(fapl, CORE_INCREMENT_BYTES, false);
    /* The oldest superblock: H5Fget_file_image() clears a flag in the newer ones without
     * mending their checksum. */
    H5Pset_libver_bounds(fapl, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    hid_t file = H5Fcreate(path != NULL ? path : name, H5F_ACC_TRUNC, fcpl, fapl);
    H5Pclose(fcpl);
    H5Pclose(fapl);
    return file;
}

static oct_status create(oct_ctx *ctx, const char *kind, uint32_t version, oct_atomic_file *out,
                         oct_container_writer **made)
{
    assert(strlen(kind) < OCT_CONTAINER_KIND_BYTES && version >= 1);
    oct_container_writer *w = oct_zalloc(ctx, sizeof *w);
    if (w == NULL) {
        oct_atomic_abort(out);
        return OCT_ERR_NOMEM;
    }
    *w = (oct_container_writer){.ctx = ctx, .version = version, .out = out, .pieces = -1};
    memcpy(w->kind, kind, strlen(kind));

    oct_h5_guard g;
    oct_h5_enter(&g);
    w->file = create_h5(out != NULL ? oct_atomic_temp_path(out) : NULL, w);
    w->group_props = H5Pcreate(H5P_GROUP_CREATE);
    w->dataset_props = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(w->group_props, false);
    H5Pset_obj_track_times(w->dataset_props, false);
    const bool ok = w->file >= 0 && w->group_props >= 0 && w->dataset_props >= 0;
    oct_h5_leave(&g);
    if (!ok) {
        oct_container_discard(w);
        return out != NULL ? oct_fail(ctx, OCT_ERR_IO, "HDF5 cannot create the file")
                           : oct_fail(ctx, OCT_ERR_NOMEM, "HDF5 cannot create a file in memory");
    }
    *made = w;
    return OCT_OK;
}

oct_status oct_container_create(oct_ctx *ctx, const char *kind, uint32_t version,
                                oct_container_writer **out)
{
    return create(ctx, kind, version, NULL, out);
}

oct_status oct_container_create_at(oct_ctx *ctx, const char *path, bool force, const char *kind,
                                   uint32_t version, oct_container_writer **out)
{
    oct_atomic_file *file;
    OCT_TRY(oct_atomic_open(ctx, path, force, &file));
    return create(ctx, kind, version, file, out);
}

/* Closes everything of HDF5; true if it could write all. */
static bool close_h5(oct_container_writer *w)
{
    oct_h5_guard g;
    bool ok = true;
    oct_h5_enter(&g);
    if (w->pieces >= 0)
        ok = H5Dclose(w->pieces) >= 0;
    if (w->group_props >= 0)
        H5Pclose(w->group_props);
    if (w->dataset_props >= 0)
        H5Pclose(w->dataset_props);
    if (w->file >= 0)
        ok = H5Fclose(w->file) >= 0 && ok;
    w->pieces = w->group_props = w->dataset_props = w->file = -1;
    oct_h5_leave(&g);
    return ok;
}

void oct_container_discard(oct_container_writer *w)
{
    if (w == NULL)
        return;
    close_h5(w);
    oct_atomic_abort(w->out);
    oct_free(w->ctx, w);
}

/* Creates the groups above `path`. Under the lock. */
static bool make_parents(oct_container_writer *w, const char *path)
{
    char prefix[PATH_BYTES];
    if (strlen(path) >= sizeof prefix)
        return false;
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        memcpy(prefix, path, (size_t)(slash - path));
        prefix[slash - path] = '\0';
        if (H5Lexists(w->file, prefix, H5P_DEFAULT) > 0)
            continue;
        const hid_t grp = H5Gcreate2(w->file, prefix, H5P_DEFAULT, w->group_props, H5P_DEFAULT);
        if (grp < 0)
            return false;
        H5Gclose(grp);
    }
    return true;
}

/* Creates and fills one dataset. Under the lock; closes `space`. */
static bool put_dataset(oct_container_writer *w, const char *path, hid_t file_type,
                        hid_t memory_type, hid_t space, const void *data)
{
    bool ok = space >= 0 && make_parents(w, path);
    hid_t dset = -1;
    if (ok)
        dset =
            H5Dcreate2(w->file, path, file_type, space, H5P_DEFAULT, w->dataset_props, H5P_DEFAULT);
    ok = ok && dset >= 0;
    if (ok && H5Sget_simple_extent_npoints(space) > 0)
        ok = H5Dwrite(dset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (dset >= 0)
        H5Dclose(dset);
    if (space >= 0)
        H5Sclose(space);
    return ok;
}

oct_status oct_container_write(oct_container_writer *w, const char *path, oct_dtype dt, int n_dims,
                               const int64_t *dim, const void *data)
{
    assert(n_dims >= 1 && n_dims <= OCT_MAX_DIMS);
    hsize_t size[OCT_MAX_DIMS];
    for (int i = 0; i < n_dims; i++) {
        assert(dim[i] >= 0);
        size[i] = (hsize_t)dim[i];
    }
    oct_h5_guard g;
    oct_h5_enter(&g);
    assert(oct_h5_file_type(dt) >= 0);
    const bool ok = put_dataset(w, path, oct_h5_file_type(dt), oct_h5_memory_type(dt),
                                H5Screate_simple(n_dims, size, NULL), data);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(w, "dataset", path);
}

oct_status oct_container_write_1d(oct_container_writer *w, const char *path, oct_dtype dt, size_t n,
                                  const void *data)
{
    const int64_t dim = (int64_t)n;
    return oct_container_write(w, path, dt, 1, &dim, data);
}

oct_status oct_container_begin_pieces(oct_container_writer *w, const char *path, oct_dtype dt,
                                      size_t n)
{
    assert(w->pieces < 0 && oct_h5_file_type(dt) >= 0);
    const hsize_t dim = n;
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t space = H5Screate_simple(1, &dim, NULL);
    if (space >= 0 && make_parents(w, path))
        w->pieces = H5Dcreate2(w->file, path, oct_h5_file_type(dt), space, H5P_DEFAULT,
                               w->dataset_props, H5P_DEFAULT);
    if (space >= 0)
        H5Sclose(space);
    oct_h5_leave(&g);
    w->piece_type = dt;
    w->n_pieces_done = 0;
    return w->pieces >= 0 ? OCT_OK : h5_fail(w, "dataset", path);
}

oct_status oct_container_piece(oct_container_writer *w, size_t n, const void *data)
{
    assert(w->pieces >= 0);
    if (n == 0)
        return OCT_OK;
    const hsize_t count = n;
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t space = H5Dget_space(w->pieces), memory = H5Screate_simple(1, &count, NULL);
    const bool ok =
        space >= 0 && memory >= 0 &&
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &w->n_pieces_done, NULL, &count, NULL) >= 0 &&
        H5Dwrite(w->pieces, oct_h5_memory_type(w->piece_type), memory, space, H5P_DEFAULT, data) >=
            0;
    if (space >= 0)
        H5Sclose(space);
    if (memory >= 0)
        H5Sclose(memory);
    oct_h5_leave(&g);
    w->n_pieces_done += count;
    return ok ? OCT_OK : h5_fail(w, "a piece of", "a dataset");
}

oct_status oct_container_end_pieces(oct_container_writer *w)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const bool ok = H5Dclose(w->pieces) >= 0;
    oct_h5_leave(&g);
    w->pieces = -1;
    return ok ? OCT_OK : h5_fail(w, "the end of", "a dataset");
}

/* Fixed-length NUL-padded string type. Under the lock. */
static hid_t string_type(size_t n_bytes)
{
    const hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, n_bytes == 0 ? 1 : n_bytes);
    H5Tset_strpad(t, H5T_STR_NULLPAD);
    H5Tset_cset(t, H5T_CSET_UTF8);
    return t;
}

oct_status oct_container_write_strings(oct_container_writer *w, const char *path, size_t n,
                                       const char *const *text)
{
    size_t width = 1;
    for (size_t i = 0; i < n; i++)
        width = oct_max_size(width, strlen(text[i]));
    size_t bytes;
    if (!oct_mul_size(width, n, &bytes))
        return oct_fail(w->ctx, OCT_ERR_LIMIT, "%s: %zu texts of %zu bytes", path, n, width);
    char *block = oct_zalloc(w->ctx, bytes);
    if (block == NULL)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        memcpy(block + i * width, text[i], strlen(text[i]));

    const hsize_t dim = n;
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t type = string_type(width);
    const bool ok = put_dataset(w, path, type, type, H5Screate_simple(1, &dim, NULL), block);
    H5Tclose(type);
    oct_h5_leave(&g);
    oct_free(w->ctx, block);
    return ok ? OCT_OK : h5_fail(w, "strings", path);
}

oct_status oct_container_write_text(oct_container_writer *w, const char *path, const char *text)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t type = string_type(strlen(text));
    const bool ok = put_dataset(w, path, type, type, H5Screate(H5S_SCALAR), text);
    H5Tclose(type);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(w, "text", path);
}

static bool put_attr(oct_container_writer *w, const char *name, hid_t file_type, hid_t memory_type,
                     const void *data)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t root = H5Gopen2(w->file, "/", H5P_DEFAULT);
    const hid_t attr = H5Acreate2(root, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attr >= 0 && H5Awrite(attr, memory_type, data) >= 0;
    if (attr >= 0)
        H5Aclose(attr);
    H5Gclose(root);
    H5Sclose(space);
    return ok;
}

oct_status oct_container_attr_text(oct_container_writer *w, const char *name, const char *text)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const hid_t type = string_type(strlen(text));
    const bool ok = put_attr(w, name, type, type, text);
    H5Tclose(type);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(w, "attribute", name);
}

oct_status oct_container_attr_u64(oct_container_writer *w, const char *name, uint64_t value)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const bool ok = put_attr(w, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
    oct_h5_leave(&g);
    return ok ? OCT_OK : h5_fail(w, "attribute", name);
}

static void fill_header(const oct_container_writer *w, uint8_t *image, size_t n)
{
    oct_container_fill_head(image, w->kind, w->version, n);
    oct_container_put_hash(image, oct_container_hash(image, n));
}

oct_status oct_container_image(oct_container_writer *w, uint8_t **image, size_t *n_bytes)
{
    assert(w->out == NULL);
    oct_h5_guard g;
    oct_h5_enter(&g);
    uint8_t *block = NULL;
    ssize_t n = -1;
    if (H5Fflush(w->file, H5F_SCOPE_LOCAL) >= 0)
        n = H5Fget_file_image(w->file, NULL, 0);
    if (n > 0) {
        block = oct_alloc(w->ctx, OCT_CONTAINER_HEADER_BYTES + (size_t)n);
        if (block != NULL &&
            H5Fget_file_image(w->file, block + OCT_CONTAINER_HEADER_BYTES, (size_t)n) != n)
            n = -1;
    }
    oct_h5_leave(&g);
    if (n > 0 && block == NULL)
        return OCT_ERR_NOMEM;
    if (n <= 0) {
        oct_free(w->ctx, block);
        return oct_fail(w->ctx, OCT_ERR_NOMEM, "HDF5 gives no image of the finished file");
    }
    fill_header(w, block, OCT_CONTAINER_HEADER_BYTES + (size_t)n);
    *image = block;
    *n_bytes = OCT_CONTAINER_HEADER_BYTES + (size_t)n;
    return OCT_OK;
}

oct_status oct_container_commit(oct_container_writer *w, const char *path, bool force)
{
    uint8_t *image = NULL;
    size_t n = 0;
    OCT_TRY(oct_container_image(w, &image, &n));
    const oct_status st = oct_file_write(w->ctx, path, image, n, force);
    oct_free(w->ctx, image);
    return st;
}

oct_status oct_container_finish(oct_container_writer *w)
{
    assert(w->out != NULL);
    oct_ctx *ctx = w->ctx;
    oct_status st = OCT_OK;
    if (!close_h5(w) || !oct_container_seal(ctx, w->out, w->kind, w->version, true))
        st = oct_fail(ctx, OCT_ERR_IO, "HDF5 cannot finish the file (is the disk full?)");
    else {
        st = oct_atomic_commit(w->out);
        w->out = NULL;
    }
    oct_container_discard(w);
    return st;
}
