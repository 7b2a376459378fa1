/* SPDX-License-Identifier: Apache-2.0
 *
 * The timing cache as a file: what is added comes back in one canonical form, every damaged byte
 * and every missing end is refused, other devices are kept and other kernels are not, and several
 * writers lose nothing.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "engine/timing_cache.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

#define CHIP "chip A, driver 1; octet 0.1.0 aaaa"
#define OTHER_KERNELS "chip A, driver 1; octet 0.1.0 bbbb"
#define OTHER_CHIP "chip B; octet 0.1.0 aaaa"

typedef struct folder {
    oct_ctx *ctx;
    char dir[64], path[96];
} folder;

static int setup(void **state)
{
    folder *f = calloc(1, sizeof *f);
    strcpy(f->dir, "/tmp/octet_times_XXXXXX");
    if (!mkdtemp(f->dir) || oct_ctx_new(NULL, &f->ctx) != OCT_OK)
        return 1;
    snprintf(f->path, sizeof f->path, "%s/times.txt", f->dir);
    *state = f;
    return 0;
}

/* Nothing but the cache may lie in the folder: no temporary file, no lock. */
static int teardown(void **state)
{
    folder *f = *state;
    (void)unlink(f->path);
    const int left = rmdir(f->dir);
    oct_ctx_free(f->ctx);
    free(f);
    return left;
}

static oct_timing_cache *open_cache(folder *f)
{
    oct_timing_cache *tc = NULL;
    if (oct_timing_cache_open(f->ctx, f->path, &tc) != OCT_OK)
        fail_msg("%s", oct_error_text(f->ctx));
    return tc;
}

static void add(folder *f, oct_timing_cache *tc, const char *device, const char *key,
                const char *tactic, uint64_t ns)
{
    assert_int_equal(oct_timing_cache_add(tc, f->ctx, device, key, tactic, ns), OCT_OK);
}

static void assert_time(const oct_timing_cache *tc, const char *device, const char *key,
                        const char *tactic, uint64_t want)
{
    uint64_t ns = 0;
    assert_true(oct_timing_cache_find(tc, device, key, tactic, &ns));
    assert_true(ns == want);
}

static void assert_none(const oct_timing_cache *tc, const char *device, const char *key,
                        const char *tactic)
{
    uint64_t ns;
    assert_false(oct_timing_cache_find(tc, device, key, tactic, &ns));
}

static void write_sample(folder *f)
{
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_begin(tc, f->ctx), OCT_OK);
    add(f, tc, CHIP, "Conv x", "fast", 100);
    add(f, tc, CHIP, "Conv x", "slow one", 200);
    add(f, tc, CHIP, "Gemm", "broken", OCT_TIMING_FAILED);
    add(f, tc, OTHER_CHIP, "Conv x", "fast", 7);
    assert_int_equal(oct_timing_cache_end(tc, f->ctx), OCT_OK);
    oct_timing_cache_close(tc);
}

static void what_is_added_comes_back(void **state)
{
    folder *f = *state;
    write_sample(f);
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), 4);
    assert_time(tc, CHIP, "Conv x", "fast", 100);
    assert_time(tc, CHIP, "Conv x", "slow one", 200);
    assert_time(tc, CHIP, "Gemm", "broken", OCT_TIMING_FAILED);
    assert_time(tc, OTHER_CHIP, "Conv x", "fast", 7);
    assert_none(tc, OTHER_CHIP, "Gemm", "broken");
    assert_none(tc, CHIP, "Conv", "fast");
    assert_none(tc, CHIP, "Conv x", "slow");
    oct_timing_cache_close(tc);
}

static void a_missing_and_an_empty_file_are_empty_caches(void **state)
{
    folder *f = *state;
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), 0);
    oct_timing_cache_close(tc);
    assert_false(oct_path_exists(f->path));
    assert_int_equal(oct_file_write(f->ctx, f->path, "", 0, false), OCT_OK);
    tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), 0);
    oct_timing_cache_close(tc);
}

