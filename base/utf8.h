/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 decoding for text that came from a file and goes to a terminal or into JSON.
 */
#ifndef OCT_BASE_UTF8_H
#define OCT_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Decodes the character at s[0 .. n), n > 0, into `*cp`; returns its length in bytes, 0 if it
 * is not valid (overlong, surrogate, above U+10FFFF, cut off). */
static inline size_t oct_utf8_decode(const char *s, size_t n, uint32_t *cp)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)s;
    const size_t len = u[0] < 0x80   ? 1
                       : u[0] < 0xc2 ? 0
                       : u[0] < 0xe0 ? 2
                       : u[0] < 0xf0 ? 3
                       : u[0] < 0xf5 ? 4
                                     : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t c = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3f);
    }
    if (c < smallest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *cp = c;
    return len;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_BASE_UTF8_H */
