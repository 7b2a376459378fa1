/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics from a file. The container's hash has been verified, but whoever can write a file can
 * write a hash: every count, index, exponent and sum is checked here.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/container.h"
#include "base/file.h"
#include "base/json_read.h"
#include "calib/statistics_internal.h"

#define MAX_FILE_BYTES ((size_t)16 << 30)
#define MAX_IMAGES ((size_t)1 << 32)
#define MAX_BINS ((size_t)1 << 40)

/* The arrays of the file while it is read; released together. */
typedef struct reader {
    oct_ctx *ctx;
    oct_container *c;
    size_t n; /* tensors */
    char **name;
    uint8_t *kind;
    uint32_t *source;
    uint64_t *counts;
    float *amax;
    int32_t *width;
    oct_sha256 *image;
    uint32_t *slice;
    void *bins; /* u32 or u64 */
    size_t n_bins, bins_used;
    bool bins_wide;
    uint64_t *fold_counts;
    float *fold_amax;
    uint32_t *fold_slice;
} reader;

static void free_reader(reader *r)
{
    oct_free(r->ctx, r->name);
    oct_free(r->ctx, r->kind);
    oct_free(r->ctx, r->source);
    oct_free(r->ctx, r->counts);
    oct_free(r->ctx, r->amax);
    oct_free(r->ctx, r->width);
    oct_free(r->ctx, r->image);
    oct_free(r->ctx, r->slice);
    oct_free(r->ctx, r->bins);
    oct_free(r->ctx, r->fold_counts);
    oct_free(r->ctx, r->fold_amax);
    oct_free(r->ctx, r->fold_slice);
}

/* `per_tensor` elements for each tensor, oct_alloc()ed. */
static oct_status read_array(reader *r, const char *path, oct_dtype dt, size_t per_tensor,
                             void **out)
{
    size_t n;
    if (!oct_mul_size(r->n, per_tensor, &n))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "dataset '%s' is too large", path);
    oct_dtype found;
    oct_shape shape;
    size_t n_found;
    OCT_TRY(oct_container_info(r->c, path, &found, &shape)); /* before allocating */
    if (!oct_shape_elems(&shape, &n_found) || n_found != n)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "dataset '%s' has another length than expected",
                        path);
    void *block = oct_alloc_array(r->ctx, n, oct_dtype_bytes(dt));
    if (block == NULL)
        return OCT_ERR_NOMEM;
    *out = block; /* released with the reader */
    return oct_container_read(r->c, path, dt, n, block);
}

static oct_status read_bins(reader *r, const char *path)
{
    oct_dtype dt;
    oct_shape shape;
    OCT_TRY(oct_container_info(r->c, path, &dt, &shape));
    oct_free(r->ctx, r->bins);
    r->bins = NULL;
    r->bins_used = 0;
    r->bins_wide = dt == OCT_DT_U64;
    return oct_container_read_1d(r->c, path, r->bins_wide ? OCT_DT_U64 : OCT_DT_U32, MAX_BINS,
                                 &r->bins, &r->n_bins);
}

static oct_status read_arrays(reader *r)
{
    size_t n;
    OCT_TRY(oct_container_read_strings(r->c, STATS_NAME, STATS_MAX_TENSORS, &r->name, &r->n));
    OCT_TRY(read_array(r, STATS_KIND, OCT_DT_U8, 1, (void **)&r->kind));
    OCT_TRY(read_array(r, STATS_SOURCE, OCT_DT_U32, 1, (void **)&r->source));
    OCT_TRY(read_array(r, STATS_COUNTS, OCT_DT_U64, STATS_N_COUNTS, (void **)&r->counts));
    OCT_TRY(read_array(r, STATS_AMAX, OCT_DT_F32, 2, (void **)&r->amax));
    OCT_TRY(read_array(r, STATS_WIDTH, OCT_DT_S32, 2, (void **)&r->width));
    OCT_TRY(read_array(r, STATS_MAX_IMAGE, OCT_DT_U8, 2 * OCT_SHA256_BYTES, (void **)&r->image));
    OCT_TRY(read_array(r, STATS_SLICE, OCT_DT_U32, 4, (void **)&r->slice));
    n = OCT_HIST_FOLDS;
    OCT_TRY(read_array(r, STATS_FOLD_COUNTS, OCT_DT_U64, n * STATS_N_FOLD_COUNTS,
                       (void **)&r->fold_counts));
    OCT_TRY(read_array(r, STATS_FOLD_AMAX, OCT_DT_F32, n * 2, (void **)&r->fold_amax));
    return read_array(r, STATS_FOLD_SLICE, OCT_DT_U32, n * 4, (void **)&r->fold_slice);
}

