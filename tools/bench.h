/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of octet bench: what is measured (cmd_bench.c), the device's ceilings
 * (bench_ceiling.c), tables and JSON (bench_show.c).
 */
#ifndef OCT_TOOLS_BENCH_H
#define OCT_TOOLS_BENCH_H

#include "kernels/backend.h"
#include "tools/engine_io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Milliseconds of runs. */
typedef struct oct_bench_times {
    double lo, p50, p90, p99, mean;
    size_t n;
} oct_bench_times;

/* One batch size. */
typedef struct oct_bench_row {
    int64_t images; /* in one run */
    double first_s; /* planning and first run */
    oct_bench_times wall;
    double per_s;           /* images; transfers to and from a device included */
    oct_bench_times device; /* without transfers, by the device's clock; n = 0 on the CPU */
    double device_per_s;
    size_t activation_bytes;
} oct_bench_row;

/* What a device reaches at best in this process: 0 = not measured. */
typedef struct oct_bench_ceilings {
    double copy_gb_s; /* bytes read plus bytes written by a device copy */
    double f32_tops, tf32_tops, f16_tops, s8_tops; /* square matrix products, 2 operations a MAC */
} oct_bench_ceilings;

typedef struct oct_bench {
    oct_cli *cli;
    oct_engine_io io;
    oct_backend *be;
    bool on_device;
    oct_device_info device;
    oct_bench_ceilings top;
    int n_workers;
    double load_s;
    oct_bench_row *row;
    size_t n_rows;
    oct_op_info *op; /* profile; strings of the engine */
    size_t n_ops;
} oct_bench;

/* Sorts `ms`. */
void oct_bench_summary(double *ms, size_t n, oct_bench_times *t);

/* Copies and matrix products of random numbers, timed by events. */
OCT_MUST_CHECK oct_status oct_bench_measure_ceilings(oct_ctx *ctx, oct_backend *be,
                                                     oct_bench_ceilings *top);

OCT_MUST_CHECK oct_status oct_bench_show_profile(oct_bench *b);
OCT_MUST_CHECK oct_status oct_bench_show(oct_bench *b);
OCT_MUST_CHECK oct_status oct_bench_json(oct_bench *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_BENCH_H */
