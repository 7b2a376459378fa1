/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/timing_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

#define MAGIC "octet timing cache "
#define FORMAT "1"
#define HEX_DIGITS 32
#define HEAD_BYTES (sizeof MAGIC FORMAT " " - 1 + HEX_DIGITS + 1) /* with the line end */
#define FILE_MAX_BYTES ((size_t)64 << 20)
#define POLL_NS 20000000L
#define MAX_REOPEN 1000

/* Sorted by device, key, tactic. One block: the three texts, each with its NUL. */
typedef struct entry {
    char *device;
    const char *key, *tactic;
    uint64_t ns;
} entry;

struct oct_timing_cache {
    oct_ctx *ctx;
    char *path; /* NULL: in memory only */
    entry *list;
    size_t n, cap;
    char *device; /* ours; its sections for other kernels are not written */
    int fd;       /* the locked file, or -1 */
    bool changed; /* since the file was read */
};

/* ---- entries ---- */

static int entry_cmp(const entry *e, const char *device, const char *key, const char *tactic)
{
    const int d = strcmp(e->device, device), k = d ? 0 : strcmp(e->key, key);
    return d ? d : k ? k : strcmp(e->tactic, tactic);
}

/* Where the entry is, or belongs. */
static size_t entry_at(const oct_timing_cache *tc, const char *device, const char *key,
                       const char *tactic, bool *found)
{
    size_t lo = 0, hi = tc->n;
    *found = false;
    while (lo < hi && !*found) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = entry_cmp(&tc->list[mid], device, key, tactic);
        *found = c == 0;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return *found ? hi : lo;
}

static oct_status entry_init(oct_ctx *ctx, entry *e, const char *device, const char *key,
                             const char *tactic, uint64_t ns)
{
    const size_t d = strlen(device) + 1, k = strlen(key) + 1, t = strlen(tactic) + 1;
    char *block = oct_alloc(ctx, d + k + t);
    if (!block)
        return OCT_ERR_NOMEM;
    memcpy(block, device, d);
    memcpy(block + d, key, k);
    memcpy(block + d + k, tactic, t);
    *e = (entry){block, block + d, block + d + k, ns};
    return OCT_OK;
}

static oct_status reserve(oct_timing_cache *tc)
{
    if (tc->n < tc->cap)
        return OCT_OK;
    const size_t cap = tc->cap ? 2 * tc->cap : 64;
    entry *more = oct_realloc(tc->ctx, tc->list, cap * sizeof *more);
    if (!more)
        return OCT_ERR_NOMEM;
    tc->list = more;
    tc->cap = cap;
    return OCT_OK;
}

static oct_status insert(oct_timing_cache *tc, const char *device, const char *key,
                         const char *tactic, uint64_t ns)
{
    bool found;
    entry e;
    const size_t at = entry_at(tc, device, key, tactic, &found);
    if (found) {
        tc->list[at].ns = ns;
        return OCT_OK;
    }
    OCT_TRY(reserve(tc));
    OCT_TRY(entry_init(tc->ctx, &e, device, key, tactic, ns));
    memmove(&tc->list[at + 1], &tc->list[at], (tc->n - at) * sizeof e);
    tc->list[at] = e;
    tc->n++;
    return OCT_OK;
}

bool oct_timing_cache_find(const oct_timing_cache *tc, const char *device, const char *key,
                           const char *tactic, uint64_t *ns)
{
    bool found;
    const size_t at = entry_at(tc, device, key, tactic, &found);
    if (found)
        *ns = tc->list[at].ns;
    return found;
}

oct_status oct_timing_cache_add(oct_timing_cache *tc, oct_ctx *ctx, const char *device,
                                const char *key, const char *tactic, uint64_t ns)
{
    const oct_status st = insert(tc, device, key, tactic, ns);
    tc->changed = true;
    return st == OCT_OK ? st : oct_fail(ctx, st, "%s", oct_error_text(tc->ctx));
}

size_t oct_timing_cache_size(const oct_timing_cache *tc)
{
    return tc->n;
}