static oct_status bad_tensor(reader *r, size_t i, const char *what)
{
    char shown[160];
    return oct_fail(r->ctx, OCT_ERR_FORMAT, "tensor %zu '%s': %s", i,
                    oct_printable(r->name[i], shown, sizeof shown), what);
}

/* Copies the next stored bins into `bin` at `first`; adds them up in `sum`. NULL or what is wrong. */
static const char *take_bins(reader *r, uint64_t *bin, size_t capacity, const uint32_t slice[2],
                             uint64_t *sum)
{
    const size_t first = slice[0], count = slice[1];
    if (count == 0)
        return NULL;
    if (bin == NULL || first >= capacity || count > capacity - first)
        return "bins outside the histogram";
    if (count > r->n_bins - r->bins_used)
        return "more bins than are stored";
    for (size_t i = 0; i < count; i++) {
        const size_t k = r->bins_used + i;
        const uint64_t c =
            r->bins_wide ? ((const uint64_t *)r->bins)[k] : ((const uint32_t *)r->bins)[k];
        if (c > UINT64_MAX / 2 - *sum)
            return "counts overflow";
        bin[first + i] = c;
        *sum += c;
    }
    r->bins_used += count;
    return NULL;
}

static bool is_amax(float v)
{
    return v == 0 ? !signbit(v) : v >= FLT_MIN && v <= FLT_MAX;
}

/* The highest occupied bin is the one of amax. */
static bool top_bin_is(const uint64_t *bin, size_t n, float amax, int width_exp)
{
    if (!(amax > 0))
        return true;
    const size_t top = (size_t)ldexp((double)amax, -width_exp);
    for (size_t i = top + 1; i < n; i++)
        if (bin[i] != 0)
            return false;
    return top < n && bin[top] != 0;
}

static const char *load_hist(reader *r, size_t i, oct_hist *h)
{
    const float pos = r->amax[2 * i], neg = r->amax[2 * i + 1];
    const uint64_t *c = r->counts + STATS_N_COUNTS * i;
    if (!is_amax(pos) || !is_amax(neg))
        return "amax is no usable magnitude";
    const int e_pos = pos > 0 ? oct_hist_width_exp(pos) : OCT_HIST_EXP_MIN;
    const int e_neg = neg > 0 ? oct_hist_width_exp(neg) : OCT_HIST_EXP_MIN;
    if (r->width[2 * i] != e_pos || r->width[2 * i + 1] != e_neg)
        return "bin width does not fit amax";
    if (oct_hist_reserve(r->ctx, h, pos, neg) != OCT_OK)
        return "";
    uint64_t sum = 0;
    const char *wrong = take_bins(r, h->pos.bin, OCT_HIST_BINS, r->slice + 4 * i, &sum);
    if (wrong == NULL)
        wrong = take_bins(r, h->neg.bin, OCT_HIST_BINS, r->slice + 4 * i + 2, &sum);
    if (wrong != NULL)
        return wrong;
    if (c[1] > UINT64_MAX / 2 || c[0] != c[1] + sum)
        return "counts do not add up";
    if (c[2] > UINT64_MAX / 2 || c[3] > UINT64_MAX / 2 || c[4] > UINT64_MAX / 2)
        return "counts overflow";
    if (!top_bin_is(h->pos.bin, OCT_HIST_BINS, pos, e_pos) ||
        !top_bin_is(h->neg.bin, OCT_HIST_BINS, neg, e_neg))
        return "the last bin is not that of amax";
    h->n_total = c[0];
    h->n_zero = c[1];
    h->n_nan = c[2];
    h->n_pos_inf = c[3];
    h->n_neg_inf = c[4];
    return NULL;
}

