/* SPDX-License-Identifier: Apache-2.0
 *
 * Statistics to a file (layout: calib/FORMAT.md).
 */
#include <string.h>

#include "base/checked.h"
#include "base/container.h"
#include "base/json.h"
#include "calib/statistics_internal.h"

/* The non-zero part of a run of counts. */
typedef struct slice {
    uint32_t first, count;
} slice;

static slice slice_of(const uint64_t *bin, size_t n)
{
    size_t lo = 0, hi = bin != NULL ? n : 0;
    while (lo < hi && bin[lo] == 0)
        lo++;
    while (hi > lo && bin[hi - 1] == 0)
        hi--;
    return lo < hi ? (slice){(uint32_t)lo, (uint32_t)(hi - lo)} : (slice){0, 0};
}

/* All slices of a dataset one after another, in 32 bits if every count fits. First measured,
 * then written in pieces, with the same calls. */
typedef struct bin_run {
    oct_container_writer *w; /* NULL while measuring */
    size_t n;
    uint64_t largest;
    bool wide;
    void *piece; /* PIECE_BINS counts */
    size_t n_piece;
    oct_status status; /* first failure */
} bin_run;

#define PIECE_BINS ((size_t)1 << 15)

static void write_piece(bin_run *r)
{
    if (r->status == OCT_OK)
        r->status = oct_container_piece(r->w, r->n_piece, r->piece);
    r->n_piece = 0;
}

static void put_bin(bin_run *r, uint64_t count)
{
    if (r->wide)
        ((uint64_t *)r->piece)[r->n_piece++] = count;
    else
        ((uint32_t *)r->piece)[r->n_piece++] = (uint32_t)count;
    if (r->n_piece == PIECE_BINS)
        write_piece(r);
}

static slice add_run(bin_run *r, const uint64_t *bin, size_t n)
{
    const slice s = slice_of(bin, n);
    for (size_t i = 0; i < s.count; i++) {
        const uint64_t c = bin[s.first + i];
        if (r->w != NULL)
            put_bin(r, c);
        else if (c > r->largest)
            r->largest = c;
    }
    r->n += s.count;
    return s;
}

typedef void (*run_fn)(const oct_stats *s, bin_run *r, uint32_t *slices);

static oct_status write_run(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w,
                            const char *path, run_fn run, uint32_t *slices)
{
    bin_run r = {0};
    run(s, &r, slices);
    r.wide = r.largest > UINT32_MAX;
    r.piece = oct_alloc_array(ctx, PIECE_BINS, r.wide ? sizeof(uint64_t) : sizeof(uint32_t));
    if (r.piece == NULL)
        return OCT_ERR_NOMEM;
    r.w = w;
    r.status = oct_container_begin_pieces(w, path, r.wide ? OCT_DT_U64 : OCT_DT_U32, r.n);
    if (r.status == OCT_OK) {
        run(s, &r, NULL);
        write_piece(&r);
        const oct_status st = oct_container_end_pieces(w);
        r.status = r.status == OCT_OK ? st : r.status;
    }
    oct_free(ctx, r.piece);
    return r.status;
}

static void put_slices(uint32_t *at, slice pos, slice neg)
{
    at[0] = pos.first;
    at[1] = pos.count;
    at[2] = neg.first;
    at[3] = neg.count;
}

/* ---- whole histograms -------------------------------------------------------------------- */

static void run_hists(const oct_stats *s, bin_run *r, uint32_t *slices)
{
    for (size_t i = 0; i < s->n_tensors; i++) {
        const oct_hist *h = &s->tensor[i].hist;
        const slice pos = add_run(r, h->pos.bin, OCT_HIST_BINS);
        const slice neg = add_run(r, h->neg.bin, OCT_HIST_BINS);
        if (slices != NULL)
            put_slices(slices + 4 * i, pos, neg);
    }
}

