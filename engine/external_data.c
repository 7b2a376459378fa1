/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/external_data.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__linux__) && __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif

#include "base/checked.h"
#include "base/strbuf.h"

enum { ONNX_LOCATION_EXTERNAL = 1, NAME_BYTES = 256 };

typedef struct location {
    const char *file;
    uint64_t offset, length;
    bool has_length;
} location;

bool oct_external_is(const Onnx__TensorProto *t)
{
    return t->has_data_location && t->data_location == ONNX_LOCATION_EXTERNAL;
}

static oct_status bad(oct_ctx *ctx, const Onnx__TensorProto *t, const char *what, const char *value)
{
    return oct_fail(ctx, OCT_ERR_FORMAT, "external data of tensor '%s': %s '%s'",
                    oct_onnx_str(t->name), what, value);
}

static oct_status parse_location(oct_ctx *ctx, const Onnx__TensorProto *t, location *loc)
{
    *loc = (location){0};
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = oct_onnx_str(t->external_data[i]->key);
        const char *value = oct_onnx_str(t->external_data[i]->value);
        if (strcmp(key, "location") == 0) {
            loc->file = value;
        } else if (strcmp(key, "offset") == 0) {
            if (!oct_parse_u64(value, strlen(value), &loc->offset))
                return bad(ctx, t, "offset is not a non-negative integer:", value);
        } else if (strcmp(key, "length") == 0) {
            if (!oct_parse_u64(value, strlen(value), &loc->length))
                return bad(ctx, t, "length is not a non-negative integer:", value);
            loc->has_length = true;
        } else if (strcmp(key, "checksum") != 0 && strcmp(key, "basepath") != 0) {
            return bad(ctx, t, "unknown key", key);
        }
    }
    return loc->file ? OCT_OK : bad(ctx, t, "no", "location");
}

/* Refuses what no honest exporter writes, whatever the kernel would make of it. */
static oct_status check_name(oct_ctx *ctx, const Onnx__TensorProto *t, const char *name)
{
    if (!*name)
        return bad(ctx, t, "empty file name", name);
    if (*name == '/')
        return bad(ctx, t, "absolute path (it must lie beside the model):", name);
    for (const char *p = name; *p;) {
        const size_t n = strcspn(p, "/");
        if (n == 2 && memcmp(p, "..", 2) == 0)
            return bad(ctx, t, "path with '..' (it must lie beside the model):", name);
        if (n >= NAME_BYTES)
            return bad(ctx, t, "over-long path", name);
        p += n;
        p += *p == '/';
    }
    return OCT_OK;
}

/* Opens `name` below `dir` one component at a time, refusing links; -1 with errno. */
static int open_by_steps(int dir, const char *name)
{
    int at = dup(dir);
    while (at >= 0) {
        char part[NAME_BYTES];
        const size_t n = strcspn(name, "/");
        memcpy(part, name, n); /* check_name() bounded it */
        part[n] = 0;
        const bool last = name[n] == 0;
        const int flags = last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
        const int next = n == 0 ? dup(at) : openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC);
        const int err = errno;
        close(at);
        errno = err;
        at = next;
        if (last)
            break;
        name += n + 1;
    }
    return at;
}

static int open_beneath(int dir, const char *name, bool allow_symlinks)
{
#ifdef SYS_openat2
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (allow_symlinks ? 0 : RESOLVE_NO_SYMLINKS),
    };
    const int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return fd;
#endif
    return open_by_steps(dir, name); /* old kernel or a sandbox: links are refused outright */
}

static oct_status open_failed(oct_ctx *ctx, const oct_onnx_doc *doc, const char *name)
{
    const int err = errno;
    if (err == ELOOP || err == EXDEV || err == ENOTDIR)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "external data '%s': is or leads through a symbolic link or leaves the "
                        "model's folder %s; refused",
                        name, doc->dir);
    return oct_fail(ctx, err == ENOENT ? OCT_ERR_NOT_FOUND : OCT_ERR_IO,
                    "external data '%s' in %s: %s", name, doc->dir, strerror(err));
}

static oct_status check_file(oct_ctx *ctx, const oct_onnx_doc *doc, const char *name, int fd,
                             size_t *n_bytes)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return oct_fail(ctx, OCT_ERR_IO, "external data '%s': %s", name, strerror(errno));
    if (!S_ISREG(s.st_mode))
        return oct_fail(ctx, OCT_ERR_FORMAT, "external data '%s': not a regular file", name);
    if (s.st_nlink > 1 && !doc->allow_symlinks)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "external data '%s': has %lu hard links and may be another's file; refused",
                        name, (unsigned long)s.st_nlink);
    if ((uint64_t)s.st_size > doc->budget_left)
        return oct_fail(ctx, OCT_ERR_LIMIT, "external data '%s': %lld bytes, %zu are allowed", name,
                        (long long)s.st_size, doc->budget_left);
    *n_bytes = (size_t)s.st_size;
    return OCT_OK;
}

