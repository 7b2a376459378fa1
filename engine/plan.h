/* SPDX-License-Identifier: Apache-2.0
 *
 * Plan: one graph made concrete for one set of input shapes. A list of steps over a table of
 * *plan tensors*, each of which knows where its elements are:
 *
 *     CONST    bytes of the graph or folded by the planner     INPUT   the caller's memory
 *     ARENA    at `offset` of the frame's one activation block VIEW    inside another tensor
 *     DYNAMIC  shape known only while running; from the worker's pool
 *
 * Every graph value has at most one tensor, but a tensor need not be a value: reordered
 * copies, workspaces and the pieces of a Concat are tensors too. Memory is reused by
 * lifetime: two ARENA tensors share bytes when no step needs both.
 *
 *     plan_infer   concrete shapes, integer arithmetic folded to host constants
 *     plan_adapt   brings a tensor into the layout and memory that an operator wants
 *     plan_tactic  prepares a backend's candidate for one operator
 *     plan_choose  which one: stored, fastest by the timing cache, or the first
 *     plan_tune    times candidates on random data
 *     plan_key     the names under which times are kept
 *     plan_view    operators that need no work because their result already lies there
 *     plan_build   walks the graph and makes the steps
 *     plan_phase   devices: what is copied first and last, what can be captured
 *     plan_report  what of a device's plan runs on the host, for the log
 *     plan_memory  lifetimes, in-place results, arena offsets
 *
 * Ownership: a plan belongs to its engine. Thread-safety: immutable once built; any number
 * of frames (executor.h) may run it at once.
 */
#ifndef OCT_ENGINE_PLAN_H
#define OCT_ENGINE_PLAN_H

#include "engine/graph.h"
#include "engine/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_place {
    OCT_PLACE_CONST,
    OCT_PLACE_INPUT,
    OCT_PLACE_ARENA,
    OCT_PLACE_VIEW,
    OCT_PLACE_DYNAMIC,
} oct_place;

typedef struct oct_plan_tensor {
    oct_tensor_desc desc; /* concrete but for DYNAMIC; strided for views */
    oct_quant quant;
    oct_place place;
    bool on_host;         /* host memory; false = the backend's own */
    bool unread;          /* CONST on a device: the ops that use it packed their own copies */
    const void *data;     /* CONST: dense row-major host bytes */
    uint64_t const_key;   /* CONST of the graph; else 0 */
    uint32_t base;        /* VIEW: tensor that holds the elements (never itself a view) */
    size_t offset;        /* bytes: VIEW in base, ARENA in the arena */
    size_t bytes;         /* ARENA */
    uint32_t input;       /* INPUT: index of the graph input */
    uint32_t first, last; /* steps [first, last] between which the bytes are needed */
    uint32_t in_place;    /* ARENA: tensor whose bytes this one takes over, or OCT_NONE */
    uint32_t other[OCT_LAYOUT_COUNT][2]; /* dense copy by layout and on_host, or OCT_NONE */
} oct_plan_tensor;

typedef enum oct_step_kind {
    OCT_STEP_OP,      /* a prepared op */
    OCT_STEP_COPY,    /* bytes between equal dense tensors, possibly host <-> device */
    OCT_STEP_DYNAMIC, /* an op that is inferred, placed and prepared when reached */
    OCT_STEP_CONTROL, /* If, Loop */
} oct_step_kind;

/* When a step of a device plan runs. Inputs are copied first, outputs last, so that what is
 * between them can be repeated without them. */
typedef enum oct_step_phase {
    OCT_PHASE_BODY,
    OCT_PHASE_IN,
    OCT_PHASE_OUT,
} oct_step_phase;

typedef struct oct_plan_step {
    oct_step_kind kind;
    oct_step_phase phase;
    bool on_device;   /* needs nothing but the device: may be captured into a graph */
    oct_node_id node; /* OCT_NONE for copies and reorders that the planner added */
    oct_prepared *op; /* STEP_OP */
    struct oct_prepare_later *later; /* while planning: what `op` will be; in the plan's arena */
    uint32_t *in, *out;              /* tensors; OCT_NONE = absent */
    uint32_t n_in, n_out;
    uint32_t workspace; /* tensor or OCT_NONE */
    int alias_in;       /* input that must share output 0's bytes, or -1 */
    bool alias_copy;    /* ... and does not: its bytes are copied there first */
    uint32_t may_alias; /* bit i: input i may share output 0's bytes */
    uint32_t *release;  /* DYNAMIC tensors to give back to the pool afterwards */
    uint32_t n_release;
    oct_op_info info; /* for profiles; strings in the plan's arena */
} oct_plan_step;

/* Hand `tensor` to the observer as observed value `value` before step `step` runs. */
typedef struct oct_plan_event {
    uint32_t step, value, tensor;
} oct_plan_event;

/* Steps [first, end) that a device runs without the host: one captured graph. */
typedef struct oct_plan_segment {
    uint32_t first, end;
} oct_plan_segment;

typedef struct oct_plan {
    const oct_graph *graph;
    oct_tensor_desc *key; /* of the graph's inputs */
    uint32_t n_key;
    oct_arena *arena; /* lists, names, folded constants */
    oct_plan_tensor *tensor;
    oct_plan_step *step;
    oct_plan_event *event;
    uint32_t n_tensors, n_steps, n_events;
    uint32_t cap_tensors, cap_steps, cap_events;
    oct_plan_segment *segment; /* of a device's static plan; in order */
    uint32_t n_segments;
    uint32_t *input, *output; /* tensors, one per graph input / output */
    uint32_t n_inputs, n_outputs;
    size_t arena_bytes[2]; /* backend's memory, host memory (the same one on host backends: [1]) */
    uint32_t max_args;     /* largest n_in + n_out of a step */
    bool has_dynamic;
    uint32_t users;   /* frames; guarded by the engine's lock */
    uint64_t used_at; /* engine clock of the last look-up */
} oct_plan;

/* Plans `g` (the engine's graph or one of its subgraphs) for inputs of these descriptions
 * (dense row-major). The engine's lock is held; memory and messages are the engine's context's. */
OCT_MUST_CHECK oct_status oct_plan_build(oct_engine *e, const oct_graph *g,
                                         const oct_tensor_desc *in, uint32_t n_in, oct_plan **out);
void oct_plan_free(oct_engine *e, oct_plan *p); /* NULL is allowed */

/* The tensor that owns the bytes of `t` (itself unless a view). */
static inline uint32_t oct_plan_root(const oct_plan *p, uint32_t t)
{
    return p->tensor[t].place == OCT_PLACE_VIEW ? p->tensor[t].base : t;
}

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_PLAN_H */
