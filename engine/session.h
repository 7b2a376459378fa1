/* SPDX-License-Identifier: Apache-2.0
 *
 * Session: a model made ready to run on one backend. Passes rewrite a copy of the graph,
 * the planner assigns layouts, tactics and one reused activation arena per input shape
 * (plans are kept, least recently used out), the executor runs them.
 *
 *     engine  = passes + packed weights + plans, shared, immutable to its users
 *     worker  = one line of execution: its own activation arena; one thread at a time
 *
 * Workers of one engine share packed weights and plans; each may run at the same time.
 *
 * Observed values: names given at creation are kept in memory as the model defines them and
 * handed to the observer while running, in graph order, before they can be overwritten.
 */
#ifndef OCT_ENGINE_SESSION_H
#define OCT_ENGINE_SESSION_H

#include "engine/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_engine oct_engine;
typedef struct oct_worker oct_worker;

typedef enum oct_precision {
    OCT_PRECISION_F32 = 1,
    OCT_PRECISION_F16 = 2,
    OCT_PRECISION_S8 = 4,
    OCT_PRECISION_TF32 = 8,
} oct_precision; /* bits; an engine may mix */

/* A tactic that was chosen by timing: node name -> candidate name. */
typedef struct oct_tactic {
    const char *node, *tactic;
    double us; /* one run when it was chosen; 0 = not timed */
    uint64_t
        key; /* shapes and types that it was timed with (engine/plan_key.h), the only ones that it is
                     taken for; 0 = any */
} oct_tactic;

typedef struct oct_engine_options {
    const char *backend;        /* "cpu" (default when NULL), "ref", "cuda", "cuda:N" */
    struct oct_backend *opened; /* used instead when not NULL; borrowed, must outlive the engine */
    int threads;                /* threads one worker may use; 0 = oct_cpu_count() */
    int plan_threads;           /* threads that may make a plan's ops; 0 = `threads` */
    uint32_t
        precision; /* OCT_PRECISION_* bits; 0 = F32 (Q/DQ in the graph is lowered when S8 is set) */
    const char *const *keep_f32; /* with F16: values that stay f32, because their calibrated
                                        range leaves f16; borrowed while the engine is made */
    size_t n_keep_f32;
    bool observe_all; /* observe every float value named in the ONNX graph, inputs included */
    const char *const *observe; /* else these names */
    size_t n_observe;
    bool
        observe_made; /* also what the rewritten graph computes for a value named in the model, as it is: integers
                        * stand for the float value that they quantize. Found after the passes, so that
                        * nothing is kept from being fused */
    bool tune;                /* time candidates instead of taking the first */
    const char *timing_cache; /* with `tune`: file that times are taken from and added to
                                 (engine/timing_cache.h); NULL = none. Copied */
    const oct_tactic *tactic; /* takes these where a backend still offers them, without timing; */
    size_t n_tactics;         /* ... borrowed, must outlive the engine */
    int max_plans;            /* plans kept; 0 = 8 */
    size_t arena_limit_bytes; /* refuse plans above; 0 = none */
    bool no_fusion;           /* debugging: run the graph as imported */
} oct_engine_options;

/* The model must outlive the engine. */
OCT_MUST_CHECK oct_status oct_engine_new(oct_ctx *ctx, const oct_model *m,
                                         const oct_engine_options *opt, oct_engine **out);
void oct_engine_free(oct_engine *e, oct_ctx *ctx); /* NULL is allowed; after its workers */

/* The backend it runs on; lives as long as the engine. */
struct oct_backend *oct_engine_backend(const oct_engine *e);
bool oct_engine_uses_tf32(const oct_engine *e);

/* With `tune`: how many candidates this engine timed itself, and what it timed them on (device, threads,
 * libraries, kernels); "" without. */
size_t oct_engine_timed(const oct_engine *e, const char **device);

typedef struct oct_io {
    const char *name;
    oct_dtype dtype;
    oct_shape shape; /* as declared; symbols where dynamic */
} oct_io;

/* Host memory for inputs that a device copies from while it works; plain memory on the CPU. */
void *oct_engine_host_alloc(oct_engine *e, oct_ctx *ctx, size_t bytes);
void oct_engine_host_free(oct_engine *e, oct_ctx *ctx, void *p); /* NULL is allowed */

size_t oct_engine_inputs(const oct_engine *e,
                         const oct_io **list); /* model order, without initializers */
size_t oct_engine_outputs(const oct_engine *e, const oct_io **list); /* model order */

