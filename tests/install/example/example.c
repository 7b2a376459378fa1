/* SPDX-License-Identifier: Apache-2.0
 *
 * The public API as a user meets it: context with own allocator and log, version, errors.
 */
#include <octet/octet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long live;

static void *my_alloc(void *user, size_t bytes)
{
    (void)user;
    live++;
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void my_free(void *user, void *p, size_t bytes)
{
    (void)user;
    (void)bytes;
    live--;
    free(p);
}

static void my_log(void *user, octet_log_level level, const char *text)
{
    fprintf((FILE *)user, "log %d: %s\n", (int)level, text);
}

static int check(int ok, const char *what)
{
    if (!ok)
        fprintf(stderr, "example: %s\n", what);
    return !ok;
}

int main(void)
{
    octet_ctx_options opt;
    octet_ctx *ctx = NULL;
    octet_tensor t = {OCTET_DTYPE_F32, 4, {1, 3, 224, 224}, NULL};
    int bad = 0;

    OCTET_INIT(opt);
    opt.user = stderr;
    opt.alloc = my_alloc;
    opt.free = my_free;
    opt.log = my_log;
    opt.log_level = OCTET_LOG_INFO;
    bad |= check(octet_ctx_new(&opt, &ctx) == OCTET_OK, "no context");
    bad |= check(strcmp(octet_version(), "0.1.0") == 0, "version");
    bad |= check(octet_error_text(ctx)[0] == '\0', "error text of a fresh context");
    bad |= check(strcmp(octet_status_str(OCTET_ERR_FORMAT), "malformed file") == 0, "status text");
    bad |= check(octet_tensor_bytes(&t) == 4u * 3 * 224 * 224, "tensor bytes");
    t.dim[0] = -1;
    bad |= check(octet_tensor_bytes(&t) == 0, "negative dimension");
    bad |= check(octet_cpu_count() >= 1, "cores");
    bad |= check(live > 0, "the allocator was not used");
    octet_ctx_free(ctx);
    bad |= check(live == 0, "leak");

    opt.struct_size = 3; /* no such version of the struct */
    bad |= check(octet_ctx_new(&opt, &ctx) == OCTET_ERR_USAGE, "struct size");
    puts(bad ? "example: FAILED" : "example: OK");
    return bad;
}