static void render(folder *f, const oct_timing_cache *tc, oct_strbuf *b)
{
    oct_strbuf_init(b, f->ctx);
    assert_int_equal(oct_timing_cache_render(tc, b), OCT_OK);
}

static void the_order_of_timing_does_not_show(void **state)
{
    static const char *const key[] = {"a", "b", "c", "d"};
    folder *f = *state;
    oct_strbuf text[2];
    for (int k = 0; k < 2; k++) {
        oct_timing_cache *tc = open_cache(f);
        for (int i = 0; i < 16; i++) {
            const int j = k ? 15 - i : i;
            add(f, tc, j & 1 ? CHIP : OTHER_CHIP, key[j / 4], j & 2 ? "x" : "y", (uint64_t)j);
        }
        render(f, tc, &text[k]);
        oct_timing_cache_close(tc);
    }
    assert_string_equal(text[0].text, text[1].text);
    for (int k = 0; k < 2; k++)
        oct_strbuf_deinit(&text[k]);
}

/* ---- damage ---- */

static oct_status parse(folder *f, const uint8_t *text, size_t n)
{
    oct_timing_cache *tc;
    assert_int_equal(oct_timing_cache_open(f->ctx, NULL, &tc), OCT_OK);
    const oct_status st = oct_timing_cache_parse(tc, f->ctx, (const char *)text, n, "t");
    if (st != OCT_OK)
        assert_non_null(strstr(oct_error_text(f->ctx), "t"));
    oct_error_clear(f->ctx);
    oct_timing_cache_close(tc);
    return st;
}

static void every_damaged_byte_and_missing_end_is_refused(void **state)
{
    folder *f = *state;
    uint8_t *text;
    size_t n;
    write_sample(f);
    assert_int_equal(oct_file_read(f->ctx, f->path, 0, &text, &n), OCT_OK);
    assert_int_equal(parse(f, text, n), OCT_OK);
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 0x01;
        const oct_status st = parse(f, text, n);
        assert_true(st == OCT_ERR_FORMAT || st == OCT_ERR_VERSION);
        text[i] ^= 0x01;
    }
    for (size_t i = 1; i < n; i++)
        assert_true(parse(f, text, i) == OCT_ERR_FORMAT || parse(f, text, i) == OCT_ERR_VERSION);
    oct_free(f->ctx, text);
}

/* A body with the right checksum. */
static oct_status parse_body(folder *f, const char *version, const char *body)
{
    char text[512];
    const oct_xxh128 h = oct_xxh128_of(body, strlen(body));
    const int n = snprintf(text, sizeof text, "octet timing cache %s %016llx%016llx\n%s", version,
                           (unsigned long long)h.hi, (unsigned long long)h.lo, body);
    return parse(f, (const uint8_t *)text, (size_t)n);
}

static void what_no_octet_writes_is_refused(void **state)
{
    static const char *const bad[] = {"op x\n5 y\n",
                                      "device d\n5 y\n",
                                      "device d\nop x\n5\n",
                                      "device d\nop x\n5 \n",
                                      "device d\nop x\n-5 y\n",
                                      "device d\nop x\n+ y\n",
                                      "device d\nop x\n5 y",
                                      "device d\nop x\n\t5 y\n",
                                      "device d\nop x\n18446744073709551615 y\n",
                                      "device \nop x\n5 y\n",
                                      "device d\nop \n5 y\n",
                                      "device d\nop x\n18446744073709551616 y\n",
                                      "device d\nop x\n\n5 y\n",
                                      "device \x80\nop x\n5 y\n"};
    folder *f = *state;
    assert_int_equal(parse_body(f, "1", ""), OCT_OK);
    assert_int_equal(parse_body(f, "1", "device d\nop x\n5 y\n- z\n"), OCT_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parse_body(f, "1", bad[i]) != OCT_ERR_FORMAT)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(parse_body(f, "2", "device d\nop x\n5 y\n"), OCT_ERR_VERSION);
    assert_int_equal(parse_body(f, "10", "device d\nop x\n5 y\n"), OCT_ERR_VERSION);
}

