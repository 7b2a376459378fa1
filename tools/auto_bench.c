/* SPDX-License-Identifier: Apache-2.0
 *
 * Stage of octet auto: latency of both engines, on a real picture, one after the other in short turns so that both
 * see the same machine. The only file that holds measured times.
 */
#include <string.h>

#include "base/file.h"
#include "base/json_read.h"
#include "tools/any_model.h"
#include "tools/auto.h"

#define SECONDS 1.0 /* of each engine */
#define TURN_S 0.05
#define WARM_UP 3
#define MAX_RUNS 20000

typedef struct timed {
    oct_any_model model;
    oct_engine *engine;
    oct_worker *worker;
    double *ms;
    size_t n;
    double spent_s;
} timed;

void oct_auto_bench_options(oct_auto *a, oct_strbuf *b)
{
    oct_strbuf_addf(b, "bench %s\n", oct_cli_flag(a->cli, "no-bench") ? "no" : "yes");
}

static oct_status open_timed(oct_auto *a, const char *file, timed *t)
{
    char *path = oct_auto_path(a, file);
    t->ms = oct_alloc_array(a->ctx, MAX_RUNS, sizeof *t->ms);
    oct_status st = path != NULL && t->ms != NULL ? OCT_OK : OCT_ERR_NOMEM;
    if (st == OCT_OK)
        st = oct_any_model_open(a->ctx, path, &t->model);
    if (st == OCT_OK) {
        oct_engine_options opt = {.backend = a->backend,
                                  .threads = a->cli->n_threads,
                                  .precision = oct_any_model_precision(&t->model, "auto")};
        oct_any_model_tactics(&t->model, &opt);
        st = oct_engine_new(a->ctx, t->model.model, &opt, &t->engine);
    }
    if (st == OCT_OK)
        st = oct_worker_new(t->engine, a->ctx, &t->worker);
    oct_free(a->ctx, path);
    return st;
}

static void close_timed(oct_auto *a, timed *t)
{
    oct_worker_free(t->worker, a->ctx);
    oct_engine_free(t->engine, a->ctx);
    oct_any_model_close(&t->model);
    oct_free(a->ctx, t->ms);
}

static oct_status run_once(oct_auto *a, timed *t, const oct_batch *b)
{
    return oct_worker_run(t->worker, a->ctx, b->input, (size_t)b->n_inputs, NULL, 0, NULL);
}

/* Runs for a turn at least once. */
static oct_status take_turn(oct_auto *a, timed *t, const oct_batch *b)
{
    const double start = oct_now_s();
    double last = start;
    do {
        OCT_TRY(run_once(a, t, b));
        const double now = oct_now_s();
        t->ms[t->n++] = 1e3 * (now - last);
        last = now;
    } while (last - start < TURN_S && t->n < MAX_RUNS);
    t->spent_s += last - start;
    return oct_check_cancel(a->ctx);
}

static oct_status measure(oct_auto *a, timed *t, const oct_batch *b)
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < WARM_UP; k++)
            OCT_TRY(run_once(a, &t[i], b));
    while ((t[0].spent_s < SECONDS && t[0].n < MAX_RUNS) ||
           (t[1].spent_s < SECONDS && t[1].n < MAX_RUNS))
        for (int i = 0; i < 2; i++)
            if (t[i].n < MAX_RUNS)
                OCT_TRY(take_turn(a, &t[i], b));
    return OCT_OK;
}

static void write_side(oct_auto *a, const char *name, timed *t, int64_t batch, oct_json *j)
{
    const oct_latency l = oct_latency_of(t->ms, t->n);
    oct_json_key(j, name);
    oct_json_begin_object(j);
    oct_json_kv_u64(j, "runs", l.n_runs);
    oct_json_kv_s64(j, "batch", batch);
    oct_json_kv_s64(j, "threads", a->cli->n_threads);
    oct_json_kv_f64(j, "p50_ms", l.p50_ms);
    oct_json_kv_f64(j, "p90_ms", l.p90_ms);
    oct_json_kv_f64(j, "p99_ms", l.p99_ms);
    oct_json_kv_f64(j, "mean_ms", l.mean_ms);
    oct_json_end_object(j);
}

