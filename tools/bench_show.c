/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables and JSON of octet bench.
 */
#include <stdlib.h>

#include "tools/bench.h"

/* ---- the profile ---- */

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

static double op_gb_s(const oct_op_info *o)
{
    const double ms = op_ms(o);
    return ms > 0 ? 1e-6 * o->bytes / ms : 0.0;
}

/* The highest share of a ceiling that the op comes to, in percent; 0 where none is known. */
static double op_share_of_top(const oct_bench *b, const oct_op_info *o)
{
    const bool tf32 = oct_engine_uses_tf32(b->io.engine);
    const double tops = o->in_dtype == OCT_DT_F16                              ? b->top.f16_tops
                        : o->in_dtype == OCT_DT_S8 || o->in_dtype == OCT_DT_U8 ? b->top.s8_tops
                        : tf32                                                 ? b->top.tf32_tops
                                                                               : b->top.f32_tops;
    const double compute = tops > 0 ? 1e-3 * op_gflops(o) / tops : 0,
                 memory = b->top.copy_gb_s > 0 ? op_gb_s(o) / b->top.copy_gb_s : 0;
    return o->on_device ? 100.0 * (compute > memory ? compute : memory) : 0.0;
}

static oct_status profile_table(oct_bench *b, const oct_op_info *const *op, size_t n, double total)
{
    oct_table *t;
    char shape[OCT_SHAPE_STR_BYTES];
    OCT_TRY(oct_table_new(
        b->cli->ctx,
        "node|op|tactic|>tuned us|output|>ms|>share %|>GFLOP/s|>GB/s|>of top %|>MMAC|why not here",
        &t));
    for (size_t i = 0; i < n; i++) {
        oct_table_str(t, op[i]->node);
        oct_table_str(t, op[i]->op);
        oct_table_str(t, op[i]->tactic);
        if (op[i]->tuned_us > 0)
            oct_table_fixed(t, op[i]->tuned_us, 2);
        else
            oct_table_str(t, "");
        oct_table_str(t, oct_shape_str(&op[i]->out_shape, shape, sizeof shape));
        oct_table_fixed(t, op_ms(op[i]), 4);
        oct_table_fixed(t, total > 0 ? 100.0 * op_ms(op[i]) / total : 0.0, 1);
        oct_table_fixed(t, op_gflops(op[i]), 1);
        oct_table_fixed(t, op_gb_s(op[i]), 1);
        oct_table_fixed(t, op_share_of_top(b, op[i]), 1);
        oct_table_fixed(t, 1e-6 * op[i]->macs, 2);
        oct_table_str(t, op[i]->reason);
    }
    const oct_status st = oct_cli_print_table(b->cli, t);
    oct_table_free(t);
    return st;
}

oct_status oct_bench_show_profile(oct_bench *b)
{
    if (!oct_cli_wants_text(b->cli))
        return OCT_OK;
    const oct_op_info **sorted = oct_alloc_array(b->cli->ctx, b->n_ops + 1, sizeof *sorted);
    if (!sorted)
        return OCT_ERR_NOMEM;
    double total = 0.0;
    for (size_t i = 0; i < b->n_ops; i++) {
        sorted[i] = &b->op[i];
        total += op_ms(&b->op[i]);
    }
    qsort(sorted, b->n_ops, sizeof *sorted, by_time);
    oct_status st = profile_table(b, sorted, b->n_ops, total);
    if (st == OCT_OK)
        st = oct_cli_print(b->cli, "\n");
    oct_free(b->cli->ctx, sorted);
    return st;
}

/* ---- the result ---- */

static void line(oct_table *t, const char *what, double v, int decimals, const char *unit)
{
    oct_table_str(t, what);
    oct_table_fixed(t, v, decimals);
    oct_table_str(t, unit);
}

