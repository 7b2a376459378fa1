/* SPDX-License-Identifier: Apache-2.0
 *
 * octet bench: latency percentiles, throughput and a profile by operator; on a device with
 * and without transfers. Inputs are random, never zeros: zeros make denormals, branch predictors
 * and clocks lie.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/parallel.h"
#include "base/strbuf.h"
#include "tools/bench.h"
#include "tools/cli.h"

static const oct_pos positions[] = {{.name = "MODEL", .help = "an ONNX model"}, {0}};

static const oct_opt options[] = {
    {.name = "batch",
     .letter = 'b',
     .arg = "N[,N...]",
     .type = OCT_OPT_TEXT,
     .fallback = "1",
     .help = "images in one run, where the model leaves the batch open; several are measured in "
             "turn"},
    {.name = "runs",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "0",
     .min = 0,
     .max = 1000000,
     .help = "timed runs of each worker; 0 = as many as fit in --seconds"},
    {.name = "seconds",
     .arg = "S",
     .type = OCT_OPT_F64,
     .fallback = "3",
     .min = 0.01,
     .max = 3600,
     .help = "time to measure"},
    {.name = "warmup",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "3",
     .min = 0,
     .max = 1000,
     .help = "runs before measuring"},
    {.name = "workers",
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "0",
     .min = 0,
     .max = 1024,
     .help = "N workers of one thread each, side by side; 0 = one worker with all threads"},
    {.name = "profile",
     .type = OCT_OPT_FLAG,
     .help =
         "time every operator; on a GPU also against what its memory and its matrix units reach"},
    {0}};

static const oct_opt *const shared[] = {oct_engine_opts, NULL};

#define MAX_RUNS 1000000
#define MAX_BATCH 65536
#define MAX_BATCHES 64
#define MIN_REPLAYS 20
#define MAX_REPLAYS 10000

typedef struct bench_worker {
    oct_ctx *ctx;
    oct_worker *w;
    double *ms;
    size_t n, cap;
    double seconds; /* all timed runs together */
} bench_worker;

/* What the threads of one row share. */
typedef struct session {
    oct_bench *b;
    oct_tensor *in;
    bench_worker *worker;
    int64_t warmup, runs;
    double seconds;
} session;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- numbers ---- */

static int compare_f64(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *ms, size_t n, double p)
{
    return n ? ms[(size_t)(p * (double)(n - 1) + 0.5)] : 0.0;
}

void oct_bench_summary(double *ms, size_t n, oct_bench_times *t)
{
    double sum = 0;
    qsort(ms, n, sizeof *ms, compare_f64);
    for (size_t i = 0; i < n; i++)
        sum += ms[i];
    *t = (oct_bench_times){.lo = percentile(ms, n, 0.0),
                           .p50 = percentile(ms, n, 0.5),
                           .p90 = percentile(ms, n, 0.9),
                           .p99 = percentile(ms, n, 0.99),
                           .mean = n ? sum / (double)n : 0.0,
                           .n = n};
}

static oct_status add_time(oct_ctx *ctx, bench_worker *b, double ms)
{
    if (b->n == b->cap) {
        const size_t cap = b->cap ? 2 * b->cap : 256;
        double *more = oct_realloc(ctx, b->ms, cap * sizeof *more);
        if (!more)
            return OCT_ERR_NOMEM;
        b->ms = more;
        b->cap = cap;
    }
    b->ms[b->n++] = ms;
    return OCT_OK;
}

/* ---- measuring ---- */

static oct_status run_once(session *s, oct_ctx *ctx, oct_worker *w)
{
    return oct_worker_run(w, ctx, s->in, s->b->io.n_in, NULL, 0, NULL);
}

static oct_status measure(void *user, oct_ctx *ctx, int index)
{
    session *s = user;
    bench_worker *bw = &s->worker[index];
    const int64_t warmup = s->b->on_device && s->warmup < 2 ? 2 : s->warmup; /* graphs */
    for (int64_t i = 0; i < warmup; i++)
        OCT_TRY(run_once(s, ctx, bw->w));
    const bool profile = oct_cli_flag(s->b->cli, "profile");
    oct_worker_set_profiling(bw->w, profile && !s->b->on_device);
    const double start = now_s();
    double last = start;
    while (bw->n < MAX_RUNS && (s->runs ? (int64_t)bw->n < s->runs : last - start < s->seconds)) {
        OCT_TRY(run_once(s, ctx, bw->w));
        const double t = now_s();
        OCT_TRY(add_time(ctx, bw, 1e3 * (t - last)));
        last = t;
    }
    bw->seconds = last - start;
    return OCT_OK;
}

