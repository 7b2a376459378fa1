/* SPDX-License-Identifier: Apache-2.0
 *
 * Calibration on a device. Images are gathered into *lots* of one fold each; a worker takes
 * a full lot, runs the engine once and counts every observed value where it lies. Lots are always
 * run at full size, so that one plan serves all: of a lot that is not full only the rows that
 * hold images are counted.
 *
 * A value can be counted per image only where the batch is proven to be its outermost factor. If
 * one is not, the model runs one image at a time.
 *
 * Each worker has histograms of its own on the device; they are merged into the statistics at
 * checkpoints and at the end.
 */
#include "calib/runner_device.h"

#include <string.h>

#include "base/checked.h"
#include "base/parallel.h"

enum {
    LOT_IMAGES = 32,
    N_WORKERS = 2, /* one copies in while the other computes */
};

_Static_assert(OCT_HIST_FOLDS == OCT_HIST_DEVICE_FOLDS, "folds differ");
_Static_assert(OCT_VIEW_BINS == OCT_HIST_EXACT_BINS, "exact tables differ");

/* Images of one fold, side by side. */
typedef struct lot {
    oct_tensor *in; /* n_inputs, [cap, ...] */
    oct_sample *sample;
    char **name; /* owned copies */
    int n, fold;
    struct lot *next; /* in a list */
} lot;

typedef struct device_run {
    runner *r;
    oct_backend *be;
    const oct_hist_device_vtable *hist;
    int cap; /* images of a lot */
    uint32_t n_values;
    size_t n_inputs;
    pthread_mutex_t feed; /* guards what follows */
    lot *filling[OCT_HIST_FOLDS];
    lot *full, *spare;
    bool ended;                              /* the source has no more */
    struct device_worker *worker[N_WORKERS]; /* those that may hold counts; guarded by r->quiet */
} device_run;

/* The image that reached the largest magnitude of a value. */
typedef struct best_image {
    float amax;
    oct_sha256 id;
} best_image;

typedef struct device_worker {
    oct_observer base; /* first member */
    device_run *d;
    oct_worker *worker;
    oct_ctx *steady; /* a lot is run to its end */
    oct_hist_device *hist;
    oct_stream *stream; /* of the run under way; NULL until its first value */
    lot *lot;
    best_image *best; /* [n_values][2] */
    oct_tensor *out;
    size_t n_out;
} device_worker;

/* ---- lots -------------------------------------------------------------------------------- */

static void lot_free(oct_ctx *ctx, const device_run *d, lot *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; l->in != NULL && i < d->n_inputs; i++)
        oct_engine_host_free(d->r->engine, ctx, l->in[i].data);
    for (int k = 0; l->name != NULL && k < l->n; k++)
        oct_free(ctx, l->name[k]);
    oct_free(ctx, l->in);
    oct_free(ctx, l->sample);
    oct_free(ctx, l->name);
    oct_free(ctx, l);
}

static void lots_free(oct_ctx *ctx, const device_run *d, lot *l)
{
    while (l != NULL) {
        lot *next = l->next;
        lot_free(ctx, d, l);
        l = next;
    }
}

/* Rows of the shape of the batch's. */
static oct_status lot_inputs(oct_ctx *ctx, const device_run *d, const oct_batch *b, lot *l)
{
    for (size_t i = 0; i < d->n_inputs; i++) {
        oct_shape s = b->input[i].desc.shape;
        size_t bytes;
        if (d->cap > 1)
            s.dim[0] = d->cap;
        l->in[i].desc = oct_tensor_desc_make(b->input[i].desc.dtype, s, OCT_LAYOUT_ROW);
        if (!oct_tensor_desc_bytes(&l->in[i].desc, &bytes))
            return oct_fail(ctx, OCT_ERR_LIMIT, "a batch of more bytes than fit in memory");
        l->in[i].data = oct_engine_host_alloc(d->r->engine, ctx, bytes);
        if (l->in[i].data == NULL)
            return OCT_ERR_NOMEM;
        memset(l->in[i].data, 0, bytes);
    }
    return OCT_OK;
}

