/* SPDX-License-Identifier: Apache-2.0 */
#include "datasets/loader.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/strbuf.h"
#include "datasets/batch_buffer.h"

typedef struct loader {
    oct_batch_source base;
    oct_loader_config c;
    oct_ctx *ctx; /* forked: used under the lock only */
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    oct_batch_buffer *busy, *idle; /* begun or handed out; free */
    uint64_t n_blocks, next_begin, next_out;
    int n_queued, n_active; /* blocks begun and not handed out; rows being loaded */
    bool stop, paused;
    oct_status failed; /* sticky */
    char *failed_text;
    oct_skip *skip; /* sorted by index; names and reasons are owned */
    size_t n_skips, cap_skips;
    pthread_t *thread;
    oct_ctx **thread_ctx;
    int n_running;
} loader;

/* ---- buffers, under the lock ------------------------------------------------------------ */

static oct_batch_buffer *take_idle(loader *l)
{
    oct_batch_buffer *b = l->idle;
    if (b != NULL)
        l->idle = b->next;
    else if (oct_batch_buffer_new(l->ctx, &l->c, &b) != OCT_OK)
        return NULL;
    b->next = l->busy;
    l->busy = b;
    return b;
}

static void give_idle(loader *l, oct_batch_buffer *b)
{
    oct_batch_buffer **at = &l->busy;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    b->next = l->idle;
    l->idle = b;
}

static oct_batch_buffer *find_block(const loader *l, uint64_t index)
{
    for (oct_batch_buffer *b = l->busy; b != NULL; b = b->next)
        if (b->batch.index == index && !b->handed_out)
            return b;
    return NULL;
}

/* ---- failures, under the lock ----------------------------------------------------------- */

static void fail_with(loader *l, oct_status st, const char *text)
{
    if (l->failed != OCT_OK)
        return;
    l->failed = st;
    l->failed_text = oct_strdup(l->ctx, text != NULL ? text : "");
    pthread_cond_broadcast(&l->done);
}

static oct_status report_failure(const loader *l, oct_ctx *ctx)
{
    return oct_fail(ctx, l->failed, "%s",
                    l->failed_text != NULL ? l->failed_text : oct_status_str(l->failed));
}

/* Rows can be skipped for what is in the file, not for what is wrong with us. */
static bool may_skip(oct_status st)
{
    return st == OCT_ERR_FORMAT || st == OCT_ERR_UNSUPPORTED || st == OCT_ERR_LIMIT ||
           st == OCT_ERR_NOT_FOUND || st == OCT_ERR_IO || st == OCT_ERR_SHAPE ||
           st == OCT_ERR_USAGE || st == OCT_ERR_RANGE || st == OCT_ERR_VERSION;
}

static oct_status add_skip(loader *l, const oct_sample *sample, const char *reason)
{
    if (l->n_skips == l->cap_skips) {
        const size_t cap = 2 * l->cap_skips + 16;
        oct_skip *grown = oct_realloc(l->ctx, l->skip, cap * sizeof *grown);
        if (grown == NULL)
            return OCT_ERR_NOMEM;
        l->skip = grown;
        l->cap_skips = cap;
    }
    const oct_skip s = {oct_strdup(l->ctx, sample->name),
                        oct_strdup(l->ctx, reason != NULL ? reason : "out of memory"),
                        sample->index};
    size_t at = l->n_skips++;
    for (; at > 0 && l->skip[at - 1].index > s.index; at--)
        l->skip[at] = l->skip[at - 1];
    l->skip[at] = s;
    return s.name != NULL && s.reason != NULL ? OCT_OK : OCT_ERR_NOMEM;
}

static void check_skip_limit(loader *l)
{
    const double allowed = (double)l->c.n_order * l->c.max_skip_percent / 100.0;
    char text[1024], percent[OCT_NUM_TEXT_BYTES];
    if ((double)l->n_skips <= allowed)
        return;
    oct_error_clear(l->ctx);
    oct_fail(l->ctx, OCT_ERR_FORMAT,
             "%zu of %lld samples are unreadable, more than %s %%; the first: %s", l->n_skips,
             (long long)l->c.n_order, oct_f64_text(l->c.max_skip_percent, percent),
             l->skip[0].reason);
    const size_t n = strlen(oct_error_text(l->ctx));
    memcpy(text, oct_error_text(l->ctx), n < sizeof text ? n : sizeof text - 1);
    text[n < sizeof text ? n : sizeof text - 1] = '\0';
    oct_error_clear(l->ctx);
    fail_with(l, OCT_ERR_FORMAT, text);
}

