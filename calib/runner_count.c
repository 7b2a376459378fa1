/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the values that the engine shows while it runs an image.
 */
#include <math.h>
#include <string.h>

#include "base/numeric.h"
#include "base/strbuf.h"
#include "calib/runner_internal.h"

/* Hands the elements of `t` to `fn` as f32, in pieces. */
typedef oct_status (*piece_fn)(void *user, oct_ctx *ctx, const float *x, size_t n);

static void convert_piece(const oct_tensor *t, size_t first, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)oct_elem_f64(t->data, t->desc.dtype, first + i);
}

static oct_status for_pieces(image_observer *o, oct_ctx *ctx, const oct_tensor *t, piece_fn fn,
                             void *user)
{
    size_t n;
    if (!oct_tensor_desc_is_dense(&t->desc) || !oct_shape_elems(&t->desc.shape, &n))
        return oct_fail(ctx, OCT_ERR_BUG, "an observed value is not dense");
    if (t->desc.dtype == OCT_DT_F32)
        return fn(user, ctx, t->data, n);
    for (size_t i = 0; i < n; i += CONVERT_ELEMS) {
        const size_t len = n - i < CONVERT_ELEMS ? n - i : CONVERT_ELEMS;
        convert_piece(t, i, len, o->convert);
        OCT_TRY(fn(user, ctx, o->convert, len));
    }
    return OCT_OK;
}

/* ---- first pass -------------------------------------------------------------------------- */

typedef struct count_job {
    oct_hist *hist;
    oct_hist_scratch *scratch; /* NULL: straight into the histogram, under its lock */
    int fold;
    oct_hist_range seen;
} count_job;

static oct_status count_piece(void *user, oct_ctx *ctx, const float *x, size_t n)
{
    count_job *j = user;
    if (j->scratch == NULL)
        return oct_hist_add(ctx, j->hist, x, n, j->fold, &j->seen);
    oct_hist_scratch_add(j->scratch, x, n);
    return OCT_OK;
}

oct_status oct_runner_check_finite(const runner *r, oct_ctx *ctx, const char *name,
                                   const oct_hist_range *seen, const char *image_name)
{
    const uint64_t n_inf = seen->n_pos_inf + seen->n_neg_inf;
    if (r->opt->allow_nonfinite || (seen->n_nan == 0 && n_inf == 0))
        return OCT_OK;
    char tensor[160], image[160];
    return oct_fail(ctx, OCT_ERR_RANGE,
                    "tensor '%s' has %llu NaN and %llu infinite values for image '%s'; "
                    "--allow-nonfinite counts them apart",
                    oct_printable(name, tensor, sizeof tensor), (unsigned long long)seen->n_nan,
                    (unsigned long long)n_inf, oct_printable(image_name, image, sizeof image));
}

static oct_status alloc_channels(oct_ctx *ctx, oct_stat_tensor *st, size_t n, const char *name)
{
    if (st->n_channels == n)
        return OCT_OK;
    if (st->channel != NULL)
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "tensor '%s' has %zu channels in one image and %zu in "
                        "another",
                        name, st->n_channels, n);
    st->channel = oct_zalloc_array(ctx, n, sizeof *st->channel);
    if (st->channel == NULL)
        return OCT_ERR_NOMEM;
    st->n_channels = n;
    for (size_t c = 0; c < n; c++) {
        st->channel[c].min = INFINITY;
        st->channel[c].max = -INFINITY;
    }
    return OCT_OK;
}

static void add_to_channel(oct_stat_channel *c, float v)
{
    if (isnan(v))
        return;
    c->min = v < c->min ? v : c->min;
    c->max = v > c->max ? v : c->max;
    c->n++;
    oct_exact_sum_add(&c->sum, v);
}

