/* SPDX-License-Identifier: Apache-2.0
 *
 * A graph built by hand, run through the whole engine. The property that every pass and
 * plan must keep is one call: the rewritten graph computes what the graph as built does.
 */
#ifndef OCT_TESTS_SUPPORT_ENGINE_CASE_H
#define OCT_TESTS_SUPPORT_ENGINE_CASE_H

#include "engine/passes.h"
#include "engine/session.h"
#include "tests/support/graph_build.h"

typedef struct engine_case {
    oct_ctx *ctx;
    oct_graph *g;
} engine_case;

/* cmocka set-up and tear-down: *state is an engine_case with an empty graph. */
int engine_case_setup(void **state);
int engine_case_teardown(void **state);

/* Outputs of one run, copied. */
#define EC_MAX_OUT 8
typedef struct ec_result {
    oct_tensor out[EC_MAX_OUT];
    size_t n;
} ec_result;

/* Runs a clone of the graph on random inputs (same for every call). */
void ec_run(engine_case *c, const oct_engine_options *opt, ec_result *r);
void ec_result_free(engine_case *c, ec_result *r);

/* Largest |a - b| over max |b|, all outputs; infinite when shapes or types differ. */
double ec_distance(const ec_result *a, const ec_result *b);

/* Runs as built on ref, and rewritten on `backend`, and asserts a distance of at most `tol`. */
void ec_assert_unchanged(engine_case *c, const char *backend, double tol);

/* The clone that all passes made of the graph for `ref`, to be freed by the caller. */
oct_graph *ec_rewritten(engine_case *c);
/* Live nodes of that clone. */
uint32_t ec_count(engine_case *c, oct_op op);

/* Makes a model of a clone of the graph. */
oct_model *ec_model(engine_case *c);

#endif /* OCT_TESTS_SUPPORT_ENGINE_CASE_H */
