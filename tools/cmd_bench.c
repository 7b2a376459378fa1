/* SPDX-License-Identifier: Apache-2.0
 *
 * octet bench: latency percentiles, throughput and a profile by operator. Inputs are
 * random, never zeros: zeros make denormals and branch predictors lie.
 */
#include <stdlib.h>
#include <string.h>

#include "base/parallel.h"
#include "tools/cli.h"
#include "tools/engine_io.h"
#include "tools/latency.h"

static const oct_pos positions[] = {{.name = "MODEL", .help = "an ONNX model"}, {0}};

static const oct_opt options[] = {
    {.name = "batch",
     .letter = 'b',
     .arg = "N",
     .type = OCT_OPT_S64,
     .fallback = "1",
     .min = 1,
     .max = 65536,
     .help = "images in one run, where the model leaves the batch open"},
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
    {.name = "profile", .type = OCT_OPT_FLAG, .help = "time every operator"},
    {0}};

static const oct_opt *const shared[] = {oct_engine_opts, NULL};

#define MAX_RUNS 1000000

typedef struct bench_worker {
    oct_worker *w;
    double *ms; /* sorted once measured */
    size_t n, cap;
    double seconds; /* all timed runs together */
} bench_worker;

typedef struct bench {
    oct_cli *cli;
    oct_engine_io io;
    const oct_tensor *in;
    bench_worker *worker;
    int n_workers;
    int64_t warmup, runs;
    double seconds;
    int64_t images; /* in one run */
    double load_s, first_s;
    oct_latency latency;
    double per_s;
    size_t n_runs;
} bench;

/* ---- measuring ---- */

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

static oct_status run_once(bench *b, oct_ctx *ctx, oct_worker *w)
{
    return oct_worker_run(w, ctx, b->in, b->io.n_in, NULL, 0, NULL);
}

static oct_status measure(void *user, oct_ctx *ctx, int index)
{
    bench *b = user;
    bench_worker *bw = &b->worker[index];
    for (int64_t i = 0; i < b->warmup; i++)
        OCT_TRY(run_once(b, ctx, bw->w));
    if (oct_cli_flag(b->cli, "profile"))
        oct_worker_set_profiling(bw->w, true);
    const double start = oct_now_s();
    double last = start;
    while (bw->n < MAX_RUNS && (b->runs ? (int64_t)bw->n < b->runs : last - start < b->seconds)) {
        OCT_TRY(run_once(b, ctx, bw->w));
        const double t = oct_now_s();
        OCT_TRY(add_time(ctx, bw, 1e3 * (t - last)));
        last = t;
    }
    bw->seconds = last - start;
    return OCT_OK;
}

static oct_status summarize(bench *b)
{
    size_t n = 0;
    for (int i = 0; i < b->n_workers; i++) {
        n += b->worker[i].n;
        if (b->worker[i].seconds > 0)
            b->per_s += (double)b->worker[i].n * (double)b->images / b->worker[i].seconds;
    }
    double *all = oct_alloc_array(b->cli->ctx, n + 1, sizeof *all);
    if (!all)
        return OCT_ERR_NOMEM;
    b->n_runs = 0;
    for (int i = 0; i < b->n_workers; i++) {
        memcpy(all + b->n_runs, b->worker[i].ms, b->worker[i].n * sizeof *all);
        b->n_runs += b->worker[i].n;
    }
    b->latency = oct_latency_of(all, n);
    oct_free(b->cli->ctx, all);
    return OCT_OK;
}

/* ---- showing ---- */

static int by_time(const void *a, const void *b)
{
    const oct_op_info *x = *(const oct_op_info *const *)a, *y = *(const oct_op_info *const *)b;
    return x->total_ns > y->total_ns ? -1 : x->total_ns < y->total_ns;
}

static double op_ms(const oct_op_info *o)
{
    return o->n_runs ? 1e-6 * (double)o->total_ns / (double)o->n_runs : 0.0;
}

static double op_gflops(const oct_op_info *o)
{
    const double ms = op_ms(o);
    return ms > 0 ? 2e-6 * o->macs / ms : 0.0;
}