static oct_status lot_new(oct_ctx *ctx, const device_run *d, const oct_batch *b, lot **out)
{
    lot *l = oct_zalloc(ctx, sizeof *l);
    if (l == NULL)
        return OCT_ERR_NOMEM;
    l->in = oct_zalloc_array(ctx, d->n_inputs, sizeof *l->in);
    l->sample = oct_zalloc_array(ctx, (size_t)d->cap, sizeof *l->sample);
    l->name = oct_zalloc_array(ctx, (size_t)d->cap, sizeof *l->name);
    oct_status st = l->in && l->sample && l->name ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = lot_inputs(ctx, d, b, l);
    if (st != OCT_OK) {
        lot_free(ctx, d, l);
        return st;
    }
    *out = l;
    return OCT_OK;
}

static oct_status lot_row(oct_ctx *ctx, const oct_tensor *from, int64_t row, oct_tensor *to, int k)
{
    size_t bytes, to_bytes;
    const int64_t rows = from->desc.shape.n_dims > 0 ? from->desc.shape.dim[0] : 1;
    const int64_t cap = to->desc.shape.n_dims > 0 ? to->desc.shape.dim[0] : 1;
    if (!oct_tensor_desc_bytes(&from->desc, &bytes) ||
        !oct_tensor_desc_bytes(&to->desc, &to_bytes) || rows < 1 || cap < 1 || row >= rows ||
        bytes / (size_t)rows != to_bytes / (size_t)cap)
        return oct_fail(ctx, OCT_ERR_SHAPE, "images of different sizes in one data set");
    bytes /= (size_t)rows;
    memcpy((char *)to->data + (size_t)k * bytes, (const char *)from->data + (size_t)row * bytes,
           bytes);
    return OCT_OK;
}

/* Adds sample `k` of the batch to the lot of its fold; a lot that is full goes to the list. */
static oct_status lot_put(device_run *d, oct_ctx *ctx, const oct_batch *b, int k)
{
    const oct_sample *s = &b->sample[k];
    const int fold = oct_fold_of(&s->id);
    lot *l = d->filling[fold];
    if (l == NULL && d->spare != NULL) {
        l = d->spare;
        d->spare = l->next;
    } else if (l == NULL) {
        OCT_TRY(lot_new(ctx, d, b, &l));
    }
    l->next = NULL;
    l->fold = fold;
    d->filling[fold] = l;
    for (size_t i = 0; i < d->n_inputs; i++)
        OCT_TRY(lot_row(ctx, &b->input[i], k, &l->in[i], l->n));
    l->name[l->n] = oct_strdup(ctx, s->name);
    if (l->name[l->n] == NULL)
        return OCT_ERR_NOMEM;
    l->sample[l->n] = *s;
    l->sample[l->n].name = l->name[l->n];
    if (++l->n == d->cap) {
        l->next = d->full;
        d->full = l;
        d->filling[fold] = NULL;
    }
    return OCT_OK;
}

static oct_status lot_put_batch(device_run *d, oct_ctx *ctx, const oct_batch *b)
{
    if ((size_t)b->n_inputs != d->n_inputs)
        return oct_fail(ctx, OCT_ERR_USAGE, "the model has %zu inputs, the data %d", d->n_inputs,
                        b->n_inputs);
    for (int k = 0; k < b->n_samples; k++)
        if (oct_runner_wants(d->r, &b->sample[k]))
            OCT_TRY(lot_put(d, ctx, b, k));
    return OCT_OK;
}

static lot *lot_pop(device_run *d)
{
    lot *l = d->full;
    if (l != NULL)
        d->full = l->next;
    for (int f = 0; l == NULL && d->ended && f < OCT_HIST_FOLDS; f++) {
        l = d->filling[f];
        d->filling[f] = NULL;
    }
    return l;
}

/* The next lot to run; NULL at the end or when the pass stops. */
static oct_status lot_take(device_run *d, oct_ctx *ctx, lot **out)
{
    const oct_batch_source_vtable *vt = d->r->source->vt;
    oct_status st = OCT_OK;
    *out = NULL;
    pthread_mutex_lock(&d->feed);
    while (st == OCT_OK && d->full == NULL && !d->ended && !oct_runner_should_stop(d->r, ctx)) {
        const oct_batch *b = NULL;
        st = vt->next(d->r->source, ctx, &b);
        if (st == OCT_ERR_CANCELLED) {
            oct_error_clear(ctx); /* oct_runner_should_stop() sees it too */
            st = OCT_OK;
            continue;
        }
        d->ended = d->ended || b == NULL;
        if (st == OCT_OK && b != NULL)
            st = lot_put_batch(d, ctx, b);
        if (b != NULL)
            vt->release(d->r->source, b);
    }
    if (st == OCT_OK && !oct_runner_should_stop(d->r, ctx))
        *out = lot_pop(d);
    pthread_mutex_unlock(&d->feed);
    return st;
}