static const char *load_fold(reader *r, size_t i, int f, oct_hist *h)
{
    const size_t at = i * OCT_HIST_FOLDS + (size_t)f;
    const uint64_t *c = r->fold_counts + STATS_N_FOLD_COUNTS * at;
    const float pos = r->fold_amax[2 * at], neg = r->fold_amax[2 * at + 1];
    oct_hist_fold *fold = &h->fold[f];
    if (c[0] == 0 && c[2] == 0)
        return NULL;
    if (!is_amax(pos) || !is_amax(neg) || pos > h->pos.amax || neg > h->neg.amax)
        return "a fold's amax is not inside the whole";
    if (oct_hist_reserve_fold(r->ctx, h, f) != OCT_OK)
        return "";
    uint64_t sum = 0;
    const uint32_t *slice = r->fold_slice + 4 * at;
    uint64_t *neg_bin = fold->bin + OCT_HIST_COARSE_BINS;
    const char *wrong = take_bins(r, fold->bin, OCT_HIST_COARSE_BINS, slice, &sum);
    if (wrong == NULL)
        wrong = take_bins(r, neg_bin, OCT_HIST_COARSE_BINS, slice + 2, &sum);
    if (wrong != NULL)
        return wrong;
    if (c[1] > UINT64_MAX / 2 || c[0] != c[1] + sum || c[0] > h->n_total)
        return "a fold's counts do not add up";
    const int shift = OCT_HIST_COARSE_SHIFT;
    if (!top_bin_is(fold->bin, OCT_HIST_COARSE_BINS, pos, h->pos.width_exp + shift) ||
        !top_bin_is(neg_bin, OCT_HIST_COARSE_BINS, neg, h->neg.width_exp + shift) ||
        (pos == 0 && slice[1] != 0) || (neg == 0 && slice[3] != 0))
        return "a fold's last bin is not that of its amax";
    fold->pos_amax = pos;
    fold->neg_amax = neg;
    fold->n_total = c[0];
    fold->n_zero = c[1];
    fold->n_neg_inf = c[2];
    return NULL;
}

static oct_status load_tensors(reader *r, oct_stats *s)
{
    OCT_TRY(read_bins(r, STATS_BINS));
    for (size_t i = 0; i < r->n; i++) {
        size_t seen;
        if (r->name[i][0] == '\0' || oct_stats_find(s, r->name[i], &seen))
            return bad_tensor(r, i, "name is empty or repeated");
        if (r->kind[i] >= OCT_STAT_KIND_COUNT ||
            (r->kind[i] != OCT_STAT_SCANNED && r->source[i] >= i))
            return bad_tensor(r, i, "source is not an earlier tensor");
        OCT_TRY(oct_stats_add_tensor(s, r->name[i], (oct_stat_kind)r->kind[i], r->source[i], NULL));
        oct_stat_tensor *t = &s->tensor[i];
        const char *wrong = load_hist(r, i, &t->hist);
        if (wrong != NULL)
            return wrong[0] == '\0' ? OCT_ERR_NOMEM : bad_tensor(r, i, wrong);
        if (t->kind != OCT_STAT_SCANNED && t->hist.n_total != 0)
            return bad_tensor(r, i, "a derived tensor has counts of its own");
        t->pos_image = r->image[2 * i];
        t->neg_image = r->image[2 * i + 1];
        t->pos_image_amax = t->hist.pos.amax;
        t->neg_image_amax = t->hist.neg.amax;
    }
    if (r->bins_used != r->n_bins)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "more bins are stored than tensors use");
    return OCT_OK;
}