static void a_damaged_file_is_left_alone(void **state)
{
    static const char text[] = "octet timing cache 1 0123456789abcdef0123456789abcdef\ndevice";
    folder *f = *state;
    oct_timing_cache *tc = NULL;
    uint8_t *after;
    size_t n;
    assert_int_equal(oct_file_write(f->ctx, f->path, text, sizeof text - 1, false), OCT_OK);
    assert_int_equal(oct_timing_cache_open(f->ctx, f->path, &tc), OCT_ERR_FORMAT);
    assert_non_null(strstr(oct_error_text(f->ctx), f->path));
    oct_error_clear(f->ctx);
    assert_int_equal(oct_file_read(f->ctx, f->path, 0, &after, &n), OCT_OK);
    assert_int_equal(n, sizeof text - 1);
    assert_memory_equal(after, text, n);
    oct_free(f->ctx, after);
}

static oct_status parse_sample(oct_ctx *ctx, void *user)
{
    oct_timing_cache *tc = NULL;
    OCT_TRY(oct_timing_cache_open(ctx, user, &tc));
    oct_timing_cache_close(tc);
    return OCT_OK;
}

static void reading_survives_failing_allocations(void **state)
{
    folder *f = *state;
    write_sample(f);
    assert_true(oct_assert_survives_failing_alloc(parse_sample, f->path, 200) > 5);
}

/* ---- devices ---- */

static void other_devices_stay_and_other_kernels_go(void **state)
{
    folder *f = *state;
    write_sample(f);
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_use(tc, f->ctx, OTHER_KERNELS), OCT_OK);
    assert_none(tc, OTHER_KERNELS, "Conv x", "fast");
    assert_int_equal(oct_timing_cache_begin(tc, f->ctx), OCT_OK);
    add(f, tc, OTHER_KERNELS, "Conv x", "fast", 55);
    assert_int_equal(oct_timing_cache_end(tc, f->ctx), OCT_OK);
    oct_timing_cache_close(tc);
    tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), 2);
    assert_time(tc, OTHER_KERNELS, "Conv x", "fast", 55);
    assert_time(tc, OTHER_CHIP, "Conv x", "fast", 7);
    oct_timing_cache_close(tc);
}

/* ---- writing ---- */

static void nothing_added_writes_nothing(void **state)
{
    folder *f = *state;
    uint8_t *a, *b;
    size_t n_a, n_b;
    write_sample(f);
    assert_int_equal(oct_file_read(f->ctx, f->path, 0, &a, &n_a), OCT_OK);
    assert_int_equal(chmod(f->path, 0444), 0); /* as in a read-only place */
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_end(tc, f->ctx), OCT_OK);
    oct_timing_cache_close(tc);
    assert_int_equal(oct_file_read(f->ctx, f->path, 0, &b, &n_b), OCT_OK);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    oct_free(f->ctx, a);
    oct_free(f->ctx, b);
}

/* A full disk, played by a limit on the size of files. */
static void an_interrupted_write_leaves_the_old_file(void **state)
{
    folder *f = *state;
    struct rlimit old, tiny;
    write_sample(f);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tiny = old;
    tiny.rlim_cur = 64;
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_begin(tc, f->ctx), OCT_OK);
    add(f, tc, CHIP, "Conv x", "new", 1);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    const oct_status st = oct_timing_cache_end(tc, f->ctx);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(st, OCT_ERR_IO);
    oct_error_clear(f->ctx);
    oct_timing_cache_close(tc);
    tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), 4);
    assert_none(tc, CHIP, "Conv x", "new");
    oct_timing_cache_close(tc);
}

typedef struct writer {
    folder *f;
    oct_ctx *ctx;
    int first;
    bool failed;
} writer;

