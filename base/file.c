/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEMP_NAMES 100

/* errno as text without the locale's help or a shared buffer. */
static const char *errno_text(int err, char buf[128])
{
    return strerror_r(err, buf, 128);
}

static oct_status fail_errno(oct_ctx *ctx, oct_status st, const char *path, const char *what)
{
    char buf[128];
    return oct_fail(ctx, st, "%s: %s: %s", path, what, errno_text(errno, buf));
}

/* ---- reading --------------------------------------------------------------------------- */

static oct_status check_readable(oct_ctx *ctx, int fd, const char *path, size_t max_bytes,
                                 size_t *n_bytes)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return fail_errno(ctx, OCT_ERR_IO, path, "cannot stat");
    if (!S_ISREG(s.st_mode))
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: is %s, expected a regular file", path,
                        S_ISDIR(s.st_mode) ? "a folder" : "a device or pipe");
    if ((uintmax_t)s.st_size >= SIZE_MAX || (max_bytes && (uintmax_t)s.st_size > max_bytes))
        return oct_fail(ctx, OCT_ERR_LIMIT, "%s: %jd bytes, at most %zu allowed", path,
                        (intmax_t)s.st_size, max_bytes ? max_bytes : SIZE_MAX - 1);
    *n_bytes = (size_t)s.st_size;
    return OCT_OK;
}

/* Who is told how far reading has come; `fn` may be NULL. */
typedef struct watcher {
    oct_file_seen_fn fn;
    void *user;
} watcher;

#define PIECE_BYTES ((size_t)1 << 20)

static oct_status read_all(oct_ctx *ctx, int fd, const char *path, uint8_t *data, size_t n,
                           const watcher *w)
{
    for (size_t at = 0; at < n;) {
        const size_t most = w->fn && n - at > PIECE_BYTES ? PIECE_BYTES : n - at;
        const ssize_t got = read(fd, data + at, most);
        if (got > 0)
            at += (size_t)got;
        else if (got == 0)
            return oct_fail(ctx, OCT_ERR_IO, "%s: ends at byte %zu of %zu: changed while read",
                            path, at, n);
        else if (errno != EINTR)
            return fail_errno(ctx, OCT_ERR_IO, path, "cannot read");
        if (w->fn)
            w->fn(w->user, data, at);
    }
    return OCT_OK;
}

/* The kernel clears a page before it is filled, which takes as long as filling it, or several times as
 * long where a virtual machine gets its memory then. A second thread has the upper half cleared while
 * the lower is read. */
#define AHEAD_BYTES ((size_t)16 << 20) /* from this length on */
#define AHEAD_STEP_BYTES ((size_t)4 << 20)

typedef struct pages_ahead {
    uint8_t *data;
    size_t n_bytes;
    atomic_bool stop;
    pthread_t thread;
    bool started;
} pages_ahead;

#if defined(MADV_POPULATE_WRITE)
static void *clear_pages(void *user)
{
    pages_ahead *a = user;
    const uintptr_t end = (uintptr_t)(a->data + a->n_bytes) & ~(uintptr_t)4095;
    uintptr_t at = (uintptr_t)(a->data + a->n_bytes / 2) & ~(uintptr_t)4095;
    while (at < end && !atomic_load(&a->stop)) {
        const size_t step = end - at < AHEAD_STEP_BYTES ? end - at : AHEAD_STEP_BYTES;
        if (madvise((void *)at, step, MADV_POPULATE_WRITE) != 0)
            break; /* an older kernel: the reader faults */
        at += step;
    }
    return NULL;
}
#endif

static void start_ahead(pages_ahead *a, uint8_t *data, size_t n_bytes)
{
    a->data = data;
    a->n_bytes = n_bytes;
#if defined(MADV_POPULATE_WRITE)
    if (data != NULL && n_bytes >= AHEAD_BYTES)
        a->started = pthread_create(&a->thread, NULL, clear_pages, a) == 0;
#endif
}

static void stop_ahead(pages_ahead *a)
{
    atomic_store(&a->stop, true);
    if (a->started)
        pthread_join(a->thread, NULL);
}