static oct_status load_folds(reader *r, oct_stats *s)
{
    OCT_TRY(read_bins(r, STATS_FOLD_BINS));
    for (size_t i = 0; i < r->n; i++) {
        for (int f = 0; f < OCT_HIST_FOLDS; f++) {
            const char *wrong = load_fold(r, i, f, &s->tensor[i].hist);
            if (wrong != NULL)
                return wrong[0] == '\0' ? OCT_ERR_NOMEM : bad_tensor(r, i, wrong);
        }
    }
    if (r->bins_used != r->n_bins)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "more fold bins are stored than tensors use");
    return OCT_OK;
}

/* ---- optional parts ---------------------------------------------------------------------- */

static oct_status load_exact_rows(reader *r, oct_stats *s, const uint32_t *index, size_t n,
                                  const uint64_t *bins)
{
    for (size_t k = 0; k < n; k++) {
        if (index[k] >= s->n_tensors || s->tensor[index[k]].exact != NULL)
            return oct_fail(r->ctx, OCT_ERR_FORMAT, "exact table %zu belongs to no tensor", k);
        const uint64_t *row = bins + OCT_VIEW_BINS * k;
        for (size_t j = 0; j < OCT_VIEW_BINS; j++)
            if (row[j] > UINT64_MAX / 2 / OCT_VIEW_BINS)
                return bad_tensor(r, index[k], "counts overflow");
        if (row[OCT_VIEW_BINS - 1] == 0)
            return bad_tensor(r, index[k], "the exact table lacks the maximum");
        uint64_t *copy = oct_alloc_array(r->ctx, OCT_VIEW_BINS, sizeof *copy);
        if (copy == NULL)
            return OCT_ERR_NOMEM;
        memcpy(copy, row, OCT_VIEW_BINS * sizeof *copy);
        s->tensor[index[k]].exact = copy;
    }
    return OCT_OK;
}

static oct_status load_exact(reader *r, oct_stats *s)
{
    if (!oct_container_has(r->c, STATS_EXACT))
        return OCT_OK;
    uint32_t *index = NULL;
    uint64_t *bins = NULL;
    size_t n;
    OCT_TRY(oct_container_read_1d(r->c, STATS_EXACT_TENSOR, OCT_DT_U32, r->n, (void **)&index, &n));
    oct_dtype dt;
    oct_shape shape;
    oct_status st = oct_container_info(r->c, STATS_EXACT, &dt, &shape);
    if (st == OCT_OK &&
        (shape.n_dims != 2 || shape.dim[0] != (int64_t)n || shape.dim[1] != OCT_VIEW_BINS))
        st = oct_fail(r->ctx, OCT_ERR_FORMAT, "exact tables have another shape than expected");
    if (st == OCT_OK && (bins = oct_alloc_array(r->ctx, n, OCT_VIEW_BINS * sizeof *bins)) == NULL)
        st = OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_container_read(r->c, STATS_EXACT, OCT_DT_U64, n * OCT_VIEW_BINS, bins);
    if (st == OCT_OK)
        st = load_exact_rows(r, s, index, n, bins);
    oct_free(r->ctx, index);
    oct_free(r->ctx, bins);
    return st;
}