static oct_status profile_table(bench *b, const oct_op_info *const *op, size_t n, double total)
{
    oct_table *t;
    char shape[OCT_SHAPE_STR_BYTES];
    OCT_TRY(oct_table_new(b->cli->ctx,
                          "node|op|tactic|output|>ms|>share %|>GFLOP/s|>MMAC|why not here", &t));
    for (size_t i = 0; i < n; i++) {
        oct_table_str(t, op[i]->node);
        oct_table_str(t, op[i]->op);
        oct_table_str(t, op[i]->tactic);
        oct_table_str(t, oct_shape_str(&op[i]->out_shape, shape, sizeof shape));
        oct_table_fixed(t, op_ms(op[i]), 4);
        oct_table_fixed(t, total > 0 ? 100.0 * op_ms(op[i]) / total : 0.0, 1);
        oct_table_fixed(t, op_gflops(op[i]), 1);
        oct_table_fixed(t, 1e-6 * op[i]->macs, 2);
        oct_table_str(t, op[i]->reason);
    }
    const oct_status st = oct_cli_print_table(b->cli, t);
    oct_table_free(t);
    return st;
}

static oct_status show_profile(bench *b)
{
    const oct_op_info *list;
    const size_t n = oct_worker_ops(b->worker[0].w, &list);
    const oct_op_info **sorted = oct_alloc_array(b->cli->ctx, n + 1, sizeof *sorted);
    if (!sorted)
        return OCT_ERR_NOMEM;
    double total = 0.0;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &list[i];
        total += op_ms(&list[i]);
    }
    qsort(sorted, n, sizeof *sorted, by_time);
    oct_status st = profile_table(b, sorted, n, total);
    if (st == OCT_OK)
        st = oct_cli_print(b->cli, "\n");
    oct_free(b->cli->ctx, sorted);
    return st;
}

static void table_row(oct_table *t, const char *what, double v, int decimals, const char *unit)
{
    oct_table_str(t, what);
    oct_table_fixed(t, v, decimals);
    oct_table_str(t, unit);
}

static oct_status show_table(bench *b)
{
    oct_table *t;
    if (!oct_cli_wants_text(b->cli))
        return OCT_OK;
    if (oct_cli_flag(b->cli, "profile"))
        OCT_TRY(show_profile(b));
    OCT_TRY(oct_table_new(b->cli->ctx, "measure|>value|unit", &t));
    table_row(t, "load and prepare", b->load_s, 3, "s");
    table_row(t, "plan and first run", b->first_s, 3, "s");
    table_row(t, "runs", (double)b->n_runs, 0, "");
    table_row(t, "latency, best", b->latency.best_ms, 3, "ms");
    table_row(t, "latency, p50", b->latency.p50_ms, 3, "ms");
    table_row(t, "latency, p90", b->latency.p90_ms, 3, "ms");
    table_row(t, "latency, p99", b->latency.p99_ms, 3, "ms");
    table_row(t, "throughput", b->per_s, 2, "images/s");
    table_row(t, "activations", 1e-6 * (double)oct_worker_arena_bytes(b->worker[0].w), 2, "MB");
    const oct_status st = oct_cli_print_table(b->cli, t);
    oct_table_free(t);
    return st;
}

