/* SPDX-License-Identifier: Apache-2.0
 *
 * Planner: the state that the plan_*.c files share while one plan is built (plan.h draws
 * the picture). Everything here lives until oct_plan_build() returns.
 */
#ifndef OCT_ENGINE_PLANNER_H
#define OCT_ENGINE_PLANNER_H

#include "engine/plan.h"
#include "engine/session_internal.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the planner knows of a graph value. */
typedef struct oct_plan_value {
    oct_tensor_desc desc; /* shape may hold symbols or n_dims = -1: known only while running */
    const void *host;     /* elements known now, dense row-major; else NULL */
    uint32_t tensor;      /* OCT_NONE until a step or view provides it */
    uint32_t n_uses;      /* node inputs and graph outputs */
    oct_node_id concat;   /* Concat that wants this value written in place, or OCT_NONE */
    uint32_t slice_in;    /* ... as its input number */
    bool observed;
} oct_plan_value;

typedef struct oct_planner {
    oct_ctx *ctx;
    oct_engine *engine;
    const oct_graph *g;
    oct_plan *p;
    oct_plan_value *v; /* per graph value */
    int64_t n_symbols;
    const oct_tensor_desc *in;
} oct_planner;

/* ---- plan_infer.c ---- */
/* Fills v[].desc and v[].host. */
OCT_MUST_CHECK oct_status oct_plan_infer(oct_planner *b);

/* ---- plan_adapt.c ---- */
OCT_MUST_CHECK oct_status oct_plan_add_tensor(oct_planner *b, const oct_plan_tensor *t,
                                              uint32_t *id);
/* Fresh ARENA (or DYNAMIC when the shape is unknown) tensor in the backend's or host memory. */
OCT_MUST_CHECK oct_status oct_plan_new_tensor(oct_planner *b, const oct_tensor_desc *d,
                                              bool on_host, uint32_t *id);
OCT_MUST_CHECK oct_status oct_plan_new_view(oct_planner *b, uint32_t of, size_t offset,
                                            const oct_tensor_desc *d, uint32_t *id);
OCT_MUST_CHECK oct_status oct_plan_add_step(oct_planner *b, oct_step_kind kind, oct_node_id node,
                                            uint32_t n_in, uint32_t n_out, oct_plan_step **s);
/* Tensor with the elements of `t`, dense in `layout`, in host or backend memory: `t`
 * itself, a view, or a copy made by new steps (kept for the next caller). */
OCT_MUST_CHECK oct_status oct_plan_adapt(oct_planner *b, uint32_t t, oct_layout layout,
                                         bool on_host, uint32_t *id);
/* Steps that copy the elements of `from` into `to` (same shape; any strides). */
OCT_MUST_CHECK oct_status oct_plan_copy(oct_planner *b, uint32_t from, uint32_t to);
/* Tensor of a graph value, made on first use for constants. */
OCT_MUST_CHECK oct_status oct_plan_value_tensor(oct_planner *b, oct_value_id v, uint32_t *id);
/* Same bytes read as dense `layout`? (Strides may differ along axes of length 1.) */
bool oct_plan_is_layout(const oct_tensor_desc *d, oct_layout layout);

/* ---- plan_tactic.c ---- */
typedef struct oct_tactic_request {
    const oct_node *node; /* op, attr, epilogue, name */
    const uint32_t *in;   /* tensors, OCT_NONE absent */
    const uint32_t *out;
    uint32_t n_in, n_out;
} oct_tactic_request;

#define OCT_PLAN_CANDIDATES 48 /* looked at when there is a choice to make */

/* Picks a candidate of `be` for these tensors as they are and appends a step that runs it.
 * *taken = false with `reason` when the backend declines. */
OCT_MUST_CHECK oct_status oct_plan_tactic(oct_planner *b, oct_backend *be, oct_node_id id,
                                          const oct_tactic_request *r, bool *taken, char *reason);
/* Fills operands from plan tensors; `op` has n_in + n_out entries. */
void oct_plan_operands(const oct_plan *p, const oct_tactic_request *r, oct_operand *op);
double oct_plan_macs(const oct_node *n, const oct_operand *in, const oct_operand *out);

/* ---- plan_prepare.c ---- */
/* Makes the step's op, or notes it for oct_plan_prepare_rest(). */
OCT_MUST_CHECK oct_status oct_plan_prepare(oct_planner *b, oct_backend *be, oct_node_id id,
                                           const oct_op_desc *d, const oct_candidate *c,
                                           oct_plan_step *s);
/* Once unread steps are gone: the ops that were put off, on several threads. */
OCT_MUST_CHECK oct_status oct_plan_prepare_rest(oct_planner *b);

/* ---- plan_choose.c ---- */
/* The candidate that was stored, or is fastest by the engine's times, or the first. *us: its
 * time, 0 where it is not known; *key: oct_tactic.key of this operator. */
OCT_MUST_CHECK oct_status oct_plan_choose(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                                          const oct_candidate *list, int n, int *choice, double *us,
                                          uint64_t *key);

/* ---- plan_view.c ---- */
/* *done when node `id` needs no step: its outputs are views of its inputs. */
OCT_MUST_CHECK oct_status oct_plan_try_view(oct_planner *b, oct_node_id id, bool *done);

/* ---- plan_concat.c ---- */
/* Chooses for every Concat which inputs can be written straight into its result. */
OCT_MUST_CHECK oct_status oct_plan_mark_slices(oct_planner *b);
/* Where value `v` should be written: *id = OCT_NONE when it is on its own. */
OCT_MUST_CHECK oct_status oct_plan_slice(oct_planner *b, oct_value_id v, uint32_t *id);
/* Finishes a Concat some of whose inputs are in place; *done = false when none is. */
OCT_MUST_CHECK oct_status oct_plan_concat(oct_planner *b, oct_node_id id, bool *done);

/* ---- plan_tune.c ---- */
/* Fills the zeros of ns[n] with the times of those candidates on random operands;
 * OCT_TIMING_FAILED for one that does not work. */
OCT_MUST_CHECK oct_status oct_plan_tune(oct_planner *b, oct_backend *be, const oct_op_desc *d,
                                        const oct_candidate *list, int n, uint64_t *ns);

/* ---- plan_phase.c ---- */
/* Once steps are final, before lifetimes: phases; nothing on host backends. */
void oct_plan_phases(oct_planner *b);
/* Once memory is placed: segments and constants that need no upload. */
OCT_MUST_CHECK oct_status oct_plan_segments(oct_planner *b);

/* ---- plan_report.c ---- */
/* Once memory is placed: logs what of a device's plan runs on the CPU, and why. */
void oct_plan_report(oct_planner *b);

/* ---- plan_memory.c ---- */
OCT_MUST_CHECK oct_status oct_plan_place(oct_planner *b);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ENGINE_PLANNER_H */
