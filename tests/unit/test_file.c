/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

static char folder[64];
static oct_ctx *ctx;

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/octet-file-XXXXXX");
    ctx = oct_test_ctx();
    return mkdtemp(folder) ? 0 : -1;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            (void)(unlinkat(dirfd(d), e->d_name, 0) && unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR));
    }
    if (d)
        closedir(d);
    oct_ctx_free(ctx);
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof path[k], "%s/%s", folder, name);
    return path[k];
}

static void assert_content(const char *name, const char *want)
{
    uint8_t *data;
    size_t n;
    assert_int_equal(oct_file_read(ctx, in_folder(name), 0, &data, &n), OCT_OK);
    assert_int_equal(n, strlen(want));
    assert_string_equal((char *)data, want);
    oct_free(ctx, data);
}

static void assert_fails(oct_status got, oct_status want, const char *part)
{
    assert_int_equal(got, want);
    if (!strstr(oct_error_text(ctx), part))
        fail_msg("'%s' does not say '%s'", oct_error_text(ctx), part);
    oct_error_clear(ctx);
}

static void files_are_read_whole_and_end_with_nul(void **state)
{
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "hello", 5, false), OCT_OK);
    assert_content("a", "hello");
    assert_int_equal(oct_file_write(ctx, in_folder("empty"), "", 0, false), OCT_OK);
    assert_content("empty", "");
}

static void unreadable_inputs_are_named_with_the_reason(void **state)
{
    uint8_t *data;
    size_t n;
    assert_fails(oct_file_read(ctx, in_folder("none"), 0, &data, &n), OCT_ERR_NOT_FOUND,
                 "none: cannot open");
    assert_fails(oct_file_read(ctx, folder, 0, &data, &n), OCT_ERR_USAGE, "folder");
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_fails(oct_file_read(ctx, in_folder("fifo"), 0, &data, &n), OCT_ERR_USAGE, "pipe");
    assert_int_equal(oct_file_write(ctx, in_folder("big"), "12345", 5, false), OCT_OK);
    assert_fails(oct_file_read(ctx, in_folder("big"), 4, &data, &n), OCT_ERR_LIMIT, "5 bytes");
    assert_int_equal(oct_file_read(ctx, in_folder("big"), 5, &data, &n), OCT_OK);
    oct_free(ctx, data);
}

static void existing_outputs_need_force(void **state)
{
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "1", 1, false), OCT_OK);
    assert_fails(oct_file_write(ctx, in_folder("a"), "2", 1, false), OCT_ERR_USAGE, "--force");
    assert_fails(oct_path_check_output(ctx, in_folder("a"), false), OCT_ERR_USAGE, "--force");
    assert_content("a", "1");
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "22", 2, true), OCT_OK);
    assert_content("a", "22");
    assert_int_equal(entries(), 1);
}

static void devices_and_folders_are_never_replaced(void **state)
{
    assert_fails(oct_file_write(ctx, "/dev/null", "x", 1, true), OCT_ERR_USAGE, "device");
    assert_fails(oct_file_write(ctx, folder, "x", 1, true), OCT_ERR_USAGE, "folder");
    assert_fails(oct_file_write(ctx, in_folder("no/such"), "x", 1, true), OCT_ERR_IO, "no/such");
    assert_fails(oct_path_check_output(ctx, in_folder("no/such"), true), OCT_ERR_NOT_FOUND,
                 "folder");
}

static void an_aborted_file_leaves_nothing(void **state)
{
    oct_atomic_file *f;
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "old", 3, false), OCT_OK);
    assert_int_equal(oct_atomic_open(ctx, in_folder("a"), true, &f), OCT_OK);
    assert_int_equal(oct_atomic_write(f, "new", 3), OCT_OK);
    assert_int_equal(entries(), 2);
    assert_content("a", "old");
    oct_atomic_abort(f);
    oct_atomic_abort(NULL);
    assert_int_equal(entries(), 1);
    assert_content("a", "old");
}

