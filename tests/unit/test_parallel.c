/* SPDX-License-Identifier: Apache-2.0
 * labels: threads */
#include "base/parallel.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu_count_internal.h"
#include "tests/support/cmocka_all.h"
#include "tests/support/failing_alloc.h"

typedef struct cover {
    unsigned char hit[1000];
    size_t lo[64], hi[64];
    atomic_int calls;
} cover;

static void mark(void *user, size_t lo, size_t hi, int worker)
{
    cover *c = user;
    atomic_fetch_add(&c->calls, 1);
    c->lo[worker] = lo;
    c->hi[worker] = hi;
    for (size_t i = lo; i < hi; i++)
        c->hit[i]++;
}

static void every_item_is_done_once_in_fixed_ranges(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        for (int threads = 0; threads <= 9; threads++) {
            for (size_t grain = 0; grain <= 16; grain += 4) {
                cover a, b;
                memset(&a, 0, sizeof a);
                memset(&b, 0, sizeof b);
                oct_parallel_for(threads, sizes[k], grain, mark, &a);
                oct_parallel_for(threads, sizes[k], grain, mark, &b);
                for (size_t i = 0; i < sizeof a.hit; i++)
                    assert_int_equal(a.hit[i], i < sizes[k]);
                assert_memory_equal(a.lo, b.lo, sizeof a.lo);
                assert_memory_equal(a.hi, b.hi, sizeof a.hi);
                const int calls = atomic_load(&a.calls);
                assert_true(calls <= (threads > 1 ? threads : 1));
                for (int i = 0; i < calls && calls > 1 && grain > 0; i++)
                    assert_true(a.hi[i] - a.lo[i] >= grain);
            }
        }
    }
}

static void inner(void *user, size_t lo, size_t hi, int worker)
{
    atomic_size_t *sum = user;
    atomic_fetch_add(sum, hi - lo);
    assert(worker == 0); /* nested: one range */
}

static void outer(void *user, size_t lo, size_t hi, int worker)
{
    for (size_t i = lo; i < hi; i++)
        oct_parallel_for(4, 10, 1, inner, user);
}

static void nested_loops_run_serially(void **state)
{
    atomic_size_t sum = 0;
    oct_parallel_for(4, 20, 1, outer, &sum);
    assert_int_equal(atomic_load(&sum), 200);
}

typedef struct failures {
    atomic_int ran;
    int lowest;
} failures;

static oct_status fail_from(void *user, oct_ctx *ctx, int worker)
{
    failures *f = user;
    atomic_fetch_add(&f->ran, 1);
    void *p = oct_alloc(ctx, 1000);
    oct_free(ctx, p);
    if (worker >= f->lowest)
        return oct_fail(ctx, OCT_ERR_RANGE, "worker %d", worker);
    return OCT_OK;
}

static void the_lowest_failing_worker_speaks(void **state)
{
    oct_ctx *ctx = oct_test_ctx();
    failures f = {.lowest = 2};
    assert_int_equal(oct_run_workers(ctx, 5, 1, fail_from, &f), OCT_ERR_RANGE);
    assert_string_equal(oct_error_text(ctx), "worker 2");
    assert_int_equal(atomic_load(&f.ran), 5);
    oct_error_clear(ctx);
    f.lowest = 99;
    assert_int_equal(oct_run_workers(ctx, 5, 1, fail_from, &f), OCT_OK);
    assert_int_equal(oct_mem_now(ctx), 0);
    oct_ctx_free(ctx);
}

static oct_status three_workers(oct_ctx *ctx, void *user)
{
    failures f = {.lowest = 99};
    const oct_status st = oct_run_workers(ctx, 3, 1, fail_from, &f);
    return st;
}

static oct_status nothing(void *user, oct_ctx *ctx, int worker)
{
    return OCT_OK;
}

static oct_status idle_workers(oct_ctx *ctx, void *user)
{
    return oct_run_workers(ctx, 3, 1, nothing, user);
}

static void workers_start_all_or_none(void **state)
{
    /* 2 for the context, the table, 3 worker contexts */
    assert_int_equal(oct_assert_survives_failing_alloc(idle_workers, NULL, 20), 6);
    oct_ctx *ctx = oct_test_ctx();
    assert_int_equal(three_workers(ctx, NULL), OCT_OK);
    oct_ctx_free(ctx);
}

static void put_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* A made-up /proc/self/cgroup and /sys/fs/cgroup. */
static void the_strictest_cgroup_quota_counts(void **state)
{
    char dir[] = "/tmp/octet-cgroup-XXXXXX", path[128], cgroup[128];
    assert_non_null(mkdtemp(dir));
    snprintf(cgroup, sizeof cgroup, "%s/cgroup", dir);
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 0); /* no such file */
    snprintf(path, sizeof path, "%s/pod", dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/pod/job", dir);
    mkdir(path, 0700);
    put_file(dir, "cgroup", "0::/pod/job\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 0);
    put_file(dir, "pod/job/cpu.max", "max 100000\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 0);
    put_file(dir, "pod/cpu.max", "150000 100000\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 2); /* 1.5 cores, rounded up */
    put_file(dir, "pod/job/cpu.max", "100000 100000\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 1);
    put_file(dir, "pod/job/cpu.max", "garbage\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 2);
    snprintf(path, sizeof path, "%s/cpu", dir); /* v1 */
    mkdir(path, 0700);
    put_file(dir, "cpu/cpu.cfs_quota_us", "300000\n");
    put_file(dir, "cpu/cpu.cfs_period_us", "100000\n");
    put_file(dir, "cgroup", "4:memory:/x\n3:cpuacct,cpu:/gone\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 3);
    put_file(dir, "cpu/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(oct_cgroup_quota(cgroup, dir), 0);
    snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

static void there_is_at_least_one_core(void **state)
{
    assert_in_range(oct_cpu_count(), 1, 1 << 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_is_done_once_in_fixed_ranges),
        cmocka_unit_test(nested_loops_run_serially),
        cmocka_unit_test(the_lowest_failing_worker_speaks),
        cmocka_unit_test(workers_start_all_or_none),
        cmocka_unit_test(the_strictest_cgroup_quota_counts),
        cmocka_unit_test(there_is_at_least_one_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