static oct_status summarize(session *s, oct_bench_row *r)
{
    const int workers = s->b->n_workers;
    size_t n = 0;
    for (int i = 0; i < workers; i++)
        n += s->worker[i].n;
    double *all = oct_alloc_array(s->b->cli->ctx, n + 1, sizeof *all);
    if (!all)
        return OCT_ERR_NOMEM;
    n = 0;
    for (int i = 0; i < workers; i++) {
        const bench_worker *w = &s->worker[i];
        memcpy(all + n, w->ms, w->n * sizeof *all);
        n += w->n;
        if (w->seconds > 0)
            r->per_s += (double)w->n * (double)r->images / w->seconds;
    }
    oct_bench_summary(all, n, &r->wall);
    oct_free(s->b->cli->ctx, all);
    return OCT_OK;
}

/* The device's own time: repetitions without transfers, then a profile. */
static oct_status measure_device(session *s, oct_bench_row *r)
{
    oct_ctx *ctx = s->b->cli->ctx;
    oct_worker *w = s->worker[0].w;
    const double n_wanted = r->wall.p50 > 0 ? 1e3 * s->seconds / r->wall.p50 : MIN_REPLAYS;
    const int n = n_wanted < MIN_REPLAYS   ? MIN_REPLAYS
                  : n_wanted > MAX_REPLAYS ? MAX_REPLAYS
                                           : (int)n_wanted;
    double *ms = oct_alloc_array(ctx, (size_t)n, sizeof *ms);
    if (!ms)
        return OCT_ERR_NOMEM;
    const oct_status st = oct_worker_replay(w, ctx, n, ms);
    if (st == OCT_OK) {
        oct_bench_summary(ms, (size_t)n, &r->device);
        r->device_per_s = 1e3 * (double)r->images / r->device.mean;
    } else if (st ==
               OCT_ERR_UNSUPPORTED) { /* shapes that depend on data: no fixed piece to repeat */
        oct_error_clear(ctx);
    }
    oct_free(ctx, ms);
    return st == OCT_ERR_UNSUPPORTED ? OCT_OK : st;
}

static oct_status profile_device(session *s)
{
    oct_ctx *ctx = s->b->cli->ctx;
    if (!oct_cli_flag(s->b->cli, "profile"))
        return OCT_OK;
    oct_worker_set_profiling(s->worker[0].w, true);
    for (int i = 0; i < MIN_REPLAYS; i++)
        OCT_TRY(run_once(s, ctx, s->worker[0].w));
    oct_worker_set_profiling(s->worker[0].w, false);
    return oct_bench_measure_ceilings(ctx, s->b->be, &s->b->top);
}

/* ---- one batch size ---- */

/* Workers are made and run once here, so that planning is not in the measured time. */
static oct_status start_workers(session *s, oct_bench_row *r)
{
    oct_ctx *ctx = s->b->cli->ctx;
    const double t0 = now_s();
    s->worker = oct_zalloc_array(ctx, (size_t)s->b->n_workers, sizeof *s->worker);
    if (!s->worker)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < s->b->n_workers; i++)
        OCT_TRY(oct_worker_new(s->b->io.engine, ctx, &s->worker[i].w));
    OCT_TRY(run_once(s, ctx, s->worker[0].w));
    r->first_s = now_s() - t0;
    return OCT_OK;
}

static oct_status keep_profile(oct_bench *b, const oct_worker *w)
{
    const oct_op_info *op;
    b->n_ops = oct_worker_ops(w, &op);
    b->op = oct_alloc_array(b->cli->ctx, b->n_ops + 1, sizeof *b->op);
    if (!b->op)
        return OCT_ERR_NOMEM;
    memcpy(b->op, op, b->n_ops * sizeof *op);
    return oct_bench_show_profile(b);
}

static oct_status measure_row(session *s, oct_bench_row *r)
{
    oct_bench *b = s->b;
    oct_ctx *ctx = b->cli->ctx;
    OCT_TRY(start_workers(s, r));
    OCT_TRY(b->n_workers == 1 ? measure(s, ctx, 0)
                              : oct_run_workers(ctx, b->n_workers, 1, measure, s));
    OCT_TRY(summarize(s, r));
    r->activation_bytes = oct_worker_arena_bytes(s->worker[0].w);
    if (b->on_device) {
        OCT_TRY(measure_device(s, r));
        OCT_TRY(profile_device(s));
    }
    return oct_cli_flag(b->cli, "profile") ? keep_profile(b, s->worker[0].w) : OCT_OK;
}

static void stop_workers(session *s)
{
    for (int i = 0; s->worker && i < s->b->n_workers; i++) {
        oct_worker_free(s->worker[i].w, s->b->cli->ctx);
        oct_free(s->b->cli->ctx, s->worker[i].ms);
    }
    oct_free(s->b->cli->ctx, s->worker);
}

