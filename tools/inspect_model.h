/* SPDX-License-Identifier: Apache-2.0
 *
 * What octet inspect says about a graph, from an ONNX model or an engine file alike.
 */
#ifndef OCT_TOOLS_INSPECT_MODEL_H
#define OCT_TOOLS_INSPECT_MODEL_H

#include "engine/engine_file.h"
#include "engine/session.h"
#include "tools/cli.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One operator: how many nodes, how much work. */
typedef struct oct_op_count {
    oct_op op;
    uint32_t n;
    double macs;
} oct_op_count;

typedef struct oct_model_facts {
    oct_op_count op[OCT_OP_COUNT]; /* those that occur, most work first, then most nodes */
    int n_ops;
    uint32_t n_nodes;
    double macs;     /* of one image */
    bool macs_known; /* false: dimensions other than the batch are open */
} oct_model_facts;

OCT_MUST_CHECK oct_status oct_model_facts_of(oct_ctx *ctx, const oct_model *m, oct_model_facts *f);

/* Tables: inputs and outputs, operators. */
OCT_MUST_CHECK oct_status oct_inspect_print_io(oct_cli *cli, const oct_graph *g);
OCT_MUST_CHECK oct_status oct_inspect_print_ops(oct_cli *cli, const oct_model_facts *f);
/* Keys "inputs", "outputs", "nodes", "macs", "flops", "operators" of an open object. */
void oct_inspect_write_graph(oct_json *j, const oct_graph *g, const oct_model_facts *f);
OCT_MUST_CHECK oct_status oct_inspect_print_dump(oct_cli *cli, const oct_graph *g);

/* The operators of a plan for this model at `precision` (OCT_PRECISION_* bits), as a table or as
 * key "plan" of an open object (`j` not NULL). */
OCT_MUST_CHECK oct_status oct_inspect_plan(oct_cli *cli, const oct_model *m, uint32_t precision,
                                           const oct_engine_info *stored, oct_json *j);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_INSPECT_MODEL_H */