static void row_lines(const oct_bench *b, oct_table *t, const oct_bench_row *r)
{
    line(t, "load and prepare", b->load_s, 3, "s");
    line(t, "plan and first run", r->first_s, 3, "s");
    line(t, "runs", (double)r->wall.n, 0, "");
    line(t, "latency, best", r->wall.lo, 3, "ms");
    line(t, "latency, p50", r->wall.p50, 3, "ms");
    line(t, "latency, p90", r->wall.p90, 3, "ms");
    line(t, "latency, p99", r->wall.p99, 3, "ms");
    line(t, "throughput", r->per_s, 2, "images/s");
    if (r->device.n > 0) {
        line(t, "without transfers, p50", r->device.p50, 4, "ms");
        line(t, "without transfers, p99", r->device.p99, 4, "ms");
        line(t, "throughput without transfers", r->device_per_s, 2, "images/s");
    }
    line(t, "activations", 1e-6 * (double)r->activation_bytes, 2, "MB");
}

static oct_status one_row(oct_bench *b, oct_table **t)
{
    OCT_TRY(oct_table_new(b->cli->ctx, "measure|>value|unit", t));
    row_lines(b, *t, &b->row[0]);
    if (b->top.copy_gb_s > 0) {
        line(*t, "ceiling, device copy", b->top.copy_gb_s, 0, "GB/s");
        line(*t, "ceiling, f32 product", b->top.f32_tops, 1, "TFLOP/s");
        line(*t, "ceiling, tf32 product", b->top.tf32_tops, 1, "TFLOP/s");
        line(*t, "ceiling, f16 product", b->top.f16_tops, 1, "TFLOP/s");
        line(*t, "ceiling, int8 product", b->top.s8_tops, 1, "TOP/s");
    }
    return OCT_OK;
}

static oct_status many_rows(oct_bench *b, oct_table **t)
{
    OCT_TRY(oct_table_new(b->cli->ctx,
                          b->on_device ? ">batch|>p50 ms|>p90 ms|>p99 ms|>images/s|>device p50 "
                                         "ms|>device p99 ms|>device images/s"
                                       : ">batch|>p50 ms|>p90 ms|>p99 ms|>images/s",
                          t));
    for (size_t i = 0; i < b->n_rows; i++) {
        const oct_bench_row *r = &b->row[i];
        oct_table_fixed(*t, (double)r->images, 0);
        oct_table_fixed(*t, r->wall.p50, 4);
        oct_table_fixed(*t, r->wall.p90, 4);
        oct_table_fixed(*t, r->wall.p99, 4);
        oct_table_fixed(*t, r->per_s, 1);
        if (!b->on_device)
            continue;
        oct_table_fixed(*t, r->device.p50, 4);
        oct_table_fixed(*t, r->device.p99, 4);
        oct_table_fixed(*t, r->device_per_s, 1);
    }
    return OCT_OK;
}

oct_status oct_bench_show(oct_bench *b)
{
    oct_table *t = NULL;
    if (!oct_cli_wants_text(b->cli))
        return OCT_OK;
    oct_status st = b->n_rows == 1 ? one_row(b, &t) : many_rows(b, &t);
    if (st == OCT_OK)
        st = oct_cli_print_table(b->cli, t);
    oct_table_free(t);
    return st;
}

/* ---- JSON ---- */

static void json_times(oct_json *j, const oct_bench_times *t)
{
    oct_json_kv_f64(j, "best_ms", t->lo);
    oct_json_kv_f64(j, "p50_ms", t->p50);
    oct_json_kv_f64(j, "p90_ms", t->p90);
    oct_json_kv_f64(j, "p99_ms", t->p99);
}

static void json_row(oct_json *j, const oct_bench_row *r)
{
    oct_json_kv_s64(j, "images_per_run", r->images);
    oct_json_kv_u64(j, "runs", r->wall.n);
    oct_json_kv_f64(j, "first_run_s", r->first_s);
    json_times(j, &r->wall);
    oct_json_kv_f64(j, "images_per_s", r->per_s);
    oct_json_kv_u64(j, "activation_bytes", r->activation_bytes);
    if (r->device.n == 0)
        return;
    oct_json_key(j, "without_transfers");
    oct_json_begin_object(j);
    oct_json_kv_u64(j, "runs", r->device.n);
    json_times(j, &r->device);
    oct_json_kv_f64(j, "images_per_s", r->device_per_s);
    oct_json_end_object(j);
}