oct_timing oct_timing_cache_at(const oct_timing_cache *tc, size_t i)
{
    const entry *e = &tc->list[i];
    return (oct_timing){e->device, e->key, e->tactic, e->ns};
}

bool oct_timing_cache_is(const char *head, size_t n)
{
    return n >= sizeof MAGIC - 1 && memcmp(head, MAGIC, sizeof MAGIC - 1) == 0;
}

/* ---- text ---- */

static void hash_text(const char *text, size_t n, char hex[HEX_DIGITS + 1])
{
    const oct_xxh128 h = oct_xxh128_of(text, n);
    snprintf(hex, HEX_DIGITS + 1, "%016" PRIx64 "%016" PRIx64, h.hi, h.lo);
}

/* Same chip, other kernels: of no use to anyone any more. */
static bool is_outdated(const char *device, const char *ours)
{
    const char *a = strrchr(device, ';'), *b = ours ? strrchr(ours, ';') : NULL;
    return a && b && a - device == b - ours && strncmp(device, ours, (size_t)(a - device)) == 0 &&
           strcmp(a, b) != 0;
}

static void render_entries(const oct_timing_cache *tc, oct_strbuf *b)
{
    const entry *last = NULL;
    for (size_t i = 0; i < tc->n; i++) {
        const entry *e = &tc->list[i];
        if (is_outdated(e->device, tc->device))
            continue;
        const bool same_device = last && strcmp(e->device, last->device) == 0;
        if (!same_device)
            oct_strbuf_addf(b, "device %s\n", e->device);
        if (!same_device || strcmp(e->key, last->key) != 0)
            oct_strbuf_addf(b, "op %s\n", e->key);
        if (e->ns == OCT_TIMING_FAILED)
            oct_strbuf_addf(b, "- %s\n", e->tactic);
        else
            oct_strbuf_addf(b, "%" PRIu64 " %s\n", e->ns, e->tactic);
        last = e;
    }
}

oct_status oct_timing_cache_render(const oct_timing_cache *tc, oct_strbuf *b)
{
    oct_strbuf body;
    char hex[HEX_DIGITS + 1];
    oct_strbuf_init(&body, tc->ctx);
    render_entries(tc, &body);
    oct_status st = oct_strbuf_status(&body);
    if (st == OCT_OK) {
        hash_text(body.len ? body.text : "", body.len, hex);
        oct_strbuf_addf(b, MAGIC FORMAT " %s\n", hex);
        if (body.len)
            oct_strbuf_add_n(b, body.text, body.len);
        st = oct_strbuf_status(b);
    }
    oct_strbuf_deinit(&body);
    return st;
}

typedef struct reader {
    oct_timing_cache *tc;
    oct_ctx *ctx;
    const char *name;
    size_t line;
    const char *device, *key; /* current, in the text */
} reader;

static oct_status bad_line(const reader *r, const char *what)
{
    return oct_fail(r->ctx, OCT_ERR_FORMAT,
                    "timing cache %s is damaged: line %zu: %s; delete it to time anew", r->name,
                    r->line, what);
}

static bool is_plain(const char *s)
{
    for (; *s; s++)
        if (*s < 0x20 || *s > 0x7e)
            return false;
    return true;
}

static bool take_prefix(char *line, const char *prefix, const char **rest)
{
    const size_t n = strlen(prefix);
    *rest = line + n;
    return strncmp(line, prefix, n) == 0 && line[n] != '\0';
}

static oct_status parse_time(reader *r, char *line)
{
    uint64_t ns = OCT_TIMING_FAILED;
    const char *space = strchr(line, ' ');
    if (!space || !space[1])
        return bad_line(r, "expected a time and a kernel");
    const size_t n = (size_t)(space - line);
    const bool failed = n == 1 && line[0] == '-';
    if (!failed && (!oct_parse_u64(line, n, &ns) || ns == OCT_TIMING_FAILED))
        return bad_line(r, "expected a time in nanoseconds");
    if (!r->key)
        return bad_line(r, "a time before any operator");
    if (insert(r->tc, r->device, r->key, space + 1, ns) == OCT_OK)
        return OCT_OK;
    return oct_fail(r->ctx, OCT_ERR_NOMEM, "%s", oct_error_text(r->tc->ctx));
}