static void lot_give(device_run *d, oct_ctx *ctx, lot *l)
{
    for (int k = 0; k < l->n; k++) {
        oct_free(ctx, l->name[k]);
        l->name[k] = NULL;
    }
    l->n = 0;
    pthread_mutex_lock(&d->feed);
    l->next = d->spare;
    d->spare = l;
    pthread_mutex_unlock(&d->feed);
}

/* ---- counting ---------------------------------------------------------------------------- */

static oct_status count_exact(device_worker *w, oct_ctx *ctx, uint32_t value,
                              const oct_hist_slice *x, oct_stream *stream)
{
    double scale[2];
    oct_runner_exact_scales(w->d->r->stats, value, scale);
    if (!(scale[0] > 0) && !(scale[1] > 0))
        return OCT_OK;
    return w->d->hist->count_exact(w->hist, ctx, value, x, scale, stream);
}

static oct_status observe(oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                          oct_stream *stream)
{
    device_worker *w = (device_worker *)self;
    const device_run *d = w->d;
    size_t n;
    if (oct_stats_at(d->r->stats, value)->kind != OCT_STAT_SCANNED)
        return OCT_OK;
    if (!oct_tensor_desc_is_dense(&t->desc) || !oct_shape_elems(&t->desc.shape, &n) ||
        n % (size_t)d->cap != 0)
        return oct_fail(ctx, OCT_ERR_BUG, "an observed value is not dense, or not in rows");
    if (stream == NULL)
        return oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                        "'%s' is made on the CPU, because its shape is known only while running; "
                        "calibrate with --device cpu",
                        oct_stats_at(d->r->stats, value)->name);
    if (w->stream == NULL)
        OCT_TRY(d->hist->begin(w->hist, ctx, stream));
    w->stream = stream;
    const oct_hist_slice x = {.data = t->data,
                              .dtype = t->desc.dtype,
                              .n_each = n / (size_t)d->cap,
                              .n_images = w->lot->n,
                              .fold = w->lot->fold};
    if (d->r->pass == 2)
        return count_exact(w, ctx, value, &x, stream);
    return d->hist->count(w->hist, ctx, value, &x, stream);
}

static void better(best_image *b, float amax, const oct_sha256 *id)
{
    if (!(amax > 0) || amax < b->amax)
        return;
    if (amax > b->amax || oct_sha256_cmp(id, &b->id) < 0)
        b->id = *id;
    b->amax = amax;
}

static oct_status check_image(device_worker *w, uint32_t value, const oct_hist_image *im,
                              const oct_sample *s)
{
    const runner *r = w->d->r;
    const oct_hist_range seen = {.n_nan = im->n_nan, .n_pos_inf = im->n_inf};
    return oct_runner_check_finite(r, w->steady, oct_stats_at(r->stats, value)->name, &seen,
                                   s->name);
}

/* What each image of the lot reached; `*bad` is the first that holds no finite numbers. */
static oct_status note_images(device_worker *w, int *bad)
{
    const device_run *d = w->d;
    const oct_hist_image *list;
    OCT_TRY(d->hist->images(w->hist, w->steady, w->stream, &list));
    for (int k = 0; k < w->lot->n; k++) {
        *bad = k;
        for (uint32_t v = 0; v < d->n_values; v++) {
            const oct_hist_image *im = &list[(size_t)v * (size_t)d->cap + (size_t)k];
            OCT_TRY(check_image(w, v, im, &w->lot->sample[k]));
            better(&w->best[2 * v], im->pos_amax, &w->lot->sample[k].id);
            better(&w->best[2 * v + 1], im->neg_amax, &w->lot->sample[k].id);
        }
    }
    return OCT_OK;
}

/* ---- into the statistics ----------------------------------------------------------------- */

static oct_status flush_exact(device_worker *w, oct_ctx *ctx, uint32_t v, oct_hist_counts *room)
{
    runner *r = w->d->r;
    uint64_t(*table)[OCT_HIST_EXACT_BINS] = (void *)room->bin;
    OCT_TRY(w->d->hist->read_exact(w->hist, ctx, v, table));
    pthread_mutex_lock(&r->tensor_lock[v]);
    oct_runner_add_exact(r->stats, v, table[0], table[1]);
    pthread_mutex_unlock(&r->tensor_lock[v]);
    return OCT_OK;
}

