/* SPDX-License-Identifier: Apache-2.0
 *
 * ncnn's quantization table, by layer: 127/threshold of the layer's input, and the same of
 * each output channel's weights:
 *
 *     conv1_param_0 123.456 98.7 ...
 *     conv1 45.678
 *
 * ncnn's own writer prints %f, which loses small numbers and overflows to "inf"; we write the
 * shortest text that reads back to the same float. Names are cut at the first blank by its
 * reader. oct_cache_to_ncnn_layers() turns tensor names into layer names.
 */
#include <string.h>

#include "calib/cache_tools.h"
#include "calib/ranges_internal.h"

#define PARAM "_param_"

static size_t word(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] != ' ' && s[i] != '\t')
        i++;
    return i;
}

static size_t blanks(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (s[i] == ' ' || s[i] == '\t'))
        i++;
    return i;
}

/* Whether a key ends in "_param_<digit>". */
static bool is_weights(const char *key, size_t n)
{
    const size_t len = strlen(PARAM) + 1;
    return n > len && memcmp(key + n - len, PARAM, len - 1) == 0 && key[n - 1] >= '0' &&
           key[n - 1] <= '9';
}

static oct_status parse_line(oct_ranges *r, const char *line, size_t n, uint32_t number)
{
    const size_t n_key = word(line, n);
    const char *value = line + n_key + blanks(line + n_key, n - n_key);
    const size_t rest = n - (size_t)(value - line), n_value = word(value, rest);
    const size_t after = n_value + blanks(value + n_value, rest - n_value);
    const bool weights = is_weights(line, n_key);
    double v;
    if (n_key == 0 || memchr(line, '\0', n) != NULL || !oct_parse_f64(value, n_value, &v) ||
        (after < rest && !weights))
        return oct_ranges_add_unparsed(r, number, line, n);
    const oct_range e = {.scale = (float)(1.0 / v),
                         .amax = (float)(127.0 / v),
                         .flags = weights ? OCT_RANGE_WEIGHTS : 0,
                         .line = number,
                         .text = oct_ranges_text(r, line, n)};
    return e.text != NULL ? oct_ranges_add(r, line, n_key, &e) : OCT_ERR_NOMEM;
}

static oct_status parse_ncnn(oct_ctx *ctx, oct_ranges *r, const char *data, size_t n)
{
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len;
    while (oct_lines_next(&lines, &line, &len))
        if (len > 0)
            OCT_TRY(parse_line(r, line, len, lines.number));
    return OCT_OK;
}

static oct_status render_ncnn(oct_ctx *ctx, const oct_ranges *r, const oct_cache_write_options *opt,
                              oct_strbuf *out)
{
    for (size_t i = 0; i < oct_ranges_count(r); i++) {
        const oct_range *e = oct_ranges_at(r, i);
        if (e->flags & OCT_RANGE_WEIGHTS) { /* kept as they were */
            oct_strbuf_add(out, e->text);
            oct_strbuf_add(out, "\n");
            continue;
        }
        if (!oct_range_is_written(e))
            continue;
        OCT_TRY(oct_range_check_name(ctx, e));
        char shown[160];
        if (strpbrk(e->name, " \t") != NULL)
            oct_log(ctx, OCT_LOG_WARN, "layer '%s': ncnn cuts the name at its first blank",
                    oct_printable(e->name, shown, sizeof shown));
        oct_strbuf_add(out, e->name);
        oct_strbuf_add(out, " ");
        oct_strbuf_add_f32(out, (float)(127.0 / (double)e->amax));
        oct_strbuf_add(out, "\n");
    }
    return OCT_OK;
}

static bool matches_ncnn(const char *data, size_t n)
{
    oct_lines lines = {data, data + n, 0};
    const char *line;
    size_t len;
    while (lines.number < 1000 && oct_lines_next(&lines, &line, &len))
        if (is_weights(line, word(line, len)))
            return true;
    return false;
}

const oct_cache_codec oct_codec_ncnn = {OCT_CACHE_NCNN, "ncnn", parse_ncnn, render_ncnn,
                                        matches_ncnn};

/* ---- layers of a .param file ------------------------------------------------------------- */

/* A line of a .param file: "type name n_bottoms n_tops bottom... top... k=v ...". */
typedef struct layer {
    const char *type, *name, *bottom;
    size_t n_type, n_name, n_bottom;
} layer;

static bool next_word(const char **at, const char *end, const char **s, size_t *n)
{
    *at += blanks(*at, (size_t)(end - *at));
    *s = *at;
    *n = word(*at, (size_t)(end - *at));
    *at += *n;
    return *n > 0;
}

static bool parse_layer(const char *line, size_t n, layer *l)
{
    const char *at = line, *end = line + n, *count;
    size_t n_count;
    uint64_t n_bottoms;
    return next_word(&at, end, &l->type, &l->n_type) && next_word(&at, end, &l->name, &l->n_name) &&
           next_word(&at, end, &count, &n_count) && oct_parse_u64(count, n_count, &n_bottoms) &&
           n_bottoms > 0 && next_word(&at, end, &count, &n_count) &&
           next_word(&at, end, &l->bottom, &l->n_bottom);
}

static bool is_quantized(const layer *l)
{
    static const char *const types[] = {"Convolution", "ConvolutionDepthWise", "InnerProduct"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i]) == l->n_type && memcmp(types[i], l->type, l->n_type) == 0)
            return true;
    return false;
}

static oct_status add_layer(oct_ctx *ctx, const oct_ranges *r, const layer *l, oct_ranges *out)
{
    char *blob = oct_strndup(ctx, l->bottom, l->n_bottom);
    char *name = oct_strndup(ctx, l->name, l->n_name);
    oct_status st = blob != NULL && name != NULL ? OCT_OK : OCT_ERR_NOMEM;
    const oct_range *e = st == OCT_OK ? oct_ranges_find(r, blob) : NULL;
    char shown[160];
    if (e != NULL)
        st = oct_ranges_add_amax(out, name, e->amax);
    else if (st == OCT_OK)
        oct_log(ctx, OCT_LOG_WARN, "layer '%s' stays in float: no scale for its input",
                oct_printable(name, shown, sizeof shown));
    oct_free(ctx, blob);
    oct_free(ctx, name);
    return st;
}

oct_status oct_cache_to_ncnn_layers(oct_ctx *ctx, const oct_ranges *r, const char *param,
                                    size_t n_param, oct_ranges **out)
{
    oct_ranges *made;
    OCT_TRY(oct_ranges_new(ctx, &made));
    oct_status st = oct_ranges_set_origin(made, OCT_CACHE_NCNN, "", oct_ranges_source(r));
    oct_lines lines = {param, param + n_param, 0};
    const char *line;
    size_t len, n_layers = 0;
    while (st == OCT_OK && oct_lines_next(&lines, &line, &len)) {
        layer l;
        if (!parse_layer(line, len, &l) || !is_quantized(&l))
            continue;
        n_layers++;
        st = add_layer(ctx, r, &l, made);
    }
    if (st == OCT_OK && n_layers == 0)
        st = oct_fail(ctx, OCT_ERR_FORMAT, "no Convolution or InnerProduct layer in it");
    if (st != OCT_OK) {
        oct_ranges_free(made);
        return st;
    }
    *out = made;
    return OCT_OK;
}
