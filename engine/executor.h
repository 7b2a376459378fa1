/* SPDX-License-Identifier: Apache-2.0
 *
 * Executor: runs plans. A *frame* is one worker's memory for one plan: where each plan
 * tensor is. Static plans do nothing per step but gather pointers and call the prepared op; no
 * allocation, no lock. Steps whose shapes depend on data are inferred, placed in the
 * worker's pool and prepared when reached, and remembered by shape. If and Loop run
 * frames of their subgraphs.
 *
 * On a device steps are queued on the worker's stream and the host waits once, at the end of a
 * run, or before a step of its own. From the second run of a plan on, runs of device steps are
 * replayed as captured graphs (exec_device.c).
 *
 * Thread-safety: a worker and its frames belong to one thread at a time.
 */
#ifndef OCT_ENGINE_EXECUTOR_H
#define OCT_ENGINE_EXECUTOR_H

#include "engine/plan.h"
#include "engine/session.h"
#include "engine/session_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pool: blocks of memory by best fit, kept for the next run ---- */

typedef struct oct_pool_block {
    void *data;
    size_t bytes;
    bool used;
} oct_pool_block;

typedef struct oct_pool {
    oct_pool_block *block;
    uint32_t n, cap;
} oct_pool;

OCT_MUST_CHECK oct_status oct_pool_take(oct_pool *p, oct_ctx *ctx, size_t bytes, uint32_t *block);
void oct_pool_give(oct_pool *p, uint32_t block);
void oct_pool_deinit(oct_pool *p, oct_ctx *ctx);

/* ---- frames ---- */

#define OCT_DEFERRED_CACHE 4

/* A prepared op of a step that was planned while running, for one set of inputs. */
typedef struct oct_deferred_op {
    oct_operand *operand; /* n_in + n_out; small integers copied */
    oct_prepared *op;
    size_t workspace_bytes;
    int alias_in;
} oct_deferred_op;

typedef struct oct_deferred {
    oct_deferred_op entry[OCT_DEFERRED_CACHE];
    uint32_t next; /* to overwrite */
} oct_deferred;

typedef struct oct_frame {
    oct_plan *plan;
    uint8_t *memory[2];     /* of its own (subgraphs), else NULL: the worker's */
    void **ptr;             /* per plan tensor */
    oct_tensor_desc *desc;  /* per plan tensor; NULL when all shapes are static */
    uint32_t *block;        /* DYNAMIC tensors: pool block or OCT_NONE */
    oct_deferred *deferred; /* per step; NULL when all shapes are static */
    const void **arg_in;    /* max_args of the plan */
    void **arg_out;
    uint64_t *n_runs, *total_ns; /* per step */
    void **graph;                /* per segment of the plan; captured for graph_version */
    uint64_t graph_version;
    oct_event **event;       /* two per step, made when profiling a device */
    bool warm;               /* has run: kernels are loaded */
    bool no_graphs;          /* capturing failed: steps are launched one by one */
    oct_op_info *info;       /* what oct_worker_ops() hands out */
    uint64_t memory_version; /* of the worker's memory that ptr[] was computed for */
    uint64_t used_at;
} oct_frame;

struct oct_worker {
    oct_engine *engine;
    void *memory[2];
    size_t memory_bytes[2];
    uint64_t memory_version;
    oct_stream *stream;
    oct_frame **frame;
    uint32_t n_frames, cap_frames;
    oct_frame *last; /* most recent frame of the engine's own graph */
    oct_pool pool;
    bool profiling;
    bool pending; /* the stream may still read or write host memory */
    uint64_t clock;
};

/* The worker's frame for `g` with these inputs; plans when needed. */
OCT_MUST_CHECK oct_status oct_frame_get(oct_worker *w, oct_ctx *ctx, const oct_graph *g,
                                        const oct_tensor_desc *in, uint32_t n_in, oct_frame **out);
void oct_frame_free(oct_worker *w, oct_ctx *ctx, oct_frame *f);

/* Runs the plan. `in` are the graph's inputs in host memory. */
OCT_MUST_CHECK oct_status oct_frame_run(oct_worker *w, oct_ctx *ctx, oct_frame *f,
                                        const oct_tensor *in, oct_observer *observer);
/* Graph output `i` of the last run. */
oct_tensor oct_frame_output(const oct_frame *f, uint32_t i);

static inline const oct_tensor_desc *oct_frame_desc(const oct_frame *f, uint32_t t)
{
    return f->plan->tensor[t].place == OCT_PLACE_DYNAMIC ? &f->desc[t] : &f->plan->tensor[t].desc;
}

/* ---- executor.c ---- */
/* Queues or runs step `i`. */
OCT_MUST_CHECK oct_status oct_exec_step(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i);

/* ---- exec_device.c ---- */
/* Waits until the host may touch what the stream uses. */
OCT_MUST_CHECK oct_status oct_exec_settle(oct_worker *w, oct_ctx *ctx);
/* After a failure: waits for what is queued, which may use the caller's inputs; keeps the message. */
oct_status oct_exec_abandon(oct_worker *w, oct_ctx *ctx, oct_status st);
/* Bytes to output 0 from the input that it must share memory with. */
OCT_MUST_CHECK oct_status oct_exec_alias_copy(oct_worker *w, oct_ctx *ctx, const oct_prepared *op,
                                              void *dst, const void *src, size_t bytes);
/* Whether the body of this run may be replayed from graphs. */
bool oct_exec_uses_graphs(const oct_worker *w, const oct_frame *f, const oct_observer *observer);
/* The body, from graphs, captured when there are none that fit. */
OCT_MUST_CHECK oct_status oct_exec_graphs(oct_worker *w, oct_ctx *ctx, oct_frame *f);
/* A step between two events; oct_exec_read_events() adds up once the stream is settled. */
OCT_MUST_CHECK oct_status oct_exec_timed(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i);
OCT_MUST_CHECK oct_status oct_exec_read_events(oct_worker *w, oct_ctx *ctx, oct_frame *f);
/* Gives graphs and events back. */
void oct_exec_device_free(oct_worker *w, oct_ctx *ctx, oct_frame *f);

/* ---- exec_deferred.c ---- */
OCT_MUST_CHECK oct_status oct_exec_deferred(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i);
void oct_exec_deferred_free(oct_ctx *ctx, oct_deferred *d, const oct_plan_step *s);
/* Gives output `t` its memory for a dense row-major result. */
OCT_MUST_CHECK oct_status oct_exec_place(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t t,
                                         const oct_tensor_desc *d);

/* ---- exec_control.c ---- */
OCT_MUST_CHECK oct_status oct_exec_control(oct_worker *w, oct_ctx *ctx, oct_frame *f, uint32_t i);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_EXECUTOR_H */
