/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading half of the container. HDF5 only ever sees a verified copy in memory; what it
 * reports about sizes is checked against what is really stored before anything is allocated.
 */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/container_internal.h"
#include "base/file.h"

#define PATH_BYTES 512

struct oct_container {
    oct_ctx *ctx;
    hid_t file;
    oct_container_head head;
    uint8_t *image; /* header and payload; HDF5 reads the payload in place */
};

/* HDF5 copies a file image three times on its way into a file. These hand out the one there is: it
 * is only read, and outlives the file. */
static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *udata)
{
    (void)size;
    (void)op;
    return ((oct_container *)udata)->image + OCT_CONTAINER_HEADER_BYTES;
}

static void *image_memcpy(void *dest, const void *src, size_t size, H5FD_file_image_op_t op,
                          void *udata)
{
    (void)size;
    (void)op;
    (void)udata;
    return dest == src ? dest : NULL;
}

static void *image_realloc(void *p, size_t size, H5FD_file_image_op_t op, void *udata)
{
    (void)p;
    (void)size;
    (void)op;
    (void)udata;
    return NULL; /* files opened for reading do not grow */
}

static herr_t image_free(void *p, H5FD_file_image_op_t op, void *udata)
{
    (void)p;
    (void)op;
    (void)udata;
    return 0;
}

static void *udata_copy(void *udata)
{
    return udata;
}

static herr_t udata_free(void *udata)
{
    (void)udata;
    return 0;
}

static hid_t open_core_file(oct_container *c, size_t payload_bytes)
{
    H5FD_file_image_callbacks_t in_place = {
        image_malloc, image_memcpy, image_realloc, image_free, udata_copy, udata_free, c};
    char name[64];
    snprintf(name, sizeof name, "octet-reader-%p", (void *)c);
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    if (H5Pset_fapl_core(fapl, (size_t)1 << 16, false) >= 0 &&
        H5Pset_file_image_callbacks(fapl, &in_place) >= 0 &&
        H5Pset_file_image(fapl, c->image + OCT_CONTAINER_HEADER_BYTES, payload_bytes) >= 0)
        file = H5Fopen(name, H5F_ACC_RDONLY, fapl);
    H5Pclose(fapl);
    return file;
}

static oct_status check_kind(oct_ctx *ctx, const oct_container_head *head, const char *kind,
                             uint32_t max_version)
{
    if (strcmp(head->kind, kind) != 0)
        return oct_fail(ctx, OCT_ERR_FORMAT, "an octet file of kind '%s', expected '%s'",
                        head->kind, kind);
    if (head->version < 1 || head->version > max_version)
        return oct_fail(ctx, OCT_ERR_VERSION, "version %u, this program reads 1 to %u",
                        head->version, max_version);
    return OCT_OK;
}

/* Opens a verified image; takes it. */
static oct_status open_verified(oct_ctx *ctx, uint8_t *image, size_t n,
                                const oct_container_head *head, oct_container **out)
{
    oct_container *c = NULL;
    oct_status st = OCT_OK;
    if (n == OCT_CONTAINER_HEADER_BYTES)
        st = oct_fail(ctx, OCT_ERR_FORMAT, "empty: nothing after the header");
    else if (!(c = oct_zalloc(ctx, sizeof *c)))
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK) {
        *c = (oct_container){.ctx = ctx, .head = *head, .image = image};
        oct_h5_guard g;
        oct_h5_enter(&g);
        c->file = open_core_file(c, n - OCT_CONTAINER_HEADER_BYTES);
        oct_h5_leave(&g);
        if (c->file < 0)
            st = oct_fail(ctx, OCT_ERR_FORMAT, "HDF5 cannot open the content");
    }
    if (st != OCT_OK) {
        oct_free(ctx, c);
        oct_free(ctx, image);
        return st;
    }
    *out = c;
    return OCT_OK;
}

/* Takes `image`. */
static oct_status open_image(oct_ctx *ctx, uint8_t *image, size_t n, const char *kind,
                             uint32_t max_version, oct_container **out)
{
    oct_container_head head;
    oct_status st = oct_container_verify(ctx, image, n, &head);
    if (st == OCT_OK)
        st = check_kind(ctx, &head, kind, max_version);
    if (st != OCT_OK) {
        oct_free(ctx, image);
        return st;
    }
    return open_verified(ctx, image, n, &head, out);
}

oct_status oct_container_open_memory(oct_ctx *ctx, const uint8_t *data, size_t n, const char *kind,
                                     uint32_t max_version, oct_container **out)
{
    uint8_t *image = oct_alloc(ctx, n);
    if (!image)
        return OCT_ERR_NOMEM;
    if (n > 0)
        memcpy(image, data, n);
    return open_image(ctx, image, n, kind, max_version, out);
}

