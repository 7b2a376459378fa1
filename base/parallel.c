/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parallel.h"

#include <assert.h>
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/checked.h"

#if OCT_HAVE_OPENMP
#include <omp.h>
#endif

typedef struct range_job {
    oct_range_fn fn;
    void *user;
    size_t n;
    int n_ranges;
} range_job;

/* Range i of k: sizes differ by at most one. */
static void run_range(const range_job *job, int i)
{
    const size_t k = (size_t)job->n_ranges, u = (size_t)i;
    const size_t each = job->n / k, rest = job->n % k;
    const size_t lo = u * each + oct_min_size(u, rest);
    job->fn(job->user, lo, lo + each + (u < rest), i);
}

#if OCT_HAVE_OPENMP

static bool is_nested(void)
{
    return omp_in_parallel();
}

static void run_ranges(const range_job *job)
{
    /* The runtime may grant fewer threads than asked for: ranges are dealt out in turn. */
#pragma omp parallel num_threads(job->n_ranges)
    for (int i = omp_get_thread_num(); i < job->n_ranges; i += omp_get_num_threads())
        run_range(job, i);
}

#else

static _Thread_local bool in_range; /* inside a range: nested calls run serially */

typedef struct range_thread {
    const range_job *job;
    pthread_t thread;
    int i;
    bool started;
} range_thread;

static bool is_nested(void)
{
    return in_range;
}

static void *range_main(void *user)
{
    const range_thread *t = user;
    in_range = true;
    run_range(t->job, t->i);
    return NULL;
}

#define MAX_RANGE_THREADS 256

static void run_ranges(const range_job *job)
{
    range_thread t[MAX_RANGE_THREADS];
    for (int i = 1; i < job->n_ranges; i++) {
        t[i] = (range_thread){.job = job, .i = i};
        t[i].started = pthread_create(&t[i].thread, NULL, range_main, &t[i]) == 0;
    }
    in_range = true;
    run_range(job, 0);
    for (int i = 1; i < job->n_ranges; i++) {
        if (t[i].started)
            pthread_join(t[i].thread, NULL);
        else
            run_range(job, i); /* no thread to be had: the work is still done */
    }
    in_range = false;
}

#endif

void oct_parallel_for(int n_threads, size_t n, size_t grain, oct_range_fn fn, void *user)
{
    range_job job = {fn, user, n, 1};
    if (n == 0)
        return;
    const size_t most = n / oct_max_size(grain, 1);
    if (n_threads > 1 && most > 1 && !is_nested())
        job.n_ranges = (int)oct_min_size((size_t)n_threads, most);
#if !OCT_HAVE_OPENMP
    if (job.n_ranges > MAX_RANGE_THREADS)
        job.n_ranges = MAX_RANGE_THREADS;
#endif
    if (job.n_ranges == 1)
        fn(user, 0, n, 0);
    else
        run_ranges(&job);
}

/* ---- workers --------------------------------------------------------------------------- */

/* Workers wait until all of them exist, so that none starts work it must give up. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int state; /* 0 closed, 1 go, -1 go home */
} gate;

typedef struct worker {
    pthread_t thread;
    gate *gate;
    oct_ctx *ctx;
    oct_worker_fn fn;
    void *user;
    int index, omp_threads;
    oct_status status;
} worker;

/* oneDNN may bring an OpenMP runtime into a build that itself has none. */
static void limit_openmp(int n_threads)
{
#if OCT_HAVE_OPENMP
    omp_set_num_threads(n_threads);
#else
    void (*set)(int);
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    if (symbol) {
        memcpy(&set, &symbol, sizeof set);
        set(n_threads);
    }
#endif
}

static void *worker_main(void *user)
{
    worker *w = user;
    pthread_mutex_lock(&w->gate->lock);
    while (w->gate->state == 0)
        pthread_cond_wait(&w->gate->opened, &w->gate->lock);
    const int state = w->gate->state;
    pthread_mutex_unlock(&w->gate->lock);
    if (state > 0) {
        limit_openmp(w->omp_threads > 0 ? w->omp_threads : 1);
        w->status = w->fn(w->user, w->ctx, w->index);
    }
    return NULL;
}

static void gate_open(gate *g, int state)
{
    pthread_mutex_lock(&g->lock);
    g->state = state;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

/* Starts workers until one cannot be; returns how many run. */
static int start_workers(oct_ctx *ctx, worker *w, int n, oct_status *st)
{
    for (int i = 0; i < n; i++) {
        *st = oct_ctx_fork(ctx, &w[i].ctx);
        if (*st != OCT_OK)
            return i;
        const int err = pthread_create(&w[i].thread, NULL, worker_main, &w[i]);
        if (err != 0) {
            oct_ctx_join(ctx, w[i].ctx);
            *st = oct_fail(ctx, OCT_ERR_LIMIT, "cannot start worker thread %d of %d (error %d)", i,
                           n, err);
            return i;
        }
    }
    return n;
}

oct_status oct_run_workers(oct_ctx *ctx, int n_workers, int omp_threads, oct_worker_fn fn,
                           void *user)
{
    assert(n_workers > 0);
    oct_status st = OCT_OK;
    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    worker *w = oct_zalloc_array(ctx, (size_t)n_workers, sizeof *w);
    if (!w)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < n_workers; i++) {
        w[i].gate = &g;
        w[i].fn = fn;
        w[i].user = user;
        w[i].index = i;
        w[i].omp_threads = omp_threads;
    }
    const int started = start_workers(ctx, w, n_workers, &st);
    gate_open(&g, st == OCT_OK ? 1 : -1);
    for (int i = 0; i < started; i++) {
        pthread_join(w[i].thread, NULL);
        oct_ctx_join(ctx, w[i].ctx);
        if (st == OCT_OK)
            st = w[i].status;
    }
    oct_free(ctx, w);
    return st;
}