/* Turns the failed rows of a finished block into skips or into the loader's failure. */
static void account(loader *l, oct_batch_buffer *b)
{
    size_t n_bad = 0;
    for (int r = 0; r < b->n_rows; r++) {
        oct_batch_row *row = &b->row[r];
        if (row->status == OCT_OK)
            continue;
        if (!l->c.skip_bad || !may_skip(row->status))
            fail_with(l, row->status, row->reason);
        else if (add_skip(l, &b->sample[r], row->reason) != OCT_OK)
            fail_with(l, OCT_ERR_NOMEM, "out of memory listing skipped samples");
        else
            n_bad++;
        oct_free(l->ctx, row->reason);
        row->reason = NULL;
    }
    if (n_bad > 0)
        check_skip_limit(l);
}

/* ---- decoding threads ------------------------------------------------------------------- */

/* A row to load, beginning a new block if there is room; NULL if there is nothing to do now. */
static oct_batch_buffer *take_row(loader *l, int *row)
{
    if (l->paused || l->failed != OCT_OK)
        return NULL;
    oct_batch_buffer *best = NULL; /* the earliest block with rows left */
    for (oct_batch_buffer *b = l->busy; b != NULL; b = b->next)
        if (!b->handed_out && b->n_taken < b->n_rows &&
            (best == NULL || b->batch.index < best->batch.index))
            best = b;
    if (best == NULL && l->next_begin < l->n_blocks && l->n_queued < l->c.queue) {
        best = take_idle(l);
        if (best == NULL) {
            fail_with(l, OCT_ERR_NOMEM, oct_error_text(l->ctx));
            return NULL;
        }
        oct_batch_buffer_begin(&l->c, best, l->next_begin++);
        l->n_queued++;
    }
    if (best != NULL)
        *row = best->n_taken++;
    return best;
}

typedef struct worker_arg {
    loader *l;
    oct_ctx *ctx;
} worker_arg;

static void *run_worker(void *user)
{
    worker_arg *arg = user;
    loader *l = arg->l;
    oct_ctx *ctx = arg->ctx;
    oct_load_scratch scratch = {0};
    oct_free(ctx, arg);
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        int row = 0;
        oct_batch_buffer *b = take_row(l, &row);
        if (b == NULL) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        l->n_active++;
        pthread_mutex_unlock(&l->lock);
        oct_batch_buffer_load(&l->c, ctx, &scratch, b, row);
        pthread_mutex_lock(&l->lock);
        l->n_active--;
        if (++b->n_finished == b->n_rows || l->paused)
            pthread_cond_broadcast(&l->done);
    }
    pthread_mutex_unlock(&l->lock);
    oct_load_scratch_deinit(ctx, &scratch);
    return NULL;
}

static oct_status start_workers(loader *l, oct_ctx *ctx)
{
    const size_t n = (size_t)l->c.n_threads;
    l->thread = oct_zalloc_array(ctx, n, sizeof *l->thread);
    l->thread_ctx = oct_zalloc_array(ctx, n, sizeof(oct_ctx *));
    if (l->thread == NULL || l->thread_ctx == NULL)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < l->c.n_threads; i++) {
        OCT_TRY(oct_ctx_fork(ctx, &l->thread_ctx[i]));
        worker_arg *arg = oct_alloc(ctx, sizeof *arg);
        if (arg == NULL)
            return OCT_ERR_NOMEM;
        *arg = (worker_arg){l, l->thread_ctx[i]};
        const int rc = pthread_create(&l->thread[i], NULL, run_worker, arg);
        if (rc != 0) {
            oct_free(ctx, arg);
            return oct_fail(ctx, OCT_ERR_LIMIT, "cannot start a decoding thread: %s", strerror(rc));
        }
        l->n_running++;
    }
    return OCT_OK;
}

/* ---- the batch source ------------------------------------------------------------------- */

