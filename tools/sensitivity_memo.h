/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sensitivity search has measured so far, and the checkpoint that holds it: measuring is the only slow part
 * and the search itself is deterministic, so a search that finds its measurements again takes the same way.
 */
#ifndef OCT_TOOLS_SENSITIVITY_MEMO_H
#define OCT_TOOLS_SENSITIVITY_MEMO_H

#include "base/hash.h"
#include "quant/sensitivity.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_sens_entry {
    oct_sha256 id; /* of the layers kept and the images used */
    oct_sens_score score;
} oct_sens_entry;

typedef struct oct_sens_memo {
    oct_ctx *ctx;
    char *path;     /* of the checkpoint; owned */
    oct_sha256 key; /* of everything that scores depend on besides the choice of layers */
    oct_sens_entry *entry;
    size_t n, cap;
} oct_sens_memo;

/* The checkpoint is OUT.checkpoint. Reads it with `resume`, if there is one: OCT_ERR_STALE if it is of another
 * search. Without, OCT_ERR_USAGE if there is one, unless `force`. Deinit whatever the outcome. */
OCT_MUST_CHECK oct_status oct_sens_memo_open(oct_ctx *ctx, const char *out, const oct_sha256 *key,
                                             bool resume, bool force, oct_sens_memo *m);
void oct_sens_memo_deinit(oct_sens_memo *m);

oct_sha256 oct_sens_memo_id(const bool *keep, size_t n_layers, bool all);
const oct_sens_score *oct_sens_memo_find(const oct_sens_memo *m, const oct_sha256 *id);
OCT_MUST_CHECK oct_status oct_sens_memo_add(oct_sens_memo *m, const oct_sha256 *id,
                                            const oct_sens_score *score);
OCT_MUST_CHECK oct_status oct_sens_memo_save(const oct_sens_memo *m);
void oct_sens_memo_remove(const oct_sens_memo *m); /* the file, after success */

#ifdef __cplusplus
}
#endif

#endif /* OCT_TOOLS_SENSITIVITY_MEMO_H */