static oct_status write_bins(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    uint32_t *slices = oct_zalloc_array(ctx, 4 * s->n_tensors, sizeof *slices);
    if (slices == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = write_run(ctx, s, w, STATS_BINS, run_hists, slices);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_SLICE, OCT_DT_U32, 2,
                                 (const int64_t[]){(int64_t)s->n_tensors, 4}, slices);
    oct_free(ctx, slices);
    return st;
}

static oct_status write_counts(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    const size_t n = s->n_tensors;
    uint64_t *counts = oct_alloc_array(ctx, n, STATS_N_COUNTS * sizeof *counts);
    float *amax = oct_alloc_array(ctx, n, 2 * sizeof *amax);
    int32_t *width = oct_alloc_array(ctx, n, 2 * sizeof *width);
    oct_sha256 *image = oct_alloc_array(ctx, n, 2 * sizeof *image);
    oct_status st = counts && amax && width && image ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        const oct_stat_tensor *t = &s->tensor[i];
        const oct_hist *h = &t->hist;
        const uint64_t c[STATS_N_COUNTS] = {h->n_total, h->n_zero, h->n_nan, h->n_pos_inf,
                                            h->n_neg_inf};
        memcpy(counts + STATS_N_COUNTS * i, c, sizeof c);
        amax[2 * i] = h->pos.amax;
        amax[2 * i + 1] = h->neg.amax;
        width[2 * i] = h->pos.width_exp;
        width[2 * i + 1] = h->neg.width_exp;
        image[2 * i] = t->pos_image;
        image[2 * i + 1] = t->neg_image;
    }
    const int64_t rows = (int64_t)n;
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_COUNTS, OCT_DT_U64, 2,
                                 (const int64_t[]){rows, STATS_N_COUNTS}, counts);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_AMAX, OCT_DT_F32, 2, (const int64_t[]){rows, 2}, amax);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_WIDTH, OCT_DT_S32, 2, (const int64_t[]){rows, 2}, width);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_MAX_IMAGE, OCT_DT_U8, 3,
                                 (const int64_t[]){rows, 2, OCT_SHA256_BYTES}, image);
    oct_free(ctx, counts);
    oct_free(ctx, amax);
    oct_free(ctx, width);
    oct_free(ctx, image);
    return st;
}

/* ---- folds ------------------------------------------------------------------------------- */

static void run_folds(const oct_stats *s, bin_run *r, uint32_t *slices)
{
    for (size_t i = 0; i < s->n_tensors * OCT_HIST_FOLDS; i++) {
        const oct_hist_fold *f = &s->tensor[i / OCT_HIST_FOLDS].hist.fold[i % OCT_HIST_FOLDS];
        const slice pos = add_run(r, f->bin, OCT_HIST_COARSE_BINS);
        const slice neg =
            add_run(r, f->bin != NULL ? f->bin + OCT_HIST_COARSE_BINS : NULL, OCT_HIST_COARSE_BINS);
        if (slices != NULL)
            put_slices(slices + 4 * i, pos, neg);
    }
}

static oct_status write_fold_bins(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    uint32_t *slices = oct_zalloc_array(ctx, 4 * OCT_HIST_FOLDS * s->n_tensors, sizeof *slices);
    if (slices == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = write_run(ctx, s, w, STATS_FOLD_BINS, run_folds, slices);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_FOLD_SLICE, OCT_DT_U32, 3,
                                 (const int64_t[]){(int64_t)s->n_tensors, OCT_HIST_FOLDS, 4},
                                 slices);
    oct_free(ctx, slices);
    return st;
}