static oct_status parse_line(reader *r, char *line)
{
    const char *rest;
    if (!is_plain(line))
        return bad_line(r, "not plain text");
    if (take_prefix(line, "device ", &rest)) {
        r->device = rest;
        r->key = NULL;
        return OCT_OK;
    }
    if (take_prefix(line, "op ", &rest)) {
        r->key = rest;
        return r->device ? OCT_OK : bad_line(r, "an operator before any device");
    }
    return parse_time(r, line);
}

static oct_status parse_body(reader *r, char *text)
{
    for (char *line = text; *line; r->line++) {
        char *end = strchr(line, '\n');
        if (!end)
            return bad_line(r, "cut off");
        *end = '\0';
        OCT_TRY(parse_line(r, line));
        line = end + 1;
    }
    return OCT_OK;
}

static oct_status check_head(reader *r, const char *text, size_t n)
{
    char hex[HEX_DIGITS + 1];
    if (!oct_timing_cache_is(text, n))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "%s is no timing cache of octet", r->name);
    if (n < sizeof MAGIC + 1 || memcmp(text + sizeof MAGIC - 1, FORMAT " ", 2) != 0)
        return oct_fail(r->ctx, OCT_ERR_VERSION,
                        "timing cache %s is of another version than " FORMAT
                        "; delete it or name another file",
                        r->name);
    if (n < HEAD_BYTES || text[HEAD_BYTES - 1] != '\n')
        return bad_line(r, "cut off");
    hash_text(text + HEAD_BYTES, n - HEAD_BYTES, hex);
    return memcmp(text + HEAD_BYTES - 1 - HEX_DIGITS, hex, HEX_DIGITS) == 0
               ? OCT_OK
               : bad_line(r, "the checksum does not match");
}

oct_status oct_timing_cache_parse(oct_timing_cache *tc, oct_ctx *ctx, const char *text, size_t n,
                                  const char *name)
{
    reader r = {.tc = tc, .ctx = ctx, .name = name, .line = 1};
    if (n == 0)
        return OCT_OK;
    OCT_TRY(check_head(&r, text, n));
    if (memchr(text, '\0', n))
        return bad_line(&r, "not plain text");
    char *body = oct_strndup(ctx, text + HEAD_BYTES, n - HEAD_BYTES);
    if (!body)
        return OCT_ERR_NOMEM;
    r.line = 2;
    const oct_status st = parse_body(&r, body);
    oct_free(ctx, body);
    return st;
}

/* ---- the file ---- */

static oct_status read_file(oct_timing_cache *tc, oct_ctx *ctx)
{
    uint8_t *data;
    size_t n;
    if (!oct_path_exists(tc->path))
        return OCT_OK;
    OCT_TRY(oct_file_read(ctx, tc->path, FILE_MAX_BYTES, &data, &n));
    const oct_status st = oct_timing_cache_parse(tc, ctx, (const char *)data, n, tc->path);
    oct_free(ctx, data);
    return st;
}

oct_status oct_timing_cache_open(oct_ctx *ctx, const char *path, oct_timing_cache **out)
{
    oct_timing_cache *tc = oct_zalloc(ctx, sizeof *tc);
    if (!tc)
        return OCT_ERR_NOMEM;
    tc->ctx = ctx;
    tc->fd = -1;
    oct_status st = OCT_OK;
    if (path) {
        tc->path = oct_strdup(ctx, path);
        st = tc->path ? read_file(tc, ctx) : OCT_ERR_NOMEM;
    }
    if (st != OCT_OK) {
        oct_timing_cache_close(tc);
        return st;
    }
    *out = tc;
    return OCT_OK;
}

