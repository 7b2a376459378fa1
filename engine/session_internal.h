/* SPDX-License-Identifier: Apache-2.0
 *
 * What session.c, the planner and the executor share: the engine's own state.
 */
#ifndef OCT_ENGINE_SESSION_INTERNAL_H
#define OCT_ENGINE_SESSION_INTERNAL_H

#include <pthread.h>

#include "engine/plan.h"
#include "engine/session.h"
#include "engine/timing_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

struct oct_engine {
    oct_ctx *ctx; /* the engine's own: memory and messages of planning, under `lock` */
    const oct_model *model;
    oct_backend *be;
    oct_backend *host; /* what runs on the host: == be on host backends, else "cpu" */
    oct_backend *ref;  /* last resort; == be when that is "ref" */
    bool borrowed;     /* `be` belongs to the caller */
    oct_graph *graph;  /* rewritten copy of the model's */
    oct_arena *arena;  /* lists below */
    oct_io *input, *output;
    uint32_t n_inputs, n_outputs;
    oct_observed *observed;
    oct_value_id *observed_value; /* in `graph` */
    uint32_t n_observed;
    int threads, plan_threads;
    bool tune, tf32;
    const oct_tactic *tactic; /* chosen earlier */
    size_t n_tactics;
    oct_timing_cache *timings; /* with `tune`, under `lock` */
    const char *timed_device,
        *timed_host; /* names of `be` and of `host` and `ref` in it; in the arena */
    size_t n_timed;  /* candidates */
    bool row_only;   /* no layout pass ran */
    bool observe_made;
    bool host_told; /* of steps on the host; under `lock` */
    uint32_t max_plans;
    size_t arena_limit_bytes;

    pthread_mutex_t lock; /* plans, device constants */
    oct_plan **plan;
    uint32_t n_plans, cap_plans;
    uint64_t clock;
    struct oct_device_const *device_const; /* uploaded constants of a device backend */
    uint32_t n_device_const, cap_device_const;
};

/* Plan of `g` for these inputs, from the cache or newly built; counted as used by the
 * caller until oct_engine_release_plan(). Messages go to `ctx`. */
OCT_MUST_CHECK oct_status oct_engine_plan(oct_engine *e, oct_ctx *ctx, const oct_graph *g,
                                          const oct_tensor_desc *in, uint32_t n_in, oct_plan **out);
void oct_engine_release_plan(oct_engine *e, oct_plan *p);

/* Backend memory with the bytes of a constant: the bytes themselves on a host backend. */
OCT_MUST_CHECK oct_status oct_engine_constant(oct_engine *e, oct_ctx *ctx, const void *data,
                                              size_t bytes, const void **out);

/* Before the passes: marks in e->graph what is to be observed. */
OCT_MUST_CHECK oct_status oct_observe_mark(oct_engine *e, const oct_engine_options *opt);
/* After them, with observe_made: marks what is still computed. */
void oct_observe_mark_made(oct_engine *e);
/* At last: fills e->observed in the order of the rewritten graph. */
OCT_MUST_CHECK oct_status oct_observe_collect(oct_engine *e);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_SESSION_INTERNAL_H */
