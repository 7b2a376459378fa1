/* SPDX-License-Identifier: Apache-2.0
 *
 * A side of an evaluation: something that answers a batch with outputs. Either a model run
 * here, or the outputs that another runtime wrote (an array with one row a sample of the whole
 * data set, in its order).
 *
 *     side         shared by all threads, immutable once open
 *     side worker  one line of execution; one thread at a time
 */
#ifndef OCT_ACCURACY_SIDE_H
#define OCT_ACCURACY_SIDE_H

#include "base/batch.h"
#include "engine/session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oct_side oct_side;
typedef struct oct_side_worker oct_side_worker;

/* Runs `model` (borrowed) as `opt` says, but on one thread a worker. */
OCT_MUST_CHECK oct_status oct_side_open_model(oct_ctx *ctx, const oct_model *model,
                                              const oct_engine_options *opt, oct_side **out);
/* Rows of a .npy file of any numeric type, or of a .json file (recorded.h). OCT_ERR_SHAPE: a scalar or no
 * rows. */
OCT_MUST_CHECK oct_status oct_side_open_outputs(oct_ctx *ctx, const char *path, oct_side **out);
void oct_side_close(oct_side *s, oct_ctx *ctx); /* NULL is allowed; after its workers */

/* Rows that recorded outputs hold; -1 for a model, which answers anything. */
int64_t oct_side_n_rows(const oct_side *s);

OCT_MUST_CHECK oct_status oct_side_worker_new(oct_side *s, oct_ctx *ctx, oct_side_worker **out);
void oct_side_worker_free(oct_side_worker *w, oct_ctx *ctx); /* NULL is allowed */

/* Outputs for `b`: dense, row-major, floats as f32, a model's integers as they are; valid until the
 * next run or free. A recorded side gives one f32 output of b->n_samples rows, those that sample->index names. */
OCT_MUST_CHECK oct_status oct_side_run(oct_side_worker *w, oct_ctx *ctx, const oct_batch *b,
                                       const oct_tensor **out, size_t *n_out);

#ifdef __cplusplus
}
#endif

#endif /* OCT_ACCURACY_SIDE_H */