static oct_status fill_channels(reader *r, oct_stats *s, const uint32_t *count, size_t n,
                                const float *range, const uint64_t *sum)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (count[i] > n - k)
            return bad_tensor(r, i, "more channels than are stored");
        if (count[i] == 0)
            continue;
        oct_stat_tensor *t = &s->tensor[i];
        t->channel = oct_alloc_array(r->ctx, count[i], sizeof *t->channel);
        if (t->channel == NULL)
            return OCT_ERR_NOMEM;
        t->n_channels = count[i];
        for (size_t c = 0; c < count[i]; c++, k++) {
            t->channel[c] = (oct_stat_channel){
                .min = range[2 * k],
                .max = range[2 * k + 1],
                .n = sum[4 * k],
                .sum = {sum[4 * k + 1], (int64_t)sum[4 * k + 2], sum[4 * k + 3]},
            };
            if (isnan(range[2 * k]) || isnan(range[2 * k + 1]))
                return bad_tensor(r, i, "a channel's range is not a number");
        }
    }
    return k == n ? OCT_OK
                  : oct_fail(r->ctx, OCT_ERR_FORMAT, "more channels are stored than tensors use");
}

static oct_status load_channels(reader *r, oct_stats *s)
{
    if (!oct_container_has(r->c, STATS_CHANNEL_COUNT))
        return OCT_OK;
    uint32_t *count = NULL;
    float *range = NULL;
    uint64_t *sum = NULL;
    oct_dtype dt;
    oct_shape shape;
    size_t n = 0;
    oct_status st = read_array(r, STATS_CHANNEL_COUNT, OCT_DT_U32, 1, (void **)&count);
    if (st == OCT_OK)
        st = oct_container_info(r->c, STATS_CHANNEL_RANGE, &dt, &shape);
    if (st == OCT_OK && (shape.n_dims != 2 || shape.dim[1] != 2))
        st = oct_fail(r->ctx, OCT_ERR_FORMAT, "channel ranges have another shape than expected");
    if (st == OCT_OK) {
        n = (size_t)shape.dim[0]; /* really stored: bounded by the file */
        range = oct_alloc_array(r->ctx, n, 2 * sizeof *range);
        sum = oct_alloc_array(r->ctx, n, 4 * sizeof *sum);
        st = range && sum ? OCT_OK : OCT_ERR_NOMEM;
    }
    if (st == OCT_OK)
        st = oct_container_read(r->c, STATS_CHANNEL_RANGE, OCT_DT_F32, 2 * n, range);
    if (st == OCT_OK)
        st = oct_container_read(r->c, STATS_CHANNEL_SUM, OCT_DT_U64, 4 * n, sum);
    if (st == OCT_OK)
        st = fill_channels(r, s, count, n, range, sum);
    oct_free(r->ctx, count);
    oct_free(r->ctx, range);
    oct_free(r->ctx, sum);
    return st;
}

/* ---- images and provenance --------------------------------------------------------------- */

static oct_status load_images(reader *r, oct_stats *s)
{
    oct_dtype dt;
    oct_shape shape;
    OCT_TRY(oct_container_info(r->c, STATS_IMAGES, &dt, &shape));
    if (shape.n_dims != 2 || shape.dim[1] != OCT_SHA256_BYTES ||
        (uint64_t)shape.dim[0] > MAX_IMAGES)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "image ids have another shape than expected");
    const size_t n = (size_t)shape.dim[0];
    oct_sha256 *id = oct_alloc_array(r->ctx, n, sizeof *id);
    if (id == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = oct_container_read(r->c, STATS_IMAGES, OCT_DT_U8, n * OCT_SHA256_BYTES, id);
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        if (i > 0 && oct_sha256_cmp(&id[i - 1], &id[i]) > 0)
            st = oct_fail(r->ctx, OCT_ERR_FORMAT, "image ids are not sorted");
        else
            st = oct_stats_add_image(s, &id[i]);
    }
    oct_free(r->ctx, id);
    return st;
}

static bool parse_sha256(const char *hex, oct_sha256 *out)
{
    if (strlen(hex) != 2 * OCT_SHA256_BYTES)
        return false;
    for (size_t i = 0; i < 2 * OCT_SHA256_BYTES; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, hex[i]);
        if (at == NULL)
            return false;
        const unsigned v = (unsigned)(at - digits);
        out->byte[i / 2] = (uint8_t)(i % 2 == 0 ? v << 4 : out->byte[i / 2] | v);
    }
    return true;
}