oct_status oct_container_open(oct_ctx *ctx, const char *path, const char *kind,
                              uint32_t max_version, size_t max_bytes, oct_container **out)
{
    uint8_t *image = NULL;
    size_t n = 0;
    OCT_TRY(oct_file_read(ctx, path, max_bytes, &image, &n));
    const oct_status st = open_image(ctx, image, n, kind, max_version, out);
    return st == OCT_OK ? OCT_OK : oct_fail_in(ctx, st, "%s", path);
}

void oct_container_close(oct_container *c)
{
    if (c == NULL)
        return;
    oct_h5_guard g;
    oct_h5_enter(&g);
    H5Fclose(c->file);
    oct_h5_leave(&g);
    oct_free(c->ctx, c->image);
    oct_free(c->ctx, c);
}

const oct_container_head *oct_container_get_head(const oct_container *c)
{
    return &c->head;
}

/* Whether `path` exists and every step of it is a hard link: a soft or external link could
 * lead out of the verified image. Under the lock. */
static bool is_plain_path(oct_container *c, const char *path)
{
    char prefix[PATH_BYTES];
    const size_t len = strlen(path);
    if (len >= sizeof prefix)
        return false;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        H5L_info_t info;
        if (H5Lexists(c->file, prefix, H5P_DEFAULT) <= 0 ||
            H5Lget_info(c->file, prefix, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
            return false;
    }
    return true;
}

bool oct_container_has(oct_container *c, const char *path)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    const bool found = is_plain_path(c, path);
    oct_h5_leave(&g);
    return found;
}

/* An open dataset and what was found out about it. */
typedef struct dataset {
    hid_t id, type;
    int n_dims;
    hsize_t dim[OCT_MAX_DIMS];
    size_t elem_bytes, n_elems;
} dataset;

static void close_dataset(dataset *d)
{
    if (d->type >= 0)
        H5Tclose(d->type);
    if (d->id >= 0)
        H5Dclose(d->id);
}

/* Dense storage inside the image, and no more claimed than stored. */
static const char *check_storage(dataset *d)
{
    const hid_t props = H5Dget_create_plist(d->id);
    const bool plain =
        H5Pget_external_count(props) == 0 && H5Pget_nfilters(props) == 0 &&
        (H5Pget_layout(props) == H5D_CONTIGUOUS || H5Pget_layout(props) == H5D_COMPACT);
    H5Pclose(props);
    if (!plain)
        return "stored with filters, in chunks or externally";
    size_t bytes;
    if (!oct_mul_size(d->n_elems, d->elem_bytes, &bytes) || H5Dget_storage_size(d->id) < bytes)
        return "claims more data than it stores";
    return NULL;
}

static const char *read_extent(dataset *d)
{
    const hid_t space = H5Dget_space(d->id);
    const char *wrong = NULL;
    d->n_dims = H5Sget_simple_extent_ndims(space);
    if (d->n_dims < 0 || d->n_dims > OCT_MAX_DIMS)
        wrong = "has too many dimensions";
    else if (H5Sget_simple_extent_dims(space, d->dim, NULL) < 0)
        wrong = "has no simple extent";
    H5Sclose(space);
    d->n_elems = 1;
    for (int i = 0; wrong == NULL && i < d->n_dims; i++)
        if (d->dim[i] > INT64_MAX || !oct_mul_size(d->n_elems, (size_t)d->dim[i], &d->n_elems))
            wrong = "is too large";
    return wrong;
}

/* Opens and checks; NULL, or what is wrong. Close in either case. Under the lock. */
static const char *open_dataset(oct_container *c, const char *path, dataset *d)
{
    *d = (dataset){.id = -1, .type = -1};
    if (!is_plain_path(c, path))
        return "is missing";
    d->id = H5Dopen2(c->file, path, H5P_DEFAULT);
    if (d->id < 0)
        return "is no dataset";
    d->type = H5Dget_type(d->id);
    if (d->type < 0)
        return "has no type";
    d->elem_bytes = H5Tget_size(d->type);
    const char *wrong = read_extent(d);
    return wrong != NULL ? wrong : check_storage(d);
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

static oct_status bad_dataset(oct_container *c, const char *path, const char *wrong)
{
    return oct_fail(c->ctx, OCT_ERR_FORMAT, "dataset '%s' %s", path, wrong);
}

oct_status oct_container_info(oct_container *c, const char *path, oct_dtype *dt, oct_shape *shape)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    dataset d;
    const char *wrong = open_dataset(c, path, &d);
    oct_dtype found = OCT_DT_NONE;
    if (wrong == NULL && (found = dtype_of(d.type)) == OCT_DT_NONE)
        wrong = "has a type that is not used here";
    close_dataset(&d);
    oct_h5_leave(&g);
    if (wrong != NULL)
        return bad_dataset(c, path, wrong);
    *dt = found;
    shape->n_dims = d.n_dims;
    for (int i = 0; i < d.n_dims; i++)
        shape->dim[i] = (int64_t)d.dim[i];
    return OCT_OK;
}