static oct_status flush_value(device_worker *w, oct_ctx *ctx, uint32_t v, oct_hist_counts *c)
{
    runner *r = w->d->r;
    oct_stat_tensor *t = oct_stats_tensor(r->stats, v);
    best_image *best = &w->best[2 * v];
    OCT_TRY(w->d->hist->read(w->hist, ctx, v, c));
    pthread_mutex_lock(&r->tensor_lock[v]);
    const oct_status st = oct_hist_merge_counts(ctx, &t->hist, c);
    if (st == OCT_OK)
        oct_stat_tensor_note_sides(t, best[0].amax, &best[0].id, best[1].amax, &best[1].id);
    pthread_mutex_unlock(&r->tensor_lock[v]);
    memset(best, 0, 2 * sizeof *best);
    return st;
}

/* Moves what the worker's device memory counted into the statistics; no lot of it is under way. */
static oct_status flush(device_worker *w, oct_ctx *ctx)
{
    const runner *r = w->d->r;
    oct_hist_counts *c = oct_alloc(ctx, sizeof *c);
    if (c == NULL)
        return OCT_ERR_NOMEM;
    oct_status st = OCT_OK;
    for (uint32_t v = 0; st == OCT_OK && v < w->d->n_values; v++)
        if (oct_stats_at(r->stats, v)->kind == OCT_STAT_SCANNED)
            st = r->pass == 1 ? flush_value(w, ctx, v, c) : flush_exact(w, ctx, v, c);
    oct_free(ctx, c);
    return st;
}

/* With r->quiet held for writing: all counts so far, then the file. */
static oct_status checkpoint(device_run *d, oct_ctx *ctx)
{
    for (int i = 0; i < N_WORKERS; i++)
        if (d->worker[i] != NULL)
            OCT_TRY(flush(d->worker[i], ctx));
    return oct_runner_save(d->r, ctx);
}

/* ---- workers ----------------------------------------------------------------------------- */

static oct_status run_lot(device_worker *w, lot *l, int *bad)
{
    w->lot = l;
    w->stream = NULL;
    *bad = 0;
    OCT_TRY(
        oct_worker_run(w->worker, w->steady, l->in, w->d->n_inputs, w->out, w->n_out, &w->base));
    if (w->stream == NULL || w->d->r->pass == 2)
        return OCT_OK;
    return note_images(w, bad);
}

static oct_status book_lot(device_worker *w, oct_ctx *ctx, const lot *l, bool *due)
{
    oct_status st = OCT_OK;
    *due = false;
    for (int k = 0; st == OCT_OK && k < l->n; k++)
        if (oct_runner_book(w->d->r, ctx, &l->sample[k], &st))
            *due = true;
    return st;
}

static oct_status do_lot(device_worker *w, oct_ctx *ctx, lot *l)
{
    runner *r = w->d->r;
    int bad = 0;
    bool due = false;
    pthread_rwlock_rdlock(&r->quiet);
    oct_status st = run_lot(w, l, &bad);
    if (st == OCT_OK)
        st = book_lot(w, w->steady, l, &due);
    if (st != OCT_OK)
        oct_runner_fail(r, w->steady, st, l->sample[bad].index);
    pthread_rwlock_unlock(&r->quiet);
    if (st != OCT_OK || !due)
        return st;
    pthread_rwlock_wrlock(&r->quiet); /* no lot is under way now */
    if (!oct_runner_failed(r))
        st = checkpoint(w->d, w->steady);
    if (st != OCT_OK)
        oct_runner_fail(r, w->steady, st, l->sample[0].index);
    pthread_rwlock_unlock(&r->quiet);
    return st;
}

static oct_status worker_init(device_worker *w, oct_ctx *ctx)
{
    const oct_io *list;
    const device_run *d = w->d;
    w->base.fn = observe;
    w->base.skip_derived = true;
    w->n_out = oct_engine_outputs(d->r->engine, &list);
    OCT_TRY(oct_ctx_fork_steady(ctx, &w->steady));
    w->out = oct_zalloc_array(ctx, w->n_out, sizeof *w->out);
    w->best = oct_zalloc_array(ctx, 2 * (size_t)d->n_values, sizeof *w->best);
    if (w->out == NULL || w->best == NULL)
        return OCT_ERR_NOMEM;
    OCT_TRY(d->hist->create(d->be, ctx, d->n_values, d->cap, &w->hist));
    return oct_worker_new(d->r->engine, ctx, &w->worker);
}