/* Axis 1 is the channel; values of lesser rank have none. */
static oct_status count_channels(oct_ctx *ctx, oct_stat_tensor *st, const oct_tensor *t)
{
    const oct_shape *s = &t->desc.shape;
    size_t n;
    if (s->n_dims < 2 || !oct_shape_elems(s, &n) || n == 0)
        return OCT_OK;
    const size_t channels = (size_t)s->dim[1], per_image = n / (size_t)s->dim[0];
    const size_t inner = per_image / channels;
    const bool last = t->desc.layout == OCT_LAYOUT_CHANNELS_LAST && s->n_dims >= 3;
    OCT_TRY(alloc_channels(ctx, st, channels, st->name));
    for (size_t i = 0; i < n; i++) {
        const size_t c = last ? i % channels : i / inner % channels;
        add_to_channel(&st->channel[c], (float)oct_elem_f64(t->data, t->desc.dtype, i));
    }
    return OCT_OK;
}

/* With the tensor's lock held. */
static oct_status book_tensor(image_observer *o, oct_ctx *ctx, oct_stat_tensor *st,
                              const oct_tensor *t, count_job *job)
{
    if (job->scratch != NULL)
        OCT_TRY(oct_hist_scratch_take(ctx, job->hist, job->scratch, job->fold, &job->seen));
    else
        OCT_TRY(for_pieces(o, ctx, t, count_piece, job));
    oct_stat_tensor_note(st, &job->seen, &o->sample->id);
    return o->r->opt->per_channel ? count_channels(ctx, st, t) : OCT_OK;
}

oct_status oct_runner_count(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                            oct_stream *stream)
{
    image_observer *o = (image_observer *)self;
    oct_stat_tensor *st = oct_stats_tensor(o->r->stats, value);
    OCT_TRY(oct_runner_count_mean(o, ctx, value, t));
    if (st->kind != OCT_STAT_SCANNED)
        return OCT_OK;
    pthread_mutex_t *lock = &o->r->tensor_lock[value];
    count_job job = {.hist = &st->hist, .fold = o->fold};
    size_t n;
    if (oct_shape_elems(&t->desc.shape, &n) && oct_hist_scratch_pays(n)) {
        job.scratch = o->scratch;
        pthread_mutex_lock(lock);
        oct_hist_scratch_begin(job.scratch, job.hist);
        pthread_mutex_unlock(lock);
        OCT_TRY(for_pieces(o, ctx, t, count_piece, &job));
    }
    pthread_mutex_lock(lock);
    const oct_status status = book_tensor(o, ctx, st, t, &job);
    pthread_mutex_unlock(lock);
    return status == OCT_OK
               ? oct_runner_check_finite(o->r, ctx, st->name, &job.seen, o->sample->name)
               : status;
}

/* ---- second pass ------------------------------------------------------------------------- */

/* The tables that one scanned value feeds: its own, and that of its Relu if there is one. */
typedef struct exact_job {
    uint64_t *own, *relu;
    double own_scale, relu_scale; /* bins per unit */
} exact_job;

static void count_exact(uint64_t *bin, double scale, double magnitude)
{
    const double k = magnitude * scale;
    bin[k < OCT_VIEW_BINS - 1 ? (size_t)k : OCT_VIEW_BINS - 1]++;
}

static oct_status exact_piece(void *user, oct_ctx *ctx, const float *x, size_t n)
{
    exact_job *j = user;
    for (size_t i = 0; i < n; i++) {
        if (!isnormal(x[i])) /* zeros are left out, as subnormals; NaN and infinities too */
            continue;
        if (j->own != NULL)
            count_exact(j->own, j->own_scale, fabs((double)x[i]));
        if (j->relu != NULL && x[i] > 0)
            count_exact(j->relu, j->relu_scale, (double)x[i]);
    }
    return OCT_OK;
}

