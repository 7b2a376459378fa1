/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers to text and back without the locale (declared in base/strbuf.h). printf only
 * supplies digits: whatever it puts between them is the locale's decimal point.
 */
#include <assert.h>
#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define MAX_DIGITS 17
#define MAX_NUMBER_BYTES 500 /* longest text that is parsed as a float */

/* A finite number as sign, digits d.ddd (no trailing zeros) and decimal exponent. */
typedef struct decimal {
    bool negative;
    char digit[MAX_DIGITS + 1];
    int n_digits, exponent;
} decimal;

/* Correctly rounded to `n` digits. */
static decimal decimal_of(double v, int n)
{
    decimal d = {.negative = signbit(v) != 0};
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, fabs(v)); /* lint: allow float: digits only */
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9')
            d.digit[d.n_digits++] = *p;
    }
    d.exponent = atoi(p + 1);
    while (d.n_digits > 1 && d.digit[d.n_digits - 1] == '0')
        d.n_digits--;
    return d;
}

static char *put(char *at, char c, int n)
{
    while (n-- > 0)
        *at++ = c;
    return at;
}

/* As "%g" would in the C locale: positional for exponents in [-5, max_positional). */
static const char *decimal_text(const decimal *d, int max_positional, char *buf)
{
    const int e = d->exponent, n = d->n_digits;
    char *at = put(buf, '-', d->negative);
    if (e < -5 || e >= max_positional) {
        *at++ = d->digit[0];
        at = put(at, '.', n > 1);
        memcpy(at, d->digit + 1, (size_t)n - 1);
        snprintf(at + n - 1, 8, "e%+03d", e);
        return buf;
    }
    if (e < 0)
        at = put(put(put(at, '0', 1), '.', 1), '0', -e - 1);
    for (int i = 0; i < n; i++) {
        at = put(at, '.', i == e + 1 && i > 0);
        *at++ = d->digit[i];
    }
    *put(at, '0', e >= n ? e + 1 - n : 0) = '\0';
    return buf;
}

static const char *special_text(double v, char *buf)
{
    strcpy(buf, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf"); /* lint: allow strcpy: fits */
    return buf;
}

/* strtod() of text[0 .. n) with '.' as the decimal point, whatever the locale's is. False when
 * anything is left over. */
static bool parse_c(const char *text, size_t n, double *out)
{
    char buf[MAX_NUMBER_BYTES + 16], *at = buf, *end;
    const char *radix = nl_langinfo(RADIXCHAR);
    const size_t radix_bytes = strlen(radix);
    if (n == 0 || n > MAX_NUMBER_BYTES || radix_bytes == 0 || radix_bytes > 8)
        return false;
    for (size_t i = 0, points = 0; i < n; i++) {
        const char c = text[i];
        if (c == '.' && ++points == 1) {
            memcpy(at, radix, radix_bytes);
            at += radix_bytes;
        } else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '+' || c == '-') {
            *at++ = c;
        } else {
            return false;
        }
    }
    *at = '\0';
    *out = strtod(buf, &end); /* lint: allow strtod: the point is the locale's own */
    return end == at;
}

static double decimal_value(const decimal *d)
{
    char text[OCT_NUM_TEXT_BYTES];
    double v = NAN;
    decimal_text(d, 0, text);
    return parse_c(text, strlen(text), &v) ? v : NAN;
}

/* 6 digits (15 for double) always survive the trip text -> float -> text, so shorter texts
 * are those digits less trailing zeros; subnormals have fewer and start at one digit. */
const char *oct_f32_text(float v, char *buf)
{
    if (!isfinite(v))
        return special_text(v, buf);
    for (int n = fabsf(v) < 0x1p-126f ? 1 : 6;; n++) {
        const decimal d = decimal_of(v, n);
        if (n == 9 || (float)decimal_value(&d) == v)
            return decimal_text(&d, 10, buf);
    }
}

const char *oct_f64_text(double v, char *buf)
{
    if (!isfinite(v))
        return special_text(v, buf);
    for (int n = fabs(v) < 0x1p-1022 ? 1 : 15;; n++) {
        const decimal d = decimal_of(v, n);
        if (n == MAX_DIGITS || decimal_value(&d) == v)
            return decimal_text(&d, 16, buf);
    }
}

const char *oct_fixed_text(double v, int decimals, char *buf)
{
    char text[64];
    char *at = buf;
    assert(decimals >= 0 && decimals <= 15);
    if (!isfinite(v) || fabs(v) >= 1e15)
        return oct_f64_text(v, buf);
    snprintf(text, sizeof text, "%.*f", decimals, v); /* lint: allow float: separator replaced */
    for (const char *p = text; *p; p++) {
        if (*p == '-' || (*p >= '0' && *p <= '9'))
            *at++ = *p;
        else if (at[-1] != '.')
            *at++ = '.';
    }
    *at = '\0';
    return buf;
}

bool oct_parse_f64(const char *s, size_t n, double *out)
{
    double v;
    errno = 0;
    if (!parse_c(s, n, &v) || (errno == ERANGE && isinf(v)))
        return false;
    *out = v;
    return true;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

bool oct_parse_u64(const char *s, size_t n, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = n > 0 && s[0] == '+';
    const bool hex = n > i + 2 && s[i] == '0' && (s[i + 1] == 'x' || s[i + 1] == 'X');
    const unsigned radix = hex ? 16 : 10;
    i += hex ? 2 : 0;
    if (i >= n)
        return false;
    for (; i < n; i++) {
        const unsigned digit = (unsigned)digit_of(s[i]);
        if (digit >= radix || v > (UINT64_MAX - digit) / radix)
            return false;
        v = v * radix + digit;
    }
    *out = v;
    return true;
}

bool oct_parse_s64(const char *s, size_t n, int64_t *out)
{
    const bool negative = n > 0 && s[0] == '-';
    uint64_t v;
    if (negative && n > 1 && s[1] == '+')
        return false;
    if (!oct_parse_u64(s + negative, n - negative, &v))
        return false;
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}