/* Values that will be observed, in execution order: index here = `value` in the callback. A value
 * that is a Relu of another observed one, or moves its elements unchanged, says so, so that
 * statistics can be derived instead of scanned. */
typedef enum oct_derived {
    OCT_DERIVED_NONE,
    OCT_DERIVED_RELU, /* = max(source, 0), every element once */
    OCT_DERIVED_SAME, /* same multiset of elements as source (Reshape, Transpose, Flatten ...) */
} oct_derived;

typedef struct oct_observed {
    const char *name;
    oct_dtype dtype;
    oct_shape shape; /* with the declared (symbolic) input shapes */
    /* Proven by symbolic inference: the batch is the outermost factor, so that the dense elements
     * are one equal block an image (axis 0 may be a multiple of the batch after a Reshape). */
    bool batch_outermost;
    bool batch_free; /* does not depend on any input (or has no batch in it): counts once */
    oct_derived derived;
    uint32_t source; /* index of the source when derived */
    bool quantized;  /* integers of one scale: real = q.scale * (x - q.zero_point) */
    oct_qparams q;
} oct_observed;

size_t oct_engine_observed(const oct_engine *e, const oct_observed **list);

/* Called for each observed value, on the worker's thread, values in the same order each run. `t` is
 * valid during the call only; layout as planned (dense). With a `stream` it lies in the device's memory
 * and the work must be queued there; NULL: in host memory. A status other than OCT_OK stops the run. Derived values are not
 * handed out when `skip_derived`. */
typedef struct oct_observer {
    oct_status (*fn)(struct oct_observer *self, oct_ctx *ctx, uint32_t value, const oct_tensor *t,
                     oct_stream *stream);
    bool skip_derived;
} oct_observer;

/* Copies the elements of a tensor that an observer was given with a `stream` to host memory, in the
 * same layout, and waits for them. `host` has room for a dense tensor of that description. */
OCT_MUST_CHECK oct_status oct_engine_fetch(oct_engine *e, oct_ctx *ctx, const oct_tensor *t,
                                           oct_stream *stream, void *host);

OCT_MUST_CHECK oct_status oct_worker_new(oct_engine *e, oct_ctx *ctx, oct_worker **out);
void oct_worker_free(oct_worker *w, oct_ctx *ctx); /* NULL is allowed */

/* Runs once. `in`: one tensor per model input, host memory, dense row-major, any shape that fits the declared
 * one. Outputs: `out[i]` describes output i in worker memory, host, row-major, valid until the next
 * run or free. `observer` may be NULL. */
OCT_MUST_CHECK oct_status oct_worker_run(oct_worker *w, oct_ctx *ctx, const oct_tensor *in,
                                         size_t n_in, oct_tensor *out, size_t n_out,
                                         oct_observer *observer);

/* Plans for these input shapes ahead of the first run. */
OCT_MUST_CHECK oct_status oct_worker_prepare(oct_worker *w, oct_ctx *ctx, const oct_shape *in,
                                             size_t n_in);

/* Repeats the most recent run `n` times (>= 1) on a device, without moving inputs or outputs, the
 * inputs being those of that run; ms[i] is the device's time of repetition i. OCT_ERR_UNSUPPORTED
 * on the CPU. */
OCT_MUST_CHECK oct_status oct_worker_replay(oct_worker *w, oct_ctx *ctx, int n, double *ms);

/* One op of a plan, for --profile, inspect and coverage reports. Strings live with the engine. */
typedef struct oct_op_info {
    const char *node;  /* node name; fused nodes are joined in `fused` */
    const char *fused; /* e.g. "conv1 + bn1 + relu" */
    const char *op;
    const char *tactic; /* candidate name */
    oct_dtype in_dtype, out_dtype;
    oct_shape out_shape;
    const char *reason; /* why not INT8 / fallback, or "" */
    double tuned_us;    /* time of the tactic when it was chosen by timing, here or for the engine
                      * file; else 0 */
    uint64_t tuned_key; /* oct_tactic.key */
    double macs;        /* multiply-accumulates of one run */
    double bytes;       /* operand bytes touched once */
    bool on_device;     /* ran in device memory */
    uint64_t n_runs, total_ns; /* measured when profiling is on */
} oct_op_info;

void oct_worker_set_profiling(oct_worker *w, bool on);
/* Ops of the most recent plan, in execution order. */
size_t oct_worker_ops(const oct_worker *w, const oct_op_info **list);
size_t oct_worker_arena_bytes(const oct_worker *w);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_SESSION_H */
