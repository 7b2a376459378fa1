/* SPDX-License-Identifier: Apache-2.0
 *
 * Timing kernels for an engine file: --tune and --timing-cache of commands that build engines.
 */
#ifndef OCT_TOOLS_TUNING_H
#define OCT_TOOLS_TUNING_H

#include "tools/engine_io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_tuning {
    oct_engine_io io; /* engine and its inputs only */
    oct_worker *worker;
    oct_tactic *list; /* texts belong to the engine */
    size_t n;
} oct_tuning;

/* OCT_ERR_USAGE for --timing-cache without --tune. */
OCT_MUST_CHECK oct_status oct_tuning_check(oct_cli *cli);
/* With --tune: times the candidates of every operator of `m` as it will run, for inputs of these shapes (NULL:
 * those of --shape, open dimensions 1), and sets the tactics of `origin`. Without: does nothing. Deinit
 * whatever the outcome, after the engine file is written. */
OCT_MUST_CHECK oct_status oct_tuning_run(oct_tuning *t, oct_cli *cli, const oct_model *m,
                                         const oct_shape *shapes, oct_engine_origin *origin);
void oct_tuning_deinit(oct_tuning *t, oct_cli *cli);

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_TUNING_H */
