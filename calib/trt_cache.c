/* SPDX-License-Identifier: Apache-2.0
 *
 * TensorRT's calibration cache:
 *
 *     TRT-8601-EntropyCalibration2
 *     input: 3c008912
 *     (Unnamed Layer* 9) [Matrix Multiply]_output: 3e74c2e0
 *
 * The number is the float32 scale amax/127 as one hexadecimal integer. Names hold anything,
 * colons and spaces too, so a line is split at its last ": ". Writers differ in padding
 * (0.0 is "0" or "00000000"): 1 to 8 digits of either case are read, 8 lower-case ones written.
 */
#include <string.h>

#include "base/numeric.h"
#include "calib/ranges_internal.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_hex(const char *s, size_t n, uint32_t *out)
{
    uint32_t v = 0;
    if (n < 1 || n > 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        const int d = hex_digit(s[i]);
        if (d < 0)
            return false;
        v = v << 4 | (uint32_t)d;
    }
    *out = v;
    return true;
}

/* Splits at the last ": "; false if the line is no entry. */
static bool parse_line(const char *line, size_t n, size_t *n_name, uint32_t *bits)
{
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    for (size_t i = n; i-- > 1;) {
        if (line[i - 1] != ':' || line[i] != ' ')
            continue;
        *n_name = i - 1;
        return i > 1 && memchr(line, '\0', n) == NULL && parse_hex(line + i + 1, n - i - 1, bits);
    }
    return false;
}

static bool is_header(const char *line, size_t n)
{
    return n >= 4 && memcmp(line, "TRT-", 4) == 0;
}

static oct_status parse_entry(oct_ranges *r, const char *line, size_t n, uint32_t number)
{
    size_t n_name;
    uint32_t bits;
    if (!parse_line(line, n, &n_name, &bits))
        return oct_ranges_add_unparsed(r, number, line, n);
    const float scale = oct_f32_from_bits(bits);
    const oct_range e = {.scale = scale,
                         .amax = scale * 127.0f,
                         .line = number,
                         .text = oct_ranges_text(r, line, n)};
    return e.text != NULL ? oct_ranges_add(r, line, n_name, &e) : OCT_ERR_NOMEM;
}

static oct_status parse_trt(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n)
{
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len;
    while (oct_lines_next(&lines, &line, &len)) {
        if (lines.number == 1 && is_header(line, len)) {
            const char *header = oct_ranges_text(r, line, len);
            if (header == NULL)
                return OCT_ERR_NOMEM;
            OCT_TRY(oct_ranges_set_origin(r, OCT_CACHE_TRT, header, oct_ranges_source(r)));
        } else if (len > 0) {
            OCT_TRY(parse_entry(r, line, len, lines.number));
        }
    }
    return OCT_OK;
}

/* Names that a reader of this format is known to get wrong. */
static void warn_about(oct_ctx *ctx, const char *name)
{
    char shown[160];
    if (strstr(name, ": ") != NULL)
        oct_log(ctx, OCT_LOG_WARN,
                "tensor '%s': ModelOpt and ONNX Runtime cannot read a name with \": \"",
                oct_printable(name, shown, sizeof shown));
    else if (strchr(name, ':') != NULL)
        oct_log(ctx, OCT_LOG_WARN,
                "tensor '%s': ONNX Runtime cuts the name at its first ':' (trtexec does not)",
                oct_printable(name, shown, sizeof shown));
}

static oct_status render_trt(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                             oct_strbuf *out)
{
    oct_strbuf_addf(out, "TRT-%u-%s\n",
                    opt->trt_version != 0 ? opt->trt_version : OCT_TRT_VERSION_DEFAULT,
                    opt->trt_algorithm != NULL ? opt->trt_algorithm : OCT_TRT_ALGORITHM_DEFAULT);
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        if (!oct_range_is_written(e))
            continue;
        OCT_TRY(oct_range_check_name(ctx, e));
        warn_about(ctx, e->name);
        oct_strbuf_addf(out, "%s: %08x\n", e->name, (unsigned)oct_f32_bits(e->scale));
    }
    return OCT_OK;
}

static bool matches_trt(const char *data, size_t n)
{
    if (is_header(data, n))
        return true;
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len, n_name, n_good = 0;
    uint32_t bits;
    while (n_good < 3 && oct_lines_next(&lines, &line, &len)) {
        if (len == 0)
            continue;
        if (!parse_line(line, len, &n_name, &bits))
            return false;
        n_good++;
    }
    return n_good > 0;
}

const oct_cache_codec oct_codec_trt = {OCT_CACHE_TRT, "trt", parse_trt, render_trt, matches_trt};

/* Up to four numbers between dots; false if there is anything else. */
static bool split_version(const char *text, uint64_t part[4], int *n)
{
    *n = 0;
    for (const char *at = text; *n < 4;) {
        const char *dot = strchr(at, '.');
        if (!oct_parse_u64(at, dot != NULL ? (size_t)(dot - at) : strlen(at), &part[*n]))
            return false;
        ++*n;
        if (dot == NULL)
            return true;
        at = dot + 1;
    }
    return false;
}

oct_status oct_trt_version_parse(oct_ctx *ctx, const char *text, unsigned *out)
{
    uint64_t part[4] = {0, 0, 0, 0};
    int n;
    const bool ok = split_version(text, part, &n);
    if (ok && n == 1 && part[0] >= 1000 && part[0] <= 999999) {
        *out = (unsigned)part[0];
        return OCT_OK;
    }
    if (ok && n > 1 && part[0] < 100 && part[1] < 100 && part[2] < 100) {
        *out = (unsigned)(part[0] * (part[0] >= 10 ? 10000 : 1000) + part[1] * 100 + part[2]);
        return OCT_OK;
    }
    return oct_fail(ctx, OCT_ERR_USAGE,
                    "TensorRT version '%s': expected e.g. 8.6.1, 10.16.1 or 8601", text);
}
