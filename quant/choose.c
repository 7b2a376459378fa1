/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/choose.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/parallel.h"

/* An output of one candidate on one image. */
typedef struct term {
    double signal, noise;
    bool finite;
} term;

typedef struct record {
    int64_t index;
    term *term; /* [candidate * n_out + output] */
} record;

typedef struct chooser {
    oct_batch_source *source;
    const oct_choose_options *opt;
    int n;
    size_t n_out;
    oct_engine *engine[OCT_CHOOSE_MAX + 1]; /* the float network, then the candidates */
    pthread_mutex_t lock;                   /* what follows */
    record *record;
    size_t n_records, cap;
    bool stop;
} chooser;

double oct_choose_output_db(double signal, double noise, bool finite)
{
    if (!finite)
        return -INFINITY;
    if (noise == 0)
        return OCT_CHOOSE_MAX_DB;
    if (signal == 0) /* the float network says 0: any deviation is as bad as it gets */
        return -OCT_CHOOSE_MAX_DB;
    return fmin(10 * log10(signal / noise), OCT_CHOOSE_MAX_DB);
}

int oct_choose_best(const double *score_db, const double *error_db, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (score_db[i] > score_db[best])
            best = i;
    return score_db[best] - score_db[0] > OCT_CHOOSE_CONFIDENCE * error_db[best] ? best : 0;
}

/* ---- running ----------------------------------------------------------------------------- */

static oct_status compare(oct_ctx *ctx, const oct_tensor *ref, const oct_tensor *got, term *t)
{
    size_t n, m;
    *t = (term){.finite = true};
    if (ref->desc.dtype != OCT_DT_F32 || got->desc.dtype != OCT_DT_F32)
        return OCT_OK;
    if (!oct_shape_elems(&ref->desc.shape, &n) || !oct_shape_elems(&got->desc.shape, &m) || n != m)
        return oct_fail(ctx, OCT_ERR_SHAPE,
                        "the quantized network's output has another shape than the float one's");
    const float *x = ref->data, *y = got->data;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)y[i] - (double)x[i];
        t->signal += (double)x[i] * (double)x[i];
        t->noise += d * d;
        t->finite = t->finite && isfinite(x[i]) && isfinite(y[i]);
    }
    return OCT_OK;
}

static oct_status keep(chooser *c, oct_ctx *ctx, record r)
{
    oct_status st = OCT_OK;
    pthread_mutex_lock(&c->lock);
    if (c->n_records == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 64;
        record *more = oct_realloc(ctx, c->record, cap * sizeof *more);
        if (more != NULL) {
            c->record = more;
            c->cap = cap;
        } else {
            st = OCT_ERR_NOMEM;
        }
    }
    if (st == OCT_OK)
        c->record[c->n_records++] = r;
    const int64_t n_done = (int64_t)c->n_records;
    pthread_mutex_unlock(&c->lock);
    if (st == OCT_OK && c->opt->progress != NULL)
        c->opt->progress(c->opt->user, n_done);
    return st;
}

typedef struct line_of_work {
    oct_worker *worker[OCT_CHOOSE_MAX + 1];
    oct_tensor *ref, *out;
} line_of_work;

static oct_status run_image(chooser *c, oct_ctx *ctx, line_of_work *w, const oct_batch *b)
{
    record r = {.index = b->sample[0].index};
    const size_t n_in = (size_t)b->n_inputs;
    r.term = oct_zalloc_array(ctx, (size_t)c->n * c->n_out, sizeof *r.term);
    oct_status st = r.term != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_worker_run(w->worker[0], ctx, b->input, n_in, w->ref, c->n_out, NULL);
    for (int k = 0; k < c->n && st == OCT_OK; k++) {
        st = oct_worker_run(w->worker[k + 1], ctx, b->input, n_in, w->out, c->n_out, NULL);
        for (size_t o = 0; o < c->n_out && st == OCT_OK; o++)
            st = compare(ctx, &w->ref[o], &w->out[o], &r.term[(size_t)k * c->n_out + o]);
    }
    if (st == OCT_OK)
        st = keep(c, ctx, r);
    if (st != OCT_OK)
        oct_free(ctx, r.term);
    return st;
}