static int64_t loader_n_samples(const oct_batch_source *s)
{
    return ((const loader *)s)->c.n_order;
}

/* The calling thread decodes a block of its own. Called and returns under the lock. */
static oct_batch_buffer *decode_here(loader *l, oct_ctx *ctx)
{
    oct_batch_buffer *b = take_idle(l);
    if (b == NULL) {
        fail_with(l, OCT_ERR_NOMEM, oct_error_text(l->ctx));
        return NULL;
    }
    oct_batch_buffer_begin(&l->c, b, l->next_out++);
    b->handed_out = true;
    pthread_mutex_unlock(&l->lock);
    for (int r = 0; r < b->n_rows; r++)
        oct_batch_buffer_load(&l->c, ctx, &b->scratch, b, r);
    pthread_mutex_lock(&l->lock);
    return b;
}

/* Waits for the next block in order, looking up now and then whether to stop. */
static oct_status wait_for_block(loader *l, oct_ctx *ctx, oct_batch_buffer **out)
{
    *out = NULL;
    while (l->failed == OCT_OK && l->next_out < l->n_blocks) {
        oct_batch_buffer *b = find_block(l, l->next_out);
        if (b != NULL && b->n_finished == b->n_rows) {
            b->handed_out = true;
            l->next_out++;
            l->n_queued--;
            pthread_cond_broadcast(&l->work);
            *out = b;
            return OCT_OK;
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 200000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&l->done, &l->lock, &until);
        OCT_TRY(oct_check_cancel(ctx));
    }
    return OCT_OK;
}

static oct_status next_locked(loader *l, oct_ctx *ctx, oct_batch_buffer **out)
{
    for (;;) {
        *out = NULL;
        OCT_TRY(oct_check_cancel(ctx));
        if (l->failed != OCT_OK)
            return report_failure(l, ctx);
        if (l->next_out >= l->n_blocks)
            return OCT_OK;
        if (l->c.n_threads > 0)
            OCT_TRY(wait_for_block(l, ctx, out));
        else
            *out = decode_here(l, ctx);
        if (*out == NULL)
            continue; /* failed, or another caller got the last block */
        account(l, *out);
        if (l->failed == OCT_OK && oct_batch_buffer_finish(&l->c, *out) > 0)
            return OCT_OK;
        give_idle(l, *out); /* nothing in it, or the end */
    }
}

static oct_status loader_next(oct_batch_source *s, oct_ctx *ctx, const oct_batch **out)
{
    loader *l = (loader *)s;
    oct_batch_buffer *b = NULL;
    pthread_mutex_lock(&l->lock);
    const oct_status st = next_locked(l, ctx, &b);
    pthread_mutex_unlock(&l->lock);
    *out = b != NULL && st == OCT_OK ? &b->batch : NULL;
    return st;
}

static void loader_release(oct_batch_source *s, const oct_batch *batch)
{
    loader *l = (loader *)s;
    pthread_mutex_lock(&l->lock);
    for (oct_batch_buffer *b = l->busy; b != NULL; b = b->next)
        if (&b->batch == batch) {
            give_idle(l, b);
            break;
        }
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}

static void clear_skips(loader *l)
{
    for (size_t i = 0; i < l->n_skips; i++) {
        oct_free(l->ctx, (void *)(uintptr_t)l->skip[i].name);
        oct_free(l->ctx, (void *)(uintptr_t)l->skip[i].reason);
    }
    l->n_skips = 0;
}

static void free_reasons(loader *l, oct_batch_buffer *b)
{
    for (int r = 0; r < l->c.batch; r++) {
        oct_free(l->ctx, b->row[r].reason);
        b->row[r].reason = NULL;
    }
}

static oct_status loader_rewind(oct_batch_source *s, oct_ctx *ctx)
{
    loader *l = (loader *)s;
    (void)ctx;
    pthread_mutex_lock(&l->lock);
    l->paused = true;
    while (l->n_active > 0)
        pthread_cond_wait(&l->done, &l->lock);
    while (l->busy != NULL) {
        free_reasons(l, l->busy);
        give_idle(l, l->busy);
    }
    clear_skips(l);
    oct_free(l->ctx, l->failed_text);
    l->failed_text = NULL;
    l->failed = OCT_OK;
    l->next_begin = l->next_out = 0;
    l->n_queued = 0;
    l->paused = false;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return OCT_OK;
}