static void a_file_that_appears_meanwhile_survives(void **state)
{
    oct_atomic_file *f;
    assert_int_equal(oct_atomic_open(ctx, in_folder("a"), false, &f), OCT_OK);
    assert_int_equal(oct_atomic_write(f, "mine", 4), OCT_OK);
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "theirs", 6, false), OCT_OK);
    assert_fails(oct_atomic_commit(f), OCT_ERR_USAGE, "in place");
    assert_content("a", "theirs");
    assert_int_equal(entries(), 1);
}

static void links_stay_and_their_target_changes(void **state)
{
    struct stat s;
    assert_int_equal(oct_file_write(ctx, in_folder("target"), "1", 1, false), OCT_OK);
    assert_int_equal(symlink("target", in_folder("link")), 0);
    assert_int_equal(oct_file_write(ctx, in_folder("link"), "2", 1, true), OCT_OK);
    assert_int_equal(lstat(in_folder("link"), &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    assert_content("target", "2");
}

static void the_mode_obeys_the_umask(void **state)
{
    struct stat s;
    const mode_t old = umask(027);
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "1", 1, false), OCT_OK);
    umask(old);
    assert_int_equal(stat(in_folder("a"), &s), 0);
    assert_int_equal(s.st_mode & 0777, 0640);
}

/* RLIMIT_FSIZE stands in for a full disk. */
static void a_full_disk_keeps_the_old_file(void **state)
{
    struct rlimit old, small;
    char *big = calloc(1, 1 << 20);
    oct_atomic_file *f;
    assert_int_equal(oct_file_write(ctx, in_folder("a"), "old", 3, false), OCT_OK);
    assert_int_equal(oct_atomic_open(ctx, in_folder("a"), true, &f), OCT_OK);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){4096, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    const oct_status st = oct_atomic_write(f, big, 1 << 20);
    setrlimit(RLIMIT_FSIZE, &old);
    free(big);
    assert_fails(st, OCT_ERR_IO, "cannot write");
    oct_atomic_abort(f);
    assert_content("a", "old");
    assert_int_equal(entries(), 1);
}

static oct_status write_and_read(oct_ctx *c, void *user)
{
    uint8_t *data;
    size_t n;
    OCT_TRY(oct_file_write(c, user, "abc", 3, true));
    OCT_TRY(oct_file_read(c, user, 0, &data, &n));
    oct_free(c, data);
    return OCT_OK;
}

static void failing_allocations_leave_no_temporary(void **state)
{
    assert_in_range(oct_assert_survives_failing_alloc(write_and_read, in_folder("a"), 20), 5, 10);
    assert_int_equal(entries(), 1);
}

static void folders_are_made_with_their_parents(void **state)
{
    assert_int_equal(oct_path_make_dir(ctx, in_folder("x")), OCT_OK);
    assert_int_equal(oct_path_make_dir(ctx, in_folder("x/")), OCT_OK);
    assert_true(oct_path_is_dir(in_folder("x")));
    assert_int_equal(oct_file_write(ctx, in_folder("file"), "", 0, false), OCT_OK);
    assert_fails(oct_path_make_dir(ctx, in_folder("file/y")), OCT_ERR_IO, "file");
    assert_int_equal(oct_path_make_dir(ctx, in_folder("p/q/r")), OCT_OK);
    assert_true(oct_path_is_dir(in_folder("p/q/r")));
    assert_int_equal(rmdir(in_folder("p/q/r")) | rmdir(in_folder("p/q")), 0);
}