static bool stopped(chooser *c, bool stop)
{
    pthread_mutex_lock(&c->lock);
    c->stop = c->stop || stop;
    stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

static oct_status run_images(chooser *c, oct_ctx *ctx, line_of_work *w)
{
    oct_status st = OCT_OK;
    while (st == OCT_OK && !stopped(c, false)) {
        const oct_batch *b = NULL;
        st = c->source->vt->next(c->source, ctx, &b);
        if (st != OCT_OK || b == NULL)
            break;
        st = run_image(c, ctx, w, b);
        c->source->vt->release(c->source, b);
    }
    stopped(c, st != OCT_OK);
    return st;
}

static oct_status work(void *user, oct_ctx *ctx, int index)
{
    chooser *c = user;
    line_of_work w = {.ref = NULL};
    (void)index;
    w.ref = oct_zalloc_array(ctx, c->n_out, sizeof *w.ref);
    w.out = oct_zalloc_array(ctx, c->n_out, sizeof *w.out);
    oct_status st = w.ref != NULL && w.out != NULL ? OCT_OK : OCT_ERR_NOMEM;
    for (int k = 0; k <= c->n && st == OCT_OK; k++)
        st = oct_worker_new(c->engine[k], ctx, &w.worker[k]);
    if (st == OCT_OK)
        st = run_images(c, ctx, &w);
    else
        stopped(c, true);
    for (int k = 0; k <= c->n; k++)
        oct_worker_free(w.worker[k], ctx);
    oct_free(ctx, w.ref);
    oct_free(ctx, w.out);
    return st;
}

/* ---- scoring ----------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    const record *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static bool is_float(const oct_io *io)
{
    return oct_dtype_is_float(io->dtype);
}

/* What one candidate's outputs add up to: a term an output. */
static void add_up(const chooser *c, int k, term *sum)
{
    for (size_t o = 0; o < c->n_out; o++) {
        sum[o] = (term){.finite = true};
        for (size_t i = 0; i < c->n_records; i++) {
            const term *t = &c->record[i].term[(size_t)k * c->n_out + o];
            sum[o].signal += t->signal;
            sum[o].noise += t->noise;
            sum[o].finite = sum[o].finite && t->finite;
        }
    }
}

/* Score of all images but one; `without` NULL: of all. */
static double score(const chooser *c, const term *sum, const term *without)
{
    const oct_io *io;
    double db = 0;
    int n = 0;
    oct_engine_outputs(c->engine[0], &io);
    for (size_t o = 0; o < c->n_out; o++) {
        term t = sum[o];
        if (!is_float(&io[o]))
            continue;
        if (without != NULL) { /* differences of equal sums may fall below 0 */
            t.signal = fmax(t.signal - without[o].signal, 0);
            t.noise = fmax(t.noise - without[o].noise, 0);
        }
        db += oct_choose_output_db(t.signal, t.noise, t.finite);
        n++;
    }
    return db / n;
}

/* Jackknife: how far the lead of candidate `k` over the first moves when images are left out. */
static double lead_error(const chooser *c, int k, const term *first, const term *own)
{
    const double n = (double)c->n_records;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < c->n_records; i++) {
        const term *t = c->record[i].term;
        const double lead = score(c, own, t + (size_t)k * c->n_out) - score(c, first, t);
        sum += lead;
        squares += lead * lead;
    }
    const double spread = squares - sum * sum / n;
    return spread > 0 ? sqrt((n - 1) / n * spread) : 0; /* NaN: a score is not finite */
}

static oct_status judge(oct_ctx *ctx, chooser *c, oct_choose_result *out)
{
    if (c->n_records == 0)
        return oct_fail(ctx, OCT_ERR_NOT_FOUND, "no image to choose scales by could be read");
    qsort(c->record, c->n_records, sizeof *c->record, by_index);
    term *first = oct_alloc_array(ctx, 2 * c->n_out, sizeof *first);
    if (first == NULL)
        return OCT_ERR_NOMEM;
    term *own = first + c->n_out;
    add_up(c, 0, first);
    for (int k = 0; k < c->n; k++) {
        add_up(c, k, own);
        out->score_db[k] = score(c, own, NULL);
        out->error_db[k] = k > 0 ? lead_error(c, k, first, own) : 0;
    }
    oct_free(ctx, first);
    out->best = oct_choose_best(out->score_db, out->error_db, c->n);
    out->n_images = c->n_records;
    return OCT_OK;
}

/* ---- all --------------------------------------------------------------------------------- */

static oct_status make_engine(oct_ctx *ctx, chooser *c, int k, const oct_model *m)
{
    const oct_engine_options opt = {.backend = c->opt->backend,
                                    .threads = 1,
                                    .precision =
                                        OCT_PRECISION_F32 | (k > 0 ? OCT_PRECISION_S8 : 0u)};
    return oct_engine_new(ctx, m, &opt, &c->engine[k]);
}

static oct_status check_outputs(oct_ctx *ctx, chooser *c)
{
    const oct_io *io;
    bool any = false;
    c->n_out = oct_engine_outputs(c->engine[0], &io);
    for (size_t o = 0; o < c->n_out; o++)
        any = any || is_float(&io[o]);
    return any ? OCT_OK
               : oct_fail(ctx, OCT_ERR_UNSUPPORTED,
                          "the model has no floating-point output to choose scales by");
}

oct_status oct_choose(oct_ctx *ctx, const oct_model *m, const oct_choose_candidate *candidate,
                      int n, const oct_scheme *scheme, oct_batch_source *source,
                      const oct_choose_options *opt, oct_choose_result *out)
{
    assert(n >= 1 && n <= OCT_CHOOSE_MAX);
    oct_model *quantized[OCT_CHOOSE_MAX] = {0};
    chooser c = {.source = source, .opt = opt, .n = n};
    *out = (oct_choose_result){0};
    oct_status st = make_engine(ctx, &c, 0, m);
    if (st == OCT_OK)
        st = check_outputs(ctx, &c);
    for (int k = 0; k < n && st == OCT_OK; k++) {
        st = oct_quantize_model(ctx, m, &candidate[k].amax, scheme, NULL, &quantized[k]);
        if (st == OCT_OK)
            st = make_engine(ctx, &c, k + 1, quantized[k]);
        if (st != OCT_OK)
            oct_fail_in(ctx, st, "scales by %s", candidate[k].name);
    }
    pthread_mutex_init(&c.lock, NULL);
    if (st == OCT_OK)
        st = oct_run_workers(ctx, opt->workers > 0 ? opt->workers : 1, 1, work, &c);
    pthread_mutex_destroy(&c.lock);
    if (st == OCT_OK)
        st = judge(ctx, &c, out);
    for (size_t i = 0; i < c.n_records; i++)
        oct_free(ctx, c.record[i].term);
    oct_free(ctx, c.record);
    for (int k = 0; k <= n; k++)
        oct_engine_free(c.engine[k], ctx);
    for (int k = 0; k < n; k++)
        oct_model_free(quantized[k]);
    return st;
}