oct_status oct_file_read_seen(oct_ctx *ctx, const char *path, size_t max_bytes,
                              oct_file_seen_fn seen, void *user, uint8_t **data, size_t *n_bytes)
{
    const watcher w = {seen, user};
    size_t n = 0;
    uint8_t *p = NULL;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */
    if (fd < 0)
        return fail_errno(ctx, OCT_ERR_NOT_FOUND, path, "cannot open");
    oct_status st = check_readable(ctx, fd, path, max_bytes, &n);
    if (st == OCT_OK) {
        pages_ahead ahead = {.started = false};
        p = oct_alloc(ctx, n + 1);
        start_ahead(&ahead, p, n);
        st = p ? read_all(ctx, fd, path, p, n, &w) : oct_fail_in(ctx, OCT_ERR_NOMEM, "%s", path);
        stop_ahead(&ahead);
    }
    close(fd);
    if (st != OCT_OK) {
        if (p && seen)
            seen(user, NULL, 0);
        oct_free(ctx, p);
        return st;
    }
    p[n] = 0;
    *data = p;
    *n_bytes = n;
    return OCT_OK;
}

oct_status oct_file_read(oct_ctx *ctx, const char *path, size_t max_bytes, uint8_t **data,
                         size_t *n_bytes)
{
    return oct_file_read_seen(ctx, path, max_bytes, NULL, NULL, data, n_bytes);
}

/* ---- atomic writing -------------------------------------------------------------------- */

struct oct_atomic_file {
    oct_ctx *ctx;
    char *path, *temp;
    int fd;
    bool force;
};

static oct_status check_target(oct_ctx *ctx, const char *path, bool force)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return OCT_OK;
    if (S_ISDIR(s.st_mode))
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: is a folder, expected a file name", path);
    if (!S_ISREG(s.st_mode)) /* a rename would replace /dev/null itself */
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: is a device or pipe, expected a regular file",
                        path);
    if (!force)
        return oct_fail(ctx, OCT_ERR_USAGE, "%s: exists; use --force to replace it", path);
    return OCT_OK;
}

oct_status oct_path_check_output(oct_ctx *ctx, const char *path, bool force)
{
    char dir[4096];
    OCT_TRY(check_target(ctx, path, force));
    const size_t n = (size_t)(oct_path_name(path) - path);
    if (n == 0 || n >= sizeof dir)
        return OCT_OK;
    memcpy(dir, path, n);
    dir[n] = '\0';
    if (!oct_path_is_dir(dir))
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: the folder %s does not exist", path, dir);
    return OCT_OK;
}

/* Through a symbolic link to the file it names, so that the link survives. */
static char *resolve_target(oct_ctx *ctx, const char *path)
{
    char real[4096 + 1];
    struct stat s;
    if (lstat(path, &s) == 0 && S_ISLNK(s.st_mode) && realpath(path, real))
        return oct_strdup(ctx, real);
    return oct_strdup(ctx, path);
}

/* mkstemp() would make it 0600 whatever the umask, and the mode outlives the rename. */
static oct_status create_temp(oct_atomic_file *f)
{
    const size_t cap = strlen(f->path) + 48;
    f->temp = oct_alloc(f->ctx, cap);
    if (!f->temp)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < MAX_TEMP_NAMES; i++) {
        snprintf(f->temp, cap, "%s.tmp-%ld-%d", f->path, (long)getpid(), i);
        f->fd = open(f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0 || errno != EEXIST)
            break;
    }
    return f->fd >= 0 ? OCT_OK : fail_errno(f->ctx, OCT_ERR_IO, f->temp, "cannot create");
}

static void atomic_free(oct_atomic_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    oct_free(f->ctx, f->temp);
    oct_free(f->ctx, f->path);
    oct_free(f->ctx, f);
}

oct_status oct_atomic_open(oct_ctx *ctx, const char *path, bool force, oct_atomic_file **out)
{
    *out = NULL;
    OCT_TRY(check_target(ctx, path, force));
    oct_atomic_file *f = oct_zalloc(ctx, sizeof *f);
    if (!f)
        return OCT_ERR_NOMEM;
    f->ctx = ctx;
    f->fd = -1;
    f->force = force;
    f->path = resolve_target(ctx, path);
    const oct_status st = f->path ? create_temp(f) : OCT_ERR_NOMEM;
    if (st != OCT_OK) {
        atomic_free(f);
        return st;
    }
    *out = f;
    return OCT_OK;
}