static oct_status write_result(oct_auto *a, timed *t, const oct_batch *first)
{
    oct_strbuf b;
    oct_json j;
    oct_strbuf_init(&b, a->ctx);
    oct_json_init(&j, &b, true);
    oct_json_begin_object(&j);
    oct_json_kv_string(&j, "schema", "octet.auto-bench/1");
    oct_json_kv_bool(&j, "measured", t != NULL);
    if (t != NULL) {
        const oct_shape *s = &first->input[0].desc.shape;
        const int64_t batch = s->n_dims > 0 ? s->dim[0] : 1;
        write_side(a, "fp32", &t[0], batch, &j);
        write_side(a, "int8", &t[1], batch, &j);
    }
    oct_json_end_object(&j);
    oct_strbuf_add(&b, "\n");
    const oct_status st = oct_auto_write(a, OCT_AUTO_BENCH, &b);
    oct_strbuf_deinit(&b);
    return st;
}

static oct_status measure_both(oct_auto *a, const oct_batch *b)
{
    timed t[2] = {{.n = 0}, {.n = 0}};
    oct_status st = open_timed(a, OCT_AUTO_FP32, &t[0]);
    if (st == OCT_OK)
        st = open_timed(a, OCT_AUTO_INT8, &t[1]);
    if (st == OCT_OK)
        st = measure(a, t, b);
    if (st == OCT_OK)
        st = write_result(a, t, b);
    close_timed(a, &t[0]);
    close_timed(a, &t[1]);
    return st;
}

oct_status oct_auto_bench(oct_auto *a)
{
    oct_dataset_args args;
    oct_batch_source *source = NULL;
    const oct_batch *b = NULL;
    if (oct_cli_flag(a->cli, "no-bench"))
        return write_result(a, NULL, NULL);
    oct_status st = oct_auto_open_part(a, OCT_AUTO_TEST, &args, &source);
    if (st == OCT_OK)
        st = source->vt->next(source, a->ctx, &b);
    if (st == OCT_OK && b == NULL)
        st = oct_fail(a->ctx, OCT_ERR_NOT_FOUND, "no test picture to measure with");
    if (st == OCT_OK)
        st = measure_both(a, b);
    if (b != NULL)
        source->vt->release(source, b);
    if (source != NULL)
        source->vt->close(source);
    oct_dataset_args_deinit(&args);
    return st;
}

/* ---- reading it back --------------------------------------------------------------------- */

static oct_status read_side(const oct_json_at *at, const json_t *root, const char *key,
                            oct_report *r, oct_report_latency **out)
{
    json_t *o;
    int64_t runs, batch, threads;
    oct_report_latency *l = oct_report_array(r, OCT_REPORT_LATENCY, 1);
    if (l == NULL)
        return OCT_ERR_NOMEM;
    OCT_TRY(oct_json_get_object(at, root, key, &o));
    OCT_TRY(oct_json_get_s64(at, o, "runs", &runs));
    OCT_TRY(oct_json_get_s64(at, o, "batch", &batch));
    OCT_TRY(oct_json_get_s64(at, o, "threads", &threads));
    OCT_TRY(oct_json_get_f64(at, o, "p50_ms", &l->p50_ms));
    OCT_TRY(oct_json_get_f64(at, o, "p90_ms", &l->p90_ms));
    OCT_TRY(oct_json_get_f64(at, o, "p99_ms", &l->p99_ms));
    OCT_TRY(oct_json_get_f64(at, o, "mean_ms", &l->mean_ms));
    l->runs = runs;
    l->batch = batch;
    l->threads = threads;
    l->images_per_s = l->mean_ms > 0 ? 1e3 * (double)batch / l->mean_ms : 0;
    *out = l;
    return OCT_OK;
}

oct_status oct_auto_read_bench(oct_auto *a, oct_report *r, oct_report_latency *out[2])
{
    json_t *root = NULL;
    bool measured = false;
    char *path = oct_auto_path(a, OCT_AUTO_BENCH);
    if (path == NULL)
        return OCT_ERR_NOMEM;
    const oct_json_at at = {a->ctx, path, ""};
    oct_status st = oct_json_read_file(a->ctx, path, (size_t)1 << 20, &root);
    if (st == OCT_OK)
        st = oct_json_get_bool(&at, root, "measured", &measured);
    if (st == OCT_OK && measured) {
        st = read_side(&at, root, "fp32", r, &out[0]);
        if (st == OCT_OK)
            st = read_side(&at, root, "int8", r, &out[1]);
    }
    oct_json_read_free(root);
    oct_free(a->ctx, path);
    return st;
}