static oct_status worker_loop(device_worker *w, oct_ctx *ctx)
{
    oct_status st = OCT_OK;
    while (st == OCT_OK) {
        lot *l;
        st = lot_take(w->d, ctx, &l);
        if (st != OCT_OK)
            oct_runner_fail(w->d->r, ctx, st, INT64_MAX);
        if (st != OCT_OK || l == NULL)
            break;
        st = do_lot(w, ctx, l);
        lot_give(w->d, ctx, l);
    }
    return st;
}

static void enlist(device_run *d, int index, device_worker *w)
{
    pthread_rwlock_wrlock(&d->r->quiet);
    d->worker[index] = w;
    pthread_rwlock_unlock(&d->r->quiet);
}

/* The rest of the counts, unless the statistics are lost anyway. */
static void last_flush(device_worker *w)
{
    runner *r = w->d->r;
    pthread_rwlock_rdlock(&r->quiet);
    const oct_status st = oct_runner_failed(r) ? OCT_OK : flush(w, w->steady);
    if (st != OCT_OK)
        oct_runner_fail(r, w->steady, st, INT64_MAX);
    pthread_rwlock_unlock(&r->quiet);
}

static oct_status work(void *user, oct_ctx *ctx, int index)
{
    device_run *d = user;
    device_worker w = {.d = d};
    oct_status st = worker_init(&w, ctx);
    if (st == OCT_OK)
        enlist(d, index, &w);
    else
        oct_runner_fail(d->r, ctx, st, -1);
    if (st == OCT_OK)
        st = worker_loop(&w, ctx);
    if (st == OCT_OK)
        last_flush(&w);
    enlist(d, index, NULL);
    oct_worker_free(w.worker, ctx);
    d->hist->destroy(d->be, w.hist);
    oct_free(ctx, w.out);
    oct_free(ctx, w.best);
    oct_ctx_join(ctx, w.steady);
    return OCT_OK; /* failures are in the record, ordered by image */
}

/* ---- the pass ---------------------------------------------------------------------------- */

bool oct_runner_on_device(const runner *r)
{
    return !oct_engine_backend(r->engine)->vt->host_memory;
}

/* Images of a lot: many, if every input and every scanned value allows it. */
static int lot_images(runner *r)
{
    const oct_observed *list;
    const oct_io *in;
    const size_t n = oct_engine_observed(r->engine, &list);
    const size_t n_in = oct_engine_inputs(r->engine, &in);
    for (size_t i = 0; i < n_in; i++)
        if (in[i].shape.n_dims < 1 || in[i].shape.dim[0] >= 0)
            return 1;
    for (size_t i = 0; i < n; i++) {
        if (list[i].batch_outermost)
            continue;
        if (r->pass == 1)
            oct_log(r->ctx, OCT_LOG_WARN,
                    "'%s': the batch is not proven to be its outermost factor; this model is "
                    "calibrated one image at a time, which is slower",
                    list[i].name);
        return 1;
    }
    return LOT_IMAGES;
}

oct_status oct_runner_device_pass(runner *r)
{
    const oct_io *list;
    device_run d = {.r = r, .be = oct_engine_backend(r->engine)};
    d.hist = d.be->vt->hist;
    if (d.hist == NULL)
        return oct_fail(r->ctx, OCT_ERR_UNSUPPORTED, "device %s does not count activations",
                        d.be->vt->name);
    if (r->opt->per_channel)
        return oct_fail(r->ctx, OCT_ERR_UNSUPPORTED,
                        "statistics per channel are collected on the CPU only; use --device cpu");
    d.cap = lot_images(r);
    d.n_values = (uint32_t)oct_stats_n_tensors(r->stats);
    d.n_inputs = oct_engine_inputs(r->engine, &list);
    pthread_mutex_init(&d.feed, NULL);
    const int workers = r->opt->workers == 1 ? 1 : N_WORKERS;
    const oct_status st = oct_run_workers(r->ctx, workers, 1, work, &d);
    for (int f = 0; f < OCT_HIST_FOLDS; f++)
        lot_free(r->ctx, &d, d.filling[f]);
    lots_free(r->ctx, &d, d.full);
    lots_free(r->ctx, &d, d.spare);
    pthread_mutex_destroy(&d.feed);
    return st;
}