oct_status oct_container_read(oct_container *c, const char *path, oct_dtype dt, size_t n,
                              void *data)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    dataset d;
    const char *wrong = open_dataset(c, path, &d);
    if (wrong == NULL && dtype_of(d.type) != dt)
        wrong = "has another type than expected";
    else if (wrong == NULL && d.n_elems != n)
        wrong = "has another length than expected";
    if (wrong == NULL && n > 0 &&
        H5Dread(d.id, oct_h5_memory_type(dt), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        wrong = "cannot be read";
    close_dataset(&d);
    oct_h5_leave(&g);
    return wrong == NULL ? OCT_OK : bad_dataset(c, path, wrong);
}

oct_status oct_container_read_1d(oct_container *c, const char *path, oct_dtype dt, size_t max_n,
                                 void **data, size_t *n)
{
    oct_dtype found;
    oct_shape shape;
    OCT_TRY(oct_container_info(c, path, &found, &shape));
    if (shape.n_dims != 1 || (uint64_t)shape.dim[0] > max_n)
        return oct_fail(c->ctx, OCT_ERR_FORMAT,
                        "dataset '%s': expected 1-D of at most %zu elements", path, max_n);
    const size_t len = (size_t)shape.dim[0];
    void *block = oct_alloc_array(c->ctx, len, oct_dtype_bytes(dt));
    if (block == NULL)
        return OCT_ERR_NOMEM;
    const oct_status st = oct_container_read(c, path, dt, len, block);
    if (st != OCT_OK) {
        oct_free(c->ctx, block);
        return st;
    }
    *data = block;
    *n = len;
    return OCT_OK;
}

/* Reads all strings of a dataset of at most `max_n` into one block of n * width bytes. */
static const char *read_string_block(oct_container *c, const char *path, size_t max_n,
                                     size_t max_width, dataset *d, char **block)
{
    const char *wrong = open_dataset(c, path, d);
    if (wrong != NULL)
        return wrong;
    if (H5Tget_class(d->type) != H5T_STRING || H5Tis_variable_str(d->type) != 0)
        return "holds no fixed-length strings";
    if (d->n_dims > 1 || d->n_elems > max_n || d->elem_bytes > max_width)
        return "is larger than allowed";
    *block = oct_zalloc_array(c->ctx, d->n_elems, d->elem_bytes);
    if (*block == NULL)
        return NULL; /* the caller sees no block and no reason: out of memory */
    const hid_t memory = H5Tcopy(d->type);
    const bool ok =
        d->n_elems == 0 || H5Dread(d->id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, *block) >= 0;
    H5Tclose(memory);
    return ok ? NULL : "cannot be read";
}

oct_status oct_container_read_text(oct_container *c, const char *path, size_t max_bytes,
                                   char **text)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    dataset d;
    char *block = NULL;
    const char *wrong = read_string_block(c, path, 1, max_bytes, &d, &block);
    close_dataset(&d);
    oct_h5_leave(&g);
    if (wrong == NULL && block != NULL && d.n_elems == 1) {
        *text = oct_strndup(c->ctx, block, d.elem_bytes);
        oct_free(c->ctx, block);
        return *text != NULL ? OCT_OK : OCT_ERR_NOMEM;
    }
    oct_free(c->ctx, block);
    if (wrong == NULL && block == NULL)
        return OCT_ERR_NOMEM;
    return bad_dataset(c, path, wrong != NULL ? wrong : "holds no text");
}

#define MAX_STRING_BYTES ((size_t)1 << 16)

/* Pointers first, then the texts with their NULs. */
static char **split_strings(oct_ctx *ctx, const char *block, size_t n, size_t width)
{
    size_t pointers, texts, total;
    if (!oct_mul_size(n, sizeof(char *), &pointers) || !oct_mul_size(n, width + 1, &texts) ||
        !oct_add_size(pointers, texts, &total)) {
        (void)oct_fail(ctx, OCT_ERR_LIMIT, "%zu texts of %zu bytes", n, width);
        return NULL;
    }
    char **list = oct_zalloc(ctx, total);
    if (list == NULL)
        return NULL;
    char *at = (char *)(list + n);
    for (size_t i = 0; i < n; i++, at += width + 1) {
        memcpy(at, block + i * width, width);
        list[i] = at;
    }
    return list;
}

oct_status oct_container_read_strings(oct_container *c, const char *path, size_t max_n,
                                      char ***text, size_t *n)
{
    oct_h5_guard g;
    oct_h5_enter(&g);
    dataset d;
    char *block = NULL;
    const char *wrong = read_string_block(c, path, max_n, MAX_STRING_BYTES, &d, &block);
    close_dataset(&d);
    oct_h5_leave(&g);
    if (wrong != NULL) {
        oct_free(c->ctx, block);
        return bad_dataset(c, path, wrong);
    }
    if (block == NULL)
        return OCT_ERR_NOMEM;
    char **list = split_strings(c->ctx, block, d.n_elems, d.elem_bytes);
    oct_free(c->ctx, block);
    if (list == NULL)
        return OCT_ERR_NOMEM;
    *text = list;
    *n = d.n_elems;
    return OCT_OK;
}
