/* SPDX-License-Identifier: Apache-2.0
 *
 * Which samples of a data set are used. The choice depends on the arguments alone, and chosen
 * samples keep the data set's order.
 */
#ifndef OCT_DATASETS_SUBSET_H
#define OCT_DATASETS_SUBSET_H

#include "base/ctx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum oct_subset_kind {
    OCT_SUBSET_AUTO,       /* stratified where there are labels, else even */
    OCT_SUBSET_FIRST,      /* the first ones */
    OCT_SUBSET_EVEN,       /* evenly spaced */
    OCT_SUBSET_RANDOM,     /* by seed, without repetition */
    OCT_SUBSET_STRATIFIED, /* as many of each class as can be, evenly spaced inside it */
    OCT_SUBSET_COUNT,
} oct_subset_kind;

typedef struct oct_subset {
    oct_subset_kind kind;
    int64_t limit; /* 0 = all */
    uint64_t seed;
    int shard, n_shards; /* keeps chosen ones number shard, shard + n_shards, ...; 0, 0 = all */
} oct_subset;

/* "first", "even", "random", "random:SEED", "stratified"; OCT_ERR_USAGE otherwise. */
OCT_MUST_CHECK oct_status oct_subset_parse(oct_ctx *ctx, const char *text, oct_subset *out);

/* Indices in [0, n), ascending, oct_alloc()ed in `*chosen`. `label` has n entries or is NULL
 * (then stratified is OCT_ERR_USAGE). */
OCT_MUST_CHECK oct_status oct_subset_choose(oct_ctx *ctx, const oct_subset *s, int64_t n,
                                            const int32_t *label, int64_t **chosen,
                                            int64_t *n_chosen);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_SUBSET_H */
