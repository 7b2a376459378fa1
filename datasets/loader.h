/* SPDX-License-Identifier: Apache-2.0
 *
 * Loader: batches out of a sample source, decoded ahead by threads.
 *
 *     workers: take the next row of the next block, decode it into the block's buffer
 *     next():  hands out finished blocks in order; release() returns the buffer
 *
 * Buffers are reused, so memory does not grow with the data set. A buffer is made only while
 * fewer than `queue` blocks are begun and not handed out, so callers may hold as many batches
 * as they like without a deadlock.
 */
#ifndef OCT_DATASETS_LOADER_H
#define OCT_DATASETS_LOADER_H

#include "datasets/source.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One model input in a batch. */
typedef struct oct_loader_input {
    oct_tensor_desc desc; /* of the whole batch */
    size_t row_bytes;     /* 0: constant, not fed by the source */
    size_t total_bytes;
    void *constant; /* total_bytes to copy into every buffer, or NULL; owned */
} oct_loader_input;

typedef struct oct_loader_config {
    oct_source *source;      /* given: closed by the loader, also when opening fails */
    oct_loader_input *input; /* given likewise, oct_alloc()ed */
    int n_inputs;
    int64_t *order; /* given likewise: samples to load */
    int64_t n_order;
    int batch;
    int n_threads, queue;
    bool skip_bad;
    double max_skip_percent;
} oct_loader_config;

OCT_MUST_CHECK oct_status oct_loader_open(oct_ctx *ctx, const oct_loader_config *config,
                                          oct_batch_source **out);
const oct_source *oct_loader_source(const oct_batch_source *s);
/* For calls that are thread-safe beside the loader's own. */
oct_source *oct_loader_source_mutable(const oct_batch_source *s);
/* Shape of what model input `k` gets: of a whole batch. */
const oct_shape *oct_loader_shape(const oct_batch_source *s, int k);
/* The chosen samples, in order. */
const int64_t *oct_loader_order(const oct_batch_source *s, int64_t *n);
int oct_loader_batch(const oct_batch_source *s);

#ifdef __cplusplus
}
#endif

#endif /* OCT_DATASETS_LOADER_H */