static oct_status write_folds(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    const size_t n = s->n_tensors * OCT_HIST_FOLDS;
    uint64_t *counts = oct_alloc_array(ctx, n, STATS_N_FOLD_COUNTS * sizeof *counts);
    float *amax = oct_alloc_array(ctx, n, 2 * sizeof *amax);
    oct_status st = counts && amax ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        const oct_hist_fold *f = &s->tensor[i / OCT_HIST_FOLDS].hist.fold[i % OCT_HIST_FOLDS];
        counts[3 * i] = f->n_total;
        counts[3 * i + 1] = f->n_zero;
        counts[3 * i + 2] = f->n_neg_inf;
        amax[2 * i] = f->pos_amax;
        amax[2 * i + 1] = f->neg_amax;
    }
    const int64_t rows = (int64_t)s->n_tensors;
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_FOLD_COUNTS, OCT_DT_U64, 3,
                                 (const int64_t[]){rows, OCT_HIST_FOLDS, STATS_N_FOLD_COUNTS},
                                 counts);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_FOLD_AMAX, OCT_DT_F32, 3,
                                 (const int64_t[]){rows, OCT_HIST_FOLDS, 2}, amax);
    oct_free(ctx, counts);
    oct_free(ctx, amax);
    return st == OCT_OK ? write_fold_bins(ctx, s, w) : st;
}

/* ---- optional parts ---------------------------------------------------------------------- */

static oct_status write_exact(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_tensors; i++)
        n += s->tensor[i].exact != NULL;
    if (n == 0)
        return OCT_OK;
    uint32_t *index = oct_alloc_array(ctx, n, sizeof *index);
    uint64_t *bins = oct_alloc_array(ctx, n, OCT_VIEW_BINS * sizeof *bins);
    oct_status st = index && bins ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0, k = 0; st == OCT_OK && i < s->n_tensors; i++) {
        if (s->tensor[i].exact == NULL)
            continue;
        index[k] = (uint32_t)i;
        memcpy(bins + OCT_VIEW_BINS * k++, s->tensor[i].exact, OCT_VIEW_BINS * sizeof *bins);
    }
    if (st == OCT_OK)
        st = oct_container_write_1d(w, STATS_EXACT_TENSOR, OCT_DT_U32, n, index);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_EXACT, OCT_DT_U64, 2,
                                 (const int64_t[]){(int64_t)n, OCT_VIEW_BINS}, bins);
    oct_free(ctx, index);
    oct_free(ctx, bins);
    return st;
}

static void fill_channels(const oct_stats *s, uint32_t *count, float *range, uint64_t *sum)
{
    for (size_t i = 0, k = 0; i < s->n_tensors; i++) {
        count[i] = (uint32_t)s->tensor[i].n_channels;
        for (size_t c = 0; c < s->tensor[i].n_channels; c++, k++) {
            const oct_stat_channel *ch = &s->tensor[i].channel[c];
            range[2 * k] = ch->min;
            range[2 * k + 1] = ch->max;
            sum[4 * k] = ch->n;
            sum[4 * k + 1] = ch->sum.lo;
            sum[4 * k + 2] = (uint64_t)ch->sum.hi;
            sum[4 * k + 3] = ch->sum.n_big;
        }
    }
}

static oct_status write_channels(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_tensors; i++)
        n += s->tensor[i].n_channels;
    if (n == 0)
        return OCT_OK;
    uint32_t *count = oct_alloc_array(ctx, s->n_tensors, sizeof *count);
    float *range = oct_alloc_array(ctx, n, 2 * sizeof *range);
    uint64_t *sum = oct_alloc_array(ctx, n, 4 * sizeof *sum);
    oct_status st = count && range && sum ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK) {
        fill_channels(s, count, range, sum);
        st = oct_container_write_1d(w, STATS_CHANNEL_COUNT, OCT_DT_U32, s->n_tensors, count);
    }
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_CHANNEL_RANGE, OCT_DT_F32, 2,
                                 (const int64_t[]){(int64_t)n, 2}, range);
    if (st == OCT_OK)
        st = oct_container_write(w, STATS_CHANNEL_SUM, OCT_DT_U64, 2,
                                 (const int64_t[]){(int64_t)n, 4}, sum);
    oct_free(ctx, count);
    oct_free(ctx, range);
    oct_free(ctx, sum);
    return st;
}

/* ---- the file ---------------------------------------------------------------------------- */