static size_t loader_skipped(const oct_batch_source *s, const oct_skip **list)
{
    loader *l = (loader *)(uintptr_t)s;
    pthread_mutex_lock(&l->lock);
    const size_t n = l->n_skips;
    *list = l->skip;
    pthread_mutex_unlock(&l->lock);
    return n;
}

static const char *loader_preprocess_json(const oct_batch_source *s)
{
    const char *text = ((const loader *)s)->c.source->preprocess_json;
    return text != NULL ? text : "";
}

static void free_config(oct_ctx *ctx, const oct_loader_config *c)
{
    for (int k = 0; k < c->n_inputs && c->input != NULL; k++)
        oct_free(ctx, c->input[k].constant);
    oct_free(ctx, c->input);
    oct_free(ctx, c->order);
    if (c->source != NULL)
        c->source->vt->close(c->source);
}

static void free_buffers(loader *l, oct_batch_buffer *list)
{
    while (list != NULL) {
        oct_batch_buffer *next = list->next;
        oct_batch_buffer_free(l->ctx, &l->c, list);
        list = next;
    }
}

static void loader_close(oct_batch_source *s)
{
    loader *l = (loader *)s;
    oct_ctx *parent = l->c.source->ctx;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->n_running; i++)
        pthread_join(l->thread[i], NULL);
    for (int i = 0; i < l->c.n_threads && l->thread_ctx != NULL; i++)
        if (l->thread_ctx[i] != NULL) {
            oct_error_clear(l->thread_ctx[i]); /* told already, or of no interest any more */
            oct_ctx_join(parent, l->thread_ctx[i]);
        }
    free_buffers(l, l->busy);
    free_buffers(l, l->idle);
    clear_skips(l);
    oct_free(l->ctx, l->skip);
    oct_free(l->ctx, l->failed_text);
    oct_free(parent, l->thread);
    oct_free(parent, l->thread_ctx);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->lock);
    oct_error_clear(l->ctx);
    oct_ctx_join(parent, l->ctx);
    free_config(parent, &l->c);
    oct_free(parent, l);
}

static const oct_batch_source_vtable vtable = {
    .n_samples = loader_n_samples,
    .next = loader_next,
    .release = loader_release,
    .rewind = loader_rewind,
    .skipped = loader_skipped,
    .preprocess_json = loader_preprocess_json,
    .close = loader_close,
};

oct_status oct_loader_open(oct_ctx *ctx, const oct_loader_config *config, oct_batch_source **out)
{
    loader *l = oct_zalloc(ctx, sizeof *l);
    oct_ctx *own = NULL;
    if (l == NULL || oct_ctx_fork(ctx, &own) != OCT_OK) {
        oct_free(ctx, l);
        free_config(ctx, config);
        return OCT_ERR_NOMEM;
    }
    l->base.vt = &vtable;
    l->c = *config;
    l->ctx = own;
    l->n_blocks = (uint64_t)((config->n_order + config->batch - 1) / config->batch);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    const oct_status st = config->n_threads > 0 ? start_workers(l, ctx) : OCT_OK;
    if (st != OCT_OK)
        loader_close(&l->base);
    else
        *out = &l->base;
    return st;
}

const oct_source *oct_loader_source(const oct_batch_source *s)
{
    assert(s->vt == &vtable);
    return ((const loader *)s)->c.source;
}

int oct_loader_batch(const oct_batch_source *s)
{
    return ((const loader *)s)->c.batch;
}

oct_source *oct_loader_source_mutable(const oct_batch_source *s)
{
    assert(s->vt == &vtable);
    return ((const loader *)s)->c.source;
}

const int64_t *oct_loader_order(const oct_batch_source *s, int64_t *n)
{
    assert(s->vt == &vtable);
    *n = ((const loader *)s)->c.n_order;
    return ((const loader *)s)->c.order;
}

const oct_shape *oct_loader_shape(const oct_batch_source *s, int k)
{
    assert(s->vt == &vtable && k >= 0 && k < ((const loader *)s)->c.n_inputs);
    return &((const loader *)s)->c.input[k].desc.shape;
}