static void paths_come_apart_and_together(void **state)
{
    const char *join[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"", "b", "b"}, {"/", "b", "/b"}};
    for (int i = 0; i < 4; i++) {
        char *p = oct_path_join(ctx, join[i][0], join[i][1]);
        assert_string_equal(p, join[i][2]);
        oct_free(ctx, p);
    }
    assert_string_equal(oct_path_name("a/b.c"), "b.c");
    assert_string_equal(oct_path_name("b"), "b");
    assert_string_equal(oct_path_ext("a.d/b"), "");
    assert_string_equal(oct_path_ext("a/b.tar.gz"), ".gz");
    assert_string_equal(oct_path_ext("a/.hidden"), "");
}

static void hashes_match_published_vectors(void **state)
{
    char hex[OCT_SHA256_HEX_BYTES];
    oct_sha256 a, b;
    oct_sha256_stream *s;
    oct_sha256_of("abc", 3, &a);
    /* FIPS 180-2, appendix B.1 */
    assert_string_equal(oct_sha256_hex(&a, hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(oct_sha256_begin(ctx, &s), OCT_OK);
    oct_sha256_update(s, "a", 1);
    oct_sha256_update(s, "bc", 2);
    oct_sha256_end(s, &b);
    assert_int_equal(oct_sha256_cmp(&a, &b), 0);
    assert_int_equal(oct_file_write(ctx, in_folder("abc"), "abc", 3, false), OCT_OK);
    assert_int_equal(oct_sha256_of_file(ctx, in_folder("abc"), &b), OCT_OK);
    assert_int_equal(oct_sha256_cmp(&a, &b), 0);
    assert_fails(oct_sha256_of_file(ctx, in_folder("none"), &b), OCT_ERR_NOT_FOUND, "none");
    assert_fails(oct_sha256_of_file(ctx, folder, &b), OCT_ERR_IO, "cannot read");
    /* read and hashed at once: in one piece, in several by a second thread */
    static uint8_t large[(7 << 20) / 2 + 5];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * i >> 7);
    static const size_t length[] = {0, 3, 1 << 20, (1 << 20) + 1, sizeof large};
    for (size_t i = 0; i < sizeof length / sizeof length[0]; i++) {
        uint8_t *data;
        size_t n;
        assert_int_equal(oct_file_write(ctx, in_folder("large"), large, length[i], true), OCT_OK);
        assert_int_equal(oct_sha256_read_file(ctx, in_folder("large"), 0, &data, &n, &b), OCT_OK);
        oct_sha256_of(large, length[i], &a);
        assert_true(n == length[i] && memcmp(data, large, n) == 0);
        assert_int_equal(oct_sha256_cmp(&a, &b), 0);
        oct_free(ctx, data);
        assert_fails(oct_sha256_read_file(ctx, in_folder("none"), 0, &data, &n, &b),
                     OCT_ERR_NOT_FOUND, "none");
        if (length[i] > 1)
            assert_fails(oct_sha256_read_file(ctx, in_folder("large"), 1, &data, &n, &b),
                         OCT_ERR_LIMIT, "allowed");
    }
    /* the XXH3-128 of no bytes, from the algorithm's specification */
    const oct_xxh128 x = oct_xxh128_of("", 0);
    assert_true(x.hi == UINT64_C(0x99aa06d3014798d8) && x.lo == UINT64_C(0x6001c324468d497f));
    assert_true(oct_xxh64_of("", 0) == UINT64_C(0x2d06800538d394c2));
}

#define with_folder(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_folder(files_are_read_whole_and_end_with_nul),
        with_folder(unreadable_inputs_are_named_with_the_reason),
        with_folder(existing_outputs_need_force),
        with_folder(devices_and_folders_are_never_replaced),
        with_folder(an_aborted_file_leaves_nothing),
        with_folder(a_file_that_appears_meanwhile_survives),
        with_folder(links_stay_and_their_target_changes),
        with_folder(the_mode_obeys_the_umask),
        with_folder(a_full_disk_keeps_the_old_file),
        with_folder(failing_allocations_leave_no_temporary),
        with_folder(folders_are_made_with_their_parents),
        with_folder(paths_come_apart_and_together),
        with_folder(hashes_match_published_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