/* Inputs lie where a device copies from while it works. */
static oct_status pin_inputs(session *s)
{
    oct_engine_io *io = &s->b->io;
    for (size_t i = 0; i < io->n_in; i++) {
        size_t bytes = 0;
        if (!oct_tensor_desc_bytes(&s->in[i].desc, &bytes))
            return OCT_ERR_LIMIT;
        void *p = oct_engine_host_alloc(io->engine, s->b->cli->ctx, bytes);
        if (!p)
            return OCT_ERR_NOMEM;
        memcpy(p, s->in[i].data, bytes);
        s->in[i].data = p;
    }
    return OCT_OK;
}

static void unpin_inputs(session *s)
{
    oct_engine_io *io = &s->b->io;
    for (size_t i = 0; i < io->n_in; i++)
        if (s->in[i].data != io->input[i].data)
            oct_engine_host_free(io->engine, s->b->cli->ctx, s->in[i].data);
}

static oct_status bench_batch(oct_bench *b, int64_t batch, oct_bench_row *r)
{
    oct_cli *cli = b->cli;
    session s = {.b = b,
                 .warmup = oct_cli_s64(cli, "warmup"),
                 .runs = oct_cli_s64(cli, "runs"),
                 .seconds = oct_cli_f64(cli, "seconds")};
    OCT_TRY(oct_engine_io_fill(&b->io, cli, cli->seed, batch));
    s.in = oct_zalloc_array(cli->ctx, b->io.n_in + 1, sizeof *s.in);
    if (!s.in)
        return OCT_ERR_NOMEM;
    oct_engine_io_tensors(&b->io, s.in);
    r->images = b->io.n_in && s.in[0].desc.shape.n_dims > 0 ? s.in[0].desc.shape.dim[0] : 1;
    oct_status st = pin_inputs(&s);
    if (st == OCT_OK)
        st = measure_row(&s, r);
    stop_workers(&s);
    unpin_inputs(&s);
    oct_free(cli->ctx, s.in);
    oct_engine_io_clear(&b->io, cli);
    return st;
}

/* ---- the command ---- */

static oct_status parse_batches(oct_cli *cli, int64_t *batch, size_t *n)
{
    const char *text = oct_cli_str(cli, "batch");
    *n = 0;
    for (const char *p = text;; p++) {
        const size_t len = strcspn(p, ",");
        if (*n == MAX_BATCHES || !oct_parse_s64(p, len, &batch[*n]) || batch[*n] < 1 ||
            batch[*n] > MAX_BATCH)
            return oct_cli_usage(cli, "--batch: '%s' is no list of numbers from 1 to %d", text,
                                 MAX_BATCH);
        ++*n;
        p += len;
        if (!*p)
            return OCT_OK;
    }
}

static oct_status bench_all(oct_bench *b, const int64_t *batch)
{
    b->be = oct_engine_backend(b->io.engine);
    b->on_device = !b->be->vt->host_memory;
    if (b->on_device)
        OCT_TRY(b->be->vt->device_info(b->be, b->cli->ctx, &b->device));
    b->row = oct_zalloc_array(b->cli->ctx, b->n_rows, sizeof *b->row);
    if (!b->row)
        return OCT_ERR_NOMEM;
    for (size_t i = 0; i < b->n_rows; i++)
        OCT_TRY(bench_batch(b, batch[i], &b->row[i]));
    OCT_TRY(oct_bench_show(b));
    return oct_bench_json(b);
}

static oct_status run(oct_cli *cli)
{
    const int workers = (int)oct_cli_s64(cli, "workers");
    oct_bench b = {.cli = cli, .n_workers = workers ? workers : 1};
    int64_t batch[MAX_BATCHES];
    OCT_TRY(parse_batches(cli, batch, &b.n_rows));
    if (b.n_rows > 1 && oct_cli_flag(cli, "profile"))
        return oct_cli_usage(cli, "--profile takes one --batch");
    const double t0 = now_s();
    oct_status st = oct_engine_io_init(&b.io, cli, cli->pos[0], workers ? 1 : cli->n_threads);
    b.load_s = now_s() - t0;
    if (st == OCT_OK)
        st = bench_all(&b, batch);
    if (st == OCT_OK)
        oct_cli_summary(cli, "%zu runs of %s", b.row[b.n_rows - 1].wall.n, cli->pos[0]);
    oct_free(cli->ctx, b.row);
    oct_free(cli->ctx, b.op);
    oct_engine_io_deinit(&b.io, cli);
    return st;
}

const oct_cmd oct_cmd_bench = {
    .name = "bench",
    .summary = "measure latency and throughput of a model",
    .examples = "  octet bench m.onnx                      one worker, all threads, batch 1\n"
                "  octet bench m.onnx --batch 1,8,128 --device cuda --precision fp16\n"
                "  octet bench m.onnx --batch 8 -j 2       batches of 8 on 2 threads\n"
                "  octet bench m.onnx --workers 2          two workers of one thread each\n"
                "  octet bench m.onnx --profile            with a table of operators\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 26,
};