static void json_ops(bench *b, oct_json *j)
{
    const oct_op_info *list;
    const size_t n = oct_worker_ops(b->worker[0].w, &list);
    oct_json_key(j, "ops");
    oct_json_begin_array(j);
    for (size_t i = 0; i < n; i++) {
        const oct_op_info *o = &list[i];
        oct_json_begin_object(j);
        oct_json_kv_string(j, "node", o->node);
        oct_json_kv_string(j, "op", o->op);
        oct_json_kv_string(j, "tactic", o->tactic);
        oct_json_kv_string(j, "dtype", oct_dtype_str(o->out_dtype));
        oct_json_kv_shape(j, "shape", o->out_shape.dim, o->out_shape.n_dims);
        oct_json_kv_f64(j, "ms", op_ms(o));
        oct_json_kv_f64(j, "macs", o->macs);
        oct_json_kv_f64(j, "bytes", o->bytes);
        oct_json_kv_f64(j, "gflops", op_gflops(o));
        oct_json_kv_string(j, "reason", o->reason);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static oct_status show_json(bench *b)
{
    oct_strbuf buf;
    oct_json j;
    oct_strbuf_init(&buf, b->cli->ctx);
    oct_json_init(&j, &buf, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.bench/1");
    oct_json_kv_string(&j, "model", b->cli->pos[0]);
    oct_json_kv_s64(&j, "images_per_run", b->images);
    oct_json_kv_s64(&j, "workers", b->n_workers);
    oct_json_kv_u64(&j, "runs", b->n_runs);
    oct_json_kv_f64(&j, "load_s", b->load_s);
    oct_json_kv_f64(&j, "first_run_s", b->first_s);
    oct_json_kv_f64(&j, "best_ms", b->latency.best_ms);
    oct_json_kv_f64(&j, "p50_ms", b->latency.p50_ms);
    oct_json_kv_f64(&j, "p90_ms", b->latency.p90_ms);
    oct_json_kv_f64(&j, "p99_ms", b->latency.p99_ms);
    oct_json_kv_f64(&j, "images_per_s", b->per_s);
    oct_json_kv_u64(&j, "activation_bytes", oct_worker_arena_bytes(b->worker[0].w));
    if (oct_cli_flag(b->cli, "profile"))
        json_ops(b, &j);
    oct_json_end_object(&j);
    oct_status st = oct_strbuf_status(&buf);
    if (st == OCT_OK)
        st = oct_cli_emit_json(b->cli, &buf);
    oct_strbuf_deinit(&buf);
    return st;
}

/* ---- the command ---- */

/* Workers are made and run once here, so that planning is not in the measured time. */
static oct_status start_workers(bench *b)
{
    oct_ctx *ctx = b->cli->ctx;
    const double t0 = oct_now_s();
    b->worker = oct_zalloc_array(ctx, (size_t)b->n_workers, sizeof *b->worker);
    if (!b->worker)
        return OCT_ERR_NOMEM;
    for (int i = 0; i < b->n_workers; i++)
        OCT_TRY(oct_worker_new(b->io.engine, ctx, &b->worker[i].w));
    OCT_TRY(run_once(b, ctx, b->worker[0].w));
    b->first_s = oct_now_s() - t0;
    return OCT_OK;
}

static oct_status bench_with(bench *b)
{
    oct_cli *cli = b->cli;
    OCT_TRY(oct_engine_io_fill(&b->io, cli, cli->seed, oct_cli_s64(cli, "batch")));
    oct_tensor *in = oct_zalloc_array(cli->ctx, b->io.n_in + 1, sizeof *in);
    if (!in)
        return OCT_ERR_NOMEM;
    oct_engine_io_tensors(&b->io, in);
    b->in = in;
    b->images = b->io.n_in && in[0].desc.shape.n_dims > 0 ? in[0].desc.shape.dim[0] : 1;
    oct_status st = start_workers(b);
    if (st == OCT_OK && b->n_workers == 1)
        st = measure(b, cli->ctx, 0);
    else if (st == OCT_OK)
        st = oct_run_workers(cli->ctx, b->n_workers, 1, measure, b);
    if (st == OCT_OK)
        st = summarize(b);
    if (st == OCT_OK)
        st = show_table(b);
    if (st == OCT_OK)
        st = show_json(b);
    oct_free(cli->ctx, in);
    return st;
}

static oct_status run(oct_cli *cli)
{
    const int workers = (int)oct_cli_s64(cli, "workers");
    bench b = {.cli = cli,
               .n_workers = workers ? workers : 1,
               .warmup = oct_cli_s64(cli, "warmup"),
               .runs = oct_cli_s64(cli, "runs"),
               .seconds = oct_cli_f64(cli, "seconds")};
    const double t0 = oct_now_s();
    oct_status st = oct_engine_io_init(&b.io, cli, cli->pos[0], workers ? 1 : cli->n_threads);
    b.load_s = oct_now_s() - t0;
    if (st == OCT_OK)
        st = bench_with(&b);
    for (int i = 0; b.worker && i < b.n_workers; i++) {
        oct_worker_free(b.worker[i].w, cli->ctx);
        oct_free(cli->ctx, b.worker[i].ms);
    }
    oct_free(cli->ctx, b.worker);
    oct_engine_io_deinit(&b.io, cli);
    if (st == OCT_OK)
        oct_cli_summary(cli, "%zu runs of %s", b.n_runs, cli->pos[0]);
    return st;
}

const oct_cmd oct_cmd_bench = {
    .name = "bench",
    .summary = "measure latency and throughput of a model",
    .examples = "  octet bench m.onnx                      one worker, all threads, batch 1\n"
                "  octet bench m.onnx --batch 8 -j 2       batches of 8 on 2 threads\n"
                "  octet bench m.onnx --workers 2          two workers of one thread each\n"
                "  octet bench m.onnx --profile            with a table of operators\n",
    .pos = positions,
    .opts = options,
    .shared = shared,
    .run = run,
    .rank = 26,
};
