/* SPDX-License-Identifier: Apache-2.0
 *
 * How many cores this process may use (oct_cpu_count() of base/parallel.h). A container with
 * two cores' worth of quota on a 64-core host must not start 64 threads.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu_count_internal.h"
#include "base/parallel.h"
#include "base/strbuf.h"

#define TEXT_BYTES 4096

/* A small file as text; false if it cannot be read. */
static bool read_text(const char *path, char *buf, size_t cap)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t n = read(fd, buf, cap - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static bool take_number(const char **p, int64_t *v)
{
    const char *s = *p + strspn(*p, " \t\n");
    const size_t n = strcspn(s, " \t\n");
    *p = s + n;
    return oct_parse_s64(s, n, v);
}

static int cores_of(int64_t quota, int64_t period)
{
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

/* v2: "max 100000" or "150000 100000" in one file; v1: two files, -1 for no limit. */
static int quota_of_group(const char *dir, bool v2)
{
    char path[TEXT_BYTES + 64], text[256];
    int64_t quota, period;
    snprintf(path, sizeof path, "%s/%s", dir, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    const char *p = text;
    if (!read_text(path, text, sizeof text) || !take_number(&p, &quota))
        return 0;
    if (!v2) {
        snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
        p = text;
        if (!read_text(path, text, sizeof text))
            return 0;
    }
    return take_number(&p, &period) ? cores_of(quota, period) : 0;
}

static int stricter(int a, int b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The strictest quota from `root`/`group` up to `root` itself. */
static int quota_of_path(const char *root, const char *group, bool v2)
{
    char dir[TEXT_BYTES];
    int best = 0;
    const size_t root_len = strlen(root);
    if ((size_t)snprintf(dir, sizeof dir, "%s%s", root, group) >= sizeof dir)
        return 0;
    for (;;) {
        best = stricter(best, quota_of_group(dir, v2));
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < root_len)
            break;
        *slash = '\0';
    }
    return best;
}

/* Is "cpu" among the comma-separated controllers [s, s + n)? */
static bool has_cpu(const char *s, size_t n)
{
    for (size_t i = 0; i + 3 <= n; i++) {
        const bool starts = i == 0 || s[i - 1] == ',';
        const bool ends = i + 3 == n || s[i + 3] == ',';
        if (starts && ends && memcmp(s + i, "cpu", 3) == 0)
            return true;
    }
    return false;
}

int oct_cgroup_quota(const char *proc_cgroup, const char *mount)
{
    char text[TEXT_BYTES], root[1024];
    int best = 0;
    if (!read_text(proc_cgroup, text, sizeof text))
        return 0;
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *controllers = strchr(line, ':'); /* id:controllers:group */
        char *group = controllers ? strchr(++controllers, ':') : NULL;
        if (!group)
            continue;
        const size_t n = (size_t)(group++ - controllers);
        const bool v2 = n == 0;
        if (!v2 && !has_cpu(controllers, n))
            continue;
        snprintf(root, sizeof root, "%s%s", mount, v2 ? "" : "/cpu");
        best = stricter(best, quota_of_path(root, strcmp(group, "/") ? group : "", v2));
    }
    return best;
}

static int affinity_count(void)
{
    for (int n = 1024; n <= 1 << 20; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set)
            break;
        const int ok = sched_getaffinity(0, CPU_ALLOC_SIZE(n), set);
        const int count = ok == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE(n), set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return count;
    }
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int oct_cpu_count(void)
{
    return stricter(affinity_count(), oct_cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup"));
}