#define WRITERS 4
#define ROUNDS 8

static void *write_some(void *arg)
{
    writer *w = arg;
    for (int i = 0; i < ROUNDS && !w->failed; i++) {
        char key[32];
        oct_timing_cache *tc = NULL;
        snprintf(key, sizeof key, "op %d", w->first + i);
        w->failed = oct_timing_cache_open(w->ctx, w->f->path, &tc) != OCT_OK ||
                    oct_timing_cache_begin(tc, w->ctx) != OCT_OK ||
                    oct_timing_cache_add(tc, w->ctx, CHIP, key, "k", (uint64_t)i) != OCT_OK ||
                    oct_timing_cache_end(tc, w->ctx) != OCT_OK;
        oct_timing_cache_close(tc);
    }
    return NULL;
}

static void writers_at_the_same_time_lose_nothing(void **state)
{
    folder *f = *state;
    pthread_t thread[WRITERS];
    writer w[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        w[i] = (writer){.f = f, .first = i * ROUNDS};
        assert_int_equal(oct_ctx_new(NULL, &w[i].ctx), OCT_OK);
        assert_int_equal(pthread_create(&thread[i], NULL, write_some, &w[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(thread[i], NULL);
        if (w[i].failed)
            fail_msg("%s", oct_error_text(w[i].ctx));
        oct_ctx_free(w[i].ctx);
    }
    oct_timing_cache *tc = open_cache(f);
    assert_int_equal(oct_timing_cache_size(tc), WRITERS * ROUNDS);
    oct_timing_cache_close(tc);
}

static void the_holder_sees_what_others_added_before(void **state)
{
    folder *f = *state;
    oct_timing_cache *early = open_cache(f);
    write_sample(f);
    assert_int_equal(oct_timing_cache_size(early), 0);
    assert_int_equal(oct_timing_cache_begin(early, f->ctx), OCT_OK);
    assert_time(early, CHIP, "Conv x", "fast", 100);
    assert_int_equal(oct_timing_cache_end(early, f->ctx), OCT_OK);
    oct_timing_cache_close(early);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void waiting_can_be_cancelled(void **state)
{
    folder *f = *state;
    const oct_cancel cancel = {.requested = always};
    const oct_ctx_options opt = {.cancel = &cancel};
    oct_ctx *impatient;
    oct_timing_cache *holder = open_cache(f), *other = NULL;
    assert_int_equal(oct_ctx_new(&opt, &impatient), OCT_OK);
    assert_int_equal(oct_timing_cache_begin(holder, f->ctx), OCT_OK);
    assert_int_equal(oct_timing_cache_open(impatient, f->path, &other), OCT_OK);
    assert_int_equal(oct_timing_cache_begin(other, impatient), OCT_ERR_CANCELLED);
    oct_timing_cache_close(other);
    oct_timing_cache_close(holder);
    oct_ctx_free(impatient);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write-sample") == 0) { /* makes the fuzz corpus */
        folder f = {0};
        if (oct_ctx_new(NULL, &f.ctx) != OCT_OK)
            return 1;
        snprintf(f.path, sizeof f.path, "%s", argv[2]);
        write_sample(&f);
        oct_ctx_free(f.ctx);
        return 0;
    }
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_added_comes_back),
        TEST(a_missing_and_an_empty_file_are_empty_caches),
        TEST(the_order_of_timing_does_not_show),
        TEST(every_damaged_byte_and_missing_end_is_refused),
        TEST(what_no_octet_writes_is_refused),
        TEST(a_damaged_file_is_left_alone),
        TEST(reading_survives_failing_allocations),
        TEST(other_devices_stay_and_other_kernels_go),
        TEST(nothing_added_writes_nothing),
        TEST(an_interrupted_write_leaves_the_old_file),
        TEST(writers_at_the_same_time_lose_nothing),
        TEST(the_holder_sees_what_others_added_before),
        TEST(waiting_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