void oct_timing_cache_close(oct_timing_cache *tc)
{
    if (!tc)
        return;
    if (tc->fd >= 0)
        close(tc->fd);
    for (size_t i = 0; i < tc->n; i++)
        oct_free(tc->ctx, tc->list[i].device);
    oct_free(tc->ctx, tc->list);
    oct_free(tc->ctx, tc->device);
    oct_free(tc->ctx, tc->path);
    oct_free(tc->ctx, tc);
}

oct_status oct_timing_cache_use(oct_timing_cache *tc, oct_ctx *ctx, const char *device)
{
    const char *outdated = NULL, *other = NULL;
    bool ours = false;
    tc->device = oct_strdup(ctx, device);
    if (!tc->device)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < tc->n; i++) {
        const char *d = tc->list[i].device;
        if (strcmp(d, device) == 0)
            ours = true;
        else if (is_outdated(d, device))
            outdated = d;
        else
            other = d;
    }
    if (!ours && outdated)
        oct_log(ctx, OCT_LOG_WARN,
                "timing cache %s: its times are of other kernels (%s) and are replaced", tc->path,
                outdated);
    else if (!ours && other)
        oct_log(ctx, OCT_LOG_WARN,
                "timing cache %s: none of its times are of %s, but of %s: they are kept, and new "
                "ones are added",
                tc->path, device, other);
    return OCT_OK;
}

/* ---- one at a time ---- */

/* A writer replaces the file by another: a lock on the old one says nothing. */
static bool is_current(const oct_timing_cache *tc)
{
    struct stat held, there;
    return fstat(tc->fd, &held) == 0 && stat(tc->path, &there) == 0 &&
           held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static oct_status fail_errno(const oct_timing_cache *tc, oct_ctx *ctx, const char *what)
{
    char buf[128];
    return oct_fail(ctx, OCT_ERR_IO, "timing cache %s: cannot %s: %s", tc->path, what,
                    strerror_r(errno, buf, sizeof buf));
}

static oct_status wait_for_lock(oct_timing_cache *tc, oct_ctx *ctx, bool *told)
{
    static const struct timespec pause = {.tv_nsec = POLL_NS};
    while (flock(tc->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail_errno(tc, ctx, "lock it");
        if (!*told)
            oct_log(ctx, OCT_LOG_INFO, "timing cache %s: another process is timing, waiting",
                    tc->path);
        *told = true;
        OCT_TRY(oct_check_cancel(ctx));
        nanosleep(&pause, NULL);
    }
    return OCT_OK;
}

static oct_status lock_file(oct_timing_cache *tc, oct_ctx *ctx)
{
    bool told = false;
    for (int i = 0; i < MAX_REOPEN; i++) {
        tc->fd = open(tc->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (tc->fd < 0)
            return fail_errno(tc, ctx, "open it for writing");
        OCT_TRY(wait_for_lock(tc, ctx, &told));
        if (is_current(tc))
            return OCT_OK;
        close(tc->fd);
        tc->fd = -1;
    }
    return oct_fail(ctx, OCT_ERR_IO, "timing cache %s: replaced again and again by others",
                    tc->path);
}

oct_status oct_timing_cache_begin(oct_timing_cache *tc, oct_ctx *ctx)
{
    if (!tc->path || tc->fd >= 0)
        return OCT_OK;
    oct_status st = lock_file(tc, ctx);
    if (st == OCT_OK)
        st = read_file(tc, ctx);
    if (st != OCT_OK && tc->fd >= 0) {
        close(tc->fd);
        tc->fd = -1;
    }
    return st;
}

oct_status oct_timing_cache_end(oct_timing_cache *tc, oct_ctx *ctx)
{
    oct_strbuf b;
    oct_status st = OCT_OK;
    if (tc->fd < 0)
        return OCT_OK;
    oct_strbuf_init(&b, ctx);
    if (tc->changed) {
        st = oct_timing_cache_render(tc, &b);
        if (st == OCT_OK)
            st = oct_file_write(ctx, tc->path, b.text, b.len, true);
        tc->changed = st != OCT_OK;
    }
    oct_strbuf_deinit(&b);
    close(tc->fd);
    tc->fd = -1;
    return st;
}
