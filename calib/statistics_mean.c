/* SPDX-License-Identifier: Apache-2.0
 *
 * Channel means in the statistics file (layout: calib/FORMAT.md).
 */
#include "base/checked.h"
#include "base/container.h"
#include "calib/statistics_internal.h"

/* One row a tensor with means. */
typedef struct rows {
    size_t n, n_sums;
    uint32_t *tensor, *channels;
    uint8_t *axis;
    uint64_t *count, *sum;
} rows;

static oct_status alloc_rows(oct_ctx *ctx, rows *r)
{
    r->tensor = oct_alloc_array(ctx, r->n, sizeof *r->tensor);
    r->axis = oct_alloc_array(ctx, r->n, sizeof *r->axis);
    r->channels = oct_alloc_array(ctx, r->n, sizeof *r->channels);
    r->count = oct_alloc_array(ctx, r->n, sizeof *r->count);
    r->sum = oct_alloc_array(ctx, r->n_sums, 3 * sizeof *r->sum);
    return r->tensor && r->axis && r->channels && r->count && r->sum ? OCT_OK : OCT_ERR_NOMEM;
}

static void free_rows(oct_ctx *ctx, rows *r)
{
    oct_free(ctx, r->tensor);
    oct_free(ctx, r->axis);
    oct_free(ctx, r->channels);
    oct_free(ctx, r->count);
    oct_free(ctx, r->sum);
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Images that disagree are written as a count without channels. */
static void fill_rows(const oct_stats *s, rows *r)
{
    size_t k = 0, at = 0;
    for (size_t i = 0; i < s->n_tensors; i++) {
        const oct_channel_mean *m = s->tensor[i].mean;
        if (m == NULL)
            continue;
        r->tensor[k] = (uint32_t)i;
        r->axis[k] = (uint8_t)m->axis;
        r->channels[k] = (uint32_t)m->n_channels;
        r->count[k++] = m->mixed ? 1 : m->n;
        for (size_t c = 0; c < m->n_channels; c++, at += 3) {
            r->sum[at] = m->sum[c].lo;
            r->sum[at + 1] = (uint64_t)m->sum[c].hi;
            r->sum[at + 2] = m->sum[c].n_big;
        }
    }
}

static oct_status write_rows(oct_container_writer *w, const rows *r)
{
    OCT_TRY(oct_container_write_1d(w, STATS_MEAN_TENSOR, OCT_DT_U32, r->n, r->tensor));
    OCT_TRY(oct_container_write_1d(w, STATS_MEAN_AXIS, OCT_DT_U8, r->n, r->axis));
    OCT_TRY(oct_container_write_1d(w, STATS_MEAN_CHANNELS, OCT_DT_U32, r->n, r->channels));
    OCT_TRY(oct_container_write_1d(w, STATS_MEAN_COUNT, OCT_DT_U64, r->n, r->count));
    return oct_container_write(w, STATS_MEAN_SUM, OCT_DT_U64, 2,
                               (const int64_t[]){(int64_t)r->n_sums, 3}, r->sum);
}

oct_status oct_stats_write_means(oct_ctx *ctx, const oct_stats *s, oct_container_writer *w)
{
    rows r = {0};
    for (size_t i = 0; i < s->n_tensors; i++) {
        r.n += s->tensor[i].mean != NULL;
        r.n_sums += s->tensor[i].mean != NULL ? s->tensor[i].mean->n_channels : 0;
    }
    if (r.n == 0)
        return OCT_OK;
    oct_status st = alloc_rows(ctx, &r);
    if (st == OCT_OK) {
        fill_rows(s, &r);
        st = write_rows(w, &r);
    }
    free_rows(ctx, &r);
    return st;
}

/* ---- reading ----------------------------------------------------------------------------- */

static oct_status bad(oct_ctx *ctx, size_t row, const char *what)
{
    return oct_fail(ctx, OCT_ERR_FORMAT, "channel means, row %zu: %s", row, what);
}

static oct_status take_row(oct_ctx *ctx, oct_stats *s, const rows *r, size_t k, size_t *at)
{
    const size_t n = r->channels[k];
    if (r->tensor[k] >= s->n_tensors || (k > 0 && r->tensor[k] <= r->tensor[k - 1]))
        return bad(ctx, k, "it belongs to no tensor");
    if (r->axis[k] >= OCT_MEAN_AXIS_COUNT)
        return bad(ctx, k, "unknown axis");
    if (n > r->n_sums - *at)
        return bad(ctx, k, "more channels than are stored");
    if (r->count[k] > UINT64_MAX / 2 || (n > 0 && r->count[k] == 0))
        return bad(ctx, k, "the count does not fit");
    oct_stat_tensor *t = &s->tensor[r->tensor[k]];
    OCT_TRY(oct_channel_mean_new(ctx, (oct_mean_axis)r->axis[k], &t->mean));
    t->mean->mixed = n == 0 && r->count[k] > 0;
    if (n == 0)
        return OCT_OK;
    t->mean->sum = oct_alloc_array(ctx, n, sizeof *t->mean->sum);
    if (t->mean->sum == NULL)
        return OCT_ERR_NOMEM;
    t->mean->n_channels = n;
    t->mean->n = r->count[k];
    for (size_t c = 0; c < n; c++) {
        const uint64_t *sum = r->sum + 3 * (*at)++;
        t->mean->sum[c] = (oct_exact_sum){sum[0], (int64_t)sum[1], sum[2]};
    }
    return OCT_OK;
}

static oct_status take_rows(oct_ctx *ctx, oct_stats *s, const rows *r)
{
    size_t at = 0;
    for (size_t k = 0; k < r->n; k++)
        OCT_TRY(take_row(ctx, s, r, k, &at));
    return at == r->n_sums
               ? OCT_OK
               : oct_fail(ctx, OCT_ERR_FORMAT, "more channel means are stored than tensors use");
}

static oct_status read_column(oct_ctx *ctx, oct_container *c, const char *path, oct_dtype dt,
                              size_t want, void **out)
{
    size_t n;
    OCT_TRY(oct_container_read_1d(c, path, dt, want, out, &n));
    return n == want ? OCT_OK
                     : oct_fail(ctx, OCT_ERR_FORMAT,
                                "dataset '%s' has another length than expected", path);
}

static oct_status read_rows(oct_ctx *ctx, oct_container *c, size_t n_tensors, rows *r)
{
    oct_dtype dt;
    oct_shape shape;
    OCT_TRY(oct_container_read_1d(c, STATS_MEAN_TENSOR, OCT_DT_U32, n_tensors, (void **)&r->tensor,
                                  &r->n));
    OCT_TRY(read_column(ctx, c, STATS_MEAN_AXIS, OCT_DT_U8, r->n, (void **)&r->axis));
    OCT_TRY(read_column(ctx, c, STATS_MEAN_CHANNELS, OCT_DT_U32, r->n, (void **)&r->channels));
    OCT_TRY(read_column(ctx, c, STATS_MEAN_COUNT, OCT_DT_U64, r->n, (void **)&r->count));
    OCT_TRY(oct_container_info(c, STATS_MEAN_SUM, &dt, &shape));
    if (shape.n_dims != 2 || shape.dim[1] != 3)
        return oct_fail(ctx, OCT_ERR_FORMAT, "channel sums have another shape than expected");
    r->n_sums = (size_t)shape.dim[0]; /* really stored: bounded by the file */
    r->sum = oct_alloc_array(ctx, r->n_sums, 3 * sizeof *r->sum);
    return r->sum != NULL ? oct_container_read(c, STATS_MEAN_SUM, OCT_DT_U64, 3 * r->n_sums, r->sum)
                          : OCT_ERR_NOMEM;
}

oct_status oct_stats_read_means(oct_ctx *ctx, oct_container *c, oct_stats *s)
{
    rows r = {0};
    if (!oct_container_has(c, STATS_MEAN_TENSOR))
        return OCT_OK; /* of an older version, of a device, or merged with such */
    oct_status st = read_rows(ctx, c, s->n_tensors, &r);
    if (st == OCT_OK)
        st = take_rows(ctx, s, &r);
    free_rows(ctx, &r);
    return st;
}