static void json_ops(const oct_bench *b, oct_json *j)
{
    oct_json_key(j, "ops");
    oct_json_begin_array(j);
    for (size_t i = 0; i < b->n_ops; i++) {
        const oct_op_info *o = &b->op[i];
        oct_json_begin_object(j);
        oct_json_kv_string(j, "node", o->node);
        oct_json_kv_string(j, "op", o->op);
        oct_json_kv_string(j, "tactic", o->tactic);
        if (o->tuned_us > 0)
            oct_json_kv_f64(j, "tuned_us", o->tuned_us);
        oct_json_kv_string(j, "dtype", oct_dtype_str(o->out_dtype));
        oct_json_kv_shape(j, "shape", o->out_shape.dim, o->out_shape.n_dims);
        oct_json_kv_f64(j, "ms", op_ms(o));
        oct_json_kv_f64(j, "macs", o->macs);
        oct_json_kv_f64(j, "bytes", o->bytes);
        oct_json_kv_f64(j, "gflops", op_gflops(o));
        oct_json_kv_f64(j, "gb_per_s", op_gb_s(o));
        oct_json_kv_f64(j, "percent_of_ceiling", op_share_of_top(b, o));
        oct_json_kv_string(j, "reason", o->reason);
        oct_json_end_object(j);
    }
    oct_json_end_array(j);
}

static void json_device(const oct_bench *b, oct_json *j)
{
    oct_json_key(j, "device");
    oct_json_begin_object(j);
    oct_json_kv_string(j, "name", b->device.name);
    oct_json_kv_string(j, "driver", b->device.driver);
    oct_json_kv_string(j, "runtime", b->device.runtime);
    oct_json_kv_string(j, "blas", b->device.blas);
    oct_json_kv_s64(j, "clock_mhz", b->device.clock_mhz);
    oct_json_kv_s64(j, "memory_clock_mhz", b->device.memory_clock_mhz);
    if (b->top.copy_gb_s > 0) {
        oct_json_kv_f64(j, "copy_gb_per_s", b->top.copy_gb_s);
        oct_json_kv_f64(j, "f32_tops", b->top.f32_tops);
        oct_json_kv_f64(j, "tf32_tops", b->top.tf32_tops);
        oct_json_kv_f64(j, "f16_tops", b->top.f16_tops);
        oct_json_kv_f64(j, "int8_tops", b->top.s8_tops);
    }
    oct_json_end_object(j);
}

static void json_all(const oct_bench *b, oct_json *j)
{
    oct_json_begin_object(j);
    oct_json_kv_string(j, "schema", "octet.bench/1");
    oct_json_kv_string(j, "model", b->cli->pos[0]);
    oct_json_kv_s64(j, "workers", b->n_workers);
    oct_json_kv_f64(j, "load_s", b->load_s);
    json_row(j, &b->row[0]);
    if (b->on_device)
        json_device(b, j);
    if (b->n_rows > 1) {
        oct_json_key(j, "batches");
        oct_json_begin_array(j);
        for (size_t i = 0; i < b->n_rows; i++) {
            oct_json_begin_object(j);
            json_row(j, &b->row[i]);
            oct_json_end_object(j);
        }
        oct_json_end_array(j);
    }
    if (b->n_ops > 0)
        json_ops(b, j);
    oct_json_end_object(j);
}

oct_status oct_bench_json(oct_bench *b)
{
    oct_strbuf buf;
    oct_json j;
    oct_strbuf_init(&buf, b->cli->ctx);
    oct_json_init(&j, &buf, true);
    json_all(b, &j);
    oct_status st = oct_strbuf_status(&buf);
    if (st == OCT_OK)
        st = oct_cli_emit_json(b->cli, &buf);
    oct_strbuf_deinit(&buf);
    return st;
}
