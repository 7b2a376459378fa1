/* SPDX-License-Identifier: Apache-2.0
 *
 * The low-level SHA-256 interface is used on purpose: unlike EVP it neither allocates nor fails.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"

#define READ_BYTES ((size_t)1 << 16)
#define FOLLOW_BYTES ((size_t)1 << 20) /* a thread costs more than hashing less */

struct oct_sha256_stream {
    oct_ctx *ctx;
    SHA256_CTX state;
};

void oct_sha256_of(const void *data, size_t n_bytes, oct_sha256 *out)
{
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, data, n_bytes);
    SHA256_Final(out->byte, &state);
}

oct_status oct_sha256_begin(oct_ctx *ctx, oct_sha256_stream **out)
{
    oct_sha256_stream *s = oct_alloc(ctx, sizeof *s);
    *out = s;
    if (!s)
        return OCT_ERR_NOMEM;
    s->ctx = ctx;
    SHA256_Init(&s->state);
    return OCT_OK;
}

void oct_sha256_update(oct_sha256_stream *s, const void *data, size_t n_bytes)
{
    SHA256_Update(&s->state, data, n_bytes);
}

void oct_sha256_end(oct_sha256_stream *s, oct_sha256 *out)
{
    if (!s)
        return;
    if (out)
        SHA256_Final(out->byte, &s->state);
    oct_free(s->ctx, s);
}

oct_status oct_sha256_of_file(oct_ctx *ctx, const char *path, oct_sha256 *out)
{
    oct_status st = OCT_OK;
    SHA256_CTX state;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "%s: cannot open: %s", path, strerror(errno));
    unsigned char *buf = oct_alloc(ctx, READ_BYTES);
    SHA256_Init(&state);
    for (ssize_t n = 1; buf && n != 0;) {
        n = read(fd, buf, READ_BYTES);
        if (n > 0)
            SHA256_Update(&state, buf, (size_t)n);
        if (n < 0 && errno != EINTR) {
            st = oct_fail(ctx, OCT_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
            break;
        }
    }
    close(fd);
    if (!buf)
        return OCT_ERR_NOMEM;
    oct_free(ctx, buf);
    if (st == OCT_OK)
        SHA256_Final(out->byte, &state);
    return st;
}

/* ---- hashing behind a reader ---- */

typedef struct follower {
    pthread_mutex_t lock;
    pthread_cond_t more;
    const uint8_t *data; /* these three under `lock` */
    size_t n_bytes;
    bool at_end;
    SHA256_CTX state; /* the thread's until it is joined */
    pthread_t thread;
    bool started, follows; /* runs; has run */
} follower;

static void *follow(void *user)
{
    follower *f = user;
    size_t at = 0;
    for (bool last = false; !last;) {
        pthread_mutex_lock(&f->lock);
        while (f->n_bytes == at && !f->at_end)
            pthread_cond_wait(&f->more, &f->lock);
        const uint8_t *data = f->data;
        const size_t n = f->n_bytes;
        last = f->at_end;
        pthread_mutex_unlock(&f->lock);
        if (n > at)
            SHA256_Update(&f->state, data + at, n - at);
        at = n;
    }
    return NULL;
}

static void tell(follower *f, const uint8_t *data, size_t n_bytes, bool at_end)
{
    pthread_mutex_lock(&f->lock);
    f->data = data;
    f->n_bytes = n_bytes;
    f->at_end = at_end;
    pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
}

static void stop_following(follower *f)
{
    if (!f->started)
        return;
    tell(f, f->data, f->n_bytes, true);
    pthread_join(f->thread, NULL);
    f->started = false;
}

static void on_bytes(void *user, const uint8_t *data, size_t n_bytes)
{
    follower *f = user;
    if (data == NULL) {
        stop_following(f);
        return;
    }
    tell(f, data, n_bytes, false);
    if (!f->started && n_bytes >= FOLLOW_BYTES)
        f->started = f->follows = pthread_create(&f->thread, NULL, follow, f) == 0;
}

oct_status oct_sha256_read_file(oct_ctx *ctx, const char *path, size_t max_bytes, uint8_t **data,
                                size_t *n_bytes, oct_sha256 *out)
{
    follower f = {.n_bytes = 0};
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.more, NULL);
    SHA256_Init(&f.state);
    const oct_status st = oct_file_read_seen(ctx, path, max_bytes, on_bytes, &f, data, n_bytes);
    stop_following(&f);
    if (st == OCT_OK && !f.follows)
        SHA256_Update(&f.state, *data, *n_bytes);
    SHA256_Final(out->byte, &f.state);
    pthread_cond_destroy(&f.more);
    pthread_mutex_destroy(&f.lock);
    return st;
}

const char *oct_sha256_hex(const oct_sha256 *h, char buf[OCT_SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < OCT_SHA256_BYTES; i++) {
        buf[2 * i] = digits[h->byte[i] >> 4];
        buf[2 * i + 1] = digits[h->byte[i] & 15];
    }
    buf[OCT_SHA256_HEX_BYTES - 1] = '\0';
    return buf;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool oct_sha256_parse(const char *hex, oct_sha256 *out)
{
    for (int i = 0; i < OCT_SHA256_BYTES; i++) {
        const int hi = hex_digit(hex[2 * i]);
        const int lo = hi < 0 ? -1 : hex_digit(hex[2 * i + 1]);
        if (lo < 0)
            return false;
        out->byte[i] = (uint8_t)(hi << 4 | lo);
    }
    return hex[2 * OCT_SHA256_BYTES] == '\0';
}

int oct_sha256_cmp(const oct_sha256 *a, const oct_sha256 *b)
{
    return memcmp(a->byte, b->byte, OCT_SHA256_BYTES);
}

oct_xxh128 oct_xxh128_of(const void *data, size_t n_bytes)
{
    const XXH128_hash_t h = XXH3_128bits(data, n_bytes);
    return (oct_xxh128){.lo = h.low64, .hi = h.high64};
}

uint64_t oct_xxh64_of(const void *data, size_t n_bytes)
{
    return XXH3_64bits(data, n_bytes);
}