static oct_status load_engines(reader *r, oct_stats *s, const json_t *list)
{
    if (json_array_size(list) == 0)
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "provenance names no engine");
    oct_stats_clear_engines(s);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL)
            return oct_fail(r->ctx, OCT_ERR_FORMAT, "provenance: engines are texts");
        OCT_TRY(oct_stats_add_engine(s, text));
    }
    return OCT_OK;
}

static oct_status new_from_provenance(reader *r, const json_t *root, oct_stats **out)
{
    const oct_json_at at = {r->ctx, "provenance", ""};
    const char *model, *preprocess;
    json_t *engines;
    OCT_TRY(oct_json_get_string(&at, root, "model", &model));
    OCT_TRY(oct_json_get_string(&at, root, "preprocess", &preprocess));
    OCT_TRY(oct_json_get_array(&at, root, "engines", &engines));
    oct_stats_origin origin = {.preprocess = preprocess, .engine = ""};
    if (!parse_sha256(model, &origin.model))
        return oct_fail(r->ctx, OCT_ERR_FORMAT, "provenance: 'model' is no SHA-256");
    oct_stats *s;
    OCT_TRY(oct_stats_new(r->ctx, &origin, &s));
    const oct_status st = load_engines(r, s, engines);
    if (st != OCT_OK) {
        oct_stats_free(s);
        return st;
    }
    *out = s;
    return OCT_OK;
}

static oct_status read_provenance(reader *r, oct_stats **out)
{
    char *text;
    OCT_TRY(oct_container_read_text(r->c, STATS_PROVENANCE, STATS_MAX_TEXT, &text));
    json_t *root = NULL;
    oct_status st = oct_json_read_text(r->ctx, "provenance", text, strlen(text), &root);
    if (st == OCT_OK)
        st = new_from_provenance(r, root, out);
    oct_json_read_free(root);
    oct_free(r->ctx, text);
    return st;
}

static oct_status read_all(reader *r, oct_stats *s)
{
    uint8_t complete;
    OCT_TRY(oct_container_read(r->c, STATS_COMPLETE, OCT_DT_U8, 1, &complete));
    oct_stats_set_complete(s, complete != 0);
    OCT_TRY(load_images(r, s));
    OCT_TRY(read_arrays(r));
    OCT_TRY(load_tensors(r, s));
    OCT_TRY(load_folds(r, s));
    OCT_TRY(load_exact(r, s));
    OCT_TRY(load_channels(r, s));
    return oct_stats_read_means(r->ctx, r->c, s);
}

static oct_status from_container(oct_ctx *ctx, oct_container *c, oct_stats **out)
{
    reader r = {.ctx = ctx, .c = c};
    oct_stats *s = NULL;
    oct_status st = read_provenance(&r, &s);
    if (st == OCT_OK)
        st = read_all(&r, s);
    free_reader(&r);
    if (st != OCT_OK) {
        oct_stats_free(s);
        return st;
    }
    *out = s;
    return OCT_OK;
}

oct_status oct_stats_parse(oct_ctx *ctx, const void *data, size_t n_bytes, oct_stats **out)
{
    oct_container *c;
    OCT_TRY(oct_container_open_memory(ctx, data, n_bytes, OCT_STATS_KIND, OCT_STATS_VERSION, &c));
    const oct_status st = from_container(ctx, c, out);
    oct_container_close(c);
    return st;
}

oct_status oct_stats_read(oct_ctx *ctx, const char *path, oct_stats **out)
{
    oct_container *c;
    OCT_TRY(oct_container_open(ctx, path, OCT_STATS_KIND, OCT_STATS_VERSION, MAX_FILE_BYTES, &c));
    const oct_status st = from_container(ctx, c, out);
    oct_container_close(c);
    return st == OCT_OK ? OCT_OK : oct_fail_in(ctx, st, "%s", path);
}
