/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of oct_cpu_count() that reads files, with their places as arguments for the tests.
 */
#ifndef OCT_BASE_CPU_COUNT_INTERNAL_H
#define OCT_BASE_CPU_COUNT_INTERNAL_H

#ifdef __cplusplus
extern "C" {
#endif

/* Cores that the cgroup quotas on the way from this process's group up to the root allow,
 * rounded up; 0 = no limit. `proc_cgroup` is /proc/self/cgroup, `mount` /sys/fs/cgroup. */
int oct_cgroup_quota(const char *proc_cgroup, const char *mount);

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_CPU_COUNT_INTERNAL_H */