/* The first Relu of tensor `i` in the list, whose table stands for all of them; or none. */
static oct_stat_tensor *relu_table(oct_stats *s, size_t i)
{
    for (size_t k = i + 1; k < oct_stats_n_tensors(s); k++) {
        bool relu;
        if (oct_stats_at(s, k)->kind != OCT_STAT_SCANNED && oct_stats_root(s, k, &relu) == i &&
            relu)
            return oct_stats_tensor(s, k);
    }
    return NULL;
}

void oct_runner_exact_scales(oct_stats *s, size_t i, double scale[2])
{
    const oct_stat_tensor *t = oct_stats_at(s, i);
    const oct_stat_tensor *relu = relu_table(s, i);
    scale[0] = t->exact != NULL ? OCT_VIEW_BINS / (double)oct_hist_amax(&t->hist) : 0;
    scale[1] = relu != NULL && relu->exact != NULL ? OCT_VIEW_BINS / (double)t->hist.pos.amax : 0;
}

void oct_runner_add_exact(oct_stats *s, size_t i, const uint64_t *own, const uint64_t *relu)
{
    oct_stat_tensor *t = oct_stats_tensor(s, i), *r = relu_table(s, i);
    for (size_t k = 0; t->exact != NULL && k < OCT_VIEW_BINS; k++)
        t->exact[k] += own[k];
    for (size_t k = 0; r != NULL && r->exact != NULL && k < OCT_VIEW_BINS; k++)
        r->exact[k] += relu[k];
}

oct_status oct_runner_count_exact(oct_observer *self, oct_ctx *ctx, uint32_t value,
                                  const oct_tensor *t, oct_stream *stream)
{
    image_observer *o = (image_observer *)self;
    oct_stat_tensor *st = oct_stats_tensor(o->r->stats, value);
    double scale[2];
    if (st->kind != OCT_STAT_SCANNED)
        return OCT_OK;
    oct_runner_exact_scales(o->r->stats, value, scale);
    oct_stat_tensor *relu = relu_table(o->r->stats, value);
    exact_job job = {.own = scale[0] > 0 ? st->exact : NULL,
                     .own_scale = scale[0],
                     .relu = scale[1] > 0 ? relu->exact : NULL,
                     .relu_scale = scale[1]};
    pthread_mutex_lock(&o->r->tensor_lock[value]);
    const oct_status status = for_pieces(o, ctx, t, exact_piece, &job);
    pthread_mutex_unlock(&o->r->tensor_lock[value]);
    return status;
}

static oct_status new_table(oct_ctx *ctx, oct_stat_tensor *t)
{
    if (t->exact != NULL)
        return OCT_OK;
    t->exact = oct_zalloc_array(ctx, OCT_VIEW_BINS, sizeof *t->exact);
    return t->exact != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

oct_status oct_runner_alloc_exact(oct_ctx *ctx, oct_stats *s)
{
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        oct_stat_tensor *t = oct_stats_tensor(s, i);
        if (t->kind != OCT_STAT_SCANNED || !(oct_hist_amax(&t->hist) > 0))
            continue;
        OCT_TRY(new_table(ctx, t));
        oct_stat_tensor *relu = relu_table(s, i);
        if (relu != NULL && t->hist.pos.amax > 0)
            OCT_TRY(new_table(ctx, relu));
    }
    return OCT_OK;
}

oct_status oct_runner_share_exact(oct_ctx *ctx, oct_stats *s)
{
    for (size_t i = 0; i < oct_stats_n_tensors(s); i++) {
        oct_stat_tensor *t = oct_stats_tensor(s, i);
        bool relu;
        const size_t root = oct_stats_root(s, i, &relu);
        if (t->kind == OCT_STAT_SCANNED || t->exact != NULL)
            continue;
        const oct_stat_tensor *from = relu ? relu_table(s, root) : oct_stats_at(s, root);
        if (from == NULL || from->exact == NULL)
            continue;
        OCT_TRY(new_table(ctx, t));
        memcpy(t->exact, from->exact, OCT_VIEW_BINS * sizeof *t->exact);
    }
    return OCT_OK;
}
