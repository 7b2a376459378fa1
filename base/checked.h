/* SPDX-License-Identifier: Apache-2.0
 *
 * Checked arithmetic for sizes that come from files. Each function returns false and
 * leaves `*out` alone when the result does not fit.
 */
#ifndef OCT_BASE_CHECKED_H
#define OCT_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline bool oct_mul_size(size_t a, size_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

static inline bool oct_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

static inline bool oct_mul_s64(int64_t a, int64_t b, int64_t *out)
{
    if (a != 0 && b != 0) {
        if ((a > 0) == (b > 0) ? (a > 0 ? a > INT64_MAX / b : a < INT64_MAX / b)
                               : (a > 0 ? b < INT64_MIN / a : a < INT64_MIN / b))
            return false;
    }
    *out = a * b;
    return true;
}

static inline bool oct_add_s64(int64_t a, int64_t b, int64_t *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return false;
    *out = a + b;
    return true;
}

static inline size_t oct_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t oct_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_CHECKED_H */