static oct_status read_whole(oct_ctx *ctx, int fd, oct_external_file *f)
{
    size_t done = 0;
    while (done < f->n_bytes) {
        const ssize_t got = read(fd, f->bytes + done, f->n_bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return oct_fail(ctx, OCT_ERR_IO, "external data '%s': %s", f->name, strerror(errno));
        if (got == 0)
            return oct_fail(ctx, OCT_ERR_IO, "external data '%s': shrank while being read",
                            f->name);
        done += (size_t)got;
    }
    oct_sha256_of(f->bytes, f->n_bytes, &f->hash);
    return OCT_OK;
}

static oct_status load_file(oct_ctx *ctx, oct_onnx_doc *doc, const char *name,
                            oct_external_file **out)
{
    oct_external_file *f = oct_onnx_doc_alloc(doc, sizeof *f);
    if (!f)
        return OCT_ERR_NOMEM;
    f->name = name;
    const int dir = open(doc->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fd = dir < 0 ? -1 : open_beneath(dir, name, doc->allow_symlinks);
    oct_status st = fd < 0 ? open_failed(ctx, doc, name) : OCT_OK;
    if (st == OCT_OK)
        st = check_file(ctx, doc, name, fd, &f->n_bytes);
    if (st == OCT_OK && !(f->bytes = oct_alloc(ctx, f->n_bytes)))
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = read_whole(ctx, fd, f);
    if (fd >= 0)
        close(fd);
    if (dir >= 0)
        close(dir);
    if (st != OCT_OK) {
        oct_free(ctx, f->bytes);
        return st;
    }
    doc->budget_left -= f->n_bytes;
    f->next = doc->files;
    doc->files = f;
    *out = f;
    return OCT_OK;
}

static oct_status find_file(oct_ctx *ctx, oct_onnx_doc *doc, const Onnx__TensorProto *t,
                            const char *name, oct_external_file **out)
{
    for (oct_external_file *f = doc->files; f; f = f->next) {
        if (strcmp(f->name, name) == 0) {
            *out = f;
            return OCT_OK;
        }
    }
    if (!doc->dir)
        return bad(ctx, t, "the model came from memory without a folder, so no file", name);
    OCT_TRY(check_name(ctx, t, name));
    return load_file(ctx, doc, name, out);
}

oct_status oct_external_read(oct_ctx *ctx, oct_onnx_doc *doc, const Onnx__TensorProto *t,
                             size_t n_expected, const uint8_t **data)
{
    location loc;
    oct_external_file *f = NULL;
    OCT_TRY(parse_location(ctx, t, &loc));
    OCT_TRY(find_file(ctx, doc, t, loc.file, &f));
    const uint64_t length = loc.has_length ? loc.length : n_expected;
    if (length != n_expected)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "external data of tensor '%s': length %llu, its type and shape need %zu",
                        oct_onnx_str(t->name), (unsigned long long)length, n_expected);
    if (loc.offset > f->n_bytes || length > f->n_bytes - loc.offset)
        return oct_fail(ctx, OCT_ERR_FORMAT,
                        "external data of tensor '%s': bytes %llu..+%llu, but '%s' has %zu",
                        oct_onnx_str(t->name), (unsigned long long)loc.offset,
                        (unsigned long long)length, f->name, f->n_bytes);
    *data = f->bytes + loc.offset;
    return OCT_OK;
}

void oct_external_free(oct_onnx_doc *doc)
{
    for (oct_external_file *f = doc->files; f; f = f->next)
        oct_free(doc->ctx, f->bytes);
    doc->files = NULL;
}

static void hash_files(oct_sha256_stream *s, const oct_external_file *f)
{
    /* The list is newest first; a handful of files, so recursion is the simple way round. */
    if (!f)
        return;
    hash_files(s, f->next);
    oct_sha256_update(s, f->hash.byte, sizeof f->hash.byte);
}

oct_status oct_external_hash(oct_ctx *ctx, const oct_onnx_doc *doc, oct_sha256 *out)
{
    *out = doc->hash;
    if (!doc->files)
        return OCT_OK;
    oct_sha256_stream *s;
    OCT_TRY(oct_sha256_begin(ctx, &s));
    oct_sha256_update(s, doc->hash.byte, sizeof doc->hash.byte);
    hash_files(s, doc->files);
    oct_sha256_end(s, out);
    return OCT_OK;
}