oct_status oct_atomic_write(oct_atomic_file *f, const void *data, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes;) {
        const ssize_t n = write(f->fd, (const char *)data + at, n_bytes - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno != EINTR)
            return fail_errno(f->ctx, OCT_ERR_IO, f->temp, "cannot write");
    }
    return OCT_OK;
}

const char *oct_atomic_temp_path(const oct_atomic_file *f)
{
    return f->temp;
}

int oct_atomic_fd(const oct_atomic_file *f)
{
    return f->fd;
}

/* Without force a file that appeared meanwhile must survive; old file systems lack the flag. */
static int rename_into_place(const oct_atomic_file *f)
{
    if (!f->force) {
        if (renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS)
            return -1;
        if (oct_path_exists(f->path)) {
            errno = EEXIST;
            return -1;
        }
    }
    return rename(f->temp, f->path);
}

/* Some file systems cannot sync a folder; the data itself is safe by then. */
static void sync_folder(const char *path)
{
    char dir[4096];
    const size_t n = (size_t)(oct_path_name(path) - path);
    if (n >= sizeof dir)
        return;
    memcpy(dir, path, n);
    memcpy(dir + n, n ? "" : ".", n ? 1 : 2);
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

oct_status oct_atomic_commit(oct_atomic_file *f)
{
    oct_status st = OCT_OK;
    if (fsync(f->fd) != 0)
        st = fail_errno(f->ctx, OCT_ERR_IO, f->temp, "cannot sync");
    if (close(f->fd) != 0 && st == OCT_OK)
        st = fail_errno(f->ctx, OCT_ERR_IO, f->temp, "cannot close");
    f->fd = -1;
    if (st == OCT_OK && rename_into_place(f) != 0)
        st = fail_errno(f->ctx, errno == EEXIST ? OCT_ERR_USAGE : OCT_ERR_IO, f->path,
                        "cannot put the new file in place");
    if (st == OCT_OK)
        sync_folder(f->path);
    else
        unlink(f->temp);
    atomic_free(f);
    return st;
}

void oct_atomic_abort(oct_atomic_file *f)
{
    if (!f)
        return;
    unlink(f->temp);
    atomic_free(f);
}

oct_status oct_file_write(oct_ctx *ctx, const char *path, const void *data, size_t n_bytes,
                          bool force)
{
    oct_atomic_file *f;
    OCT_TRY(oct_atomic_open(ctx, path, force, &f));
    const oct_status st = oct_atomic_write(f, data, n_bytes);
    if (st == OCT_OK)
        return oct_atomic_commit(f);
    oct_atomic_abort(f);
    return st;
}

/* ---- paths ----------------------------------------------------------------------------- */

bool oct_path_exists(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

int64_t oct_path_bytes(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) ? (int64_t)s.st_size : -1;
}

bool oct_path_is_dir(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

oct_status oct_path_make_dir(oct_ctx *ctx, const char *path)
{
    oct_status st = OCT_OK;
    char *p = oct_strdup(ctx, path);
    if (!p)
        return OCT_ERR_NOMEM;
    for (char *at = p + 1; st == OCT_OK && p[0] != '\0'; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        const char saved = *at;
        *at = '\0';
        if (mkdir(p, 0777) != 0 && !(errno == EEXIST && oct_path_is_dir(p)))
            st = fail_errno(ctx, OCT_ERR_IO, p, "cannot make the folder");
        *at = saved;
        if (saved == '\0')
            break;
    }
    oct_free(ctx, p);
    return st;
}

char *oct_path_join(oct_ctx *ctx, const char *dir, const char *name)
{
    const size_t a = strlen(dir), b = strlen(name);
    const size_t slash = a > 0 && dir[a - 1] != '/';
    char *p = oct_alloc(ctx, a + slash + b + 1);
    if (!p)
        return NULL;
    memcpy(p, dir, a);
    if (slash)
        p[a] = '/';
    memcpy(p + a + slash, name, b + 1);
    return p;
}

const char *oct_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *oct_path_ext(const char *path)
{
    const char *name = oct_path_name(path), *dot = strrchr(name, '.');
    return dot && dot != name ? dot : "";
}