static oct_status write_provenance(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    char hex[OCT_SHA256_HEX_BYTES];
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, ctx);
    oct_json_init(&j, &b, false);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "model", oct_sha256_hex(&s->origin.model, hex));
    oct_json_kv_string(&j, "preprocess", s->origin.preprocess);
    oct_json_key(&j, "engines");
    oct_json_begin_array(&j);
    for (size_t i = 0; i < s->n_engines; i++)
        oct_json_string(&j, s->engine[i]);
    oct_json_end_array(&j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&b);
    if (st == OCT_OK)
        st = oct_container_write_text(w, STATS_PROVENANCE, b.text);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status write_tensor_list(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    const size_t n = s->n_tensors;
    const char **name = oct_alloc_array(ctx, n, sizeof *name);
    uint8_t *kind = oct_alloc_array(ctx, n, sizeof *kind);
    uint32_t *source = oct_alloc_array(ctx, n, sizeof *source);
    oct_status st = name && kind && source ? OCT_OK : OCT_ERR_NOMEM;
    for (size_t i = 0; st == OCT_OK && i < n; i++) {
        name[i] = s->tensor[i].name;
        kind[i] = (uint8_t)s->tensor[i].kind;
        source[i] = s->tensor[i].source;
    }
    if (st == OCT_OK)
        st = oct_container_write_strings(w, STATS_NAME, n, name);
    if (st == OCT_OK)
        st = oct_container_write_1d(w, STATS_KIND, OCT_DT_U8, n, kind);
    if (st == OCT_OK)
        st = oct_container_write_1d(w, STATS_SOURCE, OCT_DT_U32, n, source);
    oct_free(ctx, name);
    oct_free(ctx, kind);
    oct_free(ctx, source);
    return st;
}

static oct_status write_all(oct_ctx *ctx, oct_stats *s, oct_container_writer *w)
{
    const uint8_t complete = s->complete;
    OCT_TRY(oct_container_attr_text(w, "format", "octet calibration statistics"));
    OCT_TRY(oct_container_attr_u64(w, "images", s->n_images));
    OCT_TRY(write_provenance(ctx, s, w));
    OCT_TRY(oct_container_write_1d(w, STATS_COMPLETE, OCT_DT_U8, 1, &complete));
    OCT_TRY(oct_container_write(w, STATS_IMAGES, OCT_DT_U8, 2,
                                (const int64_t[]){(int64_t)s->n_images, OCT_SHA256_BYTES},
                                oct_stats_images(s)));
    OCT_TRY(write_tensor_list(ctx, s, w));
    OCT_TRY(write_counts(ctx, s, w));
    OCT_TRY(write_bins(ctx, s, w));
    OCT_TRY(write_folds(ctx, s, w));
    OCT_TRY(write_exact(ctx, s, w));
    OCT_TRY(write_channels(ctx, s, w));
    return oct_stats_write_means(ctx, s, w);
}

oct_status oct_stats_image(oct_ctx *ctx, oct_stats *s, uint8_t **image, size_t *n_bytes)
{
    oct_container_writer *w;
    OCT_TRY(oct_container_create(ctx, OCT_STATS_KIND, OCT_STATS_VERSION, &w));
    oct_status st = write_all(ctx, s, w);
    if (st == OCT_OK)
        st = oct_container_image(w, image, n_bytes);
    oct_container_discard(w);
    return st;
}

static oct_status write_file(oct_ctx *ctx, oct_stats *s, const char *path, bool force)
{
    oct_container_writer *w;
    OCT_TRY(oct_container_create_at(ctx, path, force, OCT_STATS_KIND, OCT_STATS_VERSION, &w));
    const oct_status st = write_all(ctx, s, w);
    if (st == OCT_OK)
        return oct_container_finish(w);
    oct_container_discard(w);
    return st;
}

oct_status oct_stats_write(oct_ctx *ctx, oct_stats *s, const char *path, bool force)
{
    const oct_status st = write_file(ctx, s, path, force);
    return st == OCT_OK ? OCT_OK : oct_fail_in(ctx, st, "%s", path);
}
